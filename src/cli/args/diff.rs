//! The arguments of `diff`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use crate::cli::args::OrderArgs;

/// The arguments of `diff`.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// What to compare: files, `REV:PATH`, `:PATH` (the index), `REV` or `REV..REV` [default: the
    /// work tree with the index]
    #[arg(value_name = "OLD [NEW]", num_args = 0..=2)]
    pub words: Vec<OsString>,

    /// Only these files
    #[arg(last = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,

    /// Compare what is staged, with the last commit
    #[arg(long, visible_alias = "cached")]
    pub staged: bool,

    /// Show which values changed, and no value
    #[arg(long)]
    pub redact: bool,

    /// Print JSON
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub order: OrderArgs,
}
