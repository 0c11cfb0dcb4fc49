//! A user's command: in the place of this process, beside it, or without waiting for it.
//!
//! A child stays in our process group, so that the terminal's job control works as for any program;
//! what the terminal's keys send has reached it as well. Every other signal was sent to us, and is
//! passed on. Unlike an editor ([`super::editor_process`]), a command is never killed: it ends when
//! it wants to, and we after it. Programs of ours that nobody sees are apart ([`apart`]).

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With this exit code.
    Code(u8),
    /// By a signal with this number, and whether there is a core file of it.
    Signal {
        /// The signal.
        number: i32,
        /// Whether the system wrote a core file.
        core: bool,
    },
    /// It was not started: a signal with this number had come before.
    Interrupted(i32),
}

impl Ended {
    fn of(status: ExitStatus) -> Ended {
        #[cfg(unix)]
        {
            use std::os::unix::process::ExitStatusExt;
            if let Some(number) = status.signal() {
                return Ended::Signal { number, core: status.core_dumped() };
            }
        }
        // Beyond 255 only where codes have 32 bits.
        Ended::Code(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX))
    }
}

/// Returns a command that runs the program at `path`, which gets `name` as its own.
pub fn program(path: &Path, name: &OsStr) -> Command {
    let mut command = Command::new(path);
    #[cfg(unix)]
    std::os::unix::process::CommandExt::arg0(&mut command, name);
    #[cfg(not(unix))]
    let _ = name;
    command
}

/// Starts a command that nobody waits for, without standard streams, in a process group of its own.
pub fn start(command: &mut Command) -> io::Result<()> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    apart(command).spawn().map(drop)
}

/// Gives a command a process group of its own, which [`end_group`] can end.
pub fn apart(command: &mut Command) -> &mut Command {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    command
}

/// Ends a command that was started [`apart`], with all that it has started, and waits for it.
pub fn end_group(child: &mut Child) {
    // What has ended just now needs not be ended.
    #[cfg(unix)]
    let _ = rustix::process::kill_process_group(
        rustix::process::Pid::from_child(child),
        rustix::process::Signal::KILL,
    );
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(unix)]
pub use unix::{replace, wait};

#[cfg(not(unix))]
pub use other::{replace, wait};

#[cfg(unix)]
mod unix {
    use std::os::unix::process::CommandExt;

    use rustix::process::{Pid, Signal, kill_process};
    use signal_hook::consts::{SIGUSR1, SIGUSR2};

    use super::super::arrivals::{Arrival, Arrivals};
    use super::super::signals::Hold;
    use super::{Command, Ended, io};

    /// Lets a command take the place of this process; returns if that is not possible only.
    ///
    /// Nothing that is still to be dropped is dropped.
    pub fn replace(command: &mut Command) -> io::Result<Ended> {
        Err(command.exec())
    }

    /// Runs a command and passes signals on to it.
    ///
    /// Signals that were passed on are no longer pending in `hold`.
    pub fn wait(command: &mut Command, hold: &Hold) -> io::Result<Ended> {
        let mut arrived = Arrivals::new(&[SIGUSR1, SIGUSR2])?;
        if let Some(signal) = hold.pending() {
            hold.forget_pending();
            return Ok(Ended::Interrupted(signal));
        }
        let mut child = command.spawn()?;
        let pid = Pid::from_child(&child);
        loop {
            if let Some(status) = child.try_wait()? {
                hold.forget_pending();
                return Ok(Ended::of(status));
            }
            // The child has not been waited for: the number is certainly its own.
            for Arrival { signal, by_kernel } in arrived.take() {
                if let Some(signal) = Signal::from_named_raw(signal).filter(|_| !by_kernel) {
                    let _ = kill_process(pid, signal);
                }
            }
            hold.forget_pending();
            arrived.wait()?;
        }
    }
}

#[cfg(not(unix))]
mod other {
    use super::super::signals::Hold;
    use super::{Command, Ended, io};

    /// Runs a command: no process can take the place of another here.
    pub fn replace(command: &mut Command) -> io::Result<Ended> {
        command.status().map(Ended::of)
    }

    /// Runs a command.
    pub fn wait(command: &mut Command, _hold: &Hold) -> io::Result<Ended> {
        command.status().map(Ended::of)
    }
}
