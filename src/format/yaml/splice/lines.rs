//! Values of several lines: block scalars that are written over, or begun where a token stood, and
//! leaves that get back the text that they had.

use super::super::block_scalar::BlockScalar;
use super::super::emit::write_scalar;
use super::super::properties::{Tag, tag_of};
use super::super::style::{
    Shape, chomping, indentation_digit, looks_typed, write_lines, write_spaces,
};
use super::super::text::{line_break, line_end, without_break};
use super::{SEALED, Splicer, guard, write_quoted};
use crate::secret::SecretBytes;
use crate::span::Span;
use crate::tree::{Node, NodeId, Style, Value};

/// Returns whether nothing but a line break stands at `at`, and none that only some readers know
/// begins the next line.
fn is_line_end(source: &[u8], at: usize) -> bool {
    let next = at + line_break(source, at);
    line_end(source, at) == at && source.get(next).is_none_or(u8::is_ascii)
}

impl Splicer<'_> {
    /// Returns whether a literal block can begin at `span`: the lines below must not become part
    /// of it.
    pub(super) fn literal_fits(&self, node: &Node, span: Span, text: &str) -> bool {
        let end = line_end(self.source, span.end as usize);
        let rest = self.source[span.end as usize..end].trim_ascii_start();
        if !(rest.is_empty() || rest.starts_with(b"#")) {
            return false;
        }
        let column = self.inner_column(node);
        let mut at = end + line_break(self.source, end);
        let mut blank_lines = false;
        while at < self.source.len() {
            let end = line_end(self.source, at);
            let line = &self.source[at..end];
            let indent = line.iter().take_while(|&&byte| byte == b' ').count();
            if !line.trim_ascii_start().is_empty() {
                if indent > node.site.indent as usize {
                    return false;
                }
                break;
            }
            // Blanks beyond the column of the text would be text.
            if line.len() > column || line.contains(&b'\t') {
                return false;
            }
            blank_lines = true;
            at = end + line_break(self.source, end);
        }
        // With `+`, blank lines below would count.
        !(blank_lines && chomping(text) == "+")
    }

    /// Returns the column for the lines of a literal block, as SOPS chooses it.
    pub(super) fn inner_column(&self, node: &Node) -> usize {
        let outside = node.site.indent as usize;
        if node.key.is_none() { outside + 2 } else { (outside + self.step) / self.step * self.step }
    }

    /// Returns the indentation digit of a literal block at `span`. Where a comment stands behind the
    /// value, quotes are safer.
    pub(super) fn literal_digit(&self, node: &Node, span: Span, text: &str) -> Option<usize> {
        let inside = self.inner_column(node) - node.site.indent as usize;
        indentation_digit(text, inside, self.step)
            .filter(|_| is_line_end(self.source, span.end as usize))
    }

    /// Writes a literal block: its header over `span`, its lines behind the line and its comment.
    pub(super) fn literal(&mut self, node: &Node, span: Span, text: &str) {
        let mut header = SecretBytes::from("|");
        if let Some(digit) = self.literal_digit(node, span, text) {
            header.extend_from_slice(digit.to_string().as_bytes());
        }
        header.extend_from_slice(chomping(text).as_bytes());
        guard(&mut header, 0, self.source, span.end as usize);
        self.edits.replace(span, &header);
        let indent = self.inner_column(node);
        let end = line_end(self.source, span.end as usize);
        let mut lines = SecretBytes::new();
        write_lines(&mut lines, text, indent, self.newline);
        if end == self.source.len() && text.ends_with('\n') {
            lines.extend_from_slice(self.newline);
        }
        self.edits.insert(end, &lines);
    }

    pub(super) fn over_block_scalar(&mut self, id: NodeId, node: &Node, span: Span, tag: Tag) {
        let scalar = BlockScalar::read(self.source, span);
        let text = match self.tree.value(id) {
            Some(Value::Text(bytes)) => std::str::from_utf8(bytes).ok(),
            _ => None,
        };
        let mut out = SecretBytes::new();
        if let Some(text) = text {
            if scalar.rewrite(&mut self.edits, self.source, text) {
                return;
            }
            let shape = Shape::of(text);
            if shape.reads_plain() && (tag == Tag::Text || !looks_typed(text)) {
                out.extend_from_slice(text.as_bytes());
            } else {
                write_quoted(&mut out, text, shape);
            }
        } else {
            write_scalar(&mut out, self.tree, id);
        }
        self.reindent(node, span);
        guard(&mut out, 0, self.source, scalar.header.end as usize);
        self.edits.replace(scalar.header, &out);
        self.edits.remove(scalar.content);
    }

    /// Moves a value on a line of its own to the right, if it stands so far left that only a block
    /// scalar may stand there.
    fn reindent(&mut self, node: &Node, span: Span) {
        let start =
            node.site.properties.map_or(span.start, |properties| properties.start.min(span.start))
                as usize;
        let spaces = self.source[..start].iter().rev().take_while(|&&byte| byte == b' ').count();
        let line_start = start - spaces;
        let own_line = line_start == 0 || matches!(self.source[line_start - 1], b'\n' | b'\r');
        let indent = node.site.indent as usize;
        if own_line && spaces <= indent {
            let mut out = SecretBytes::new();
            write_spaces(&mut out, indent + 2 - spaces);
            self.edits.insert(start, &out);
        }
    }

    /// Writes `text` in place of the leaf.
    pub(super) fn verbatim(&mut self, node: &Node, span: Span, text: &[u8]) {
        let bare = text.strip_prefix(b"\"").unwrap_or(text);
        let bare = bare.strip_prefix(b"'").unwrap_or(bare);
        if bare.starts_with(SEALED)
            && let Some((tag, place)) =
                node.site.properties.and_then(|properties| tag_of(self.source, properties))
            && !matches!(tag, Tag::None | Tag::Text)
        {
            self.remove_tag(place, span);
        }
        let block = matches!(text.first(), Some(b'|' | b'>'))
            .then(|| memchr::memchr2(b'\n', b'\r', text))
            .flatten();
        let old = matches!(node.site.style, Style::Literal | Style::Folded)
            .then(|| BlockScalar::read(self.source, span));
        match (old, block) {
            (None, None) => {
                self.edits.replace(span, text);
                if node.site.style == Style::Plain && text.starts_with(b"\"") {
                    self.untab(span.end as usize);
                }
            }
            (Some(old), None) => {
                self.reindent(node, span);
                self.edits.replace(old.header, text);
                self.edits.remove(old.content);
            }
            (old, Some(end)) => {
                // A comment in the header is a node of its own and stays where it is.
                let header = &text[..end];
                let header = &header[..memchr::memchr2(b' ', b'\t', header).unwrap_or(end)];
                if let Some(old) = old {
                    let mut lines = &text[end + line_break(text, end)..];
                    if !matches!(self.source[span.range()].last(), Some(b'\n' | b'\r')) {
                        lines = without_break(lines);
                    }
                    self.edits.replace(old.header, header);
                    let whole = Span::new(old.content.start as usize, span.end as usize);
                    self.edits.replace(whole, lines);
                } else {
                    let at = line_end(self.source, span.end as usize);
                    let mut lines = &text[end..];
                    if at < self.source.len() {
                        lines = without_break(lines);
                    }
                    self.edits.replace(span, header);
                    self.edits.insert(at, lines);
                }
            }
        }
    }
}
