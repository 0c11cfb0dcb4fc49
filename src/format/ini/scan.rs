//! The parts of an INI text by SOPS' rules: comments, section headers and entries, each with its
//! places. What the parts mean together is [`super::parse`]'s business.

use crate::format::SyntaxError;
use crate::format::ini::blank;
use crate::secret::SecretBytes;
use crate::span::Span;
use crate::tree::Style;

/// A part of a text.
#[derive(Debug)]
pub(super) enum Item {
    /// A line that starts with `#` or `;`: from the marker to its last visible character.
    Comment(Span),
    /// `[name]`.
    Header(Header),
    /// `key = value`.
    Entry(Entry),
}

/// The header of a section.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    /// The name, between the brackets.
    pub(super) name: Span,
    /// The comment behind the bracket.
    pub(super) comment: Option<Span>,
}

/// A key with its value.
#[derive(Debug)]
pub(super) struct Entry {
    /// The name of the key.
    pub(super) name: Span,
    /// The key with its quotes.
    pub(super) key: Span,
    /// The place of the `=` or `:`.
    pub(super) delimiter: usize,
    /// The value.
    pub(super) value: Value,
}

/// A value.
#[derive(Debug)]
pub(super) struct Value {
    /// The value with its quotes.
    pub(super) span: Span,
    /// The value without them, or what the lines make together.
    pub(super) text: Text,
    /// How it is quoted.
    pub(super) style: Style,
    /// What follows on its last line.
    pub(super) behind: Behind,
    /// Where the next line starts.
    pub(super) next: usize,
}

/// The text of a value.
#[derive(Debug)]
pub(super) enum Text {
    /// It stands in the source.
    Source(Span),
    /// Lines that end in a backslash, joined.
    Joined(SecretBytes),
}

/// What stands behind a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behind {
    /// Nothing.
    Nothing,
    /// A comment, from its marker.
    Comment(Span),
    /// A comment that SOPS drops: behind a quote that closes on the line of the key.
    Dropped(Span),
}

/// Reads a text part by part.
#[derive(Debug)]
pub(super) struct Scanner<'s> {
    source: &'s [u8],
    at: usize,
}

impl<'s> Scanner<'s> {
    /// Starts at the beginning of `source`.
    pub(super) fn new(source: &'s [u8]) -> Scanner<'s> {
        Scanner { source, at: start_of_text(source) }
    }

    /// Returns the next part.
    pub(super) fn next(&mut self) -> Result<Option<Item>, SyntaxError> {
        let source = self.source;
        if source.starts_with(b"\xfe\xff") || source.starts_with(b"\xff\xfe") {
            let message = "the text is UTF-16; INI files are read as UTF-8";
            return Err(SyntaxError::at(source, 0, message));
        }
        while self.at < source.len() {
            let end = line_end(source, self.at);
            let start = self.at + blank::leading(&source[self.at..end]);
            if start >= end {
                self.at = end;
                continue;
            }
            let line = &source[start..end];
            return Ok(Some(match line[0] {
                b'#' | b';' => {
                    self.at = end;
                    Item::Comment(visible(source, start, end))
                }
                b'[' => {
                    self.at = end;
                    Item::Header(header(source, start, end)?)
                }
                _ => {
                    let entry = entry(source, start, end)?;
                    self.at = entry.value.next;
                    Item::Entry(entry)
                }
            }));
        }
        Ok(None)
    }
}

/// Returns where the text starts: behind a byte order mark.
pub(super) fn start_of_text(source: &[u8]) -> usize {
    if source.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 }
}

/// Returns where the line that holds `at` ends: behind its line feed.
pub(super) fn line_end(source: &[u8], at: usize) -> usize {
    memchr::memchr(b'\n', &source[at..]).map_or(source.len(), |length| at + length + 1)
}

/// Returns the span from `start` to the last visible character before `end`.
fn visible(source: &[u8], start: usize, end: usize) -> Span {
    Span::new(start, start + blank::trim_end(&source[start..end]).len())
}

fn header(source: &[u8], start: usize, end: usize) -> Result<Header, SyntaxError> {
    let line = &source[start..end];
    let Some(close) = memchr::memrchr(b']', line) else {
        return Err(SyntaxError::at(source, start, "the section name has no closing `]`"));
    };
    if close == 1 {
        return Err(SyntaxError::at(source, start, "the section has no name"));
    }
    let behind = start + close + 1;
    let comment = comment_behind(source, behind, end).map_err(|at| {
        SyntaxError::at(source, at, "behind a section name only a comment can stand")
    })?;
    Ok(Header { name: Span::new(start + 1, start + close), comment })
}

/// Returns the comment between two places, which is the only thing that can stand there. The error
/// is the place of something else.
fn comment_behind(source: &[u8], start: usize, end: usize) -> Result<Option<Span>, usize> {
    let at = start + blank::leading(&source[start..end]);
    match source[at..end].first() {
        None => Ok(None),
        Some(b'#' | b';') => Ok(Some(visible(source, at, end))),
        Some(_) => Err(at),
    }
}

fn entry(source: &[u8], start: usize, end: usize) -> Result<Entry, SyntaxError> {
    let fail = |at: usize, message: &'static str| Err(SyntaxError::at(source, at, message));
    let line = &source[start..end];
    let quote: &[u8] = match line[0] {
        b'"' if line.len() > 6 && line.starts_with(b"\"\"\"") => b"\"\"\"",
        b'"' => b"\"",
        b'`' => b"`",
        _ => b"",
    };
    let mut key = line.len();
    if !quote.is_empty() {
        let Some(length) = memchr::memmem::find(&line[quote.len()..], quote) else {
            return fail(start, "the key has no closing quote");
        };
        key = length + 2 * quote.len();
    }
    let searched = if quote.is_empty() { 0 } else { key };
    let Some(delimiter) = memchr::memchr2(b'=', b':', &line[searched..]) else {
        let message = "a line is `key = value`, a `[section]`, a comment that starts with `;` or \
                       `#`, or empty; this one has no `=`";
        return fail(start, message);
    };
    let delimiter = searched + delimiter;
    let name = if quote.is_empty() {
        key = blank::trim_end(&line[..delimiter]).len();
        Span::new(start, start + key)
    } else {
        if !blank::trim(&line[key..delimiter]).is_empty() {
            let at = start + key + blank::leading(&line[key..]);
            return fail(at, "between a quoted key and `=` nothing can stand");
        }
        let inner = &line[quote.len()..key - quote.len()];
        let from = start + quote.len() + blank::leading(inner);
        Span::new(from, from + blank::trim(inner).len())
    };
    if name.is_empty() {
        return fail(start, "the line has no key in front of `=`");
    }
    if &source[name.range()] == b"-" {
        let message = "SOPS reads the key `-` as a number of its own and cannot read its file \
                       afterwards; give the key a name";
        return fail(start, message);
    }
    let value = value(source, start + delimiter + 1).map_err(|error| error.of(source))?;
    Ok(Entry { name, key: Span::new(start, start + key), delimiter: start + delimiter, value })
}

/// Why a value cannot be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct ValueError {
    at: usize,
    message: &'static str,
}

impl ValueError {
    fn of(self, source: &[u8]) -> SyntaxError {
        SyntaxError::at(source, self.at, self.message)
    }
}

/// Reads the value that starts at `at`, right behind the `=`.
pub(super) fn value(source: &[u8], at: usize) -> Result<Value, ValueError> {
    let end = line_end(source, at);
    let start = at + blank::leading(&source[at..end]);
    let rest = &source[start..end];
    if rest.is_empty() {
        // A value to come stands behind the spaces that are there.
        let gap = source[at..end].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let span = Span::new(at + gap, at + gap);
        let text = Text::Source(span);
        return Ok(Value { span, text, style: Style::Plain, behind: Behind::Nothing, next: end });
    }
    if rest.len() > 3 && rest.starts_with(b"\"\"\"") {
        return raw(source, start, end, b"\"\"\"", Style::TripleQuoted);
    }
    if rest[0] == b'`' {
        return raw(source, start, end, b"`", Style::BackQuoted);
    }
    let trimmed = blank::trim_end(rest);
    if trimmed.ends_with(b"\\") {
        return continued(source, start, end);
    }
    let comment = memchr::memchr2(b'#', b';', trimmed);
    let text = blank::trim_end(&trimmed[..comment.unwrap_or(trimmed.len())]);
    let behind = comment.map_or(Behind::Nothing, |length| {
        Behind::Comment(Span::new(start + length, start + trimmed.len()))
    });
    let span = Span::new(start, start + text.len());
    let style = match text {
        [b'\'', inner @ .., b'\''] if !inner.contains(&b'\'') => Style::SingleQuoted,
        [b'"', inner @ .., b'"'] if !inner.contains(&b'"') => Style::DoubleQuoted,
        _ => Style::Plain,
    };
    let text = match style {
        Style::Plain => span,
        _ => Span { start: span.start + 1, end: span.end - 1 },
    };
    Ok(Value { span, text: Text::Source(text), style, behind, next: end })
}

/// Reads a value up to the last quote on its line, or else on the first line that has one.
fn raw(
    source: &[u8],
    start: usize,
    mut end: usize,
    quote: &[u8],
    style: Style,
) -> Result<Value, ValueError> {
    let body = start + quote.len();
    let one_line = memchr::memmem::rfind(&source[body..end], quote).map(|at| body + at);
    let mut close = one_line;
    while close.is_none() {
        if end >= source.len() {
            return Err(ValueError { at: start, message: "the value has no closing quote" });
        }
        let line = end;
        end = line_end(source, line);
        close = memchr::memmem::rfind(&source[line..end], quote).map(|at| line + at);
    }
    let close = close.unwrap_or(body);
    let behind = close + quote.len();
    let comment = comment_behind(source, behind, end).map_err(|at| ValueError {
        at,
        message: "behind the closing quote of a value only a comment can stand",
    })?;
    Ok(Value {
        span: Span::new(start, behind),
        text: Text::Source(Span::new(body, close)),
        style,
        behind: match comment {
            None => Behind::Nothing,
            Some(comment) if one_line.is_some() => Behind::Dropped(comment),
            Some(comment) => Behind::Comment(comment),
        },
        next: end,
    })
}

/// Reads a value that goes on over lines that end in a backslash.
fn continued(source: &[u8], start: usize, end: usize) -> Result<Value, ValueError> {
    let mut text = SecretBytes::new();
    let (mut line, mut next) = (Span::new(start, end), end);
    let mut last = start;
    loop {
        let content = &source[line.range()];
        let from = line.start as usize + blank::leading(content);
        let content = blank::trim(content);
        if content.is_empty() {
            break;
        }
        last = from + content.len();
        let Some(content) = content.strip_suffix(b"\\") else {
            text.extend_from_slice(content);
            break;
        };
        text.extend_from_slice(content);
        if next == source.len() && !source.ends_with(b"\n") {
            // The metadata would become part of the value.
            let message = "the last line ends in `\\`, but no line follows";
            return Err(ValueError { at: last - 1, message });
        }
        line = Span::new(next, line_end(source, next));
        next = line.end as usize;
    }
    Ok(Value {
        span: Span::new(start, last),
        text: Text::Joined(text),
        style: Style::Plain,
        behind: Behind::Nothing,
        next,
    })
}
