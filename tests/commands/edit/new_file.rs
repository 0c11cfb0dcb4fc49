//! Editing a file that does not exist yet.

use super::assert_holds;
use crate::files::{ALICE, BOB};
use crate::sandbox::Sandbox;

#[test]
fn a_new_file_starts_from_a_template() {
    for (name, comment) in
        [("new.json", None), ("new.yaml", Some('#')), ("new.env", Some('#')), ("new.txt", None)]
    {
        let sandbox = Sandbox::with_identity(ALICE);
        sandbox.config_for(&[ALICE]);
        sandbox.edit_with("exit 0");
        // The template itself is no file that somebody wants.
        sandbox.encfile(["edit", name]).go();
        assert!(!sandbox.path(name).exists(), "{name}");
        let text = &sandbox.editor_runs()[0].text;
        assert!(!text.trim().is_empty(), "{name}");
        if let Some(comment) = comment {
            assert!(text.contains(comment), "{name}: {text}");
        }
    }
}

#[test]
fn a_new_file_is_written_for_the_recipients_of_its_rule() {
    let sandbox = Sandbox::with_identity(ALICE);
    sandbox.config_for(&[ALICE, BOB]);
    sandbox.edit_with("printf 'A=canary-one\\n' > \"$1\"");
    sandbox.encfile(["edit", "new.env"]).go().success();
    assert_holds(&sandbox, "new.env", "A=canary-one\n");
    assert!(sandbox.read("new.env").contains(&BOB.recipient()));
}

#[test]
fn without_any_config_one_to_paste_is_printed() {
    let sandbox = Sandbox::with_identity(ALICE);
    sandbox.edit_with("printf 'A=canary-one\\n' > \"$1\"");
    sandbox.encfile(["edit", "new.env"]).go().code(1).no_stdout().says([
        ".sops.yaml",
        "creation_rules:",
        "age",
    ]);
    assert!(sandbox.editor_runs().is_empty());
}

#[test]
fn without_a_config_the_flag_and_the_variable_give_recipients() {
    let recipient = ALICE.recipient();
    let sandbox = Sandbox::with_identity(ALICE);
    sandbox.edit_with("printf 'A=canary-one\\n' > \"$1\"");
    sandbox.encfile(["edit", "--age", &recipient, "one.env"]).go().success();
    sandbox.encfile(["edit", "two.env"]).env("SOPS_AGE_RECIPIENTS", &recipient).go().success();
    for name in ["one.env", "two.env"] {
        assert_holds(&sandbox, name, "A=canary-one\n");
    }
}
