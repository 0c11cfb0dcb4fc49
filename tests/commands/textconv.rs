//! `git diff` with encfile's textconv: whatever a file is, the diff is shown.

use crate::files::CAROL;
use crate::repository::Repository;

const PLAIN: &str = "host: canary-one\nport: 5432\n";

/// The changed lines that `git diff` shows.
fn changed_lines(repository: &Repository) -> Vec<String> {
    let diff = repository.git(&["diff"]);
    let lines = diff.lines().skip_while(|line| !line.starts_with("@@"));
    lines.filter(|line| line.starts_with(['+', '-'])).map(str::to_owned).collect()
}

fn repository() -> Repository {
    Repository::with(&[("app.yaml", PLAIN)])
}

#[test]
fn values_are_shown_in_clear() {
    let repository = repository();
    repository.edit("app.yaml", "s/5432/6543/");
    assert_eq!(changed_lines(&repository), ["-port: 5432", "+port: 6543"]);
}

#[test]
fn a_side_in_plain_text_is_shown_as_it_is() {
    let repository = repository();
    repository.sandbox.write("app.yaml", PLAIN.replace("5432", "6543"));
    assert_eq!(changed_lines(&repository), ["-port: 5432", "+port: 6543"]);
}

#[test]
fn without_the_key_ciphertexts_are_shown() {
    let repository = repository();
    repository.edit("app.yaml", "s/5432/6543/");
    repository.sandbox.env("SOPS_AGE_KEY_FILE", CAROL.path());
    let lines = changed_lines(&repository);
    let has = |start: &str| lines.iter().any(|line| line.starts_with(start));
    assert!(has("-port: ENC[") && has("+port: ENC["), "{lines:?}");
}

#[test]
fn a_conflict_is_shown_with_its_markers() {
    let repository = repository();
    let text = repository.sandbox.read("app.yaml");
    repository
        .sandbox
        .write("app.yaml", format!("<<<<<<< a\nx: 1\n=======\nx: 2\n>>>>>>> b\n{text}"));
    let lines = changed_lines(&repository);
    assert!(lines.contains(&"+<<<<<<< a".to_owned()), "{lines:?}");
}

#[test]
fn truncated_and_binary_files_are_shown() {
    let repository = repository();
    let text = repository.sandbox.read_bytes("app.yaml");
    for length in [0, 1, 20, text.len() / 2, text.len() - 1] {
        repository.sandbox.write("app.yaml", &text[..length]);
        repository.git(&["diff"]);
    }
    repository.sandbox.write("app.yaml", b"sops: \x00\xff\xfe\x80ENC[\n");
    let shown = repository.try_git(&["diff"]).success().into_stdout();
    assert!(memchr::memmem::find(&shown, b"\n-port: 5432\n").is_some());
}
