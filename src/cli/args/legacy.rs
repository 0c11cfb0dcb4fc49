//! SOPS' command line, turned into ours: commands that are flags (`-d FILE`), a file alone, and
//! flags as Go reads them.
//!
//! As `sops`, every argument is read by SOPS' rules and written anew, so that clap sees one form
//! only. As `encfile`, clap reads them, but for what would be an error otherwise and can mean one
//! thing only: `-d FILE`, `-in-place`, `--in-place=true`.

use std::ffi::{OsStr, OsString};

use clap::Command;

use crate::cli::args::go::{self, Flag, Flags, Given, Parsed, Place, Takes, Value};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::personality::Personality;

/// SOPS' commands. Those that are not built in are an error, and never the name of a file.
const SOPS_COMMANDS: &[&str] = &[
    "encrypt",
    "decrypt",
    "edit",
    "rotate",
    "set",
    "unset",
    "updatekeys",
    "groups",
    "exec-env",
    "exec-file",
    "publish",
    "keyservice",
    "filestatus",
    "completion",
    "help",
    "h",
];

/// The commands that are flags, in the order in which the last one counts.
const MODES: &[&str] = &["encrypt", "decrypt", "rotate", "set"];

/// Arguments for clap.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Normal {
    /// The arguments, with the name of the program.
    pub arguments: Vec<OsString>,
    /// What SOPS would warn of, or ignore without a word.
    pub warnings: Vec<String>,
}

/// Turns arguments into those of the commands of `program`.
///
/// # Errors
/// If they are none that SOPS would take.
pub fn normalise(
    program: &Command,
    arguments: Vec<OsString>,
    personality: Personality,
) -> Result<Normal, CliError> {
    let Some((name, rest)) = arguments.split_first() else {
        return Ok(Normal { arguments, warnings: Vec::new() });
    };
    let front = go::parse(rest, &root_flags(program), Place::Front);
    if personality.reads_flags_of_go() {
        let front = front.map_err(usage)?;
        return sops(program, name, front);
    }
    match front {
        Ok(front) if asks_for_a_mode(&front) && !names_a_command(program, &front) => {
            legacy(program, name, front)
        }
        _ => Ok(Normal { arguments: tolerated(program, name, rest), warnings: Vec::new() }),
    }
}

fn usage(message: String) -> CliError {
    CliError::new(Exit::Generic, "usage", message)
}

/// Returns the flags that may stand in front of a command, or without one.
fn root_flags(program: &Command) -> Flags<'_> {
    let with_modes = ["encrypt", "decrypt", "edit", "rotate"];
    let commands = with_modes.iter().filter_map(|name| program.find_subcommand(name));
    Flags {
        commands: std::iter::once(program).chain(commands).collect(),
        others: vec![
            Flag::new("help", Some('h'), Takes::Switch),
            Flag::new("encrypt", Some('e'), Takes::Switch),
            Flag::new("decrypt", Some('d'), Takes::Switch),
            Flag::new("rotate", Some('r'), Takes::Switch),
            Flag::new("set", None, Takes::Value),
        ],
    }
}

/// Returns the flags of a command.
fn command_flags<'c>(program: &'c Command, command: &'c Command) -> Flags<'c> {
    let help = Flag::new("help", Some('h'), Takes::Switch);
    Flags { commands: vec![command, program], others: vec![help] }
}

fn asks_for_a_mode(front: &Parsed) -> bool {
    MODES.iter().any(|mode| front.has(mode))
}

fn names_a_command(program: &Command, front: &Parsed) -> bool {
    front.positionals.first().is_some_and(|word| program.find_subcommand(word).is_some())
}

/// Reads everything as SOPS does.
fn sops(program: &Command, name: &OsStr, front: Parsed) -> Result<Normal, CliError> {
    if front.has("help") || front.has("version") {
        let flag = if front.has("help") { "--help" } else { "--version" };
        return Ok(Normal { arguments: vec![name.into(), flag.into()], warnings: Vec::new() });
    }
    let word = front.positionals.first().and_then(|word| word.to_str());
    let Some(word) = word.filter(|word| SOPS_COMMANDS.contains(word)) else {
        return legacy(program, name, front);
    };
    let mut rest = &front.positionals[1..];
    if let "help" | "h" = word {
        let topic = rest.first().filter(|topic| program.find_subcommand(topic).is_none());
        if let Some(topic) = topic {
            return Err(no_topic(topic));
        }
        let arguments = [name.into(), "help".into()].into_iter().chain(rest.iter().cloned());
        return Ok(Normal { arguments: arguments.collect(), warnings: Vec::new() });
    }

    let mut normal = Normal { arguments: vec![name.into(), word.into()], warnings: Vec::new() };
    let Some(mut command) = program.find_subcommand(word) else {
        // A command of SOPS that is not built in: clap says so.
        return Ok(normal);
    };
    if rest.is_empty() && word == "completion" {
        // To SOPS the shells are commands, too.
        normal.arguments.push("--help".into());
    } else if command.has_subcommands() {
        match rest.split_first() {
            None => normal.arguments.push("--help".into()),
            Some((topic, others)) => match command.find_subcommand(topic) {
                Some(found) => {
                    (command, rest) = (found, others);
                    normal.arguments.push(topic.clone());
                }
                None if topic.as_encoded_bytes().starts_with(b"-") => {}
                None => return Err(no_topic(topic)),
            },
        }
    }
    let flags = command_flags(program, command);
    let mut parsed = go::parse(rest, &flags, Place::Anywhere).map_err(usage)?;
    // SOPS ignores most flags in front of a command; here they count wherever the command has
    // them, unless they stand behind it too.
    for given in front.flags {
        if flags.find(&given.flag.name).is_none() {
            normal.warnings.push(no_effect(&given, word));
        } else if !parsed.flags.iter().any(|other| other.flag.name == given.flag.name) {
            parsed.flags.push(given);
        }
    }
    normal.arguments.extend(written(parsed));
    Ok(normal)
}

fn no_topic(topic: &OsStr) -> CliError {
    CliError::new(Exit::Output, "usage", format!("No help topic for '{}'", topic.display()))
}

/// Turns flags that are commands, or a file alone, into a command.
fn legacy(program: &Command, name: &OsStr, front: Parsed) -> Result<Normal, CliError> {
    if front.has("in-place") && front.has("output") {
        let message = "cannot operate on both --output and --in-place";
        return Err(CliError::new(Exit::Conflict, "conflict", message));
    }
    if front.positionals.is_empty() {
        return Err(CliError::new(Exit::NoFile, "no-file", "no file specified"));
    }
    let asked: Vec<&str> = MODES.iter().copied().filter(|mode| front.has(mode)).collect();
    let mut warnings = Vec::new();
    if asked.len() > 1 {
        warnings.push(
            "More than one command (--encrypt, --decrypt, --rotate, --set) has been specified. \
             Only the changes made by the last one will be visible. Note that this behavior is \
             deprecated and will cause an error eventually."
                .to_owned(),
        );
    }
    let word = asked.last().copied().unwrap_or("edit");
    let mut arguments: Vec<OsString> = vec![name.into(), word.into()];
    let known = program.find_subcommand(word).map(|command| command_flags(program, command));
    let mut parsed = Parsed { flags: Vec::new(), positionals: front.positionals };
    for given in front.flags {
        let name = &given.flag.name;
        if name == "set" {
            if let (Value::Text(text), "set") = (&given.value, word) {
                let (path, value) = split_set(text)?;
                parsed.positionals.truncate(1);
                parsed.positionals.extend([path, value]);
            }
        } else if MODES.contains(&name.as_str()) {
            // The command itself.
        } else if known.as_ref().is_none_or(|known| known.find(name).is_some()) {
            parsed.flags.push(given);
        } else {
            warnings.push(no_effect(&given, word));
        }
    }
    arguments.extend(written(parsed));
    Ok(Normal { arguments, warnings })
}

/// Splits the text of `--set` behind the first `]` that a blank follows: a tree path and JSON.
fn split_set(text: &OsStr) -> Result<(OsString, OsString), CliError> {
    let text = text.to_str().and_then(|text| text.split_once("] "));
    let Some((path, value)) = text else {
        return Err(CliError::new(Exit::SetFormat, "set", "Invalid --set format"));
    };
    Ok((format!("{path}]").into(), value.into()))
}

fn no_effect(given: &Given, command: &str) -> String {
    format!("--{} has no effect on `{command}`", given.flag.name)
}

/// Writes arguments in the one form that clap reads as it is meant.
fn written(parsed: Parsed) -> Vec<OsString> {
    let mut arguments = Vec::new();
    for Given { flag, value, .. } in parsed.flags {
        let mut argument = OsString::from(format!("--{}", flag.name));
        match (value, flag.takes) {
            (Value::Switch(true), _) => {}
            (Value::Switch(false), Takes::Boolean) => argument.push("=false"),
            (Value::Switch(false), _) => continue,
            // To SOPS, an empty value is none, unless it hides that of the environment.
            (Value::Text(text), _) if text.is_empty() && !flag.has_variable => continue,
            (Value::Text(text), _) => {
                argument.push("=");
                argument.push(text);
            }
        }
        arguments.push(argument);
    }
    if parsed.positionals.iter().any(|text| text.as_encoded_bytes().starts_with(b"-")) {
        arguments.push("--".into());
    }
    arguments.extend(parsed.positionals);
    arguments
}

/// Rewrites, of the arguments of `encfile`, what Go reads and clap does not: long names behind one
/// dash, and values of switches. Everything else stays.
fn tolerated(program: &Command, name: &OsStr, rest: &[OsString]) -> Vec<OsString> {
    let mut arguments = vec![name.to_owned()];
    let mut command = program;
    let mut rest = rest.iter();
    while let Some(argument) = rest.next() {
        if argument == "--" {
            arguments.push(argument.clone());
            break;
        }
        let flags = command_flags(program, command);
        let found =
            go::split(argument).and_then(|(name, value)| Some((name, value, flags.find(name)?)));
        let Some((name, value, flag)) = found else {
            arguments.push(argument.clone());
            command = command.find_subcommand(argument).unwrap_or(command);
            continue;
        };
        let on = match (flag.takes, value) {
            (Takes::Switch, Some(text)) => go::boolean(text),
            _ => None,
        };
        match (on, value) {
            (Some(true), _) => arguments.push(format!("--{}", flag.name).into()),
            (Some(false), _) => {}
            (None, value) if name.len() > 1 => {
                let mut argument = OsString::from(format!("--{name}"));
                if let Some(value) = value {
                    argument.push("=");
                    argument.push(value);
                }
                arguments.push(argument);
            }
            (None, _) => arguments.push(argument.clone()),
        }
        if value.is_none() && matches!(flag.takes, Takes::Value | Takes::Values) {
            arguments.extend(rest.next().cloned());
        }
    }
    arguments.extend(rest.cloned());
    arguments
}

#[cfg(test)]
mod tests;
