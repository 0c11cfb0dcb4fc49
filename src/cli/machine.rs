//! The machine, for keys: its environment, files and programs.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
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
        let mut child = Command::new(found(program)?)
            .args(arguments)
            .envs(line.env.iter().copied())
            .stdin(if line.limit.is_some() { Stdio::null() } else { Stdio::inherit() })
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(failed)?;
        let output = child.stdout.take();
        let read = move || {
            let mut printed = SecretBytes::new();
            output.map_or(Ok(0), |mut pipe| io::copy(&mut pipe, &mut printed)).map(|_| printed)
        };
        let printed = match line.limit {
            None => read(),
            Some(limit) => within(limit, read).unwrap_or_else(|| {
                // Whatever it has started may keep the pipe open: nobody waits for that.
                let _ = child.kill();
                let _ = child.wait();
                let message = format!("it has printed no end within {} s", limit.as_secs());
                Err(io::Error::other(message))
            }),
        };
        let printed = printed.map_err(|error| format!("`{program}`: {error}"))?;
        if line.limit.is_some() {
            end_soon(&mut child);
        }
        let status = child.wait().map_err(failed)?;
        if !status.success() {
            return Err(format!("`{program}` failed: {status}"));
        }
        Ok(printed)
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
        let failure = (!output.status.success()).then(|| output.status.to_string());
        Ok(Finished {
            output: SecretBytes::from(output.stdout),
            said: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            failure,
        })
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

/// Returns what a thread makes; `None` if that takes longer than `limit`.
fn within<T: Send + 'static>(
    limit: Duration,
    make: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (sender, receiver) = mpsc::channel();
    // Who has given up waiting does not mind that nothing is sent.
    thread::Builder::new().spawn(move || drop(sender.send(make()))).ok()?;
    receiver.recv_timeout(limit).ok()
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
        thread::sleep(Duration::from_millis(5));
    }
}
