//! A command to run, and how.

use std::ffi::OsString;

use clap::Args;

use crate::cli::args::OrderArgs;

/// A command to run, and how.
#[derive(Debug, Args)]
pub struct CommandArgs {
    /// The file, and the command for `/bin/sh`
    #[arg(value_name = "FILE|COMMAND", num_args = 0..)]
    pub words: Vec<OsString>,

    /// A program with its arguments, run without a shell
    #[arg(last = true, value_name = "PROGRAM")]
    pub program: Vec<OsString>,

    /// Do not wait for the command
    #[arg(long)]
    pub background: bool,

    /// Run the command as this user, with their groups
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,

    /// Let the command have the variables with keys for encrypted files: `SOPS_AGE_KEY` and its
    /// like, `VAULT_TOKEN`
    #[arg(long)]
    pub pass_keys: bool,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub order: OrderArgs,
}
