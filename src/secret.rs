//! Bytes that are wiped when they are dropped and never shown.

use std::fmt;
use std::ops::Deref;

use zeroize::Zeroize;

/// A growable byte buffer whose memory is wiped on drop and on growth.
///
/// `Debug` shows the length only, and there is no `Clone`: a copy of a secret is made on purpose,
/// with [`SecretBytes::from`] on the slice.
#[derive(Default)]
pub struct SecretBytes(Vec<u8>);

impl SecretBytes {
    /// Returns an empty buffer.
    pub fn new() -> SecretBytes {
        SecretBytes::default()
    }

    /// Returns an empty buffer that holds `capacity` bytes before it grows.
    pub fn with_capacity(capacity: usize) -> SecretBytes {
        SecretBytes(Vec::with_capacity(capacity))
    }

    /// Appends `bytes`; when the buffer must move, the old memory is wiped.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    /// Appends one byte.
    pub fn push(&mut self, byte: u8) {
        self.extend_from_slice(&[byte]);
    }

    /// Makes room for `additional` more bytes; the old memory is wiped if the buffer moves.
    pub fn reserve(&mut self, additional: usize) {
        let needed = self.0.len().saturating_add(additional);
        if needed > self.0.capacity() {
            let mut larger = Vec::with_capacity(needed.max(self.0.capacity() * 2).max(64));
            larger.extend_from_slice(&self.0);
            self.0.zeroize();
            self.0 = larger;
        }
    }

    /// Sets the length; bytes that are cut off are wiped, new ones are zero.
    pub fn resize(&mut self, length: usize) {
        if length < self.0.len() {
            self.0[length..].zeroize();
            self.0.truncate(length);
        } else {
            self.reserve(length - self.0.len());
            self.0.resize(length, 0);
        }
    }

    /// Returns the bytes for in-place change.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.0
    }

    /// Returns the bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for SecretBytes {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl Deref for SecretBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for SecretBytes {
    fn from(bytes: &[u8]) -> SecretBytes {
        SecretBytes(bytes.to_vec())
    }
}

impl From<Vec<u8>> for SecretBytes {
    fn from(bytes: Vec<u8>) -> SecretBytes {
        SecretBytes(bytes)
    }
}

impl From<&str> for SecretBytes {
    fn from(text: &str) -> SecretBytes {
        SecretBytes::from(text.as_bytes())
    }
}

impl std::io::Write for SecretBytes {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretBytes({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_content() {
        assert_eq!(format!("{:?}", SecretBytes::from("canary")), "SecretBytes(6 bytes)");
    }

    #[test]
    fn growing_keeps_the_content() {
        let mut bytes = SecretBytes::new();
        for n in 0..1000u32 {
            bytes.extend_from_slice(&n.to_le_bytes());
        }
        assert_eq!(bytes.len(), 4000);
        assert_eq!(&bytes[3996..], 999u32.to_le_bytes());
    }
}
