//! Which Vault servers are asked, and what they get: the user's token and settings.
//!
//! The variables are those of Vault's own programs ([`super::settings`]). What SOPS has no variable for follows from who
//! names a server: a creation rule, a flag, `VAULT_ADDR`, an allowlist, or nobody but the file.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use ureq::http::Uri;

use super::settings::Settings;
use crate::keys::http::is_private;
use crate::keys::{Credentials, FileServers, Host, NamedBy, OwnCredentials};
use crate::secret::SecretBytes;

/// Which servers may be asked at all.
const ALLOWLIST: &str = "SOPS_HC_VAULT_ALLOWLIST";
/// The server that the user works with.
const ADDRESS: &str = "VAULT_ADDR";
/// A server on the way to all others.
const AGENT: &str = "VAULT_AGENT_ADDR";
/// The token.
const TOKEN: &str = "VAULT_TOKEN";

/// The longest token file, in bytes.
const MAX_TOKEN: usize = 64 * 1024;

/// A server: a scheme and a host, maybe with a port.
#[derive(Clone, Debug)]
pub(super) struct Server {
    text: String,
    uri: Uri,
}

impl Server {
    /// Reads `https://host:8200`; a slash may follow.
    pub(super) fn parse(text: &str) -> Result<Server, &'static str> {
        let text = text.strip_suffix('/').unwrap_or(text);
        let uri: Uri = text.parse().map_err(|_| "it is not a URL")?;
        let scheme = uri.scheme_str().ok_or("it has no scheme")?;
        if !matches!(scheme, "http" | "https") {
            return Err("its scheme is neither `https` nor `http`");
        }
        let authority = uri.authority().ok_or("it has no host")?;
        // Nothing but a host: no user, path, query or fragment, which the parser drops.
        let rest = text.get(scheme.len() + 3..).unwrap_or_default();
        if authority.as_str() != rest || authority.as_str().contains('@') {
            return Err("there is more in it than a host and a port");
        }
        if authority.host().is_empty() {
            return Err("it has no host");
        }
        Ok(Server { text: text.to_owned(), uri })
    }

    /// Returns whether both are the same server, however they are spelled.
    fn is(&self, other: &Server) -> bool {
        self.parts() == other.parts()
    }

    /// Returns whether it names its port.
    pub(super) fn has_port(&self) -> bool {
        self.uri.port().is_some()
    }

    /// Returns the address.
    pub(super) fn uri(self) -> Uri {
        self.uri
    }

    fn parts(&self) -> (Option<&str>, Option<String>, Option<u16>) {
        let port = match self.uri.scheme_str() {
            Some("https") => 443,
            _ => 80,
        };
        let host = self.uri.host().map(str::to_ascii_lowercase);
        (self.uri.scheme_str(), host, self.uri.port_u16().or(Some(port)))
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// `SOPS_HC_VAULT_ALLOWLIST`.
#[derive(Debug, PartialEq, Eq)]
enum Allowlist {
    /// It is not set, or empty.
    Unset,
    /// `all`.
    All,
    /// `none`.
    None,
    /// Beginnings of addresses, each with a slash at its end.
    Only(Vec<String>),
}

impl Allowlist {
    fn parse(text: &str) -> Result<Allowlist, String> {
        match text {
            "" => return Ok(Allowlist::Unset),
            "all" => return Ok(Allowlist::All),
            "none" => return Ok(Allowlist::None),
            _ => {}
        }
        let entry = |(number, entry): (usize, &str)| {
            let entry = entry.trim();
            if entry.is_empty() {
                return Err(format!("{ALLOWLIST}'s entry {} is empty", number + 1));
            }
            let slash = if entry.ends_with('/') { "" } else { "/" };
            Ok(format!("{entry}{slash}"))
        };
        Ok(Allowlist::Only(text.split(',').enumerate().map(entry).collect::<Result<_, _>>()?))
    }

    /// Returns whether an entry is about the server.
    fn names(&self, server: &Server) -> bool {
        let address = format!("{server}/");
        matches!(self, Allowlist::Only(all) if all.iter().any(|entry| address.starts_with(entry)))
    }
}

/// The token, or why there is none.
pub(super) struct Token {
    text: Option<SecretBytes>,
    /// A line for each place.
    looked_in: Vec<String>,
}

impl Token {
    /// Returns the token.
    pub(super) fn text(&self) -> Option<&str> {
        self.text.as_ref().and_then(|text| std::str::from_utf8(text).ok())
    }
}

/// The user's access to Vault servers.
pub(super) struct Access {
    host: Arc<dyn Host>,
    namespace: Option<String>,
    token: OnceLock<Token>,
    settings: OnceLock<Result<Settings, String>>,
}

impl OwnCredentials for Access {
    fn of_host(host: &Arc<dyn Host>) -> Access {
        Access {
            host: Arc::clone(host),
            namespace: text(&**host, "VAULT_NAMESPACE"),
            token: OnceLock::new(),
            settings: OnceLock::new(),
        }
    }
}

impl Access {
    /// Returns the server to ask for a key of `wanted`.
    ///
    /// # Errors
    /// If the user does not want that server to be asked; it says what would allow it.
    pub(super) fn server(
        &self,
        wanted: &Server,
        named_by: NamedBy,
        with: &Credentials,
    ) -> Result<Server, String> {
        let allowlist = Allowlist::parse(&text(&*self.host, ALLOWLIST).unwrap_or_default())?;
        let is_named = allowlist.names(wanted);
        if matches!(allowlist, Allowlist::None | Allowlist::Only(_)) && !is_named {
            return Err(format!("Allowlist does not allow {wanted}"));
        }
        if agent_socket(&*self.host).is_some() {
            return Server::parse("http://localhost").map_err(str::to_owned);
        }
        if let Some(agent) = self.variable_server(AGENT)? {
            return Ok(agent);
        }
        if *with.own::<FileServers>() == FileServers::Asked {
            return Ok(wanted.clone());
        }
        let is_users = is_named || self.variable_server(ADDRESS)?.is_some_and(|own| own.is(wanted));
        if named_by == NamedBy::File && !is_users && allowlist != Allowlist::All {
            return Err(format!(
                "`{wanted}` is named by the file alone, and was not contacted; name the key in \
                 the creation rule, or the server in {ADDRESS} or {ALLOWLIST}"
            ));
        }
        if !is_users && !is_private(&wanted.text) {
            return Err(format!(
                "`{wanted}` was not contacted, because everybody on the way could read the token; \
                 use https, or accept that by naming the server in {ADDRESS} or {ALLOWLIST}"
            ));
        }
        Ok(wanted.clone())
    }

    /// Returns the server of `VAULT_ADDR`.
    #[cfg(feature = "publish")]
    pub(super) fn users_server(&self) -> Result<Option<Server>, String> {
        self.variable_server(ADDRESS)
    }

    fn variable_server(&self, name: &str) -> Result<Option<Server>, String> {
        let Some(text) = text(&*self.host, name) else { return Ok(None) };
        // A path, which Vault's programs take, changes nothing about the server.
        let server = match text.split_once("://") {
            Some((scheme, rest)) => {
                let host = rest.split('/').next().unwrap_or_default();
                Server::parse(&format!("{}://{host}", scheme.to_ascii_lowercase()))
            }
            None => Err("it has no scheme"),
        };
        server.map(Some).map_err(|reason| format!("{name} is no address of a server: {reason}"))
    }

    /// Returns the namespace of the requests.
    pub(super) fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// Returns the token, which is read once.
    pub(super) fn token(&self) -> &Token {
        self.token.get_or_init(|| read_token(&*self.host))
    }

    /// Returns how requests are made, which is read once.
    ///
    /// # Errors
    /// The name of a variable and what is wrong with it.
    pub(super) fn settings(&self) -> Result<&Settings, String> {
        let settings = self.settings.get_or_init(|| Settings::read(&*self.host));
        settings.as_ref().map_err(Clone::clone)
    }

    /// Returns where a token was looked for, a line each.
    pub(super) fn looked_in(&self) -> Vec<String> {
        self.token().looked_in.clone()
    }
}

/// Returns the socket in the file system that the agent listens on, if it does.
pub(super) fn agent_socket(host: &dyn Host) -> Option<PathBuf> {
    let agent = text(host, AGENT).filter(|_| cfg!(unix))?;
    agent.strip_prefix("unix://").map(PathBuf::from)
}

/// Returns a variable that is not empty.
pub(super) fn text(host: &dyn Host, name: &str) -> Option<String> {
    host.variable(name)?.into_string().ok().filter(|text| !text.is_empty())
}

/// Reads the token: from the variable, else from where `vault login` puts it.
fn read_token(host: &dyn Host) -> Token {
    let mut looked_in = Vec::new();
    let mut take = |name: &str, token: Option<&[u8]>, missing: &str| {
        let token = token.map(<[u8]>::trim_ascii).filter(|token| !token.is_empty());
        let is_printable = |token: &&[u8]| token.iter().all(|byte| (0x20..0x7f).contains(byte));
        looked_in.push(match token {
            None => format!("{name}: {missing}"),
            Some(token) if is_printable(&token) => format!("{name}: a token"),
            Some(_) => format!("{name}: what is there is no token"),
        });
        token.filter(is_printable).map(SecretBytes::from)
    };
    let variable = host.variable(TOKEN).map(|text| SecretBytes::from(text.into_encoded_bytes()));
    let mut found = take(TOKEN, variable.as_deref(), "not set");
    if found.is_none()
        && let Some(home) = text(host, "HOME")
    {
        let path = PathBuf::from(home).join(".vault-token");
        let file = host.read_file(&path, MAX_TOKEN);
        let missing = match &file {
            Ok(_) => "empty".to_owned(),
            Err(error) => error.to_string(),
        };
        found = take(&path.display().to_string(), file.ok().as_deref(), &missing);
    }
    Token { text: found, looked_in }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_host_and_nothing_else() {
        for text in ["https://vault.example", "http://127.0.0.1:8200", "https://[::1]:1"] {
            assert_eq!(Server::parse(text).unwrap().to_string(), text);
            assert_eq!(Server::parse(&format!("{text}/")).unwrap().to_string(), text);
        }
        for text in [
            "",
            "vault.example",
            "ftp://vault.example",
            "https://",
            "https://user@vault.example",
            "https://vault.example/path",
            "https://vault.example?query",
            "https://vault.example#fragment",
            "https://vault.example//",
        ] {
            assert!(Server::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_same_server_may_be_spelled_otherwise() {
        let server = |text| Server::parse(text).unwrap();
        assert!(server("https://Vault.example").is(&server("https://vault.example:443/")));
        for other in ["http://vault.example:443", "https://vault.example:8200", "https://vault"] {
            assert!(!server("https://vault.example").is(&server(other)), "{other}");
        }
    }

    #[test]
    fn an_allowlist_names_beginnings_that_end_at_a_slash() {
        let list = Allowlist::parse(" https://a.example , https://b.example:8200/").unwrap();
        let names = |text| list.names(&Server::parse(text).unwrap());
        assert!(names("https://a.example"));
        assert!(names("https://b.example:8200"));
        assert!(!names("https://a.example.org"));
        assert!(!names("https://a.example:8200"));
        assert!(!names("http://a.example"));
        assert_eq!(
            Allowlist::parse("https://a.example,,").unwrap_err(),
            "SOPS_HC_VAULT_ALLOWLIST's entry 2 is empty"
        );
    }
}
