//! AWS KMS: keys that never leave Amazon, or a server that speaks its protocol.
//!
//! Where credentials come from is AWS' own code (`aws-config`), which reads the environment, the
//! files below `~/.aws` and what these name, and may start the programs that they name; so whoever
//! uses `aws` on a machine needs to set nothing for encfile. All that is in `clients`. A data key
//! is wiped here, but the copies that the AWS client makes of it, to write and read messages, are
//! freed without that.

mod arn;
mod clients;
mod failure;
#[cfg(feature = "publish")]
mod storage;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::keys::{
    Credentials, FieldValue, Fields, KeyCode, KeyError, MasterKey, NamedBy, foreign, text_field,
};
use crate::secret::SecretBytes;

use self::clients::{Account, Clients};
#[cfg(feature = "publish")]
pub(crate) use self::storage::upload;

/// The code of the kind, whose row is in `foreign`.
pub(super) const CODE: KeyCode = KeyCode {
    split: |text| Ok(arn::split(text)),
    from_fields: |fields, named_by| Arc::new(KmsKey::from_fields(&fields, named_by)),
    looked_in: |with| with.own::<Clients>().looked_in(),
    advice: "log in to AWS (`aws sso login`, AWS_PROFILE or AWS_ACCESS_KEY_ID) as somebody who may \
             use one of the KMS keys above (`kms:Decrypt`)",
};

/// A key of AWS KMS.
struct KmsKey {
    fields: Fields,
    identity: String,
    named_by: NamedBy,
    key: Result<Key, KeyError>,
}

/// What is asked of KMS.
struct Key {
    arn: String,
    context: HashMap<String, String>,
    account: Account,
}

impl KmsKey {
    /// Takes a key from the fields of an entry, and brings them into SOPS' form: empty ones are
    /// left out, but the profile is always there. What is not as it should be stays.
    fn from_fields(fields: &Fields, named_by: NamedBy) -> KmsKey {
        let text = |name| text_field(fields, name).filter(|text| !text.is_empty());
        let (arn, role, profile) = (text("arn").unwrap_or(""), text("role"), text("aws_profile"));
        let given = fields.iter().find(|(name, _)| name == "context").map(|(_, value)| value);
        let context = read_context(given);

        let mut own = vec![("arn".to_owned(), FieldValue::Text(arn.to_owned()))];
        if let Some(role) = role {
            own.push(("role".to_owned(), FieldValue::Text(role.to_owned())));
        }
        match (&context, given) {
            (Ok(context), _) if context.is_empty() => {}
            (Ok(context), _) => own.push((
                "context".to_owned(),
                FieldValue::Map(
                    context
                        .iter()
                        .map(|(name, value)| {
                            ((*name).to_owned(), FieldValue::Text((*value).to_owned()))
                        })
                        .collect(),
                ),
            )),
            (Err(_), given) => own.extend(given.map(|value| ("context".to_owned(), value.clone()))),
        }
        let profile_field = FieldValue::Text(profile.unwrap_or("").to_owned());
        own.push(("aws_profile".to_owned(), profile_field));

        let identity = identity(arn, role, context.as_ref().ok(), profile);
        let key = context.and_then(|context| {
            let region = arn::region(arn).ok_or_else(|| KeyError::NoKey {
                message: format!("no valid ARN found in '{arn}'"),
            })?;
            let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
            Ok(Key {
                arn: arn.to_owned(),
                context: context.into_iter().map(owned).collect(),
                account: Account {
                    region: region.to_owned(),
                    profile: profile.map(str::to_owned),
                    role: role.map(str::to_owned),
                },
            })
        });
        KmsKey { fields: own, identity, named_by, key }
    }

    fn key(&self) -> Result<&Key, KeyError> {
        self.key.as_ref().map_err(Clone::clone)
    }

    fn decrypt(&self, wrapped: &str, with: &Credentials) -> Result<SecretBytes, KeyError> {
        let failed = |message: String| KeyError::Unwrap {
            message: format!("failed to decrypt sops data key with AWS KMS: {message}"),
        };
        let key = self.key()?;
        let ciphertext = BASE64.decode(wrapped).map_err(|error| KeyError::Unwrap {
            message: format!("error base64-decoding encrypted data key: {error}"),
        })?;
        let clients = with.own::<Clients>();
        clients
            .decrypt(&key.account, self.named_by, &key.arn, &key.context, ciphertext)
            .map_err(failed)
    }
}

impl MasterKey for KmsKey {
    fn kind(&self) -> &str {
        foreign::AWS_KMS.name
    }

    fn identity(&self) -> &str {
        &self.identity
    }

    fn check(&self) -> Result<(), KeyError> {
        self.key().map(|_| ())
    }

    fn wrap(&self, key: &[u8], with: &Credentials) -> Result<String, KeyError> {
        let Key { arn, context, account } = self.key()?;
        let clients = with.own::<Clients>();
        let ciphertext =
            clients.encrypt(account, self.named_by, arn, context, key).map_err(|message| {
                let message = format!("failed to encrypt sops data key with AWS KMS: {message}");
                KeyError::Wrap { message }
            })?;
        Ok(BASE64.encode(ciphertext))
    }

    fn open(&self, wrapped: &str, with: &Credentials) -> Option<Result<SecretBytes, KeyError>> {
        Some(self.decrypt(wrapped, with))
    }

    fn fields(&self) -> Fields {
        self.fields.clone()
    }
}

impl fmt::Debug for KmsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KmsKey({})", self.identity)
    }
}

/// Names and values of an encryption context, in the order of the names.
type Context<'f> = BTreeMap<&'f str, &'f str>;

/// Reads the encryption context of an entry.
fn read_context(field: Option<&FieldValue>) -> Result<Context<'_>, KeyError> {
    let malformed =
        || KeyError::Malformed { what: "the encryption context of the KMS key is no map of texts" };
    match field {
        None | Some(FieldValue::Null) => Ok(Context::new()),
        Some(FieldValue::Map(entries)) => entries
            .iter()
            .map(|(name, value)| Ok((name.as_str(), value.as_text().ok_or_else(malformed)?)))
            .collect(),
        Some(_) => Err(malformed()),
    }
}

/// Returns the text that stands for a key, which is SOPS': `arn+role|name:value,...|profile`.
fn identity(
    arn: &str,
    role: Option<&str>,
    context: Option<&Context<'_>>,
    profile: Option<&str>,
) -> String {
    let mut identity = arn.to_owned();
    if let Some(role) = role {
        identity.push('+');
        identity.push_str(role);
    }
    let entries = context.into_iter().flatten();
    let context: Vec<String> = entries.map(|(name, value)| format!("{name}:{value}")).collect();
    if !context.is_empty() || profile.is_some() {
        identity.push('|');
        identity.push_str(&context.join(","));
    }
    if let Some(profile) = profile {
        identity.push('|');
        identity.push_str(profile);
    }
    identity
}

#[cfg(test)]
mod tests;
