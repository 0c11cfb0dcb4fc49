//! Files that SOPS has encrypted: `testdata/vectors`, see the README there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::files::{BOB, below, repository};
use crate::peers;
use crate::sandbox::Sandbox;

/// The directories with cases.
const RELEASES: [&str; 2] = ["testdata/vectors/sops-3.11", "testdata/vectors/sops-3.13"];

/// One encrypted file.
struct Vector {
    /// `<release>/<case>`.
    name: String,
    encrypted: PathBuf,
    /// What SOPS prints, if it can read the file.
    decrypted: Option<PathBuf>,
}

impl Vector {
    fn all() -> Vec<Vector> {
        let files = RELEASES.into_iter().flat_map(below);
        files
            .filter(|path| path.file_stem().is_some_and(|stem| stem == "encrypted"))
            .map(|encrypted| {
                let folder = encrypted.parent().unwrap();
                let name = folder.strip_prefix(repository().join("testdata/vectors")).unwrap();
                let decrypted =
                    folder.join("decrypted").with_extension(encrypted.extension().unwrap());
                Vector {
                    name: name.display().to_string(),
                    decrypted: decrypted.exists().then_some(decrypted),
                    encrypted,
                }
            })
            .collect()
    }

    fn format(&self) -> &'static str {
        match self.encrypted.extension().and_then(|ending| ending.to_str()) {
            Some("yaml") => "yaml",
            Some("json") => "json",
            Some("env") => "dotenv",
            Some("ini") => "ini",
            _ => "binary",
        }
    }

    fn expected(&self) -> Option<Vec<u8>> {
        self.decrypted.as_ref().map(|path| fs::read(path).unwrap())
    }
}

/// Returns the lines of `expectations.txt`: the case and `reads` or `prints`.
fn expectations() -> BTreeMap<String, String> {
    let text = fs::read_to_string(repository().join("testdata/vectors/expectations.txt")).unwrap();
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let (case, rest) = line.split_once(' ').expect("a case and what it does");
            let (what, reason) = rest.split_once(": ").expect("a reason");
            assert!(
                matches!(what, "reads" | "prints" | "refuses" | "data") && !reason.is_empty(),
                "{line}"
            );
            (case.to_owned(), what.to_owned())
        })
        .collect()
}

/// Decrypts a vector; `None` if that fails.
fn decrypt(sandbox: &Sandbox, vector: &Vector) -> Option<Vec<u8>> {
    let outcome = sandbox.encfile([Path::new("decrypt"), &vector.encrypted]).go();
    outcome.has_succeeded().then(|| outcome.into_stdout())
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.env("SOPS_AGE_KEY_FILE", repository().join("testdata/vectors/keys.txt"));
    sandbox
}

#[test]
fn what_sops_reads_encfile_reads_with_the_same_data() {
    let sandbox = sandbox();
    let expectations = expectations();
    let mut wrong = Vec::new();
    for vector in Vector::all() {
        let Some(printed) = decrypt(&sandbox, &vector) else {
            let refuses = expectations.get(&vector.name).is_some_and(|what| what == "refuses");
            if !refuses && (vector.decrypted.is_some() || expectations.contains_key(&vector.name)) {
                wrong.push(format!("{}: not read", vector.name));
            }
            continue;
        };
        match &vector.decrypted {
            Some(expected) if fs::read(expected).unwrap() != printed => {
                let path = sandbox.write("printed", printed);
                let other = expectations.get(&vector.name).is_some_and(|what| what == "data");
                if !other && !peers::has_same_data(vector.format(), expected, &path) {
                    wrong.push(format!("{}: other data", vector.name));
                }
            }
            None if !expectations.contains_key(&vector.name) => {
                wrong.push(format!("{}: read, which SOPS cannot", vector.name));
            }
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn encfile_prints_what_sops_prints() {
    let sandbox = sandbox();
    let expectations = expectations();
    let mut wrong = Vec::new();
    for vector in Vector::all() {
        let Some(expected) = vector.expected() else {
            continue;
        };
        let same = decrypt(&sandbox, &vector).is_some_and(|printed| printed == expected);
        let excused = expectations.get(&vector.name).is_some_and(|what| what != "reads");
        if same == excused {
            wrong.push(vector.name);
        }
    }
    assert!(
        wrong.is_empty(),
        "another text than SOPS', or the same where expectations.txt says another: {wrong:#?}"
    );
}

#[test]
fn every_vector_that_is_read_can_be_rotated() {
    let sandbox = sandbox();
    let mut rotated = 0;
    for vector in Vector::all() {
        let Some(printed) = decrypt(&sandbox, &vector) else { continue };
        let name = vector.encrypted.file_name().unwrap().to_str().unwrap();
        sandbox.write(name, fs::read(&vector.encrypted).unwrap());
        // Over the old metadata, and with metadata that are written anew.
        sandbox.encfile(["rotate", "-i", name]).go().success();
        sandbox.encfile(["rotate", "-i", name, "--add-age", &BOB.recipient()]).go().success();
        let outcome = sandbox.encfile(["decrypt", name]).go().success();
        assert!(outcome.into_stdout() == printed, "{}", vector.name);
        // The peer does not read all that later releases wrote.
        if vector.decrypted.is_some() && vector.name.starts_with("sops-3.11/") {
            sandbox.real_sops(["decrypt", name]).go().success();
        }
        rotated += 1;
    }
    assert!(rotated > 100);
}

#[test]
fn every_expectation_is_about_a_vector() {
    let names: Vec<String> = Vector::all().into_iter().map(|vector| vector.name).collect();
    for case in expectations().keys() {
        assert!(names.contains(case), "{case}");
    }
}

/// Files in the spellings of older releases, each with the text that it holds. The one without was
/// written by a release whose files no other reads.
#[test]
fn files_of_older_releases_are_read() {
    let sandbox = sandbox();
    let mut count = 0;
    for path in below("testdata/vectors/older") {
        if path.extension().is_some_and(|ending| ending == "plain") {
            continue;
        }
        count += 1;
        let outcome = sandbox.encfile([Path::new("decrypt"), &path]).go();
        let expected = PathBuf::from(format!("{}.plain", path.display()));
        if expected.exists() {
            outcome.success().stdout(fs::read(expected).unwrap());
        } else {
            outcome.code(1).no_stdout();
        }
    }
    assert_eq!(count, 15);
}
