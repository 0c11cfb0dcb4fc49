//! `encfile decrypt` without a file: which one it takes.

use std::time::Instant;

use crate::files::ALICE;
use crate::sandbox::{Run, Sandbox, Stdin};

const PLAIN: &str = "TOKEN=canary-one\n";

/// A sandbox with Alice's identity and no file.
fn empty() -> Sandbox {
    Sandbox::with_identity(ALICE)
}

/// Writes an encrypted dotenv file with this plain text.
fn dotenv(sandbox: &Sandbox, name: &str, plain: &str) {
    sandbox.encrypted_by_sops("plain.env", plain, &[ALICE]);
    let to = sandbox.path(name);
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    std::fs::rename(sandbox.path("plain.env"), to).unwrap();
}

/// The standard inputs with which the directory is searched.
fn inputs_without_data(sandbox: &Sandbox) -> [Stdin; 4] {
    sandbox.write("empty-input", "");
    [Stdin::Null, Stdin::Closed, Stdin::File("empty-input".into()), Stdin::Pipe(Vec::new())]
}

/// A run of `encfile decrypt` with these further arguments.
fn decrypt<'s, const N: usize>(sandbox: &'s Sandbox, more: [&str; N]) -> Run<'s> {
    sandbox.encfile(["decrypt"].iter().chain(&more))
}

#[test]
fn a_dash_is_standard_input() {
    let sandbox = empty();
    dotenv(&sandbox, "a.enc.env", PLAIN);
    dotenv(&sandbox, "other.enc.env", "OTHER=canary\n");
    decrypt(&sandbox, ["-"])
        .env("ENCFILE_FILE", "other.enc.env")
        .input(sandbox.read("a.enc.env"))
        .go()
        .success()
        .stdout(PLAIN);
}

#[test]
fn the_variable_names_a_file_and_standard_input_is_not_touched() {
    let sandbox = empty();
    dotenv(&sandbox, "deep/secrets.env", PLAIN);
    dotenv(&sandbox, "a.enc.env", "OTHER=canary\n");
    let started = Instant::now();
    decrypt(&sandbox, [])
        .env("ENCFILE_FILE", "deep/secrets.env")
        .stdin(Stdin::Idle)
        .go()
        .success()
        .stdout(PLAIN);
    assert!(started.elapsed().as_millis() < 1500);
}

#[test]
fn the_config_names_a_file_relative_to_itself() {
    let sandbox = empty();
    dotenv(&sandbox, "deep/secrets.env", PLAIN);
    sandbox.write(".sops.yaml", "encfile:\n  default_file: deep/secrets.env\n");
    sandbox.write("sub/x", "");
    decrypt(&sandbox, []).stdin(Stdin::Idle).go().success().stdout(PLAIN);
    decrypt(&sandbox, []).in_folder("sub").go().success().stdout(PLAIN);
}

#[test]
fn the_variable_wins_over_the_config() {
    let sandbox = empty();
    dotenv(&sandbox, "one.env", PLAIN);
    dotenv(&sandbox, "two.env", "OTHER=canary\n");
    sandbox.write(".sops.yaml", "encfile:\n  default_file: two.env\n");
    decrypt(&sandbox, []).env("ENCFILE_FILE", "one.env").go().success().stdout(PLAIN);
}

#[test]
fn a_default_file_that_does_not_exist_is_an_error() {
    let sandbox = empty();
    dotenv(&sandbox, "a.enc.env", PLAIN);
    decrypt(&sandbox, [])
        .env("ENCFILE_FILE", "none.env")
        .go()
        .code(100)
        .no_stdout()
        .says(["none.env", "ENCFILE_FILE"]);
}

#[test]
fn a_non_empty_file_as_standard_input_is_read() {
    let sandbox = empty();
    dotenv(&sandbox, "a.enc.env", PLAIN);
    dotenv(&sandbox, "other.enc.env", "OTHER=canary\n");
    decrypt(&sandbox, []).stdin(Stdin::File("a.enc.env".into())).go().success().stdout(PLAIN);
}

#[test]
fn a_pipe_that_has_data_is_read() {
    let sandbox = empty();
    dotenv(&sandbox, "a.enc.env", PLAIN);
    dotenv(&sandbox, "other.enc.env", "OTHER=canary\n");
    decrypt(&sandbox, []).input(sandbox.read("a.enc.env")).go().success().stdout(PLAIN);
}

#[test]
fn without_data_the_directory_is_searched() {
    let sandbox = empty();
    dotenv(&sandbox, ".env.production", PLAIN);
    for stdin in inputs_without_data(&sandbox) {
        let shown = format!("{stdin:?}");
        let outcome = decrypt(&sandbox, []).stdin(stdin).go();
        assert_eq!(String::from_utf8_lossy(&outcome.success().into_stdout()), PLAIN, "{shown}");
    }
}

#[test]
fn a_terminal_is_not_waited_for() {
    let sandbox = empty();
    dotenv(&sandbox, ".env.production", PLAIN);
    decrypt(&sandbox, []).stdin(Stdin::Terminal(Vec::new())).stdout_to("out").go().success();
    assert_eq!(sandbox.read("out"), PLAIN);
}

#[test]
fn a_pipe_that_stays_silent_is_given_up_after_two_seconds() {
    let sandbox = empty();
    dotenv(&sandbox, "a.enc.env", PLAIN);
    let started = Instant::now();
    decrypt(&sandbox, []).stdin(Stdin::Idle).go().code(100).no_stdout().says([
        "-",
        "ENCFILE_FILE",
        "default_file",
    ]);
    let seconds = started.elapsed().as_secs_f64();
    assert!((1.8..10.0).contains(&seconds), "after {seconds} s");
}

#[test]
fn every_name_of_a_dotenv_file_is_found() {
    for name in [
        ".env.production",
        ".env.enc",
        ".env.sops",
        ".env.encrypted",
        "secrets.env",
        "prod.env.enc",
        "prod.env.sops",
        "prod.env.encrypted",
        "prod.enc.env",
    ] {
        let sandbox = empty();
        dotenv(&sandbox, name, PLAIN);
        // Neither of these is one: the first is the output, the second is not encrypted.
        sandbox.write(".env", "");
        sandbox.write(".env.example", "TOKEN=\n");
        let outcome = decrypt(&sandbox, []).go();
        assert_eq!(String::from_utf8_lossy(&outcome.success().into_stdout()), PLAIN, "{name}");
    }
}

#[test]
fn the_file_that_the_shell_has_just_emptied_is_never_taken() {
    let sandbox = empty();
    dotenv(&sandbox, ".env.enc", PLAIN);
    dotenv(&sandbox, ".env", "OTHER=canary\n");
    decrypt(&sandbox, []).stdout_to(".env").go().success().no_stderr();
    assert_eq!(sandbox.read(".env"), PLAIN);
}

#[test]
fn a_lone_plain_dot_env_is_not_taken() {
    let sandbox = empty();
    dotenv(&sandbox, ".env", PLAIN);
    decrypt(&sandbox, []).go().code(100).no_stdout();
}

#[test]
fn only_the_working_directory_is_searched() {
    let sandbox = empty();
    dotenv(&sandbox, "sub/a.enc.env", PLAIN);
    decrypt(&sandbox, []).go().code(100).no_stdout();
    dotenv(&sandbox, "b.enc.env", PLAIN);
    sandbox.write("other/x", "");
    decrypt(&sandbox, []).in_folder("other").go().code(100);
}

#[test]
fn several_files_are_listed() {
    let sandbox = empty();
    dotenv(&sandbox, ".env.production", PLAIN);
    dotenv(&sandbox, ".env.staging", PLAIN);
    decrypt(&sandbox, []).go().code(100).no_stdout().says([
        ".env.production",
        ".env.staging",
        "encfile decrypt",
    ]);
}

#[test]
fn no_file_says_what_to_do() {
    let sandbox = empty();
    sandbox.write(".env.example", "TOKEN=\n");
    decrypt(&sandbox, []).go().code(100).no_stdout().says(["ENCFILE_FILE", "default_file"]);
}

#[test]
fn the_output_is_dotenv_unless_asked_for_another() {
    let sandbox = empty();
    sandbox.encrypted_by_sops("app.json", "{\"TOKEN\": \"canary-one\", \"PORT\": \"5432\"}", &[ALICE]);
    decrypt(&sandbox, [])
        .env("ENCFILE_FILE", "app.json")
        .go()
        .success()
        .stdout("TOKEN=canary-one\nPORT=5432\n");
    decrypt(&sandbox, [])
        .stdin(Stdin::File("app.json".into()))
        .go()
        .success()
        .stdout("TOKEN=canary-one\nPORT=5432\n");
    decrypt(&sandbox, ["--output-type", "json"])
        .env("ENCFILE_FILE", "app.json")
        .go()
        .success()
        .stdout("{\n\t\"TOKEN\": \"canary-one\",\n\t\"PORT\": \"5432\"\n}\n");
}

#[test]
fn a_value_that_dotenv_cannot_hold_is_named_by_its_path() {
    for (text, path) in [
        ("{\"A\": \"canary\", \"B\": {\"c\": \"canary\"}}", "B"),
        ("{\"A\": \"canary\", \"C\": null}", "C"),
        ("{\"A\": \"canary\", \"D\": [1]}", "D"),
    ] {
        let sandbox = empty();
        sandbox.encrypted_by_sops("app.json", text, &[ALICE]);
        decrypt(&sandbox, []).env("ENCFILE_FILE", "app.json").go().code(4).no_stdout().says([path]);
    }
}

#[test]
fn a_broken_config_is_an_error_where_it_decides_the_file() {
    let sandbox = empty();
    dotenv(&sandbox, "a.enc.env", PLAIN);
    sandbox.write(".sops.yaml", "encfile:\n  default_file: [\n");
    decrypt(&sandbox, []).go().failure().says([".sops.yaml"]);
}
