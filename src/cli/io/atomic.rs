//! Replacing a file in one step.
//!
//! The new content goes to a temporary file in the same directory, which gets the old file's mode,
//! owner and attributes, is brought to the disk and then renamed over the old one. So whatever
//! happens - a full disk, a crash, SIGKILL - there is the old file or the new one. Termination
//! signals wait until the temporary file is renamed or removed ([`Hold`]).
//!
//! Two encfile processes that replace the same file take turns: each has an advisory lock
//! (`flock`) on the file that is there while it compares and renames. Programs that do not know of
//! the lock are noticed by comparing the content just before the rename.
//!
//! Decisions that can be seen from outside:
//! - a symbolic link stays, and what it leads to is replaced, also where that does not exist yet;
//! - a write-protected file (mode 0444) is refused, though a rename could replace it;
//! - a file that cannot be replaced, because its directory is not writable, is refused: writing in
//!   place could lose it;
//! - of several hard links only the given name gets the new content ([`WriteNote`] says so): the
//!   others keep the old, complete file;
//! - pipes and devices (`/dev/null`, `/dev/stdout`, `/dev/fd/3`) are written to, never replaced.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::{Builder, NamedTempFile};

use super::{IoError, Stamp, is_stream};
use crate::cli::os::attributes::{self, Permissions};
use crate::cli::os::signals::Hold;
use crate::cli::os::stdio::{self, Output};

/// How long to wait for another process that replaces the same file.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);
const LOCK_PAUSE: Duration = Duration::from_millis(5);
/// As many symbolic links as Linux follows.
const MAX_LINKS: usize = 40;
/// How much of a file's name goes into that of its temporary file, in bytes.
const NAME_IN_TEMPORARY: usize = 100;
/// Signals are looked for between blocks of this size.
const BLOCK: usize = 1 << 20;

/// Who may read the file that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As before; a new file as the umask says. For ciphertext.
    Keep,
    /// The owner only, always: 0600. For plaintext.
    Private,
}

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The file, after symbolic links.
    pub path: PathBuf,
    /// What its user should know.
    pub notes: Vec<WriteNote>,
}

/// Something about a replaced file that is not as before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteNote {
    /// The file had other names (hard links), which still have the old content.
    OtherNamesKeepOldContent {
        /// How many.
        others: u64,
    },
    /// The file belonged to another user or group and could not be given back to them.
    OwnerChanged,
    /// The system did not say that the rename is on the disk; after a power failure the old file
    /// may be there.
    NotSynced,
}

/// Replaces `target`, or creates it.
///
/// ```no_run
/// use std::path::Path;
///
/// use encfile::cli::io::{IoError, Mode, read_with_stamp, write_atomic, write_atomic_if_unchanged};
///
/// # fn main() -> Result<(), IoError> {
/// let path = Path::new("secrets.yaml");
/// let (content, stamp) = read_with_stamp(path)?;
/// write_atomic(Path::new("plain.yaml"), &content, Mode::Private)?;
/// write_atomic_if_unchanged(path, b"new content", Mode::Keep, &stamp)?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Every error leaves `target` as it was and no temporary file.
pub fn write_atomic(target: &Path, bytes: &[u8], mode: Mode) -> Result<Written, IoError> {
    write(target, bytes, mode, None)
}

/// Replaces `target`, or creates it, if it still has the content of `stamp`.
///
/// # Errors
/// As [`write_atomic`], and [`IoError::ChangedMeanwhile`].
pub fn write_atomic_if_unchanged(
    target: &Path,
    bytes: &[u8],
    mode: Mode,
    stamp: &Stamp,
) -> Result<Written, IoError> {
    write(target, bytes, mode, Some(stamp))
}

fn write(
    target: &Path,
    bytes: &[u8],
    mode: Mode,
    stamp: Option<&Stamp>,
) -> Result<Written, IoError> {
    let path = follow_links(target)?;
    if let Some(written) = write_to_stream(&path, bytes) {
        return written;
    }
    let request = Request { target, path: &path, bytes, mode, stamp };
    let hold = Hold::new().map_err(|source| IoError::Signals { source })?;
    let deadline = Instant::now() + LOCK_TIMEOUT;
    loop {
        let done = match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_file() => request.replace(metadata, deadline, &hold)?,
            Ok(metadata) => return request.write_into_special(&metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound => request.create(&hold)?,
            Err(source) => return Err(request.failed(source)),
        };
        // `None`: somebody created, removed or replaced the file between two system calls.
        if let Some(notes) = done {
            return Ok(Written { path: path.clone(), notes });
        }
        if Instant::now() >= deadline {
            return Err(request.changed());
        }
    }
}

/// Writes to a stream that is named by a path; `None` for all other paths.
fn write_to_stream(target: &Path, bytes: &[u8]) -> Option<Result<Written, IoError>> {
    let failed = |source: io::Error| IoError::Write { path: target.to_path_buf(), source };
    let done = if is_stream(target, 1, "stdout") {
        super::write_stdout(bytes)
    } else if is_stream(target, 2, "stderr") {
        stdio::write_all(Output::Stderr, bytes).map_err(failed)
    } else if is_descriptor(target) {
        // The shell opened it, perhaps at the end of a file: nothing there is to be replaced.
        OpenOptions::new()
            .append(true)
            .open(target)
            .and_then(|mut stream| stream.write_all(bytes))
            .map_err(failed)
    } else {
        return None;
    };
    Some(done.map(|()| Written { path: target.to_path_buf(), notes: Vec::new() }))
}

/// Returns whether the path names an open file of this process by its number.
fn is_descriptor(path: &Path) -> bool {
    cfg!(unix)
        && ["/dev/fd", "/proc/self/fd"]
            .iter()
            .any(|directory| path.parent() == Some(Path::new(directory)))
}

/// Returns the path of the file that `target` leads to, which need not exist. Stops at the names
/// of streams, which look like links to the file that the stream happens to be.
fn follow_links(target: &Path) -> Result<PathBuf, IoError> {
    let mut path = target.to_path_buf();
    for _ in 0..MAX_LINKS {
        if is_descriptor(&path) {
            return Ok(path);
        }
        match fs::read_link(&path) {
            // `join` keeps an absolute link as it is.
            Ok(link) => path = directory_of(&path).join(link),
            Err(_) => return Ok(path),
        }
    }
    Err(IoError::SymlinkLoop { path: target.to_path_buf() })
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// One file to write.
struct Request<'a> {
    /// As the user named it.
    target: &'a Path,
    /// After symbolic links.
    path: &'a Path,
    bytes: &'a [u8],
    mode: Mode,
    stamp: Option<&'a Stamp>,
}

impl Request<'_> {
    /// Replaces the existing file; `None` if it is another one by now.
    fn replace(
        &self,
        metadata: Metadata,
        deadline: Instant,
        hold: &Hold,
    ) -> Result<Option<Vec<WriteNote>>, IoError> {
        if self.stamp.is_some_and(Stamp::is_absent) {
            return Err(self.changed());
        }
        if attributes::is_read_only(self.path, &metadata) {
            return Err(IoError::ReadOnly { path: self.target.to_path_buf() });
        }
        let (locked, metadata) = match self.lock(deadline, hold)? {
            Lock::Held(file) => {
                let metadata = file.metadata().map_err(|source| self.failed(source))?;
                if !attributes::is_same_file(&metadata, self.path) {
                    return Ok(None);
                }
                (Some(file), metadata)
            }
            Lock::Impossible => (None, metadata),
            Lock::Gone => return Ok(None),
        };
        let mut temporary = self.temporary(Mode::Private)?;
        self.fill(&mut temporary, hold)?;
        let permissions = match self.mode {
            Mode::Keep => Permissions::Replaced,
            Mode::Private => Permissions::Private,
        };
        let owner_kept =
            attributes::copy_attributes(&metadata, self.path, temporary.as_file(), permissions)
                .map_err(|source| self.failed(source))?;
        self.sync(&temporary, hold)?;
        // As late as possible, for those who do not know of the lock.
        if let Some(stamp) = self.stamp {
            self.compare(stamp, locked.as_ref(), &metadata)?;
        }
        temporary.persist(self.path).map_err(|error| self.failed(error.error))?;
        let mut notes = Vec::new();
        let names = attributes::names_of(&metadata);
        if names > 1 {
            notes.push(WriteNote::OtherNamesKeepOldContent { others: names - 1 });
        }
        if !owner_kept {
            notes.push(WriteNote::OwnerChanged);
        }
        self.sync_directory(&mut notes);
        Ok(Some(notes))
    }

    /// Creates a file that is not there; `None` if it is by now.
    fn create(&self, hold: &Hold) -> Result<Option<Vec<WriteNote>>, IoError> {
        if self.stamp.is_some_and(|stamp| !stamp.is_absent()) {
            return Err(self.changed());
        }
        let mut temporary = self.temporary(self.mode)?;
        if self.mode == Mode::Private {
            attributes::make_private(temporary.as_file()).map_err(|source| self.failed(source))?;
        }
        self.fill(&mut temporary, hold)?;
        self.sync(&temporary, hold)?;
        match temporary.persist_noclobber(self.path) {
            Ok(_) => {}
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
            Err(error) => return Err(self.failed(error.error)),
        }
        let mut notes = Vec::new();
        self.sync_directory(&mut notes);
        Ok(Some(notes))
    }

    /// Writes into a pipe or a device, of which there is nothing to keep.
    fn write_into_special(&self, metadata: &Metadata) -> Result<Written, IoError> {
        let path = self.target.to_path_buf();
        if metadata.is_dir() {
            return Err(IoError::IsDirectory { path });
        }
        if self.stamp.is_some() || !is_pipe_or_character_device(metadata) {
            return Err(IoError::NotAFile { path });
        }
        OpenOptions::new()
            .write(true)
            .open(self.path)
            .and_then(|mut file| file.write_all(self.bytes))
            .map_err(|source| self.failed(source))?;
        Ok(Written { path: self.path.to_path_buf(), notes: Vec::new() })
    }

    /// Takes the lock on the existing file.
    fn lock(&self, deadline: Instant, hold: &Hold) -> Result<Lock, IoError> {
        let file = match File::open(self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Lock::Gone),
            Err(error) if self.stamp.is_none() && is_denied(&error) => return Ok(Lock::Impossible),
            Err(error) => return Err(super::read_error(self.target, error)),
        };
        loop {
            match file.try_lock() {
                // A file system without locks: comparing before the rename has to do.
                Ok(()) | Err(TryLockError::Error(_)) => return Ok(Lock::Held(file)),
                Err(TryLockError::WouldBlock) => {}
            }
            self.stop_if_interrupted(hold)?;
            if Instant::now() >= deadline {
                return Err(IoError::Locked { path: self.target.to_path_buf() });
            }
            std::thread::sleep(LOCK_PAUSE);
        }
    }

    /// Fails unless the file is the one that was locked and has the content of `stamp`.
    fn compare(
        &self,
        stamp: &Stamp,
        locked: Option<&File>,
        metadata: &Metadata,
    ) -> Result<(), IoError> {
        let Some(file) = locked else {
            return Err(self.changed());
        };
        let now = Stamp::of_file(file)
            .map_err(|source| IoError::Read { path: self.target.to_path_buf(), source })?;
        if now != *stamp || !attributes::is_same_file(metadata, self.path) {
            return Err(self.changed());
        }
        Ok(())
    }

    /// Creates the temporary file.
    fn temporary(&self, mode: Mode) -> Result<NamedTempFile, IoError> {
        let directory = directory_of(self.path);
        let Some(Component::Normal(name)) = self.path.components().next_back() else {
            return Err(IoError::IsDirectory { path: self.target.to_path_buf() });
        };
        let prefix = format!(".{}.", beginning(name));
        let mut builder = Builder::new();
        builder.prefix(&prefix).suffix(".tmp").rand_bytes(8);
        attributes::set_creation_mode(&mut builder, mode == Mode::Private);
        builder.tempfile_in(directory).map_err(|error| {
            // Without the temporary file's path, which says nothing to the user.
            let source = io::Error::from(error.kind());
            let path = self.target.to_path_buf();
            let directory = directory.to_path_buf();
            match source.kind() {
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                    IoError::DirectoryNotWritable { path, directory, source }
                }
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                    IoError::NoDirectory { path, directory }
                }
                _ => IoError::Write { path, source },
            }
        })
    }

    fn fill(&self, temporary: &mut NamedTempFile, hold: &Hold) -> Result<(), IoError> {
        for block in self.bytes.chunks(BLOCK) {
            self.stop_if_interrupted(hold)?;
            temporary.as_file_mut().write_all(block).map_err(|source| self.failed(source))?;
        }
        Ok(())
    }

    fn sync(&self, temporary: &NamedTempFile, hold: &Hold) -> Result<(), IoError> {
        temporary.as_file().sync_all().map_err(|source| self.failed(source))?;
        self.stop_if_interrupted(hold)
    }

    fn sync_directory(&self, notes: &mut Vec<WriteNote>) {
        if attributes::sync_directory(directory_of(self.path)).is_err() {
            notes.push(WriteNote::NotSynced);
        }
    }

    fn stop_if_interrupted(&self, hold: &Hold) -> Result<(), IoError> {
        match hold.pending() {
            Some(signal) => Err(IoError::Interrupted { path: self.target.to_path_buf(), signal }),
            None => Ok(()),
        }
    }

    fn failed(&self, source: io::Error) -> IoError {
        IoError::Write { path: self.target.to_path_buf(), source }
    }

    fn changed(&self) -> IoError {
        IoError::ChangedMeanwhile { path: self.target.to_path_buf() }
    }
}

enum Lock {
    /// Held as long as the file is open.
    Held(File),
    /// The file may be replaced but not read.
    Impossible,
    /// The file is not there any more.
    Gone,
}

fn is_denied(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

#[cfg(unix)]
fn is_pipe_or_character_device(metadata: &Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt;
    let kind = metadata.file_type();
    kind.is_fifo() || kind.is_char_device()
}

#[cfg(not(unix))]
fn is_pipe_or_character_device(_metadata: &Metadata) -> bool {
    false
}

/// Returns the first characters of a file's name.
fn beginning(name: &OsStr) -> String {
    let mut name = name.to_string_lossy().into_owned();
    let mut end = name.len().min(NAME_IN_TEMPORARY);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.truncate(end);
    name
}

#[cfg(test)]
mod tests;
