//! One change inside of a flow collection: `[...]` or `{...}`.

use super::super::emit::{FlowQuotes, write_flow, write_flow_key};
use super::super::extent::{commas_and_comments, flow_entry, flow_removal, value_end};
use super::super::text::{line_break, line_end, line_start};
use super::{Text, place};
use crate::edits::Edits;
use crate::format::EmitError;
use crate::secret::SecretBytes;
use crate::span::Span;
use crate::tree::operation::nested;
use crate::tree::path::Component;
use crate::tree::{NodeId, Tree};

/// Writes a value over another one.
pub(super) fn replace(
    text: &Text<'_>,
    id: NodeId,
    value: &Tree,
) -> Result<Option<Edits>, EmitError> {
    let node = text.tree.node(id);
    let (Some(span), Some(root)) = (node.span, value.documents().next()) else { return Ok(None) };
    if span.is_empty() {
        // Behind the colon of an entry without a value.
        let (Some(_), Some(head)) = (node.key, text.head_end(id)) else { return Ok(None) };
        let mut new = SecretBytes::from(" ");
        write_flow(&mut new, value, root, FlowQuotes::Needed)?;
        let mut edits = Edits::new();
        edits.insert(head, &new);
        return Ok(Some(edits));
    }
    let quotes = quotes(text, id);
    let start = node.site.properties.map_or(span.start, |before| before.start.min(span.start));
    let mut edits = Edits::new();
    let mut result = Ok(());
    let place = place(start as usize, value_end(text.tree, id));
    edits.replace_with(place, |out| result = write_flow(out, value, root, quotes));
    result?;
    Ok(Some(edits))
}

/// Adds a member behind `last`.
pub(super) fn append(
    text: &Text<'_>,
    container: NodeId,
    last: NodeId,
    key: Option<&str>,
    value: &Tree,
) -> Result<Option<Edits>, EmitError> {
    let source = text.source;
    let node = text.tree.node(container);
    let is_root = text.tree.documents().any(|root| root == container);
    // The place of a root is its document's.
    let Some(brackets) = (if is_root { node.site.properties } else { node.span }) else {
        return Ok(None);
    };
    let close = (brackets.end as usize).saturating_sub(1);
    let Some(place) = member_span(text, last) else { return Ok(None) };
    if !matches!(source.get(close), Some(b'}' | b']')) || place.end as usize > close {
        return Ok(None);
    }
    let step = key.map_or(Component::Index(0), |key| Component::Key(key.to_owned()));
    let Ok(whole) = nested(&[step], value) else { return Ok(None) };
    let Some(entry) = whole.documents().next().and_then(|root| whole.children(root).next()) else {
        return Ok(None);
    };
    let quotes = quotes(text, last);
    let mut new = SecretBytes::new();
    write_flow_key(&mut new, &whole, entry, quotes)?;
    write_flow(&mut new, &whole, entry, quotes)?;
    // On a line of its own, where the last member has one.
    let start = place.start as usize;
    let line = line_start(source, start);
    let own_line = line > brackets.start as usize
        && source[line..start].iter().all(|byte| matches!(byte, b' ' | b'\t'));
    let mut gap = SecretBytes::new();
    if own_line {
        gap.extend_from_slice(if source[..line].ends_with(b"\r\n") { b"\r\n" } else { b"\n" });
        gap.extend_from_slice(&source[line..start]);
    } else {
        gap.push(b' ');
    }
    let end = place.end as usize;
    let mut edits = Edits::new();
    match commas_and_comments(&source[end..close]) {
        // Behind a comment, which belongs to the member before.
        (None, true) => return Ok(None),
        (Some(comma), _) => {
            gap.extend_from_slice(&new);
            gap.push(b',');
            edits.insert(end + comma + 1, &gap);
        }
        (None, false) => {
            let mut out = SecretBytes::from(",");
            out.extend_from_slice(&gap);
            out.extend_from_slice(&new);
            edits.insert(end, &out);
        }
    }
    Ok(Some(edits))
}

/// Removes a member with its comma.
pub(super) fn remove(text: &Text<'_>, id: NodeId) -> Option<Edits> {
    let mut edits = Edits::new();
    let place = member_span(text, id)?;
    edits.remove(own_lines(text.source, place).unwrap_or(flow_removal(text.tree, id, place)));
    Some(edits)
}

/// Returns the lines of a member that stands on lines of its own, with its comma behind it.
fn own_lines(source: &[u8], member: Span) -> Option<Span> {
    let start = line_start(source, member.start as usize);
    let end = line_end(source, member.end as usize);
    let before = &source[start..member.start as usize];
    let behind = source[member.end as usize..end].trim_ascii();
    (before.trim_ascii().is_empty() && behind == b",")
        .then(|| Span::new(start, end + line_break(source, end)))
}

/// Returns the place of an entry or member, without commas.
fn member_span(text: &Text<'_>, id: NodeId) -> Option<Span> {
    let node = text.tree.node(id);
    let span = node.span?;
    Some(match node.key {
        None if span.is_empty() => return None,
        None => {
            let start =
                node.site.properties.map_or(span.start, |before| before.start.min(span.start));
            place(start as usize, value_end(text.tree, id))
        }
        Some(_) if span.is_empty() => {
            let entry = flow_entry(text.tree, id);
            let end = text.head_end(id).unwrap_or(entry.end as usize);
            place(entry.start as usize, end)
        }
        Some(_) => flow_entry(text.tree, id),
    })
}

/// Returns the quotes of the surroundings: always, where a key or text beside has them.
fn quotes(text: &Text<'_>, beside: NodeId) -> FlowQuotes {
    let node = text.tree.node(beside);
    let place = node.key.map_or(node.span, |key| key.span);
    match place.and_then(|place| text.source.get(place.start as usize)) {
        Some(b'"') => FlowQuotes::All,
        _ => FlowQuotes::Needed,
    }
}
