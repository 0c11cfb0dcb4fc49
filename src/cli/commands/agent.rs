//! `agent`: remembers unwrapped data keys for a while, so that a service, a token or a passphrase is
//! asked once.
//!
//! The agent is a key service on a socket that only the user can reach, with a memory. Commands find
//! it by `ENCFILE_AGENT`; any other program can use it as a key service (`--keyservice unix://...`).

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::cli::args::agent::{AgentArgs, AgentCommand};
use crate::cli::context::{self, Context};
use crate::cli::error::{self, CliError};
use crate::cli::execution::{self, Way};
use crate::cli::exit::Exit;
use crate::cli::os::signals::{self, Hold};
use crate::cli::os::socket::{OwnDirectory, Socket};
use crate::cli::ui::Ui;
use crate::cli::{env, io, os};
use crate::keys::remote::{Agent, AgentError};
use crate::service::{KeyServer, Listener, Memory, Only, serve};

/// The longest that the agent says when it starts, in bytes.
const LONGEST_MESSAGE: u64 = 16 * 1024;

/// The name of the socket that is found without being named.
const NAME: &str = "agent.sock";

/// Runs the command.
pub fn run(context: &Context, arguments: &AgentArgs) -> Result<Exit, CliError> {
    match arguments.command {
        Some(command) => control(context, command),
        None if !arguments.program.is_empty() => around(context, arguments),
        None if arguments.foreground => foreground(context, arguments),
        None => background(context, arguments),
    }
}

/// Tells the agent that runs what to do.
fn control(context: &Context, command: AgentCommand) -> Result<Exit, CliError> {
    let agent = Agent::new(socket(context, context.env.path(env::AGENT).as_deref()));
    let failed = |error: AgentError| failed(&agent, &error);
    match command {
        AgentCommand::Lock => agent.lock().map_err(failed)?,
        AgentCommand::Stop => agent.stop().map_err(failed)?,
        AgentCommand::Status => {
            let status = agent.status().map_err(failed)?;
            let swapped = if status.is_locked { "never swapped out" } else { "may be swapped out" };
            let text = format!(
                "{} {}, each for {}; process {}, {swapped}\n",
                status.keys,
                if status.keys == 1 { "key" } else { "keys" },
                spelled(status.ttl),
                status.process,
            );
            io::write_stdout(text.as_bytes())?;
        }
    }
    Ok(Exit::Success)
}

fn failed(agent: &Agent, error: &AgentError) -> CliError {
    let socket = agent.socket().display();
    if error.is_unreachable() {
        return CliError::new(Exit::Generic, "agent", format!("no agent answers at {socket}"))
            .detail(error.to_string())
            .help("start one: eval \"$(encfile agent)\"");
    }
    CliError::new(Exit::Generic, "agent", format!("{socket}: {error}"))
}

/// Returns a time as it is given.
fn spelled(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [(24 * 60 * 60, 'd'), (60 * 60, 'h'), (60, 'm')];
    let unit =
        units.into_iter().find(|(unit, _)| seconds >= *unit && seconds.is_multiple_of(*unit));
    unit.map_or(format!("{seconds}s"), |(unit, letter)| format!("{}{letter}", seconds / unit))
}

/// Where the agent's socket is; if nobody has chosen a place, with the directory that it is in.
struct Place {
    path: PathBuf,
    _directory: Option<OwnDirectory>,
}

impl Place {
    fn new(context: &Context, chosen: Option<&Path>, name: &str) -> Result<Place, CliError> {
        if let Some(path) = chosen {
            return Ok(Place { path: context.env.absolute(path), _directory: None });
        }
        let (runtime, temporary) = places(context);
        let directory = OwnDirectory::new(runtime.as_deref(), &temporary).map_err(|error| {
            let message = format!("there is no place for the agent's socket: {error}");
            CliError::new(Exit::Output, "agent", message)
        })?;
        Ok(Place { path: directory.path().join(name), _directory: Some(directory) })
    }
}

/// Returns where the socket of an agent is that somebody has started before.
fn socket(context: &Context, chosen: Option<&Path>) -> PathBuf {
    let (runtime, temporary) = places(context);
    match chosen {
        Some(path) => context.env.absolute(path),
        None => OwnDirectory::place(runtime.as_deref(), &temporary).join(NAME),
    }
}

/// Returns the directory for what lives as long as a session, and that for temporary files.
fn places(context: &Context) -> (Option<PathBuf>, PathBuf) {
    (context.env.path("XDG_RUNTIME_DIR"), context.env.temporary_directory())
}

/// Listens at a path, in place of an agent that does not answer any more.
fn listen(ui: Ui, path: &Path) -> Result<(Listener, Socket), CliError> {
    let listening = Socket::listen(path).or_else(|error| {
        let is_left = error.kind() == std::io::ErrorKind::AddrInUse
            && Agent::new(path.to_owned()).status().is_err_and(|error| error.is_unreachable());
        if is_left && std::fs::remove_file(path).is_ok() {
            Socket::listen(path)
        } else {
            Err(error)
        }
    });
    let (socket, file) = listening.map_err(|error| {
        let message = format!("cannot listen at `{}`: {error}", path.display());
        CliError::new(Exit::Output, "agent", message)
    })?;
    let only = Only::new(rustix::process::geteuid().as_raw(), move |other| match other {
        Some(other) => ui.warn(format_args!("user {other} wanted to use the agent: refused")),
        None => ui.warn("an unknown user wanted to use the agent: refused"),
    });
    Ok((Listener::Unix { socket, only: Some(only) }, file))
}

fn server(context: &Context, ttl: Duration) -> KeyServer {
    let (personality, ui) = (context.personality, context.ui);
    let memory = Memory::new(ttl, os::time_since_start);
    if !memory.is_locked() {
        ui.warn("the system does not let keys be kept from swap (see `ulimit -l`)");
    }
    KeyServer::new(move || context::credentials(personality, ui)).remembering(memory)
}

fn not_served(error: &std::io::Error) -> CliError {
    CliError::new(Exit::Generic, "agent", format!("the agent cannot answer: {error}"))
}

/// Prints what a shell is to evaluate.
fn print_address(socket: &Path) -> Result<(), CliError> {
    let path = socket.to_string_lossy();
    let (name, path) = (env::AGENT, shell_words::quote(&path));
    Ok(io::write_stdout(format!("{name}={path}; export {name};\n").as_bytes())?)
}

/// Is the agent until it is told to end.
fn foreground(context: &Context, arguments: &AgentArgs) -> Result<Exit, CliError> {
    if arguments.detached {
        // So that the end of a terminal is not its end. It fails only where there is nothing to do.
        let _ = rustix::process::setsid();
    }
    let hold = Hold::new().map_err(|error| error::signals(&error))?;
    let place = Place::new(context, arguments.socket.as_deref(), NAME)?;
    let (listener, _socket) = listen(context.ui, &place.path)?;
    let server = server(context, arguments.ttl);
    let stop = server.stop();
    signals::on_termination(move || stop.now()).map_err(|error| error::signals(&error))?;
    print_address(&place.path)?;
    serve(listener, server).map_err(|error| not_served(&error))?;
    hold.forget_pending();
    Ok(Exit::Success)
}

/// Starts the agent as a process of its own, unless there is one, and prints where it is.
fn background(context: &Context, arguments: &AgentArgs) -> Result<Exit, CliError> {
    let path = socket(context, arguments.socket.as_deref());
    if let Ok(status) = Agent::new(path.clone()).status() {
        context.ui.note(format_args!("the agent runs already: process {}", status.process));
        print_address(&path)?;
        return Ok(Exit::Success);
    }
    let failed = |error: std::io::Error| {
        let message = format!("the agent cannot be started: {error}");
        CliError::new(Exit::Generic, "agent", message)
    };
    let mut agent = Command::new(std::env::current_exe().map_err(failed)?);
    agent
        .arg0(context.personality.program())
        .args(["agent", "--foreground", "--detached", "--ttl"])
        .arg(format!("{}s", arguments.ttl.as_secs()))
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if arguments.socket.is_some() {
        agent.arg("--socket").arg(&path);
    }
    let mut agent = agent.spawn().map_err(failed)?;
    if said(&mut agent) > 0 {
        print_address(&path)?;
        return Ok(Exit::Success);
    }
    // It has ended, and says why.
    let mut text = String::new();
    if let Some(messages) = agent.stderr.take() {
        let _ = messages.take(LONGEST_MESSAGE).read_to_string(&mut text);
    }
    context.ui.line(text.trim_end());
    let code = agent.wait().map_err(failed)?.code();
    Ok(code.and_then(|code| u8::try_from(code).ok()).map_or(Exit::Generic, Exit::Command))
}

/// Waits until the agent says where it is, and returns how much it said.
fn said(child: &mut Child) -> usize {
    let Some(output) = child.stdout.take() else { return 0 };
    let mut line = String::new();
    BufReader::new(output.take(LONGEST_MESSAGE)).read_line(&mut line).unwrap_or(0)
}

/// Is the agent of a command.
fn around(context: &Context, arguments: &AgentArgs) -> Result<Exit, CliError> {
    let Some((program, rest)) = arguments.program.split_first() else {
        return Err(execution::no_command());
    };
    let hold = Hold::new().map_err(|error| error::signals(&error))?;
    let name = format!("agent.{}.sock", std::process::id());
    let place = Place::new(context, arguments.socket.as_deref(), &name)?;
    let mut command = os::run::program(&execution::found(context, program)?, program as &OsStr);
    command.args(rest).env(env::AGENT, &place.path);
    let (listener, _socket) = listen(context.ui, &place.path)?;
    let server = server(context, arguments.ttl);
    let stop = server.stop();
    let agent = thread::Builder::new().name("agent".to_owned());
    let agent = agent.spawn(move || serve(listener, server)).map_err(|error| not_served(&error))?;
    let exit = execution::run(context, &mut command, Way::Wait(&hold));
    stop.now();
    // What it knows is wiped with it.
    let _ = agent.join();
    exit
}
