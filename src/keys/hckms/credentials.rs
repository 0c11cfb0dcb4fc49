//! The user's access key: from the environment, the profile file, or the machine's metadata server.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use zeroize::Zeroizing;

use crate::keys::Host;
use crate::keys::http::{Client, Request, Tls};
use crate::secret::SecretBytes;

/// The name of the access key.
const AK: &str = "HUAWEICLOUD_SDK_AK";
/// The secret key.
const SK: &str = "HUAWEICLOUD_SDK_SK";
/// A login of another kind, which SOPS tries after the access key.
const IDP: &str = "HUAWEICLOUD_SDK_IDP_ID";
/// The profile file.
const PROFILE: &str = "HUAWEICLOUD_SDK_CREDENTIALS_FILE";
/// Where the profile file is if the variable is not set, in the home directory.
const OWN_PROFILE: &str = ".huaweicloud/credentials";

/// The longest profile file, in bytes.
const MAX_PROFILE: usize = 1024 * 1024;

/// How long the metadata server may take: outside of the cloud nobody answers at its address.
const METADATA_LIMIT: Duration = Duration::from_secs(1);

/// Where a machine of the cloud asks who it is.
pub(super) const METADATA: &str = "http://169.254.169.254";

/// An access key.
pub(super) struct AccessKey {
    /// Its name.
    pub(super) id: String,
    /// The secret that signs.
    pub(super) secret: SecretBytes,
    /// What a temporary access key needs besides.
    pub(super) token: Option<Zeroizing<String>>,
    /// The project, if the user says it.
    pub(super) project: Option<String>,
    /// The server that knows projects, if the user says it.
    pub(super) iam_endpoint: Option<String>,
    /// Where it was found, for messages.
    pub(super) origin: String,
}

/// Looks in a place; the text is the address of the metadata server.
type Place = fn(&dyn Host, &str) -> Result<AccessKey, String>;

/// Finds the access key.
///
/// # Errors
/// What was wrong in each place, a line each.
pub(super) fn find(host: &dyn Host, metadata: &str) -> Result<AccessKey, Vec<String>> {
    let places: [Place; 3] =
        [|host, _| of_environment(host), |host, _| of_profile(host), of_machine];
    let mut looked_in = Vec::new();
    for place in places {
        match place(host, metadata) {
            Ok(key) => return Ok(key),
            Err(reason) => looked_in.push(reason),
        }
    }
    Err(looked_in)
}

fn of_environment(host: &dyn Host) -> Result<AccessKey, String> {
    let (id, secret) = match (text(host, AK), text(host, SK)) {
        (Some(id), Some(secret)) => (id, secret),
        (None, None) if text(host, IDP).is_some() => {
            return Err(format!("{IDP}: a login by an identity provider is not supported"));
        }
        (None, None) => return Err(format!("{AK} and {SK}: not set")),
        (Some(_), None) => return Err(format!("{SK}: not set")),
        (None, Some(_)) => return Err(format!("{AK}: not set")),
    };
    Ok(AccessKey {
        id: id.to_string(),
        secret: SecretBytes::from(secret.as_str()),
        token: text(host, "HUAWEICLOUD_SDK_SECURITY_TOKEN"),
        project: text(host, "HUAWEICLOUD_SDK_PROJECT_ID").map(|text| text.to_string()),
        iam_endpoint: iam_endpoint(host),
        origin: format!("{AK} and {SK}"),
    })
}

/// Reads the section `[basic]` of the profile file.
fn of_profile(host: &dyn Host) -> Result<AccessKey, String> {
    let path = match text(host, PROFILE) {
        Some(path) => PathBuf::from(path.as_str()),
        None => match text(host, "HOME") {
            Some(home) => PathBuf::from(home.as_str()).join(OWN_PROFILE),
            None => return Err(format!("{PROFILE}: not set")),
        },
    };
    let name = path.display();
    let file = host.read_file(&path, MAX_PROFILE).map_err(|error| format!("{name}: {error}"))?;
    let file = std::str::from_utf8(&file).map_err(|_| format!("{name}: it is no text"))?;
    let mut lines = file.lines().map(str::trim).skip_while(|line| *line != "[basic]").skip(1);
    let section: Vec<(&str, &str)> = lines
        .by_ref()
        .take_while(|line| !line.starts_with('['))
        .filter(|line| !line.starts_with(['#', ';']))
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.trim(), value.trim()))
        .collect();
    let field = |name: &str| {
        let found = section.iter().find(|&&(field, value)| field == name && !value.is_empty());
        found.map(|&(_, value)| value)
    };
    let (Some(id), Some(secret)) = (field("ak"), field("sk")) else {
        return Err(format!("{name}: there is no `ak` and `sk` in its section `[basic]`"));
    };
    Ok(AccessKey {
        id: id.to_owned(),
        secret: SecretBytes::from(secret),
        token: field("security_token").map(|token| Zeroizing::new(token.to_owned())),
        project: field("project_id").map(str::to_owned),
        iam_endpoint: field("iam_endpoint").map(str::to_owned).or_else(|| iam_endpoint(host)),
        origin: name.to_string(),
    })
}

/// What the metadata server says.
#[derive(Deserialize)]
struct Identity {
    credential: Credential,
}

#[derive(Deserialize)]
struct Credential {
    access: String,
    secret: Zeroizing<String>,
    securitytoken: Zeroizing<String>,
}

/// Asks the metadata server, as a machine of the cloud does that has an agency.
fn of_machine(host: &dyn Host, metadata: &str) -> Result<AccessKey, String> {
    let url = format!("{metadata}/openstack/latest/securitykey");
    let client = Client::new(host, &Tls::default())?.within(METADATA_LIMIT);
    let answer = client.send(&Request { method: "GET", url: &url, headers: &[], body: &[] })?;
    if !answer.is_success() {
        return Err(format!("GET {url}: status {}", answer.status));
    }
    let identity: Identity = serde_json::from_slice(&answer.body)
        .map_err(|_| format!("GET {url}: there is no access key in the answer"))?;
    let Credential { access, secret, securitytoken } = identity.credential;
    Ok(AccessKey {
        id: access,
        secret: SecretBytes::from(secret.as_str()),
        token: Some(securitytoken),
        project: text(host, "HUAWEICLOUD_SDK_PROJECT_ID").map(|text| text.to_string()),
        iam_endpoint: iam_endpoint(host),
        origin: url,
    })
}

fn iam_endpoint(host: &dyn Host) -> Option<String> {
    text(host, "HUAWEICLOUD_SDK_IAM_ENDPOINT").map(|text| text.to_string())
}

/// Returns a variable that is not empty.
fn text(host: &dyn Host, name: &str) -> Option<Zeroizing<String>> {
    let text = host.variable(name)?.into_string().ok().filter(|text| !text.is_empty())?;
    Some(Zeroizing::new(text))
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::TcpListener;
    use std::thread;

    use super::*;
    use crate::keys::testing::Machine;

    fn machine(variables: &[(&'static str, &str)], profile: Option<&str>) -> Machine {
        let machine = Machine::with(&[&[(PROFILE, "/profile")], variables].concat());
        match profile {
            Some(profile) => machine.file("/profile", profile),
            None => machine,
        }
    }

    /// Answers one request as a metadata server; returns its address.
    fn metadata_server(body: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let mut reader = BufReader::new(listener.accept().unwrap().0);
            let mut line = String::new();
            while reader.read_line(&mut line).unwrap() > 2 {
                line.clear();
            }
            let length = body.len();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
            reader.get_mut().write_all(answer.as_bytes()).unwrap();
        });
        format!("http://{address}")
    }

    /// An address where nobody listens.
    const NOBODY: &str = "http://127.0.0.1:1";

    const PROFILE_TEXT: &str = "; mine\n[other]\nak = no\n[basic]\n# key\nak = A\nsk=S=\n\
                                iam_endpoint = https://iam.example\nproject_id=\n[last]\nsk = no\n";

    #[test]
    fn the_environment_comes_before_the_profile() {
        let variables = [(AK, "a"), (SK, "s"), ("HUAWEICLOUD_SDK_PROJECT_ID", "p")];
        let key = find(&machine(&variables, Some(PROFILE_TEXT)), NOBODY).ok().unwrap();
        assert_eq!((&*key.id, &*key.secret), ("a", &b"s"[..]));
        assert_eq!(key.project.as_deref(), Some("p"));
        let key = find(&machine(&[(AK, "a")], Some(PROFILE_TEXT)), NOBODY).ok().unwrap();
        assert_eq!((&*key.id, &*key.secret), ("A", &b"S="[..]));
        assert_eq!((key.project, key.token.is_some()), (None, false));
        assert_eq!(key.iam_endpoint.as_deref(), Some("https://iam.example"));
    }

    #[test]
    fn the_metadata_server_is_asked_last() {
        let answer = r#"{"credential":{"access":"M","secret":"N","securitytoken":"T","x":1}}"#;
        let server = metadata_server(answer);
        let key = find(&machine(&[], None), &server).ok().unwrap();
        assert_eq!((&*key.id, &*key.secret), ("M", &b"N"[..]));
        assert_eq!(key.token.as_deref().map(String::as_str), Some("T"));
    }

    #[test]
    fn all_places_are_named_where_nothing_is_found() {
        let server = metadata_server(r#"{"credential":{}}"#);
        assert_eq!(
            find(&machine(&[(AK, "a")], Some("[basic]\nak = canary\n")), &server).err().unwrap(),
            [
                "HUAWEICLOUD_SDK_SK: not set".to_owned(),
                "/profile: there is no `ak` and `sk` in its section `[basic]`".to_owned(),
                format!(
                    "GET {server}/openstack/latest/securitykey: there is no access key in the \
                     answer"
                ),
            ]
        );
    }
}
