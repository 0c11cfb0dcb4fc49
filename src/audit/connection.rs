//! Connection strings as `lib/pq`, SOPS' driver, reads them: a URL, or `name=value` pairs.
//!
//! TLS is required unless `sslmode` says otherwise. What the environment has for `PostgreSQL`'s
//! clients (`PGHOST`, `~/.pgpass`) does not count: it is the user's, and the log is about them.

use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::config::{Host as Address, SslMode};
use tokio_postgres::{Client, Config, Error, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;
use zeroize::Zeroizing;

use crate::keys::Host;

use super::tls::{self, Check};

/// How long a server may take to accept a connection, if the connection string does not say.
const CONNECT: Duration = Duration::from_secs(10);

/// How to reach a database.
pub(super) struct Connection {
    config: Config,
    /// `None` for a connection without TLS.
    tls: Option<MakeRustlsConnect>,
}

/// What a connection string says of TLS.
#[derive(Default)]
struct Settings {
    mode: Option<String>,
    root: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

impl Settings {
    /// Takes a parameter, if it is one about TLS.
    fn take(&mut self, name: &str, value: &str) -> bool {
        match name {
            "sslmode" => self.mode = Some(value.to_owned()),
            "sslrootcert" => self.root = Some(value.into()),
            "sslcert" => self.certificate = Some(value.into()),
            "sslkey" => self.key = Some(value.into()),
            _ => return false,
        }
        true
    }
}

impl Connection {
    /// Reads a connection string. No error has anything of it but names of parameters for TLS.
    pub(super) fn parse(text: &str, host: &dyn Host) -> Result<Connection, String> {
        let (rest, settings) =
            if text.starts_with("postgres://") || text.starts_with("postgresql://") {
                split_url(text)
            } else {
                split_pairs(text)?
            };
        let invalid = |_| "it is not valid, or has a parameter that is not supported".to_owned();
        let mut config: Config = rest.parse().map_err(invalid)?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            config.host("localhost");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT);
        }
        // Over a socket of the machine there is no TLS, whatever is said.
        let is_local = !config.get_hosts().is_empty()
            && config.get_hosts().iter().all(|host| !matches!(host, Address::Tcp(_)));
        let check = match settings.mode.as_deref() {
            Some("disable") => None,
            None | Some("" | "require") if settings.root.is_none() => Some(Check::Nothing),
            // As in libpq: whoever names an authority wants it to count.
            None | Some("" | "require" | "verify-ca") => Some(Check::Authority),
            Some("verify-full") => Some(Check::Name),
            Some(_) => {
                return Err("`sslmode` is none of disable, require, verify-ca, verify-full".into());
            }
        };
        let tls = match check.filter(|_| !is_local) {
            None => None,
            Some(check) => {
                let client = match (&settings.certificate, &settings.key) {
                    (Some(certificate), Some(key)) => Some((&**certificate, &**key)),
                    (None, None) => None,
                    _ => return Err("`sslcert` and `sslkey` belong together".to_owned()),
                };
                Some(tls::connector(host, check, settings.root.as_deref(), client)?)
            }
        };
        config.ssl_mode(if tls.is_some() { SslMode::Require } else { SslMode::Disable });
        Ok(Connection { config, tls })
    }

    /// Connects. What goes over the connection is sent and received while a future is waited for.
    pub(super) async fn open(&self) -> Result<Client, String> {
        match &self.tls {
            None => {
                let (client, connection) =
                    self.config.connect(NoTls).await.map_err(|error| self.said(&error))?;
                tokio::spawn(connection);
                Ok(client)
            }
            Some(tls) => {
                let connected = self.config.connect(tls.clone()).await;
                let (client, connection) = connected.map_err(|error| self.said(&error))?;
                tokio::spawn(connection);
                Ok(client)
            }
        }
    }

    /// Returns what an error says, without a secret: neither what the server adds to its message,
    /// which may be a row, nor a password that it repeats.
    pub(super) fn said(&self, error: &Error) -> String {
        let message = if let Some(answer) = error.as_db_error() {
            format!("{}: {}", answer.severity(), answer.message())
        } else {
            let cause = std::error::Error::source(error);
            cause.map_or(error.to_string(), |cause| format!("{error}: {cause}"))
        };
        let password = self.config.get_password().map(String::from_utf8_lossy);
        match password.filter(|password| !password.is_empty()) {
            Some(password) if message.contains(&*password) => {
                "what it says repeats the password, and is not shown".to_owned()
            }
            _ => message,
        }
    }
}

/// Takes what is about TLS out of a URL.
fn split_url(text: &str) -> (Zeroizing<String>, Settings) {
    let mut settings = Settings::default();
    let (address, query) = text.split_once('?').unwrap_or((text, ""));
    let mut rest = Zeroizing::new(address.to_owned());
    let mut separator = '?';
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let decoded = form_urlencoded::parse(part.as_bytes()).next();
        if decoded.is_some_and(|(name, value)| settings.take(&name, &value)) {
            continue;
        }
        rest.push(separator);
        rest.push_str(part);
        separator = '&';
    }
    (rest, settings)
}

/// Takes what is about TLS out of pairs; a value may be in single quotes.
fn split_pairs(text: &str) -> Result<(Zeroizing<String>, Settings), String> {
    let invalid = || "it is neither a URL nor pairs of names and values".to_owned();
    let mut settings = Settings::default();
    let mut rest = Zeroizing::new(String::new());
    let mut left = text.trim_start();
    while !left.is_empty() {
        let (name, behind) = left.split_once('=').ok_or_else(invalid)?;
        let behind = behind.trim_start();
        let is_quoted = behind.starts_with('\'');
        let mut value = Zeroizing::new(String::new());
        let mut characters = behind.char_indices().skip(usize::from(is_quoted));
        let end = loop {
            match characters.next() {
                Some((_, '\\')) => value.push(characters.next().ok_or_else(invalid)?.1),
                Some((at, '\'')) if is_quoted => break at + 1,
                Some((at, character)) if !is_quoted && character.is_whitespace() => break at,
                Some((_, character)) => value.push(character),
                None if is_quoted => return Err(invalid()),
                None => break behind.len(),
            }
        };
        if !settings.take(name.trim(), &value) {
            rest.push_str(name.trim());
            rest.push('=');
            rest.push_str(&behind[..end]);
            rest.push(' ');
        }
        left = behind[end..].trim_start();
    }
    Ok((rest, settings))
}
