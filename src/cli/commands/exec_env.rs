//! `exec-env`: a command with the values of files in its environment.

use std::path::{Path, PathBuf};

use crate::cli::ahead;
use crate::cli::args::ExecEnvArgs;
use crate::cli::context::Context;
use crate::cli::error::{self, CliError};
use crate::cli::execution::{self, Call, Way};
use crate::cli::exit::Exit;
use crate::cli::os;
use crate::cli::os::signals::Hold;
use crate::cli::output::{all_found, reading};
use crate::export::{ExportError, Variables};

/// The longest variable that Linux hands over: `NAME=value` and a NUL, 32 pages of 4 KiB.
const LONGEST: usize = if cfg!(target_os = "linux") { 128 * 1024 } else { usize::MAX };

/// Runs the command.
pub fn run(context: &Context, arguments: &ExecEnvArgs) -> Result<Exit, CliError> {
    let command = &arguments.command;
    if arguments.same_process && command.background {
        let message = "The --same-process flag cannot be used with --background";
        return Err(CliError::new(Exit::Conflict, "conflict", message));
    }
    let call = Call::new(context, command, !arguments.files.is_empty())?;
    execution::warn_of_background(context, command, "exec-env");
    let files = call.file.into_iter().chain(arguments.files.iter().map(AsRef::as_ref));
    let files: Vec<PathBuf> = files.map(Path::to_owned).collect();
    ahead::of_files(context, &files, command.order.decryption_order.as_deref(), None);
    let variables = variables(context, arguments, files.iter().map(AsRef::as_ref))?;
    let user = execution::switch_user(command)?;
    let mut process = call.command(context, command, arguments.pristine, user.as_ref(), None)?;
    for variable in variables.iter() {
        let Some(value) = os::os_string(variable.value.to_vec()) else {
            return Err(unfit(&variable.name, "is not UTF-8"));
        };
        if variable.name.len() + value.len() + "=\0".len() > LONGEST {
            return Err(unfit(&variable.name, "is longer than the system hands over, 128 KiB"));
        }
        process.env(&variable.name, value);
    }
    // What has been handed over is wiped here.
    drop(variables);
    let replace = arguments.same_process || context.personality.gives_its_process_away();
    if command.background {
        return execution::run(context, &mut process, Way::Background);
    }
    if replace {
        return execution::run(context, &mut process, Way::Replace);
    }
    let hold = Hold::new().map_err(|error| error::signals(&error))?;
    execution::run(context, &mut process, Way::Wait(&hold))
}

/// Reads the variables of files; the later wins.
fn variables<'a>(
    context: &Context,
    arguments: &ExecEnvArgs,
    files: impl Iterator<Item = &'a Path>,
) -> Result<Variables, CliError> {
    let mut only = arguments.variables.only();
    let mut variables = Variables::default();
    for path in files {
        let file = execution::opened(context, &arguments.command, path, None)?;
        let reading = reading(context, &arguments.variables, file.format());
        variables
            .add(file.tree(), &reading, &mut only)
            .map_err(|failure| error::export(Exit::Generic, &failure).in_file(path))?;
    }
    all_found(&only)?;
    Ok(variables)
}

fn unfit(name: &str, reason: &'static str) -> CliError {
    error::export(Exit::Generic, &ExportError::Value { name: name.to_owned(), reason })
}
