//! What rops does not read.

use crate::format::Warning;
use crate::format::toml::end_of_entry;
use crate::span::Position;
use crate::tree::{NodeId, NodeKind, Style, Tree};

/// How many places are named one by one.
const NAMED: usize = 20;

/// Returns a warning for each of the first values that rops 0.1 could not read in the file.
pub(super) fn warnings(tree: &Tree) -> Vec<Warning> {
    let messages = (0..tree.nodes().len()).filter_map(|index| {
        let id = tree.id_at(index)?;
        let node = tree.node(id);
        let message = match node.kind {
            NodeKind::Float(number) if number.is_infinite() => {
                "rops has another MAC for an infinity, and refuses the file"
            }
            NodeKind::Map if node.site.style == Style::Flow && is_of_toml_1_1(tree, id)? => {
                "such an inline table is one of TOML 1.1, and older readers, as rops, refuse the file"
            }
            _ => return None,
        };
        Some((node.span?, message))
    });
    messages
        .take(NAMED)
        .map(|(span, message)| Warning {
            message: message.into(),
            position: Some(Position::of(tree.source(), span.start as usize)),
        })
        .collect()
}

/// Returns whether an inline table goes over several lines, or has a comma behind its last entry.
fn is_of_toml_1_1(tree: &Tree, table: NodeId) -> Option<bool> {
    let (source, span) = (tree.source(), tree.node(table).span?);
    // Values may go over several lines at all times, so only what is between them counts.
    let mut done = span.start as usize;
    for entry in tree.children(table) {
        let node = tree.node(entry);
        let start = node.key.and_then(|key| key.span).or(node.span)?.start as usize;
        if source[done.min(start)..start].contains(&b'\n') {
            return Some(true);
        }
        done = done.max(end_of_entry(tree, entry)?);
    }
    let rest = &source[done..span.end as usize];
    Some(rest.contains(&b'\n') || rest.contains(&b','))
}
