//! Replacements of byte ranges in a text, collected first and applied in one pass.

use std::borrow::Cow;

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
        self.try_apply_with(&Edits::new(), source)
    }

    /// As [`Edits::try_apply`], with the edits of `others` made at the same time.
    pub fn try_apply_with(&self, others: &Edits, source: &[u8]) -> Option<SecretBytes> {
        let lists = || self.list.iter().chain(&others.list);
        let removed: usize = lists().map(|edit| edit.at.len()).sum();
        let length = (source.len() + self.texts.len() + others.texts.len()).saturating_sub(removed);
        let mut out = SecretBytes::with_capacity(length);
        self.pieces(others, source, |piece| {
            out.extend_from_slice(piece);
            true
        })?;
        Some(out)
    }

    /// Returns whether `source` with all edits made is `wanted`, without making that text.
    pub fn make(&self, source: &[u8], wanted: &[u8]) -> bool {
        let mut rest = wanted;
        let whole = self.pieces(&Edits::new(), source, |piece| match rest.strip_prefix(piece) {
            Some(behind) => {
                rest = behind;
                true
            }
            None => false,
        });
        whole == Some(true) && rest.is_empty()
    }

    /// Gives `take` the pieces of the text with these edits and `others`, in their order, until it
    /// returns `false`. Returns whether it never did; `None` if edits overlap.
    fn pieces(
        &self,
        others: &Edits,
        source: &[u8],
        mut take: impl FnMut(&[u8]) -> bool,
    ) -> Option<bool> {
        let (ours, theirs) = (self.sorted(), others.sorted());
        let (mut ours, mut theirs) = (ours.iter().peekable(), theirs.iter().peekable());
        let mut done = 0;
        loop {
            let (edit, texts) = match (ours.peek(), theirs.peek()) {
                (Some(our), Some(their)) if their.at < our.at => (theirs.next()?, &others.texts),
                (Some(_), _) => (ours.next()?, &self.texts),
                (None, Some(_)) => (theirs.next()?, &others.texts),
                (None, None) => return Some(take(&source[done..])),
            };
            let start = edit.at.start as usize;
            if start < done {
                return None;
            }
            if !take(&source[done..start]) || !take(&texts[edit.text.range()]) {
                return Some(false);
            }
            done = edit.at.end as usize;
        }
    }

    /// Returns the edits in the order of the text, in which they mostly were collected.
    fn sorted(&self) -> Cow<'_, [Edit]> {
        if self.list.is_sorted_by_key(|edit| edit.at) {
            return Cow::Borrowed(&self.list);
        }
        let mut sorted = self.list.clone();
        sorted.sort_by_key(|edit| edit.at);
        Cow::Owned(sorted)
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

    #[test]
    fn an_edited_text_is_compared_without_being_made() {
        let mut edits = Edits::new();
        edits.replace(Span::new(4, 5), b"E");
        edits.insert(0, b"<");
        assert!(edits.make(b"abcdef", b"<abcdEf"));
        for other in ["<abcdEff", "<abcdE", "<abcdef", "abcdEf", ""] {
            assert!(!edits.make(b"abcdef", other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn edits_that_overlap_make_no_text() {
        let mut edits = Edits::new();
        edits.remove(Span::new(1, 3));
        edits.remove(Span::new(2, 4));
        assert!(edits.try_apply(b"abcdef").is_none());
        assert!(!edits.make(b"abcdef", b"aef"));
    }

    #[test]
    fn edits_of_two_passes_are_made_at_once() {
        let mut edits = Edits::new();
        edits.remove(Span::new(1, 3));
        edits.insert(6, b"1");
        let mut others = Edits::new();
        others.insert(6, b"2");
        others.insert(0, b"<");
        let text = edits.try_apply_with(&others, b"abcdef").unwrap();
        assert_eq!(&*text, b"<adef12");
        others.remove(Span::new(2, 4));
        assert!(edits.try_apply_with(&others, b"abcdef").is_none());
    }
}
