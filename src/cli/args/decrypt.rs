//! The arguments of `decrypt`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::args::{OpenArgs, PlainTypeArgs, ServiceArgs, VariableArgs};

/// The arguments of `decrypt`.
#[derive(Debug, Args)]
pub struct DecryptArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub services: ServiceArgs,

    /// The files; `-` is standard input [default: what `ENCFILE_FILE` or `default_file` in the config
    /// names, standard input, or the one encrypted dotenv file of the directory]
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Replace the files by their plain text
    #[arg(short, long)]
    pub in_place: bool,

    /// Write to this file, which only its owner may read
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Print the part at this tree path: `["a"][0]` or `a[0]`
    #[arg(long, value_name = "PATH")]
    pub extract: Option<String>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub types: PlainTypeArgs,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub variables: VariableArgs,

    /// With `--output-type github`: hide the values in the job's log, by commands on standard error
    #[arg(long)]
    pub mask: bool,

    /// Treat the file as if it were called this, for its format
    #[arg(long, value_name = "NAME")]
    pub filename_override: Option<PathBuf>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub opening: OpenArgs,
}
