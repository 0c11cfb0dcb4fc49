//! `encfile set` and `encfile unset`.

mod like_sops;

use std::fs;

use crate::files::{ALICE, BOB, repository};
use crate::peers;
use crate::sandbox::{Sandbox, Stdin};

const PLAIN: &str = "\
# settings
name: shop
database:
  password: canary-one # rotated
  port: 5432
hosts:
  - a.example
  - b.example
";

/// A sandbox with Alice's identity and `app.yaml`, encrypted by encfile for Alice and Bob.
fn encrypted() -> Sandbox {
    with_config("")
}

/// As [`encrypted`], by a rule with these fields.
fn with_config(fields: &str) -> Sandbox {
    let sandbox = Sandbox::with_identity(ALICE);
    sandbox.config_with(&[ALICE, BOB], fields);
    sandbox.write("app.yaml", PLAIN);
    sandbox.encfile(["encrypt", "-i", "app.yaml"]).go().success();
    sandbox
}

fn decrypted(sandbox: &Sandbox) -> String {
    let outcome = sandbox.encfile(["decrypt", "app.yaml"]).go().success();
    String::from_utf8(outcome.into_stdout()).unwrap()
}

/// Returns the lines of `new` that are not in `old`, each up to its first `:`.
fn new_lines(old: &str, new: &str) -> Vec<String> {
    new.lines()
        .filter(|line| !old.lines().any(|other| other == *line))
        .map(|line| line.split(':').next().unwrap().trim().to_owned())
        .collect()
}

#[test]
fn a_changed_value_changes_its_line_and_the_mac() {
    let sandbox = encrypted();
    let before = sandbox.read("app.yaml");
    let run = sandbox.encfile(["set", "app.yaml", "database.password", "\"canary-two\""]);
    run.go().success().no_stdout().no_stderr();
    let after = sandbox.read("app.yaml");
    let changed = new_lines(&before, &after);
    let (value, metadata) = changed.split_first().unwrap();
    assert_eq!(value, "password");
    assert!(metadata == ["mac"] || metadata == ["lastmodified", "mac"], "{metadata:?}");
    assert_eq!(before.lines().count(), after.lines().count());
    assert_eq!(decrypted(&sandbox), PLAIN.replace("canary-one", "canary-two"));
    peers::assert_valid(&[sandbox.path("app.yaml")]);
}

#[test]
fn both_kinds_of_tree_paths_lead_to_a_value() {
    for path in ["[\"hosts\"][1]", "hosts[1]", "['hosts'][1]", "hosts[\"1\"]"] {
        let sandbox = encrypted();
        let run = sandbox.encfile(["set", "app.yaml", path, "\"c.example\""]).go();
        if path.ends_with("\"]") {
            run.code(1).says(["component ['1'] is a key, but what is there is not a map"]);
        } else {
            run.success();
            assert_eq!(decrypted(&sandbox), PLAIN.replace("b.example", "c.example"));
        }
    }
}

#[test]
fn values_keep_their_types_and_numbers_their_spelling() {
    for value in ["6", "6.50", "-1", "true", "null", "12345678901234567890123", "\"6\""] {
        let sandbox = encrypted();
        sandbox.encfile(["set", "app.yaml", "database.port", value]).go().success();
        assert_eq!(decrypted(&sandbox), PLAIN.replace("5432", value));
        let run = sandbox.real_sops(["decrypt", "--output-type", "json", "app.yaml"]).go();
        let json: serde_json::Value = serde_json::from_slice(&run.success().into_stdout()).unwrap();
        let meant: serde_json::Value = serde_json::from_str(value).unwrap();
        let found = &json["database"]["port"];
        assert!(*found == meant || found.as_f64() == meant.as_f64(), "{value}: {found}");
    }
}

#[test]
fn maps_and_lists_are_laid_out_as_the_file() {
    let sandbox = encrypted();
    let value = "{\"users\": [\"canary-a\", {\"name\": \"canary-b\", \"id\": 7}], \"none\": {}}";
    sandbox.encfile(["set", "app.yaml", "database.access", value]).go().success();
    let lines = "  access:\n    users:\n      - canary-a\n      - name: canary-b\n        id: 7\n    \
                 none: {}\n";
    assert_eq!(decrypted(&sandbox), PLAIN.replace("hosts:", &format!("{lines}hosts:")));
}

#[test]
fn what_is_missing_on_the_way_is_made() {
    let sandbox = encrypted();
    sandbox.encfile(["set", "app.yaml", "new.list[5].key", "\"canary\""]).go().success();
    let lines = "new:\n  list:\n    - key: canary\n";
    assert_eq!(decrypted(&sandbox), format!("{PLAIN}{lines}"));
}

#[test]
fn the_value_comes_from_standard_input_or_a_file() {
    let sandbox = encrypted();
    sandbox
        .encfile(["set", "--value-stdin", "app.yaml", "name"])
        .input("\"canary-three\"\n")
        .go()
        .success();
    assert_eq!(decrypted(&sandbox), PLAIN.replace("shop", "canary-three"));
    sandbox.write("value.json", "\"canary-four\"");
    sandbox.encfile(["set", "--value-file", "app.yaml", "name", "value.json"]).go().success();
    assert_eq!(decrypted(&sandbox), PLAIN.replace("shop", "canary-four"));
}

#[test]
fn a_value_that_is_there_already_writes_nothing() {
    let sandbox = encrypted();
    let before = sandbox.state_of("app.yaml");
    sandbox.encfile(["set", "app.yaml", "database.port", "5432"]).go().success();
    assert_eq!(sandbox.state_of("app.yaml"), before);
    sandbox.as_sops(["set", "app.yaml", "[\"name\"]", "\"shop\"", "--idempotent"]).go().success();
    assert_eq!(sandbox.state_of("app.yaml"), before);
    sandbox.as_sops(["set", "app.yaml", "[\"name\"]", "\"shop\""]).go().success();
    assert_ne!(sandbox.state_of("app.yaml"), before);
}

#[test]
fn unset_removes_the_lines_of_a_value() {
    for (path, gone) in [
        ("name", "name: shop\n"),
        ("database.password", "  password: canary-one # rotated\n"),
        ("hosts[0]", "  - a.example\n"),
        ("hosts", "hosts:\n  - a.example\n  - b.example\n"),
    ] {
        let sandbox = encrypted();
        sandbox.encfile(["unset", "app.yaml", path]).go().success().no_stdout().no_stderr();
        assert_eq!(decrypted(&sandbox), PLAIN.replace(gone, ""));
        peers::assert_valid(&[sandbox.path("app.yaml")]);
    }
}

#[test]
fn unset_of_the_last_entry_leaves_an_empty_map() {
    let sandbox = encrypted();
    for path in ["database", "hosts", "name"] {
        sandbox.encfile(["unset", "app.yaml", path]).go().success();
    }
    assert_eq!(decrypted(&sandbox), "# settings\n{}\n");
    sandbox.real_sops(["decrypt", "app.yaml"]).go().success();
}

#[test]
fn unset_of_what_is_missing_fails_unless_asked_otherwise() {
    let sandbox = encrypted();
    let before = sandbox.state_of("app.yaml");
    for (path, message) in [
        ("[\"nope\"]", "Key not found: nope"),
        ("[\"database\"][\"nope\"]", "Key not found: nope"),
        ("[\"hosts\"][7]", "Index 7 out of bounds"),
    ] {
        sandbox.encfile(["unset", "app.yaml", path]).go().code(1).says([message]);
        let outcome = sandbox.as_sops(["unset", "app.yaml", path]).go().code(1);
        assert!(outcome.messages().starts_with(message), "{}", outcome.messages());
        sandbox.encfile(["unset", "--idempotent", "app.yaml", path]).go().success();
    }
    assert_eq!(sandbox.state_of("app.yaml"), before);
}

#[test]
fn paths_and_values_that_are_none_are_refused_without_showing_them() {
    let sandbox = encrypted();
    let before = sandbox.state_of("app.yaml");
    for path in ["", "[", "[]", "[a]", "[-1]", "[\"a\"", "a..b", "a[", "[99999999999999999999]"] {
        for command in ["set", "unset"] {
            let mut arguments = vec![command, "app.yaml", path];
            arguments.extend((command == "set").then_some("1"));
            let message = format!("Invalid {command} index format");
            sandbox.encfile(arguments).go().code(7).says([message.as_str()]);
        }
    }
    for value in
        ["canary", "\"canary", "{\"a\": canary}", "1 canary", "", "\u{feff}1", "01", "1e999"]
    {
        let outcome = sandbox.encfile(["set", "app.yaml", "name", value]).go().code(7);
        outcome.says(["Value for --set is not valid JSON"]);
    }
    for (path, code) in [("hosts.x", 1), ("database[0]", 1)] {
        sandbox.encfile(["set", "app.yaml", path, "1"]).go().code(code);
        sandbox.encfile(["unset", "app.yaml", path]).go().code(code);
    }
    assert_eq!(sandbox.state_of("app.yaml"), before);
}

#[test]
fn a_deep_path_neither_hangs_nor_overflows() {
    let sandbox = encrypted();
    let before = sandbox.state_of("app.yaml");
    let path = "[\"a\"]".repeat(20_000);
    sandbox.encfile(["set", "app.yaml", &path, "1"]).go().failure();
    let value = "[".repeat(5_000) + &"]".repeat(5_000);
    sandbox.encfile(["set", "app.yaml", "name", &value]).go().failure();
    assert_eq!(sandbox.state_of("app.yaml"), before);
}

#[test]
fn the_entry_of_the_metadata_cannot_be_set() {
    let sandbox = encrypted();
    let before = sandbox.state_of("app.yaml");
    for path in ["sops", "sops.mac"] {
        sandbox.encfile(["set", "app.yaml", path, "\"x\""]).go().code(203);
        sandbox.encfile(["unset", "app.yaml", path]).go().code(1);
    }
    assert_eq!(sandbox.state_of("app.yaml"), before);
}

#[test]
fn the_rule_of_the_file_decides_what_is_encrypted() {
    let sandbox = with_config("    encrypted_regex: ^(password|token)$\n");
    sandbox.encfile(["set", "app.yaml", "database.token", "\"canary-two\""]).go().success();
    sandbox.encfile(["set", "app.yaml", "database.host", "\"db.internal\""]).go().success();
    let text = sandbox.read("app.yaml");
    assert!(text.contains("  token: ENC[AES256_GCM,") && text.contains("  host: db.internal\n"));
    peers::assert_valid(&[sandbox.path("app.yaml")]);
}

#[test]
fn a_value_that_the_config_would_encrypt_is_not_stored_in_clear() {
    let sandbox = with_config("    encrypted_regex: ^password$\n");
    sandbox.config_with(&[ALICE, BOB], "    encrypted_regex: ^(password|token)$\n");
    let before = sandbox.state_of("app.yaml");
    let set = ["set", "app.yaml", "database", "{\"token\": \"canary-two\"}"];
    sandbox.encfile(set).go().code(1).stderr(
        "error[rule]: the file's own rule would leave `[\"database\"][\"token\"]` in clear, and the \
         config's would encrypt it\n  --> app.yaml\n  the file:   `encrypted_regex: ^password$`\n  \
         the config: `encrypted_regex: ^(password|token)$`\nhelp: put the file under the config's \
         rule, and try again:\n      encfile decrypt app.yaml | encfile encrypt \
         --filename-override app.yaml --new-data-key --output app.yaml\n      or store it in clear: \
         --allow-unencrypted\n",
    );
    assert_eq!(sandbox.state_of("app.yaml"), before);
    // What both rules leave in clear can be set.
    sandbox.encfile(["set", "app.yaml", "name", "\"store\""]).go().success();
    // The help does what it says.
    let pipe = "\"$0\" decrypt app.yaml | \"$0\" encrypt --filename-override app.yaml --new-data-key \
                --output app.yaml";
    let program = env!("CARGO_BIN_EXE_encfile");
    sandbox.run("/bin/sh".as_ref(), ["-c", pipe, program]).go().success();
    sandbox.encfile(set).go().success();
    assert!(sandbox.read("app.yaml").contains("  token: ENC[AES256_GCM,"));
}

#[test]
fn a_value_is_stored_in_clear_on_demand_and_as_sops() {
    for as_sops in [true, false] {
        let sandbox = with_config("    encrypted_regex: ^password$\n");
        sandbox.config_with(&[ALICE, BOB], "    encrypted_regex: ^(password|token)$\n");
        let run = if as_sops {
            sandbox.as_sops(["set", "app.yaml", "[\"token\"]", "\"x\""])
        } else {
            sandbox.encfile(["set", "--allow-unencrypted", "app.yaml", "token", "\"x\""])
        };
        run.go().success();
        assert!(sandbox.read("app.yaml").contains("\ntoken: x\n"));
    }
}

#[test]
fn the_content_of_a_binary_file_is_its_one_value() {
    let sandbox = Sandbox::with_identity(ALICE);
    sandbox.encrypted_by_sops("key.bin", b"\0old\n", &[ALICE]);
    sandbox.encfile(["set", "key.bin", "data", "\"new\\n\""]).go().success().no_stderr();
    sandbox.real_sops(["decrypt", "key.bin"]).go().success().stdout("new\n");
    let before = sandbox.state_of("key.bin");
    sandbox.encfile(["set", "key.bin", "other", "1"]).go().code(4);
    sandbox.encfile(["unset", "key.bin", "data"]).go().code(4);
    assert_eq!(sandbox.state_of("key.bin"), before);
}

#[test]
fn a_wrong_mac_is_refused_unless_asked_otherwise() {
    let sandbox = with_config("    encrypted_regex: ^password$\n");
    let text = sandbox.read("app.yaml").replace("name: shop", "name: bank");
    sandbox.write("app.yaml", text);
    let set = ["set", "app.yaml", "database.port", "1"];
    sandbox.encfile(set).go().code(51);
    sandbox.encfile(set.into_iter().chain(["--ignore-mac"])).go().success();
    assert!(decrypted(&sandbox).contains("name: bank\n"));
}

#[test]
fn a_file_that_is_missing_or_not_encrypted_is_told() {
    let sandbox = Sandbox::with_identity(ALICE);
    sandbox.write("app.yaml", PLAIN);
    for command in [&["set", "app.yaml", "[\"a\"]", "1"][..], &["unset", "app.yaml", "[\"name\"]"]]
    {
        sandbox.encfile(command).go().code(1).says(["sops metadata not found"]);
    }
    for command in [&["set", "nope.yaml", "[\"a\"]", "1"][..], &["unset", "nope.yaml", "[\"a\"]"]] {
        sandbox.encfile(command).go().code(100).says(["cannot operate on non-existent file"]);
        let message =
            "Error reading file: open <sandbox>/work/nope.yaml: no such file or directory\n";
        sandbox.as_sops(command).go().code(2).stderr(message);
        sandbox.real_sops(command).go().code(2).stderr(message);
    }
}

#[test]
fn missing_arguments_are_told_in_the_words_of_sops() {
    let sandbox = encrypted();
    let three = "Error: no file specified, or index and value are missing. Need precisely 3 \
                 positional arguments.\n";
    let two = "Error: file specified, or index and value are missing. Need precisely 2 positional \
               arguments since --value-stdin is used.\n";
    let index = "Error: no file specified, or index is missing\n";
    for (arguments, code, message) in [
        (&["set"][..], 100, three),
        (&["set", "app.yaml", "[\"a\"]"], 100, three),
        (&["set", "app.yaml", "[\"a\"]", "1", "2"], 100, three),
        (&["set", "--value-stdin", "app.yaml"], 100, two),
        (&["set", "--value-stdin", "app.yaml", "[\"a\"]", "1"], 100, two),
        (
            &["set", "--value-stdin", "--value-file", "app.yaml", "[\"a\"]", "1"],
            1,
            "Error: cannot use both --value-file and --value-stdin\n",
        ),
        (
            &["set", "--value-file", "app.yaml", "[\"a\"]", "nope.json"],
            1,
            "open nope.json: no such file or directory\n",
        ),
        (&["unset", "app.yaml"], 100, index),
        (&["unset", "app.yaml", "[\"a\"]", "1"], 100, index),
    ] {
        sandbox.as_sops(arguments).stdin(Stdin::Null).go().code(code).stderr(message);
        sandbox.real_sops(arguments).stdin(Stdin::Null).go().code(code).stderr(message);
    }
}

/// Which ciphertexts stay: all that SOPS keeps, and all others that did not change either.
#[test]
fn other_ciphertexts_stay_as_they_are() {
    let folder = repository().join("testdata/set/golden");
    let commands = fs::read_to_string(folder.join("commands.txt")).unwrap();
    let mut count = 0;
    for line in commands.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split(' ').collect();
        let sandbox = Sandbox::new();
        sandbox.env("SOPS_AGE_KEY_FILE", repository().join("testdata/vectors/keys.txt"));
        let old = fs::read_to_string(folder.join("0-encrypted.yaml")).unwrap();
        let theirs = fs::read_to_string(folder.join(words[0])).unwrap();
        sandbox.write("f.yaml", &old);
        sandbox.write("theirs.yaml", &theirs);
        let arguments = [&[words[1], "f.yaml"], &words[2..]].concat();
        sandbox.encfile(arguments).go().success();
        let ours = sandbox.read("f.yaml");
        let changed = new_lines(&old, &ours);
        let key = words[2].trim_matches(|c| "[]\"".contains(c));
        let value = if words[1] == "set" { vec![key] } else { vec![] };
        assert_eq!(changed, [value, vec!["lastmodified", "mac"]].concat(), "{line}");
        assert!(changed.len() < new_lines(&old, &theirs).len(), "{line}: SOPS changes more");
        let [ours, theirs] = ["f.yaml", "theirs.yaml"]
            .map(|file| sandbox.real_sops(["decrypt", file]).go().success().into_stdout());
        assert_eq!(ours, theirs, "{line}");
        count += 1;
    }
    assert_eq!(count, 3);
}
