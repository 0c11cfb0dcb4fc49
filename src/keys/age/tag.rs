//! Recipients whose key is in hardware: `age1tag1...`.
//!
//! Their stanzas say for which key they are, so that the hardware is asked only for its own. Only
//! encrypting is done here; who decrypts has the plugin of the hardware as identity. Format:
//! [C2SP](https://c2sp.org/age).

use std::collections::HashSet;

use age::EncryptError;
use age::secrecy::ExposeSecret as _;
use age_core::format::{FileKey, Stanza};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use hkdf::Hkdf;
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::DhP256HkdfSha256;
use hpke::{Deserializable as _, Kem, OpModeS, Serializable as _, single_shot_seal};
use p256::PublicKey;
use p256::elliptic_curve::sec1::ToSec1Point as _;
use sha2::{Digest as _, Sha256};

use super::bech32;

const PREFIX: &str = "age1tag";
const STANZA: &str = "p256tag";
const LABEL: &[u8] = b"age-encryption.org/p256tag";

/// Bytes of a compressed point.
const POINT_BYTES: usize = 33;

/// A recipient whose key is in hardware.
pub(super) struct Recipient {
    key: <DhP256HkdfSha256 as Kem>::PublicKey,
    /// The compressed point.
    point: Vec<u8>,
}

impl Recipient {
    /// Reads `age1tag1...`.
    pub(super) fn parse(text: &str) -> Result<Recipient, &'static str> {
        let no_key = "not a public key";
        let point = bech32::decode(text, PREFIX)?.to_vec();
        if point.len() != POINT_BYTES {
            return Err("it has another length");
        }
        let public = PublicKey::from_sec1_bytes(&point).map_err(|_| no_key)?;
        let uncompressed = public.to_sec1_point(false);
        let key = <DhP256HkdfSha256 as Kem>::PublicKey::from_bytes(uncompressed.as_bytes());
        Ok(Recipient { key: key.map_err(|_| no_key)?, point })
    }
}

impl age::Recipient for Recipient {
    fn wrap_file_key(
        &self,
        file_key: &FileKey,
    ) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        let (enc, body) = single_shot_seal::<ChaCha20Poly1305, HkdfSha256, DhP256HkdfSha256>(
            &OpModeS::Base,
            &self.key,
            LABEL,
            file_key.expose_secret(),
            &[],
        )
        .map_err(|error| EncryptError::Io(std::io::Error::other(error.to_string())))?;
        let enc = enc.to_bytes();
        let args = vec![
            BASE64_STANDARD_NO_PAD.encode(tag(&enc, &self.point)),
            BASE64_STANDARD_NO_PAD.encode(enc),
        ];
        Ok((vec![Stanza { tag: STANZA.to_owned(), args, body }], HashSet::new()))
    }
}

/// Returns what says for whom a stanza is.
fn tag(enc: &[u8], point: &[u8]) -> [u8; 4] {
    let key = [enc, &Sha256::digest(point)[..4]].concat();
    let (tag, _) = Hkdf::<Sha256>::extract(Some(LABEL), &key);
    [tag[0], tag[1], tag[2], tag[3]]
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use age::DecryptError;
    use age::armor::ArmoredReader;
    use hpke::{OpModeR, single_shot_open};

    use super::*;
    use crate::keys::{Credentials, MasterKey as _, age::AgeKey};

    /// The recipient of [`Hardware`].
    const RECIPIENT: &str = "age1tag1qv0ps5e06365cqhnqswecawwkvac8l7crtruunlgstxtrjvtckykuxc64jj";

    /// What the hardware does, with a key of sevens.
    struct Hardware;

    impl age::Identity for Hardware {
        fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
            if stanza.tag != STANZA {
                return None;
            }
            let arg = |at: usize| BASE64_STANDARD_NO_PAD.decode(&stanza.args[at]).unwrap();
            let (mine, enc) = (Recipient::parse(RECIPIENT).unwrap(), arg(1));
            assert_eq!(arg(0), tag(&enc, &mine.point));
            let key = single_shot_open::<ChaCha20Poly1305, HkdfSha256, DhP256HkdfSha256>(
                &OpModeR::Base,
                &<DhP256HkdfSha256 as Kem>::PrivateKey::from_bytes(&[7; 32]).unwrap(),
                &<DhP256HkdfSha256 as Kem>::EncappedKey::from_bytes(&enc).unwrap(),
                LABEL,
                &stanza.body,
                &[],
            );
            Some(Ok(FileKey::init_with_mut(|file_key| file_key.copy_from_slice(&key.unwrap()))))
        }
    }

    fn open(armored: &str) -> String {
        let decryptor = age::Decryptor::new(ArmoredReader::new(armored.as_bytes())).unwrap();
        let hardware = std::iter::once(&Hardware as &dyn age::Identity);
        let mut text = String::new();
        decryptor.decrypt(hardware).unwrap().read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn a_file_of_another_implementation_has_the_same_tag_and_opens() {
        let file = include_str!("../../../testdata/keys/tag.age");
        assert_eq!(open(file), "a data key of 32 bytes, for test");
    }

    #[test]
    fn what_is_wrapped_opens_with_the_hardware() {
        let key = AgeKey::parse(RECIPIENT).unwrap();
        let wrapped = key.wrap(b"a data key", &Credentials::none()).unwrap();
        assert_eq!(open(&wrapped), "a data key");
    }

    #[test]
    fn what_is_no_point_is_refused() {
        for bytes in [&[2; 33][..32], &[4; 33]] {
            assert!(Recipient::parse(&bech32::encode(PREFIX, bytes)).is_err());
        }
    }
}
