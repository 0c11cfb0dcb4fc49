//! What keys may use: identities, agents, clients.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::host::{Host, Nowhere};
use super::{KeyError, MasterKey, Services};
use crate::secret::SecretBytes;

/// What keys may use. Each kind keeps its own part ([`OwnCredentials`]) in it, made when a key of
/// the kind is first used; so a file for age costs nothing of the others. A clone is the same
/// credentials.
#[derive(Clone)]
pub struct Credentials {
    shared: Arc<Shared>,
}

struct Shared {
    host: Arc<dyn Host>,
    own: Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>,
    answers: Mutex<HashMap<Wrapped, Answer>>,
}

/// Kind, identity and text of a wrapped key.
type Wrapped = (String, String, String);

/// What a key said: [`MasterKey::unwrap`].
pub(super) type Answer = Option<Result<SecretBytes, KeyError>>;

/// Which answers of keys are kept for the next time that they are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remembers {
    /// What was unwrapped; another try may do better where nothing was.
    Successes,
    /// Failures too: what was asked ahead is not asked again.
    Everything,
}

/// What a kind of keys keeps for a process: identities, a client, a token.
pub trait OwnCredentials: Send + Sync + 'static {
    /// Returns the credentials of the user of `host`. Nothing is read or asked yet but its
    /// environment: that happens at the first use.
    fn of_host(host: &Arc<dyn Host>) -> Self;
}

/// Whether a server that nobody but a file has named is asked, with the user's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileServers {
    /// It is not.
    NotAsked,
    /// It is, as in SOPS.
    Asked,
}

impl OwnCredentials for FileServers {
    fn of_host(_: &Arc<dyn Host>) -> FileServers {
        FileServers::NotAsked
    }
}

impl Credentials {
    /// Returns the credentials of the user of `host`.
    pub fn of_host(host: Arc<dyn Host>) -> Credentials {
        let (own, answers) = (Mutex::default(), Mutex::default());
        Credentials { shared: Arc::new(Shared { host, own, answers }) }
    }

    /// Returns no credentials: nothing can be unwrapped that needs any.
    pub fn none() -> Credentials {
        Credentials::of_host(Arc::new(Nowhere))
    }

    /// Takes `own` in place of what the host's environment has for that kind.
    #[must_use]
    pub fn with<T: OwnCredentials>(self, own: T) -> Credentials {
        lock(&self.shared.own).insert(TypeId::of::<T>(), Arc::new(own));
        self
    }

    /// Returns what a kind keeps.
    pub fn own<T: OwnCredentials>(&self) -> Arc<T> {
        let mut all = lock(&self.shared.own);
        let found = all.get(&TypeId::of::<T>()).cloned();
        if let Some(own) = found.and_then(|own| own.downcast().ok()) {
            return own;
        }
        let own = Arc::new(T::of_host(&self.shared.host));
        all.insert(TypeId::of::<T>(), Arc::clone(&own) as Arc<dyn Any + Send + Sync>);
        own
    }

    /// Returns the machine.
    pub fn host(&self) -> &Arc<dyn Host> {
        &self.shared.host
    }

    /// Unwraps with `key`, unless that was done before: whoever has many files with the same
    /// wrapped key asks a service, or touches a token, once.
    pub(super) fn unwrap(
        &self,
        key: &dyn MasterKey,
        wrapped: &str,
        remembers: Remembers,
    ) -> Answer {
        let name = name(key, wrapped);
        if let Some(known) = lock(&self.shared.answers).get(&name) {
            return copy(known);
        }
        let services = self.own::<Services>();
        let answer = services.unwrap(key, wrapped, self);
        if let (Some(Ok(part)), Some(memory)) = (&answer, &services.memory) {
            memory.remember(key, wrapped, part, &**self.host());
        }
        if remembers == Remembers::Everything || matches!(answer, Some(Ok(_))) {
            lock(&self.shared.answers).insert(name, copy(&answer));
        }
        answer
    }

    /// Returns what was unwrapped before.
    pub(super) fn known(&self, key: &dyn MasterKey, wrapped: &str) -> Option<SecretBytes> {
        let answers = lock(&self.shared.answers);
        copy(answers.get(&name(key, wrapped))?)?.ok()
    }

    /// Asks the memory, if there is one, for wrapped keys that are not known yet.
    pub(super) fn recall(&self, keys: &[(&dyn MasterKey, &str)]) {
        let services = self.own::<Services>();
        let Some(memory) = &services.memory else { return };
        let unknown = |(key, wrapped): &(&dyn MasterKey, &str)| {
            !lock(&self.shared.answers).contains_key(&name(*key, wrapped))
        };
        let unknown: Vec<_> = keys.iter().copied().filter(unknown).collect();
        if unknown.is_empty() {
            return;
        }
        let recalled = memory.recall(&unknown, &**self.host());
        for ((key, wrapped), part) in unknown.into_iter().zip(recalled) {
            if let Some(part) = part {
                self.know(key, wrapped, part);
            }
        }
    }

    fn know(&self, key: &dyn MasterKey, wrapped: &str, part: SecretBytes) {
        lock(&self.shared.answers).insert(name(key, wrapped), Some(Ok(part)));
    }
}

fn name(key: &dyn MasterKey, wrapped: &str) -> Wrapped {
    (key.kind().to_owned(), key.identity().to_owned(), wrapped.to_owned())
}

/// Copies an answer for one more who wants it.
pub(super) fn copy(answer: &Answer) -> Answer {
    match answer.as_ref()? {
        Ok(part) => Some(Ok(SecretBytes::from(&**part))),
        Err(error) => Some(Err(error.clone())),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}
