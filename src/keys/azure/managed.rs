//! The identity that Azure gives to a machine or an app: a service nearby hands out its tokens.

use std::time::Instant;

use serde::Deserialize;
use zeroize::Zeroizing;

use super::chain::{Asking, CLIENT, Place, life_until};
use crate::keys::Host;
use crate::keys::bearer::{self, Token, setting};
use crate::keys::http::{Answer, Client, Request};

/// The service of an app, and what it is asked with.
const ENDPOINT: &str = "IDENTITY_ENDPOINT";
const HEADER: &str = "IDENTITY_HEADER";
/// That of a Cloud Shell.
const SHELL_ENDPOINT: &str = "MSI_ENDPOINT";
/// Another address than that of all machines.
const MACHINE_ENDPOINT: &str = "AZURE_POD_IDENTITY_AUTHORITY_HOST";
const MACHINE: &str = "http://169.254.169.254";

/// An answer with a token. Its end is a number, or a text with one.
#[derive(Deserialize)]
struct TokenAnswer {
    access_token: Zeroizing<String>,
    expires_on: Option<Number>,
    expires_in: Option<Number>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Number(i64),
    Text(String),
}

impl Number {
    fn seconds(&self) -> Option<i64> {
        match self {
            Number::Number(number) => Some(*number),
            Number::Text(text) => text.parse().ok(),
        }
    }
}

impl TokenAnswer {
    fn token(&self, host: &dyn Host, now: Instant) -> Token {
        let end = self.expires_on.as_ref().and_then(Number::seconds);
        let life = self.expires_in.as_ref().and_then(Number::seconds);
        let end = end.or_else(|| Some(host.now().unix_timestamp().saturating_add(life?)));
        Token::new(&self.access_token, now, end.map(|end| life_until(host, end)))
    }
}

/// Asks the service of the place that this runs in.
pub(super) fn token(asking: &Asking<'_>) -> Result<Place, String> {
    let host = asking.host;
    let resource = asking.challenge.resource.as_str();
    let id = setting(host, CLIENT);
    let mut fields = vec![("resource", resource)];
    fields.extend(id.as_ref().map(|id| ("client_id", id.as_str())));
    if let Some(endpoint) = setting(host, ENDPOINT) {
        let Some(header) = setting(host, HEADER) else {
            return Ok(Place::Nothing(format!(
                "{ENDPOINT} is set and {HEADER} is not: Azure Arc is not supported"
            )));
        };
        fields.insert(0, ("api-version", "2019-08-01"));
        let url = bearer::with_query(&endpoint, &fields);
        let headers = [("X-Identity-Header", header.as_str())];
        let request = Request { method: "GET", url: &url, headers: &headers, body: &[] };
        let answer = bearer::send(&client(asking, &endpoint), &request)?;
        return read(asking, &endpoint, answer);
    }
    if let Some(endpoint) = setting(host, SHELL_ENDPOINT) {
        let fields = [("resource", resource)];
        let headers = [("Metadata", "true")];
        let answer = bearer::post_form(&client(asking, &endpoint), &endpoint, &headers, &fields)?;
        return read(asking, &endpoint, answer);
    }
    let machine = setting(host, MACHINE_ENDPOINT);
    let machine = machine.as_ref().map_or(MACHINE, |machine| machine.trim_end_matches('/'));
    let address = format!("{machine}/metadata/identity/oauth2/token");
    fields.insert(0, ("api-version", "2018-02-01"));
    let url = bearer::with_query(&address, &fields);
    let headers = [("Metadata", "true")];
    let request = Request { method: "GET", url: &url, headers: &headers, body: &[] };
    let Ok(answer) = Client::nearby().send(&request) else {
        return Ok(Place::Nothing(format!("{machine} does not answer")));
    };
    // A machine without an identity says so; one of another cloud has no such address.
    if matches!(answer.status, 400 | 403 | 404 | 405) {
        let why = bearer::refusal(&answer);
        return Ok(Place::Nothing(format!("{machine} has no identity: {why}")));
    }
    read(asking, &address, answer)
}

/// Returns the client for a service: mostly there is no TLS between it and this program.
fn client(asking: &Asking<'_>, url: &str) -> Client {
    if url.starts_with("https:") { asking.client.clone() } else { Client::nearby() }
}

fn read(asking: &Asking<'_>, url: &str, answer: Answer) -> Result<Place, String> {
    let answer = bearer::succeeded(url, answer)?;
    let answer: TokenAnswer = bearer::read(url, &answer)?;
    Ok(Place::Token(answer.token(asking.host, asking.now)))
}
