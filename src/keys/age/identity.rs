//! Identities: one a line, of any type.

use std::sync::Arc;

use age::x25519;

use super::passphrase::{self, EncryptedFile};
use super::{hybrid, plugin, ssh};
use crate::keys::Host;

/// Something that may unwrap a data key.
pub(super) struct Identity {
    pub(super) key: Box<dyn age::Identity + Send + Sync>,
    /// Who it is, where that is known without asking anybody.
    pub(super) recipient: Option<String>,
    /// Whether using it may ask the user for something, so that others are tried first.
    pub(super) asks: bool,
    /// What its source is called in messages.
    pub(super) source: String,
    /// The plugin that it is for.
    pub(super) plugin: Option<String>,
}

impl Identity {
    fn new(key: impl age::Identity + Send + Sync + 'static, recipient: Option<String>) -> Identity {
        Identity { key: Box::new(key), recipient, asks: false, source: String::new(), plugin: None }
    }

    /// Says where it is from.
    pub(super) fn of_source(self, name: &str) -> Identity {
        Identity { source: name.to_owned(), ..self }
    }
}

/// What a text gave.
#[derive(Default)]
pub(super) struct Lines {
    pub(super) identities: Vec<Identity>,
    /// The numbers of lines that are no identity, from 1, with the reason.
    pub(super) unusable: Vec<(usize, &'static str)>,
}

/// Reads the identities of a text, one a line.
pub(super) fn read_lines(text: &[u8], name: &str, host: &Arc<dyn Host>) -> Lines {
    read(text, name, host, false)
}

/// Reads the identities of a text, one a word.
pub(super) fn read_words(text: &[u8], name: &str, host: &Arc<dyn Host>) -> Lines {
    read(text, name, host, true)
}

fn read(text: &[u8], name: &str, host: &Arc<dyn Host>, words: bool) -> Lines {
    let mut lines = Lines::default();
    if passphrase::is_encrypted(text) {
        let key = EncryptedFile::new(name, text, host);
        lines.identities.push(Identity { asks: true, ..Identity::new(key, None) });
        return lines;
    }
    for (number, line) in text.split(|&byte| byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.starts_with(b"#") {
            continue;
        }
        let parts = line.split(|byte| words && byte.is_ascii_whitespace());
        for part in parts.filter(|part| !part.is_empty()) {
            match parse(part, host) {
                Ok(identity) => lines.identities.push(identity),
                Err(reason) => lines.unusable.push((number + 1, reason)),
            }
        }
    }
    lines
}

/// Reads a text that is an SSH private key.
pub(super) fn read_ssh(text: &[u8], name: &str, host: &Arc<dyn Host>) -> Lines {
    let mut lines = Lines::default();
    match ssh::Identity::parse(text, name, host) {
        Ok(key) => {
            let recipient = key.recipient();
            lines.identities.push(Identity::new(key, recipient));
        }
        Err(reason) => lines.unusable.push((1, reason)),
    }
    lines
}

fn parse(text: &[u8], host: &Arc<dyn Host>) -> Result<Identity, &'static str> {
    let text = std::str::from_utf8(text).map_err(|_| UNKNOWN)?;
    if text.starts_with("AGE-SECRET-KEY-1") {
        let key: x25519::Identity = text.parse().map_err(|_| "malformed age identity")?;
        let recipient = key.to_public().to_string();
        Ok(Identity::new(key, Some(recipient)))
    } else if text.starts_with("AGE-SECRET-KEY-PQ-1") {
        let key = hybrid::Identity::parse(text).map_err(|_| "malformed post-quantum identity")?;
        let recipient = key.recipient();
        Ok(Identity::new(key, Some(recipient)))
    } else if text.starts_with("AGE-PLUGIN-") {
        let key = plugin::Identity::parse(text, host)?;
        let plugin = Some(key.name().to_owned());
        Ok(Identity { asks: true, plugin, ..Identity::new(key, None) })
    } else {
        Err(UNKNOWN)
    }
}

const UNKNOWN: &str = "unknown identity type";
