//! Clients of KMS, with the credentials of an account: one each for a region, a profile and a role.
//!
//! Nothing is read or asked before the first key is used. Several threads may use a client, and the
//! credentials behind it, at the same time; they are fetched once.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::future::Future;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use aws_config::identity::IdentityCache;
use aws_config::profile::{self, ProfileFileCredentialsProvider};
use aws_config::provider_config::ProviderConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_kms::Client;
use aws_sdk_kms::config::{SharedCredentialsProvider, SharedHttpClient};
use aws_sdk_kms::primitives::Blob;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_types::os_shim_internal::{Env, Fs};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::keys::runtime::block_on;
use crate::keys::{Host, NamedBy, OwnCredentials};
use crate::secret::SecretBytes;

use super::failure;

/// How long a server may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// How long a server may take to answer. It is not asked again then: the user has been told what is
/// waited for, and three times as long would help nobody. Who is asked again, as often as
/// `AWS_MAX_ATTEMPTS` says, which is three times, is a busy server, or one that hangs up.
const ANSWER: Duration = Duration::from_secs(15);

/// How long it may take to get credentials: somebody may have to type the code of a token into a
/// `credential_process`.
const CREDENTIALS: Duration = Duration::from_secs(60);

/// The largest file with certificates, in bytes.
const MAX_PEM: usize = 4 * 1024 * 1024;

/// The longest name of a session with a role.
const MAX_SESSION_NAME: usize = 64;

/// Where the default credentials are looked for first.
const VARIABLES: &[&str] = &[
    "AWS_ACCESS_KEY_ID",
    "AWS_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
];

/// Who asks, and where.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Account {
    /// The region.
    pub(super) region: String,
    /// The profile in the user's files; `None` for the default credentials.
    pub(super) profile: Option<String>,
    /// The role that is taken on.
    pub(super) role: Option<String>,
}

/// All clients of a process.
pub(super) struct Clients {
    host: Arc<dyn Host>,
    http: OnceLock<Result<SharedHttpClient, String>>,
    profiles: Shared<Option<String>, Result<SdkConfig, NoConfig>>,
    connected: Shared<Account, Result<Client, String>>,
    told: Mutex<HashSet<String>>,
    has_no_credentials: AtomicBool,
    /// The profiles whose credentials did not do; an empty name stands for the default ones.
    in_vain: Mutex<BTreeSet<String>>,
}

/// Values that are made once, each by the first thread that needs it.
type Shared<K, V> = Mutex<HashMap<K, Arc<OnceLock<V>>>>;

/// Why there is no configuration.
#[derive(Clone)]
enum NoConfig {
    /// The profile does not exist.
    NoProfile,
    /// Something else.
    Failed(String),
}

impl OwnCredentials for Clients {
    fn of_host(host: &Arc<dyn Host>) -> Clients {
        Clients {
            host: Arc::clone(host),
            http: OnceLock::new(),
            profiles: Mutex::default(),
            connected: Mutex::default(),
            told: Mutex::default(),
            has_no_credentials: AtomicBool::new(false),
            in_vain: Mutex::default(),
        }
    }
}

impl Clients {
    /// Wraps a data key.
    ///
    /// # Errors
    /// A message for people.
    pub(super) fn encrypt(
        &self,
        account: &Account,
        named_by: NamedBy,
        arn: &str,
        context: &HashMap<String, String>,
        key: &[u8],
    ) -> Result<Vec<u8>, String> {
        let request = self
            .client(account, named_by)?
            .encrypt()
            .key_id(arn)
            .plaintext(Blob::new(key))
            .set_encryption_context(Some(context.clone()));
        let answer = wait(request.send())?.map_err(|error| {
            self.note_failure(&error, account);
            failure::message("KMS: Encrypt", &error, account)
        })?;
        let wrapped = answer.ciphertext_blob.ok_or("KMS: Encrypt: the answer has no data key")?;
        Ok(wrapped.into_inner())
    }

    /// Unwraps a data key.
    ///
    /// # Errors
    /// A message for people.
    pub(super) fn decrypt(
        &self,
        account: &Account,
        named_by: NamedBy,
        arn: &str,
        context: &HashMap<String, String>,
        wrapped: Vec<u8>,
    ) -> Result<SecretBytes, String> {
        let request = self
            .client(account, named_by)?
            .decrypt()
            .key_id(arn)
            .ciphertext_blob(Blob::new(wrapped))
            .set_encryption_context(Some(context.clone()));
        let answer = wait(request.send())?.map_err(|error| {
            self.note_failure(&error, account);
            failure::message("KMS: Decrypt", &error, account)
        })?;
        let key = answer.plaintext.ok_or("KMS: Decrypt: the answer has no data key")?;
        Ok(SecretBytes::from(key.into_inner()))
    }

    /// Returns where credentials were looked for, if there are none, or else which did not do.
    pub(super) fn looked_in(&self) -> Vec<String> {
        let is_set = |name: &str| self.host.variable(name).is_some_and(|value| !value.is_empty());
        let files = "~/.aws/config and ~/.aws/credentials, and a metadata server of AWS".to_owned();
        if self.has_no_credentials.load(Ordering::Relaxed) {
            let line =
                |name: &&str| format!("{name}: {}", if is_set(name) { "set" } else { "not set" });
            return VARIABLES.iter().map(line).chain([files]).collect();
        }
        let (profiles, missing) = (lock(&self.in_vain), lock(&self.told));
        let is_default = |name: &str| name.is_empty() || missing.contains(name);
        let named = profiles.iter().filter(|name| !is_default(name));
        let mut places: Vec<String> =
            named.map(|name| format!("the AWS profile `{name}`")).collect();
        if profiles.iter().any(|name| is_default(name)) {
            let set: Vec<&str> = VARIABLES.iter().copied().filter(|name| is_set(name)).collect();
            match set[..] {
                // These come before all others.
                ["AWS_ACCESS_KEY_ID", ..] => places.push("AWS_ACCESS_KEY_ID: set".to_owned()),
                [] => places.push(files),
                _ => places.extend(set.iter().map(|name| format!("{name}: set"))),
            }
        }
        places
    }

    fn note_failure(&self, error: &(dyn std::error::Error + 'static), account: &Account) {
        if failure::is_without_credentials(error) {
            self.has_no_credentials.store(true, Ordering::Relaxed);
        }
        lock(&self.in_vain).insert(account.profile.clone().unwrap_or_default());
    }

    /// Returns the client for an account.
    ///
    /// A profile that only a file names, and that is not there, gives way to the default
    /// credentials: names of profiles are their user's, and files have many.
    fn client(&self, account: &Account, named_by: NamedBy) -> Result<Client, String> {
        let base = self.profile(account.profile.as_deref(), &account.region);
        let (account, base) = match (base, &account.profile, named_by) {
            (Err(NoConfig::NoProfile), Some(name), NamedBy::File) => {
                if lock(&self.told).insert(name.clone()) {
                    self.host.note(&format!(
                        "the AWS profile `{name}` that the file names does not exist here; the \
                         default credentials are used"
                    ));
                }
                let account = Account { profile: None, ..account.clone() };
                let base = self.profile(None, &account.region);
                (Cow::Owned(account), base)
            }
            (base, ..) => (Cow::Borrowed(account), base),
        };
        let base = base.map_err(|error| {
            let why = match error {
                NoConfig::NoProfile => format!(
                    "failed to get shared config profile, {}",
                    account.profile.as_deref().unwrap_or("default")
                ),
                NoConfig::Failed(why) => why,
            };
            format!("could not load AWS config: {why}")
        })?;
        once(&self.connected, account.as_ref(), || wait(self.connect(&account, &base)))
    }

    /// Returns the configuration for a profile, or that of the environment; the region is not part
    /// of it.
    fn profile(&self, profile: Option<&str>, region: &str) -> Result<SdkConfig, NoConfig> {
        once(&self.profiles, &profile.map(str::to_owned), || {
            let http = self.http().map_err(NoConfig::Failed)?;
            let region = Region::new(region.to_owned());
            wait(load(profile, Some(region), http)).map_err(NoConfig::Failed)?
        })
    }

    /// Returns the configuration of the environment, with its region.
    #[cfg(feature = "publish")]
    pub(super) fn environment(&self) -> Result<SdkConfig, String> {
        match wait(load(None, None, self.http()?))? {
            Ok(config) => Ok(config),
            Err(NoConfig::Failed(why)) => Err(why),
            Err(NoConfig::NoProfile) => Err("there is no such profile".to_owned()),
        }
    }

    fn http(&self) -> Result<SharedHttpClient, String> {
        self.http.get_or_init(|| http_client(&*self.host)).clone()
    }

    async fn connect(&self, account: &Account, base: &SdkConfig) -> Client {
        let region = Region::new(account.region.clone());
        let mut config = base.to_builder().region(region.clone());
        if let Some(role) = &account.role {
            let provider = AssumeRoleProvider::builder(role)
                .session_name(session_name(self.host.name().as_deref().unwrap_or_default()))
                .region(region)
                .configure(base)
                .build()
                .await;
            config = config.credentials_provider(SharedCredentialsProvider::new(provider));
        }
        Client::new(&config.build())
    }
}

/// Runs a future of the AWS client.
pub(super) fn wait<F: Future>(future: F) -> Result<F::Output, String> {
    block_on(future).map_err(|error| format!("no connection can be made: {error}"))
}

/// Loads the configuration for a profile, or that of the environment; so with the region.
async fn load(
    profile: Option<&str>,
    region: Option<Region>,
    http: SharedHttpClient,
) -> Result<SdkConfig, NoConfig> {
    let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT).read_timeout(ANSWER).build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http.clone())
        .timeout_config(timeouts)
        .identity_cache(IdentityCache::lazy().load_timeout(CREDENTIALS).build());
    if let Some(region) = &region {
        loader = loader.region(region.clone());
    }
    if let Some(name) = profile {
        #[expect(clippy::default_trait_access, reason = "`aws-config` has no name for the type")]
        let all = profile::load(&Fs::real(), &Env::real(), &Default::default(), None)
            .await
            .map_err(|error| NoConfig::Failed(failure::reason(&error)))?;
        if all.get_profile(name).is_none() {
            return Err(NoConfig::NoProfile);
        }
        // Without this the credentials in the environment would come first.
        let provider = ProfileFileCredentialsProvider::builder()
            .configure(&ProviderConfig::without_region().with_region(region).with_http_client(http))
            .profile_name(name)
            .build();
        loader = loader.profile_name(name).credentials_provider(provider);
    }
    Ok(loader.load().await)
}

/// Returns what sends requests: over rustls, through the proxy that the environment names.
fn http_client(host: &dyn Host) -> Result<SharedHttpClient, String> {
    let mut tls = TlsContext::builder();
    if let Some(path) = host.variable("AWS_CA_BUNDLE").filter(|path| !path.is_empty()) {
        tls = tls.with_trust_store(bundle(host, Path::new(&path))?);
    }
    let tls = tls.build().map_err(|error| error.to_string())?;
    // A connector keeps its connections; there is one for each pair of time limits.
    let connectors = Mutex::new(HashMap::<_, SharedHttpConnector>::new());
    Ok(http_client_fn(move |settings, components| {
        let limits = (settings.connect_timeout(), settings.read_timeout());
        let new = || {
            let mut builder = Connector::builder()
                .connector_settings(settings.clone())
                .proxy_config(ProxyConfig::from_env());
            builder.set_sleep_impl(components.sleep_impl());
            let builder = builder.tls_provider(Provider::Rustls(CryptoMode::Ring));
            let connector = builder.tls_context(tls.clone()).build();
            // The metadata server has shorter limits of its own, and is asked again.
            match settings.read_timeout() {
                Some(ANSWER) => SharedHttpConnector::new(Impatient(connector)),
                _ => SharedHttpConnector::new(connector),
            }
        };
        lock(&connectors).entry(limits).or_insert_with(new).clone()
    }))
}

/// Sends requests for a client that would send one again if there is no answer in time: the error says
/// the same and is of another sort.
#[derive(Debug)]
struct Impatient<C>(C);

impl<C: HttpConnector> HttpConnector for Impatient<C> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let answer = self.0.call(request);
        HttpConnectorFuture::new(async move {
            answer.await.map_err(|error| {
                if error.is_timeout() {
                    ConnectorError::other(error.into_source(), None)
                } else {
                    error
                }
            })
        })
    }
}

/// Reads the certificates of the only authorities that count. They are checked here, because
/// `TrustStore` takes what is wrong with them for a bug.
fn bundle(host: &dyn Host, path: &Path) -> Result<TrustStore, String> {
    let failed =
        |why: &dyn std::fmt::Display| format!("AWS_CA_BUNDLE: `{}`: {why}", path.display());
    let text = host.read_file(path, MAX_PEM).map_err(|error| failed(&error))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.map_err(|_| failed(&"a certificate cannot be read"))?;
        roots.add(certificate).map_err(|_| failed(&"a certificate cannot be used"))?;
    }
    if roots.is_empty() {
        return Err(failed(&"it holds no certificate"));
    }
    Ok(TrustStore::empty().with_pem_certificate(text.to_vec()))
}

/// Returns the name of a session with a role, which is SOPS': administrators may have rules for it.
fn session_name(machine: &str) -> String {
    let allowed = |character: &char| {
        character.is_ascii_alphanumeric() || matches!(character, '=' | ',' | '.' | '@'..='_')
    };
    "sops@".chars().chain(machine.chars().filter(allowed)).take(MAX_SESSION_NAME).collect()
}

/// Returns the value of a key, made by `make` if there is none yet. Other threads that need it wait;
/// those that need another do not.
fn once<K: Clone + Eq + std::hash::Hash, V: Clone>(
    all: &Shared<K, V>,
    key: &K,
    make: impl FnOnce() -> V,
) -> V {
    let cell = Arc::clone(lock(all).entry(key.clone()).or_default());
    cell.get_or_init(make).clone()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_called_as_those_of_sops() {
        assert_eq!(session_name("build-7.example"), "sops@build7.example");
        assert_eq!(session_name("a b/c:d_e"), "sops@abcd_e");
        assert_eq!(session_name(&"x".repeat(100)).len(), MAX_SESSION_NAME);
        assert_eq!(session_name(""), "sops@");
    }
}
