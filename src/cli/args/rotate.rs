//! The arguments of `rotate`.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use crate::cli::args::{OpenArgs, ServiceArgs, TypeArgs};
use crate::keys::{self, KeyError, MasterKey};

/// The arguments of `rotate`.
#[derive(Debug, Args)]
pub struct RotateArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub services: ServiceArgs,

    /// The files
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Replace the files
    #[arg(short, long)]
    pub in_place: bool,

    /// Write to this file
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Add age recipients, separated by commas, to the first key group
    #[arg(long, value_name = "RECIPIENTS")]
    add_age: Vec<String>,

    /// Remove age recipients, separated by commas, from all key groups
    #[arg(long, value_name = "RECIPIENTS")]
    rm_age: Vec<String>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub accepting: AcceptArgs,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub types: TypeArgs,

    /// Treat the file as if it were called this: for its format and its creation rule
    #[arg(long, value_name = "NAME")]
    pub filename_override: Option<PathBuf>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub opening: OpenArgs,
}

impl RotateArgs {
    /// Returns the keys to add.
    ///
    /// # Errors
    /// If a text does not name one.
    pub fn added(&self) -> Result<Vec<Arc<dyn MasterKey>>, KeyError> {
        keys_of(&self.add_age)
    }

    /// Returns the keys to remove.
    ///
    /// # Errors
    /// If a text does not name one.
    pub fn removed(&self) -> Result<Vec<Arc<dyn MasterKey>>, KeyError> {
        keys_of(&self.rm_age)
    }
}

/// Returns the keys that a flag names.
pub(super) fn keys_of(texts: &[String]) -> Result<Vec<Arc<dyn MasterKey>>, KeyError> {
    texts
        .iter()
        .filter(|text| !text.is_empty())
        .flat_map(|text| text.split(','))
        .map(|text| keys::parse("age", text))
        .collect()
}

/// Whether a file may be weaker than its creation rule.
#[derive(Debug, Args)]
pub struct AcceptArgs {
    /// Accept recipients that are in the file and not in its creation rule, a lower threshold, and
    /// a rule that covers less
    #[arg(long)]
    pub accept_recipients: bool,
}
