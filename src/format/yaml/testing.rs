//! What the tests of the YAML writer share.

use std::collections::HashSet;

use serde_json::Value as Json;

use super::Yaml;
use super::resolve::{Resolved, resolve_plain};
use crate::format::{Change, FileFormat as _};
use crate::number::{canonical_float, rfc3339};
use crate::secret::SecretBytes;
use crate::tree::{Key, KeyType, NodeId, NodeKind, Site, Step, Tree, TreeBuilder};

/// Parses a text that is YAML.
pub(super) fn parse(source: &str) -> Tree {
    match Yaml.parse(SecretBytes::from(source)) {
        Ok(tree) => tree,
        Err(error) => panic!("{source:?}: {error:?}"),
    }
}

/// Returns bytes as text.
pub(super) fn text_of(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Gives each leaf the value that `replacement` returns for it; returns the changes.
pub(super) fn change_all(
    tree: &mut Tree,
    replacement: impl Fn(&mut Tree, NodeId) -> Option<NodeKind>,
) -> Vec<Change> {
    let leaves: Vec<NodeId> = tree
        .walk(None)
        .filter_map(|step| match step {
            Step::Leaf(id) => Some(id),
            _ => None,
        })
        .collect();
    let mut changes = Vec::new();
    for id in leaves {
        if let Some(kind) = replacement(tree, id) {
            tree.set(id, kind);
            changes.push(Change { id, verbatim: None });
        }
    }
    changes
}

/// Returns the documents of the test data of the reader, by name.
pub(crate) fn documents() -> Vec<(String, Vec<u8>)> {
    use base64::Engine as _;
    let folder = format!("{}/testdata/yaml/oracle", env!("CARGO_MANIFEST_DIR"));
    let mut documents = Vec::new();
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "jsonl"))
        .collect();
    paths.sort();
    for path in paths {
        let file = path.file_stem().unwrap().to_str().unwrap();
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            // The trees, some of which are too deep to read, are of no interest here.
            let row: Json = match line.split_once(", \"tree\": ") {
                Some((head, _)) => serde_json::from_str(&format!("{head}}}")).unwrap(),
                None => serde_json::from_str(line).unwrap(),
            };
            let text = match &row["yaml"] {
                Json::String(text) => text.clone().into_bytes(),
                _ => base64::engine::general_purpose::STANDARD
                    .decode(row["yaml_base64"].as_str().unwrap())
                    .unwrap(),
            };
            documents.push((format!("{file}/{}", row["name"].as_str().unwrap()), text));
        }
    }
    documents
}

/// Returns the names in a list of exceptions: the first word of each line.
pub(super) fn listed(name: &str) -> Vec<String> {
    let path = format!("{}/testdata/yaml_emit/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

/// Returns the rows of a file in `testdata/yaml_emit`, one JSON object a line.
pub(super) fn rows(name: &str) -> Vec<Json> {
    let path = format!("{}/testdata/yaml_emit/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Builds a tree without a source from its description: `{"map": [[key, value], ...]}` and so on.
pub(super) fn tree_of(documents: &Json) -> Tree {
    let mut builder = TreeBuilder::new(SecretBytes::new()).unwrap();
    for document in documents.as_array().unwrap() {
        add(&mut builder, None, document);
    }
    builder.finish()
}

fn add(builder: &mut TreeBuilder, key: Option<Key>, value: &Json) {
    let site = Site::default();
    let object = value.as_object().unwrap();
    let (kind, content) = object.iter().next().unwrap();
    if let Some(text) = object.get("comment") {
        let text = builder.intern(text.as_str().unwrap().as_bytes());
        let inline = object["inline"].as_bool().unwrap();
        builder.leaf(None, NodeKind::Comment { text, inline }, None, site);
        return;
    }
    let text = content.as_str().unwrap_or_default();
    let leaf = match kind.as_str() {
        "map" => {
            builder.open(key, NodeKind::Map, None, site);
            for entry in content.as_array().unwrap() {
                if let Some(pair) = entry.as_array() {
                    let name = pair[0].as_str().unwrap();
                    let key = Key {
                        text: builder.intern(name.as_bytes()),
                        kind: KeyType::Text,
                        span: None,
                    };
                    add(builder, Some(key), &pair[1]);
                } else {
                    add(builder, None, entry);
                }
            }
            builder.close(None);
            return;
        }
        "list" => {
            builder.open(key, NodeKind::List, None, site);
            for member in content.as_array().unwrap() {
                add(builder, None, member);
            }
            builder.close(None);
            return;
        }
        "str" => NodeKind::Text(builder.intern(text.as_bytes())),
        "binary" | "bytes_base64" | "str_base64" => {
            use base64::Engine as _;
            let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
            NodeKind::Text(builder.intern(&bytes))
        }
        "int" => NodeKind::Integer(text.parse().unwrap()),
        "float" => NodeKind::Float(match text {
            "+Inf" => f64::INFINITY,
            "-Inf" => f64::NEG_INFINITY,
            number => number.parse().unwrap(),
        }),
        "bool" => NodeKind::Boolean(content.as_bool().unwrap()),
        "time" => match resolve_plain(text) {
            Resolved::Time(time) => NodeKind::Time(time),
            _ => panic!("{text} is no time"),
        },
        "null" => NodeKind::Null,
        other => panic!("unknown kind {other}"),
    };
    builder.leaf(key, leaf, None, site);
}

/// Returns the nodes of a tree, one a line, for comparison with `written`: the comments of copies
/// made for aliases are among them where it has those in block style.
pub(super) fn describe(tree: &Tree, written: &Tree) -> String {
    let comments: HashSet<NodeId> =
        tree.comments_written_in(written).into_iter().map(|(_, id)| id).collect();
    let mut out = String::new();
    let mut depth = 0;
    for step in tree.walk(None) {
        let (Step::Enter(id) | Step::Leaf(id)) = step else {
            depth -= 1;
            continue;
        };
        if tree.node(id).kind.is_comment() && !comments.contains(&id) {
            continue;
        }
        out.push_str(&"  ".repeat(depth));
        if let Some(key) = tree.key(id) {
            out.push_str(&key.escape_ascii().to_string());
            out.push_str(": ");
        }
        let kind = tree.node(id).kind;
        let shown = match kind {
            NodeKind::Map => "map".to_owned(),
            NodeKind::List => "list".to_owned(),
            NodeKind::Text(text) => format!("str {}", tree.text(text).escape_ascii()),
            NodeKind::Integer(number) => format!("int {number}"),
            NodeKind::Unsigned(number) => format!("uint {number}"),
            NodeKind::Float(number) => format!("float {}", canonical_float(number)),
            NodeKind::Boolean(flag) => format!("bool {flag}"),
            NodeKind::Time(time) => format!("time {}", rfc3339(time)),
            NodeKind::Null => "null".to_owned(),
            NodeKind::Comment { text, .. } => format!("# {}", tree.text(text).escape_ascii()),
        };
        out.push_str(&shown);
        out.push('\n');
        depth += usize::from(kind.is_container());
    }
    out
}
