//! The hooks that check commits, beside those that are there.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cli::error::CliError;
use crate::cli::io::{self, Mode};
use crate::cli::os;

/// What makes a hook ours.
const MARK: &str =
    "# Written by `encfile git install`; take it away with: encfile git install --uninstall";

/// The hooks: git does not run `pre-commit` for the commit of a merge.
pub(super) const HOOKS: [&str; 2] = ["pre-commit", "pre-merge-commit"];

/// A hook of a repository.
#[derive(Debug)]
pub(super) struct Hook {
    path: PathBuf,
    before: PathBuf,
    text: String,
}

/// How a hook stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Ours, as it would be written.
    Ours,
    /// Ours, of another version.
    Outdated,
    /// Somebody else's.
    Foreign,
    /// There is none.
    None,
}

impl Hook {
    /// Returns the hook `name` in git's directory of hooks. `program` is how the shell calls
    /// encfile, and `scan` whether it also looks for copies of secrets.
    pub(super) fn new(directory: &Path, name: &str, program: &str, scan: bool) -> Hook {
        // The name under which a hook that was there before is kept, and run.
        let before = format!("{name}.before-encfile");
        // Who has no key cannot search, and may commit.
        let scan = if scan {
            format!("{program} scan --staged\n[ $? -ne 1 ] || exit 1\n")
        } else {
            String::new()
        };
        let text = format!(
            "#!/bin/sh\n{MARK}\n{program} check --staged || exit $?\n\
             {scan}before=$(dirname \"$0\")/{before}\n\
             if [ -x \"$before\" ]; then exec \"$before\" \"$@\"; fi\n"
        );
        Hook { path: directory.join(name), before: directory.join(before), text }
    }

    /// Returns where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns how it stands.
    pub(super) fn state(&self) -> State {
        match fs::read(&self.path) {
            Err(_) => State::None,
            Ok(text) if text == self.text.as_bytes() => State::Ours,
            Ok(text) if memchr::memmem::find(&text, MARK.as_bytes()).is_some() => State::Outdated,
            Ok(_) => State::Foreign,
        }
    }

    /// Writes it; one that is there is kept and run after it.
    pub(super) fn install(&self) -> Result<(), CliError> {
        if let Some(directory) = self.path.parent() {
            fs::create_dir_all(directory).map_err(|error| self.failed(error))?;
        }
        if self.state() == State::Foreign {
            if self.before.exists() {
                let error = std::io::Error::other(format!("`{}` is there", self.before.display()));
                return Err(self.failed(error));
            }
            fs::rename(&self.path, &self.before).map_err(|error| self.failed(error))?;
        }
        io::write_atomic(&self.path, self.text.as_bytes(), Mode::Keep)?;
        os::make_executable(&self.path).map_err(|error| self.failed(error))
    }

    /// Takes it away, and puts one that was there before back.
    pub(super) fn uninstall(&self) -> Result<(), CliError> {
        if self.before.exists() {
            return fs::rename(&self.before, &self.path).map_err(|error| self.failed(error));
        }
        fs::remove_file(&self.path).map_err(|error| self.failed(error))
    }

    fn failed(&self, source: std::io::Error) -> CliError {
        io::IoError::Write { path: self.path.clone(), source }.into()
    }
}
