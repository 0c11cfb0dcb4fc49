//! The arguments of `exec-env`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::args::{CommandArgs, ServiceArgs, VariableArgs};

/// The arguments of `exec-env`.
#[derive(Debug, Args)]
pub struct ExecEnvArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub services: ServiceArgs,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub command: CommandArgs,

    /// Another file; of equal names, that in the later file counts
    #[arg(short, long = "file", value_name = "FILE")]
    pub files: Vec<PathBuf>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub variables: VariableArgs,

    /// Let the command have no other variables than those of the files
    #[arg(long)]
    pub pristine: bool,

    /// Let the command take the place of this program: the default, but as `sops`
    #[arg(long)]
    pub same_process: bool,
}
