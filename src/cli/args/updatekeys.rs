//! The arguments of `updatekeys`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::args::{InputTypeArgs, OpenArgs, ServiceArgs};

/// The arguments of `updatekeys`.
#[derive(Debug, Args)]
pub struct UpdatekeysArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub services: ServiceArgs,

    /// The files
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,

    /// Make a new data key, also where nobody is removed
    #[arg(long, conflicts_with = "no_rotate")]
    pub rotate: bool,

    /// Keep the data key, also where a recipient is removed who may know it
    #[arg(long)]
    pub no_rotate: bool,

    /// How many key groups are needed to decrypt [default: as the creation rule says]
    #[arg(long, value_name = "N")]
    pub shamir_secret_sharing_threshold: Option<usize>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub types: InputTypeArgs,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub opening: OpenArgs,
}
