//! The machine, for keys: its environment, files and programs.

use std::ffi::OsString;
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use crate::cli::io::{IoError, read_file_up_to};
use crate::cli::ui::{Ui, one_line};
use crate::cli::{env, os};
use crate::keys::{Finished, Host, Question, Run, Talk};
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
}

impl Machine {
    /// Returns the machine, which speaks with the voice of `ui`.
    pub fn new(ui: Ui) -> Machine {
        Machine { ui }
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

    fn run_command_line(&self, command: &str, env: &[(&str, &str)]) -> Result<SecretBytes, String> {
        let words = shell_words::split(command)
            .map_err(|_| "the command cannot be split into words".to_owned())?;
        let Some((program, arguments)) = words.split_first() else {
            return Err("the command is empty".to_owned());
        };
        let output = Command::new(found(program)?)
            .args(arguments)
            .envs(env.iter().copied())
            .stdin(Stdio::inherit())
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| not_started(program, &error))?;
        let printed = SecretBytes::from(output.stdout);
        if !output.status.success() {
            return Err(format!("`{program}` failed: {}", output.status));
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
        output.map(finished).map_err(failed)
    }

    fn run_within(&self, limit: Duration, run: &Run<'_>) -> Result<Option<Finished>, String> {
        let failed = |error: io::Error| not_started(run.program, &error);
        let started = Instant::now();
        let mut command = command(run)?;
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = os::run::apart(&mut command).spawn().map_err(failed)?;
        let (output, said) = (reader(child.stdout.take()), reader(child.stderr.take()));
        let left = || limit.saturating_sub(started.elapsed());
        // Its pipes are closed when it ends, with all that it has started.
        let Some(stdout) = output.recv_timeout(left()).ok() else {
            os::run::end_group(&mut child);
            return Ok(None);
        };
        let stderr = said.recv_timeout(left()).unwrap_or_default();
        while started.elapsed() < limit {
            if let Some(status) = child.try_wait().map_err(failed)? {
                return Ok(Some(finished(Output { status, stdout, stderr })));
            }
            thread::sleep(POLL);
        }
        os::run::end_group(&mut child);
        Ok(None)
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

/// Returns what is said of a program that has ended.
fn finished(output: Output) -> Finished {
    Finished {
        output: SecretBytes::from(output.stdout),
        said: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        failure: (!output.status.success()).then(|| output.status.to_string()),
    }
}

/// Reads all of a pipe, in a thread: who waits for it may stop waiting.
fn reader(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut text = Vec::new();
        let read = pipe.map(|mut pipe| pipe.read_to_end(&mut text));
        // Where nobody waits any more, nobody gets it.
        read.map(|_| sender.send(text))
    });
    receiver
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
mod tests {
    use super::*;

    fn sh<'a>(arguments: &'a [&'a str; 2]) -> Run<'a> {
        Run { program: "/bin/sh", arguments, env: &[], input: &[] }
    }

    fn machine() -> Machine {
        Machine::new(Ui::new(crate::cli::personality::Personality::Encfile))
    }

    #[test]
    fn a_program_that_ends_in_time_is_answered_for() {
        let limit = Duration::from_secs(60);
        let run = ["-c", "echo out; echo said >&2; exit 3"];
        let finished = machine().run_within(limit, &sh(&run)).unwrap().unwrap();
        assert_eq!((&*finished.output, &*finished.said), (&b"out\n"[..], "said"));
        assert_eq!(finished.failure.as_deref(), Some("exit status: 3"));
    }

    #[test]
    fn a_program_that_takes_too_long_is_ended_with_what_it_has_started() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::NONBLOCK;
        let open = rustix::fs::open(&fifo, flags, rustix::fs::Mode::empty()).unwrap();
        rustix::fs::fcntl_setfl(&open, rustix::fs::OFlags::empty()).unwrap();
        let script = format!("exec 9>{}; (sleep 60; echo late >&9) & wait", fifo.display());
        let run = ["-c", &script];
        let limit = Duration::from_millis(500);
        assert!(machine().run_within(limit, &sh(&run)).unwrap().is_none());
        // It ends when nobody has the FIFO open for writing any more.
        let mut written = String::new();
        std::fs::File::from(open).read_to_string(&mut written).unwrap();
        assert_eq!(written, "");
    }
}
