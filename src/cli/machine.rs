//! The machine, for keys: its environment, files and programs.

use std::ffi::OsString;
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use crate::cli::io::{IoError, read_file_up_to};
use crate::cli::personality::Personality;
use crate::cli::ui::{Ui, one_line};
use crate::cli::{env, os};
use crate::keys::{CommandLine, Finished, Host, Question, Run, Talk};
use crate::secret::SecretBytes;
use crate::tree::Timestamp;

/// How long a program may take to end once nobody talks to it any more.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often it is looked whether a program has ended.
const POLL: Duration = Duration::from_millis(5);

/// The most files that a directory may have whose files are all read.
const MAX_FILES: usize = 10_000;

/// The machine.
pub struct Machine {
    ui: Ui,
    personality: Personality,
}

impl Machine {
    /// Returns the machine, which speaks with the voice of `ui`.
    pub fn new(personality: Personality, ui: Ui) -> Machine {
        Machine { ui, personality }
    }
}

impl Host for Machine {
    fn read_file(&self, path: &Path, limit: usize) -> io::Result<SecretBytes> {
        read_file_up_to(path, limit).map_err(|error| match error {
            IoError::NotFound { .. } => io::Error::new(io::ErrorKind::NotFound, "no such file"),
            error => io::Error::other(error.to_string()),
        })
    }

    fn files_in(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let metadata = std::fs::metadata(path).map_err(|error| match error.kind() {
            kind @ io::ErrorKind::NotFound => io::Error::new(kind, "no such file or directory"),
            _ => error,
        })?;
        if !metadata.is_dir() {
            return Ok(vec![path.to_owned()]);
        }
        let mut files = Vec::new();
        let mut folders = vec![path.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder)? {
                let entry = entry?;
                let is_folder = entry.file_type()?.is_dir();
                (if is_folder { &mut folders } else { &mut files }).push(entry.path());
            }
            if files.len() + folders.len() > MAX_FILES {
                return Err(io::Error::other(format!(
                    "there are more than {MAX_FILES} files in it"
                )));
            }
        }
        files.sort();
        Ok(files)
    }

    fn variable(&self, name: &str) -> Option<OsString> {
        env::variable(name)
    }

    fn now(&self) -> Timestamp {
        env::now()
    }

    fn run_command_line(&self, line: &CommandLine<'_>) -> Result<SecretBytes, String> {
        let words = shell_words::split(line.text)
            .map_err(|_| "the command cannot be split into words".to_owned())?;
        let Some((program, arguments)) = words.split_first() else {
            return Err("the command is empty".to_owned());
        };
        let failed = |error: io::Error| not_started(program, &error);
        let mut command = Command::new(found(program)?);
        command.args(arguments).envs(line.env.iter().copied()).stdout(Stdio::piped());
        let ended = match line.limit {
            None => command.spawn().and_then(|mut child| {
                let output = drain(child.stdout.take())?;
                Ok(Ended { output, said: SecretBytes::new(), status: child.wait()? })
            }),
            Some(limit) => ended_within(limit, &mut command).transpose().unwrap_or_else(|| {
                let message = format!("it has not ended within {} s", limit.as_secs());
                Err(io::Error::new(io::ErrorKind::TimedOut, message))
            }),
        };
        let Ended { output, status, .. } = ended.map_err(failed)?;
        if !status.success() {
            return Err(format!("`{program}` failed: {status}"));
        }
        Ok(output)
    }

    fn run(&self, run: &Run<'_>) -> Result<Finished, String> {
        let failed = |error: io::Error| not_started(run.program, &error);
        let mut command = command(run)?;
        let mut child = command.stderr(Stdio::piped()).spawn().map_err(failed)?;
        let input = child.stdin.take();
        let output = thread::scope(|scope| {
            // A program that prints before it has read everything must not wait for this one.
            scope.spawn(move || input.map(|mut pipe| pipe.write_all(run.input)));
            child.wait_with_output()
        });
        let output = output.map_err(failed)?;
        let (said, status) = (SecretBytes::from(output.stderr), output.status);
        Ok(Ended { output: SecretBytes::from(output.stdout), said, status }.finished())
    }

    fn run_within(&self, limit: Duration, run: &Run<'_>) -> Result<Option<Finished>, String> {
        let mut command = command(run)?;
        command.stderr(Stdio::piped());
        let ended = ended_within(limit, &mut command);
        let ended = ended.map_err(|error| not_started(run.program, &error))?;
        Ok(ended.map(Ended::finished))
    }

    fn converse(&self, run: &Run<'_>, talk: &mut Talk<'_>) -> Result<(), String> {
        let failed = |error: io::Error| not_started(run.program, &error);
        let mut child = command(run)?.stderr(Stdio::inherit()).spawn().map_err(failed)?;
        if let (Some(mut input), Some(mut output)) = (child.stdin.take(), child.stdout.take()) {
            talk(&mut input, &mut output);
        }
        // Both pipes are closed now, which ends a program that is as it should be.
        end_soon(&mut child);
        Ok(())
    }

    fn ask(&self, question: &Question<'_>) -> Result<SecretBytes, String> {
        let lines: Vec<_> = question.text.split('\n').map(one_line).collect();
        os::terminal::ask(&lines.join("\n"), question.is_secret)
            .map_err(|error| format!("there is no terminal to ask at: {error}"))
    }

    fn talk_to_gpg_agent(&self, talk: &mut Talk<'_>) {
        if !self.personality.asks_gpg_agent() {
            return;
        }
        let variable = |name| env::variable(name);
        let info = variable("GPG_AGENT_INFO");
        let runtime = variable("XDG_RUNTIME_DIR").filter(|path| !path.is_empty());
        os::gpg_agent::talk(info.as_deref(), runtime.as_deref(), talk);
    }

    fn terminal(&self) -> Option<String> {
        os::terminal::name()
    }

    fn name(&self) -> Option<String> {
        os::machine_name()
    }

    fn note(&self, message: &str) {
        self.ui.note(message);
    }

    fn tell(&self, message: &str) {
        self.ui.line(message);
    }
}

/// A program that has ended.
struct Ended {
    output: SecretBytes,
    said: SecretBytes,
    status: ExitStatus,
}

impl Ended {
    fn finished(self) -> Finished {
        Finished {
            output: self.output,
            said: String::from_utf8_lossy(&self.said).trim().to_owned(),
            failure: (!self.status.success()).then(|| self.status.to_string()),
        }
    }
}

/// Runs a program without input; `None` if it took longer than `limit` and was ended, with all that
/// it has started.
fn ended_within(limit: Duration, command: &mut Command) -> io::Result<Option<Ended>> {
    let started = Instant::now();
    let mut child = os::run::apart(command.stdin(Stdio::null())).spawn()?;
    let left = || limit.saturating_sub(started.elapsed());
    let pipes = reader(child.stdout.take())
        .and_then(|output| reader(child.stderr.take()).map(|said| (output, said)));
    let (output, said) = pipes.inspect_err(|_| os::run::end_group(&mut child))?;
    // Its pipes are closed when it ends, with all that it has started.
    if let Ok(output) = output.recv_timeout(left()) {
        let said = said.recv_timeout(left()).unwrap_or_else(|_| SecretBytes::new());
        while started.elapsed() < limit {
            if let Some(status) = child.try_wait()? {
                return Ok(Some(Ended { output, said, status }));
            }
            thread::sleep(POLL);
        }
    }
    os::run::end_group(&mut child);
    Ok(None)
}

/// Reads all of a pipe, in a thread: who waits for it may stop waiting.
fn reader(pipe: Option<impl Read + Send + 'static>) -> io::Result<Receiver<SecretBytes>> {
    let (sender, receiver) = mpsc::channel();
    // Where nobody waits any more, nobody gets it; and what is cut off is not an end.
    let read = move || drain(pipe).map(|text| drop(sender.send(text)));
    thread::Builder::new().spawn(read)?;
    Ok(receiver)
}

/// Reads all of a pipe, if there is one.
fn drain(pipe: Option<impl Read>) -> io::Result<SecretBytes> {
    let mut text = SecretBytes::new();
    pipe.map_or(Ok(0), |mut pipe| io::copy(&mut pipe, &mut text))?;
    Ok(text)
}

/// Returns a program with its arguments and pipes.
fn command(run: &Run<'_>) -> Result<Command, String> {
    let mut command = Command::new(found(run.program)?);
    command
        .args(run.arguments)
        .envs(run.env.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    Ok(command)
}

/// Returns where a program is. A path is taken as it is; a bare name is never looked for in the
/// working directory.
fn found(program: &str) -> Result<PathBuf, String> {
    if program.contains('/') {
        return Ok(PathBuf::from(program));
    }
    os::resolve_program(program.as_ref(), env::variable("PATH").as_deref())
        .ok_or_else(|| format!("there is no program `{program}` in `PATH`"))
}

fn not_started(program: &str, error: &io::Error) -> String {
    format!("`{program}` could not be run: {error}")
}

/// Waits for a program to end, and ends it if it does not.
fn end_soon(child: &mut Child) {
    let started = Instant::now();
    while matches!(child.try_wait(), Ok(None)) {
        if started.elapsed() > PATIENCE {
            // It may have ended just now; then there is nothing to end.
            let _ = child.kill();
            let _ = child.wait();
            return;
        }
        thread::sleep(POLL);
    }
}

#[cfg(all(test, unix))]
mod tests;
