//! What differs between operating systems, behind functions that are the same on all of them.
//!
//! Everything that only Unix has is in this file and in `os/`; each function has a plain fallback
//! for other systems that does less (no hardening, no signals) but compiles and is never wrong.
//! Nothing here reads the environment: paths and `PATH` are passed in.
//!
//! - [`signals`]: termination signals that wait until files are clean
//! - [`private_dir`]: directories for plaintext, in memory where there is one
//! - [`attributes`]: mode, owner and extended attributes of a file that replaces another
//! - [`editor_process`]: a child that shares the terminal
//! - [`gpg_agent`]: a connection to `gpg-agent`
//! - [`run`]: a user's command, in our place or beside us
//! - [`handover`]: a text for a command, under a path
//! - [`user`]: becoming another user
//! - [`socket`]: sockets that only the user can reach
//! - [`stdio`]: the standard streams without buffers that nobody wipes
//! - [`terminal`]: questions to the user, apart from the standard streams

#[cfg(unix)]
mod arrivals;
pub mod attributes;
pub mod editor_process;
pub mod gpg_agent;
pub mod handover;
pub mod private_dir;
pub mod run;
pub mod signals;
#[cfg(unix)]
pub mod socket;
pub mod stdio;
pub mod terminal;
#[cfg(test)]
pub(super) mod testing;
pub mod user;

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

/// What [`harden`] changed and a program started from here may want back.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hardened {
    #[cfg(unix)]
    core_limit: Option<rustix::process::Rlimit>,
}

impl Hardened {
    /// Gives the limit for core files back, for a user's program that is about to replace this
    /// one. The kernel resets the rest by itself when a program starts.
    pub fn undo_for_exec(self) {
        #[cfg(unix)]
        if let Some(limit) = self.core_limit {
            // Failure means that the program gets no core file, which is no reason to stop it.
            let _ = rustix::process::setrlimit(rustix::process::Resource::Core, limit);
        }
    }
}

/// Keeps the memory of this process from other processes and from core files.
///
/// On Linux other processes of the same user can then not read `/proc/PID/{mem,environ,fd}`, and
/// no core file is written. Costs three system calls; what the system refuses is left as it is.
/// The umask is *not* changed: encrypted files follow the user's, and private files ask for their
/// exact mode.
pub fn harden() -> Hardened {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let before = getrlimit(Resource::Core);
        // The hard limit stays, so that `undo_for_exec` is possible.
        let none = Rlimit { current: Some(0), maximum: before.maximum };
        let core_limit = setrlimit(Resource::Core, none).is_ok().then_some(before);
        Hardened { core_limit }
    }
    #[cfg(not(unix))]
    Hardened::default()
}

/// Returns whether standard input is a terminal.
pub fn stdin_is_terminal() -> bool {
    io::stdin().is_terminal()
}

/// Returns whether standard output is a terminal.
pub fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Returns whether standard error is a terminal.
pub fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Returns the name of this machine in its network.
#[cfg(unix)]
pub fn machine_name() -> Option<String> {
    rustix::system::uname().nodename().to_str().ok().map(str::to_owned)
}

/// Returns nothing: only Unix systems are asked.
#[cfg(not(unix))]
pub fn machine_name() -> Option<String> {
    None
}

/// Returns the time since some moment in the past, which goes on while the machine sleeps.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub fn time_since_start() -> std::time::Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    std::time::Duration::from_secs(u64::try_from(now.tv_sec).unwrap_or_default())
}

/// Returns the time since some moment in the past.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub fn time_since_start() -> std::time::Duration {
    static START: std::sync::LazyLock<std::time::Instant> =
        std::sync::LazyLock::new(std::time::Instant::now);
    START.elapsed()
}

/// Returns the name under which the program was called, without directories and `.exe`; `None` if
/// there is none or it is not Unicode.
pub fn argv0_name() -> Option<String> {
    let program = PathBuf::from(std::env::args_os().next()?);
    let name = program.file_name()?.to_str()?;
    let bare = match name.len().checked_sub(4).and_then(|at| name.split_at_checked(at)) {
        Some((bare, ending)) if cfg!(windows) && ending.eq_ignore_ascii_case(".exe") => bare,
        _ => name,
    };
    Some(bare.to_owned())
}

/// Returns the absolute path of the program called `name`.
///
/// A bare name is looked up in `path_var`, a value of `PATH`. Empty and relative entries are
/// skipped: they mean the working directory, where anybody's repository may be. An absolute path
/// is returned if it is a program; a relative one with a directory never is.
pub fn resolve_program(name: &OsStr, path_var: Option<&OsStr>) -> Option<PathBuf> {
    let path = Path::new(name);
    if path.is_absolute() {
        return is_program(path).then(|| path.to_path_buf());
    }
    if path.file_name() != Some(name) {
        return None;
    }
    std::env::split_paths(path_var?)
        .filter(|directory| directory.is_absolute())
        .flat_map(|directory| program_names(name).map(move |name| directory.join(name)))
        .find(|candidate| is_program(candidate))
}

#[cfg(unix)]
fn program_names(name: &OsStr) -> impl Iterator<Item = PathBuf> + use<> {
    std::iter::once(PathBuf::from(name))
}

#[cfg(not(unix))]
fn program_names(name: &OsStr) -> impl Iterator<Item = PathBuf> + use<> {
    let mut with_ending = name.to_os_string();
    with_ending.push(".exe");
    [PathBuf::from(name), PathBuf::from(with_ending)].into_iter()
}

#[cfg(unix)]
fn is_program(path: &Path) -> bool {
    use rustix::fs::{Access, access};
    path.is_file() && access(path, Access::EXEC_OK).is_ok()
}

#[cfg(not(unix))]
fn is_program(path: &Path) -> bool {
    path.is_file()
}

/// Lets everybody who may read a file run it.
///
/// # Errors
/// If its mode cannot be changed.
#[cfg(unix)]
pub fn make_executable(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(path)?.permissions().mode();
    let mode = mode | (mode & 0o444) >> 2;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

/// Lets everybody who may read a file run it, as every file can be here.
///
/// # Errors
/// None.
#[cfg(not(unix))]
pub fn make_executable(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// Returns bytes as a text for the system: any on Unix, UTF-8 elsewhere; `None` for others.
pub fn os_string(bytes: Vec<u8>) -> Option<OsString> {
    #[cfg(unix)]
    return Some(std::os::unix::ffi::OsStringExt::from_vec(bytes));
    #[cfg(not(unix))]
    String::from_utf8(bytes).ok().map(OsString::from)
}

/// Creates a directory, and those above it that are missing, for the owner alone.
pub fn create_private_directories(path: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(path)
}

/// Creates a file that only its owner may read and write; it must not exist yet.
pub fn create_private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
        let file = options.mode(0o600).open(path)?;
        // An unusual umask takes bits away from the owner as well.
        file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
        Ok(file)
    }
    #[cfg(not(unix))]
    options.open(path)
}

/// Runs `start`, which starts a program, with a umask that keeps the files that the program makes
/// from everybody but the user.
///
/// The umask belongs to the whole process: files that other threads create meanwhile get it too.
pub fn with_private_umask<T>(start: impl FnOnce() -> T) -> T {
    #[cfg(unix)]
    {
        use rustix::fs::Mode;
        static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());
        let _guard = ONE_AT_A_TIME.lock();
        let before = rustix::process::umask(Mode::RWXG | Mode::RWXO);
        let result = start();
        rustix::process::umask(before);
        result
    }
    #[cfg(not(unix))]
    start()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    fn program(directory: &Path, name: &str, mode: u32) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = directory.join(name);
        File::create_new(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[cfg(unix)]
    #[test]
    fn programs_are_found_in_absolute_entries_only() {
        let directory = tempfile::tempdir().unwrap();
        let found = program(directory.path(), "prog", 0o755);
        let absolute = directory.path().as_os_str();
        let name = OsStr::new("prog");
        assert_eq!(resolve_program(name, Some(absolute)).as_ref(), Some(&found));
        let relative = Path::new("src/cli");
        assert!(relative.join("os.rs").is_file());
        for entry in ["", ".", "src/cli", "::"] {
            assert_eq!(resolve_program(OsStr::new("os.rs"), Some(OsStr::new(entry))), None);
        }
        let after_bad = std::env::join_paths([Path::new(""), directory.path()]).unwrap();
        assert_eq!(resolve_program(name, Some(&after_bad)), Some(found));
        assert_eq!(resolve_program(name, None), None);
    }

    #[cfg(unix)]
    #[test]
    fn only_programs_are_found() {
        let directory = tempfile::tempdir().unwrap();
        let text = program(directory.path(), "text", 0o644);
        std::fs::create_dir(directory.path().join("folder")).unwrap();
        let path_var = Some(directory.path().as_os_str());
        for name in ["text", "folder", "missing", "", ".", "..", "sub/prog"] {
            assert_eq!(resolve_program(OsStr::new(name), path_var), None, "{name}");
        }
        assert_eq!(resolve_program(text.as_os_str(), None), None);
        let absolute = program(directory.path(), "prog", 0o700);
        assert_eq!(resolve_program(absolute.as_os_str(), None), Some(absolute));
    }

    #[cfg(unix)]
    #[test]
    fn private_files_are_private_and_new() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        let file = create_private_file(&path).unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o7777, 0o600);
        let again = create_private_file(&path).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_hardened_process_writes_no_core_file() {
        let directory = tempfile::tempdir().unwrap();
        let status = testing::child("cli::os::tests::child_hardened", directory.path()).status();
        assert!(status.unwrap().success());
    }

    #[cfg(target_os = "linux")]
    #[test]
    #[ignore = "the work of another test"]
    fn child_hardened() {
        use rustix::process::{DumpableBehavior, Resource, Rlimit, dumpable_behavior, getrlimit};
        if !testing::is_child() {
            return;
        }
        let maximum = getrlimit(Resource::Core).maximum;
        let before = Rlimit { current: Some(0), maximum };
        let hardened = harden();
        assert_eq!(getrlimit(Resource::Core), before);
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        hardened.undo_for_exec();
        assert_eq!(getrlimit(Resource::Core).maximum, maximum);
    }
}
