//! The arguments of `repair`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::args::OrderArgs;

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

    #[command(flatten)]
    #[allow(missing_docs)]
    pub order: OrderArgs,
}
