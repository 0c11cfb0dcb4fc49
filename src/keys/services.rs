//! Who wraps and unwraps: this process with its own credentials, other key services, and a memory
//! of what was unwrapped before.
//!
//! Each key is tried here first, then with the other services in their order; the first success
//! ends it. That is so for wrapping as for unwrapping, and for keys of every kind, also of those
//! that this version has no code for.

use std::fmt;
use std::sync::Arc;

use super::{Credentials, Host, KeyError, MasterKey, OwnCredentials};
use crate::secret::SecretBytes;

/// Something that wraps and unwraps in another process, with the credentials that it has there.
pub trait KeyService: fmt::Debug + Send + Sync {
    /// Wraps a data key, or a part of one, for `key`.
    ///
    /// # Errors
    /// If the service does not answer, or has an error for an answer.
    fn wrap(&self, key: &dyn MasterKey, part: &[u8], host: &dyn Host) -> Result<String, KeyError>;

    /// Unwraps what was wrapped for `key`.
    ///
    /// # Errors
    /// If the service does not answer, or has an error for an answer.
    fn unwrap(
        &self,
        key: &dyn MasterKey,
        wrapped: &str,
        host: &dyn Host,
    ) -> Result<SecretBytes, KeyError>;
}

/// Something outside of this process that knows what was unwrapped before.
pub trait Memory: fmt::Debug + Send + Sync {
    /// Returns what is known of wrapped keys, in their order. That it knows nothing, or does not
    /// answer, is no error.
    fn recall(
        &self,
        wrapped: &[(&dyn MasterKey, &str)],
        host: &dyn Host,
    ) -> Vec<Option<SecretBytes>>;

    /// Takes note of an unwrapped key.
    fn remember(&self, key: &dyn MasterKey, wrapped: &str, part: &[u8], host: &dyn Host);
}

/// Who wraps and unwraps; by default this process alone.
#[derive(Debug)]
pub struct Services {
    /// Whether this process does.
    pub is_local: bool,
    /// Who else does, in the order in which they are asked.
    pub others: Vec<Arc<dyn KeyService>>,
    /// Who is asked for a known data key before anything else is done.
    pub memory: Option<Arc<dyn Memory>>,
}

impl Default for Services {
    fn default() -> Services {
        Services { is_local: true, others: Vec::new(), memory: None }
    }
}

impl OwnCredentials for Services {
    fn of_host(_: &Arc<dyn Host>) -> Services {
        Services::default()
    }
}

impl Services {
    /// Returns whether nobody can wrap or unwrap anything.
    pub fn is_empty(&self) -> bool {
        !self.is_local && self.others.is_empty()
    }

    /// Wraps with the first service that can.
    pub(super) fn wrap(
        &self,
        key: &dyn MasterKey,
        part: &[u8],
        with: &Credentials,
    ) -> Result<String, KeyError> {
        let mut failures = Vec::new();
        if self.is_local {
            match key.wrap(part, with) {
                Ok(wrapped) => return Ok(wrapped),
                Err(error) => failures.push(error),
            }
        }
        for service in &self.others {
            match service.wrap(key, part, &**with.host()) {
                Ok(wrapped) => return Ok(wrapped),
                Err(error) => failures.push(error),
            }
        }
        let all = |message| KeyError::Wrap { message };
        Err(one_of(failures, all).unwrap_or(KeyError::NoService))
    }

    /// Unwraps with the first service that can.
    pub(super) fn unwrap(
        &self,
        key: &dyn MasterKey,
        wrapped: &str,
        with: &Credentials,
    ) -> Option<Result<SecretBytes, KeyError>> {
        let mut failures = Vec::new();
        if self.is_local {
            match key.unwrap(wrapped, with) {
                Some(Ok(part)) => return Some(Ok(part)),
                Some(Err(error)) => failures.push(error),
                None => {}
            }
        }
        for service in &self.others {
            match service.unwrap(key, wrapped, &**with.host()) {
                Ok(part) => return Some(Ok(part)),
                Err(error) => failures.push(error),
            }
        }
        if self.is_empty() {
            failures.push(KeyError::NoService);
        }
        one_of(failures, |message| KeyError::Unwrap { message }).map(Err)
    }
}

/// Returns the only failure, or one with the messages of all.
fn one_of(mut failures: Vec<KeyError>, all: fn(String) -> KeyError) -> Option<KeyError> {
    if failures.len() < 2 {
        return failures.pop();
    }
    let messages: Vec<String> = failures.iter().map(KeyError::to_string).collect();
    Some(all(messages.join("; ")))
}

#[cfg(test)]
mod tests;
