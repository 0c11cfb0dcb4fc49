//! How files are opened and written.

use std::path::PathBuf;

use clap::Args;

use crate::cli::env;

/// How files are opened.
#[derive(Debug, Args)]
pub struct OpenArgs {
    /// Decrypt whatever the MAC says: changes of the file are not noticed
    #[arg(long)]
    pub ignore_mac: bool,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub order: OrderArgs,
}

/// Which keys are tried first.
#[derive(Debug, Args)]
pub struct OrderArgs {
    /// The kinds of keys to try first, separated by commas [default: age,pgp]
    #[arg(long, value_name = "KINDS", env = env::DECRYPTION_ORDER, hide_env_values = true)]
    pub decryption_order: Option<String>,
}

/// Where encrypted files are written to.
#[derive(Debug, Default, Args)]
pub struct WriteArgs {
    /// Replace the files
    #[arg(short, long)]
    pub in_place: bool,

    /// Write to this file
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}
