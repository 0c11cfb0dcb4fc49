//! `decrypt`: to standard output, to a file, or in place.

use std::path::{Path, PathBuf};

use crate::cli::args::DecryptArgs;
use crate::cli::commands::{both_outputs, checked_files, for_each};
use crate::cli::context::{Context, decryption_order};
use crate::cli::default_file::{self, Input};
use crate::cli::error::{self, CliError};
use crate::cli::exit::Exit;
use crate::cli::io::{self, Mode, Stamp};
use crate::file::DecryptedFile;
use crate::format::{FileFormat, Layout, dotenv};
use crate::secret::SecretBytes;
use crate::tree::NodeKind;
use crate::tree::path::TreePath;

/// Runs the command.
pub fn run(
    context: &Context,
    config: Option<&Path>,
    arguments: &DecryptArgs,
) -> Result<Exit, CliError> {
    if arguments.in_place && arguments.output.is_some() {
        return Err(both_outputs());
    }
    if arguments.in_place
        && arguments.extract.is_some()
        && context.personality.takes_several_files()
    {
        let message = "a part of a file cannot take the place of the file";
        return Err(CliError::new(Exit::Conflict, "conflict", message)
            .help("write it somewhere else with --output"));
    }
    let files = checked_files(context, &arguments.files, Some(arguments.in_place))?;
    match &files[..] {
        [] => without_file(context, config, arguments),
        [file] if file.as_os_str() == "-" && context.personality.finds_default_file() => {
            from_stdin(context, arguments)
        }
        files => for_each(context, files, |file| one(context, arguments, file)),
    }
}

fn without_file(
    context: &Context,
    config: Option<&Path>,
    arguments: &DecryptArgs,
) -> Result<Exit, CliError> {
    if arguments.in_place {
        let message = "cannot use --in-place when reading from stdin";
        return Err(CliError::new(Exit::Conflict, "conflict", message));
    }
    if !context.personality.finds_default_file() {
        return from_stdin(context, arguments);
    }
    match default_file::find(context, config)? {
        Input::File(file) => {
            let text = context.read(&file)?;
            output_dotenv(context, arguments, text, &file)
        }
        Input::Stdin => output_dotenv(context, arguments, io::read_stdin()?, Path::new("-")),
    }
}

/// Without a file, the output is dotenv unless another type is given.
fn output_dotenv(
    context: &Context,
    arguments: &DecryptArgs,
    text: SecretBytes,
    path: &Path,
) -> Result<Exit, CliError> {
    let file = opened(context, arguments, text, path)?;
    let format = arguments.types.output().unwrap_or(&dotenv::Dotenv);
    write_out(context, arguments, &plain_text(context, arguments, file, Some(format), path)?)
}

fn from_stdin(context: &Context, arguments: &DecryptArgs) -> Result<Exit, CliError> {
    let path = Path::new("-");
    let file = opened(context, arguments, io::read_stdin()?, path)?;
    let format = output_format(context, arguments, path, &file);
    write_out(context, arguments, &plain_text(context, arguments, file, format, path)?)
}

fn one(context: &Context, arguments: &DecryptArgs, path: &Path) -> Result<(), CliError> {
    let (text, stamp) = if arguments.in_place {
        let (text, stamp) = context.read_with_stamp(path)?;
        (text, Some(stamp))
    } else {
        (context.read(path)?, None)
    };
    let file = opened(context, arguments, text, path)?;
    let format = output_format(context, arguments, path, &file);
    let text = plain_text(context, arguments, file, format, path)?;
    if let Some(stamp) = stamp {
        return write_in_place(context, path, &text, &stamp);
    }
    write_out(context, arguments, &text).map(|_| ())
}

fn opened(
    context: &Context,
    arguments: &DecryptArgs,
    text: SecretBytes,
    path: &Path,
) -> Result<DecryptedFile, CliError> {
    let order =
        decryption_order(context.personality, arguments.opening.decryption_order.as_deref())?;
    let name = arguments.filename_override.as_deref().unwrap_or(path);
    let file = context.parse_encrypted(text, path, name, arguments.types.input())?;
    Ok(context.open(file, path, arguments.opening.ignore_mac, &order)?.0)
}

/// Returns the format to print in; `None` for the file's own, with its layout. As SOPS, the name
/// decides, not the input type.
fn output_format(
    context: &Context,
    arguments: &DecryptArgs,
    path: &Path,
    file: &DecryptedFile,
) -> Option<&'static dyn FileFormat> {
    let name = arguments.filename_override.as_deref().unwrap_or(path);
    let format = arguments.types.output().or_else(|| {
        (!context.personality.understands_names()).then(|| context.format_by_name(name))
    })?;
    (format != file.format()).then_some(format)
}

/// Returns the text to print: the file's own where the format is its own.
fn plain_text(
    context: &Context,
    arguments: &DecryptArgs,
    file: DecryptedFile,
    format: Option<&'static dyn FileFormat>,
    path: &Path,
) -> Result<SecretBytes, CliError> {
    let format = format.filter(|&format| format != file.format());
    let layout = Layout { indent: arguments.types.indent, ..Layout::default() };
    let read = if context.personality.reads_short_tree_paths() {
        TreePath::parse
    } else {
        TreePath::parse_bracketed
    };
    let wanted = arguments.extract.as_deref().map(read).transpose()?;
    if let Some(wanted) = wanted.filter(|wanted| !wanted.is_root()) {
        let format = format.unwrap_or(file.format());
        let tree = file.into_tree();
        let Some(root) = tree.documents().next() else {
            return Err(CliError::new(Exit::Generic, "tree-path", "the file has no document"));
        };
        let found = wanted.find(&tree, root)?;
        if let NodeKind::Text(text) = tree.node(found).kind {
            return Ok(SecretBytes::from(tree.text(text)));
        }
        let part = tree.into_subtree(found);
        return format.emit(&part, &layout).map_err(|error| {
            CliError::new(Exit::Dump, "format", format!("Error dumping tree: {error}"))
                .in_file(path)
        });
    }
    let text = match format {
        Some(format) => file.emit(format, &layout),
        None if arguments.types.indent.is_some() => file.emit(file.format(), &layout),
        None => file.text(),
    };
    text.map_err(|failure| {
        let report = error::emit(path, &failure);
        match format {
            Some(format) if format.name() == "binary" => report.help(
                "This is likely not an encrypted binary file? If not, use --output-type to \
                 select the correct output type.",
            ),
            _ => report,
        }
    })
}

fn write_in_place(
    context: &Context,
    path: &Path,
    text: &[u8],
    stamp: &Stamp,
) -> Result<(), CliError> {
    let target: PathBuf = context.env.absolute(path);
    context.tell(&io::write_atomic_if_unchanged(&target, text, Mode::Private, stamp)?);
    Ok(())
}

fn write_out(context: &Context, arguments: &DecryptArgs, text: &[u8]) -> Result<Exit, CliError> {
    match &arguments.output {
        Some(output) => context.tell(&io::write_atomic(output, text, Mode::Private)?),
        None => io::write_stdout(text)?,
    }
    Ok(Exit::Success)
}
