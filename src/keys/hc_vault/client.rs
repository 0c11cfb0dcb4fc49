//! Asking a Vault server: one request, a few more if it is busy.

use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::access::{Access, Server};
use super::escaped;
use super::settings::Settings;
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
    #[serde(default)]
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

/// Asks for what a transit engine answers. `secret` must not be repeated in a message.
fn ask(
    access: &Access,
    server: &Server,
    path: &str,
    body: &str,
    secret: &str,
) -> Result<Data, String> {
    let question = Question { method: "PUT", path, body: body.as_bytes(), secrets: &[secret] };
    let answer = request(access, server, &question).map_err(|refusal| refusal.message)?;
    let data = serde_json::from_slice::<Body>(&answer.body).ok().and_then(|said| said.data);
    let url = question.url(server);
    data.ok_or_else(|| format!("PUT {url}: that is no answer of a Vault server"))
}

/// A request to the API.
pub(super) struct Question<'q> {
    /// `PUT` or `GET`.
    pub(super) method: &'q str,
    /// The path behind `/v1/`, not escaped.
    pub(super) path: &'q str,
    /// What is sent.
    pub(super) body: &'q [u8],
    /// What must not be repeated in a message.
    pub(super) secrets: &'q [&'q str],
}

impl Question<'_> {
    fn url(&self, server: &Server) -> String {
        format!("{server}/v1/{}", escaped(self.path))
    }
}

/// Why a request was not answered as it should be.
pub(super) struct Refusal {
    /// The status of the answer, if there is one.
    #[cfg_attr(not(feature = "publish"), allow(dead_code, reason = "only `publish` looks at it"))]
    pub(super) status: Option<u16>,
    /// A message for people.
    pub(super) message: String,
}

/// Sends a request, and returns the answer if it is a success. What the server says otherwise goes
/// into the message, unless a secret is in it.
pub(super) fn request(
    access: &Access,
    server: &Server,
    question: &Question<'_>,
) -> Result<Answer, Refusal> {
    let url = question.url(server);
    let failed = |message| Refusal { status: None, message };
    let settings = access.settings().map_err(failed)?;
    settings.admit(server).map_err(failed)?;
    let answer = send(access, settings, question, &url).map_err(failed)?;
    if answer.is_success() {
        return Ok(answer);
    }
    let message = refusal(access, settings, question, &url, &answer);
    Err(Refusal { status: Some(answer.status), message })
}

fn refusal(
    access: &Access,
    settings: &Settings,
    question: &Question<'_>,
    url: &str,
    answer: &Answer,
) -> String {
    let method = question.method;
    if (300..400).contains(&answer.status) {
        let other = answer.header("location").unwrap_or("another server");
        return format!(
            "{method} {url}: the server refers to `{other}`, which is not followed, because the \
             token would go there; name the server that answers"
        );
    }
    let said = serde_json::from_slice::<Body>(&answer.body);
    let errors = said.map(|said| said.errors).unwrap_or_default();
    let token = access.token();
    let token = token.text().unwrap_or_default();
    let is_telling = |text: &&String| {
        let headers = settings.headers.values().map(|value| value.as_str());
        let mut secrets = question.secrets.iter().copied().chain([token]).chain(headers);
        secrets.any(|secret| !secret.is_empty() && text.contains(secret))
    };
    let mut message =
        format!("Error making API request. URL: {method} {url}. Code: {}. Errors:", answer.status);
    if errors.iter().find(is_telling).is_some() {
        message.push_str(" they repeat a secret, and are not shown");
        return message;
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
    message
}

/// Sends a request, again if the server could not answer it for the moment.
fn send(
    access: &Access,
    settings: &Settings,
    question: &Question<'_>,
    url: &str,
) -> Result<Answer, String> {
    let token = access.token();
    let mut headers = vec![("X-Vault-Request", "true"), ("Content-Type", "application/json")];
    if let Some(token) = token.text() {
        headers.push(("X-Vault-Token", token));
    }
    if let Some(namespace) = access.namespace() {
        headers.push(("X-Vault-Namespace", namespace));
    }
    headers.extend(settings.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let request = Request { method: question.method, url, headers: &headers, body: question.body };
    let mut tries = settings.retries;
    let mut pause = PAUSE;
    loop {
        let answer = settings.client.send(&request)?;
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
