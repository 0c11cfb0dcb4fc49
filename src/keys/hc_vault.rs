//! The transit engine of `HashiCorp` Vault and of `OpenBao`: the server wraps the data key.
//!
//! A key is `ADDRESS/v1/ENGINE/keys/NAME`; in a file its three parts are fields. Whoever writes a
//! file could choose the server that gets the user's token, so [`access`] decides whether one is
//! asked at all; [`client`] asks.

mod access;
mod client;
#[cfg(feature = "publish")]
mod server;
mod settings;

use std::fmt;
use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Credentials, FieldValue, Fields, KeyCode, KeyError, MasterKey, NamedBy, text_field};
use crate::secret::SecretBytes;

use self::access::{Access, Server};
use self::client::Operation;
#[cfg(feature = "publish")]
pub(crate) use self::server::VaultServer;

/// How keys of Vault are made and used.
pub(super) const CODE: KeyCode = KeyCode {
    split,
    from_fields: |fields, named_by| Arc::new(VaultKey::from_fields(&fields, named_by)),
    looked_in: |with| with.own::<Access>().looked_in(),
    advice: "log in to Vault (`vault login`), or set VAULT_TOKEN to a token that may use the key",
};

/// What may not stand in the path of a URL, or would end it there.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b',')
    .remove(b'/')
    .remove(b':')
    .remove(b';')
    .remove(b'=')
    .remove(b'@');

/// How the text of a key looks, for messages.
const EXAMPLE: &str = "https://vault.example.com:8200/v1/transit/keys/keyName";

/// A key of a transit engine. Its parts are kept as they stand in the file, whatever they are, and
/// understood when they are used.
struct VaultKey {
    address: String,
    engine: String,
    name: String,
    identity: String,
    named_by: NamedBy,
}

/// A key whose parts are as they should be.
struct Target {
    server: Server,
    engine: String,
    name: String,
}

impl VaultKey {
    fn from_fields(fields: &[(String, FieldValue)], named_by: NamedBy) -> VaultKey {
        let text = |name| text_field(fields, name).unwrap_or_default().to_owned();
        let (address, engine) = (text("vault_address"), text("engine_path"));
        let name = text("key_name");
        let identity = format!("{address}/v1/{engine}/keys/{name}");
        VaultKey { address, engine, name, identity, named_by }
    }

    fn target(&self) -> Result<Target, KeyError> {
        let no_key = |message| KeyError::NoKey { message };
        let server = Server::parse(&self.address).map_err(|reason| {
            no_key(format!("`{}` is no address of a Vault server: {reason}", self.address))
        })?;
        // A server may resolve `..`: the path would lead out of the engine.
        let is_segment = |segment: &str| !matches!(segment, "" | "." | "..");
        if !self.engine.split('/').all(is_segment) {
            let message = format!("`{}` is no path of a Vault transit engine", self.engine);
            return Err(no_key(message));
        }
        if !is_segment(&self.name) || self.name.contains('/') {
            return Err(no_key(format!("`{}` is no name of a Vault transit key", self.name)));
        }
        Ok(Target { server, engine: self.engine.clone(), name: self.name.clone() })
    }
}

impl Target {
    /// Returns what the server calls an operation with the key: `transit/encrypt/dev`.
    fn path(&self, operation: Operation) -> String {
        format!("{}/{}/{}", self.engine, operation.name(), self.name)
    }
}

impl MasterKey for VaultKey {
    fn kind(&self) -> &str {
        super::foreign::HC_VAULT.name
    }

    fn identity(&self) -> &str {
        &self.identity
    }

    fn check(&self) -> Result<(), KeyError> {
        self.target().map(drop)
    }

    fn needs_user(&self) -> bool {
        self.named_by == NamedBy::File
    }

    fn wrap(&self, key: &[u8], with: &Credentials) -> Result<String, KeyError> {
        let target = self.target()?;
        let path = target.path(Operation::Encrypt);
        let failed = |reason: String| KeyError::Wrap {
            message: format!(
                "failed to encrypt sops data key to Vault transit backend '{path}': {reason}"
            ),
        };
        let access = with.own::<Access>();
        let server = access.server(&target.server, self.named_by, with).map_err(failed)?;
        client::encrypt(&access, &server, &path, key).map_err(failed)
    }

    fn open(&self, wrapped: &str, with: &Credentials) -> Option<Result<SecretBytes, KeyError>> {
        let unwrap = || {
            let target = self.target()?;
            let path = target.path(Operation::Decrypt);
            let failed = |reason: String| KeyError::Unwrap {
                message: format!(
                    "failed to decrypt sops data key from Vault transit backend '{path}': {reason}"
                ),
            };
            let access = with.own::<Access>();
            let server = access.server(&target.server, self.named_by, with).map_err(failed)?;
            client::decrypt(&access, &server, &path, wrapped).map_err(failed)
        };
        Some(unwrap())
    }

    fn fields(&self) -> Fields {
        let field = |name: &str, text: &str| (name.to_owned(), FieldValue::Text(text.to_owned()));
        vec![
            field("vault_address", &self.address),
            field("engine_path", &self.engine),
            field("key_name", &self.name),
        ]
    }
}

impl fmt::Debug for VaultKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VaultKey({})", self.identity)
    }
}

/// Takes `https://host:8200/v1/transit/keys/name` apart.
fn split(text: &str) -> Result<Fields, KeyError> {
    let no_key = |message: String| KeyError::NoKey { message };
    let Some((scheme, rest)) = text.split_once("://").filter(|(scheme, _)| !scheme.is_empty())
    else {
        return Err(no_key(format!(
            "missing scheme in Vault URL (should be like this: {EXAMPLE}), got: {text}"
        )));
    };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let segments: Vec<&str> = path.strip_suffix('/').unwrap_or(path).split('/').collect();
    let (engine, name) = match &*segments {
        [version, engine @ .., "keys", name] if is_version(version) && !engine.is_empty() => {
            (engine.join("/"), *name)
        }
        [_, after @ ..] if after.iter().any(|segment| is_version(segment)) => {
            return Err(no_key(format!(
                "running Vault with a prefixed URL is not supported! (Format has to be like \
                 {EXAMPLE})"
            )));
        }
        _ => {
            return Err(no_key(format!(
                "vault path does not seem to be formatted correctly: (eg. {EXAMPLE})"
            )));
        }
    };
    let address = format!("{}://{host}", scheme.to_ascii_lowercase());
    let field = |name: &str, text: &str| (name.to_owned(), FieldValue::Text(text.to_owned()));
    let fields = vec![
        field("vault_address", &address),
        field("engine_path", &engine),
        field("key_name", name),
    ];
    Ok(fields)
}

/// Returns whether a segment of a path is a version of the API, `v1`. Requests use `v1` always.
fn is_version(segment: &str) -> bool {
    segment.strip_prefix('v').is_some_and(|number| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// Escapes the bytes of a path that may not stand in a URL, or would end the path there.
fn escaped(path: &str) -> String {
    utf8_percent_encode(path, ESCAPED).to_string()
}

#[cfg(test)]
mod tests;
