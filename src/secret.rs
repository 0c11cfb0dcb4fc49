//! Bytes that are wiped when they are dropped and never shown.

use std::fmt;
use std::ops::Deref;

use zeroize::{Zeroize as _, optimization_barrier};

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
    #[inline]
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    /// Appends one byte.
    #[inline]
    pub fn push(&mut self, byte: u8) {
        self.reserve(1);
        self.0.push(byte);
    }

    /// Makes room for `additional` more bytes; the old memory is wiped if the buffer moves.
    #[inline]
    pub fn reserve(&mut self, additional: usize) {
        if additional > self.0.capacity() - self.0.len() {
            self.grow(self.0.len().saturating_add(additional));
        }
    }

    #[cold]
    fn grow(&mut self, needed: usize) {
        let mut larger = Vec::with_capacity(needed.max(self.0.capacity() * 2).max(64));
        larger.extend_from_slice(&self.0);
        wipe(&mut self.0);
        self.0 = larger;
    }

    /// Sets the length; bytes that are cut off are wiped, new ones are zero.
    pub fn resize(&mut self, length: usize) {
        if length < self.0.len() {
            wipe(&mut self.0[length..]);
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

/// Overwrites `bytes` with zeros in a way that the compiler does not take out.
///
/// `Zeroize` writes byte by byte, which for a document of some MB is a tenth of the whole work.
#[inline]
fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    optimization_barrier(bytes);
}

impl Drop for SecretBytes {
    fn drop(&mut self) {
        // What lies behind the length was never written, or was wiped when the length shrank.
        wipe(&mut self.0);
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
    /// Takes the memory over. What lies behind its length may be left from before, and is wiped.
    fn from(mut bytes: Vec<u8>) -> SecretBytes {
        bytes.spare_capacity_mut().zeroize();
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
