//! Workload identity federation: the token of somebody else, such as that of a job of GitHub
//! Actions, for one of Google's.
//!
//! The foreign token is in a file, is had from an address, is printed by a program ([`executable`]),
//! or is what AWS takes for a signature ([`aws`]). Files and addresses, and what is run, are those
//! that the file with the user's own credentials names, which is trusted like a script: who can
//! write it can do all that.

mod aws;
mod executable;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;
use std::time::Instant;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde::de::IgnoredAny;
use ureq::http::Uri;
use zeroize::Zeroizing;

use self::executable::Executable;
use super::credentials::{Account, MAX_FILE, SCOPE, exchange, required};
use crate::keys::Host;
use crate::keys::bearer::{self, Token};
use crate::keys::http::{Answer, Client, Request, is_private};
use crate::secret::SecretBytes;

/// The metadata server of AWS where there is no IPv4.
const METADATA_OF_AWS: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// Where the foreign token is.
#[derive(Deserialize)]
pub(super) struct Source {
    file: Option<String>,
    url: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, Zeroizing<String>>,
    format: Option<Format>,
    executable: Option<Executable>,
    certificate: Option<IgnoredAny>,
    environment_id: Option<String>,
    region_url: Option<String>,
    regional_cred_verification_url: Option<String>,
    imdsv2_session_token_url: Option<String>,
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
    let audience = required(account.audience.as_ref(), "audience")?;
    let project = account.workforce_pool_user_project.as_ref().filter(|name| !name.is_empty());
    if project.is_some() && !is_of_workforce(audience) {
        let message =
            "workforce_pool_user_project should not be set for non-workforce pool credentials";
        return Err(message.to_owned());
    }
    let subject = source.token(account, host, client)?;
    let url = required(account.token_url.as_ref(), "token_url")?;
    let kind = required(account.subject_token_type.as_ref(), "subject_token_type")?;
    let mut fields = vec![
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("audience", audience),
        ("scope", SCOPE),
        ("subject_token_type", kind),
        ("subject_token", &subject),
    ];
    // A client belongs to a project already.
    let project = project.filter(|_| account.client_id.is_none());
    let options = project.map(|project| serde_json::json!({"userProject": project}).to_string());
    if let Some(options) = &options {
        fields.push(("options", options));
    }
    let login = match (&account.client_id, &account.client_secret) {
        (Some(id), Some(secret)) => Some(login(id, secret)),
        _ => None,
    };
    let headers: Vec<(&str, &str)> =
        login.iter().map(|login| ("Authorization", login.as_str())).collect();
    exchange(client, url, &headers, &fields, now)
}

/// Takes the token that stands for the login of a user of somebody else's identity provider.
///
/// # Errors
/// A message for people.
pub(super) fn token_of_user(
    account: &Account,
    client: &Client,
    now: Instant,
) -> Result<Token, String> {
    let id = required(account.client_id.as_ref(), "client_id")?;
    let secret = required(account.client_secret.as_ref(), "client_secret")?;
    let token = required(account.refresh_token.as_ref(), "refresh_token")?;
    let url = required(account.token_url.as_ref(), "token_url")?;
    let login = login(id, secret);
    let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
    exchange(client, url, &[("Authorization", &login)], &fields, now)
}

/// Returns the header with which a client of OAuth 2 says who it is.
fn login(id: &str, secret: &str) -> Zeroizing<String> {
    let pair = Zeroizing::new(format!("{id}:{secret}"));
    Zeroizing::new(format!("Basic {}", BASE64_STANDARD.encode(pair.as_bytes())))
}

/// Returns whether an audience is a pool of people, and not of machines.
fn is_of_workforce(audience: &str) -> bool {
    let place = audience.strip_prefix("//iam.googleapis.com/locations/");
    place
        .and_then(|place| place.split_once('/'))
        .is_some_and(|(place, pool)| !place.is_empty() && pool.starts_with("workforcePools/"))
}

impl Source {
    /// Returns the foreign token.
    fn token(
        &self,
        account: &Account,
        host: &dyn Host,
        client: &Client,
    ) -> Result<Zeroizing<String>, String> {
        if let Some(executable) = &self.executable {
            return executable.token(account, host);
        }
        if self.certificate.is_some() {
            return Err("tokens for a certificate are not supported".to_owned());
        }
        if self.environment_id.is_some() {
            let audience = required(account.audience.as_ref(), "audience")?;
            return aws::token(self, audience, host, client);
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
                let answer = bearer::succeeded(url, ask(client, &request)?)?;
                self.in_text(&answer.body).map_err(|why| format!("{url}: {why}"))
            }
            (None, None) => {
                Err("`credential_source` has no file, url, executable or environment_id".to_owned())
            }
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
    Other(IgnoredAny),
}

/// Asks a server that may have a token: over TLS, or on this machine or beside it.
fn ask(client: &Client, request: &Request<'_>) -> Result<Answer, String> {
    match is_private(request.url) {
        true => bearer::send(client, request),
        false if is_nearby(request.url) => bearer::send(&Client::nearby(), request),
        false => Err(format!("`{}` is not an https address", request.url)),
    }
}

/// Returns whether an address is that of a cloud's metadata server, which has no TLS and is reached
/// by nobody else.
fn is_nearby(url: &str) -> bool {
    let Ok(url) = url.parse::<Uri>() else { return false };
    let host = url.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    url.scheme_str() == Some("http")
        && match host.parse() {
            Ok(IpAddr::V4(address)) => address.is_link_local(),
            Ok(IpAddr::V6(address)) => address == METADATA_OF_AWS,
            Err(_) => false,
        }
}
