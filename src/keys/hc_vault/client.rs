//! Asking a Vault server: one request, a few more if it is busy.

use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::access::{Access, Server};
use super::escaped;
use crate::keys::http::{Answer, Request};
use crate::secret::SecretBytes;

/// How long to wait before the first further try; the second waits twice as long.
const PAUSE: Duration = Duration::from_millis(250);

/// What a server does with a key.
#[derive(Clone, Copy, Debug)]
pub(super) enum Operation {
    Encrypt,
    Decrypt,
}

impl Operation {
    /// Returns the word that the API has for it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Operation::Encrypt => "encrypt",
            Operation::Decrypt => "decrypt",
        }
    }
}

/// An answer of the API, as far as it is of interest.
#[derive(Deserialize)]
struct Body {
    data: Option<Data>,
    #[serde(default)]
    errors: Vec<String>,
}

#[derive(Deserialize)]
struct Data {
    ciphertext: Option<String>,
    plaintext: Option<Zeroizing<String>>,
}

/// Has a data key wrapped.
pub(super) fn encrypt(
    access: &Access,
    server: &Server,
    path: &str,
    key: &[u8],
) -> Result<String, String> {
    let key = Zeroizing::new(BASE64_STANDARD.encode(key));
    let body = Zeroizing::new(format!("{{\"plaintext\":\"{}\"}}", *key));
    let data = ask(access, server, path, &body, &key)?;
    data.ciphertext.ok_or_else(|| "there is no ciphertext in the answer".to_owned())
}

/// Has a data key unwrapped.
pub(super) fn decrypt(
    access: &Access,
    server: &Server,
    path: &str,
    wrapped: &str,
) -> Result<SecretBytes, String> {
    let body = serde_json::json!({ "ciphertext": wrapped }).to_string();
    let data = ask(access, server, path, &body, "")?;
    let text = data.plaintext.ok_or("there is no plaintext in the answer")?;
    match BASE64_STANDARD.decode(text.as_bytes()) {
        Ok(key) => Ok(SecretBytes::from(key)),
        Err(_) => Err("the plaintext in the answer is not base64".to_owned()),
    }
}

/// Sends a request. What the server says goes into messages, unless `secret` is in it.
fn ask(
    access: &Access,
    server: &Server,
    path: &str,
    body: &str,
    secret: &str,
) -> Result<Data, String> {
    let url = format!("{server}/v1/{}", escaped(path));
    let answer = send(access, &url, body)?;
    let said = serde_json::from_slice::<Body>(&answer.body);
    if answer.is_success() {
        let data = said.ok().and_then(|said| said.data);
        return data.ok_or_else(|| format!("PUT {url}: that is no answer of a Vault server"));
    }
    if (300..400).contains(&answer.status) {
        let other = answer.header("location").unwrap_or("another server");
        return Err(format!(
            "PUT {url}: the server refers to `{other}`, which is not followed, because the token \
             would go there; name the server that answers"
        ));
    }
    let errors = said.map(|said| said.errors).unwrap_or_default();
    let token = access.token();
    let token = token.text().unwrap_or_default();
    let is_telling = |text: &&String| {
        [secret, token].iter().any(|secret| !secret.is_empty() && text.contains(secret))
    };
    let mut message =
        format!("Error making API request. URL: PUT {url}. Code: {}. Errors:", answer.status);
    if errors.iter().find(is_telling).is_some() {
        message.push_str(" they repeat a secret, and are not shown");
        return Err(message);
    }
    for error in &errors {
        let words: Vec<&str> = error.split_whitespace().collect();
        message.push_str(&format!(" * {}", words.join(" ")));
    }
    if errors.is_empty() {
        message.push_str(" none are given");
    }
    if token.is_empty() {
        message.push_str("; no token was sent, for there is none");
    }
    Err(message)
}

/// Sends a request, again if the server could not answer it for the moment.
fn send(access: &Access, url: &str, body: &str) -> Result<Answer, String> {
    let client = access.client()?;
    let token = access.token();
    let mut headers = vec![("X-Vault-Request", "true"), ("Content-Type", "application/json")];
    if let Some(token) = token.text() {
        headers.push(("X-Vault-Token", token));
    }
    if let Some(namespace) = access.namespace() {
        headers.push(("X-Vault-Namespace", namespace));
    }
    let request = Request { method: "PUT", url, headers: &headers, body: body.as_bytes() };
    let mut tries = access.retries()?;
    let mut pause = PAUSE;
    loop {
        let answer = client.send(&request)?;
        // 412: a replica that has not seen yet what the token needs.
        let is_busy = matches!(answer.status, 412 | 500 | 502..=599);
        if !is_busy || tries == 0 {
            return Ok(answer);
        }
        tries -= 1;
        thread::sleep(pause);
        pause *= 2;
    }
}
