//! `exec-file`: a command with the path of a decrypted file.

use std::ffi::OsStr;
use std::io;
use std::path::{Component, Path};

use crate::cli::args::ExecFileArgs;
use crate::cli::context::Context;
use crate::cli::error::{self, CliError};
use crate::cli::execution::{self, Call, Way};
use crate::cli::exit::Exit;
use crate::cli::os::handover::Handover;
use crate::cli::os::private_dir::{PrivateDir, private_dir};
use crate::cli::os::signals::Hold;
use crate::cli::output::Request;
use crate::secret::SecretBytes;

/// The name of the FIFO or file, as SOPS has it.
const NAME: &str = "tmp-file";

/// Runs the command.
pub fn run(context: &Context, arguments: &ExecFileArgs) -> Result<Exit, CliError> {
    let command = &arguments.command;
    // Where nobody is left who could remove anything.
    let inherits = arguments.same_process || command.background;
    if arguments.same_process && command.background {
        let message = "The --same-process flag cannot be used with --background";
        return Err(CliError::new(Exit::Conflict, "conflict", message));
    }
    if inherits && arguments.filename.is_some() {
        let message = "with --same-process or --background the file has no name";
        return Err(CliError::new(Exit::Conflict, "conflict", message)
            .help("leave --filename out, or let encfile wait for the command"));
    }
    let name = file_name(arguments.filename.as_deref())?;
    let call = Call::new(context, command, false)?;
    execution::warn_of_background(context, command, "exec-file");
    let request = Request::new(context, &arguments.types, &arguments.variables)?;
    let path = call.file.ok_or_else(execution::no_command)?;
    let file = execution::opened(context, command, path, arguments.types.input())?;
    let output = request.output(context, path, &file);
    let text = request.text(context, file, output, path)?;
    let user = execution::switch_user(command)?;
    let process = |handover: &Handover| {
        call.command(context, command, false, user.as_ref(), Some(handover.path()))
    };

    if inherits {
        let handover = Handover::inherited(&text).map_err(|error| not_handed_over(&error))?;
        drop(text);
        let way = if command.background { Way::Background } else { Way::Replace };
        return execution::run(context, &mut process(&handover)?, way);
    }
    // First: no signal ends this process before everything is removed.
    let hold = Hold::new().map_err(|error| error::signals(&error))?;
    let handover = handed_over(context, arguments, name, text)?;
    execution::run(context, &mut process(&handover)?, Way::Wait(&hold))
}

/// Puts the text where the command finds it.
fn handed_over(
    context: &Context,
    arguments: &ExecFileArgs,
    name: &OsStr,
    text: SecretBytes,
) -> Result<Handover, CliError> {
    let runtime = context.env.path("XDG_RUNTIME_DIR");
    let directory = private_dir(runtime.as_deref(), &context.env.temporary_directory())?;
    let name = Path::new(name);
    // Only Unix has named pipes that are files.
    if cfg!(unix) && !arguments.no_fifo {
        return Handover::fifo(directory, name, text).map_err(|error| not_handed_over(&error));
    }
    check_place(context, arguments, &directory)?;
    Handover::file(directory, name, &text).map_err(|error| not_handed_over(&error))
}

/// Checks that plain text stays off disks.
fn check_place(
    context: &Context,
    arguments: &ExecFileArgs,
    directory: &PrivateDir,
) -> Result<(), CliError> {
    if !directory.on_disk() || arguments.allow_disk {
        return Ok(());
    }
    let message = "there is no memory-backed directory; the text would be on a disk";
    if context.personality.refuses_disks() {
        return Err(CliError::new(Exit::Output, "disk", message)
            .help("leave --no-fifo out, or allow it with --allow-disk"));
    }
    context.ui.warn(message);
    Ok(())
}

/// Returns the name of the file: one name, that stays in its directory.
fn file_name(asked: Option<&Path>) -> Result<&OsStr, CliError> {
    let Some(asked) = asked else {
        return Ok(OsStr::new(NAME));
    };
    let mut parts = asked.components();
    if let (Some(Component::Normal(name)), None) = (parts.next(), parts.next()) {
        return Ok(name);
    }
    let message = "The provided filename is not a local path.";
    Err(CliError::new(Exit::Generic, "filename", message).help("give a name without directories"))
}

fn not_handed_over(error: &io::Error) -> CliError {
    let message = format!("the text could not be handed over: {error}");
    CliError::new(Exit::Output, "private-file", message)
}
