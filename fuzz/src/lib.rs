//! The bodies of the fuzz targets: for any bytes, no panic, and the laws that are checked here.
//!
//! A new target is a function here, a line in [`TARGETS`], a file in `src/bin` and an entry in
//! `Cargo.toml`.

use std::hint::black_box;

use encfile::format::{self, FileFormat, Layout};
use encfile::secret::SecretBytes;
use encfile::tree::{Step, Tree};

/// A fuzz target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name, which is also that of the program.
    pub name: &'static str,
    /// What is run for each input.
    pub body: fn(&[u8]),
    /// The folders of testdata that have inputs for it.
    pub inputs: &'static [&'static str],
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target { name: "json", body: json, inputs: &["corpus/json", "examples"] },
    Target { name: "dotenv", body: dotenv, inputs: &["corpus/dotenv", "examples"] },
    Target { name: "ini", body: ini, inputs: &["corpus/ini", "ini", "examples"] },
    Target { name: "binary", body: binary, inputs: &["corpus/binary", "examples"] },
    Target {
        name: "yaml",
        body: yaml,
        inputs: &["corpus/yaml", "corpus/yaml-comments", "examples"],
    },
    Target { name: "names", body: names, inputs: &["corpus"] },
];

/// A text as JSON.
pub fn json(data: &[u8]) {
    parse("json", data);
}

/// A text as dotenv.
pub fn dotenv(data: &[u8]) {
    parse("dotenv", data);
}

/// A text as INI.
pub fn ini(data: &[u8]) {
    parse("ini", data);
}

/// A text as a binary file: plain, then in its container.
pub fn binary(data: &[u8]) {
    parse("binary", data);
}

/// A text as YAML.
pub fn yaml(data: &[u8]) {
    parse("yaml", data);
}

/// A text as the content, and its lines as names, of files whose format is to be found.
pub fn names(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for line in text.lines().take(100) {
        let _ = format::by_ending(line);
        let _ = format::by_file_name(line);
        let _ = format::by_content(data, line);
    }
}

fn parse(name: &str, data: &[u8]) {
    let Some(format) = format::by_name(name) else {
        panic!("no format is called {name}");
    };
    let _ = format.sniff(data);
    let Ok(tree) = format.parse(SecretBytes::from(data)) else {
        return;
    };
    assert_eq!(tree.source(), data, "the tree has another text");
    read_all(&tree);
    let _ = format.warnings(&tree);

    // Nothing changed, so nothing is written.
    if let Ok(edits) = format.splice(&tree, &[]) {
        assert!(edits.apply(data)[..] == *data, "a change out of nothing");
    }
    // The text without its metadata is of the same format, and so is the block.
    if let Ok(Some(detached)) = format.detach(&tree) {
        let rest = detached.edits.apply(data);
        // What had nothing else is now empty, which not every format can be.
        if !rest.trim_ascii().is_empty() {
            reparse(format, &rest, "the text without metadata");
        }
        reparse(format, &detached.block, "the metadata block");
    }
    if let Ok(text) = format.emit(&tree, &Layout::default()) {
        reparse(format, &text, "the emitted text");
    }
}

fn reparse(format: &dyn FileFormat, text: &[u8], what: &str) {
    assert!(
        format.parse(SecretBytes::from(text)).is_ok(),
        "{} does not parse: {}",
        what,
        text.escape_ascii()
    );
}

/// Reads every value, key and path of a tree.
fn read_all(tree: &Tree) {
    let source = tree.source().len();
    for node in tree.nodes() {
        assert!(node.end() <= tree.nodes().len());
        if let Some(span) = node.span {
            let range = span.range();
            assert!(range.start <= range.end && range.end <= source);
        }
    }
    // A path costs as much as the document is wide: a sample is enough.
    let mut paths = 0;
    let mut depth = 0_usize;
    for step in tree.walk(None) {
        let (Step::Enter(id) | Step::Leaf(id) | Step::Leave(id)) = step;
        match step {
            Step::Enter(_) => depth += 1,
            Step::Leave(_) => depth -= 1,
            Step::Leaf(_) => {
                black_box(tree.comment(id));
                black_box(tree.value(id));
            }
        }
        black_box(tree.key(id));
        if paths < 50 {
            black_box(tree.path(id));
            paths += 1;
        }
    }
    assert_eq!(depth, 0, "the walk does not leave what it enters");
}
