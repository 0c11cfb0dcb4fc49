//! White space as SOPS' INI reader trims it: everything that Unicode calls white space.

/// The white space that is not ASCII, in UTF-8.
const WIDE: [&[u8]; 19] = [
    b"\xc2\x85",
    b"\xc2\xa0",
    b"\xe1\x9a\x80",
    b"\xe2\x80\x80",
    b"\xe2\x80\x81",
    b"\xe2\x80\x82",
    b"\xe2\x80\x83",
    b"\xe2\x80\x84",
    b"\xe2\x80\x85",
    b"\xe2\x80\x86",
    b"\xe2\x80\x87",
    b"\xe2\x80\x88",
    b"\xe2\x80\x89",
    b"\xe2\x80\x8a",
    b"\xe2\x80\xa8",
    b"\xe2\x80\xa9",
    b"\xe2\x80\xaf",
    b"\xe2\x81\x9f",
    b"\xe3\x80\x80",
];

/// Returns the number of bytes of white space at the start.
pub(super) fn leading(text: &[u8]) -> usize {
    let mut rest = text;
    loop {
        rest = match rest.first() {
            Some(b'\t'..=b'\r' | b' ') => &rest[1..],
            Some(0x80..) => match WIDE.iter().find_map(|wide| rest.strip_prefix(*wide)) {
                Some(rest) => rest,
                None => break,
            },
            _ => break,
        };
    }
    text.len() - rest.len()
}

/// Returns the number of bytes of white space at the end.
pub(super) fn trailing(text: &[u8]) -> usize {
    let mut rest = text;
    loop {
        rest = match rest.last() {
            Some(b'\t'..=b'\r' | b' ') => &rest[..rest.len() - 1],
            Some(0x80..) => match WIDE.iter().find_map(|wide| rest.strip_suffix(*wide)) {
                Some(rest) => rest,
                None => break,
            },
            _ => break,
        };
    }
    text.len() - rest.len()
}

/// Returns the text without the white space at its start.
pub(super) fn trim_start(text: &[u8]) -> &[u8] {
    &text[leading(text)..]
}

/// Returns the text without the white space at its end.
pub(super) fn trim_end(text: &[u8]) -> &[u8] {
    &text[..text.len() - trailing(text)]
}

/// Returns the text without the white space around it.
pub(super) fn trim(text: &[u8]) -> &[u8] {
    trim_start(trim_end(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unicode_white_space_is_trimmed_as_rust_knows_it() {
        // There is none behind U+3000.
        for character in '\0'..='\u{ffff}' {
            let text = format!("{character}x{character}");
            let expected = text.trim().as_bytes();
            assert_eq!(trim(text.as_bytes()), expected, "{character:?}");
        }
    }

    #[test]
    fn half_a_character_is_no_white_space() {
        assert_eq!(trim(b"\xa0 x\xc2"), b"\xa0 x\xc2");
        assert_eq!(trim(b" \xc2\xa0"), b"");
    }
}
