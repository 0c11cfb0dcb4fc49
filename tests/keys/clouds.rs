//! What the stand-ins for GCP KMS and Azure Key Vault share.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use base64::Engine as _;
use base64::engine::GeneralPurpose;

use crate::sandbox::Sandbox;

/// A file in clear.
pub(super) const PLAIN: &str = "{\n\t\"password\": \"canary-one\"\n}\n";

/// A sandbox with `app.json` in clear.
pub(super) fn plain() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("app.json", PLAIN);
    sandbox
}

/// Encrypts text in base64 for the stand-in's key `key`, which is a byte: whoever wants to decrypt it
/// must name the same key.
pub(super) fn encrypt(engine: &GeneralPurpose, key: u8, plain: &str) -> String {
    let bytes = engine.decode(plain).unwrap();
    let sealed: Vec<u8> = [key].into_iter().chain(bytes.iter().map(|byte| byte ^ key)).collect();
    engine.encode(sealed)
}

/// Decrypts what [`encrypt`] made with the same key.
pub(super) fn decrypt(engine: &GeneralPurpose, key: u8, sealed: &str) -> Option<String> {
    let bytes = engine.decode(sealed).ok()?;
    let (name, sealed) = bytes.split_first()?;
    let plain: Vec<u8> = sealed.iter().map(|byte| byte ^ key).collect();
    (*name == key).then(|| engine.encode(plain))
}

/// Returns the fields of a form or of a query.
pub(super) fn form(text: &str) -> BTreeMap<String, String> {
    let decoded = |text: &str| {
        let mut bytes = Vec::new();
        let mut rest = text.bytes();
        while let Some(byte) = rest.next() {
            bytes.push(match byte {
                b'+' => b' ',
                b'%' => {
                    let digits = [rest.next().unwrap(), rest.next().unwrap()];
                    u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
                }
                other => other,
            });
        }
        String::from_utf8(bytes).unwrap()
    };
    let fields = text.split('&').filter_map(|field| field.split_once('='));
    fields.map(|(name, value)| (decoded(name), decoded(value))).collect()
}

/// Returns the claims of a signed token; nobody looks at the signature.
pub(super) fn claims(token: &str) -> serde_json::Value {
    let part = token.split('.').nth(1).unwrap();
    let json = base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(part).unwrap();
    serde_json::from_slice(&json).unwrap()
}

/// Decrypts `app.json`, whose only key is `key`, in vain, and checks what is said: why, what became
/// of each place that may have credentials, and what to do.
#[track_caller]
pub(super) fn assert_not_recovered(
    sandbox: &Sandbox,
    key: &str,
    why: &str,
    places: &[&str],
    advice: &str,
) {
    let mut expected = format!(
        "error[data-key]: Failed to get the data key required to decrypt the SOPS file.\n  --> \
         app.json\n\nGroup 0: FAILED\n  {key}: FAILED\n    - | {why}\n\nRecovery failed because no \
         master key was able to decrypt the file.\n"
    );
    if !places.is_empty() {
        expected.push_str("What could unwrap them was looked for in:\n");
    }
    for place in places {
        expected.push_str(&format!("  {place}\n"));
    }
    expected.push_str(&format!("help: {advice}\n"));
    let outcome = sandbox.encfile(["decrypt", "app.json"]).go().code(128).no_stdout();
    assert_eq!(outcome.messages(), expected, "{outcome}");
}

/// A proxy that leads all connections to one server, whatever they ask for; until it is dropped.
pub(super) struct Tunnel {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
    listening: Option<JoinHandle<()>>,
}

impl Tunnel {
    /// Starts the proxy; `target` is `https://127.0.0.1:PORT`.
    pub(super) fn to(target: &str) -> Tunnel {
        let target: SocketAddr = target.split_once("://").unwrap().1.parse().unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let listening = thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                // What goes wrong is a client that went away: it says so itself.
                thread::spawn(move || stream.and_then(|stream| connect(stream, target)));
            }
        });
        Tunnel { address, is_over, listening: Some(listening) }
    }

    /// Returns `http://127.0.0.1:PORT`.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for the next client.
        let _ = TcpStream::connect(self.address);
        if let Some(listening) = self.listening.take() {
            let _ = listening.join();
        }
    }
}

fn connect(mut client: TcpStream, target: SocketAddr) -> io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
    }
    let mut server = TcpStream::connect(target)?;
    client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
    let (mut back, mut answers) = (client, server.try_clone()?);
    let answering = thread::spawn(move || io::copy(&mut answers, &mut back));
    io::copy(&mut reader, &mut server)?;
    let _ = answering.join();
    Ok(())
}
