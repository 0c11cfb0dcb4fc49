//! The search for keys that stand twice in one map.

use std::hash::{BuildHasher as _, RandomState};

/// Returns the items that are equal to an earlier one, each with the first that it is equal to, as
/// places in `items`, in order; `most` of them at most.
///
/// Takes a fraction of the time and memory of a hash table: only hashes are sorted, and whole items
/// are compared only where those agree. The hashes have a random key, so that nobody can prepare a
/// file that makes them agree.
pub(super) fn find<T: Ord + std::hash::Hash>(items: &[T], most: usize) -> Vec<(usize, usize)> {
    // What a program has sorted needs no search.
    if items.is_sorted_by(|one, next| one < next) {
        return Vec::new();
    }
    let state = RandomState::new();
    let mut hashes: Vec<(u64, u32)> =
        items.iter().zip(0..).map(|(item, place)| (state.hash_one(item), place)).collect();
    hashes.sort_unstable();
    let mut found = Vec::new();
    for run in hashes.chunk_by(|one, other| one.0 == other.0).filter(|run| run.len() > 1) {
        // Different items with the same hash are a matter of chance: this stays short.
        let mut firsts: Vec<usize> = Vec::new();
        for place in run.iter().map(|&(_, place)| place as usize) {
            match firsts.iter().find(|&&first| items[first] == items[place]) {
                Some(&first) => found.push((first, place)),
                None => firsts.push(place),
            }
        }
    }
    found.sort_unstable_by_key(|&(_, again)| again);
    found.truncate(most);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_repetition_is_found_in_order() {
        let items = ["b", "a", "c", "a", "b", "a"];
        assert_eq!(find(&items, 9), [(1, 3), (0, 4), (1, 5)]);
        assert_eq!(find(&items, 1), [(1, 3)]);
        assert_eq!(find(&items[..3], 9), []);
        assert_eq!(find(&["a", "b", "b"], 9), [(1, 2)]);
        assert_eq!(find(&["a", "b", "c"], 9), []);
        assert_eq!(find::<u8>(&[], 9), []);
    }
}
