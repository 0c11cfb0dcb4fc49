//! `filestatus`: whether a file is encrypted, for programs.

use crate::cli::args::FileStatusArgs;
use crate::cli::commands::no_file;
use crate::cli::context::Context;
use crate::cli::error::{self, CliError};
use crate::cli::exit::Exit;
use crate::cli::io;
use crate::file::{EncryptedFile, FileError};

/// Runs the command.
pub fn run(context: &Context, arguments: &FileStatusArgs) -> Result<Exit, CliError> {
    let path = match &arguments.files[..] {
        [] => return Err(no_file()),
        [path, others @ ..] => {
            if !others.is_empty() && context.personality.takes_several_files() {
                let message = "the status is that of one file";
                return Err(CliError::new(Exit::Conflict, "several-files", message));
            }
            path
        }
    };
    let failed = |failure: CliError| {
        failure.during("cannot check file status: cannot load encrypted file", Exit::Generic)
    };
    let text = context.read(path).map_err(failed)?;
    let given = arguments.types.input();
    let format = context.format_of_encrypted(&text, path, given);
    let unknown = given.is_none() && format.container().is_some();
    let encrypted = match EncryptedFile::parse(format, text) {
        Ok(file) => {
            let metadata = file.metadata();
            metadata.mac.as_ref().is_some_and(|mac| !mac.is_empty()) && !metadata.version.is_empty()
        }
        Err(FileError::NotEncrypted) => false,
        // Without a name that says so, it is just not JSON.
        Err(FileError::Syntax(_)) if unknown && context.personality.understands_names() => false,
        Err(failure) => return Err(failed(error::decrypt(path, failure, &context.credentials))),
    };
    io::write_stdout(format!("{{\"encrypted\":{encrypted}}}\n").as_bytes())?;
    Ok(Exit::Success)
}
