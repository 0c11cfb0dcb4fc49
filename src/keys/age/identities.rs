//! The age identities of a process: read from their sources when they are first needed.

use std::cell::RefCell;
use std::fmt;
use std::io::Read as _;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use age::DecryptError;
use age::armor::ArmoredReader;
use age_core::format::{FileKey, Stanza};

use super::identity::{self, Identity};
use super::sources::{Content, MAX_FILE, Place, Source, SourceOutcome, SourceReport};
use crate::keys::{CommandLine, Host, KeyError, OwnCredentials};
use crate::secret::SecretBytes;

/// The age identities of a process, read at most once.
///
/// They are tried from the cheap to the dear: those that are at hand, SSH keys if a file is for
/// one, what commands print for the recipient, and last what may ask the user: identity files with
/// a passphrase, and plugins. One that fails never keeps the others from being tried.
pub struct Identities {
    sources: Vec<Source>,
    host: Arc<dyn Host>,
    own: OnceLock<Loaded>,
    ssh: OnceLock<Loaded>,
    /// What the commands gave, by recipient and content.
    asked: Mutex<Vec<Asked>>,
}

/// A recipient, whether SSH keys were asked for, and what the commands gave.
type Asked = (String, bool, Arc<Loaded>);

#[derive(Default)]
struct Loaded {
    identities: Vec<Identity>,
    reports: Vec<SourceReport>,
}

impl Identities {
    /// Returns the identities of `sources`, which `host` will read when they are needed.
    pub fn new(sources: Vec<Source>, host: Arc<dyn Host>) -> Identities {
        let (own, ssh, asked) = (OnceLock::new(), OnceLock::new(), Mutex::default());
        Identities { sources, host, own, ssh, asked }
    }

    /// Returns what became of the sources that were tried so far.
    pub fn reports(&self) -> Vec<SourceReport> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let read = [&self.ssh, &self.own].into_iter().filter_map(OnceLock::get);
        let mut reports: Vec<SourceReport> = Vec::new();
        for report in
            read.chain(asked.iter().map(|(.., loaded)| &**loaded)).flat_map(|l| &l.reports)
        {
            if !reports.contains(report) {
                reports.push(report.clone());
            }
        }
        reports
    }

    /// Returns the recipients of the identities that were read: who *I* am.
    pub fn recipients(&self) -> Vec<String> {
        self.own().identities.iter().filter_map(|identity| identity.recipient.clone()).collect()
    }

    /// Returns the recipients of the identities that can be read without asking anybody, SSH keys
    /// among them, each with the name of its source.
    pub fn known_recipients(&self) -> Vec<(String, String)> {
        let ssh = self.ssh.get_or_init(|| self.load(true));
        let all = self.own().identities.iter().chain(&ssh.identities);
        all.filter_map(|identity| Some((identity.recipient.clone()?, identity.source.clone())))
            .collect()
    }

    /// Returns whether there are identities whose recipients only a command, a device or the user
    /// would tell.
    pub fn has_unknown_recipients(&self) -> bool {
        self.sources.iter().any(|source| matches!(source.place, Place::Command(_)))
            || self.own().identities.iter().any(|identity| identity.recipient.is_none())
    }

    /// Returns whether an identity is for the plugin called `name`.
    pub(super) fn name_plugin(&self, name: &str) -> bool {
        self.own().identities.iter().any(|identity| identity.plugin.as_deref() == Some(name))
    }

    /// Unwraps the data key that is in an armored age file; `None` if no identity is for it.
    pub(super) fn unwrap(
        &self,
        wrapped: &str,
        recipient: &str,
    ) -> Option<Result<SecretBytes, KeyError>> {
        let mut attempt = Attempt::new(wrapped);
        // Whatever does not end here is tried with the next set, which costs more.
        if attempt.with(plain(self.own())) {
            return attempt.finish();
        }
        let is_ssh = attempt.stanzas.iter().any(|tag| tag.starts_with("ssh-"));
        if is_ssh && attempt.with(self.ssh.get_or_init(|| self.load(true)).identities.iter()) {
            return attempt.finish();
        }
        let asked = self.ask(recipient, is_ssh);
        if attempt.with(plain(&asked)) {
            return attempt.finish();
        }
        attempt.with(asking(self.own()).chain(asking(&asked)));
        attempt.finish()
    }

    fn own(&self) -> &Loaded {
        self.own.get_or_init(|| self.load(false))
    }

    /// Reads the sources that are no commands: of SSH keys, or of identities.
    fn load(&self, ssh: bool) -> Loaded {
        let mut loaded = Loaded::default();
        for source in self.sources.iter().filter(|s| (s.content == Content::SshKey) == ssh) {
            match &source.place {
                Place::Text(text) => loaded.add(source, text, &self.host),
                Place::File { path, optional } => match self.host.read_file(path, MAX_FILE) {
                    Ok(text) => loaded.add(source, &text, &self.host),
                    Err(error) if *optional && error.kind() == std::io::ErrorKind::NotFound => {
                        loaded.report(source, SourceOutcome::Missing);
                    }
                    Err(error) => loaded.report(source, SourceOutcome::Failed(error.to_string())),
                },
                Place::Command(_) => {}
            }
        }
        loaded
    }

    /// Runs the commands for `recipient`, unless that was done before.
    fn ask(&self, recipient: &str, ssh: bool) -> Arc<Loaded> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let known = asked.iter().find(|(known, of_ssh, _)| known == recipient && *of_ssh == ssh);
        if let Some((.., loaded)) = known {
            return Arc::clone(loaded);
        }
        let mut loaded = Loaded::default();
        for source in &self.sources {
            let Place::Command(command) = &source.place else { continue };
            if source.content == Content::SshKey && !ssh {
                continue;
            }
            let env = [("SOPS_AGE_RECIPIENT", recipient)];
            let line = CommandLine { text: command, env: &env, limit: None };
            match self.host.run_command_line(&line) {
                Ok(text) => loaded.add(source, &text, &self.host),
                Err(message) => loaded.report(source, SourceOutcome::Failed(message)),
            }
        }
        let loaded = Arc::new(loaded);
        asked.push((recipient.to_owned(), ssh, Arc::clone(&loaded)));
        loaded
    }
}

fn plain(loaded: &Loaded) -> impl Iterator<Item = &Identity> {
    loaded.identities.iter().filter(|identity| !identity.asks)
}

fn asking(loaded: &Loaded) -> impl Iterator<Item = &Identity> {
    loaded.identities.iter().filter(|identity| identity.asks)
}

impl Loaded {
    /// Takes what a source gave.
    fn add(&mut self, source: &Source, text: &[u8], host: &Arc<dyn Host>) {
        let lines = match source.content {
            Content::Lines => identity::read_lines(text, &source.name, host),
            Content::Words => identity::read_words(text, &source.name, host),
            Content::SshKey => identity::read_ssh(text, &source.name, host),
        };
        let identities = lines.identities.len();
        self.report(source, SourceOutcome::Loaded { identities, unusable: lines.unusable });
        let named = lines.identities.into_iter();
        self.identities.extend(named.map(|identity| identity.of_source(&source.name)));
    }

    fn report(&mut self, source: &Source, outcome: SourceOutcome) {
        self.reports.push(SourceReport { name: source.name.clone(), outcome });
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

/// An attempt to open an armored age file with one set of identities after the other.
struct Attempt<'w> {
    wrapped: &'w str,
    /// The types of the file's stanzas, once they were seen.
    stanzas: Vec<String>,
    key: Option<SecretBytes>,
    /// Why the file, or identities that were for it, failed.
    failures: Vec<String>,
    /// Whether the file is damaged, so that no identity can open it.
    is_damaged: bool,
}

impl<'w> Attempt<'w> {
    fn new(wrapped: &'w str) -> Attempt<'w> {
        let (stanzas, failures) = (Vec::new(), Vec::new());
        Attempt { wrapped, stanzas, key: None, failures, is_damaged: false }
    }

    /// Tries identities. Returns whether that is the end of it.
    fn with<'i>(&mut self, identities: impl Iterator<Item = &'i Identity>) -> bool {
        let witness = Witness::default();
        let identities: Vec<Tolerant<'_>> = identities
            .map(|identity| Tolerant { key: &*identity.key, failure: RefCell::default() })
            .collect();
        match self.open(&witness, &identities) {
            Ok(key) => self.key = Some(key),
            Err(DecryptError::NoMatchingKeys) => {}
            Err(error) => {
                self.is_damaged = true;
                self.failures.push(error.to_string());
            }
        }
        self.stanzas = witness.stanzas.into_inner();
        let failures = identities.into_iter().filter_map(|key| key.failure.into_inner());
        self.failures.extend(failures.map(|error| error.to_string()));
        self.key.is_some() || self.is_damaged
    }

    fn open(
        &self,
        witness: &Witness,
        identities: &[Tolerant<'_>],
    ) -> Result<SecretBytes, DecryptError> {
        let decryptor = age::Decryptor::new(ArmoredReader::new(self.wrapped.as_bytes()))?;
        let tolerant = identities.iter().map(|identity| identity as &dyn age::Identity);
        let all = std::iter::once(witness as &dyn age::Identity).chain(tolerant);
        let mut stream = decryptor.decrypt(all)?;
        // A data key or part has 33 bytes at the most; one byte of room shows what is longer.
        let mut key = SecretBytes::new();
        key.resize(64);
        let mut length = 0;
        loop {
            match stream.read(&mut key.as_mut_slice()[length..])? {
                0 => break,
                read => length += read,
            }
            if length == key.len() {
                let message = "the text is longer than a data key";
                return Err(DecryptError::Io(std::io::Error::other(message)));
            }
        }
        key.resize(length);
        Ok(key)
    }

    fn finish(self) -> Option<Result<SecretBytes, KeyError>> {
        if let Some(key) = self.key {
            return Some(Ok(key));
        }
        if self.failures.is_empty() {
            return None;
        }
        let reasons = self.failures.join("; ");
        let message = format!("failed to decrypt sops data key with age: {reasons}");
        Some(Err(KeyError::Unwrap { message }))
    }
}

/// An identity for no file, which sees what types of stanzas a file has.
#[derive(Default)]
struct Witness {
    stanzas: RefCell<Vec<String>>,
}

impl age::Identity for Witness {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        self.stanzas.borrow_mut().push(stanza.tag.clone());
        None
    }
}

/// An identity whose failure does not keep the next one from being tried.
struct Tolerant<'i> {
    key: &'i dyn age::Identity,
    failure: RefCell<Option<DecryptError>>,
}

impl age::Identity for Tolerant<'_> {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        self.unwrap_stanzas(std::slice::from_ref(stanza))
    }

    fn unwrap_stanzas(&self, stanzas: &[Stanza]) -> Option<Result<FileKey, DecryptError>> {
        match self.key.unwrap_stanzas(stanzas)? {
            Ok(key) => Some(Ok(key)),
            Err(error) => {
                self.failure.replace(Some(error));
                None
            }
        }
    }
}
