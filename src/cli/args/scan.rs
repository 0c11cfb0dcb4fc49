//! The arguments of `scan`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::RangedU64ValueParser;

use crate::cli::args::OpenArgs;
use crate::cli::args::check::ReportFormat;
use crate::scan::{DEFAULT_LENGTH, MIN_LENGTH};

/// The arguments of `scan`.
#[derive(Debug, Args)]
pub struct ScanArgs {
    /// Files and directories to search [default: all that git does not ignore]
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,

    /// Search what is staged for the next commit
    #[arg(long, conflicts_with = "rev")]
    pub staged: bool,

    /// Search the history: what these commits add. `HEAD` is all of it
    #[arg(long, value_name = "A..B")]
    pub rev: Option<String>,

    /// Leave out values that are shorter or easier to guess than N mixed characters: letters of a
    /// word count half
    #[arg(
        long,
        value_name = "N",
        default_value_t = DEFAULT_LENGTH,
        value_parser = RangedU64ValueParser::<usize>::new().range(MIN_LENGTH as u64..=1024)
    )]
    pub min_length: usize,

    /// How findings are shown
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    pub format: ReportFormat,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub opening: OpenArgs,
}
