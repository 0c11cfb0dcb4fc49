//! Scalars in their five styles.
//!
//! A scalar whose text is a stretch of the source is left there; everything else, such as folded
//! lines and escapes, is written to the scanner's `decoded` text, which is wiped in the end.

use super::cursor::{Mark, break_length, is_blank};
use super::scan::Scanner;
use super::token::{Token, TokenKind};
use crate::format::{SyntaxError, find};
use crate::secret::SecretBytes;
use crate::span::Span;
use crate::tree::{Style, TextRef};

/// The text of a scalar as it is read.
struct Text {
    /// Where its unchanged stretch starts in the source.
    start: usize,
    /// Where its own text starts in `decoded`, once it is no stretch of the source any more.
    decoded: Option<usize>,
}

impl Text {
    /// Returns the text that starts as the source does at `start`.
    fn new(start: usize) -> Text {
        Text { start, decoded: None }
    }

    /// Turns from the source, whose bytes up to `end` belong to the text, to `decoded`.
    fn leave_source(&mut self, source: &[u8], end: usize, decoded: &mut SecretBytes) {
        if self.decoded.is_none() {
            self.decoded = Some(decoded.len());
            decoded.extend_from_slice(&source[self.start..end]);
        }
    }

    /// Adds the bytes of the source at `from..to`, which follow what was added before.
    fn add(&self, source: &[u8], from: usize, to: usize, decoded: &mut SecretBytes) {
        if self.decoded.is_some() {
            decoded.extend_from_slice(&source[from..to]);
        }
    }

    /// Returns the text, which in the source ends at `end`.
    fn finish(&self, end: usize, decoded: &SecretBytes) -> TextRef {
        match self.decoded {
            Some(start) => TextRef::Pool(Span::new(start, decoded.len())),
            None => TextRef::Source(Span::new(self.start, end)),
        }
    }
}

/// How the end of a block scalar is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Chomping {
    /// The last line break belongs to the text.
    Clip,
    /// `-`: it does not.
    Strip,
    /// `+`: it does, and so do the empty lines behind.
    Keep,
}

impl Scanner<'_> {
    /// Reads a scalar without quotes.
    pub(super) fn scan_plain(&mut self) -> Result<Token, SyntaxError> {
        let start = self.cursor.mark();
        let source = self.cursor.source();
        let least = self.indent() + 1;
        let mut text = Text::new(self.cursor.at());
        let mut end = self.cursor.at();
        let mut lines = false;
        loop {
            if self.cursor.is_document_marker() || self.cursor.byte(0) == b'#' {
                break;
            }
            let from = self.cursor.at();
            let to = self.plain_word_end();
            if to > from {
                if from > end {
                    let gap = &source[end..from];
                    if lines {
                        text.leave_source(source, end, &mut self.decoded);
                        fold(gap, &mut self.decoded);
                    } else {
                        text.add(source, end, from, &mut self.decoded);
                    }
                }
                text.add(source, from, to, &mut self.decoded);
                lines = false;
                end = to;
                self.cursor.skip_to(to);
            }
            if self.cursor.is_end() || !self.cursor.is_gap(0) {
                break;
            }
            while !self.cursor.is_end() && self.cursor.is_gap(0) {
                if self.cursor.is_break(0) {
                    lines = true;
                    self.cursor.skip_break();
                } else {
                    let indented = i64::from(self.cursor.column()) >= least;
                    if lines && !indented && self.cursor.byte(0) == b'\t' {
                        return Err(self.error("a tab cannot indent a text"));
                    }
                    self.cursor.skip();
                }
            }
            if self.flow() == 0 && i64::from(self.cursor.column()) < least {
                break;
            }
        }
        if lines {
            self.allow_key(true);
        }
        let kind = TokenKind::Scalar { text: text.finish(end, &self.decoded), style: Style::Plain };
        Ok(Token { span: Span::new(start.offset as usize, end), ..self.token(kind, start) })
    }

    /// Returns the end of the word that starts here in a plain scalar.
    #[allow(clippy::needless_bitwise_bool, reason = "no branches, as `find::first` wants it")]
    fn plain_word_end(&self) -> usize {
        let source = self.cursor.source();
        let flow = self.flow() > 0;
        // Every ASCII line break and blank is among the first.
        let block_end =
            |byte: u8| (byte <= b' ') | (byte == b':') | (byte == 0xC2) | (byte == 0xE2);
        let flow_end = |byte: u8| {
            let bracket = (byte | 0x20 == b'{') | (byte | 0x20 == b'}');
            block_end(byte) | bracket | (byte == b',') | (byte == b'?')
        };
        let mut end = self.cursor.at();
        loop {
            let rest = &source[end..];
            end += if flow { find::first(rest, flow_end) } else { find::first(rest, block_end) };
            let Some(&byte) = source.get(end) else { break };
            let ends = match byte {
                b' ' | b'\t' | b'\n' | b'\r' => true,
                b':' => match source.get(end + 1) {
                    None => true,
                    Some(&next) => is_blank(next) || break_length(source, end + 1) > 0,
                },
                b',' | b'?' | b'[' | b']' | b'{' | b'}' => flow,
                0xC2 | 0xE2 => break_length(source, end) > 0,
                _ => false,
            };
            if ends {
                break;
            }
            end += 1;
        }
        end
    }

    /// Reads a scalar in quotes.
    pub(super) fn scan_quoted(&mut self, style: Style) -> Result<Token, SyntaxError> {
        let start = self.cursor.mark();
        let source = self.cursor.source();
        let quote = self.cursor.byte(0);
        self.cursor.skip();
        let mut text = Text::new(self.cursor.at());
        loop {
            if self.cursor.is_document_marker() {
                return Err(self.error("a document marker cannot stand in a quoted text"));
            }
            if self.cursor.is_end() {
                let offset = start.offset as usize;
                return Err(self.error_at(offset, "the quotes are never closed"));
            }
            let escaped_break = self.quoted_word(quote, &mut text)?;
            if self.cursor.byte(0) == quote {
                break;
            }
            let from = self.cursor.at();
            let mut lines = false;
            while !self.cursor.is_end() && self.cursor.is_gap(0) {
                if self.cursor.is_break(0) {
                    lines = true;
                    self.cursor.skip_break();
                } else {
                    self.cursor.skip_blanks();
                }
            }
            let gap = &source[from..self.cursor.at()];
            if escaped_break {
                copy_breaks(gap, &mut self.decoded);
            } else if lines {
                text.leave_source(source, from, &mut self.decoded);
                fold(gap, &mut self.decoded);
            } else {
                text.add(source, from, self.cursor.at(), &mut self.decoded);
            }
        }
        let text = text.finish(self.cursor.at(), &self.decoded);
        self.cursor.skip();
        Ok(self.token(TokenKind::Scalar { text, style }, start))
    }

    /// Reads what stands in quotes up to a blank, a line end or the closing quote. Returns
    /// whether an escaped line break ended it.
    #[allow(clippy::needless_bitwise_bool, reason = "no branches, as `find::first` wants it")]
    fn quoted_word(&mut self, quote: u8, text: &mut Text) -> Result<bool, SyntaxError> {
        let source = self.cursor.source();
        loop {
            let from = self.cursor.at();
            let wanted = |byte: u8| {
                (byte <= b' ') | (byte == b'\\') | (byte == quote) | (byte == 0xC2) | (byte == 0xE2)
            };
            let mut to = from;
            loop {
                to += find::first(&source[to..], wanted);
                let Some(&byte) = source.get(to) else { break };
                let ends = match byte {
                    b' ' | b'\t' | b'\n' | b'\r' => true,
                    b'\\' => quote == b'"',
                    0xC2 | 0xE2 => break_length(source, to) > 0,
                    _ => byte == quote,
                };
                if ends {
                    break;
                }
                to += 1;
            }
            self.cursor.skip_to(to);
            text.add(source, from, to, &mut self.decoded);
            match self.cursor.byte(0) {
                b'\'' if quote == b'\'' && self.cursor.byte(1) == b'\'' => {
                    text.leave_source(source, to, &mut self.decoded);
                    self.decoded.push(b'\'');
                    self.cursor.skip_to(to + 2);
                }
                b'\\' if quote == b'"' => {
                    text.leave_source(source, to, &mut self.decoded);
                    if self.cursor.is_break(1) {
                        self.cursor.skip();
                        self.cursor.skip_break();
                        return Ok(true);
                    }
                    self.escape()?;
                }
                _ => return Ok(false),
            }
        }
    }

    /// Reads an escape sequence.
    fn escape(&mut self) -> Result<(), SyntaxError> {
        let digits = match self.cursor.byte(1) {
            b'x' => 2,
            b'u' => 4,
            b'U' => 8,
            other => {
                let text = match other {
                    b'0' => "\0",
                    b'a' => "\u{7}",
                    b'b' => "\u{8}",
                    b't' | b'\t' => "\t",
                    b'n' => "\n",
                    b'v' => "\u{B}",
                    b'f' => "\u{C}",
                    b'r' => "\r",
                    b'e' => "\u{1B}",
                    b' ' => " ",
                    b'"' => "\"",
                    b'\'' => "'",
                    b'\\' => "\\",
                    b'N' => "\u{85}",
                    b'_' => "\u{A0}",
                    b'L' => "\u{2028}",
                    b'P' => "\u{2029}",
                    _ => return Err(self.error("this escape sequence is not known")),
                };
                self.decoded.extend_from_slice(text.as_bytes());
                self.cursor.skip_to(self.cursor.at() + 2);
                return Ok(());
            }
        };
        let mut code = 0u32;
        for place in 2..2 + digits {
            let Some(digit) = char::from(self.cursor.byte(place)).to_digit(16) else {
                return Err(self.error("this escape sequence has too few hexadecimal digits"));
            };
            code = code << 4 | digit;
        }
        let Some(character) = char::from_u32(code) else {
            return Err(self.error("this escape sequence is no Unicode character"));
        };
        let mut bytes = [0; 4];
        self.decoded.extend_from_slice(character.encode_utf8(&mut bytes).as_bytes());
        self.cursor.skip_to(self.cursor.at() + 2 + digits);
        Ok(())
    }

    /// Reads a block scalar: `|` or `>`.
    pub(super) fn scan_block_scalar(&mut self, style: Style) -> Result<Token, SyntaxError> {
        let start = self.cursor.mark();
        let source = self.cursor.source();
        let (chomping, digit) = self.block_header(start)?;
        let mut indent = digit.map(|digit| self.indent().max(0) + i64::from(digit));
        let decoded = self.decoded.len();
        let mut end = self.cursor.at();
        // The first line, as long as it is all of the text: a sealed value of some MB need not be
        // copied then.
        let mut only = None;
        // The line break of the line before, and the empty lines behind it.
        let mut line_break = end..end;
        let mut empty = self.empty_lines(&mut indent)?;
        let indent = indent.unwrap_or(1);
        let mut indented_before = false;
        while i64::from(self.cursor.column()) == indent && !self.cursor.is_end() {
            let indented = self.cursor.is_blank(0);
            let gap = &source[line_break.clone()];
            let first = gap.is_empty() && empty.is_empty();
            if let Some(line) = only.take() {
                self.decoded.extend_from_slice(&source[line]);
            }
            let folds = style == Style::Folded
                && !indented_before
                && !indented
                && matches!(gap.first(), Some(b'\n' | b'\r' | 0xC2));
            if !folds {
                copy_breaks(gap, &mut self.decoded);
            } else if empty.is_empty() {
                self.decoded.push(b' ');
            }
            copy_breaks(&source[empty.clone()], &mut self.decoded);
            indented_before = indented;
            let from = self.cursor.at();
            let to = self.cursor.skip_line();
            if first {
                only = Some(from..to);
            } else {
                self.decoded.extend_from_slice(&source[from..to]);
            }
            self.cursor.skip_break();
            line_break = to..self.cursor.at();
            end = line_break.end;
            empty = self.empty_lines(&mut Some(indent))?;
        }
        let last_break = if chomping == Chomping::Strip { end..end } else { line_break };
        let kept = if chomping == Chomping::Keep { empty } else { end..end };
        let text = match only {
            Some(line) if matches!(&source[last_break.clone()], b"" | b"\n") && kept.is_empty() => {
                TextRef::Source(Span::new(line.start, line.end + last_break.len()))
            }
            only => {
                self.decoded.extend_from_slice(&source[only.unwrap_or_default()]);
                copy_breaks(&source[last_break], &mut self.decoded);
                copy_breaks(&source[kept.clone()], &mut self.decoded);
                TextRef::Pool(Span::new(decoded, self.decoded.len()))
            }
        };
        end = end.max(kept.end);
        Ok(Token {
            span: Span::new(start.offset as usize, end),
            ..self.token(TokenKind::Scalar { text, style }, start)
        })
    }

    /// Reads the first line of a block scalar, which started at `start`: how it ends, and the
    /// depth of its indentation where that is given.
    fn block_header(&mut self, start: Mark) -> Result<(Chomping, Option<u8>), SyntaxError> {
        self.cursor.skip();
        let mut chomping = None;
        let mut digit = None;
        for _ in 0..2 {
            match self.cursor.byte(0) {
                b'+' if chomping.is_none() => chomping = Some(Chomping::Keep),
                b'-' if chomping.is_none() => chomping = Some(Chomping::Strip),
                b'0' if digit.is_none() => {
                    return Err(self.error("the indentation of a block text cannot be 0"));
                }
                byte @ b'1'..=b'9' if digit.is_none() => digit = Some(byte - b'0'),
                _ => break,
            }
            self.cursor.skip();
        }
        self.cursor.skip_blanks();
        if self.cursor.byte(0) == b'#' {
            self.line_comment(start.offset);
        }
        if !self.cursor.is_line_end(0) {
            return Err(self.error("a block text starts on the next line"));
        }
        self.cursor.skip_break();
        Ok((chomping.unwrap_or(Chomping::Clip), digit))
    }

    /// Steps over empty lines and the indentation of the line behind them. Returns where the empty
    /// lines are. An `indent` that is not known is found out.
    fn empty_lines(
        &mut self,
        indent: &mut Option<i64>,
    ) -> Result<std::ops::Range<usize>, SyntaxError> {
        let from = self.cursor.at();
        let mut to = from;
        let mut widest = 0;
        loop {
            let column = |scanner: &Self| i64::from(scanner.cursor.column());
            let inside = |scanner: &Self| indent.is_none_or(|indent| column(scanner) < indent);
            while inside(self) && self.cursor.byte(0) == b' ' {
                self.cursor.skip();
            }
            widest = widest.max(column(self));
            if inside(self) && self.cursor.byte(0) == b'\t' {
                return Err(self.error("a tab cannot indent a block text"));
            }
            if !self.cursor.is_break(0) {
                break;
            }
            self.cursor.skip_break();
            to = self.cursor.at();
        }
        if indent.is_none() {
            *indent = Some(widest.max(self.indent() + 1).max(1));
        }
        Ok(from..to)
    }
}

/// Writes what the line breaks in `gap`, which stands between two words, mean: a space if there is
/// one, else all but the first.
fn fold(gap: &[u8], out: &mut SecretBytes) {
    let first = (0..gap.len()).find(|&at| break_length(gap, at) > 0);
    let Some(first) = first else {
        return;
    };
    let rest = &gap[first + break_length(gap, first)..];
    // U+2028 and U+2029 are never folded.
    if gap[first] == 0xE2 {
        copy_breaks(&gap[first..], out);
        return;
    }
    let before = out.len();
    copy_breaks(rest, out);
    if out.len() == before {
        out.push(b' ');
    }
}

/// Writes the line breaks in `gap`, in the form in which YAML reads them.
fn copy_breaks(gap: &[u8], out: &mut SecretBytes) {
    let mut at = 0;
    while at < gap.len() {
        let length = break_length(gap, at);
        match length {
            0 => {}
            3 => out.extend_from_slice(&gap[at..at + 3]),
            _ => out.push(b'\n'),
        }
        at += length.max(1);
    }
}
