//! The arguments of `filestatus`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::args::InputTypeArgs;

/// The arguments of `filestatus`.
#[derive(Debug, Args)]
pub struct FileStatusArgs {
    /// The file
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub types: InputTypeArgs,
}
