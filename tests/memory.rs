//! How much memory a file takes: a child process with a limit on its address space.

use crate::files::ALICE;
use crate::sandbox::Sandbox;

/// What the program takes for itself, and a margin, in bytes.
const PROGRAM: usize = 64 << 20;

/// Runs the program with room for three times `bytes`.
fn run_within(sandbox: &Sandbox, bytes: usize, arguments: &str) {
    let kibibytes = (PROGRAM + 3 * bytes) >> 10;
    let program = env!("CARGO_BIN_EXE_encfile");
    let script = format!("ulimit -v {kibibytes}; exec '{program}' {arguments}");
    sandbox.run("/bin/sh".as_ref(), ["-c", &script]).go().success();
}

#[test]
fn encryption_and_decryption_take_less_than_three_times_input_and_output() {
    let sandbox = Sandbox::with_identity(ALICE);
    sandbox.config_for(&[ALICE]);
    let mut text = format!("large: {}\n", "a word ".repeat(8 << 20 >> 3).trim_end());
    for number in 0..4000 {
        text.push_str(&format!("key{number}: value\n"));
    }
    sandbox.write("plain.yaml", &text);
    // Six times as much would not fit, with what the program itself takes.
    let sealed = text.len() * 4 / 3;
    run_within(&sandbox, text.len() + sealed, "encrypt --output sealed.yaml plain.yaml");
    run_within(&sandbox, text.len() + sealed, "decrypt --output opened.yaml sealed.yaml");
    assert!(sandbox.read("opened.yaml") == text);
}
