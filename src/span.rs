//! Byte ranges of a source text.
//!
//! Offsets are 32-bit: a source text is at most [`MAX_SOURCE`] bytes long, which
//! [`SourceTooLong`] enforces once, when the text is read. Everything that points into a text is
//! half the size for it.

use std::ops::Range;

/// The longest source text in bytes.
pub const MAX_SOURCE: usize = u32::MAX as usize - 1;

/// A half-open range of bytes in a source text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Offset after the last byte.
    pub end: u32,
}

impl Span {
    /// Returns the span of `range`, in bytes.
    ///
    /// # Panics
    /// If the range does not fit: texts longer than [`MAX_SOURCE`] are refused before.
    pub fn new(start: usize, end: usize) -> Span {
        debug_assert!(start <= end && end <= MAX_SOURCE);
        Span { start: start as u32, end: end as u32 }
    }

    /// Returns the length in bytes.
    pub fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    /// Returns whether the span has no bytes.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Returns the range to index a byte slice with.
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// Returns whether `other` lies within this span.
    pub fn contains(self, other: Span) -> bool {
        self.start <= other.start && other.end <= self.end
    }
}

/// A place in a text as people count: both from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Line, from 1; lines end in LF, CRLF or CR.
    pub line: usize,
    /// Column, from 1, in Unicode characters (bytes where the line is not UTF-8).
    pub column: usize,
}

impl Position {
    /// Returns the position of the byte at `offset` of `text`.
    pub fn of(text: &[u8], offset: usize) -> Position {
        let before = &text[..offset.min(text.len())];
        let mut line = 1;
        let mut start = 0;
        for (at, &byte) in before.iter().enumerate() {
            if byte == b'\n' || (byte == b'\r' && text.get(at + 1) != Some(&b'\n')) {
                line += 1;
                start = at + 1;
            }
        }
        let column = match std::str::from_utf8(&before[start..]) {
            Ok(text) => text.chars().count(),
            Err(_) => before.len() - start,
        };
        Position { line, column: column + 1 }
    }
}

/// The error of a text longer than [`MAX_SOURCE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text is longer than 4 GiB")]
pub struct SourceTooLong;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn position_counts_characters_and_every_line_end() {
        let text = "a\r\nbé\rc\nd".as_bytes();
        assert_eq!(Position::of(text, 0), Position { line: 1, column: 1 });
        assert_eq!(Position::of(text, 3), Position { line: 2, column: 1 });
        assert_eq!(Position::of(text, 6), Position { line: 2, column: 3 });
        assert_eq!(Position::of(text, 7), Position { line: 3, column: 1 });
        assert_eq!(Position::of(text, 99), Position { line: 4, column: 2 });
    }
}
