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
    /// Merge three versions of a file, as git's merge driver
    #[command(hide = true)]
    Merge(MergeArgs),
}

/// The arguments of `git install`.
#[derive(Clone, Copy, Debug, Args)]
pub struct InstallArgs {
    /// Let the hook also look for copies of secrets in what is committed: `encfile scan --staged`
    #[arg(long)]
    pub scan: bool,

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

/// The arguments of `git merge`, as a merge driver gets them.
#[derive(Debug, Args)]
pub struct MergeArgs {
    /// The file with the common ancestor, which is empty if there is none
    #[arg(value_name = "BASE")]
    pub base: PathBuf,

    /// The file with our version, where the result goes
    #[arg(value_name = "OURS")]
    pub ours: PathBuf,

    /// The file with their version
    #[arg(value_name = "THEIRS")]
    pub theirs: PathBuf,

    /// What the file is called in the repository
    #[arg(value_name = "PATH")]
    pub path: Option<PathBuf>,
}
