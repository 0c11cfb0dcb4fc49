//! Which keys are asked, when, and what is said of it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::AtomicUsize;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::keys::{Fields, Host, wrap_all};

/// A key that says what it is told to, and remembers that it was asked.
#[derive(Debug)]
struct Scripted {
    kind: &'static str,
    name: String,
    answer: Script,
    asked: AtomicUsize,
}

#[derive(Clone, Copy, Debug)]
enum Script {
    Opens,
    Fails,
    NotMine,
    /// Opens after so many milliseconds.
    Slow(u64),
}

impl Scripted {
    fn new(kind: &'static str, name: &str, answer: Script) -> Arc<Scripted> {
        Arc::new(Scripted { kind, name: name.to_owned(), answer, asked: AtomicUsize::new(0) })
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
        Ok(STANDARD.encode(key))
    }

    fn unwrap(&self, wrapped: &str, _with: &Credentials) -> Option<Result<SecretBytes, KeyError>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        match self.answer {
            Script::Fails => return Some(Err(KeyError::Unwrap { message: "no".to_owned() })),
            Script::NotMine => return None,
            Script::Slow(time) => thread::sleep(Duration::from_millis(time)),
            Script::Opens => {}
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

    fn tell(&self, message: &str) {
        self.0.lock().unwrap().push(message.to_owned());
    }
}

/// Wraps a data key for the groups.
fn wrapped(groups: &[&[&Arc<Scripted>]], threshold: usize) -> (Vec<KeyGroup>, DataKey) {
    let key = |key: &&Arc<Scripted>| WrappedKey {
        key: Arc::clone(*key) as Arc<dyn MasterKey>,
        wrapped: None,
        created_at: None,
    };
    let mut groups: Vec<KeyGroup> =
        groups.iter().map(|keys| KeyGroup { keys: keys.iter().map(key).collect() }).collect();
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

#[test]
fn many_remote_keys_need_few_threads() {
    let keys: Vec<Arc<Scripted>> =
        (0..100).map(|number| Scripted::new("kms", &number.to_string(), Script::Fails)).collect();
    let all: Vec<&Arc<Scripted>> = keys.iter().collect();
    let (groups, _) = wrapped(&[&all], 0);
    unwrap_any(&groups, 0, ORDER, &Credentials::none()).unwrap_err();
    assert!(keys.iter().all(|key| key.asked() == 1));
}
