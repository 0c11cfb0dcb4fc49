//! What a line of a dotenv file means to those who load it.
//!
//! SOPS takes key and value as they stand, and so does a file that is printed. Programs that load
//! such files (docker compose, `dotenv` libraries, a shell) agree on more, and that is done here:
//!
//! - `export ` in front of the key, and blanks around it, are not part of it;
//! - `'...'` is literal; in `"..."`, `\n`, `\r`, `\t` are what they are in C, and `\` before `"`,
//!   `\`, `$` and `` ` `` is dropped; behind the closing quote only a comment may stand;
//! - a value without quotes ends at a `#` that is first or behind a blank; blanks around it are
//!   not part of it.
//!
//! A value that begins with a quote and has no closing one is without quotes. Nothing is expanded:
//! `$HOME` is five letters.

use crate::secret::SecretBytes;

/// Returns the name in a key.
pub(super) fn name(key: &str) -> &str {
    let key = key.trim_matches([' ', '\t']);
    match key.strip_prefix("export") {
        Some(rest) if rest.starts_with([' ', '\t']) => rest.trim_start_matches([' ', '\t']),
        _ => key,
    }
}

/// Returns what a value means.
///
/// SOPS reads `\n` as a line break wherever it stands, so that `value` has line breaks there.
pub(super) fn value(value: &[u8]) -> SecretBytes {
    let value = trim(value);
    let quoted = match value.first() {
        Some(b'\'') => single_quoted(&value[1..]),
        Some(b'"') => double_quoted(&value[1..]),
        _ => None,
    };
    quoted.unwrap_or_else(|| SecretBytes::from(trim(before_comment(value))))
}

/// Cuts off blanks, and the CR that a line of a file from Windows ends with.
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t' | b'\r', rest @ ..] | [rest @ .., b' ' | b'\t' | b'\r'] = value {
        value = rest;
    }
    value
}

fn before_comment(value: &[u8]) -> &[u8] {
    let starts_comment = |at: usize| at == 0 || matches!(value[at - 1], b' ' | b'\t');
    match memchr::memchr_iter(b'#', value).find(|&at| starts_comment(at)) {
        Some(at) => &value[..at],
        None => value,
    }
}

/// Returns whether nothing but a comment stands behind a closing quote.
fn is_end(rest: &[u8]) -> bool {
    let rest = trim(rest);
    rest.is_empty() || rest.starts_with(b"#")
}

fn single_quoted(text: &[u8]) -> Option<SecretBytes> {
    let end = memchr::memchr(b'\'', text)?;
    is_end(&text[end + 1..]).then(|| SecretBytes::from(&text[..end]))
}

fn double_quoted(text: &[u8]) -> Option<SecretBytes> {
    let mut value = SecretBytes::with_capacity(text.len());
    let mut bytes = text.iter().copied().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return is_end(&text[at + 1..]).then_some(value),
            b'\\' => match bytes.next()?.1 {
                b'r' => value.push(b'\r'),
                b't' => value.push(b'\t'),
                // What SOPS has read as a line break was `\\n`: a backslash, and an `n`.
                b'\n' => value.extend_from_slice(b"\\n"),
                escaped @ (b'"' | b'\\' | b'$' | b'`') => value.push(escaped),
                other => value.extend_from_slice(&[b'\\', other]),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_export_and_blanks() {
        for (key, expected) in [
            ("A", "A"),
            (" A ", "A"),
            ("export A", "A"),
            ("export\t A ", "A"),
            ("exportA", "exportA"),
            ("export", "export"),
        ] {
            assert_eq!(name(key), expected);
        }
    }

    #[test]
    fn values_are_what_programs_take_them_for() {
        // As SOPS hands them over: `\n` of the file is a line break already.
        for (text, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("  plain \t\r", "plain"),
            ("two words # comment", "two words"),
            ("# comment", ""),
            ("a#b", "a#b"),
            ("a\\tb", "a\\tb"),
            ("$HOME", "$HOME"),
            ("''", ""),
            ("'a # b'", "a # b"),
            ("'a\\tb' # comment", "a\\tb"),
            ("'one' two", "'one' two"),
            ("'tis # comment", "'tis"),
            ("\"a # b\" # comment", "a # b"),
            ("\"a\nb\"", "a\nb"),
            ("\"a\\\nb\"", "a\\nb"),
            ("\"\\t\\r\\\"\\\\\\$\\`\"\r", "\t\r\"\\$`"),
            ("\"\\x\\'\"", "\\x\\'"),
            ("\"open", "\"open"),
            ("\"open\\\"", "\"open\\\""),
            ("\"a\"b", "\"a\"b"),
            ("a\nb", "a\nb"),
        ] {
            assert_eq!(value(text.as_bytes()).as_slice(), expected.as_bytes(), "{text:?}");
        }
    }
}
