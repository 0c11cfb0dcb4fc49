//! Talking with a vault: it is first asked without a token, and says what kind of token it takes.
//!
//! What it says decides what its token is good for, and is believed within its own domain only: a
//! vault at `team.vault.azure.net` may ask for a token for `vault.azure.net`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use ureq::http::Uri;
use ureq::http::uri::Authority;

use super::chain;
use crate::keys::bearer::{self, Token, Tokens};
use crate::keys::http::{Answer, Client, Request, Tls};
use crate::keys::{Host, OwnCredentials};

/// Why there is no answer, or no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// There are no credentials anywhere.
    Nothing,
    /// Anything else.
    Other(String),
}

impl Failure {
    /// Returns the message for people.
    pub(super) fn message(&self, azure: &Azure) -> String {
        match self {
            Failure::Nothing => {
                format!("no credentials were found ({})", azure.looked_in().join("; "))
            }
            Failure::Other(why) => why.clone(),
        }
    }
}

/// The kind of token that a vault takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Challenge {
    /// What it is for: `https://vault.azure.net`.
    pub(super) resource: String,
    /// The tenant that the vault belongs to.
    pub(super) tenant: String,
}

impl Challenge {
    /// Reads the `WWW-Authenticate` header of the vault at `authority`.
    ///
    /// # Errors
    /// A message for people, if it is none, or asks for a token of another domain.
    pub(super) fn parse(header: &str, authority: &str) -> Result<Challenge, String> {
        let wrong = || "the vault does not say which token it takes".to_owned();
        let parameters = header.strip_prefix("Bearer ").ok_or_else(wrong)?;
        let parameter = |wanted: &str| {
            let parts = parameters.split([',', ' ']).filter_map(|part| part.split_once('='));
            let mut found = parts.filter(|(name, _)| *name == wanted);
            found.next().map(|(_, value)| value.trim_matches('"').to_owned())
        };
        let scope =
            parameter("scope").and_then(|scope| scope.strip_suffix("/.default").map(str::to_owned));
        let resource = parameter("resource").or(scope).ok_or_else(wrong)?;
        let resource = resource.trim_end_matches('/').to_owned();
        let uri: Uri = resource.parse().map_err(|_| wrong())?;
        let domain = uri.authority().map(|authority| authority.as_str().to_ascii_lowercase());
        let domain =
            domain.filter(|domain| resource.eq_ignore_ascii_case(&format!("https://{domain}")));
        let is_own = |domain: &String| {
            authority.strip_suffix(&**domain).is_some_and(|vault| vault.ends_with('.'))
        };
        if !domain.as_ref().is_some_and(is_own) {
            return Err(format!(
                "the vault asks for a token for another domain than its own, `{}`: it got none",
                resource.escape_default()
            ));
        }
        let login: Uri = parameter("authorization")
            .or_else(|| parameter("authorization_uri"))
            .and_then(|login| login.parse().ok())
            .ok_or_else(wrong)?;
        let tenant = login.path().split('/').nth(1).unwrap_or_default();
        if !is_tenant(tenant) {
            return Err(wrong());
        }
        Ok(Challenge { resource, tenant: tenant.to_owned() })
    }
}

/// Returns whether a text can be the name of a tenant; it becomes part of an address, and an argument
/// of a program.
pub(super) fn is_tenant(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.')
}

/// The credentials for vaults, with tokens while they count.
pub(super) struct Azure {
    host: Arc<dyn Host>,
    client: OnceLock<Result<Client, String>>,
    tokens: Tokens<Failure>,
    /// What each vault said, by its host.
    challenges: Mutex<HashMap<String, Challenge>>,
    /// What was looked for, and what became of that.
    report: Mutex<Vec<String>>,
}

impl OwnCredentials for Azure {
    fn of_host(host: &Arc<dyn Host>) -> Azure {
        Azure {
            host: Arc::clone(host),
            client: OnceLock::new(),
            tokens: Tokens::default(),
            challenges: Mutex::default(),
            report: Mutex::default(),
        }
    }
}

impl Azure {
    /// Returns what was looked for and what became of that, a line each.
    pub(super) fn looked_in(&self) -> Vec<String> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends a request to a vault, with a token.
    pub(super) fn call(&self, method: &str, url: &str, body: &[u8]) -> Result<Answer, Failure> {
        let client = self.client.get_or_init(|| Client::new(&*self.host, &Tls::default()));
        let client = client.as_ref().map_err(|why| Failure::Other(why.clone()))?;
        let ask = |token: Option<&Token>, body: &[u8]| {
            let mut headers = vec![("Content-Type", "application/json")];
            headers.extend(token.map(|token| ("Authorization", token.header())));
            bearer::send(client, &Request { method, url, headers: &headers, body })
                .map_err(Failure::Other)
        };
        let uri: Uri = url.parse().map_err(|_| Failure::Other(format!("{url}: no address")))?;
        let authority = uri.authority().map(Authority::as_str).unwrap_or_default();

        let known = self.lock().get(authority).cloned();
        let challenge = match known {
            Some(challenge) => challenge,
            None => self.challenge(authority, &ask(None, &[])?)?,
        };
        let token = self.token(client, &challenge)?;
        let mut answer = ask(Some(&token), body)?;
        // The token may have been revoked, or the vault have moved to another tenant.
        if answer.status == 401 && answer.header("WWW-Authenticate").is_some() {
            self.tokens.forget(&token);
            let challenge = self.challenge(authority, &answer)?;
            answer = ask(Some(&*self.token(client, &challenge)?), body)?;
        }
        let place = url.split('?').next().unwrap_or(url);
        bearer::succeeded(place, answer).map_err(Failure::Other)
    }

    /// Takes what a vault says about tokens from an answer, and keeps it.
    fn challenge(&self, authority: &str, answer: &Answer) -> Result<Challenge, Failure> {
        let header = match answer.header("WWW-Authenticate") {
            Some(header) if answer.status == 401 => header,
            _ => {
                let said = bearer::refusal(answer);
                let message = format!("`{authority}` does not answer as a vault does: {said}");
                return Err(Failure::Other(message));
            }
        };
        let challenge = Challenge::parse(header, authority).map_err(Failure::Other)?;
        self.lock().insert(authority.to_owned(), challenge.clone());
        Ok(challenge)
    }

    fn token(&self, client: &Client, challenge: &Challenge) -> Result<Arc<Token>, Failure> {
        let now = Instant::now();
        let what = format!("{} {}", challenge.tenant, challenge.resource);
        self.tokens.get(&what, now, || {
            let mut report = Vec::new();
            let token = chain::token(&*self.host, client, challenge, now, &mut report);
            *self.report.lock().unwrap_or_else(PoisonError::into_inner) = report;
            token
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Challenge>> {
        self.challenges.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
