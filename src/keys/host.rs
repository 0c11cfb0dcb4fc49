//! The machine that keys run on, as far as they need it.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::secret::SecretBytes;
use crate::tree::Timestamp;

/// The machine that keys run on: its environment, files and programs, and the user at its
/// terminal.
///
/// Only [`Host::read_file`] has to be there; a host without the rest has no environment, runs no
/// program and asks nobody.
pub trait Host: Send + Sync {
    /// Reads a whole file of at most `limit` bytes, also one that is a pipe or a device.
    ///
    /// # Errors
    /// If it cannot be read, or is longer.
    fn read_file(&self, path: &Path, limit: usize) -> io::Result<SecretBytes>;

    /// Returns the paths of all files in a directory, and in the directories in it, in the order of
    /// their names. A link is a file, whatever it leads to; a path to a file is that file.
    ///
    /// # Errors
    /// If a directory cannot be read, or has too many files in it.
    fn files_in(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let _ = path;
        Err(io::ErrorKind::NotFound.into())
    }

    /// Returns a variable of the environment, also an empty one.
    fn variable(&self, name: &str) -> Option<OsString> {
        let _ = name;
        None
    }

    /// Returns the time, for what is dated and signed; a host without a clock has the beginning of
    /// 1970, which no server takes.
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    /// Runs a command line, split into words without a shell, and returns what it printed.
    ///
    /// # Errors
    /// A message for people that holds nothing of what was printed.
    fn run_command_line(&self, line: &CommandLine<'_>) -> Result<SecretBytes, String> {
        let _ = line;
        Err("no programs are run here".to_owned())
    }

    /// Runs a program with a text as its standard input.
    ///
    /// # Errors
    /// A message for people, if it cannot be started.
    fn run(&self, run: &Run<'_>) -> Result<Finished, String> {
        let _ = run;
        Err("no programs are run here".to_owned())
    }

    /// Runs a program, without input, that may take no longer than `limit`: then it is ended, with
    /// all that it has started, and the answer is `None`. It is not for programs that ask somebody
    /// at the terminal, who may take their time, and cannot be reached from there.
    ///
    /// # Errors
    /// A message for people, if it cannot be started.
    fn run_within(&self, limit: Duration, run: &Run<'_>) -> Result<Option<Finished>, String> {
        let _ = (limit, run);
        Err("no programs are run here".to_owned())
    }

    /// Runs a program and talks with it over its standard input and output; when `talk` is done,
    /// the program's input is closed, and it is waited for, or ended if it does not end.
    ///
    /// # Errors
    /// A message for people, if it cannot be started.
    fn converse(&self, run: &Run<'_>, talk: &mut Talk<'_>) -> Result<(), String> {
        let _ = (run, talk);
        Err("no programs are run here".to_owned())
    }

    /// Asks the user at the terminal, never on standard input or output.
    ///
    /// # Errors
    /// A message for people, if there is no terminal or no answer.
    fn ask(&self, question: &Question<'_>) -> Result<SecretBytes, String> {
        let _ = question;
        Err("nobody can be asked here".to_owned())
    }

    /// Talks with the user's gpg-agent. Where there is none, or it is not to be asked for
    /// passphrases, `talk` is not called.
    fn talk_to_gpg_agent(&self, talk: &mut Talk<'_>) {
        let _ = talk;
    }

    /// Returns the path of the terminal that the process was started at, for programs that ask there
    /// by themselves; `None` if there is none.
    fn terminal(&self) -> Option<String> {
        None
    }

    /// Returns the name of the machine, if it has one.
    fn name(&self) -> Option<String> {
        None
    }

    /// Tells the user of something that was done otherwise than it was asked for, and is no
    /// failure, or what is waited for. Nobody is told who has a script read all that is said, as those
    /// of SOPS do.
    fn note(&self, message: &str) {
        let _ = message;
    }

    /// Tells the user something that does not end the work, and may ask for a hand: what a plugin
    /// says.
    fn tell(&self, message: &str) {
        let _ = message;
    }
}

/// What is said between this program and another: writes to its input, reads from its output.
pub type Talk<'t> = dyn FnMut(&mut dyn Write, &mut dyn Read) + 't;

/// A command line of the user's, who has put it into a variable or a file.
#[derive(Clone, Copy, Debug)]
pub struct CommandLine<'a> {
    /// The program and its arguments.
    pub text: &'a str,
    /// Variables besides those of this process.
    pub env: &'a [(&'a str, &'a str)],
    /// How long it may take. Who has to be done by then asks nobody: it has no standard input.
    /// `None` is as long as it wants, with the standard input of this process.
    pub limit: Option<Duration>,
}

/// A program to run. Its arguments are fixed by the code that asks for it: they hold no secret, and
/// no shell reads them.
#[derive(Clone, Debug)]
pub struct Run<'a> {
    /// A name that is looked for in `PATH`, or a path with a separator.
    pub program: &'a str,
    /// Its arguments.
    pub arguments: &'a [&'a str],
    /// Variables besides those of this process.
    pub env: &'a [(&'a str, &'a str)],
    /// Its standard input.
    pub input: &'a [u8],
}

/// A program that has ended.
#[derive(Debug)]
pub struct Finished {
    /// What it printed.
    pub output: SecretBytes,
    /// What it said on its standard error, for messages.
    pub said: String,
    /// How it ended, for messages; `None` if it succeeded.
    pub failure: Option<String>,
}

/// What the user is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The text, without a blank at its end.
    pub text: &'a str,
    /// Whether the answer is secret, and is not shown while it is typed.
    pub is_secret: bool,
}

/// A machine without anything.
pub(super) struct Nowhere;

impl Host for Nowhere {
    fn read_file(&self, _: &Path, _: usize) -> io::Result<SecretBytes> {
        Err(io::ErrorKind::NotFound.into())
    }
}

/// Returns the text of an error of the system as Go has it: without the number, and in lower case.
pub fn error_text(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}
