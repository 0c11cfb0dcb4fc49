//! The arguments of `repair`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::env;

/// The arguments of `repair`.
#[derive(Debug, Args)]
pub struct RepairArgs {
    /// The files
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,

    /// Re-seal the files without asking
    #[arg(short, long)]
    pub yes: bool,

    /// Remove the values that do not authenticate; without this, a file with such values is refused
    #[arg(long)]
    pub drop_unreadable: bool,

    /// The kinds of keys to try first, separated by commas [default: age,pgp]
    #[arg(long, value_name = "KINDS", env = env::DECRYPTION_ORDER, hide_env_values = true)]
    pub decryption_order: Option<String>,
}
