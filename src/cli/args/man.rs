//! The arguments of `man`.

use std::path::PathBuf;

use clap::Args;

/// The arguments of `man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// The directory for the pages, which must exist [default: the first page goes to standard
    /// output]
    #[arg(value_name = "DIR")]
    pub directory: Option<PathBuf>,
}
