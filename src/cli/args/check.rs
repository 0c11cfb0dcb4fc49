//! The arguments of `check`.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};

use crate::check::Code;
use crate::cli::args::OpenArgs;

/// The arguments of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Files and directories [default: every file that git tracks]
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,

    /// Check what is staged for the next commit, with the config as it is staged
    #[arg(long, conflicts_with = "rev")]
    pub staged: bool,

    /// Check the files that these commits change, as they are at the end, with that config
    #[arg(long, value_name = "A..B")]
    pub rev: Option<String>,

    /// Decrypt too: does every value authenticate, and is the MAC right?
    #[arg(long)]
    pub verify: bool,

    /// Encrypt the plain files that are found
    #[arg(long, conflicts_with_all = ["staged", "rev"])]
    pub fix: bool,

    /// How findings are shown
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    pub format: ReportFormat,

    /// Leave out findings with this code
    #[arg(long, value_name = "CODE", value_parser = codes(), value_delimiter = ',')]
    pub allow: Vec<String>,

    /// Fail on findings with this code, also if they are warnings
    #[arg(long, value_name = "CODE", value_parser = codes(), value_delimiter = ',')]
    pub deny: Vec<String>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub opening: OpenArgs,
}

/// How findings are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For people.
    Text,
    /// One JSON document, with the number of its version.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// Workflow commands of GitHub Actions, which show them beside the lines.
    Github,
}

fn codes() -> PossibleValuesParser {
    PossibleValuesParser::new(Code::ALL.iter().map(|code| code.name()))
}
