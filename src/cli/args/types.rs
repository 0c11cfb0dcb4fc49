//! How files are read and written.

use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::export::Syntax;
use crate::format::{FORMATS, FileFormat, by_name};

/// How files are read.
#[derive(Debug, Default, Args)]
pub struct InputTypeArgs {
    /// The format of the input [default: by its name or content]
    #[arg(long, value_name = "TYPE", value_parser = formats())]
    input_type: Option<String>,
}

impl InputTypeArgs {
    /// Returns the format of the input, if it is given.
    pub fn input(&self) -> Option<&'static dyn FileFormat> {
        self.input_type.as_deref().and_then(by_name)
    }
}

/// How files are read and written.
#[derive(Debug, Default, Args)]
pub struct TypeArgs {
    #[command(flatten)]
    input: InputTypeArgs,

    /// The format of the output [default: that of the input]
    #[arg(long, value_name = "TYPE", value_parser = formats())]
    output_type: Option<String>,

    /// Spaces a level in new text
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=64))]
    pub indent: Option<u32>,
}

impl TypeArgs {
    /// Returns the format of the input, if it is given.
    pub fn input(&self) -> Option<&'static dyn FileFormat> {
        self.input.input()
    }

    /// Returns the format of the output, if it is given.
    pub fn output(&self) -> Option<&'static dyn FileFormat> {
        self.output_type.as_deref().and_then(by_name)
    }
}

/// How encrypted files are read, and their plain text is written.
#[derive(Debug, Args)]
pub struct PlainTypeArgs {
    #[command(flatten)]
    input: InputTypeArgs,

    /// The format of the output, or a text that sets variables: `shell`, `github` (`$GITHUB_ENV`),
    /// `docker` (`--env-file`), `systemd` (`EnvironmentFile=`) [default: that of the input]
    #[arg(long, value_name = "TYPE", value_parser = outputs())]
    output_type: Option<String>,

    /// Spaces a level in new text
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=64))]
    pub indent: Option<u32>,
}

/// What plain text is written as.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OutputType {
    /// A file of this format.
    Format(&'static dyn FileFormat),
    /// A text that sets variables.
    Variables(Syntax),
}

impl PlainTypeArgs {
    /// Returns the format of the input, if it is given.
    pub fn input(&self) -> Option<&'static dyn FileFormat> {
        self.input.input()
    }

    /// Returns what the output is to be, if it is given.
    pub fn output(&self) -> Option<OutputType> {
        let name = self.output_type.as_deref()?;
        let variables = || Syntax::by_name(name).map(OutputType::Variables);
        by_name(name).map(OutputType::Format).or_else(variables)
    }
}

fn format_names() -> impl Iterator<Item = &'static str> {
    FORMATS.iter().map(|format| format.name())
}

fn formats() -> PossibleValuesParser {
    PossibleValuesParser::new(format_names())
}

fn outputs() -> PossibleValuesParser {
    PossibleValuesParser::new(format_names().chain(Syntax::ALL.map(Syntax::name)))
}
