//! The search for bytes that mean something to a format, many bytes at a time.

/// How many bytes are looked at together: of 32 the compiler makes a few vector instructions, of 16
/// five times as many.
const CHUNK: usize = 32;

/// Returns the place of the first byte that is `wanted`, or the length if there is none.
///
/// `wanted` should be a few comparisons without branches that stand for more; what needs a look at
/// the bytes around is decided by the caller, who goes on behind.
#[inline]
pub(super) fn first(bytes: &[u8], wanted: impl Fn(u8) -> bool) -> usize {
    let place = |bytes: &[u8]| bytes.iter().position(|&byte| wanted(byte)).unwrap_or(bytes.len());
    let (chunks, rest) = bytes.as_chunks();
    for (number, chunk) in chunks.iter().enumerate() {
        if holds(chunk, &wanted) {
            return number * CHUNK + place(chunk);
        }
    }
    // The last bytes once more with some before them.
    if let Some(last) = bytes.last_chunk()
        && !holds(last, &wanted)
    {
        return bytes.len();
    }
    bytes.len() - rest.len() + place(rest)
}

/// Returns whether a byte of `chunk` is `wanted`.
#[inline]
fn holds(chunk: &[u8; CHUNK], wanted: impl Fn(u8) -> bool) -> bool {
    // No early end, and bytes instead of flags: that is what lets it become vector instructions.
    chunk.map(|byte| u8::from(wanted(byte))).iter().fold(0, |found, &byte| found | byte) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_found_at_every_place() {
        for length in 0..100 {
            let mut bytes = vec![b'a'; length];
            assert_eq!(first(&bytes, |byte| byte == b'x'), length);
            for at in (0..length).rev() {
                bytes[at] = b'x';
                assert_eq!(first(&bytes, |byte| byte == b'x'), at);
            }
        }
    }
}
