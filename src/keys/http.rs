//! HTTP for the key services that have no light client of their own: one request, one answer.
//!
//! A blocking client: nothing else has to run for a wrapped key to be sent to a server, and keys that
//! are asked together have a thread each already. Redirects are not followed, because the next server
//! would get the token; answers are bounded; no error shows a header or a body. Proxies are those of
//! the environment ([`proxy`]).

mod proxy;
mod server_name;
#[cfg(all(unix, feature = "hc-vault"))]
mod socket;

#[cfg(any(feature = "gcp", feature = "huawei"))]
use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ureq::config::ConfigBuilder;
use ureq::http;
use ureq::tls::{
    Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig, TlsProvider, parse_pem,
};
use ureq::typestate::AgentScope;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::{Agent, AsSendBody};
use zeroize::Zeroizing;

pub(super) use self::proxy::Proxies;
use super::Host;
use crate::secret::SecretBytes;

/// How long a server may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// How long a service of the machine itself may take for that: where there is none, nobody says so.
#[cfg(any(feature = "azure", feature = "gcp"))]
const CONNECT_NEARBY: Duration = Duration::from_secs(1);

/// How long everything may take.
const TOTAL: Duration = Duration::from_secs(30);

/// The longest answer that is read, in bytes.
const MAX_ANSWER: u64 = 4 * 1024 * 1024;

/// The largest file with certificates, in bytes.
const MAX_PEM: usize = 4 * 1024 * 1024;

/// Whose certificates count.
#[derive(Debug, Default)]
#[cfg_attr(not(feature = "hc-vault"), allow(dead_code, reason = "only Vault has others"))]
pub(super) enum Authorities<'p> {
    /// Those that the system trusts.
    #[default]
    System,
    /// Those of a file alone.
    File(&'p Path),
    /// Those of all files in a directory, and in the directories in it.
    Directory(&'p Path),
    /// Those of a text alone.
    Pem {
        /// What the text is called in messages.
        name: &'p str,
        /// The text.
        pem: &'p [u8],
    },
}

/// What is special about a server's TLS: by default the system's certificates count.
#[derive(Debug, Default)]
pub(super) struct Tls<'p> {
    /// Whose certificates count.
    pub(super) authorities: Authorities<'p>,
    /// Files with this client's certificate and key.
    pub(super) client: Option<(&'p Path, &'p Path)>,
    /// Whether the server may be anybody.
    pub(super) is_unchecked: bool,
    /// `https://NAME`: what the server is called in its certificate, if not as in its address.
    pub(super) name: Option<http::Uri>,
}

/// A client with connections that are used again. A clone is the same client.
#[derive(Clone, Debug)]
pub(super) struct Client {
    agent: Agent,
    proxies: Proxies,
    connect: Duration,
    total: Duration,
}

/// A request.
#[derive(Debug)]
pub(super) struct Request<'r> {
    /// `GET`, `POST` or `PUT`.
    pub(super) method: &'r str,
    /// The whole address.
    pub(super) url: &'r str,
    /// Names and values.
    pub(super) headers: &'r [(&'r str, &'r str)],
    /// What is sent.
    pub(super) body: &'r [u8],
}

/// An answer, whatever its status.
pub(super) struct Answer {
    /// The status.
    pub(super) status: u16,
    /// The headers.
    headers: http::HeaderMap,
    /// The body.
    pub(super) body: SecretBytes,
}

impl Answer {
    /// Returns a header's text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Returns an answer without headers.
    #[cfg(all(test, any(feature = "azure", feature = "gcp")))]
    pub(super) fn of(status: u16, body: &str) -> Answer {
        Answer { status, headers: http::HeaderMap::new(), body: SecretBytes::from(body) }
    }

    /// Returns whether the status says that all went well.
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl Client {
    /// Returns a client.
    ///
    /// # Errors
    /// A message for people, if a file of `tls` or a proxy is not as it should be.
    #[cfg(any(feature = "azure", feature = "gcp", feature = "huawei"))]
    pub(super) fn new(host: &dyn Host, tls: &Tls<'_>) -> Result<Client, String> {
        Client::through(Proxies::of_environment(host)?, host, tls)
    }

    /// Returns a client that asks over these proxies.
    ///
    /// # Errors
    /// A message for people, if a file of `tls` is not as it should be.
    pub(super) fn through(
        proxies: Proxies,
        host: &dyn Host,
        tls: &Tls<'_>,
    ) -> Result<Client, String> {
        let mut config = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .root_certs(match tls.authorities {
                Authorities::System => system_certificates(),
                Authorities::File(path) => specific(certificates(host, path)?),
                Authorities::Directory(path) => specific(certificates_in(host, path)?),
                Authorities::Pem { name, pem } => specific(all_certificates(name, pem)?),
            })
            .disable_verification(tls.is_unchecked);
        if let Some((certificate, key)) = tls.client {
            let chain = certificates(host, certificate)?;
            let pem = read(host, key)?;
            let key = PrivateKey::from_pem(&pem)
                .map_err(|_| format!("`{}` holds no private key", key.display()))?;
            config = config.client_cert(Some(ClientCert::new_with_certs(&chain, key)));
        }
        let settings = settings().proxy(proxies.usual().cloned()).tls_config(config.build());
        let agent = match &tls.name {
            None => settings.build().into(),
            Some(name) => Agent::with_parts(
                settings.build(),
                server_name::connector(name.clone()),
                DefaultResolver::default(),
            ),
        };
        Ok(Client { agent, proxies, connect: CONNECT, total: TOTAL })
    }

    /// Returns a client that asks whoever listens on a socket in the file system.
    #[cfg(all(unix, feature = "hc-vault"))]
    pub(super) fn at_socket(path: std::path::PathBuf) -> Client {
        let (socket, resolver) = (socket::Socket { path }, DefaultResolver::default());
        let agent = Agent::with_parts(settings().build(), socket, resolver);
        Client { agent, proxies: Proxies::default(), connect: CONNECT, total: TOTAL }
    }

    /// Returns the same client, which waits for an answer no longer than `limit`.
    #[cfg(any(feature = "hc-vault", feature = "huawei"))]
    pub(super) fn within(self, limit: Duration) -> Client {
        Client { connect: self.connect.min(limit), total: limit, ..self }
    }

    /// Returns a client for services of the machine itself, such as the metadata server of a cloud:
    /// without TLS, never over a proxy, and with little patience, because mostly there is none.
    #[cfg(any(feature = "azure", feature = "gcp"))]
    pub(super) fn nearby() -> Client {
        let agent = settings().build().into();
        Client { agent, proxies: Proxies::default(), connect: CONNECT_NEARBY, total: TOTAL }
    }

    /// Sends a request and waits for the answer.
    ///
    /// # Errors
    /// A message for people, if there is none.
    pub(super) fn send(&self, request: &Request<'_>) -> Result<Answer, String> {
        let failed = |error: ureq::Error| format!("{} {}: {error}", request.method, request.url);
        let mut message = http::Request::builder().method(request.method).uri(request.url);
        for (name, value) in request.headers {
            message = message.header(*name, *value);
        }
        let answer = if request.body.is_empty() && request.method == "GET" {
            self.run(message.body(()).map_err(|error| failed(error.into()))?)
        } else {
            self.run(message.body(request.body).map_err(|error| failed(error.into()))?)
        };
        let (parts, mut body) = answer.map_err(failed)?.into_parts();
        let body = body.with_config().limit(MAX_ANSWER).read_to_vec().map_err(failed)?;
        let body = SecretBytes::from(body);
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
    }

    fn run<S: AsSendBody>(
        &self,
        message: http::Request<S>,
    ) -> Result<http::Response<ureq::Body>, ureq::Error> {
        let proxy = self.proxies.of(message.uri());
        let mut limited = self
            .agent
            .configure_request(message)
            .timeout_connect(Some(self.connect))
            .timeout_global(Some(self.total));
        // Where it is the usual one, connections are used again.
        if proxy != self.proxies.usual() {
            limited = limited.proxy(proxy.cloned());
        }
        self.agent.run(limited.build())
    }
}

/// Returns what is the same for all clients.
fn settings() -> ConfigBuilder<AgentScope> {
    Agent::config_builder()
        // Not those that ureq finds in the environment, by other rules.
        .proxy(None)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .user_agent(concat!("encfile/", env!("CARGO_PKG_VERSION")))
}

/// Returns whether what is sent to an address cannot be read on the way: by TLS, or because it does
/// not leave the machine.
pub(super) fn is_private(url: &str) -> bool {
    let Ok(url) = url.parse::<http::Uri>() else {
        return false;
    };
    match (url.scheme_str(), url.host()) {
        (Some("https"), Some(_)) => true,
        (Some("http"), Some(_)) => is_loopback(&url),
        _ => false,
    }
}

/// Returns whether an address is on this machine.
fn is_loopback(url: &http::Uri) -> bool {
    url.host().is_some_and(super::is_loopback)
}

/// Returns bytes as signatures in headers have them, in hexadecimal.
#[cfg(any(feature = "gcp", feature = "huawei"))]
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Returns the certificates that the system trusts, read once.
fn system_certificates() -> RootCerts {
    static CERTIFICATES: OnceLock<Arc<Vec<Certificate<'static>>>> = OnceLock::new();
    let all = CERTIFICATES.get_or_init(|| {
        let found = rustls_native_certs::load_native_certs().certs;
        Arc::new(found.iter().map(|one| Certificate::from_der(one).to_owned()).collect())
    });
    RootCerts::Specific(Arc::clone(all))
}

fn specific(all: Vec<Certificate<'static>>) -> RootCerts {
    RootCerts::Specific(Arc::new(all))
}

/// Reads the certificates of a file.
fn certificates(host: &dyn Host, path: &Path) -> Result<Vec<Certificate<'static>>, String> {
    all_certificates(&path.display().to_string(), &read(host, path)?)
}

/// Reads the certificates of the files in a directory, each of which has to have some.
fn certificates_in(host: &dyn Host, path: &Path) -> Result<Vec<Certificate<'static>>, String> {
    let failed = |error: io::Error| format!("`{}` cannot be read: {error}", path.display());
    let mut all = Vec::new();
    for file in host.files_in(path).map_err(failed)? {
        all.append(&mut certificates(host, &file)?);
    }
    if all.is_empty() {
        return Err(format!("`{}` holds no certificate", path.display()));
    }
    Ok(all)
}

/// Reads the certificates of a text that is called `name`.
fn all_certificates(name: &str, pem: &[u8]) -> Result<Vec<Certificate<'static>>, String> {
    let all: Vec<_> = parse_pem(pem)
        .filter_map(|item| match item {
            Ok(ureq::tls::PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if all.is_empty() {
        return Err(format!("`{name}` holds no certificate"));
    }
    Ok(all)
}

fn read(host: &dyn Host, path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let failed = |error: io::Error| format!("`{}` cannot be read: {error}", path.display());
    let text = host.read_file(path, MAX_PEM).map_err(failed)?;
    Ok(Zeroizing::new(text.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tls_and_this_machine_are_private() {
        for url in [
            "https://vault.example",
            "http://127.0.0.1:8200/v1",
            "http://[::1]:1",
            "http://localhost",
        ] {
            assert!(is_private(url), "{url}");
        }
        for url in [
            "http://vault.example",
            "http://10.0.0.1",
            "ftp://localhost",
            "localhost",
            "http://localhost.example",
            "",
        ] {
            assert!(!is_private(url), "{url}");
        }
    }

    #[cfg(any(feature = "azure", feature = "gcp"))]
    #[test]
    fn a_server_that_says_nothing_is_given_up() {
        let address = (std::net::Ipv4Addr::LOCALHOST, 0);
        let server = std::net::TcpListener::bind(address).unwrap();
        let url = format!("http://{}/", server.local_addr().unwrap());
        let client = Client { total: Duration::from_millis(100), ..Client::nearby() };
        let request = Request { method: "GET", url: &url, headers: &[], body: &[] };
        let error = client.send(&request).map(|answer| answer.status).unwrap_err();
        assert_eq!(error, format!("GET {url}: timeout: global"));
    }
}
