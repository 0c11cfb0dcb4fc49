//! What SOPS reads as something else than it looks like.

use std::borrow::Cow;

use crate::format::Warning;
use crate::format::ini::parse::DEFAULT;
use crate::format::ini::scan::{Behind, Entry, Item, Scanner, Text, start_of_text};
use crate::span::{Position, Span};
use crate::tree::{Style, Tree};

/// Returns the warnings about a text.
pub(super) fn warnings(tree: &Tree) -> Vec<Warning> {
    let source = tree.source();
    let mut warner = Warner {
        source,
        section: DEFAULT,
        place: Place { offset: 0, line: 1, start: 0 },
        list: Vec::new(),
    };
    let mut scanner = Scanner::new(source);
    let mut above_is_empty = false;
    while let Ok(Some(item)) = scanner.next() {
        match item {
            Item::Comment(_) => {}
            Item::Header(header) => {
                warner.section = &source[header.name.range()];
                if let Some(at) = memchr::memchr(b']', warner.section) {
                    let message =
                        "the section's name goes on to the last `]` of the line, as SOPS reads it";
                    warner.warn(header.name.start as usize + at, message);
                }
                above_is_empty = false;
            }
            Item::Entry(entry) => {
                warner.entry(&entry, above_is_empty);
                above_is_empty = entry.value.span.is_empty();
            }
        }
    }
    warner.list
}

struct Warner<'t> {
    source: &'t [u8],
    /// The name of the section.
    section: &'t [u8],
    place: Place,
    list: Vec<Warning>,
}

impl Warner<'_> {
    fn entry(&mut self, entry: &Entry, above_is_empty: bool) {
        let (source, value) = (self.source, &entry.value);
        let start = entry.key.start as usize;
        let path = self.path(entry.name);
        let is_indented = start.checked_sub(1).is_some_and(|at| source[at] != b'\n');
        if above_is_empty && is_indented && start > start_of_text(source) {
            self.warn(start, format!(
                "SOPS reads the indented line as a key of its own, {path}, and not as a part of \
                 the value above"
            ));
        }
        let rest = &source[entry.delimiter + 1..value.next.max(entry.delimiter + 1)];
        if source[entry.delimiter] == b':'
            && rest.first().is_some_and(|byte| !byte.is_ascii_whitespace())
            && entry.key.end as usize == entry.delimiter
            && memchr::memchr(b'=', rest).is_some()
        {
            self.warn(entry.delimiter, format!("the key {path} ends at the `:`, as SOPS reads it"));
        }
        match (&value.text, value.behind) {
            (Text::Joined(_), _) => self.warn(
                value.span.start as usize,
                format!(
                    "the value at {path} goes on after a line that ends in `\\`; SOPS prints it on \
                 one line"
                ),
            ),
            (_, Behind::Comment(comment)) if self.is_cut(value.span, comment) => {
                let marker = char::from(source[comment.start as usize]);
                self.warn(comment.start as usize, format!(
                    "SOPS reads the value at {path} only up to the `{marker}`, and the rest as a \
                     comment; backquotes around the value keep it whole"
                ));
            }
            (Text::Source(text), _) => {
                let quote: &[u8] = match value.style {
                    Style::BackQuoted => b"`",
                    Style::TripleQuoted => b"\"\"\"",
                    _ => return,
                };
                if let Some(at) = memchr::memmem::find(&source[text.range()], quote) {
                    self.warn(text.start as usize + at, format!(
                        "SOPS reads the value at {path} up to the last quote of the line, not to \
                         the first"
                    ));
                }
            }
        }
    }

    /// Returns whether the comment behind a value looks like a part of it.
    fn is_cut(&self, value: Span, comment: Span) -> bool {
        let text = &self.source[value.range()];
        let in_quotes = match text.first() {
            Some(quote @ (b'"' | b'\'')) => memchr::memchr_iter(*quote, text).count() % 2 == 1,
            _ => false,
        };
        in_quotes || !value.is_empty() && value.end == comment.start
    }

    fn path(&self, name: Span) -> String {
        let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).escape_debug().to_string();
        format!("`[\"{}\"][\"{}\"]`", shown(self.section), shown(&self.source[name.range()]))
    }

    fn warn(&mut self, at: usize, message: impl Into<Cow<'static, str>>) {
        let position = Some(self.place.of(self.source, at));
        self.list.push(Warning { message: message.into(), position });
    }
}

/// Counts lines from one place to a later one, so that many warnings cost one pass.
struct Place {
    offset: usize,
    line: usize,
    /// Where the line starts.
    start: usize,
}

impl Place {
    fn of(&mut self, source: &[u8], at: usize) -> Position {
        if at < self.offset {
            return Position::of(source, at);
        }
        let passed = Position::of(&source[self.offset..], at - self.offset);
        if passed.line > 1 {
            self.line += passed.line - 1;
            let before = &source[self.offset..at];
            let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
            self.start = before.iter().rposition(is_end).map_or(0, |end| self.offset + end + 1);
        }
        self.offset = at;
        let column = match std::str::from_utf8(&source[self.start.min(at)..at]) {
            Ok(text) => text.chars().count(),
            Err(_) => at - self.start.min(at),
        };
        Position { line: self.line, column: column + 1 }
    }
}
