//! A Vault server for other engines than transit: asked with the same token and settings.

use std::fmt;
use std::sync::Arc;

use crate::keys::{Credentials, NamedBy};
use crate::secret::SecretBytes;

use super::access::{Access, Server};
use super::client::{Question, request};

/// The server that Vault's own programs ask where none is named.
const DEFAULT: &str = "https://127.0.0.1:8200";

/// A server that the user has named.
pub(crate) struct VaultServer {
    access: Arc<Access>,
    server: Server,
}

impl VaultServer {
    /// Returns the server at an address, or the one of `VAULT_ADDR`.
    ///
    /// # Errors
    /// A message for people, if that is no address, or the user does not want it to be asked.
    pub(crate) fn at(address: Option<&str>, with: &Credentials) -> Result<VaultServer, String> {
        let access = with.own::<Access>();
        let named = match address {
            Some(address) => Server::parse(address)
                .map_err(|why| format!("`{address}` is no address of a Vault server: {why}"))?,
            None => match access.users_server()? {
                Some(server) => server,
                None => Server::parse(DEFAULT).map_err(str::to_owned)?,
            },
        };
        let server = access.server(&named, NamedBy::User, with)?;
        Ok(VaultServer { access, server })
    }

    /// Returns what is at a path; `None` if there is nothing.
    ///
    /// # Errors
    /// A message for people.
    pub(crate) fn read(&self, path: &str) -> Result<Option<SecretBytes>, String> {
        let question = Question { method: "GET", path, body: &[], secrets: &[] };
        match request(&self.access, &self.server, &question) {
            Ok(answer) => Ok(Some(answer.body)),
            Err(refusal) if refusal.status == Some(404) => Ok(None),
            Err(refusal) => Err(refusal.message),
        }
    }

    /// Writes to a path. A message of the server with one of `secrets` in it is not shown.
    ///
    /// # Errors
    /// A message for people.
    pub(crate) fn write(&self, path: &str, body: &[u8], secrets: &[&str]) -> Result<(), String> {
        let question = Question { method: "PUT", path, body, secrets };
        match request(&self.access, &self.server, &question) {
            Ok(_) => Ok(()),
            Err(refusal) => Err(refusal.message),
        }
    }
}

impl fmt::Display for VaultServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.server.fmt(f)
    }
}
