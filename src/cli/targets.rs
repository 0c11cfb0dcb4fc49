//! The files that a command about a repository looks at, and where their contents come from.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::git::{Entry, EntryKind, GitError, Objects, Repository};
use crate::cli::io;
use crate::secret::SecretBytes;

/// Which files are wanted.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Files and directories; none for all.
    pub paths: &'a [PathBuf],
    /// Whether those of the index that differ from the last commit.
    pub staged: bool,
    /// A range of commits: the files that it changes, as they are at its end.
    pub rev: Option<&'a str>,
    /// Whether also files that git does not know, and does not ignore.
    pub untracked: bool,
    /// The command, for messages.
    pub command: &'a str,
}

/// The files, in order.
#[derive(Debug)]
pub struct Targets {
    files: Vec<Target>,
    from: Source,
    snapshot: Snapshot,
    repository: Option<Repository>,
    /// The directory that paths are relative to.
    root: PathBuf,
}

/// Where contents are read.
#[derive(Debug)]
enum Source {
    Disk,
    Git(Objects),
}

/// One of the files.
#[derive(Clone, Debug)]
pub struct Target {
    /// From the root.
    pub path: PathBuf,
    blob: Option<String>,
}

/// What contents are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Snapshot {
    /// Those on the disk.
    Disk,
    /// Those of the index.
    Index,
    /// Those of a commit.
    Commit(String),
}

impl Target {
    /// Returns the blob that has the content; `None` if it is on the disk.
    pub fn blob(&self) -> Option<&str> {
        self.blob.as_deref()
    }

    /// Returns the path for people.
    pub fn shown(&self) -> String {
        self.path.to_string_lossy().into_owned()
    }
}

impl Targets {
    /// Finds the files that the arguments mean.
    pub fn find(context: &Context, wanted: &Wanted<'_>) -> Result<Targets, CliError> {
        let here = context.env.directory();
        let paths: Vec<PathBuf> =
            wanted.paths.iter().map(|path| context.env.absolute(path)).collect();
        let Some(repository) = Repository::find(&context.env, here)? else {
            return Targets::of_disk(context, wanted, &paths);
        };
        let root = repository.root().to_owned();
        if wanted.staged || wanted.rev.is_some() {
            let entries = match wanted.rev {
                Some(range) => repository.changed(range, &paths)?,
                None => repository.staged(&paths)?,
            };
            let snapshot = match wanted.rev {
                Some(range) => Snapshot::Commit(repository.commit(end_of(range))?),
                None => Snapshot::Index,
            };
            let from = Source::Git(repository.objects()?);
            let files = of_entries(entries, true);
            return Ok(Targets { files, from, snapshot, repository: Some(repository), root });
        }
        for path in &paths {
            fs::symlink_metadata(path).map_err(|error| io::read_error(path, error))?;
        }
        let mut files = of_entries(repository.tracked(&paths)?, false);
        if wanted.untracked {
            let others = repository.untracked(&paths)?.into_iter();
            files.extend(others.map(|path| Target { path, blob: None }));
        }
        // A file that is named is meant, whether git knows it or not.
        for path in paths.iter().filter(|path| path.is_file()) {
            let path = path.strip_prefix(&root).unwrap_or(path).to_owned();
            if files.iter().all(|file| file.path != path) {
                files.push(Target { path, blob: None });
            }
        }
        let (from, snapshot) = (Source::Disk, Snapshot::Disk);
        Ok(Targets { files, from, snapshot, repository: Some(repository), root })
    }

    fn of_disk(
        context: &Context,
        wanted: &Wanted<'_>,
        paths: &[PathBuf],
    ) -> Result<Targets, CliError> {
        use crate::cli::exit::Exit;
        if wanted.staged || wanted.rev.is_some() {
            let message = "this is no git repository: there is nothing staged or committed";
            return Err(CliError::new(Exit::Input, "git", message));
        }
        if paths.is_empty() {
            let message = "this is no git repository, and no files are named";
            return Err(CliError::new(Exit::Input, "git", message)
                .help(format!("name files or directories: encfile {} PATH...", wanted.command)));
        }
        let root = context.env.directory().to_owned();
        let mut files = Vec::new();
        let mut waiting: Vec<PathBuf> = paths.iter().rev().cloned().collect();
        while let Some(path) = waiting.pop() {
            let metadata =
                fs::symlink_metadata(&path).map_err(|error| io::read_error(&path, error))?;
            if metadata.is_dir() {
                let mut inside: Vec<PathBuf> = fs::read_dir(&path)
                    .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
                    .map_err(|error| io::read_error(&path, error))?;
                inside.sort_unstable_by(|one, other| other.cmp(one));
                waiting.extend(inside.into_iter().filter(|path| !path.ends_with(".git")));
            } else if metadata.is_file() || paths.contains(&path) {
                let path = path.strip_prefix(&root).unwrap_or(&path).to_owned();
                files.push(Target { path, blob: None });
            }
        }
        let (from, snapshot) = (Source::Disk, Snapshot::Disk);
        Ok(Targets { files, from, snapshot, repository: None, root })
    }

    /// Returns the files.
    pub fn files(&self) -> &[Target] {
        &self.files
    }

    /// Returns the repository; `None` outside of one.
    pub fn repository(&self) -> Option<&Repository> {
        self.repository.as_ref()
    }

    /// Returns the repository alone.
    pub fn into_repository(self) -> Option<Repository> {
        self.repository
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Returns the directory that the paths are relative to.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns which contents are read.
    pub fn snapshot(&self) -> Snapshot {
        self.snapshot.clone()
    }

    /// Starts another reader of the repository's objects.
    pub fn objects(&self) -> Result<Objects, CliError> {
        match &self.repository {
            Some(repository) => Ok(repository.objects()?),
            None => Err(GitError::Missing.into()),
        }
    }

    /// Returns a file and its content; `None` if it has none any more.
    pub fn read(&mut self, number: usize) -> Result<(Target, Option<SecretBytes>), CliError> {
        let target = self.files[number].clone();
        let text = if let (Source::Git(objects), Some(blob)) = (&mut self.from, &target.blob) {
            objects.read(blob.as_bytes())?
        } else {
            match io::read_file(&self.root.join(&target.path)) {
                Ok(text) => Some(text),
                // In the index and removed from the disk.
                Err(io::IoError::NotFound { .. }) => None,
                Err(error) => return Err(error.into()),
            }
        };
        Ok((target, text))
    }

    /// Returns where a file is on the disk.
    pub fn on_disk(&self, number: usize) -> Option<PathBuf> {
        matches!(self.from, Source::Disk)
            .then(|| self.files.get(number).map(|file| self.root.join(&file.path)))
            .flatten()
    }
}

/// Returns the end of a range of commits: behind `..` or `...`, or the whole name.
fn end_of(range: &str) -> &str {
    let end = range.rsplit("..").next().unwrap_or(range);
    if end.is_empty() { "HEAD" } else { end }
}

/// Returns the files among the entries: with the blobs, or by their paths alone.
fn of_entries(entries: Vec<Entry>, blobs: bool) -> Vec<Target> {
    let mut files: Vec<Target> = entries
        .into_iter()
        .filter(|entry| entry.kind != EntryKind::Other)
        // The sides of a merge have no one content; the file with the markers is on the disk.
        .filter(|entry| !blobs || entry.kind == EntryKind::File)
        .map(|entry| Target { path: entry.path, blob: blobs.then_some(entry.blob) })
        .collect();
    files.dedup_by(|one, other| one.path == other.path);
    files
}
