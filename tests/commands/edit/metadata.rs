//! `edit --show-master-keys`.

use super::encrypted;
use crate::files::{ALICE, BOB};

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
