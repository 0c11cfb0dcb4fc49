//! The reader against what SOPS' own code makes of the documents in `testdata/yaml`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::Yaml;
use crate::format::{FileFormat, SyntaxError};
use crate::number::{canonical_float, rfc3339};
use crate::secret::SecretBytes;
use crate::span::Span;
use crate::tree::{KeyType, NodeId, NodeKind, Step, Style, TextRef, Tree};

fn parse(text: &[u8]) -> Result<Tree, SyntaxError> {
    Yaml.parse(SecretBytes::from(text))
}

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/yaml")
}

/// The files in a folder of the test data with that ending, in order.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(testdata().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_str().unwrap().ends_with(ending))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

/// The documents on which SOPS' code was asked: name, text, and the trees as JSON, or `None`.
fn oracle() -> Vec<(String, Vec<u8>, Option<String>)> {
    let mut rows = Vec::new();
    for path in files("oracle", ".jsonl") {
        let file = path.file_stem().unwrap().to_str().unwrap().to_owned();
        for line in std::fs::read_to_string(path).unwrap().lines() {
            // One tree is too deep for `serde_json` to read.
            let (head, tree) = match line.split_once(", \"tree\": ") {
                Some((head, tree)) => (format!("{head}}}"), tree.strip_suffix('}')),
                None => (line.to_owned(), None),
            };
            let row: Value = serde_json::from_str(&head).unwrap();
            let text = match &row["yaml"] {
                Value::String(text) => text.clone().into_bytes(),
                _ => base64::engine::general_purpose::STANDARD
                    .decode(row["yaml_base64"].as_str().unwrap())
                    .unwrap(),
            };
            let name = format!("{file}/{}", row["name"].as_str().unwrap());
            rows.push((name, text, tree.map(str::to_owned)));
        }
    }
    rows
}

/// The tree in the form of the test data.
fn json(tree: &Tree) -> Value {
    let mut open: Vec<(NodeKind, Option<Value>, Vec<Value>)> = Vec::new();
    let mut documents = Vec::new();
    for step in tree.walk(None) {
        let (id, value) = match step {
            Step::Enter(id) => {
                open.push((tree.node(id).kind, key(tree, id), Vec::new()));
                continue;
            }
            Step::Leaf(id) => (id, leaf(tree, id)),
            Step::Leave(id) => {
                let (kind, key, members) = open.pop().unwrap();
                let value = if kind == NodeKind::Map {
                    json!({ "map": members })
                } else {
                    json!({ "list": members })
                };
                match open.last_mut() {
                    Some((_, _, members)) => members.push(match key {
                        Some(key) => json!([key, value]),
                        None => value,
                    }),
                    None => documents.push(value),
                }
                let _ = id;
                continue;
            }
        };
        let (_, _, members) = open.last_mut().unwrap();
        members.push(match key(tree, id) {
            Some(key) => json!([key, value]),
            None => value,
        });
    }
    Value::Array(documents)
}

fn key(tree: &Tree, id: NodeId) -> Option<Value> {
    let key = tree.node(id).key?;
    let text = String::from_utf8_lossy(tree.text(key.text)).into_owned();
    Some(match key.kind {
        KeyType::Text => json!(text),
        KeyType::Null => json!({ "badkey": "<nil> <nil>" }),
        KeyType::Integer => json!({ "badkey": format!("int {text}") }),
        kind => json!({ "badkey": format!("{kind:?} {text}") }),
    })
}

fn leaf(tree: &Tree, id: NodeId) -> Value {
    let text = |text| lossy(tree.text(text));
    match tree.node(id).kind {
        NodeKind::Text(value) => json!({ "str": text(value) }),
        NodeKind::Integer(number) => json!({ "int": number.to_string() }),
        NodeKind::Unsigned(number) => json!({ "int": number.to_string() }),
        NodeKind::Float(number) => json!({ "float": canonical_float(number) }),
        NodeKind::Boolean(flag) => json!({ "bool": flag }),
        NodeKind::Time(time) => json!({ "time": rfc3339(time) }),
        NodeKind::Null => json!({ "null": null }),
        NodeKind::Comment { text: value, inline } => {
            json!({ "comment": text(value), "inline": inline })
        }
        NodeKind::Map | NodeKind::List => unreachable!(),
    }
}

/// The text with a replacement character for each byte that is not UTF-8, as Go prints it.
fn lossy(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| '\u{FFFD}'));
    }
    text
}

/// The names in `differences.txt`.
fn known_differences() -> BTreeSet<String> {
    std::fs::read_to_string(testdata().join("differences.txt"))
        .unwrap()
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| line.split_once('\t').unwrap().0.to_owned())
        .collect()
}

/// Every comment of the source is in the tree or a stray, once, and spans are in their parents'.
fn check_places(tree: &Tree) -> Result<(), String> {
    let mut comments: Vec<Span> = tree.strays().iter().map(|stray| stray.span).collect();
    let source = tree.source();
    for (index, node) in tree.nodes().iter().enumerate() {
        let Some(span) = node.span else { continue };
        if span.start > span.end || span.end as usize > source.len() {
            return Err(format!("span of node {index}"));
        }
        if let NodeKind::Comment { .. } = node.kind {
            comments.push(span);
            continue;
        }
        let text = &source[span.range()];
        let starts = match node.site.style {
            Style::SingleQuoted => text.starts_with(b"'") && text.ends_with(b"'") && text.len() > 1,
            Style::DoubleQuoted => {
                text.starts_with(b"\"") && text.ends_with(b"\"") && text.len() > 1
            }
            Style::Literal => text.starts_with(b"|"),
            Style::Folded => text.starts_with(b">"),
            Style::Alias => text.starts_with(b"*"),
            Style::Plain => !text.ends_with(b" ") && !text.ends_with(b"\n"),
            _ => true,
        };
        if !starts {
            return Err(format!("text of node {index}"));
        }
    }
    comments.sort();
    for pair in comments.windows(2) {
        if pair[0].end > pair[1].start {
            return Err("two comments overlap".to_owned());
        }
    }
    if comments.iter().any(|span| source[span.start as usize] != b'#') {
        return Err("a comment starts elsewhere".to_owned());
    }
    Ok(())
}

fn same(found: &Value, expected: &str) -> bool {
    match serde_json::from_str::<Value>(expected) {
        Ok(expected) => *found == expected,
        Err(_) => found.to_string().replace(' ', "") == expected.replace(' ', ""),
    }
}

/// Compares one document, and describes the difference.
fn compare(name: &str, text: &[u8], expected: Option<&str>, out: &mut String) -> bool {
    let found = parse(text);
    let problem = match (&found, expected) {
        (Ok(tree), Some(expected)) => match check_places(tree) {
            Err(problem) => problem,
            Ok(()) if same(&json(tree), expected) => return true,
            Ok(()) => format!("  want {expected}\n  have {}", json(tree)),
        },
        (Err(_), None) => return true,
        (Ok(tree), None) => format!("  want a refusal\n  have {}", json(tree)),
        (Err(error), Some(expected)) => {
            format!("  want {expected}\n  have {error} at {:?}", error.position)
        }
    };
    let text = String::from_utf8_lossy(text);
    writeln!(out, "{name}: {text:?}\n{problem}").unwrap();
    false
}

/// The trees that lie beside their documents.
fn trees() -> Vec<(String, Vec<u8>, Option<String>)> {
    let mut rows = Vec::new();
    for folder in ["trees", "cases"] {
        for path in files(folder, ".yaml") {
            let stem = path.file_stem().unwrap().to_str().unwrap();
            let tree = std::fs::read_to_string(path.with_extension("tree.json")).unwrap();
            let text = std::fs::read(&path).unwrap();
            rows.push((format!("{folder}/{stem}"), text, Some(tree)));
        }
    }
    rows
}

#[test]
fn documents_are_read_as_sops_reads_them() {
    let differences = known_differences();
    let mut seen = BTreeSet::new();
    let mut problems = String::new();
    let mut count = 0;
    for (name, text, expected) in oracle().into_iter().chain(trees()) {
        count += 1;
        let mut problem = String::new();
        if !compare(&name, &text, expected.as_deref(), &mut problem) {
            if differences.contains(&name) {
                seen.insert(name);
            } else {
                problems.push_str(&problem);
            }
        }
    }
    let stale: Vec<&String> = differences.difference(&seen).collect();
    assert!(problems.is_empty(), "{problems}");
    assert!(stale.is_empty(), "no longer different: {stale:?}");
    assert!(count > 11_000, "most of the test data is missing");
}

/// Each node of a text that has a place: key, spelled value, tag and anchor, style, indentation
/// (with a `,` in a flow collection).
fn places(text: &str) -> Vec<String> {
    let tree = parse(text.as_bytes()).unwrap();
    let cut = |span: Option<Span>| span.map_or("-", |span| &text[span.range()]);
    tree.nodes()
        .iter()
        .skip(1)
        .map(|node| {
            let flow = if node.site.flow { "," } else { "" };
            format!(
                "{}|{}|{}|{:?}|{}{flow}",
                node.key.map_or("", |key| cut(key.span)),
                cut(node.span),
                cut(node.site.properties),
                node.site.style,
                node.site.indent
            )
        })
        .collect()
}

#[test]
fn scalars_have_their_exact_place() {
    let text =
        "a: x y  \n'b': !t &n 'q' # c\n\"c\":\n  - \"d\"\n  - k: {f: [1, \"2\"], g: }\nh: \n";
    assert_eq!(
        places(text),
        [
            "a|x y|-|Plain|0",
            "|# c|-|Plain|0",
            "'b'|'q'|!t &n|SingleQuoted|0",
            "\"c\"|- \"d\"\n  - k: {f: [1, \"2\"], g: }|-|Block|0",
            "|\"d\"|-|DoubleQuoted|2",
            "|k: {f: [1, \"2\"], g: }|-|Block|2",
            "k|{f: [1, \"2\"], g: }|-|Flow|4",
            "f|[1, \"2\"]|-|Flow|4,",
            "|1|-|Plain|4,",
            "|\"2\"|-|DoubleQuoted|4,",
            "g||-|Plain|4,",
            "h||-|Plain|0",
        ]
    );
}

#[test]
fn block_scalars_end_with_their_last_line() {
    let clipped = "a: |2 # c\n\n    x\n  y\n\n\nb: >+\n  z\n\n# d\nc: |-\n  w";
    assert_eq!(
        places(clipped),
        [
            "|# c|-|Plain|0",
            "a||2 # c\n\n    x\n  y\n|-|Literal|0",
            "b|>+\n  z\n\n|-|Folded|0",
            "|# d|-|Plain|0",
            "c||-\n  w|-|Literal|0",
        ]
    );
}

#[test]
fn implied_nulls_stand_behind_the_indicator() {
    let tree = parse(b"a: # c\n- \nb: !x &y \n? k\n").unwrap();
    let ends: Vec<u32> = tree
        .nodes()
        .iter()
        .filter(|node| matches!(node.kind, NodeKind::Null | NodeKind::Text(_)))
        .map(|node| node.span.unwrap())
        .inspect(|span| assert!(span.is_empty()))
        .map(|span| span.start)
        .collect();
    assert_eq!(ends, [8, 18, 23]);
}

#[test]
fn aliases_are_copies_without_places() {
    let text = "a: &x {k: 1} # c\nb: *x\nc: [*x]\n";
    assert_eq!(
        places(text),
        [
            "a|{k: 1}|&x|Flow|0",
            "|# c|-|Plain|0,",
            "k|1|-|Plain|0,",
            "b|*x|-|Alias|0",
            "|-|-|Plain|0,",
            "-|-|-|Plain|0,",
            "c|[*x]|-|Flow|0",
            "|*x|-|Alias|0,",
            "|-|-|Plain|0,",
            "-|-|-|Plain|0,",
        ]
    );
}

#[test]
fn documents_reach_from_marker_to_marker() {
    let text = "\u{FEFF}# c\na: 1\n--- # d\n{b: 2} # e\n...\n---\n";
    let tree = parse(text.as_bytes()).unwrap();
    let documents: Vec<(&str, Option<&str>, Style)> = tree
        .documents()
        .map(|id| {
            let node = tree.node(id);
            let body = node.site.properties.map(|span| &text[span.range()]);
            (&text[node.span.unwrap().range()], body, node.site.style)
        })
        .collect();
    assert_eq!(
        documents,
        [
            ("# c\na: 1\n", Some("a: 1"), Style::Block),
            (" # d\n{b: 2} # e\n", Some("{b: 2}"), Style::Flow),
            ("\n", None, Style::Block),
        ]
    );
}

#[test]
fn comments_that_sops_drops_are_strays() {
    let text = "%YAML 1.1 # directive\n---\na: { # open\n  b: 1 } # close\nc: [ # open too\n]\n";
    let tree = parse(text.as_bytes()).unwrap();
    let strays: Vec<&[u8]> = tree.strays().iter().map(|stray| tree.text(stray.text)).collect();
    assert_eq!(strays, [&b" directive"[..], b" open", b" open too"]);
}

#[test]
fn plain_text_is_not_copied() {
    let tree = parse(b"a b: c d\n'e': \"f  g\"\nh: 'i''j'\n").unwrap();
    let pooled: Vec<&[u8]> = tree
        .nodes()
        .iter()
        .filter_map(|node| match node.kind {
            NodeKind::Text(text @ TextRef::Pool(_)) => Some(tree.text(text)),
            _ => None,
        })
        .collect();
    assert_eq!(pooled, [b"i'j"]);
}

#[test]
fn duplicate_keys_of_later_documents_are_read_but_not_encrypted() {
    let tree = parse(b"a: 1\n---\nb: 1\nc:\n  b: 1\nb: canary\n").unwrap();
    let refusal = Yaml.refusal(&tree).unwrap();
    assert_eq!(refusal.position.unwrap().line, 6);
    assert_eq!(refusal.to_string(), "the key at `[\"b\"]` stands there twice");
    assert!(Yaml.refusal(&parse(b"a: 1\nb: {a: 1}\n---\na: 1\n").unwrap()).is_none());
    assert!(parse(b"a: 1\na: 1\n---\nb: 1\n").is_err());
    // SOPS sees no repetition behind an alias, and has both.
    let refusal = Yaml.refusal(&parse(b"? &k a\n: 1\n? *k\n: 2\n").unwrap()).unwrap();
    assert_eq!(refusal.position.unwrap().line, 3);
    assert!(Yaml.refusal(&parse(b"a: &k b\n*k : 1\n").unwrap()).is_none());
}

#[test]
fn two_spellings_of_a_null_key_are_not_written_as_one() {
    let tree = Yaml.parse(SecretBytes::from("null: x\n? \n")).unwrap();
    Yaml.emit(&tree, &crate::format::Layout::default()).unwrap_err();
}

#[test]
fn errors_have_a_place_and_no_content() {
    for (text, line, column) in [
        ("a: canary\n b: canary\n", 2, 3),
        ("a: 'canary\n", 1, 4),
        ("a: \"\\q canary\"\n", 1, 5),
        ("a: !!int canary\n", 1, 10),
        ("a: !!binary canary!\n", 1, 13),
        ("canary\n", 1, 1),
        ("- canary\n", 1, 1),
        ("? [canary]\n: 1\n", 1, 3),
        ("a: *canary\n", 1, 4),
        ("a: &b [*b]\n", 1, 8),
        ("<<: canary\n", 1, 5),
        ("%YAML 1.2\n---\na: canary\n", 1, 1),
        ("a:\n\tb: canary\n", 2, 1),
        ("# canary\n", 2, 1),
    ] {
        let error = parse(text.as_bytes()).unwrap_err();
        let position = error.position.unwrap();
        assert_eq!((position.line, position.column), (line, column), "{text:?}");
        assert!(!error.message.contains("canary"), "{error}");
    }
}

#[test]
fn nothing_at_all_is_no_document() {
    assert_eq!(parse(b"").unwrap().documents().count(), 0);
    assert_eq!(parse(b"---").unwrap().documents().count(), 1);
    assert!(parse(b" \n").is_err());
}

#[test]
fn nesting_and_aliases_are_bounded() {
    let nested = |depth: usize| format!("a: {}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(parse(nested(999).as_bytes()).is_ok());
    assert!(parse(nested(1000).as_bytes()).is_err());
    assert!(parse("[".repeat(100_000).as_bytes()).is_err());
    assert!(parse(format!("a:\n {}", "- ".repeat(100_000)).as_bytes()).is_err());
    let mut blocks = String::new();
    for depth in 0..2000 {
        writeln!(blocks, "{:depth$}a:", "").unwrap();
    }
    assert!(parse(blocks.as_bytes()).is_err());

    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        writeln!(bomb, "a{level}: &a{level} [{aliases}]").unwrap();
    }
    assert!(parse(bomb.as_bytes()).is_err());
    assert!(parse(format!("z: 1\n---\n{bomb}").as_bytes()).is_err());

    // Aliases of aliases may not be deeper than what is written out.
    let mut deep = format!("a0: &a0 {}{}\n", "[".repeat(500), "]".repeat(500));
    for level in 1..4 {
        let (open, close) = ("[".repeat(300), "]".repeat(300));
        writeln!(deep, "a{level}: &a{level} {open}*a{}{close}", level - 1).unwrap();
    }
    assert!(parse(deep.as_bytes()).is_err());
}

/// Reads a text and checks what holds for every text.
fn check_any(text: &[u8]) {
    if let Ok(tree) = parse(text) {
        let problem = check_places(&tree);
        assert!(problem.is_ok(), "{problem:?} in {:?}", lossy(text));
    }
}

/// A change of a text at a place, both taken modulo what there is.
fn change(text: &mut Vec<u8>, place: usize, kind: usize, length: usize) {
    const PIECES: &[&[u8]] = &[
        b"#",
        b" # c",
        b"\n",
        b"\r\n",
        b"  ",
        b"\t",
        b"- ",
        b": ",
        b"? ",
        b"[",
        b"]",
        b"{",
        b"}",
        b",",
        b"&a ",
        b"*a",
        b"!",
        b"!!int ",
        b"!<x> ",
        b"%",
        b"---\n",
        b"...\n",
        b"|\n",
        b">-\n",
        b"'",
        b"\"",
        b"\\",
        b"\\x4",
        b"<<: ",
        b"a: 1\n",
        b"\xC2\x85",
        b"\xE2\x80\xA8",
        b"\xC3",
        b"\0",
        b"\xEF\xBB\xBF",
        b"%YAML 1.1\n",
        b"%TAG !e! x:%20\n",
        b"|+9 # c\n",
        b"!!binary ",
    ];
    let at = place % (text.len() + 1);
    let end = (at + length).min(text.len());
    match kind % (PIECES.len() + 3) {
        0 => drop(text.drain(at..end)),
        1 => {
            let copy = text[at..end].to_vec();
            text.splice(at..at, copy);
        }
        2 => text.truncate(at),
        kind => drop(text.splice(at..at, PIECES[kind - 3].iter().copied())),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_the_reader_panic(text in proptest::collection::vec(any::<u8>(), 0..200)) {
        check_any(&text);
    }

    #[test]
    fn no_yaml_characters_make_the_reader_panic(text in "[-a?:,{}\\[\\]#&*!|>'\"%@0 \t\n\r\\\\.<]{0,60}") {
        check_any(text.as_bytes());
    }
}

#[test]
fn no_changed_document_makes_the_reader_panic() {
    let corpus = oracle();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let changes = proptest::collection::vec((any::<usize>(), any::<usize>(), 0..40usize), 1..6);
    for (_, text, _) in corpus.iter().step_by(5) {
        let tree = changes.new_tree(&mut runner).unwrap();
        let mut text = text.clone();
        for (place, kind, length) in proptest::strategy::ValueTree::current(&tree) {
            change(&mut text, place, kind, length);
        }
        check_any(&text);
    }
}

#[test]
fn a_list_of_merges_may_have_comments_as_sops_encrypts_them() {
    let sealed = "ENC[AES256_GCM,data:a,iv:b,tag:c,type:comment]";
    assert!(parse(format!("m:\n  <<:\n    - {sealed}\n    - a: 1\n").as_bytes()).is_ok());
    for text in ["m:\n  <<:\n    - text\n    - a: 1\n".to_owned(), format!("m:\n  <<: {sealed}\n")]
    {
        let error = parse(text.as_bytes()).map(|_| ()).unwrap_err();
        assert_eq!(error.message, "the value of `<<` must be a map or a list of maps");
    }
}
