//! Sockets of the user's own: in a private directory, and gone when they are dropped.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use super::with_private_umask;

/// A socket in the file system; dropping it removes it.
#[derive(Debug)]
pub struct Socket {
    path: PathBuf,
    /// Tells it from one that somebody else has put there.
    inode: u64,
}

impl Socket {
    /// Makes a socket that only the user may connect to, and listens.
    ///
    /// # Errors
    /// If something of that name is there, or cannot be made.
    pub fn listen(path: &Path) -> io::Result<(UnixListener, Socket)> {
        let listener = with_private_umask(|| UnixListener::bind(path))?;
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
        let inode = fs::symlink_metadata(path)?.ino();
        Ok((listener, Socket { path: path.to_owned(), inode }))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A directory that nobody but the user can look into; dropping it removes it if nothing is in it.
#[derive(Debug)]
pub struct OwnDirectory(PathBuf);

impl OwnDirectory {
    /// Makes `encfile` in the directory for what lives as long as a session, or another one in that
    /// for temporary files; or takes it if it is there.
    ///
    /// # Errors
    /// If it cannot be made, or what is there belongs to somebody else, or is open to others.
    pub fn new(runtime: Option<&Path>, temporary: &Path) -> io::Result<OwnDirectory> {
        let user = rustix::process::geteuid().as_raw();
        let path = OwnDirectory::place(runtime, temporary);
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let found = fs::symlink_metadata(&path)?;
        if !found.is_dir() || found.uid() != user || found.mode() & 0o077 != 0 {
            let message = format!("`{}` is not a directory of yours alone", path.display());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
        }
        Ok(OwnDirectory(path))
    }

    /// Returns where it is, if there is one.
    pub fn place(runtime: Option<&Path>, temporary: &Path) -> PathBuf {
        match runtime.filter(|path| path.is_absolute()) {
            Some(runtime) => runtime.join("encfile"),
            None => temporary.join(format!("encfile-{}", rustix::process::geteuid().as_raw())),
        }
    }

    /// Returns where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for OwnDirectory {
    fn drop(&mut self) {
        // It stays if there is something in it.
        let _ = fs::remove_dir(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_private_and_gone_when_it_is_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let (listener, socket) = Socket::listen(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(Socket::listen(&path).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop((listener, socket));
        assert!(!path.exists());
    }

    #[test]
    fn what_somebody_else_has_put_there_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let (_listener, socket) = Socket::listen(&path).unwrap();
        fs::rename(&path, directory.path().join("moved")).unwrap();
        let (_other, _kept) = Socket::listen(&path).unwrap();
        drop(socket);
        assert!(path.exists());
    }

    #[test]
    fn a_directory_that_others_can_look_into_is_refused() {
        let runtime = tempfile::tempdir().unwrap();
        let made = OwnDirectory::new(Some(runtime.path()), Path::new("/")).unwrap();
        let path = made.path().to_owned();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        drop(made);
        assert!(!path.exists());
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        let refused = OwnDirectory::new(Some(runtime.path()), Path::new("/")).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
        fs::remove_dir(&path).unwrap();
        std::os::unix::fs::symlink(runtime.path(), &path).unwrap();
        OwnDirectory::new(Some(runtime.path()), Path::new("/")).unwrap_err();
    }
}
