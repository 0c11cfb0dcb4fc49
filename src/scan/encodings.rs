//! The encodings in which a secret is searched for.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use crate::secret::SecretBytes;

/// In which form a secret was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// As it is.
    Plain,
    /// One line of it.
    Line,
    /// Base64, of whatever has the secret in it.
    Base64,
    /// With `%XX`.
    Url,
    /// As a JSON text, without the quotes.
    Json,
}

impl Encoding {
    /// Returns what to say of it behind "stands here"; `None` if there is nothing to say.
    pub fn description(self) -> Option<&'static str> {
        match self {
            Encoding::Plain => None,
            Encoding::Line => Some("one line of it"),
            Encoding::Base64 => Some("in base64"),
            Encoding::Url => Some("escaped for URLs"),
            Encoding::Json => Some("escaped for JSON"),
        }
    }
}

/// Calls `found` with each encoded form of a value; one may come twice, or be the value itself.
pub(super) fn each(value: &[u8], mut found: impl FnMut(Encoding, &[u8])) {
    for skipped in 0..3 {
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            base64(value, skipped, engine, |text| found(Encoding::Base64, text));
        }
    }
    for safe in [&b"-._~"[..], b"-._~/", b"-._~!*'()"] {
        for digits in [b"0123456789ABCDEF", b"0123456789abcdef"] {
            let text = url(value, safe, digits);
            found(Encoding::Url, &text);
        }
    }
    let Ok(text) = std::str::from_utf8(value) else { return };
    for more in [&[][..], &['/'], &['<', '>', '&']] {
        for ascii in [false, true] {
            let text = json(text, more, ascii);
            found(Encoding::Json, &text);
        }
    }
}

/// Encodes a value that begins at place `skipped` in a group of three bytes, and gives the
/// characters that depend on nothing before or behind it.
fn base64(
    value: &[u8],
    skipped: usize,
    engine: &base64::engine::GeneralPurpose,
    found: impl FnOnce(&[u8]),
) {
    let mut bytes = SecretBytes::with_capacity(value.len() + skipped);
    bytes.resize(skipped);
    bytes.extend_from_slice(value);
    let mut text = SecretBytes::new();
    text.resize(bytes.len().div_ceil(3) * 4);
    let Ok(length) = engine.encode_slice(&*bytes, text.as_mut_slice()) else { return };
    // Six bits a character: the first one whole in the value, and the last one.
    let (start, end) = ((skipped * 8).div_ceil(6), bytes.len() * 8 / 6);
    if start < end && end <= length {
        found(&text[start..end]);
    }
}

fn url(value: &[u8], safe: &[u8], digits: &[u8; 16]) -> SecretBytes {
    let mut text = SecretBytes::with_capacity(value.len() * 3);
    for &byte in value {
        if byte.is_ascii_alphanumeric() || safe.contains(&byte) {
            text.push(byte);
        } else {
            let hex = |number: u8| digits[usize::from(number)];
            text.extend_from_slice(&[b'%', hex(byte >> 4), hex(byte & 15)]);
        }
    }
    text
}

/// Escapes a text as JSON has it; `more` are characters that some writers escape, too, and `ascii`
/// is for those that escape everything beyond ASCII.
fn json(value: &str, more: &[char], ascii: bool) -> SecretBytes {
    let mut text = SecretBytes::with_capacity(value.len() * 2);
    for character in value.chars() {
        match character {
            '"' => text.extend_from_slice(b"\\\""),
            '\\' => text.extend_from_slice(b"\\\\"),
            '\n' => text.extend_from_slice(b"\\n"),
            '\r' => text.extend_from_slice(b"\\r"),
            '\t' => text.extend_from_slice(b"\\t"),
            '/' if more.contains(&'/') => text.extend_from_slice(b"\\/"),
            _ if character < ' '
                || (ascii && !character.is_ascii())
                || more.contains(&character) =>
            {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    text.extend_from_slice(b"\\u");
                    for shift in [12, 8, 4, 0] {
                        let digit = usize::from((*unit >> shift) & 15);
                        text.push(b"0123456789abcdef"[digit]);
                    }
                }
            }
            _ => text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    text
}
