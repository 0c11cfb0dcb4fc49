//! `publish`: with moto (S3), a real `OpenBao` (both versions of its key-value store), and a
//! stand-in for Google Cloud Storage; beside the real SOPS.

mod gcs;
mod rules;
mod s3;
mod vault;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::files::ALICE;
use crate::sandbox::Sandbox;

/// The token that may do everything; the sandbox finds it in messages.
const ROOT: &str = "root-canary";

/// What `app.yaml` holds.
const PLAIN: &str = "\
b: 1
a: canary-a
list:
    - c: true
      d: 1.5
    - null
# canary-comment
t: 2024-01-02T03:04:05Z
";

/// Returns a sandbox with encrypted files, and a config with these destination rules.
fn sandbox(rules: &str) -> Sandbox {
    let sandbox = Sandbox::with_identity(ALICE);
    sandbox.encrypted_by_sops("app.yaml", PLAIN, &[ALICE]);
    sandbox.env("AWS_EC2_METADATA_DISABLED", "true").env("VAULT_TOKEN", ROOT);
    config(&sandbox, rules);
    sandbox
}

fn config(sandbox: &Sandbox, rules: &str) {
    let rules = rules.trim_end().replace('\n', "\n    ");
    sandbox.write(".sops.yaml", format!("destination_rules:\n  - {rules}\n"));
}

/// Returns the absolute path of `app.yaml`.
fn app(sandbox: &Sandbox) -> String {
    sandbox.path("app.yaml").display().to_string()
}

/// Sends a request, and returns status and body.
fn ask(server: &str, method: &str, path: &str, header: &str, body: &str) -> (u16, String) {
    let address = server.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: {address}\r\n{header}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}
