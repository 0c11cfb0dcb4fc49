//! The messages of the protocol: SOPS' `keyservice.proto`, and those of encfile's agent.
//!
//! They are written by hand, so that no compiler for them is needed to build this crate. What holds
//! an unwrapped key is wiped when it is dropped, and has no `Debug`.

use std::collections::BTreeMap;

use prost::{Message, Oneof};
use zeroize::Zeroize as _;

use crate::keys::{FieldValue, Fields, MasterKey, text_field};

/// The paths of the methods.
pub mod method {
    /// Wraps.
    pub const ENCRYPT: &str = "/KeyService/Encrypt";
    /// Unwraps.
    pub const DECRYPT: &str = "/KeyService/Decrypt";
    /// Returns what the agent knows of wrapped keys.
    pub const RECALL: &str = "/encfile.Agent/Recall";
    /// Lets the agent know a key.
    pub const REMEMBER: &str = "/encfile.Agent/Remember";
    /// Says how the agent is.
    pub const STATUS: &str = "/encfile.Agent/Status";
    /// Lets the agent forget everything.
    pub const LOCK: &str = "/encfile.Agent/Lock";
    /// Ends the agent.
    pub const STOP: &str = "/encfile.Agent/Stop";
}

/// The largest message, in bytes. A wrapped key is far below; the keys of a file asked for at once
/// are, too.
pub const MAX_MESSAGE: usize = 1024 * 1024;

/// A master key of any of SOPS' kinds.
#[derive(Clone, PartialEq, Message)]
pub struct Key {
    /// The kind, with what names the key.
    #[prost(oneof = "KeyType", tags = "1, 2, 3, 4, 5, 6, 7")]
    pub key_type: Option<KeyType>,
}

/// What names a key of a kind.
#[derive(Clone, PartialEq, Oneof)]
pub enum KeyType {
    /// AWS KMS.
    #[prost(message, tag = "1")]
    Kms(KmsKey),
    /// `OpenPGP`.
    #[prost(message, tag = "2")]
    Pgp(PgpKey),
    /// GCP KMS.
    #[prost(message, tag = "3")]
    GcpKms(GcpKmsKey),
    /// Azure Key Vault.
    #[prost(message, tag = "4")]
    AzureKeyvault(AzureKeyVaultKey),
    /// Vault.
    #[prost(message, tag = "5")]
    Vault(VaultKey),
    /// age.
    #[prost(message, tag = "6")]
    Age(AgeKey),
    /// `HuaweiCloud` KMS.
    #[prost(message, tag = "7")]
    Hckms(HckmsKey),
}

/// A key of AWS KMS.
#[derive(Clone, PartialEq, Message)]
pub struct KmsKey {
    /// The ARN.
    #[prost(string, tag = "1")]
    pub arn: String,
    /// The role to assume; empty for none.
    #[prost(string, tag = "2")]
    pub role: String,
    /// The encryption context.
    #[prost(btree_map = "string, string", tag = "3")]
    pub context: BTreeMap<String, String>,
    /// The profile; empty for the default.
    #[prost(string, tag = "4")]
    pub aws_profile: String,
}

/// A PGP key.
#[derive(Clone, PartialEq, Message)]
pub struct PgpKey {
    /// The fingerprint.
    #[prost(string, tag = "1")]
    pub fingerprint: String,
}

/// A key of GCP KMS.
#[derive(Clone, PartialEq, Message)]
pub struct GcpKmsKey {
    /// The resource id.
    #[prost(string, tag = "1")]
    pub resource_id: String,
}

/// A key of Azure Key Vault.
#[derive(Clone, PartialEq, Message)]
pub struct AzureKeyVaultKey {
    /// The vault.
    #[prost(string, tag = "1")]
    pub vault_url: String,
    /// The key.
    #[prost(string, tag = "2")]
    pub name: String,
    /// Its version.
    #[prost(string, tag = "3")]
    pub version: String,
}

/// A key of Vault's transit engine.
#[derive(Clone, PartialEq, Message)]
pub struct VaultKey {
    /// The server.
    #[prost(string, tag = "1")]
    pub vault_address: String,
    /// The path of the engine.
    #[prost(string, tag = "2")]
    pub engine_path: String,
    /// The key.
    #[prost(string, tag = "3")]
    pub key_name: String,
}

/// An age recipient.
#[derive(Clone, PartialEq, Message)]
pub struct AgeKey {
    /// The recipient.
    #[prost(string, tag = "1")]
    pub recipient: String,
}

/// A key of `HuaweiCloud` KMS.
#[derive(Clone, PartialEq, Message)]
pub struct HckmsKey {
    /// The id, `region:uuid`.
    #[prost(string, tag = "1")]
    pub key_id: String,
}

/// Asks for a wrapped key.
#[derive(Message)]
#[prost(skip_debug)]
pub struct EncryptRequest {
    /// Whom to wrap it for.
    #[prost(message, optional, tag = "1")]
    pub key: Option<Key>,
    /// The data key, or a part of one.
    #[prost(bytes = "vec", tag = "2")]
    pub plaintext: Vec<u8>,
}

/// A wrapped key.
#[derive(Clone, PartialEq, Message)]
pub struct EncryptResponse {
    /// The text that stands in a file.
    #[prost(bytes = "vec", tag = "1")]
    pub ciphertext: Vec<u8>,
}

/// Asks for an unwrapped key.
#[derive(Clone, PartialEq, Message)]
pub struct DecryptRequest {
    /// Whom it was wrapped for.
    #[prost(message, optional, tag = "1")]
    pub key: Option<Key>,
    /// The text that stands in a file.
    #[prost(bytes = "vec", tag = "2")]
    pub ciphertext: Vec<u8>,
}

/// An unwrapped key.
#[derive(Message)]
#[prost(skip_debug)]
pub struct DecryptResponse {
    /// The data key, or a part of one.
    #[prost(bytes = "vec", tag = "1")]
    pub plaintext: Vec<u8>,
}

/// Asks the agent what it knows.
#[derive(Clone, PartialEq, Message)]
pub struct RecallRequest {
    /// What would be asked of a key service.
    #[prost(message, repeated, tag = "1")]
    pub keys: Vec<DecryptRequest>,
}

/// What the agent knows.
#[derive(Message)]
#[prost(skip_debug)]
pub struct RecallResponse {
    /// The unwrapped keys in the order of the request, an empty one for what is not known.
    #[prost(message, repeated, tag = "1")]
    pub keys: Vec<DecryptResponse>,
}

/// Lets the agent know a key.
#[derive(Message)]
#[prost(skip_debug)]
pub struct RememberRequest {
    /// What would be asked of a key service.
    #[prost(message, optional, tag = "1")]
    pub question: Option<DecryptRequest>,
    /// The data key, or a part of one.
    #[prost(bytes = "vec", tag = "2")]
    pub plaintext: Vec<u8>,
}

/// Nothing.
#[derive(PartialEq, Eq, Message)]
pub struct Empty {}

/// How the agent is.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct StatusResponse {
    /// How many keys it knows.
    #[prost(uint64, tag = "1")]
    pub keys: u64,
    /// For how many seconds it knows a key.
    #[prost(uint64, tag = "2")]
    pub ttl: u64,
    /// The number of its process.
    #[prost(uint32, tag = "3")]
    pub process: u32,
    /// Whether the system keeps the keys out of swap.
    #[prost(bool, tag = "4")]
    pub is_locked: bool,
}

impl Drop for EncryptRequest {
    fn drop(&mut self) {
        self.plaintext.zeroize();
    }
}

impl Drop for DecryptResponse {
    fn drop(&mut self) {
        self.plaintext.zeroize();
    }
}

impl Drop for RememberRequest {
    fn drop(&mut self) {
        self.plaintext.zeroize();
    }
}

impl Key {
    /// Returns the message for a key; `None` for a kind that the protocol does not know.
    pub fn of(key: &dyn MasterKey) -> Option<Key> {
        let fields = key.fields();
        let text = |name| text_field(&fields, name).unwrap_or_default().to_owned();
        let key_type = match key.kind() {
            "kms" => KeyType::Kms(KmsKey {
                arn: text("arn"),
                role: text("role"),
                context: texts(&fields, "context"),
                aws_profile: text("aws_profile"),
            }),
            "pgp" => KeyType::Pgp(PgpKey { fingerprint: text("fp") }),
            "gcp_kms" => KeyType::GcpKms(GcpKmsKey { resource_id: text("resource_id") }),
            "azure_kv" => KeyType::AzureKeyvault(AzureKeyVaultKey {
                vault_url: text("vault_url"),
                name: text("name"),
                version: text("version"),
            }),
            "hc_vault" => KeyType::Vault(VaultKey {
                vault_address: text("vault_address"),
                engine_path: text("engine_path"),
                key_name: text("key_name"),
            }),
            "age" => KeyType::Age(AgeKey { recipient: text("recipient") }),
            "hckms" => KeyType::Hckms(HckmsKey { key_id: text("key_id") }),
            _ => return None,
        };
        Some(Key { key_type: Some(key_type) })
    }
}

/// Returns a map of texts; what is no text in it, nobody could have wrapped with.
fn texts(fields: &[(String, FieldValue)], name: &str) -> BTreeMap<String, String> {
    match fields.iter().find(|(field, _)| field == name) {
        Some((_, FieldValue::Map(entries))) => entries
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), value.as_text()?.to_owned())))
            .collect(),
        _ => BTreeMap::new(),
    }
}

impl KeyType {
    /// Returns the kind with the fields of an entry in the metadata.
    pub fn to_fields(&self) -> (&'static str, Fields) {
        match self {
            KeyType::Kms(key) => {
                let context = |(name, value): (&String, &String)| {
                    (name.clone(), FieldValue::Text(value.clone()))
                };
                let mut fields = fields(&[("arn", &key.arn)]);
                if !key.role.is_empty() {
                    fields.push(field("role", &key.role));
                }
                if !key.context.is_empty() {
                    let context = key.context.iter().map(context).collect();
                    fields.push(("context".to_owned(), FieldValue::Map(context)));
                }
                fields.push(field("aws_profile", &key.aws_profile));
                ("kms", fields)
            }
            KeyType::Pgp(key) => ("pgp", fields(&[("fp", &key.fingerprint)])),
            KeyType::GcpKms(key) => ("gcp_kms", fields(&[("resource_id", &key.resource_id)])),
            KeyType::AzureKeyvault(key) => (
                "azure_kv",
                fields(&[
                    ("vault_url", &key.vault_url),
                    ("name", &key.name),
                    ("version", &key.version),
                ]),
            ),
            KeyType::Vault(key) => (
                "hc_vault",
                fields(&[
                    ("vault_address", &key.vault_address),
                    ("engine_path", &key.engine_path),
                    ("key_name", &key.key_name),
                ]),
            ),
            KeyType::Age(key) => ("age", fields(&[("recipient", &key.recipient)])),
            KeyType::Hckms(key) => ("hckms", fields(&[("key_id", &key.key_id)])),
        }
    }

    /// Returns what the key is called where somebody is asked about it.
    pub fn describe(&self) -> String {
        match self {
            KeyType::Kms(key) => format!("AWS KMS key with ARN {}", key.arn),
            KeyType::Pgp(key) => format!("PGP key with fingerprint {}", key.fingerprint),
            KeyType::GcpKms(key) => format!("GCP KMS key with resource ID {}", key.resource_id),
            KeyType::AzureKeyvault(AzureKeyVaultKey { vault_url, name, version }) => {
                format!("Azure Key Vault key with URL {vault_url}/keys/{name}/{version}")
            }
            KeyType::Vault(VaultKey { vault_address, engine_path, key_name }) => format!(
                "Hashicorp Vault key with URI {vault_address}/v1/{engine_path}/keys/{key_name}"
            ),
            KeyType::Age(key) => format!("age key with recipient {}", key.recipient),
            KeyType::Hckms(key) => format!("HuaweiCloud KMS key with ID {}", key.key_id),
        }
    }
}

fn fields(texts: &[(&str, &str)]) -> Fields {
    texts.iter().map(|(name, text)| field(name, text)).collect()
}

fn field(name: &str, text: &str) -> (String, FieldValue) {
    (name.to_owned(), FieldValue::Text(text.to_owned()))
}

#[cfg(test)]
mod tests;
