//! The arguments of `mergetool`.

use std::path::PathBuf;

use clap::Args;

/// The arguments of `mergetool`.
#[derive(Debug, Args)]
pub struct MergetoolArgs {
    /// The files with conflicts
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
}
