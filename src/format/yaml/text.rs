//! Lines and indentation of a source text.

use super::emit::DEFAULT_INDENT;
use super::style::write_spaces;
use crate::secret::SecretBytes;
use crate::tree::{Style, Tree};

/// Returns the offset of the line break at or behind `from`, or the end of the text.
pub(super) fn line_end(source: &[u8], from: usize) -> usize {
    memchr::memchr2(b'\n', b'\r', &source[from..]).map_or(source.len(), |at| from + at)
}

/// Returns the length of the line break at `at`: 0 at the end of the text.
pub(super) fn line_break(source: &[u8], at: usize) -> usize {
    match source.get(at..) {
        Some([b'\r', b'\n', ..]) => 2,
        Some([b'\r' | b'\n', ..]) => 1,
        _ => 0,
    }
}

/// Returns the offset of the first byte of the line that holds `at`.
pub(super) fn line_start(source: &[u8], at: usize) -> usize {
    memchr::memrchr2(b'\n', b'\r', &source[..at]).map_or(0, |at| at + 1)
}

/// Returns whether a line begins at `at`, behind another one.
pub(super) fn is_line_start(source: &[u8], at: usize) -> bool {
    matches!(source[..at].last(), Some(b'\n' | b'\r'))
}

/// Returns whether a text has nothing but blanks and comments.
pub(super) fn is_bare(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    text.split(|byte| matches!(byte, b'\n' | b'\r')).all(|line| {
        let mut line = line.trim_ascii_start();
        // Line breaks that YAML 1.1 alone has.
        while let Some(rest) = [&b"\xC2\x85"[..], b"\xE2\x80\xA8", b"\xE2\x80\xA9"]
            .iter()
            .find_map(|&line_break| line.strip_prefix(line_break))
        {
            line = rest.trim_ascii_start();
        }
        line.is_empty() || line.starts_with(b"#")
    })
}

/// Returns the line break that the text uses, by its first line.
pub(super) fn newline_of(source: &[u8]) -> &'static [u8] {
    let end = line_end(source, 0);
    match line_break(source, end) {
        2 => b"\r\n",
        _ => b"\n",
    }
}

/// Returns whole lines `columns` farther right, with other line breaks.
pub(super) fn shift_lines(text: &[u8], columns: usize, newline: &[u8]) -> SecretBytes {
    let mut out = SecretBytes::with_capacity(text.len() + 2);
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !line.is_empty() {
            write_spaces(&mut out, columns);
            out.extend_from_slice(line);
        }
        out.extend_from_slice(newline);
    }
    out
}

/// Returns a text without its last line break.
pub(super) fn without_break(text: &[u8]) -> &[u8] {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    text.strip_suffix(b"\r").unwrap_or(text)
}

/// Returns how many spaces a level of the text has, by its first nested block map or list.
pub(super) fn indent_step(tree: &Tree) -> usize {
    found_indent(tree).unwrap_or(DEFAULT_INDENT)
}

/// As [`indent_step`], where the text shows it.
pub(super) fn found_indent(tree: &Tree) -> Option<usize> {
    let nodes = tree.nodes();
    (1..nodes.len()).find_map(|at| {
        // A block collection under a key, and its first member behind a few comments.
        let outer = &nodes[at - 1];
        let nested = outer.kind.is_container()
            && outer.end() > at
            && outer.key.is_some()
            && outer.site.style == Style::Block;
        if !nested {
            return None;
        }
        let mut members = nodes[at..outer.end()].iter().take(8);
        let inner = members.find(|node| !node.kind.is_comment())?;
        let step = (inner.site.indent as usize).checked_sub(outer.site.indent as usize)?;
        (2..=9).contains(&step).then_some(step)
    })
}
