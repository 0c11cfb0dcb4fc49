//! That work grows with the size of a file and no faster, without a clock: four times the file may
//! allocate four times as many bytes, in four times as many pieces, and a little more.
//!
//! What copies or collects too much shows here. A loop that only looks does not.

use std::fmt::Write as _;

use allocation_counter::{AllocationInfo, measure};
use encfile::document::Document;
use encfile::file::{EncryptedFile, Plan, Previous, encrypt};
use encfile::format::{FileFormat, Layout, by_name};
use encfile::merge::three_way;
use encfile::secret::SecretBytes;
use encfile::tree::path::TreePath;

use crate::files::Keys;

/// How many times as large the second file is.
const TIMES: usize = 4;

/// A kind of file, by its size.
type Text = fn(usize) -> String;

/// Returns `line` for each number below `count`.
fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(line).collect()
}

/// Each shape with its format and its smaller size.
const SHAPES: &[(&str, &str, usize, Text)] = &[
    ("keys", "yaml", 500, |n| lines(n, |i| format!("key{i}: value {i}\n"))),
    ("comments", "yaml", 250, |n| lines(n, |i| format!("# above {i}\nkey{i}: {i} # beside\n"))),
    ("a run of comments", "yaml", 500, |n| "# line\n".repeat(n) + "key: 1\n"),
    ("aliases", "yaml", 125, |n| {
        let anchor = "anchor: &a\n  # above\n  x: 1 # beside\n  y: text\n".to_owned();
        anchor + &lines(n, |i| format!("alias{i}: *a\n"))
    }),
    ("aliases within braces", "yaml", 250, |n| {
        let anchor = "anchor: &a\n  x: 1 # beside\nlist: [".to_owned();
        anchor + &lines(n, |_| "*a, ".to_owned()) + "1]\n"
    }),
    ("anchors", "yaml", 250, |n| lines(n, |i| format!("key{i}: &a{i} 1\nalias{i}: *a{i}\n"))),
    ("nested lists", "yaml", 240, |n| {
        format!("first: 1\nkey: {}1{}\n", "[".repeat(n), "]".repeat(n))
    }),
    ("a block scalar", "yaml", 2000, |n| "key: |\n".to_owned() + &"  some text\n".repeat(n)),
    ("block scalars", "yaml", 400, |n| lines(n, |i| format!("key{i}: |\n  one\n  two\n"))),
    ("a flow list", "yaml", 500, |n| format!("key: [{}x]\n", "text, ".repeat(n))),
    ("a block list", "yaml", 250, |n| "key:\n".to_owned() + &"- text # c\n".repeat(n)),
    ("quoted text", "yaml", 2000, |n| format!("key: \"{}\"\n", "a\\n\\u00e9 b".repeat(n))),
    ("documents", "yaml", 250, |n| lines(n, |i| format!("---\n# c\nkey: {i}\n"))),
    ("keys", "json", 500, |n| {
        "{".to_owned() + &lines(n, |i| format!("\"key{i}\": \"v\", ")) + "\"last\": 1}\n"
    }),
    ("nested lists", "json", 500, |n| {
        format!("{{\"first\": 1, \"key\": {}1{}}}\n", "[".repeat(n), "]".repeat(n))
    }),
    ("sections", "ini", 250, |n| lines(n, |i| format!("; c\n[section{i}]\nkey = {i}\n"))),
    ("keys", "ini", 500, |n| "[s]\n".to_owned() + &lines(n, |i| format!("key{i} = {i}\n"))),
    ("lines", "dotenv", 500, |n| lines(n, |i| format!("# c\nKEY{i}=value\n"))),
    ("tables", "toml", 250, |n| lines(n, |i| format!("# c\n[table{i}]\nkey = {i}\n"))),
    ("keys", "toml", 250, |n| lines(n, |i| format!("key{i} = \"value\" # c\n"))),
];

impl Keys {
    fn seal(&self, document: Document, previous: Option<&mut Previous>) -> SecretBytes {
        let output = document.format();
        let plan = Plan {
            metadata: self.metadata.clone(),
            data_key: &self.data_key,
            output,
            layout: Layout::default(),
            previous,
            allow_nothing_selected: true,
        };
        encrypt(document, plan).unwrap()
    }
}

fn document(format: &'static dyn FileFormat, text: &str) -> Document {
    Document::parse(format, SecretBytes::from(text.as_bytes())).unwrap()
}

/// Returns what each piece of work on a file allocates.
fn work(keys: &Keys, name: &str, text: &str) -> Vec<(&'static str, AllocationInfo)> {
    let format = by_name(name).unwrap();
    let mut found = Vec::new();
    let mut sealed = SecretBytes::new();
    found.push(("encrypt", measure(|| sealed = keys.seal(document(format, text), None))));
    let open = || {
        let file = EncryptedFile::parse(format, SecretBytes::from(&*sealed)).unwrap();
        file.decrypt(&keys.data_key).unwrap()
    };
    let mut opened = SecretBytes::new();
    found.push(("decrypt", measure(|| opened = open().text().unwrap())));
    assert!(*opened == *text.as_bytes());
    found.push((
        "encrypt again",
        measure(|| {
            let (_, mut previous) = open().into_previous().unwrap();
            keys.seal(document(format, text), Some(&mut previous));
        }),
    ));
    let plain = document(format, text);
    let path = first_leaf(&plain);
    let value = document(by_name("json").unwrap(), "{\"v\": \"new\"}").into_tree();
    let leaf = value.documents().next().and_then(|root| value.entry(root, b"v")).unwrap();
    let value = value.into_subtree(leaf);
    let mut changed = String::new();
    found.push((
        "set",
        measure(|| {
            let set = plain.set(&path, &value).unwrap();
            changed = String::from_utf8(set.document.text().to_vec()).unwrap();
        }),
    ));
    let theirs = match name {
        "json" => text.replacen('{', "{\"added\": 1, ", 1),
        "yaml" if text.starts_with("---") => text.replacen("---\n", "---\nadded: 1\n", 1),
        "yaml" => format!("added: 1\n{text}"),
        "toml" => format!("added = 1\n{text}"),
        "ini" => format!("{text}[added]\nkey = 1\n"),
        _ => format!("ADDED=1\n{text}"),
    };
    let (ours, theirs) = (document(format, &changed), document(format, &theirs));
    found.push(("merge", measure(|| drop(three_way(Some(&plain), &ours, &theirs)))));
    found
}

/// Returns the tree path of the first leaf.
fn first_leaf(document: &Document) -> TreePath {
    let tree = document.tree();
    let root = tree.documents().next().unwrap();
    let is_value = |index: &usize| {
        let kind = tree.nodes()[*index].kind;
        !kind.is_container() && !kind.is_comment()
    };
    let first = (root.index()..tree.node(root).end()).find(is_value).unwrap();
    tree.tree_path(tree.id_at(first).unwrap())
}

#[test]
fn four_times_the_file_is_at_most_four_and_a_half_times_the_work() {
    let keys = Keys::new();
    let mut wrong = String::new();
    for &(shape, format, size, text) in SHAPES {
        let small = work(&keys, format, &text(size));
        let large = work(&keys, format, &text(size * TIMES));
        for ((what, small), (_, large)) in small.iter().zip(&large) {
            for (unit, small, large) in [
                ("bytes", small.bytes_total, large.bytes_total),
                ("pieces", small.count_total, large.count_total),
            ] {
                assert!(small > 0, "{what}, {format}, {shape}: nothing is counted");
                // Four and a half, in whole numbers.
                if large * 2 > small * 9 {
                    writeln!(wrong, "{what}, {format}, {shape}: {small} {unit} become {large}")
                        .unwrap();
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}
