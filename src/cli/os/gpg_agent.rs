//! The socket of `gpg-agent`, where SOPS looks for it.

use std::ffi::OsStr;

use crate::keys::Talk;

/// Talks with the agent; does nothing if there is none. `info` is the variable that may name its socket
/// (an empty one says that there is no agent), `runtime` the user's directory for sockets.
pub fn talk(info: Option<&OsStr>, runtime: Option<&OsStr>, talk: &mut Talk<'_>) {
    #[cfg(unix)]
    if let Some(mut reader) = unix::connect(info, runtime)
        && let Ok(writer) = reader.try_clone()
    {
        talk(&mut unix::Patient(writer), &mut reader);
    }
    #[cfg(not(unix))]
    let _ = (info, runtime, talk);
}

#[cfg(unix)]
mod unix {
    use std::ffi::OsStr;
    use std::io::{self, Write};
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::FileTypeExt as _;
    use std::os::unix::net::UnixStream;
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    /// How long an agent may take to say that it is there.
    const GREETING: Duration = Duration::from_secs(5);

    /// How long the user may take to find the window and type.
    const ANSWER: Duration = Duration::from_secs(300);

    /// Waits longer for an answer than for a greeting.
    pub(super) struct Patient(pub(super) UnixStream);

    impl Write for Patient {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.set_read_timeout(Some(ANSWER))?;
            self.0.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            self.0.flush()
        }
    }

    pub(super) fn connect(info: Option<&OsStr>, runtime: Option<&OsStr>) -> Option<UnixStream> {
        let stream = UnixStream::connect(socket(info, runtime)?).ok()?;
        stream.set_read_timeout(Some(GREETING)).ok()?;
        Some(stream)
    }

    pub(super) fn socket(info: Option<&OsStr>, runtime: Option<&OsStr>) -> Option<PathBuf> {
        if let Some(info) = info {
            let path = info.as_bytes().split(|&byte| byte == b':').next().unwrap_or_default();
            return (!path.is_empty()).then(|| PathBuf::from(OsStr::from_bytes(path)));
        }
        let user = nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten();
        let home = user.map(|user| user.dir.join(".gnupg/S.gpg-agent"));
        let runtime = runtime.map(|path| Path::new(path).join("gnupg/S.gpg-agent"));
        home.into_iter().chain(runtime).find(|path| is_socket(path))
    }

    pub(super) fn is_socket(path: &Path) -> bool {
        path.metadata().is_ok_and(|found| found.file_type().is_socket())
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::net::UnixListener;

    use super::unix::{is_socket, socket};

    #[test]
    fn the_variable_names_the_socket_or_says_that_there_is_none() {
        let path = |info: &str| socket(Some(OsStr::new(info)), Some(OsStr::new("/run")));
        assert_eq!(path("/a/S.gpg-agent:12:1"), Some("/a/S.gpg-agent".into()));
        assert_eq!(path("/a/S.gpg-agent"), Some("/a/S.gpg-agent".into()));
        assert_eq!(path(""), None);
        assert_eq!(path(":12:1"), None);
    }

    #[test]
    fn only_a_socket_is_taken_for_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        std::fs::create_dir(&path).unwrap();
        assert!(!is_socket(&path) && !is_socket(&folder.path().join("none")));
        std::fs::remove_dir(&path).unwrap();
        let _listener = UnixListener::bind(&path).unwrap();
        assert!(is_socket(&path));
    }
}
