//! The server side of SOPS' key service: it wraps and unwraps keys for other processes, with the
//! credentials of this one; and the agent, which remembers what it has unwrapped.
//!
//! Listening, asking the user and signals are the caller's: this module gets a socket that listens
//! already. Every request has credentials of its own, so that nothing of a key stays here but what
//! [`Memory`] keeps. What a request names is as much worth as what a file names
//! ([`keys::from_fields`]): it is no reason to start a program.
//!
//! Copies of what is received and sent stay in the buffers of the HTTP/2 library until that memory
//! is used again; everything else is wiped.

mod memory;
mod server;

use std::sync::Arc;
use std::time::Duration;

use tonic::Status;

use crate::keys::remote::message::{
    DecryptRequest, DecryptResponse, Empty, EncryptRequest, EncryptResponse, Key, RecallRequest,
    RecallResponse, RememberRequest, StatusResponse,
};
use crate::keys::{self, Credentials, MasterKey};

pub use self::memory::Memory;
#[cfg(unix)]
pub use self::server::Only;
pub use self::server::{Listener, Stop, serve};

/// Returns whether a request may be answered, or why nobody could say.
pub type Gate = dyn Fn(&str) -> Result<bool, String> + Send + Sync;

/// What requests are answered with.
pub struct KeyServer {
    credentials: Box<dyn Fn() -> Credentials + Send + Sync>,
    gate: Option<Box<Gate>>,
    memory: Option<Memory>,
    stop: Stop,
}

impl KeyServer {
    /// Returns a key service whose requests each get new `credentials`.
    pub fn new(credentials: impl Fn() -> Credentials + Send + Sync + 'static) -> KeyServer {
        KeyServer {
            credentials: Box::new(credentials),
            gate: None,
            memory: None,
            stop: Stop::default(),
        }
    }

    /// Asks `gate` before each request is answered; the text says what is asked for.
    #[must_use]
    pub fn asking(
        mut self,
        gate: impl Fn(&str) -> Result<bool, String> + Send + Sync + 'static,
    ) -> KeyServer {
        self.gate = Some(Box::new(gate));
        self
    }

    /// Makes it the agent: it remembers unwrapped keys, and answers this user alone.
    #[must_use]
    pub fn remembering(mut self, memory: Memory) -> KeyServer {
        self.memory = Some(memory);
        self
    }

    /// Returns what ends it.
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    fn encrypt(&self, request: &EncryptRequest) -> Result<EncryptResponse, Status> {
        let key = self.key(request.key.as_ref(), "encrypt")?;
        let wrapped = key
            .wrap(&request.plaintext, &(self.credentials)())
            .map_err(|error| Status::unknown(error.to_string()))?;
        Ok(EncryptResponse { ciphertext: wrapped.into_bytes() })
    }

    fn decrypt(&self, request: &DecryptRequest) -> Result<DecryptResponse, Status> {
        let known = self.memory.as_ref().and_then(|memory| memory.recall(request));
        if let Some(part) = known {
            return Ok(DecryptResponse { plaintext: part.to_vec() });
        }
        let key = self.key(request.key.as_ref(), "decrypt")?;
        let wrapped = std::str::from_utf8(&request.ciphertext)
            .map_err(|_| Status::unknown("the wrapped key is not text"))?;
        let part = match key.unwrap(wrapped, &(self.credentials)()) {
            Some(Ok(part)) => part,
            Some(Err(error)) => return Err(Status::unknown(error.to_string())),
            None => {
                let message = format!("no identity for {} was found", key.identity());
                return Err(Status::unknown(message));
            }
        };
        if let Some(memory) = &self.memory {
            memory.remember(request, &part);
        }
        Ok(DecryptResponse { plaintext: part.to_vec() })
    }

    /// Returns the key of a request that may be answered.
    fn key(&self, key: Option<&Key>, work: &str) -> Result<Arc<dyn MasterKey>, Status> {
        let key = key.ok_or_else(|| Status::not_found("Must provide a key"))?;
        let key = key.key_type.as_ref().ok_or_else(|| Status::not_found("Unknown key type"))?;
        if let Some(gate) = &self.gate {
            let question = format!("Received {work} request using {}", key.describe());
            match gate(&question) {
                Ok(true) => {}
                Ok(false) => return Err(Status::permission_denied("Request rejected by user")),
                Err(message) => return Err(Status::unknown(message)),
            }
        }
        let (kind, fields) = key.to_fields();
        Ok(keys::from_fields(kind, fields))
    }

    fn recall(&self, request: &RecallRequest) -> Result<RecallResponse, Status> {
        let memory = self.agent()?;
        let keys = request.keys.iter().map(|question| DecryptResponse {
            plaintext: memory.recall(question).map(|part| part.to_vec()).unwrap_or_default(),
        });
        Ok(RecallResponse { keys: keys.collect() })
    }

    fn remember(&self, request: &RememberRequest) -> Result<Empty, Status> {
        if let Some(question) = &request.question {
            self.agent()?.remember(question, &request.plaintext);
        }
        Ok(Empty {})
    }

    fn status(&self, _: &Empty) -> Result<StatusResponse, Status> {
        let memory = self.agent()?;
        Ok(StatusResponse {
            keys: memory.len() as u64,
            ttl: memory.ttl().as_secs(),
            process: std::process::id(),
            is_locked: memory.is_locked(),
        })
    }

    fn lock(&self, _: &Empty) -> Result<Empty, Status> {
        self.agent()?.forget_all();
        Ok(Empty {})
    }

    fn end(&self, _: &Empty) -> Result<Empty, Status> {
        self.agent()?.forget_all();
        self.stop.now();
        Ok(Empty {})
    }

    fn agent(&self) -> Result<&Memory, Status> {
        self.memory.as_ref().ok_or_else(|| Status::unimplemented("this is no agent"))
    }

    /// Returns how often keys that are too old are to be looked for.
    fn sweep(&self) -> Option<Duration> {
        const OFTEN: Duration = Duration::from_secs(30);
        self.memory.as_ref().map(|memory| memory.ttl().min(OFTEN))
    }
}

#[cfg(test)]
mod tests;
