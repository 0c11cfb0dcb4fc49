//! Asking several key services at the same time.

use std::collections::{HashSet, VecDeque};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::Host;

/// How many keys are asked at the same time.
pub(super) const MAX_THREADS: usize = 16;

/// How long an answer may take before the user is told what is waited for.
const PATIENCE: Duration = Duration::from_millis(250);

/// How many keys are named when the user is told what is waited for.
const MAX_NAMED: usize = 3;

/// What comes of a question.
pub(super) enum Step<Q, A> {
    /// An answer.
    Answer(A),
    /// It needs none any more.
    Settled,
    /// The others have to be asked before it.
    Later(Q),
}

/// Starts asking, on threads; the answers end when all is asked. Nobody has to wait for the end: the
/// threads own what they need.
pub(super) fn start<Q: Send + 'static, A: Send + 'static>(
    questions: VecDeque<Q>,
    ask: impl Fn(Q) -> Step<Q, A> + Send + Sync + 'static,
) -> Receiver<A> {
    let (sender, answers) = mpsc::channel();
    let threads = questions.len().min(MAX_THREADS);
    let shared = Arc::new((Mutex::new(questions), ask));
    let worker = || {
        let (shared, answers) = (Arc::clone(&shared), sender.clone());
        move || {
            let (questions, ask) = &*shared;
            let questions = || questions.lock().unwrap_or_else(PoisonError::into_inner);
            loop {
                // The lock is given back before anything is asked.
                let next = questions().pop_front();
                let Some(question) = next else { return };
                match ask(question) {
                    Step::Answer(answer) => {
                        if answers.send(answer).is_err() {
                            return;
                        }
                    }
                    Step::Settled => {}
                    Step::Later(question) => questions().push_back(question),
                }
            }
        }
    };
    for number in 0..threads {
        let builder = thread::Builder::new().name(format!("key {number}"));
        if builder.spawn(worker()).is_err() && number == 0 {
            // There are no threads to be had: one key after the other, then.
            worker()();
            break;
        }
    }
    answers
}

/// Waits for answers, and tells the user once what is waited for if it takes long.
pub(super) struct Waiting<'h> {
    host: &'h dyn Host,
    names: Vec<String>,
    since: Instant,
    told: bool,
}

impl<'h> Waiting<'h> {
    /// Starts to wait for the keys with these names.
    pub(super) fn for_keys(host: &'h dyn Host, mut names: Vec<String>) -> Waiting<'h> {
        let mut known = HashSet::new();
        names.retain(|name| known.insert(name.clone()));
        Waiting { host, names, since: Instant::now(), told: false }
    }

    /// Starts to wait, with somebody else who tells the user.
    pub(super) fn silently(host: &'h dyn Host) -> Waiting<'h> {
        Waiting { host, names: Vec::new(), since: Instant::now(), told: true }
    }

    /// Returns the next answer; `None` if there are no more.
    pub(super) fn next<A>(&mut self, answers: &Receiver<A>) -> Option<A> {
        if !self.told {
            match answers.recv_timeout(PATIENCE.saturating_sub(self.since.elapsed())) {
                Ok(answer) => return Some(answer),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => self.tell(),
            }
        }
        answers.recv().ok()
    }

    fn tell(&mut self) {
        self.told = true;
        let mut names = std::mem::take(&mut self.names);
        let others = names.len().saturating_sub(MAX_NAMED);
        names.truncate(MAX_NAMED);
        let mut message = format!("waiting for {}", names.join(", "));
        if others > 0 {
            message.push_str(&format!(" and {others} more"));
        }
        self.host.note(&message);
    }
}
