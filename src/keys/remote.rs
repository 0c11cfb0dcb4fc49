//! Key services in other processes: SOPS' gRPC protocol, as a client.
//!
//! What is sent to a service is not encrypted and nobody proves who they are: the protocol has
//! neither. So a service belongs on this machine, or at the end of a tunnel; its address comes from
//! the user and never from a file.
//!
//! Copies of what is sent and received stay in the buffers of the HTTP/2 library until that memory
//! is used again; everything else is wiped.

mod address;
mod agent;
pub(crate) mod call;
pub mod message;

use std::sync::OnceLock;

use super::{Host, KeyError, KeyService, MasterKey};
use crate::secret::SecretBytes;

pub use self::address::{Address, AddressError};
pub use self::agent::{Agent, AgentError, AgentStatus};
pub use self::call::CallError;

use self::call::call;
use self::message::{
    DecryptRequest, DecryptResponse, EncryptRequest, EncryptResponse, Key, method,
};

/// A key service at an address.
#[derive(Debug)]
pub struct Remote {
    address: Address,
    /// Why it was not reached: whoever has many keys waits for it once.
    unreachable: OnceLock<CallError>,
}

impl Remote {
    /// Returns the service at `address`; nothing is connected yet.
    pub fn new(address: Address) -> Remote {
        Remote { address, unreachable: OnceLock::new() }
    }

    fn call<Q, A>(&self, method: &'static str, request: Q, host: &dyn Host) -> Result<A, CallError>
    where
        Q: prost::Message + 'static,
        A: prost::Message + Default + 'static,
    {
        if let Some(error) = self.unreachable.get() {
            return Err(error.clone());
        }
        let tell = || host.note(&format!("waiting for the key service {}", self.address));
        call(&self.address, method, request, tell).inspect_err(|error| {
            if error.is_unreachable() {
                // Another thread may have found out first, and knows the same.
                let _ = self.unreachable.set(error.clone());
            }
        })
    }
}

impl KeyService for Remote {
    fn wrap(&self, key: &dyn MasterKey, part: &[u8], host: &dyn Host) -> Result<String, KeyError> {
        let failed = |message| KeyError::Wrap { message };
        let key = Some(Key::of(key).ok_or_else(|| failed(unknown_kind(key)))?);
        let request = EncryptRequest { key, plaintext: part.to_vec() };
        let answer: EncryptResponse =
            self.call(method::ENCRYPT, request, host).map_err(|error| failed(error.to_string()))?;
        match String::from_utf8(answer.ciphertext) {
            Ok(wrapped) if !wrapped.is_empty() => Ok(wrapped),
            _ => Err(failed(format!("the key service {} sent no wrapped key", self.address))),
        }
    }

    fn unwrap(
        &self,
        key: &dyn MasterKey,
        wrapped: &str,
        host: &dyn Host,
    ) -> Result<SecretBytes, KeyError> {
        let failed = |message| KeyError::Unwrap { message };
        let key = Some(Key::of(key).ok_or_else(|| failed(unknown_kind(key)))?);
        let request = DecryptRequest { key, ciphertext: wrapped.as_bytes().to_vec() };
        let mut answer: DecryptResponse =
            self.call(method::DECRYPT, request, host).map_err(|error| failed(error.to_string()))?;
        let part = SecretBytes::from(std::mem::take(&mut answer.plaintext));
        if part.is_empty() {
            return Err(failed(format!("the key service {} sent no key", self.address)));
        }
        Ok(part)
    }
}

fn unknown_kind(key: &dyn MasterKey) -> String {
    format!("no key service knows keys of the kind `{}`", key.kind())
}
