//! A place in the source text, and YAML's classes of characters.
//!
//! The text is valid UTF-8 without control characters ([`check`] saw to it), so that a zero byte
//! can stand for the end of the text, and no look-ahead needs a bound check of its own.

use crate::format::{SyntaxError, find};

/// A place in the text. Lines and columns count from 0, columns in characters.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mark {
    /// Bytes in front of it.
    pub(super) offset: u32,
    /// Line breaks in front of it.
    pub(super) line: u32,
    /// Characters between the last line break and it.
    pub(super) column: u32,
}

/// Reads forward through a text.
pub(super) struct Cursor<'s> {
    source: &'s [u8],
    at: usize,
    line: u32,
    column: u32,
    breaks: u32,
}

impl<'s> Cursor<'s> {
    /// Returns a cursor before the byte `start`.
    pub(super) fn new(source: &'s [u8], start: usize) -> Cursor<'s> {
        Cursor { source, at: start, line: 0, column: 0, breaks: 0 }
    }

    /// Returns the whole text.
    pub(super) fn source(&self) -> &'s [u8] {
        self.source
    }

    /// Returns the offset of the next byte.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Returns the column of the next character.
    pub(super) fn column(&self) -> u32 {
        self.column
    }

    /// Returns the number of the line that is read.
    pub(super) fn line(&self) -> u32 {
        self.line
    }

    /// Returns how many line breaks stand between here and the last character before that is
    /// neither blank nor break.
    pub(super) fn breaks(&self) -> u32 {
        self.breaks
    }

    /// Returns the place.
    pub(super) fn mark(&self) -> Mark {
        Mark { offset: self.at as u32, line: self.line, column: self.column }
    }

    /// Returns the byte `ahead` bytes from here; zero behind the end.
    pub(super) fn byte(&self, ahead: usize) -> u8 {
        self.source.get(self.at + ahead).copied().unwrap_or(0)
    }

    /// Returns whether the text ends here.
    pub(super) fn is_end(&self) -> bool {
        self.at >= self.source.len()
    }

    /// Returns whether a space or tab stands `ahead` bytes from here.
    pub(super) fn is_blank(&self, ahead: usize) -> bool {
        is_blank(self.byte(ahead))
    }

    /// Returns whether a line break stands `ahead` bytes from here.
    pub(super) fn is_break(&self, ahead: usize) -> bool {
        break_length(self.source, self.at + ahead) > 0
    }

    /// Returns whether the line ends `ahead` bytes from here.
    pub(super) fn is_line_end(&self, ahead: usize) -> bool {
        self.at + ahead >= self.source.len() || self.is_break(ahead)
    }

    /// Returns whether no word goes on `ahead` bytes from here: blank, break or end.
    pub(super) fn is_gap(&self, ahead: usize) -> bool {
        self.is_blank(ahead) || self.is_line_end(ahead)
    }

    /// Returns whether a `---` or `...` marker stands here.
    pub(super) fn is_document_marker(&self) -> bool {
        self.column == 0
            && self
                .source
                .get(self.at..self.at + 3)
                .is_some_and(|word| word == b"---" || word == b"...")
            && self.is_gap(3)
    }

    /// Steps over one character that is no line break.
    pub(super) fn skip(&mut self) {
        let width = match self.byte(0) {
            _ if self.is_end() => return,
            0..0x80 => 1,
            0x80..0xE0 => 2,
            0xE0..0xF0 => 3,
            _ => 4,
        };
        self.skip_to((self.at + width).min(self.source.len()));
    }

    /// Steps to the byte `end` of this line.
    pub(super) fn skip_to(&mut self, end: usize) {
        let run = &self.source[self.at..end];
        if run.iter().any(|&byte| !is_blank(byte)) {
            self.breaks = 0;
        }
        self.column += characters(run) as u32;
        self.at = end;
    }

    /// Steps over all spaces and tabs.
    pub(super) fn skip_blanks(&mut self) {
        let mut end = self.at;
        while self.source.get(end).is_some_and(|&byte| is_blank(byte)) {
            end += 1;
        }
        self.column += (end - self.at) as u32;
        self.at = end;
    }

    /// Steps over the line break that stands here, if one does.
    pub(super) fn skip_break(&mut self) {
        let length = break_length(self.source, self.at);
        if length > 0 {
            self.at += length;
            self.line += 1;
            self.column = 0;
            self.breaks += 1;
        }
    }

    /// Steps to the end of the line and returns where it is.
    pub(super) fn skip_line(&mut self) -> usize {
        let mut end = self.at;
        loop {
            end += find::first(&self.source[end..], may_break);
            if end == self.source.len() || break_length(self.source, end) > 0 {
                break;
            }
            end += 1;
        }
        self.skip_to(end);
        end
    }

    /// Makes what follows a line of its own, as the end of the text does.
    pub(super) fn end_line(&mut self) {
        if self.column > 0 {
            self.column = 0;
            self.line += 1;
        }
    }
}

/// Returns whether `byte` is a space or a tab.
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Returns whether `byte` may stand in an anchor, a tag handle or a directive's name.
pub(super) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// Returns whether a line break may start with `byte`.
pub(super) fn may_break(byte: u8) -> bool {
    (byte == b'\n') | (byte == b'\r') | (byte == 0xC2) | (byte == 0xE2)
}

/// Returns the length of the line break at `at`; zero if there is none. CR LF is one.
///
/// YAML 1.1 breaks lines at U+0085, U+2028 and U+2029 too.
pub(super) fn break_length(source: &[u8], at: usize) -> usize {
    match source.get(at) {
        Some(b'\n') => 1,
        Some(b'\r') => 1 + usize::from(source.get(at + 1) == Some(&b'\n')),
        Some(0xC2) if source.get(at + 1) == Some(&0x85) => 2,
        Some(0xE2) if source.get(at + 1) == Some(&0x80) => match source.get(at + 2) {
            Some(0xA8 | 0xA9) => 3,
            _ => 0,
        },
        _ => 0,
    }
}

/// Returns the number of characters in `text`.
pub(super) fn characters(text: &[u8]) -> usize {
    // Nearly always so, and much faster to find out than to count.
    if text.is_ascii() {
        return text.len();
    }
    text.iter().filter(|&&byte| byte & 0xC0 != 0x80).count()
}

/// Checks that `source` is text as YAML has it, and returns where it starts: behind a byte order
/// mark.
///
/// # Errors
/// For UTF-16, for invalid UTF-8, and for characters that YAML forbids everywhere.
pub(super) fn check(source: &[u8]) -> Result<usize, SyntaxError> {
    if source.starts_with(b"\xFE\xFF") || source.starts_with(b"\xFF\xFE") {
        let message = "the text is UTF-16, which is not supported: convert it to UTF-8";
        return Err(SyntaxError::at(source, 0, message));
    }
    let start = if source.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
    if let Err(error) = std::str::from_utf8(source) {
        let offset = error.valid_up_to();
        return Err(SyntaxError::at(source, offset, "invalid UTF-8"));
    }
    let forbidden = |at: usize| {
        let rest = &source[at..];
        match rest {
            [b'\t' | b'\n' | b'\r' | 0x20..=0x7E, ..] | [0xC2, 0x85, ..] => false,
            // The last one is for U+FFFE and U+FFFF, which are no characters.
            [0..=0x7F, ..] | [0xC2, 0x80..=0x9F, ..] | [0xEF, 0xBF, 0xBE | 0xBF, ..] => true,
            _ => false,
        }
    };
    let suspicious = |byte: u8| {
        ((byte < 0x20) & (byte != b'\n')) | (byte == 0x7F) | (byte == 0xC2) | (byte == 0xEF)
    };
    let mut at = start;
    loop {
        at += find::first(&source[at..], suspicious);
        if at == source.len() {
            return Ok(start);
        }
        if forbidden(at) {
            return Err(SyntaxError::at(source, at, "control characters are not allowed"));
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_finds_what_yaml_forbids() {
        assert_eq!(check("a: é\t\u{85}\u{A0}\r\n".as_bytes()), Ok(0));
        assert_eq!(check("\u{FEFF}a".as_bytes()), Ok(3));
        assert_eq!(check("a\u{FEFF}".as_bytes()), Ok(0));
        for text in ["a\u{7F}", "\0", "\u{81}", "\u{FFFE}", "\u{1B}"] {
            assert!(check(text.as_bytes()).is_err(), "{text:?}");
        }
        assert!(check(b"a\xFF").is_err());
        assert!(check(b"\xFF\xFEa\0").is_err());
    }

    #[test]
    fn columns_count_characters() {
        let mut cursor = Cursor::new("é\u{2028}x".as_bytes(), 0);
        cursor.skip();
        assert_eq!((cursor.at(), cursor.column()), (2, 1));
        cursor.skip_break();
        assert_eq!((cursor.at(), cursor.line(), cursor.breaks()), (5, 1, 1));
        cursor.skip();
        assert_eq!((cursor.breaks(), cursor.is_end()), (0, true));
    }
}
