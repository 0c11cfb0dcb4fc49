//! What is searched: files on the disk and blobs of git, in pieces, on several threads.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::cli::args::ScanArgs;
use crate::cli::commands::scan::hits::Hits;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::git::{Entry, EntryKind, GitError, Objects, Repository};
use crate::cli::io::{read_error, read_file};
use crate::cli::targets::{Targets, Wanted};
use crate::format;
use crate::scan::{Hit, Searcher};
use crate::secret::SecretBytes;
use crate::span::Position;

/// How much of a file is in memory at a time.
const PIECE: usize = 1 << 20;

/// The most threads: reading is the limit beyond that.
const MAX_THREADS: usize = 16;

/// What the text of every encrypted file has.
const MARK: &str = "sops";

/// What is to be searched, and where encrypted files may be.
#[derive(Debug)]
pub(super) struct Places {
    /// What is searched.
    pub(super) wanted: Vec<Place>,
    /// Where encrypted files may be, besides.
    pub(super) others: Vec<Place>,
    repository: Option<Repository>,
}

/// A text.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The path as it is shown.
    pub(super) shown: String,
    /// The commit that has brought it.
    pub(super) commit: Option<String>,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    File(PathBuf),
    Blob(String),
}

impl Places {
    /// Finds what the arguments mean. Encrypted files are looked for in the whole repository,
    /// whatever part of it is searched.
    pub(super) fn find(context: &Context, arguments: &ScanArgs) -> Result<Places, CliError> {
        let here = context.env.directory();
        if let Some(range) = &arguments.rev
            && let Some(repository) = Repository::find(&context.env, here)?
        {
            let paths: Vec<PathBuf> =
                arguments.paths.iter().map(|path| context.env.absolute(path)).collect();
            let wanted = distinct(repository.history(range, &paths)?);
            let others = of_targets(&Targets::find(context, &everything())?);
            return Ok(Places { wanted, others, repository: Some(repository) });
        }
        let wanted = Wanted {
            paths: &arguments.paths,
            staged: arguments.staged,
            rev: arguments.rev.as_deref(),
            ..everything()
        };
        let targets = Targets::find(context, &wanted)?;
        let wanted = of_targets(&targets);
        let mut others = Vec::new();
        if let Some(repository) = targets.repository() {
            if arguments.staged {
                let entries = repository.tracked_with(MARK)?;
                others = entries.into_iter().filter_map(|entry| of_entry(entry, None)).collect();
            } else if !arguments.paths.is_empty() {
                others = of_targets(&Targets::find(context, &everything())?);
            }
        }
        Ok(Places { wanted, others, repository: targets.into_repository() })
    }

    fn has_blobs(&self) -> bool {
        let mut all = self.wanted.iter().chain(&self.others);
        all.any(|place| matches!(place.content, Content::Blob(_)))
    }
}

/// All files on the disk that git does not ignore.
fn everything() -> Wanted<'static> {
    Wanted { paths: &[], staged: false, rev: None, untracked: true, command: "scan" }
}

fn of_targets(targets: &Targets) -> Vec<Place> {
    let place = |target: &crate::cli::targets::Target| Place {
        shown: target.shown(),
        commit: None,
        content: match target.blob() {
            Some(blob) => Content::Blob(blob.to_owned()),
            None => Content::File(targets.root().join(&target.path)),
        },
    };
    targets.files().iter().map(place).collect()
}

fn of_entry(entry: Entry, commit: Option<String>) -> Option<Place> {
    (entry.kind == EntryKind::File).then(|| Place {
        shown: entry.path.to_string_lossy().into_owned(),
        commit,
        content: Content::Blob(entry.blob),
    })
}

/// Returns each blob once: as the oldest commit has it. The history is from the newest on.
fn distinct(history: Vec<(String, Entry)>) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::new();
    let mut known = HashMap::new();
    for (commit, entry) in history {
        let blob = entry.blob.clone();
        let Some(place) = of_entry(entry, Some(commit)) else { continue };
        if let Some(&at) = known.get(&blob) {
            places[at] = place;
        } else {
            known.insert(blob, places.len());
            places.push(place);
        }
    }
    places
}

/// Reads texts on one thread.
pub(super) struct Reader {
    buffer: SecretBytes,
    objects: Option<Objects>,
}

impl Reader {
    /// Finds secrets in a text, in its order; nothing if it is gone.
    pub(super) fn search(
        &mut self,
        place: &Place,
        searcher: &Searcher,
    ) -> Result<Vec<(Hit, Position)>, CliError> {
        let mut hits = Hits::default();
        let overlap = searcher.longest().saturating_sub(1);
        self.pieces(place, overlap, |piece| {
            hits.add_piece(piece, overlap, searcher);
            true
        })?;
        Ok(hits.into_found())
    }

    /// Returns the text if it is that of an encrypted file.
    pub(super) fn read_encrypted(
        &mut self,
        place: &Place,
    ) -> Result<Option<SecretBytes>, CliError> {
        let mut may_be = false;
        self.pieces(place, MARK.len() - 1, |piece| {
            may_be = memchr::memmem::find(piece, MARK.as_bytes()).is_some();
            !may_be
        })?;
        if !may_be {
            return Ok(None);
        }
        let text = match &place.content {
            Content::File(path) => Some(read_file(path)?),
            Content::Blob(blob) => self.blob(blob)?,
        };
        Ok(text.filter(|text| format::by_content(text, &place.shown).is_some()))
    }

    /// Gives a text piece by piece, as long as `each` says so. A piece begins with the last
    /// `overlap` bytes of the one before.
    fn pieces(
        &mut self,
        place: &Place,
        overlap: usize,
        mut each: impl FnMut(&[u8]) -> bool,
    ) -> Result<(), CliError> {
        let path = match &place.content {
            Content::Blob(blob) => {
                if let Some(text) = self.blob(blob)? {
                    each(&text);
                }
                return Ok(());
            }
            Content::File(path) => path,
        };
        let failed = |error| CliError::from(read_error(path, error));
        // What a link leads to is searched under its own name, and a pipe may have no end.
        match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_file() => {}
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed(error)),
        }
        let mut file = File::open(path).map_err(failed)?;
        if self.buffer.len() < PIECE + overlap {
            self.buffer.resize(PIECE + overlap);
        }
        let buffer = self.buffer.as_mut_slice();
        let mut carried = 0;
        loop {
            let mut length = carried;
            while length < buffer.len() {
                match file.read(&mut buffer[length..]) {
                    Ok(0) => break,
                    Ok(count) => length += count,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(failed(error)),
                }
            }
            let is_last = length < buffer.len();
            if length == carried || !each(&buffer[..length]) || is_last {
                return Ok(());
            }
            buffer.copy_within(length - overlap..length, 0);
            carried = overlap;
        }
    }

    fn blob(&mut self, name: &str) -> Result<Option<SecretBytes>, CliError> {
        match &mut self.objects {
            Some(objects) => Ok(objects.read(name.as_bytes())?),
            None => Err(GitError::Missing.into()),
        }
    }
}

/// Does `work` for each number below `count`, on as many threads as the machine has; the results
/// are in the order of the numbers.
pub(super) fn on_threads<T: Send>(
    places: &Places,
    count: usize,
    work: impl Fn(&mut Reader, usize) -> Option<T> + Sync,
) -> Result<Vec<(usize, T)>, CliError> {
    let threads = thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
    let repository = places.repository.as_ref().filter(|_| places.has_blobs());
    let mut readers = Vec::new();
    for _ in 0..threads.min(count) {
        let objects = repository.map(Repository::objects).transpose()?;
        readers.push(Reader { buffer: SecretBytes::new(), objects });
    }
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for mut reader in readers {
            let (next, results, work) = (&next, &results, &work);
            scope.spawn(move || {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        break;
                    }
                    if let Some(result) = work(&mut reader, number)
                        && let Ok(mut results) = results.lock()
                    {
                        results.push((number, result));
                    }
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_default();
    results.sort_unstable_by_key(|&(number, _)| number);
    Ok(results)
}
