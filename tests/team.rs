//! Encrypted files in git: random histories that are merged, and a team that works on them.

mod histories;
mod play;
mod worktree;

use std::fs;

use crate::files::{ALICE, BOB, CAROL};
use crate::sandbox::Sandbox;

/// Returns the wrapped data keys of an encrypted YAML file, in order.
fn wrapped_keys(text: &str) -> Vec<String> {
    let parts = text.split("-----BEGIN AGE ENCRYPTED FILE-----").skip(1);
    parts.map(|part| part.split("-----END").next().unwrap().to_owned()).collect()
}

#[test]
fn a_merge_that_adds_a_recipient_keeps_what_the_others_wrapped() {
    let sandbox = Sandbox::with_identity(ALICE);
    sandbox.write("base.yaml", "a: 1\nb: 2\n");
    let recipients = format!("{},{}", ALICE.recipient(), BOB.recipient());
    sandbox.encfile(["encrypt", "-i", "--age", &recipients, "base.yaml"]).go().success();
    for name in ["ours.yaml", "theirs.yaml"] {
        fs::copy(sandbox.path("base.yaml"), sandbox.path(name)).unwrap();
    }
    // Our data key is new, so that what Carol has wrapped on their side is of no use.
    sandbox.encfile(["rotate", "-i", "ours.yaml"]).go().success();
    sandbox.config_for(&[ALICE, BOB, CAROL]);
    sandbox.encfile(["updatekeys", "-y", "theirs.yaml"]).go().success();
    let before = wrapped_keys(&sandbox.read("ours.yaml"));

    sandbox
        .encfile(["git", "merge", "base.yaml", "ours.yaml", "theirs.yaml", "ours.yaml"])
        .go()
        .success();

    let after = wrapped_keys(&sandbox.read("ours.yaml"));
    assert_eq!((before.len(), after.len()), (2, 3));
    assert_eq!(after[..2], before);
    for who in [ALICE, BOB, CAROL] {
        let decrypt = sandbox.real_sops(["decrypt", "ours.yaml"]);
        decrypt.env("SOPS_AGE_KEY_FILE", who.path()).go().success().stdout("a: 1\nb: 2\n");
    }
}
