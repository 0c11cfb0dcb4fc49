//! The arguments of `exec-file`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::args::{CommandArgs, PlainTypeArgs, ServiceArgs, VariableArgs};

/// The arguments of `exec-file`.
#[derive(Debug, Args)]
pub struct ExecFileArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub services: ServiceArgs,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub command: CommandArgs,

    /// Use a file in memory: for commands that do not read it from its beginning to its end
    #[arg(long)]
    pub no_fifo: bool,

    /// The name of the FIFO or file
    #[arg(long, value_name = "NAME")]
    pub filename: Option<PathBuf>,

    /// Let the command take the place of this program, and inherit a file that has no name but
    /// `/proc/self/fd/N` (Linux): nothing is left of it even if everything is killed
    #[arg(long)]
    pub same_process: bool,

    /// Write the file of --no-fifo to a disk if there is no place in memory
    #[arg(long)]
    pub allow_disk: bool,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub types: PlainTypeArgs,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub variables: VariableArgs,
}
