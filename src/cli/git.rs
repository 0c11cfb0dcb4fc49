//! Git, through its plumbing: which files there are, and what is in them.
//!
//! The `git` of the user is run, so that everything that a repository can be works as it does for
//! him: linked worktrees, sha256, alternates, partial clones. Names pass as bytes between NULs.

mod objects;

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::cli::env::Env;
use crate::cli::os;

pub use self::objects::Objects;

/// A repository with a work tree.
#[derive(Debug)]
pub struct Repository {
    program: PathBuf,
    root: PathBuf,
}

/// A file that git knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The path from the top of the work tree.
    pub path: PathBuf,
    /// The name of the blob.
    pub blob: String,
    /// What it is.
    pub kind: EntryKind,
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A file.
    File,
    /// A symbolic link, a submodule: nothing that has a content of its own.
    Other,
    /// One side of a merge that is not resolved.
    Unmerged,
}

/// Why git did not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GitError {
    /// There is no git.
    #[error("there is no program `git` in `PATH`")]
    Missing,
    /// It could not be run, or did not say what it should.
    #[error("`git {command}` could not be run: {source}")]
    Io {
        /// What was asked of it.
        command: String,
        /// Why.
        source: io::Error,
    },
    /// It failed.
    #[error("`git {command}` failed{}", colon(message))]
    Failed {
        /// What was asked of it.
        command: String,
        /// What it said.
        message: String,
    },
    /// It said something that is not understood.
    #[error("`git {command}` gave an answer that is not understood")]
    Answer {
        /// What was asked of it.
        command: String,
    },
}

fn colon(message: &str) -> String {
    let message = message.trim();
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

impl Repository {
    /// Finds the repository that `directory` is in; `None` if it is in none, or there is no git.
    ///
    /// # Errors
    /// If git cannot be run.
    pub fn find(env: &Env, directory: &Path) -> Result<Option<Repository>, GitError> {
        let path = env.raw("PATH");
        let Some(program) = os::resolve_program(OsStr::new("git"), path.as_deref()) else {
            return Ok(None);
        };
        let output = Command::new(&program)
            .arg("-C")
            .arg(directory)
            .args(["rev-parse", "--show-toplevel"])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .map_err(|source| GitError::Io { command: "rev-parse".to_owned(), source })?;
        if !output.status.success() {
            return Ok(None);
        }
        let mut line = output.stdout;
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        Ok(Some(Repository { program, root: path_of(line) }))
    }

    /// Returns the top of the work tree.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the files of the index, of these paths or all.
    ///
    /// # Errors
    /// If git fails.
    pub fn tracked(&self, paths: &[PathBuf]) -> Result<Vec<Entry>, GitError> {
        let mut arguments: Vec<OsString> =
            ["ls-files", "--stage", "-z", "--"].map(OsString::from).to_vec();
        arguments.extend(paths.iter().map(OsString::from));
        let answer = self.ask(&arguments)?;
        let mut entries = Vec::new();
        for record in records(&answer) {
            let entry =
                staged(record).ok_or(GitError::Answer { command: "ls-files".to_owned() })?;
            entries.push(entry);
        }
        Ok(entries)
    }

    /// Returns the files that git does not know and does not ignore, of these paths or all.
    ///
    /// # Errors
    /// If git fails.
    pub fn untracked(&self, paths: &[PathBuf]) -> Result<Vec<PathBuf>, GitError> {
        let mut arguments: Vec<OsString> =
            ["ls-files", "--others", "--exclude-standard", "-z", "--"].map(OsString::from).to_vec();
        arguments.extend(paths.iter().map(OsString::from));
        let answer = self.ask(&arguments)?;
        // One that ends in a slash is a repository of its own.
        let files = records(&answer).filter(|path| !path.ends_with(b"/"));
        Ok(files.map(|path| path_of(path.to_vec())).collect())
    }

    /// Returns the files whose content in the index is another than in the last commit, without
    /// those that were removed.
    ///
    /// # Errors
    /// If git fails.
    pub fn staged(&self, paths: &[PathBuf]) -> Result<Vec<Entry>, GitError> {
        let mut arguments = raw_diff(&["--cached"]);
        arguments.push("--".into());
        arguments.extend(paths.iter().map(OsString::from));
        self.changes(&arguments)
    }

    /// Returns the files that a range of commits changed, as they are at its end.
    ///
    /// # Errors
    /// If git fails, such as for a range that is none.
    pub fn changed(&self, range: &str, paths: &[PathBuf]) -> Result<Vec<Entry>, GitError> {
        let mut arguments = raw_diff(&[]);
        arguments.push(range.into());
        arguments.push("--".into());
        arguments.extend(paths.iter().map(OsString::from));
        self.changes(&arguments)
    }

    /// Returns the files of the index that have a text in them.
    ///
    /// # Errors
    /// If git fails.
    pub fn tracked_with(&self, text: &str) -> Result<Vec<Entry>, GitError> {
        let arguments = ["grep", "--cached", "--no-textconv", "-l", "-z", "-F", "-e", text];
        let paths = match self.ask(&arguments) {
            Ok(answer) => records(&answer).map(|path| path_of(path.to_vec())).collect(),
            // It says nothing, and fails, where there is none.
            Err(GitError::Failed { message, .. }) if message.is_empty() => HashSet::new(),
            Err(error) => return Err(error),
        };
        let entries = self.tracked(&[])?;
        Ok(entries.into_iter().filter(|entry| paths.contains(&entry.path)).collect())
    }

    /// Returns what each commit of a range, from the newest on, has brought: its name, and a file as
    /// it is there. Merges are compared with each of their parents.
    ///
    /// # Errors
    /// If git fails, such as for a range that is none.
    pub fn history(
        &self,
        range: &str,
        paths: &[PathBuf],
    ) -> Result<Vec<(String, Entry)>, GitError> {
        let mut arguments: Vec<OsString> =
            ["log", "--format=%H", "-m", "--root"].map(OsString::from).to_vec();
        arguments.extend(raw_diff(&["--end-of-options"]).into_iter().skip(1));
        arguments.push(range.into());
        arguments.push("--".into());
        arguments.extend(paths.iter().map(OsString::from));
        let answer = self.ask(&arguments)?;
        let unclear = || GitError::Answer { command: "log".to_owned() };
        let mut commit = String::new();
        let mut entries = Vec::new();
        let mut records = records(&answer);
        while let Some(record) = records.next() {
            // The names of commits stand on lines of their own.
            let record = record.trim_ascii_start();
            if record.starts_with(b":") {
                let path = records.next().ok_or_else(unclear)?;
                let entry = changed(record, path).ok_or_else(unclear)?;
                entries.extend(entry.map(|entry| (commit.clone(), entry)));
            } else {
                String::from_utf8_lossy(record).trim().clone_into(&mut commit);
            }
        }
        Ok(entries)
    }

    /// Returns the commit that `name` stands for.
    ///
    /// # Errors
    /// If there is none.
    pub fn commit(&self, name: &str) -> Result<String, GitError> {
        let name = format!("{name}^{{commit}}");
        let answer = self.ask(&["rev-parse", "--verify", "--end-of-options", &name])?;
        Ok(String::from_utf8_lossy(&answer).trim().to_owned())
    }

    /// Starts to read objects.
    ///
    /// # Errors
    /// If git cannot be run.
    pub fn objects(&self) -> Result<Objects, GitError> {
        Objects::start(self.command(&["cat-file", "--batch"]))
    }

    /// Runs git and returns what it printed.
    ///
    /// # Errors
    /// If it cannot be run or fails.
    pub fn ask(&self, arguments: &[impl AsRef<OsStr>]) -> Result<Vec<u8>, GitError> {
        let name = arguments.first().map(|name| name.as_ref().to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        let io = |source| GitError::Io { command: name.clone(), source };
        let output = self.command(arguments).stdin(Stdio::null()).output().map_err(io)?;
        if !output.status.success() {
            let message = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(GitError::Failed { command: name, message });
        }
        Ok(output.stdout)
    }

    fn changes(&self, arguments: &[OsString]) -> Result<Vec<Entry>, GitError> {
        let answer = self.ask(arguments)?;
        let unclear = || GitError::Answer { command: "diff".to_owned() };
        let mut records = records(&answer);
        let mut entries = Vec::new();
        while let Some(head) = records.next() {
            let path = records.next().ok_or_else(unclear)?;
            entries.extend(changed(head, path).ok_or_else(unclear)?);
        }
        Ok(entries)
    }

    fn command(&self, arguments: &[impl AsRef<OsStr>]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("-C").arg(&self.root).arg("--literal-pathspecs").args(arguments);
        command
    }
}

/// Returns the arguments of a diff in plumbing's form.
fn raw_diff(more: &[&str]) -> Vec<OsString> {
    ["diff", "--raw", "-z", "--no-abbrev", "--no-renames", "--no-ext-diff", "--ignore-submodules"]
        .iter()
        .chain(more)
        .map(OsString::from)
        .collect()
}

fn records(answer: &[u8]) -> impl Iterator<Item = &[u8]> {
    answer.split(|&byte| byte == 0).filter(|record| !record.is_empty())
}

/// Reads `MODE BLOB STAGE<tab>PATH`.
fn staged(record: &[u8]) -> Option<Entry> {
    let tab = record.iter().position(|&byte| byte == b'\t')?;
    let head = std::str::from_utf8(&record[..tab]).ok()?;
    let mut words = head.split(' ');
    let (mode, blob, stage) = (words.next()?, words.next()?, words.next()?);
    let kind = if stage == "0" { kind(mode) } else { EntryKind::Unmerged };
    Some(Entry { path: path_of(record[tab + 1..].to_vec()), blob: blob.to_owned(), kind })
}

/// Reads `:MODE MODE BLOB BLOB STATUS`; nothing for a file that is gone.
fn changed(head: &[u8], path: &[u8]) -> Option<Option<Entry>> {
    let head = std::str::from_utf8(head).ok()?.strip_prefix(':')?;
    let mut words = head.split(' ').skip(1);
    let (mode, _, blob, status) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let kind = match status.as_bytes().first()? {
        b'D' => return Some(None),
        b'U' => EntryKind::Unmerged,
        _ => kind(mode),
    };
    Some(Some(Entry { path: path_of(path.to_vec()), blob: blob.to_owned(), kind }))
}

fn kind(mode: &str) -> EntryKind {
    if mode.starts_with("100") { EntryKind::File } else { EntryKind::Other }
}

/// Returns a path as git names it.
#[cfg(unix)]
fn path_of(bytes: Vec<u8>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt as _;
    OsString::from_vec(bytes).into()
}

/// Returns a path as git names it.
#[cfg(not(unix))]
fn path_of(bytes: Vec<u8>) -> PathBuf {
    String::from_utf8_lossy(&bytes).into_owned().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_the_index_are_read() {
        let entry = staged(b"100644 0123abcd 0\ta dir/\xff.yaml").unwrap();
        assert_eq!((entry.kind, entry.blob.as_str()), (EntryKind::File, "0123abcd"));
        assert!(entry.path.starts_with("a dir"));
        assert_eq!(staged(b"100755 0 2\tx").unwrap().kind, EntryKind::Unmerged);
        assert_eq!(staged(b"160000 0 0\tx").unwrap().kind, EntryKind::Other);
        assert_eq!(staged(b"100755 0 2 x"), None);
    }

    #[test]
    fn records_of_a_difference_are_read() {
        let entry = changed(b":100644 100644 aa bb M", b"x").unwrap().unwrap();
        assert_eq!((entry.blob.as_str(), entry.kind), ("bb", EntryKind::File));
        assert_eq!(changed(b":100644 000000 aa 00 D", b"x"), Some(None));
        let link = changed(b":100644 120000 aa bb T", b"x").unwrap().unwrap();
        assert_eq!(link.kind, EntryKind::Other);
        assert_eq!(changed(b"nothing", b"x"), None);
    }
}
