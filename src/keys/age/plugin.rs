//! age plugins: `age1NAME1...` and `AGE-PLUGIN-NAME-1...` are the business of `age-plugin-NAME`.
//!
//! A plugin is a program in `PATH` that is started for one recipient or identity and talked with
//! over its standard streams ([`wire`]). That a file names one is not enough to start it
//! ([`Plugins`]): whoever can write the file could choose a program. The client of the `age` crate
//! is not used because it looks for programs in relative entries of `PATH`, reads the environment
//! and starts a thread.

mod wire;

use std::collections::HashSet;
use std::io::{self, Write};
use std::sync::Arc;

use age::secrecy::ExposeSecret as _;
use age::{DecryptError, EncryptError};
use age_core::format::{FILE_KEY_BYTES, FileKey, Stanza};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use zeroize::Zeroize as _;

use super::{bech32, passphrase};
use crate::keys::{Host, OwnCredentials, Question, Run};

/// The variable that names plugins which may be started for recipients in files.
const ALLOWED: &str = "ENCFILE_AGE_PLUGINS";

/// How many stanzas a plugin may send.
const MAX_STANZAS: usize = 1000;

/// The plugins that may be started although only a file names them.
#[derive(Debug)]
pub enum Plugins {
    /// All, as in SOPS.
    All,
    /// Those with these names.
    Named(HashSet<String>),
}

impl Plugins {
    /// Returns whether the plugin called `name` may be started.
    pub fn allows(&self, name: &str) -> bool {
        match self {
            Plugins::All => true,
            Plugins::Named(names) => names.contains(name),
        }
    }
}

impl OwnCredentials for Plugins {
    fn of_host(host: &Arc<dyn Host>) -> Plugins {
        let text = host.variable(ALLOWED).and_then(|text| text.into_string().ok());
        let names = text.unwrap_or_default();
        let names = names.split([',', ' ']).filter(|name| !name.is_empty()).map(str::to_owned);
        Plugins::Named(names.collect())
    }
}

/// A recipient that a plugin encrypts for.
#[derive(Clone, Debug)]
pub(super) struct Recipient {
    name: String,
    text: String,
}

impl Recipient {
    /// Reads `age1NAME1...`.
    pub(super) fn parse(text: &str) -> Result<Recipient, &'static str> {
        let prefix = bech32::prefix(text)?;
        let name = prefix.strip_prefix("age1").filter(|name| is_name(name));
        let name = name.ok_or("that is no name of a plugin")?.to_owned();
        Ok(Recipient { name, text: text.to_owned() })
    }

    /// Returns the name of the plugin.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the recipient with what it needs to be used.
    pub(super) fn on<'h>(&self, host: &'h dyn Host) -> OnHost<'h> {
        OnHost { recipient: self.clone(), host }
    }
}

/// A recipient that can start its plugin.
pub(super) struct OnHost<'h> {
    recipient: Recipient,
    host: &'h dyn Host,
}

impl age::Recipient for OnHost<'_> {
    fn wrap_file_key(
        &self,
        file_key: &FileKey,
    ) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        let mut stanzas = Vec::new();
        let mut labels = HashSet::new();
        let mut talk = |talk: &mut Conversation<'_>| {
            talk.send("add-recipient", &[&self.recipient.text], b"")?;
            talk.send("wrap-file-key", &[], file_key.expose_secret())?;
            talk.send("extension-labels", &[], b"")?;
            talk.send("done", &[], b"")?;
            talk.serve(|stanza| match (&*stanza.tag, &stanza.args[..]) {
                ("recipient-stanza", [number, tag, args @ ..]) if number == "0" => {
                    let (tag, args) = (tag.clone(), args.to_vec());
                    stanzas.push(Stanza { tag, args, body: stanza.body.clone() });
                    true
                }
                ("labels", new) => {
                    labels.extend(new.iter().cloned());
                    true
                }
                _ => false,
            })
        };
        let name = &self.recipient.name;
        let done = converse(self.host, name, "recipient-v1", &mut talk);
        let failed = |message| EncryptError::Io(io::Error::other(message));
        done.map_err(failed)?;
        if stanzas.is_empty() {
            return Err(failed(format!("the plugin `{name}` did not encrypt anything")));
        }
        Ok((stanzas, labels))
    }
}

/// An identity that a plugin decrypts with.
pub(super) struct Identity {
    name: String,
    text: age::secrecy::SecretString,
    host: Arc<dyn Host>,
}

impl Identity {
    /// Reads `AGE-PLUGIN-NAME-1...`.
    pub(super) fn parse(text: &str, host: &Arc<dyn Host>) -> Result<Identity, &'static str> {
        let prefix = bech32::prefix(text).map_err(|_| "malformed plugin identity")?;
        let name = prefix.strip_prefix("age-plugin-").and_then(|name| name.strip_suffix('-'));
        let name = name.filter(|name| is_name(name)).ok_or("that is no name of a plugin")?;
        let (name, text) = (name.to_owned(), text.to_owned().into());
        Ok(Identity { name, text, host: Arc::clone(host) })
    }

    /// Returns the name of the plugin.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

impl age::Identity for Identity {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        self.unwrap_stanzas(std::slice::from_ref(stanza))
    }

    fn unwrap_stanzas(&self, stanzas: &[Stanza]) -> Option<Result<FileKey, DecryptError>> {
        // No plugin is asked for what age itself can open, given the identity.
        if stanzas.iter().all(|stanza| needs_no_plugin(&stanza.tag)) {
            return None;
        }
        let mut found = None;
        let mut talk = |talk: &mut Conversation<'_>| {
            talk.send("add-identity", &[self.text.expose_secret()], b"")?;
            for stanza in stanzas {
                let mut args = vec!["0", &stanza.tag];
                args.extend(stanza.args.iter().map(String::as_str));
                talk.send("recipient-stanza", &args, &stanza.body)?;
            }
            talk.send("done", &[], b"")?;
            talk.serve(|stanza| {
                if stanza.tag != "file-key" || stanza.args != ["0"] {
                    return false;
                }
                if stanza.body.len() == FILE_KEY_BYTES {
                    let body = &stanza.body;
                    found = Some(FileKey::init_with_mut(|key| key.copy_from_slice(body)));
                }
                true
            })
        };
        match converse(&*self.host, &self.name, "identity-v1", &mut talk) {
            Ok(()) => found.map(Ok),
            Err(message) => Some(Err(passphrase::failed(&message))),
        }
    }
}

/// Returns whether a stanza is one that age itself understands, or one that means nothing.
fn needs_no_plugin(tag: &str) -> bool {
    let native = ["X25519", "mlkem768x25519", "scrypt", "ssh-ed25519", "ssh-rsa"];
    native.contains(&tag) || tag.ends_with("-grease")
}

/// Returns whether a text can be a part of a program's name without meaning anything else.
fn is_name(name: &str) -> bool {
    let is_allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-._".contains(&byte);
    !name.is_empty() && name.bytes().all(is_allowed)
}

/// Starts a plugin and talks with it.
fn converse(
    host: &dyn Host,
    name: &str,
    machine: &str,
    talk: &mut dyn FnMut(&mut Conversation<'_>) -> Result<(), String>,
) -> Result<(), String> {
    let mut outcome = Ok(());
    let run = Run {
        program: &format!("age-plugin-{name}"),
        arguments: &[&format!("--age-plugin={machine}")],
        env: &[],
        input: &[],
    };
    host.converse(&run, &mut |output, input| {
        let reader = wire::Reader::new(input);
        outcome = talk(&mut Conversation { host, name, output, reader });
    })?;
    outcome.map_err(|reason| format!("the plugin `{name}` failed: {reason}"))
}

/// A conversation with a plugin that runs.
struct Conversation<'c> {
    host: &'c dyn Host,
    name: &'c str,
    output: &'c mut dyn Write,
    reader: wire::Reader<'c>,
}

impl Conversation<'_> {
    fn send(&mut self, tag: &str, args: &[&str], body: &[u8]) -> Result<(), String> {
        wire::write(self.output, tag, args, body).map_err(|error| error.to_string())
    }

    /// Answers what the plugin says until it is done. `take` gets what is the result, and returns
    /// whether it understood it.
    fn serve(&mut self, mut take: impl FnMut(&Stanza) -> bool) -> Result<(), String> {
        let mut errors = Vec::new();
        for _ in 0..MAX_STANZAS {
            let mut stanza = self.reader.stanza().map_err(|error| error.to_string())?;
            let text = |stanza: &Stanza| String::from_utf8_lossy(&stanza.body).into_owned();
            match &*stanza.tag {
                "done" if errors.is_empty() => return Ok(()),
                "done" => return Err(errors.join("; ")),
                "error" => {
                    errors.push(text(&stanza));
                    self.send("ok", &[], b"")?;
                }
                "msg" => {
                    self.host.tell(&format!("{}: {}", self.name, text(&stanza)));
                    self.send("ok", &[], b"")?;
                }
                "request-public" => self.ask(&text(&stanza), false)?,
                "request-secret" => self.ask(&text(&stanza), true)?,
                "confirm" => self.confirm(&text(&stanza), &stanza.args)?,
                _ if take(&stanza) => {
                    stanza.body.zeroize();
                    self.send("ok", &[], b"")?;
                }
                _ => self.send("unsupported", &[], b"")?,
            }
        }
        Err("it talks without end".to_owned())
    }

    fn ask(&mut self, text: &str, is_secret: bool) -> Result<(), String> {
        let text = format!("{}: {text}", self.name);
        match self.host.ask(&Question { text: &text, is_secret }) {
            Ok(answer) => self.send("ok", &[], &answer),
            Err(_) => self.send("fail", &[], b""),
        }
    }

    /// Asks a question that has two answers, whose words the plugin gives.
    fn confirm(&mut self, text: &str, words: &[String]) -> Result<(), String> {
        let word = |at: usize| {
            let word = BASE64_STANDARD_NO_PAD.decode(words.get(at)?).ok()?;
            String::from_utf8(word).ok()
        };
        let yes = word(0).unwrap_or_else(|| "yes".to_owned());
        let no = word(1).unwrap_or_else(|| "no".to_owned());
        let text = format!("{}: {text}\n  y: {yes}\n  n: {no}\n(y/n)", self.name);
        match self.host.ask(&Question { text: &text, is_secret: false }) {
            Ok(answer) if *answer == *b"y" => self.send("ok", &["yes"], b""),
            Ok(_) => self.send("ok", &["no"], b""),
            Err(_) => self.send("fail", &[], b""),
        }
    }
}
