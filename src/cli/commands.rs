//! The commands: each is its arguments and one straight line.

#[cfg(all(feature = "keyservice", unix))]
pub mod agent;
pub mod check;
pub mod completion;
pub mod decrypt;
pub mod diff;
pub mod edit;
pub mod encrypt;
pub mod exec_env;
pub mod exec_file;
pub mod filestatus;
pub mod git;
pub mod groups;
#[cfg(feature = "keyservice")]
pub mod keyservice;
pub mod man;
pub mod mergetool;
#[cfg(feature = "publish")]
pub mod publish;
pub mod repair;
pub mod rotate;
pub mod scan;
pub mod set;
pub mod status;
pub mod updatekeys;
pub mod why;

use std::io::{BufRead as _, Read as _};
use std::path::{Path, PathBuf};

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::io;

/// Runs `each` for every file; all are tried, and the first failure decides the exit code.
fn for_each(
    context: &Context,
    files: &[PathBuf],
    mut each: impl FnMut(&Path) -> Result<(), CliError>,
) -> Result<Exit, CliError> {
    let mut first = None;
    for file in files {
        if let Err(error) = each(file) {
            if files.len() == 1 {
                return Err(error);
            }
            context.ui.line(error.render(context.personality));
            first.get_or_insert(error.exit());
        }
    }
    Ok(first.unwrap_or(Exit::Success))
}

/// Checks the number of files: several need `--in-place`, where there is such a flag, and as SOPS
/// only the first counts.
fn checked_files(
    context: &Context,
    files: &[PathBuf],
    in_place: Option<bool>,
) -> Result<Vec<PathBuf>, CliError> {
    if files.len() > 1 && !context.personality.takes_several_files() {
        context
            .ui
            .warn("More than one positional argument provided. Only the first one will be used!");
        let looks_like_a_flag =
            |file: &&PathBuf| file.as_os_str().as_encoded_bytes().starts_with(b"-");
        if let Some(flag) = files[1..].iter().rfind(looks_like_a_flag) {
            context.ui.warn(format_args!(
                "Note that one of the ignored positional argument is \"{}\", which looks like a \
                 flag. Flags must always be provided before the first positional argument!",
                flag.display()
            ));
        }
        return Ok(files[..1].to_vec());
    }
    match in_place {
        _ if files.len() < 2 => {}
        Some(true) => {}
        Some(false) => {
            let message = "several files can only be replaced, not written to one place";
            return Err(CliError::new(Exit::Conflict, "several-files", message)
                .help("add -i to replace each of them"));
        }
        None => {
            let message = "one file can be edited at a time";
            return Err(CliError::new(Exit::Conflict, "several-files", message));
        }
    }
    Ok(files.to_vec())
}

fn both_outputs() -> CliError {
    let message = "cannot operate on both --output and --in-place";
    CliError::new(Exit::Conflict, "conflict", message)
}

fn no_file() -> CliError {
    CliError::new(Exit::NoFile, "no-file", "no file specified")
}

/// The longest answer that is read.
const LONGEST_ANSWER: u64 = 4096;

/// Asks until the answer is yes or no.
fn confirm(question: &str) -> Result<bool, CliError> {
    let answer = answer(|| Ok(io::write_stdout(question.as_bytes())?))?;
    answer.ok_or_else(|| {
        let message = "EOF: nobody answered, and nothing was changed";
        CliError::new(Exit::Generic, "no-answer", message)
            .help("to change files without being asked: --yes")
    })
}

/// Asks with `show`, and reads standard input, until the answer is yes or no; `None` if the input
/// ends.
fn answer(show: impl Fn() -> Result<(), CliError>) -> Result<Option<bool>, CliError> {
    let mut input = std::io::stdin().lock();
    loop {
        show()?;
        let mut answer = String::new();
        match (&mut input).take(LONGEST_ANSWER).read_line(&mut answer) {
            Ok(count) if count > 0 => {}
            _ => return Ok(None),
        }
        match answer.trim() {
            "y" => return Ok(Some(true)),
            "n" => return Ok(Some(false)),
            _ => {}
        }
    }
}
