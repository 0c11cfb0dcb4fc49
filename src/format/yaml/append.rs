//! Adding an entry at the end of a map.

use super::emit::{FlowQuotes, write_flow_text};
use super::style::{Escapes, Shape, looks_typed, write_double, write_spaces};
use super::text::{line_end, newline_of};
use crate::edits::Edits;
use crate::format::EmitError;
use crate::secret::SecretBytes;
use crate::span::Span;
use crate::tree::{NodeId, Style, Tree};

/// Returns the edits that add `key` with the text `value`.
pub(super) fn append(tree: &Tree, map: NodeId, key: &str, value: &str) -> Result<Edits, EmitError> {
    let source = tree.source();
    let (Some(span), Some(last)) = (tree.node(map).span, tree.children(map).last()) else {
        return Err(EmitError::at(tree, map, "nothing can be added to an empty map"));
    };
    let mut edits = Edits::new();
    if tree.node(map).site.style == Style::Flow {
        let end = tree.node(last).span.map_or(span.end, |span| span.end) as usize;
        let mut entry = SecretBytes::from(", ");
        write_flow_text(&mut entry, key, FlowQuotes::All);
        entry.extend_from_slice(b": ");
        write_flow_text(&mut entry, value, FlowQuotes::All);
        edits.insert(end, &entry);
        return Ok(edits);
    }
    let mut entry = SecretBytes::new();
    let end = span.end as usize;
    let newline = newline_of(source);
    let behind_line = source[..end].ends_with(b"\n");
    let place = if behind_line { end } else { line_end(source, end) };
    if !behind_line {
        entry.extend_from_slice(newline);
    }
    write_spaces(&mut entry, tree.node(last).site.indent as usize);
    entry.extend_from_slice(key.as_bytes());
    entry.extend_from_slice(b": ");
    if Shape::of(value).writes_plain() && !looks_typed(value) {
        entry.extend_from_slice(value.as_bytes());
    } else {
        write_double(&mut entry, value, Escapes::Few);
    }
    if behind_line {
        entry.extend_from_slice(newline);
    }
    edits.replace(Span::new(place, place), &entry);
    Ok(edits)
}
