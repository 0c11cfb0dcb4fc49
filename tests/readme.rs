//! What the README says can be done can be done.

use std::fs;
use std::os::unix::fs::symlink;

use crate::files::{ALICE, repository};
use crate::sandbox::Sandbox;

fn readme() -> String {
    fs::read_to_string(repository().join("README.md")).unwrap()
}

/// Returns the blocks of shell commands.
fn shell_blocks() -> Vec<String> {
    readme()
        .split("```sh\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .collect()
}

#[test]
fn the_first_command_works_with_what_is_in_the_repository() {
    let block = shell_blocks()
        .into_iter()
        .find(|block| block.contains("SOPS_AGE_KEY_FILE"))
        .expect("no block with the example");
    // The program is built already, and is not where the block would build it.
    let block = block
        .replace("cargo build --release --locked", "true")
        .replace("${CARGO_TARGET_DIR:-target}/release/encfile", env!("CARGO_BIN_EXE_encfile"));
    let sandbox = Sandbox::new();
    symlink(repository().join("testdata"), sandbox.path("testdata")).unwrap();
    fs::copy(repository().join(".sops.yaml"), sandbox.path(".sops.yaml")).unwrap();
    let outcome = sandbox.run("/bin/sh".as_ref(), ["-ec", &block]).go().success();
    let printed = String::from_utf8(outcome.into_stdout()).unwrap();
    assert!(printed.contains("\t\t\"port\": 5432,\n"), "{printed}");
    assert!(printed.contains("\t\t\"port\": 6543,\n"), "{printed}");
    assert!(printed.contains("> \t\t\"port\": \"ENC["), "{printed}");
    let changed = printed.lines().filter(|line| line.starts_with("> ")).count();
    // The value, the time and the MAC; and what encfile writes of its own.
    assert!((2..=5).contains(&changed), "{printed}");
}

#[test]
fn all_examples_can_be_decrypted() {
    let sandbox = Sandbox::with_identity(ALICE);
    for path in crate::files::below("testdata/examples") {
        let outcome = sandbox.encfile(["decrypt".as_ref(), path.as_os_str()]).go();
        assert!(!outcome.success().into_stdout().is_empty());
    }
}

#[test]
fn files_that_the_readme_names_exist() {
    let text = readme();
    let names =
        regex::Regex::new(r"(?:testdata|tests)/[A-Za-z0-9_./-]+|LICENSE-[A-Z0-9]+").unwrap();
    for name in names.find_iter(&text) {
        let name = name.as_str();
        assert!(repository().join(name).exists(), "{name}");
    }
}

#[test]
fn the_session_has_a_real_recipient() {
    assert!(readme().contains(&ALICE.recipient()));
}

#[test]
fn the_rust_version_is_the_one_of_the_package() {
    let version = env!("CARGO_PKG_RUST_VERSION");
    assert!(readme().contains(&format!("Rust ({version} or later)")));
}
