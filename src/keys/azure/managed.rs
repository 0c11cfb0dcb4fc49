//! The identity that Azure gives to a machine or an app: a service nearby hands out its tokens.

mod arc;

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
/// Set in a cluster of Service Fabric, whose service has to have a certificate that the system trusts.
const CLUSTER: &str = "IDENTITY_SERVER_THUMBPRINT";
/// The service of a Cloud Shell, and with a secret that of Azure Machine Learning, which may have an
/// identity that is used where none is named.
const SHELL_ENDPOINT: &str = "MSI_ENDPOINT";
const SHELL_SECRET: &str = "MSI_SECRET";
const LEARNING_CLIENT: &str = "DEFAULT_IDENTITY_CLIENT_ID";
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

/// Asks the service of the place that this runs in, which says by variables what it is.
pub(super) fn token(asking: &Asking<'_>) -> Result<Place, String> {
    let host = asking.host;
    let is_set = |name| setting(host, name).is_some();
    let shell = setting(host, SHELL_ENDPOINT);
    match (setting(host, ENDPOINT), setting(host, HEADER)) {
        (Some(endpoint), Some(header)) => of_app(asking, &endpoint, &header),
        _ if shell.is_some() => of_shell(asking, &shell.unwrap_or_default()),
        (Some(endpoint), None) if is_set(arc::ENDPOINT) => arc::token(asking, &endpoint),
        _ if arc::is_here(host) => arc::token(asking, arc::DEFAULT),
        _ => of_machine(asking),
    }
}

/// The identity of an app, or of a cluster of Service Fabric.
fn of_app(asking: &Asking<'_>, endpoint: &str, header: &str) -> Result<Place, String> {
    if setting(asking.host, CLUSTER).is_some() {
        only_one("Service Fabric", asking.host)?;
        return ask(asking, endpoint, "2019-07-01-preview", ("Secret", header), None);
    }
    let id = setting(asking.host, CLIENT);
    let id = id.as_ref().map(|id| ("client_id", id.as_str()));
    ask(asking, endpoint, "2019-08-01", ("X-Identity-Header", header), id)
}

/// The identity of a Cloud Shell, or of a place of Azure Machine Learning, which has a secret.
fn of_shell(asking: &Asking<'_>, endpoint: &str) -> Result<Place, String> {
    let host = asking.host;
    if let Some(secret) = setting(host, SHELL_SECRET) {
        let id = setting(host, CLIENT).or_else(|| setting(host, LEARNING_CLIENT));
        let id = id.as_ref().map(|id| ("clientid", id.as_str()));
        return ask(asking, endpoint, "2017-09-01", ("Secret", &secret), id);
    }
    only_one("Cloud Shell", host)?;
    let fields = [("resource", asking.challenge.resource.as_str())];
    let headers = [("Metadata", "true")];
    let answer = bearer::post_form(&client(asking, endpoint), endpoint, &headers, &fields)?;
    read(asking, endpoint, answer)
}

/// Asks a service for a token; what is secret is in a header.
fn ask(
    asking: &Asking<'_>,
    endpoint: &str,
    version: &str,
    secret: (&str, &str),
    id: Option<(&str, &str)>,
) -> Result<Place, String> {
    let mut fields = vec![("api-version", version), ("resource", &asking.challenge.resource)];
    fields.extend(id);
    let url = bearer::with_query(endpoint, &fields);
    let request = Request { method: "GET", url: &url, headers: &[secret], body: &[] };
    read(asking, endpoint, bearer::send(&client(asking, endpoint), &request)?)
}

/// Refuses another identity where there is one only.
fn only_one(place: &str, host: &dyn Host) -> Result<(), String> {
    match setting(host, CLIENT) {
        None => Ok(()),
        Some(_) => {
            Err(format!("{CLIENT} names an identity, but {place} has only its own: unset it"))
        }
    }
}

/// The identity of a virtual machine.
fn of_machine(asking: &Asking<'_>) -> Result<Place, String> {
    let host = asking.host;
    let id = setting(host, CLIENT);
    let mut fields =
        vec![("api-version", "2018-02-01"), ("resource", asking.challenge.resource.as_str())];
    fields.extend(id.as_ref().map(|id| ("client_id", id.as_str())));
    let machine = setting(host, MACHINE_ENDPOINT);
    let machine = machine.as_ref().map_or(MACHINE, |machine| machine.trim_end_matches('/'));
    let address = format!("{machine}/metadata/identity/oauth2/token");
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
