//! The plain text of a decrypted file, in the form that is asked for: its own, another format's,
//! or a text that sets variables.

use std::path::Path;

use crate::cli::args::{OutputType, PlainTypeArgs, VariableArgs};
use crate::cli::context::Context;
use crate::cli::error::{self, CliError};
use crate::cli::exit::Exit;
use crate::cli::io;
use crate::export::{Only, Reading, Source, Syntax, Variables, github_masks};
use crate::file::DecryptedFile;
use crate::format::{EmitError, FileFormat, Layout};
use crate::secret::SecretBytes;
use crate::tree::path::TreePath;
use crate::tree::{NodeKind, Tree};

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    types: &'a PlainTypeArgs,
    variables: &'a VariableArgs,
    extract: Option<&'a str>,
    mask: bool,
}

impl<'a> Request<'a> {
    /// Checks what is asked for.
    ///
    /// # Errors
    /// If arguments exclude each other.
    pub fn new(
        context: &Context,
        types: &'a PlainTypeArgs,
        variables: &'a VariableArgs,
    ) -> Result<Request<'a>, CliError> {
        let syntax = match types.output() {
            Some(OutputType::Variables(syntax)) => Some(syntax),
            Some(OutputType::Format(_)) | None => None,
        };
        if let Some(syntax) = syntax.filter(|_| !context.personality.writes_variables()) {
            let message = format!("there is no output type called `{}`", syntax.name());
            return Err(CliError::new(Exit::Generic, "output-type", message));
        }
        if syntax.is_none() && variables.are_given() {
            let message = "--flatten and --only choose variables, and files have none";
            let help = "give an --output-type of variables: shell, github, docker or systemd";
            return Err(CliError::new(Exit::Conflict, "conflict", message).help(help));
        }
        Ok(Request { types, variables, extract: None, mask: false })
    }

    /// Asks for the part of the file at a tree path alone.
    pub fn extracting(self, extract: Option<&'a str>) -> Request<'a> {
        Request { extract, ..self }
    }

    /// Asks for commands on standard error that hide the values in a job's log.
    ///
    /// # Errors
    /// If the output is not for GitHub.
    pub fn masking(self, mask: bool) -> Result<Request<'a>, CliError> {
        if mask && self.types.output() != Some(OutputType::Variables(Syntax::Github)) {
            let message = "--mask is for --output-type github";
            return Err(CliError::new(Exit::Conflict, "conflict", message));
        }
        Ok(Request { mask, ..self })
    }

    /// Returns whether the output is not a file that could be encrypted again.
    pub fn is_for_variables(&self) -> bool {
        matches!(self.types.output(), Some(OutputType::Variables(_)))
    }

    /// Returns what the output is to be; `None` for the file's own format, with its layout. As
    /// SOPS, `name` decides, not the input type.
    pub fn output(
        &self,
        context: &Context,
        name: &Path,
        file: &DecryptedFile,
    ) -> Option<OutputType> {
        let output = self.types.output().or_else(|| {
            (!context.personality.understands_names())
                .then(|| OutputType::Format(context.format_by_name(name)))
        });
        output.filter(|&output| output != OutputType::Format(file.format()))
    }

    /// Returns the text: the file's own where there is no `output`.
    ///
    /// # Errors
    /// If what is to be extracted is not there, or the output cannot hold it.
    pub fn text(
        &self,
        context: &Context,
        file: DecryptedFile,
        output: Option<OutputType>,
        path: &Path,
    ) -> Result<SecretBytes, CliError> {
        let wanted = self.wanted(context)?.filter(|wanted| !wanted.is_root());
        let format = match output {
            Some(OutputType::Variables(syntax)) => {
                let own = file.format();
                let tree = match wanted {
                    Some(wanted) => part(file, &wanted)?,
                    None => file.into_tree(),
                };
                return self.variables(context, &tree, own, syntax, path);
            }
            Some(OutputType::Format(format)) if format != file.format() => Some(format),
            Some(OutputType::Format(_)) | None => None,
        };
        let indent = &self.types.indent;
        let layout = indent.layout(format.unwrap_or(file.format()), None)?;
        if let Some(wanted) = wanted {
            let format = format.unwrap_or(file.format());
            return extracted(&part(file, &wanted)?, format, &layout, path);
        }
        let text = match format {
            Some(format) => file.emit(format, &layout),
            None if indent.is_given() => file.emit(file.format(), &layout),
            None => file.text(),
        };
        text.map_err(|failure| not_written(path, &failure, format))
    }

    fn wanted(&self, context: &Context) -> Result<Option<TreePath>, CliError> {
        let read = if context.personality.reads_short_tree_paths() {
            TreePath::parse
        } else {
            TreePath::parse_bracketed
        };
        Ok(self.extract.map(read).transpose()?)
    }

    fn variables(
        &self,
        context: &Context,
        tree: &Tree,
        format: &dyn FileFormat,
        syntax: Syntax,
        path: &Path,
    ) -> Result<SecretBytes, CliError> {
        let failed = |failure| error::export(Exit::Dump, &failure).in_file(path);
        let mut only = self.variables.only();
        let mut variables = Variables::default();
        let reading = reading(context, self.variables, format);
        variables.add(tree, &reading, &mut only).map_err(failed)?;
        all_found(&only)?;
        let text = syntax.write(&variables).map_err(failed)?;
        if self.mask {
            io::write_stderr(&github_masks(&variables))?;
        }
        Ok(text)
    }
}

/// Returns how a tree of a format becomes variables.
pub fn reading(context: &Context, arguments: &VariableArgs, format: &dyn FileFormat) -> Reading {
    let source = match format.name() {
        _ if !context.personality.exports_strictly() => Source::AsSops,
        "dotenv" => Source::Dotenv,
        "json" => Source::Json,
        _ => Source::Typed,
    };
    Reading { separator: arguments.flatten.clone(), source }
}

/// Checks that everything that was asked for by name was there.
///
/// # Errors
/// Otherwise: a program would run without what it needs.
pub fn all_found(only: &Only) -> Result<(), CliError> {
    match only.unused() {
        None => Ok(()),
        Some(pattern) => {
            let message = format!("no variable is called `{pattern}`, which --only asks for");
            Err(CliError::new(Exit::Generic, "only", message))
        }
    }
}

fn part(file: DecryptedFile, wanted: &TreePath) -> Result<Tree, CliError> {
    let tree = file.into_tree();
    let Some(root) = tree.documents().next() else {
        return Err(CliError::new(Exit::Generic, "tree-path", "the file has no document"));
    };
    let found = wanted.find(&tree, root)?;
    Ok(tree.into_subtree(found))
}

/// Writes a part of a file; a text is itself.
fn extracted(
    part: &Tree,
    format: &dyn FileFormat,
    layout: &Layout,
    path: &Path,
) -> Result<SecretBytes, CliError> {
    if let Some(root) = part.documents().next()
        && let NodeKind::Text(text) = part.node(root).kind
    {
        return Ok(SecretBytes::from(part.text(text)));
    }
    format.emit(part, layout).map_err(|error| {
        CliError::new(Exit::Dump, "format", format!("Error dumping tree: {error}")).in_file(path)
    })
}

fn not_written(path: &Path, failure: &EmitError, format: Option<&dyn FileFormat>) -> CliError {
    let report = error::emit(path, failure);
    match format {
        Some(format) if format.name() == "binary" => report.help(
            "This is likely not an encrypted binary file? If not, use --output-type to select the \
             correct output type.",
        ),
        _ => report,
    }
}
