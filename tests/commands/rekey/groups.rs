//! `encfile groups add` and `encfile groups delete`.

use super::{TEXTS, assert_holds, can_decrypt, config_of_groups, encrypt, recipients, sandbox};
use crate::files::{ALICE, BOB, CAROL, TestKey};
use crate::sandbox::Sandbox;

/// A sandbox with a file of three groups, of which two are needed, encrypted by the real SOPS.
fn two_of_three(name: &str, plain: &str) -> Sandbox {
    let sandbox = sandbox();
    let groups: &[&[_]] = &[&[ALICE], &[BOB], &[CAROL]];
    config_of_groups(&sandbox, groups, "    shamir_threshold: 2\n");
    sandbox.write(name, plain);
    sandbox.real_sops(["encrypt", "-i", name]).go().success();
    std::fs::remove_file(sandbox.path(".sops.yaml")).unwrap();
    sandbox
}

/// Returns the text in front of the metadata of a YAML file.
fn body(text: &str) -> &str {
    &text[..text.find("sops:").unwrap()]
}

#[test]
fn a_group_is_added_and_all_groups_are_needed() {
    for (name, plain) in TEXTS {
        let sandbox = sandbox();
        encrypt(&sandbox, name, plain, &[ALICE]);
        let command = ["groups", "add", "-f", name, "-i", "--age"];
        let keys = format!("{},{}", BOB.recipient(), CAROL.recipient());
        sandbox.encfile([&command[..], &[&keys]].concat()).go().success().no_stdout();
        let after = sandbox.read(name);
        let expected = [ALICE, BOB, CAROL].map(TestKey::recipient);
        assert_eq!(recipients(&after), expected, "{name}");
        assert!(!can_decrypt(&sandbox, ALICE, name) && !can_decrypt(&sandbox, BOB, name));
        assert_holds(&sandbox, name, plain);
    }
}

#[test]
fn groups_of_sops_are_rotated_and_deleted() {
    for (name, plain) in TEXTS {
        let sandbox = two_of_three(name, plain);
        let shown = sandbox.real_sops(["decrypt", name]).go().success().into_stdout();
        sandbox.encfile(["rotate", "-i", name]).go().success();
        sandbox.real_sops(["decrypt", name]).go().success().stdout(&shown);
        sandbox.encfile(["groups", "delete", "0", "-f", name, "-i"]).go().success();
        assert_eq!(recipients(&sandbox.read(name)), [BOB.recipient(), CAROL.recipient()]);
        sandbox.real_sops(["decrypt", name]).go().success().stdout(&shown);
        let alone = ["--shamir-secret-sharing-threshold", "1"];
        let delete = ["groups", "delete", "-i", "-f", name, "1"];
        sandbox.encfile([&delete[..], &alone].concat()).go().success();
        assert!(can_decrypt(&sandbox, BOB, name), "{name}");
        sandbox.real_sops(["decrypt", name]).go().success().stdout(&shown);
    }
}

#[test]
fn what_encfile_grouped_sops_regroups() {
    let sandbox = sandbox();
    encrypt(&sandbox, "a.json", TEXTS[1].1, &[ALICE]);
    let add = |key: &str| {
        vec![
            "groups".into(),
            "add".into(),
            "-i".into(),
            "-fa.json".into(),
            "--age".into(),
            key.to_owned(),
        ]
    };
    sandbox.encfile(add(&BOB.recipient())).go().success();
    let mut command = add(&CAROL.recipient());
    command.splice(3..4, ["-f".to_owned(), "a.json".to_owned()]);
    sandbox.real_sops(command).go().success();
    sandbox.encfile(["rotate", "-i", "a.json"]).go().success();
    sandbox.real_sops(["groups", "delete", "-i", "-f", "a.json", "1"]).go().success();
    assert_eq!(recipients(&sandbox.read("a.json")), [ALICE.recipient(), CAROL.recipient()]);
    assert_holds(
        &sandbox,
        "a.json",
        "{\n\t\"password\": \"canary-one\",\n\t\"list\": [\n\t\t1,\n\t\t2.5,\n\t\t\"canary-two\"\n\t]\n}\n",
    );
}

#[test]
fn values_stay_and_the_result_is_printed_unless_it_replaces_the_file() {
    let sandbox = two_of_three("a.yaml", TEXTS[0].1);
    let before = sandbox.read("a.yaml");
    let state = sandbox.state_of("a.yaml");
    let printed = sandbox.encfile(["groups", "delete", "-f", "a.yaml", "2"]).go().success();
    let printed = String::from_utf8(printed.into_stdout()).unwrap();
    assert_eq!(body(&printed), body(&before));
    assert_eq!(recipients(&printed), [ALICE.recipient(), BOB.recipient()]);
    assert_eq!(sandbox.state_of("a.yaml"), state);
    sandbox.encfile(["groups", "delete", "-i", "-f", "a.yaml", "2"]).go().success().no_stdout();
    assert_eq!(body(&sandbox.read("a.yaml")), body(&before));
}

#[test]
fn what_cannot_be_done_changes_nothing() {
    let sandbox = two_of_three("a.json", TEXTS[1].1);
    encrypt(&sandbox, "one.json", TEXTS[1].1, &[ALICE]);
    let before = sandbox.state_of("a.json");
    let alice = ALICE.recipient();
    let threshold = "--shamir-secret-sharing-threshold";
    let cases: [(&[&str], &str); 9] = [
        (&["delete", "-f", "a.json", "3"], "there is no key group 3: the file has 3"),
        (&["delete", "-f", "one.json", "0"], "the last key group cannot be deleted"),
        (
            &["delete", "-f", "a.json", "0", threshold, "3"],
            "removing this key group will make the Shamir threshold impossible to satisfy: Shamir \
             threshold is 3, but we only have 2 key groups",
        ),
        (&["delete", "-f", "a.json", "0", threshold, "1"], "threshold must be at least 2"),
        (&["delete", "-f", "a.json", "x"], "invalid value 'x'"),
        (&["add", "-f", "a.json"], "[empty key group provided]"),
        (&["add", "-f", "a.json", "--age", "nonsense"], "unknown recipient type"),
        (
            &["add", "-f", "a.json", "--age", &alice, threshold, "9"],
            "the Shamir threshold is 9, and there are 4 key groups",
        ),
        (&["add", "-f", "a.json", "--age", &alice, "extra"], "unexpected argument 'extra'"),
    ];
    for (arguments, said) in cases {
        let command = [&["groups"], arguments, &["-i"]].concat();
        sandbox.encfile(&command).go().code(1).no_stdout().says([said]);
        sandbox.as_sops(&command).go().code(1).no_stdout().says([said]);
        assert_eq!(sandbox.state_of("a.json"), before);
    }
    sandbox.encfile(["groups", "delete", "-f", "missing.json", "0"]).go().code(2);
    sandbox.encfile(["groups", "delete", "0"]).go().code(2);
    sandbox.env("SOPS_AGE_KEY_FILE", BOB.path());
    sandbox.encfile(["groups", "delete", "-i", "-f", "a.json", "0"]).go().code(128);
    assert_eq!(sandbox.state_of("a.json"), before);
}

#[test]
fn recipients_that_the_rule_does_not_have_are_refused() {
    let sandbox = two_of_three("a.json", TEXTS[1].1);
    let before = sandbox.state_of("a.json");
    // The rule knows two groups already: what is left follows it.
    config_of_groups(&sandbox, &[&[ALICE], &[BOB]], "");
    sandbox.encfile(["groups", "delete", "-f", "a.json", "2"]).go().success();
    sandbox.encfile(["groups", "delete", "-i", "-f", "a.json", "1"]).go().code(1).says([
        "error[weaker-than-rule]",
        &format!("{} is a recipient in group 2 of the file", CAROL.recipient()),
    ]);
    assert_eq!(sandbox.state_of("a.json"), before);
    sandbox
        .encfile(["groups", "delete", "-f", "a.json", "1", "--accept-recipients"])
        .go()
        .success();
    sandbox
        .as_sops(["groups", "delete", "-f", "a.json", "1"])
        .go()
        .success()
        .says(["warning", &CAROL.recipient()]);
}
