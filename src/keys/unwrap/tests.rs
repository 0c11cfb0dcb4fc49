//! Which keys are asked, when, and what is said of it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::AtomicUsize;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::keys::together::MAX_THREADS;
use crate::keys::{Fields, Host, WrapError, wrap_all};

/// A key that says what it is told to, and remembers that it was asked.
#[derive(Debug)]
struct Scripted {
    kind: &'static str,
    name: String,
    answer: Script,
    asked: AtomicUsize,
    rush: Arc<Rush>,
}

/// How many keys are asked at the same time.
#[derive(Debug, Default)]
struct Rush {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Rush {
    /// Is one of them for a while.
    fn take_part(&self, milliseconds: u64) {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        thread::sleep(Duration::from_millis(milliseconds));
        self.now.fetch_sub(1, Ordering::SeqCst);
    }

    fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

#[derive(Clone, Copy, Debug)]
enum Script {
    Opens,
    Fails,
    NotMine,
    /// Opens after so many milliseconds.
    Slow(u64),
    /// Wraps after so many milliseconds.
    WrapsSlowly(u64),
    /// Fails after so many milliseconds.
    FailsSlowly(u64),
    /// Does not wrap.
    FailsToWrap,
}

impl Scripted {
    fn new(kind: &'static str, name: &str, answer: Script) -> Arc<Scripted> {
        Scripted::in_rush(kind, name, answer, &Arc::default())
    }

    fn in_rush(kind: &'static str, name: &str, answer: Script, rush: &Arc<Rush>) -> Arc<Scripted> {
        let (name, asked, rush) = (name.to_owned(), AtomicUsize::new(0), Arc::clone(rush));
        Arc::new(Scripted { kind, name, answer, asked, rush })
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl MasterKey for Scripted {
    fn kind(&self) -> &str {
        self.kind
    }

    fn identity(&self) -> &str {
        &self.name
    }

    fn wrap(&self, key: &[u8], _with: &Credentials) -> Result<String, KeyError> {
        match self.answer {
            Script::WrapsSlowly(time) => self.rush.take_part(time),
            Script::FailsToWrap => {
                return Err(KeyError::Wrap { message: format!("not by {}", self.name) });
            }
            _ => {}
        }
        Ok(STANDARD.encode(key))
    }

    fn open(&self, wrapped: &str, _with: &Credentials) -> Option<Result<SecretBytes, KeyError>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        match self.answer {
            Script::Fails => return Some(Err(KeyError::Unwrap { message: "no".to_owned() })),
            Script::NotMine => return None,
            Script::FailsSlowly(time) => {
                self.rush.take_part(time);
                return Some(Err(KeyError::Unwrap { message: "no".to_owned() }));
            }
            Script::Slow(time) => self.rush.take_part(time),
            Script::Opens | Script::WrapsSlowly(_) | Script::FailsToWrap => {}
        }
        let key = STANDARD.decode(wrapped).unwrap();
        Some(Ok(SecretBytes::from(key)))
    }

    fn fields(&self) -> Fields {
        Vec::new()
    }
}

/// A host that keeps what it is told.
#[derive(Default)]
struct Listener(Mutex<Vec<String>>);

impl Host for Listener {
    fn read_file(&self, _: &Path, _: usize) -> std::io::Result<SecretBytes> {
        Err(std::io::ErrorKind::NotFound.into())
    }

    fn note(&self, message: &str) {
        self.0.lock().unwrap().push(message.to_owned());
    }
}

/// Returns groups of keys that have wrapped nothing.
fn unwrapped(groups: &[&[&Arc<Scripted>]]) -> Vec<KeyGroup> {
    let key = |key: &&Arc<Scripted>| WrappedKey {
        key: Arc::clone(*key) as Arc<dyn MasterKey>,
        wrapped: None,
        created_at: None,
    };
    groups.iter().map(|keys| KeyGroup { keys: keys.iter().map(key).collect() }).collect()
}

/// Wraps a data key for the groups.
fn wrapped(groups: &[&[&Arc<Scripted>]], threshold: usize) -> (Vec<KeyGroup>, DataKey) {
    let mut groups = unwrapped(groups);
    let data_key = DataKey::generate().unwrap();
    wrap_all(&mut groups, threshold, &data_key, &Credentials::none()).unwrap();
    (groups, data_key)
}

const ORDER: &[&str] = &["age", "pgp"];

#[test]
fn a_remote_key_is_not_asked_where_a_local_one_opens() {
    let remote = Scripted::new("kms", "remote", Script::Opens);
    let local = Scripted::new("age", "local", Script::Opens);
    let (groups, data_key) = wrapped(&[&[&remote, &local]], 0);
    let key = unwrap_any(&groups, 0, ORDER, &Credentials::none()).unwrap();
    assert_eq!(key.as_bytes(), data_key.as_bytes());
    assert_eq!((remote.asked(), local.asked()), (0, 1));
}

#[test]
fn a_remote_key_that_is_first_in_the_order_is_asked_first() {
    let remote = Scripted::new("kms", "remote", Script::Opens);
    let local = Scripted::new("age", "local", Script::Opens);
    let (groups, _) = wrapped(&[&[&local, &remote]], 0);
    unwrap_any(&groups, 0, &["kms"], &Credentials::none()).unwrap();
    assert_eq!((remote.asked(), local.asked()), (1, 0));
}

#[test]
fn remote_keys_are_asked_together_and_the_first_success_is_enough() {
    let slow = Scripted::new("kms", "slow", Script::Slow(20_000));
    let failing = Scripted::new("gcp_kms", "failing", Script::Fails);
    let quick = Scripted::new("hc_vault", "quick", Script::Slow(1));
    let (groups, data_key) = wrapped(&[&[&slow, &failing, &quick]], 0);
    let started = Instant::now();
    let key = unwrap_any(&groups, 0, ORDER, &Credentials::none()).unwrap();
    assert_eq!(key.as_bytes(), data_key.as_bytes());
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn the_user_is_told_what_is_waited_for_once_and_only_if_it_takes_long() {
    for (time, said) in [(600, vec!["waiting for arn:1".to_owned()]), (1, Vec::new())] {
        let key = Scripted::new("kms", "arn:1", Script::Slow(time));
        let (groups, _) = wrapped(&[&[&key]], 0);
        let listener = Arc::new(Listener::default());
        let with = Credentials::of_host(Arc::clone(&listener) as Arc<dyn Host>);
        unwrap_any(&groups, 0, ORDER, &with).unwrap();
        assert_eq!(*listener.0.lock().unwrap(), said);
    }
}

#[test]
fn no_more_groups_are_asked_than_are_needed() {
    let first = Scripted::new("age", "first", Script::Opens);
    let second = Scripted::new("age", "second", Script::Opens);
    let third = Scripted::new("age", "third", Script::Opens);
    let remote = Scripted::new("kms", "remote", Script::Opens);
    let groups: &[&[&Arc<Scripted>]] = &[&[&remote], &[&first], &[&second], &[&third]];
    let (groups, data_key) = wrapped(groups, 2);
    let key = unwrap_any(&groups, 2, ORDER, &Credentials::none()).unwrap();
    assert_eq!(key.as_bytes(), data_key.as_bytes());
    let asked = [&first, &second, &third, &remote].map(|key| key.asked());
    assert_eq!(asked, [1, 1, 0, 0]);
}

#[test]
fn a_key_is_asked_once_however_many_files_share_it() {
    let key = Scripted::new("kms", "remote", Script::Opens);
    let (groups, _) = wrapped(&[&[&key]], 0);
    let with = Credentials::none();
    for _ in 0..3 {
        unwrap_any(&groups, 0, ORDER, &with).unwrap();
    }
    assert_eq!(key.asked(), 1);
}

#[test]
fn the_report_names_every_key_with_the_reason() {
    let keys = [
        Scripted::new("kms", "remote 1", Script::Fails),
        Scripted::new("kms", "remote 2", Script::NotMine),
        Scripted::new("age", "local", Script::NotMine),
    ];
    let (groups, _) = wrapped(&[&[&keys[0], &keys[1], &keys[2]]], 0);
    let error = unwrap_any(&groups, 0, ORDER, &Credentials::none()).unwrap_err();
    let UnwrapError::NotRecovered(report) = error else { panic!("{error}") };
    let attempts: HashMap<&str, bool> = report.groups[0]
        .attempts
        .iter()
        .map(|attempt| (attempt.identity.as_str(), attempt.error.is_some()))
        .collect();
    assert_eq!(
        attempts,
        HashMap::from([("remote 1", true), ("remote 2", false), ("local", false)])
    );
    assert_eq!(report.groups[0].attempts[0].identity, "local");
}

/// Makes a key of a group unwrap to so many bytes.
fn spoil(groups: &mut [KeyGroup], group: usize, key: usize, length: usize) {
    groups[group].keys[key].wrapped = Some(STANDARD.encode(vec![7; length]));
}

#[test]
fn what_is_no_data_key_does_not_end_the_search() {
    for kind in ["age", "kms"] {
        let (first, second) =
            (Scripted::new(kind, "1", Script::Opens), Scripted::new("pgp", "2", Script::Opens));
        let (mut groups, data_key) = wrapped(&[&[&first, &second]], 0);
        spoil(&mut groups, 0, 0, 16);
        let key = unwrap_any(&groups, 0, &[kind, "pgp"], &Credentials::none()).unwrap();
        assert_eq!(key.as_bytes(), data_key.as_bytes());
        assert_eq!((first.asked(), second.asked()), (1, 1));
    }
}

#[test]
fn what_is_no_data_key_settles_nothing_for_keys_that_wait_for_their_turn() {
    let keys: Vec<Arc<Scripted>> = (0..=MAX_THREADS)
        .map(|number| Scripted::new("kms", &number.to_string(), Script::Opens))
        .collect();
    let all: Vec<&Arc<Scripted>> = keys.iter().collect();
    let (mut groups, data_key) = wrapped(&[&all], 0);
    for number in 0..MAX_THREADS {
        spoil(&mut groups, 0, number, 33);
    }
    let key = unwrap_any(&groups, 0, ORDER, &Credentials::none()).unwrap();
    assert_eq!(key.as_bytes(), data_key.as_bytes());
}

#[test]
fn a_data_key_is_no_part_of_one() {
    let keys = ["1", "2", "3"].map(|name| Scripted::new("age", name, Script::Opens));
    let (mut groups, data_key) = wrapped(&[&[&keys[0], &keys[1]], &[&keys[2]]], 2);
    spoil(&mut groups, 0, 0, 32);
    let key = unwrap_any(&groups, 2, ORDER, &Credentials::none()).unwrap();
    assert_eq!(key.as_bytes(), data_key.as_bytes());
}

#[test]
fn the_report_names_what_is_no_data_key() {
    let why = |groups: &[KeyGroup], threshold| {
        let error = unwrap_any(groups, threshold, ORDER, &Credentials::none()).unwrap_err();
        let UnwrapError::NotRecovered(report) = error else { panic!("{error}") };
        let [attempt] = &report.groups[0].attempts[..] else { panic!("{report:?}") };
        (attempt.identity.clone(), attempt.error.as_ref().unwrap().to_string())
    };
    for kind in ["age", "kms"] {
        let keys = ["1", "2"].map(|name| Scripted::new(kind, name, Script::Opens));
        let (mut groups, _) = wrapped(&[&[&keys[0]]], 0);
        spoil(&mut groups, 0, 0, 33);
        let message = "what was unwrapped is 33 bytes long; a data key has 32";
        assert_eq!(why(&groups, 0), ("1".to_owned(), message.to_owned()));

        let (mut groups, _) = wrapped(&[&[&keys[0]], &[&keys[1]]], 2);
        spoil(&mut groups, 0, 0, 32);
        let message = "what was unwrapped is 32 bytes long; a part of a data key has 33";
        assert_eq!(why(&groups, 2), ("1".to_owned(), message.to_owned()));
    }
}

#[test]
fn many_remote_keys_need_few_threads() {
    let keys: Vec<Arc<Scripted>> =
        (0..100).map(|number| Scripted::new("kms", &number.to_string(), Script::Fails)).collect();
    let all: Vec<&Arc<Scripted>> = keys.iter().collect();
    let (groups, _) = wrapped(&[&all], 0);
    unwrap_any(&groups, 0, ORDER, &Credentials::none()).unwrap_err();
    assert!(keys.iter().all(|key| key.asked() == 1));
}

/// Asks ahead for the data keys of files of one group each; returns how far each round got.
fn ahead(files: &[Vec<KeyGroup>], with: &Credentials) -> Vec<Progress> {
    let files: Vec<_> = files.iter().map(|groups| (&groups[..], 0)).collect();
    let mut shown = Vec::new();
    unwrap_ahead(&files, ORDER, with, Some(&mut |progress| shown.push(progress)));
    shown
}

#[test]
fn the_remote_keys_of_many_files_are_asked_together_and_once() {
    let rush = Arc::default();
    let keys: Vec<Arc<Scripted>> = (0..3 * MAX_THREADS)
        .map(|number| Scripted::in_rush("kms", &number.to_string(), Script::Slow(300), &rush))
        .collect();
    let (files, data_keys): (Vec<_>, Vec<_>) = keys.iter().map(|key| wrapped(&[&[key]], 0)).unzip();
    let with = Credentials::none();
    let shown = ahead(&files, &with);
    assert_eq!(rush.most(), MAX_THREADS);
    let total = keys.len();
    let rounds: Vec<Progress> = (0..=total).map(|done| Progress { done, total }).collect();
    assert_eq!(shown, rounds);
    for (file, data_key) in files.iter().zip(&data_keys) {
        let key = unwrap_any(file, 0, ORDER, &with).unwrap();
        assert_eq!(key.as_bytes(), data_key.as_bytes());
    }
    assert!(keys.iter().all(|key| key.asked() == 1));
}

#[test]
fn a_wrapped_key_that_files_share_is_asked_for_once() {
    let key = Scripted::new("kms", "remote", Script::Slow(50));
    let (groups, _) = wrapped(&[&[&key]], 0);
    let shown = ahead(&vec![groups; 20], &Credentials::none());
    assert_eq!(key.asked(), 1);
    assert_eq!(shown, [Progress { done: 0, total: 1 }, Progress { done: 1, total: 1 }]);
}

#[test]
fn what_failed_ahead_is_not_asked_again_and_is_reported() {
    let local = Scripted::new("pgp", "local", Script::NotMine);
    let remote = Scripted::new("kms", "remote", Script::Fails);
    let (groups, _) = wrapped(&[&[&remote, &local]], 0);
    let with = Credentials::none();
    ahead(&[groups.clone(), groups.clone()], &with);
    let error = unwrap_any(&groups, 0, ORDER, &with).unwrap_err();
    let UnwrapError::NotRecovered(report) = error else { panic!("{error}") };
    let attempts = report.groups[0].attempts.iter();
    let attempts: Vec<_> =
        attempts.map(|attempt| (&*attempt.identity, attempt.error.is_some())).collect();
    assert_eq!(attempts, [("local", false), ("remote", true)]);
    assert_eq!((local.asked(), remote.asked()), (1, 1));
}

#[test]
fn files_for_local_keys_alone_are_not_opened_ahead() {
    let local = Scripted::new("age", "local", Script::Opens);
    let (groups, _) = wrapped(&[&[&local]], 0);
    assert_eq!(ahead(&[groups.clone(), groups], &Credentials::none()), []);
    assert_eq!(local.asked(), 0);
}

#[test]
fn ahead_a_remote_key_is_asked_only_where_the_local_ones_do_not_open() {
    let remote = [0, 1].map(|number| Scripted::new("kms", &format!("{number}"), Script::Opens));
    let mine = Scripted::new("age", "mine", Script::Opens);
    let other = Scripted::new("age", "other", Script::NotMine);
    let (first, _) = wrapped(&[&[&remote[0], &mine]], 0);
    let (second, _) = wrapped(&[&[&remote[1], &other]], 0);
    ahead(&[first, second], &Credentials::none());
    assert_eq!(remote.each_ref().map(|key| key.asked()), [0, 1]);
}

#[test]
fn of_a_slow_and_a_quick_group_ahead_waits_for_what_is_needed() {
    let slow = Scripted::new("kms", "slow", Script::Slow(20_000));
    let quick = [0, 1].map(|number| Scripted::new("kms", &format!("{number}"), Script::Opens));
    let (groups, data_key) = wrapped(&[&[&slow], &[&quick[0]], &[&quick[1]]], 2);
    let with = Credentials::none();
    let started = Instant::now();
    unwrap_ahead(&[(&groups, 2), (&groups, 2)], ORDER, &with, None);
    let key = unwrap_any(&groups, 2, ORDER, &with).unwrap();
    assert_eq!(key.as_bytes(), data_key.as_bytes());
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_data_key_is_wrapped_for_remote_keys_at_the_same_time() {
    let rush = Arc::default();
    let keys = [0, 1, 2, 3].map(|number| {
        Scripted::in_rush("kms", &number.to_string(), Script::WrapsSlowly(300), &rush)
    });
    let local = Scripted::new("age", "local", Script::Opens);
    let (groups, data_key) = wrapped(&[&[&keys[0], &local, &keys[1], &keys[2], &keys[3]]], 0);
    assert_eq!(rush.most(), 4);
    let text = STANDARD.encode(data_key.as_bytes());
    assert!(groups[0].keys.iter().all(|key| key.wrapped.as_ref() == Some(&text)));
}

#[test]
fn all_keys_that_fail_to_wrap_are_listed_in_order_and_nothing_is_changed() {
    let keys = ["kms", "age", "gcp_kms"].map(|kind| Scripted::new(kind, kind, Script::FailsToWrap));
    let slow = Scripted::new("kms", "slow", Script::WrapsSlowly(50));
    let mut groups = unwrapped(&[&[&slow, &keys[0], &keys[1], &keys[2]]]);
    let data_key = DataKey::generate().unwrap();
    let error = wrap_all(&mut groups, 0, &data_key, &Credentials::none()).unwrap_err();
    let WrapError::Keys { failures } = error else { panic!("{error}") };
    let failures: Vec<_> = failures.iter().map(|(key, why)| format!("{key}: {why}")).collect();
    assert_eq!(failures, ["kms: not by kms", "age: not by age", "gcp_kms: not by gcp_kms"]);
    assert!(groups[0].keys.iter().all(|key| key.wrapped.is_none()));
}

#[test]
fn of_many_keys_that_are_waited_for_a_few_are_named() {
    let keys = [1, 2, 3, 4, 5]
        .map(|number| Scripted::new("kms", &format!("arn:{number}"), Script::WrapsSlowly(600)));
    let all: Vec<&Arc<Scripted>> = keys.iter().collect();
    let listener = Arc::new(Listener::default());
    let with = Credentials::of_host(Arc::clone(&listener) as Arc<dyn Host>);
    wrap_all(&mut unwrapped(&[&all]), 0, &DataKey::generate().unwrap(), &with).unwrap();
    assert_eq!(*listener.0.lock().unwrap(), ["waiting for arn:1, arn:2, arn:3 and 2 more"]);
}

#[test]
fn a_key_that_fails_does_not_hold_up_files_that_have_another() {
    let rush = Arc::default();
    // All are the same key of a service that is gone.
    let lost: Vec<_> = (0..10 * MAX_THREADS)
        .map(|_| Scripted::in_rush("kms", "lost", Script::FailsSlowly(400), &rush))
        .collect();
    let there = Scripted::new("hc_vault", "there", Script::Opens);
    let files: Vec<_> = lost.iter().map(|lost| wrapped(&[&[lost, &there]], 0).0).collect();
    let with = Credentials::none();
    ahead(&files, &with);
    // Those of the first round, and a few whose other key was being asked at that moment.
    let asked = lost.iter().filter(|key| key.asked() > 0).count();
    assert!(asked <= 4 * MAX_THREADS, "{asked}");
    assert_eq!(there.asked(), files.len());
}
