//! Sealed values: `ENC[AES256_GCM,data:...,iv:...,tag:...,type:...]`.
//!
//! The additional data of a value is its [`KeyPath`]: the keys from the root, each followed by
//! `:`. Positions in lists add nothing. A comment has the path of the map or list that holds it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::crypt::canonical::{self, ValueType};
use crate::crypt::data_key::RandomnessError;
use crate::crypt::gcm::{Cipher, IV_LENGTH, TAG_LENGTH};
use crate::secret::SecretBytes;
use crate::span::Span;
use crate::tree::Value;

const START: &[u8] = b"ENC[AES256_GCM,data:";
const IV: &[u8] = b",iv:";
const TAG: &[u8] = b",tag:";
const TYPE: &[u8] = b",type:";

/// Returns whether `text` begins as a sealed value does. It need not be a whole one.
pub fn looks_sealed(text: &[u8]) -> bool {
    text.starts_with(b"ENC[")
}

/// The parts of a sealed value, still in base64.
#[derive(Clone, Copy)]
pub struct Sealed<'a> {
    data: &'a [u8],
    iv: &'a [u8],
    tag: &'a [u8],
    kind: ValueType,
}

impl<'a> Sealed<'a> {
    /// Splits a sealed value into its parts. Line breaks behind it are fine (a YAML block scalar
    /// has one); anything else behind it is not.
    ///
    /// # Errors
    /// If the text is not a sealed value, or of a type that SOPS does not have.
    pub fn parse(text: &'a [u8]) -> Result<Sealed<'a>, ValueError> {
        let mut text = text;
        while let Some((b'\n' | b'\r', rest)) = text.split_last() {
            text = rest;
        }
        let body = text.strip_prefix(START).and_then(|text| text.strip_suffix(b"]"));
        let body = body.ok_or(ValueError::NotSealed)?;
        // From the end: the long part is `data`, and nothing behind it can hold a comma.
        let (rest, kind) = cut(body, TYPE)?;
        let (rest, tag) = cut(rest, TAG)?;
        let (data, iv) = cut(rest, IV)?;
        // No data is the empty text, which rops seals, unlike SOPS.
        if [iv, tag, kind].iter().any(|part| part.is_empty()) {
            return Err(ValueError::NotSealed);
        }
        let kind = ValueType::from_name(kind).ok_or(ValueError::UnknownType)?;
        Ok(Sealed { data, iv, tag, kind })
    }

    /// Returns the type of what is sealed.
    pub fn kind(&self) -> ValueType {
        self.kind
    }

    /// Returns whether the parts are base64 of lengths that can be decrypted.
    pub fn is_well_formed(&self) -> bool {
        let decoded = |part: &[u8]| STANDARD.decode(part).ok();
        decoded(self.data).is_some_and(|data| !data.is_empty())
            && decoded(self.iv).is_some_and(|iv| !iv.is_empty())
            && decoded(self.tag).is_some_and(|tag| tag.len() == TAG_LENGTH)
    }

    /// Decrypts the value and appends its text to `pool`.
    ///
    /// # Errors
    /// If the value is malformed, was sealed with another key or under another path, or its text
    /// is not of its type. `pool` is then as it was.
    pub fn open(
        &self,
        cipher: &Cipher,
        path: &[u8],
        pool: &mut SecretBytes,
    ) -> Result<Opened, ValueError> {
        let mut tag = [0; TAG_LENGTH + 2];
        let length =
            STANDARD.decode_slice(self.tag, &mut tag).map_err(|_| ValueError::Malformed)?;
        let tag: &[u8; TAG_LENGTH] = tag[..length].try_into().map_err(|_| ValueError::Malformed)?;
        // One pass decodes the IV on the stack; only a foreign writer's longer one is allocated.
        let mut short = [0; IV_LENGTH + 2];
        let long;
        let iv = if self.iv.len() <= 44 {
            let length =
                STANDARD.decode_slice(self.iv, &mut short).map_err(|_| ValueError::Malformed)?;
            &short[..length]
        } else {
            long = STANDARD.decode(self.iv).map_err(|_| ValueError::Malformed)?;
            &long[..]
        };
        let start = pool.len();
        pool.resize(start + self.data.len() / 4 * 3 + 3);
        let decoded = STANDARD.decode_slice(self.data, &mut pool.as_mut_slice()[start..]);
        let Ok(length) = decoded else {
            pool.resize(start);
            return Err(ValueError::Malformed);
        };
        pool.resize(start + length);
        if cipher.open(iv, path, &mut pool.as_mut_slice()[start..], tag).is_err() {
            pool.resize(start);
            return Err(ValueError::Authentication);
        }
        let text = &pool[start..];
        let Some(value) = canonical::read(self.kind, text) else {
            pool.resize(start);
            return Err(ValueError::NotOfType { kind: self.kind });
        };
        let canonical = match value {
            Value::Text(_) => true,
            value => {
                let mut again = SecretBytes::with_capacity(32);
                canonical::write(&value, &mut again);
                *again == *text
            }
        };
        Ok(Opened {
            text: Span::new(start, start + length),
            kind: self.kind,
            reusable: canonical && iv.len() == IV_LENGTH,
        })
    }
}

/// Splits at the last comma, behind which stands the rest of `separator`.
fn cut<'a>(text: &'a [u8], separator: &[u8]) -> Result<(&'a [u8], &'a [u8]), ValueError> {
    let at = memchr::memrchr(b',', text).ok_or(ValueError::NotSealed)?;
    let (front, part) = text.split_at(at);
    Ok((front, part.strip_prefix(separator).ok_or(ValueError::NotSealed)?))
}

impl fmt::Debug for Sealed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({})", self.kind.name())
    }
}

/// A decrypted value, in the pool that it was decrypted to.
#[derive(Clone, Copy, Debug)]
pub struct Opened {
    /// Where its text stands in the pool.
    pub text: Span,
    /// Its type.
    pub kind: ValueType,
    /// Whether the ciphertext may stand for the value again: its text is canonical and its IV is
    /// one that SOPS would write.
    pub reusable: bool,
}

/// Bytes of randomness asked for at a time: 64 IVs.
const BATCH: usize = 64 * IV_LENGTH;

/// Seals values under one key, each with an IV of its own.
pub struct Sealer<'c> {
    cipher: &'c Cipher,
    random: Box<[u8; BATCH]>,
    used: usize,
    buffer: SecretBytes,
}

impl<'c> Sealer<'c> {
    /// Returns a sealer for the key of `cipher`.
    pub fn new(cipher: &'c Cipher) -> Sealer<'c> {
        Sealer { cipher, random: Box::new([0; BATCH]), used: BATCH, buffer: SecretBytes::new() }
    }

    /// Seals the canonical text of a value and appends `ENC[...]` to `out`.
    ///
    /// # Errors
    /// If there is no randomness, or the text is longer than GCM allows.
    pub fn seal(
        &mut self,
        kind: ValueType,
        text: &[u8],
        path: &[u8],
        out: &mut SecretBytes,
    ) -> Result<(), ValueError> {
        let iv = self.iv()?;
        self.buffer.resize(0);
        self.buffer.extend_from_slice(text);
        let tag = self
            .cipher
            .seal(&iv, path, self.buffer.as_mut_slice())
            .map_err(|_| ValueError::TooLong)?;
        // 44 and 24 are the base64 lengths of IV and tag.
        out.reserve(START.len() + self.buffer.len().div_ceil(3) * 4 + 44 + 24 + 32);
        out.extend_from_slice(START);
        append_base64(&self.buffer, out);
        out.extend_from_slice(IV);
        append_base64(&iv, out);
        out.extend_from_slice(TAG);
        append_base64(&tag, out);
        out.extend_from_slice(TYPE);
        out.extend_from_slice(kind.name().as_bytes());
        out.push(b']');
        Ok(())
    }

    fn iv(&mut self) -> Result<[u8; IV_LENGTH], ValueError> {
        if self.used == BATCH {
            getrandom::fill(self.random.as_mut_slice()).map_err(|_| RandomnessError)?;
            self.used = 0;
        }
        let mut iv = [0; IV_LENGTH];
        iv.copy_from_slice(&self.random[self.used..self.used + IV_LENGTH]);
        self.used += IV_LENGTH;
        Ok(iv)
    }
}

impl fmt::Debug for Sealer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer")
    }
}

fn append_base64(bytes: &[u8], out: &mut SecretBytes) {
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4);
    STANDARD
        .encode_slice(bytes, &mut out.as_mut_slice()[start..])
        .expect("the room is exactly what base64 with padding takes");
}

/// The key path of a place in a tree, as additional data.
#[derive(Debug, Default)]
pub struct KeyPath {
    text: Vec<u8>,
    starts: Vec<usize>,
}

impl KeyPath {
    /// Returns the path of the root.
    pub fn new() -> KeyPath {
        KeyPath::default()
    }

    /// Goes down to an entry (`Some`), or to a list member or a document (`None`).
    pub fn enter(&mut self, key: Option<&[u8]>) {
        self.starts.push(self.text.len());
        if let Some(key) = key {
            self.text.extend_from_slice(key);
            self.text.push(b':');
        }
    }

    /// Goes back up.
    pub fn leave(&mut self) {
        if let Some(start) = self.starts.pop() {
            self.text.truncate(start);
        }
    }

    /// Returns the additional data of a value or comment here; the root has `:`.
    pub fn as_bytes(&self) -> &[u8] {
        if self.text.is_empty() { b":" } else { &self.text }
    }
}

/// Why a value could not be opened or sealed. Says nothing of what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// The text is not `ENC[...]`.
    #[error("the value is not encrypted as SOPS does it")]
    NotSealed,
    /// Another word behind `type:`.
    #[error("the encrypted value has a type that SOPS does not know")]
    UnknownType,
    /// Wrong base64, or a tag that is not 16 bytes long.
    #[error("the encrypted value is damaged: it is not valid base64")]
    Malformed,
    /// Another key, another place, or changed.
    #[error(
        "message authentication failed: the value was changed, moved, or encrypted with another key"
    )]
    Authentication,
    /// It authenticates, but is not what it says.
    #[error("the decrypted value is not of its type `{}`", kind.name())]
    NotOfType {
        /// The type.
        kind: ValueType,
    },
    /// Longer than AES-GCM allows.
    #[error("the value is too long to encrypt")]
    TooLong,
    /// No random bytes.
    #[error(transparent)]
    Randomness(#[from] RandomnessError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypt::data_key::DataKey;

    fn key() -> DataKey {
        DataKey::from_bytes(&std::array::from_fn::<u8, 32, _>(|n| n as u8)).unwrap()
    }

    fn open(text: &str, path: &str) -> Result<(String, ValueType), ValueError> {
        let cipher = key().cipher();
        let mut pool = SecretBytes::new();
        let opened = Sealed::parse(text.as_bytes())?.open(&cipher, path.as_bytes(), &mut pool)?;
        Ok((String::from_utf8(pool[opened.text.range()].to_vec()).unwrap(), opened.kind))
    }

    /// The deterministic vectors of the format: key 00..1f.
    #[test]
    fn known_values_open() {
        for (text, path, plain, kind) in [
            (
                "ENC[AES256_GCM,data:Fg==,iv:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=,tag:qqziI2rR3DALpFjvPJpMlA==,type:str]",
                "a:",
                "x",
                ValueType::Text,
            ),
            (
                "ENC[AES256_GCM,data:I/M=,iv:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=,tag:qD3wV5ojXCFKM+Ezh7/bIw==,type:int]",
                "m:b:",
                "42",
                ValueType::Integer,
            ),
            (
                "ENC[AES256_GCM,data:VlUG,iv:QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8=,tag:Fp9zp0pcymenC8zS6Ai4AQ==,type:float]\n",
                "m:l:",
                "2.5",
                ValueType::Float,
            ),
        ] {
            assert_eq!(open(text, path), Ok((plain.to_owned(), kind)));
            assert_eq!(open(text, "other:"), Err(ValueError::Authentication));
        }
    }

    #[test]
    fn a_sealed_value_opens_again() {
        let cipher = key().cipher();
        let mut sealer = Sealer::new(&cipher);
        for (kind, text) in [
            (ValueType::Text, "it's \u{1F600}\n"),
            (ValueType::Integer, "-5"),
            (ValueType::Comment, " note"),
            (ValueType::Boolean, "True"),
        ] {
            let mut out = SecretBytes::new();
            sealer.seal(kind, text.as_bytes(), b"p:", &mut out).unwrap();
            let sealed = std::str::from_utf8(&out).unwrap().to_owned();
            assert_eq!(open(&sealed, "p:"), Ok((text.to_owned(), kind)));
        }
    }

    #[test]
    fn malformed_values_are_refused() {
        for (text, error) in [
            ("plain", ValueError::NotSealed),
            (" ENC[AES256_GCM,data:Fg==,iv:AA==,tag:AA==,type:str]", ValueError::NotSealed),
            ("ENC[AES256_GCM,data:AA==,iv:,tag:AA==,type:str]", ValueError::NotSealed),
            ("ENC[AES256_GCM,data:Fg==,iv:AA==,tag:AA==,type:str]x", ValueError::NotSealed),
            ("ENC[AES256_GCM,data:Fg==,iv:AA==,tag:AA==,type:map]", ValueError::UnknownType),
            (
                "ENC[AES256_GCM,data:Fg,iv:AA==,tag:qqziI2rR3DALpFjvPJpMlA==,type:str]",
                ValueError::Malformed,
            ),
            ("ENC[AES256_GCM,data:Fg==,iv:AA==,tag:AA==,type:str]", ValueError::Malformed),
        ] {
            assert_eq!(open(text, "a:").unwrap_err(), error, "{text}");
        }
    }

    #[test]
    fn the_path_has_keys_only() {
        let mut path = KeyPath::new();
        path.enter(None);
        assert_eq!(path.as_bytes(), b":");
        path.enter(Some(b"m"));
        path.enter(Some(b"l"));
        path.enter(None);
        assert_eq!(path.as_bytes(), b"m:l:");
        path.leave();
        path.leave();
        assert_eq!(path.as_bytes(), b"m:");
    }
}
