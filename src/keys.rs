//! Master keys: who can get at a file's data key.
//!
//! A file has one or more [`KeyGroup`]s. With one group, each of its keys wraps the data key; with
//! several, the data key is split by Shamir's scheme and each group's keys wrap that group's part.
//! A key service is one type that implements [`MasterKey`] and one entry in [`KINDS`]; all that
//! the rest of the program knows of it stands there.
//!
//! This module knows neither documents nor the `sops` block. It prints nothing and reads no
//! environment: what a key needs comes with [`Credentials`].

pub mod age;
pub mod unknown;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::crypt::data_key::{DataKey, RandomnessError};
use crate::crypt::shamir::{self, ShamirError};
use crate::secret::SecretBytes;

/// All kinds of master keys.
pub static KINDS: &[&KeyKind] = &[&age::KIND];

/// Kinds that SOPS has and this version does not: an entry in a file is kept, a request for a new
/// one is refused by name.
pub static FOREIGN_KINDS: &[ForeignKind] = &[
    ForeignKind { name: "kms", title: "AWS KMS", env: "SOPS_KMS_ARN" },
    ForeignKind { name: "pgp", title: "PGP", env: "SOPS_PGP_FP" },
    ForeignKind { name: "gcp_kms", title: "GCP KMS", env: "SOPS_GCP_KMS_IDS" },
    ForeignKind { name: "hckms", title: "HuaweiCloud KMS", env: "SOPS_HUAWEICLOUD_KMS_IDS" },
    ForeignKind { name: "azure_kv", title: "Azure Key Vault", env: "SOPS_AZURE_KEYVAULT_URLS" },
    ForeignKind { name: "hc_vault", title: "HashiCorp Vault", env: "SOPS_VAULT_URIS" },
];

/// Decryption order when none is given, as in SOPS.
pub const DEFAULT_DECRYPTION_ORDER: &[&str] = &["age", "pgp"];

/// A master key: something that can wrap a data key and, with the right credentials, unwrap it.
pub trait MasterKey: fmt::Debug + Send + Sync {
    /// Returns the name of the kind: the field in the metadata and the word in
    /// `--decryption-order`.
    fn kind(&self) -> &str;

    /// Returns the text that stands for the key in messages and in comparisons.
    fn identity(&self) -> &str;

    /// Wraps a data key, or a part of one, for this key.
    fn wrap(&self, key: &[u8], with: &Credentials) -> Result<String, KeyError>;

    /// Unwraps; `None` if nothing that could do it is at hand.
    fn unwrap(&self, wrapped: &str, with: &Credentials) -> Option<Result<SecretBytes, KeyError>>;

    /// Returns the fields that name the key in the metadata, without the wrapped key.
    fn fields(&self) -> Vec<(String, FieldValue)>;
}

/// Makes a key from a text.
pub type ParseKey = fn(&str) -> Result<Arc<dyn MasterKey>, KeyError>;

/// Makes a key from the fields of a metadata entry.
pub type ReadKey = fn(&[(String, FieldValue)]) -> Arc<dyn MasterKey>;

/// What the rest of the program knows of a kind of master key.
#[derive(Debug)]
pub struct KeyKind {
    /// The field in the metadata, and the word in `--decryption-order`.
    pub name: &'static str,
    /// The name for people.
    pub title: &'static str,
    /// The environment variable that stands in for the flag.
    pub env: &'static str,
    /// Makes a key from the text that the flag and the config take.
    pub parse: ParseKey,
    /// Makes a key from the fields of a metadata entry.
    pub from_fields: ReadKey,
}

/// A kind that SOPS has and this version does not.
#[derive(Debug)]
pub struct ForeignKind {
    /// The field in the metadata.
    pub name: &'static str,
    /// The name for people.
    pub title: &'static str,
    /// The environment variable by which SOPS takes such keys.
    pub env: &'static str,
}

/// A field of a metadata entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldValue {
    /// A text, or the source text of another scalar.
    Text(String),
    /// Nothing.
    Null,
    /// A list.
    List(Vec<FieldValue>),
    /// A map.
    Map(Vec<(String, FieldValue)>),
}

impl FieldValue {
    /// Returns the text of a scalar.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            FieldValue::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// A master key with the data key (or part) that it wrapped.
#[derive(Clone, Debug)]
pub struct WrappedKey {
    /// The key.
    pub key: Arc<dyn MasterKey>,
    /// The wrapped data key as it stands in the file; `None` until [`wrap_all`].
    pub wrapped: Option<String>,
    /// When the key was added, as it stands in the file.
    pub created_at: Option<String>,
}

impl WrappedKey {
    /// Returns a key that has not wrapped anything yet.
    pub fn new(key: Arc<dyn MasterKey>) -> WrappedKey {
        WrappedKey { key, wrapped: None, created_at: None }
    }
}

/// Keys each of which gives the group's part of the data key.
#[derive(Clone, Debug, Default)]
pub struct KeyGroup {
    /// The keys, in the order of the file.
    pub keys: Vec<WrappedKey>,
}

/// What keys may use: identities, agents, clients. Everything in it loads when it is first needed
/// and at most once.
pub struct Credentials {
    /// The age identities.
    pub age: age::Identities,
}

impl Credentials {
    /// Returns credentials with these age identities.
    pub fn new(age: age::Identities) -> Credentials {
        Credentials { age }
    }

    /// Returns no credentials: nothing can be unwrapped.
    pub fn none() -> Credentials {
        Credentials { age: age::Identities::none() }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

/// The machine that keys run on, as far as they need it.
pub trait Host: Send + Sync {
    /// Reads a whole file.
    fn read_file(&self, path: &Path) -> std::io::Result<SecretBytes>;

    /// Runs a command line, split into words without a shell, and returns what it printed.
    ///
    /// # Errors
    /// A message for people that holds nothing of what was printed.
    fn run(&self, command: &str, env: &[(&str, &str)]) -> Result<SecretBytes, String>;
}

/// Makes a master key from the text that a flag or the config has.
///
/// # Errors
/// If the kind is not built in, or the text does not name a key of the kind.
pub fn parse(kind: &str, text: &str) -> Result<Arc<dyn MasterKey>, KeyError> {
    if let Some(known) = KINDS.iter().find(|known| known.name == kind) {
        (known.parse)(text.trim())
    } else {
        let foreign = FOREIGN_KINDS.iter().find(|foreign| foreign.name == kind);
        Err(KeyError::KindNotBuilt {
            title: foreign.map_or_else(|| kind.to_owned(), |kind| kind.title.to_owned()),
        })
    }
}

/// Makes a master key from a metadata entry under the field `kind`; a kind that is not known is
/// kept as it is.
pub fn from_fields(kind: &str, fields: Vec<(String, FieldValue)>) -> Arc<dyn MasterKey> {
    match KINDS.iter().find(|known| known.name == kind) {
        Some(known) => (known.from_fields)(&fields),
        None => Arc::new(unknown::UnknownKey::new(kind, fields)),
    }
}

/// Returns the number of groups that are needed: the threshold, or all groups if it is 0.
pub fn needed_groups(groups: usize, threshold: usize) -> usize {
    match (groups, threshold) {
        (0 | 1, _) => 1,
        (groups, 0) => groups,
        (_, threshold) => threshold,
    }
}

/// Wraps `data_key` anew for every key of `groups`. Nothing is changed on an error.
///
/// # Errors
/// If a group is empty, the threshold cannot be met, or a key fails: all failures are listed.
pub fn wrap_all(
    groups: &mut [KeyGroup],
    threshold: usize,
    data_key: &DataKey,
    with: &Credentials,
) -> Result<(), WrapError> {
    if groups.is_empty() || groups.iter().any(|group| group.keys.is_empty()) {
        return Err(WrapError::EmptyGroup);
    }
    let parts = if groups.len() == 1 {
        vec![SecretBytes::from(&data_key.as_bytes()[..])]
    } else {
        let needed = needed_groups(groups.len(), threshold);
        shamir::split(data_key.as_bytes(), groups.len(), needed)?
    };
    let groups = groups.iter_mut().zip(&parts);
    wrap(groups.flat_map(|(group, part)| group.keys.iter_mut().map(move |key| (key, part))), with)
}

/// Wraps `data_key` for the keys of a file's only group that have not wrapped it yet; the others
/// stay as they are. Nothing is changed on an error.
///
/// # Errors
/// If the group is empty, or a key fails: all failures are listed.
pub fn wrap_new(
    group: &mut KeyGroup,
    data_key: &DataKey,
    with: &Credentials,
) -> Result<(), WrapError> {
    if group.keys.is_empty() {
        return Err(WrapError::EmptyGroup);
    }
    let whole = SecretBytes::from(&data_key.as_bytes()[..]);
    let new = group.keys.iter_mut().filter(|key| key.wrapped.is_none());
    wrap(new.map(|key| (key, &whole)), with)
}

/// Wraps a part of a data key for each key.
fn wrap<'k>(
    keys: impl Iterator<Item = (&'k mut WrappedKey, &'k SecretBytes)>,
    with: &Credentials,
) -> Result<(), WrapError> {
    let mut wrapped = Vec::new();
    let mut failures = Vec::new();
    for (key, part) in keys {
        match key.key.wrap(part, with) {
            Ok(text) => wrapped.push((key, text)),
            Err(error) => failures.push((key.key.identity().to_owned(), error)),
        }
    }
    if !failures.is_empty() {
        return Err(WrapError::Keys { failures });
    }
    for (key, text) in wrapped {
        key.wrapped = Some(text);
    }
    Ok(())
}

/// Recovers the data key of `groups`, trying in each group the kinds of `order` first.
///
/// # Errors
/// A report of every key that was tried.
pub fn unwrap_any(
    groups: &[KeyGroup],
    threshold: usize,
    order: &[&str],
    with: &Credentials,
) -> Result<DataKey, UnwrapError> {
    let needed = needed_groups(groups.len(), threshold);
    let mut report = UnwrapReport { needed, groups: Vec::new() };
    let mut parts = Vec::new();
    for group in groups {
        let mut attempts = Vec::new();
        let part = unwrap_group(group, order, with, &mut attempts);
        report.groups.push(GroupReport { attempts, recovered: part.is_some() });
        parts.extend(part);
        if parts.len() == needed {
            break;
        }
    }
    if parts.len() < needed {
        return Err(UnwrapError::NotRecovered(report));
    }
    let key = if groups.len() == 1 { parts.swap_remove(0) } else { shamir::combine(&parts)? };
    DataKey::from_bytes(&key).ok_or(UnwrapError::NotADataKey { length: key.len() })
}

fn unwrap_group(
    group: &KeyGroup,
    order: &[&str],
    with: &Credentials,
    attempts: &mut Vec<Attempt>,
) -> Option<SecretBytes> {
    let mut keys: Vec<&WrappedKey> = group.keys.iter().collect();
    let rank = |key: &WrappedKey| {
        order.iter().position(|&kind| kind == key.key.kind()).unwrap_or(order.len())
    };
    keys.sort_by_key(|key| rank(key));
    for key in keys {
        let error = match &key.wrapped {
            Some(wrapped) => match key.key.unwrap(wrapped, with) {
                Some(Ok(part)) => return Some(part),
                Some(Err(error)) => Some(error),
                None => None,
            },
            None => Some(KeyError::Malformed { what: "the entry has no wrapped data key" }),
        };
        attempts.push(Attempt {
            kind: key.key.kind().to_owned(),
            identity: key.key.identity().to_owned(),
            error,
        });
    }
    None
}

/// What was tried to recover a data key.
#[derive(Debug)]
pub struct UnwrapReport {
    /// The number of groups needed.
    pub needed: usize,
    /// Each group that was tried.
    pub groups: Vec<GroupReport>,
}

/// What was tried with one group.
#[derive(Debug)]
pub struct GroupReport {
    /// The keys that did not unwrap, in the order in which they were tried.
    pub attempts: Vec<Attempt>,
    /// Whether the group's part was recovered.
    pub recovered: bool,
}

/// A key that did not unwrap.
#[derive(Debug)]
pub struct Attempt {
    /// The key's kind.
    pub kind: String,
    /// The key.
    pub identity: String,
    /// Why it failed; `None` if nothing that could unwrap it is at hand.
    pub error: Option<KeyError>,
}

/// Why one key failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// A kind that this version has no code for.
    #[error("{title} keys are not built into this version of encfile")]
    KindNotBuilt {
        /// The name for people.
        title: String,
    },
    /// A text that names no age recipient.
    #[error("{0}")]
    Recipient(#[from] age::RecipientError),
    /// A wrapped key that does not unwrap although an identity fits.
    #[error("{message}")]
    Unwrap {
        /// What the key service said.
        message: String,
    },
    /// Wrapping failed.
    #[error("{message}")]
    Wrap {
        /// What the key service said.
        message: String,
    },
    /// A metadata entry that is not as it should be.
    #[error("{what}")]
    Malformed {
        /// What is wrong.
        what: &'static str,
    },
}

/// Why a data key could not be wrapped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WrapError {
    /// A group without keys.
    #[error("[empty key group provided]")]
    EmptyGroup,
    /// Keys that failed.
    #[error("[{}]", list(failures))]
    Keys {
        /// Each key and why.
        failures: Vec<(String, KeyError)>,
    },
    /// The data key could not be split.
    #[error("[could not split data key into parts for Shamir: {0}]")]
    Split(#[from] ShamirError),
    /// No random bytes for a new data key.
    #[error(transparent)]
    Randomness(#[from] RandomnessError),
}

fn list(failures: &[(String, KeyError)]) -> String {
    let lines: Vec<String> = failures
        .iter()
        .map(|(key, error)| {
            format!("failed to encrypt new data key with master key \"{key}\": {error}")
        })
        .collect();
    lines.join(" ")
}

/// Why a data key could not be recovered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnwrapError {
    /// Too few groups gave their part.
    #[error("failed to get the data key required to decrypt the file")]
    NotRecovered(UnwrapReport),
    /// The parts do not fit together.
    #[error(transparent)]
    Combine(#[from] ShamirError),
    /// What was unwrapped is not a data key.
    #[error("what was unwrapped is {length} bytes long; a data key has 32")]
    NotADataKey {
        /// Its length in bytes.
        length: usize,
    },
}
