//! A server on a thread, and requests good and bad.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::thread::{self, JoinHandle};

use super::*;
use crate::keys::age::{Identities, Source};
use crate::keys::remote::call::call;
use crate::keys::remote::message::{AgeKey, KeyType, method};
use crate::keys::remote::{Address, Agent, CallError};
use crate::keys::{Finished, Host, Memory as _, Question, Run};
use crate::secret::SecretBytes;

const ALICE: &str = "age1p425dg54alxas5ngyta05t8vms4gqs7ps52cfjd72wytc3q32awsh3mzqa";

/// A server on a thread, that ends with the test.
struct Running {
    directory: tempfile::TempDir,
    stop: Stop,
    thread: Option<JoinHandle<std::io::Result<()>>>,
}

impl Running {
    fn start(server: KeyServer, only: Option<Only>) -> Running {
        let directory = tempfile::tempdir().unwrap();
        let socket = UnixListener::bind(directory.path().join("s")).unwrap();
        let stop = server.stop();
        let listener = Listener::Unix { socket, only };
        let thread = Some(thread::spawn(move || serve(listener, server)));
        Running { directory, stop, thread }
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("s")
    }

    fn call<Q, A>(&self, method: &'static str, request: Q) -> Result<A, CallError>
    where
        Q: prost::Message + 'static,
        A: prost::Message + Default + 'static,
    {
        call(&Address::Unix(self.socket()), method, request, || {})
    }

    /// Wraps and unwraps a key.
    fn assert_works(&self) {
        let request = EncryptRequest { key: Some(alice()), plaintext: b"part".to_vec() };
        let wrapped: EncryptResponse = self.call(method::ENCRYPT, request).unwrap();
        let request = DecryptRequest { key: Some(alice()), ciphertext: wrapped.ciphertext };
        let part: DecryptResponse = self.call(method::DECRYPT, request).unwrap();
        assert_eq!(part.plaintext, b"part");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.now();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap().unwrap();
        }
    }
}

/// A machine with files.
struct Files;

impl Host for Files {
    fn read_file(&self, path: &std::path::Path, _: usize) -> std::io::Result<SecretBytes> {
        std::fs::read(path).map(SecretBytes::from)
    }

    fn run(&self, _: &Run<'_>) -> Result<Finished, String> {
        panic!("a request has started a program")
    }

    fn ask(&self, _: &Question<'_>) -> Result<SecretBytes, String> {
        panic!("a request has asked the user")
    }
}

fn server() -> KeyServer {
    KeyServer::new(|| {
        let identity = Source::file("the test key", "testdata/keys/alice.txt");
        Credentials::none().with(Identities::new(vec![identity], Arc::new(Files)))
    })
}

fn agent() -> KeyServer {
    server().remembering(Memory::new(Duration::from_secs(60), || Duration::ZERO))
}

fn alice() -> Key {
    Key { key_type: Some(KeyType::Age(AgeKey { recipient: ALICE.to_owned() })) }
}

fn status(code: &str, message: &str) -> CallError {
    CallError::Status { code: code.to_owned(), message: message.to_owned() }
}

fn refused<Q: prost::Message + 'static>(
    running: &Running,
    method: &'static str,
    request: Q,
) -> CallError {
    running.call::<Q, Empty>(method, request).unwrap_err()
}

#[test]
fn keys_are_wrapped_and_unwrapped() {
    Running::start(server(), None).assert_works();
}

#[test]
fn a_request_that_names_no_key_is_refused_in_the_words_of_sops() {
    let running = Running::start(server(), None);
    let request = || DecryptRequest { key: None, ciphertext: b"wrapped".to_vec() };
    let missing = status("NotFound", "Must provide a key");
    assert_eq!(refused(&running, method::DECRYPT, request()), missing);
    let unknown = status("NotFound", "Unknown key type");
    let request = DecryptRequest { key: Some(Key::default()), ..request() };
    assert_eq!(refused(&running, method::DECRYPT, request), unknown);
}

#[test]
fn a_key_that_does_not_unwrap_is_an_error_without_the_text() {
    let running = Running::start(server(), None);
    let request = DecryptRequest { key: Some(alice()), ciphertext: b"canary".to_vec() };
    let CallError::Status { code, message } = refused(&running, method::DECRYPT, request) else {
        panic!("it is reachable");
    };
    assert_eq!(code, "Unknown");
    assert!(!message.is_empty() && !message.contains("canary"), "{message}");
}

#[test]
fn what_a_request_names_starts_no_program() {
    let running = Running::start(server(), None);
    let recipient = "age1demo1qqqsyqcyq5rqwzqfpg9scrgwpugpzysn3zxjmg".to_owned();
    let key = Some(Key { key_type: Some(KeyType::Age(AgeKey { recipient })) });
    let request = EncryptRequest { key, plaintext: b"part".to_vec() };
    let error = refused(&running, method::ENCRYPT, request);
    assert!(matches!(error, CallError::Status { code, .. } if code == "Unknown"));
}

#[test]
fn a_message_that_is_too_long_is_refused_and_the_next_is_not() {
    let running = Running::start(server(), None);
    let request = DecryptRequest { key: Some(alice()), ciphertext: vec![b'x'; 2 * 1024 * 1024] };
    let CallError::Status { code, .. } = refused(&running, method::DECRYPT, request) else {
        panic!("it is reachable");
    };
    assert_eq!(code, "OutOfRange");
    running.assert_works();
}

#[test]
fn garbage_on_the_socket_ends_nothing_but_its_connection() {
    let running = Running::start(server(), None);
    for garbage in
        [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0; 4096], &[0xff; 4096], b"PRI * HTTP/2.0\r\n"]
    {
        let mut stream = UnixStream::connect(running.socket()).unwrap();
        stream.write_all(garbage).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    }
    let _silent = UnixStream::connect(running.socket()).unwrap();
    running.assert_works();
}

#[test]
fn other_methods_are_refused() {
    let running = Running::start(server(), None);
    let unknown = status("Unimplemented", "unknown method");
    assert_eq!(refused(&running, "/KeyService/Steal", Empty {}), unknown);
    let no_agent = status("Unimplemented", "this is no agent");
    assert_eq!(refused(&running, method::STATUS, Empty {}), no_agent);
    assert_eq!(refused(&running, method::STOP, Empty {}), no_agent);
    running.assert_works();
}

#[test]
fn only_the_user_is_answered_and_others_are_told_once() {
    let user = rustix::process::geteuid().as_raw();
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let start = |allowed| {
        let theirs = Arc::clone(&told);
        let only = Only::new(allowed, move |other| theirs.lock().unwrap().push(other));
        Running::start(agent(), Some(only))
    };
    start(user).assert_works();
    assert_eq!(*told.lock().unwrap(), []);
    let running = start(user.wrapping_add(1));
    for _ in 0..50 {
        let error = refused(&running, method::STATUS, Empty {});
        let ended = "the service ended the connection without an answer, as an agent does to other \
                     users";
        assert_eq!(error, status("Unavailable", ended));
        assert!(Agent::new(running.socket()).status().is_err());
    }
    assert_eq!(*told.lock().unwrap(), [Some(user)]);
}

#[test]
fn a_question_decides_before_anything_is_done() {
    for (answer, expected) in [
        (Ok(false), status("PermissionDenied", "Request rejected by user")),
        (Err("EOF".to_owned()), status("Unknown", "EOF")),
    ] {
        let server = KeyServer::new(|| panic!("credentials are used")).asking(move |question| {
            let expected = format!("Received decrypt request using age key with recipient {ALICE}");
            assert_eq!(question, expected);
            answer.clone()
        });
        let running = Running::start(server, None);
        let request = DecryptRequest { key: Some(alice()), ciphertext: b"wrapped".to_vec() };
        assert_eq!(refused(&running, method::DECRYPT, request), expected);
    }
    Running::start(server().asking(|_| Ok(true)), None).assert_works();
}

#[test]
fn an_agent_remembers_what_it_unwraps_and_what_it_is_told() {
    let running = Running::start(agent(), None);
    let agent = Agent::new(running.socket());
    let recipient = crate::keys::FieldValue::Text(ALICE.to_owned());
    let key = crate::keys::from_fields("age", vec![("recipient".to_owned(), recipient)]);
    running.assert_works();
    assert_eq!(agent.status().unwrap().keys, 1);
    agent.remember(&*key, "wrapped", b"part", &Files);
    let questions: Vec<(&dyn MasterKey, &str)> = vec![(&*key, "other"), (&*key, "wrapped")];
    let recalled = || -> Vec<Option<Vec<u8>>> {
        let recalled = agent.recall(&questions, &Files);
        recalled.into_iter().map(|part| part.map(|part| part.to_vec())).collect()
    };
    assert_eq!(recalled(), [None, Some(b"part".to_vec())]);
    assert_eq!(agent.status().unwrap().keys, 2);
    agent.lock().unwrap();
    assert_eq!(recalled(), [None, None]);
    let status = agent.status().unwrap();
    assert_eq!(
        (status.keys, status.ttl, status.process),
        (0, Duration::from_secs(60), std::process::id())
    );
}

#[test]
fn an_agent_that_is_stopped_answers_no_more() {
    let mut running = Running::start(agent(), None);
    Agent::new(running.socket()).stop().unwrap();
    running.thread.take().unwrap().join().unwrap().unwrap();
    assert!(Agent::new(running.socket()).status().unwrap_err().is_unreachable());
}

#[test]
fn a_service_ends_although_a_connection_says_nothing() {
    let mut running = Running::start(server(), None);
    let _silent = UnixStream::connect(running.socket()).unwrap();
    running.assert_works();
    running.stop.now();
    let started = std::time::Instant::now();
    running.thread.take().unwrap().join().unwrap().unwrap();
    assert!(started.elapsed() < Duration::from_secs(10));
}
