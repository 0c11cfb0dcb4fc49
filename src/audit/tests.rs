//! Settings and connection strings; what needs a database is in `tests/keys/audit.rs`.

use std::io;
use std::path::Path;

use super::*;
use crate::secret::SecretBytes;

/// A machine without files.
struct Empty;

impl Host for Empty {
    fn read_file(&self, _: &Path, _: usize) -> io::Result<SecretBytes> {
        Err(io::ErrorKind::NotFound.into())
    }
}

fn parse(connection: &str) -> Result<Log, AuditError> {
    let text = serde_yaml::to_string(&serde_json::json!({
        "backends": { "postgres": [{ "connection_string": connection }] }
    }));
    Log::parse(text.unwrap().as_bytes(), &Empty)
}

#[test]
fn connection_strings_are_urls_or_pairs() {
    for text in [
        "postgres://sops:secret@db.example/sops",
        "postgresql://sops@db.example:5433/sops?sslmode=verify-full&application_name=sops",
        "postgres:///sops?host=/run/postgresql&user=sops&sslmode=disable",
        "user = sops password = 'a b\\'c' sslmode = disable",
        "",
    ] {
        assert!(parse(text).is_ok(), "{text}");
    }
}

#[test]
fn no_message_has_anything_of_a_connection_string() {
    for text in [
        "postgres://sops:canary@db.example/sops?sslmode=canary",
        "postgres://sops:canary@db.example/sops?canary=1",
        "postgres://sops:canary@db.example:port/sops",
        "password=canary canary",
        "password='canary",
        "canary",
        "host=a password=canary sslmode=prefer",
        "host=a password=canary sslcert=/a",
    ] {
        let message = parse(text).unwrap_err().to_string();
        assert!(!message.contains("canary"), "{text}: {message}");
        assert!(message.starts_with("the connection string of database 1: "), "{message}");
    }
}

#[test]
fn a_file_of_another_shape_is_an_error_without_its_text() {
    for (text, line) in [
        ("backend: canary\n", " (line 1)"),
        ("backends:\n  mysql: canary\n", " (line 2)"),
        ("backends:\n  postgres:\n    - canary\n", " (line 3)"),
        ("backends:\n  postgres:\n    - {}\n", " (line 3)"),
        ("canary: [\n", " (line 1)"),
    ] {
        let message = Log::parse(text.as_bytes(), &Empty).unwrap_err().to_string();
        let expected =
            format!("it is not `backends: {{postgres: [{{connection_string: ...}}]}}`{line}");
        assert_eq!(message, expected, "{text}");
    }
}

#[test]
fn a_file_without_databases_logs_nothing() {
    for text in ["", "backends:\n", "backends: {postgres: []}\n"] {
        let log = Log::parse(text.as_bytes(), &Empty).unwrap();
        let event = Event { action: "decrypt", user: "alice", file: "/a" };
        assert_eq!(log.record(&event, &|| ()), Ok(()));
    }
}

#[test]
fn a_certificate_that_is_asked_for_must_be_there() {
    let text = "postgres://sops:canary@db.example/sops?sslmode=verify-full&sslrootcert=/ca.pem";
    assert_eq!(
        parse(text).unwrap_err().to_string(),
        "the connection string of database 1: `sslrootcert`: `/ca.pem` cannot be read: entity not \
         found"
    );
}
