//! `decrypt --output-type` for texts that set variables.

use crate::files::ALICE;
use crate::peers;
use crate::sandbox::Sandbox;

fn encrypted(name: &str, plain: impl AsRef<[u8]>) -> Sandbox {
    let sandbox = Sandbox::with_identity(ALICE);
    sandbox.encrypted_by_sops(name, plain, &[ALICE]);
    sandbox
}

/// Every pair of bytes but NUL.
fn all_pairs() -> Vec<u8> {
    (1..=u8::MAX).flat_map(|one| (1..=u8::MAX).flat_map(move |other| [one, other])).collect()
}

#[test]
fn every_shell_gets_every_combination_of_bytes() {
    let mut bytes = all_pairs();
    bytes.extend_from_slice(b"\n\n");
    let sandbox = encrypted("secret.bin", &bytes);
    let program = env!("CARGO_BIN_EXE_encfile");
    let line = format!(
        "eval \"$({program} decrypt --output-type shell secret.bin)\" && printf %s \"$data\""
    );
    for shell in ["sh", "bash", "dash"] {
        let outcome = sandbox.run(&peers::system(shell), ["-c", &line]).go().success().no_stderr();
        assert!(outcome.into_stdout() == bytes, "{shell} has another value");
    }
}

#[test]
fn a_shell_exports_what_it_evaluates() {
    let sandbox = encrypted("a.env", "export A=\"it's canary\" # c\nB='$(touch made)'\n");
    let program = env!("CARGO_BIN_EXE_encfile");
    let line =
        format!("eval \"$({program} decrypt --output-type shell a.env)\"; env | grep ^[AB]=");
    sandbox
        .run("/bin/sh".as_ref(), ["-c", &line])
        .go()
        .success()
        .stdout("A=it's canary\nB=$(touch made)\n");
    assert_eq!(sandbox.files(), ["a.env"]);
}

#[test]
fn masks_come_on_standard_error_and_one_a_line() {
    let sandbox = encrypted("a.yaml", "key: |-\n  canary-1\n  canary-2\nport: 5432\n");
    let outcome = sandbox
        .encfile(["decrypt", "--output-type", "github", "--mask", "a.yaml"])
        .secrets_in_messages()
        .go()
        .success()
        .stderr("::add-mask::canary-1\n::add-mask::canary-2\n::add-mask::5432\n");
    let text = String::from_utf8(outcome.into_stdout()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let [key, one, two, end, port, number, last] = lines[..] else {
        panic!("{text}");
    };
    assert_eq!([key, one, two], [&format!("key<<{end}"), "canary-1", "canary-2"]);
    assert_eq!([port, number], [&format!("port<<{last}"), "5432"]);
}

#[test]
fn nested_values_have_names_with_the_separator() {
    let sandbox = encrypted("a.yaml", "db:\n  host: h\n  ports: [1, 2]\nother: x\n");
    sandbox
        .encfile(["decrypt", "--output-type", "docker", "--flatten", "__", "a.yaml"])
        .go()
        .success()
        .stdout("db__host=h\ndb__ports__0=1\ndb__ports__1=2\nother=x\n");
    sandbox
        .encfile([
            "decrypt",
            "--output-type",
            "systemd",
            "--extract",
            "db",
            "--only",
            "h*",
            "a.yaml",
        ])
        .go()
        .success()
        .stdout("host=\"h\"\n");
    sandbox
        .encfile(["decrypt", "--output-type", "shell", "a.yaml"])
        .go()
        .failure()
        .code(4)
        .says(["offending key db", "help: --flatten _ "]);
}

#[test]
fn a_single_value_is_no_variable() {
    let sandbox = encrypted("a.yaml", "a: canary\n");
    sandbox
        .encfile(["decrypt", "--output-type", "shell", "--extract", "a", "a.yaml"])
        .go()
        .failure()
        .code(4)
        .says(["a single value has no name"]);
}

#[test]
fn what_a_syntax_cannot_hold_is_named() {
    let sandbox = encrypted("a.yaml", "a: \"canary\\nb\"\nb-c: x\n");
    for (output, message) in [
        ("docker", "the value of `a` has a line break, which docker's format cannot hold"),
        ("shell", "`b-c` cannot be the name of a variable: only letters, digits and `_` may be in"),
    ] {
        sandbox
            .encfile(["decrypt", "--output-type", output, "a.yaml"])
            .go()
            .failure()
            .code(4)
            .says([message]);
    }
}

#[test]
fn the_types_are_for_the_output_of_encfile_alone() {
    let sandbox = encrypted("a.env", "A=canary\n");
    let recipient = ALICE.recipient();
    sandbox.write("plain.env", "A=canary\n");
    sandbox.as_sops(["decrypt", "--output-type", "shell", "a.env"]).go().failure().code(1);
    sandbox.encfile(["decrypt", "--input-type", "shell", "a.env"]).go().failure().code(1);
    let encrypt = ["encrypt", "--age", &recipient, "--output-type", "shell", "plain.env"];
    sandbox.encfile(encrypt).go().failure().code(1);
}

#[test]
fn arguments_that_would_be_without_effect_are_refused() {
    let sandbox = encrypted("a.env", "A=canary\n");
    let before = sandbox.state_of("a.env");
    for arguments in [
        &["--only", "A"][..],
        &["--flatten", "_", "--output-type", "json"],
        &["--mask"],
        &["--mask", "--output-type", "shell"],
        &["-i", "--output-type", "shell"],
    ] {
        let arguments = [&["decrypt"], arguments, &["a.env"]].concat();
        sandbox.encfile(arguments).go().failure().code(8);
    }
    assert_eq!(sandbox.state_of("a.env"), before);
}

#[test]
fn a_file_that_is_found_is_exported_too() {
    let sandbox = encrypted("prod.env", "A=canary\n");
    sandbox.encfile(["decrypt", "--output-type", "docker"]).go().success().stdout("A=canary\n");
}
