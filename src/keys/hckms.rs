//! `HuaweiCloud` KMS: `REGION:UUID`.
//!
//! The region says which server is asked ([`endpoint`]); the user's access key
//! ([`credentials`], or one had by a [`login`]) signs every request ([`signature`]) and is never sent itself, so that a file,
//! which names the region, cannot choose who gets anything.

mod client;
mod credentials;
mod endpoint;
mod login;
mod signature;

use std::fmt;
use std::sync::Arc;

use super::{Credentials, FieldValue, Fields, KeyCode, KeyError, MasterKey, NamedBy, text_field};
use crate::secret::SecretBytes;

use self::client::Client;

/// How keys of `HuaweiCloud` are made and used.
pub(super) const CODE: KeyCode = KeyCode {
    split: |text| Ok(vec![("key_id".to_owned(), FieldValue::Text(text.to_owned()))]),
    from_fields: |fields, _: NamedBy| Arc::new(HuaweiKey::from_fields(&fields)),
    looked_in: |with| with.own::<Client>().looked_in(),
    advice: "set HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK to an access key that may use the key",
};

/// A key, as its text stands in the file.
struct HuaweiKey {
    id: String,
}

/// The parts of a key's text.
struct Target<'k> {
    region: &'k str,
    uuid: &'k str,
}

impl HuaweiKey {
    fn from_fields(fields: &[(String, FieldValue)]) -> HuaweiKey {
        HuaweiKey { id: text_field(fields, "key_id").unwrap_or_default().to_owned() }
    }

    fn target(&self) -> Result<Target<'_>, KeyError> {
        let no_key = |message| Err(KeyError::NoKey { message });
        let id = &self.id;
        let Some((region, uuid)) = id.split_once(':') else {
            let expected = "invalid key ID format: expected 'region:key-uuid'";
            return no_key(format!("{expected}, got \"{id}\""));
        };
        let (region, uuid) = (region.trim(), uuid.trim());
        if region.is_empty() {
            return no_key(format!("region cannot be empty in key ID: \"{id}\""));
        }
        if uuid.is_empty() {
            return no_key(format!("key UUID cannot be empty in key ID: \"{id}\""));
        }
        Ok(Target { region, uuid })
    }
}

impl MasterKey for HuaweiKey {
    fn kind(&self) -> &str {
        super::foreign::HCKMS.name
    }

    fn identity(&self) -> &str {
        &self.id
    }

    fn check(&self) -> Result<(), KeyError> {
        self.target().map(drop)
    }

    fn wrap(&self, key: &[u8], with: &Credentials) -> Result<String, KeyError> {
        let Target { region, uuid } = self.target()?;
        with.own::<Client>().encrypt(region, uuid, key).map_err(|reason| KeyError::Wrap {
            message: format!("failed to encrypt sops data key with HuaweiCloud KMS: {reason}"),
        })
    }

    fn open(&self, wrapped: &str, with: &Credentials) -> Option<Result<SecretBytes, KeyError>> {
        let unwrap = || {
            let Target { region, uuid } = self.target()?;
            with.own::<Client>().decrypt(region, uuid, wrapped).map_err(|reason| KeyError::Unwrap {
                message: format!("failed to decrypt sops data key with HuaweiCloud KMS: {reason}"),
            })
        };
        Some(unwrap())
    }

    fn fields(&self) -> Fields {
        vec![("key_id".to_owned(), FieldValue::Text(self.id.clone()))]
    }
}

impl fmt::Debug for HuaweiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HuaweiKey({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use crate::keys::{self, foreign};

    #[test]
    fn a_text_that_names_no_key_is_refused_in_the_words_of_sops() {
        for (text, expected) in [
            ("foo", r#"invalid key ID format: expected 'region:key-uuid', got "foo""#),
            (":x", r#"region cannot be empty in key ID: ":x""#),
            ("x:", r#"key UUID cannot be empty in key ID: "x:""#),
            ("x: ", r#"key UUID cannot be empty in key ID: "x:""#),
        ] {
            let error = keys::parse(&foreign::HCKMS, text, &[]).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn a_text_is_kept_as_it_is() {
        let key = keys::parse(&foreign::HCKMS, "tr-west-1 : a:b", &[]).unwrap();
        assert_eq!(key.identity(), "tr-west-1 : a:b");
    }
}
