//! How files are read and written.

use clap::Args;
use clap::builder::PossibleValuesParser;

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

fn formats() -> PossibleValuesParser {
    PossibleValuesParser::new(FORMATS.iter().map(|format| format.name()))
}
