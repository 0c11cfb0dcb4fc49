//! The program called `sops`: exit codes, streams and defaults of SOPS.
//!
//! These tests also hold for the real SOPS; see `PROGRAM_OVERRIDE` in `sandbox.rs` for how to
//! check that.

use std::fs;
use std::path::PathBuf;

use crate::files::{ALICE, BOB};
use crate::sandbox::{Outcome, Sandbox, Stdin};

const PLAIN: &str = "{\n\t\"password\": \"canary-one\",\n\t\"port\": 5432\n}\n";

fn encrypted() -> Sandbox {
    let sandbox = Sandbox::with_identity(ALICE);
    sandbox.config_for(&[ALICE]);
    sandbox.encrypted_by_sops("app.json", PLAIN, &[ALICE]);
    sandbox
}

fn plain() -> Sandbox {
    let sandbox = Sandbox::with_identity(ALICE);
    sandbox.config_for(&[ALICE]);
    sandbox.write("app.json", PLAIN);
    sandbox
}

#[test]
fn decrypt_prints_the_file() {
    let outcome = encrypted().as_sops(["decrypt", "app.json"]).go();
    outcome.success().stdout(PLAIN).no_stderr();
}

#[test]
fn a_copy_of_the_program_is_as_good_as_a_link() {
    let sandbox = encrypted();
    let copy = sandbox.path("tools/sops");
    fs::create_dir(copy.parent().unwrap()).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_encfile"), &copy).unwrap();
    sandbox.run(&copy, ["encrypt", "app.json"]).go().code(203);
}

#[test]
fn decrypt_without_a_file_reads_standard_input() {
    let sandbox = encrypted();
    sandbox
        .as_sops(["decrypt", "--input-type", "json", "--output-type", "json"])
        .input(sandbox.read("app.json"))
        .go()
        .success()
        .stdout(PLAIN);
}

#[test]
fn decrypt_ignores_a_default_file() {
    let sandbox = encrypted();
    sandbox
        .as_sops(["decrypt", "--input-type", "json"])
        .env("ENCFILE_FILE", sandbox.path("app.json"))
        .go()
        .failure();
}

#[test]
fn decrypt_prints_in_the_format_of_the_name_not_of_the_input_type() {
    let sandbox = encrypted();
    fs::rename(sandbox.path("app.json"), sandbox.path("app.enc")).unwrap();
    sandbox.as_sops(["decrypt", "--input-type", "json", "app.enc"]).go().code(4).no_stdout();
}

#[test]
fn a_file_that_is_already_encrypted_is_refused_with_203() {
    let sandbox = encrypted();
    let before = sandbox.state_of("app.json");
    sandbox.as_sops(["encrypt", "-i", "app.json"]).go().code(203).no_stdout();
    assert_eq!(sandbox.state_of("app.json"), before);
}

#[test]
fn an_unchanged_edit_exits_200() {
    let sandbox = encrypted();
    let before = sandbox.state_of("app.json");
    sandbox.edit_with("exit 0");
    sandbox
        .as_sops(["edit", "app.json"])
        .go()
        .code(200)
        .no_stdout()
        .says(["File has not changed, exiting."]);
    assert_eq!(sandbox.state_of("app.json"), before);
}

#[test]
fn an_edit_raises_the_version_of_an_older_file_as_sops_alone() {
    for (as_sops, version) in [(true, "\"3.13.2\""), (false, "\"3.11.0\"")] {
        let sandbox = encrypted();
        assert!(sandbox.read("app.json").contains("\"version\": \"3.11.0\""));
        sandbox.edit_with("sed -i s/5432/6543/ \"$1\"");
        let arguments = ["edit", "app.json"];
        let run = if as_sops { sandbox.as_sops(arguments) } else { sandbox.encfile(arguments) };
        run.go().success();
        assert!(sandbox.read("app.json").contains(&format!("\"version\": {version}")));
    }
}

#[test]
fn a_failing_editor_exits_201() {
    let sandbox = encrypted();
    sandbox.edit_with("exit 3");
    sandbox.as_sops(["edit", "app.json"]).go().code(201);
}

#[test]
fn no_command_word_means_edit() {
    let sandbox = encrypted();
    sandbox.edit_with("sed -i s/5432/6543/ \"$1\"");
    sandbox.as_sops(["app.json"]).go().success().no_stdout();
    sandbox.as_sops(["-d", "app.json"]).go().success().stdout(PLAIN.replace("5432", "6543"));
}

#[test]
fn a_command_with_a_file_is_no_file_to_edit() {
    let sandbox = encrypted();
    sandbox.edit_with("true");
    let before = sandbox.files();
    sandbox.as_sops(["publish", "app.json"]).go().code(1).no_stdout().says(["destination"]);
    assert_eq!(sandbox.files(), before);
}

#[test]
fn a_missing_file_exits_100() {
    let sandbox = plain();
    for command in ["encrypt", "decrypt"] {
        sandbox.as_sops([command, "none.json"]).go().code(100).no_stdout();
    }
    sandbox.as_sops(["edit"]).go().code(100);
}

#[test]
fn conflicting_flags_exit_8() {
    let sandbox = plain();
    sandbox.as_sops(["encrypt", "-i", "--output", "x.json", "app.json"]).go().code(8);
    sandbox.as_sops(["encrypt", "-i"]).input(PLAIN).go().code(8);
    sandbox.as_sops(["encrypt"]).input(PLAIN).go().code(8);
    sandbox
        .as_sops(["encrypt", "--encrypted-regex", "a", "--encrypted-suffix", "b", "app.json"])
        .go()
        .code(8);
    assert_eq!(sandbox.read("app.json"), PLAIN);
}

#[test]
fn a_plain_file_cannot_be_decrypted() {
    for (name, text) in [
        ("a.json", PLAIN),
        ("a.yaml", "password: canary-one\n"),
        ("a.env", "PASSWORD=canary-one\n"),
        ("a.txt", "canary-one\n"),
    ] {
        let sandbox = Sandbox::with_identity(ALICE);
        sandbox.write(name, text);
        sandbox.as_sops(["decrypt", name]).go().code(1).no_stdout();
    }
}

#[test]
fn texts_that_do_not_parse_exit_2() {
    for (name, text) in [
        ("a.json", "{\"password\": canary-one}"),
        ("a.yaml", "password: [canary-one\n"),
        ("a.env", "not a line\n"),
        ("list.json", "[\"canary-one\"]"),
        ("list.yaml", "- canary-one\n"),
    ] {
        let sandbox = plain();
        sandbox.write(name, text);
        sandbox.as_sops(["encrypt", "-i", name]).secrets_in_messages().go().code(2).no_stdout();
        assert_eq!(sandbox.read(name), text);
    }
}

#[test]
fn empty_files_are_what_their_format_makes_of_them() {
    let sandbox = plain();
    for (name, code) in [("a.yaml", 92), ("a.json", 2), ("a.env", 0), ("a.bin", 0)] {
        sandbox.write(name, "");
        sandbox.as_sops(["encrypt", name]).go().code(code);
    }
}

#[test]
fn the_wrong_identity_exits_128() {
    let sandbox = encrypted();
    let outcome =
        sandbox.as_sops(["decrypt", "app.json"]).env("SOPS_AGE_KEY_FILE", BOB.path()).go();
    outcome.code(128).no_stdout().says([&ALICE.recipient(), "Group 0: FAILED"]);
}

/// Changes the file `app.json` by a function of its text.
fn tampered(change: impl Fn(&str) -> String) -> (Sandbox, Outcome) {
    let sandbox = encrypted();
    let text = sandbox.read("app.json");
    let changed = change(&text);
    assert_ne!(text, changed);
    sandbox.write("app.json", changed);
    let outcome = sandbox.as_sops(["decrypt", "app.json"]).go();
    (sandbox, outcome)
}

#[test]
fn a_changed_ciphertext_exits_25() {
    let (_sandbox, outcome) = tampered(|text| {
        let at = text.find("data:").unwrap() + "data:".len();
        let other = if &text[at..=at] == "A" { "B" } else { "A" };
        format!("{}{other}{}", &text[..at], &text[at + 1..])
    });
    outcome.code(25).no_stdout();
}

#[test]
fn a_removed_value_exits_51() {
    let (sandbox, outcome) = tampered(|text| {
        let lines: Vec<&str> = text.lines().filter(|line| !line.contains("\"port\"")).collect();
        format!("{}\n", lines.join("\n"))
    });
    outcome.code(51).no_stdout();
    sandbox
        .as_sops(["decrypt", "--ignore-mac", "app.json"])
        .go()
        .success()
        .stdout("{\n\t\"password\": \"canary-one\"\n}\n");
}

#[test]
fn no_key_and_no_rule_exit_1() {
    let sandbox = Sandbox::new();
    sandbox.write("app.json", PLAIN);
    sandbox.as_sops(["encrypt", "app.json"]).go().code(1).no_stdout();
    sandbox.write(
        ".sops.yaml",
        format!("creation_rules:\n  - path_regex: other\n    age: {}\n", ALICE.recipient()),
    );
    sandbox.as_sops(["encrypt", "app.json"]).go().code(1).no_stdout();
}

#[test]
fn recipients_come_from_the_flag_or_the_environment() {
    let sandbox = Sandbox::with_identity(BOB);
    sandbox.write("app.json", PLAIN);
    let recipient = BOB.recipient();
    sandbox.as_sops(["encrypt", "--age", &recipient, "app.json"]).go().success();
    sandbox
        .as_sops(["encrypt", "-i", "app.json"])
        .env("SOPS_AGE_RECIPIENTS", &recipient)
        .go()
        .success();
    sandbox.as_sops(["decrypt", "app.json"]).go().success().stdout(PLAIN);
}

#[test]
fn the_config_is_searched_for_from_the_working_directory() {
    let sandbox = Sandbox::with_identity(ALICE);
    sandbox.write("deep/app.json", PLAIN);
    sandbox.write("elsewhere/x", "");
    let path = sandbox.config_for(&[ALICE]);
    fs::rename(path, sandbox.path("deep/.sops.yaml")).unwrap();
    sandbox.as_sops(["encrypt", "deep/app.json"]).go().code(1);
    sandbox.as_sops(["encrypt", "app.json"]).in_folder("deep").go().success();
    sandbox
        .as_sops(["--config", "../deep/.sops.yaml", "encrypt", "../deep/app.json"])
        .in_folder("elsewhere")
        .go()
        .success();
}

#[test]
fn an_unknown_field_of_a_rule_is_no_error() {
    let sandbox = plain();
    sandbox.config_with(&[ALICE], "    encripted_regex: x\n");
    sandbox.as_sops(["encrypt", "app.json"]).go().success();
}

#[test]
fn a_bad_regex_of_a_rule_is_an_error() {
    let sandbox = plain();
    sandbox.config_with(&[ALICE], "    path_regex: '['\n");
    sandbox.as_sops(["encrypt", "app.json"]).go().code(1).no_stdout();
}

#[test]
fn a_rule_that_covers_nothing_still_encrypts() {
    let sandbox = plain();
    sandbox.config_with(&[ALICE], "    encrypted_regex: ^nothing$\n");
    sandbox.as_sops(["encrypt", "-i", "app.json"]).go().success();
    assert!(sandbox.read("app.json").contains("\"canary-one\""));
}

#[test]
fn extract_prints_a_value_without_a_newline() {
    let sandbox = encrypted();
    sandbox
        .as_sops(["decrypt", "--extract", "[\"password\"]", "app.json"])
        .go()
        .success()
        .stdout("canary-one");
    sandbox.as_sops(["decrypt", "--extract", "[\"none\"]", "app.json"]).go().code(1);
    sandbox.as_sops(["decrypt", "--extract", "none", "app.json"]).go().code(91);
}

#[test]
fn nested_values_do_not_go_to_dotenv() {
    let sandbox = Sandbox::with_identity(ALICE);
    sandbox.encrypted_by_sops("a.json", "{\"a\": {\"b\": \"canary-one\"}}", &[ALICE]);
    sandbox.as_sops(["decrypt", "--output-type", "dotenv", "a.json"]).go().code(4).no_stdout();
}

#[test]
fn flags_may_stand_behind_the_file() {
    let sandbox = encrypted();
    sandbox
        .as_sops(["decrypt", "app.json", "--extract", "[\"port\"]"])
        .go()
        .success()
        .stdout("5432");
}

#[test]
fn a_new_file_is_written_with_its_recipients() {
    let sandbox = Sandbox::with_identity(ALICE);
    sandbox.config_for(&[ALICE]);
    sandbox.edit_with("printf 'A=canary-one\\n' > \"$1\"");
    sandbox.as_sops(["edit", "new.env"]).go().success();
    sandbox.as_sops(["decrypt", "new.env"]).go().success().stdout("A=canary-one\n");
    assert!(sandbox.read("new.env").contains(&ALICE.recipient()));
}

#[test]
fn standard_input_may_be_a_file_of_the_system() {
    let sandbox = encrypted();
    sandbox
        .as_sops(["decrypt", "--input-type", "json", "--output-type", "json"])
        .stdin(Stdin::File(PathBuf::from("app.json")))
        .go()
        .success()
        .stdout(PLAIN);
}
