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

/// A place where identities may be found.
pub enum Source {
    /// The identities themselves, separated by white space: `SOPS_AGE_KEY`.
    Text {
        /// What the source is called in messages.
        name: String,
        /// One identity a word; lines that start with `#` are skipped.
        text: SecretBytes,
    },
    /// A file with one identity a line.
    File {
        /// What the source is called in messages.
        name: String,
        /// The file.
        path: PathBuf,
        /// Whether it is fine for the file not to exist.
        optional: bool,
    },
    /// A program that prints identities. It is asked last, once for each recipient.
    Command {
        /// What the source is called in messages.
        name: String,
        /// The command line.
        command: String,
    },
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
        /// Identities.
        identities: usize,
        /// The numbers of lines that are no identity, with the reason.
        unusable: Vec<(usize, &'static str)>,
    },
    /// There is no such file.
    Missing,
    /// It could not be read or run.
    Failed(String),
}

impl Source {
    /// Returns the places that SOPS looks in, in their order.
    pub fn of_host(host: &dyn Host) -> Vec<Source> {
        let mut sources = Vec::new();
        if let Some(text) = host.variable(KEY) {
            let text = SecretBytes::from(text.into_encoded_bytes());
            sources.push(Source::Text { name: KEY.to_owned(), text });
        }
        if let Some(path) = path(host, KEY_FILE) {
            let name = format!("{KEY_FILE} ({})", path.display());
            sources.push(Source::File { name, path, optional: false });
        }
        if let Some(directory) = config_directory(host) {
            let path = directory.join("sops").join("age").join("keys.txt");
            let name = path.display().to_string();
            sources.push(Source::File { name, path, optional: true });
        }
        if let Some(command) = path(host, KEY_CMD).and_then(|text| text.to_str().map(str::to_owned))
        {
            sources.push(Source::Command { name: KEY_CMD.to_owned(), command });
        }
        sources
    }
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
