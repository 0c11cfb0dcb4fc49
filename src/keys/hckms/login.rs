//! Logging in by an identity provider: what proves to it who one is, an *id token* in a file, is given
//! for a token of IAM, and that for an access key that counts for a while.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use super::client::failure;
use super::endpoint;
use crate::keys::Host;
use crate::keys::http::{Answer, Client, Request, Tls, is_private};

/// The longest id token, in bytes.
const MAX_TOKEN: usize = 1024 * 1024;

/// A login of the user's.
pub(super) struct Login {
    /// What IAM calls the identity provider.
    pub(super) provider: Zeroizing<String>,
    /// The file with the id token.
    pub(super) token_file: PathBuf,
}

/// An access key that counts for a while, as servers say it.
#[derive(Deserialize)]
pub(super) struct Temporary {
    pub(super) access: String,
    pub(super) secret: Zeroizing<String>,
    pub(super) securitytoken: Zeroizing<String>,
}

#[derive(Deserialize)]
pub(super) struct Identity {
    pub(super) credential: Temporary,
}

impl Login {
    /// Logs in at IAM, at the address `iam` if there is one.
    ///
    /// # Errors
    /// A message for people.
    pub(super) fn access_key(
        &self,
        host: &dyn Host,
        iam: Option<&str>,
    ) -> Result<Temporary, String> {
        let path = Path::new(&self.token_file).display();
        let file = host
            .read_file(&self.token_file, MAX_TOKEN)
            .map_err(|error| format!("the id token `{path}` cannot be read: {error}"))?;
        let token = std::str::from_utf8(&file).unwrap_or_default().trim();
        if token.is_empty() {
            return Err(format!("`{path}` holds no id token"));
        }
        let iam = iam.map_or_else(|| endpoint::IAM.to_owned(), endpoint::address);
        if !is_private(&iam) {
            return Err(format!(
                "`{iam}` was not contacted, because everybody on the way could read the id token; \
                 use https"
            ));
        }
        let client = Client::new(host, &Tls::default())?;

        let url = format!("{iam}/v3.0/OS-AUTH/id-token/tokens");
        let body = in_json([r#"{"auth":{"id_token":{"id":"#, token, "}}}"]);
        let answer = post(&client, &url, &[("X-Idp-Id", &self.provider)], &body, token)?;
        let Some(token) = answer.header("X-Subject-Token") else {
            return Err(format!("POST {url}: there is no token in the answer"));
        };

        let url = format!("{iam}/v3.0/OS-CREDENTIAL/securitytokens");
        let start = r#"{"auth":{"identity":{"methods":["token"],"token":{"id":"#;
        let body = in_json([start, token, r#","duration_seconds":21600}}}}"#]);
        let answer = post(&client, &url, &[], &body, token)?;
        serde_json::from_slice::<Identity>(&answer.body)
            .map(|identity| identity.credential)
            .map_err(|_| format!("POST {url}: there is no access key in the answer"))
    }
}

/// Returns JSON with a text, which is escaped, in the middle.
fn in_json([start, text, end]: [&str; 3]) -> Zeroizing<String> {
    let text = Zeroizing::new(Value::from(text).to_string());
    Zeroizing::new([start, &text, end].concat())
}

/// Sends JSON, and returns the answer if it is a success. `secret` must not be in a message.
fn post(
    client: &Client,
    url: &str,
    headers: &[(&str, &str)],
    body: &str,
    secret: &str,
) -> Result<Answer, String> {
    let headers = [&[("Content-Type", "application/json;charset=UTF-8")], headers].concat();
    let request = Request { method: "POST", url, headers: &headers, body: body.as_bytes() };
    let answer = client.send(&request)?;
    if answer.is_success() { Ok(answer) } else { Err(failure("POST", url, &answer, &[secret])) }
}
