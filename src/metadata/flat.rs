//! Flattened metadata, as dotenv and INI files have it.
//!
//! A step into a map is `__map_` and the key, a step into a list `__list_` and the index from 0;
//! the first component has no separator: `age__list_0__map_enc`.

use std::collections::BTreeMap;

use crate::format::MetadataLayout;
use crate::keys::FieldValue;
use crate::metadata::{BLOCK, FLAT_START, MetadataError};
use crate::tree::{Tree, Value};

/// The step into a map.
pub(super) const MAP: &str = "__map_";
/// The step into a list.
pub(super) const LIST: &str = "__list_";

/// How many steps a flattened key may have; SOPS needs 6.
const MAX_STEPS: usize = 32;

/// Reads the fields of a flattened block.
pub(super) fn read(
    block: &Tree,
    layout: MetadataLayout,
) -> Result<Vec<(String, FieldValue)>, MetadataError> {
    let root = block.documents().next().ok_or(MetadataError::NotAMap)?;
    let entries = match layout {
        MetadataLayout::Section => block.entry(root, BLOCK).ok_or(MetadataError::NotAMap)?,
        MetadataLayout::Flat | MetadataLayout::Nested => root,
    };
    let mut top = Node::Map(BTreeMap::new());
    for id in block.children(entries) {
        let (Some(key), Some(Value::Text(value))) = (block.key(id), block.value(id)) else {
            continue;
        };
        let key = match layout {
            MetadataLayout::Flat => key.strip_prefix(FLAT_START).unwrap_or(key),
            MetadataLayout::Section | MetadataLayout::Nested => key,
        };
        let key = String::from_utf8_lossy(key).into_owned();
        let value = String::from_utf8_lossy(value).into_owned();
        // INI escapes line breaks on top of what the format does.
        let value = match layout {
            MetadataLayout::Section => value.replace("\\n", "\n"),
            MetadataLayout::Flat | MetadataLayout::Nested => value,
        };
        insert(&mut top, &key, value)?;
    }
    let Node::Map(top) = top else { return Err(MetadataError::NotAMap) };
    top.into_iter()
        .map(|(field, node)| match node.into_value() {
            Some(value) => Ok((field, value)),
            None => Err(MetadataError::Flattened { field }),
        })
        .collect()
}

enum Node {
    Leaf(String),
    Map(BTreeMap<String, Node>),
    List(BTreeMap<usize, Node>),
}

impl Node {
    /// Returns the value; `None` for a list with holes.
    fn into_value(self) -> Option<FieldValue> {
        // The depth is at most `MAX_STEPS`.
        Some(match self {
            Node::Leaf(text) => FieldValue::Text(text),
            Node::Map(map) => FieldValue::Map(
                map.into_iter()
                    .map(|(key, node)| Some((key, node.into_value()?)))
                    .collect::<Option<_>>()?,
            ),
            Node::List(list) => {
                if list.keys().enumerate().any(|(at, &index)| at != index) {
                    return None;
                }
                FieldValue::List(list.into_values().map(Node::into_value).collect::<Option<_>>()?)
            }
        })
    }
}

#[derive(Clone, Copy)]
enum Step<'k> {
    Map(&'k str),
    List(usize),
}

/// Splits a flattened key at its separators, from left to right.
///
/// # Errors
/// If there are more than [`MAX_STEPS`] of them. The rest is not looked at, so that a long key
/// costs no more than reading it.
fn steps(key: &str) -> Result<Vec<Step<'_>>, MetadataError> {
    let mut steps = Vec::new();
    let mut list = false;
    let mut start = 0;
    loop {
        let next = separator(key, start);
        let part = &key[start..next.map_or(key.len(), |(at, _)| at)];
        // As in SOPS, an index that is no number counts as 0.
        steps.push(if list { Step::List(part.parse().unwrap_or(0)) } else { Step::Map(part) });
        if steps.len() > MAX_STEPS {
            return Err(MetadataError::TooDeep);
        }
        match next {
            Some((at, found)) => {
                start = at + found.len();
                list = found == LIST;
            }
            None => return Ok(steps),
        }
    }
}

/// Returns the first separator from `start` on, and where it is.
fn separator(key: &str, start: usize) -> Option<(usize, &'static str)> {
    // Both begin alike: one pass finds the nearer one, and looks at nothing behind it.
    let bytes = key.as_bytes();
    memchr::memmem::find_iter(&bytes[start..], b"__").find_map(|at| {
        let at = start + at;
        // In `___map_` the separator begins at the second `_`, which the search skips.
        [at, at + 1].into_iter().find_map(|at| {
            let rest = bytes.get(at..)?;
            [MAP, LIST]
                .into_iter()
                .find(|text| rest.starts_with(text.as_bytes()))
                .map(|text| (at, text))
        })
    })
}

fn insert(top: &mut Node, key: &str, value: String) -> Result<(), MetadataError> {
    let conflict = || MetadataError::Flattened { field: key.to_owned() };
    let steps = steps(key)?;
    let mut node = top;
    for (at, step) in steps.iter().enumerate() {
        let fresh = || match steps.get(at + 1) {
            Some(Step::Map(_)) => Node::Map(BTreeMap::new()),
            Some(Step::List(_)) => Node::List(BTreeMap::new()),
            None => Node::Leaf(String::new()),
        };
        let last = at + 1 == steps.len();
        node = match (node, step) {
            (Node::Map(map), Step::Map(name)) => {
                if last && map.contains_key(*name) {
                    return Err(MetadataError::Duplicate { field: key.to_owned() });
                }
                map.entry((*name).to_owned()).or_insert_with(fresh)
            }
            (Node::List(list), Step::List(index)) => {
                if last && list.contains_key(index) {
                    return Err(MetadataError::Duplicate { field: key.to_owned() });
                }
                list.entry(*index).or_insert_with(fresh)
            }
            _ => return Err(conflict()),
        };
    }
    match node {
        Node::Leaf(text) => {
            *text = value;
            Ok(())
        }
        Node::Map(_) | Node::List(_) => Err(conflict()),
    }
}

/// Appends the flattened form of `value` under `key` to `out`. Empty maps and lists vanish.
pub(super) fn flatten(key: &str, value: &FieldValue, out: &mut Vec<(String, String)>) {
    // The depth is that of what `Metadata::to_tree` makes.
    match value {
        FieldValue::Text(text) => out.push((key.to_owned(), text.clone())),
        FieldValue::Null => {}
        FieldValue::List(members) => {
            for (index, member) in members.iter().enumerate() {
                flatten(&format!("{key}{LIST}{index}"), member, out);
            }
        }
        FieldValue::Map(fields) => {
            for (name, field) in fields {
                flatten(&format!("{key}{MAP}{name}"), field, out);
            }
        }
    }
}
