//! Master keys: who can get at a file's data key.
//!
//! A file has one or more [`KeyGroup`]s. With one group, each of its keys wraps the data key; with
//! several, the data key is split by Shamir's scheme and each group's keys wrap that group's part.
//! A key service is one file with a type that implements [`MasterKey`], and one entry in [`KINDS`];
//! all that the rest of the program knows of it stands there.
//!
//! This module knows neither documents nor the `sops` block. It prints nothing and reads no
//! environment: what a key needs comes with [`Credentials`].

pub mod age;
#[cfg(feature = "aws")]
pub(crate) mod aws;
#[cfg(feature = "azure")]
mod azure;
#[cfg(any(feature = "azure", feature = "gcp"))]
mod bearer;
mod credentials;
mod foreign;
#[cfg(feature = "gcp")]
pub(crate) mod gcp;
#[cfg(feature = "hc-vault")]
pub(crate) mod hc_vault;
#[cfg(feature = "huawei")]
mod hckms;
mod host;
#[cfg(feature = "http")]
mod http;
mod kind;
pub mod pgp;
#[cfg(feature = "keyservice")]
pub mod remote;
#[cfg(feature = "runtime")]
pub(crate) mod runtime;
mod services;
#[cfg(all(test, any(feature = "azure", feature = "gcp", feature = "huawei")))]
mod testing;
mod together;
pub mod unknown;
mod unwrap;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use crate::crypt::data_key::{DataKey, RandomnessError};
use crate::crypt::shamir::{self, ShamirError};
use crate::number;
use crate::secret::SecretBytes;
use crate::tree::Timestamp;

use self::together::{Step, Waiting};

pub use self::credentials::{Credentials, FileServers, OwnCredentials};
pub use self::host::{CommandLine, Finished, Host, Question, Run, Talk, error_text};
pub use self::kind::{
    ConfigNames, DEFAULT_DECRYPTION_ORDER, KINDS, KeyCode, KeyFlag, KeyKind, KeyOption, Member,
    MemberField, NamedBy, is_same_key,
};
pub use self::services::{KeyService, Memory, Services};
pub use self::unwrap::{
    Attempt, GroupReport, Progress, UnwrapError, UnwrapReport, unwrap_ahead, unwrap_any,
};

/// The longest wrapped key that is unwrapped, in bytes: a header of age with a stanza of the largest
/// kind is far below, and so is what every service makes.
const MAX_WRAPPED: usize = 64 * 1024;

/// A master key: something that can wrap a data key and, with the right credentials, unwrap it.
pub trait MasterKey: fmt::Debug + Send + Sync {
    /// Returns the name of the kind: the field in the metadata and the word in
    /// `--decryption-order`.
    fn kind(&self) -> &str;

    /// Returns the text that stands for the key in messages and in comparisons.
    fn identity(&self) -> &str;

    /// Returns why the key cannot wrap anything, if what names it is not as it should be. Keys
    /// that are asked for are checked; those of a file stay as they are.
    fn check(&self) -> Result<(), KeyError> {
        Ok(())
    }

    /// Returns whether wrapping would start a program, or either way would call a server, that
    /// nobody but a file has named. It fails until the user names it too.
    fn needs_user(&self) -> bool {
        false
    }

    /// Returns whether wrapping and unwrapping ask a service over the network, so that several
    /// keys should be asked at the same time, and the user told what is waited for.
    fn is_remote(&self) -> bool {
        KeyKind::named(self.kind()).is_some_and(|kind| kind.is_remote)
    }

    /// Wraps a data key, or a part of one, for this key.
    fn wrap(&self, key: &[u8], with: &Credentials) -> Result<String, KeyError>;

    /// Unwraps; `None` if nothing that could do it is at hand. Several threads may call it at the
    /// same time.
    fn unwrap(&self, wrapped: &str, with: &Credentials) -> Option<Result<SecretBytes, KeyError>> {
        if wrapped.len() > MAX_WRAPPED {
            return Some(Err(KeyError::Malformed { what: "the wrapped key is too long" }));
        }
        self.open(wrapped, with)
    }

    /// Unwraps what is not too long: the part of [`MasterKey::unwrap`] that kinds differ in.
    fn open(&self, wrapped: &str, with: &Credentials) -> Option<Result<SecretBytes, KeyError>>;

    /// Returns the fields that name the key in the metadata, without the wrapped key.
    fn fields(&self) -> Fields;
}

/// A field of a metadata entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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

/// The fields of a metadata entry, by name.
pub type Fields = Vec<(String, FieldValue)>;

/// Returns the text of the field called `name`; `None` if it is missing or no text.
pub fn text_field<'f>(fields: &'f [(String, FieldValue)], name: &str) -> Option<&'f str> {
    fields.iter().find(|(field, _)| field == name).and_then(|(_, value)| value.as_text())
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
    /// Returns a key that is added now, and has not wrapped anything yet.
    pub fn new(key: Arc<dyn MasterKey>, now: Timestamp) -> WrappedKey {
        let is_dated = KeyKind::named(key.kind()).is_some_and(|kind| kind.is_dated);
        let created_at = is_dated.then(|| number::rfc3339_seconds(now));
        WrappedKey { key, wrapped: None, created_at }
    }
}

/// Keys each of which gives the group's part of the data key.
#[derive(Clone, Debug, Default)]
pub struct KeyGroup {
    /// The keys, in the order of the file.
    pub keys: Vec<WrappedKey>,
}

/// Makes a master key from the text that a flag or the config has, and what is said beside it.
///
/// # Errors
/// If the kind is not built in, or the text does not name a key of the kind.
pub fn parse(
    kind: &KeyKind,
    text: &str,
    options: &[(String, FieldValue)],
) -> Result<Arc<dyn MasterKey>, KeyError> {
    let code = kind.code()?;
    let mut fields = (code.split)(&kind.clean(text))?;
    fields.extend_from_slice(options);
    let key = (code.from_fields)(fields, NamedBy::User);
    key.check()?;
    Ok(key)
}

/// Makes a master key from a metadata entry under the field `kind`; a kind that is not known is
/// kept as it is.
pub fn from_fields(kind: &str, fields: Fields) -> Arc<dyn MasterKey> {
    match KeyKind::named(kind).and_then(|kind| kind.code.as_ref()) {
        Some(code) => (code.from_fields)(fields, NamedBy::File),
        None => Arc::new(unknown::UnknownKey::new(kind, fields)),
    }
}

/// Takes keys as the user's own ([`MasterKey::needs_user`]) that are among those that the user has
/// named.
pub fn adopt(groups: &mut [KeyGroup], named: &[Arc<dyn MasterKey>]) {
    let keys = groups.iter_mut().flat_map(|group| &mut group.keys);
    for key in keys.filter(|key| key.key.needs_user()) {
        let is_named = named.iter().any(|named| {
            let (kind, identity) = (named.kind(), named.identity());
            kind == key.key.kind() && is_same_key(kind, identity, key.key.identity())
        });
        if is_named {
            key.key = vouched_for(&key.key);
        }
    }
}

/// Returns the same key as one that the user has named.
fn vouched_for(key: &Arc<dyn MasterKey>) -> Arc<dyn MasterKey> {
    match KeyKind::named(key.kind()).and_then(|kind| kind.code.as_ref()) {
        Some(code) => (code.from_fields)(key.fields(), NamedBy::User),
        None => Arc::clone(key),
    }
}

/// Returns whether a host, as addresses name it, is this machine.
#[cfg(any(feature = "http", feature = "keyservice"))]
fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|one| one.is_loopback())
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

/// Wraps a part of a data key for each key: the local ones one after the other, the remote ones at
/// the same time.
fn wrap<'k>(
    keys: impl Iterator<Item = (&'k mut WrappedKey, &'k SecretBytes)>,
    with: &Credentials,
) -> Result<(), WrapError> {
    let services = with.own::<Services>();
    if services.is_empty() {
        return Err(WrapError::NoService);
    }
    let keys: Vec<_> = keys.collect();
    let mut answers: Vec<Option<Result<String, KeyError>>> = keys.iter().map(|_| None).collect();
    let mut questions = VecDeque::new();
    for (at, (key, part)) in keys.iter().enumerate() {
        if key.key.is_remote() {
            questions.push_back((at, Arc::clone(&key.key), SecretBytes::from(&***part)));
        } else {
            answers[at] = Some(services.wrap(&*key.key, part, with));
        }
    }
    if !questions.is_empty() {
        wrap_remote(questions, &mut answers, with);
    }
    let mut wrapped = Vec::new();
    let mut failures = Vec::new();
    for ((key, _), answer) in keys.into_iter().zip(answers) {
        match answer {
            Some(Ok(text)) => wrapped.push((key, text)),
            Some(Err(error)) => failures.push((key.key.identity().to_owned(), error)),
            None => {
                let message = "there was no answer".to_owned();
                failures.push((key.key.identity().to_owned(), KeyError::Wrap { message }));
            }
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
/// Asks remote keys to wrap what stands beside them, each for the answer with its number.
fn wrap_remote(
    questions: VecDeque<(usize, Arc<dyn MasterKey>, SecretBytes)>,
    answers: &mut [Option<Result<String, KeyError>>],
    with: &Credentials,
) {
    let names = questions.iter().map(|(_, key, _)| key.identity().to_owned()).collect();
    let mut waiting = Waiting::for_keys(&**with.host(), names);
    let (credentials, services) = (with.clone(), with.own::<Services>());
    let wrapped = together::start(questions, move |(at, key, part)| {
        Step::Answer((at, services.wrap(&*key, &part, &credentials)))
    });
    while let Some((at, answer)) = waiting.next(&wrapped) {
        answers[at] = Some(answer);
    }
}

/// Why one key failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// A kind that this version has no code for.
    #[error("{title} keys are not built into this version of encfile")]
    KindNotBuilt {
        /// The name for people.
        title: String,
    },
    /// A text that names no key of its kind.
    #[error("{message}")]
    NoKey {
        /// What is wrong.
        message: String,
    },
    /// A text that is no encryption context. The beginning is SOPS'.
    #[error("Invalid KMS encryption context format: it must be `KEY:VALUE,...`")]
    EncryptionContext,
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
    /// Neither this process nor anybody else is to wrap or unwrap keys.
    #[error("no key services provided")]
    NoService,
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
    /// Neither this process nor anybody else is to wrap keys.
    #[error("[no key services provided, cannot update master keys]")]
    NoService,
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
