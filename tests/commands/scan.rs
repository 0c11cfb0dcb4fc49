//! `scan`, with the real git.

use crate::files::{ALICE, BOB};
use crate::peers;
use crate::sandbox::{Outcome, Sandbox};

/// The value of `db.password` in the encrypted file.
const PASSWORD: &str = "canary-xK9#mP2q/z";

/// A repository with an encrypted file, committed, and Alice's key.
fn repository() -> Sandbox {
    let sandbox = Sandbox::with_identity(ALICE);
    git(&sandbox, &["init", "-q", "-b", "main"]);
    for (name, value) in [("user.name", "A"), ("user.email", "a@example.org")] {
        git(&sandbox, &["config", name, value]);
    }
    let plain = format!("db:\n  password: {PASSWORD}\n  host: production\n");
    sandbox.encrypted_by_sops("app.enc.yaml", plain, &[ALICE]);
    git(&sandbox, &["add", "."]);
    git(&sandbox, &["commit", "-qm", "one"]);
    sandbox
}

fn git(sandbox: &Sandbox, arguments: &[&str]) -> String {
    let git = peers::system("git");
    text(sandbox.run(&git, arguments).secrets_in_messages().go().success())
}

fn text(outcome: Outcome) -> String {
    String::from_utf8(outcome.into_stdout()).unwrap()
}

fn finding(place: &str, how: &str) -> String {
    format!(
        "error[secret-in-clear]: the value of `[\"db\"][\"password\"]` in app.enc.yaml stands here in \
         clear{how}\n  --> {place}\n"
    )
}

#[test]
fn a_clean_repository_has_no_findings_and_weak_values_are_left_out() {
    let sandbox = repository();
    sandbox.write("README", "host: production\n");
    let outcome = sandbox.encfile(["scan"]).go().success().no_stdout();
    outcome.stderr(
        "2 files searched for 1 values of 1 encrypted files, 1 values left out: 0 errors\n",
    );
}

#[test]
fn copies_are_found_in_files_that_git_knows_or_could_know() {
    let sandbox = repository();
    sandbox.write("a.txt", format!("é {PASSWORD}\n"));
    sandbox.write("b.url", "x\nhttp://me:canary-xK9%23mP2q%2Fz@host\n");
    sandbox.write("ignored.log", PASSWORD);
    sandbox.write(".gitignore", "*.log\n");
    git(&sandbox, &["add", "a.txt"]);
    let expected = finding("a.txt:1:3", "") + &finding("b.url:2:11", ", escaped for URLs");
    sandbox.encfile(["scan"]).go().code(1).stdout(expected);
    sandbox
        .encfile(["scan", "b.url"])
        .go()
        .code(1)
        .stdout(finding("b.url:2:11", ", escaped for URLs"));
    sandbox.encfile(["scan", "app.enc.yaml"]).go().success().no_stdout();
}

#[test]
fn a_copy_in_the_clear_part_of_an_encrypted_file_is_found() {
    let sandbox = repository();
    let plain = format!("a_unencrypted: {PASSWORD}\nb: {PASSWORD}\n");
    sandbox.encrypted_by_sops("both.yaml", plain, &[ALICE]);
    sandbox.encfile(["scan", "both.yaml"]).go().code(1).stdout(
        "error[secret-in-clear]: the value of `[\"b\"]` in both.yaml stands here in clear\n  --> \
         both.yaml:1:16\n",
    );
}

#[test]
fn the_metadata_of_a_file_is_no_copy() {
    let sandbox = repository();
    sandbox.encrypted_by_sops("own.yaml", format!("me: {}\n", ALICE.recipient()), &[ALICE]);
    sandbox.encfile(["scan"]).go().success().no_stdout();
    sandbox.write("team.txt", ALICE.recipient());
    sandbox.encfile(["scan"]).go().code(1);
}

#[test]
fn the_index_is_searched_and_not_the_disk() {
    let sandbox = repository();
    sandbox.write("a.txt", format!("{PASSWORD}\n"));
    sandbox.encfile(["scan", "--staged"]).go().success().no_stdout();
    git(&sandbox, &["add", "a.txt"]);
    sandbox.write("a.txt", "clean\n");
    sandbox.encfile(["scan"]).go().success().no_stdout();
    sandbox.encfile(["scan", "--staged"]).go().code(1).stdout(finding("a.txt:1:1", ""));
}

#[test]
fn history_names_the_commit_that_brought_a_copy() {
    let sandbox = repository();
    sandbox.write("a.txt", format!("{PASSWORD}\n"));
    git(&sandbox, &["add", "."]);
    git(&sandbox, &["commit", "-qm", "two"]);
    let commit = git(&sandbox, &["rev-parse", "HEAD"]);
    git(&sandbox, &["mv", "a.txt", "b.txt"]);
    git(&sandbox, &["commit", "-qm", "three"]);
    git(&sandbox, &["rm", "-q", "b.txt"]);
    git(&sandbox, &["commit", "-qm", "four"]);
    sandbox.encfile(["scan"]).go().success().no_stdout();
    let since = format!(", since commit {}", &commit[..12]);
    for range in ["HEAD", "HEAD~3.."] {
        let outcome = sandbox.encfile(["scan", "--rev", range]).go().code(1);
        outcome.stdout(finding("a.txt:1:1", &since));
    }
    sandbox.encfile(["scan", "--rev", "HEAD~1.."]).go().success().no_stdout();
    sandbox.encfile(["scan", "--rev", "nothing"]).go().code(2).no_stdout();
}

#[test]
fn json_has_the_file_of_the_secret_and_never_the_value() {
    let sandbox = repository();
    sandbox.write("a.txt", format!("{PASSWORD}\n"));
    let text = text(sandbox.encfile(["scan", "--format", "json"]).go().code(1));
    assert!(!text.contains("canary"), "{text}");
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&report["version"], &report["secrets"]), (&1.into(), &1.into()));
    let finding = &report["findings"][0];
    assert_eq!(finding["code"], "secret-in-clear");
    assert_eq!((&finding["file"], &finding["line"]), (&"a.txt".into(), &1.into()));
    assert_eq!(finding["secret_file"], "app.enc.yaml");
    assert_eq!(finding["tree_path"], "[\"db\"][\"password\"]");
}

#[test]
fn what_does_not_open_is_said_and_without_any_key_nothing_is_clean() {
    let sandbox = repository();
    sandbox.encrypted_by_sops("bob.yaml", "a: canary-4Kq!9zXw\n", &[BOB]);
    sandbox.write("a.txt", "canary-4Kq!9zXw\n");
    let outcome = sandbox.encfile(["scan"]).go().success().no_stdout();
    outcome.says(["bob.yaml: not decrypted, so its values are not searched for"]);
    sandbox.no_env("SOPS_AGE_KEY_FILE");
    let outcome = sandbox.encfile(["scan"]).go().code(2).no_stdout();
    outcome.says(["none of the 2 encrypted files could be decrypted"]);
}

#[test]
fn outside_of_git_the_files_that_are_named_are_searched() {
    let sandbox = Sandbox::with_identity(ALICE);
    sandbox.encrypted_by_sops("x/app.yaml", format!("a: {PASSWORD}\n"), &[ALICE]);
    sandbox.write("x/copy.txt", PASSWORD);
    sandbox.encfile(["scan", "x"]).go().code(1).stdout(
        "error[secret-in-clear]: the value of `[\"a\"]` in x/app.yaml stands here in clear\n  --> \
         x/copy.txt:1:1\n",
    );
    sandbox.encfile(["scan"]).go().code(2).says(["encfile scan PATH..."]);
}

#[test]
fn the_hook_stops_a_copy_and_lets_those_pass_who_have_no_key() {
    let sandbox = repository();
    let program = sandbox.path("../bin/encfile");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_encfile"), program).unwrap();
    sandbox.encfile(["git", "install", "--scan"]).go().success();
    sandbox.write("a.txt", format!("{PASSWORD}\n"));
    git(&sandbox, &["add", "."]);
    let program = peers::system("git");
    sandbox.run(&program, ["commit", "-qm", "copy"]).go().code(1).says(["1 errors"]);
    sandbox.no_env("SOPS_AGE_KEY_FILE");
    sandbox.run(&program, ["commit", "-qm", "copy"]).go().success();
}
