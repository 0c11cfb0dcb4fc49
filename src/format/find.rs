//! The search for bytes that mean something to a format, many bytes at a time.

/// How many bytes are looked at together. The compiler makes a few vector instructions of that.
const CHUNK: usize = 16;

/// Returns the place of the first byte that is `wanted`, or the length if there is none.
///
/// `wanted` should be a few comparisons without branches that stand for more; what needs a look at
/// the bytes around is decided by the caller, who goes on behind.
#[inline]
pub(super) fn first(bytes: &[u8], wanted: impl Fn(u8) -> bool) -> usize {
    let (chunks, rest) = bytes.as_chunks::<CHUNK>();
    for (number, chunk) in chunks.iter().enumerate() {
        // No early end: that is what lets it become vector instructions.
        if chunk.iter().fold(false, |found, &byte| found | wanted(byte)) {
            let at = chunk.iter().position(|&byte| wanted(byte)).unwrap_or(0);
            return number * CHUNK + at;
        }
    }
    let before = bytes.len() - rest.len();
    before + rest.iter().position(|&byte| wanted(byte)).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_found_at_every_place() {
        for length in 0..50 {
            let mut bytes = vec![b'a'; length];
            assert_eq!(first(&bytes, |byte| byte == b'x'), length);
            for at in (0..length).rev() {
                bytes[at] = b'x';
                assert_eq!(first(&bytes, |byte| byte == b'x'), at);
            }
        }
    }
}
