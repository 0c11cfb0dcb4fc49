//! age: X25519 recipients and identities.
//!
//! Each recipient of a file has an armored age file of its own that holds the data key (or the
//! group's part of it). Identities come from the sources that SOPS knows, in a fixed order; a
//! source or a line that is not usable is noted and never keeps the others from being tried.

use std::fmt;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use age::armor::{ArmoredReader, ArmoredWriter, Format};
use age::{DecryptError, x25519};

use crate::keys::{Credentials, FieldValue, Host, KeyError, KeyKind, MasterKey};
use crate::secret::SecretBytes;

/// The kind of age keys.
pub static KIND: KeyKind = KeyKind {
    name: "age",
    title: "age",
    env: "SOPS_AGE_RECIPIENTS",
    parse: |text| Ok(Arc::new(AgeKey::parse(text)?)),
    from_fields: |fields| Arc::new(AgeKey::from_fields(fields)),
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
        let text = fields
            .iter()
            .find(|(name, _)| name == "recipient")
            .and_then(|(_, value)| value.as_text())
            .unwrap_or_default();
        AgeKey { text: text.to_owned(), recipient: parse_recipient(text) }
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

    fn wrap(&self, key: &[u8], _with: &Credentials) -> Result<String, KeyError> {
        let recipient = self.recipient.as_ref().map_err(std::clone::Clone::clone)?;
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
        with.age.unwrap(wrapped, &self.text)
    }

    fn fields(&self) -> Vec<(String, FieldValue)> {
        vec![("recipient".to_owned(), FieldValue::Text(self.text.clone()))]
    }
}

impl fmt::Debug for AgeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AgeKey({})", self.text)
    }
}

/// A place where identities may be found.
pub enum Source {
    /// The identities themselves, separated by white space: `SOPS_AGE_KEY`.
    Text {
        /// What the source is called in messages.
        name: String,
        /// One identity a word; lines that start with `#` are skipped.
        text: SecretBytes,
    },
    /// A file with one identity a line.
    File {
        /// What the source is called in messages.
        name: String,
        /// The file.
        path: PathBuf,
        /// Whether it is fine for the file not to exist.
        optional: bool,
    },
    /// A program that prints identities. It is asked last, once for each recipient.
    Command {
        /// What the source is called in messages.
        name: String,
        /// The command line.
        command: String,
    },
}

/// What became of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceReport {
    /// What the source is called.
    pub name: String,
    /// What it gave.
    pub outcome: SourceOutcome,
}

/// What a source gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceOutcome {
    /// The number of identities that were read, and what was wrong with other lines.
    Loaded {
        /// Identities.
        identities: usize,
        /// The numbers of lines that are no identity, with the reason.
        unusable: Vec<(usize, &'static str)>,
    },
    /// There is no such file.
    Missing,
    /// It could not be read or run.
    Failed(String),
}

/// The age identities of a process, read at most once.
pub struct Identities {
    sources: Vec<Source>,
    host: Option<Arc<dyn Host>>,
    loaded: OnceLock<Loaded>,
    /// What the commands gave, by recipient.
    asked: Mutex<Vec<(String, Arc<Loaded>)>>,
}

#[derive(Default)]
struct Loaded {
    identities: Vec<x25519::Identity>,
    reports: Vec<SourceReport>,
}

impl Identities {
    /// Returns the identities of `sources`, which `host` will read when they are needed.
    pub fn new(sources: Vec<Source>, host: Arc<dyn Host>) -> Identities {
        Identities {
            sources,
            host: Some(host),
            loaded: OnceLock::new(),
            asked: Mutex::new(Vec::new()),
        }
    }

    /// Returns no identities.
    pub fn none() -> Identities {
        Identities {
            sources: Vec::new(),
            host: None,
            loaded: OnceLock::new(),
            asked: Mutex::new(Vec::new()),
        }
    }

    /// Returns what became of the sources that were tried so far.
    pub fn reports(&self) -> Vec<SourceReport> {
        let mut reports = self.loaded.get().map(|l| l.reports.clone()).unwrap_or_default();
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        for report in asked.iter().flat_map(|(_, loaded)| &loaded.reports) {
            if !reports.contains(report) {
                reports.push(report.clone());
            }
        }
        reports
    }

    /// Returns the recipients of the identities that were read: who *I* am.
    pub fn recipients(&self) -> Vec<String> {
        let loaded = self.loaded.get_or_init(|| self.load());
        loaded.identities.iter().map(|identity| identity.to_public().to_string()).collect()
    }

    fn unwrap(&self, wrapped: &str, recipient: &str) -> Option<Result<SecretBytes, KeyError>> {
        let loaded = self.loaded.get_or_init(|| self.load());
        open(wrapped, &loaded.identities)
            .or_else(|| open(wrapped, &self.ask(recipient)?.identities))
    }

    fn load(&self) -> Loaded {
        let mut loaded = Loaded::default();
        for source in &self.sources {
            let (name, read) = match source {
                Source::Text { name, text } => {
                    read_identities(text, name, true, &mut loaded);
                    continue;
                }
                Source::File { name, path, optional } => {
                    let read = self.host.as_ref().map(|host| host.read_file(path));
                    match read {
                        Some(Err(error))
                            if *optional && error.kind() == std::io::ErrorKind::NotFound =>
                        {
                            let outcome = SourceOutcome::Missing;
                            loaded.reports.push(SourceReport { name: name.clone(), outcome });
                            continue;
                        }
                        read => (name, read),
                    }
                }
                Source::Command { .. } => continue,
            };
            match read {
                Some(Ok(text)) => read_identities(&text, name, false, &mut loaded),
                Some(Err(error)) => loaded.reports.push(SourceReport {
                    name: name.clone(),
                    outcome: SourceOutcome::Failed(error.to_string()),
                }),
                None => {}
            }
        }
        loaded
    }

    /// Runs the commands for `recipient`, unless that was done before.
    fn ask(&self, recipient: &str) -> Option<Arc<Loaded>> {
        let host = self.host.as_ref()?;
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, loaded)) = asked.iter().find(|(known, _)| known == recipient) {
            return Some(Arc::clone(loaded));
        }
        let mut loaded = Loaded::default();
        for source in &self.sources {
            let Source::Command { name, command } = source else { continue };
            match host.run(command, &[("SOPS_AGE_RECIPIENT", recipient)]) {
                Ok(text) => read_identities(&text, name, false, &mut loaded),
                Err(message) => loaded.reports.push(SourceReport {
                    name: name.clone(),
                    outcome: SourceOutcome::Failed(message),
                }),
            }
        }
        let loaded = Arc::new(loaded);
        asked.push((recipient.to_owned(), Arc::clone(&loaded)));
        Some(loaded)
    }
}

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identities")
    }
}

/// Reads the identities of a text, one a line, or one a word.
fn read_identities(text: &[u8], name: &str, words: bool, loaded: &mut Loaded) {
    let before = loaded.identities.len();
    let mut unusable = Vec::new();
    let encrypted = text.starts_with(b"age-encryption") || text.starts_with(b"-----BEGIN AGE");
    if encrypted {
        unusable.push((1, "identity files with a passphrase are not built into this version"));
    }
    for (number, line) in text.split(|&byte| byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if encrypted || line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let parts = line.split(|byte| words && byte.is_ascii_whitespace());
        for part in parts.filter(|part| !part.is_empty()) {
            match read_identity(part) {
                Ok(identity) => loaded.identities.push(identity),
                Err(reason) => unusable.push((number + 1, reason)),
            }
        }
    }
    let identities = loaded.identities.len() - before;
    let outcome = SourceOutcome::Loaded { identities, unusable };
    loaded.reports.push(SourceReport { name: name.to_owned(), outcome });
}

fn read_identity(text: &[u8]) -> Result<x25519::Identity, &'static str> {
    let Ok(text) = std::str::from_utf8(text) else {
        return Err("unknown identity type");
    };
    if text.starts_with("AGE-SECRET-KEY-1") {
        text.parse().map_err(|_| "malformed age identity")
    } else if text.starts_with("AGE-SECRET-KEY-PQ-1") {
        Err("post-quantum identities are not built into this version")
    } else if text.starts_with("AGE-PLUGIN-") {
        Err("age plugins are not built into this version")
    } else {
        Err("unknown identity type")
    }
}

/// Opens an armored age file; `None` if none of the identities is for it.
fn open(wrapped: &str, identities: &[x25519::Identity]) -> Option<Result<SecretBytes, KeyError>> {
    if identities.is_empty() {
        return None;
    }
    let failed = |error: &dyn fmt::Display| {
        Some(Err(KeyError::Unwrap {
            message: format!("failed to decrypt sops data key with age: {error}"),
        }))
    };
    let armor = ArmoredReader::new(wrapped.as_bytes());
    let decryptor = match age::Decryptor::new(armor) {
        Ok(decryptor) => decryptor,
        Err(error) => return failed(&error),
    };
    let identities = identities.iter().map(|identity| identity as &dyn age::Identity);
    let mut stream = match decryptor.decrypt(identities) {
        Ok(stream) => stream,
        Err(DecryptError::NoMatchingKeys) => return None,
        Err(error) => return failed(&error),
    };
    // A data key or part has 33 bytes at the most; one byte of room shows what is longer.
    let mut key = SecretBytes::new();
    key.resize(64);
    let mut length = 0;
    loop {
        match stream.read(&mut key.as_mut_slice()[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) => return failed(&error),
        }
        if length == key.len() {
            return failed(&"the text is longer than a data key");
        }
    }
    key.resize(length);
    Some(Ok(key))
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
    use age::secrecy::ExposeSecret as _;

    struct Machine;

    impl Host for Machine {
        fn read_file(&self, _path: &std::path::Path) -> std::io::Result<SecretBytes> {
            Err(std::io::ErrorKind::NotFound.into())
        }

        fn run(&self, command: &str, env: &[(&str, &str)]) -> Result<SecretBytes, String> {
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
        Credentials::new(Identities::new(sources, Arc::new(Machine)))
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
            with.age.reports()[0].outcome,
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
        assert_eq!(with.age.reports()[0].outcome, failed);
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
