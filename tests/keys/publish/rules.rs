//! Which destination a file has.

use super::{config, sandbox};
use crate::sandbox::Sandbox;

/// Runs `publish` and returns the first line of what it says.
fn refusal(sandbox: &Sandbox, as_sops: bool) -> String {
    let arguments = ["publish", "-y", "app.yaml"];
    let run = if as_sops { sandbox.as_sops(arguments) } else { sandbox.encfile(arguments) };
    let outcome = run.go().code(1).no_stdout();
    outcome.messages().lines().next().unwrap().to_owned()
}

#[test]
fn what_the_config_does_not_say_is_an_error_in_the_words_of_sops() {
    let sandbox = sandbox("path_regex: ^other\ns3_bucket: b");
    for (rules, message) in [
        (
            "path_regex: ^other\ns3_bucket: b",
            "error loading config: no matching destination found in config",
        ),
        ("path_regex: app", "no destination configured for this file"),
    ] {
        config(&sandbox, rules);
        let publish = ["publish", "-y", "app.yaml"];
        sandbox.real_sops(publish).go().code(1).says([message]);
        assert_eq!(refusal(&sandbox, true), message);
        assert!(refusal(&sandbox, false).ends_with(message));
    }
}

#[test]
fn without_a_config_there_is_no_destination() {
    let sandbox = sandbox("s3_bucket: b");
    std::fs::remove_file(sandbox.path(".sops.yaml")).unwrap();
    let message = "config file not found";
    sandbox.real_sops(["publish", "-y", "app.yaml"]).go().code(1).says([message]);
    assert_eq!(refusal(&sandbox, true), message);
    assert_eq!(refusal(&sandbox, false), format!("error[no-config]: {message}"));
}

#[test]
fn a_rule_with_two_destinations_is_refused_by_both() {
    let sandbox = sandbox("s3_bucket: b\ngcs_bucket: c");
    let message = "error loading config: more than one destinations were found in a single \
                   destination rule, you can only use one per rule";
    sandbox.real_sops(["publish", "-y", "app.yaml"]).go().code(1).says([message]);
    sandbox.as_sops(["publish", "-y", "app.yaml"]).go().code(1).says([message]);
    assert_eq!(
        refusal(&sandbox, false),
        "error[config]: error loading config: <sandbox>/work/.sops.yaml:3:5: destination rule 1 \
         has more than one destination: `s3_bucket` and `gcs_bucket`"
    );
}

#[test]
fn what_sops_ignores_in_a_rule_is_an_error_and_as_sops_a_warning() {
    let sandbox = sandbox("s3_bucket: b");
    for (rules, ours, as_sops) in [
        (
            "path_regex: a(\ns3_bucket: b",
            "`path_regex` in destination rule 1",
            "no matching destination found in config",
        ),
        (
            "gcs_bucket: b\nrecreation_rule: {encrypted_regex: a}",
            "`recreation_rule` of destination rule 1 has no keys",
            "failed to publish to gcs://b/app.yaml",
        ),
        (
            "vault_path: b\nvault_kv_version: 3\nvault_address: http://127.0.0.1:1",
            "`vault_kv_version` in destination rule 1 must be the number 1 or 2",
            "http://127.0.0.1:1/v1/secret/data/b/app.yaml",
        ),
    ] {
        config(&sandbox, rules);
        let publish = ["publish", "-y", "app.yaml"];
        sandbox.env("STORAGE_EMULATOR_HOST", "http://127.0.0.1:1");
        sandbox.encfile(publish).go().code(1).says([ours]);
        sandbox.as_sops(publish).go().code(1).says(["warning: ", ours, as_sops]);
    }
}

#[test]
fn paths_are_relative_to_the_config() {
    let sandbox = sandbox("path_regex: ^d/app\nvault_path: a\nvault_address: nowhere");
    sandbox.write("d/app.yaml", sandbox.read("app.yaml"));
    let publish = ["publish", "-y", "app.yaml"];
    let run = sandbox.encfile(publish).in_folder("d");
    run.go().code(1).says(["`nowhere` is no address of a Vault server"]);
    for run in [sandbox.real_sops(publish), sandbox.as_sops(publish)] {
        run.in_folder("d").go().code(1).says(["no matching destination found in config"]);
    }
}
