//! Flattened metadata, as dotenv and INI files have it.
//!
//! A step into a map is `__map_` and the key, a step into a list `__list_` and the index from 0;
//! the first component has no separator: `age__list_0__map_enc`.

use std::collections::BTreeMap;

use crate::format::MetadataLayout;
use crate::keys::FieldValue;
use crate::metadata::{BLOCK, FLAT_START, MetadataError};
use crate::tree::{Tree, Value};

const MAP: &str = "__map_";
const LIST: &str = "__list_";

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
    match top.into_value() {
        Some(FieldValue::Map(fields)) => Ok(fields),
        _ => Err(MetadataError::NotAMap),
    }
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
fn steps(key: &str) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    let mut list = false;
    let mut rest = key;
    loop {
        let map_at = rest.find(MAP);
        let list_at = rest.find(LIST);
        let next = match (map_at, list_at) {
            (Some(map), Some(list)) if list < map => Some((list, true)),
            (Some(map), _) => Some((map, false)),
            (None, Some(list)) => Some((list, true)),
            (None, None) => None,
        };
        let part = &rest[..next.map_or(rest.len(), |(at, _)| at)];
        // As in SOPS, an index that is no number counts as 0.
        steps.push(if list { Step::List(part.parse().unwrap_or(0)) } else { Step::Map(part) });
        match next {
            Some((at, next_list)) => {
                rest = &rest[at + if next_list { LIST.len() } else { MAP.len() }..];
                list = next_list;
            }
            None => return steps,
        }
    }
}

fn insert(top: &mut Node, key: &str, value: String) -> Result<(), MetadataError> {
    let conflict = || MetadataError::Flattened { field: key.to_owned() };
    let steps = steps(key);
    if steps.len() > MAX_STEPS {
        return Err(MetadataError::TooDeep);
    }
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
