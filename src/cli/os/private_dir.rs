//! Directories for plaintext: in memory where there is one, gone when they are dropped.
//!
//! A [`PrivateDir`] is a fresh directory with mode 0700. It is made, in this order, in the user's
//! runtime directory (`$XDG_RUNTIME_DIR`), in `/dev/shm`, both only where they are memory-backed
//! (tmpfs, ramfs), or in the directory for temporary files, which may be on a disk;
//! [`PrivateDir::on_disk`] tells. (What is in memory may still be swapped out; encrypted swap is
//! the system's affair.)
//!
//! The owner holds a lock on the directory as long as it lives. Whoever creates the next one
//! removes the directories of the same user that nobody holds any more: what a SIGKILL or a power
//! failure left. The lock, not the process number in the name, decides, because numbers are reused
//! and differ between containers that share a directory.

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::Builder;

/// What the names of all private directories start with; a process number and [`RANDOM`] letters
/// and digits follow.
const PREFIX: &str = "encfile-private-";
/// The number of random characters in a name.
const RANDOM: usize = 8;

/// How often to try again when another process takes the new directory for an abandoned one.
const ATTEMPTS: usize = 16;

/// A directory that only this user can enter, for files with plaintext.
///
/// Dropping it overwrites and removes everything inside. `Debug` shows the path only.
#[derive(Debug)]
pub struct PrivateDir {
    path: PathBuf,
    on_disk: bool,
    removed: bool,
    /// Keeps the lock that says that the directory is in use.
    _lock: Option<File>,
}

/// The error of a directory that could not be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot make a private directory in `{}`", parent.display())]
pub struct PrivateDirError {
    /// Where it should have been.
    pub parent: PathBuf,
    /// Why not.
    pub source: io::Error,
}

/// Makes a private directory and removes those that were abandoned.
///
/// `runtime_dir` is the value of `XDG_RUNTIME_DIR`, `temp_dir` the directory for temporary files.
pub fn private_dir(
    runtime_dir: Option<&Path>,
    temp_dir: &Path,
) -> Result<PrivateDir, PrivateDirError> {
    let mut places: Vec<&Path> = Vec::new();
    if let Some(directory) = runtime_dir
        && directory.is_absolute()
        && is_ours_alone(directory)
    {
        places.push(directory);
    }
    if cfg!(unix) {
        places.push(Path::new("/dev/shm"));
    }
    places.retain(|directory| is_in_memory(directory));
    choose(&places, temp_dir)
}

/// Makes a directory in the first of `places` that can hold one, else in `temp_dir`.
pub(in crate::cli) fn choose(
    places: &[&Path],
    temp_dir: &Path,
) -> Result<PrivateDir, PrivateDirError> {
    for place in places {
        sweep(place);
    }
    sweep(temp_dir);
    for place in places {
        if let Ok(directory) = PrivateDir::create_in(place) {
            return Ok(directory);
        }
    }
    PrivateDir::create_in(temp_dir)
        .map_err(|source| PrivateDirError { parent: temp_dir.to_path_buf(), source })
}

impl PrivateDir {
    fn create_in(parent: &Path) -> io::Result<PrivateDir> {
        for _ in 0..ATTEMPTS {
            let prefix = format!("{PREFIX}{}-", std::process::id());
            let mut builder = Builder::new();
            builder.prefix(&prefix).rand_bytes(RANDOM);
            #[cfg(unix)]
            builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
            let path = builder.tempdir_in(parent)?.keep();
            match hold(&path) {
                Holding::Yes(lock) => {
                    return Ok(PrivateDir {
                        on_disk: !is_in_memory(&path),
                        path,
                        removed: false,
                        _lock: lock,
                    });
                }
                // Between the two system calls somebody swept; it removes the directory.
                Holding::No => {}
            }
        }
        Err(io::ErrorKind::ResourceBusy.into())
    }

    /// Returns the directory's absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether the files inside may reach a disk.
    pub fn on_disk(&self) -> bool {
        self.on_disk
    }

    /// Overwrites and removes everything inside, and the directory.
    ///
    /// # Errors
    /// If something is left. The rest is removed all the same.
    pub fn remove(&mut self) -> io::Result<()> {
        if self.removed {
            return Ok(());
        }
        wipe_and_remove(&self.path)?;
        self.removed = true;
        Ok(())
    }
}

impl Drop for PrivateDir {
    fn drop(&mut self) {
        // A destructor has nobody to tell; the next private directory sweeps what is left.
        let _ = self.remove();
    }
}

enum Holding {
    /// `None` where directories cannot be locked.
    Yes(Option<File>),
    No,
}

fn hold(path: &Path) -> Holding {
    let Ok(directory) = File::open(path) else {
        // Gone already, or a system that does not open directories.
        return if path.is_dir() { Holding::Yes(None) } else { Holding::No };
    };
    match directory.try_lock() {
        Err(TryLockError::Error(_)) => Holding::Yes(None),
        Ok(()) if path.is_dir() => Holding::Yes(Some(directory)),
        // Somebody else has it, or had it and removed the directory.
        Err(TryLockError::WouldBlock) | Ok(()) => Holding::No,
    }
}

/// Removes the directories in `parent` that are this user's and that nobody holds.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        if !entry.file_name().to_str().is_some_and(is_our_name) {
            continue;
        }
        let path = entry.path();
        if !is_ours_alone(&path) {
            continue;
        }
        let Ok(directory) = File::open(&path) else {
            continue;
        };
        if directory.try_lock().is_ok() {
            let _ = wipe_and_remove(&path);
        }
    }
}

/// Returns whether a name is exactly one that a private directory gets: what merely looks like it
/// may be somebody else's.
fn is_our_name(name: &str) -> bool {
    name.strip_prefix(PREFIX).and_then(|rest| rest.split_once('-')).is_some_and(
        |(process, random)| {
            !process.is_empty()
                && process.bytes().all(|byte| byte.is_ascii_digit())
                && random.len() == RANDOM
                && random.bytes().all(|byte| byte.is_ascii_alphanumeric())
        },
    )
}

/// Overwrites the regular files below `root`, then removes it.
fn wipe_and_remove(root: &Path) -> io::Result<()> {
    let mut directories = vec![root.to_path_buf()];
    while let Some(directory) = directories.pop() {
        let Ok(entries) = fs::read_dir(&directory) else {
            continue;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            match entry.metadata() {
                // `DirEntry::metadata` does not follow symbolic links.
                Ok(metadata) if metadata.is_dir() => directories.push(path),
                // A file that has another name elsewhere is not only ours.
                Ok(metadata)
                    if metadata.is_file() && super::attributes::names_of(&metadata) <= 1 =>
                {
                    let _ = overwrite(&path, &metadata);
                }
                _ => {}
            }
        }
    }
    match fs::remove_dir_all(root) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Overwrites a file with zeros in place. On flash and on file systems that copy on write the old
/// blocks may survive, which is why the directory is in memory where possible.
fn overwrite(path: &Path, metadata: &Metadata) -> io::Result<()> {
    const ZEROS: [u8; 8192] = [0; 8192];
    let mut file = OpenOptions::new().write(true).open(path)?;
    let mut left = metadata.len();
    while left > 0 {
        let count = left.min(ZEROS.len() as u64) as usize;
        file.write_all(&ZEROS[..count])?;
        left -= count as u64;
    }
    file.sync_data()
}

/// Returns whether `path` is a directory of this user that nobody else may enter.
#[cfg(unix)]
fn is_ours_alone(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    path.symlink_metadata().is_ok_and(|metadata| {
        metadata.is_dir()
            && metadata.uid() == rustix::process::geteuid().as_raw()
            && metadata.mode() & 0o7777 == 0o700
    })
}

#[cfg(not(unix))]
fn is_ours_alone(_path: &Path) -> bool {
    false
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn is_in_memory(path: &Path) -> bool {
    const TMPFS_MAGIC: i128 = 0x0102_1994;
    const RAMFS_MAGIC: i128 = 0x8584_58f6;
    // With 32 bits and a sign, as the field is on some machines.
    const RAMFS_SIGNED: i128 = RAMFS_MAGIC - (1 << 32);
    rustix::fs::statfs(path).is_ok_and(|file_system| {
        matches!(i128::from(file_system.f_type), TMPFS_MAGIC | RAMFS_MAGIC | RAMFS_SIGNED)
    })
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn is_in_memory(_path: &Path) -> bool {
    false
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn leave_behind(parent: &Path, name: &str) -> PathBuf {
        let path = parent.join(name);
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        let mut file = File::create_new(path.join("f.yaml")).unwrap();
        file.write_all(b"a: canary\n").unwrap();
        path
    }

    #[test]
    fn a_private_directory_is_private_and_goes_away() {
        let parent = tempfile::tempdir().unwrap();
        let directory = choose(&[], parent.path()).unwrap();
        let path = directory.path().to_path_buf();
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o700);
        assert!(path.is_absolute());
        fs::create_dir_all(path.join("a/b")).unwrap();
        File::create_new(path.join("a/b/c")).unwrap();
        std::os::unix::fs::symlink("/", path.join("link")).unwrap();
        drop(directory);
        assert!(!path.exists());
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }

    #[test]
    fn abandoned_directories_are_swept_and_others_kept() {
        let parent = tempfile::tempdir().unwrap();
        let abandoned = leave_behind(parent.path(), "encfile-private-1-abcdefgh");
        let open_to_others = leave_behind(parent.path(), "encfile-private-2-abcdefgh");
        fs::set_permissions(&open_to_others, fs::Permissions::from_mode(0o755)).unwrap();
        let foreign = leave_behind(parent.path(), "other-3");
        let held = PrivateDir::create_in(parent.path()).unwrap();
        let new = choose(&[], parent.path()).unwrap();
        assert!(!abandoned.exists());
        assert!(open_to_others.exists());
        assert!(foreign.exists());
        assert!(held.path().exists());
        assert!(new.path().exists());
    }

    #[test]
    fn files_are_overwritten_unless_they_have_another_name() {
        let parent = tempfile::tempdir().unwrap();
        let directory = PrivateDir::create_in(parent.path()).unwrap();
        for name in ["one", "two"] {
            let mut file = File::create_new(directory.path().join(name)).unwrap();
            file.write_all(b"canary").unwrap();
        }
        let elsewhere = parent.path().join("elsewhere");
        fs::hard_link(directory.path().join("two"), &elsewhere).unwrap();
        let mut open = File::open(directory.path().join("one")).unwrap();
        drop(directory);
        let mut rest = Vec::new();
        io::Read::read_to_end(&mut open, &mut rest).unwrap();
        assert_eq!(rest, [0; 6]);
        assert_eq!(fs::read(elsewhere).unwrap(), b"canary");
    }

    #[test]
    fn a_place_that_cannot_be_used_is_passed_over() {
        let parent = tempfile::tempdir().unwrap();
        let missing = parent.path().join("missing");
        let directory = choose(&[&missing], parent.path()).unwrap();
        assert!(directory.path().starts_with(parent.path()));
        let error = choose(&[], &missing).unwrap_err();
        assert!(error.to_string().contains("missing"));
    }

    #[test]
    fn concurrent_sweeps_never_take_a_directory_in_use() {
        let parent = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let directory = choose(&[], parent.path()).unwrap();
                        File::create_new(directory.path().join("f")).unwrap();
                        std::thread::yield_now();
                        assert!(directory.path().join("f").exists());
                    }
                });
            }
        });
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }
}
