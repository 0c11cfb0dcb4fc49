//! The arguments of `groups`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::args::keys::{Group, KeyFlags};
use crate::cli::args::{AcceptArgs, InputTypeArgs, ServiceArgs};

/// What to do with the key groups of a file.
#[derive(Debug, Subcommand)]
pub enum GroupsCommand {
    /// Add a key group
    Add(Box<GroupsAddArgs>),
    /// Delete a key group
    Delete(Box<GroupsDeleteArgs>),
}

/// What both commands take.
#[derive(Debug, Args)]
pub struct GroupsArgs {
    /// The file
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// Replace the file [default: print the result]
    #[arg(short, long)]
    pub in_place: bool,

    /// How many key groups are needed to decrypt [default: as before; all of the first two]
    #[arg(long, value_name = "N")]
    pub shamir_secret_sharing_threshold: Option<usize>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub accepting: AcceptArgs,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub types: InputTypeArgs,
}

/// The arguments of `groups add`.
#[derive(Debug, Args)]
pub struct GroupsAddArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub services: ServiceArgs,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub groups: GroupsArgs,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub keys: KeyFlags<Group>,
}

/// The arguments of `groups delete`.
#[derive(Debug, Args)]
pub struct GroupsDeleteArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub services: ServiceArgs,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub groups: GroupsArgs,

    /// The number of the group, from 0
    #[arg(value_name = "INDEX")]
    pub index: usize,
}
