//! How files are read and written.

use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::export::Syntax;
use crate::format::{FORMATS, FileFormat, Layout, by_name};

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

/// How new text is indented.
#[derive(Debug, Default, Args)]
pub struct IndentArgs {
    /// Spaces a level in new text; -1: a tab, in JSON
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        value_parser = clap::value_parser!(i32).range(-1..=64)
    )]
    indent: Option<i32>,
}

impl IndentArgs {
    /// Returns whether an indentation is asked for.
    pub fn is_given(&self) -> bool {
        self.indent.is_some()
    }

    /// Returns the layout of new text in `format`; `default` is the indentation where none is asked
    /// for.
    ///
    /// # Errors
    /// If the format has no tabs.
    pub fn layout(
        &self,
        format: &dyn FileFormat,
        default: Option<u32>,
    ) -> Result<Layout, CliError> {
        let indent = match self.indent {
            Some(negative @ ..=-1) if format.name() == "yaml" => {
                let message = "Error dumping file: YAML Negative indentation not accepted";
                return Err(CliError::new(Exit::Dump, "indent", message)
                    .help(format!("`--indent {negative}` is a tab, which YAML does not know")));
            }
            Some(asked) => u32::try_from(asked).ok(),
            None => default,
        };
        Ok(Layout { indent, ..Layout::default() })
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

    /// How new text is indented.
    #[command(flatten)]
    pub indent: IndentArgs,
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

    /// How new text is indented.
    #[command(flatten)]
    pub indent: IndentArgs,
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
