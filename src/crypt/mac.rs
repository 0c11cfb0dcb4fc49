//! The checksum over all values of a file.
//!
//! SHA-512 over the canonical bytes of every leaf in tree order, without separators, keys or
//! types; nulls and comments add nothing. Written as 128 upper-case hexadecimal digits. It is an
//! unkeyed hash of the plaintext: it is never shown, and it is sealed before it is stored.

use std::fmt;

use sha2::{Digest, Sha512};

use crate::secret::SecretBytes;

/// What starts the MAC of a file with `mac_only_encrypted`, so that it cannot be mistaken for the
/// other kind: SHA-256 of `sops`.
const ONLY_ENCRYPTED_START: [u8; 32] = [
    0x8a, 0x3f, 0xd2, 0xad, 0x54, 0xce, 0x66, 0x52, 0x7b, 0x10, 0x34, 0xf3, 0xd1, 0x47, 0xbe, 0x0b,
    0x0b, 0x97, 0x5b, 0x3b, 0xf4, 0x4f, 0x72, 0xc6, 0xfd, 0xad, 0xec, 0x81, 0x76, 0xf2, 0x7d, 0x69,
];

/// A MAC in the making.
pub struct Mac(Sha512);

impl Mac {
    /// Starts a MAC; `only_encrypted` as in the file's metadata.
    pub fn new(only_encrypted: bool) -> Mac {
        let mut hash = Sha512::new();
        if only_encrypted {
            hash.update(ONLY_ENCRYPTED_START);
        }
        Mac(hash)
    }

    /// Adds the canonical bytes of a value.
    pub fn update(&mut self, canonical: &[u8]) {
        self.0.update(canonical);
    }

    /// Returns the digest as SOPS writes it: 128 upper-case hexadecimal digits.
    pub fn finish(self) -> SecretBytes {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        let mut text = SecretBytes::with_capacity(128);
        for byte in self.0.finalize() {
            text.extend_from_slice(&[
                DIGITS[usize::from(byte >> 4)],
                DIGITS[usize::from(byte & 15)],
            ]);
        }
        text
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mac")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_values_has_the_digest_of_nothing() {
        assert!(Mac::new(false).finish().starts_with(b"CF83E1357EEFB8BD"));
        assert!(Mac::new(true).finish().starts_with(b"1EE9AD533B409ABB"));
    }
}
