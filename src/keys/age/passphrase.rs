//! Identity files with a passphrase: age files themselves, whose text is identities.

use std::io::{self, Read as _};
use std::sync::{Arc, OnceLock};

use age::armor::ArmoredReader;
use age::secrecy::SecretString;
use age::{DecryptError, scrypt};
use age_core::format::{FileKey, Stanza};

use super::gpg_agent::{self, CacheId, Failure};
use super::identity::{self, Identity};
use super::sources::MAX_FILE;
use crate::keys::{Host, Question};
use crate::secret::SecretBytes;

/// The largest work factor that is accepted, as in age: more takes minutes and gigabytes.
const MAX_WORK_FACTOR: u8 = 22;

/// Returns whether a text is an age file, armored or not.
pub(super) fn is_encrypted(text: &[u8]) -> bool {
    text.starts_with(b"age-encryption") || text.starts_with(b"-----BEGIN AGE")
}

/// Asks for a passphrase.
pub(super) fn ask(host: &dyn Host, question: &str) -> Result<SecretString, String> {
    let answer = host
        .ask(&Question { text: question, is_secret: true })
        .map_err(|reason| format!("could not read passphrase: {reason}"))?;
    text_of(&answer)
}

fn text_of(answer: &[u8]) -> Result<SecretString, String> {
    let text = std::str::from_utf8(answer).map_err(|_| "the passphrase is not UTF-8".to_owned())?;
    Ok(SecretString::from(text.to_owned()))
}

/// Returns the error of an identity that could not be used.
pub(super) fn failed(message: &str) -> DecryptError {
    DecryptError::Io(io::Error::other(message.to_owned()))
}

/// An identity file with a passphrase, which is asked for when nothing else fits, once.
pub(super) struct EncryptedFile {
    name: String,
    text: SecretBytes,
    host: Arc<dyn Host>,
    opened: OnceLock<Result<Vec<Identity>, String>>,
}

impl EncryptedFile {
    /// Takes the text of a file.
    pub(super) fn new(name: &str, text: &[u8], host: &Arc<dyn Host>) -> EncryptedFile {
        let (text, host) = (SecretBytes::from(text), Arc::clone(host));
        EncryptedFile { name: name.to_owned(), text, host, opened: OnceLock::new() }
    }

    fn open(&self) -> Result<Vec<Identity>, String> {
        let damaged = |error: DecryptError| error.to_string();
        let decryptor = age::Decryptor::new(ArmoredReader::new(&*self.text)).map_err(damaged)?;
        if !decryptor.is_scrypt() {
            return Err("it is encrypted, but not with a passphrase".to_owned());
        }
        let question = format!("Enter passphrase for identity '{}':", self.name);
        let id = CacheId::of_content(&self.text);
        let mut key = scrypt::Identity::new(self.passphrase(&id, &question)?);
        key.set_max_work_factor(MAX_WORK_FACTOR);
        let stream =
            decryptor.decrypt(std::iter::once(&key as &dyn age::Identity)).map_err(|error| {
                match error {
                    DecryptError::DecryptionFailed | DecryptError::NoMatchingKeys => {
                        gpg_agent::forget(&*self.host, &id);
                        "incorrect passphrase".to_owned()
                    }
                    error => error.to_string(),
                }
            })?;
        let mut text = SecretBytes::new();
        io::copy(&mut stream.take(MAX_FILE as u64), &mut text)
            .map_err(|error| error.to_string())?;
        if is_encrypted(&text) {
            return Err("there is another encrypted file in it".to_owned());
        }
        let lines = identity::read_lines(&text, &self.name, &self.host);
        if lines.identities.is_empty() {
            return Err("there is no identity in it".to_owned());
        }
        Ok(lines.identities)
    }

    /// Asks gpg-agent, if that is there to be asked, and then at the terminal; whoever has told the
    /// agent no is not asked again.
    fn passphrase(&self, id: &CacheId, question: &str) -> Result<SecretString, String> {
        let failed = |why: &str| format!("gpg-agent passphrase request errored: {why}");
        match gpg_agent::passphrase(&*self.host, id, question) {
            Ok(answer) => text_of(&answer),
            Err(Failure::NoAgent) => ask(&*self.host, question),
            Err(Failure::Cancelled) => {
                Err(format!("could not read passphrase: {}", failed("it was cancelled")))
            }
            Err(Failure::Other(why)) => {
                ask(&*self.host, question).map_err(|reason| format!("{reason}; {}", failed(&why)))
            }
        }
    }
}

impl age::Identity for EncryptedFile {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        self.unwrap_stanzas(std::slice::from_ref(stanza))
    }

    fn unwrap_stanzas(&self, stanzas: &[Stanza]) -> Option<Result<FileKey, DecryptError>> {
        match self.opened.get_or_init(|| self.open()) {
            Ok(identities) => {
                identities.iter().find_map(|identity| identity.key.unwrap_stanzas(stanzas))
            }
            Err(reason) => Some(Err(failed(&format!(
                "failed to decrypt identity file '{}': {reason}",
                self.name
            )))),
        }
    }
}
