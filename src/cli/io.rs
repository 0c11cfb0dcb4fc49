//! Reading and replacing files, and the standard streams, without leaving anything behind.
//!
//! - [`read_file`], [`read_stdin`]: into memory that is wiped
//! - [`write_atomic`]: the old file or the new one, never something between
//! - [`read_with_stamp`] and [`write_atomic_if_unchanged`]: read, change, write, without losing
//!   what somebody else wrote meanwhile
//! - [`write_stdout`]: exact bytes; a reader that has gone is no error
//! - [`write_stderr`]: the same, where it is one
//!
//! Nothing here knows what is in the files. Contents are never part of an error.

mod atomic;

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::os::stdio::{self, Output};
pub use super::os::stdio::{FirstByte, StdinKind, stdin_kind, wait_for_first_byte};
pub use atomic::{Mode, WriteNote, Written, write_atomic, write_atomic_if_unchanged};

use crate::secret::SecretBytes;
use crate::span::MAX_SOURCE;

/// The first buffer for a stream whose length is not known, in bytes.
const FIRST_BUFFER: usize = 64 * 1024;

/// An error of reading or writing a file or a standard stream. Paths are as the user gave them
/// where nothing else is said.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IoError {
    /// There is no such file.
    #[error("`{}` does not exist", path.display())]
    NotFound {
        /// The file.
        path: PathBuf,
    },
    /// It is a directory.
    #[error("`{}` is a directory", path.display())]
    IsDirectory {
        /// The directory.
        path: PathBuf,
    },
    /// Reading it is not allowed.
    #[error("no permission to read `{}`", path.display())]
    PermissionDenied {
        /// The file.
        path: PathBuf,
    },
    /// It is longer than is read.
    #[error("`{}` is longer than {} MiB", path.display(), limit >> 20)]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The most that is read, in bytes.
        limit: usize,
    },
    /// Reading failed in another way.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Writing failed; a file that was there is untouched.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The existing file is write-protected.
    #[error("`{}` is write-protected", path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be replaced, because nothing can be created beside it.
    #[error(
        "cannot replace `{}`: no file can be created in its directory `{}`",
        path.display(),
        directory.display()
    )]
    DirectoryNotWritable {
        /// The file.
        path: PathBuf,
        /// Its directory, after symbolic links.
        directory: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The directory of a file that is to be written does not exist.
    #[error("cannot write `{}`: there is no directory `{}`", path.display(), directory.display())]
    NoDirectory {
        /// The file.
        path: PathBuf,
        /// The directory.
        directory: PathBuf,
    },
    /// Symbolic links lead in a circle.
    #[error("too many symbolic links at `{}`", path.display())]
    SymlinkLoop {
        /// The file.
        path: PathBuf,
    },
    /// The target is a socket, a disk or the like.
    #[error("`{}` is not a file that can be written", path.display())]
    NotAFile {
        /// The target.
        path: PathBuf,
    },
    /// Somebody else changed, created or removed the file since it was read; it is as they left it.
    #[error("`{}` was changed by somebody else meanwhile", path.display())]
    ChangedMeanwhile {
        /// The file.
        path: PathBuf,
    },
    /// Another process holds the file's lock and does not let go.
    #[error("`{}` is locked by another process", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// A signal came before the file was replaced; it is untouched.
    #[error("interrupted by signal {signal} before `{}` was written", path.display())]
    Interrupted {
        /// The file.
        path: PathBuf,
        /// The number of the signal.
        signal: i32,
    },
    /// Reading standard input failed.
    #[error("cannot read standard input")]
    Stdin {
        /// Why.
        source: io::Error,
    },
    /// Writing to standard error failed, where it was more than a message.
    #[error("cannot write to standard error")]
    Stderr {
        /// Why.
        source: io::Error,
    },
    /// Writing to standard output failed.
    #[error("cannot write to standard output")]
    Stdout {
        /// Why.
        source: io::Error,
    },
    /// Termination signals cannot be held back while a file is written.
    #[error("cannot prepare for signals")]
    Signals {
        /// Why.
        source: io::Error,
    },
}

/// What a file's content was when it was read, to find out whether it still is.
///
/// Holds a SHA-256 hash; `Debug` does not show it, since the hash of a short secret tells it.
#[derive(Clone, PartialEq, Eq)]
pub struct Stamp(Option<[u8; 32]>);

impl Stamp {
    /// Returns the stamp of a file that does not exist.
    pub fn absent() -> Stamp {
        Stamp(None)
    }

    /// Returns the stamp of a file with this content.
    pub fn of(content: &[u8]) -> Stamp {
        Stamp(Some(Sha256::digest(content).into()))
    }

    /// Returns whether the file did not exist.
    pub fn is_absent(&self) -> bool {
        self.0.is_none()
    }

    /// Returns the stamp of an open file, read from its start.
    fn of_file(mut file: &File) -> io::Result<Stamp> {
        io::Seek::seek(&mut file, io::SeekFrom::Start(0))?;
        let mut hash = Sha256::new();
        // The file may be the plaintext that is about to be encrypted.
        let mut buffer = Zeroizing::new(vec![0; FIRST_BUFFER]);
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(Stamp(Some(hash.finalize().into()))),
                Ok(count) => hash.update(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl fmt::Debug for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_absent() { "Stamp(absent)" } else { "Stamp(..)" })
    }
}

/// Reads a whole file of any kind but a directory: also a named pipe or `/dev/stdin`.
pub fn read_file(path: &Path) -> Result<SecretBytes, IoError> {
    read_file_up_to(path, MAX_SOURCE)
}

/// Reads a whole file of any kind but a directory, of at most `limit` bytes.
pub fn read_file_up_to(path: &Path, limit: usize) -> Result<SecretBytes, IoError> {
    if is_stream(path, 0, "stdin") {
        return read_stdin_up_to(limit);
    }
    let failed = |source: io::Error| read_error(path, source);
    let mut file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(IoError::IsDirectory { path: path.into() });
    }
    let size = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
    if size > limit {
        return Err(IoError::TooLarge { path: path.into(), limit });
    }
    // One byte more, so that the end is seen without growing. (Files of `/proc` say 0.)
    let capacity = if metadata.is_file() && size > 0 { size + 1 } else { FIRST_BUFFER };
    read_to_end(capacity, limit, |buffer| file.read(buffer))
        .map_err(failed)?
        .ok_or_else(|| IoError::TooLarge { path: path.into(), limit })
}

/// Reads a whole file, and what is needed to find out later whether it still is the same.
pub fn read_with_stamp(path: &Path) -> Result<(SecretBytes, Stamp), IoError> {
    let content = read_file(path)?;
    let stamp = Stamp::of(&content);
    Ok((content, stamp))
}

/// Reads standard input to its end.
pub fn read_stdin() -> Result<SecretBytes, IoError> {
    read_stdin_up_to(MAX_SOURCE)
}

fn read_stdin_up_to(limit: usize) -> Result<SecretBytes, IoError> {
    read_to_end(FIRST_BUFFER, limit, stdio::read_stdin)
        .map_err(|source| IoError::Stdin { source })?
        .ok_or_else(|| IoError::TooLarge { path: "/dev/stdin".into(), limit })
}

/// Writes exactly these bytes to standard error, for a reader who must have them all.
pub fn write_stderr(bytes: &[u8]) -> Result<(), IoError> {
    stdio::write_all(Output::Stderr, bytes).map_err(|source| IoError::Stderr { source })
}

/// Writes exactly these bytes to standard output.
///
/// A reader that has gone away (`encfile decrypt f | head -1`) is no error: it has had what it
/// wanted. The result is `Ok` then, and the command exits with 0.
pub fn write_stdout(bytes: &[u8]) -> Result<(), IoError> {
    match stdio::write_all(Output::Stdout, bytes) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(source) => Err(IoError::Stdout { source }),
        Ok(()) => Ok(()),
    }
}

/// Reads until the end; `None` if there is too much.
fn read_to_end(
    capacity: usize,
    limit: usize,
    mut read: impl FnMut(&mut [u8]) -> io::Result<usize>,
) -> io::Result<Option<SecretBytes>> {
    // The system gives zeroed memory for that; filling it would be a pass of its own.
    let mut content = SecretBytes::from(vec![0; capacity]);
    let mut length = 0;
    loop {
        if length == content.len() {
            content.resize(length.saturating_mul(2));
        }
        match read(&mut content.as_mut_slice()[length..]) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if length > limit {
            return Ok(None);
        }
    }
    content.resize(length);
    Ok(Some(content))
}

/// Returns the error of a file that could not be read.
pub fn read_error(path: &Path, source: io::Error) -> IoError {
    let path = path.to_path_buf();
    match source.kind() {
        io::ErrorKind::NotFound => IoError::NotFound { path },
        io::ErrorKind::PermissionDenied => IoError::PermissionDenied { path },
        io::ErrorKind::IsADirectory => IoError::IsDirectory { path },
        _ => IoError::Read { path, source },
    }
}

/// Returns whether `path` is a name of the standard stream with this number.
///
/// Opening such a name again gives another position in the file, or fails on a socket; the stream
/// itself is meant.
fn is_stream(path: &Path, number: u8, name: &str) -> bool {
    cfg!(unix)
        && path.to_str().is_some_and(|path| {
            path.strip_prefix("/dev/").is_some_and(|rest| {
                rest == name || rest.strip_prefix("fd/") == Some(&number.to_string())
            }) || path.strip_prefix("/proc/self/fd/") == Some(&number.to_string())
        })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn files_of_all_sizes_are_read_exactly() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        for size in [0, 1, 4095, FIRST_BUFFER, FIRST_BUFFER + 1, 300_000] {
            let bytes: Vec<u8> = (0..size).map(|n| (n * 7) as u8).collect();
            File::create_new(&path).unwrap().write_all(&bytes).unwrap();
            assert!(*read_file(&path).unwrap() == *bytes, "{size}");
            std::fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn a_stream_is_read_past_its_first_buffer() {
        let mut left = 200_000usize;
        let content = read_to_end(16, MAX_SOURCE, |buffer| {
            let count = buffer.len().min(left).min(1000);
            buffer[..count].fill(7);
            left -= count;
            Ok(count)
        });
        let content = content.unwrap().unwrap();
        assert!(content.len() == 200_000 && content.iter().all(|byte| *byte == 7));
    }

    #[test]
    fn errors_of_reading_are_told_apart() {
        let directory = tempfile::tempdir().unwrap();
        let missing = directory.path().join("missing");
        assert!(matches!(read_file(&missing), Err(IoError::NotFound { path }) if path == missing));
        assert!(matches!(read_file(directory.path()), Err(IoError::IsDirectory { .. })));
        let denied = read_error(&missing, io::ErrorKind::PermissionDenied.into());
        assert!(matches!(denied, IoError::PermissionDenied { .. }));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_named_pipe_and_a_file_without_a_size_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .unwrap();
        let writer = {
            let path = path.clone();
            std::thread::spawn(move || {
                let mut pipe = File::options().write(true).open(path).unwrap();
                pipe.write_all(b"content").unwrap();
            })
        };
        assert_eq!(&*read_file(&path).unwrap(), b"content");
        writer.join().unwrap();
        assert!(!read_file(Path::new("/proc/self/status")).unwrap().is_empty());
    }

    #[test]
    fn stamps_compare_contents_and_do_not_show_them() {
        let (_, stamp) = {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("f");
            File::create_new(&path).unwrap().write_all(b"a").unwrap();
            let stamp = read_with_stamp(&path).unwrap();
            assert_eq!(Stamp::of_file(&File::open(&path).unwrap()).unwrap(), stamp.1);
            stamp
        };
        assert_eq!(stamp, Stamp::of(b"a"));
        assert_ne!(stamp, Stamp::of(b"b"));
        assert_ne!(stamp, Stamp::absent());
        assert_eq!(format!("{stamp:?}"), "Stamp(..)");
    }

    #[cfg(unix)]
    #[test]
    fn names_of_standard_streams_are_known() {
        for path in ["/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"] {
            assert!(is_stream(Path::new(path), 0, "stdin"), "{path}");
        }
        for path in ["/dev/stdout", "/dev/fd/01", "dev/stdin", "/dev/fd/1"] {
            assert!(!is_stream(Path::new(path), 0, "stdin"), "{path}");
        }
    }
}
