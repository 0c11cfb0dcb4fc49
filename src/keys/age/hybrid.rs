//! Post-quantum age keys: `age1pq1...` and `AGE-SECRET-KEY-PQ-1...`.
//!
//! The file key is sealed with HPKE for X-Wing, which is ML-KEM-768 and X25519 together, as
//! [C2SP](https://c2sp.org/age) has it; age 1.3 and SOPS from 3.12 on read and write it.

use std::collections::HashSet;

use age::secrecy::ExposeSecret as _;
use age::{DecryptError, EncryptError};
use age_core::format::{FILE_KEY_BYTES, FileKey, Stanza};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::{
    Deserializable as _, Kem, OpModeR, OpModeS, Serializable as _, single_shot_open,
    single_shot_seal,
};
use zeroize::Zeroize as _;

use super::bech32;

/// What recipients begin with, without the separator.
const RECIPIENT: &str = "age1pq";
/// What identities begin with, without the separator, in lower case.
const IDENTITY: &str = "age-secret-key-pq-";

const TAG: &str = "mlkem768x25519";
const INFO: &[u8] = b"age-encryption.org/mlkem768x25519";
/// A file key and the tag of the cipher.
const SEALED_BYTES: usize = FILE_KEY_BYTES + 16;

/// A post-quantum recipient.
pub(super) struct Recipient(<XWing as Kem>::PublicKey);

impl Recipient {
    /// Reads `age1pq1...`.
    pub(super) fn parse(text: &str) -> Result<Recipient, &'static str> {
        let bytes = bech32::decode(text, RECIPIENT)?;
        let key = <XWing as Kem>::PublicKey::from_bytes(&bytes);
        key.map(Recipient).map_err(|_| "not a post-quantum public key")
    }
}

impl age::Recipient for Recipient {
    fn wrap_file_key(
        &self,
        file_key: &FileKey,
    ) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        let mode = OpModeS::Base;
        let file_key = file_key.expose_secret();
        let (enc, body) = single_shot_seal::<ChaCha20Poly1305, HkdfSha256, XWing>(
            &mode,
            &self.0,
            INFO,
            file_key,
            &[],
        )
        .map_err(|error| EncryptError::Io(std::io::Error::other(error.to_string())))?;
        let args = vec![BASE64_STANDARD_NO_PAD.encode(enc.to_bytes())];
        let stanza = Stanza { tag: TAG.to_owned(), args, body };
        Ok((vec![stanza], HashSet::from(["postquantum".to_owned()])))
    }
}

/// A post-quantum identity.
pub(super) struct Identity(<XWing as Kem>::PrivateKey);

impl Identity {
    /// Reads `AGE-SECRET-KEY-PQ-1...`.
    pub(super) fn parse(text: &str) -> Result<Identity, &'static str> {
        let seed = bech32::decode(text, IDENTITY)?;
        let key = <XWing as Kem>::PrivateKey::from_bytes(&seed);
        key.map(Identity).map_err(|_| "not a post-quantum identity")
    }

    /// Returns the recipient.
    pub(super) fn recipient(&self) -> String {
        bech32::encode(RECIPIENT, &XWing::sk_to_pk(&self.0).to_bytes())
    }
}

impl age::Identity for Identity {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        if stanza.tag != TAG {
            return None;
        }
        let [enc] = &stanza.args[..] else {
            return Some(Err(DecryptError::InvalidHeader));
        };
        let enc = BASE64_STANDARD_NO_PAD
            .decode(enc)
            .ok()
            .and_then(|enc| <XWing as Kem>::EncappedKey::from_bytes(&enc).ok());
        let (Some(enc), SEALED_BYTES) = (enc, stanza.body.len()) else {
            return Some(Err(DecryptError::InvalidHeader));
        };
        // What does not open is for somebody else: a stanza does not say for whom it is.
        let mut opened = single_shot_open::<ChaCha20Poly1305, HkdfSha256, XWing>(
            &OpModeR::Base,
            &self.0,
            &enc,
            INFO,
            &stanza.body,
            &[],
        )
        .ok()?;
        let file_key = FileKey::init_with_mut(|key| key.copy_from_slice(&opened));
        opened.zeroize();
        Some(Ok(file_key))
    }
}
