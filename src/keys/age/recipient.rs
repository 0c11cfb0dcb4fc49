//! Recipients of all types.

use age::x25519;

use super::{hybrid, plugin, ssh, tag};

/// Somebody to encrypt for.
pub(super) enum Recipient {
    X25519(x25519::Recipient),
    Hybrid(Box<hybrid::Recipient>),
    Ssh(age::ssh::Recipient),
    Tag(Box<tag::Recipient>),
    Plugin(plugin::Recipient),
}

impl Recipient {
    /// Reads a recipient; its beginning says of which type it is.
    pub(super) fn parse(text: &str) -> Result<Recipient, RecipientError> {
        let malformed = |kind, reason: &str| RecipientError::Malformed {
            kind,
            text: text.to_owned(),
            reason: reason.to_owned(),
        };
        match text {
            _ if text.starts_with("age1pq1") => hybrid::Recipient::parse(text)
                .map(|key| Recipient::Hybrid(Box::new(key)))
                .map_err(|reason| malformed("Bech32-encoded age public key", reason)),
            _ if text.starts_with("age1tag1") => tag::Recipient::parse(text)
                .map(|key| Recipient::Tag(Box::new(key)))
                .map_err(|reason| malformed("Bech32-encoded age public key", reason)),
            _ if text.starts_with("age1") && text[4..].contains('1') => {
                plugin::Recipient::parse(text)
                    .map(Recipient::Plugin)
                    .map_err(|reason| malformed("age key from age plugin", reason))
            }
            _ if text.starts_with("age1") => text
                .parse()
                .map(Recipient::X25519)
                .map_err(|reason| malformed("Bech32-encoded age public key", reason)),
            _ if text.starts_with("ssh-") => ssh::parse_recipient(text)
                .map(Recipient::Ssh)
                .map_err(|reason| malformed("age-ssh public key", &reason)),
            _ if is_secret(text) => Err(RecipientError::Secret),
            _ => Err(RecipientError::UnknownType { text: text.to_owned() }),
        }
    }
}

/// Returns whether a text is, or begins like, something that nobody else may see.
fn is_secret(text: &str) -> bool {
    let text = text.to_ascii_uppercase();
    ["SECRET-KEY", "AGE-PLUGIN-", "PRIVATE KEY"].iter().any(|secret| text.contains(secret))
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
    /// It begins like a recipient and is none.
    #[error("failed to parse input as {kind}: malformed recipient \"{text}\": {reason}")]
    Malformed {
        /// What it begins like, in SOPS' words.
        kind: &'static str,
        /// The text; recipients are public.
        text: String,
        /// What is wrong.
        reason: String,
    },
}
