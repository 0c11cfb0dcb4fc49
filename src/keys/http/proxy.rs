//! Which proxy a request goes through: by the variables and rules of Go's clients, which SOPS is
//! made of. `HTTPS_PROXY` is for `https` addresses, `HTTP_PROXY` for `http`, each also in lower case;
//! `NO_PROXY` names what is asked directly.

use std::net::IpAddr;

use ureq::Proxy;
use ureq::http::Uri;

use super::is_loopback;
use crate::keys::Host;

/// The proxies of a client.
#[derive(Clone, Debug, Default)]
pub(in crate::keys) struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    exceptions: Vec<Exception>,
    /// Whether this machine is asked over a proxy, too.
    is_for_all: bool,
}

/// An entry of `NO_PROXY`; an absent port is each.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Exception {
    All,
    /// Addresses with the same first bits.
    Network(IpAddr, u32),
    Address(IpAddr, Option<u16>),
    /// A name with a dot in front: what ends like that, and whether the name itself is meant.
    Domain(String, bool, Option<u16>),
}

impl Proxies {
    /// Returns those of the environment.
    ///
    /// # Errors
    /// If a variable names none; without its value, which may have a password.
    pub(in crate::keys) fn of_environment(host: &dyn Host) -> Result<Proxies, String> {
        let named = |names: [&'static str; 2]| {
            let mut found = names.into_iter().map(|name| (name, host.variable(name)));
            found.find_map(|(name, value)| Some((name, value.filter(|value| !value.is_empty())?)))
        };
        let proxy = |names| match named(names) {
            None => Ok(None),
            Some((name, value)) => {
                parse(value.to_str().unwrap_or_default()).map(Some).ok_or_else(|| no_proxy(name))
            }
        };
        let exceptions = named(["NO_PROXY", "no_proxy"]);
        let exceptions = exceptions.map(|(_, list)| list.to_string_lossy().into_owned());
        Ok(Proxies {
            http: proxy(["HTTP_PROXY", "http_proxy"])?,
            https: proxy(["HTTPS_PROXY", "https_proxy"])?,
            exceptions: exceptions
                .iter()
                .flat_map(|list| list.split(','))
                .filter_map(exception)
                .collect(),
            is_for_all: false,
        })
    }

    /// Returns one proxy for everything.
    ///
    /// # Errors
    /// If the text, the value of the variable `name`, is no address of one.
    #[cfg(feature = "hc-vault")]
    pub(in crate::keys) fn only(name: &str, text: &str) -> Result<Proxies, String> {
        let proxy = Some(parse(text).ok_or_else(|| no_proxy(name))?);
        Ok(Proxies { http: proxy.clone(), https: proxy, exceptions: Vec::new(), is_for_all: true })
    }

    /// Returns the one for `https` addresses, which most are.
    pub(super) fn usual(&self) -> Option<&Proxy> {
        self.https.as_ref()
    }

    /// Returns the proxy for an address.
    pub(super) fn of(&self, url: &Uri) -> Option<&Proxy> {
        let (proxy, usual_port) = match url.scheme_str() {
            Some("https") => (self.https.as_ref(), 443),
            _ => (self.http.as_ref(), 80),
        };
        if self.is_for_all {
            return proxy;
        }
        let name = url.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let port = url.port_u16().unwrap_or(usual_port);
        let is_direct =
            is_loopback(url) || self.exceptions.iter().any(|one| one.is_for(name, port));
        proxy.filter(|_| !is_direct)
    }
}

impl Exception {
    fn is_for(&self, name: &str, port: u16) -> bool {
        let is_port = |wanted: &Option<u16>| wanted.is_none_or(|wanted| wanted == port);
        let address: Option<IpAddr> = name.parse().ok();
        match self {
            Exception::All => true,
            Exception::Network(network, bits) => address
                .is_some_and(|address| first_bits(address, *bits) == first_bits(*network, *bits)),
            Exception::Address(wanted, port) => address == Some(*wanted) && is_port(port),
            Exception::Domain(domain, with_itself, port) => {
                let name = name.to_ascii_lowercase();
                (name.ends_with(domain) || *with_itself && name == domain[1..]) && is_port(port)
            }
        }
    }
}

/// Returns the first bits of an address, and of which kind it is.
fn first_bits(address: IpAddr, bits: u32) -> (bool, u128) {
    let (is_short, size, number) = match address {
        IpAddr::V4(address) => (true, 32, u128::from(address.to_bits())),
        IpAddr::V6(address) => (false, 128, address.to_bits()),
    };
    (is_short, number.checked_shr(size - bits.min(size)).unwrap_or(0))
}

fn no_proxy(name: &str) -> String {
    format!("{name} is no address of a proxy: `http://proxy.example.com:8080`")
}

/// Reads the address of a proxy; `http` is its scheme if there is none.
fn parse(text: &str) -> Option<Proxy> {
    // As in Go, a proxy looks the names up itself, of both kinds.
    let text = match text.split_once("://") {
        Some(("socks5", rest)) => format!("socks5h://{rest}"),
        Some(("http" | "https" | "socks5h", _)) => text.to_owned(),
        Some(_) => return None,
        None => format!("http://{text}"),
    };
    Proxy::new(&text).ok().filter(|proxy| !proxy.host().is_empty())
}

/// Reads an entry of `NO_PROXY`; `None` is what Go passes over, too.
fn exception(text: &str) -> Option<Exception> {
    let text = text.trim().to_ascii_lowercase();
    if text == "*" {
        return Some(Exception::All);
    }
    if let Some((network, bits)) = text.split_once('/')
        && let (Ok(network), Ok(bits)) = (network.parse(), bits.parse())
    {
        return Some(Exception::Network(network, bits));
    }
    let unbracketed = |text: &str| text.trim_start_matches('[').trim_end_matches(']').parse().ok();
    if let Some(address) = unbracketed(&text) {
        return Some(Exception::Address(address, None));
    }
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) => (name, Some(port.parse().ok()?)),
        None => (&*text, None),
    };
    if let Some(address) = unbracketed(name) {
        return Some(Exception::Address(address, port));
    }
    let name = name.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(name);
    match name.strip_prefix('.') {
        _ if name.is_empty() => None,
        Some(_) => Some(Exception::Domain(name.to_owned(), false, port)),
        None => Some(Exception::Domain(format!(".{name}"), true, port)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::testing::Machine;

    fn proxy_of(variables: &[(&'static str, &str)], url: &str) -> Option<String> {
        let proxies = Proxies::of_environment(&Machine::with(variables)).unwrap();
        let proxy = proxies.of(&url.parse().unwrap()).cloned();
        proxy.map(|proxy| format!("{}:{}", proxy.host(), proxy.port()))
    }

    #[test]
    fn each_scheme_has_its_proxy() {
        let both = [("HTTPS_PROXY", "secure.example:1"), ("http_proxy", "http://plain.example:2")];
        assert_eq!(proxy_of(&both, "https://a.example").as_deref(), Some("secure.example:1"));
        assert_eq!(proxy_of(&both, "http://a.example").as_deref(), Some("plain.example:2"));
        assert_eq!(proxy_of(&both[..1], "http://a.example"), None);
        assert_eq!(proxy_of(&[("ALL_PROXY", "p.example")], "https://a.example"), None);
        let twice = [("https_proxy", "low.example"), ("HTTPS_PROXY", "high.example:3")];
        assert_eq!(proxy_of(&twice, "https://a.example").as_deref(), Some("high.example:3"));
    }

    #[test]
    fn what_is_named_and_this_machine_are_asked_directly() {
        let is_direct = |list: &str, url: &str| {
            proxy_of(&[("HTTPS_PROXY", "p.example"), ("NO_PROXY", list)], url).is_none()
        };
        for (list, url) in [
            ("", "https://localhost:8200"),
            ("", "https://127.8.0.1"),
            ("", "https://[::1]:8200"),
            ("*", "https://a.example"),
            ("b.example, A.example ", "https://a.example"),
            ("a.example", "https://x.A.example:8200"),
            (".a.example", "https://x.a.example"),
            ("*.a.example", "https://x.a.example"),
            ("a.example:8200", "https://a.example:8200"),
            ("a.example:443", "https://a.example"),
            ("10.0.0.0/8", "https://10.9.8.7"),
            ("10.1.2.3", "https://10.1.2.3:1"),
            ("10.1.2.3:1", "https://10.1.2.3:1"),
            ("fd00::/8", "https://[fd12::1]"),
            ("[fd12::1]:443", "https://[fd12::1]"),
            ("fd12::1", "https://[fd12::1]"),
        ] {
            assert!(is_direct(list, url), "{list}: {url}");
        }
        for (list, url) in [
            ("", "https://a.example"),
            ("", "https://localhost.example"),
            (".a.example", "https://a.example"),
            ("*.a.example", "https://a.example"),
            ("a.example", "https://ba.example"),
            ("*a.example", "https://ba.example"),
            ("a.example:8200", "https://a.example"),
            ("a.example:x", "https://a.example"),
            ("10.0.0.0/8", "https://11.0.0.1"),
            ("0.0.0.0/0", "https://[fd12::1]"),
            ("10.1.2.3", "https://10.1.2.4"),
            ("10.1.2.3:1", "https://10.1.2.3"),
            (",:,", "https://a.example"),
        ] {
            assert!(!is_direct(list, url), "{list}: {url}");
        }
    }

    #[test]
    fn what_is_no_proxy_is_named_without_its_value() {
        for value in ["ftp://canary@p.example", "http://", "a b", "://"] {
            let machine = Machine::with(&[("https_proxy", value)]);
            let error = Proxies::of_environment(&machine).unwrap_err();
            let expected = "https_proxy is no address of a proxy: `http://proxy.example.com:8080`";
            assert_eq!(error, expected, "{value}");
        }
    }
}
