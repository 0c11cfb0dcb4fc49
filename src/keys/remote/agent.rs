//! The agent, as its clients see it: a memory for unwrapped keys on a socket of the same user.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use super::Address;
use super::call::{CallError, call};
use super::message::{
    DecryptRequest, Empty, Key, RecallRequest, RecallResponse, RememberRequest, StatusResponse,
    method,
};
use crate::keys::{Host, MasterKey, Memory, error_text};
use crate::secret::SecretBytes;

/// The agent at a socket.
#[derive(Debug)]
pub struct Agent {
    socket: PathBuf,
    /// Set once it did not answer: it is not asked again.
    is_lost: OnceLock<()>,
}

/// Why the agent did not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AgentError(#[from] CallError);

impl AgentError {
    /// Returns whether there is none.
    pub fn is_unreachable(&self) -> bool {
        self.0.is_unreachable()
    }
}

/// How the agent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AgentStatus {
    /// How many keys it knows.
    pub keys: u64,
    /// For how long it knows a key.
    pub ttl: Duration,
    /// The number of its process.
    pub process: u32,
    /// Whether the system keeps the keys out of swap.
    pub is_locked: bool,
}

impl Agent {
    /// Returns the agent at `socket`; nothing is connected yet.
    pub fn new(socket: PathBuf) -> Agent {
        Agent { socket, is_lost: OnceLock::new() }
    }

    /// Returns the path of its socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Asks how it is.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn status(&self) -> Result<AgentStatus, AgentError> {
        let StatusResponse { keys, ttl, process, is_locked } =
            self.call(method::STATUS, Empty {})?;
        Ok(AgentStatus { keys, ttl: Duration::from_secs(ttl), process, is_locked })
    }

    /// Lets it forget everything.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn lock(&self) -> Result<(), AgentError> {
        self.call(method::LOCK, Empty {}).map(|Empty {}| ())
    }

    /// Ends it.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn stop(&self) -> Result<(), AgentError> {
        self.call(method::STOP, Empty {}).map(|Empty {}| ())
    }

    fn call<Q, A>(&self, method: &'static str, request: Q) -> Result<A, AgentError>
    where
        Q: prost::Message + 'static,
        A: prost::Message + Default + 'static,
    {
        self.check_owner()?;
        Ok(call(&Address::Unix(self.socket.clone()), method, request, || {})?)
    }

    /// Checks that the socket is the user's own: whoever listens there gets keys, and gives some.
    #[cfg(unix)]
    fn check_owner(&self) -> Result<(), CallError> {
        let place = self.socket.display();
        let unreachable = |reason| CallError::Unreachable { reason };
        let status = rustix::fs::stat(&self.socket)
            .map_err(|error| unreachable(format!("{place}: {}", error_text(&error.into()))))?;
        if status.st_uid != rustix::process::geteuid().as_raw() {
            return Err(unreachable(format!("{place} belongs to another user")));
        }
        Ok(())
    }

    #[cfg(not(unix))]
    fn check_owner(&self) -> Result<(), CallError> {
        Ok(())
    }

    /// Calls it for a key service's work, where its absence is no error but is told once.
    fn ask<Q, A>(&self, method: &'static str, request: Q, host: &dyn Host) -> Option<A>
    where
        Q: prost::Message + 'static,
        A: prost::Message + Default + 'static,
    {
        if self.is_lost.get().is_some() {
            return None;
        }
        match self.call(method, request) {
            Ok(answer) => Some(answer),
            Err(error) => {
                if self.is_lost.set(()).is_ok() {
                    host.tell(&format!("warning: the agent of encfile does not answer: {error}"));
                }
                None
            }
        }
    }
}

impl Memory for Agent {
    fn recall(
        &self,
        wrapped: &[(&dyn MasterKey, &str)],
        host: &dyn Host,
    ) -> Vec<Option<SecretBytes>> {
        let keys = wrapped.iter().map(|(key, wrapped)| question(*key, wrapped)).collect();
        let answer: Option<RecallResponse> = self.ask(method::RECALL, RecallRequest { keys }, host);
        let mut answers = answer.map(|answer| answer.keys).unwrap_or_default();
        answers
            .iter_mut()
            .map(|answer| SecretBytes::from(std::mem::take(&mut answer.plaintext)))
            .map(|part| (!part.is_empty()).then_some(part))
            .collect()
    }

    fn remember(&self, key: &dyn MasterKey, wrapped: &str, part: &[u8], host: &dyn Host) {
        let question = Some(question(key, wrapped));
        let request = RememberRequest { question, plaintext: part.to_vec() };
        let _: Option<Empty> = self.ask(method::REMEMBER, request, host);
    }
}

/// Returns what would be asked of a key service. A key of a kind that the protocol does not have is
/// none, and the agent remembers nothing of it.
fn question(key: &dyn MasterKey, wrapped: &str) -> DecryptRequest {
    DecryptRequest { key: Key::of(key), ciphertext: wrapped.as_bytes().to_vec() }
}
