//! Workload identity federation: the token of somebody else, such as that of a job of GitHub
//! Actions, for one of Google's.
//!
//! The foreign token is in a file, or is had from an address. Accounts whose token comes from a
//! program, or from AWS' signatures, are refused by name.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::time::Instant;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::Value;
use ureq::http::Uri;
use zeroize::Zeroizing;

use super::credentials::{Account, MAX_FILE, SCOPE, exchange, required};
use crate::keys::Host;
use crate::keys::bearer::{self, Token};
use crate::keys::http::{Client, Request, is_private};
use crate::secret::SecretBytes;

/// Where the foreign token is.
#[derive(Deserialize)]
pub(super) struct Source {
    file: Option<String>,
    url: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, Zeroizing<String>>,
    format: Option<Format>,
    executable: Option<Value>,
    environment_id: Option<String>,
}

/// How the foreign token stands there.
#[derive(Deserialize)]
struct Format {
    #[serde(rename = "type")]
    kind: Option<String>,
    subject_token_field_name: Option<String>,
}

/// Exchanges the foreign token.
///
/// # Errors
/// A message for people.
pub(super) fn token(
    account: &Account,
    host: &dyn Host,
    client: &Client,
    now: Instant,
) -> Result<Token, String> {
    let source = required(account.credential_source.as_ref(), "credential_source")?;
    let subject = source.token(host, client)?;
    let url = required(account.token_url.as_ref(), "token_url")?;
    let audience = required(account.audience.as_ref(), "audience")?;
    let kind = required(account.subject_token_type.as_ref(), "subject_token_type")?;
    let mut fields = vec![
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("audience", audience),
        ("scope", SCOPE),
        ("subject_token_type", kind),
        ("subject_token", &subject),
    ];
    let options = account.workforce_pool_user_project.as_ref();
    let options = options.map(|project| serde_json::json!({"userProject": project}).to_string());
    if let Some(options) = &options {
        fields.push(("options", options));
    }
    let login = match (&account.client_id, &account.client_secret) {
        (Some(id), Some(secret)) => {
            let pair = Zeroizing::new(format!("{id}:{}", &**secret));
            Some(Zeroizing::new(format!("Basic {}", BASE64_STANDARD.encode(pair.as_bytes()))))
        }
        _ => None,
    };
    let headers: Vec<(&str, &str)> =
        login.iter().map(|login| ("Authorization", login.as_str())).collect();
    exchange(client, url, &headers, &fields, now)
}

impl Source {
    /// Returns the foreign token.
    fn token(&self, host: &dyn Host, client: &Client) -> Result<Zeroizing<String>, String> {
        if self.executable.is_some() {
            return Err("tokens that a program prints are not supported".to_owned());
        }
        if self.environment_id.is_some() {
            return Err("tokens of AWS are not supported".to_owned());
        }
        match (&self.file, &self.url) {
            (Some(path), _) => {
                let text = host
                    .read_file(Path::new(path), MAX_FILE)
                    .map_err(|error| format!("`{path}` cannot be read: {error}"))?;
                self.in_text(&text).map_err(|why| format!("`{path}`: {why}"))
            }
            (None, Some(url)) => {
                let headers: Vec<(&str, &str)> = self
                    .headers
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_str()))
                    .collect();
                let request = Request { method: "GET", url, headers: &headers, body: &[] };
                let answer = match is_private(url) {
                    true => bearer::send(client, &request)?,
                    false if is_nearby(url) => bearer::send(&Client::nearby(), &request)?,
                    false => return Err(format!("`{url}` is not an https address")),
                };
                let answer = bearer::succeeded(url, answer)?;
                self.in_text(&answer.body).map_err(|why| format!("{url}: {why}"))
            }
            (None, None) => Err("`credential_source` has neither a file nor a url".to_owned()),
        }
    }

    /// Returns the token in what a source holds.
    fn in_text(&self, text: &SecretBytes) -> Result<Zeroizing<String>, String> {
        let wrong = || "it holds no token".to_owned();
        let kind = self.format.as_ref().and_then(|format| format.kind.as_deref());
        let token = match kind.unwrap_or("text") {
            "text" => std::str::from_utf8(text).ok().map(|text| text.trim().to_owned()),
            "json" => {
                let format = self.format.as_ref();
                let name = format.and_then(|format| format.subject_token_field_name.as_ref());
                let name = required(name, "subject_token_field_name")?;
                let fields: BTreeMap<String, Foreign> =
                    serde_json::from_slice(text).map_err(|_| wrong())?;
                match fields.get(name) {
                    Some(Foreign::Text(token)) => Some(token.to_string()),
                    _ => None,
                }
            }
            kind => return Err(format!("tokens in the format `{kind}` are not supported")),
        };
        token.filter(|token| !token.is_empty()).map(Zeroizing::new).ok_or_else(wrong)
    }
}

/// A field beside a token, or the token.
#[derive(Deserialize)]
#[serde(untagged)]
enum Foreign {
    Text(Zeroizing<String>),
    Other(serde::de::IgnoredAny),
}

/// Returns whether an address is that of a cloud's metadata server, which has no TLS and is reached
/// by nobody else.
fn is_nearby(url: &str) -> bool {
    let Ok(url) = url.parse::<Uri>() else { return false };
    let address = url.host().and_then(|host| host.parse::<IpAddr>().ok());
    url.scheme_str() == Some("http")
        && matches!(address, Some(IpAddr::V4(address)) if address.is_link_local())
}
