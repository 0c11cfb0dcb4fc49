//! Every file of `testdata/corpus`, both ways between encfile and the real SOPS, or rops for TOML.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};

use crate::files::{ALICE, BOB, below, short};
use crate::peers;
use crate::sandbox::Sandbox;

/// The formats: a folder of the corpus each, named like the format and perhaps what is special.
mod json {
    super::laws!("json");
}
mod dotenv {
    super::laws!("dotenv");
}
mod ini {
    super::laws!("ini");
}
mod binary {
    super::laws!("binary");
}
mod yaml {
    super::laws!("yaml");
}
mod yaml_comments {
    super::laws!("yaml-comments");
}
mod toml;
mod yaml_aliases {
    super::laws!("yaml-aliases");
}

/// The laws, each a test for all files of a folder. A failure names the file.
macro_rules! laws {
    ($folder:literal) => {
        #[test]
        fn decrypting_gives_the_file_back_to_the_byte() {
            super::decrypting_gives_the_file_back_to_the_byte($folder);
        }
        #[test]
        fn sops_reads_what_encfile_writes() {
            super::sops_reads_what_encfile_writes($folder);
        }
        #[test]
        fn every_value_and_the_mac_are_right() {
            super::every_value_and_the_mac_are_right($folder);
        }
        #[test]
        fn encfile_reads_what_sops_writes() {
            super::encfile_reads_what_sops_writes($folder);
        }
        #[test]
        fn encfile_prints_what_sops_prints() {
            super::encfile_prints_what_sops_prints($folder);
        }
        #[test]
        fn no_secret_is_left_in_clear() {
            super::no_secret_is_left_in_clear($folder);
        }
    };
}
use laws;

/// A file of the corpus, copied into a sandbox.
struct Case {
    original: PathBuf,
    format: &'static str,
    /// The name of the copy in the working directory.
    name: String,
}

impl Case {
    fn plain(&self) -> Vec<u8> {
        fs::read(&self.original).unwrap()
    }
}

/// Checks that what `print` returns for each file of a corpus folder has the data of the file.
fn for_each_printed(folder: &str, print: impl Fn(&Sandbox, &Case) -> Option<Vec<u8>>) {
    let texts = tempfile::tempdir().unwrap();
    let pairs = RefCell::new(Vec::new());
    for_each(folder, |sandbox, case| {
        if let Some(text) = print(sandbox, case) {
            let printed = texts.path().join(&case.name);
            fs::write(&printed, text).unwrap();
            pairs.borrow_mut().push((case.original.clone(), printed));
        }
    });
    // At once: most of the time that the checker takes is its start.
    peers::assert_same_data(format_of(folder), &pairs.into_inner());
}

/// Returns the format of the files of a folder.
fn format_of(folder: &str) -> &'static str {
    match folder {
        "json" => "json",
        "dotenv" => "dotenv",
        "ini" => "ini",
        "binary" => "binary",
        "toml" => "toml",
        _ => "yaml",
    }
}

/// Calls `check` for each file of a corpus folder, in a sandbox with a rule for Alice and Bob.
fn for_each(folder: &str, check: impl Fn(&Sandbox, &Case)) {
    let sandbox = Sandbox::with_identity(ALICE);
    sandbox.config_for(&[ALICE, BOB]);
    let format = format_of(folder);
    let mut failed = Vec::new();
    for original in below(&format!("testdata/corpus/{folder}")) {
        let name = original.file_name().unwrap().to_str().unwrap().to_owned();
        fs::copy(&original, sandbox.path(&name)).unwrap();
        let case = Case { original, format, name };
        // All files are looked at: one that fails must not hide the others.
        let result =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(&sandbox, &case)));
        if result.is_err() {
            failed.push(short(&case.original));
        }
    }
    assert!(failed.is_empty(), "failed for: {failed:#?}");
}

fn decrypting_gives_the_file_back_to_the_byte(folder: &str) {
    for_each(folder, |sandbox, case| {
        sandbox.encfile(["encrypt", "-i", &case.name]).go().success();
        sandbox.encfile(["decrypt", &case.name]).go().success().stdout(case.plain());
    });
}

/// SOPS decrypts our file to the very bytes to which it decrypts its own: the trees are equal,
/// comments included.
fn sops_reads_what_encfile_writes(folder: &str) {
    for_each_printed(folder, |sandbox, case| {
        let types = ["--input-type", case.format, "--output-type", case.format];
        let ours = sandbox.encfile(["encrypt", &case.name]).go().success().into_stdout();
        let theirs = sandbox.real_sops(["encrypt", &case.name]).go().success().into_stdout();
        let decrypt = |name: &str| {
            let outcome =
                sandbox.real_sops(["decrypt"].iter().chain(&types).chain(&[name])).go().success();
            (outcome.messages().lines().count(), outcome.into_stdout())
        };
        sandbox.write("ours", ours);
        sandbox.write("theirs", theirs);
        let (warnings, text) = decrypt("ours");
        let (own_warnings, expected) = decrypt("theirs");
        // SOPS warns of comments that it could not decrypt, in some places also of its own.
        assert!(warnings <= own_warnings, "{}: SOPS warns of our file", short(&case.original));
        assert!(
            text == expected,
            "{}: SOPS prints another text for our file than for its own",
            short(&case.original)
        );
        Some(text)
    });
}

fn every_value_and_the_mac_are_right(folder: &str) {
    let sandbox = Sandbox::with_identity(ALICE);
    sandbox.config_for(&[ALICE, BOB]);
    let mut encrypted = Vec::new();
    for original in below(&format!("testdata/corpus/{folder}")) {
        let name = original.file_name().unwrap().to_str().unwrap().to_owned();
        fs::copy(&original, sandbox.path(&name)).unwrap();
        sandbox.encfile(["encrypt", "-i", &name]).go().success();
        encrypted.push(sandbox.path(&name));
    }
    peers::assert_valid(&encrypted);
}

fn encfile_reads_what_sops_writes(folder: &str) {
    for_each_printed(folder, |sandbox, case| {
        sandbox.real_sops(["encrypt", "-i", &case.name]).go().success();
        Some(sandbox.encfile(["decrypt", &case.name]).go().success().into_stdout())
    });
}

fn encfile_prints_what_sops_prints(folder: &str) {
    for_each(folder, |sandbox, case| {
        sandbox.real_sops(["encrypt", "-i", &case.name]).go().success();
        let expected = sandbox.real_sops(["decrypt", &case.name]).go().success().into_stdout();
        sandbox.encfile(["decrypt", &case.name]).go().success().stdout(expected);
    });
}

/// Every longer word of the plain file that the encrypted one has, too, is a key or stands where
/// the rule leaves it.
fn no_secret_is_left_in_clear(folder: &str) {
    for_each(folder, |sandbox, case| {
        let ours = sandbox.encfile(["encrypt", &case.name]).go().success();
        let theirs = sandbox.real_sops(["encrypt", &case.name]).go().success();
        let ours = String::from_utf8_lossy(&ours.into_stdout()).replace("encfile_layout", "");
        let theirs = String::from_utf8_lossy(&theirs.into_stdout()).into_owned();
        for word in words(&String::from_utf8_lossy(&case.plain())) {
            assert!(
                !ours.contains(word) || theirs.contains(word),
                "{}: `{word}` is in clear, which SOPS encrypts",
                short(Path::new(&case.name))
            );
        }
    });
}

/// Returns the longer words of a text but for tags, anchors and aliases, which stay as keys do.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace()
        .filter(|word| !word.trim_start_matches(['[', '{', '(']).starts_with(['!', '&', '*']))
        .flat_map(|word| word.split(|letter: char| !letter.is_alphanumeric()))
        .filter(|word| word.len() >= 6)
}

#[test]
fn the_corpus_is_large_enough() {
    let is_comment = |line: &str| line.trim_start().starts_with(['#', ';']) || line.contains(" #");
    let with_comments = ["yaml", "yaml-comments", "yaml-aliases", "dotenv", "ini"]
        .into_iter()
        .flat_map(|folder| below(&format!("testdata/corpus/{folder}")))
        .filter(|path| fs::read_to_string(path).unwrap().lines().any(is_comment));
    assert!(with_comments.count() >= 60);
    assert!(below("testdata/corpus/json").len() >= 10);
}
