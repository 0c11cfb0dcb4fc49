//! AWS as the identity provider: the foreign token is a signed request for
//! `sts:GetCallerIdentity`, which Google sends to AWS to learn who has signed it.
//!
//! Nothing is sent to AWS from here but the questions to the machine's metadata server, and those
//! only for what the variables of AWS do not say. The form of the token is that of Google's own
//! libraries: <https://google.aip.dev/auth/4117>.

use form_urlencoded::byte_serialize;
use ring::hmac;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use ureq::http::Uri;
use zeroize::Zeroizing;

use super::{Source, ask};
use crate::keys::Host;
use crate::keys::bearer::{self, setting};
use crate::keys::http::{Client, Request, hex};
use crate::number::basic_seconds;
use crate::secret::SecretBytes;

/// The variables with the region, in their order.
const REGION: &[&str] = &["AWS_REGION", "AWS_DEFAULT_REGION"];
const ACCESS_KEY: &str = "AWS_ACCESS_KEY_ID";
const SECRET_KEY: &str = "AWS_SECRET_ACCESS_KEY";
const SESSION_TOKEN: &str = "AWS_SESSION_TOKEN";

/// The only version of the scheme that there is.
const VERSION: &str = "aws1";

/// What Google asks AWS, if the account does not say.
const VERIFICATION_URL: &str =
    "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15";

/// How long a session with the metadata server lasts, in seconds.
const SESSION: &str = "300";

/// Who signs.
struct Signer {
    access: String,
    secret: Zeroizing<String>,
    session: Option<Zeroizing<String>>,
}

/// What Google gets.
#[derive(Serialize)]
struct SignedRequest<'r> {
    url: &'r str,
    method: &'r str,
    headers: Vec<Header<'r>>,
}

#[derive(Serialize)]
struct Header<'r> {
    key: &'r str,
    value: &'r str,
}

/// Returns the foreign token for `audience`.
///
/// # Errors
/// A message for people.
pub(super) fn token(
    source: &Source,
    audience: &str,
    host: &dyn Host,
    client: &Client,
) -> Result<Zeroizing<String>, String> {
    let environment = source.environment_id.as_deref().unwrap_or_default();
    if environment != VERSION {
        return Err(format!("tokens of the environment `{environment}` are not supported"));
    }
    let region = REGION.iter().find_map(|name| setting(host, name));
    let signer = Signer::of_variables(host);
    let server = match (&region, &signer) {
        (Some(_), Some(_)) => None,
        _ => Some(Metadata::start(source, client)?),
    };
    let region = match (region, &server) {
        (None, Some(server)) => server.region()?,
        (region, _) => region.map(|region| region.to_string()).unwrap_or_default(),
    };
    let signer = match (signer, &server) {
        (None, Some(server)) => server.signer()?,
        (signer, _) => signer.ok_or("there are no credentials of AWS")?,
    };
    // It becomes part of an address that somebody else will go to.
    if region.is_empty() || !region.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return Err("what AWS calls its region is none".to_owned());
    }
    let url = source.regional_cred_verification_url.as_deref().unwrap_or(VERIFICATION_URL);
    let date = basic_seconds(host.now());
    signer.token(&url.replace("{region}", &region), &region, audience, &date)
}

impl Signer {
    fn of_variables(host: &dyn Host) -> Option<Signer> {
        Some(Signer {
            access: setting(host, ACCESS_KEY)?.to_string(),
            secret: setting(host, SECRET_KEY)?,
            session: setting(host, SESSION_TOKEN),
        })
    }

    /// Returns the signed request, as JSON that is escaped as queries are.
    fn token(
        &self,
        url: &str,
        region: &str,
        audience: &str,
        date: &str,
    ) -> Result<Zeroizing<String>, String> {
        let wrong = || format!("`{url}` is not an https address");
        let address: Uri = url.parse().map_err(|_| wrong())?;
        let authority = address.authority().filter(|_| address.scheme_str() == Some("https"));
        let authority = authority.ok_or_else(wrong)?.as_str();
        let mut headers = vec![("host", authority), ("x-amz-date", date)];
        if let Some(session) = &self.session {
            headers.push(("x-amz-security-token", session));
        }
        headers.push(("x-goog-cloud-target-resource", audience));

        let path = if address.path().is_empty() { "/" } else { address.path() };
        let mut query: Vec<&str> = address.query().unwrap_or_default().split('&').collect();
        query.sort_unstable();
        let names: Vec<&str> = headers.iter().map(|&(name, _)| name).collect();
        let names = names.join(";");
        let mut canonical = SecretBytes::from(&*format!("POST\n{path}\n{}\n", query.join("&")));
        for (name, value) in &headers {
            for piece in [name, ":", value, "\n"] {
                canonical.extend_from_slice(piece.as_bytes());
            }
        }
        let body = hex(&Sha256::digest(b""));
        canonical.extend_from_slice(format!("\n{names}\n{body}").as_bytes());
        let scope = format!("{}/{region}/sts/aws4_request", &date[..8]);
        let digest = hex(&Sha256::digest(&*canonical));
        let signature = self.sign(&scope, &format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{digest}"));
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            self.access
        );

        headers.push(("authorization", &authorization));
        let headers = headers.into_iter().map(|(key, value)| Header { key, value }).collect();
        let mut request = SecretBytes::new();
        serde_json::to_writer(&mut request, &SignedRequest { url, method: "POST", headers })
            .map_err(|error| error.to_string())?;
        // As long as it can get, so that no copy stays behind while it grows.
        let mut escaped = Zeroizing::new(String::with_capacity(3 * request.len()));
        escaped.extend(byte_serialize(&request));
        Ok(escaped)
    }

    /// Signs a text for a day, a region and a service: each is the key for the next.
    fn sign(&self, scope: &str, text: &str) -> String {
        let first = Zeroizing::new(format!("AWS4{}", &*self.secret));
        let first = hmac::Key::new(hmac::HMAC_SHA256, first.as_bytes());
        let key = scope.split('/').fold(first, |key, part| {
            let next = hmac::sign(&key, part.as_bytes());
            hmac::Key::new(hmac::HMAC_SHA256, next.as_ref())
        });
        hex(hmac::sign(&key, text.as_bytes()).as_ref())
    }
}

/// The metadata server of a machine of AWS.
struct Metadata<'s> {
    source: &'s Source,
    client: &'s Client,
    /// The token that version 2 of the server wants.
    session: Option<Zeroizing<String>>,
}

impl Metadata<'_> {
    fn start<'s>(source: &'s Source, client: &'s Client) -> Result<Metadata<'s>, String> {
        let mut server = Metadata { source, client, session: None };
        if let Some(url) = &source.imdsv2_session_token_url {
            let headers = [("X-aws-ec2-metadata-token-ttl-seconds", SESSION)];
            server.session = Some(server.text("PUT", url, &headers)?);
        }
        Ok(server)
    }

    /// Returns the region: the zone without its letter.
    fn region(&self) -> Result<String, String> {
        let url = self.source.region_url.as_ref().ok_or_else(|| {
            "AWS_REGION is not set, and `credential_source` has no `region_url`".to_owned()
        })?;
        let mut zone = self.get(url)?.to_string();
        zone.pop();
        Ok(zone)
    }

    fn signer(&self) -> Result<Signer, String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct OfRole {
            access_key_id: String,
            secret_access_key: Zeroizing<String>,
            token: Option<Zeroizing<String>>,
        }

        let url = self.source.url.as_ref().ok_or_else(|| {
            format!(
                "{ACCESS_KEY} and {SECRET_KEY} are not set, and `credential_source` has no `url`"
            )
        })?;
        let role = self.get(url)?;
        let url = format!("{}/{}", url.trim_end_matches('/'), &*role);
        let text = self.get(&url)?;
        let found: OfRole = serde_json::from_str(&text)
            .map_err(|_| format!("{url}: the answer is not what it should be"))?;
        let session = found.token.filter(|token| !token.is_empty());
        Ok(Signer { access: found.access_key_id, secret: found.secret_access_key, session })
    }

    fn get(&self, url: &str) -> Result<Zeroizing<String>, String> {
        let session = self.session.as_ref().map(|token| ("X-aws-ec2-metadata-token", &***token));
        self.text("GET", url, session.as_slice())
    }

    fn text(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
    ) -> Result<Zeroizing<String>, String> {
        let answer = ask(self.client, &Request { method, url, headers, body: &[] })?;
        let answer = bearer::succeeded(url, answer)?;
        let text = std::str::from_utf8(&answer.body).map(str::trim).unwrap_or_default();
        match text {
            "" => Err(format!("{url}: the answer is not what it should be")),
            text => Ok(Zeroizing::new(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The signatures are those of botocore.
    #[test]
    fn a_token_is_a_request_signed_as_aws_says() {
        for (session, names, signature) in [
            (
                None,
                "host;x-amz-date;x-goog-cloud-target-resource",
                "87ab9f2aa7723caee224cdabcb31d8fe86720f53518cbd4bf3b9736418cf6e22",
            ),
            (
                Some("canary-session"),
                "host;x-amz-date;x-amz-security-token;x-goog-cloud-target-resource",
                "3a1625fea6933987354fc7b1dda0749b8a137bcb29c477bf95a90379172d1c72",
            ),
        ] {
            let signer = Signer {
                access: "AKID".to_owned(),
                secret: Zeroizing::new("canary-secret".to_owned()),
                session: session.map(|token| Zeroizing::new(token.to_owned())),
            };
            let url = VERIFICATION_URL.replace("{region}", "eu-west-1");
            let audience = "//iam.googleapis.com/a";
            let token = signer.token(&url, "eu-west-1", audience, "20231114T221320Z").unwrap();
            let (text, _) = form_urlencoded::parse(token.as_bytes()).next().unwrap();
            let mut headers = vec![
                json!({"key": "host", "value": "sts.eu-west-1.amazonaws.com"}),
                json!({"key": "x-amz-date", "value": "20231114T221320Z"}),
            ];
            if let Some(session) = session {
                headers.push(json!({"key": "x-amz-security-token", "value": session}));
            }
            headers.push(json!({"key": "x-goog-cloud-target-resource", "value": audience}));
            let authorization = format!(
                "AWS4-HMAC-SHA256 Credential=AKID/20231114/eu-west-1/sts/aws4_request, \
                 SignedHeaders={names}, Signature={signature}"
            );
            headers.push(json!({"key": "authorization", "value": authorization}));
            let request: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(request, json!({"url": url, "method": "POST", "headers": headers}));
        }
    }
}
