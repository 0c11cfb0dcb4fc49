//! The hits in a text that comes in pieces, with their lines and columns.

use crate::scan::{Hit, Searcher};
use crate::span::Position;

/// The hits of one text, and where its next piece begins.
#[derive(Default)]
pub(super) struct Hits {
    found: Vec<(Hit, Position)>,
    /// Where the next piece begins in the text.
    offset: usize,
    /// How many bytes of the next piece were in the last one.
    carried: usize,
    next: Place,
}

/// A place in a text.
#[derive(Clone, Copy, Default)]
struct Place {
    /// Line breaks in front of it.
    lines: usize,
    /// Characters in front of it in its line.
    characters: usize,
}

impl Hits {
    /// Adds the hits of a piece; the next one will begin with its last `overlap` bytes.
    pub(super) fn add_piece(&mut self, piece: &[u8], overlap: usize, searcher: &Searcher) {
        let mut hits = Vec::new();
        // What lies in the repeated part alone was found before.
        searcher.search(piece, |hit| {
            if hit.end > self.carried {
                hits.push(hit);
            }
        });
        hits.sort_unstable_by_key(|hit| (hit.start, hit.end));
        let (mut at, mut place) = (0, self.next);
        for mut hit in hits {
            place.advance(&piece[at..hit.start]);
            at = hit.start;
            hit.start += self.offset;
            hit.end += self.offset;
            let position = Position { line: place.lines + 1, column: place.characters + 1 };
            self.found.push((hit, position));
        }
        self.carried = overlap.min(piece.len());
        let left = piece.len() - self.carried;
        self.next.advance(&piece[..left]);
        self.offset += left;
    }

    /// Returns all hits.
    pub(super) fn into_found(self) -> Vec<(Hit, Position)> {
        self.found
    }
}

impl Place {
    fn advance(&mut self, text: &[u8]) {
        if let Some(last) = memchr::memrchr(b'\n', text) {
            self.lines += memchr::memchr_iter(b'\n', text).count();
            self.characters = 0;
            self.advance_in_line(&text[last + 1..]);
        } else {
            self.advance_in_line(text);
        }
    }

    fn advance_in_line(&mut self, text: &[u8]) {
        // Every byte but those that continue a character in UTF-8.
        self.characters += text.iter().filter(|&&byte| byte & 0xC0 != 0x80).count();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::Secrets;

    #[test]
    fn hits_are_the_same_in_pieces_of_any_length() {
        let mut secrets = Secrets::new(8);
        secrets.add(b"xK9#mP2q!").unwrap();
        let searcher = secrets.into_searcher();
        let overlap = searcher.longest() - 1;
        let text = "é xK9#mP2q!\n\nab\nxK9#mP2q! xK9%23mP2q%21\nééé xK9#mP2q!".as_bytes();
        let expected = [(1, 3), (4, 1), (4, 11), (5, 5)];
        for length in 1..text.len() {
            let mut hits = Hits::default();
            let mut end = 0;
            while end < text.len() {
                let start = end.saturating_sub(overlap);
                end = (end + length).min(text.len());
                // Pieces but the first are longer than what they repeat, as those of a file.
                if start == 0 && end <= overlap && end < text.len() {
                    end = (overlap + 1).min(text.len());
                }
                hits.add_piece(&text[start..end], overlap, &searcher);
            }
            let places: Vec<_> = hits
                .into_found()
                .into_iter()
                .map(|(_, position)| (position.line, position.column))
                .collect();
            assert_eq!(places, expected, "{length}");
        }
    }
}
