//! Where a node begins and ends, with the lines and comments that belong to it.

use super::super::block_scalar::BlockScalar;
use super::super::extent::{lines_end, value_end};
use super::super::text::{is_line_start, line_start};
use super::{Text, place};
use crate::span::Span;
use crate::tree::{NodeId, Style};

impl Text<'_> {
    /// Returns the collection that holds `id`.
    pub(super) fn container(&self, id: NodeId) -> Option<NodeId> {
        let nodes = self.tree.nodes();
        let at = (0..id.index()).rev().find(|&at| nodes[at].end() > id.index())?;
        self.tree.id_at(at)
    }

    /// Returns where an entry or member begins: its key, or its dash.
    pub(super) fn start(&self, id: NodeId) -> usize {
        let node = self.tree.node(id);
        if let Some(span) = node.key.and_then(|key| key.span) {
            let before = self.source[..span.start as usize].trim_ascii_end();
            return match before.last() {
                Some(b'?') => before.len() - 1,
                _ => span.start as usize,
            };
        }
        self.head_end(id).map_or(0, |head| head - 1)
    }

    /// Returns the offset behind the colon or dash of an entry or member.
    pub(super) fn head_end(&self, id: NodeId) -> Option<usize> {
        let node = self.tree.node(id);
        if let Some(key) = node.key {
            let span = key.span?;
            let end = span.end as usize;
            // The colon of a key behind `?` begins a line of its own.
            let explicit = self.source[..span.start as usize].trim_ascii_end().ends_with(b"?");
            let is_blank = |byte: u8| byte == b' ' || explicit && byte.is_ascii_whitespace();
            let blanks = self.source[end..].iter().take_while(|&&byte| is_blank(byte)).count();
            return (self.source.get(end + blanks) == Some(&b':')).then_some(end + blanks + 1);
        }
        let value = node.span?.start;
        let value = node.site.properties.map_or(value, |before| before.start.min(value)) as usize;
        // The dash stands in the column of the list, above comments and blank lines maybe.
        let mut line = line_start(self.source, value);
        loop {
            let dash = line + node.site.indent as usize;
            if dash < value && self.source[dash] == b'-' {
                return Some(dash + 1);
            }
            let text = self.source[line..value].trim_ascii_start();
            if line == 0 || !(text.is_empty() || text.starts_with(b"#")) {
                return None;
            }
            line = line_start(self.source, without_break_at(self.source, line));
        }
    }

    /// Returns where the text of a value ends; behind the colon or dash, if it has none.
    pub(super) fn end_of_value(&self, id: NodeId) -> usize {
        match self.tree.node(id).span {
            Some(span) if !span.is_empty() => value_end(self.tree, id),
            _ => self.head_end(id).unwrap_or_default(),
        }
    }

    /// Returns where the lines of an entry end, with the comment behind it and those below it that
    /// stand farther right.
    pub(super) fn end_of_lines(&self, id: NodeId) -> usize {
        let column = self.tree.node(id).site.indent as usize;
        let node = self.tree.node(id);
        let mut end = self.end_of_value(id);
        if let (Style::Literal | Style::Folded, Some(span)) = (node.site.style, node.span) {
            let header = BlockScalar::read(self.source, span).header;
            // The blank lines behind it are its own then.
            if self.source[header.range()].contains(&b'+') {
                end = end.max(span.end as usize);
            }
        }
        lines_end(self.source, end, self.source.len(), column + 1)
    }

    /// Returns where a new member goes: behind the last one, and the comments that stand below it
    /// in its column.
    pub(super) fn end_of_members(&self, container: NodeId, last: NodeId, column: usize) -> usize {
        let is_root = self.tree.documents().any(|root| root == container);
        let limit = self.tree.documents().find(|&root| self.tree.node(root).end() > last.index());
        let limit = limit.and_then(|root| self.tree.node(root).span);
        let limit = limit.map_or(self.source.len(), |span| span.end as usize);
        // On the top level a comment in the first column may be of the next document.
        let column = if is_root { column } else { column.max(1) };
        lines_end(self.source, self.end_of_value(last), limit, column)
    }

    /// Returns the place of whole lines: with the break in front of them, if the last has none.
    pub(super) fn whole_lines(&self, start: usize, end: usize) -> Span {
        let is_open = end == self.source.len() && !is_line_start(self.source, end);
        let from = if is_open { start - self.break_before(start) } else { start };
        place(from, end)
    }

    pub(super) fn break_before(&self, at: usize) -> usize {
        at - without_break_at(self.source, at)
    }
}

/// Returns the offset in front of the line break that ends at `at`, if there is one.
pub(super) fn without_break_at(source: &[u8], at: usize) -> usize {
    let before = &source[..at];
    let cut = before.strip_suffix(b"\n").unwrap_or(before);
    cut.strip_suffix(b"\r").unwrap_or(cut).len()
}
