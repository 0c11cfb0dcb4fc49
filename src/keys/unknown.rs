//! Entries of kinds that this version has no code for: kept as they are, never dropped.

use crate::keys::{Credentials, Fields, KeyError, KeyKind, MasterKey, text_field};
use crate::secret::SecretBytes;

/// A metadata entry of a kind that is not known.
#[derive(Debug)]
pub struct UnknownKey {
    kind: String,
    identity: String,
    fields: Fields,
}

/// The fields that name a key, in the order of preference.
const NAMES: &[&str] = &["arn", "fp", "resource_id", "key_id", "vault_url", "vault_address"];

impl UnknownKey {
    /// Keeps the fields of an entry.
    pub fn new(kind: &str, fields: Fields) -> UnknownKey {
        let text = |name| text_field(&fields, name);
        let identity = match (kind, NAMES.iter().find_map(|name| text(name))) {
            ("azure_kv", Some(url)) => {
                let (name, version) = (text("name"), text("version"));
                format!("{url}/keys/{}/{}", name.unwrap_or(""), version.unwrap_or(""))
            }
            ("hc_vault", Some(address)) => {
                let (engine, name) = (text("engine_path"), text("key_name"));
                format!("{address}/v1/{}/keys/{}", engine.unwrap_or(""), name.unwrap_or(""))
            }
            (_, Some(name)) => name.to_owned(),
            (kind, None) => format!("{kind} key"),
        };
        UnknownKey { kind: kind.to_owned(), identity, fields }
    }

    fn not_built(&self) -> KeyError {
        let title = KeyKind::named(&self.kind).map_or(&*self.kind, |kind| kind.title);
        KeyError::KindNotBuilt { title: title.to_owned() }
    }
}

impl MasterKey for UnknownKey {
    fn kind(&self) -> &str {
        &self.kind
    }

    fn identity(&self) -> &str {
        &self.identity
    }

    /// Nobody is asked: there is no code that could.
    fn is_remote(&self) -> bool {
        false
    }

    fn wrap(&self, _key: &[u8], _with: &Credentials) -> Result<String, KeyError> {
        Err(self.not_built())
    }

    fn open(&self, _wrapped: &str, _with: &Credentials) -> Option<Result<SecretBytes, KeyError>> {
        Some(Err(self.not_built()))
    }

    fn fields(&self) -> Fields {
        self.fields.clone()
    }
}
