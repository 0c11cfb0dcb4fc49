//! The age identities of a process: read from their sources when they are first needed.

use std::fmt;
use std::io::Read as _;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use age::armor::ArmoredReader;
use age::{DecryptError, x25519};

use super::sources::{Source, SourceOutcome, SourceReport};
use crate::keys::{Host, KeyError, OwnCredentials};
use crate::secret::SecretBytes;

/// The most that is read of a file with identities, in bytes; age has the same limit.
const MAX_FILE: usize = 16 << 20;

/// The age identities of a process, read at most once.
pub struct Identities {
    sources: Vec<Source>,
    host: Arc<dyn Host>,
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
        Identities { sources, host, loaded: OnceLock::new(), asked: Mutex::new(Vec::new()) }
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

    pub(super) fn unwrap(
        &self,
        wrapped: &str,
        recipient: &str,
    ) -> Option<Result<SecretBytes, KeyError>> {
        let loaded = self.loaded.get_or_init(|| self.load());
        open(wrapped, &loaded.identities).or_else(|| open(wrapped, &self.ask(recipient).identities))
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
                    match self.host.read_file(path, MAX_FILE) {
                        Err(error) if *optional && error.kind() == std::io::ErrorKind::NotFound => {
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
                Ok(text) => read_identities(&text, name, false, &mut loaded),
                Err(error) => loaded.reports.push(SourceReport {
                    name: name.clone(),
                    outcome: SourceOutcome::Failed(error.to_string()),
                }),
            }
        }
        loaded
    }

    /// Runs the commands for `recipient`, unless that was done before.
    fn ask(&self, recipient: &str) -> Arc<Loaded> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, loaded)) = asked.iter().find(|(known, _)| known == recipient) {
            return Arc::clone(loaded);
        }
        let mut loaded = Loaded::default();
        for source in &self.sources {
            let Source::Command { name, command } = source else { continue };
            match self.host.run_command_line(command, &[("SOPS_AGE_RECIPIENT", recipient)]) {
                Ok(text) => read_identities(&text, name, false, &mut loaded),
                Err(message) => loaded.reports.push(SourceReport {
                    name: name.clone(),
                    outcome: SourceOutcome::Failed(message),
                }),
            }
        }
        let loaded = Arc::new(loaded);
        asked.push((recipient.to_owned(), Arc::clone(&loaded)));
        loaded
    }
}

impl OwnCredentials for Identities {
    fn of_host(host: &Arc<dyn Host>) -> Identities {
        Identities::new(Source::of_host(&**host), Arc::clone(host))
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
