//! The arguments of `status`, `who` and `why`.

use std::path::PathBuf;

use clap::Args;

/// The arguments of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Files and directories [default: all that git does not ignore]
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,

    /// Print one JSON document, with the number of its version
    #[arg(long)]
    pub json: bool,
}

/// The arguments of `who` and of `why`.
#[derive(Debug, Args)]
pub struct AboutArgs {
    /// The files
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,

    /// Print one JSON document, with the number of its version
    #[arg(long)]
    pub json: bool,
}
