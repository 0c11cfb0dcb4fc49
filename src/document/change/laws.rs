//! Laws of changes, tried on the documents of the test data: what was set is found again, nothing
//! else moves, and removing what was added gives the text that was.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::document::{ChangeError, Changed, Document};
use crate::format::{self, json, yaml};
use crate::secret::SecretBytes;
use crate::tree::path::{Component, TreePath};
use crate::tree::{NodeId, NodeKind, Tree};

/// Values of each kind, as JSON.
const VALUES: [&str; 5] = ["\"x: y\\nz\"", "{\"k\": [1, {}]}", "7", "\"new\"", "null"];

fn value(text: &str) -> Tree {
    json::parse_value(SecretBytes::from(text)).unwrap()
}

fn text(document: &Document) -> &str {
    std::str::from_utf8(document.text()).unwrap()
}

/// Returns the path of a node of the first document; `None` if its key does not name it.
fn path_of(tree: &Tree, id: NodeId) -> Option<TreePath> {
    let root = tree.documents().next()?;
    let (mut node, mut components) = (root, Vec::new());
    while node != id {
        let members = tree.children(node).filter(|&id| !tree.node(id).kind.is_comment());
        let (position, child) =
            members.enumerate().find(|&(_, child)| tree.node(child).end() > id.index())?;
        components.push(match tree.node(node).kind {
            NodeKind::List => Component::Index(position),
            _ => Component::Key(String::from_utf8(tree.key(child)?.to_vec()).ok()?),
        });
        node = child;
    }
    let path = TreePath::new(components);
    (path.find(tree, root).ok() == Some(id)).then_some(path)
}

/// Returns the paths in the first document that are tried, at most about `most`: those of values,
/// and those of new members of its maps and lists.
fn places(tree: &Tree, most: usize) -> (Vec<TreePath>, Vec<TreePath>) {
    let (mut old, mut new) = (Vec::new(), Vec::new());
    let end = tree.documents().next().map_or(0, |root| tree.node(root).end());
    for index in (0..end).step_by((end / most).max(1)) {
        let Some(id) = tree.id_at(index) else { break };
        if tree.node(id).kind.is_comment() {
            continue;
        }
        let Some(path) = path_of(tree, id) else { continue };
        let step = match tree.node(id).kind {
            NodeKind::Map => Some(Component::Key("new".to_owned())),
            NodeKind::List => Some(Component::Index(usize::MAX)),
            _ => None,
        };
        if let Some(step) = step {
            let mut components = path.components().to_vec();
            components.push(step);
            new.push(TreePath::new(components));
        }
        if !path.is_root() {
            old.push(path);
        }
    }
    (old, new)
}

/// Returns the lines of `old` that are not the same in `new`, by what both begin and end with.
fn changed_lines(old: &str, new: &str) -> Range<usize> {
    let (old, new): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
    let start = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let (rest, new) = (&old[start..], &new[start..]);
    let end = rest.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a == b).count();
    start..old.len() - end
}

/// Returns the lines of an entry or member, from 0.
fn lines_of(document: &Document, id: NodeId) -> Range<usize> {
    let (tree, source) = (document.tree(), document.text());
    let line = |at: usize| memchr::memchr_iter(b'\n', &source[..at]).count();
    let nodes = &tree.nodes()[id.index()..tree.node(id).end()];
    let spans = nodes.iter().flat_map(|node| [node.key.and_then(|key| key.span), node.span]);
    let (mut start, mut end) = (usize::MAX, 0);
    for span in spans.flatten() {
        start = start.min(span.start as usize);
        end = end.max(span.end as usize);
    }
    line(start)..line(end) + 1
}

/// Asserts that `set` gave the value, and no more.
fn assert_set(changed: &Changed, value: &Tree, name: &str) {
    let tree = changed.document.tree();
    let root = tree.documents().next().unwrap();
    let found = changed.path.find(tree, root).unwrap_or_else(|error| panic!("{name}: {error}"));
    let nodes = &tree.nodes()[found.index()..tree.node(found).end()];
    let count = nodes.iter().filter(|node| !node.kind.is_comment()).count();
    assert_eq!(count, value.nodes().len(), "{name}");
    if let (NodeKind::Text(text), NodeKind::Text(meant)) =
        (tree.node(found).kind, value.nodes()[0].kind)
    {
        assert!(tree.text(text) == value.text(meant), "{name}");
    }
}

fn corpus(folder: &str) -> Vec<(String, Document)> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/corpus").join(folder);
    let format = format::by_name(folder.split('-').next().unwrap()).unwrap();
    let mut files: Vec<PathBuf> =
        fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let parse = |file: PathBuf| {
        let text = SecretBytes::from(fs::read(&file).unwrap());
        (file.display().to_string(), Document::parse(format, text).unwrap())
    };
    files.into_iter().map(parse).collect()
}

const FOLDERS: [&str; 5] = ["yaml", "yaml-comments", "json", "dotenv", "ini"];

/// Whether a format has no place for a value there.
fn is_refused(result: &Result<Changed, ChangeError>) -> bool {
    matches!(result, Err(ChangeError::Emit(_)))
}

#[test]
fn a_value_that_is_set_is_found_and_changes_its_own_lines() {
    for (name, document) in FOLDERS.into_iter().flat_map(corpus) {
        let tree = document.tree();
        let root = tree.documents().next().unwrap();
        for path in places(tree, 60).0 {
            for new in VALUES {
                let name = format!("{name} {path:?} {new}");
                let value = value(new);
                let result = document.set(&path, &value);
                if is_refused(&result) {
                    assert_ne!(document.format().name(), "yaml");
                    assert_ne!(document.format().name(), "json");
                    continue;
                }
                let changed = result.unwrap_or_else(|error| panic!("{name}: {error}"));
                assert!(changed.in_place, "{name}");
                assert_set(&changed, &value, &name);
                let id = path.find(tree, root).unwrap();
                let is_container = tree.node(id).kind.is_container();
                if !text(&document).contains('*') && !is_container {
                    let (own, lines) = (
                        lines_of(&document, id),
                        changed_lines(text(&document), text(&changed.document)),
                    );
                    let is_inside = own.start <= lines.start && lines.end <= own.end;
                    assert!(is_inside || lines.is_empty(), "{name}: {lines:?}, and not {own:?}");
                }
            }
        }
    }
}

#[test]
fn removing_what_was_added_gives_the_text_that_was() {
    for (name, document) in FOLDERS.into_iter().flat_map(corpus) {
        for path in places(document.tree(), 60).1 {
            for new in VALUES {
                let name = format!("{name} {path:?} {new}");
                let value = value(new);
                let result = document.set(&path, &value);
                if is_refused(&result) {
                    continue;
                }
                let changed = result.unwrap_or_else(|error| panic!("{name}: {error}"));
                assert!(changed.in_place, "{name}");
                assert_set(&changed, &value, &name);
                let back = changed.document.unset(&changed.path).unwrap();
                assert!(back.in_place, "{name}");
                // A block of lines that ended the text without a line break says so now.
                let before = text(&document);
                let before = match before.rsplit_once("|\n") {
                    Some((head, lines)) if !before.ends_with('\n') => format!("{head}|-\n{lines}"),
                    _ => before.to_owned(),
                };
                let is_same = [before.as_str(), text(&document)].contains(&text(&back.document));
                assert!(is_same, "{name}: {:?}", text(&back.document));
            }
        }
    }
}

#[test]
fn a_value_that_is_removed_is_gone_with_its_own_lines() {
    for (name, document) in FOLDERS.into_iter().flat_map(corpus) {
        let tree = document.tree();
        let root = tree.documents().next().unwrap();
        for path in places(tree, 200).0 {
            let name = format!("{name} {path:?}");
            let id = path.find(tree, root).unwrap();
            // The section in front of the first header is there even without a key.
            if document.format().name() == "ini" && tree.key(id) == Some(b"DEFAULT") {
                continue;
            }
            let changed = document.unset(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(changed.in_place, "{name}");
            let (before, after) = (text(&document), text(&changed.document));
            assert!(after.len() < before.len() + 4, "{name}");
        }
    }
}

#[test]
fn hostile_documents_are_changed_rightly_or_not_at_all() {
    let (mut in_place, mut anew, mut refused) = (0, 0, 0);
    for (name, text) in yaml::testing::documents().into_iter().step_by(9) {
        let Ok(document) = Document::parse(&yaml::Yaml, SecretBytes::from(text)) else { continue };
        if document.format().refusal(document.tree()).is_some() {
            continue;
        }
        let (old, new) = places(document.tree(), 10);
        for (number, path) in old.iter().chain(&new).enumerate() {
            let value = value(VALUES[number % VALUES.len()]);
            let name = format!("{name} {path:?}");
            for result in [document.set(path, &value), document.unset(path)] {
                match result {
                    Ok(changed) if changed.in_place => in_place += 1,
                    Ok(_) => anew += 1,
                    Err(ChangeError::Path(_)) => assert!(new.contains(path), "{name}"),
                    Err(_) => refused += 1,
                }
            }
        }
    }
    // Other counts only tell of other documents; that the rest of a text moves must stay rare.
    assert!(in_place > 50 * anew && in_place > 500 * refused, "{in_place} {anew} {refused}");
}
