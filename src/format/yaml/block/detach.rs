//! Cutting the metadata block out of a text.

use super::super::cursor::is_blank;
use super::super::extent::{flow_entry, flow_removal};
use super::super::text::{is_bare, is_line_start, line_break, line_end, newline_of};
use super::{after, entries, entry_lines, find};
use crate::edits::Edits;
use crate::format::{Detached, DuplicateMetadata};
use crate::secret::SecretBytes;
use crate::span::Span;
use crate::tree::{Style, Tree};

/// Cuts the metadata out of every document; the block is that of the first.
pub(in crate::format::yaml) fn detach(tree: &Tree) -> Result<Option<Detached>, DuplicateMetadata> {
    let source = tree.source();
    let mut edits = Edits::new();
    let mut first: Option<(SecretBytes, Option<usize>)> = None;
    for (number, root) in tree.documents().enumerate() {
        let Some((position, id)) = find(tree, root)? else {
            if number == 0 {
                return Ok(None);
            }
            continue;
        };
        let entries = entries(tree, root).count();
        let (text, removed) = if tree.node(root).site.style == Style::Flow {
            let entry = flow_entry(tree, id);
            let mut text = SecretBytes::from("{");
            text.extend_from_slice(&source[entry.range()]);
            let last = text.rsplit(u8::is_ascii_whitespace).next().unwrap_or_default();
            let is_empty = tree.node(id).span.is_none_or(Span::is_empty);
            if is_empty && (last.starts_with(b"!") || last.starts_with(b"&")) {
                // Nothing but a property, which the brace would be a part of.
                text.push(b' ');
            }
            text.extend_from_slice(b"}\n");
            (text, flow_removal(tree, id, entry))
        } else {
            let lines = entry_lines(tree, root, id);
            let mut text = SecretBytes::from(&source[lines.range()]);
            if !text.ends_with(b"\n") {
                text.extend_from_slice(newline_of(source));
            }
            (text, lines)
        };
        let left = [&source[..removed.start as usize], after(tree, root, removed)];
        let extent_start = tree.node(root).span.map_or(0, |span| span.start as usize);
        let in_front = source.get(extent_start..removed.start as usize).unwrap_or_default();
        let bare = number == 0 && left.iter().all(|text| is_bare(text));
        if bare
            || (entries == 1 && tree.node(root).site.style != Style::Flow && is_tagged(in_front))
        {
            // Without any entry and without a marker there would be no document, and a tag alone
            // is no map.
            let mut empty = SecretBytes::from("{}");
            empty.extend_from_slice(newline_of(source));
            edits.replace(removed, &empty);
        } else {
            edits.remove(removed);
        }
        untab(source, removed.end as usize, &mut edits);
        if first.is_none() {
            first = Some((text, Some(position).filter(|_| position + 1 < entries)));
        }
    }
    Ok(first.map(|(block, position)| Detached { edits, block, position }))
}

/// Makes spaces of the tabs that begin the blank lines and comments at `start`: behind a comment
/// they are skipped with it, behind the value before the metadata they may be refused.
fn untab(source: &[u8], start: usize, edits: &mut Edits) {
    if start > 0 && !is_line_start(source, start) {
        return;
    }
    let mut at = start;
    while at < source.len() {
        let end = line_end(source, at);
        let text = at + source[at..end].iter().take_while(|byte| is_blank(**byte)).count();
        if text < end && source[text] != b'#' {
            return;
        }
        for tab in memchr::memchr_iter(b'\t', &source[at..text]) {
            edits.replace(Span::new(at + tab, at + tab + 1), b" ");
        }
        at = end + line_break(source, end);
    }
}

/// Returns whether there is a tag in what stands in front of the first entry of a block map: a
/// marker, the properties of the map, and comments.
fn is_tagged(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    text.split(|byte| matches!(byte, b'\n' | b'\r')).filter(|line| !line.starts_with(b"%")).any(
        |line| {
            line.split(|byte| matches!(byte, b' ' | b'\t'))
                .take_while(|word| !word.starts_with(b"#"))
                .any(|word| word.len() > 1 && word.starts_with(b"!"))
        },
    )
}
