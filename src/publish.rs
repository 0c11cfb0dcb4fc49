//! Publishing: an encrypted file goes into a bucket as it is, and its values go to a Vault server.
//!
//! A [`Target`] is one file's place at the [`Destination`] of its rule. Which rule that is, whether
//! the file is encrypted anew first, and asking the user are not known here; how servers are asked,
//! and with which credentials, is known to the key services of the same providers.

mod vault;

use std::fmt;

use crate::config::Destination;
use crate::format::EmitError;
use crate::keys::{self, Credentials};

pub use self::vault::{Put, Secret};

/// Where a file goes.
#[derive(Debug)]
pub enum Target {
    /// An object in a bucket, which gets the encrypted file.
    Object(Object),
    /// A secret of a Vault server, which gets the decrypted values: keeping them is its purpose.
    Secret(Secret),
}

impl Target {
    /// Returns the place of the file called `name` at a destination. No server is asked.
    ///
    /// # Errors
    /// - If the rule has several destinations.
    /// - If there can be no such place, or its server must not be asked.
    pub fn new(
        destination: &Destination,
        name: &str,
        with: &Credentials,
    ) -> Result<Target, PublishError> {
        let object = |store, bucket: &str, prefix: &Option<String>| {
            let prefix = prefix.as_deref().unwrap_or_default();
            Target::Object(Object {
                store,
                bucket: bucket.to_owned(),
                name: format!("{prefix}{name}"),
            })
        };
        match destination {
            Destination::S3 { bucket, prefix } => Ok(object(Store::S3, bucket, prefix)),
            Destination::Gcs { bucket, prefix } => Ok(object(Store::Gcs, bucket, prefix)),
            Destination::Vault { path, address, mount, version } => {
                Secret::new(address.as_deref(), mount, path, *version, name, with)
                    .map(Target::Secret)
            }
            Destination::Several => Err(PublishError::Several),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Object(object) => object.fmt(f),
            Target::Secret(secret) => secret.fmt(f),
        }
    }
}

/// An object in a bucket.
#[derive(Debug)]
pub struct Object {
    store: Store,
    bucket: String,
    name: String,
}

#[derive(Clone, Copy, Debug)]
enum Store {
    S3,
    Gcs,
}

impl Object {
    /// Makes or replaces the object.
    ///
    /// # Errors
    /// If the service does not take it.
    pub fn put(&self, content: &[u8], with: &Credentials) -> Result<(), PublishError> {
        let put = match self.store {
            Store::S3 => keys::aws::upload,
            Store::Gcs => keys::gcp::upload,
        };
        put(&self.bucket, &self.name, content, with)
            .map_err(|why| PublishError::Refused { target: self.to_string(), why })
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.store {
            Store::S3 => "s3",
            Store::Gcs => "gcs",
        };
        write!(f, "{scheme}://{}/{}", self.bucket, self.name)
    }
}

/// Why a file is not published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The rule has several destinations.
    #[error(
        "error loading config: more than one destinations were found in a single destination rule, \
         you can only use one per rule"
    )]
    Several,
    /// The rule's server cannot be asked.
    #[error("{why}")]
    Server {
        /// Why not.
        why: String,
    },
    /// There can be no such place in a Vault server.
    #[error("`{path}` is no path of a secret in Vault")]
    Path {
        /// The path.
        path: String,
    },
    /// Vault has no form for the values.
    #[error("the file's values have no form in Vault: {0}")]
    Values(#[from] EmitError),
    /// The file is no map.
    #[error("the file's values have no form in Vault: they are not a map")]
    NoMap,
    /// The service did not take it.
    #[error("failed to publish to {target}: {why}")]
    Refused {
        /// The place.
        target: String,
        /// Why not.
        why: String,
    },
}
