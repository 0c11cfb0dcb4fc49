//! How files are opened.

use clap::Args;

use crate::cli::env;

/// How files are opened.
#[derive(Debug, Args)]
pub struct OpenArgs {
    /// Decrypt whatever the MAC says: changes of the file are not noticed
    #[arg(long)]
    pub ignore_mac: bool,

    /// The kinds of keys to try first, separated by commas [default: age,pgp]
    #[arg(long, value_name = "KINDS", env = env::DECRYPTION_ORDER, hide_env_values = true)]
    pub decryption_order: Option<String>,
}
