//! Azure Arc: a machine outside of Azure with an agent. Who may have a token shows it by reading a file
//! that the agent names.

use std::path::Path;

use super::{client, only_one, read};
use crate::keys::Host;
use crate::keys::azure::chain::{Asking, Place};
use crate::keys::bearer;
use crate::keys::http::Request;
use zeroize::Zeroizing;

/// Set beside the endpoint of the agent.
pub(super) const ENDPOINT: &str = "IMDS_ENDPOINT";

/// Where an agent listens if no variable says it.
pub(super) const DEFAULT: &str = "http://127.0.0.1:40342/metadata/identity/oauth2/token";

/// What is there where an agent is.
const AGENT: &str = "/opt/azcmagent/bin/himds";

/// Where the agent puts its files. Another path is refused: whoever answers would get the file.
const FOLDER: &str = "/var/opt/azcmagent/tokens";

/// The longest file, in bytes.
const MAX_FILE: usize = 4096;

/// Returns whether there is an agent that no variable names.
pub(super) fn is_here(host: &dyn Host) -> bool {
    host.files_in(Path::new(AGENT)).is_ok()
}

/// Asks the agent at `endpoint`.
pub(super) fn token(asking: &Asking<'_>, endpoint: &str) -> Result<Place, String> {
    only_one("Azure Arc", asking.host)?;
    let resource = asking.challenge.resource.as_str();
    let url =
        bearer::with_query(endpoint, &[("api-version", "2020-06-01"), ("resource", resource)]);
    let client = client(asking, endpoint);
    let ask = |headers: &[(&str, &str)]| {
        bearer::send(&client, &Request { method: "GET", url: &url, headers, body: &[] })
    };
    let answer = ask(&[("Metadata", "true")])?;
    let Some(path) = answer
        .header("WWW-Authenticate")
        .and_then(|header| header.strip_prefix("Basic realm="))
        .filter(|_| answer.status == 401)
    else {
        let said = bearer::refusal(&answer);
        return Err(format!("{endpoint}: the agent of Azure Arc names no file: {said}"));
    };
    let path = Path::new(path.trim_matches('"'));
    let is_its = path.parent() == Some(Path::new(FOLDER));
    if !is_its || path.extension().is_none_or(|ending| ending != "key") {
        return Err(format!("{endpoint}: the file that is asked for is no key in `{FOLDER}`"));
    }
    let key = asking.host.read_file(path, MAX_FILE).map_err(|error| {
        format!("`{}` cannot be read: {error}; members of the group `himds` can", path.display())
    })?;
    let key = std::str::from_utf8(&key).unwrap_or_default().trim();
    let proof = Zeroizing::new(format!("Basic {key}"));
    read(asking, endpoint, ask(&[("Metadata", "true"), ("Authorization", &proof)])?)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::keys::azure::vault::Challenge;
    use crate::keys::http::{Client, Tls};
    use crate::keys::testing::{Machine, serve};

    const KEY: &str = "/var/opt/azcmagent/tokens/one.key";

    /// Asks an agent that names the file `path` and takes its text.
    fn asked(machine: &Machine, path: &str) -> Result<Place, String> {
        let agent = serve(vec![
            ("metadata: true\r\n", format!("401 No\r\nWWW-Authenticate: Basic realm={path}"), ""),
            (
                "authorization: Basic canary\r\n",
                "200 OK".to_owned(),
                r#"{"access_token":"token","expires_on":"1700003600"}"#,
            ),
        ]);
        let client = Client::new(machine, &Tls::default()).unwrap();
        let challenge =
            Challenge { resource: "https://vault.azure.net".to_owned(), tenant: "t".to_owned() };
        let now = Instant::now();
        let asking = Asking { host: machine, client: &client, challenge: &challenge, now };
        token(&asking, &format!("{agent}/token"))
            .map_err(|error| error.replace(&agent, "http://agent"))
    }

    fn error(machine: &Machine, path: &str) -> String {
        asked(machine, path).map(drop).unwrap_err()
    }

    #[test]
    fn who_can_read_the_file_of_the_agent_has_a_token() {
        let machine = Machine::default().file(KEY, "canary\n");
        let Ok(Place::Token(token)) = asked(&machine, KEY) else { panic!("there is no token") };
        assert_eq!(token.header(), "Bearer token");
    }

    #[test]
    fn no_other_file_is_read() {
        for path in [
            "/etc/passwd",
            "/etc/one.key",
            "/var/opt/azcmagent/tokens/one",
            "/var/opt/azcmagent/tokens/../one.key",
            "/var/opt/azcmagent/tokens/below/one.key",
            "tokens/one.key",
        ] {
            assert_eq!(
                error(&Machine::default().file(path, "canary"), path),
                "http://agent/token: the file that is asked for is no key in \
                 `/var/opt/azcmagent/tokens`",
                "{path}"
            );
        }
    }

    #[test]
    fn what_is_missing_is_said() {
        assert_eq!(
            error(&Machine::default(), KEY),
            format!("`{KEY}` cannot be read: entity not found; members of the group `himds` can")
        );
        assert_eq!(
            error(&Machine::default().file(KEY, "wrong"), KEY),
            "http://agent/token: status 403"
        );
        assert_eq!(
            error(&Machine::with(&[("AZURE_CLIENT_ID", "me")]), KEY),
            "AZURE_CLIENT_ID names an identity, but Azure Arc has only its own: unset it"
        );
        let machine = Machine::default();
        let client = Client::new(&machine, &Tls::default()).unwrap();
        let challenge = Challenge { resource: "https://v".to_owned(), tenant: "t".to_owned() };
        let now = Instant::now();
        let asking = Asking { host: &machine, client: &client, challenge: &challenge, now };
        let agent = serve(vec![("", "200 OK".to_owned(), "{}")]);
        let expected = format!("{agent}: the agent of Azure Arc names no file: status 200");
        assert_eq!(token(&asking, &agent).map(drop).unwrap_err(), expected);
    }
}
