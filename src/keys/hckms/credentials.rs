//! The user's access key: from the environment, the profile file, or the machine's metadata server.
//! Where the first two have a login by an identity provider ([`Login`]), that comes before an access
//! key, as in the SDK.

use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroizing;

use super::login::{Identity, Login, Temporary};
use crate::keys::Host;
use crate::keys::http::{Client, Request, Tls};
use crate::secret::SecretBytes;
use crate::tree::Timestamp;

/// The name of the access key.
const AK: &str = "HUAWEICLOUD_SDK_AK";
/// The secret key.
const SK: &str = "HUAWEICLOUD_SDK_SK";
/// The identity provider of a login.
const IDP: &str = "HUAWEICLOUD_SDK_IDP_ID";
/// What is logged in with.
const ID_TOKEN: &str = "HUAWEICLOUD_SDK_ID_TOKEN_FILE";
/// The profile file.
const PROFILE: &str = "HUAWEICLOUD_SDK_CREDENTIALS_FILE";
/// Where the profile file is if the variable is not set, in the home directory.
const OWN_PROFILE: &str = ".huaweicloud/credentials";

/// The longest profile file, in bytes.
const MAX_PROFILE: usize = 1024 * 1024;

/// How long an access key is used that counts for a while; servers give them for six hours or more.
const LIFE: Duration = Duration::from_secs(3600);

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
    /// When it is looked for anew.
    pub(super) until: Option<Timestamp>,
    /// The project, if the user says it.
    pub(super) project: Option<String>,
    /// The server that knows projects, if the user says it.
    pub(super) iam_endpoint: Option<String>,
    /// Where it was found, for messages.
    pub(super) origin: String,
}

/// Why a place has no access key.
enum Missing {
    /// Nothing is there, and the next one is looked in.
    Nothing(String),
    /// Who sets a login does not mean another place.
    Failed(String),
}

impl From<String> for Missing {
    fn from(reason: String) -> Missing {
        Missing::Nothing(reason)
    }
}

/// Looks in a place; the text is the address of the metadata server.
type Place = fn(&dyn Host, &str) -> Result<AccessKey, Missing>;

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
            Err(Missing::Nothing(reason)) => looked_in.push(reason),
            Err(Missing::Failed(reason)) => return Err(vec![reason]),
        }
    }
    Err(looked_in)
}

fn of_environment(host: &dyn Host) -> Result<AccessKey, Missing> {
    let project = text(host, "HUAWEICLOUD_SDK_PROJECT_ID").map(|text| text.to_string());
    let (provider, token_file) = (text(host, IDP), text(host, ID_TOKEN));
    let (id, secret) = match (text(host, AK), text(host, SK), provider, token_file) {
        (_, _, Some(provider), Some(file)) => {
            let login = Login { provider, token_file: PathBuf::from(file.as_str()) };
            return of_login(host, &login, iam_endpoint(host), project, IDP);
        }
        (Some(id), Some(secret), ..) => (id, secret),
        (None, None, Some(_), None) => return Err(format!("{ID_TOKEN}: not set").into()),
        (None, None, None, Some(_)) => return Err(format!("{IDP}: not set").into()),
        (None, None, None, None) => return Err(format!("{AK} and {SK}: not set").into()),
        (Some(_), None, ..) => return Err(format!("{SK}: not set").into()),
        (None, Some(_), ..) => return Err(format!("{AK}: not set").into()),
    };
    Ok(AccessKey {
        id: id.to_string(),
        secret: SecretBytes::from(secret.as_str()),
        token: text(host, "HUAWEICLOUD_SDK_SECURITY_TOKEN"),
        until: None,
        project,
        iam_endpoint: iam_endpoint(host),
        origin: format!("{AK} and {SK}"),
    })
}

/// Logs in by what `origin` says.
fn of_login(
    host: &dyn Host,
    login: &Login,
    iam_endpoint: Option<String>,
    project: Option<String>,
    origin: &str,
) -> Result<AccessKey, Missing> {
    let key = login.access_key(host, iam_endpoint.as_deref());
    let key = key.map_err(|reason| Missing::Failed(format!("{origin}: {reason}")))?;
    Ok(temporary(host, key, iam_endpoint, project, origin.to_owned()))
}

fn temporary(
    host: &dyn Host,
    key: Temporary,
    iam_endpoint: Option<String>,
    project: Option<String>,
    origin: String,
) -> AccessKey {
    AccessKey {
        id: key.access,
        secret: SecretBytes::from(key.secret.as_str()),
        token: Some(key.securitytoken),
        until: Some(host.now() + LIFE),
        project,
        iam_endpoint,
        origin,
    }
}

/// Reads the section `[basic]` of the profile file.
fn of_profile(host: &dyn Host) -> Result<AccessKey, Missing> {
    let path = match text(host, PROFILE) {
        Some(path) => PathBuf::from(path.as_str()),
        None => match text(host, "HOME") {
            Some(home) => PathBuf::from(home.as_str()).join(OWN_PROFILE),
            None => return Err(format!("{PROFILE}: not set").into()),
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
    let iam_endpoint = field("iam_endpoint").map(str::to_owned).or_else(|| iam_endpoint(host));
    let project = field("project_id").map(str::to_owned);
    if let (Some(provider), Some(file)) = (field("idp_id"), field("id_token_file")) {
        let provider = Zeroizing::new(provider.to_owned());
        let login = Login { provider, token_file: PathBuf::from(file) };
        return of_login(host, &login, iam_endpoint, project, &name.to_string());
    }
    let (Some(id), Some(secret)) = (field("ak"), field("sk")) else {
        let missing = "`ak` and `sk`, or `idp_id` and `id_token_file`,";
        return Err(format!("{name}: there is no {missing} in its section `[basic]`").into());
    };
    Ok(AccessKey {
        id: id.to_owned(),
        secret: SecretBytes::from(secret),
        token: field("security_token").map(|token| Zeroizing::new(token.to_owned())),
        until: None,
        project,
        iam_endpoint,
        origin: name.to_string(),
    })
}

/// Asks the metadata server, as a machine of the cloud does that has an agency.
fn of_machine(host: &dyn Host, metadata: &str) -> Result<AccessKey, Missing> {
    let url = format!("{metadata}/openstack/latest/securitykey");
    let client = Client::new(host, &Tls::default())?.within(METADATA_LIMIT);
    let answer = client.send(&Request { method: "GET", url: &url, headers: &[], body: &[] })?;
    if !answer.is_success() {
        return Err(format!("GET {url}: status {}", answer.status).into());
    }
    let identity: Identity = serde_json::from_slice(&answer.body)
        .map_err(|_| format!("GET {url}: there is no access key in the answer"))?;
    let project = text(host, "HUAWEICLOUD_SDK_PROJECT_ID").map(|text| text.to_string());
    Ok(temporary(host, identity.credential, iam_endpoint(host), project, url))
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
    use super::*;
    use crate::keys::testing::{Machine, serve};

    fn machine(variables: &[(&'static str, &str)], profile: Option<&str>) -> Machine {
        let machine = Machine::with(&[&[(PROFILE, "/profile")], variables].concat());
        match profile {
            Some(profile) => machine.file("/profile", profile),
            None => machine,
        }
    }

    /// Answers one request as a metadata server; returns its address.
    fn metadata_server(body: &'static str) -> String {
        serve(vec![("GET /openstack/latest/securitykey ", "200 OK".to_owned(), body)])
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
                "/profile: there is no `ak` and `sk`, or `idp_id` and `id_token_file`, in its \
                 section `[basic]`"
                    .to_owned(),
                format!(
                    "GET {server}/openstack/latest/securitykey: there is no access key in the \
                     answer"
                ),
            ]
        );
    }
}
