//! The key that a file's values are sealed with.

use std::fmt;

use zeroize::Zeroizing;

use crate::crypt::gcm::Cipher;

/// Length of a data key in bytes.
pub const DATA_KEY_LENGTH: usize = 32;

/// A file's data key. Wiped on drop, never shown.
pub struct DataKey(Zeroizing<[u8; DATA_KEY_LENGTH]>);

impl DataKey {
    /// Makes a new random data key.
    ///
    /// # Errors
    /// If the operating system has no randomness to give.
    pub fn generate() -> Result<DataKey, RandomnessError> {
        let mut key = Zeroizing::new([0; DATA_KEY_LENGTH]);
        getrandom::fill(key.as_mut_slice()).map_err(|_| RandomnessError)?;
        Ok(DataKey(key))
    }

    /// Returns the data key with these bytes; `None` unless there are exactly 32.
    pub fn from_bytes(bytes: &[u8]) -> Option<DataKey> {
        let mut key = Zeroizing::new([0; DATA_KEY_LENGTH]);
        if bytes.len() != key.len() {
            return None;
        }
        key.copy_from_slice(bytes);
        Some(DataKey(key))
    }

    /// Returns the bytes, for wrapping and splitting.
    pub fn as_bytes(&self) -> &[u8; DATA_KEY_LENGTH] {
        &self.0
    }

    /// Returns the cipher of the key: one key schedule for a whole file.
    pub fn cipher(&self) -> Cipher {
        Cipher::new(&self.0)
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey")
    }
}

/// The operating system's random number generator failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct RandomnessError;
