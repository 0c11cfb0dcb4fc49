//! Errors as people see them: what, where, why, and what to do. This is the only place that knows
//! the layout, and the only one that turns errors into exit codes.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::cli::editor::EditorError;
use crate::cli::exit::Exit;
use crate::cli::git::GitError;
use crate::cli::io::IoError;
use crate::cli::os::private_dir::PrivateDirError;
use crate::cli::os::user::UserError;
use crate::cli::personality::Personality;
use crate::cli::ui::one_line;
use crate::config::ConfigError;
use crate::export::ExportError;
use crate::file::FileError;
use crate::format::{EmitError, SyntaxError};
use crate::keys::{
    Credentials, KeyCode, KeyError, KeyKind, Services, UnwrapError, UnwrapReport, WrapError,
};
use crate::selector::SelectorError;
use crate::span::Position;
use crate::tree::path::TreePathError;

/// An error that ends a command.
#[derive(Debug)]
pub struct CliError(Box<Report>);

#[derive(Debug)]
struct Report {
    exit: Exit,
    code: &'static str,
    message: String,
    place: Option<(PathBuf, Option<Position>)>,
    details: Vec<String>,
    help: Vec<String>,
    /// Whether the arguments are wrong, and not what they name.
    usage: bool,
}

impl CliError {
    /// Returns an error with a stable code word and a message.
    pub fn new(exit: Exit, code: &'static str, message: impl Into<String>) -> CliError {
        CliError(Box::new(Report {
            exit,
            code,
            message: message.into(),
            place: None,
            details: Vec::new(),
            help: Vec::new(),
            usage: matches!(exit, Exit::NoFile | Exit::KeysOfNoFile | Exit::Conflict),
        }))
    }

    /// Adds the file that it is about.
    pub fn in_file(self, path: &Path) -> CliError {
        self.at(path, None)
    }

    /// Adds the place that it is about.
    pub fn at(mut self, path: &Path, position: Option<Position>) -> CliError {
        self.0.place = Some((path.to_owned(), position));
        self
    }

    /// Adds a line under the message.
    pub fn detail(mut self, line: impl Into<String>) -> CliError {
        self.0.details.push(line.into());
        self
    }

    /// Adds what can be done.
    pub fn help(mut self, text: impl Into<String>) -> CliError {
        self.0.help.push(text.into());
        self
    }

    /// Sets how the program ends.
    pub fn with_exit(mut self, exit: Exit) -> CliError {
        self.0.exit = exit;
        self
    }

    /// Adds what to do about a conflict that git has left in the text, if there is one.
    pub fn in_conflict(self, conflict: Option<Position>) -> CliError {
        match conflict {
            Some(Position { line, .. }) => self.help(format!(
                "git has left a conflict in line {line}: check out one of the two versions, or \
                 `git merge --abort`\n\
                 `encfile git install` sets up merges of encrypted files, value by value"
            )),
            None => self,
        }
    }

    /// Says in front of the message what could not be done, and ends the program another way.
    pub fn during(mut self, what: &str, exit: Exit) -> CliError {
        self.0.message.insert_str(0, ": ");
        self.0.message.insert_str(0, what);
        self.0.exit = exit;
        self
    }

    /// Says that it is about the arguments.
    pub fn usage(mut self) -> CliError {
        self.0.usage = true;
        self
    }

    /// Returns what is wrong, alone.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns how the program ends.
    pub fn exit(&self) -> Exit {
        self.0.exit
    }

    /// Returns the text for standard error, without the last line break.
    pub fn render(&self, personality: Personality) -> String {
        // Writing to a `String` cannot fail.
        let mut text = String::new();
        match personality {
            Personality::Encfile => {
                let _ = write!(text, "error[{}]: {}", self.0.code, self.0.message);
            }
            // SOPS says `Error:` where the command line itself is wrong, and nowhere else.
            Personality::Sops => {
                if self.0.usage {
                    text.push_str("Error: ");
                }
                text.push_str(&self.0.message);
            }
        }
        if let Some((path, position)) = &self.0.place {
            let _ = write!(text, "\n  --> {}", one_line(&path.display().to_string()));
            if let Some(Position { line, column }) = position {
                let _ = write!(text, ":{line}:{column}");
            }
        }
        for line in &self.0.details {
            let _ = write!(text, "\n{}", one_line(line));
        }
        for help in &self.0.help {
            let _ = write!(text, "\nhelp: {}", help.replace('\n', "\n      "));
        }
        text
    }
}

/// Returns a path as a shell reads it.
fn quoted(path: &Path) -> String {
    shell_words::quote(&path.to_string_lossy()).into_owned()
}

/// Returns a message with its causes.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let _ = write!(text, ": {cause}");
        source = cause.source();
    }
    text
}

impl From<IoError> for CliError {
    fn from(error: IoError) -> CliError {
        let (exit, code) = match &error {
            IoError::NotFound { .. } => (Exit::NoFile, "no-file"),
            IoError::IsDirectory { .. } => (Exit::Input, "directory"),
            IoError::PermissionDenied { .. } => (Exit::Input, "permission"),
            IoError::TooLarge { .. } => (Exit::Input, "too-large"),
            IoError::Read { .. } | IoError::Stdin { .. } => (Exit::Input, "read"),
            IoError::ChangedMeanwhile { .. } => (Exit::Generic, "changed-meanwhile"),
            IoError::Locked { .. } => (Exit::Generic, "locked"),
            IoError::Interrupted { signal, .. } => {
                (Exit::Signal(u8::try_from(*signal).unwrap_or(0)), "interrupted")
            }
            _ => (Exit::Output, "write"),
        };
        let message = match &error {
            IoError::NotFound { path } => {
                format!("cannot operate on non-existent file \"{}\"", path.display())
            }
            error if exit == Exit::Input => format!("Error reading file: {}", chain(error)),
            error => chain(error),
        };
        let report = CliError::new(exit, code, message);
        match error {
            IoError::ReadOnly { path } => {
                report.help(format!("make it writable first: chmod u+w {}", quoted(&path)))
            }
            IoError::ChangedMeanwhile { .. } => report.help("look at the file and try again"),
            _ => report,
        }
    }
}

impl From<EditorError> for CliError {
    fn from(error: EditorError) -> CliError {
        let message = format!("Could not run editor: {}", chain(&error));
        match error {
            EditorError::NoEditor => CliError::new(Exit::Editor, "no-editor", message)
                .help("set `SOPS_EDITOR` or `EDITOR` to your editor"),
            EditorError::Deleted | EditorError::Read(_) => {
                CliError::new(Exit::Input, "editor", chain(&error))
            }
            EditorError::NoPrivateDir(_) | EditorError::Prepare { .. } => {
                CliError::new(Exit::Output, "private-file", chain(&error))
            }
            _ => CliError::new(Exit::Editor, "editor", message),
        }
    }
}

impl From<GitError> for CliError {
    fn from(error: GitError) -> CliError {
        CliError::new(Exit::Input, "git", error.to_string())
    }
}

impl From<UserError> for CliError {
    fn from(error: UserError) -> CliError {
        CliError::new(Exit::Generic, "user", chain(&error))
    }
}

impl From<PrivateDirError> for CliError {
    fn from(error: PrivateDirError) -> CliError {
        CliError::new(Exit::Output, "private-file", chain(&error))
    }
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> CliError {
        CliError::new(Exit::Generic, "config", format!("error loading config: {error}"))
    }
}

impl From<SelectorError> for CliError {
    fn from(error: SelectorError) -> CliError {
        let exit = match error {
            SelectorError::Several { .. } => Exit::Conflict,
            _ => Exit::Generic,
        };
        CliError::new(exit, "rule", error.to_string())
    }
}

impl From<TreePathError> for CliError {
    fn from(error: TreePathError) -> CliError {
        match error {
            TreePathError::Malformed { .. } => CliError::new(
                Exit::TreePath,
                "tree-path",
                format!("error parsing --extract path: {error}"),
            ),
            error => {
                CliError::new(Exit::Generic, "tree-path", format!("error truncating tree: {error}"))
            }
        }
    }
}

impl From<KeyError> for CliError {
    fn from(error: KeyError) -> CliError {
        let exit = match error {
            KeyError::EncryptionContext => Exit::EncryptionContext,
            _ => Exit::Generic,
        };
        CliError::new(exit, "key", error.to_string())
    }
}

impl From<WrapError> for CliError {
    fn from(error: WrapError) -> CliError {
        CliError::new(Exit::Generic, "wrap", format!("Could not generate data key: {error}"))
    }
}

/// Returns the error of a text that does not parse.
pub fn syntax(path: &Path, error: &SyntaxError) -> CliError {
    CliError::new(Exit::Input, "syntax", format!("Error unmarshalling file: {error}"))
        .at(path, error.position)
}

/// Returns the error of a tree that cannot be written.
pub fn emit(path: &Path, error: &EmitError) -> CliError {
    CliError::new(Exit::Dump, "format", format!("Error dumping file: {error}")).in_file(path)
}

/// Returns the error of a tree that cannot become variables, or a text of them.
pub fn export(exit: Exit, error: &ExportError) -> CliError {
    let report = CliError::new(exit, "variables", error.to_string());
    match error {
        ExportError::Nested { .. } => report.help(
            "--flatten _ makes variables of nested values, too; --only NAMES leaves others out",
        ),
        ExportError::Equals { .. } | ExportError::Name { .. } | ExportError::Value { .. } => {
            report.help("--only NAMES leaves others out")
        }
        ExportError::Collision { .. } => {
            report.help("take another separator: --flatten __, for one")
        }
        _ => report,
    }
}

/// Returns the error of a file that could not be decrypted.
pub fn decrypt(path: &Path, error: FileError, with: &Credentials) -> CliError {
    let message = chain(&error);
    match error {
        FileError::Syntax(error) => {
            let report = CliError::new(
                Exit::Generic,
                "syntax",
                format!("Error unmarshalling encrypted file: {error}"),
            );
            report.at(path, error.position)
        }
        FileError::NotEncrypted => {
            CliError::new(Exit::Generic, "not-encrypted", message).in_file(path).help(format!(
                "the file is not encrypted; to encrypt it: encfile encrypt -i {}",
                quoted(path)
            ))
        }
        FileError::Unwrap(error) => unwrap(path, &error, with),
        FileError::Value { path: leaf, position, .. } => CliError::new(
            Exit::DecryptTree,
            "value",
            format!("Error decrypting tree: could not decrypt the value at `{leaf}`: {message}"),
        )
        .at(path, position),
        FileError::ClearValue { path: leaf, position, .. } => CliError::new(
            Exit::DecryptTree,
            "clear-value",
            format!("Error decrypting tree: at `{leaf}`: {message}"),
        )
        .at(path, position),
        FileError::MacMissing | FileError::MacUnreadable(_) | FileError::MacMismatch => {
            CliError::new(Exit::Mac, "mac", message).in_file(path).help(
                "somebody changed the file without its data key, or a merge mixed two versions: \
                 compare it with the last good one\n\
                 to see it all the same: --ignore-mac",
            )
        }
        FileError::Withheld { .. } => CliError::new(Exit::Generic, "audit", message).in_file(path),
        FileError::Emit(error) => emit(path, &error),
        _ => CliError::new(Exit::Generic, "metadata", message).in_file(path),
    }
}

/// Returns the error of a file that could not be encrypted.
pub fn encrypt(path: &Path, error: FileError) -> CliError {
    let message = chain(&error);
    match error {
        FileError::Syntax(error) => syntax(path, &error),
        FileError::KeyType { position, .. } => {
            let message = format!("Error encrypting tree: {message}");
            CliError::new(Exit::EncryptTree, "key-type", message)
                .at(path, position)
                .help("put the key in quotes")
        }
        FileError::Unsigned { position, .. } => {
            let message = format!("Error encrypting tree: {message}");
            CliError::new(Exit::EncryptTree, "integer", message)
                .at(path, position)
                .help("put the number in quotes to encrypt it as text")
        }
        FileError::FarOffset { position, .. } => {
            let message = format!("Error encrypting tree: {message}");
            CliError::new(Exit::EncryptTree, "time", message)
                .at(path, position)
                .help("correct the offset, or put the time in quotes to encrypt it as text")
        }
        FileError::Value { position, .. } => {
            let message = format!("Error encrypting tree: {message}");
            CliError::new(Exit::EncryptTree, "value", message).at(path, position)
        }
        FileError::MisledRule => {
            CliError::new(Exit::EncryptTree, "comment-rule", message).in_file(path)
        }
        FileError::AlreadyEncrypted => {
            CliError::new(Exit::AlreadyEncrypted, "already-encrypted", ALREADY_ENCRYPTED)
                .in_file(path)
        }
        FileError::NoDocument => {
            CliError::new(Exit::EmptyDocument, "no-document", message).in_file(path)
        }
        FileError::NothingSelected { .. } => {
            CliError::new(Exit::Generic, "nothing-encrypted", message)
                .in_file(path)
                .help("correct the rule, or leave the file in clear with --allow-unencrypted")
        }
        FileError::Emit(error) => {
            let message = format!("Could not marshal tree: {error}");
            CliError::new(Exit::Dump, "format", message).in_file(path)
        }
        FileError::Unstable { .. } => CliError::new(Exit::Dump, "unstable", message)
            .in_file(path)
            .help("nothing was written; please report this with the keys of the file"),
        _ => CliError::new(Exit::Generic, "encrypt", message).in_file(path),
    }
}

/// SOPS' words for a file that has metadata already, and its line breaks.
const ALREADY_ENCRYPTED: &str = "\
The file you have provided contains a top-level entry called 'sops', or for
flat file formats top-level entries starting with 'sops_'. This is
generally due to the file already being encrypted. SOPS uses a top-level
entry called 'sops' to store the metadata required to decrypt the file. For
this reason, SOPS can not encrypt files that already contain such an entry.

If this is an unencrypted file, rename the 'sops' entry.

If this is an encrypted file and you want to edit it, use the editor mode,
for example: `sops edit my_file.yaml`";

/// Returns the report of a data key that could not be recovered.
fn unwrap(path: &Path, error: &UnwrapError, with: &Credentials) -> CliError {
    let UnwrapError::NotRecovered(report) = error else {
        return CliError::new(Exit::DataKey, "data-key", chain(error)).in_file(path);
    };
    let message = "Failed to get the data key required to decrypt the SOPS file.";
    let mut failure = CliError::new(Exit::DataKey, "data-key", message).in_file(path);
    failure = keys_tried(failure, report);
    let is_local = with.own::<Services>().is_local;
    let is_tried = |kind: &&KeyKind| {
        if !is_local {
            return false;
        }
        let mut lost = report.groups.iter().filter(|group| !group.recovered);
        lost.any(|group| group.attempts.iter().any(|attempt| attempt.kind == kind.name))
    };
    let tried: Vec<&KeyCode> =
        KeyKind::in_config_order().filter(is_tried).filter_map(|kind| kind.code.as_ref()).collect();
    let recovered = report.groups.iter().filter(|group| group.recovered).count();
    failure = failure.detail("").detail(match report.needed {
        ..=1 => "Recovery failed because no master key was able to decrypt the file.".to_owned(),
        needed => format!(
            "Recovery failed because {needed} groups are needed, and {recovered} could be recovered."
        ),
    });
    let places: Vec<String> = tried.iter().flat_map(|code| (code.looked_in)(with)).collect();
    if !places.is_empty() {
        failure = failure.detail("What could unwrap them was looked for in:");
    }
    for place in places {
        failure = failure.detail(format!("  {place}"));
    }
    for code in tried {
        failure = failure.help(code.advice);
    }
    match who_could_help(path, report) {
        Some(advice) => failure.help(advice),
        None => failure,
    }
}

/// Returns what to ask of whom, if the config says who somebody is.
fn who_could_help(path: &Path, report: &UnwrapReport) -> Option<String> {
    let lost = report.groups.iter().filter(|group| !group.recovered);
    let owned = lost.flat_map(|group| &group.attempts).filter(|attempt| attempt.owner.is_some());
    let mut names: Vec<&str> = Vec::new();
    let mut flag = None;
    for attempt in owned {
        flag = flag.or_else(|| KeyKind::named(&attempt.kind).map(|kind| kind.flag.long));
        let owner = attempt.owner.as_deref().unwrap_or_default();
        if !names.contains(&owner) {
            names.push(owner);
        }
    }
    let (flag, path, names) = (flag?, quoted(path), names.join(", "));
    // What `rotate` adds goes into the first group, which may be one that is open already.
    let how = match report.groups.len() {
        ..=1 => format!("they run: encfile rotate --in-place --add-{flag} YOUR_KEY {path}"),
        _ => format!(
            "they add it to one of the failed groups in the creation rule, and run: encfile \
             updatekeys {path}"
        ),
    };
    Some(format!("or ask one of these to add your key: {}\n{how}", one_line(&names)))
}

fn keys_tried(mut failure: CliError, report: &UnwrapReport) -> CliError {
    for (number, group) in report.groups.iter().enumerate() {
        let state = if group.recovered { "SUCCESS" } else { "FAILED" };
        failure = failure.detail("").detail(format!("Group {number}: {state}"));
        for attempt in &group.attempts {
            let owner = attempt.owner.as_ref().map(|owner| format!(" ({owner})"));
            let owner = owner.unwrap_or_default();
            failure = failure.detail(format!("  {}{owner}: FAILED", attempt.identity));
            let why = match &attempt.error {
                Some(error) => error.to_string(),
                None => "no identity for it was found".to_owned(),
            };
            for (number, line) in why.lines().enumerate() {
                let mark = if number == 0 { '-' } else { ' ' };
                failure = failure.detail(format!("    {mark} | {line}"));
            }
        }
    }
    failure
}

/// Returns the error of signals that cannot be held.
pub fn signals(error: &std::io::Error) -> CliError {
    CliError::new(Exit::Generic, "signals", format!("signals cannot be held: {error}"))
}
