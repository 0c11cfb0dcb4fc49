//! `man`: the manual pages, made from the same descriptions as `--help`.

use clap::CommandFactory as _;
use clap_mangen::Man;

use crate::cli::args::{Cli, ManArgs};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::io::{self, Mode};

/// Runs the command.
pub fn run(context: &Context, arguments: &ManArgs) -> Result<Exit, CliError> {
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    let Some(directory) = &arguments.directory else {
        io::write_stdout(&page(program)?)?;
        return Ok(Exit::Success);
    };
    // The pages of commands have the names that `man` looks for: `encfile-decrypt`.
    let mut commands = vec![program];
    while let Some(command) = commands.pop() {
        commands.extend(command.get_subcommands().filter(|sub| !sub.is_hide_set()).cloned());
        let name = command.get_display_name().unwrap_or(command.get_name());
        let path = context.env.absolute(&directory.join(format!("{name}.1")));
        context.tell(&io::write_atomic(&path, &page(command)?, Mode::Keep)?);
    }
    Ok(Exit::Success)
}

fn page(command: clap::Command) -> Result<Vec<u8>, CliError> {
    let mut page = Vec::new();
    Man::new(command).render(&mut page).map_err(|error| {
        CliError::new(Exit::Output, "man", format!("the manual page cannot be made: {error}"))
    })?;
    Ok(page)
}
