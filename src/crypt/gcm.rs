//! AES-256-GCM with the 32-byte IVs that SOPS writes, and any other length that it reads.
//!
//! The source of the rules is NIST SP 800-38D; SOPS gives GCM a nonce of 32 bytes, for which the
//! standard derives the counter block with GHASH (section 7.1, step 2).

use std::fmt;

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::aes::Aes256;
use aes_gcm::aes::cipher::{BlockCipherEncrypt, consts::U32};
use aes_gcm::{AesGcm, Nonce, Tag};
use ghash::GHash;
use ghash::universal_hash::UniversalHash;
use zeroize::Zeroizing;

/// Length in bytes of the IVs that are written.
pub const IV_LENGTH: usize = 32;
/// Length of a tag in bytes.
pub const TAG_LENGTH: usize = 16;

const BLOCK: usize = 16;

/// The cipher of one data key.
pub struct Cipher {
    gcm: AesGcm<Aes256, U32>,
    /// For IVs of other lengths, which only foreign writers make.
    block: Box<Aes256>,
}

impl Cipher {
    /// Expands `key`.
    pub fn new(key: &[u8; 32]) -> Cipher {
        Cipher { gcm: AesGcm::new(key.into()), block: Box::new(Aes256::new(key.into())) }
    }

    /// Encrypts `buffer` in place and returns the tag.
    ///
    /// # Errors
    /// If the text or the additional data is longer than GCM allows (64 GiB).
    pub fn seal(
        &self,
        iv: &[u8; IV_LENGTH],
        aad: &[u8],
        buffer: &mut [u8],
    ) -> Result<[u8; TAG_LENGTH], CipherError> {
        let tag = self
            .gcm
            .encrypt_inout_detached(&Nonce::<U32>::from(*iv), aad, buffer.into())
            .map_err(|_| CipherError)?;
        Ok(tag.into())
    }

    /// Checks the tag, then decrypts `buffer` in place. If the tag is wrong the buffer still
    /// holds the ciphertext.
    ///
    /// # Errors
    /// If the tag does not fit.
    pub fn open(
        &self,
        iv: &[u8],
        aad: &[u8],
        buffer: &mut [u8],
        tag: &[u8; TAG_LENGTH],
    ) -> Result<(), CipherError> {
        match <&[u8; IV_LENGTH]>::try_from(iv) {
            Ok(iv) => self
                .gcm
                .decrypt_inout_detached(
                    &Nonce::<U32>::from(*iv),
                    aad,
                    buffer.into(),
                    &Tag::from(*tag),
                )
                .map_err(|_| CipherError),
            Err(_) => self.open_any_length(iv, aad, buffer, tag),
        }
    }

    /// GCM decryption for an IV of any length from one byte.
    fn open_any_length(
        &self,
        iv: &[u8],
        aad: &[u8],
        buffer: &mut [u8],
        tag: &[u8; TAG_LENGTH],
    ) -> Result<(), CipherError> {
        if iv.is_empty() {
            return Err(CipherError);
        }
        let mut hash_key = [0; BLOCK];
        self.encrypt_block(&mut hash_key);
        let hash = |aad: &[u8], text: &[u8]| -> [u8; BLOCK] {
            let mut ghash = GHash::new(&hash_key.into());
            ghash.update_padded(aad);
            ghash.update_padded(text);
            let mut lengths = [0; BLOCK];
            lengths[..8].copy_from_slice(&(aad.len() as u64 * 8).to_be_bytes());
            lengths[8..].copy_from_slice(&(text.len() as u64 * 8).to_be_bytes());
            ghash.update(&[lengths.into()]);
            ghash.finalize().into()
        };
        let mut counter = [0; BLOCK];
        if iv.len() == 12 {
            counter[..12].copy_from_slice(iv);
            counter[15] = 1;
        } else {
            counter = hash(b"", iv);
        }
        let mut expected = counter;
        self.encrypt_block(&mut expected);
        // Constant time: the accumulated difference says nothing about where it is.
        let difference = hash(aad, buffer)
            .iter()
            .zip(&expected)
            .zip(tag)
            .fold(0, |difference, ((hash, mask), tag)| difference | (hash ^ mask ^ tag));
        if difference != 0 {
            return Err(CipherError);
        }
        let mut number = u32::from_be_bytes([counter[12], counter[13], counter[14], counter[15]]);
        for chunk in buffer.chunks_mut(BLOCK) {
            number = number.wrapping_add(1);
            counter[12..].copy_from_slice(&number.to_be_bytes());
            let mut stream = Zeroizing::new(counter);
            self.encrypt_block(&mut stream);
            for (byte, mask) in chunk.iter_mut().zip(stream.iter()) {
                *byte ^= mask;
            }
        }
        Ok(())
    }

    fn encrypt_block(&self, block: &mut [u8; BLOCK]) {
        self.block.encrypt_block(block.into());
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher")
    }
}

/// A ciphertext that does not belong to this key, place and tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("message authentication failed")]
pub struct CipherError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_agree_on_32_byte_ivs() {
        let cipher = Cipher::new(&[7; 32]);
        for length in [0u8, 1, 15, 16, 17, 100] {
            let plain: Vec<u8> = (0..length).collect();
            let mut buffer = plain.clone();
            let tag = cipher.seal(&[9; 32], b"a:b:", &mut buffer).unwrap();
            let mut other = buffer.clone();
            cipher.open(&[9; 32], b"a:b:", &mut buffer, &tag).unwrap();
            cipher.open_any_length(&[9; 32], b"a:b:", &mut other, &tag).unwrap();
            assert_eq!(buffer, plain);
            assert_eq!(other, plain);
        }
    }

    /// Test case 16 of the original GCM specification (96-bit IV) and 17 (64-bit IV).
    #[test]
    fn other_iv_lengths_follow_the_standard() {
        let key: [u8; 32] = hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308")
            .try_into()
            .unwrap();
        let aad = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
        let plain = hex(
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532f\
             cf0e2449a6b525b16aedf5aa0de657ba637b39",
        );
        for (iv, text, tag) in [
            (
                "cafebabefacedbaddecaf888",
                "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb\
                 3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
                "76fc6ece0f4e1768cddf8853bb2d551b",
            ),
            (
                "cafebabefacedbad",
                "c3762df1ca787d32ae47c13bf19844cbaf1ae14d0b976afac52ff7d79bba9de0feb582d33934a4\
                 f0954cc2363bc73f7862ac430e64abe499f47c9b1f",
                "3a337dbf46a792c45e454913fe2ea8f2",
            ),
        ] {
            let cipher = Cipher::new(&key);
            let mut buffer = hex(text);
            let tag: [u8; 16] = hex(tag).try_into().unwrap();
            cipher.open(&hex(iv), &aad, &mut buffer, &tag).unwrap();
            assert_eq!(buffer, plain);
            assert_eq!(cipher.open(&hex(iv), b"", &mut buffer, &tag), Err(CipherError));
        }
    }

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len() / 2)
            .map(|n| u8::from_str_radix(&text[2 * n..2 * n + 2], 16).unwrap())
            .collect()
    }
}
