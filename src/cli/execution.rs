//! Running a user's command: what `exec-env` and `exec-file` have in common.
//!
//! A [`Call`] is what stands on the command line: files, and a command for a shell or a program
//! with its arguments. [`Call::command`] makes a process of it, whose environment is ours without
//! the keys for encrypted files; [`run`] runs it and tells how it ended.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cli::args::CommandArgs;
use crate::cli::context::{Context, decryption_order};
use crate::cli::env::KEY_VARIABLES;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::os;
use crate::cli::os::run::Ended;
use crate::cli::os::signals::Hold;
use crate::cli::os::user::{User, become_user};
use crate::file::DecryptedFile;
use crate::format::FileFormat;

/// What takes the place of the path in a command.
const PLACEHOLDER: &str = "{}";

/// What a shell exits with where there is no such program, and where it cannot be started.
const NOT_FOUND: Exit = Exit::Command(127);
const NOT_STARTED: Exit = Exit::Command(126);

/// What stands on the command line.
#[derive(Debug)]
pub struct Call<'a> {
    /// The file before the command.
    pub file: Option<&'a Path>,
    words: Words<'a>,
}

#[derive(Debug)]
enum Words<'a> {
    /// For the shell.
    Shell(&'a OsStr),
    /// A program and its arguments.
    Program(&'a OsStr, &'a [OsString]),
}

/// How a command is run.
#[derive(Clone, Copy, Debug)]
pub enum Way<'a> {
    /// In the place of this process.
    Replace,
    /// As a child whose end is waited for, and that gets the signals that are sent to us.
    Wait(&'a Hold),
    /// Without waiting.
    Background,
}

impl<'a> Call<'a> {
    /// Reads the words of the command line. `others`: whether files are named elsewhere, too.
    ///
    /// # Errors
    /// If there is no file or no command, or too many.
    pub fn new(
        context: &Context,
        arguments: &'a CommandArgs,
        others: bool,
    ) -> Result<Call<'a>, CliError> {
        let words = &arguments.words[..];
        let (files, words) = match (words, &arguments.program[..]) {
            // Go's parser knows nothing of programs: what stands behind `--` is the next word.
            (files @ [_], [command]) if !context.personality.gives_its_process_away() => {
                (files, Words::Shell(command))
            }
            ([files @ .., command], []) => (files, Words::Shell(command)),
            (files, [program, rest @ ..]) => (files, Words::Program(program, rest)),
            ([], []) => return Err(no_command()),
        };
        match files {
            [file] => Ok(Call { file: Some(Path::new(file)), words }),
            [] if others => Ok(Call { file: None, words }),
            _ => Err(no_command()),
        }
    }

    /// Returns the command, with our environment in it.
    ///
    /// `path` takes the place of each `{}`. `user` is who the command runs as, if somebody else.
    ///
    /// # Errors
    /// If there is no such program.
    pub fn command(
        &self,
        context: &Context,
        arguments: &CommandArgs,
        pristine: bool,
        user: Option<&User>,
        path: Option<&Path>,
    ) -> Result<Command, CliError> {
        let fill = |word: &OsStr| match path {
            Some(path) => replaced(word, path.as_os_str()),
            None => word.to_owned(),
        };
        let mut command = match self.words {
            Words::Shell(line) => shell(&fill(line)),
            Words::Program(program, rest) => {
                let program = fill(program);
                let mut command = os::run::program(&found(context, &program)?, &program);
                command.args(rest.iter().map(|word| fill(word)));
                command
            }
        };
        if pristine {
            command.env_clear();
        } else if context.personality.keeps_keys_to_itself() && !arguments.pass_keys {
            for name in KEY_VARIABLES {
                command.env_remove(name);
            }
        }
        if let Some(User { name, home }) = user {
            command.env("HOME", home).env("USER", name).env("LOGNAME", name);
        }
        Ok(command)
    }
}

/// Reads and opens a file.
///
/// # Errors
/// If it cannot be read or decrypted.
pub fn opened(
    context: &Context,
    arguments: &CommandArgs,
    path: &Path,
    format: Option<&'static dyn FileFormat>,
) -> Result<DecryptedFile, CliError> {
    let order = decryption_order(context.personality, arguments.order.decryption_order.as_deref())?;
    let text = context.read(path).map_err(|failure| context.not_read(path, failure))?;
    let file = context.parse_encrypted(text, path, path, format)?;
    Ok(context.open(file, (path, path), false, &order)?.0)
}

/// Becomes the user who is asked for.
///
/// # Errors
/// If there is none, or we may not.
pub fn switch_user(arguments: &CommandArgs) -> Result<Option<User>, CliError> {
    Ok(arguments.user.as_deref().map(become_user).transpose()?)
}

/// Says what SOPS says of `--background`.
pub fn warn_of_background(context: &Context, arguments: &CommandArgs, name: &str) {
    if arguments.background && !context.personality.gives_its_process_away() {
        context.ui.warn(format_args!(
            "{name}'s --background option is deprecated and will be removed in a future version of \
             sops"
        ));
    }
}

/// Runs a command, and returns with what this process exits.
///
/// # Errors
/// If it cannot be started.
pub fn run(context: &Context, command: &mut Command, way: Way<'_>) -> Result<Exit, CliError> {
    context.hardened.undo_for_exec();
    let ended = match way {
        Way::Replace => os::run::replace(command),
        Way::Wait(hold) => os::run::wait(command, hold),
        Way::Background => os::run::start(command).map(|()| Ended::Code(0)),
    };
    match ended {
        Ok(ended) => Ok(exit(context, ended)),
        Err(error) => Err(not_started(context, command.get_program(), &error)),
    }
}

fn not_started(context: &Context, program: &OsStr, error: &io::Error) -> CliError {
    let exit = match error.kind() {
        _ if !context.personality.exits_as_a_shell_does() => Exit::Generic,
        io::ErrorKind::NotFound => NOT_FOUND,
        _ => NOT_STARTED,
    };
    let message = format!("`{}` could not be run: {error}", program.display());
    let report = CliError::new(exit, "command", message);
    match error.kind() {
        io::ErrorKind::ArgumentListTooLong => report.help(
            "the variables are more than the system hands over: choose some with --only, or use \
             exec-file",
        ),
        _ => report,
    }
}

fn exit(context: &Context, ended: Ended) -> Exit {
    let as_shell = context.personality.exits_as_a_shell_does();
    match ended {
        Ended::Code(0) => Exit::Success,
        Ended::Code(code) => {
            if !as_shell {
                context.ui.line(format_args!("exit status {code}"));
            }
            Exit::Command(code)
        }
        Ended::Signal { number, core } if !as_shell => {
            let core = if core { " (core dumped)" } else { "" };
            context.ui.line(format_args!("signal: {}{core}", signal_name(number)));
            Exit::Command(u8::MAX)
        }
        Ended::Signal { number, .. } | Ended::Interrupted(number) => {
            Exit::Signal(u8::try_from(number).unwrap_or(0))
        }
    }
}

/// Returns Go's name of a signal.
fn signal_name(number: i32) -> String {
    let name = match number {
        1 => "hangup",
        2 => "interrupt",
        3 => "quit",
        4 => "illegal instruction",
        5 => "trace/breakpoint trap",
        6 => "aborted",
        7 => "bus error",
        8 => "floating point exception",
        9 => "killed",
        10 => "user defined signal 1",
        11 => "segmentation fault",
        12 => "user defined signal 2",
        13 => "broken pipe",
        14 => "alarm clock",
        15 => "terminated",
        _ => return format!("signal {number}"),
    };
    name.to_owned()
}

/// Returns the error of a call without a file or a command.
pub fn no_command() -> CliError {
    CliError::new(Exit::Generic, "no-command", "error: missing file to decrypt").help(
        "FILE 'COMMAND FOR THE SHELL', or FILE -- PROGRAM ARGUMENTS...; further files with -f",
    )
}

fn shell(line: &OsStr) -> Command {
    let (shell, flag) = if cfg!(windows) { ("cmd.exe", "/C") } else { ("/bin/sh", "-c") };
    let mut command = Command::new(shell);
    command.arg(flag).arg(line);
    command
}

/// Returns the path of a program. A path is taken as it is; a bare name is looked up in our `PATH`,
/// whatever that of the command will be, and never in the working directory.
pub fn found(context: &Context, program: &OsStr) -> Result<PathBuf, CliError> {
    let path = Path::new(program);
    if path.file_name() != Some(program) {
        return Ok(path.to_owned());
    }
    os::resolve_program(program, context.env.raw("PATH").as_deref()).ok_or_else(|| {
        let message = format!("there is no program `{}` in `PATH`", program.display());
        CliError::new(NOT_FOUND, "command", message)
    })
}

/// Returns a word with `path` for each placeholder.
fn replaced(word: &OsStr, path: &OsStr) -> OsString {
    let mut rest = word.as_encoded_bytes();
    let mut filled = Vec::with_capacity(rest.len() + path.len());
    while let Some(at) = memchr::memmem::find(rest, PLACEHOLDER.as_bytes()) {
        filled.extend_from_slice(&rest[..at]);
        filled.extend_from_slice(path.as_encoded_bytes());
        rest = &rest[at + PLACEHOLDER.len()..];
    }
    filled.extend_from_slice(rest);
    // Whatever came from the system can go back.
    os::os_string(filled).unwrap_or_else(|| word.to_owned())
}
