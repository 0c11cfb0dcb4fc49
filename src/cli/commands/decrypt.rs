//! `decrypt`: to standard output, to a file, or in place.

use std::path::{Path, PathBuf};

use crate::cli::ahead;
use crate::cli::args::{DecryptArgs, OutputType};
use crate::cli::commands::{both_outputs, checked_files, for_each};
use crate::cli::context::{Context, decryption_order};
use crate::cli::default_file::{self, Input};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::io::{self, Mode, Stamp};
use crate::cli::output::Request;
use crate::file::DecryptedFile;
use crate::format::dotenv;
use crate::secret::SecretBytes;

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
        files => {
            let order = arguments.opening.order.decryption_order.as_deref();
            if arguments.filename_override.is_none() {
                ahead::of_files(context, files, order, arguments.types.input());
            }
            for_each(context, files, |file| one(context, arguments, file))
        }
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
    let request = request(context, arguments)?;
    let file = opened(context, arguments, text, path)?;
    let output = arguments.types.output().unwrap_or(OutputType::Format(&dotenv::Dotenv));
    write_out(context, arguments, &request.text(context, file, Some(output), path)?)
}

fn from_stdin(context: &Context, arguments: &DecryptArgs) -> Result<Exit, CliError> {
    let request = request(context, arguments)?;
    let path = Path::new("-");
    let file = opened(context, arguments, io::read_stdin()?, path)?;
    let output = request.output(context, name(arguments, path), &file);
    write_out(context, arguments, &request.text(context, file, output, path)?)
}

fn one(context: &Context, arguments: &DecryptArgs, path: &Path) -> Result<(), CliError> {
    let request = request(context, arguments)?;
    let (text, stamp) = if arguments.in_place {
        let (text, stamp) = context.read_with_stamp(path)?;
        (text, Some(stamp))
    } else {
        (context.read(path)?, None)
    };
    let file = opened(context, arguments, text, path)?;
    let output = request.output(context, name(arguments, path), &file);
    let text = request.text(context, file, output, path)?;
    if let Some(stamp) = stamp {
        return write_in_place(context, path, &text, &stamp);
    }
    write_out(context, arguments, &text).map(|_| ())
}

fn request<'a>(context: &Context, arguments: &'a DecryptArgs) -> Result<Request<'a>, CliError> {
    let request = Request::new(context, &arguments.types, &arguments.variables)?
        .extracting(arguments.extract.as_deref())
        .masking(arguments.mask)?;
    if arguments.in_place && request.is_for_variables() {
        let message = "a text that sets variables cannot take the place of the file";
        return Err(CliError::new(Exit::Conflict, "conflict", message)
            .help("write it somewhere else with --output"));
    }
    Ok(request)
}

/// Returns the name that tells the format.
fn name<'a>(arguments: &'a DecryptArgs, path: &'a Path) -> &'a Path {
    arguments.filename_override.as_deref().unwrap_or(path)
}

fn opened(
    context: &Context,
    arguments: &DecryptArgs,
    text: SecretBytes,
    path: &Path,
) -> Result<DecryptedFile, CliError> {
    let order =
        decryption_order(context.personality, arguments.opening.order.decryption_order.as_deref())?;
    let name = name(arguments, path);
    let file = context.parse_encrypted(text, path, name, arguments.types.input())?;
    Ok(context.open(file, (path, name), arguments.opening.ignore_mac, &order)?.0)
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
