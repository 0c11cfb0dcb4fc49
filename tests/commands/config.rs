//! Which `.sops.yaml` and which of its rules `encfile encrypt` follows.

use crate::files::{ALICE, BOB, TestKey};
use crate::sandbox::Sandbox;

const PLAIN: &str = "{\n  \"password\": \"canary-one\"\n}\n";

/// Encrypts `file` in place and returns whether each of Alice and Bob is a recipient.
fn recipients(sandbox: &Sandbox, file: &str) -> (bool, bool) {
    sandbox.encfile(["encrypt", "-i", file]).go().success();
    let text = sandbox.read(file);
    let has = |key: TestKey| text.contains(&key.recipient());
    (has(ALICE), has(BOB))
}

fn rule_for(key: TestKey) -> String {
    format!("creation_rules:\n  - age: {}\n", key.recipient())
}

#[test]
fn the_config_is_searched_for_from_the_file_upwards() {
    let sandbox = Sandbox::new();
    sandbox.write("project/.sops.yaml", rule_for(ALICE));
    sandbox.write("project/deep/er/app.json", PLAIN);
    assert_eq!(recipients(&sandbox, "project/deep/er/app.json"), (true, false));
}

#[test]
fn a_config_that_sops_would_find_with_other_recipients_is_a_conflict() {
    let sandbox = Sandbox::new();
    sandbox.write(".sops.yaml", rule_for(BOB));
    sandbox.write("project/.sops.yaml", rule_for(ALICE));
    sandbox.write("project/app.json", PLAIN);
    sandbox
        .encfile(["encrypt", "-i", "project/app.json"])
        .go()
        .failure()
        .says(["project/.sops.yaml", "--config"]);
    assert_eq!(sandbox.read("project/app.json"), PLAIN);

    for (config, expected) in [(".sops.yaml", BOB), ("project/.sops.yaml", ALICE)] {
        let outcome =
            sandbox.encfile(["encrypt", "--config", config, "project/app.json"]).go().success();
        let text = String::from_utf8(outcome.into_stdout()).unwrap();
        assert!(text.contains(&expected.recipient()), "{config}");
    }
}

#[test]
fn a_config_that_sops_would_find_with_another_selector_is_a_conflict() {
    let sandbox = Sandbox::new();
    sandbox.write(".sops.yaml", format!("{}    encrypted_regex: ^x\n", rule_for(ALICE)));
    sandbox.write("project/.sops.yaml", rule_for(ALICE));
    sandbox.write("project/app.json", PLAIN);
    sandbox.encfile(["encrypt", "-i", "project/app.json"]).go().failure();
}

#[test]
fn configs_that_agree_are_no_conflict() {
    let sandbox = Sandbox::new();
    sandbox.write(".sops.yaml", rule_for(ALICE));
    sandbox.write("project/.sops.yaml", format!("# ours\n{}", rule_for(ALICE)));
    sandbox.write("project/app.json", PLAIN);
    assert_eq!(recipients(&sandbox, "project/app.json"), (true, false));
}

#[test]
fn the_first_rule_that_matches_the_relative_path_is_taken() {
    let sandbox = Sandbox::new();
    sandbox.write(
        ".sops.yaml",
        format!(
            "creation_rules:\n  - path_regex: ^secrets/[a-z]+\\.json$\n    age: {}\n  - age: {}\n",
            ALICE.recipient(),
            BOB.recipient()
        ),
    );
    sandbox.write("secrets/app.json", PLAIN);
    sandbox.write("secrets/deep/app.json", PLAIN);
    sandbox.write("work/x", "");
    assert_eq!(recipients(&sandbox, "secrets/app.json"), (true, false));
    assert_eq!(recipients(&sandbox, "secrets/deep/app.json"), (false, true));

    sandbox.write("secrets/other.json", PLAIN);
    sandbox.encfile(["encrypt", "-i", "../secrets/other.json"]).in_folder("work").go().success();
    assert!(sandbox.read("secrets/other.json").contains(&ALICE.recipient()));
}

#[test]
fn no_rule_that_matches_is_an_error() {
    let sandbox = Sandbox::new();
    sandbox.write(
        ".sops.yaml",
        format!("creation_rules:\n  - path_regex: ^other/\n    age: {}\n", ALICE.recipient()),
    );
    sandbox.write("app.json", PLAIN);
    sandbox.encfile(["encrypt", "-i", "app.json"]).go().code(1).says([".sops.yaml", "app.json"]);
}

#[test]
fn unknown_top_level_keys_and_merge_keys_are_allowed() {
    let sandbox = Sandbox::new();
    sandbox.write(
        ".sops.yaml",
        format!(
            "people:\n  alice: &alice {}\ndefaults: &defaults\n  age: *alice\ncreation_rules:\n  - <<: *defaults\n",
            ALICE.recipient()
        ),
    );
    sandbox.write("app.json", PLAIN);
    assert_eq!(recipients(&sandbox, "app.json"), (true, false));
}

#[test]
fn lists_of_recipients_and_comma_separated_ones_are_the_same() {
    for recipients_text in [
        format!("{},{}", ALICE.recipient(), BOB.recipient()),
        format!(">-\n      {},\n      {}", ALICE.recipient(), BOB.recipient()),
        format!("[{}, {}]", ALICE.recipient(), BOB.recipient()),
    ] {
        let sandbox = Sandbox::new();
        sandbox.write(".sops.yaml", format!("creation_rules:\n  - age: {recipients_text}\n"));
        sandbox.write("app.json", PLAIN);
        assert_eq!(recipients(&sandbox, "app.json"), (true, true));
    }
}

/// Refuses to encrypt under this config, names it and says each of `parts`.
fn refused<const N: usize>(fields: &str, parts: [&str; N]) {
    let sandbox = Sandbox::new();
    sandbox.config_with(&[ALICE], fields);
    sandbox.write("app.json", PLAIN);
    sandbox.encfile(["encrypt", "-i", "app.json"]).go().code(1).says([".sops.yaml"]).says(parts);
    assert_eq!(sandbox.read("app.json"), PLAIN);
}

#[test]
fn an_unknown_field_of_a_rule_is_an_error_with_line_and_suggestion() {
    refused("    encripted_regex: ^password$\n", ["encripted_regex", "encrypted_regex", "3"]);
    refused("    path_regx: ^app\n", ["path_regx", "path_regex", "3"]);
}

#[test]
fn an_unknown_field_of_a_key_group_is_an_error_with_line_and_suggestion() {
    let group =
        format!("    key_groups:\n      - age: [{}]\n        pgb: [x]\n", ALICE.recipient());
    refused(&group, ["pgb", "pgp", "5"]);
}

#[test]
fn two_selectors_in_a_rule_are_an_error() {
    refused(
        "    encrypted_regex: ^a\n    unencrypted_suffix: _b\n",
        ["encrypted_regex", "unencrypted_suffix"],
    );
}

#[test]
fn a_bad_regex_is_an_error_with_line() {
    refused("    encrypted_regex: '['\n", ["encrypted_regex", "3"]);
    refused("    path_regex: '(?=a)'\n", ["path_regex", "3"]);
}

#[test]
fn a_config_that_is_not_yaml_is_an_error_with_line() {
    let sandbox = Sandbox::new();
    sandbox.write(".sops.yaml", "creation_rules:\n  - age: [\n");
    sandbox.write("app.json", PLAIN);
    sandbox.encfile(["encrypt", "-i", "app.json"]).go().code(1).says([".sops.yaml"]);
}

#[test]
fn a_config_that_was_asked_for_must_exist() {
    let sandbox = Sandbox::new();
    sandbox.config_for(&[ALICE]);
    sandbox.write("app.json", PLAIN);
    sandbox
        .encfile(["encrypt", "-i", "--config", "none.yaml", "app.json"])
        .go()
        .code(1)
        .says(["none.yaml"]);
    sandbox
        .encfile(["encrypt", "-i", "app.json"])
        .env("SOPS_CONFIG", "none.yaml")
        .go()
        .code(1)
        .says(["none.yaml"]);
}

#[test]
fn a_deeply_nested_config_is_refused_quickly() {
    let sandbox = Sandbox::new();
    sandbox.write(".sops.yaml", "[".repeat(200_000));
    sandbox.write("app.json", PLAIN);
    let started = std::time::Instant::now();
    sandbox.encfile(["encrypt", "-i", "app.json"]).go().code(1);
    assert!(started.elapsed().as_secs() < 5);
}

/// As `/tmp` is: whoever puts a config there would be a recipient of what others encrypt below.
#[test]
fn a_config_in_a_directory_for_everybody_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.write("shared/.sops.yaml", rule_for(BOB));
    sandbox.write("shared/project/app.json", PLAIN);
    sandbox.set_mode("shared", 0o1777);
    sandbox.encfile(["encrypt", "-i", "project/app.json"]).in_folder("shared").go().code(1).says([
        "shared/.sops.yaml",
        "every user",
        "--config",
    ]);
    assert_eq!(sandbox.read("shared/project/app.json"), PLAIN);
    sandbox
        .encfile(["encrypt", "--config", ".sops.yaml", "project/app.json"])
        .in_folder("shared")
        .go()
        .success();
    // As sops a warning. A directory that everybody may write to may be a checkout in a container.
    sandbox
        .as_sops(["encrypt", "project/app.json"])
        .in_folder("shared")
        .go()
        .success()
        .says(["warning", "every user"]);
    sandbox.set_mode("shared", 0o777);
    sandbox.encfile(["encrypt", "project/app.json"]).in_folder("shared").go().success().no_stderr();
}

#[test]
fn commands_that_only_look_refuse_a_planted_config_too() {
    let sandbox = Sandbox::new();
    sandbox.encrypted_by_sops("shared/project/app.json", PLAIN, &[ALICE]);
    sandbox.write("shared/.sops.yaml", rule_for(BOB));
    sandbox.set_mode("shared", 0o1777);
    for (command, code) in [(["check", "project"], 2), (["status", "project"], 1)] {
        let run = |command: &[&str]| sandbox.encfile(command).in_folder("shared").go();
        run(&command).code(code).no_stdout().says(["shared/.sops.yaml", "every user", "--config"]);
        let named = [&["--config", ".sops.yaml"], &command[..]].concat();
        run(&named).does_not_say(["every user"]);
    }
}

#[test]
fn a_config_that_cannot_be_read_is_told_in_the_words_of_sops() {
    let sandbox = Sandbox::new();
    sandbox.write("app.json", PLAIN);
    std::fs::create_dir(sandbox.path(".sops.yaml")).unwrap();
    let path = "<sandbox>/work/.sops.yaml";
    let found = format!("could not read config file: read {path}: is a directory\n");
    sandbox.as_sops(["encrypt", "app.json"]).go().code(1).stderr(&found);
    sandbox.encfile(["check", "app.json"]).go().code(2).stderr(&format!("error[config]: {found}"));
    for (name, why) in [
        (".sops.yaml", "read .sops.yaml: is a directory"),
        ("none.yaml", "open none.yaml: no such file or directory"),
        ("app.json/x", "open app.json/x: not a directory"),
    ] {
        let arguments = ["--config", name, "encrypt", "app.json"];
        let expected = format!("could not read config file: {why}\n");
        sandbox.as_sops(arguments).go().code(1).stderr(&expected);
        sandbox.real_sops(arguments).go().code(1).stderr(&expected);
    }
}

#[test]
fn a_config_without_an_end_is_not_read_to_its_end() {
    let sandbox = Sandbox::new();
    sandbox.write("app.json", PLAIN);
    let explicit = ["encrypt", "--config", "/dev/zero", "app.json"];
    sandbox.encfile(explicit).go().code(1).says(["larger than 1 MiB"]);
    let check = ["check", "--config", "/dev/zero", "app.json"];
    sandbox
        .encfile(check)
        .go()
        .code(1)
        .stdout("error[config-invalid]: the configuration is larger than 1 MiB\n  --> /dev/zero\n");
    std::os::unix::fs::symlink("/dev/zero", sandbox.path(".sops.yaml")).unwrap();
    sandbox.encfile(["encrypt", "app.json"]).go().code(1).says(["not a regular file"]);
}

#[test]
fn a_message_sends_no_command_to_the_terminal() {
    let sandbox = Sandbox::new();
    sandbox.write("app.json", PLAIN);
    sandbox.write(".sops.yaml", "creation_rules:\n  - \"x\\e[31m\\u202ex\": 1\n    age: age1x\n");
    sandbox
        .encfile(["encrypt", "app.json"])
        .go()
        .code(1)
        .says(["x\\u{1b}[31m"])
        .does_not_say(["\u{1b}", "\u{202e}"]);
}
