//! `encfile rotate`.

use super::{TEXTS, assert_holds, can_decrypt, ciphertexts, encrypt, recipients, sandbox};
use crate::files::{ALICE, BOB, CAROL};
use crate::sandbox::mask;

#[test]
fn a_new_data_key_changes_ciphertexts_and_metadata_alone() {
    for (name, plain) in TEXTS {
        let sandbox = sandbox();
        sandbox.config_for(&[ALICE, BOB]);
        encrypt(&sandbox, name, plain, &[ALICE, BOB]);
        let before = sandbox.read(name);
        sandbox.encfile(["rotate", "-i", name]).go().success().no_stdout().no_stderr();
        let after = sandbox.read(name);
        let folder = sandbox.path("");
        assert_eq!(mask(&before, &folder), mask(&after, &folder), "{name}");
        assert!(ciphertexts(&before).is_disjoint(&ciphertexts(&after)), "{name}");
        // Equal values have equal ciphertexts with the same key and IV.
        assert_eq!(ciphertexts(&before).len(), ciphertexts(&after).len(), "{name}");
        assert_holds(&sandbox, name, plain);
    }
}

#[test]
fn a_file_of_sops_keeps_its_text_and_every_iv_is_new() {
    for (name, plain) in TEXTS {
        let sandbox = sandbox();
        sandbox.encrypted_by_sops(name, plain, &[ALICE]);
        let shown = sandbox.real_sops(["decrypt", name]).go().success().into_stdout();
        let before = sandbox.read(name);
        sandbox.config_for(&[ALICE]);
        sandbox.encfile(["rotate", "-i", name]).go().success();
        let after = sandbox.read(name);
        let folder = sandbox.path("");
        assert_eq!(mask(&before, &folder), mask(&after, &folder), "{name}");
        let ivs = |text: &str| -> Vec<String> {
            text.split("iv:").skip(1).map(|rest| rest[..44].to_owned()).collect()
        };
        assert!(ivs(&before).iter().all(|iv| !ivs(&after).contains(iv)), "{name}");
        sandbox.real_sops(["decrypt", name]).go().success().stdout(shown);
    }
}

#[test]
fn what_encfile_rotated_sops_rotates_and_the_other_way_round() {
    for (name, plain) in TEXTS {
        let sandbox = sandbox();
        sandbox.config_for(&[ALICE]);
        encrypt(&sandbox, name, plain, &[ALICE]);
        let data = sandbox.real_sops(["decrypt", name]).go().success().into_stdout();
        sandbox.encfile(["rotate", "-i", name]).go().success();
        sandbox.real_sops(["rotate", "-i", name]).go().success();
        sandbox.encfile(["rotate", "-i", name]).go().success();
        sandbox.real_sops(["decrypt", name]).go().success().stdout(data);
    }
}

#[test]
fn recipients_are_added_and_removed() {
    let sandbox = sandbox();
    let (name, plain) = TEXTS[0];
    encrypt(&sandbox, name, plain, &[ALICE, BOB]);
    sandbox.config_for(&[ALICE, CAROL]);
    sandbox
        .encfile(["rotate", "-i", "--add-age", &CAROL.recipient(), "--rm-age", &BOB.recipient()])
        .go()
        .code(100);
    let (carol, bob) = (CAROL.recipient(), BOB.recipient());
    sandbox
        .encfile(["rotate", "-i", name, "--add-age", &carol, "--rm-age", &bob])
        .go()
        .success()
        .no_stderr();
    assert_eq!(recipients(&sandbox.read(name)), [ALICE.recipient(), carol.clone()]);
    assert_holds(&sandbox, name, plain);
    assert!(can_decrypt(&sandbox, CAROL, name) && !can_decrypt(&sandbox, BOB, name));

    // Whoever is there already is not added twice.
    sandbox.encfile(["rotate", "-i", name, "--add-age", &carol]).go().success();
    assert_eq!(recipients(&sandbox.read(name)).len(), 2);
}

#[test]
fn removing_somebody_who_is_no_recipient_is_an_error() {
    let sandbox = sandbox();
    encrypt(&sandbox, "a.json", TEXTS[1].1, &[ALICE]);
    let before = sandbox.state_of("a.json");
    let bob = BOB.recipient();
    sandbox.encfile(["rotate", "-i", "--rm-age", &bob, "a.json"]).go().code(1).says([
        "error[no-recipient]",
        &bob,
        "a.json",
    ]);
    assert_eq!(sandbox.state_of("a.json"), before);
    sandbox.as_sops(["rotate", "-i", "--rm-age", &bob, "a.json"]).go().success();
}

#[test]
fn the_last_recipient_cannot_be_removed() {
    let sandbox = sandbox();
    encrypt(&sandbox, "a.json", TEXTS[1].1, &[ALICE]);
    let before = sandbox.state_of("a.json");
    sandbox
        .as_sops(["rotate", "-i", "--rm-age", &ALICE.recipient(), "a.json"])
        .go()
        .code(1)
        .says(["Could not generate data key: [empty key group provided]"]);
    assert_eq!(sandbox.state_of("a.json"), before);
}

#[test]
fn a_recipient_that_the_rule_does_not_have_is_refused() {
    let sandbox = sandbox();
    let (name, plain) = TEXTS[0];
    encrypt(&sandbox, name, plain, &[ALICE, BOB]);
    sandbox.config_for(&[ALICE]);
    let before = sandbox.state_of(name);
    sandbox.encfile(["rotate", "-i", name]).go().code(1).no_stdout().stderr(&format!(
        "error[weaker-than-rule]: the file is open to more than its creation rule says\n  --> a.yaml\n  \
         {} is a recipient of the file, and not of its creation rule\n\
         help: if it should not be: encfile updatekeys a.yaml\n      \
         if it should: write it into the rule in <sandbox>/work/.sops.yaml, or accept it once with \
         --accept-recipients\n",
        BOB.recipient()
    ));
    assert_eq!(sandbox.state_of(name), before);
    // Who is removed in the same go, or was just named, is no surprise.
    sandbox.encfile(["rotate", "--rm-age", &BOB.recipient(), name]).go().success().no_stderr();
    sandbox.encfile(["rotate", "-i", name, "--accept-recipients"]).go().success().no_stderr();
    assert!(can_decrypt(&sandbox, BOB, name));
    sandbox.as_sops(["rotate", "-i", name]).go().success().says(["warning", &BOB.recipient()]);
}

#[test]
fn a_stranger_is_named_where_a_comment_of_the_config_does() {
    let sandbox = sandbox();
    encrypt(&sandbox, "a.json", TEXTS[1].1, &[ALICE, BOB]);
    let (alice, bob) = (ALICE.recipient(), BOB.recipient());
    let rules = format!(
        "creation_rules:\n  - path_regex: ^a\n    age: {alice}\n  - age:\n    - {bob} # bob\n"
    );
    sandbox.write(".sops.yaml", rules);
    let said = format!("{bob} (bob) is a recipient of the file, and not of its creation rule");
    sandbox.encfile(["rotate", "-i", "a.json"]).go().code(1).says([said.as_str()]);
}

#[test]
fn a_recipient_that_is_named_need_not_be_in_the_rule() {
    let sandbox = sandbox();
    encrypt(&sandbox, "a.env", TEXTS[2].1, &[ALICE]);
    sandbox.config_for(&[ALICE]);
    sandbox
        .encfile(["rotate", "-i", "--add-age", &BOB.recipient(), "a.env"])
        .go()
        .success()
        .no_stderr();
}

#[test]
fn a_rule_that_covers_less_is_refused() {
    let sandbox = sandbox();
    sandbox.config_with(&[ALICE], "    encrypted_regex: ^password$\n");
    sandbox.write("a.json", TEXTS[1].1);
    sandbox.encfile(["encrypt", "-i", "a.json"]).go().success();
    sandbox.encfile(["rotate", "-i", "a.json"]).go().success().no_stderr();
    sandbox.config_for(&[ALICE]);
    sandbox.encfile(["rotate", "-i", "a.json"]).go().code(1).says([
        "its rule `encrypted_regex: ^password$` leaves `[\"list\"][0]` and 2 more in clear; its \
         creation rule `unencrypted_suffix: _unencrypted` covers that",
    ]);
    // Another rule that covers no more is as good.
    sandbox.config_with(&[ALICE], "    encrypted_regex: ^pass\n");
    sandbox.encfile(["rotate", "-i", "a.json"]).go().success().no_stderr();
}

#[test]
fn a_lower_threshold_than_the_rules_is_refused() {
    let sandbox = sandbox();
    let groups: &[&[_]] = &[&[ALICE], &[BOB], &[CAROL]];
    super::config_of_groups(&sandbox, groups, "    shamir_threshold: 2\n");
    sandbox.write("a.json", TEXTS[1].1);
    sandbox.encfile(["encrypt", "-i", "a.json"]).go().success();
    sandbox.encfile(["rotate", "-i", "a.json"]).go().success().no_stderr();
    assert_holds(&sandbox, "a.json", TEXTS[1].1);
    super::config_of_groups(&sandbox, groups, "");
    sandbox
        .encfile(["rotate", "-i", "a.json"])
        .go()
        .code(1)
        .says(["2 of the key groups can decrypt it; by its creation rule it takes 3"]);
}

#[test]
fn without_a_rule_the_recipients_are_named() {
    let sandbox = sandbox();
    encrypt(&sandbox, "a.json", TEXTS[1].1, &[ALICE, BOB]);
    let recipients = format!("{}, {}", ALICE.recipient(), BOB.recipient());
    sandbox.encfile(["rotate", "-i", "a.json"]).go().success().stderr(&format!(
        "a.json: there is no creation rule to compare the recipients with: {recipients}\n"
    ));
    sandbox.as_sops(["rotate", "-i", "a.json"]).go().success().no_stderr();
}

#[test]
fn a_file_with_a_wrong_mac_is_not_rotated_unless_asked() {
    let sandbox = sandbox();
    let plain = "{\"a\": \"canary-one\", \"b\": \"canary-two\", \"c_unencrypted\": \"x\"}\n";
    encrypt(&sandbox, "a.json", plain, &[ALICE]);
    sandbox.config_for(&[ALICE]);
    sandbox.write("a.json", sandbox.read("a.json").replace("\"x\"", "\"y\""));
    let before = sandbox.state_of("a.json");
    sandbox.encfile(["rotate", "-i", "a.json"]).go().code(51).no_stdout();
    assert_eq!(sandbox.state_of("a.json"), before);
    sandbox.encfile(["rotate", "-i", "--ignore-mac", "a.json"]).go().success();
    assert_holds(&sandbox, "a.json", &plain.replace("\"x\"", "\"y\""));
}

#[test]
fn the_result_goes_to_standard_output_or_to_a_file() {
    let sandbox = sandbox();
    let (name, plain) = TEXTS[2];
    encrypt(&sandbox, name, plain, &[ALICE]);
    let before = sandbox.state_of(name);
    let printed = sandbox.encfile(["rotate", name]).go().success().into_stdout();
    sandbox.write("printed.env", printed);
    assert_holds(&sandbox, "printed.env", plain);
    sandbox.encfile(["rotate", "--output", "other.env", name]).go().success().no_stdout();
    assert_holds(&sandbox, "other.env", plain);
    assert_eq!(sandbox.state_of(name), before);
    sandbox.encfile(["rotate", "-i", "--output", "x.env", name]).go().code(8);
}

#[test]
fn the_result_may_be_of_another_format() {
    let sandbox = sandbox();
    encrypt(&sandbox, "a.json", "{\"a\": 1, \"b\": \"canary\"}\n", &[ALICE]);
    let command = ["rotate", "--output-type", "yaml", "--output", "a.yaml", "a.json"];
    sandbox.encfile(command).go().success();
    assert_holds(&sandbox, "a.yaml", "a: 1\nb: canary\n");
}

#[test]
fn several_files_are_rotated_whatever_becomes_of_one() {
    let sandbox = sandbox();
    for name in ["a.json", "c.json"] {
        encrypt(&sandbox, name, TEXTS[1].1, &[ALICE]);
    }
    sandbox.write("b.json", "{}");
    let before = ciphertexts(&sandbox.read("c.json"));
    sandbox.encfile(["rotate", "a.json", "c.json"]).go().code(8);
    sandbox
        .encfile(["rotate", "-i", "a.json", "b.json", "missing.json", "c.json"])
        .go()
        .code(1)
        .says(["b.json", "missing.json"]);
    assert!(before.is_disjoint(&ciphertexts(&sandbox.read("c.json"))));
}

#[test]
fn bad_files_and_keys_have_sops_exit_codes() {
    let sandbox = sandbox();
    encrypt(&sandbox, "a.json", TEXTS[1].1, &[ALICE]);
    sandbox.write("plain.json", "{\"a\": 1}\n");
    let alice = ALICE.recipient();
    let cases: [(&[&str], i32); 7] = [
        (&["rotate"], 100),
        (&["rotate", "missing.json"], 2),
        (&["rotate", "missing.json", "--add-age", &alice], 49),
        (&["rotate", "missing.json", "--rm-age", &alice], 49),
        (&["rotate", "plain.json"], 1),
        (&["rotate", "a.json", "--add-age", "nonsense"], 1),
        (&["rotate", "a.json", "--decryption-order", "age,age"], 112),
    ];
    for (command, code) in cases {
        sandbox.as_sops(command).go().code(code).no_stdout();
        sandbox.real_sops(command).go().code(code).no_stdout();
    }
    sandbox.env("SOPS_AGE_KEY_FILE", BOB.path());
    sandbox.as_sops(["rotate", "a.json"]).go().code(128).no_stdout();
}

#[test]
fn an_unknown_field_of_the_metadata_stays() {
    let sandbox = sandbox();
    encrypt(&sandbox, "a.json", TEXTS[1].1, &[ALICE]);
    let text =
        sandbox.read("a.json").replace("\"lastmodified\"", "\"future\":   7,\n\"lastmodified\"");
    sandbox.write("a.json", text);
    sandbox.encfile(["rotate", "-i", "a.json"]).go().success();
    assert!(sandbox.read("a.json").contains("\"future\":   7,\n\"lastmodified\""));
    sandbox.encfile(["rotate", "-i", "--add-age", &BOB.recipient(), "a.json"]).go().success();
    assert!(sandbox.read("a.json").contains("\"future\": 7,\n    \"lastmodified\""));
    assert_holds(&sandbox, "a.json", TEXTS[1].1);
}
