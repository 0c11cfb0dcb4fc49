//! SSH keys as age recipients and identities: `ssh-ed25519` and `ssh-rsa`.

use std::sync::{Arc, OnceLock};

use age::ssh::ParseRecipientKeyError;
use age::{DecryptError, ssh};
use age_core::format::{FileKey, Stanza};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use sha2::{Digest as _, Sha256};

use super::passphrase;
use crate::keys::Host;
use crate::secret::SecretBytes;

/// Reads a line of an `authorized_keys` file.
pub(super) fn parse_recipient(text: &str) -> Result<ssh::Recipient, String> {
    text.parse().map_err(|error| match error {
        ParseRecipientKeyError::RsaModulusTooLarge => "the RSA key is too large".to_owned(),
        ParseRecipientKeyError::RsaModulusTooSmall => {
            "the RSA key is too weak: it has fewer than 2048 bits".to_owned()
        }
        ParseRecipientKeyError::Unsupported(kind) => {
            format!("keys of the type {kind} cannot encrypt")
        }
        ParseRecipientKeyError::Ignore => "keys of this type cannot encrypt".to_owned(),
        ParseRecipientKeyError::Invalid(reason) => reason.to_owned(),
    })
}

/// An SSH private key. One with a passphrase asks for it when a file is for it, once.
pub(super) struct Identity {
    key: ssh::Identity,
    /// What the key is called when the passphrase is asked for.
    name: String,
    /// The public key; `None` if it is not known, so that every stanza may be for it.
    public: Option<Vec<u8>>,
    host: Arc<dyn Host>,
    opened: OnceLock<Result<ssh::Identity, String>>,
}

impl Identity {
    /// Reads a private key.
    pub(super) fn parse(
        text: &[u8],
        name: &str,
        host: &Arc<dyn Host>,
    ) -> Result<Identity, &'static str> {
        let key = ssh::Identity::from_buffer(text, Some(name.to_owned()))
            .map_err(|_| "not an SSH private key")?;
        if let ssh::Identity::Unsupported(reason) = &key {
            return Err(unsupported(reason));
        }
        Ok(Identity {
            public: public_key(text),
            key,
            name: name.to_owned(),
            host: Arc::clone(host),
            opened: OnceLock::new(),
        })
    }

    /// Returns the recipient, where it is known.
    pub(super) fn recipient(&self) -> Option<String> {
        let public = self.public.as_ref()?;
        let length = usize::try_from(u32::from_be_bytes(public.get(..4)?.try_into().ok()?)).ok()?;
        let kind = std::str::from_utf8(public.get(4..)?.get(..length)?).ok()?;
        Some(format!("{kind} {}", BASE64_STANDARD.encode(public)))
    }

    /// Returns whether a stanza may be for this key: it names four bytes of the public key's hash.
    fn is_addressed(&self, stanza: &Stanza) -> bool {
        let Some(public) = &self.public else { return true };
        let tag = BASE64_STANDARD_NO_PAD.encode(&Sha256::digest(public)[..4]);
        stanza.args.first() == Some(&tag)
    }

    fn open(&self, key: &ssh::EncryptedKey) -> Result<ssh::Identity, String> {
        let question = format!("Enter passphrase for \"{}\":", self.name);
        let passphrase = passphrase::ask(&*self.host, &question)?;
        let key = key.decrypt(passphrase).map_err(|_| "incorrect passphrase".to_owned())?;
        Ok(ssh::Identity::Unencrypted(key))
    }
}

impl age::Identity for Identity {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        if !stanza.tag.starts_with("ssh-") || !self.is_addressed(stanza) {
            return None;
        }
        let ssh::Identity::Encrypted(encrypted) = &self.key else {
            return self.key.unwrap_stanza(stanza);
        };
        match self.opened.get_or_init(|| self.open(encrypted)) {
            Ok(key) => key.unwrap_stanza(stanza),
            Err(reason) => Some(Err(passphrase::failed(&format!("{}: {reason}", self.name)))),
        }
    }
}

fn unsupported(key: &ssh::UnsupportedKey) -> &'static str {
    match key {
        ssh::UnsupportedKey::EncryptedPem => {
            "a PEM key with a passphrase; `ssh-keygen -p -f FILE` puts it into OpenSSH's format"
        }
        ssh::UnsupportedKey::EncryptedSsh(_) => "encrypted with a cipher that is not known",
        ssh::UnsupportedKey::Hardware(_) => "a key on a hardware token, which age cannot use",
        ssh::UnsupportedKey::Type(_) => "age can use ssh-ed25519 and ssh-rsa keys only",
    }
}

/// Returns the public key in a private key of OpenSSH's format, where it stands in clear:
/// a magic text, the cipher, the KDF, its options, the number of keys, the public key.
fn public_key(text: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok()?;
    let (_, body) = text.split_once("-----BEGIN OPENSSH PRIVATE KEY-----")?;
    let (body, _) = body.split_once("-----END")?;
    let body = SecretBytes::from(body.split_ascii_whitespace().collect::<String>().into_bytes());
    let private = SecretBytes::from(BASE64_STANDARD.decode(&*body).ok()?);
    let mut rest = private.strip_prefix(b"openssh-key-v1\0")?;
    for _ in 0..3 {
        string(&mut rest)?;
    }
    rest = rest.get(4..)?;
    string(&mut rest).map(<[u8]>::to_vec)
}

/// Takes a text with its length in front.
fn string<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let length = u32::from_be_bytes(rest.get(..4)?.try_into().ok()?);
    let (text, behind) = rest.get(4..)?.split_at_checked(usize::try_from(length).ok()?)?;
    *rest = behind;
    Some(text)
}
