//! The tag and anchor in front of a value, as far as a new value depends on them.

use crate::span::Span;

/// What a tag demands of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    /// Nothing: there is none, or the bare `!`.
    None,
    /// A text: `!!str` and all tags of applications.
    Text,
    /// `!!int`.
    Integer,
    /// `!!float`.
    Float,
    /// `!!bool`.
    Boolean,
    /// `!!timestamp`.
    Time,
    /// A type whose values are not written behind the tag: `!!binary`, `!!null`.
    Typed,
}

/// Returns the tag among the properties at `properties` and its place.
pub(super) fn tag_of(source: &[u8], properties: Span) -> Option<(Tag, Span)> {
    let place =
        words(source, properties).find(|word| source.get(word.start as usize) == Some(&b'!'))?;
    Some((meaning(&source[place.range()]), place))
}

/// Returns what a tag means. A handle may stand for any prefix, so that only the last part counts:
/// to take a tag for a typed one when it is not is harmless.
fn meaning(tag: &[u8]) -> Tag {
    let tag = tag.strip_suffix(b">").unwrap_or(tag);
    let start =
        tag.iter().rposition(|byte| matches!(byte, b'!' | b':' | b',')).map_or(0, |at| at + 1);
    match &tag[start..] {
        b"" => Tag::None,
        b"int" => Tag::Integer,
        b"float" => Tag::Float,
        b"bool" => Tag::Boolean,
        b"timestamp" => Tag::Time,
        b"binary" | b"null" => Tag::Typed,
        // Any of them may be spelled with escapes.
        escaped if escaped.contains(&b'%') => Tag::Typed,
        _ => Tag::Text,
    }
}

/// Returns the places of the tag and the anchor in `properties`; comments and line breaks may
/// stand between.
pub(super) fn words(source: &[u8], properties: Span) -> impl Iterator<Item = Span> + '_ {
    let end = (properties.end as usize).min(source.len());
    let mut at = properties.start as usize;
    std::iter::from_fn(move || {
        while at < end {
            match source[at] {
                b' ' | b'\t' | b'\r' | b'\n' => at += 1,
                b'#' => {
                    while at < end && !matches!(source[at], b'\r' | b'\n') {
                        at += 1;
                    }
                }
                _ => {
                    let start = at;
                    while at < end && !matches!(source[at], b' ' | b'\t' | b'\r' | b'\n') {
                        at += 1;
                    }
                    return Some(Span::new(start, at));
                }
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_known_in_every_spelling() {
        for (text, tag) in [
            ("!!int", Tag::Integer),
            ("!!int &a", Tag::Integer),
            ("&a # !!bool\n  !!float", Tag::Float),
            ("!<tag:yaml.org,2002:bool>", Tag::Boolean),
            ("!y!timestamp", Tag::Time),
            ("!!binary", Tag::Typed),
            ("!!in%74", Tag::Typed),
            ("!!str", Tag::Text),
            ("!Ref", Tag::Text),
            ("!", Tag::None),
        ] {
            let properties = Span::new(0, text.len());
            assert_eq!(tag_of(text.as_bytes(), properties).unwrap().0, tag, "{text}");
        }
        assert_eq!(tag_of(b"&int", Span::new(0, 4)), None);
    }
}
