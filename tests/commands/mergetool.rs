//! `encfile mergetool`, after conflicts of the real git.

use crate::repository::Repository;

const PLAIN: &str = "host: canary-one\nport: 5432\nlast: canary-two\n";

/// A repository in the middle of a merge with a conflict at `port`.
fn conflict() -> Repository {
    let repository = Repository::with(&[("app.yaml", PLAIN)]);
    let outcome =
        repository.merge("app.yaml", "s/5432/1111/;s/-one/-ours/", "s/5432/2222/;s/-two/-theirs/");
    outcome.no_success();
    let text = repository.sandbox.read("app.yaml");
    assert!(text.contains("<<<<<<<") && !text.contains("canary"), "{text}");
    repository
}

/// What the editor has to do with `port`.
const TAKE_THEIRS: &str = "sed -i '/^<<<<<<< ours/,/^=======/d;/^>>>>>>> theirs/d' \"$1\"";
const RESOLVED: &str = "host: canary-ours\nport: 2222\nlast: canary-theirs\n";

#[test]
fn a_conflict_is_resolved_in_the_editor() {
    let repository = conflict();
    let sandbox = &repository.sandbox;
    sandbox.edit_with(TAKE_THEIRS);
    sandbox
        .encfile(["mergetool", "app.yaml"])
        .go()
        .success()
        .no_stdout()
        .stderr("app.yaml: conflict: [\"port\"]\napp.yaml: resolved; now: git add\n");
    let runs = sandbox.editor_runs();
    let shown = &runs.last().unwrap().text;
    assert_eq!(
        *shown,
        "host: canary-ours\n<<<<<<< ours\nport: 1111\n=======\nport: 2222\n>>>>>>> theirs\nlast: \
         canary-theirs\n"
    );
    repository.assert_holds("app.yaml", RESOLVED);
    repository.commit("merged");
}

#[test]
fn without_stages_in_the_index_the_markers_are_read() {
    let repository = conflict();
    let sandbox = &repository.sandbox;
    repository.git(&["add", "app.yaml"]);
    sandbox.edit_with(TAKE_THEIRS);
    sandbox
        .encfile(["mergetool", "app.yaml"])
        .go()
        .success()
        .says(["the versions are taken from the conflict markers"]);
    repository.assert_holds("app.yaml", RESOLVED);
}

#[test]
fn markers_of_git_itself_in_the_style_diff3_are_read() {
    let repository = Repository::with(&[("app.yaml", PLAIN)]);
    repository.sandbox.write(".gitattributes", "");
    repository.commit("without the driver");
    repository.git(&["config", "merge.conflictStyle", "diff3"]);
    repository.merge("app.yaml", "s/5432/1111/", "s/-two/-theirs/").no_success();
    repository.git(&["add", "app.yaml"]);
    repository.sandbox.edit_with("exit 1");
    repository.sandbox.encfile(["mergetool", "app.yaml"]).go().success();
    repository.assert_holds("app.yaml", "host: canary-one\nport: 1111\nlast: canary-theirs\n");
}

#[test]
fn a_failing_editor_and_an_unchanged_text_leave_the_file() {
    let repository = conflict();
    let sandbox = &repository.sandbox;
    let before = sandbox.read("app.yaml");
    for (script, code) in [("exit 3", 201), ("true", 200)] {
        sandbox.edit_with(script);
        sandbox.encfile(["mergetool", "app.yaml"]).go().code(code).no_stdout();
        assert_eq!(sandbox.read("app.yaml"), before);
    }
}

#[test]
fn a_text_with_markers_left_is_kept_encrypted_and_not_written() {
    let repository = conflict();
    let sandbox = &repository.sandbox;
    let before = sandbox.read("app.yaml");
    sandbox.edit_with("sed -i '/^<<<<<<< ours/d' \"$1\"");
    sandbox
        .encfile(["mergetool", "app.yaml"])
        .go()
        .code(1)
        .no_stdout()
        .says(["there still are conflict markers in the text", "your text was kept, encrypted"]);
    assert_eq!(sandbox.read("app.yaml"), before);
}

#[test]
fn a_file_without_a_conflict_is_refused() {
    let repository = Repository::with(&[("app.yaml", PLAIN)]);
    repository
        .sandbox
        .encfile(["mergetool", "app.yaml"])
        .go()
        .code(1)
        .says(["there is no conflict"]);
}
