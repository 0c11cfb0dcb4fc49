//! `status`, `who` and `why`, with the real git.

use crate::files::{ALICE, BOB, CAROL};
use crate::peers;
use crate::sandbox::{Outcome, Sandbox};

/// A repository with files for Alice, for Bob, for two groups, and one that is not encrypted yet.
fn repository() -> Sandbox {
    let sandbox = Sandbox::with_identity(ALICE);
    let git = peers::system("git");
    sandbox.run(&git, ["init", "-q"]).go().success();
    let [alice, bob] = [ALICE.recipient(), BOB.recipient()];
    sandbox.write(
        ".sops.yaml",
        format!(
            "creation_rules:\n  - path_regex: ^two/\n    key_groups:\n      - age:\n          - {alice} # \
             alice\n      - age:\n          - {bob} # bob\n  - path_regex: ^bob/\n    age: {bob} # bob\n  \
             - path_regex: \\.enc\\.yaml$\n    age: {alice} # alice\n    encrypted_regex: ^pass\n"
        ),
    );
    sandbox.write("two/a.yaml", "a: canary-1\n");
    sandbox.encfile(["encrypt", "-i", "two/a.yaml"]).go().success();
    sandbox.encrypted_by_sops("bob/b.json", "{\"b\": \"canary-2\"}", &[BOB]);
    sandbox.write("app.enc.yaml", "pass: canary-3\n");
    sandbox.encfile(["encrypt", "-i", "app.enc.yaml"]).go().success();
    sandbox.write("left.enc.yaml", "pass: canary-4\n");
    sandbox.write("README", "words\n");
    sandbox
}

fn json(outcome: Outcome) -> serde_json::Value {
    serde_json::from_slice(&outcome.success().into_stdout()).unwrap()
}

#[test]
fn status_has_a_line_for_each_file_that_is_or_should_be_encrypted() {
    let sandbox = repository();
    let outcome = sandbox.encfile(["status"]).go().success().no_stderr();
    outcome.stdout(
        "FILE           RULE              FOR                                     YOU  CHANGED  KEY\n\
         app.enc.yaml   .sops.yaml:10 #3  alice                                   yes  0 days   -\n\
         bob/b.json     .sops.yaml:8 #2   bob                                     no   0 days   -\n\
         left.enc.yaml  .sops.yaml:10 #3  not encrypted, although a rule matches  -    -        -\n\
         two/a.yaml     .sops.yaml:2 #1   alice, bob                              no   0 days   -\n",
    );
}

#[test]
fn status_needs_no_key_and_is_the_same_as_json() {
    let sandbox = repository();
    sandbox.no_env("SOPS_AGE_KEY_FILE");
    let report = json(sandbox.encfile(["status", "--json", "app.enc.yaml", "two"]).go());
    assert_eq!(report["version"], 1);
    let files = report["files"].as_array().unwrap();
    let summary: Vec<_> = files
        .iter()
        .map(|file| (file["file"].as_str().unwrap(), file["rule"].as_u64(), &file["readable"]))
        .collect();
    assert_eq!(
        summary,
        [("app.enc.yaml", Some(3), &"no".into()), ("two/a.yaml", Some(1), &"no".into())]
    );
    assert_eq!(files[1]["needed_groups"], 2);
    assert_eq!(files[1]["groups"][1][0]["name"], "bob");
}

#[test]
fn status_of_nothing_says_so() {
    let sandbox = Sandbox::new();
    sandbox.write("x/a.txt", "words\n");
    let outcome = sandbox.encfile(["status", "x"]).go().success().no_stdout();
    outcome.stderr("no file is encrypted, or should be\n");
}

#[test]
fn who_names_groups_owners_and_the_identity_that_is_mine() {
    let sandbox = repository();
    let [alice, bob] = [ALICE.recipient(), BOB.recipient()];
    let key = ALICE.path();
    let outcome = sandbox.encfile(["who", "two/a.yaml", "README", "none"]).go().success();
    outcome.no_stderr().stdout(format!(
        "two/a.yaml: 2 of 2 groups are needed; you can open a part\n  group 1 of 2:\n  age {alice}  # \
         alice  (you: SOPS_AGE_KEY_FILE ({}))\n  group 2 of 2:\n  age {bob}  # bob\nREADME: not \
         encrypted\nnone: there is no such file\n",
        key.display()
    ));
}

#[test]
fn who_does_not_claim_what_only_asking_would_tell() {
    let sandbox = repository();
    let first_line = |key: &str| {
        sandbox.env("SOPS_AGE_KEY_CMD", key);
        let outcome = sandbox.encfile(["who", "bob/b.json"]).go().success();
        let text = String::from_utf8(outcome.into_stdout()).unwrap();
        text.lines().next().unwrap().to_owned()
    };
    let unknown = "bob/b.json: any of these keys opens it; whether you can open it is not known \
                   without asking";
    // A command that would leave a trace if it were run.
    assert_eq!(first_line("touch was-run"), unknown);
    assert!(!sandbox.path("was-run").exists());
    assert_eq!(first_line(""), "bob/b.json: any of these keys opens it; you cannot open it");
}

#[test]
fn why_names_rule_format_and_selector_also_of_files_that_are_not_there() {
    let sandbox = repository();
    let alice = ALICE.recipient();
    let config = sandbox.path(".sops.yaml");
    let config = config.display();
    let outcome = sandbox.encfile(["why", "new/x.enc.yaml", "README"]).go().success().no_stderr();
    outcome.stdout(format!(
        "new/x.enc.yaml: not there yet\n  format:   yaml: its name says so\n  config:   {config}\n  rule:     \
         3 in line 10, path_regex: \\.enc\\.yaml$\n  selector: encrypted_regex: ^pass\n  keys:\n    age \
         {alice}  # alice\nREADME: not encrypted\n  format:   binary: its name says nothing else\n  config:   \
         {config}\n  rule:     none: no creation rule matches the file\n"
    ));
}

#[test]
fn why_is_versioned_json_too_and_a_broken_config_is_said() {
    let sandbox = repository();
    let report = json(sandbox.encfile(["why", "--json", "two/a.yaml"]).go());
    assert_eq!((&report["version"], &report["files"][0]["encrypted"]), (&1.into(), &true.into()));
    assert_eq!(report["files"][0]["rule"]["number"], 1);
    sandbox.write(
        ".sops.yaml",
        format!("creation_rules:\n  - age: {}\n    pth: x\n", CAROL.recipient()),
    );
    let report = json(sandbox.encfile(["why", "--json", "two/a.yaml"]).go());
    assert_eq!(report["files"][0]["rule"], serde_json::Value::Null);
    assert!(report["files"][0]["no_rule"].as_str().unwrap().contains("pth"), "{report}");
}
