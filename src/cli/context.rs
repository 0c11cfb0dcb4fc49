//! What every command gets: who it is, the environment, the voice, the credentials.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::check::conflict_marker;
use crate::cli::args::ServiceArgs;
use crate::cli::audit::{Action, AuditLog};
use crate::cli::creation_rule;
use crate::cli::env::Env;
use crate::cli::error::{self, CliError};
use crate::cli::exit::Exit;
use crate::cli::io::{self, Stamp, WriteNote, Written};
use crate::cli::machine::Machine;
use crate::cli::os::Hardened;
use crate::cli::personality::Personality;
use crate::cli::services::services;
use crate::cli::ui::Ui;
use crate::crypt::data_key::DataKey;
use crate::document::Document;
use crate::file::{self, DecryptedFile, EncryptedFile, FileError, Plan};
use crate::format::{self, FileFormat};
use crate::keys::age::Plugins;
use crate::keys::{
    self, Credentials, DEFAULT_DECRYPTION_ORDER, FileServers, KeyGroup, KeyKind, UnwrapError,
};
use crate::metadata::Metadata;
use crate::secret::SecretBytes;

/// Returns the credentials of the user, of which nothing is read yet.
pub fn credentials(personality: Personality, ui: Ui) -> Credentials {
    let mut credentials = Credentials::of_host(Arc::new(Machine::new(personality, ui)));
    if personality.starts_plugins_of_files() {
        credentials = credentials.with(Plugins::All);
    }
    if personality.asks_servers_of_files() {
        credentials = credentials.with(FileServers::Asked);
    }
    credentials
}

/// The surroundings of a command.
#[derive(Debug)]
pub struct Context {
    /// Who the program is.
    pub personality: Personality,
    /// The environment.
    pub env: Env,
    /// The voice.
    pub ui: Ui,
    /// The user's credentials.
    pub credentials: Credentials,
    /// The config that the command line names.
    pub config: Option<PathBuf>,
    /// What this process changed about itself, and commands that it runs want back.
    pub hardened: Hardened,
    /// The log of what is decrypted and encrypted.
    audit: Arc<AuditLog>,
}

impl Context {
    /// Reads the surroundings.
    ///
    /// # Errors
    /// If there is no working directory.
    pub fn new(
        personality: Personality,
        config: Option<PathBuf>,
        hardened: Hardened,
    ) -> Result<Context, CliError> {
        let env = Env::read().map_err(|error| {
            let message = format!("there is no working directory: {error}");
            CliError::new(Exit::Generic, "directory", message)
        })?;
        let ui = Ui::new(personality);
        let credentials = credentials(personality, ui);
        let audit = Arc::new(AuditLog::find(credentials.host())?);
        Ok(Context { personality, env, ui, credentials, config, hardened, audit })
    }

    /// Lets data keys be wrapped and unwrapped by the key services that `arguments` name.
    ///
    /// # Errors
    /// If something there is not as it should be.
    pub fn with_services(mut self, arguments: &ServiceArgs) -> Result<Context, CliError> {
        let services = services(&self, arguments)?;
        self.credentials = self.credentials.with(services);
        Ok(self)
    }

    /// Returns the same surroundings without a voice, for what is done twice and told once.
    #[must_use]
    pub fn without_voice(&self) -> Context {
        Context {
            personality: self.personality,
            env: self.env.clone(),
            ui: self.ui.muted(),
            credentials: self.credentials.clone(),
            config: self.config.clone(),
            hardened: self.hardened,
            audit: Arc::clone(&self.audit),
        }
    }

    /// Returns the format of a plain file by its name.
    pub fn format_by_name(&self, name: &Path) -> &'static dyn FileFormat {
        let name = name.to_string_lossy();
        if self.personality.understands_names() {
            format::by_file_name(&name)
        } else {
            format::by_ending(&name)
        }
    }

    /// Returns the format of an encrypted file: as it is given, else by the content, where the
    /// name only breaks ties, else by the name.
    pub fn format_of_encrypted(
        &self,
        text: &[u8],
        name: &Path,
        given: Option<&'static dyn FileFormat>,
    ) -> &'static dyn FileFormat {
        given
            .or_else(|| {
                let understands = self.personality.understands_names();
                understands.then(|| format::by_content(text, &name.to_string_lossy())).flatten()
            })
            .unwrap_or_else(|| self.format_by_name(name))
    }

    /// Reads a file, which must exist.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(&self, path: &Path) -> Result<SecretBytes, CliError> {
        Ok(io::read_file(&self.env.absolute(path))?)
    }

    /// Reads a file that is to be replaced, and what is needed to see that it still is the same
    /// then.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read_with_stamp(&self, path: &Path) -> Result<(SecretBytes, Stamp), CliError> {
        Ok(io::read_with_stamp(&self.env.absolute(path))?)
    }

    /// Returns the error of a file that could not be read, for the commands that have a missing
    /// file among the others as SOPS.
    pub fn not_read(&self, path: &Path, failure: CliError) -> CliError {
        if failure.exit() != Exit::NoFile || self.personality.tells_missing_files_apart() {
            return failure;
        }
        let name = self.env.absolute(path);
        let message =
            format!("Error reading file: open {}: no such file or directory", name.display());
        CliError::new(Exit::Input, "no-file", message)
    }

    /// Reads the text of an encrypted file.
    ///
    /// # Errors
    /// If it is none.
    pub fn parse_encrypted(
        &self,
        text: SecretBytes,
        path: &Path,
        name: &Path,
        given: Option<&'static dyn FileFormat>,
    ) -> Result<EncryptedFile, CliError> {
        let format = self.format_of_encrypted(&text, name, given);
        let conflict = conflict_marker(&text);
        let failed =
            |failure| error::decrypt(path, failure, &self.credentials).in_conflict(conflict);
        // What no format sees metadata in, and no name says anything of, is no broken JSON.
        let unknown = given.is_none() && format.container().is_some();
        if self.personality.understands_names()
            && unknown
            && format::by_content(&text, &name.to_string_lossy()).is_none()
        {
            return Err(failed(FileError::NotEncrypted));
        }
        EncryptedFile::parse(format, text).map_err(failed)
    }

    /// Opens an encrypted file, which is called `name` for its creation rule.
    ///
    /// # Errors
    /// If its data key cannot be recovered, or it does not decrypt.
    pub fn open(
        &self,
        file: EncryptedFile,
        (path, name): (&Path, &Path),
        ignore_mac: bool,
        order: &[&str],
    ) -> Result<(DecryptedFile, DataKey), CliError> {
        let failed = |error: FileError| error::decrypt(path, error, &self.credentials);
        let key = self.data_key_or_report(&file, (path, name), order)?;
        let opened = if ignore_mac { file.decrypt_ignoring_mac(&key) } else { file.decrypt(&key) };
        let opened = opened.map_err(failed)?;
        let unreadable = opened.unreadable_comments();
        for position in unreadable.iter().filter_map(|comment| comment.position) {
            self.ui.warn(format_args!(
                "{}:{}:{}: a comment looks encrypted and could not be decrypted; it is left as it \
                 is",
                path.display(),
                position.line,
                position.column
            ));
        }
        let others = unreadable.iter().filter(|comment| comment.position.is_none()).count();
        if others > 0 {
            self.ui.warn(format_args!("{}: {others} more such comments", path.display()));
        }
        Ok((opened, key))
    }

    /// Recovers the data key of a file that is to be decrypted, which is written down. What its
    /// creation rule names is the user's word: a server that stands there is asked.
    ///
    /// # Errors
    /// If that cannot be done.
    pub fn data_key(
        &self,
        file: &EncryptedFile,
        path: &Path,
        order: &[&str],
    ) -> Result<DataKey, FileError> {
        let key = self.recover(file, path, order)?;
        self.record(Action::Decrypt, path)
            .map_err(|error| FileError::Withheld { reason: error.message().to_owned() })?;
        Ok(key)
    }

    /// Encrypts a document into the text of the file at `path`, which is written down.
    ///
    /// # Errors
    /// If it cannot be encrypted, or not be written down.
    pub fn encrypt(
        &self,
        path: &Path,
        document: Document,
        plan: Plan<'_>,
    ) -> Result<SecretBytes, CliError> {
        let sealed =
            file::encrypt(document, plan).map_err(|failure| error::encrypt(path, failure))?;
        self.record(Action::Encrypt, path)?;
        Ok(sealed)
    }

    /// Encrypts the values of the file at `path` with another data key, which is written down.
    ///
    /// # Errors
    /// If they cannot be encrypted, or it not be written down.
    pub fn encrypt_anew(
        &self,
        path: &Path,
        opened: DecryptedFile,
        metadata: Metadata,
        data_key: &DataKey,
    ) -> Result<SecretBytes, CliError> {
        let sealed = opened.reseal(metadata, data_key);
        let sealed = sealed.map_err(|failure| error::encrypt(path, failure))?;
        self.record(Action::Encrypt, path)?;
        Ok(sealed)
    }

    /// Writes down what is done with the file at `path`, before it gives anything out.
    ///
    /// # Errors
    /// If there is an audit log that cannot be written.
    pub fn record(&self, action: Action, path: &Path) -> Result<(), CliError> {
        // What comes from standard input has no other place, as in SOPS.
        if path.as_os_str() == "-" {
            return self.audit.record(action, self.env.directory());
        }
        self.audit.record(action, &self.env.absolute(path))
    }

    /// Recovers the data key of a file, as [`Context::data_key`] does it; the file is given by its
    /// path, and by the name that its rule is found by.
    ///
    /// # Errors
    /// The report of what was tried, and of who could help.
    pub fn data_key_or_report(
        &self,
        file: &EncryptedFile,
        (path, name): (&Path, &Path),
        order: &[&str],
    ) -> Result<DataKey, CliError> {
        let key = self.recover_or_report(file, (path, name), order)?;
        self.record(Action::Decrypt, path)?;
        Ok(key)
    }

    /// Recovers the data key of the file at `path` for other keys to wrap it. The file's values stay
    /// encrypted: nothing is written down.
    ///
    /// # Errors
    /// The report of what was tried, and of who could help.
    pub fn data_key_to_wrap(
        &self,
        file: &EncryptedFile,
        path: &Path,
        order: &[&str],
    ) -> Result<DataKey, CliError> {
        self.recover_or_report(file, (path, path), order)
    }

    fn recover_or_report(
        &self,
        file: &EncryptedFile,
        (path, name): (&Path, &Path),
        order: &[&str],
    ) -> Result<DataKey, CliError> {
        self.recover(file, name, order).map_err(|mut error| {
            self.name_owners(&mut error, path);
            error::decrypt(path, error, &self.credentials)
        })
    }

    /// Recovers the data key of the file called `name`.
    fn recover(
        &self,
        file: &EncryptedFile,
        name: &Path,
        order: &[&str],
    ) -> Result<DataKey, FileError> {
        let metadata = file.metadata();
        let groups = self.groups_to_open(metadata, name);
        Ok(keys::unwrap_any(&groups, metadata.shamir_threshold, order, &self.credentials)?)
    }

    /// Returns the groups of a file with the keys as its creation rule names them.
    pub fn groups_to_open<'m>(&self, metadata: &'m Metadata, name: &Path) -> Cow<'m, [KeyGroup]> {
        let is_doubtful = metadata.keys().any(|key| key.key.needs_user());
        if !is_doubtful || self.personality.asks_servers_of_files() {
            return Cow::Borrowed(&metadata.groups);
        }
        let mut groups = metadata.groups.clone();
        creation_rule::adopt_keys(self, self.config.as_deref(), name, &mut groups);
        Cow::Owned(groups)
    }

    /// Adds to the report of a data key that could not be recovered who the keys belong to.
    fn name_owners(&self, error: &mut FileError, path: &Path) {
        let FileError::Unwrap(UnwrapError::NotRecovered(report)) = error else { return };
        let owners = creation_rule::owners(self, path);
        for attempt in report.groups.iter_mut().flat_map(|group| &mut group.attempts) {
            let key = (attempt.kind.clone(), attempt.identity.clone());
            attempt.owner = owners.get(&key).cloned();
        }
    }

    /// Says what is not as before with a file that was written.
    pub fn tell(&self, written: &Written) {
        for note in &written.notes {
            let path = written.path.display();
            match note {
                WriteNote::OtherNamesKeepOldContent { others } => self.ui.warn(format_args!(
                    "{path} had {others} other name(s) (hard links), which still have the old \
                     content"
                )),
                WriteNote::OwnerChanged => {
                    self.ui.warn(format_args!("{path} has another owner or group now"));
                }
                WriteNote::NotSynced => self.ui.warn(format_args!(
                    "{path} was written, but the system did not confirm that it is on the disk"
                )),
            }
        }
    }
}

/// Reads a decryption order.
///
/// # Errors
/// If a kind stands in it twice, or there is none of that name.
pub fn decryption_order(
    personality: Personality,
    text: Option<&str>,
) -> Result<Vec<&str>, CliError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(DEFAULT_DECRYPTION_ORDER.to_vec());
    };
    let order: Vec<&str> = text.split(',').collect();
    for (at, kind) in order.iter().enumerate() {
        if personality.refuses_unknown_kinds() && KeyKind::named(kind).is_none() {
            let message = format!("there is no kind of keys called `{kind}`");
            return Err(CliError::new(Exit::DecryptionOrder, "decryption-order", message));
        }
        if order[..at].contains(kind) {
            let message = format!("Duplicate decryption key type: {kind}");
            return Err(CliError::new(Exit::DecryptionOrder, "decryption-order", message));
        }
    }
    Ok(order)
}
