//! What is compared with what: files, revisions and the index.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::cli::args::DiffArgs;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::git::{FileChange, FileSide, Objects, Repository};
use crate::cli::io::{self, IoError};
use crate::secret::SecretBytes;

/// Two versions of a file.
#[derive(Debug)]
pub(super) struct Pair {
    /// The file, as it is shown.
    pub(super) name: String,
    /// Whether the user named it; else it is of interest only if it is encrypted.
    pub(super) is_named: bool,
    pub(super) old: Version,
    pub(super) new: Version,
}

/// A version of a file.
#[derive(Debug)]
pub(super) struct Version {
    /// How it is called.
    pub(super) label: String,
    /// Its name, for the format.
    pub(super) path: PathBuf,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Absent,
    Disk(PathBuf),
    /// What `git cat-file` calls it.
    Object(String),
}

/// The pairs, and where their texts come from.
#[derive(Debug)]
pub(super) struct Sides {
    pub(super) pairs: Vec<Pair>,
    objects: Option<Objects>,
}

/// A word of the command line.
enum Word {
    File(PathBuf),
    Blob { name: String, path: PathBuf },
    Revisions(Vec<String>),
}

impl Sides {
    /// Finds what the arguments mean.
    pub(super) fn find(context: &Context, arguments: &DiffArgs) -> Result<Sides, CliError> {
        let repository = Repository::find(&context.env, context.env.directory())?;
        let finder = Finder { context, repository: repository.as_ref(), staged: arguments.staged };
        let mut words = Vec::new();
        for word in &arguments.words {
            words.push(finder.word(word)?);
        }
        let mut paths: Vec<PathBuf> =
            arguments.paths.iter().map(|path| context.env.absolute(path)).collect();
        let pairs = match (words.pop(), words.pop()) {
            (None, _) => finder.listed(&[], &paths)?,
            (Some(Word::Revisions(new)), Some(Word::Revisions(mut old))) => {
                old.extend(new);
                finder.listed(&old, &paths)?
            }
            (Some(Word::Revisions(names)), None) => finder.listed(&names, &paths)?,
            // As git has it: the revision, for one file of the work tree.
            (Some(Word::File(path)), Some(Word::Revisions(names))) => {
                paths.push(path);
                finder.listed(&names, &paths)?
            }
            (Some(Word::File(path)), None) => vec![finder.one_file(&path)?],
            (Some(Word::Blob { name, path }), None) => {
                let root = finder.repository()?.root();
                let new = Version::disk(&path.to_string_lossy(), root.join(&path));
                vec![Pair::named(Version::object(name, path), new)]
            }
            (Some(new), Some(old)) => vec![Pair::named(finder.version(old)?, finder.version(new)?)],
        };
        let objects = match &repository {
            Some(repository) => Some(repository.objects()?),
            None => None,
        };
        Ok(Sides { pairs, objects })
    }

    /// Reads a version; `None` if there is no file.
    pub(super) fn read(&mut self, version: &Version) -> Result<Option<SecretBytes>, CliError> {
        match &version.source {
            Source::Absent => Ok(None),
            Source::Disk(path) => match io::read_file(path) {
                Ok(text) => Ok(Some(text)),
                Err(error) => Err(error.into()),
            },
            Source::Object(name) => match &mut self.objects {
                Some(objects) => match objects.read(name.as_bytes())? {
                    Some(text) => Ok(Some(text)),
                    None => Err(failed(format!("git has no file `{name}`"))),
                },
                None => Ok(None),
            },
        }
    }
}

impl Pair {
    fn named(old: Version, new: Version) -> Pair {
        let name = if old.label == new.label {
            old.label.clone()
        } else {
            format!("{} -> {}", old.label, new.label)
        };
        Pair { name, is_named: true, old, new }
    }
}

impl Version {
    fn disk(label: &str, path: PathBuf) -> Version {
        Version { label: label.to_owned(), source: Source::Disk(path.clone()), path }
    }

    fn object(name: String, path: PathBuf) -> Version {
        Version { label: name.clone(), path, source: Source::Object(name) }
    }
}

struct Finder<'a> {
    context: &'a Context,
    repository: Option<&'a Repository>,
    staged: bool,
}

impl Finder<'_> {
    fn repository(&self) -> Result<&Repository, CliError> {
        self.repository.ok_or_else(|| {
            failed("this is no git repository: name two files".to_owned())
                .help("encfile diff OLD NEW")
        })
    }

    fn word(&self, word: &OsStr) -> Result<Word, CliError> {
        let path = self.context.env.absolute(Path::new(word));
        if fs::symlink_metadata(&path).is_ok_and(|metadata| !metadata.is_dir()) {
            return Ok(Word::File(word.into()));
        }
        let text = word.to_str().ok_or_else(|| Self::unknown(word))?;
        if self.repository.is_none() {
            return Err(IoError::NotFound { path }.into());
        }
        if let Some((revision, path)) = revision_and_path(text) {
            let path = self.rooted(path)?;
            let name = format!("{revision}:{}", path.to_string_lossy());
            return Ok(Word::Blob { name, path });
        }
        let repository = self.repository()?;
        let commit = |name: &str| {
            let name = if name.is_empty() { "HEAD" } else { name };
            repository.commit(name).map_err(|_| Self::unknown(word))
        };
        if let Some((one, other)) = text.split_once("...") {
            let (one, other) = (commit(one)?, commit(other)?);
            let base = repository.ask(&["merge-base", &one, &other])?;
            let base = String::from_utf8_lossy(&base).trim().to_owned();
            return Ok(Word::Revisions(vec![base, other]));
        }
        if let Some((old, new)) = text.split_once("..") {
            return Ok(Word::Revisions(vec![commit(old)?, commit(new)?]));
        }
        Ok(Word::Revisions(vec![commit(text)?]))
    }

    fn unknown(word: &OsStr) -> CliError {
        failed(format!("`{}` is neither a file nor a revision", word.to_string_lossy()))
    }

    /// Returns a path behind `REV:` from the top of the work tree. Git has it from there already,
    /// unless it begins with a dot.
    fn rooted(&self, path: &str) -> Result<PathBuf, CliError> {
        if path.starts_with("./") || path.starts_with("../") {
            return self.in_work_tree(&self.context.env.absolute(Path::new(path)));
        }
        Ok(path.into())
    }

    /// Returns an absolute path from the top of the work tree.
    fn in_work_tree(&self, path: &Path) -> Result<PathBuf, CliError> {
        self.repository()?
            .inside(path)
            .ok_or_else(|| failed(format!("`{}` is outside of the repository", path.display())))
    }

    fn version(&self, word: Word) -> Result<Version, CliError> {
        match word {
            Word::File(path) => {
                let absolute = self.context.env.absolute(&path);
                Ok(Version::disk(&path.to_string_lossy(), absolute))
            }
            Word::Blob { name, path } => Ok(Version::object(name, path)),
            Word::Revisions(_) => {
                Err(failed("a revision and a file of another place cannot be compared".to_owned())
                    .help("to compare a file of a revision: REV:PATH"))
            }
        }
    }

    /// The file in the work tree against the index, or against the last commit where the index does
    /// not have it; with `--staged`, the index against the last commit.
    fn one_file(&self, path: &Path) -> Result<Pair, CliError> {
        let repository = self.repository()?;
        let inside = self.in_work_tree(&self.context.env.absolute(path))?;
        let shown = path.to_string_lossy();
        let index = format!(":{}", inside.to_string_lossy());
        let last = format!("HEAD:{}", inside.to_string_lossy());
        let has = |name: &str| repository.ask(&["cat-file", "-e", name]).is_ok();
        if self.staged {
            let old = Version::object(last.clone(), inside.clone());
            let old = if has(&last) { old } else { Version { source: Source::Absent, ..old } };
            return Ok(Pair::named(old, Version::object(index, inside)));
        }
        let old = [index, last].into_iter().find(|name| has(name)).ok_or_else(|| {
            failed(format!("git does not know `{shown}`: there is nothing to compare it with"))
        })?;
        let mut pair =
            Pair::named(Version::object(old, inside), self.version(Word::File(path.into()))?);
        pair.name = shown.into_owned();
        Ok(pair)
    }

    /// The files that differ between two revisions, or one and the work tree or index.
    fn listed(&self, revisions: &[String], paths: &[PathBuf]) -> Result<Vec<Pair>, CliError> {
        if revisions.len() > 2 || (revisions.len() == 2 && self.staged) {
            return Err(failed("there is more than two things to compare".to_owned()));
        }
        let repository = self.repository()?;
        let mut words: Vec<&str> = revisions.iter().map(String::as_str).collect();
        if self.staged {
            words.insert(0, "--cached");
        }
        let changes = repository.differences(&words, paths)?;
        Ok(changes.into_iter().map(|change| Self::pair(repository, change)).collect())
    }

    fn pair(repository: &Repository, change: FileChange) -> Pair {
        let name = change.path.to_string_lossy().into_owned();
        let version = |side: FileSide| Version {
            label: name.clone(),
            path: change.path.clone(),
            source: match side {
                FileSide::Absent => Source::Absent,
                FileSide::Blob(blob) => Source::Object(blob),
                FileSide::WorkTree => Source::Disk(repository.root().join(&change.path)),
            },
        };
        let (old, new) = (version(change.old), version(change.new));
        Pair { name: name.clone(), is_named: false, old, new }
    }
}

/// Splits `REV:PATH`, `:PATH` and `:STAGE:PATH`.
fn revision_and_path(word: &str) -> Option<(&str, &str)> {
    let is_stage = |digit: &u8| (b'0'..=b'3').contains(digit);
    match word.as_bytes() {
        [b':', stage, b':', ..] if is_stage(stage) => Some((&word[..2], &word[3..])),
        _ => word.split_once(':'),
    }
}

fn failed(message: String) -> CliError {
    CliError::new(Exit::Input, "diff", message)
}

#[cfg(test)]
mod tests {
    use super::revision_and_path;

    #[test]
    fn revisions_end_at_the_first_colon() {
        assert_eq!(revision_and_path("HEAD~1:a/b:c.yaml"), Some(("HEAD~1", "a/b:c.yaml")));
        assert_eq!(revision_and_path(":a.yaml"), Some(("", "a.yaml")));
        assert_eq!(revision_and_path(":2:a.yaml"), Some((":2", "a.yaml")));
        assert_eq!(revision_and_path("HEAD"), None);
    }
}
