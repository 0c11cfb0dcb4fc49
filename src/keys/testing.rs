//! A machine of variables and files, and a small server, for the tests of kinds.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use super::{CommandLine, Host};
use crate::secret::SecretBytes;
use crate::tree::Timestamp;

/// The time on the machine, in seconds since 1970.
pub(super) const NOW: i64 = 1_700_000_000;

/// A machine with these variables and files.
#[derive(Default)]
pub(super) struct Machine {
    variables: HashMap<&'static str, String>,
    files: HashMap<String, Vec<u8>>,
    programs: HashMap<String, String>,
}

impl Machine {
    /// Returns a machine with variables.
    pub(super) fn with(variables: &[(&'static str, &str)]) -> Machine {
        let variables = variables.iter().map(|&(name, value)| (name, value.to_owned())).collect();
        Machine { variables, ..Machine::default() }
    }

    /// Adds a file.
    pub(super) fn file(mut self, path: &str, content: impl Into<Vec<u8>>) -> Machine {
        self.files.insert(path.to_owned(), content.into());
        self
    }

    /// Adds a command line and what it prints.
    pub(super) fn program(mut self, line: &str, prints: &str) -> Machine {
        self.programs.insert(line.to_owned(), prints.to_owned());
        self
    }

    /// Returns the machine as keys have it.
    pub(super) fn host(self) -> Arc<dyn Host> {
        Arc::new(self)
    }
}

impl Host for Machine {
    fn read_file(&self, path: &Path, limit: usize) -> io::Result<SecretBytes> {
        let content = path.to_str().and_then(|path| self.files.get(path));
        let content = content.ok_or(io::ErrorKind::NotFound)?;
        assert!(content.len() <= limit);
        Ok(SecretBytes::from(&**content))
    }

    fn variable(&self, name: &str) -> Option<OsString> {
        self.variables.get(name).map(OsString::from)
    }

    fn run_command_line(&self, line: &CommandLine<'_>) -> Result<SecretBytes, String> {
        let printed = self.programs.get(line.text).ok_or("no such program")?;
        Ok(SecretBytes::from(&**printed))
    }

    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + std::time::Duration::from_secs(NOW.unsigned_abs())
    }
}

/// Answers one request after the other, each with a status and headers and a body, and refuses those
/// that have not the line `wanted`, if there is one; returns the address.
pub(super) fn serve(answers: Vec<(&'static str, String, &'static str)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port of this machine is free");
    let address = listener.local_addr().expect("a listener has an address");
    thread::spawn(move || -> io::Result<()> {
        for (wanted, head, body) in answers {
            let mut reader = BufReader::new(listener.accept()?.0);
            let mut request = String::new();
            while reader.read_line(&mut request)? > 2 {}
            let head = if request.contains(wanted) { &*head } else { "403 Refused" };
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {head}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
            );
            reader.get_mut().write_all(answer.as_bytes())?;
        }
        Ok(())
    });
    format!("http://{address}")
}
