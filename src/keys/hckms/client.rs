//! Asking the KMS of a region, and which project that is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::credentials::{self, AccessKey, METADATA};
use super::endpoint;
use super::signature::Signed;
use crate::keys::http::{self, Answer, Request, Tls};
use crate::keys::{Host, OwnCredentials};
use crate::number::basic_seconds;
use crate::secret::SecretBytes;
use crate::tree::Timestamp;

/// How data keys are encrypted: by a symmetric key.
const ALGORITHM: &str = "SYMMETRIC_DEFAULT";

/// Who this is. The header is signed, so that the client may not choose another.
const USER_AGENT: &str = concat!("encfile/", env!("CARGO_PKG_VERSION"));

/// How long it is not looked again for an access key that there was none of.
const PAUSE: Duration = Duration::from_secs(10);

/// An access key, or what was wrong in each place, and when that was so.
type Found = (Result<Arc<AccessKey>, Vec<String>>, Timestamp);

/// The user's access to `HuaweiCloud`.
pub(super) struct Client {
    host: Arc<dyn Host>,
    http: OnceLock<Result<http::Client, String>>,
    access: Mutex<Option<Found>>,
    projects: Mutex<HashMap<String, String>>,
}

impl OwnCredentials for Client {
    fn of_host(host: &Arc<dyn Host>) -> Client {
        Client {
            host: Arc::clone(host),
            http: OnceLock::new(),
            access: Mutex::default(),
            projects: Mutex::default(),
        }
    }
}

/// An answer of the KMS.
#[derive(Deserialize)]
struct Body {
    cipher_text: Option<String>,
    plain_text: Option<Zeroizing<String>>,
}

/// Projects, as IAM lists them.
#[derive(Deserialize)]
struct Projects {
    projects: Vec<Project>,
}

#[derive(Deserialize)]
struct Project {
    id: String,
}

/// An error, in one of the forms that `HuaweiCloud` has for it.
#[derive(Default, Deserialize)]
struct Failure {
    error: Option<Box<Failure>>,
    #[serde(alias = "code")]
    error_code: Option<serde_json::Value>,
    #[serde(alias = "message")]
    error_msg: Option<String>,
}

impl Client {
    /// Has a data key wrapped.
    pub(super) fn encrypt(&self, region: &str, uuid: &str, key: &[u8]) -> Result<String, String> {
        let key = Zeroizing::new(BASE64_STANDARD.encode(key));
        let id = serde_json::Value::from(uuid);
        let body = Zeroizing::new(format!(
            r#"{{"key_id":{id},"plain_text":"{}","encryption_algorithm":"{ALGORITHM}"}}"#,
            *key
        ));
        let answer = self.ask(region, "encrypt-data", &body, &key)?;
        answer.cipher_text.ok_or_else(|| "there is no `cipher_text` in the answer".to_owned())
    }

    /// Has a data key unwrapped.
    pub(super) fn decrypt(
        &self,
        region: &str,
        uuid: &str,
        wrapped: &str,
    ) -> Result<SecretBytes, String> {
        let body = serde_json::json!({
            "cipher_text": wrapped, "encryption_algorithm": ALGORITHM, "key_id": uuid,
        });
        let answer = self.ask(region, "decrypt-data", &body.to_string(), "")?;
        let text = answer.plain_text.ok_or("there is no `plain_text` in the answer")?;
        match BASE64_STANDARD.decode(text.as_bytes()) {
            Ok(key) => Ok(SecretBytes::from(key)),
            Err(_) => Err("the `plain_text` in the answer is not base64".to_owned()),
        }
    }

    /// Returns where an access key was looked for, a line each.
    pub(super) fn looked_in(&self) -> Vec<String> {
        match &*self.access.lock().unwrap_or_else(PoisonError::into_inner) {
            None => Vec::new(),
            Some((Ok(access), _)) => vec![format!("{}: an access key", access.origin)],
            Some((Err(places), _)) => places.clone(),
        }
    }

    fn ask(&self, region: &str, operation: &str, body: &str, secret: &str) -> Result<Body, String> {
        let server = endpoint::of_region(&*self.host, region)?;
        let access = self.access()?;
        let project = self.project(&access, region)?;
        let path = format!("/v1.0/{project}/kms/{operation}");
        let answer = self.send(&access, "POST", (&server, &path, ""), Some(&project), body)?;
        let url = format!("{server}{path}");
        if !answer.is_success() {
            return Err(failure("POST", &url, &answer, &[secret]));
        }
        serde_json::from_slice(&answer.body)
            .map_err(|_| format!("POST {url}: that is no answer of HuaweiCloud KMS"))
    }

    /// Returns the id of the user's project in a region, asking IAM if nothing says it.
    fn project(&self, access: &AccessKey, region: &str) -> Result<String, String> {
        if let Some(project) = &access.project {
            return is_id(project).then(|| project.clone()).ok_or_else(|| {
                "HUAWEICLOUD_SDK_PROJECT_ID, or `project_id`, is no id of a project".to_owned()
            });
        }
        // Keys that are asked at the same time wait for one answer.
        let mut known = self.projects.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(project) = known.get(region) {
            return Ok(project.clone());
        }
        let server = match &access.iam_endpoint {
            Some(server) => endpoint::address(server),
            None => endpoint::built_in("iam", region)?,
        };
        let query = format!("name={region}");
        let failed = |reason: String| {
            format!(
                "failed to get project id of region '{region}' automatically: {reason}; set \
                 HUAWEICLOUD_SDK_PROJECT_ID"
            )
        };
        let target = (&*server, "/v3/projects", &*query);
        let answer = self.send(access, "GET", target, None, "").map_err(failed)?;
        let url = format!("{server}/v3/projects?{query}");
        if !answer.is_success() {
            return Err(failed(self::failure("GET", &url, &answer, &[])));
        }
        let found: Projects = serde_json::from_slice(&answer.body)
            .map_err(|_| failed(format!("GET {url}: that is no answer of IAM")))?;
        let first = found.projects.into_iter().next();
        let project = first
            .map(|project| project.id)
            .filter(|id| is_id(id))
            .ok_or_else(|| failed(format!("GET {url}: there is no project")))?;
        known.insert(region.to_owned(), project.clone());
        Ok(project)
    }

    /// Signs and sends a request to a server, a path and a query.
    fn send(
        &self,
        access: &AccessKey,
        method: &str,
        (server, path, query): (&str, &str, &str),
        project: Option<&str>,
        body: &str,
    ) -> Result<Answer, String> {
        let date = basic_seconds(self.host.now());
        // In the order of their names, which is signed.
        let mut headers = vec![("user-agent", USER_AGENT)];
        headers.extend(project.map(|project| ("x-project-id", project)));
        headers.push(("x-sdk-date", &date));
        headers.extend(access.token.as_ref().map(|token| ("x-security-token", token.as_str())));
        let signed = Signed { method, path, query, headers: &headers, body: body.as_bytes() };
        let authorization = signed.authorization(&access.id, &access.secret, &date);
        headers.push(("authorization", &authorization));
        if !body.is_empty() {
            headers.push(("content-type", "application/json;charset=UTF-8"));
        }
        let mark = if query.is_empty() { "" } else { "?" };
        let url = format!("{server}{path}{mark}{query}");
        let request = Request { method, url: &url, headers: &headers, body: body.as_bytes() };
        self.http()?.send(&request)
    }

    fn http(&self) -> Result<&http::Client, String> {
        let client = self.http.get_or_init(|| http::Client::new(&*self.host, &Tls::default()));
        client.as_ref().map_err(Clone::clone)
    }

    /// Returns the access key, looked for once, and anew where it counts for a while only.
    fn access(&self) -> Result<Arc<AccessKey>, String> {
        let mut known = self.access.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.host.now();
        let is_old = |(found, at): &Found| match found {
            Ok(key) => key.until.is_some_and(|until| now >= until),
            Err(_) => now >= *at + PAUSE,
        };
        let current = known
            .take()
            .filter(|found| !is_old(found))
            .unwrap_or_else(|| (credentials::find(&*self.host, METADATA).map(Arc::new), now));
        let (found, _) = known.insert(current);
        found.clone().map_err(|places| {
            format!("failed to get HuaweiCloud credentials: {}", places.join("; "))
        })
    }
}

/// Returns what a server said that refused, unless one of the secrets is in it.
pub(super) fn failure(method: &str, url: &str, answer: &Answer, secrets: &[&str]) -> String {
    let said: Failure = serde_json::from_slice(&answer.body).unwrap_or_default();
    let said = said.error.map_or_else(
        || (said.error_code, said.error_msg),
        |inner| (inner.error_code, inner.error_msg),
    );
    let code = said.0.map(|code| code.as_str().map_or_else(|| code.to_string(), str::to_owned));
    let words: Vec<String> = [code, said.1].into_iter().flatten().collect();
    let words = words.join(": ");
    let words = match &*words {
        "" => "no reason is given",
        words if secrets.iter().any(|secret| !secret.is_empty() && words.contains(secret)) => {
            "the reason repeats a secret, and is not shown"
        }
        words => words,
    };
    format!("{method} {url}: status {}: {words}", answer.status)
}

/// Returns whether a text can be the id of a project, which stands in paths.
fn is_id(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_no_path() {
        assert!(is_id("0a1b-2C_d"));
        for text in ["", "a/b", "..", "a?b", "a b"] {
            assert!(!is_id(text), "{text}");
        }
    }
}
