//! How files are written: whole or not at all, with what they had.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use crate::files::ALICE;
use crate::peers;
use crate::sandbox::{Run, Sandbox};

const PLAIN: &str = "{\n  \"password\": \"canary-one\"\n}\n";

fn plain() -> Sandbox {
    let sandbox = Sandbox::with_identity(ALICE);
    sandbox.config_for(&[ALICE]);
    sandbox.write("app.json", PLAIN);
    sandbox
}

/// A run under strace that makes a system call fail or the program die in it.
fn with_fault<'s>(sandbox: &'s Sandbox, fault: &str, arguments: &[&str]) -> Run<'s> {
    let fault = format!("inject={fault}");
    let calls = format!("trace={}", fault["inject=".len()..].split(':').next().unwrap());
    let mut all = vec!["-f", "-qq", "-o", "/dev/null", "-e", &calls, "-e", &fault];
    all.push(env!("CARGO_BIN_EXE_encfile"));
    all.extend(arguments);
    sandbox.run(&peers::system("strace"), all)
}

#[test]
fn the_mode_is_kept() {
    for mode in [0o600, 0o640, 0o644, 0o755] {
        let sandbox = plain();
        sandbox.set_mode("app.json", mode);
        sandbox.encfile(["encrypt", "-i", "app.json"]).go().success();
        assert_eq!(sandbox.mode("app.json"), mode);
    }
}

#[test]
fn a_symbolic_link_stays_and_its_target_is_written() {
    let sandbox = plain();
    sandbox.write("real/app.json", PLAIN);
    fs::remove_file(sandbox.path("app.json")).unwrap();
    symlink("real/app.json", sandbox.path("app.json")).unwrap();
    sandbox.encfile(["encrypt", "-i", "app.json"]).go().success();
    let link = fs::symlink_metadata(sandbox.path("app.json")).unwrap();
    assert!(link.file_type().is_symlink());
    assert!(!sandbox.read("real/app.json").contains("canary"));
    assert_eq!(sandbox.files(), [".sops.yaml", "app.json", "real/app.json"]);
}

#[test]
fn a_second_hard_link_is_not_left_behind_with_the_plain_text_unnoticed() {
    let sandbox = plain();
    fs::hard_link(sandbox.path("app.json"), sandbox.path("second.json")).unwrap();
    let outcome = sandbox.encfile(["encrypt", "-i", "app.json"]).go();
    let left = sandbox.read("second.json").contains("canary");
    // Writing through to both is right, and so is saying that there is another.
    assert!(!left || !outcome.messages().is_empty(), "{outcome}");
}

#[test]
fn the_file_is_replaced_not_overwritten() {
    let sandbox = plain();
    let before = fs::metadata(sandbox.path("app.json")).unwrap().ino();
    sandbox.encfile(["encrypt", "-i", "app.json"]).go().success();
    assert_ne!(fs::metadata(sandbox.path("app.json")).unwrap().ino(), before);
    assert_eq!(sandbox.files(), [".sops.yaml", "app.json"]);
}

#[test]
fn an_error_of_the_disk_keeps_the_old_file_and_leaves_no_other() {
    for fault in [
        "fsync,fdatasync:error=EIO:when=1",
        "rename,renameat,renameat2:error=EACCES",
        "write,pwrite64,writev:error=ENOSPC:when=1",
    ] {
        let sandbox = plain();
        with_fault(&sandbox, fault, &["encrypt", "-i", "app.json"]).go().failure();
        assert_eq!(sandbox.read("app.json"), PLAIN, "{fault}");
        assert_eq!(sandbox.files(), [".sops.yaml", "app.json"], "{fault}");
    }
}

#[test]
fn a_file_size_limit_keeps_the_old_file_and_leaves_no_other() {
    let sandbox = plain();
    // An exact kilobyte count is not portable; one block is less than any encrypted file here.
    let large = format!("{{\"password\": \"{}\"}}", "canary ".repeat(40_000));
    sandbox.write("app.json", &large);
    let script = format!(
        "trap '' XFSZ; ulimit -f 1; exec '{}' encrypt -i app.json",
        env!("CARGO_BIN_EXE_encfile")
    );
    sandbox.run("/bin/sh".as_ref(), ["-c", &script]).go().failure();
    assert_eq!(sandbox.read("app.json"), large);
    assert_eq!(sandbox.files(), [".sops.yaml", "app.json"]);
}

#[test]
fn a_program_killed_while_it_writes_keeps_the_old_file() {
    for fault in ["fsync,fdatasync:signal=KILL:when=1", "rename,renameat,renameat2:signal=KILL"] {
        let sandbox = plain();
        let before = sandbox.read("app.json");
        with_fault(&sandbox, fault, &["encrypt", "-i", "app.json"]).go();
        let after = sandbox.read("app.json");
        if after == before {
            // What is left beside it is ciphertext.
            for name in sandbox.files() {
                assert!(
                    matches!(name.as_str(), ".sops.yaml" | "app.json")
                        || !sandbox.read(&name).contains("canary"),
                    "{name}"
                );
            }
        } else {
            peers::assert_valid(&[sandbox.path("app.json")]);
        }
    }
}

#[test]
fn everything_is_on_disk_before_the_file_is_replaced() {
    let sandbox = plain();
    let log = sandbox.path("strace.log");
    sandbox
        .run(
            &peers::system("strace"),
            [
                "-f",
                "-qq",
                "-o",
                log.to_str().unwrap(),
                "-e",
                "trace=fsync,fdatasync,rename,renameat,renameat2",
                env!("CARGO_BIN_EXE_encfile"),
                "encrypt",
                "-i",
                "app.json",
            ],
        )
        .go()
        .success();
    let text = fs::read_to_string(log).unwrap();
    let calls: Vec<&str> =
        text.lines().map(|line| if line.contains("sync(") { "sync" } else { "rename" }).collect();
    assert_eq!(calls, ["sync", "rename", "sync"], "{text}");
}

#[test]
fn an_output_in_a_directory_that_does_not_exist_is_an_error() {
    let sandbox = plain();
    sandbox
        .encfile(["encrypt", "--output", "none/enc.json", "app.json"])
        .go()
        .code(3)
        .says(["none/enc.json"]);
}
