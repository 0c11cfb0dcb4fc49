//! `testdata/crypt/vectors.json`: what SOPS' cryptography gives for given keys, IVs and shares.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::data_key::DataKey;
use super::mac::Mac;
use super::shamir;
use super::value::Sealed;
use crate::secret::SecretBytes;

#[derive(Deserialize)]
struct Vectors {
    cipher: Vec<SealedText>,
    mac: Checksum,
    empty_mac: String,
    empty_mac_only_encrypted: String,
    shamir: Vec<Sharing>,
}

#[derive(Deserialize)]
struct SealedText {
    key: String,
    iv: String,
    aad: String,
    plaintext: String,
    #[serde(rename = "type")]
    kind: String,
    enc: String,
}

#[derive(Deserialize)]
struct Checksum {
    input: String,
    mac: String,
}

#[derive(Deserialize)]
struct Sharing {
    secret: String,
    threshold: usize,
    shares: Vec<String>,
}

fn vectors() -> Vectors {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/crypt/vectors.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn hex(digits: &str) -> Vec<u8> {
    let digit = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(digit).collect()
}

#[test]
fn sealed_texts_are_those_of_sops() {
    for vector in vectors().cipher {
        let cipher = DataKey::from_bytes(&hex(&vector.key)).unwrap().cipher();
        let sealed = Sealed::parse(vector.enc.as_bytes()).unwrap();
        assert_eq!(sealed.kind().name(), vector.kind);
        let mut pool = SecretBytes::new();
        let opened = sealed.open(&cipher, vector.aad.as_bytes(), &mut pool).unwrap();
        assert!(opened.reusable, "{}", vector.enc);
        assert_eq!(&*pool, vector.plaintext.as_bytes());

        // The same IV gives the same ciphertext and tag.
        let iv: [u8; 32] = hex(&vector.iv).try_into().unwrap();
        let mut data = vector.plaintext.into_bytes();
        let tag = cipher.seal(&iv, vector.aad.as_bytes(), &mut data).unwrap();
        let [data, iv, tag] = [&data[..], &iv[..], &tag[..]].map(|bytes| STANDARD.encode(bytes));
        let kind = vector.kind;
        let again = format!("ENC[AES256_GCM,data:{data},iv:{iv},tag:{tag},type:{kind}]");
        assert_eq!(again, vector.enc);
    }
}

#[test]
fn checksums_are_those_of_sops() {
    let vectors = vectors();
    let mut mac = Mac::new(false);
    mac.update(vectors.mac.input.as_bytes());
    assert_eq!(&*mac.finish(), vectors.mac.mac.as_bytes());
    assert_eq!(&*Mac::new(false).finish(), vectors.empty_mac.as_bytes());
    assert_eq!(&*Mac::new(true).finish(), vectors.empty_mac_only_encrypted.as_bytes());
}

#[test]
fn any_shares_of_sops_give_the_secret() {
    for sharing in vectors().shamir {
        let shares: Vec<SecretBytes> =
            sharing.shares.iter().map(|share| SecretBytes::from(hex(share))).collect();
        for first in 0..=shares.len() - sharing.threshold {
            let some: Vec<SecretBytes> = shares[first..first + sharing.threshold]
                .iter()
                .rev()
                .map(|share| SecretBytes::from(&**share))
                .collect();
            assert_eq!(&*shamir::combine(&some).unwrap(), &hex(&sharing.secret)[..]);
        }
    }
}
