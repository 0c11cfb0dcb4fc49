//! What SOPS refuses once a text has been read: duplicate keys, and merges of what is no map.

use super::raw::{Raw, Shape, Stream, Tag};
use super::splice::SEALED;
use crate::format::{SyntaxError, repeated};
use crate::span::Position;
use crate::tree::Style;

/// A key as it is compared: whether it is an alias, its text or name, and where it stands.
type Seen<'t> = ((bool, &'t [u8]), u32);

/// Up to this many keys are compared with each other; hashing them would take longer.
const FEW: usize = 8;

/// Checks all maps of `stream`, which was read from `source`.
///
/// Two keys are the same if their texts are, whatever their types: `1` and `"1"`. As SOPS, this
/// looks at the first document only, so that whatever SOPS wrote can be read; the
/// format's refusal keeps new files from having duplicates anywhere.
pub(super) fn check(source: &[u8], stream: &Stream) -> Result<(), SyntaxError> {
    let second = stream.documents.get(1).map(|document| document.root);
    let mut keys: Vec<Seen<'_>> = Vec::new();
    for (id, map) in stream.nodes.iter().enumerate() {
        if map.shape != Shape::Map {
            continue;
        }
        keys.clear();
        if second.is_some_and(|second| id >= second as usize) {
            break;
        }
        let mut next = id as u32 + 1;
        while next < map.end {
            let key = &stream.nodes[next as usize];
            let value = &stream.nodes[key.end as usize];
            next = value.end;
            let text = key_text(source, stream, key);
            let alias = matches!(key.shape, Shape::Alias(_));
            keys.push(((alias, text), key.span.start));
            if is_merge(key, text) && !is_mergeable(source, stream, key.end) {
                let message = "the value of `<<` must be a map or a list of maps";
                return Err(SyntaxError::at(source, value.span.start as usize, message));
            }
        }
        if let Some((before, ((_, text), again))) = duplicate(&keys) {
            let line = Position::of(source, before as usize).line;
            let name = String::from_utf8_lossy(text).escape_debug().to_string();
            let message = format!("the key `{name}` stands on line {line} already");
            return Err(SyntaxError::at(source, again as usize, message));
        }
    }
    Ok(())
}

/// Returns the first key that was there before, and where that was.
fn duplicate<'t>(keys: &[Seen<'t>]) -> Option<(u32, Seen<'t>)> {
    if keys.len() <= FEW {
        return keys.iter().enumerate().find_map(|(count, &(key, again))| {
            let before = keys[..count].iter().find(|(other, _)| *other == key)?;
            Some((before.1, (key, again)))
        });
    }
    let texts: Vec<_> = keys.iter().map(|&(key, _)| key).collect();
    let &(first, again) = repeated::find(&texts, 1).first()?;
    Some((keys[first].1, keys[again]))
}

/// Returns what a key is compared by: its text, or the name of an alias.
fn key_text<'t>(source: &'t [u8], stream: &'t Stream, key: &Raw) -> &'t [u8] {
    match key.shape {
        Shape::Scalar(text) => stream.text(source, text),
        _ => &source[key.span.range()],
    }
}

fn is_merge(key: &Raw, text: &[u8]) -> bool {
    text == b"<<"
        && matches!(key.shape, Shape::Scalar(_))
        && match key.tag {
            Tag::None => key.style == Style::Plain,
            tag => tag == Tag::Merge,
        }
}

/// Returns whether the node `id` is a map, an alias of one, or a list of those. In such a list
/// there may be comments as SOPS encrypts them, which are texts.
fn is_mergeable(source: &[u8], stream: &Stream, id: u32) -> bool {
    let is_map = |raw: &Raw| match raw.shape {
        Shape::Alias(target) => stream.nodes[target as usize].shape == Shape::Map,
        shape => shape == Shape::Map,
    };
    let value = &stream.nodes[id as usize];
    if value.shape != Shape::List {
        return is_map(value);
    }
    let mut next = id + 1;
    while next < value.end {
        let member = &stream.nodes[next as usize];
        let is_sealed = matches!(member.shape, Shape::Scalar(text)
            if stream.text(source, text).starts_with(SEALED));
        if !is_map(member) && !is_sealed {
            return false;
        }
        next = member.end;
    }
    true
}
