//! Recovering data keys: which keys are tried, in which order, and what is said if none does.
//!
//! Kinds are tried in the order that is given, in each group the local ones of a place in it before
//! the remote ones. Remote keys of the same place are asked together, of all groups that still
//! need one, and the first success of a group ends it. No thread is started unless a remote key has
//! to be asked. What was unwrapped before, here or as far as an agent knows, comes before everything.
//! What a key unwraps to and is not as long as a data key, or a part of one, is that key's failure.

use std::collections::{HashMap, HashSet, VecDeque};
use std::slice::from_mut;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::credentials::{Answer, Remembers, copy};
use super::together::{self, Step, Waiting};
use super::{Credentials, KeyError, KeyGroup, MasterKey, WrappedKey, needed_groups};
use crate::crypt::data_key::{DATA_KEY_LENGTH, DataKey};
use crate::crypt::shamir::{self, ShamirError};
use crate::secret::SecretBytes;

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
        search.ask_local(place, with, Remembers::Successes);
        ask_remote(from_mut(&mut search), place, with, Remembers::Successes, None);
    }
    let (report, mut parts) = search.finish();
    if parts.len() < needed {
        return Err(UnwrapError::NotRecovered(report));
    }
    let key = if groups.len() == 1 { parts.swap_remove(0) } else { shamir::combine(&parts)? };
    // Each part was as long as it has to be, and so is what they make.
    DataKey::from_bytes(&key).ok_or(UnwrapError::Combine(ShamirError::UnusableShares))
}

/// Asks for the data keys of several files, each with its groups and threshold, so that
/// [`unwrap_any`] then has the answers at hand: the remote keys of all files are asked together,
/// each wrapped key once. Files without a remote key are left alone.
///
/// `progress` is told of each round of questions to remote keys; without it, the user is told
/// what is waited for, as by [`unwrap_any`].
pub fn unwrap_ahead(
    files: &[(&[KeyGroup], usize)],
    order: &[&str],
    with: &Credentials,
    mut progress: Option<&mut dyn FnMut(Progress)>,
) {
    let is_remote = |group: &KeyGroup| group.keys.iter().any(|key| key.key.is_remote());
    let mut searches: Vec<Search<'_>> = files
        .iter()
        .filter(|(groups, _)| groups.iter().any(is_remote))
        .map(|(groups, threshold)| {
            Search::new(groups, needed_groups(groups.len(), *threshold), order)
        })
        .collect();
    for search in &mut searches {
        search.ask_memory(with);
    }
    for place in 0..=order.len() {
        for search in &mut searches {
            search.ask_local(place, with, Remembers::Everything);
        }
        let progress: Option<&mut dyn FnMut(Progress)> = match &mut progress {
            Some(progress) => Some(&mut **progress),
            None => None,
        };
        ask_remote(&mut searches, place, with, Remembers::Everything, progress);
    }
}

/// How far [`unwrap_ahead`] is with a round of questions to remote keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// How many keys have answered.
    pub done: usize,
    /// How many are asked.
    pub total: usize,
}

/// The search for the parts of a data key.
struct Search<'g> {
    needed: usize,
    /// How long each part is, in bytes.
    length: usize,
    keys: Vec<Candidate<'g>>,
    parts: Vec<Option<SecretBytes>>,
    /// Which groups need nothing more, for threads that have not asked their question yet.
    settled: Arc<Vec<AtomicBool>>,
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
        let length =
            if groups.len() == 1 { DATA_KEY_LENGTH } else { shamir::share_length(DATA_KEY_LENGTH) };
        let settled = Arc::new(groups.iter().map(|_| AtomicBool::new(false)).collect());
        Search { needed, length, keys, parts, settled }
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
                let known = with.known(&*candidate.key.key, wrapped);
                self.parts[candidate.group] = known.filter(|part| part.len() == self.length);
            }
        }
    }

    fn ask_local(&mut self, place: usize, with: &Credentials, remembers: Remembers) {
        for at in self.next(place, false) {
            let candidate = &self.keys[at];
            if self.is_done() {
                return;
            }
            if self.parts[candidate.group].is_some() {
                continue;
            }
            let answer = match &candidate.key.wrapped {
                Some(wrapped) => with.unwrap(&*candidate.key.key, wrapped, remembers),
                None => Some(Err(nothing_wrapped())),
            };
            self.take(at, answer);
        }
    }

    /// Takes a key's answer.
    fn take(&mut self, at: usize, answer: Answer) {
        let candidate = &mut self.keys[at];
        let error = match answer {
            Some(Ok(part)) if part.len() != self.length => Some(wrong_length(&part, self.length)),
            Some(Ok(part)) => {
                self.parts[candidate.group] = Some(part);
                if self.is_done() {
                    self.settle();
                }
                return;
            }
            Some(Err(error)) => Some(error),
            None => None,
        };
        let kind = candidate.key.key.kind().to_owned();
        let identity = candidate.key.key.identity().to_owned();
        candidate.outcome = Some(Attempt { kind, identity, owner: None, error });
    }

    /// Says that no group needs anything more.
    fn settle(&self) {
        self.settled.iter().for_each(|group| group.store(true, Ordering::Relaxed));
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

/// Returns why a key counts as failed that has unwrapped something else than its part.
fn wrong_length(unwrapped: &[u8], expected: usize) -> KeyError {
    let what = if expected == DATA_KEY_LENGTH { "a data key" } else { "a part of a data key" };
    let message =
        format!("what was unwrapped is {} bytes long; {what} has {expected}", unwrapped.len());
    KeyError::Unwrap { message }
}

/// A remote key to ask. It owns what it needs: its thread may outlive the search.
struct RemoteQuestion {
    key: Arc<dyn MasterKey>,
    wrapped: String,
    takers: Vec<Taker>,
    /// Whether the key has failed elsewhere, so that others went first.
    is_last: bool,
}

/// A key of a search that waits for an answer: files can share a wrapped key.
#[derive(Clone)]
struct Taker {
    search: usize,
    at: usize,
    group: usize,
    length: usize,
    settled: Arc<Vec<AtomicBool>>,
}

/// Returns the remote keys that searches have at `place`.
fn remote_questions(searches: &mut [Search<'_>], place: usize) -> VecDeque<RemoteQuestion> {
    let mut questions: VecDeque<RemoteQuestion> = VecDeque::new();
    let mut known = HashMap::new();
    for (number, search) in searches.iter_mut().enumerate() {
        if search.is_done() {
            continue;
        }
        for at in search.next(place, true) {
            let Candidate { group, key, .. } = search.keys[at];
            let Some(wrapped) = &key.wrapped else {
                search.take(at, Some(Err(nothing_wrapped())));
                continue;
            };
            let settled = Arc::clone(&search.settled);
            let taker = Taker { search: number, at, group, length: search.length, settled };
            let name = (key.key.kind(), key.key.identity(), wrapped.as_str());
            let question = *known.entry(name).or_insert_with(|| {
                questions.push_back(RemoteQuestion {
                    key: Arc::clone(&key.key),
                    wrapped: wrapped.clone(),
                    takers: Vec::new(),
                    is_last: false,
                });
                questions.len() - 1
            });
            questions[question].takers.push(taker);
        }
    }
    questions
}

/// Asks the remote keys at `place`, and gives the answers to the searches that wait for them, until all are done
/// or all keys have answered.
fn ask_remote(
    searches: &mut [Search<'_>],
    place: usize,
    with: &Credentials,
    remembers: Remembers,
    progress: Option<&mut dyn FnMut(Progress)>,
) {
    let questions = remote_questions(searches, place);
    if questions.is_empty() {
        return;
    }
    let mut waiting = if progress.is_some() {
        Waiting::silently(&**with.host())
    } else {
        let names = questions.iter().map(|question| question.key.identity().to_owned());
        Waiting::for_keys(&**with.host(), names.collect())
    };
    let mut ignored = |_| {};
    let progress = progress.unwrap_or(&mut ignored);
    let (mut done, total) = (0, questions.len());
    progress(Progress { done, total });
    let credentials = with.clone();
    let failing = Mutex::new(HashSet::new());
    let answers = together::start(questions, move |mut question: RemoteQuestion| {
        let is_settled = |taker: &Taker| taker.settled[taker.group].load(Ordering::Relaxed);
        if question.takers.iter().all(is_settled) {
            return Step::Settled;
        }
        // A key whose server does not answer must not hold up the files that have another one.
        let failing = || failing.lock().unwrap_or_else(PoisonError::into_inner);
        let name = (question.key.kind().to_owned(), question.key.identity().to_owned());
        if !question.is_last && failing().contains(&name) {
            question.is_last = true;
            return Step::Later(question);
        }
        let answer = credentials.unwrap(&*question.key, &question.wrapped, remembers);
        let part = answer.as_ref().and_then(|answer| answer.as_ref().ok());
        let helps = |taker: &&Taker| part.is_some_and(|part| part.len() == taker.length);
        for taker in question.takers.iter().filter(helps) {
            taker.settled[taker.group].store(true, Ordering::Relaxed);
        }
        if part.is_none() {
            failing().insert(name);
        }
        Step::Answer((question.takers, answer))
    });
    while !searches.iter().all(Search::is_done)
        && let Some((takers, answer)) = waiting.next(&answers)
    {
        for Taker { search, at, group, .. } in takers {
            if searches[search].parts[group].is_none() {
                searches[search].take(at, copy(&answer));
            }
        }
        done += 1;
        progress(Progress { done, total });
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
}

#[cfg(test)]
mod tests;
