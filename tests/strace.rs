//! What a decryption asks of the system: no thread, no socket, the identity once.

use std::fs;

use crate::files::ALICE;
use crate::peers;
use crate::sandbox::Sandbox;

/// Decrypts `name` under strace and returns its lines.
fn trace(sandbox: &Sandbox, calls: &str, name: &str) -> Vec<String> {
    let log = sandbox.path("strace.log");
    let calls = format!("trace={calls}");
    let program = env!("CARGO_BIN_EXE_encfile");
    sandbox
        .run(
            &peers::system("strace"),
            ["-f", "-qq", "-o", log.to_str().unwrap(), "-e", &calls, program, "decrypt", name],
        )
        .go()
        .success();
    let text = fs::read_to_string(&log).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn sandbox_with_file() -> Sandbox {
    let sandbox = Sandbox::with_identity(ALICE);
    sandbox.encrypted_by_sops("app.json", "{\"password\": \"canary-1\"}\n", &[ALICE]);
    sandbox
}

#[test]
fn a_decryption_with_age_starts_no_thread_and_no_process() {
    let sandbox = sandbox_with_file();
    let started = trace(&sandbox, "clone,clone3,fork,vfork", "app.json");
    assert!(started.is_empty(), "{started:#?}");
}

#[test]
fn a_decryption_with_age_opens_no_socket() {
    let sandbox = sandbox_with_file();
    let sockets = trace(&sandbox, "socket,connect,socketpair", "app.json");
    assert!(sockets.is_empty(), "{sockets:#?}");
}

#[test]
fn a_decryption_opens_the_identity_file_once() {
    let sandbox = sandbox_with_file();
    let opened = trace(&sandbox, "open,openat,openat2", "app.json");
    let identity = ALICE.path();
    let identity = identity.to_str().unwrap();
    let count = opened.iter().filter(|line| line.contains(identity)).count();
    assert_eq!(count, 1, "{opened:#?}");
}

#[test]
fn a_decryption_writes_no_file() {
    let sandbox = sandbox_with_file();
    let written: Vec<String> = trace(&sandbox, "open,openat,openat2,creat", "app.json")
        .into_iter()
        .filter(|line| {
            line.contains("O_WRONLY") || line.contains("O_RDWR") || line.contains("O_CREAT")
        })
        .collect();
    assert!(written.is_empty(), "{written:#?}");
}
