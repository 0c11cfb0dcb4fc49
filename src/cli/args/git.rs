//! The arguments of `git`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// The arguments of `git`.
#[derive(Debug, Args)]
pub struct GitArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: GitCommand,
}

/// The commands that have to do with git.
#[derive(Debug, Subcommand)]
pub enum GitCommand {
    /// Set up the repository: a hook that checks commits, readable diffs, and merges of values
    Install(InstallArgs),
    /// Print the plain text of a file for `git diff`, or what can be shown without a key
    #[command(hide = true)]
    Textconv(TextconvArgs),
}

/// The arguments of `git install`.
#[derive(Clone, Copy, Debug, Args)]
pub struct InstallArgs {
    /// Take everything away again
    #[arg(long)]
    pub uninstall: bool,

    /// Only say what would be done
    #[arg(long)]
    pub dry_run: bool,
}

/// The arguments of `git textconv`.
#[derive(Debug, Args)]
pub struct TextconvArgs {
    /// The file, as git calls the program
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}
