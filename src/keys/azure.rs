//! Azure Key Vault.
//!
//! A key is an address: of the vault, with the name and the version of the key in it. Where a
//! version is missing, the newest is looked up when the key wraps, and is what the file gets; in a
//! rule, a key without a version stands for each of its versions.
//!
//! The address may come from a file, and whoever can write a file would like to have a token: a vault
//! outside of Azure's own domains, and not on this machine, is not called unless the user has named it.
//! What tokens are for is said by the vault, within its own domain ([`vault`]); they are asked for at
//! Microsoft, the machine and the user's programs ([`chain`]).

mod chain;
mod managed;
mod vault;

use std::fmt;
use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use ureq::http::Uri;
use zeroize::Zeroizing;

use self::vault::{Azure, Failure};
use super::bearer;
use super::{
    Credentials, FieldValue, Fields, FileServers, KeyCode, KeyError, MasterKey, NamedBy,
    is_loopback, text_field,
};
use crate::secret::SecretBytes;

/// The code of the kind.
pub(super) const CODE: KeyCode = KeyCode {
    split,
    from_fields: |fields, named_by| Arc::new(AzureKey::from_fields(&fields, named_by)),
    looked_in: |with| with.own::<Azure>().looked_in(),
    advice: "log in with `az login`, or set AZURE_TENANT_ID, AZURE_CLIENT_ID and \
             AZURE_CLIENT_SECRET of an identity that may use the key",
};

/// The version of the interface, which all of Azure's clouds have.
const VERSION: &str = "api-version=7.4";

/// The algorithm, as SOPS has it.
const ALGORITHM: &str = "RSA-OAEP-256";

/// Where Azure has vaults: what is in front of one of these names a vault.
const DOMAINS: &[&str] = &[
    ".vault.azure.net",
    ".vault.azure.cn",
    ".vault.usgovcloudapi.net",
    ".vault.microsoftazure.de",
    ".managedhsm.azure.net",
    ".managedhsm.azure.cn",
    ".managedhsm.usgovcloudapi.net",
];

/// A key in a vault.
struct AzureKey {
    /// The vault's address, as it was given.
    vault_url: String,
    name: String,
    /// The version; empty if that is to be looked up.
    version: String,
    identity: String,
    named_by: NamedBy,
    /// The version that was looked up, and the identity with it.
    newest: OnceLock<(String, String)>,
}

/// Takes `https://VAULT/keys/NAME/VERSION` apart. The version may be missing.
fn split(text: &str) -> Result<Fields, KeyError> {
    let wrong = || KeyError::NoKey {
        message: format!("could not parse \"{text}\" into a valid Azure Key Vault MasterKey"),
    };
    let (vault, path) = text.rsplit_once("/keys/").ok_or_else(wrong)?;
    let (name, version) = path.split_once('/').unwrap_or((path, ""));
    let fields = [("vault_url", vault), ("name", name), ("version", version)];
    let fields: Fields =
        fields.map(|(field, value)| (field.to_owned(), FieldValue::Text(value.to_owned()))).into();
    if AzureKey::from_fields(&fields, NamedBy::User).is_well_formed() {
        Ok(fields)
    } else {
        Err(wrong())
    }
}

impl AzureKey {
    fn from_fields(fields: &[(String, FieldValue)], named_by: NamedBy) -> AzureKey {
        let text = |name| text_field(fields, name).unwrap_or_default().to_owned();
        let (vault_url, name, version) = (text("vault_url"), text("name"), text("version"));
        let identity = identity(&vault_url, &name, &version);
        AzureKey { vault_url, name, version, identity, named_by, newest: OnceLock::new() }
    }

    fn is_well_formed(&self) -> bool {
        is_name(&self.name)
            && (self.version.is_empty() || is_name(&self.version))
            && self.authority().is_some()
    }

    /// Returns the vault's host, with the port if it has one, in lower case; `None` if the address
    /// has anything else in it.
    fn authority(&self) -> Option<String> {
        let vault = self.vault_url.strip_suffix('/').unwrap_or(&self.vault_url);
        let host = vault.strip_prefix("https://")?;
        let parsed: Uri = vault.parse().ok()?;
        let is_host = parsed.authority()?.as_str() == host && !host.contains('@');
        (is_host && parsed.host().is_some_and(|host| !host.is_empty()))
            .then(|| host.to_ascii_lowercase())
    }

    /// Returns the version, looked up if need be.
    fn version(&self) -> &str {
        self.newest.get().map_or(&self.version, |(version, _)| version)
    }

    /// Returns the vault's host.
    ///
    /// # Errors
    /// If it must not be called for this key.
    fn vault(&self, with: &Credentials) -> Result<String, Failure> {
        let wrong = || Failure::Other("the address of the vault is not one".to_owned());
        let authority = self.authority().filter(|_| self.is_well_formed()).ok_or_else(wrong)?;
        if self.needs_user() && *with.own::<FileServers>() == FileServers::NotAsked {
            return Err(Failure::Other(format!(
                "the vault at `{authority}` is in none of Azure's domains and named by the file \
                 alone, and was not called; name the key in the creation rule"
            )));
        }
        Ok(authority)
    }

    /// Looks the newest version of the key up, unless the key has a version.
    fn look_up(&self, with: &Credentials) -> Result<(), Failure> {
        #[derive(Deserialize)]
        struct Answer {
            key: Named,
        }

        if !self.version().is_empty() {
            return Ok(());
        }
        let url = format!("https://{}/keys/{}/?{VERSION}", self.vault(with)?, self.name);
        let answer = with.own::<Azure>().call("GET", &url, &[])?;
        let answer: Answer = bearer::read(&url, &answer).map_err(Failure::Other)?;
        let version = answer.key.version_of(&self.name).ok_or_else(|| {
            Failure::Other(format!("{url}: the answer has no version of the key"))
        })?;
        let identity = identity(&self.vault_url, &self.name, version);
        // Two threads that look it up find the same, or either will do.
        let _ = self.newest.set((version.to_owned(), identity));
        Ok(())
    }

    /// Has the vault do something with bytes.
    fn call(&self, method: &str, bytes: &[u8], with: &Credentials) -> Result<Done, Failure> {
        let (name, version) = (&self.name, self.version());
        let vault = self.vault(with)?;
        let url = format!("https://{vault}/keys/{name}/{version}/{method}?{VERSION}");
        let value = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(bytes));
        let mut body = SecretBytes::with_capacity(value.len() + 48);
        for piece in ["{\"alg\":\"", ALGORITHM, "\",\"value\":\"", &*value, "\"}"] {
            body.extend_from_slice(piece.as_bytes());
        }
        let answer = with.own::<Azure>().call("POST", &url, &body)?;
        bearer::read(&url, &answer).map_err(Failure::Other)
    }

    fn wrap_with(&self, key: &[u8], with: &Credentials) -> Result<String, String> {
        let azure = with.own::<Azure>();
        self.look_up(with).map_err(|failure| {
            let why = failure.message(&azure);
            format!("failed to fetch Azure Key to retrieve key version: {why}")
        })?;
        let done = self.call("encrypt", key, with).and_then(|done| {
            let wrapped = BASE64_URL_SAFE_NO_PAD.decode(&*done.value);
            wrapped.map_err(|_| Failure::Other("the answer is not one of a vault".to_owned()))?;
            Ok(done.value.to_string())
        });
        done.map_err(|failure| {
            let (identity, why) = (self.identity(), failure.message(&azure));
            format!("failed to encrypt sops data key with Azure Key Vault key '{identity}': {why}")
        })
    }
}

/// What the vault made.
#[derive(Deserialize)]
struct Done {
    value: Zeroizing<String>,
}

/// What a vault calls a key.
#[derive(Deserialize)]
struct Named {
    kid: String,
}

impl Named {
    /// Returns the version in `https://VAULT/keys/NAME/VERSION`, if it is one of that key.
    fn version_of(&self, name: &str) -> Option<&str> {
        let (_, path) = self.kid.rsplit_once("/keys/")?;
        let version = path.strip_prefix(name)?.strip_prefix('/')?;
        is_name(version).then_some(version)
    }
}

impl MasterKey for AzureKey {
    fn kind(&self) -> &str {
        super::foreign::AZURE_KV.name
    }

    fn identity(&self) -> &str {
        self.newest.get().map_or(&self.identity, |(_, identity)| identity)
    }

    fn needs_user(&self) -> bool {
        let authority = self.authority().unwrap_or_default();
        let host = authority.rsplit_once(':').map_or(&*authority, |(host, _)| host);
        let is_azure = DOMAINS.iter().any(|domain| host.ends_with(domain));
        self.named_by == NamedBy::File && !is_azure && !is_loopback(host)
    }

    fn wrap(&self, key: &[u8], with: &Credentials) -> Result<String, KeyError> {
        self.wrap_with(key, with).map_err(|message| KeyError::Wrap { message })
    }

    fn open(&self, wrapped: &str, with: &Credentials) -> Option<Result<SecretBytes, KeyError>> {
        let malformed = |what| Some(Err(KeyError::Malformed { what }));
        if self.version.is_empty() {
            return malformed("the entry does not say which version of the key it is for");
        }
        let Ok(ciphertext) = BASE64_URL_SAFE_NO_PAD.decode(wrapped) else {
            return malformed("the wrapped key is not base64url");
        };
        let opened = self.call("decrypt", &ciphertext, with).and_then(|done| {
            let part = BASE64_URL_SAFE_NO_PAD.decode(&*done.value);
            part.map_err(|_| Failure::Other("the answer is not one of a vault".to_owned()))
        });
        match opened {
            Ok(part) => Some(Ok(SecretBytes::from(part))),
            Err(Failure::Nothing) => None,
            Err(failure) => {
                let (identity, why) = (self.identity(), failure.message(&with.own::<Azure>()));
                let message = format!(
                    "failed to decrypt sops data key with Azure Key Vault key '{identity}': {why}"
                );
                Some(Err(KeyError::Unwrap { message }))
            }
        }
    }

    fn fields(&self) -> Fields {
        let fields =
            [("vault_url", &*self.vault_url), ("name", &self.name), ("version", self.version())];
        fields.map(|(name, value)| (name.to_owned(), FieldValue::Text(value.to_owned()))).into()
    }
}

impl fmt::Debug for AzureKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AzureKey({})", self.identity())
    }
}

/// Returns what a key is called. A slash at the end of the vault's address means nothing.
fn identity(vault_url: &str, name: &str, version: &str) -> String {
    let vault = vault_url.strip_suffix('/').unwrap_or(vault_url);
    format!("{vault}/keys/{name}/{version}")
}

/// Returns whether a text is the name of a key, or a version.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

#[cfg(test)]
mod tests;
