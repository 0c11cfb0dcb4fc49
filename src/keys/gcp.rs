//! GCP KMS, over its REST interface: what it makes of a data key is the same as over gRPC, which
//! SOPS uses first.
//!
//! A key is named by its resource id. The server is named by the user's environment alone, and so
//! are the credentials ([`credentials`]).
//!
//! What is sent and what comes back goes with its CRC-32C, so that a data key that broke on the way is
//! an error, and not one that opens nothing. Servers that know no checksums do without.

mod checksum;
mod credentials;
mod external;
#[cfg(feature = "publish")]
mod storage;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use zeroize::Zeroizing;

use self::checksum::Checksum;
use self::credentials::{Found, Origin};
use super::bearer::{self, Tokens};
use super::http::{Answer, Client, Request, Tls};
use super::{
    Credentials, FieldValue, Fields, Host, KeyCode, KeyError, MasterKey, OwnCredentials, text_field,
};
use crate::secret::SecretBytes;

#[cfg(feature = "publish")]
pub(crate) use self::storage::upload;

/// The code of the kind.
pub(super) const CODE: KeyCode = KeyCode {
    split: |text| Ok(vec![("resource_id".to_owned(), FieldValue::Text(text.to_owned()))]),
    from_fields: |fields, _| Arc::new(GcpKey::from_fields(&fields)),
    looked_in: |with| with.own::<Gcp>().looked_in(),
    advice: "log in with `gcloud auth application-default login`, or set GOOGLE_CREDENTIALS to the \
             file of a service account that may use the key",
};

/// The address of the service.
const ENDPOINT: &str = "SOPS_GCP_KMS_ENDPOINT";
/// The protocol that SOPS would speak. Here both names mean the same.
const CLIENT_TYPE: &str = "SOPS_GCP_KMS_CLIENT_TYPE";
/// The domain of another Google cloud than the public one.
const UNIVERSE: &[&str] = &["SOPS_GCP_KMS_UNIVERSE_DOMAIN", "GOOGLE_CLOUD_UNIVERSE_DOMAIN"];

/// The project that calls are counted for; else that which stands in the credentials, if any. A
/// user's login belongs to no project.
const QUOTA_PROJECT: &str = "GOOGLE_CLOUD_QUOTA_PROJECT";

/// A key of GCP KMS.
struct GcpKey {
    resource_id: String,
}

impl GcpKey {
    fn from_fields(fields: &[(String, FieldValue)]) -> GcpKey {
        let resource_id = text_field(fields, "resource_id").unwrap_or_default().to_owned();
        GcpKey { resource_id }
    }

    /// Calls a method of the service that takes and returns a text in base64.
    fn call(&self, method: &str, send: &[u8], gcp: &Gcp) -> Result<SecretBytes, Failure> {
        let failed = |message| Failure::Other(message);
        let endpoint = gcp.endpoint().map_err(failed)?;
        let url = format!("{endpoint}/v1/{}:{method}", self.resource_id);
        let mut parameter = b"name=".to_vec();
        parameter.extend(
            form_urlencoded::byte_serialize(self.resource_id.as_bytes()).flat_map(str::bytes),
        );
        let parameter = String::from_utf8_lossy(&parameter);
        let parameters =
            [("Content-Type", "application/json"), ("x-goog-request-params", &*parameter)];
        let answer = gcp.post(&url, &parameters, send)?;
        Ok(bearer::succeeded(&url, answer).map_err(failed)?.body)
    }
}

/// What stands in an answer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wrapped {
    ciphertext: String,
    ciphertext_crc32c: Option<Checksum>,
    /// Whether the server has found the checksum of what it got; nothing is the same as no.
    #[serde(default)]
    verified_plaintext_crc32c: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Unwrapped {
    plaintext: Zeroizing<String>,
    plaintext_crc32c: Option<Checksum>,
}

impl MasterKey for GcpKey {
    fn kind(&self) -> &str {
        super::foreign::GCP_KMS.name
    }

    fn identity(&self) -> &str {
        &self.resource_id
    }

    fn check(&self) -> Result<(), KeyError> {
        if is_resource_id(&self.resource_id) {
            return Ok(());
        }
        let id = &self.resource_id;
        let message =
            format!("cannot create GCP KMS service: no valid resource ID found in \"{id}\"");
        Err(KeyError::NoKey { message })
    }

    fn wrap(&self, key: &[u8], with: &Credentials) -> Result<String, KeyError> {
        self.check()?;
        let gcp = with.own::<Gcp>();
        let body = json("plaintext", key);
        let wrapped = self.call("encrypt", &body, &gcp).and_then(|answer| {
            let answer: Wrapped = parse(&answer)?;
            let wrapped = BASE64_STANDARD.decode(&answer.ciphertext).map_err(|_| no_answer())?;
            // A server that sends a checksum would have seen the one that it was sent.
            match answer.ciphertext_crc32c {
                Some(checksum) if !checksum.fits(&wrapped) => Err(broken("answer")),
                Some(_) if !answer.verified_plaintext_crc32c => Err(broken("request")),
                _ => Ok(answer.ciphertext),
            }
        });
        wrapped.map_err(|failure| KeyError::Wrap { message: failure.message("encrypt", &gcp) })
    }

    fn open(&self, wrapped: &str, with: &Credentials) -> Option<Result<SecretBytes, KeyError>> {
        if let Err(error) = self.check() {
            return Some(Err(error));
        }
        let Ok(ciphertext) = BASE64_STANDARD.decode(wrapped) else {
            return Some(Err(KeyError::Malformed { what: "the wrapped key is not base64" }));
        };
        let gcp = with.own::<Gcp>();
        let unwrapped = self.call("decrypt", &json("ciphertext", &ciphertext), &gcp);
        let unwrapped = unwrapped.and_then(|answer| {
            let answer: Unwrapped = parse(&answer)?;
            let part = BASE64_STANDARD.decode(&*answer.plaintext).map_err(|_| no_answer())?;
            let part = SecretBytes::from(part);
            match answer.plaintext_crc32c {
                Some(checksum) if !checksum.fits(&part) => Err(broken("answer")),
                _ => Ok(part),
            }
        });
        match unwrapped {
            Err(Failure::Nothing) => None,
            Err(failure) => {
                Some(Err(KeyError::Unwrap { message: failure.message("decrypt", &gcp) }))
            }
            Ok(part) => Some(Ok(part)),
        }
    }

    fn fields(&self) -> Fields {
        vec![("resource_id".to_owned(), FieldValue::Text(self.resource_id.clone()))]
    }
}

impl fmt::Debug for GcpKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GcpKey({})", self.resource_id)
    }
}

/// Returns whether a text is `projects/P/locations/L/keyRings/R/cryptoKeys/K`. The names are of
/// letters that mean nothing in an address.
fn is_resource_id(text: &str) -> bool {
    let parts: Vec<&str> = text.split('/').collect();
    let is_plain = |part: &&str| {
        !part.is_empty()
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:".contains(c))
            && !part.starts_with('.')
    };
    let [projects, _, locations, _, rings, _, keys, _] = parts[..] else { return false };
    [projects, locations, rings, keys] == ["projects", "locations", "keyRings", "cryptoKeys"]
        && parts.iter().all(is_plain)
}

fn is_client_type(text: &str) -> bool {
    ["grpc", "rest"].iter().any(|kind| text.eq_ignore_ascii_case(kind))
}

/// Returns a JSON object with bytes as the text of a field, and their checksum.
fn json(field: &str, bytes: &[u8]) -> SecretBytes {
    let text = Zeroizing::new(BASE64_STANDARD.encode(bytes));
    let checksum = checksum::of(bytes).to_string();
    let mut body = SecretBytes::new();
    for piece in ["{\"", field, "\":\"", &*text, "\",\"", field, "Crc32c\":\"", &*checksum, "\"}"] {
        body.extend_from_slice(piece.as_bytes());
    }
    body
}

fn parse<'a, T: Deserialize<'a>>(answer: &'a [u8]) -> Result<T, Failure> {
    serde_json::from_slice(answer).map_err(|_| no_answer())
}

fn no_answer() -> Failure {
    Failure::Other("the answer is not one of GCP KMS".to_owned())
}

/// Returns why a data key that a checksum does not fit is not used.
fn broken(what: &str) -> Failure {
    Failure::Other(format!(
        "the {what} was damaged on the way: its checksum does not fit; try again"
    ))
}

/// Why there is no answer, or no token.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Failure {
    /// There are no credentials anywhere.
    Nothing,
    /// A place has credentials, and they do not work.
    Credentials {
        /// The place, as messages name it.
        place: String,
        /// Why not.
        why: String,
    },
    /// Anything else.
    Other(String),
}

impl Failure {
    /// Returns the message for people, in SOPS' words.
    fn message(&self, doing: &str, gcp: &Gcp) -> String {
        let why = self.reason(gcp);
        match self {
            Failure::Nothing | Failure::Credentials { .. } => {
                format!("cannot create GCP KMS service: {why}")
            }
            Failure::Other(_) => format!("failed to {doing} sops data key with GCP KMS key: {why}"),
        }
    }

    /// Returns the message without what it was for.
    fn reason(&self, gcp: &Gcp) -> String {
        match self {
            Failure::Nothing => {
                format!("no credentials were found ({})", gcp.looked_in().join("; "))
            }
            Failure::Credentials { place, why } => {
                format!("credentials: failed to obtain credentials from \"{place}\": {why}")
            }
            Failure::Other(why) => why.clone(),
        }
    }
}

/// The credentials for Google's services, with a token while it counts.
struct Gcp {
    host: Arc<dyn Host>,
    client: OnceLock<Result<Client, String>>,
    tokens: Tokens<Failure>,
    /// What the places of credentials hold; the metadata server is the last of them.
    found: OnceLock<Found>,
}

impl OwnCredentials for Gcp {
    fn of_host(host: &Arc<dyn Host>) -> Gcp {
        Gcp {
            host: Arc::clone(host),
            client: OnceLock::new(),
            tokens: Tokens::default(),
            found: OnceLock::new(),
        }
    }
}

impl Gcp {
    fn client(&self) -> Result<&Client, String> {
        let client = self.client.get_or_init(|| Client::new(&*self.host, &Tls::default()));
        client.as_ref().map_err(Clone::clone)
    }

    /// Sends something with a token, and a second time with another one if the first does not count
    /// any more.
    fn post(&self, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer, Failure> {
        let client = self.client().map_err(Failure::Other)?;
        let project = self.quota_project();
        let ask = |token: &bearer::Token| {
            let mut headers = [&[("Authorization", token.header())], headers].concat();
            headers.extend(project.as_ref().map(|project| ("x-goog-user-project", &**project)));
            let request = Request { method: "POST", url, headers: &headers, body };
            bearer::send(client, &request).map_err(Failure::Other)
        };
        let token = self.token()?;
        let answer = ask(&token)?;
        // The token may have been revoked before its time.
        if answer.status != 401 {
            return Ok(answer);
        }
        self.tokens.forget(&token);
        ask(&*self.token()?)
    }

    /// Returns the domain of the cloud: the public one, unless the user has another.
    fn universe(&self) -> String {
        let named = UNIVERSE.iter().find_map(|name| bearer::setting(&*self.host, name));
        named.map_or_else(|| "googleapis.com".to_owned(), |domain| domain.to_string())
    }

    /// Returns the address of the service, without a slash at its end.
    fn endpoint(&self) -> Result<String, String> {
        let kind = bearer::setting(&*self.host, CLIENT_TYPE);
        if kind.is_some_and(|kind| !is_client_type(&kind)) {
            return Err(format!("{CLIENT_TYPE} is neither `grpc` nor `rest`"));
        }
        if let Some(named) = bearer::setting(&*self.host, ENDPOINT) {
            let address = named.trim_end_matches('/');
            return match address.split_once("://") {
                None => Ok(format!("https://{address}")),
                Some(("https" | "http", _)) => Ok(address.to_owned()),
                Some(_) => Err(format!("{ENDPOINT} is neither a host nor an https address")),
            };
        }
        Ok(format!("https://cloudkms.{}", self.universe()))
    }

    /// Returns the project that calls are counted for; `None` is the key's own.
    fn quota_project(&self) -> Option<String> {
        let named = bearer::setting(&*self.host, QUOTA_PROJECT).map(|named| named.to_string());
        named.or_else(|| match &self.found().origin {
            Origin::Account(account) => account.quota_project_id.clone(),
            _ => None,
        })
    }

    fn found(&self) -> &Found {
        self.found.get_or_init(|| Found::on(&*self.host))
    }

    /// Returns a token that counts.
    fn token(&self) -> Result<Arc<bearer::Token>, Failure> {
        let now = Instant::now();
        self.tokens.get("", now, || self.new_token(now))
    }

    fn new_token(&self, now: Instant) -> Result<bearer::Token, Failure> {
        let token = match &self.found().origin {
            Origin::Token(secret) => return Ok(bearer::Token::lasting(secret)),
            Origin::Account(account) => match self.client() {
                Ok(client) => account.token(&*self.host, client, now),
                Err(message) => Err(message),
            },
            Origin::Broken(why) => Err(why.clone()),
            Origin::Metadata(server) => match credentials::of_metadata(server, now) {
                Ok(Some(token)) => Ok(token),
                Ok(None) => return Err(Failure::Nothing),
                Err(why) => Err(why),
            },
        };
        token.map_err(|why| Failure::Credentials { place: self.found().place.clone(), why })
    }

    /// Returns what was looked for and what became of that, a line each.
    fn looked_in(&self) -> Vec<String> {
        self.found.get().map(|found| found.report.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
