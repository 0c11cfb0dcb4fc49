//! `filestatus`.

use crate::files::ALICE;
use crate::sandbox::Sandbox;

const YES: &str = "{\"encrypted\":true}\n";
const NO: &str = "{\"encrypted\":false}\n";

/// A directory with an encrypted file, and no identity to open it.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.encrypted_by_sops("app.yaml", "a: canary-one\n", &[ALICE]);
    sandbox
}

#[test]
fn it_needs_no_key() {
    let sandbox = sandbox();
    sandbox.write("plain.yaml", "a: 1\n");
    for (name, expected) in [("app.yaml", YES), ("plain.yaml", NO)] {
        sandbox.encfile(["filestatus", name]).go().success().stdout(expected).no_stderr();
        sandbox.as_sops(["filestatus", name]).go().success().stdout(expected).no_stderr();
    }
}

#[test]
fn a_file_of_no_known_kind_is_not_encrypted_but_an_error_as_sops() {
    let sandbox = sandbox();
    sandbox.write("notes.txt", "words\n");
    sandbox.encfile(["filestatus", "notes.txt"]).go().success().stdout(NO);
    sandbox.as_sops(["filestatus", "notes.txt"]).go().code(1).no_stdout();
}

#[test]
fn the_content_tells_the_format_and_as_sops_the_type_can_be_given() {
    let sandbox = sandbox();
    let text = sandbox.read("app.yaml");
    sandbox.write("app.enc", text);
    sandbox.encfile(["filestatus", "app.enc"]).go().success().stdout(YES);
    sandbox.as_sops(["filestatus", "app.enc"]).go().code(1).no_stdout();
    let with_type = ["filestatus", "--input-type", "yaml", "app.enc"];
    sandbox.as_sops(with_type).go().success().stdout(YES);
}

#[test]
fn several_files_are_refused_and_as_sops_the_first_one_counts() {
    let sandbox = sandbox();
    sandbox.encfile(["filestatus", "app.yaml", "app.yaml"]).go().code(8).no_stdout();
    let outcome = sandbox.as_sops(["filestatus", "app.yaml", "none"]).go();
    outcome.success().stdout(YES).no_stderr();
}
