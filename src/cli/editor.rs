//! Letting a person edit plaintext, which never leaves a private directory.
//!
//! [`EditorCommand`] is which program to start; [`EditSession`] is one file being edited: a
//! [`PrivateDir`] with the text under the encrypted file's own
//! name, so that the editor knows its syntax. The session wipes it when it is dropped, and while
//! it exists no signal ends the process without that. Drop it before anything slow: Ctrl-C waits
//! for it.
//!
//! vim and neovim are told to keep no swap, undo, backup and history files, which would be
//! elsewhere (`~/.viminfo` holds what was yanked). Other editors keep what they are configured to
//! keep; what they put beside the file goes with the directory.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use super::env::KEY_VARIABLES;
use super::io::{IoError, Stamp, read_file};
use super::os;
use super::os::editor_process::{self, Answer, Ended};
use super::os::private_dir::{PrivateDir, PrivateDirError, private_dir};
use super::os::signals::Hold;

use crate::secret::SecretBytes;

/// The editors to try when none is chosen, as SOPS does.
const DEFAULT_EDITORS: [&str; 3] = ["vim", "nano", "vi"];

/// Credentials of the cloud SDKs, which an editor has no use for. Names of profiles, files of public
/// certificates and addresses are not among them.
const CLOUD_CREDENTIALS: &[&str] = &[
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AZURE_CLIENT_SECRET",
    "AZURE_CLIENT_CERTIFICATE_PASSWORD",
    "AZURE_PASSWORD",
    "IDENTITY_HEADER",
    "MSI_SECRET",
    "GOOGLE_CREDENTIALS",
    "GOOGLE_OAUTH_ACCESS_TOKEN",
    "HUAWEICLOUD_SDK_AK",
    "HUAWEICLOUD_SDK_SK",
    "HUAWEICLOUD_SDK_SECURITY_TOKEN",
];

/// What vim does before and after its start-up files: no copies of the text anywhere.
const VIM_SETTINGS: &str = "silent! set nobackup nowritebackup noundofile noswapfile";

/// Removes keys and credentials from the environment that `command` will have.
pub fn remove_secret_variables(command: &mut Command) {
    for name in KEY_VARIABLES.iter().chain(CLOUD_CREDENTIALS) {
        command.env_remove(name);
    }
}

/// The program to edit with, and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EditorCommand {
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl EditorCommand {
    /// Returns the editor that the user chose, or the first of vim, nano and vi that there is.
    ///
    /// The arguments are the values of `SOPS_EDITOR`, `EDITOR` and `PATH`. A blank editor counts
    /// as none. Words are split as a shell does, with quotes and without expansions. A program
    /// without a directory is looked up in the absolute entries of `PATH` only.
    pub fn from_env(
        sops_editor: Option<&OsStr>,
        editor: Option<&OsStr>,
        path_var: Option<&OsStr>,
    ) -> Result<EditorCommand, EditorError> {
        for (variable, value) in [("SOPS_EDITOR", sops_editor), ("EDITOR", editor)] {
            let Some(value) = value else { continue };
            let words = value
                .to_str()
                .and_then(|value| shell_words::split(value).ok())
                .ok_or(EditorError::BadQuoting { variable })?;
            if let Some((program, arguments)) = words.split_first() {
                return EditorCommand::chosen(program, arguments, path_var);
            }
        }
        DEFAULT_EDITORS
            .iter()
            .find_map(|name| os::resolve_program(OsStr::new(name), path_var))
            .map(|program| EditorCommand::with_options(program, &[]))
            .ok_or(EditorError::NoEditor)
    }

    fn chosen(
        program: &str,
        arguments: &[String],
        path_var: Option<&OsStr>,
    ) -> Result<EditorCommand, EditorError> {
        let program = if program.contains(std::path::is_separator) {
            // Named on purpose, also below the working directory.
            PathBuf::from(program)
        } else {
            os::resolve_program(OsStr::new(program), path_var)
                .ok_or_else(|| EditorError::NotFound { program: program.to_owned() })?
        };
        Ok(EditorCommand::with_options(program, arguments))
    }

    /// Adds the options that keep an editor that is known from leaving copies.
    fn with_options(program: PathBuf, arguments: &[String]) -> EditorCommand {
        let mut options: Vec<&str> = Vec::new();
        if let Some(flavor) = VimFlavor::of(&program) {
            options.extend(["-n", "-i", "NONE"]);
            options.extend(["--cmd", VIM_SETTINGS, "-c", VIM_SETTINGS]);
            if flavor == VimFlavor::Graphical {
                // Else it returns at once, and the file is gone before it is edited.
                options.push("-f");
            }
        }
        let arguments = options
            .into_iter()
            .map(OsString::from)
            .chain(arguments.iter().map(OsString::from))
            .collect();
        EditorCommand { program, arguments }
    }

    /// Returns the program to start.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Returns the command that edits `file`.
    fn command(&self, file: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).arg(file);
        remove_secret_variables(&mut command);
        command
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum VimFlavor {
    Terminal,
    Graphical,
}

impl VimFlavor {
    /// Returns which vim a program is. `vi` is one only if it leads to one: other programs of that
    /// name do not know the options.
    fn of(program: &Path) -> Option<VimFlavor> {
        let real = program.canonicalize().ok();
        [Some(program), real.as_deref()].into_iter().flatten().find_map(|path| {
            let name = path.file_name()?.to_str()?;
            match name.split(['.', '-']).next()? {
                "vim" | "nvim" => Some(VimFlavor::Terminal),
                "gvim" | "mvim" => Some(VimFlavor::Graphical),
                _ => None,
            }
        })
    }
}

/// What the editor left.
#[derive(Debug)]
pub enum Edited {
    /// The text that the session began with.
    Unchanged,
    /// Another text. It may be empty, which is for the caller to refuse.
    Changed(SecretBytes),
}

/// An error of editing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EditorError {
    /// None is chosen, and none of the usual ones is there.
    #[error(
        "no editor: neither `SOPS_EDITOR` nor `EDITOR` is set, and there is no `vim`, `nano` or `vi`"
    )]
    NoEditor,
    /// The variable has a quote that does not end, or is not Unicode.
    #[error("`{variable}` cannot be split into words")]
    BadQuoting {
        /// Its name.
        variable: &'static str,
    },
    /// The chosen editor is not in `PATH`.
    #[error("there is no editor `{program}` in `PATH`")]
    NotFound {
        /// Its name.
        program: String,
    },
    /// The name for the file to edit is not one.
    #[error("`{}` is not a file name", name.display())]
    BadName {
        /// The name.
        name: PathBuf,
    },
    /// There is nowhere to put the text.
    #[error(transparent)]
    NoPrivateDir(#[from] PrivateDirError),
    /// The text could not be put there.
    #[error("cannot write `{}`", path.display())]
    Prepare {
        /// The temporary file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Termination signals could not be held back, or the editor not watched.
    #[error("cannot prepare for signals")]
    Signals {
        /// Why.
        source: io::Error,
    },
    /// The editor could not be started.
    #[error("cannot run the editor `{}`", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The editor said that it failed, or was killed. What it saved before is in
    /// [`EditSession::take_unsaved`].
    #[error("the editor `{}` failed: {status}", program.display())]
    Failed {
        /// The program.
        program: PathBuf,
        /// How it ended.
        status: ExitStatus,
    },
    /// A signal came. The text is wiped already; what the editor saved before is in
    /// [`EditSession::take_unsaved`].
    #[error("interrupted by signal {signal}")]
    Interrupted {
        /// The number of the signal; shells show 128 more.
        signal: i32,
    },
    /// The editor removed the file.
    #[error("the editor removed the file")]
    Deleted,
    /// The edited file could not be read.
    #[error(transparent)]
    Read(IoError),
}

/// A text that is being edited. `Debug` shows paths only.
///
/// ```no_run
/// use std::path::Path;
///
/// use encfile::cli::editor::{EditSession, Edited, EditorCommand, EditorError};
///
/// # fn main() -> Result<(), EditorError> {
/// let editor = EditorCommand::from_env(None, Some("nano".as_ref()), Some("/usr/bin".as_ref()))?;
/// let name = Path::new("config/secrets.yaml");
/// let mut session = EditSession::new(editor, b"a: 1\n", name, None, Path::new("/tmp"))?;
/// match session.run()? {
///     Edited::Unchanged => {}
///     Edited::Changed(text) => {
///         drop(session); // the plaintext is gone, and Ctrl-C works again
///         let _ = text;
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct EditSession {
    command: EditorCommand,
    file: PathBuf,
    original: Stamp,
    unsaved: Option<SecretBytes>,
    directory: PrivateDir,
    // Last: signals wait until the directory is gone.
    hold: Hold,
}

impl EditSession {
    /// Puts `content` into a private directory, under the last part of `base_name`.
    ///
    /// `runtime_dir` is the value of `XDG_RUNTIME_DIR`, `temp_dir` the directory for temporary
    /// files.
    pub fn new(
        command: EditorCommand,
        content: &[u8],
        base_name: &Path,
        runtime_dir: Option<&Path>,
        temp_dir: &Path,
    ) -> Result<EditSession, EditorError> {
        let name = base_name
            .file_name()
            .ok_or_else(|| EditorError::BadName { name: base_name.to_path_buf() })?;
        let hold = Hold::new().map_err(|source| EditorError::Signals { source })?;
        let directory = private_dir(runtime_dir, temp_dir)?;
        EditSession::in_directory(command, content, name, directory, hold)
    }

    fn in_directory(
        command: EditorCommand,
        content: &[u8],
        name: &OsStr,
        directory: PrivateDir,
        hold: Hold,
    ) -> Result<EditSession, EditorError> {
        let file = directory.path().join(name);
        os::create_private_file(&file)
            .and_then(|mut open| open.write_all(content))
            .map_err(|source| EditorError::Prepare { path: file.clone(), source })?;
        Ok(EditSession {
            command,
            file,
            original: Stamp::of(content),
            unsaved: None,
            directory,
            hold,
        })
    }

    /// Returns whether the plaintext may reach a disk, of which the user should be warned.
    pub fn on_disk(&self) -> bool {
        self.directory.on_disk()
    }

    /// Returns the file that the editor edits.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Lets the user edit, and returns the text.
    ///
    /// May be called again, after a text that does not parse: the editor then begins with what it
    /// left, and "unchanged" still means the first text.
    pub fn run(&mut self) -> Result<Edited, EditorError> {
        self.unsaved = None;
        let mut command = self.command.command(&self.file);
        let ended = editor_process::run(&mut command, &self.hold).map_err(|source| {
            EditorError::Start { program: self.command.program.clone(), source }
        })?;
        let text = self.read();
        match ended {
            Ended::Exited(status) if status.success() => {
                let text = text?;
                if Stamp::of(&text) == self.original {
                    Ok(Edited::Unchanged)
                } else {
                    Ok(Edited::Changed(text))
                }
            }
            Ended::Exited(status) => {
                self.keep_if_changed(text);
                Err(EditorError::Failed { program: self.command.program.clone(), status })
            }
            Ended::Interrupted(signal) => {
                self.keep_if_changed(text);
                Err(self.interrupted(signal))
            }
        }
    }

    /// Waits until the user presses Enter to edit again; `false` at the end of standard input.
    ///
    /// Only for a terminal. Unlike reading standard input in another way, this returns when
    /// Ctrl-C is pressed; the text is kept in [`EditSession::take_unsaved`] and wiped then.
    pub fn wait_for_enter(&mut self) -> Result<bool, EditorError> {
        let answer = editor_process::wait_for_enter(&self.hold)
            .map_err(|source| EditorError::Signals { source })?;
        match answer {
            Answer::Enter => Ok(true),
            Answer::End => Ok(false),
            Answer::Interrupted(signal) => {
                let text = self.read();
                self.keep_if_changed(text);
                Err(self.interrupted(signal))
            }
        }
    }

    /// Returns what the editor had saved when it failed or a signal came, so that it can be kept
    /// encrypted; `None` if that is what the session began with, or nothing.
    pub fn take_unsaved(&mut self) -> Option<SecretBytes> {
        self.unsaved.take()
    }

    fn read(&self) -> Result<SecretBytes, EditorError> {
        // What is no regular file any more is not read: a pipe would never end.
        match self.file.symlink_metadata() {
            Ok(metadata) if metadata.is_file() => read_file(&self.file).map_err(EditorError::Read),
            _ => Err(EditorError::Deleted),
        }
    }

    fn keep_if_changed(&mut self, text: Result<SecretBytes, EditorError>) {
        self.unsaved =
            text.ok().filter(|text| !text.is_empty() && Stamp::of(text) != self.original);
    }

    fn interrupted(&mut self, signal: i32) -> EditorError {
        // Nothing more can be done about what is left than to try again when dropped.
        let _ = self.directory.remove();
        EditorError::Interrupted { signal }
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
