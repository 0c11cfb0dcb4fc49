//! Where Google's credentials are, and how a token is had for them.
//!
//! The places are those of SOPS, in its order; the first that is set counts, also if it turns out to
//! be broken, because who names an account does not mean another one.
//!
//! Such a file is the user's own, and trusted like a script: it names the addresses to which proofs
//! go, and may name a program that is run ([`external`]).

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::external::{self, Source};
use crate::keys::Host;
use crate::keys::bearer::{self, Token, setting};
use crate::keys::http::{Client, Request, is_private};

/// A file with credentials, or their text.
const CREDENTIALS: &str = "GOOGLE_CREDENTIALS";
/// A token.
const ACCESS_TOKEN: &str = "GOOGLE_OAUTH_ACCESS_TOKEN";
/// A file with credentials, for all of Google's programs.
const APPLICATION_CREDENTIALS: &str = "GOOGLE_APPLICATION_CREDENTIALS";
/// Another metadata server.
const METADATA_HOST: &str = "GCE_METADATA_HOST";

/// The metadata server of each machine in Google's cloud, by its number: a name would have to be
/// looked up in vain everywhere else.
const METADATA_SERVER: &str = "169.254.169.254";

/// Where tokens for accounts are had, if the account does not say.
const TOKEN_URL: &str = "https://oauth2.googleapis.com/token";

/// What tokens are for.
pub(super) const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const SCOPES: &str =
    "https://www.googleapis.com/auth/cloud-platform https://www.googleapis.com/auth/cloudkms";

/// How long a token shall count, in seconds.
pub(super) const LIFE: u64 = 3600;

/// The longest file that is read, in bytes.
pub(super) const MAX_FILE: usize = 1 << 20;

/// The credentials that there are.
pub(super) struct Found {
    /// Where they are, as messages name it.
    pub(super) place: String,
    /// The credentials.
    pub(super) origin: Origin,
    /// What was looked for, and what became of that.
    pub(super) report: Vec<String>,
}

/// What a token comes from.
pub(super) enum Origin {
    /// The user has one.
    Token(Zeroizing<String>),
    /// An account.
    Account(Box<Account>),
    /// The place is set, and holds nothing that can be used.
    Broken(String),
    /// The metadata server at this host, if there is one.
    Metadata(String),
}

impl Found {
    /// Looks through the places. Only files are read: no server is asked.
    pub(super) fn on(host: &dyn Host) -> Found {
        let mut report = Vec::new();
        let found = |place: &str, origin, mut report: Vec<String>| {
            report.push(match &origin {
                Origin::Broken(why) => format!("{place}: {why}"),
                Origin::Metadata(_) => format!("{place}: no answer"),
                Origin::Token(_) | Origin::Account(_) => format!("{place}: used"),
            });
            Found { place: place.to_owned(), origin, report }
        };
        match setting(host, CREDENTIALS) {
            Some(text) if text.trim_start().starts_with('{') => {
                return found(CREDENTIALS, Account::parse(text.as_bytes()), report);
            }
            Some(path) => {
                let path = Path::new(path.as_str());
                let origin = Account::read(host, path)
                    .unwrap_or_else(|| Origin::Broken("it is neither a file nor JSON".to_owned()));
                return found(CREDENTIALS, origin, report);
            }
            None => report.push(format!("{CREDENTIALS}: not set")),
        }
        match setting(host, ACCESS_TOKEN) {
            Some(token) => {
                let token = Zeroizing::new(token.trim().to_owned());
                return found(ACCESS_TOKEN, Origin::Token(token), report);
            }
            None => report.push(format!("{ACCESS_TOKEN}: not set")),
        }
        match setting(host, APPLICATION_CREDENTIALS) {
            Some(path) => {
                let path = Path::new(path.as_str());
                let origin = Account::read(host, path)
                    .unwrap_or_else(|| Origin::Broken("there is no such file".to_owned()));
                return found(APPLICATION_CREDENTIALS, origin, report);
            }
            None => report.push(format!("{APPLICATION_CREDENTIALS}: not set")),
        }
        if let Some(path) = of_gcloud(host) {
            let place = path.display().to_string();
            match Account::read(host, &path) {
                Some(origin) => return found(&place, origin, report),
                None => report.push(format!("{place}: no such file")),
            }
        }
        let server = setting(host, METADATA_HOST);
        let server = server.as_ref().map_or(METADATA_SERVER, |server| server);
        let place = format!("the metadata server {server}");
        found(&place, Origin::Metadata(server.to_owned()), report)
    }
}

/// Returns the file that `gcloud auth application-default login` writes.
fn of_gcloud(host: &dyn Host) -> Option<PathBuf> {
    let directory = if cfg!(windows) {
        PathBuf::from(setting(host, "APPDATA")?.as_str())
    } else {
        Path::new(setting(host, "HOME")?.as_str()).join(".config")
    };
    Some(directory.join("gcloud").join("application_default_credentials.json"))
}

/// An account, as it stands in a file. All kinds have their fields here: what tells them apart is
/// the value of one.
#[derive(Deserialize)]
pub(super) struct Account {
    #[serde(rename = "type")]
    kind: String,
    client_email: Option<String>,
    private_key: Option<Zeroizing<String>>,
    private_key_id: Option<String>,
    token_uri: Option<String>,
    universe_domain: Option<String>,
    pub(super) client_id: Option<String>,
    pub(super) client_secret: Option<Zeroizing<String>>,
    pub(super) refresh_token: Option<Zeroizing<String>>,
    pub(super) audience: Option<String>,
    pub(super) subject_token_type: Option<String>,
    pub(super) token_url: Option<String>,
    pub(super) credential_source: Option<Source>,
    pub(super) workforce_pool_user_project: Option<String>,
    service_account_impersonation_url: Option<String>,
    service_account_impersonation: Option<Impersonation>,
    pub(super) quota_project_id: Option<String>,
    source_credentials: Option<Box<Account>>,
    #[serde(default)]
    delegates: Vec<String>,
}

#[derive(Deserialize)]
struct Impersonation {
    token_lifetime_seconds: Option<u64>,
}

/// An answer with a token.
#[derive(Deserialize)]
pub(super) struct TokenAnswer {
    access_token: Zeroizing<String>,
    expires_in: Option<u64>,
}

impl TokenAnswer {
    pub(super) fn token(&self, now: Instant) -> Token {
        Token::new(&self.access_token, now, self.expires_in.map(Duration::from_secs))
    }
}

impl Account {
    /// Reads the account in a file; `None` if there is no file.
    fn read(host: &dyn Host, path: &Path) -> Option<Origin> {
        match host.read_file(path, MAX_FILE) {
            Ok(text) => Some(Account::parse(&text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => Some(Origin::Broken(format!("{}: {error}", path.display()))),
        }
    }

    fn parse(text: &[u8]) -> Origin {
        match serde_json::from_slice(text) {
            Ok(account) => Origin::Account(Box::new(account)),
            Err(_) => Origin::Broken("it is not the JSON of an account".to_owned()),
        }
    }

    /// Asks for a token.
    ///
    /// # Errors
    /// A message for people.
    pub(super) fn token(
        &self,
        host: &dyn Host,
        client: &Client,
        now: Instant,
    ) -> Result<Token, String> {
        match self.kind.as_str() {
            "service_account" => self.by_signature(host, client, now),
            "authorized_user" => self.by_refreshing(client, now),
            "external_account" => {
                let token = external::token(self, host, client, now)?;
                match &self.service_account_impersonation_url {
                    None => Ok(token),
                    Some(url) => self.impersonate(url, &token, client, now),
                }
            }
            "external_account_authorized_user" => external::token_of_user(self, client, now),
            "impersonated_service_account" => {
                let url = required(
                    self.service_account_impersonation_url.as_ref(),
                    "service_account_impersonation_url",
                )?;
                let source = required(self.source_credentials.as_ref(), "source_credentials")?;
                // The one behind it is a user or a service account: nothing goes on for ever.
                if source.source_credentials.is_some() {
                    return Err("`source_credentials` are impersonated, too".to_owned());
                }
                self.impersonate(url, &source.token(host, client, now)?, client, now)
            }
            kind => Err(format!(
                "accounts of the type `{kind}` are not supported; those that are: \
                 service_account, authorized_user, external_account, \
                 external_account_authorized_user, impersonated_service_account"
            )),
        }
    }

    /// Returns the address of the service account that this one speaks for.
    pub(super) fn impersonated_email(&self) -> Option<&str> {
        let url = self.service_account_impersonation_url.as_ref()?;
        let (_, account) = url.rsplit_once("/serviceAccounts/")?;
        account.strip_suffix(":generateAccessToken").filter(|email| email.contains('@'))
    }

    /// Signs for a service account.
    fn by_signature(
        &self,
        host: &dyn Host,
        client: &Client,
        now: Instant,
    ) -> Result<Token, String> {
        let email = required(self.client_email.as_ref(), "client_email")?;
        let key = required(self.private_key.as_ref(), "private_key")?;
        let key = bearer::rsa_key(key.as_bytes()).map_err(|why| format!("`private_key`: {why}"))?;
        let mut header = json!({"alg": "RS256", "typ": "JWT"});
        if let Some(id) = &self.private_key_id {
            header["kid"] = id.as_str().into();
        }
        let issued = host.now().unix_timestamp();
        let mut claims = json!({
            "iss": email,
            "scope": SCOPES,
            "iat": issued,
            "exp": issued + LIFE.cast_signed(),
        });
        let padding = &ring::signature::RSA_PKCS1_SHA256;
        // Other clouds than the public one exchange nothing: the signed token is the token.
        if self.universe_domain.as_ref().is_some_and(|domain| domain != "googleapis.com") {
            claims["sub"] = email.as_str().into();
            let token = bearer::jwt(&header, &claims, &key, padding)?;
            return Ok(Token::new(&token, now, Some(Duration::from_secs(LIFE))));
        }
        let url = self.token_uri.as_deref().unwrap_or(TOKEN_URL);
        claims["aud"] = url.into();
        let assertion = bearer::jwt(&header, &claims, &key, padding)?;
        let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
        exchange(client, url, &[], &[("grant_type", grant), ("assertion", &assertion)], now)
    }

    /// Takes the token that stands for a user's login.
    fn by_refreshing(&self, client: &Client, now: Instant) -> Result<Token, String> {
        let fields = [
            ("grant_type", "refresh_token"),
            ("client_id", required(self.client_id.as_ref(), "client_id")?),
            ("client_secret", required(self.client_secret.as_ref(), "client_secret")?),
            ("refresh_token", required(self.refresh_token.as_ref(), "refresh_token")?),
        ];
        exchange(client, self.token_uri.as_deref().unwrap_or(TOKEN_URL), &[], &fields, now)
    }

    /// Has a token for a service account, for the token of somebody who may have it.
    fn impersonate(
        &self,
        url: &str,
        token: &Token,
        client: &Client,
        now: Instant,
    ) -> Result<Token, String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Impersonated {
            access_token: Zeroizing<String>,
        }

        let url = private(url)?;
        let life = self.service_account_impersonation.as_ref();
        let life = life.and_then(|wanted| wanted.token_lifetime_seconds).unwrap_or(LIFE);
        let body = json!({
            "scope": SCOPES.split(' ').collect::<Vec<_>>(),
            "lifetime": format!("{life}s"),
            "delegates": self.delegates,
        });
        let headers = [("Authorization", token.header()), ("Content-Type", "application/json")];
        let body = body.to_string();
        let request = Request { method: "POST", url, headers: &headers, body: body.as_bytes() };
        let answer = bearer::succeeded(url, bearer::send(client, &request)?)?;
        let answer: Impersonated = bearer::read(url, &answer)?;
        Ok(Token::new(&answer.access_token, now, Some(Duration::from_secs(life))))
    }
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Account({})", self.kind)
    }
}

/// Returns a field that an account must have.
pub(super) fn required<'f, T>(field: Option<&'f T>, name: &str) -> Result<&'f T, String> {
    field.ok_or_else(|| format!("the account has no `{name}`"))
}

/// Returns an address to which secrets may be sent.
pub(super) fn private(url: &str) -> Result<&str, String> {
    if is_private(url) { Ok(url) } else { Err(format!("`{url}` is not an https address")) }
}

/// Exchanges a proof for a token.
pub(super) fn exchange(
    client: &Client,
    url: &str,
    headers: &[(&str, &str)],
    fields: &[(&str, &str)],
    now: Instant,
) -> Result<Token, String> {
    let answer = bearer::post_form(client, private(url)?, headers, fields)?;
    Ok(bearer::read::<TokenAnswer>(url, &answer)?.token(now))
}

/// Asks the metadata server for a token; `None` if there is none.
///
/// # Errors
/// A message for people, if there is one that gives no token.
pub(super) fn of_metadata(server: &str, now: Instant) -> Result<Option<Token>, String> {
    let url = format!("http://{server}/computeMetadata/v1/instance/service-accounts/default/token");
    let headers = [("Metadata-Flavor", "Google")];
    let request = Request { method: "GET", url: &url, headers: &headers, body: &[] };
    let Ok(answer) = Client::nearby().send(&request) else { return Ok(None) };
    // Other clouds have another server at the same address.
    if answer.header("Metadata-Flavor") != Some("Google") {
        return Ok(None);
    }
    let answer = bearer::succeeded(&url, answer)?;
    Ok(Some(bearer::read::<TokenAnswer>(&url, &answer)?.token(now)))
}
