//! Tags and directives.

use super::cursor::is_word;
use super::scan::Scanner;
use super::token::{Token, TokenKind};
use crate::format::SyntaxError;
use crate::span::Span;
use crate::tree::TextRef;

impl Scanner<'_> {
    /// Reads a tag.
    pub(super) fn scan_tag(&mut self) -> Result<Token, SyntaxError> {
        let start = self.cursor.mark();
        let from = self.cursor.at();
        let none = Span::new(from, from);
        let (handle, suffix);
        if self.cursor.byte(1) == b'<' {
            self.cursor.skip_to(from + 2);
            handle = none;
            suffix = self.uri(b"", true)?;
            if self.cursor.byte(0) != b'>' {
                return Err(self.error("there is no `>` behind this tag"));
            }
            self.cursor.skip();
        } else {
            let mut length = 1;
            while is_word(self.cursor.byte(length)) {
                length += 1;
            }
            if self.cursor.byte(length) == b'!' {
                self.cursor.skip_to(from + length + 1);
                handle = Span::new(from, from + length + 1);
                suffix = self.uri(b"", true)?;
            } else {
                // The handle is `!`, and the rest is the suffix. A `!` alone is a tag, too.
                self.cursor.skip_to(from + length);
                let head = &self.cursor.source()[from + 1..from + length];
                suffix = self.uri(head, false)?;
                handle = if matches!(suffix, TextRef::Pool(span) if span.is_empty()) {
                    none
                } else {
                    Span::new(from, from + 1)
                };
            }
        }
        if !self.cursor.is_gap(0) {
            return Err(self.error("there is no blank behind this tag"));
        }
        Ok(self.token(TokenKind::Tag { handle, suffix }, start))
    }

    /// Reads the characters of a tag and its `%` escapes, behind the `head` that was read.
    fn uri(&mut self, head: &[u8], needed: bool) -> Result<TextRef, SyntaxError> {
        let start = self.decoded.len();
        self.decoded.extend_from_slice(head);
        loop {
            let byte = self.cursor.byte(0);
            if byte == b'%' {
                self.uri_character()?;
            } else if is_word(byte) || b";/?:@&=+$,.!~*'()[]".contains(&byte) {
                self.decoded.push(byte);
                self.cursor.skip();
            } else {
                break;
            }
        }
        if needed && self.decoded.len() == start {
            return Err(self.error("there is a tag expected here"));
        }
        Ok(TextRef::Pool(Span::new(start, self.decoded.len())))
    }

    /// Reads one character that is spelled as `%XX` for each of its bytes.
    fn uri_character(&mut self) -> Result<(), SyntaxError> {
        let mut bytes = [0; 4];
        let mut width = 1;
        let mut length = 0;
        while length < width {
            let digit = |ahead| char::from(self.cursor.byte(ahead)).to_digit(16);
            let (b'%', Some(high), Some(low)) = (self.cursor.byte(0), digit(1), digit(2)) else {
                return Err(self.error("two hexadecimal digits follow a `%` in a tag"));
            };
            let byte = (high << 4 | low) as u8;
            if length == 0 {
                width = match byte {
                    0..0x80 => 1,
                    0xC0..0xE0 => 2,
                    0xE0..0xF0 => 3,
                    0xF0..0xF8 => 4,
                    _ => 0,
                };
            }
            if width == 0 || (length > 0 && byte & 0xC0 != 0x80) {
                return Err(self.error("the bytes escaped in a tag are not UTF-8"));
            }
            bytes[length] = byte;
            length += 1;
            self.cursor.skip_to(self.cursor.at() + 3);
        }
        self.decoded.extend_from_slice(&bytes[..width]);
        Ok(())
    }

    /// Reads a directive with its line.
    pub(super) fn scan_directive(&mut self) -> Result<Token, SyntaxError> {
        let start = self.cursor.mark();
        self.cursor.skip();
        let from = self.cursor.at();
        while is_word(self.cursor.byte(0)) {
            self.cursor.skip();
        }
        let name = &self.cursor.source()[from..self.cursor.at()];
        if !self.cursor.is_gap(0) {
            return Err(self.error("the name of a directive is made of letters"));
        }
        let kind = match name {
            b"YAML" => self.version()?,
            b"TAG" => self.tag_prefix()?,
            _ => return Err(self.error_at(from, "this directive is not known")),
        };
        let token = self.token(kind, start);
        self.cursor.skip_blanks();
        if self.cursor.byte(0) == b'#' {
            // SOPS knows nothing of it; it is a stray.
            self.comment();
        }
        if !self.cursor.is_line_end(0) {
            return Err(self.error("nothing may follow on the line of a directive"));
        }
        self.cursor.skip_break();
        Ok(token)
    }

    fn version(&mut self) -> Result<TokenKind, SyntaxError> {
        self.cursor.skip_blanks();
        let major = self.version_number()?;
        if self.cursor.byte(0) != b'.' {
            return Err(self.error("a version is two numbers with a point between them"));
        }
        self.cursor.skip();
        let minor = self.version_number()?;
        Ok(TokenKind::VersionDirective(major, minor))
    }

    fn version_number(&mut self) -> Result<u32, SyntaxError> {
        let mut number = 0;
        let mut length = 0;
        while let Some(digit) = char::from(self.cursor.byte(0)).to_digit(10) {
            number = number * 10 + digit;
            length += 1;
            if length > 2 {
                return Err(self.error("this version number is too long"));
            }
            self.cursor.skip();
        }
        if length == 0 {
            return Err(self.error("there is a version number expected here"));
        }
        Ok(number)
    }

    fn tag_prefix(&mut self) -> Result<TokenKind, SyntaxError> {
        self.cursor.skip_blanks();
        let from = self.cursor.at();
        let mut length = 1;
        while is_word(self.cursor.byte(length)) {
            length += 1;
        }
        let closed = self.cursor.byte(length) == b'!';
        if self.cursor.byte(0) != b'!' || (!closed && length > 1) {
            return Err(self.error("a tag handle stands between two `!`"));
        }
        let end = from + length + usize::from(closed);
        self.cursor.skip_to(end);
        if !self.cursor.is_blank(0) {
            return Err(self.error("there is no blank behind this tag handle"));
        }
        self.cursor.skip_blanks();
        let prefix = self.uri(b"", true)?;
        if !self.cursor.is_gap(0) {
            return Err(self.error("there is no blank behind this tag prefix"));
        }
        Ok(TokenKind::TagDirective { handle: Span::new(from, end), prefix })
    }
}
