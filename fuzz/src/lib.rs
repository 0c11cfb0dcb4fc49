//! The bodies of the fuzz targets: for any bytes, no panic, and the laws that are checked here.
//!
//! A new target is a function here or in [`sealed`], a line in [`TARGETS`], a file in `src/bin` and
//! an entry in `Cargo.toml`.

mod sealed;

use std::hint::black_box;

use encfile::config::{Config, Strictness};
use encfile::format::{self, FileFormat, Layout};
use encfile::secret::SecretBytes;
use encfile::selector::{BadPattern, GoRegex, Selection, Selector};
use encfile::tree::path::{Component, TreePath};
use encfile::tree::{Step, Tree};

pub use sealed::{metadata, roundtrip, value};

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
    Target { name: "toml", body: toml, inputs: &["corpus/toml", "examples"] },
    Target { name: "binary", body: binary, inputs: &["corpus/binary", "examples"] },
    Target {
        name: "yaml",
        body: yaml,
        inputs: &["corpus/yaml", "corpus/yaml-comments", "examples"],
    },
    Target { name: "names", body: names, inputs: &["corpus"] },
    Target { name: "config", body: config, inputs: &["config"] },
    Target { name: "path", body: path, inputs: &["fuzz/path"] },
    Target { name: "selector", body: selector, inputs: &["fuzz/selector"] },
    Target { name: "value", body: value, inputs: &["fuzz/value"] },
    Target { name: "metadata", body: metadata, inputs: &["examples", "vectors/older"] },
    Target { name: "roundtrip", body: roundtrip, inputs: &["corpus"] },
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

/// A text as TOML.
pub fn toml(data: &[u8]) {
    parse("toml", data);
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

/// A text as `.sops.yaml`.
pub fn config(data: &[u8]) {
    let lenient = Config::parse(data, "a config", Strictness::Lenient);
    let Ok((config, _)) = Config::parse(data, "a config", Strictness::Strict) else {
        return;
    };
    assert!(lenient.is_ok_and(|(lenient, _)| lenient.creation_rules == config.creation_rules));
    black_box(config.lints());
    for path in ["", "secrets.yaml", "prod/db.env", "a/b/c.json"] {
        black_box(config.rule_for(path));
    }
}

/// A text as a tree path; what it leads to in a small document.
pub fn path(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let small = SecretBytes::from(&b"a: [1, {b: 2}]\n'': {c.d: [[3]]}\n# e\n"[..]);
    let small = format::by_name("yaml").map(|yaml| yaml.parse(small));
    let Some(Ok(small)) = small else {
        panic!("the small document does not parse");
    };
    let bracketed = TreePath::parse_bracketed(text);
    let Ok(path) = TreePath::parse(text) else {
        assert!(bracketed.is_err(), "a path of SOPS' that is none of ours");
        return;
    };
    assert!(bracketed.is_err() || bracketed == Ok(path.clone()), "another path than SOPS'");
    for root in small.documents() {
        let _ = black_box(path.find(&small, root));
    }
    let spelled: String = path
        .components()
        .iter()
        .map(|component| match component {
            Component::Key(key) if key.contains("\"]") => format!("['{key}']"),
            Component::Key(key) => format!("[\"{key}\"]"),
            Component::Index(index) => format!("[{index}]"),
        })
        .collect();
    assert_eq!(TreePath::parse_bracketed(&spelled), Ok(path), "{spelled}");
}

/// The first line as a pattern of a rule, the others as keys and comments.
pub fn selector(data: &[u8]) {
    let (pattern, rest) = data
        .iter()
        .position(|&byte| byte == b'\n')
        .map_or((data, &b""[..]), |end| data.split_at(end));
    let Ok(pattern) = std::str::from_utf8(pattern) else {
        return;
    };
    let compiled = GoRegex::new(pattern);
    assert_eq!(GoRegex::new_or_never(pattern).is_never(), compiled.is_err());
    let quoted = GoRegex::new(&format!(r"^\Q{pattern}\E$"));
    if !pattern.contains(r"\E") && pattern.len() < 1000 {
        assert!(quoted.is_ok_and(|quoted| quoted.is_match(pattern.as_bytes())), "{pattern:?}");
    }
    for field in Selector::FIELDS {
        let rule = Selector::from_fields([(field, pattern)], BadPattern::NeverMatches);
        let Ok(Some(rule)) = rule else {
            assert!(pattern.is_empty(), "a rule of {field} is none");
            continue;
        };
        assert_eq!(rule.field(), (field, pattern));
        let mut selection = Selection::new(&rule);
        selection.enter(None);
        for line in rest.split(|&byte| byte == b'\n').take(20) {
            black_box(selection.comment(line));
            let selected = selection.value(Some(line));
            selection.enter(Some(line));
            // What a key decides holds for all that is below it.
            assert!(selection.value(None) == selected || rule.field().0.contains("comment"));
            selection.leave();
        }
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
