//! A nested block as fields: whatever SOPS or an older release wrote, as texts, lists and maps.

use std::collections::HashSet;

use crate::keys::FieldValue;
use crate::metadata::{BLOCK, MetadataError};
use crate::tree::{NodeKind, Step, Tree, Value};

/// How deep a block may be nested; SOPS needs 6.
const MAX_DEPTH: usize = 32;

/// Reads the fields of the map `sops`.
pub(super) fn nested(block: &Tree) -> Result<Vec<(String, FieldValue)>, MetadataError> {
    let root = block.documents().next();
    let entry = root.and_then(|root| block.entry(root, BLOCK)).ok_or(MetadataError::NotAMap)?;
    if block.node(entry).kind != NodeKind::Map {
        return Err(MetadataError::NotAMap);
    }
    // One collected level for each open container, and its key in the level above.
    let mut open: Vec<(Option<String>, Level)> = Vec::new();
    for step in block.walk(Some(entry)) {
        let (key, value) = match step {
            Step::Enter(id) => {
                if open.len() == MAX_DEPTH {
                    return Err(MetadataError::TooDeep);
                }
                let level = match block.node(id).kind {
                    NodeKind::Map => Level::Map(Vec::new(), HashSet::new()),
                    _ => Level::List(Vec::new()),
                };
                open.push((key_text(block.key(id)), level));
                continue;
            }
            Step::Leaf(id) if block.node(id).kind.is_comment() => continue,
            Step::Leaf(id) => {
                let node = block.node(id);
                let value = match (node.kind, block.value(id), node.span) {
                    (NodeKind::Null, ..) => FieldValue::Null,
                    (_, Some(Value::Text(text)), _) => FieldValue::Text(lossy(text)),
                    // Numbers, booleans and times count as they are spelled: `version: 3.10`.
                    (.., Some(span)) => FieldValue::Text(lossy(&block.source()[span.range()])),
                    (.., None) => FieldValue::Null,
                };
                (key_text(block.key(id)), value)
            }
            Step::Leave(_) => match open.pop() {
                Some((key, Level::Map(fields, _))) => {
                    if open.is_empty() {
                        return Ok(fields);
                    }
                    (key, FieldValue::Map(fields))
                }
                Some((key, Level::List(members))) => (key, FieldValue::List(members)),
                None => break,
            },
        };
        match open.last_mut() {
            Some((_, Level::Map(fields, known))) => {
                let key = key.unwrap_or_default();
                if !known.insert(key.clone()) {
                    return Err(MetadataError::Duplicate { field: key });
                }
                fields.push((key, value));
            }
            Some((_, Level::List(members))) => members.push(value),
            None => break,
        }
    }
    Err(MetadataError::NotAMap)
}

enum Level {
    /// The fields, and their names.
    Map(Vec<(String, FieldValue)>, HashSet<String>),
    List(Vec<FieldValue>),
}

fn key_text(key: Option<&[u8]>) -> Option<String> {
    key.map(lossy)
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}
