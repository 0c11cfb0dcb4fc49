//! The command line: arguments, terminal, files, processes. Everything below it is a library
//! that prints nothing and reads no environment.

pub mod ahead;
pub mod args;
pub mod audit;
pub mod change;
pub mod commands;
pub mod config_file;
pub mod configs;
pub mod context;
pub mod creation_rule;
pub mod default_file;
#[cfg(feature = "publish")]
pub mod destination_rule;
pub mod editing;
pub mod editor;
pub mod env;
pub mod error;
pub mod execution;
pub mod exit;
pub mod git;
pub mod io;
pub mod machine;
pub mod merging;
pub mod os;
pub mod output;
pub mod personality;
pub mod recipients;
pub mod rekey;
pub mod report;
pub mod services;
pub mod targets;
pub mod ui;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, FromArgMatches as _};

use crate::cli::args::{Cli, Command, GroupsCommand, ServiceArgs};
use crate::cli::commands::completion;
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
    match start(ui, personality) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            ui.line(failure.render(personality));
            failure.exit().into()
        }
    }
}

fn start(ui: Ui, personality: Personality) -> Result<Exit, CliError> {
    let mut command = Cli::command();
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if let Some(shell) = env::completing_shell() {
        return completion::complete(command, &shell, arguments, personality);
    }
    if personality.answers_scripts_of_sops()
        && let Some((last, words)) = arguments.split_last()
        && last == completion::SOPS_REQUEST
    {
        return completion::complete_as_sops(&command, words);
    }
    let arguments = args::normalise(&command, arguments, personality)?;
    for warning in &arguments.warnings {
        ui.warn(warning);
    }
    let matches = command.try_get_matches_from_mut(arguments.arguments);
    match matches.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => {
            let hardened = os::harden();
            run(&cli, personality, hardened)
        }
        Err(message) => Ok(usage(ui, personality, &message)),
    }
}

fn run(cli: &Cli, personality: Personality, hardened: Hardened) -> Result<Exit, CliError> {
    let config = cli.config.as_deref().filter(|path| !path.as_os_str().is_empty());
    let context = Context::new(personality, config.map(Path::to_path_buf), hardened)?;
    if let Some(config) = config
        && !matches!(cli.command, Command::Completion(_) | Command::Man(_))
    {
        config_file::check_named(&context, config)?;
    }
    let of_env = ServiceArgs::of_env(&context.env);
    let services = match &cli.command {
        Command::Encrypt(arguments) => &arguments.services,
        Command::Decrypt(arguments) => &arguments.services,
        Command::Edit(arguments) => &arguments.services,
        Command::Set(arguments) => &arguments.services,
        Command::Unset(arguments) => &arguments.services,
        Command::Rotate(arguments) => &arguments.services,
        Command::Updatekeys(arguments) => &arguments.services,
        Command::Groups(GroupsCommand::Add(arguments)) => &arguments.services,
        Command::Groups(GroupsCommand::Delete(arguments)) => &arguments.services,
        Command::Publish(arguments) => &arguments.services,
        Command::ExecEnv(arguments) => &arguments.services,
        Command::ExecFile(arguments) => &arguments.services,
        Command::Check(_)
        | Command::Scan(_)
        | Command::Diff(_)
        | Command::Mergetool(_)
        | Command::Repair(_)
        | Command::Git(_) => &of_env,
        // They use no key.
        _ => &ServiceArgs::default(),
    };
    let context = context.with_services(services)?;
    match &cli.command {
        Command::Encrypt(arguments) => commands::encrypt::run(&context, config, arguments),
        Command::Decrypt(arguments) => commands::decrypt::run(&context, config, arguments),
        Command::Edit(arguments) => commands::edit::run(&context, config, arguments),
        Command::Set(arguments) => commands::set::set(&context, config, arguments),
        Command::Unset(arguments) => commands::set::unset(&context, arguments),
        Command::Rotate(arguments) => commands::rotate::run(&context, config, arguments),
        Command::Updatekeys(arguments) => commands::updatekeys::run(&context, config, arguments),
        Command::Groups(GroupsCommand::Add(arguments)) => {
            commands::groups::add(&context, config, arguments)
        }
        Command::Groups(GroupsCommand::Delete(arguments)) => {
            commands::groups::delete(&context, config, arguments)
        }
        #[cfg(feature = "publish")]
        Command::Publish(arguments) => {
            commands::publish::run(&context, config, arguments, cli.verbose)
        }
        #[cfg(not(feature = "publish"))]
        Command::Publish(_) => {
            let message = "publishing is not built into this version of encfile";
            Err(CliError::new(Exit::Generic, "publish", message))
        }
        Command::ExecEnv(arguments) => commands::exec_env::run(&context, arguments),
        Command::ExecFile(arguments) => commands::exec_file::run(&context, arguments),
        Command::Check(arguments) => commands::check::run(&context, config, arguments),
        Command::Scan(arguments) => commands::scan::run(&context, arguments),
        Command::Status(arguments) => commands::status::status(&context, config, arguments),
        Command::Who(arguments) => commands::status::who(&context, arguments),
        Command::Why(arguments) => commands::why::run(&context, config, arguments),
        Command::Diff(arguments) => commands::diff::run(&context, arguments),
        Command::Mergetool(arguments) => commands::mergetool::run(&context, arguments),
        Command::Repair(arguments) => commands::repair::run(&context, arguments),
        #[cfg(feature = "keyservice")]
        Command::Keyservice(arguments) => {
            commands::keyservice::run(&context, arguments, cli.verbose)
        }
        #[cfg(all(feature = "keyservice", unix))]
        Command::Agent(arguments) => commands::agent::run(&context, arguments),
        Command::Git(arguments) => commands::git::run(&context, config, arguments),
        Command::Filestatus(arguments) => commands::filestatus::run(&context, arguments),
        Command::Completion(arguments) => commands::completion::run(&context, arguments),
        Command::Man(arguments) => commands::man::run(&context, arguments),
    }
}

/// Shows help, the version, or what is wrong with the arguments.
fn usage(ui: Ui, personality: Personality, message: &clap::Error) -> Exit {
    let text = match message.kind() {
        ErrorKind::DisplayHelp => message.render().to_string(),
        ErrorKind::DisplayVersion => {
            format!("{} {}\n", personality.program(), personality.version())
        }
        _ => {
            ui.line(message.render().to_string().trim_end());
            return Exit::Generic;
        }
    };
    match io::write_stdout(text.as_bytes()) {
        Ok(()) => Exit::Success,
        Err(_) => Exit::Output,
    }
}
