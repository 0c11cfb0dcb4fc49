//! A strict JSON reader that keeps the place of everything. It has no recursion: what is open
//! stands in the tree builder.

use crate::format::{SyntaxError, find};
use crate::secret::SecretBytes;
use crate::span::Span;
use crate::tree::{Key, KeyType, NodeKind, Site, Style, TextRef, Tree, TreeBuilder};

/// How deep objects and lists may be nested, as in SOPS' own JSON reader.
pub(super) const MAX_DEPTH: usize = 10_000;

/// Reads a text, which is an object.
pub(super) fn parse(source: SecretBytes) -> Result<Tree, SyntaxError> {
    read(source, true)
}

/// Reads a text that is any value.
pub(super) fn parse_value(source: SecretBytes) -> Result<Tree, SyntaxError> {
    read(source, false)
}

fn read(source: SecretBytes, object: bool) -> Result<Tree, SyntaxError> {
    let builder = TreeBuilder::new(source)?;
    let source = builder.shared_source();
    if let Err(error) = std::str::from_utf8(&source) {
        return Err(SyntaxError::at(&source, error.valid_up_to(), "the text is not valid UTF-8"));
    }
    Reader { text: &source, at: 0, builder, scratch: SecretBytes::new() }.document(object)
}

struct Reader<'t> {
    text: &'t [u8],
    at: usize,
    builder: TreeBuilder,
    scratch: SecretBytes,
}

/// What may come next.
#[derive(Clone, Copy, PartialEq)]
enum Expect {
    /// A value; the key that it belongs to has been read.
    Value,
    /// A value or `]`, right behind `[`.
    FirstMember,
    /// A key or `}`, right behind `{`.
    FirstKey,
    /// A key, behind a comma.
    Key,
    /// `,` or the end of what is open.
    Separator,
}

impl Reader<'_> {
    fn document(mut self, object: bool) -> Result<Tree, SyntaxError> {
        if self.text.starts_with(b"\xef\xbb\xbf") {
            return Err(self.error("a byte order mark is not allowed in JSON"));
        }
        self.blank();
        if object && self.peek() != Some(b'{') {
            return Err(self.error(if self.at == self.text.len() {
                "the text is empty: a JSON object is needed"
            } else {
                "a JSON object is needed at the top, starting with `{`"
            }));
        }
        let mut kinds: Vec<NodeKind> = Vec::new();
        let mut expect = Expect::Value;
        let mut key = None;
        loop {
            self.blank();
            expect = match (expect, self.peek()) {
                (Expect::FirstKey, Some(b'}')) | (Expect::FirstMember, Some(b']')) => {
                    self.close(&mut kinds);
                    Expect::Separator
                }
                (Expect::FirstKey | Expect::Key, Some(b'"')) => {
                    key = Some(self.key()?);
                    Expect::Value
                }
                (Expect::FirstKey | Expect::Key, _) => {
                    return Err(self.error("a key in double quotes is needed here"));
                }
                (Expect::Value | Expect::FirstMember, Some(open @ (b'{' | b'['))) => {
                    if kinds.len() == MAX_DEPTH {
                        return Err(self.error(format!("nested deeper than {MAX_DEPTH} levels")));
                    }
                    let (kind, next) = match open {
                        b'{' => (NodeKind::Map, Expect::FirstKey),
                        _ => (NodeKind::List, Expect::FirstMember),
                    };
                    let span = Span::new(self.at, self.at);
                    self.builder.open(key.take(), kind, Some(span), Site::default());
                    kinds.push(kind);
                    self.at += 1;
                    next
                }
                (Expect::Value | Expect::FirstMember, _) => {
                    let start = self.at;
                    let (kind, style) = self.scalar()?;
                    let site = Site { style, ..Site::default() };
                    let span = Some(Span::new(start, self.at));
                    self.builder.leaf(key.take(), kind, span, site);
                    Expect::Separator
                }
                (Expect::Separator, Some(b',')) => {
                    self.at += 1;
                    match kinds.last() {
                        Some(NodeKind::Map) => Expect::Key,
                        _ => Expect::Value,
                    }
                }
                (Expect::Separator, Some(byte)) => {
                    let closing = match kinds.last() {
                        Some(NodeKind::Map) => b'}',
                        _ => b']',
                    };
                    if byte != closing {
                        return Err(self.error(match closing {
                            b'}' => "`,` or `}` is needed here",
                            _ => "`,` or `]` is needed here",
                        }));
                    }
                    self.close(&mut kinds);
                    Expect::Separator
                }
                (Expect::Separator, None) => {
                    return Err(self.error("the text ends before the object is closed"));
                }
            };
            if kinds.is_empty() {
                break;
            }
        }
        self.blank();
        if self.at < self.text.len() {
            return Err(self.error("there is more text behind the object"));
        }
        Ok(self.builder.finish())
    }

    fn close(&mut self, kinds: &mut Vec<NodeKind>) {
        self.at += 1;
        kinds.pop();
        self.builder.close(Some(self.at));
    }

    fn key(&mut self) -> Result<Key, SyntaxError> {
        let start = self.at;
        let text = self.string()?;
        let span = Some(Span::new(start, self.at));
        self.blank();
        if self.peek() != Some(b':') {
            return Err(self.error("`:` is needed behind the key"));
        }
        self.at += 1;
        Ok(Key { text, kind: KeyType::Text, span })
    }

    fn scalar(&mut self) -> Result<(NodeKind, Style), SyntaxError> {
        let kind = match self.peek() {
            Some(b'"') => return Ok((NodeKind::Text(self.string()?), Style::DoubleQuoted)),
            Some(b't') => self.word("true", NodeKind::Boolean(true))?,
            Some(b'f') => self.word("false", NodeKind::Boolean(false))?,
            Some(b'n') => self.word("null", NodeKind::Null)?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(_) => return Err(self.error("a JSON value is needed here")),
            None => return Err(self.error("the text ends where a value is needed")),
        };
        Ok((kind, Style::Plain))
    }

    fn word(&mut self, word: &str, kind: NodeKind) -> Result<NodeKind, SyntaxError> {
        if !self.text[self.at..].starts_with(word.as_bytes()) {
            return Err(self.error("a JSON value is needed here"));
        }
        self.at += word.len();
        Ok(kind)
    }

    fn number(&mut self) -> Result<NodeKind, SyntaxError> {
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return Err(self.error("a digit is needed here")),
        }
        let mut integer = true;
        if self.peek() == Some(b'.') {
            integer = false;
            self.at += 1;
            self.some_digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            integer = false;
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.some_digits()?;
        }
        if matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.error("a number has no leading zeros"));
        }
        let digits = std::str::from_utf8(&self.text[start..self.at]).unwrap_or_default();
        // An integer that fits is one; every other number is a float, as in SOPS 3.13.2.
        if integer && let Ok(number) = digits.parse() {
            return Ok(NodeKind::Integer(number));
        }
        match digits.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(NodeKind::Float(number)),
            _ => Err(SyntaxError::at(self.text, start, "the number is too large")),
        }
    }

    fn some_digits(&mut self) -> Result<(), SyntaxError> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.error("a digit is needed here"));
        }
        self.digits();
        Ok(())
    }

    fn digits(&mut self) {
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
    }

    /// Reads a string; without escapes it stays where it is.
    fn string(&mut self) -> Result<TextRef, SyntaxError> {
        self.at += 1;
        let start = self.at;
        let end = self.run();
        if self.text.get(end) == Some(&b'"') {
            self.at = end + 1;
            return Ok(TextRef::Source(Span::new(start, end)));
        }
        self.scratch.resize(0);
        loop {
            let end = self.run();
            self.scratch.extend_from_slice(&self.text[self.at..end]);
            self.at = end;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(self.builder.intern(&self.scratch));
                }
                Some(b'\\') => self.escape()?,
                Some(_) => {
                    return Err(self.error("a control character must be escaped in a string"));
                }
                None => {
                    return Err(SyntaxError::at(self.text, start - 1, "the string is not closed"));
                }
            }
        }
    }

    /// Returns the end of the characters that stand for themselves.
    #[allow(clippy::needless_bitwise_bool, reason = "no branches, as `find::first` wants it")]
    fn run(&self) -> usize {
        let special = |byte: u8| (byte == b'"') | (byte == b'\\') | (byte < 0x20);
        self.at + find::first(&self.text[self.at..], special)
    }

    fn escape(&mut self) -> Result<(), SyntaxError> {
        let byte = match self.text.get(self.at + 1) {
            Some(&byte @ (b'"' | b'\\' | b'/')) => byte,
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => return self.unicode(),
            _ => return Err(self.error("an escape that JSON does not have")),
        };
        self.scratch.push(byte);
        self.at += 2;
        Ok(())
    }

    fn unicode(&mut self) -> Result<(), SyntaxError> {
        let Some(first) = self.four_digits(self.at) else {
            return Err(self.error("four hexadecimal digits are needed behind `\\u`"));
        };
        let (code, length) = match first {
            0xd800..=0xdbff => match self.four_digits(self.at + 6) {
                Some(second @ 0xdc00..=0xdfff) => {
                    (0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00), 12)
                }
                _ => return Err(self.error("half of a surrogate pair: it stands for no character")),
            },
            code => (code, 6),
        };
        let Some(character) = char::from_u32(code) else {
            return Err(self.error("half of a surrogate pair: it stands for no character"));
        };
        self.scratch.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        self.at += length;
        Ok(())
    }

    /// Reads `\u` and four digits at `at`.
    fn four_digits(&self, at: usize) -> Option<u32> {
        let digits = self.text.get(at..at + 6)?.strip_prefix(b"\\u")?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    }

    fn blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn error(&self, message: impl Into<std::borrow::Cow<'static, str>>) -> SyntaxError {
        SyntaxError::at(self.text, self.at, message)
    }
}
