//! Where a key service is, as SOPS writes it: `tcp://127.0.0.1:5000`, `unix:///run/keys.sock`.

use std::fmt;
use std::path::PathBuf;

use crate::keys::is_loopback;

/// Where a key service is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A socket in the file system.
    Unix(PathBuf),
    /// A host with a port.
    Tcp {
        /// `host:port`, with brackets around an IPv6 address.
        place: String,
        /// Whether only IPv4 (`tcp4`) or only IPv6 (`tcp6`) will do.
        version: Option<u8>,
    },
}

/// Why a text is no address of a key service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// A scheme that is not known.
    #[error("unknown network {network}")]
    Network {
        /// The scheme.
        network: String,
    },
    /// A path where a host stands.
    #[error("a path has three slashes: `unix:///path`")]
    Authority,
    /// No path.
    #[error("there is no path")]
    NoPath,
    /// No host with a port.
    #[error("there is no port: `tcp://host:port`")]
    NoPort,
}

impl Address {
    /// Reads an address.
    ///
    /// # Errors
    /// If the scheme is none of `unix`, `tcp`, `tcp4` and `tcp6`, or nothing fits behind it.
    pub fn parse(text: &str) -> Result<Address, AddressError> {
        let (scheme, rest) = text.split_once(':').unwrap_or(("", text));
        match scheme {
            "unix" => match rest.strip_prefix("//") {
                Some(path) if path.starts_with('/') => Ok(Address::Unix(path.into())),
                Some(_) => Err(AddressError::Authority),
                None if rest.is_empty() => Err(AddressError::NoPath),
                None => Ok(Address::Unix(rest.into())),
            },
            "tcp" | "tcp4" | "tcp6" => {
                let place = rest.strip_prefix("//").unwrap_or(rest).trim_end_matches('/');
                let has_port = place.rsplit_once(':').is_some_and(|(host, port)| {
                    let is_bare_v6 = host.contains(':') && !host.ends_with(']');
                    port.parse::<u16>().is_ok() && !is_bare_v6
                });
                if !has_port {
                    return Err(AddressError::NoPort);
                }
                let version = scheme.strip_prefix("tcp").and_then(|digit| digit.parse().ok());
                Ok(Address::Tcp { place: place.to_owned(), version })
            }
            network => Err(AddressError::Network { network: network.to_owned() }),
        }
    }

    /// Returns whether what is sent there stays on this machine.
    pub fn is_private(&self) -> bool {
        let Address::Tcp { place, .. } = self else { return true };
        place.rsplit_once(':').is_some_and(|(host, _)| is_loopback(host))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Unix(path) => write!(f, "unix://{}", path.display()),
            Address::Tcp { place, version: None } => write!(f, "tcp://{place}"),
            Address::Tcp { place, version: Some(version) } => write!(f, "tcp{version}://{place}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(place: &str, version: Option<u8>) -> Address {
        Address::Tcp { place: place.to_owned(), version }
    }

    #[test]
    fn addresses_are_those_of_sops() {
        assert_eq!(Address::parse("tcp://127.0.0.1:5000"), Ok(tcp("127.0.0.1:5000", None)));
        assert_eq!(Address::parse("tcp6://[::1]:5000"), Ok(tcp("[::1]:5000", Some(6))));
        assert_eq!(
            Address::parse("unix:///run/keys.sock"),
            Ok(Address::Unix("/run/keys.sock".into()))
        );
        assert_eq!(Address::parse("unix:keys.sock"), Ok(Address::Unix("keys.sock".into())));
        assert_eq!(Address::parse("unix:/run/keys"), Ok(Address::Unix("/run/keys".into())));
    }

    #[test]
    fn what_is_no_address_is_told_apart() {
        let network = |network: &str| Err(AddressError::Network { network: network.to_owned() });
        assert_eq!(Address::parse("http://127.0.0.1:5000"), network("http"));
        assert_eq!(Address::parse("127.0.0.1:5000"), network("127.0.0.1"));
        assert_eq!(Address::parse("keys.sock"), network(""));
        assert_eq!(Address::parse("unix://keys.sock"), Err(AddressError::Authority));
        assert_eq!(Address::parse("unix:"), Err(AddressError::NoPath));
        for text in ["tcp://127.0.0.1", "tcp://", "tcp:", "tcp://::1", "tcp://a:b", "tcp://a:99999"]
        {
            assert_eq!(Address::parse(text), Err(AddressError::NoPort), "{text}");
        }
    }

    #[test]
    fn only_this_machine_is_private() {
        for text in ["unix:///a", "tcp://127.0.0.1:1", "tcp://[::1]:1", "tcp4://localhost:1"] {
            assert!(Address::parse(text).unwrap().is_private(), "{text}");
        }
        for text in
            ["tcp://10.0.0.1:1", "tcp://keys.example:1", "tcp://[2001:db8::1]:1", "tcp://:1"]
        {
            assert!(!Address::parse(text).unwrap().is_private(), "{text}");
        }
    }
}
