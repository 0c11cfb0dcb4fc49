//! age: recipients and identities of all types: X25519, post-quantum, SSH keys and plugins.
//!
//! Each recipient of a file has an armored age file of its own that holds the data key (or the
//! group's part of it). Identities come from the sources that SOPS knows, in a fixed order; a
//! source or a line that is not usable is noted and never keeps the others from being tried.

mod bech32;
mod gpg_agent;
mod hybrid;
mod identities;
mod identity;
mod passphrase;
mod plugin;
mod recipient;
mod sources;
mod ssh;
mod tag;

use std::fmt;
use std::io::Write as _;
use std::sync::Arc;

use age::armor::{ArmoredWriter, Format};

use crate::keys::{
    ConfigNames, Credentials, FieldValue, Fields, KeyCode, KeyError, KeyFlag, KeyKind, MasterKey,
    Member, NamedBy, text_field,
};
use crate::secret::SecretBytes;

use self::recipient::Recipient;

pub use self::identities::Identities;
pub use self::plugin::Plugins;
pub use self::recipient::RecipientError;
pub use self::sources::{Content, Place, Source, SourceOutcome, SourceReport};

/// The kind of age keys.
pub static KIND: KeyKind = KeyKind {
    name: "age",
    title: "age",
    flag: KeyFlag { long: "age", short: Some('a'), value: "RECIPIENTS", keys: "age recipients" },
    env: "SOPS_AGE_RECIPIENTS",
    options: &[],
    config: ConfigNames {
        rule: "age",
        rule_takes_list_only: false,
        group: "age",
        member: Member::Text,
    },
    is_remote: false,
    has_versions: false,
    is_dated: false,
    is_in_every_group: true,
    ignores_blanks: false,
    code: Some(KeyCode {
        split: |text| Ok(vec![("recipient".to_owned(), FieldValue::Text(text.to_owned()))]),
        from_fields: |fields, named_by| Arc::new(AgeKey::from_fields(&fields, named_by)),
        looked_in: |with| {
            let reports = with.own::<Identities>().reports();
            reports.iter().map(SourceReport::to_string).collect()
        },
        advice: "set SOPS_AGE_KEY_FILE to the file with your age identity, \
                 or ask one of the recipients above to add yours",
    }),
};

/// An age recipient.
pub struct AgeKey {
    text: String,
    recipient: Result<Recipient, RecipientError>,
    named_by: NamedBy,
}

impl AgeKey {
    /// Reads a recipient.
    ///
    /// # Errors
    /// If the text is none.
    pub fn parse(text: &str) -> Result<AgeKey, RecipientError> {
        let recipient = Ok(Recipient::parse(text)?);
        Ok(AgeKey { text: text.to_owned(), recipient, named_by: NamedBy::User })
    }

    /// Takes a recipient from an entry: whatever stands there is kept, and complained about only
    /// when it is to wrap something.
    fn from_fields(fields: &[(String, FieldValue)], named_by: NamedBy) -> AgeKey {
        let text = text_field(fields, "recipient").unwrap_or_default();
        AgeKey { text: text.to_owned(), recipient: Recipient::parse(text), named_by }
    }

    fn recipient(&self) -> Result<&Recipient, KeyError> {
        let no_key = |error: &RecipientError| KeyError::NoKey { message: error.to_string() };
        self.recipient.as_ref().map_err(no_key)
    }

    /// Returns whether the plugin called `name` may be started for this key.
    fn may_start(&self, name: &str, with: &Credentials) -> bool {
        !self.needs_user()
            || with.own::<Plugins>().allows(name)
            || with.own::<Identities>().name_plugin(name)
    }
}

impl MasterKey for AgeKey {
    fn kind(&self) -> &str {
        KIND.name
    }

    fn identity(&self) -> &str {
        &self.text
    }

    fn check(&self) -> Result<(), KeyError> {
        self.recipient()?;
        Ok(())
    }

    fn needs_user(&self) -> bool {
        self.named_by == NamedBy::File && matches!(self.recipient, Ok(Recipient::Plugin(_)))
    }

    fn wrap(&self, key: &[u8], with: &Credentials) -> Result<String, KeyError> {
        let host = with.host();
        match self.recipient()? {
            Recipient::X25519(recipient) => wrap(key, recipient),
            Recipient::Hybrid(recipient) => wrap(key, &**recipient),
            Recipient::Ssh(recipient) => wrap(key, recipient),
            Recipient::Tag(recipient) => wrap(key, &**recipient),
            Recipient::Plugin(recipient) if self.may_start(recipient.name(), with) => {
                wrap(key, &recipient.on(&**host))
            }
            Recipient::Plugin(recipient) => Err(KeyError::Wrap {
                message: format!(
                    "the plugin `{0}` is named by the file alone, and was not started; name the \
                     recipient in the creation rule, or the plugin in ENCFILE_AGE_PLUGINS",
                    recipient.name()
                ),
            }),
        }
    }

    fn open(&self, wrapped: &str, with: &Credentials) -> Option<Result<SecretBytes, KeyError>> {
        with.own::<Identities>().unwrap(wrapped, &self.text)
    }

    fn fields(&self) -> Fields {
        vec![("recipient".to_owned(), FieldValue::Text(self.text.clone()))]
    }
}

/// Makes an armored age file of a data key.
fn wrap(key: &[u8], recipient: &dyn age::Recipient) -> Result<String, KeyError> {
    let failed = |error: &dyn fmt::Display| KeyError::Wrap {
        message: format!("failed to encrypt sops data key with age: {error}"),
    };
    let encryptor = age::Encryptor::with_recipients(std::iter::once(recipient))
        .map_err(|error| failed(&error))?;
    let write = || -> std::io::Result<Vec<u8>> {
        let armor = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor)?;
        let mut stream = encryptor.wrap_output(armor)?;
        stream.write_all(key)?;
        stream.finish()?.finish()
    };
    let armored = write().map_err(|error| failed(&error))?;
    String::from_utf8(armored).map_err(|error| failed(&error.utf8_error()))
}

impl fmt::Debug for AgeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AgeKey({})", self.text)
    }
}

#[cfg(test)]
mod tests;
