//! A place to run encfile in: its own home directory, an empty environment, nothing of the
//! developer's machine but `/usr/bin` and `/bin`.
//!
//! [`Sandbox::encfile`] and its siblings return a [`Run`], a builder; running it gives an
//! [`Outcome`] whose assertions show the whole outcome when they fail. After every run the
//! sandbox checks by itself that no message held a secret ([`CANARY`]), and that the directories
//! for temporary files are empty again.

mod editor;
mod mask;
mod run;
mod terminal;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

pub(crate) use mask::mask;
pub(crate) use run::{Outcome, Run, Running, Stdin};

use crate::files::TestKey;
use crate::peers;

/// What every secret value in the tests contains, so that it is found where it must not be.
pub(crate) const CANARY: &str = "canary";

/// Names the program to test in place of the one that Cargo built. Given the real `sops`, it
/// shows which expectations of `commands::as_sops` are SOPS' own.
const PROGRAM_OVERRIDE: &str = "ENCFILE_TEST_PROGRAM";

/// A directory tree for one test; removed when it is dropped.
pub(crate) struct Sandbox {
    root: PathBuf,
    environment: RefCell<BTreeMap<OsString, OsString>>,
    editors: Cell<u32>,
    leftovers_allowed: Cell<bool>,
    runtime: PathBuf,
    // Declared last: what is in them goes first.
    _runtime: tempfile::TempDir,
    _root: tempfile::TempDir,
}

impl Sandbox {
    /// Returns a sandbox without any key.
    pub(crate) fn new() -> Sandbox {
        // Not below the repository, whose `.sops.yaml` would be found.
        let root_guard = tempfile::Builder::new().prefix("encfile-test-").tempdir().unwrap();
        // Programs resolve their working directory; so must what their messages are compared with.
        let root = root_guard.path().canonicalize().unwrap();
        for folder in ["home", "work", "bin", "tmp", "state", "log"] {
            fs::create_dir(root.join(folder)).unwrap();
        }
        // Memory-backed as in a login session, where the machine has such a place.
        let mut runtime_builder = tempfile::Builder::new();
        runtime_builder.prefix("encfile-test-run-");
        // As the specification of XDG_RUNTIME_DIR has it.
        runtime_builder.permissions(fs::Permissions::from_mode(0o700));
        let runtime_guard = if Path::new("/dev/shm").is_dir() {
            runtime_builder.tempdir_in("/dev/shm").unwrap()
        } else {
            runtime_builder.tempdir().unwrap()
        };
        let runtime = runtime_guard.path().canonicalize().unwrap();

        let sandbox = Sandbox {
            environment: RefCell::default(),
            editors: Cell::new(0),
            leftovers_allowed: Cell::new(false),
            root,
            runtime,
            _runtime: runtime_guard,
            _root: root_guard,
        };
        let path = format!("{}:/usr/bin:/bin", sandbox.root.join("bin").display());
        sandbox.env("PATH", path);
        sandbox.env("HOME", sandbox.root.join("home"));
        sandbox.env("TMPDIR", sandbox.root.join("tmp"));
        sandbox.env("XDG_STATE_HOME", sandbox.root.join("state"));
        sandbox.env("XDG_RUNTIME_DIR", &sandbox.runtime);
        sandbox
    }

    /// Returns a sandbox whose environment has the identity `key`.
    pub(crate) fn with_identity(key: TestKey) -> Sandbox {
        let sandbox = Sandbox::new();
        sandbox.env("SOPS_AGE_KEY_FILE", key.path());
        sandbox
    }

    /// Sets an environment variable for all later runs.
    pub(crate) fn env(&self, name: &str, value: impl AsRef<OsStr>) -> &Sandbox {
        self.environment.borrow_mut().insert(name.into(), value.as_ref().into());
        self
    }

    /// Removes an environment variable for all later runs.
    pub(crate) fn no_env(&self, name: &str) -> &Sandbox {
        self.environment.borrow_mut().remove(OsStr::new(name));
        self
    }

    /// Runs the program as `encfile`.
    pub(crate) fn encfile<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Run<'_> {
        self.run(&program(), arguments)
    }

    /// Runs the program as `sops`: through a symbolic link of that name.
    pub(crate) fn as_sops<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Run<'_> {
        let link = self.root.join("sops");
        if !link.exists() {
            symlink(program(), &link).unwrap();
        }
        self.run(&link, arguments)
    }

    /// Returns the program at a place which every user can reach, if they can reach the sandbox.
    pub(crate) fn program_for_all(&self) -> PathBuf {
        let path = self.path("encfile");
        fs::hard_link(program(), &path).or_else(|_| fs::copy(program(), &path).map(drop)).unwrap();
        path
    }

    /// Runs the real SOPS.
    pub(crate) fn real_sops<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Run<'_> {
        self.run(&peers::sops(), arguments)
    }

    /// Runs any program in the sandbox.
    pub(crate) fn run<A: AsRef<OsStr>>(
        &self,
        program: &Path,
        arguments: impl IntoIterator<Item = A>,
    ) -> Run<'_> {
        let arguments =
            arguments.into_iter().map(|argument| argument.as_ref().to_owned()).collect();
        Run::new(self, program.to_owned(), arguments)
    }

    /// Returns the absolute path of a file in the working directory.
    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root.join("work").join(name)
    }

    /// Returns the directory for state of programs (`XDG_STATE_HOME`).
    pub(crate) fn state(&self) -> PathBuf {
        self.root.join("state")
    }

    /// Returns the home directory.
    pub(crate) fn home(&self) -> PathBuf {
        self.root.join("home")
    }

    /// Returns the memory-backed directory for private files (`XDG_RUNTIME_DIR`).
    pub(crate) fn runtime(&self) -> &Path {
        &self.runtime
    }

    /// Writes a file in the working directory, and the directories that lead to it.
    pub(crate) fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// Puts a script into `PATH`.
    pub(crate) fn program(&self, name: &str, script: &str) {
        let path = self.root.join("bin").join(name);
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Reads a file of the working directory.
    pub(crate) fn read_bytes(&self, name: impl AsRef<Path>) -> Vec<u8> {
        let path = self.path(name);
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Reads a text of the working directory.
    pub(crate) fn read(&self, name: impl AsRef<Path>) -> String {
        String::from_utf8(self.read_bytes(name)).unwrap()
    }

    /// Reads a text of the working directory and masks what changes from run to run.
    pub(crate) fn read_masked(&self, name: impl AsRef<Path>) -> String {
        mask(&self.read(name), &self.root)
    }

    /// Waits until a program has written something to a file of the working directory.
    pub(crate) fn wait_for_file(&self, name: impl AsRef<Path>) -> String {
        wait_for(&self.path(name))
    }

    /// Returns the permission bits of a file of the working directory.
    pub(crate) fn mode(&self, name: impl AsRef<Path>) -> u32 {
        fs::metadata(self.path(name)).unwrap().permissions().mode() & 0o7777
    }

    /// Sets the permission bits of a file of the working directory.
    pub(crate) fn set_mode(&self, name: impl AsRef<Path>, mode: u32) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Returns what tells whether a file was written: inode, time of change in nanoseconds, bytes.
    pub(crate) fn state_of(&self, name: impl AsRef<Path>) -> (u64, i64, i64, Vec<u8>) {
        let metadata = fs::metadata(self.path(&name)).unwrap();
        (metadata.ino(), metadata.mtime(), metadata.mtime_nsec(), self.read_bytes(name))
    }

    /// Returns the names of all files of the working directory, sorted, `/`-separated.
    pub(crate) fn files(&self) -> Vec<String> {
        list(&self.root.join("work"))
    }

    /// Writes `.sops.yaml` with one rule for all files and the given recipients.
    pub(crate) fn config_for(&self, keys: &[TestKey]) -> PathBuf {
        self.config_with(keys, "")
    }

    /// Writes `.sops.yaml` with one rule for all files; `fields` are further lines of the rule,
    /// each indented by four spaces.
    pub(crate) fn config_with(&self, keys: &[TestKey], fields: &str) -> PathBuf {
        let recipients: Vec<String> = keys.iter().map(|key| key.recipient()).collect();
        self.write(
            ".sops.yaml",
            format!("creation_rules:\n  - age: {}\n{fields}", recipients.join(",")),
        )
    }

    /// Writes `plain` to `name` and encrypts it in place with the real SOPS for `keys`.
    pub(crate) fn encrypted_by_sops(
        &self,
        name: &str,
        plain: impl AsRef<[u8]>,
        keys: &[TestKey],
    ) -> PathBuf {
        let path = self.write(name, plain);
        let recipients: Vec<String> = keys.iter().map(|key| key.recipient()).collect();
        let recipients = recipients.join(",");
        self.real_sops(["encrypt", "--age", &recipients, "-i", name]).go().success();
        path
    }

    /// Stops the sandbox from checking that no temporary file is left behind: for programs that
    /// are known to leave some, or are killed.
    pub(crate) fn allow_leftovers(&self) {
        self.leftovers_allowed.set(true);
    }

    /// Checks that nothing is left in the directories for temporary files.
    fn assert_no_leftovers(&self, context: &dyn std::fmt::Display) {
        if self.leftovers_allowed.get() {
            return;
        }
        for folder in [&self.root.join("tmp"), &self.runtime] {
            let left = list(folder);
            assert!(left.is_empty(), "left behind in {}: {left:?}\n{context}", folder.display());
        }
    }
}

/// Waits until there is a file with something in it, and returns that.
fn wait_for(path: &Path) -> String {
    for _ in 0..500 {
        if let Ok(text) = fs::read_to_string(path)
            && !text.is_empty()
        {
            return text;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("nothing was written to {} within 5 s", path.display());
}

/// Returns the program under test.
pub(crate) fn program() -> PathBuf {
    std::env::var_os(PROGRAM_OVERRIDE)
        .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_encfile")), PathBuf::from)
}

/// Returns the names of the files and the empty directories below `folder`, sorted.
pub(crate) fn list(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(current) = folders.pop() {
        let mut empty = true;
        for entry in fs::read_dir(&current).unwrap() {
            empty = false;
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                found.push(entry.path());
            }
        }
        if empty && current != folder {
            found.push(current);
        }
    }
    let mut names: Vec<String> =
        found.iter().map(|path| path.strip_prefix(folder).unwrap().display().to_string()).collect();
    names.sort();
    names
}
