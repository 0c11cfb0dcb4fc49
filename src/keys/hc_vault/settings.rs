//! What the variables of Vault's own programs say about requests: the same variables with the same
//! meaning as in Vault's client library, which SOPS uses.
//!
//! `VAULT_CACERT` wins over `VAULT_CACERT_BYTES`, and that over `VAULT_CAPATH`. What cannot be done
//! is refused by name; `VAULT_DISABLE_REDIRECTS` changes nothing, because none is followed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use ureq::http::{HeaderName, HeaderValue};
use zeroize::Zeroizing;

use super::access::{Server, agent_socket, text};
use crate::keys::Host;
use crate::keys::http::{Authorities, Client, Proxies, Tls};

/// How often a busy server is asked again.
const RETRIES: u32 = 2;

/// How requests are made.
pub(super) struct Settings {
    pub(super) client: Client,
    /// How often a busy server is asked again.
    pub(super) retries: u32,
    /// Headers of the user's, for what stands between here and the server.
    pub(super) headers: BTreeMap<String, Zeroizing<String>>,
    limit: Option<Limit>,
    is_by_srv: bool,
}

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    /// The name of a variable and what is wrong with it.
    pub(super) fn read(host: &dyn Host) -> Result<Settings, String> {
        if text(host, "VAULT_WRAP_TTL").is_some() {
            let message = "VAULT_WRAP_TTL has the server wrap its answers, and no key would be in \
                           them: unset it for this program";
            return Err(message.to_owned());
        }
        flag(host, "VAULT_DISABLE_REDIRECTS")?;
        Ok(Settings {
            client: client(host)?,
            retries: match text(host, "VAULT_MAX_RETRIES") {
                None => RETRIES,
                Some(text) => {
                    text.parse().map_err(|_| "VAULT_MAX_RETRIES is no number".to_owned())?
                }
            },
            headers: headers(host)?,
            limit: match text(host, "VAULT_RATE_LIMIT") {
                None => None,
                Some(text) => Limit::parse(&text)?,
            },
            is_by_srv: flag(host, "VAULT_SRV_LOOKUP")?,
        })
    }

    /// Waits until a server may be asked.
    ///
    /// # Errors
    /// If it is not known where it is.
    pub(super) fn admit(&self, server: &Server) -> Result<(), String> {
        // With a port, nothing is looked up.
        if self.is_by_srv && !server.has_port() {
            return Err(format!(
                "VAULT_SRV_LOOKUP is not supported: name `{server}` with the host and the port of \
                 its SRV record"
            ));
        }
        if let Some(limit) = &self.limit {
            thread::sleep(limit.reserve(Instant::now()));
        }
        Ok(())
    }
}

/// Returns whether a variable says so.
fn flag(host: &dyn Host, name: &str) -> Result<bool, String> {
    match text(host, name).as_deref() {
        None | Some("0" | "f" | "F" | "FALSE" | "false" | "False") => Ok(false),
        Some("1" | "t" | "T" | "TRUE" | "true" | "True") => Ok(true),
        Some(_) => Err(format!("{name} is neither `true` nor `false`")),
    }
}

fn client(host: &dyn Host) -> Result<Client, String> {
    let path = |name| text(host, name).map(PathBuf::from);
    let (file, folder) = (path("VAULT_CACERT"), path("VAULT_CAPATH"));
    let pem = host.variable("VAULT_CACERT_BYTES").filter(|text| !text.is_empty());
    let pem = pem.map(OsString::into_encoded_bytes);
    let (certificate, key) = (path("VAULT_CLIENT_CERT"), path("VAULT_CLIENT_KEY"));
    let client = match (&certificate, &key) {
        (Some(certificate), Some(key)) => Some((&**certificate, &**key)),
        (None, None) => None,
        _ => {
            let message = "VAULT_CLIENT_CERT and VAULT_CLIENT_KEY belong together: set both";
            return Err(message.to_owned());
        }
    };
    let tls = Tls {
        authorities: match (&file, &pem, &folder) {
            (Some(path), ..) => Authorities::File(path),
            (None, Some(pem), _) => Authorities::Pem { name: "VAULT_CACERT_BYTES", pem },
            (None, None, Some(path)) => Authorities::Directory(path),
            (None, None, None) => Authorities::System,
        },
        client,
        is_unchecked: flag(host, "VAULT_SKIP_VERIFY")?,
        name: match text(host, "VAULT_TLS_SERVER_NAME") {
            None => None,
            Some(name) => Some(
                Server::parse(&format!("https://{name}"))
                    .ok()
                    .filter(|server| !server.has_port())
                    .ok_or("VAULT_TLS_SERVER_NAME is no name of a server")?
                    .uri(),
            ),
        },
    };
    let proxies = ["VAULT_PROXY_ADDR", "VAULT_HTTP_PROXY"]
        .into_iter()
        .find_map(|name| Some((name, Zeroizing::new(text(host, name)?))))
        .map_or_else(
            || Proxies::of_environment(host),
            |(name, proxy)| Proxies::only(name, &proxy),
        )?;
    let client = match agent_socket(host) {
        #[cfg(unix)]
        Some(path) => Client::at_socket(path),
        _ => Client::through(proxies, host, &tls)?,
    };
    match text(host, "VAULT_CLIENT_TIMEOUT") {
        None => Ok(client),
        Some(text) => match duration(&text) {
            Some(Duration::ZERO) => Ok(client),
            Some(limit) => Ok(client.within(limit)),
            None => Err("VAULT_CLIENT_TIMEOUT is no time: `30`, `30s` or `1m30s`".to_owned()),
        },
    }
}

/// Reads the headers of the user's: a JSON object with texts.
fn headers(host: &dyn Host) -> Result<BTreeMap<String, Zeroizing<String>>, String> {
    const NAME: &str = "VAULT_HEADERS";
    let Some(json) = text(host, NAME).map(Zeroizing::new) else { return Ok(BTreeMap::new()) };
    let headers: BTreeMap<String, Zeroizing<String>> = serde_json::from_str(&json)
        .map_err(|_| format!("{NAME} is no JSON object with texts: `{{\"X-Team\":\"a\"}}`"))?;
    for (number, (name, value)) in headers.iter().enumerate() {
        if HeaderName::try_from(name).is_err() || HeaderValue::try_from(value.as_str()).is_err() {
            return Err(format!("{NAME}: entry {} is no header", number + 1));
        }
        if name.to_ascii_lowercase().starts_with("x-vault-") {
            return Err(format!("{NAME}: `{name}` is for Vault's programs alone"));
        }
    }
    Ok(headers)
}

/// `VAULT_RATE_LIMIT`: how many requests there may be in a second, and how many at once.
struct Limit {
    rate: f64,
    at_once: f64,
    /// How many may go now, below zero if some wait; and when that was so.
    left: Mutex<(f64, Option<Instant>)>,
}

impl Limit {
    /// Reads `RATE` or `RATE:AT_ONCE`; a rate of 0 is no limit, as for Vault's client.
    fn parse(text: &str) -> Result<Option<Limit>, String> {
        let numbers = || {
            let (rate, at_once) = match text.split_once(':') {
                Some((rate, at_once)) => (rate, Some(at_once.parse::<u32>().ok()?)),
                None => (text, None),
            };
            let rate: f64 = rate.parse().ok()?;
            let at_once = at_once.map_or(rate.floor(), f64::from).max(1.0);
            (rate.is_finite() && rate >= 0.0).then_some((rate, at_once))
        };
        let (rate, at_once) = numbers().ok_or(
            "VAULT_RATE_LIMIT is no number of requests a second: `10`, or `10:20` for 20 at once",
        )?;
        let limit = Limit { rate, at_once, left: Mutex::new((at_once, None)) };
        Ok(Some(limit).filter(|_| rate > 0.0))
    }

    /// Takes a request from those that may go, and returns how long it has to wait.
    fn reserve(&self, now: Instant) -> Duration {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = left.1.map_or(Duration::ZERO, |before| now.saturating_duration_since(before));
        let more = left.0 + passed.as_secs_f64() * self.rate;
        *left = (more.min(self.at_once) - 1.0, Some(now));
        let seconds = (-left.0).max(0.0) / self.rate;
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }
}

/// Reads seconds, or a time as Go writes it: `1m30s`, `1.5h`; days stand alone.
fn duration(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    if let Some(days) = text.strip_suffix('d') {
        return Some(Duration::from_secs(days.parse::<u32>().ok()?.into()) * 24 * 60 * 60);
    }
    let mut total = Duration::ZERO;
    let mut rest = Some(text).filter(|text| !text.is_empty())?;
    while !rest.is_empty() {
        let end = rest.find(|character: char| !character.is_ascii_digit() && character != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let units =
            [("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
        let (unit, seconds) = units.into_iter().find(|(unit, _)| rest.starts_with(unit))?;
        rest = &rest[unit.len()..];
        total = total.checked_add(Duration::try_from_secs_f64(number * seconds).ok()?)?;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_or_as_go_writes_them() {
        for (text, seconds) in [
            ("90", 90.0),
            ("1m30s", 90.0),
            ("1500ms", 1.5),
            ("1.5s", 1.5),
            ("2d", 172_800.0),
            ("0", 0.0),
        ] {
            assert_eq!(duration(text), Some(Duration::from_secs_f64(seconds)), "{text}");
        }
        for text in
            ["", "-1", "1x", "s", "1s2", "1.5", ".s", "d", "1d1h", "9999999999999999999999h"]
        {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn requests_wait_once_those_at_once_have_gone() {
        let limit = Limit::parse("2:3").unwrap().unwrap();
        let start = Instant::now();
        let waits = |seconds: &[f64]| -> Vec<Duration> {
            let times = seconds.iter().map(|&seconds| Duration::from_secs_f64(seconds));
            times.map(|time| limit.reserve(start + time)).collect()
        };
        let milliseconds = Duration::from_millis;
        let none = Duration::ZERO;
        assert_eq!(waits(&[0.0; 5]), [none, none, none, milliseconds(500), milliseconds(1000)]);
        assert_eq!(waits(&[1.5, 1.5]), [none, milliseconds(500)]);
        assert_eq!(waits(&[60.0; 4]), [none, none, none, milliseconds(500)]);
    }

    #[test]
    fn a_rate_is_a_number_and_maybe_another() {
        let parts = |text| Limit::parse(text).unwrap().map(|limit| (limit.rate, limit.at_once));
        assert_eq!(parts("10"), Some((10.0, 10.0)));
        assert_eq!(parts("0.5"), Some((0.5, 1.0)));
        assert_eq!(parts("1.5:20"), Some((1.5, 20.0)));
        assert_eq!(parts("0"), None);
        for text in ["", "x", "-1", "5:x", "5:", ":5", "5:1.5", "inf", "NaN"] {
            assert!(Limit::parse(text).is_err(), "{text}");
        }
    }
}
