//! Unwrapped keys in memory that is not swapped out, for a time.
//!
//! All keys lie in one piece of memory of a fixed size, which is locked once: the system limits how
//! much may be locked, often to a few pages. `region` is the crate that locks without `unsafe` in
//! this one. Locking everything (`mlockall`) would fail at that limit, or, worse, make every later
//! allocation fail there.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prost::Message as _;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroize as _;

use crate::keys::remote::message::DecryptRequest;
use crate::secret::SecretBytes;

/// The longest key that is kept, in bytes: a data key has 32, a part of one a few more.
const SLOT: usize = 64;

/// How many keys are kept: 64 KiB, the smallest limit in use.
const SLOTS: usize = 1024 - 64;

/// Unwrapped keys, by what would have to be asked to unwrap them.
pub struct Memory {
    ttl: Duration,
    now: fn() -> Duration,
    kept: Mutex<Kept>,
}

struct Kept {
    /// Declared in front of what it locks, which must still be there when it is unlocked.
    guard: Option<region::LockGuard>,
    slots: SecretBytes,
    index: HashMap<Question, Entry>,
    free: Vec<usize>,
}

/// The hash of a question: the wrapped key itself is not kept.
type Question = [u8; 32];

#[derive(Clone, Copy)]
struct Entry {
    slot: usize,
    length: usize,
    until: Duration,
}

impl Memory {
    /// Returns a memory that keeps each key for `ttl`. `now` is a clock that also counts while the
    /// machine sleeps.
    pub fn new(ttl: Duration, now: fn() -> Duration) -> Memory {
        let mut slots = SecretBytes::new();
        slots.resize(SLOT * SLOTS);
        let guard = region::lock(slots.as_ptr(), slots.len()).ok();
        let kept = Kept { guard, slots, index: HashMap::new(), free: (0..SLOTS).collect() };
        Memory { ttl, now, kept: Mutex::new(kept) }
    }

    /// Returns for how long a key is kept.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// Returns whether the system keeps the keys out of swap.
    pub fn is_locked(&self) -> bool {
        self.lock().guard.is_some()
    }

    /// Returns how many keys are kept.
    pub fn len(&self) -> usize {
        self.forget_old();
        self.lock().index.len()
    }

    /// Returns whether no key is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the answer to a question.
    pub fn recall(&self, question: &DecryptRequest) -> Option<SecretBytes> {
        let question = hashed(question)?;
        let now = (self.now)();
        let kept = self.lock();
        let entry = kept.index.get(&question).filter(|entry| now < entry.until)?;
        let start = entry.slot * SLOT;
        Some(SecretBytes::from(&kept.slots[start..start + entry.length]))
    }

    /// Keeps the answer to a question. That it was asked before makes it stay no longer: the
    /// time counts from when it was unwrapped.
    pub fn remember(&self, question: &DecryptRequest, part: &[u8]) {
        let Some(question) = hashed(question).filter(|_| (1..=SLOT).contains(&part.len())) else {
            return;
        };
        self.forget_old();
        let until = (self.now)().saturating_add(self.ttl);
        let mut kept = self.lock();
        if kept.index.contains_key(&question) {
            return;
        }
        if kept.free.is_empty() {
            let oldest = kept.index.iter().min_by_key(|(_, entry)| entry.until);
            if let Some(oldest) = oldest.map(|(question, _)| *question) {
                kept.forget(&oldest);
            }
        }
        let Some(slot) = kept.free.pop() else { return };
        let start = slot * SLOT;
        kept.slots.as_mut_slice()[start..start + part.len()].copy_from_slice(part);
        kept.index.insert(question, Entry { slot, length: part.len(), until });
    }

    /// Forgets what was kept long enough.
    pub fn forget_old(&self) {
        let now = (self.now)();
        self.forget_if(|entry| entry.until <= now);
    }

    /// Forgets everything.
    pub fn forget_all(&self) {
        self.forget_if(|_| true);
    }

    fn forget_if(&self, is_old: impl Fn(&Entry) -> bool) {
        let mut kept = self.lock();
        let old: Vec<Question> = kept
            .index
            .iter()
            .filter(|(_, entry)| is_old(entry))
            .map(|(question, _)| *question)
            .collect();
        for question in &old {
            kept.forget(question);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn forget(&mut self, question: &Question) {
        if let Some(entry) = self.index.remove(question) {
            let start = entry.slot * SLOT;
            self.slots.as_mut_slice()[start..start + SLOT].zeroize();
            self.free.push(entry.slot);
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // As long as it is locked.
        self.slots.as_mut_slice().zeroize();
    }
}

/// Returns what stands for a question; `None` for one that is none.
fn hashed(question: &DecryptRequest) -> Option<Question> {
    let is_complete = question.key.as_ref().is_some_and(|key| key.key_type.is_some());
    (is_complete && !question.ciphertext.is_empty())
        .then(|| Sha256::digest(question.encode_to_vec()).into())
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("ttl", &self.ttl).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
