//! Recovering a data key: which keys are tried, in which order, and what is said if none does.
//!
//! Kinds are tried in the order that is given, in each group the local ones of a place in it before
//! the remote ones. Remote keys of the same place are asked together, of all groups that still
//! need one, and the first success of a group ends it. No thread is started unless a remote key has
//! to be asked. What was unwrapped before, here or as far as an agent knows, comes before everything.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::{Credentials, KeyError, KeyGroup, MasterKey, WrappedKey, needed_groups};
use crate::crypt::data_key::DataKey;
use crate::crypt::shamir::{self, ShamirError};
use crate::secret::SecretBytes;

/// How many remote keys are asked at the same time.
const MAX_THREADS: usize = 8;

/// How long a remote key may take before the user is told what is waited for.
const PATIENCE: Duration = Duration::from_millis(250);

/// Recovers the data key of `groups`, trying in each group the kinds of `order` first.
///
/// # Errors
/// A report of every key that was tried.
pub fn unwrap_any(
    groups: &[KeyGroup],
    threshold: usize,
    order: &[&str],
    with: &Credentials,
) -> Result<DataKey, UnwrapError> {
    let needed = needed_groups(groups.len(), threshold);
    let mut search = Search::new(groups, needed, order);
    search.ask_memory(with);
    for place in 0..=order.len() {
        search.ask_local(place, with);
        search.ask_remote(place, with);
    }
    let (report, mut parts) = search.finish();
    if parts.len() < needed {
        return Err(UnwrapError::NotRecovered(report));
    }
    let key = if groups.len() == 1 { parts.swap_remove(0) } else { shamir::combine(&parts)? };
    DataKey::from_bytes(&key).ok_or(UnwrapError::NotADataKey { length: key.len() })
}

/// The search for the parts of a data key.
struct Search<'g> {
    needed: usize,
    keys: Vec<Candidate<'g>>,
    parts: Vec<Option<SecretBytes>>,
}

struct Candidate<'g> {
    group: usize,
    place: usize,
    key: &'g WrappedKey,
    /// Why it did not unwrap; `None` if it was not tried, or did.
    outcome: Option<Attempt>,
}

impl<'g> Search<'g> {
    fn new(groups: &'g [KeyGroup], needed: usize, order: &[&str]) -> Search<'g> {
        let candidate = |group: usize, key: &'g WrappedKey| {
            let place = order.iter().position(|&kind| kind == key.key.kind());
            Candidate { group, place: place.unwrap_or(order.len()), key, outcome: None }
        };
        let keys = groups
            .iter()
            .enumerate()
            .flat_map(|(number, group)| group.keys.iter().map(move |key| candidate(number, key)))
            .collect();
        let parts = groups.iter().map(|_| None).collect();
        Search { needed, keys, parts }
    }

    fn is_done(&self) -> bool {
        self.parts.iter().flatten().count() >= self.needed
    }

    /// Returns the indexes of the keys that are next.
    fn next(&self, place: usize, is_remote: bool) -> Vec<usize> {
        let is_next = |key: &Candidate<'_>| {
            key.place == place
                && key.key.key.is_remote() == is_remote
                && self.parts[key.group].is_none()
        };
        self.keys.iter().enumerate().filter(|(_, key)| is_next(key)).map(|(at, _)| at).collect()
    }

    /// Takes what was unwrapped before, so that nobody is asked for anything.
    fn ask_memory(&mut self, with: &Credentials) {
        let wrapped = |key: &'g WrappedKey| key.wrapped.as_deref();
        let keys: Vec<(&dyn MasterKey, &str)> = self
            .keys
            .iter()
            .filter_map(|candidate| Some((&*candidate.key.key, wrapped(candidate.key)?)))
            .collect();
        with.recall(&keys);
        for candidate in &self.keys {
            if self.is_done() {
                return;
            }
            if self.parts[candidate.group].is_none()
                && let Some(wrapped) = wrapped(candidate.key)
            {
                self.parts[candidate.group] = with.known(&*candidate.key.key, wrapped);
            }
        }
    }

    fn ask_local(&mut self, place: usize, with: &Credentials) {
        for at in self.next(place, false) {
            let candidate = &self.keys[at];
            if self.is_done() {
                return;
            }
            if self.parts[candidate.group].is_some() {
                continue;
            }
            let answer = match &candidate.key.wrapped {
                Some(wrapped) => with.unwrap(&*candidate.key.key, wrapped),
                None => Some(Err(nothing_wrapped())),
            };
            self.take(at, answer);
        }
    }

    fn ask_remote(&mut self, place: usize, with: &Credentials) {
        if self.is_done() {
            return;
        }
        let mut questions = VecDeque::new();
        for at in self.next(place, true) {
            let Candidate { group, key, .. } = self.keys[at];
            match &key.wrapped {
                Some(wrapped) => questions.push_back(RemoteQuestion {
                    at,
                    group,
                    key: Arc::clone(&key.key),
                    wrapped: wrapped.clone(),
                }),
                None => self.take(at, Some(Err(nothing_wrapped()))),
            }
        }
        if questions.is_empty() {
            return;
        }
        let names: Vec<String> =
            questions.iter().map(|question| question.key.identity().to_owned()).collect();
        let done = Arc::new(self.parts.iter().map(|_| AtomicBool::new(false)).collect::<Vec<_>>());
        let answers = start(questions, &done, with);
        let mut told = false;
        let started = Instant::now();
        while !self.is_done() {
            let left = PATIENCE.saturating_sub(started.elapsed());
            let received = if told {
                answers.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                answers.recv_timeout(left)
            };
            match received {
                Ok((at, answer)) => {
                    let group = self.keys[at].group;
                    if self.parts[group].is_none() {
                        self.take(at, answer);
                    }
                    if self.parts[group].is_some() {
                        done[group].store(true, Ordering::Relaxed);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    with.host().tell(&format!("waiting for {}", names.join(", ")));
                    told = true;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        // Threads that still wait for an answer find nothing else to do after it.
        done.iter().for_each(|group| group.store(true, Ordering::Relaxed));
    }

    /// Takes a key's answer.
    fn take(&mut self, at: usize, answer: Option<Result<SecretBytes, KeyError>>) {
        let candidate = &mut self.keys[at];
        let error = match answer {
            Some(Ok(part)) => {
                self.parts[candidate.group] = Some(part);
                return;
            }
            Some(Err(error)) => Some(error),
            None => None,
        };
        let kind = candidate.key.key.kind().to_owned();
        let identity = candidate.key.key.identity().to_owned();
        candidate.outcome = Some(Attempt { kind, identity, owner: None, error });
    }

    /// Returns what was tried, and the parts that were recovered.
    fn finish(self) -> (UnwrapReport, Vec<SecretBytes>) {
        let mut groups: Vec<GroupReport> = self
            .parts
            .iter()
            .map(|part| GroupReport { attempts: Vec::new(), recovered: part.is_some() })
            .collect();
        let mut keys = self.keys;
        keys.sort_by_key(|candidate| candidate.place);
        for candidate in keys {
            groups[candidate.group].attempts.extend(candidate.outcome);
        }
        let report = UnwrapReport { needed: self.needed, groups };
        (report, self.parts.into_iter().flatten().collect())
    }
}

fn nothing_wrapped() -> KeyError {
    KeyError::Malformed { what: "the entry has no wrapped data key" }
}

/// A remote key to ask. It owns what it needs: its thread may outlive the search.
struct RemoteQuestion {
    at: usize,
    group: usize,
    key: Arc<dyn MasterKey>,
    wrapped: String,
}

type Answer = (usize, Option<Result<SecretBytes, KeyError>>);

/// Starts asking remote keys; the answers end when all are asked, or their groups are `done`.
fn start(
    questions: VecDeque<RemoteQuestion>,
    done: &Arc<Vec<AtomicBool>>,
    with: &Credentials,
) -> mpsc::Receiver<Answer> {
    let (sender, answers) = mpsc::channel();
    let threads = questions.len().min(MAX_THREADS);
    let questions = Arc::new(Mutex::new(questions));
    let worker = || {
        let (questions, done) = (Arc::clone(&questions), Arc::clone(done));
        let (with, answers) = (with.clone(), sender.clone());
        move || ask(&questions, &done, &with, &answers)
    };
    for number in 0..threads {
        let builder = thread::Builder::new().name(format!("unwrap {number}"));
        if builder.spawn(worker()).is_err() && number == 0 {
            // There are no threads to be had: one key after the other, then.
            worker()();
            break;
        }
    }
    answers
}

/// Asks key after key until none is left.
fn ask(
    questions: &Mutex<VecDeque<RemoteQuestion>>,
    done: &[AtomicBool],
    with: &Credentials,
    answers: &Sender<Answer>,
) {
    loop {
        let next = questions.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some(question) = next else { return };
        if done[question.group].load(Ordering::Relaxed) {
            continue;
        }
        let answer = with.unwrap(&*question.key, &question.wrapped);
        if answers.send((question.at, answer)).is_err() {
            return;
        }
    }
}

/// What was tried to recover a data key.
#[derive(Debug)]
pub struct UnwrapReport {
    /// The number of groups needed.
    pub needed: usize,
    /// Each group.
    pub groups: Vec<GroupReport>,
}

/// What was tried with one group.
#[derive(Debug)]
pub struct GroupReport {
    /// The keys that did not unwrap, in the order in which they were tried.
    pub attempts: Vec<Attempt>,
    /// Whether the group's part was recovered.
    pub recovered: bool,
}

/// A key that did not unwrap.
#[derive(Debug)]
pub struct Attempt {
    /// The key's kind.
    pub kind: String,
    /// The key.
    pub identity: String,
    /// Who it belongs to, where somebody knows.
    pub owner: Option<String>,
    /// Why it failed; `None` if nothing that could unwrap it is at hand.
    pub error: Option<KeyError>,
}

/// Why a data key could not be recovered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnwrapError {
    /// Too few groups gave their part.
    #[error("failed to get the data key required to decrypt the file")]
    NotRecovered(UnwrapReport),
    /// The parts do not fit together.
    #[error(transparent)]
    Combine(#[from] ShamirError),
    /// What was unwrapped is not a data key.
    #[error("what was unwrapped is {length} bytes long; a data key has 32")]
    NotADataKey {
        /// Its length in bytes.
        length: usize,
    },
}

#[cfg(test)]
mod tests;
