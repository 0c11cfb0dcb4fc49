//! The arguments of `encrypt`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::args::{KeyArgs, RuleArgs, ServiceArgs, TypeArgs, WriteArgs};

/// The arguments of `encrypt`.
#[derive(Debug, Default, Args)]
pub struct EncryptArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub services: ServiceArgs,

    /// The files [default: standard input, with --filename-override]
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub writing: WriteArgs,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub types: TypeArgs,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub keys: KeyArgs,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub rule: RuleArgs,

    /// Treat the file as if it were called this: for its format and its creation rule
    #[arg(long, value_name = "NAME")]
    pub filename_override: Option<PathBuf>,

    /// Make a new data key although --output is encrypted already
    #[arg(long)]
    pub new_data_key: bool,

    /// Encrypt although the rule covers none of the file's values
    #[arg(long)]
    pub allow_unencrypted: bool,
}
