//! The environment and the clock, read once and passed on.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use crate::cli::io::{IoError, read_file};
use crate::cli::os;
use crate::keys::age::{Identities, Source};
use crate::keys::{Credentials, Host};
use crate::secret::SecretBytes;
use crate::tree::Timestamp;

/// A file to decrypt where none is named; ours.
pub const FILE: &str = "ENCFILE_FILE";
/// The config, as `--config`.
pub const CONFIG: &str = "SOPS_CONFIG";
/// The recipients, as `--age`.
pub const AGE_RECIPIENTS: &str = "SOPS_AGE_RECIPIENTS";
/// The order of kinds, as `--decryption-order`.
pub const DECRYPTION_ORDER: &str = "SOPS_DECRYPTION_ORDER";
/// Key services, as `--keyservice`.
pub const KEYSERVICE: &str = "SOPS_KEYSERVICE";
/// The editor.
pub const SOPS_EDITOR: &str = "SOPS_EDITOR";
/// The editor, if `SOPS_EDITOR` is not set.
pub const EDITOR: &str = "EDITOR";
/// age identities.
pub const AGE_KEY: &str = "SOPS_AGE_KEY";
/// A file with age identities.
pub const AGE_KEY_FILE: &str = "SOPS_AGE_KEY_FILE";
/// A command that prints age identities.
pub const AGE_KEY_CMD: &str = "SOPS_AGE_KEY_CMD";

/// The environment of the process.
#[derive(Debug)]
pub struct Env {
    directory: PathBuf,
}

impl Env {
    /// Reads the environment.
    ///
    /// # Errors
    /// If there is no working directory any more.
    pub fn read() -> io::Result<Env> {
        Ok(Env { directory: std::env::current_dir()? })
    }

    /// Returns a variable, also an empty one.
    #[expect(clippy::disallowed_methods, reason = "this is the place")]
    pub fn raw(&self, name: &str) -> Option<OsString> {
        std::env::var_os(name)
    }

    /// Returns a variable that is not empty.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.raw(name).filter(|value| !value.is_empty()).map(PathBuf::from)
    }

    /// Returns a variable that is not empty as text.
    pub fn text(&self, name: &str) -> Option<String> {
        self.raw(name).filter(|value| !value.is_empty())?.into_string().ok()
    }

    /// Returns the working directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns a path from the root, without `.` and with `..` resolved by the letter, as SOPS
    /// does it.
    pub fn absolute(&self, path: &Path) -> PathBuf {
        use std::path::Component;
        let mut absolute = PathBuf::new();
        for part in self.directory.join(path).components() {
            match part {
                Component::CurDir => {}
                Component::ParentDir => {
                    absolute.pop();
                }
                part => absolute.push(part),
            }
        }
        absolute
    }

    /// Returns the time, in whole seconds as the format has it.
    #[expect(clippy::disallowed_methods, reason = "this is the place")]
    pub fn now(&self) -> Timestamp {
        let now = Timestamp::from(std::time::SystemTime::now());
        now.replace_nanosecond(0).unwrap_or(now)
    }

    /// Returns the user's directory for configuration.
    fn config_directory(&self) -> Option<PathBuf> {
        let absolute = |name| self.path(name).filter(|path| path.is_absolute());
        absolute("XDG_CONFIG_HOME").or_else(|| {
            if cfg!(windows) {
                return self.path("AppData");
            }
            let home = self.path("HOME")?;
            Some(if cfg!(target_os = "macos") {
                home.join("Library/Application Support")
            } else {
                home.join(".config")
            })
        })
    }

    /// Returns the directory where texts are kept that could not be saved.
    pub fn unsaved_directory(&self) -> Option<PathBuf> {
        let absolute = |name| self.path(name).filter(|path| path.is_absolute());
        let state = absolute("XDG_STATE_HOME")
            .or_else(|| Some(self.path("HOME")?.join(".local").join("state")))?;
        Some(state.join("encfile").join("unsaved"))
    }

    /// Returns the directory for temporary files.
    pub fn temporary_directory(&self) -> PathBuf {
        std::env::temp_dir()
    }

    /// Returns the credentials of the user, which load when they are needed.
    pub fn credentials(&self) -> Credentials {
        let mut sources = Vec::new();
        if let Some(text) = self.raw(AGE_KEY) {
            let text = SecretBytes::from(text.into_encoded_bytes());
            sources.push(Source::Text { name: AGE_KEY.to_owned(), text });
        }
        if let Some(path) = self.path(AGE_KEY_FILE) {
            let name = format!("{AGE_KEY_FILE} ({})", path.display());
            sources.push(Source::File { name, path, optional: false });
        }
        if let Some(directory) = self.config_directory() {
            let path = directory.join("sops").join("age").join("keys.txt");
            let name = path.display().to_string();
            sources.push(Source::File { name, path, optional: true });
        }
        if let Some(command) = self.text(AGE_KEY_CMD) {
            sources.push(Source::Command { name: AGE_KEY_CMD.to_owned(), command });
        }
        Credentials::new(Identities::new(sources, Arc::new(Machine { path: self.raw("PATH") })))
    }
}

/// The machine, for keys.
struct Machine {
    path: Option<OsString>,
}

impl Host for Machine {
    fn read_file(&self, path: &Path) -> io::Result<SecretBytes> {
        read_file(path).map_err(|error| match error {
            IoError::NotFound { .. } => io::Error::new(io::ErrorKind::NotFound, "no such file"),
            error => io::Error::other(error.to_string()),
        })
    }

    fn run(&self, command: &str, env: &[(&str, &str)]) -> Result<SecretBytes, String> {
        let words = shell_words::split(command)
            .map_err(|_| "the command cannot be split into words".to_owned())?;
        let Some((program, arguments)) = words.split_first() else {
            return Err("the command is empty".to_owned());
        };
        // A path is taken as it is; a bare name never from the working directory.
        let path = if program.contains('/') {
            PathBuf::from(program)
        } else {
            os::resolve_program(program.as_ref(), self.path.as_deref())
                .ok_or_else(|| format!("there is no program `{program}` in `PATH`"))?
        };
        let output = Command::new(path)
            .args(arguments)
            .envs(env.iter().copied())
            .stdin(Stdio::inherit())
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| format!("`{program}` could not be run: {error}"))?;
        let printed = SecretBytes::from(output.stdout);
        if !output.status.success() {
            return Err(format!("`{program}` failed: {}", output.status));
        }
        Ok(printed)
    }
}
