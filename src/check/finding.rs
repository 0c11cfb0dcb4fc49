//! What can be found, under stable codes.

use std::borrow::Cow;

use crate::span::Position;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; does not fail a check.
    Warning,
    /// Fails a check.
    Error,
}

impl Severity {
    /// Returns the word for it.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $code:ident = $name:literal, $severity:ident, $text:literal;)*) => {
        /// The kind of a finding. The names are stable: scripts and `--allow` have them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])* $code,)*
        }

        impl Code {
            /// All codes.
            pub const ALL: &'static [Code] = &[$(Code::$code,)*];

            /// Returns the name.
            pub fn name(self) -> &'static str {
                match self { $(Code::$code => $name,)* }
            }

            /// Returns how bad it is, if nobody says otherwise.
            pub fn severity(self) -> Severity {
                match self { $(Code::$code => Severity::$severity,)* }
            }

            /// Returns what it means, in one sentence.
            pub fn description(self) -> &'static str {
                match self { $(Code::$code => $text,)* }
            }
        }
    };
}

codes! {
    /// A plain file.
    PlaintextFile = "plaintext-file", Error,
        "A file that a creation rule matches is not encrypted.";
    /// A plain value in an encrypted file.
    PlaintextValue = "plaintext-value", Error,
        "A value that the file's own rule covers stands in clear.";
    /// A plain comment in an encrypted file.
    PlaintextComment = "plaintext-comment", Error,
        "A comment that the file's own rule covers stands in clear.";
    /// A plain value that only the config's rule covers.
    UncoveredValue = "uncovered-value", Error,
        "A value stands in clear that the rule in the config covers, and the file's does not.";
    /// An encrypted file in which nothing is encrypted.
    NothingEncrypted = "nothing-encrypted", Error,
        "The file has SOPS' metadata, and its rule covers none of its values.";
    /// Ciphertexts that nobody can decrypt.
    MissingMetadata = "missing-metadata", Error,
        "The file has encrypted values, and no metadata to decrypt them with.";
    /// A damaged ciphertext.
    MalformedValue = "malformed-value", Error,
        "A value begins as a ciphertext does and is none.";
    /// No MAC.
    MissingMac = "missing-mac", Error,
        "The metadata has no MAC.";
    /// A damaged MAC.
    MalformedMac = "malformed-mac", Error,
        "The MAC is no ciphertext.";
    /// A key without a wrapped data key.
    MalformedKey = "malformed-key", Error,
        "A master key in the metadata has no encrypted data key.";
    /// Damaged metadata.
    MalformedMetadata = "malformed-metadata", Error,
        "The metadata cannot be used.";
    /// Nobody can decrypt.
    NoRecipients = "no-recipients", Error,
        "The metadata, or a group in it, has no master keys.";
    /// Other recipients than the config.
    RecipientsDiffer = "recipients-differ", Error,
        "The file is encrypted for others than its creation rule names.";
    /// Another threshold or rule than the config.
    RuleDiffers = "rule-differs", Error,
        "The threshold or the rule in the file is another than in its creation rule.";
    /// Conflict markers.
    ConflictMarkers = "conflict-markers", Error,
        "The text has conflict markers of git.";
    /// A key that stands twice.
    DuplicateKey = "duplicate-key", Error,
        "A key stands in its map twice.";
    /// Not of its format.
    Unreadable = "unreadable", Error,
        "The file does not parse.";
    /// A config that is not usable.
    ConfigInvalid = "config-invalid", Error,
        "The config cannot be used.";
    /// Something about a config.
    ConfigSuspicious = "config-suspicious", Warning,
        "Something in the config works otherwise than it looks.";
    /// With a key: a value that does not open.
    Unauthentic = "unauthentic", Error,
        "A value does not authenticate: it was changed, moved, or sealed with another key.";
    /// With a key: a wrong MAC.
    MacMismatch = "mac-mismatch", Error,
        "The values are not those that the MAC was made over.";
    /// With a key: nothing could be verified.
    NotVerified = "not-verified", Error,
        "The file could not be opened with the keys at hand.";
    /// A copy of a secret.
    SecretInClear = "secret-in-clear", Error,
        "The value of an encrypted file stands somewhere in clear.";
}

impl Code {
    /// Returns the code called `name`.
    pub fn from_name(name: &str) -> Option<Code> {
        Code::ALL.iter().copied().find(|code| code.name() == name)
    }
}

/// Something that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What kind of thing.
    pub code: Code,
    /// What it is, without any value.
    pub message: Cow<'static, str>,
    /// Where.
    pub position: Option<Position>,
    /// The tree path of the value that it is about.
    pub path: Option<String>,
    /// The file that the value is of, if it is another one.
    pub secret_file: Option<String>,
    /// What stands there, with asterisks for what may be secret.
    pub snippet: Option<String>,
}

impl Finding {
    /// Returns a finding about a whole file.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Finding {
        Finding {
            code,
            message: message.into(),
            position: None,
            path: None,
            secret_file: None,
            snippet: None,
        }
    }

    /// Sets where it is.
    pub fn at(self, position: Option<Position>) -> Finding {
        Finding { position, ..self }
    }

    /// Sets the tree path.
    pub fn about(self, path: &str) -> Finding {
        Finding { path: Some(path.to_owned()), ..self }
    }

    /// Sets what stands there.
    pub fn showing(self, snippet: String) -> Finding {
        Finding { snippet: Some(snippet), ..self }
    }
}
