//! A text for a command, under a path that the command can read.
//!
//! - [`Handover::fifo`]: a named pipe in a private directory. The text is in no file at all. It can be
//!   read only from its beginning to its end, and by one reader after the other.
//! - [`Handover::file`]: a file in a private directory, which is in memory where that is possible.
//! - [`Handover::inherited`]: a file without a name, in memory, that lives as long as a process has
//!   it open. Nothing is to be removed, so that the command can take this process's place.
//!
//! Dropping a handover removes what it has made.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::private_dir::PrivateDir;

use crate::secret::SecretBytes;

/// A text under a path.
#[derive(Debug)]
pub struct Handover {
    path: PathBuf,
    // In the order in which they are dropped: nobody writes any more when the directory goes.
    _writer: Option<Writer>,
    _directory: Option<PrivateDir>,
    _memory: Option<File>,
}

impl Handover {
    /// Returns the absolute path under which the text is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a file called `name` with the text.
    pub fn file(directory: PrivateDir, name: &Path, text: &[u8]) -> io::Result<Handover> {
        let path = directory.path().join(name);
        super::create_private_file(&path)?.write_all(text)?;
        Ok(Handover { path, _writer: None, _directory: Some(directory), _memory: None })
    }

    /// Makes a named pipe called `name`, out of which the text comes for each who reads it.
    ///
    /// A thread writes the text as soon as there is a reader. Each reader has a pipe to itself: a
    /// new one takes the path before the text comes, so that whoever opens the path again (as
    /// `kubectl` does with its configuration) never meets the rest of the pipe before.
    pub fn fifo(directory: PrivateDir, name: &Path, text: SecretBytes) -> io::Result<Handover> {
        let path = directory.path().join(name);
        let writer = Writer::start(&path, text)?;
        Ok(Handover { path, _writer: Some(writer), _directory: Some(directory), _memory: None })
    }

    /// Makes a file without a name, which every process inherits that is started from here.
    ///
    /// # Errors
    /// On systems other than Linux, too.
    pub fn inherited(text: &[u8]) -> io::Result<Handover> {
        let file = anonymous(text)?;
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let path = {
            use std::os::fd::AsRawFd;
            PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
        };
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        let path = PathBuf::new();
        Ok(Handover { path, _writer: None, _directory: None, _memory: Some(file) })
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn anonymous(text: &[u8]) -> io::Result<File> {
    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
    use std::io::Seek;
    // Not closed when a program starts, unlike everything else that we open.
    let mut file = File::from(memfd_create("encfile", MemfdFlags::ALLOW_SEALING)?);
    file.write_all(text)?;
    file.rewind()?;
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    fcntl_add_seals(&file, seals)?;
    Ok(file)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn anonymous(_text: &[u8]) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(unix)]
use unix::Writer;

#[cfg(not(unix))]
use other::Writer;

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::OpenOptionsExt;
    use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
    use std::thread::JoinHandle;
    use std::time::{Duration, Instant};

    use rustix::fs::OFlags;

    use super::{OpenOptions, Path, PathBuf, SecretBytes, Write, io};

    /// How long the end of the writer is waited for. It takes longer only if somebody who has
    /// outlived the command holds the pipe open and does not read.
    const PATIENCE: Duration = Duration::from_millis(100);
    const PAUSE: Duration = Duration::from_millis(1);

    /// The thread that writes into a pipe.
    #[derive(Debug)]
    pub(super) struct Writer {
        path: PathBuf,
        /// Whether the thread is to stop. While it is locked, the path stays the same pipe.
        stopped: Arc<Mutex<bool>>,
        thread: JoinHandle<()>,
    }

    impl Writer {
        pub(super) fn start(path: &Path, text: SecretBytes) -> io::Result<Writer> {
            make_fifo(path)?;
            let stopped = Arc::new(Mutex::new(false));
            let (at, stop) = (path.to_owned(), Arc::clone(&stopped));
            let thread = std::thread::Builder::new().spawn(move || serve(&at, &text, &stop))?;
            Ok(Writer { path: path.to_owned(), stopped, thread })
        }
    }

    fn make_fifo(path: &Path) -> io::Result<()> {
        nix::unistd::mkfifo(path, nix::sys::stat::Mode::from_bits_truncate(0o600))?;
        // An unusual umask takes bits away from the owner as well.
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))
    }

    fn serve(path: &Path, text: &[u8], stopped: &Mutex<bool>) {
        let mut next = path.as_os_str().to_owned();
        next.push(".next");
        let next = Path::new(&next);
        // Returns when there is a reader.
        while let Ok(mut pipe) = OpenOptions::new().write(true).open(path) {
            let another = {
                let stopped = lock(stopped);
                if *stopped {
                    return;
                }
                make_fifo(next).and_then(|()| std::fs::rename(next, path))
            };
            // A reader may stop where it likes: `head -1`.
            let _ = pipe.write_all(text);
            if another.is_err() {
                return;
            }
        }
    }

    fn lock(stopped: &Mutex<bool>) -> MutexGuard<'_, bool> {
        stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    impl Drop for Writer {
        fn drop(&mut self) {
            // From here on, no other pipe takes the path.
            *lock(&self.stopped) = true;
            // A reader and a writer, which takes and gives nothing: whoever opens the pipe for
            // reading until its name is gone finds a writer and then the end, instead of waiting
            // for a writer for ever; and the thread finds a reader, and that it is to stop.
            let both_ends = OpenOptions::new()
                .read(true)
                .write(true)
                .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
                .open(&self.path);
            let _ = std::fs::remove_file(&self.path);
            let deadline = Instant::now() + PATIENCE;
            loop {
                // At least once: somebody may have found the name and not yet opened the pipe.
                std::thread::sleep(PAUSE);
                if self.thread.is_finished() || Instant::now() >= deadline {
                    break;
                }
            }
            drop(both_ends);
        }
    }
}

#[cfg(not(unix))]
mod other {
    use super::{Path, SecretBytes, io};

    /// Nothing: there are no named pipes that are files.
    #[derive(Debug)]
    pub(super) struct Writer(());

    impl Writer {
        pub(super) fn start(_path: &Path, _text: SecretBytes) -> io::Result<Writer> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::io::Read;

    use super::super::private_dir;
    use super::*;

    const NAME: &str = "text";

    fn directory(parent: &Path) -> PrivateDir {
        private_dir::choose(&[], parent).unwrap()
    }

    #[test]
    fn a_fifo_gives_the_text_to_each_reader_and_goes_away() {
        let parent = tempfile::tempdir().unwrap();
        let text = "canary\n".repeat(100_000);
        let secret = SecretBytes::from(text.as_str());
        let handover = Handover::fifo(directory(parent.path()), NAME.as_ref(), secret).unwrap();
        let path = handover.path().to_owned();
        for _ in 0..20 {
            drop(File::open(&path).unwrap());
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
        drop(handover);
        assert!(!path.parent().unwrap().exists());
    }

    #[test]
    fn a_fifo_that_nobody_reads_goes_away_at_once() {
        let parent = tempfile::tempdir().unwrap();
        let text = SecretBytes::from("canary\n".repeat(100_000).as_str());
        let handover = Handover::fifo(directory(parent.path()), NAME.as_ref(), text).unwrap();
        let started = std::time::Instant::now();
        drop(handover);
        assert!(started.elapsed().as_millis() < 5_000);
        assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_reader_that_comes_at_the_last_moment_does_not_wait_for_ever() {
        let parent = tempfile::tempdir().unwrap();
        let readers: Vec<_> = (0..500)
            .map(|round| {
                let text = SecretBytes::from("canary");
                let handover =
                    Handover::fifo(directory(parent.path()), NAME.as_ref(), text).unwrap();
                let path = handover.path().to_owned();
                let reader = std::thread::spawn(move || {
                    std::thread::sleep(std::time::Duration::from_micros(round % 50 * 20));
                    std::fs::read(path).is_ok_and(|text| text == b"canary")
                });
                std::thread::sleep(std::time::Duration::from_micros(500));
                drop(handover);
                reader
            })
            .collect();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while readers.iter().any(|reader| !reader.is_finished()) {
            assert!(std::time::Instant::now() < deadline, "a reader waits for a writer");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert!(readers.into_iter().filter_map(|reader| reader.join().ok()).any(|read| read));
    }

    #[test]
    fn a_reader_that_stops_in_the_middle_is_no_obstacle() {
        let parent = tempfile::tempdir().unwrap();
        let text = SecretBytes::from("canary\n".repeat(100_000).as_str());
        let handover = Handover::fifo(directory(parent.path()), NAME.as_ref(), text).unwrap();
        let mut first = [0; 6];
        let mut reader = File::open(handover.path()).unwrap();
        reader.read_exact(&mut first).unwrap();
        assert_eq!(&first, b"canary");
        // The reader stays: it has outlived the command.
        drop(handover);
        assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 0);
        drop(reader);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_inherited_file_can_be_read_again_and_not_be_changed() {
        let handover = Handover::inherited(b"canary").unwrap();
        for _ in 0..2 {
            assert_eq!(std::fs::read(handover.path()).unwrap(), b"canary");
        }
        let mut file = OpenOptions::new().write(true).open(handover.path()).unwrap();
        file.write_all(b"x").unwrap_err();
    }
}
