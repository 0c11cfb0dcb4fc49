//! `encfile encrypt`.

use crate::files::{ALICE, BOB};
use crate::peers;
use crate::sandbox::Sandbox;

const PLAIN: &str =
    "{\n  \"password\": \"canary-one\",\n  \"token\": \"canary-two\",\n  \"port\": 5432\n}\n";

/// A sandbox with a rule for Alice, her identity, and the plain file `app.json`.
fn plain() -> Sandbox {
    let sandbox = Sandbox::with_identity(ALICE);
    sandbox.config_for(&[ALICE]);
    sandbox.write("app.json", PLAIN);
    sandbox
}

/// As [`plain`], and the file is encrypted.
fn encrypted() -> Sandbox {
    let sandbox = plain();
    sandbox.encfile(["encrypt", "-i", "app.json"]).go().success();
    sandbox
}

#[test]
fn the_encrypted_file_keeps_its_layout() {
    let sandbox = plain();
    sandbox.encfile(["encrypt", "-i", "app.json"]).go().success().no_stdout().no_stderr();
    let text = sandbox.read_masked("app.json");
    let (values, metadata) = text.split_once("  \"sops\": {").expect("no metadata");
    assert_eq!(
        values,
        "{\n  \"password\": \"<str>\",\n  \"token\": \"<str>\",\n  \"port\": \"<int>\",\n"
    );
    for part in [
        "\"lastmodified\": \"<time>\"",
        "\"mac\": \"<str>\"",
        "\"unencrypted_suffix\": \"_unencrypted\"",
        "\"version\": \"3.13.2\"",
        &ALICE.recipient(),
    ] {
        assert!(metadata.contains(part), "{part}: {metadata}");
    }
    peers::assert_valid(&[sandbox.path("app.json")]);
}

#[test]
fn every_format_is_written() {
    for (name, text, expected) in [
        ("a.env", "# canary\nA=canary\nB=\n", "#<str>"),
        ("a.yaml", "a: canary\nb: [1, true]\n", "a: <str>\nb: [\"<int>\", \"<bool>\"]\n"),
        ("a.pem", "canary\n", "\"data\": \"<str>\""),
    ] {
        let sandbox = plain();
        sandbox.write(name, text);
        sandbox.encfile(["encrypt", "-i", name]).go().success();
        let written = sandbox.read_masked(name).replace("<comment>", "<str>");
        assert!(written.contains(expected), "{name}: {written}");
        sandbox.encfile(["decrypt", name]).go().success().stdout(text);
    }
}

#[test]
fn without_in_place_the_result_goes_to_standard_output() {
    let sandbox = plain();
    let outcome = sandbox.encfile(["encrypt", "app.json"]).go().success();
    let result = outcome.into_stdout();
    assert_eq!(sandbox.read("app.json"), PLAIN);
    sandbox.write("other.json", result);
    peers::assert_valid(&[sandbox.path("other.json")]);
}

#[test]
fn with_output_the_result_goes_to_that_file() {
    let sandbox = plain();
    sandbox.encfile(["encrypt", "--output", "enc.json", "app.json"]).go().success().no_stdout();
    assert_eq!(sandbox.read("app.json"), PLAIN);
    peers::assert_valid(&[sandbox.path("enc.json")]);
}

#[test]
fn flags_stand_before_or_after_the_file() {
    for arguments in [
        ["encrypt", "-i", "--encrypted-regex", "^password$", "app.json"],
        ["encrypt", "app.json", "--encrypted-regex", "^password$", "-i"],
        ["encrypt", "-i", "app.json", "--encrypted-regex", "^password$"],
    ] {
        let sandbox = plain();
        sandbox.encfile(arguments).go().success();
        let text = sandbox.read("app.json");
        assert!(text.contains("canary-two"), "{arguments:?}");
        assert!(!text.contains("canary-one"), "{arguments:?}");
    }
}

#[test]
fn an_unknown_flag_is_an_error() {
    let sandbox = plain();
    sandbox.encfile(["encrypt", "app.json", "-i", "--encripted-regex", "x"]).go().failure();
    assert_eq!(sandbox.read("app.json"), PLAIN);
}

#[test]
fn an_unknown_type_is_an_error_that_names_the_known_ones() {
    for word in ["yml", "YAML", "env", "text"] {
        let sandbox = plain();
        sandbox
            .encfile(["encrypt", "-i", "--input-type", word, "app.json"])
            .go()
            .failure()
            .says([word, "yaml", "json", "dotenv", "binary"]);
        assert_eq!(sandbox.read("app.json"), PLAIN);
    }
}

#[test]
fn compound_names_are_understood() {
    for (name, text) in [
        (".env", "A=canary\n"),
        (".env.production", "A=canary\n"),
        ("secrets.env.enc", "A=canary\n"),
        ("values.yaml.enc", "a: canary\n"),
        ("app.enc.json", "{\"a\": \"canary\"}"),
    ] {
        let sandbox = plain();
        sandbox.write(name, text);
        sandbox.encfile(["encrypt", "-i", name]).go().success();
        let written = sandbox.read(name);
        assert!(!written.contains("\"data\""), "{name} became binary");
        sandbox.encfile(["decrypt", name]).go().success().stdout(text);
    }
}

#[test]
fn the_input_type_wins_over_the_name() {
    let sandbox = plain();
    sandbox.write("config.txt", "a: canary\n");
    sandbox.encfile(["encrypt", "-i", "--input-type", "yaml", "config.txt"]).go().success();
    assert!(sandbox.read_masked("config.txt").starts_with("a: <str>\n"));
}

#[test]
fn standard_input_needs_a_name() {
    let sandbox = plain();
    sandbox.encfile(["encrypt"]).input(PLAIN).go().code(8).no_stdout();
    let outcome = sandbox
        .encfile(["encrypt", "--filename-override", "x/app.json"])
        .input(PLAIN)
        .go()
        .success();
    sandbox.write("out.json", outcome.into_stdout());
    peers::assert_valid(&[sandbox.path("out.json")]);
}

#[test]
fn in_place_and_output_exclude_each_other() {
    let sandbox = plain();
    sandbox.encfile(["encrypt", "-i", "--output", "x.json", "app.json"]).go().code(8);
    assert_eq!(sandbox.files(), [".sops.yaml", "app.json"]);
}

#[test]
fn a_missing_file_exits_100() {
    let sandbox = plain();
    sandbox.encfile(["encrypt", "none.json"]).go().code(100).no_stdout().says(["none.json"]);
}

#[test]
fn a_text_that_does_not_parse_is_refused_with_its_place() {
    let sandbox = plain();
    sandbox.write("bad.json", "{\n  \"password\": \"canary-one\",\n  canary\n}\n");
    sandbox.encfile(["encrypt", "-i", "bad.json"]).go().code(2).says(["bad.json", "3"]);
}

#[test]
fn what_would_not_come_back_is_refused() {
    for (name, text) in [
        ("trailing.json", "{\"a\": \"canary\"} {\"b\": 1}"),
        ("truncated.json", "{\"a\": [1"),
        ("duplicate.yaml", "a: canary\na: canary-two\n"),
        ("second-document.yaml", "a: canary\n---\nb: 1\nb: 2\n"),
    ] {
        let sandbox = plain();
        sandbox.write(name, text);
        sandbox.encfile(["encrypt", "-i", name]).go().failure();
        assert_eq!(sandbox.read(name), text);
    }
    let sandbox = plain();
    sandbox.write("invalid.json", b"{\"a\": \"canary \xff\"}");
    sandbox.encfile(["encrypt", "-i", "invalid.json"]).go().failure();
}

#[test]
fn a_time_that_sops_cannot_seal_is_refused_with_what_to_do() {
    let sandbox = plain();
    sandbox.write("app.yaml", "a: canary\nstart: 2001-01-01T00:00:00+24:00\n");
    sandbox.encfile(["encrypt", "-i", "app.yaml"]).go().code(23).stderr(
        "error[time]: Error encrypting tree: the time at `[\"start\"]` is 24 hours or more off UTC\n  \
         --> app.yaml:2:1\nhelp: correct the offset, or put the time in quotes to encrypt it as \
         text\n",
    );
}

#[test]
fn a_file_that_is_encrypted_and_in_order_needs_no_key_and_is_not_written() {
    let sandbox = encrypted();
    sandbox.no_env("SOPS_AGE_KEY_FILE");
    let before = sandbox.state_of("app.json");
    sandbox.encfile(["encrypt", "-i", "app.json"]).go().success().no_stdout();
    assert_eq!(sandbox.state_of("app.json"), before);
}

#[test]
fn a_file_that_is_encrypted_and_in_order_is_printed_unchanged() {
    let sandbox = encrypted();
    sandbox.no_env("SOPS_AGE_KEY_FILE");
    let text = sandbox.read("app.json");
    sandbox.encfile(["encrypt", "app.json"]).go().success().stdout(text);
}

#[test]
fn values_in_clear_beside_metadata_are_refused_and_listed() {
    let sandbox = encrypted();
    let text = sandbox.read("app.json");
    let added = text.replacen('{', "{\n  \"added\": {\"deep\": \"canary-three\"},", 1);
    sandbox.write("app.json", &added);
    for identity in [true, false] {
        if !identity {
            sandbox.no_env("SOPS_AGE_KEY_FILE");
        }
        sandbox
            .encfile(["encrypt", "-i", "app.json"])
            .go()
            .failure()
            .says(["app.json", "added", "deep", "encfile edit"])
            .does_not_say(["token"]);
        assert_eq!(sandbox.read("app.json"), added);
    }
}

#[test]
fn plain_input_onto_an_encrypted_output_keeps_unchanged_ciphertexts() {
    let sandbox = plain();
    let arguments = ["encrypt", "--output", "enc.json", "app.json"];
    sandbox.encfile(arguments).go().success();
    let first = sandbox.read("enc.json");

    sandbox.write("app.json", PLAIN.replace("canary-two", "canary-new"));
    sandbox.encfile(arguments).go().success();
    let second = sandbox.read("enc.json");

    let changed: Vec<&str> = second
        .lines()
        .filter(|line| !first.contains(line))
        .map(|line| line.split('"').nth(1).unwrap_or_default())
        .collect();
    // The time has seconds, so it may be the same.
    let expected = ["token", "lastmodified", "mac"];
    assert!(
        changed.iter().all(|key| expected.contains(key)) && changed.contains(&"token"),
        "{changed:?}"
    );
    peers::assert_valid(&[sandbox.path("enc.json")]);
}

#[test]
fn plain_input_equal_to_the_encrypted_output_writes_nothing() {
    let sandbox = plain();
    let arguments = ["encrypt", "--output", "enc.json", "app.json"];
    sandbox.encfile(arguments).go().success();
    let before = sandbox.state_of("enc.json");
    sandbox.encfile(arguments).go().success();
    assert_eq!(sandbox.state_of("enc.json"), before);
}

#[test]
fn an_encrypted_output_is_not_replaced_without_its_identity() {
    let sandbox = plain();
    let arguments = ["encrypt", "--output", "enc.json", "app.json"];
    sandbox.encfile(arguments).go().success();
    let before = sandbox.state_of("enc.json");
    sandbox.no_env("SOPS_AGE_KEY_FILE");
    sandbox.encfile(arguments).go().failure().says(["enc.json", "--new-data-key"]);
    assert_eq!(sandbox.state_of("enc.json"), before);

    sandbox
        .encfile(["encrypt", "--new-data-key", "--output", "enc.json", "app.json"])
        .go()
        .success();
    assert_ne!(sandbox.read_bytes("enc.json"), before.3);
    peers::assert_valid(&[sandbox.path("enc.json")]);
}

#[test]
fn several_files_need_in_place() {
    let sandbox = plain();
    sandbox.write("b.env", "A=canary\n");
    sandbox.encfile(["encrypt", "app.json", "b.env"]).go().failure().says(["-i"]);
    assert_eq!(sandbox.read("app.json"), PLAIN);
}

#[test]
fn of_several_files_all_are_tried_and_the_first_failure_is_the_exit_code() {
    let sandbox = plain();
    sandbox.write("bad.json", "{");
    sandbox.write("last.env", "A=canary\n");
    sandbox
        .encfile(["encrypt", "-i", "none.json", "app.json", "bad.json", "last.env"])
        .go()
        .code(100)
        .no_stdout()
        .says(["none.json", "bad.json"]);
    assert_eq!(sandbox.read("bad.json"), "{");
    peers::assert_valid(&[sandbox.path("app.json"), sandbox.path("last.env")]);
}

#[test]
fn a_rule_that_covers_none_of_the_values_is_refused() {
    let sandbox = plain();
    sandbox.config_with(&[ALICE], "    encrypted_regex: ^nothing$\n");
    sandbox.encfile(["encrypt", "-i", "app.json"]).go().failure().says([
        "encrypted_regex",
        "^nothing$",
        "--allow-unencrypted",
    ]);
    assert_eq!(sandbox.read("app.json"), PLAIN);

    sandbox.encfile(["encrypt", "-i", "--allow-unencrypted", "app.json"]).go().success();
    assert!(sandbox.read("app.json").contains("\"canary-one\""));
    peers::assert_valid(&[sandbox.path("app.json")]);
}

#[test]
fn every_selection_rule_is_followed() {
    for (rule, in_clear) in [
        ("unencrypted_suffix: word", "canary-one"),
        ("encrypted_suffix: word", "canary-two"),
        ("unencrypted_regex: ^pass", "canary-one"),
        ("encrypted_regex: ^pass", "canary-two"),
        ("encrypted_regex: '\\bpassword\\b'", "canary-two"),
    ] {
        let sandbox = plain();
        sandbox.config_with(&[ALICE], &format!("    {rule}\n"));
        sandbox.encfile(["encrypt", "-i", "app.json"]).go().success();
        let text = sandbox.read("app.json");
        for canary in ["canary-one", "canary-two"] {
            assert_eq!(text.contains(canary), canary == in_clear, "{rule}: {canary}");
        }
        peers::assert_valid(&[sandbox.path("app.json")]);
        sandbox
            .real_sops(["decrypt", "app.json"])
            .go()
            .success()
            .stdout(PLAIN.replace("  \"", "\t\""));
    }
}

#[test]
fn a_bad_selection_regex_is_refused() {
    let sandbox = plain();
    sandbox.encfile(["encrypt", "-i", "--encrypted-regex", "[", "app.json"]).go().failure();
    assert_eq!(sandbox.read("app.json"), PLAIN);
}

#[test]
fn mac_only_encrypted_is_followed() {
    let sandbox = plain();
    sandbox.config_with(&[ALICE], "    encrypted_regex: ^pass\n    mac_only_encrypted: true\n");
    sandbox.encfile(["encrypt", "-i", "app.json"]).go().success();
    peers::assert_valid(&[sandbox.path("app.json")]);
    let changed = sandbox.read("app.json").replace("canary-two", "canary-other");
    sandbox.write("app.json", changed);
    sandbox.real_sops(["decrypt", "app.json"]).go().success();
    sandbox.encfile(["decrypt", "app.json"]).go().success();
}

#[test]
fn key_groups_need_their_threshold() {
    let sandbox = Sandbox::with_identity(ALICE);
    sandbox.write("app.json", PLAIN);
    sandbox.write(
        ".sops.yaml",
        format!(
            "creation_rules:\n  - shamir_threshold: 2\n    key_groups:\n      - age: [{}]\n      - age: [{}]\n",
            ALICE.recipient(),
            BOB.recipient()
        ),
    );
    sandbox.encfile(["encrypt", "-i", "app.json"]).go().success();
    sandbox.encfile(["decrypt", "app.json"]).go().code(128).no_stdout();
    let both = format!("{}\n{}\n", ALICE.identity(), BOB.identity());
    for program in
        [sandbox.encfile(["decrypt", "app.json"]), sandbox.real_sops(["decrypt", "app.json"])]
    {
        program.env("SOPS_AGE_KEY", &both).go().success();
    }
}

#[test]
fn no_recipient_is_an_error() {
    let sandbox = Sandbox::new();
    sandbox.write("app.json", PLAIN);
    sandbox.encfile(["encrypt", "-i", "app.json"]).go().code(1).says(["app.json"]);
    assert_eq!(sandbox.read("app.json"), PLAIN);
}

#[test]
fn a_bad_recipient_is_an_error_and_nothing_is_written() {
    let sandbox = Sandbox::new();
    sandbox.write("app.json", PLAIN);
    for recipient in ["foo", "age1qqqq", "AGE-SECRET-KEY-1CANARY", ""] {
        sandbox.encfile(["encrypt", "-i", "--age", recipient, "app.json"]).go().failure();
        assert_eq!(sandbox.read("app.json"), PLAIN);
    }
}

#[test]
fn a_secret_key_given_as_a_recipient_is_not_repeated() {
    let sandbox = Sandbox::new();
    sandbox.write("app.json", PLAIN);
    let identity = BOB.identity();
    sandbox
        .encfile(["encrypt", "-i", "--age", &identity, "app.json"])
        .go()
        .failure()
        .does_not_say([&identity]);
}

#[test]
fn an_indentation_without_measure_is_a_usage_error() {
    plain().encfile(["encrypt", "--indent", "4294967295", "app.json"]).go().code(1).no_stdout();
}
