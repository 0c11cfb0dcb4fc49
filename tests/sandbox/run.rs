//! Running a program in a [`Sandbox`], and what came of it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::terminal::Terminal;
use super::{CANARY, Sandbox, mask};

/// A program that runs longer has hung.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a program has as standard input.
#[derive(Clone, Debug)]
pub(crate) enum Stdin {
    /// The null device, as in most CI systems.
    Null,
    /// Nothing: the file descriptor is closed.
    Closed,
    /// A regular file of the working directory.
    File(PathBuf),
    /// A pipe that gives these bytes and then ends.
    Pipe(Vec<u8>),
    /// A pipe that nobody writes to and that does not end.
    Idle,
    /// A terminal (which is standard output and error, too) where somebody types these keys.
    Terminal(Vec<u8>),
}

/// A program about to be run.
#[must_use = "nothing runs before `go` or `spawn`"]
pub(crate) struct Run<'s> {
    sandbox: &'s Sandbox,
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: BTreeMap<OsString, OsString>,
    folder: PathBuf,
    stdin: Stdin,
    stdout: Option<PathBuf>,
    secrets_in_messages: bool,
}

impl<'s> Run<'s> {
    pub(super) fn new(sandbox: &'s Sandbox, program: PathBuf, arguments: Vec<OsString>) -> Run<'s> {
        Run {
            sandbox,
            program,
            arguments,
            environment: sandbox.environment.borrow().clone(),
            folder: sandbox.path(""),
            stdin: Stdin::Null,
            stdout: None,
            secrets_in_messages: false,
        }
    }

    /// Sets an environment variable of this run.
    pub(crate) fn env(mut self, name: &str, value: impl Into<OsString>) -> Run<'s> {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// Runs in a directory below the working directory.
    pub(crate) fn in_folder(mut self, name: &str) -> Run<'s> {
        self.folder = self.sandbox.path(name);
        self
    }

    /// Sets standard input; without it, it is the null device.
    pub(crate) fn stdin(mut self, stdin: Stdin) -> Run<'s> {
        self.stdin = stdin;
        self
    }

    /// Gives a pipe with `bytes` as standard input.
    pub(crate) fn input(self, bytes: impl Into<Vec<u8>>) -> Run<'s> {
        self.stdin(Stdin::Pipe(bytes.into()))
    }

    /// Redirects standard output to a file of the working directory, as `> name` does: the file
    /// is emptied before the program starts.
    pub(crate) fn stdout_to(mut self, name: &str) -> Run<'s> {
        self.stdout = Some(self.sandbox.path(name));
        self
    }

    /// Does not check that messages are free of secrets: for programs that are not ours.
    pub(crate) fn secrets_in_messages(mut self) -> Run<'s> {
        self.secrets_in_messages = true;
        self
    }

    /// Runs the program to its end.
    pub(crate) fn go(self) -> Outcome {
        self.spawn().wait()
    }

    /// Starts the program, as leader of a process group of its own.
    pub(crate) fn spawn(self) -> Running<'s> {
        let command_line = self.to_string();
        let mut command = match self.stdin {
            // There is no safe way to start a program with a closed descriptor but a shell's.
            Stdin::Closed => {
                let mut command = Command::new("/bin/sh");
                command.args(["-c", r#"exec "$0" "$@" <&-"#]).arg(&self.program);
                command
            }
            _ => Command::new(&self.program),
        };
        command
            .args(&self.arguments)
            .env_clear()
            .envs(&self.environment)
            .current_dir(&self.folder)
            .process_group(0)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut terminal = None;
        match &self.stdin {
            Stdin::Null | Stdin::Closed => {
                command.stdin(Stdio::null());
            }
            Stdin::File(name) => {
                command.stdin(File::open(self.sandbox.path(name)).unwrap());
            }
            Stdin::Pipe(_) | Stdin::Idle => {
                command.stdin(Stdio::piped());
            }
            Stdin::Terminal(_) => terminal = Some(Terminal::attach(&mut command)),
        }
        if let Some(path) = &self.stdout {
            command.stdout(File::create(path).unwrap());
        }

        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", self.program.display()));
        // `Command` keeps the descriptors that it was given open; a terminal must see its end.
        drop(command);
        let mut idle = None;
        match self.stdin {
            Stdin::Pipe(bytes) => {
                let mut pipe = child.stdin.take().unwrap();
                // A program need not read its input: a broken pipe is its right.
                std::thread::spawn(move || pipe.write_all(&bytes));
            }
            Stdin::Idle => idle = child.stdin.take(),
            Stdin::Terminal(keys) => {
                if let Some(terminal) = &mut terminal {
                    terminal.type_in(&keys);
                }
            }
            Stdin::Null | Stdin::Closed | Stdin::File(_) => {}
        }
        Running {
            stdout: child.stdout.take().map(read_all),
            stderr: child.stderr.take().map(read_all),
            child,
            terminal,
            _idle: idle,
            sandbox: self.sandbox,
            command_line,
            secrets_in_messages: self.secrets_in_messages,
        }
    }
}

impl fmt::Display for Run<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.program.file_name().unwrap_or_default();
        write!(f, "{}", name.display())?;
        for argument in &self.arguments {
            write!(f, " {}", argument.display())?;
        }
        Ok(())
    }
}

/// A program that runs.
pub(crate) struct Running<'s> {
    sandbox: &'s Sandbox,
    child: Child,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Option<JoinHandle<Vec<u8>>>,
    terminal: Option<Terminal>,
    _idle: Option<std::process::ChildStdin>,
    command_line: String,
    secrets_in_messages: bool,
}

/// A test that fails leaves no program behind.
impl Drop for Running<'_> {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill_process_group(self.pid(), Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

impl Running<'_> {
    /// Sends a signal to the program alone, as `kill` does.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Sends a signal to the program and its children, as Ctrl-C on a terminal does.
    pub(crate) fn signal_group(&self, signal: Signal) {
        kill_process_group(self.pid(), signal).unwrap();
    }

    /// Types `keys` at the program's terminal once it shows `question`.
    pub(crate) fn answer(mut self, question: &str, keys: &str) -> Self {
        let started = Instant::now();
        let terminal = self.terminal.as_mut().unwrap();
        while !terminal.has_shown(question) {
            assert!(started.elapsed() < PATIENCE, "not asked: {question}");
            std::thread::sleep(Duration::from_millis(2));
        }
        terminal.type_in(keys.as_bytes());
        self
    }

    /// Waits for the end of the program.
    pub(crate) fn wait(mut self) -> Outcome {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if started.elapsed() > PATIENCE {
                let _ = kill_process_group(self.pid(), Signal::KILL);
                panic!("`{}` has not ended after {PATIENCE:?}", self.command_line);
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        let (pid, line) = (self.pid(), std::mem::take(&mut self.command_line));
        // Its children may have its pipes still, and are of its process group.
        let collect = |reader: Option<JoinHandle<Vec<u8>>>| {
            let Some(reader) = reader else {
                return Vec::new();
            };
            while !reader.is_finished() {
                if started.elapsed() > PATIENCE {
                    let _ = kill_process_group(pid, Signal::KILL);
                    panic!("a child of `{line}` has not ended after {PATIENCE:?}");
                }
                std::thread::sleep(Duration::from_micros(200));
            }
            reader.join().unwrap()
        };
        let stdout = collect(self.stdout.take());
        let stderr = match self.terminal.take() {
            Some(terminal) => terminal.shown(),
            None => String::from_utf8_lossy(&collect(self.stderr.take())).into_owned(),
        };
        let stderr = mask(&stderr, &self.sandbox.root);
        // That something took a while depends on the machine.
        let (waited, stderr): (Vec<&str>, Vec<&str>) =
            stderr.split_inclusive('\n').partition(|line| line.starts_with("waiting for "));
        let (waited, stderr) = (waited.concat(), stderr.concat());
        let outcome = Outcome { command_line: line.clone(), status, stdout, stderr, waited };
        assert!(
            self.secrets_in_messages || !outcome.stderr.contains(CANARY),
            "a message shows a secret\n{outcome}"
        );
        assert!(!outcome.stderr.contains("panicked at"), "the program panicked\n{outcome}");
        self.sandbox.assert_no_leftovers(&outcome);
        outcome
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

/// Reads a pipe to its end on a thread, so that no program waits for us.
fn read_all(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        bytes
    })
}

/// What came of a run. The assertions return the outcome, so that they can be chained.
pub(crate) struct Outcome {
    command_line: String,
    status: ExitStatus,
    stdout: Vec<u8>,
    /// Without what was waited for.
    stderr: String,
    waited: String,
}

impl Outcome {
    /// Checks that the exit code is 0.
    #[track_caller]
    pub(crate) fn success(self) -> Outcome {
        self.code(0)
    }

    /// Checks the exit code.
    #[track_caller]
    pub(crate) fn code(self, expected: i32) -> Outcome {
        assert_eq!(self.status.code(), Some(expected), "exit code\n{self}");
        self
    }

    /// Checks that the program failed by itself, with a message, and printed no data.
    #[track_caller]
    pub(crate) fn failure(self) -> Outcome {
        let code = self.status.code();
        assert!(code.is_some_and(|code| code != 0), "{code:?}\n{self}");
        assert!(!self.stderr.is_empty(), "no message\n{self}");
        self.no_stdout()
    }

    /// Checks that the program did not succeed: an exit code or a signal.
    #[track_caller]
    pub(crate) fn no_success(self) -> Outcome {
        assert!(!self.status.success(), "{self}");
        self
    }

    /// Checks standard output exactly.
    #[track_caller]
    pub(crate) fn stdout(self, expected: impl AsRef<[u8]>) -> Outcome {
        let expected = expected.as_ref();
        assert!(
            self.stdout == expected,
            "expected on stdout:\n{}\n{self}",
            expected.escape_ascii()
        );
        self
    }

    /// Checks that standard output is empty.
    #[track_caller]
    pub(crate) fn no_stdout(self) -> Outcome {
        self.stdout("")
    }

    /// Checks standard error exactly; ciphertexts, times and the sandbox's path are masked.
    #[track_caller]
    pub(crate) fn stderr(self, expected: &str) -> Outcome {
        assert!(self.stderr == expected, "expected on stderr:\n{expected}\n{self}");
        self
    }

    /// Checks that the program said nothing at all on standard error.
    #[track_caller]
    pub(crate) fn no_stderr(self) -> Outcome {
        self.stderr("")
    }

    /// Checks that it was told that `name` was waited for.
    #[track_caller]
    pub(crate) fn has_waited_for(self, name: &str) -> Outcome {
        assert!(self.waited.contains(name), "not waited for {name}: {:?}\n{self}", self.waited);
        self
    }

    /// Checks that it was not told that anything was waited for.
    #[track_caller]
    pub(crate) fn tells_of_no_wait(self) -> Outcome {
        assert!(self.waited.is_empty(), "{:?}\n{self}", self.waited);
        self
    }

    /// Checks that a message has each of `parts`.
    #[track_caller]
    pub(crate) fn says<const N: usize>(self, parts: [&str; N]) -> Outcome {
        for part in parts {
            assert!(self.stderr.contains(part), "not said: {part:?}\n{self}");
        }
        self
    }

    /// Checks that no message has any of `parts`.
    #[track_caller]
    pub(crate) fn does_not_say<const N: usize>(self, parts: [&str; N]) -> Outcome {
        for part in parts {
            assert!(!self.stderr.contains(part), "said: {part:?}\n{self}");
        }
        self
    }

    /// Returns whether the exit code is 0.
    pub(crate) fn has_succeeded(&self) -> bool {
        self.status.success()
    }

    /// Returns how the program ended: by a code or a signal.
    pub(crate) fn status(&self) -> ExitStatus {
        self.status
    }

    /// Returns the exit code.
    #[track_caller]
    pub(crate) fn exit_code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| panic!("ended by a signal\n{self}"))
    }

    /// Returns whether nothing came on standard output.
    pub(crate) fn stdout_is_empty(&self) -> bool {
        self.stdout.is_empty()
    }

    /// Returns standard output.
    pub(crate) fn into_stdout(self) -> Vec<u8> {
        self.stdout
    }

    /// Returns what was said on standard error, masked.
    pub(crate) fn messages(&self) -> &str {
        &self.stderr
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcome { command_line, status, stdout, stderr, .. } = self;
        let stdout = String::from_utf8_lossy(stdout);
        write!(f, "$ {command_line}\n-- {status}\n-- stdout:\n{stdout}\n-- stderr:\n{stderr}\n--")
    }
}
