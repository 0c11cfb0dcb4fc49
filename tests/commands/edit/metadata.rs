//! `edit --show-master-keys`.

use super::encrypted;
use crate::files::{ALICE, BOB, CAROL};

const JSON: &str = "{\n\t\"password\": \"canary-one\",\n\t\"port\": 5432\n}\n";

#[test]
fn the_metadata_is_shown_on_demand() {
    let sandbox = encrypted("a.json", JSON);
    sandbox.edit_with("exit 0");
    sandbox.encfile(["edit", "-s", "a.json"]).go().success();
    let text = &sandbox.editor_runs()[0].text;
    assert!(text.contains("\"canary-one\"") && text.contains("\"sops\""), "{text}");
    assert!(text.contains(&ALICE.recipient()));
}

#[test]
fn changes_of_values_and_of_the_metadata_are_both_kept() {
    let sandbox = encrypted("a.json", JSON);
    // Bob in place of Alice, and another value.
    let script = format!(
        "sed -i 's/{}/{}/; s/canary-one/canary-two/' \"$1\"",
        ALICE.recipient(),
        BOB.recipient()
    );
    sandbox.edit_with(&script);
    sandbox.encfile(["edit", "-s", "a.json"]).go().success();
    for program in
        [sandbox.encfile(["decrypt", "a.json"]), sandbox.real_sops(["decrypt", "a.json"])]
    {
        program
            .env("SOPS_AGE_KEY_FILE", BOB.path())
            .go()
            .success()
            .stdout(JSON.replace("canary-one", "canary-two"));
    }
    sandbox.encfile(["decrypt", "a.json"]).go().code(128);
}

#[test]
fn unusable_metadata_is_refused() {
    let sandbox = encrypted("a.json", JSON);
    let before = sandbox.state_of("a.json");
    sandbox.edit_with("sed -i 's/\"lastmodified\": \"2/\"lastmodified\": \"x/' \"$1\"");
    sandbox.encfile(["edit", "-s", "a.json"]).go().failure().says(["SOPS metadata is invalid"]);
    assert_eq!(sandbox.state_of("a.json"), before);
}

#[test]
fn a_recipient_that_is_added_leaves_what_the_others_wrapped() {
    let sandbox = encrypted("a.json", JSON);
    let wrapped = |text: &str| {
        let entries = text.split("\"enc\": \"").skip(1);
        entries.map(|entry| entry.split('"').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let before = wrapped(&sandbox.read("a.json"));
    let script =
        format!("sed -i 's/\"age\": \\[/&{{\"recipient\": \"{}\"}},/' \"$1\"", CAROL.recipient());
    sandbox.edit_with(&script);
    sandbox.encfile(["edit", "-s", "--accept-recipients", "a.json"]).go().success();
    let after = wrapped(&sandbox.read("a.json"));
    assert_eq!(after.len(), before.len() + 1);
    assert_eq!(after[1..], before);
    let decrypt = sandbox.real_sops(["decrypt", "a.json"]);
    decrypt.env("SOPS_AGE_KEY_FILE", CAROL.path()).go().success().stdout(JSON);
}
