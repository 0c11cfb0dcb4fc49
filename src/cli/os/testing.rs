//! Tests that need a process of their own: to be killed, limited or run as another user.
//!
//! Such a test is an ignored test function that does its work in the working directory, and only
//! if there is a file [`GO`] in it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// The file that says that a test function was started by [`child`].
const GO: &str = "go";

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Returns the command that runs the ignored test `name` (its whole path) in `directory`.
pub(in crate::cli) fn child(name: &str, directory: &Path) -> Command {
    if !directory.join(GO).exists() {
        File::create_new(directory.join(GO)).unwrap();
    }
    // The link works for other users, too, wherever the file is.
    let program = if cfg!(target_os = "linux") {
        PathBuf::from("/proc/self/exe")
    } else {
        std::env::current_exe().unwrap()
    };
    let mut command = Command::new(program);
    command.args(["--exact", name, "--ignored", "--nocapture", "--quiet"]).current_dir(directory);
    command
}

/// Returns whether this process was started by [`child`].
pub(in crate::cli) fn is_child() -> bool {
    Path::new(GO).exists()
}

/// Waits until `condition` holds.
pub(in crate::cli) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Returns the names in `directory` without [`GO`], sorted.
pub(in crate::cli) fn names_in(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != GO)
        .collect();
    names.sort();
    names
}
