//! The arguments of `rotate`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::args::keys::{Add, KeyFlags, Remove};
use crate::cli::args::{OpenArgs, ServiceArgs, TypeArgs, WriteArgs};

/// The arguments of `rotate`.
#[derive(Debug, Args)]
pub struct RotateArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub services: ServiceArgs,

    /// The files
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub writing: WriteArgs,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub add: KeyFlags<Add>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub remove: KeyFlags<Remove>,

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

/// Whether a file may be weaker than its creation rule.
#[derive(Debug, Args)]
pub struct AcceptArgs {
    /// Accept recipients that are in the file and not in its creation rule, a lower threshold, and
    /// a rule that covers less
    #[arg(long)]
    pub accept_recipients: bool,
}
