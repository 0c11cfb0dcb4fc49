//! The environment and the clock, read once and passed on.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use crate::tree::Timestamp;

/// A file to decrypt where none is named; ours.
pub const FILE: &str = "ENCFILE_FILE";
/// The config, as `--config`.
pub const CONFIG: &str = "SOPS_CONFIG";
/// The order of kinds, as `--decryption-order`.
pub const DECRYPTION_ORDER: &str = "SOPS_DECRYPTION_ORDER";
/// Key services, as `--keyservice`.
pub const KEYSERVICE: &str = "SOPS_KEYSERVICE";
/// Whether keys are used by this program itself, as `--enable-local-keyservice`.
pub const ENABLE_LOCAL_KEYSERVICE: &str = "SOPS_ENABLE_LOCAL_KEYSERVICE";
/// The socket of the agent; ours.
pub const AGENT: &str = "ENCFILE_AGENT";
/// The editor.
pub const SOPS_EDITOR: &str = "SOPS_EDITOR";
/// The editor, if `SOPS_EDITOR` is not set.
pub const EDITOR: &str = "EDITOR";
/// Turns colours off, unless it is empty.
pub const NO_COLOR: &str = "NO_COLOR";
/// Variables with keys that open encrypted files, or with the way to them: what a command that is
/// run from here does not get by itself.
pub const KEY_VARIABLES: &[&str] = &[
    "SOPS_AGE_KEY",
    "SOPS_AGE_KEY_FILE",
    "SOPS_AGE_KEY_CMD",
    "SOPS_AGE_SSH_PRIVATE_KEY_FILE",
    "SOPS_AGE_SSH_PRIVATE_KEY_CMD",
    "VAULT_TOKEN",
    "BAO_TOKEN",
    KEYSERVICE,
    AGENT,
];

/// Set by the scripts of `completion`: the shell that asks for candidates; ours.
pub const COMPLETE: &str = "ENCFILE_COMPLETE";

/// Returns the shell that asks for candidates, if one does: it must be known before anything else
/// is.
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub fn completing_shell() -> Option<String> {
    std::env::var(COMPLETE).ok().filter(|shell| !shell.is_empty())
}

/// The environment of the process.
#[derive(Clone, Debug)]
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
    pub fn raw(&self, name: &str) -> Option<OsString> {
        variable(name)
    }

    /// Returns a variable that is not empty.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.raw(name).filter(|value| !value.is_empty()).map(PathBuf::from)
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
    pub fn now(&self) -> Timestamp {
        now()
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
}

/// Returns the time, in whole seconds.
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub fn now() -> Timestamp {
    let now = Timestamp::from(std::time::SystemTime::now());
    now.replace_nanosecond(0).unwrap_or(now)
}

/// Returns a variable of the environment, also an empty one.
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}
