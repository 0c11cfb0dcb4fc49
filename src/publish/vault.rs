//! Secrets in the key-value stores of Vault, of both versions.

use std::fmt;

use crate::format::json::Json;
use crate::format::{FileFormat as _, Layout};
use crate::keys::Credentials;
use crate::keys::hc_vault::VaultServer;
use crate::secret::SecretBytes;
use crate::tree::{NodeKind, Tree, Value};

use super::PublishError;

/// The shortest text that must not be repeated in a message. Shorter ones are in every message.
const SHORTEST_SECRET: usize = 4;

/// A secret in a key-value store.
pub struct Secret {
    server: VaultServer,
    /// The path behind `/v1/`.
    path: String,
    version: u8,
}

/// What became of values.
#[derive(Debug, PartialEq, Eq)]
pub enum Put {
    /// They are written.
    Written,
    /// They are written without a look at what was there; the text says why.
    WrittenUnseen(String),
    /// They were there already.
    Unchanged,
}

impl Secret {
    pub(super) fn new(
        address: Option<&str>,
        mount: &str,
        path: &str,
        version: u8,
        name: &str,
        with: &Credentials,
    ) -> Result<Secret, PublishError> {
        let server = VaultServer::at(address, with).map_err(|why| PublishError::Server { why })?;
        let data = if version == 1 { "" } else { "data/" };
        let (mount, folder) = (mount.trim_matches('/'), path.trim_matches('/'));
        let folder = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let path = format!("{mount}/{data}{folder}{name}");
        // A server may resolve `..`: the path would lead out of the store.
        if path.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
            return Err(PublishError::Path { path });
        }
        Ok(Secret { server, path, version })
    }

    /// Writes the values of a file, unless they are there already. Comments are left out, and times
    /// are texts.
    ///
    /// # Errors
    /// - If the values are no map, or of several documents.
    /// - If the server does not take them.
    pub fn put(&self, values: &Tree) -> Result<Put, PublishError> {
        let json = Json.emit(values, &Layout { compact: true, ..Layout::default() })?;
        let ours = parsed(SecretBytes::from(&*json)).ok_or(PublishError::NoMap)?;
        let unseen = match self.server.read(&self.path) {
            Ok(Some(answer)) => {
                if self.holds(answer, &ours) {
                    return Ok(Put::Unchanged);
                }
                None
            }
            Ok(None) => None,
            Err(why) => Some(why),
        };
        let body = if self.version == 1 {
            json
        } else {
            let mut body = SecretBytes::with_capacity(json.len() + 16);
            for part in [&b"{\"data\":"[..], &json, b"}"] {
                body.extend_from_slice(part);
            }
            body
        };
        let refused = |why| PublishError::Refused { target: self.to_string(), why };
        self.server.write(&self.path, &body, &secrets(values)).map_err(refused)?;
        Ok(unseen.map_or(Put::Written, Put::WrittenUnseen))
    }

    /// Returns whether an answer of the server has these values.
    fn holds(&self, answer: SecretBytes, values: &Tree) -> bool {
        let data = |tree: Tree| {
            let data = tree.entry(tree.documents().next()?, b"data")?;
            Some(tree.into_subtree(data))
        };
        let Some(answer) = parsed(answer).and_then(data) else { return false };
        let stored = if self.version == 1 { Some(answer) } else { data(answer) };
        stored.is_some_and(|stored| stored.has_same_entries(values))
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/v1/{}", self.server, self.path)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({self})")
    }
}

/// Returns the map that a JSON text holds.
fn parsed(text: SecretBytes) -> Option<Tree> {
    let tree = Json.parse(text).ok()?;
    let root = tree.documents().next()?;
    (tree.node(root).kind == NodeKind::Map).then_some(tree)
}

/// Returns the texts among values that are long enough to be recognised.
fn secrets(values: &Tree) -> Vec<&str> {
    let ids = (0..values.nodes().len()).filter_map(|index| values.id_at(index));
    let texts = ids.filter_map(|id| match values.value(id)? {
        Value::Text(text) => std::str::from_utf8(text).ok(),
        _ => None,
    });
    texts.map(str::trim).filter(|text| text.len() >= SHORTEST_SECRET).collect()
}
