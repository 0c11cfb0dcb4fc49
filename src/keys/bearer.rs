//! Bearer tokens, which the services of Google and Azure take: how they are asked for and kept, what
//! is signed for them, and what their servers say instead of one.
//!
//! Where a cloud's tokens come from is the business of its own module.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::rsa::KeyPair;
use ring::signature::RsaEncoding;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde::de::DeserializeOwned;
use serde_json::Value;
use zeroize::{Zeroize as _, Zeroizing};

use super::Host;
use super::http::{Answer, Client, Request};
use crate::secret::SecretBytes;

/// How long before its end a token is not used any more: it has to arrive, too.
const MARGIN: Duration = Duration::from_secs(120);

/// How long it is not asked again for a token that there was none of.
const PAUSE: Duration = Duration::from_secs(10);

/// How long a token counts whose server does not say.
const DEFAULT_LIFE: Duration = Duration::from_secs(3600);

/// The pauses before a busy service is asked again.
const RETRIES: [Duration; 2] = [Duration::from_millis(300), Duration::from_millis(1200)];

/// The longest text of a server in a message, in characters.
const MAX_TOLD: usize = 300;

/// A token for the `Authorization` header.
pub(super) struct Token {
    header: Zeroizing<String>,
    until: Option<Instant>,
}

impl Token {
    /// Returns a token that counts from `now` on; `None` is as long as servers mostly say.
    pub(super) fn new(secret: &str, now: Instant, life: Option<Duration>) -> Token {
        let until = now + life.unwrap_or(DEFAULT_LIFE);
        Token { header: Zeroizing::new(format!("Bearer {secret}")), until: Some(until) }
    }

    /// Returns a token of the user, who knows how long it counts.
    #[cfg(feature = "gcp")]
    pub(super) fn lasting(secret: &str) -> Token {
        Token { header: Zeroizing::new(format!("Bearer {secret}")), until: None }
    }

    /// Returns the value of the `Authorization` header.
    pub(super) fn header(&self) -> &str {
        &self.header
    }

    fn counts_at(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now + MARGIN < until)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// The tokens of a process, by what they are for; `E` is why there is none. They are asked for one
/// after the other: keys that wait at the same time need the same token.
pub(super) struct Tokens<E> {
    known: Mutex<HashMap<String, Known<E>>>,
}

enum Known<E> {
    Token(Arc<Token>),
    Failure(E, Instant),
}

impl<E> Default for Tokens<E> {
    fn default() -> Tokens<E> {
        Tokens { known: Mutex::default() }
    }
}

impl<E: Clone> Tokens<E> {
    /// Returns the token for `what`, made by `make` unless it is known.
    ///
    /// # Errors
    /// What `make` says, or said a moment ago.
    pub(super) fn get(
        &self,
        what: &str,
        now: Instant,
        make: impl FnOnce() -> Result<Token, E>,
    ) -> Result<Arc<Token>, E> {
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get(what) {
            Some(Known::Token(token)) if token.counts_at(now) => return Ok(Arc::clone(token)),
            Some(Known::Failure(error, at)) if now < *at + PAUSE => return Err(error.clone()),
            _ => {}
        }
        let made = make().map(Arc::new);
        let known = match &made {
            Ok(token) => Known::Token(Arc::clone(token)),
            Err(error) => Known::Failure(error.clone(), now),
        };
        all.insert(what.to_owned(), known);
        made
    }

    /// Forgets `token`, which a service did not take.
    pub(super) fn forget(&self, token: &Arc<Token>) {
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, known| !matches!(known, Known::Token(one) if Arc::ptr_eq(one, token)));
    }
}

/// Returns a variable that is not empty.
pub(super) fn setting(host: &dyn Host, name: &str) -> Option<Zeroizing<String>> {
    let text = host.variable(name)?.into_string().ok()?;
    Some(Zeroizing::new(text)).filter(|text| !text.is_empty())
}

/// Returns fields as forms and queries have them.
pub(super) fn form(fields: &[(&str, &str)]) -> SecretBytes {
    let mut body = SecretBytes::new();
    for (number, (name, value)) in fields.iter().enumerate() {
        if number > 0 {
            body.push(b'&');
        }
        for (part, end) in [(name, "="), (value, "")] {
            for piece in form_urlencoded::byte_serialize(part.as_bytes()) {
                body.extend_from_slice(piece.as_bytes());
            }
            body.extend_from_slice(end.as_bytes());
        }
    }
    body
}

/// Returns an address with a query. Nothing secret belongs in one.
#[cfg(feature = "azure")]
pub(super) fn with_query(url: &str, fields: &[(&str, &str)]) -> String {
    let query = form(fields);
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}{}", String::from_utf8_lossy(&query))
}

/// Sends a form and returns the answer if it is a success.
///
/// # Errors
/// A message for people.
pub(super) fn post_form(
    client: &Client,
    url: &str,
    headers: &[(&str, &str)],
    fields: &[(&str, &str)],
) -> Result<Answer, String> {
    let mut all =
        vec![("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "application/json")];
    all.extend_from_slice(headers);
    let body = form(fields);
    succeeded(url, send(client, &Request { method: "POST", url, headers: &all, body: &body })?)
}

/// Sends a request, again if the service is busy.
///
/// # Errors
/// A message for people, if there is no answer.
pub(super) fn send(client: &Client, request: &Request<'_>) -> Result<Answer, String> {
    for pause in RETRIES {
        let answer = client.send(request)?;
        if !matches!(answer.status, 429 | 500 | 502..=504) {
            return Ok(answer);
        }
        thread::sleep(pause);
    }
    client.send(request)
}

/// Returns the answer if it is a success.
///
/// # Errors
/// A message for people with what the server said.
pub(super) fn succeeded(url: &str, answer: Answer) -> Result<Answer, String> {
    if answer.is_success() { Ok(answer) } else { Err(format!("{url}: {}", refusal(&answer))) }
}

/// Reads an answer.
///
/// # Errors
/// A message for people, without anything of the answer.
pub(super) fn read<T: DeserializeOwned>(url: &str, answer: &Answer) -> Result<T, String> {
    serde_json::from_slice(&answer.body)
        .map_err(|_| format!("{url}: the answer is not what it should be"))
}

/// Returns the status of an answer and what the server says of it: the first line of the messages
/// that OAuth 2, Google and Azure have places for, and nothing else of the body.
pub(super) fn refusal(answer: &Answer) -> String {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let error = &body["error"];
    let code = text(error).or_else(|| text(&error["code"]));
    let said = text(&body["error_description"]).or_else(|| text(&error["message"]));
    let said = said.as_deref().and_then(|said| said.lines().next()).unwrap_or_default();
    let said = legible(said);
    let mut message = format!("status {}", answer.status);
    for part in [code.filter(|code| code.len() <= MAX_TOLD), Some(said)].into_iter().flatten() {
        if !part.trim().is_empty() {
            message.push_str(": ");
            message.push_str(part.trim());
        }
    }
    message
}

/// Returns what somebody else says as messages have it: short, and nothing that a terminal obeys.
pub(super) fn legible(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(MAX_TOLD).collect()
}

/// Returns the RSA key of a PEM text, in PKCS #8 or PKCS #1.
///
/// # Errors
/// A message for people, if it holds none.
pub(super) fn rsa_key(pem: &[u8]) -> Result<KeyPair, String> {
    let wrong = || "it is not an RSA key in PEM without a passphrase".to_owned();
    let mut key = PrivateKeyDer::from_pem_slice(pem).map_err(|_| wrong())?;
    let pair = match &key {
        PrivateKeyDer::Pkcs8(key) => KeyPair::from_pkcs8(key.secret_pkcs8_der()).ok(),
        PrivateKeyDer::Pkcs1(key) => KeyPair::from_der(key.secret_pkcs1_der()).ok(),
        _ => None,
    };
    key.zeroize();
    pair.ok_or_else(wrong)
}

/// Signs a JSON Web Token.
///
/// # Errors
/// A message for people, if the system has no random bytes.
pub(super) fn jwt(
    header: &Value,
    claims: &Value,
    key: &KeyPair,
    padding: &'static dyn RsaEncoding,
) -> Result<Zeroizing<String>, String> {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(padding, &SystemRandom::new(), signed.as_bytes(), &mut signature)
        .map_err(|_| "the key could not sign".to_owned())?;
    Ok(Zeroizing::new(format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))))
}

#[cfg(test)]
mod tests;
