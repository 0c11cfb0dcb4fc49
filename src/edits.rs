//! Replacements of byte ranges in a text, collected first and applied in one pass.

use crate::secret::SecretBytes;
use crate::span::Span;

/// A set of replacements in one text.
///
/// They may be collected in any order; [`Edits::apply`] sorts them by place. Insertions at the
/// same place keep the order in which they were collected.
#[derive(Debug, Default)]
pub struct Edits {
    texts: SecretBytes,
    list: Vec<Edit>,
}

#[derive(Clone, Copy, Debug)]
struct Edit {
    at: Span,
    text: Span,
}

impl Edits {
    /// Returns no edits.
    pub fn new() -> Edits {
        Edits::default()
    }

    /// Returns no edits, with room for that many, and for their texts together in bytes.
    pub fn with_capacity(edits: usize, bytes: usize) -> Edits {
        Edits { texts: SecretBytes::with_capacity(bytes), list: Vec::with_capacity(edits) }
    }

    /// Returns the one edit that makes `new` of `old`: what is the same at the start and at the end
    /// stays.
    pub fn between(old: &[u8], new: &[u8]) -> Edits {
        let start = old.iter().zip(new).take_while(|(a, b)| a == b).count();
        let (rest, new) = (&old[start..], &new[start..]);
        let end = rest.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a == b).count();
        let mut edits = Edits::new();
        edits.replace(Span::new(start, old.len() - end), &new[..new.len() - end]);
        edits
    }

    /// Replaces the bytes at `at`.
    pub fn replace(&mut self, at: Span, text: &[u8]) {
        self.replace_with(at, |out| out.extend_from_slice(text));
    }

    /// Replaces the bytes at `at` by what `write` appends.
    pub fn replace_with(&mut self, at: Span, write: impl FnOnce(&mut SecretBytes)) {
        let start = self.texts.len();
        write(&mut self.texts);
        self.list.push(Edit { at, text: Span::new(start, self.texts.len()) });
    }

    /// Inserts before the byte at `offset`.
    pub fn insert(&mut self, offset: usize, text: &[u8]) {
        self.replace(Span::new(offset, offset), text);
    }

    /// Removes the bytes at `at`.
    pub fn remove(&mut self, at: Span) {
        self.replace(at, b"");
    }

    /// Adds the edits of `other`, which are of the same text.
    pub fn append(&mut self, other: &Edits) {
        for edit in &other.list {
            self.replace(edit.at, &other.texts[edit.text.range()]);
        }
    }

    /// Returns the number of edits.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Returns the places of the edits, in the order in which they were collected.
    pub fn spans(&self) -> impl Iterator<Item = Span> + '_ {
        self.list.iter().map(|edit| edit.at)
    }

    /// Returns `source` with all edits made.
    ///
    /// # Panics
    /// If two edits overlap, which is an error in the format that made them.
    pub fn apply(&self, source: &[u8]) -> SecretBytes {
        self.try_apply(source).expect("the edits of one pass do not overlap")
    }

    /// Returns `source` with all edits made; `None` if two of them overlap, as those of two passes
    /// may.
    pub fn try_apply(&self, source: &[u8]) -> Option<SecretBytes> {
        let mut order: Vec<Edit> = self.list.clone();
        order.sort_by_key(|edit| edit.at);
        let removed: usize = order.iter().map(|edit| edit.at.len()).sum();
        let mut out = SecretBytes::with_capacity(source.len() - removed + self.texts.len());
        let mut done = 0;
        for edit in order {
            let start = edit.at.start as usize;
            if start < done {
                return None;
            }
            out.extend_from_slice(&source[done..start]);
            out.extend_from_slice(&self.texts[edit.text.range()]);
            done = edit.at.end as usize;
        }
        out.extend_from_slice(&source[done..]);
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_apply_by_place() {
        let mut edits = Edits::new();
        edits.replace(Span::new(4, 5), b"E");
        edits.insert(0, b"<");
        edits.remove(Span::new(1, 3));
        edits.insert(6, b">");
        edits.insert(6, b">");
        assert_eq!(&*edits.apply(b"abcdef"), b"<adEf>>");
    }
}
