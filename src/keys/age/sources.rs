//! Where age identities come from, and what became of each place.

use std::fmt;
use std::path::PathBuf;

use crate::keys::Host;
use crate::secret::SecretBytes;

/// age identities.
const KEY: &str = "SOPS_AGE_KEY";
/// A file with age identities.
const KEY_FILE: &str = "SOPS_AGE_KEY_FILE";
/// A command that prints age identities.
const KEY_CMD: &str = "SOPS_AGE_KEY_CMD";
/// A file with an SSH private key.
const SSH_KEY_FILE: &str = "SOPS_AGE_SSH_PRIVATE_KEY_FILE";
/// A command that prints an SSH private key.
const SSH_KEY_CMD: &str = "SOPS_AGE_SSH_PRIVATE_KEY_CMD";

/// The most that is read of a file with identities, in bytes; age has the same limit.
pub(super) const MAX_FILE: usize = 16 << 20;

/// A place where identities may be found.
#[derive(Debug)]
pub struct Source {
    /// What the source is called in messages.
    pub name: String,
    /// Where they are.
    pub place: Place,
    /// What is there.
    pub content: Content,
}

/// Where a source is.
#[derive(Debug)]
pub enum Place {
    /// The text itself.
    Text(SecretBytes),
    /// A file.
    File {
        /// Its path.
        path: PathBuf,
        /// Whether it is fine for the file not to exist.
        optional: bool,
    },
    /// A command line whose program prints the text. It is asked after the others, once for each
    /// recipient.
    Command(String),
}

/// What a source holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// age identities, one a line, or an encrypted file of them.
    Lines,
    /// age identities, separated by white space; lines that start with `#` are skipped.
    Words,
    /// An SSH private key. It is not read unless a file is for SSH keys.
    SshKey,
}

impl Source {
    /// Returns a file with identities, which must exist.
    pub fn file(name: &str, path: impl Into<PathBuf>) -> Source {
        let place = Place::File { path: path.into(), optional: false };
        Source { name: name.to_owned(), place, content: Content::Lines }
    }

    /// Returns the places that SOPS looks in, in its order.
    pub fn of_host(host: &dyn Host) -> Vec<Source> {
        let ssh = Content::SshKey;
        let home = path(host, "HOME").map(|home| home.join(".ssh"));
        let of_user = |path: PathBuf, content| {
            let name = path.display().to_string();
            Source { name, place: Place::File { path, optional: true }, content }
        };
        let own_ssh = |name| home.as_ref().map(|directory| of_user(directory.join(name), ssh));
        let key = host.variable(KEY).map(|text| {
            let place = Place::Text(SecretBytes::from(text.into_encoded_bytes()));
            Source { name: KEY.to_owned(), place, content: Content::Words }
        });
        let key_file = config_directory(host)
            .map(|directory| of_user(directory.join("sops/age/keys.txt"), Content::Lines));
        let sources = [
            named_file(host, SSH_KEY_FILE, ssh),
            command(host, SSH_KEY_CMD, ssh),
            own_ssh("id_ed25519"),
            own_ssh("id_rsa"),
            key,
            named_file(host, KEY_FILE, Content::Lines),
            key_file,
            command(host, KEY_CMD, Content::Lines),
        ];
        sources.into_iter().flatten().collect()
    }
}

/// Returns the file that a variable names.
fn named_file(host: &dyn Host, variable: &str, content: Content) -> Option<Source> {
    let path = path(host, variable)?;
    let name = format!("{variable} ({})", path.display());
    Some(Source { name, place: Place::File { path, optional: false }, content })
}

/// Returns the command line that a variable holds.
fn command(host: &dyn Host, variable: &str, content: Content) -> Option<Source> {
    let command = path(host, variable)?.into_os_string().into_string().ok()?;
    Some(Source { name: variable.to_owned(), place: Place::Command(command), content })
}

/// Returns a variable that is not empty.
fn path(host: &dyn Host, name: &str) -> Option<PathBuf> {
    host.variable(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Returns the user's directory for configuration, as Go has it.
fn config_directory(host: &dyn Host) -> Option<PathBuf> {
    path(host, "XDG_CONFIG_HOME").filter(|path| path.is_absolute()).or_else(|| {
        if cfg!(windows) {
            return path(host, "AppData");
        }
        let home = path(host, "HOME")?;
        Some(if cfg!(target_os = "macos") {
            home.join("Library/Application Support")
        } else {
            home.join(".config")
        })
    })
}

/// What became of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceReport {
    /// What the source is called.
    pub name: String,
    /// What it gave.
    pub outcome: SourceOutcome,
}

/// What a source gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceOutcome {
    /// The number of identities that were read, and what was wrong with other lines.
    Loaded {
        /// Identities; a file with a passphrase counts as one.
        identities: usize,
        /// The numbers of lines that are no identity, with the reason.
        unusable: Vec<(usize, &'static str)>,
    },
    /// There is no such file.
    Missing,
    /// It could not be read or run.
    Failed(String),
}

impl fmt::Display for SourceReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match &self.outcome {
            SourceOutcome::Missing => write!(f, "{name}: no such file"),
            SourceOutcome::Failed(reason) => write!(f, "{name}: {reason}"),
            SourceOutcome::Loaded { identities, unusable } => {
                write!(f, "{name}: {identities} usable identities")?;
                for (number, reason) in unusable {
                    write!(f, "; line {number}: {reason}")?;
                }
                Ok(())
            }
        }
    }
}
