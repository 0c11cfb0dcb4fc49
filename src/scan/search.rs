//! The search for many texts at once.
//!
//! Of each text, one part of `step + 3` bytes is chosen; all its windows of four bytes are in a set.
//! The haystack is looked at in windows `step` bytes apart, so that an occurrence of the part has
//! exactly one of them, wherever it stands. A window that is not in the set, which is nearly every
//! one, costs a hash and a bit. A window that is in it gives the texts that have it, which are
//! compared. Parts are chosen so that few texts share a window, and so that windows are not those of
//! words: many secrets begin with `postgres://`, and so do many lines that are none.

use std::collections::HashMap;

use super::{Encoding, Pattern, SecretId};
use crate::secret::SecretBytes;

/// The bytes of a window.
const WINDOW: usize = 4;

/// The most bytes between two windows: more would make parts so long that they are hard to choose.
const MAX_STEP: usize = 12;

/// How many bits of the filter there are for each window in the set.
const BITS_PER_WINDOW: usize = 64;

/// Bounds of the filter's size, as powers of two: it should stay in the cache of a core.
const FILTER_BITS: (u32, u32) = (12, 23);

/// An occurrence of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Which secret.
    pub secret: SecretId,
    /// In which form.
    pub encoding: Encoding,
    /// Where it begins, in bytes.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
}

/// Finds secrets in texts.
pub struct Searcher {
    patterns: Vec<Pattern>,
    step: usize,
    filter: Filter,
    /// The texts with each window in their parts: ranges of `places`.
    windows: HashMap<u32, (u32, u32)>,
    places: Vec<Place>,
    longest: usize,
}

/// A window of a text.
#[derive(Clone, Copy)]
struct Place {
    pattern: u32,
    /// Where the window stands in the text.
    offset: u32,
}

impl Searcher {
    pub(super) fn new(patterns: Vec<Pattern>) -> Searcher {
        let shortest = patterns.iter().map(|pattern| pattern.text.len()).min();
        // No pattern is shorter than `MIN_LENGTH`, which is a window.
        let step = shortest.map_or(1, |length| (length + 1).saturating_sub(WINDOW));
        let step = step.clamp(1, MAX_STEP);
        let mut counts: HashMap<u32, u32> = HashMap::new();
        for window in patterns.iter().flat_map(|pattern| windows(&pattern.text)) {
            *counts.entry(window).or_default() += 1;
        }
        let mut all: Vec<(u32, Place)> = Vec::with_capacity(patterns.len() * step);
        for (number, pattern) in patterns.iter().enumerate() {
            let start = best_part(&pattern.text, step, &counts);
            for (offset, window) in windows(&pattern.text).enumerate().skip(start).take(step) {
                all.push((window, Place { pattern: number as u32, offset: offset as u32 }));
            }
        }
        all.sort_unstable_by_key(|&(window, place)| (window, place.pattern, place.offset));
        let mut filter = Filter::for_windows(all.len());
        let mut ranges: HashMap<u32, (u32, u32)> = HashMap::new();
        for (at, &(window, _)) in all.iter().enumerate() {
            let at = at as u32;
            filter.insert(window);
            ranges.entry(window).or_insert((at, at)).1 = at + 1;
        }
        let places = all.iter().map(|&(_, place)| place).collect();
        let longest = patterns.iter().map(|pattern| pattern.text.len()).max().unwrap_or(0);
        Searcher { patterns, step, filter, windows: ranges, places, longest }
    }

    /// Returns the length in bytes of the longest text that is searched for: who gives a haystack in
    /// pieces repeats one byte less of each.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// Finds all occurrences, in the order of their windows in the haystack.
    pub fn search(&self, haystack: &[u8], mut found: impl FnMut(Hit)) {
        let mut at = 0;
        while let Some(window) = haystack.get(at..at + WINDOW) {
            let window = read(window);
            if self.filter.may_have(window) {
                self.compare(haystack, at, window, &mut found);
            }
            at += self.step;
        }
    }

    /// Compares the texts with a window that stands at `at`.
    #[cold]
    fn compare(&self, haystack: &[u8], at: usize, window: u32, found: &mut impl FnMut(Hit)) {
        let Some(&(from, to)) = self.windows.get(&window) else { return };
        for place in &self.places[from as usize..to as usize] {
            let pattern = &self.patterns[place.pattern as usize];
            let Some(start) = at.checked_sub(place.offset as usize) else { continue };
            let end = start + pattern.text.len();
            if haystack.get(start..end) == Some(&*pattern.text) {
                found(Hit { secret: pattern.secret, encoding: pattern.encoding, start, end });
            }
        }
    }
}

impl std::fmt::Debug for Searcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Searcher({} texts)", self.patterns.len())
    }
}

fn windows(text: &[u8]) -> impl Iterator<Item = u32> {
    text.windows(WINDOW).map(read)
}

/// Reads a window. The bytes are those of a slice of that length.
fn read(window: &[u8]) -> u32 {
    let mut bytes = [0; WINDOW];
    bytes.copy_from_slice(window);
    u32::from_le_bytes(bytes)
}

/// Returns where the part of `step` windows begins that costs least.
fn best_part(text: &[u8], step: usize, counts: &HashMap<u32, u32>) -> usize {
    let cost = |window: u32| {
        let count = u64::from(counts.get(&window).copied().unwrap_or(0));
        if is_of_words(window) { count * 8 } else { count }
    };
    let costs: Vec<u64> = windows(text).map(cost).collect();
    let mut sum: u64 = costs.iter().take(step).sum();
    let (mut least, mut best) = (sum, 0);
    for start in 1..=costs.len().saturating_sub(step) {
        sum = sum + costs[start + step - 1] - costs[start - 1];
        if sum < least {
            (least, best) = (sum, start);
        }
    }
    best
}

/// Returns whether a window looks like one of words: letters, blanks and what stands between them.
fn is_of_words(window: u32) -> bool {
    let bytes = window.to_le_bytes();
    bytes.iter().all(|byte| byte.is_ascii_lowercase() || !byte.is_ascii_alphanumeric())
        || bytes.iter().all(u8::is_ascii_uppercase)
}

/// A set of windows that errs on one side.
struct Filter {
    /// Bits by the upper bits of a hash. They tell little, but are wiped all the same.
    bits: SecretBytes,
    shift: u32,
}

impl Filter {
    fn for_windows(count: usize) -> Filter {
        let wanted = (count * BITS_PER_WINDOW).next_power_of_two().ilog2();
        let power = wanted.clamp(FILTER_BITS.0, FILTER_BITS.1);
        let mut bits = SecretBytes::new();
        bits.resize(1 << (power - 3));
        Filter { bits, shift: 32 - power }
    }

    fn place(&self, window: u32) -> (usize, u8) {
        let hash = window.wrapping_mul(0x9E37_79B1) >> self.shift;
        ((hash >> 3) as usize, 1 << (hash & 7))
    }

    fn insert(&mut self, window: u32) {
        let (byte, bit) = self.place(window);
        self.bits.as_mut_slice()[byte] |= bit;
    }

    #[inline]
    fn may_have(&self, window: u32) -> bool {
        let (byte, bit) = self.place(window);
        self.bits[byte] & bit != 0
    }
}
