//! One change of a TOML text, laid out as what is around it. What is new is written on one line,
//! but for a table of the root, which gets a header.

use crate::edits::Edits;
use crate::format::json::with_comma;
use crate::format::toml::{
    Toml, blank_before, end_of_entry, has_crlf, line_end, line_start, lines_of, write,
};
use crate::format::{EmitError, FileFormat as _, Layout};
use crate::secret::SecretBytes;
use crate::span::Span;
use crate::tree::operation::{Operation, nested};
use crate::tree::path::Component;
use crate::tree::{NodeId, NodeKind, Style, Tree};

/// Returns the edits that make `operation`; `None` for one that has no place.
pub(super) fn amend(tree: &Tree, operation: &Operation<'_>) -> Result<Option<Edits>, EmitError> {
    match *operation {
        Operation::Replace { id, value } => replace(tree, id, value),
        Operation::Append { container, key: Some(key), value } => {
            append_entry(tree, container, key, value)
        }
        Operation::Append { container, key: None, value } => append_member(tree, container, value),
        Operation::Remove { id } => Ok(remove(tree, id)),
    }
}

/// Writes another value over the bytes of the old one. A table with a header has none.
fn replace(tree: &Tree, id: NodeId, value: &Tree) -> Result<Option<Edits>, EmitError> {
    let node = tree.node(id);
    let Some(span) = node.span.filter(|_| node.site.style != Style::Block) else {
        return Ok(None);
    };
    let mut edits = Edits::new();
    edits.replace(span, &write::value(value, node.site.style, has_crlf(tree.source()))?);
    Ok(Some(edits))
}

fn append_entry(
    tree: &Tree,
    map: NodeId,
    key: &str,
    value: &Tree,
) -> Result<Option<Edits>, EmitError> {
    let source = tree.source();
    let root = value.documents().next();
    let is_table = root.is_some_and(|root| value.node(root).kind == NodeKind::Map);
    if is_table && tree.documents().next() == Some(map) {
        let table = nested(&[Component::Key(key.to_owned())], value)
            .map_err(|error| EmitError::whole(error.to_string()))?;
        let layout = Toml.layout_of(tree, &Layout::default());
        let mut edits = Edits::new();
        let line_break: &[u8] = if layout.crlf { b"\r\n" } else { b"\n" };
        let mut text = SecretBytes::new();
        if !source.is_empty() {
            let is_open = !source.ends_with(b"\n");
            (0..=usize::from(is_open)).for_each(|_| text.extend_from_slice(line_break));
        }
        text.extend_from_slice(&write::document(&table, &layout)?);
        edits.insert(source.len(), &text);
        return Ok(Some(edits));
    }
    let value = write::value(value, Style::Plain, has_crlf(source))?;
    super::append(tree, map, key, &value).map(Some)
}

/// Adds a member at the end of an array.
fn append_member(tree: &Tree, list: NodeId, value: &Tree) -> Result<Option<Edits>, EmitError> {
    let (source, node) = (tree.source(), tree.node(list));
    let Some(span) = node.span else { return Ok(None) };
    let value = write::value(value, Style::Plain, has_crlf(source))?;
    let last = tree.children(list).filter(|&id| !tree.node(id).kind.is_comment()).last();
    let mut edits = Edits::new();
    let Some(last) = last.and_then(|id| tree.node(id).span) else {
        if tree.children(list).next().is_some() {
            return Ok(None);
        }
        edits.replace_with(span, |out| {
            for part in [b"[", value.as_slice(), b"]"] {
                out.extend_from_slice(part);
            }
        });
        return Ok(Some(edits));
    };
    let (start, end) = (last.start as usize, last.end as usize);
    let has_comma = source[end..span.end as usize].trim_ascii_start().starts_with(b",");
    if !has_comma {
        edits.insert(end, b",");
    }
    let begins_line = source[line_start(source, start)..start].trim_ascii().is_empty();
    let line_end = line_end(source, end);
    if begins_line && line_end < span.end as usize {
        edits.replace_with(Span::new(line_end, line_end), |out| {
            out.extend_from_slice(blank_before(source, start));
            out.extend_from_slice(&value);
            let line_break: &[u8] = if has_crlf(source) { b"\r\n" } else { b"\n" };
            out.extend_from_slice(if has_comma { b"," } else { b"" });
            out.extend_from_slice(line_break);
        });
        return Ok(Some(edits));
    }
    let mut text = SecretBytes::new();
    text.extend_from_slice(if has_comma { b", " } else { b" " });
    text.extend_from_slice(&value);
    edits.insert(end, &text);
    Ok(Some(edits))
}

fn remove(tree: &Tree, id: NodeId) -> Option<Edits> {
    let source = tree.source();
    let node = tree.node(id);
    let parent = (0..id.index())
        .rev()
        .filter_map(|index| tree.id_at(index))
        .find(|&parent| tree.node(parent).end() > id.index())?;
    let mut edits = Edits::new();
    if tree.node(parent).site.style != Style::Flow {
        for mut lines in lines_of(tree, id) {
            if node.site.style == Style::Block {
                // With the blank lines behind it.
                let rest = &source[lines.end as usize..];
                let blank = rest.len() - rest.trim_ascii_start().len();
                let next = lines.end as usize + blank;
                lines.end =
                    if next == source.len() { next } else { line_start(source, next) } as u32;
            }
            edits.remove(lines);
        }
        return Some(edits);
    }
    let start = node.key.and_then(|key| key.span).or(node.span)?.start as usize;
    let end = end_of_entry(tree, id)?;
    let line = line_start(source, start);
    let rest = &source[end..line_end(source, end)];
    let rest = rest.trim_ascii();
    let rest = rest.strip_prefix(b",").unwrap_or(rest).trim_ascii_start();
    if source[line..start].trim_ascii().is_empty() && (rest.is_empty() || rest.starts_with(b"#")) {
        edits.remove(Span::new(line, line_end(source, end)));
    } else {
        edits.remove(with_comma(source, Span::new(start, end)));
    }
    Some(edits)
}
