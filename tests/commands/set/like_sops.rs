//! `set` and `unset` against the real SOPS: the same command on the same file must give the same
//! data, for every place of every document of `testdata/set/documents`.

use std::collections::BTreeMap;
use std::path::Path;

use encfile::format;
use encfile::secret::SecretBytes;
use encfile::tree::{NodeId, NodeKind, Tree};

use crate::files::{ALICE, below};
use crate::sandbox::Sandbox;

/// Values as JSON.
const VALUES: [&str; 6] =
    ["\"new text\"", "true", "\"two\\nlines: x\\n\"", "7", "{\"k\": [1.5, {\"z\": null}]}", "{}"];

/// Every how many of the combinations is tried.
const STEP: usize = 5;

/// Returns SOPS' paths of the values of a document and of new members of its maps and lists.
fn paths(tree: &Tree) -> Vec<String> {
    let root = tree.documents().next().unwrap();
    let mut paths = Vec::new();
    for index in 0..tree.node(root).end() {
        let id: NodeId = tree.id_at(index).unwrap();
        let path = tree.path(id);
        if tree.node(id).kind.is_comment() || path.contains('\\') {
            continue;
        }
        match tree.node(id).kind {
            NodeKind::Map => paths.push(format!("{path}[\"new\"]")),
            NodeKind::List => paths.push(format!("{path}[9]")),
            _ => paths.push(format!("{path}[\"below\"]")),
        }
        if id != root {
            paths.push(path);
        }
    }
    paths
}

/// Returns the data of a file as SOPS decrypts it.
fn data(sandbox: &Sandbox, file: &str) -> Option<String> {
    let outcome = sandbox.real_sops(["decrypt", "--output-type", "json", file]).go();
    outcome.has_succeeded().then(|| String::from_utf8(outcome.into_stdout()).unwrap())
}

fn compare(sandbox: &Sandbox, name: &str, encrypted: &str, arguments: &[&str]) -> &'static str {
    sandbox.allow_leftovers();
    let file = format!("ours-{name}");
    let theirs = format!("theirs-{name}");
    for file in [&file, &theirs] {
        sandbox.write(file, encrypted);
    }
    let with = |file: &str| {
        let mut all = vec![arguments[0].to_owned(), file.to_owned()];
        all.extend(arguments[1..].iter().map(|&argument| argument.to_owned()));
        all
    };
    let sops = sandbox.real_sops(with(&theirs)).secrets_in_messages().go();
    let ours = sandbox.as_sops(with(&file)).go();
    let what = format!("{name} {arguments:?}\n{}\n{}", sops.messages(), ours.messages());
    let expected = sops.has_succeeded().then(|| data(sandbox, &theirs)).flatten();
    match expected {
        Some(expected) => {
            assert!(ours.has_succeeded(), "{what}");
            assert_eq!(data(sandbox, &file).as_deref(), Some(expected.as_str()), "{what}");
            "same"
        }
        // SOPS refuses, crashes, or writes what it cannot read.
        None if ours.has_succeeded() => {
            assert!(data(sandbox, &file).is_some(), "{what}");
            "ours alone"
        }
        None => {
            assert_eq!(sandbox.read(&file), encrypted, "{what}");
            "refused"
        }
    }
}

/// Returns whether a combination is one in which encfile differs from SOPS on purpose.
fn differs(format: &str, path: &str, value: Option<&str>) -> bool {
    // Flat formats have texts alone, where SOPS stores types and prints `7.0`; and the keys in front
    // of the first section are a section to it.
    (matches!(format, "dotenv" | "ini") && matches!(value, Some("7" | "true")))
        || (format == "ini" && path == "[\"DEFAULT\"]")
}

/// How the combinations of a document ended.
type Counts = BTreeMap<&'static str, usize>;

fn compare_all(document: &Path) -> Counts {
    let name = document.file_name().unwrap().to_str().unwrap().to_owned();
    let format = format::by_ending(&name);
    let plain = std::fs::read(document).unwrap();
    let tree = format.parse(SecretBytes::from(&plain[..])).unwrap();
    let sandbox = Sandbox::with_identity(ALICE);
    sandbox.encrypted_by_sops(&name, &plain, &[ALICE]);
    let encrypted = sandbox.read(&name);
    let paths = paths(&tree);
    let set = paths.iter().flat_map(|path| VALUES.map(|value| (path, Some(value))));
    let unset = paths.iter().map(|path| (path, None));
    let mut counts = Counts::new();
    for (path, value) in set.step_by(STEP).chain(unset.step_by(2)) {
        if differs(format.name(), path, value) {
            continue;
        }
        let result = match value {
            Some(value) => compare(&sandbox, &name, &encrypted, &["set", path, value]),
            None => compare(&sandbox, &name, &encrypted, &["unset", path]),
        };
        *counts.entry(result).or_default() += 1;
    }
    counts
}

#[test]
fn the_data_is_the_same_as_with_sops() {
    let documents = below("testdata/set/documents");
    let counts = std::thread::scope(|scope| {
        let threads: Vec<_> =
            documents.iter().map(|document| scope.spawn(|| compare_all(document))).collect();
        let mut all = Counts::new();
        for thread in threads {
            for (result, count) in thread.join().unwrap() {
                *all.entry(result).or_default() += count;
            }
        }
        all
    });
    assert_eq!(counts, [("refused", 26), ("same", 275)].into());
}
