//! `git`: what encfile does for git, and how a repository is told of it.

mod attributes;
mod hook;
mod install;
mod merge;
mod textconv;

use std::path::Path;

use crate::cli::args::git::{GitArgs, GitCommand};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;

/// Runs the command.
pub fn run(
    context: &Context,
    config: Option<&Path>,
    arguments: &GitArgs,
) -> Result<Exit, CliError> {
    match &arguments.command {
        GitCommand::Install(arguments) => install::run(context, config, *arguments),
        GitCommand::Merge(arguments) => merge::run(context, arguments),
        GitCommand::Textconv(arguments) => textconv::run(context, &arguments.file),
    }
}
