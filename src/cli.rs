//! The command line: arguments, terminal, files, processes. Everything below it is a library
//! that prints nothing and reads no environment.

pub mod args;
pub mod change;
pub mod commands;
pub mod context;
pub mod creation_rule;
pub mod default_file;
pub mod editor;
pub mod env;
pub mod error;
pub mod execution;
pub mod exit;
pub mod git;
pub mod io;
pub mod machine;
pub mod os;
pub mod output;
pub mod personality;
pub mod rekey;
pub mod ui;

use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;

use crate::cli::args::{Cli, Command, GroupsCommand, ServiceArgs};
use crate::cli::commands::{
    check, decrypt, edit, encrypt, exec_env, exec_file, groups, rotate, updatekeys,
};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::os::Hardened;
use crate::cli::personality::Personality;
use crate::cli::ui::Ui;

/// Runs the program.
pub fn main() -> ExitCode {
    let personality = Personality::of(os::argv0_name().as_deref());
    let ui = Ui::new(personality);
    let arguments = args::normalise(std::env::args_os().collect(), personality);
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(message) => return usage(ui, &message).into(),
    };
    let hardened = os::harden();
    match run(&cli, personality, hardened) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            ui.line(failure.render(personality));
            failure.exit().into()
        }
    }
}

fn run(cli: &Cli, personality: Personality, hardened: Hardened) -> Result<Exit, CliError> {
    let config = cli.config.as_deref().filter(|path| !path.as_os_str().is_empty());
    let context = Context::new(personality, config.map(Path::to_path_buf), hardened)?;
    let services = match &cli.command {
        Command::Encrypt(arguments) => Some(&arguments.services),
        Command::Decrypt(arguments) => Some(&arguments.services),
        Command::Edit(arguments) => Some(&arguments.services),
        Command::Rotate(arguments) => Some(&arguments.services),
        Command::Updatekeys(arguments) => Some(&arguments.services),
        Command::Groups(GroupsCommand::Add(arguments)) => Some(&arguments.services),
        Command::Groups(GroupsCommand::Delete(arguments)) => Some(&arguments.services),
        Command::ExecEnv(arguments) => Some(&arguments.services),
        Command::ExecFile(arguments) => Some(&arguments.services),
        Command::Check(_) | Command::Git(_) => None,
    };
    if services.is_some_and(ServiceArgs::is_foreign) {
        let message = "key services are not built into this version of encfile";
        return Err(CliError::new(Exit::Generic, "keyservice", message));
    }
    match &cli.command {
        Command::Encrypt(arguments) => encrypt::run(&context, config, arguments),
        Command::Decrypt(arguments) => decrypt::run(&context, config, arguments),
        Command::Edit(arguments) => edit::run(&context, config, arguments),
        Command::Rotate(arguments) => rotate::run(&context, config, arguments),
        Command::Updatekeys(arguments) => updatekeys::run(&context, config, arguments),
        Command::Groups(GroupsCommand::Add(arguments)) => groups::add(&context, config, arguments),
        Command::Groups(GroupsCommand::Delete(arguments)) => {
            groups::delete(&context, config, arguments)
        }
        Command::ExecEnv(arguments) => exec_env::run(&context, arguments),
        Command::ExecFile(arguments) => exec_file::run(&context, arguments),
        Command::Check(arguments) => check::run(&context, config, arguments),
        Command::Git(arguments) => commands::git::run(&context, config, arguments),
    }
}

/// Shows help, the version, or what is wrong with the arguments.
fn usage(ui: Ui, message: &clap::Error) -> Exit {
    match message.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            match io::write_stdout(message.render().to_string().as_bytes()) {
                Ok(()) => Exit::Success,
                Err(_) => Exit::Output,
            }
        }
        _ => {
            ui.line(message.render().to_string().trim_end());
            Exit::Generic
        }
    }
}
