//! Three-way merge of texts by lines.

use std::ops::Range;

use imara_diff::{Algorithm, Diff, InternedInput};

use crate::secret::SecretBytes;

/// What two changes of different lines are that touch each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Touching {
    /// A conflict, as in git: nothing of the text between them says that they are independent.
    Conflict,
    /// Both are made. Whether the values are what was meant is for the tree to say.
    Merge,
}

/// Whose text is taken where both changed the same lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Favour {
    Ours,
    Theirs,
}

/// A merged text.
pub(super) struct Merged {
    pub(super) text: SecretBytes,
    /// In how many places both had changed the same lines.
    pub(super) conflicts: usize,
}

/// Merges what `ours` and `theirs` changed in `base`.
pub(super) fn merge(
    [base, ours, theirs]: [&[u8]; 3],
    touching: Touching,
    favour: Favour,
) -> Merged {
    let base = Lines::new(base);
    let sides = [Side::new(&base, ours), Side::new(&base, theirs)];
    let mut merge =
        Merge { base: &base, sides: &sides, out: SecretBytes::new(), at: 0, deltas: [0, 0] };
    let mut conflicts = 0;
    let mut next = [0, 0];
    while let Some(region) = region(&sides, &mut next, touching) {
        merge.unchanged(region.base.start);
        conflicts += usize::from(merge.region(&region, favour));
    }
    merge.unchanged(base.count());
    Merged { text: merge.out, conflicts }
}

/// Returns a text that has what both texts have in common, and what they do not between conflict
/// markers as git writes them.
pub(super) fn with_markers(ours: &[u8], theirs: &[u8], names: [&str; 2]) -> SecretBytes {
    let ours = Lines::new(ours);
    let theirs = Side::new(&ours, theirs);
    let end: &[u8] =
        if memchr::memmem::find(ours.text, b"\r\n").is_some() { b"\r\n" } else { b"\n" };
    let mut out = SecretBytes::new();
    let line = |out: &mut SecretBytes, text: &[u8]| {
        out.extend_from_slice(text);
        if !text.is_empty() && text.last() != Some(&b'\n') {
            out.extend_from_slice(end);
        }
    };
    let mut at = 0;
    for hunk in &theirs.hunks {
        line(&mut out, ours.range(at..hunk.base.start));
        line(&mut out, format!("<<<<<<< {}", names[0]).as_bytes());
        line(&mut out, ours.range(hunk.base.clone()));
        line(&mut out, b"=======");
        line(&mut out, theirs.lines.range(hunk.new.clone()));
        line(&mut out, format!(">>>>>>> {}", names[1]).as_bytes());
        at = hunk.base.end;
    }
    out.extend_from_slice(ours.range(at..ours.count()));
    out
}

/// A text by lines.
struct Lines<'t> {
    text: &'t [u8],
    /// Where each line starts, and where the text ends.
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    fn new(text: &'t [u8]) -> Lines<'t> {
        let mut starts = vec![0];
        starts.extend(memchr::memchr_iter(b'\n', text).map(|at| at + 1));
        if starts.last() != Some(&text.len()) {
            starts.push(text.len());
        }
        Lines { text, starts }
    }

    fn count(&self) -> usize {
        self.starts.len() - 1
    }

    fn range(&self, lines: Range<usize>) -> &'t [u8] {
        &self.text[self.starts[lines.start]..self.starts[lines.end]]
    }
}

/// A changed text, with the places where it differs.
struct Side<'t> {
    lines: Lines<'t>,
    hunks: Vec<Hunk>,
}

/// Lines of the base, and the lines that are there instead.
#[derive(Clone, Debug)]
struct Hunk {
    base: Range<usize>,
    new: Range<usize>,
}

impl<'t> Side<'t> {
    fn new(base: &Lines<'_>, text: &'t [u8]) -> Side<'t> {
        let input = InternedInput::new(base.text, text);
        let mut diff = Diff::compute(Algorithm::Myers, &input);
        diff.postprocess_lines(&input);
        let range = |range: Range<u32>| range.start as usize..range.end as usize;
        let hunks = diff
            .hunks()
            .map(|hunk| Hunk { base: range(hunk.before), new: range(hunk.after) })
            .collect();
        Side { lines: Lines::new(text), hunks }
    }
}

/// Changes that have to be looked at together.
struct Region {
    base: Range<usize>,
    /// The hunks of each side.
    hunks: [Range<usize>; 2],
}

/// Returns the next region, and goes behind it.
fn region(sides: &[Side<'_>; 2], next: &mut [usize; 2], touching: Touching) -> Option<Region> {
    let peek = |side: usize, next: &[usize; 2]| sides[side].hunks.get(next[side]);
    let first = match (peek(0, next), peek(1, next)) {
        (None, None) => return None,
        (Some(_), None) => 0,
        (None, Some(_)) => 1,
        // Where both begin at one line, an insertion is before a change of the line.
        (Some(ours), Some(theirs)) => {
            usize::from((theirs.base.start, theirs.base.end) < (ours.base.start, ours.base.end))
        }
    };
    let mut base = peek(first, next)?.base.clone();
    let mut hunks = [next[0]..next[0], next[1]..next[1]];
    next[first] += 1;
    hunks[first].end += 1;
    loop {
        let mut grown = false;
        for side in 0..2 {
            while let Some(hunk) =
                peek(side, next).filter(|hunk| meets(&base, &hunk.base, touching))
            {
                base.end = base.end.max(hunk.base.end);
                next[side] += 1;
                hunks[side].end += 1;
                grown = true;
            }
        }
        if !grown {
            return Some(Region { base, hunks });
        }
    }
}

/// Returns whether a later change belongs to the same region.
fn meets(region: &Range<usize>, hunk: &Range<usize>, touching: Touching) -> bool {
    match touching {
        Touching::Conflict => hunk.start <= region.end,
        Touching::Merge => hunk.start < region.end,
    }
}

struct Merge<'m, 't> {
    base: &'m Lines<'t>,
    sides: &'m [Side<'t>; 2],
    out: SecretBytes,
    /// The line of the base that is next.
    at: usize,
    /// How many lines each side has more than the base up to there.
    deltas: [isize; 2],
}

impl Merge<'_, '_> {
    fn push(&mut self, text: &[u8]) {
        if text.is_empty() {
            return;
        }
        // What was the last line, without a line break, may have got something behind it.
        if !self.out.is_empty() && self.out.last() != Some(&b'\n') {
            let crlf = memchr::memmem::find(self.base.text, b"\r\n").is_some();
            self.out.extend_from_slice(if crlf { b"\r\n" } else { b"\n" });
        }
        self.out.extend_from_slice(text);
    }

    fn unchanged(&mut self, end: usize) {
        let text = self.base.range(self.at..end);
        self.push(text);
        self.at = end;
    }

    /// Writes a region; returns whether it is a conflict.
    fn region(&mut self, region: &Region, favour: Favour) -> bool {
        let texts = [0, 1].map(|side| {
            let hunks = &self.sides[side].hunks[region.hunks[side].clone()];
            let start = region.base.start.saturating_add_signed(self.deltas[side]);
            let change: isize = hunks.iter().map(growth).sum();
            self.deltas[side] += change;
            let end = region.base.end.saturating_add_signed(self.deltas[side]);
            self.sides[side].lines.range(start..end)
        });
        self.at = region.base.end;
        let [ours, theirs] = region.hunks.clone().map(|hunks| !hunks.is_empty());
        let conflict = ours && theirs && texts[0] != texts[1];
        let text = match (ours, theirs, favour) {
            (true, false, _) | (true, true, Favour::Ours) => texts[0],
            _ => texts[1],
        };
        self.push(text);
        conflict
    }
}

/// Returns how many lines a hunk adds.
fn growth(hunk: &Hunk) -> isize {
    hunk.new.len().cast_signed() - hunk.base.len().cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(base: &str, ours: &str, theirs: &str, touching: Touching) -> (String, usize) {
        let texts = [base.as_bytes(), ours.as_bytes(), theirs.as_bytes()];
        let merged = merge(texts, touching, Favour::Ours);
        (String::from_utf8(merged.text.to_vec()).unwrap(), merged.conflicts)
    }

    #[test]
    fn changes_of_different_lines_are_both_made() {
        let (base, ours, theirs) = ("a\nb\nc\nd\n", "A\nb\nc\nd\n", "a\nb\nc\nD\ne\n");
        let expected = ("A\nb\nc\nD\ne\n".to_owned(), 0);
        assert_eq!(merged(base, ours, theirs, Touching::Conflict), expected);
        assert_eq!(merged(base, ours, theirs, Touching::Merge), expected);
    }

    #[test]
    fn changes_of_adjacent_lines_are_made_if_they_may_touch() {
        let (base, ours, theirs) = ("a\nb\n", "A\nb\n", "a\nB\n");
        assert_eq!(merged(base, ours, theirs, Touching::Conflict), ("A\nb\n".to_owned(), 1));
        assert_eq!(merged(base, ours, theirs, Touching::Merge), ("A\nB\n".to_owned(), 0));
    }

    #[test]
    fn insertions_at_one_place_stand_one_behind_the_other() {
        let (base, ours, theirs) = ("a\n", "a\nx\n", "a\ny\n");
        assert_eq!(merged(base, ours, theirs, Touching::Merge), ("a\nx\ny\n".to_owned(), 0));
        assert_eq!(merged(base, ours, ours, Touching::Conflict), ("a\nx\n".to_owned(), 0));
        let without = merged("a", "a\nx", "a\ny", Touching::Merge);
        assert_eq!(without.0.lines().next(), Some("a"));
    }

    #[test]
    fn changes_of_one_line_conflict_and_the_favoured_side_is_taken() {
        let texts = [&b"a\nb\n"[..], b"a\nx\n", b"a\ny\n"];
        for (favour, text) in [(Favour::Ours, "a\nx\n"), (Favour::Theirs, "a\ny\n")] {
            let merged = merge(texts, Touching::Merge, favour);
            assert_eq!((&merged.text[..], merged.conflicts), (text.as_bytes(), 1));
        }
    }

    #[test]
    fn markers_stand_around_what_differs() {
        let text = with_markers(b"a\nb\nc", b"a\nx\ny\nc", ["ours", "theirs"]);
        let text = String::from_utf8(text.to_vec()).unwrap();
        assert_eq!(text, "a\n<<<<<<< ours\nb\n=======\nx\ny\n>>>>>>> theirs\nc");
    }

    #[test]
    fn a_deletion_and_a_change_elsewhere_are_both_made() {
        let (base, ours, theirs) = ("a\nb\nc\nd\n", "a\nc\nd\n", "a\nb\nc\nD\n");
        let expected = ("a\nc\nD\n".to_owned(), 0);
        assert_eq!(merged(base, ours, theirs, Touching::Conflict), expected);
    }
}
