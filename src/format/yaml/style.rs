//! How a text is spelled in YAML: plain, in quotes or as a literal block.
//!
//! [`sops_style`] is the choice that SOPS makes in new text, with three exceptions, each for texts
//! that would not come back from a reader as they went in: texts of several lines that begin with
//! a space, a tab or a line break, and texts with U+2028 or U+2029, are written in double quotes.
//! [`Shape`] says what a *reader* takes; that is more, and keeps the style that a person chose.

use super::resolve::{Resolved, resolve_plain};
use crate::format::find;
use crate::secret::SecretBytes;
use crate::tree::Style;

/// What a text has in it, as far as its spelling depends on that.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is an observation of its own")]
pub(super) struct Shape {
    /// No characters at all.
    empty: bool,
    /// Line feeds.
    line_feeds: bool,
    /// Characters that no unescaped spelling can hold: control characters, line breaks other than
    /// line feeds, byte order marks.
    hidden: bool,
    /// Characters above U+FFFF, which SOPS escapes though readers take them.
    beyond: bool,
    /// Tabs.
    tabs: bool,
    /// A beginning or a sequence that means something else in plain text.
    indicators: bool,
    /// A character that ends plain text in a flow collection, or could.
    flow_indicators: bool,
    /// The first or last character is a blank.
    blank_ends: bool,
    /// The first character is a space, tab or line feed.
    blank_start: bool,
    /// The last character is a space.
    space_end: bool,
    /// A space stands in front of a line feed.
    space_break: bool,
    /// There is nothing but spaces behind the last line feed, and at least one.
    blank_last_line: bool,
}

impl Shape {
    /// Returns the shape of `text`.
    pub(super) fn of(text: &str) -> Shape {
        let bytes = text.as_bytes();
        let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else {
            return Shape { empty: true, ..Shape::default() };
        };
        let mut shape = Shape {
            blank_ends: is_blank(first) || is_blank(last),
            blank_start: is_blank(first) || first == b'\n',
            space_end: last == b' ',
            ..Shape::default()
        };
        shape.indicators = starts_with_indicator(bytes);
        shape.flow_indicators = matches!(first, b'?' | b':');
        let mut at = 0;
        while let Some(dull) = bytes[at..].iter().position(|&byte| TELLING[usize::from(byte)]) {
            at += dull;
            shape.look_at(bytes, at);
            at += 1;
        }
        let last_line = text.rsplit('\n').next().unwrap_or_default();
        shape.blank_last_line = !last_line.is_empty() && last_line.bytes().all(|byte| byte == b' ');
        shape
    }

    /// Takes in the byte at `at`, which is one of [`TELLING`].
    fn look_at(&mut self, bytes: &[u8], at: usize) {
        let before = if at == 0 { b'\n' } else { bytes[at - 1] };
        let behind = &bytes[at + 1..];
        match bytes[at] {
            b'\n' => {
                self.line_feeds = true;
                self.space_break |= before == b' ';
            }
            b'\t' => self.tabs = true,
            b',' | b'?' | b'[' | b']' | b'{' | b'}' => self.flow_indicators = true,
            b':' => {
                self.flow_indicators = true;
                self.indicators |=
                    behind.first().is_none_or(|&next| is_blank(next) || next == b'\n');
            }
            b'#' => self.indicators |= is_blank(before) || before == b'\n',
            0xF0.. => self.beyond = true,
            0x7F | 0..=0x1F => self.hidden = true,
            // The two-byte and three-byte characters that are not printable.
            0xC2 => self.hidden |= behind.first().is_some_and(|&next| next < 0xA0),
            0xE2 => self.hidden |= matches!(behind, [0x80, 0xA8 | 0xA9, ..]),
            0xEF => {
                self.hidden |= matches!(behind, [0xBB, 0xBF, ..] | [0xBF, 0xBE | 0xBF, ..]);
            }
            _ => {}
        }
    }

    /// Returns whether the text has several lines.
    pub(super) fn has_lines(self) -> bool {
        self.line_feeds
    }

    /// Returns whether a reader takes the text without quotes in block context, whatever it then
    /// resolves to.
    pub(super) fn reads_plain(self) -> bool {
        !(self.empty || self.line_feeds || self.hidden || self.indicators || self.blank_ends)
    }

    /// Returns whether a reader takes the text without quotes in a flow collection.
    pub(super) fn reads_plain_in_flow(self) -> bool {
        self.reads_plain() && !self.flow_indicators
    }

    /// Returns whether a reader takes the text between single quotes on one line.
    pub(super) fn reads_single(self) -> bool {
        !(self.line_feeds || self.hidden)
    }

    /// Returns whether a reader takes the text as a literal block without an indentation digit.
    pub(super) fn reads_literal(self) -> bool {
        !(self.empty || self.hidden || self.blank_start || self.blank_last_line)
    }

    /// Returns whether SOPS writes the text without quotes, as far as its shape decides that.
    pub(super) fn writes_plain(self) -> bool {
        self.reads_plain() && !self.tabs && !self.beyond
    }

    fn writes_single(self) -> bool {
        self.reads_single() && !self.tabs && !self.beyond
    }

    fn writes_literal(self) -> bool {
        self.reads_literal() && !self.space_end && !self.space_break && !self.beyond
    }

    /// Returns whether SOPS writes the text as a literal block with an indentation digit, because it
    /// begins with a blank. (With a tab it does so without the digit, and reads something else.)
    fn writes_literal_with_digit(self) -> bool {
        let is_literal = Shape { blank_start: false, ..self }.writes_literal();
        self.line_feeds && self.blank_start && is_literal
    }
}

/// The bytes that say something of the shape of a text.
const TELLING: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = matches!(
            byte as u8,
            0..=0x1F
                | 0x7F
                | b','
                | b'?'
                | b'['
                | b']'
                | b'{'
                | b'}'
                | b':'
                | b'#'
                | 0xC2
                | 0xE2
                | 0xEF
                | 0xF0..
        );
        byte += 1;
    }
    table
};

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// Returns whether plain text cannot begin like this.
fn starts_with_indicator(text: &[u8]) -> bool {
    if text.starts_with(b"---") || text.starts_with(b"...") {
        return true;
    }
    match text {
        [
            b'#' | b',' | b'[' | b']' | b'{' | b'}' | b'&' | b'*' | b'!' | b'|' | b'>' | b'\''
            | b'"' | b'%' | b'@' | b'`',
            ..,
        ]
        | [b'?' | b':' | b'-'] => true,
        [b'?' | b':' | b'-', next, ..] => is_blank(*next) || *next == b'\n',
        _ => false,
    }
}

/// Returns the style in which SOPS writes `text`.
pub(super) fn sops_style(text: &str) -> Style {
    style_of(text, Shape::of(text))
}

/// Returns the indentation digit with which SOPS writes `text` as a literal block, if it needs one and
/// the digit is right. It is always `step`, the indentation of the whole text, however many columns
/// `inside` its collection the lines are; line breaks alone are not indented.
pub(super) fn indentation_digit(text: &str, inside: usize, step: usize) -> Option<usize> {
    let begins = text.starts_with([' ', '\n']);
    let is_right = || inside == step || text.bytes().all(|byte| byte == b'\n');
    let is_wanted = begins && step < 10 && Shape::of(text).writes_literal_with_digit();
    (is_wanted && is_right()).then_some(step)
}

/// Returns the style in which SOPS writes `text`, whose shape is known.
pub(super) fn style_of(text: &str, shape: Shape) -> Style {
    if shape.line_feeds {
        if shape.writes_literal() { Style::Literal } else { Style::DoubleQuoted }
    } else if looks_typed(text) {
        Style::DoubleQuoted
    } else if shape.writes_plain() {
        Style::Plain
    } else if shape.writes_single() {
        Style::SingleQuoted
    } else {
        Style::DoubleQuoted
    }
}

/// Returns whether the plain `text` would be something else than a text, to SOPS or to a YAML 1.1
/// reader: `no` and `1:30` are texts to SOPS, but it quotes them.
pub(super) fn looks_typed(text: &str) -> bool {
    matches!(
        text,
        "y" | "Y"
            | "yes"
            | "Yes"
            | "YES"
            | "on"
            | "On"
            | "ON"
            | "n"
            | "N"
            | "no"
            | "No"
            | "NO"
            | "off"
            | "Off"
            | "OFF"
            | "<<"
    ) || resolve_plain(text) != Resolved::Text
        || is_base_60(text)
}

/// Returns whether `text` is a number of YAML 1.1 in base 60, such as `1:30`.
fn is_base_60(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let mut parts = unsigned.split(':');
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    let whole = parts.next().unwrap_or_default();
    if !whole.starts_with(|c: char| c.is_ascii_digit()) || !digits(whole) {
        return false;
    }
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return false;
    }
    while let Some(part) = parts.next() {
        let (sixtieth, decimals) = match part.split_once('.') {
            Some((sixtieth, decimals)) if parts.peek().is_none() => (sixtieth, decimals),
            _ => (part, ""),
        };
        let fits = match sixtieth.as_bytes() {
            [ones] => ones.is_ascii_digit(),
            [tens, ones] => matches!(tens, b'0'..=b'5') && ones.is_ascii_digit(),
            _ => false,
        };
        if !fits || !digits(decimals) {
            return false;
        }
    }
    true
}

/// Which characters a double-quoted text escapes beyond those that must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escapes {
    /// As SOPS: characters above U+FFFF too, and everything behind a byte order mark that begins
    /// the text.
    Sops,
    /// As few as readers need.
    Few,
}

/// Appends `text` between single quotes.
pub(super) fn write_single(out: &mut SecretBytes, text: &str) {
    out.push(b'\'');
    for (number, part) in text.split('\'').enumerate() {
        if number > 0 {
            out.extend_from_slice(b"''");
        }
        out.extend_from_slice(part.as_bytes());
    }
    out.push(b'\'');
}

/// Appends `text` between double quotes.
pub(super) fn write_double(out: &mut SecretBytes, text: &str, escapes: Escapes) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let (mut done, mut at) = (0, 0);
    // SOPS' writer looks for the mark at the beginning of the text, wherever it is in it.
    let all = escapes == Escapes::Sops && text.starts_with('\u{FEFF}');
    loop {
        at += if all { 0 } else { find::first(&bytes[at..], may_be_escaped) };
        // These bytes only begin characters.
        let Some(character) = text[at..].chars().next() else { break };
        let next = at + character.len_utf8();
        if all || is_escaped(character, escapes) {
            out.extend_from_slice(&bytes[done..at]);
            write_escape(out, character);
            done = next;
        }
        at = next;
    }
    out.extend_from_slice(&bytes[done..]);
    out.push(b'"');
}

/// Returns whether a character that double quotes may have to escape begins with `byte`.
#[allow(clippy::needless_bitwise_bool, reason = "no branches, as `find::first` wants it")]
fn may_be_escaped(byte: u8) -> bool {
    (byte < 0x20)
        | (byte == 0x7F)
        | (byte == b'"')
        | (byte == b'\\')
        | (byte == 0xC2)
        | (byte == 0xE2)
        | (byte >= 0xEF)
}

fn is_escaped(character: char, escapes: Escapes) -> bool {
    match character {
        '"' | '\\' | '\u{FEFF}' | '\u{2028}' | '\u{2029}' | '\u{FFFE}' | '\u{FFFF}' => true,
        '\u{10000}'.. => escapes == Escapes::Sops,
        _ => character.is_control(),
    }
}

fn write_escape(out: &mut SecretBytes, character: char) {
    let code = u32::from(character);
    let short = match character {
        '\0' => b'0',
        '\x07' => b'a',
        '\x08' => b'b',
        '\t' => b't',
        '\n' => b'n',
        '\x0B' => b'v',
        '\x0C' => b'f',
        '\r' => b'r',
        '\x1B' => b'e',
        '"' => b'"',
        '\\' => b'\\',
        '\u{85}' => b'N',
        '\u{A0}' => b'_',
        '\u{2028}' => b'L',
        '\u{2029}' => b'P',
        _ => {
            let (letter, digits) = match code {
                0..=0xFF => (b'x', 2),
                0x100..=0xFFFF => (b'u', 4),
                _ => (b'U', 8),
            };
            out.extend_from_slice(&[b'\\', letter]);
            for digit in (0..digits).rev() {
                out.push(b"0123456789ABCDEF"[(code >> (4 * digit)) as usize & 15]);
            }
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// Returns the chomping indicator that a block scalar with the value `text` needs.
pub(super) fn chomping(text: &str) -> &'static str {
    match text.strip_suffix('\n') {
        None => "-",
        // A text of line breaks alone keeps them only if it says so.
        Some("") => "+",
        Some(rest) if rest.ends_with('\n') => "+",
        Some(_) => "",
    }
}

/// Appends the lines of a literal block, each after a line break and with `indent` spaces: the
/// last line is left open, for the line break that follows the value.
pub(super) fn write_lines(out: &mut SecretBytes, text: &str, indent: usize, newline: &[u8]) {
    let lines = text.strip_suffix('\n').unwrap_or(text);
    for line in lines.split('\n') {
        out.extend_from_slice(newline);
        if !line.is_empty() {
            write_spaces(out, indent);
            out.extend_from_slice(line.as_bytes());
        }
    }
}

/// Appends `count` spaces.
pub(super) fn write_spaces(out: &mut SecretBytes, count: usize) {
    const SPACES: [u8; 32] = [b' '; 32];
    let mut rest = count;
    while rest > 0 {
        let part = rest.min(SPACES.len());
        out.extend_from_slice(&SPACES[..part]);
        rest -= part;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use super::*;

    /// Writes one entry as SOPS writes it on the top level.
    fn entry(key: &str, text: &str) -> String {
        let mut out = SecretBytes::from(key);
        out.extend_from_slice(b": ");
        match sops_style(text) {
            Style::Literal => {
                out.extend_from_slice(b"|");
                out.extend_from_slice(chomping(text).as_bytes());
                write_lines(&mut out, text, 4, b"\n");
            }
            Style::SingleQuoted => write_single(&mut out, text),
            Style::DoubleQuoted => write_double(&mut out, text, Escapes::Sops),
            _ => out.extend_from_slice(text.as_bytes()),
        }
        out.push(b'\n');
        String::from_utf8(out.to_vec()).unwrap()
    }

    /// Returns whether we spell `text` differently on purpose.
    fn differs(text: &str) -> bool {
        // SOPS prints these as null (tab) or with an indentation digit that is wrong in lists.
        let blank_start = text.contains('\n') && text.starts_with([' ', '\t', '\n']);
        // Not every reader takes these for line breaks, so they are escaped.
        blank_start || text.contains(['\u{2028}', '\u{2029}'])
    }

    #[test]
    fn an_indentation_digit_is_right_or_not_there() {
        assert_eq!(indentation_digit(" a\nb", 4, 4), Some(4));
        assert_eq!(indentation_digit("a\n b", 4, 4), None);
        assert_eq!(indentation_digit(" a\nb", 2, 4), None);
        assert_eq!(indentation_digit("\n\n", 2, 4), Some(4));
        assert_eq!(indentation_digit("\n\n", 2, 12), None);
    }

    #[test]
    fn strings_are_spelled_as_sops_spells_them() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/yaml_emit");
        let json = fs::read_to_string(format!("{folder}/strings.json")).unwrap();
        let strings: BTreeMap<String, String> = serde_json::from_str(&json).unwrap();
        let yaml = fs::read_to_string(format!("{folder}/strings.yaml")).unwrap();
        let mut expected: BTreeMap<&str, String> = BTreeMap::new();
        let mut key = "";
        for line in yaml.split_inclusive('\n') {
            if line.starts_with('k') {
                key = line.split(':').next().unwrap();
            }
            expected.entry(key).or_default().push_str(line);
        }
        let (mut same, mut other) = (0, 0);
        for (key, text) in &strings {
            // Eleven strings are not in SOPS' output.
            let Some(theirs) = expected.get(key.as_str()) else {
                continue;
            };
            let ours = entry(key, text);
            if ours == *theirs {
                same += 1;
            } else {
                assert!(differs(text), "{text:?}: {ours:?}, SOPS {theirs:?}");
                other += 1;
            }
        }
        assert_eq!((same, other), (4666, 405));
    }

    #[test]
    fn base_60_numbers_are_quoted() {
        for (text, quoted) in [
            ("1:30", true),
            ("-1:30:59", true),
            ("190:20:30.15", true),
            ("1_0:5", true),
            ("1:30.", true),
            ("1:60", false),
            ("1:99", false),
            ("1:30.5:1", false),
            ("1:", false),
            (":30", false),
            ("_1:30", false),
        ] {
            assert_eq!(is_base_60(text), quoted, "{text}");
        }
    }

    #[test]
    fn readers_take_more_than_sops_writes() {
        let shape = Shape::of("a\tb \u{1F600}");
        assert!(shape.reads_plain() && !shape.writes_plain());
        assert!(!Shape::of("a\u{85}b").reads_single());
        assert!(!Shape::of("ENC[a,b]").reads_plain_in_flow());
        assert!(Shape::of("a \nb").reads_literal());
        assert!(!Shape::of("a\n ").reads_literal());
    }
}
