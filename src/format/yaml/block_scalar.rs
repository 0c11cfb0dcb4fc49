//! Literal and folded blocks (`|`, `>`) that get another content.

use super::splice::SEALED;
use super::style::{Shape, chomping, write_spaces};
use super::text::{line_break, line_end};
use crate::edits::Edits;
use crate::secret::SecretBytes;
use crate::span::Span;

/// The parts of a block scalar. A comment in its header lies between the two spans and is never
/// touched.
#[derive(Clone, Copy, Debug)]
pub(super) struct BlockScalar {
    /// The indicators: `|`, `>-`, `|2+`.
    pub(super) header: Span,
    /// The lines, up to the last that is not blank with its line break.
    pub(super) content: Span,
    /// The lines with the blank ones behind them.
    whole: Span,
    /// The column of the lines; `None` if all are blank, if the header tells it, or if there are
    /// line breaks that are not looked for here.
    indent: Option<usize>,
    folded: bool,
    chomping: &'static str,
}

impl BlockScalar {
    /// Reads the block scalar at `span`.
    pub(super) fn read(source: &[u8], span: Span) -> BlockScalar {
        let start = span.start as usize;
        let limit = span.end as usize;
        let mut at = start + 1;
        let mut chomping = "";
        let mut digit = false;
        while at < limit {
            match source[at] {
                b'+' => chomping = "+",
                b'-' => chomping = "-",
                b'0'..=b'9' => digit = true,
                _ => break,
            }
            at += 1;
        }
        let header = Span::new(start, at.min(limit));
        let end = line_end(source, at).min(limit);
        let first = (end + line_break(source, end)).min(limit);
        let mut indent = None;
        let mut content_end = first;
        at = first;
        while at < limit {
            let end = line_end(source, at).min(limit);
            let next = (end + line_break(source, end)).min(limit);
            let line = &source[at..end];
            let spaces = line.iter().take_while(|&&byte| byte == b' ').count();
            let blank = spaces == line.len();
            if !blank && indent.is_none() {
                indent = Some(spaces);
            }
            // Spaces beyond the column of the text are text.
            if !blank || indent.is_some_and(|indent| spaces > indent) {
                content_end = next;
            }
            at = next;
        }
        let mut whole_end = limit;
        while whole_end < source.len() {
            let end = line_end(source, whole_end);
            if source[whole_end..end].iter().any(|&byte| byte != b' ') {
                break;
            }
            whole_end = end + line_break(source, end);
        }
        BlockScalar {
            header,
            content: Span::new(first, content_end),
            whole: Span::new(first, whole_end),
            indent: indent.filter(|_| !digit && !has_rare_breaks(&source[span.range()])),
            folded: source.get(start) == Some(&b'>'),
            chomping,
        }
    }

    /// Writes `text` into the block, if a block without an indentation digit can hold it.
    pub(super) fn rewrite(&self, edits: &mut Edits, source: &[u8], text: &str) -> bool {
        let shape = Shape::of(text);
        let Some(indent) = self.indent.filter(|_| shape.reads_literal()) else {
            return false;
        };
        let newline: &[u8] = match &source[..self.content.start as usize] {
            [.., b'\r', b'\n'] => b"\r\n",
            _ => b"\n",
        };
        let open = !matches!(source[self.content.range()].last(), Some(b'\n' | b'\r'));
        let sealed = text.as_bytes().starts_with(SEALED) && !shape.has_lines();
        let needed = chomping(text);
        // Without a line break at the end of the file `|` adds none either.
        let fits =
            sealed || needed == self.chomping || (open && needed == "-" && self.chomping != "-");
        let folded = self.folded && folds(text);
        if !fits || folded != self.folded {
            let mut header = String::from(if folded { ">" } else { "|" });
            header.push_str(if fits { self.chomping } else { needed });
            edits.replace(self.header, header.as_bytes());
        }
        let mut out = SecretBytes::new();
        let body = text.trim_end_matches('\n');
        let mut before: Option<&str> = None;
        for line in body.split('\n') {
            if let Some(before) = before {
                out.extend_from_slice(newline);
                // A folded block takes the first line break of a run for a space.
                if folded && !before.is_empty() {
                    out.extend_from_slice(newline);
                }
            }
            if !line.is_empty() {
                write_spaces(&mut out, indent);
                out.extend_from_slice(line.as_bytes());
            }
            before = Some(line);
        }
        let breaks = text.len() - body.len();
        if breaks > 0 || !open {
            out.extend_from_slice(newline);
        }
        for _ in 1..breaks {
            out.extend_from_slice(newline);
        }
        // The number of blank lines below is part of a value that keeps them.
        let exact = !sealed && (needed == "+" || (fits && self.chomping == "+"));
        let place = if exact { self.whole } else { self.content };
        edits.replace(place, &out);
        true
    }
}

/// Returns whether `text` has U+0085, U+2028 or U+2029, which end lines too.
fn has_rare_breaks(text: &[u8]) -> bool {
    memchr::memchr2_iter(0xC2, 0xE2, text)
        .any(|at| matches!(text[at..], [0xC2, 0x85, ..] | [0xE2, 0x80, 0xA8 | 0xA9, ..]))
}

/// Returns whether a folded block can hold `text` with blank lines for its line breaks: lines that
/// begin with a blank are not folded.
fn folds(text: &str) -> bool {
    !text.split('\n').any(|line| line.starts_with([' ', '\t']) || line.ends_with([' ', '\t']))
}
