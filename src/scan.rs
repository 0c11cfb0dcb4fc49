//! Copies of secrets in other texts: a [`Secrets`] collection becomes a [`Searcher`], which finds
//! all of them in one pass over bytes, also where they are encoded.
//!
//! A value is searched for as it is, without white space around it, and in these encodings: base64
//! (standard and for URLs, at each of the three places in a group that it can begin at), escaped for
//! URLs, and escaped as a JSON text. Of a text of several lines, lines that look like key material
//! count by themselves, because a copy may be indented.
//!
//! **What is not searched for.** A value must have the strength of `min_length` characters, each of
//! which counts one, but a letter behind a letter of the same case a half, a digit behind a digit
//! three quarters, and a repetition of the character before it a quarter. So of length 8, `xK9#mP2q`
//! counts and `production`, `db.internal`, `us-east-1`, `20240131` and `true` do not: copies of those
//! are everywhere, and say nothing.
//!
//! This module knows neither files nor keys. Everything made of a secret is in memory that is wiped;
//! that is why there is no automaton of a library here, which would keep all texts in memory of its
//! own. How the search works stands in `scan/search.rs`.

mod encodings;
mod search;

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;

use crate::secret::SecretBytes;

pub use self::encodings::Encoding;
pub use self::search::{Hit, Searcher};

/// The least value of `min_length`: windows of the search have four bytes.
pub const MIN_LENGTH: usize = 4;

/// The usual value of `min_length`.
pub const DEFAULT_LENGTH: usize = 8;

/// How many bytes of a value are searched for. Who has copied so much has copied the secret.
const MAX_VALUE: usize = 4096;

/// How long a line of key material is at least.
const KEY_LINE: usize = 32;

/// A secret of a [`Secrets`] collection, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretId(u32);

impl SecretId {
    /// Returns the number, from 0, in the order in which secrets were first added.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Secrets to search for.
///
/// ```
/// use encfile::scan::{Encoding, Secrets};
///
/// let mut secrets = Secrets::new(8);
/// assert!(secrets.add(b"production").is_none());
/// let id = secrets.add(b"xK9#mP2q!").unwrap();
/// let searcher = secrets.into_searcher();
///
/// let mut hits = Vec::new();
/// searcher.search(b"url=https://me:xK9%23mP2q%21@host", |hit| hits.push(hit));
/// assert_eq!((hits.len(), hits[0].secret, hits[0].start), (1, id, 15));
/// assert_eq!(hits[0].encoding, Encoding::Url);
/// ```
pub struct Secrets {
    min_length: usize,
    count: u32,
    left_out: usize,
    /// Values that were added, by their hashes: each is a number of `patterns`.
    known: HashMap<u64, Vec<usize>>,
    hasher: RandomState,
    patterns: Vec<Pattern>,
}

/// A text to search for.
struct Pattern {
    text: SecretBytes,
    secret: SecretId,
    encoding: Encoding,
}

impl Secrets {
    /// Returns no secrets. Values weaker than `min_length` characters, which is [`MIN_LENGTH`] at
    /// least, will be left out.
    pub fn new(min_length: usize) -> Secrets {
        Secrets {
            min_length: min_length.max(MIN_LENGTH),
            count: 0,
            left_out: 0,
            known: HashMap::new(),
            hasher: RandomState::new(),
            patterns: Vec::new(),
        }
    }

    /// Adds a value, and returns which secret it is, which it may have been before; `None` if it is
    /// left out.
    pub fn add(&mut self, value: &[u8]) -> Option<SecretId> {
        let value = value.trim_ascii();
        let value = &value[..value.len().min(MAX_VALUE)];
        if !is_strong(value, self.min_length) {
            self.left_out += 1;
            return None;
        }
        let id = SecretId(self.count);
        if let Some(known) = self.push(value, id, Encoding::Plain) {
            return Some(known);
        }
        self.count += 1;
        for line in key_lines(value) {
            self.push(line, id, Encoding::Line);
        }
        encodings::each(value, |encoding, text| {
            self.push(text, id, encoding);
        });
        Some(id)
    }

    /// Adds a text unless it is there; then returns the secret that it is of.
    fn push(&mut self, text: &[u8], secret: SecretId, encoding: Encoding) -> Option<SecretId> {
        let hash = self.hasher.hash_one(text);
        let same = self.known.entry(hash).or_default();
        let known = same.iter().find(|&&at| *self.patterns[at].text == *text);
        match known {
            // A value counts as itself, also if it is a line or an encoding of another one.
            Some(&at) if encoding == Encoding::Plain => {
                let pattern = &mut self.patterns[at];
                if pattern.encoding == Encoding::Plain {
                    return Some(pattern.secret);
                }
                (pattern.secret, pattern.encoding) = (secret, encoding);
            }
            Some(_) => {}
            None => {
                same.push(self.patterns.len());
                self.patterns.push(Pattern { text: SecretBytes::from(text), secret, encoding });
            }
        }
        None
    }

    /// Returns how many secrets there are.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns how many values were left out.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// Returns what finds them.
    pub fn into_searcher(self) -> Searcher {
        Searcher::new(self.patterns)
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({} secrets)", self.count)
    }
}

/// Returns whether a value is worth searching for, by the rule of the module's documentation.
fn is_strong(value: &[u8], min_length: usize) -> bool {
    if value.len() < min_length {
        return false;
    }
    let mut quarters = 0;
    let mut before: Option<u8> = None;
    for &byte in value {
        quarters += match before {
            Some(last) if last == byte => 1,
            Some(last) if last.is_ascii_lowercase() && byte.is_ascii_lowercase() => 2,
            Some(last) if last.is_ascii_uppercase() && byte.is_ascii_uppercase() => 2,
            Some(last) if last.is_ascii_digit() && byte.is_ascii_digit() => 3,
            _ => 4,
        };
        if quarters >= 4 * min_length {
            return true;
        }
        before = Some(byte);
    }
    false
}

/// Returns the lines of a text of several lines that look like key material: long, without blanks,
/// and mixed.
fn key_lines(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let several = value.contains(&b'\n');
    value.split(|&byte| byte == b'\n').filter(move |_| several).map(<[u8]>::trim_ascii).filter(
        |line| {
            line.len() >= KEY_LINE
                && !line.starts_with(b"--")
                && !line.iter().any(u8::is_ascii_whitespace)
                && is_strong(line, line.len() * 2 / 3)
        },
    )
}

#[cfg(test)]
mod tests;
