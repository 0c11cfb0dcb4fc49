//! Where values, entries and the lines of them end.

use super::block_scalar::BlockScalar;
use super::text::{is_line_start, line_break, line_end, line_start};
use crate::span::Span;
use crate::tree::{Node, NodeId, Style, Tree};

/// Returns where the lines end that hold the text up to `last`, and those of comments below in
/// `column` or farther right.
pub(super) fn lines_end(source: &[u8], last: usize, limit: usize, column: usize) -> usize {
    let mut end = if is_line_start(source, last) {
        last
    } else {
        let end = line_end(source, last);
        end + line_break(source, end)
    };
    let mut at = end;
    while at < limit {
        let line_end = line_end(source, at);
        let line = &source[at..line_end];
        at = line_end + line_break(source, line_end);
        let text = line.trim_ascii_start();
        if text.starts_with(b"#") && line.len() - text.len() >= column {
            end = at;
        } else if !text.is_empty() {
            break;
        }
    }
    end
}

/// Returns the offset after the last byte of a value, which may have many parts; the blank lines
/// behind a block scalar are not counted.
pub(super) fn value_end(tree: &Tree, id: NodeId) -> usize {
    let mut end = 0;
    for node in &tree.nodes()[id.index()..tree.node(id).end()] {
        if node.kind.is_comment() {
            continue;
        }
        let key = node.key.and_then(|key| key.span);
        for span in [key, node.site.properties].into_iter().flatten() {
            end = end.max(span.end as usize);
        }
        let Some(span) = node.span else {
            continue;
        };
        let here = match node.site.style {
            Style::Block if node.kind.is_container() => continue,
            Style::Literal | Style::Folded => {
                let scalar = BlockScalar::read(tree.source(), span);
                if scalar.content.is_empty() { scalar.header.end } else { scalar.content.end }
            }
            _ => span.end,
        };
        end = end.max(here as usize);
    }
    end
}

/// Returns the place of an entry of a flow map, without commas.
pub(super) fn flow_entry(tree: &Tree, id: NodeId) -> Span {
    let node = tree.node(id);
    let end = value_end(tree, id);
    let start = node.key.and_then(|key| key.span).map_or(end, |span| span.start as usize);
    let before = tree.source()[..start].trim_ascii_end();
    let is_marked = before.ends_with(b"?") && !ends_in_comment(tree, id, before);
    let start = if is_marked { before.len() - 1 } else { start };
    Span::new(start.min(end), end)
}

/// Returns what to remove so that a flow collection has no longer the member `id`, which stands at
/// `entry`.
pub(super) fn flow_removal(tree: &Tree, id: NodeId, entry: Span) -> Span {
    let source = tree.source();
    let (start, end) = (entry.start as usize, entry.end as usize);
    let before = source[..start].trim_ascii_end();
    let skip = |from: usize| {
        let rest = &source[from..];
        from + rest.len() - rest.trim_ascii_start().len()
    };
    let after = skip(end);
    let comma_before = before.ends_with(b",") && !ends_in_comment(tree, id, before);
    let token = next_token(source, after);
    if token > after && source.get(token) == Some(&b',') {
        // The comments in front of its comma are the entry's.
        return Span::new(start, token + 1);
    }
    if source.get(after) == Some(&b',') {
        let next = skip(after + 1);
        if comma_before && matches!(source.get(next), Some(b'}' | b'#')) {
            return Span::new(start, after + 1);
        }
        return Span::new(start, next);
    }
    if comma_before {
        return Span::new(before.len() - 1, end);
    }
    entry
}

/// Returns whether the text `before` the member `id` ends in a comment. Between the end of what stands
/// in front of the member and the member there are only commas, blanks and comments.
fn ends_in_comment(tree: &Tree, id: NodeId, before: &[u8]) -> bool {
    let ends = |node: &Node| {
        let spans = [node.key.and_then(|key| key.span), node.span];
        spans.into_iter().flatten().map(|span| span.end as usize).max()
    };
    let front = tree.nodes()[..id.index()]
        .iter()
        .rev()
        .filter(|node| !node.kind.is_comment())
        .filter_map(ends)
        .find(|&end| end <= before.len());
    let from = front.unwrap_or_default().max(line_start(before, before.len()));
    memchr::memchr(b'#', &before[from..]).is_some()
}

/// Returns where the next thing stands that is neither blank nor a comment.
fn next_token(source: &[u8], mut at: usize) -> usize {
    while let Some(&byte) = source.get(at) {
        match byte {
            b'#' => at = line_end(source, at),
            byte if byte.is_ascii_whitespace() => at += 1,
            _ => break,
        }
    }
    at
}

/// Looks through what stands between the last entry of a flow map and its `}`: returns the offset
/// of a comma, and whether there are comments.
pub(super) fn commas_and_comments(text: &[u8]) -> (Option<usize>, bool) {
    let mut at = 0;
    let mut comment = false;
    let mut comma = None;
    while at < text.len() {
        match text[at] {
            b'#' => {
                comment = true;
                at = line_end(text, at);
            }
            b',' if comma.is_none() => comma = Some(at),
            _ => {}
        }
        at += 1;
    }
    (comma, comment)
}
