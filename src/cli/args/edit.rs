//! The arguments of `edit`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::args::{AcceptArgs, KeyArgs, OpenArgs, RuleArgs, ServiceArgs, TypeArgs};

/// The arguments of `edit`.
#[derive(Debug, Args)]
pub struct EditArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub services: ServiceArgs,

    /// Show the metadata too, and let it be edited
    #[arg(short, long)]
    pub show_master_keys: bool,

    /// The file; only one
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub types: TypeArgs,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub keys: KeyArgs,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub rule: RuleArgs,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub opening: OpenArgs,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub accepting: AcceptArgs,

    /// Write a new file although the rule covers none of its values
    #[arg(long)]
    pub allow_unencrypted: bool,
}
