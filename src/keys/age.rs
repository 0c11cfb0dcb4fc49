//! age: X25519 recipients and identities.
//!
//! Each recipient of a file has an armored age file of its own that holds the data key (or the
//! group's part of it). Identities come from the sources that SOPS knows, in a fixed order; a
//! source or a line that is not usable is noted and never keeps the others from being tried.

mod identities;
mod sources;

use std::fmt;
use std::io::Write as _;
use std::sync::Arc;

use age::armor::{ArmoredWriter, Format};
use age::x25519;

use crate::keys::{
    ConfigNames, Credentials, FieldValue, Fields, KeyCode, KeyError, KeyFlag, KeyKind, MasterKey,
    Member, text_field,
};
use crate::secret::SecretBytes;

pub use self::identities::Identities;
pub use self::sources::{Source, SourceOutcome, SourceReport};

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
    is_dated: false,
    is_in_every_group: true,
    ignores_blanks: false,
    code: Some(KeyCode {
        split: |text| Ok(vec![("recipient".to_owned(), FieldValue::Text(text.to_owned()))]),
        from_fields: |fields| Arc::new(AgeKey::from_fields(&fields)),
        looked_in: |with| {
            let reports = with.own::<Identities>().reports();
            reports.iter().map(SourceReport::to_string).collect()
        },
        advice: "set SOPS_AGE_KEY_FILE to the file with your age identity, \
                 or ask one of the recipients above to add yours",
    }),
};

/// The longest wrapped key that is read, in bytes: a header with a stanza of the largest kind is
/// far below.
const MAX_WRAPPED: usize = 64 * 1024;

/// An age recipient.
pub struct AgeKey {
    text: String,
    recipient: Result<x25519::Recipient, RecipientError>,
}

impl AgeKey {
    /// Reads a recipient.
    ///
    /// # Errors
    /// If the text is none, or one of a type that is not built in.
    pub fn parse(text: &str) -> Result<AgeKey, RecipientError> {
        let recipient = parse_recipient(text)?;
        Ok(AgeKey { text: text.to_owned(), recipient: Ok(recipient) })
    }

    /// Takes a recipient from a file: whatever stands there is kept, and complained about only
    /// when it is to wrap something.
    fn from_fields(fields: &[(String, FieldValue)]) -> AgeKey {
        let text = text_field(fields, "recipient").unwrap_or_default();
        AgeKey { text: text.to_owned(), recipient: parse_recipient(text) }
    }

    fn recipient(&self) -> Result<&x25519::Recipient, KeyError> {
        let no_key = |error: &RecipientError| KeyError::NoKey { message: error.to_string() };
        self.recipient.as_ref().map_err(no_key)
    }
}

fn parse_recipient(text: &str) -> Result<x25519::Recipient, RecipientError> {
    let later = |what| Err(RecipientError::NotBuilt { what });
    match text {
        _ if text.starts_with("age1pq1") => later("post-quantum age recipients"),
        _ if text.starts_with("ssh-") => later("SSH recipients"),
        _ if text.starts_with("age1") && text[4..].contains('1') => later("age plugins"),
        _ if text.starts_with("age1") => text
            .parse()
            .map_err(|reason| RecipientError::Malformed { text: text.to_owned(), reason }),
        _ if text.to_ascii_uppercase().contains("SECRET-KEY") => Err(RecipientError::Secret),
        _ => Err(RecipientError::UnknownType { text: text.to_owned() }),
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

    fn wrap(&self, key: &[u8], _with: &Credentials) -> Result<String, KeyError> {
        let recipient = self.recipient()?;
        let failed = |error: &dyn fmt::Display| KeyError::Wrap {
            message: format!("failed to encrypt sops data key with age: {error}"),
        };
        let recipients = std::iter::once(recipient as &dyn age::Recipient);
        let encryptor =
            age::Encryptor::with_recipients(recipients).map_err(|error| failed(&error))?;
        let write = || -> std::io::Result<Vec<u8>> {
            let armor = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor)?;
            let mut stream = encryptor.wrap_output(armor)?;
            stream.write_all(key)?;
            stream.finish()?.finish()
        };
        let armored = write().map_err(|error| failed(&error))?;
        String::from_utf8(armored).map_err(|error| failed(&error.utf8_error()))
    }

    fn unwrap(&self, wrapped: &str, with: &Credentials) -> Option<Result<SecretBytes, KeyError>> {
        if wrapped.len() > MAX_WRAPPED {
            return Some(Err(KeyError::Malformed { what: "the wrapped key is too long" }));
        }
        with.own::<Identities>().unwrap(wrapped, &self.text)
    }

    fn fields(&self) -> Fields {
        vec![("recipient".to_owned(), FieldValue::Text(self.text.clone()))]
    }
}

impl fmt::Debug for AgeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AgeKey({})", self.text)
    }
}

/// Why a text is not an age recipient that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecipientError {
    /// It is an identity, which must stay secret, so that the message does not repeat it.
    #[error("this is a secret age identity, not a recipient; a recipient begins with `age1`")]
    Secret,
    /// It begins like no recipient.
    #[error("failed to parse input, unknown recipient type: \"{text}\"")]
    UnknownType {
        /// The text; recipients are public.
        text: String,
    },
    /// It begins like an X25519 recipient and is none.
    #[error(
        "failed to parse input as Bech32-encoded age public key: malformed recipient \"{text}\": \
         {reason}"
    )]
    Malformed {
        /// The text; recipients are public.
        text: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A type that this version has no code for.
    #[error("{what} are not built into this version of encfile")]
    NotBuilt {
        /// The type, for people.
        what: &'static str,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Host;
    use age::secrecy::ExposeSecret as _;

    struct Machine;

    impl Host for Machine {
        fn read_file(&self, _: &std::path::Path, _: usize) -> std::io::Result<SecretBytes> {
            Err(std::io::ErrorKind::NotFound.into())
        }

        fn run_command_line(
            &self,
            command: &str,
            env: &[(&str, &str)],
        ) -> Result<SecretBytes, String> {
            assert_eq!(env[0].0, "SOPS_AGE_RECIPIENT");
            match command.strip_prefix("print ") {
                Some(text) => Ok(SecretBytes::from(text)),
                None => Err("exit status 3".to_owned()),
            }
        }
    }

    fn text(text: &str) -> Source {
        Source::Text { name: "SOPS_AGE_KEY".to_owned(), text: SecretBytes::from(text) }
    }

    fn credentials(sources: Vec<Source>) -> Credentials {
        Credentials::none().with(Identities::new(sources, Arc::new(Machine)))
    }

    #[test]
    fn a_key_unwraps_what_its_recipient_wrapped() {
        let (mine, other) = (x25519::Identity::generate(), x25519::Identity::generate());
        let secret = |identity: &x25519::Identity| identity.to_string().expose_secret().to_owned();
        let key = AgeKey::parse(&mine.to_public().to_string()).unwrap();
        let wrapped = key.wrap(&[5; 32], &Credentials::none()).unwrap();
        assert!(wrapped.ends_with("-----END AGE ENCRYPTED FILE-----\n"));

        assert!(key.unwrap(&wrapped, &Credentials::none()).is_none());
        assert!(key.unwrap(&wrapped, &credentials(vec![text(&secret(&other))])).is_none());
        let all = format!("# a comment\nrubbish {} {}", secret(&other), secret(&mine));
        let with = credentials(vec![text(&all)]);
        assert_eq!(&*key.unwrap(&wrapped, &with).unwrap().unwrap(), &[5; 32]);
        let unusable = vec![(2, "unknown identity type")];
        assert_eq!(
            with.own::<Identities>().reports()[0].outcome,
            SourceOutcome::Loaded { identities: 2, unusable }
        );

        let command = format!("print {}", secret(&mine));
        let source = |command: &str| Source::Command {
            name: "SOPS_AGE_KEY_CMD".to_owned(),
            command: command.to_owned(),
        };
        let with = credentials(vec![text(&secret(&other)), source(&command)]);
        assert_eq!(&*key.unwrap(&wrapped, &with).unwrap().unwrap(), &[5; 32]);
        let with = credentials(vec![source("false")]);
        assert!(key.unwrap(&wrapped, &with).is_none());
        let failed = SourceOutcome::Failed("exit status 3".to_owned());
        assert_eq!(with.own::<Identities>().reports()[0].outcome, failed);
    }

    #[test]
    fn a_damaged_wrapped_key_is_an_error() {
        let mine = x25519::Identity::generate();
        let with = credentials(vec![text(mine.to_string().expose_secret())]);
        let key = AgeKey::parse(&mine.to_public().to_string()).unwrap();
        let wrapped = key.wrap(&[5; 32], &with).unwrap();
        for damaged in ["", "x", &wrapped[..wrapped.len() / 2], &"x".repeat(MAX_WRAPPED + 1)] {
            assert!(key.unwrap(damaged, &with).unwrap().is_err());
        }
        let long = key.wrap(&[5; 100], &with).unwrap();
        assert!(key.unwrap(&long, &with).unwrap().is_err());
    }

    #[test]
    fn recipients_are_checked() {
        for (recipient, message) in [
            ("foo", "failed to parse input, unknown recipient type: \"foo\""),
            ("", "failed to parse input, unknown recipient type: \"\""),
            ("age1pq1x", "post-quantum age recipients are not built into this version of encfile"),
            ("ssh-ed25519 AAAA", "SSH recipients are not built into this version of encfile"),
            ("age1evil1x", "age plugins are not built into this version of encfile"),
        ] {
            assert_eq!(AgeKey::parse(recipient).unwrap_err().to_string(), message);
        }
        let malformed = AgeKey::parse("age1qqqq").unwrap_err();
        assert!(matches!(malformed, RecipientError::Malformed { .. }));
    }
}
