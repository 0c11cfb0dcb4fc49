//! A child that shares the terminal, and what happens to it when a signal comes.
//!
//! The child stays in our process group, so that the terminal's job control (Ctrl-C, Ctrl-Z, `fg`)
//! works as for any program. A SIGINT that the *terminal* sends has reached the child as well and
//! is left to it: vim wants it. Every other termination signal was sent to us: the child and what
//! it started are terminated, and the caller is told. The caller must have a
//! [`Hold`](super::signals::Hold), so that no signal ends the process before.

use std::io;
use std::process::{Command, ExitStatus};

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself.
    Exited(ExitStatus),
    /// Because a signal with this number came.
    Interrupted(i32),
}

/// What a person answered to a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A line.
    Enter,
    /// The end of standard input.
    End,
    /// A signal with this number.
    Interrupted(i32),
}

#[cfg(unix)]
pub use unix::{run, wait_for_enter};

#[cfg(not(unix))]
pub use other::{run, wait_for_enter};

#[cfg(unix)]
mod unix {
    use std::os::unix::process::ExitStatusExt;
    use std::process::Child;
    use std::time::{Duration, Instant};

    use rustix::io::Errno;
    use rustix::process::{Pid, Signal, getpgrp, kill_process};
    use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};
    use signal_hook::consts::SIGINT;

    use super::super::arrivals::Arrivals;
    use super::super::signals::Hold;
    use super::{Answer, Command, Ended, io};

    /// How long a child may take to end after SIGTERM.
    const GRACE: Duration = Duration::from_secs(2);
    const PAUSE: Duration = Duration::from_millis(10);

    /// Runs `command` until it ends or a signal comes.
    ///
    /// Signals that it reports are no longer pending in `hold`.
    pub fn run(command: &mut Command, hold: &Hold) -> io::Result<Ended> {
        let mut arrived = Arrivals::new(&[])?;
        if let Some(signal) = hold.pending() {
            hold.forget_pending();
            return Ok(Ended::Interrupted(signal));
        }
        let terminal = TerminalState::save();
        let mut child = super::super::with_private_umask(|| command.spawn())?;
        let mut from_terminal = None;
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            match next(&mut arrived, hold) {
                Some(Arrival::Terminal(signal)) => from_terminal = Some(signal),
                Some(Arrival::Sent(signal)) => {
                    terminate(&mut child);
                    terminal.restore();
                    return Ok(Ended::Interrupted(signal));
                }
                None => arrived.wait()?,
            }
        };
        // Whatever came until now came while the child ran.
        loop {
            match next(&mut arrived, hold) {
                Some(Arrival::Terminal(signal)) => from_terminal = Some(signal),
                Some(Arrival::Sent(signal)) => return Ok(Ended::Interrupted(signal)),
                None => break,
            }
        }
        if status.signal().is_some() {
            terminal.restore();
        }
        Ok(match from_terminal {
            Some(signal) if !status.success() => Ended::Interrupted(signal),
            _ => Ended::Exited(status),
        })
    }

    /// Waits for a line on standard input, of which nothing is kept, or a signal.
    pub fn wait_for_enter(hold: &Hold) -> io::Result<Answer> {
        let mut arrived = Arrivals::new(&[])?;
        // A signal that came before is an answer, too.
        if let Some(signal) = hold.pending() {
            hold.forget_pending();
            return Ok(Answer::Interrupted(signal));
        }
        loop {
            if let Some(Arrival::Terminal(signal) | Arrival::Sent(signal)) =
                next(&mut arrived, hold)
            {
                return Ok(Answer::Interrupted(signal));
            }
            if !arrived.wait_or_stdin()? {
                continue;
            }
            let mut byte = [0];
            match rustix::io::read(rustix::stdio::stdin(), &mut byte) {
                Ok(0) => return Ok(Answer::End),
                Ok(_) if byte[0] == b'\n' => return Ok(Answer::Enter),
                Ok(_) | Err(Errno::INTR | Errno::AGAIN) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// A termination signal.
    enum Arrival {
        /// SIGINT from the terminal, which the child has got as well.
        Terminal(i32),
        /// From another process or the system.
        Sent(i32),
    }

    /// Returns the next termination signal; it is no longer pending in `hold`.
    fn next(arrived: &mut Arrivals, hold: &Hold) -> Option<Arrival> {
        let mut terminal = None;
        let mut sent = None;
        for arrival in arrived.take() {
            match arrival.signal {
                SIGINT if arrival.by_kernel => terminal = Some(SIGINT),
                signal => sent = Some(signal),
            }
        }
        if terminal.is_some() || sent.is_some() {
            hold.forget_pending();
        }
        sent.map(Arrival::Sent).or(terminal.map(Arrival::Terminal))
    }

    /// Ends the child and what it started: politely, then not.
    fn terminate(child: &mut Child) {
        let family = Family::of(child);
        family.kill(child, Signal::TERM);
        let deadline = Instant::now() + GRACE;
        while matches!(child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(PAUSE);
        }
        family.kill(child, Signal::KILL);
        let _ = child.wait();
    }

    /// A child's descendants: an editor is often started by a script.
    struct Family {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        descendants: Vec<std::os::fd::OwnedFd>,
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    impl Family {
        /// More than any editor starts; the walk must end.
        const LIMIT: usize = 256;

        fn of(child: &Child) -> Family {
            use rustix::process::{PidfdFlags, pidfd_open};
            let mut numbers = vec![child.id()];
            let mut next = 0;
            while let Some(&parent) = numbers.get(next) {
                next += 1;
                numbers.extend(children_of(parent));
                numbers.truncate(Self::LIMIT);
            }
            // Descriptors, since numbers may be reused while we wait.
            let descendants = numbers[1..]
                .iter()
                .filter_map(|&number| Pid::from_raw(i32::try_from(number).ok()?))
                .filter_map(|pid| pidfd_open(pid, PidfdFlags::empty()).ok())
                .collect();
            Family { descendants }
        }

        fn kill(&self, child: &mut Child, signal: Signal) {
            kill_child(child, signal);
            for process in &self.descendants {
                let _ = rustix::process::pidfd_send_signal(process, signal);
            }
        }
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn children_of(parent: u32) -> Vec<u32> {
        let Ok(threads) = std::fs::read_dir(format!("/proc/{parent}/task")) else {
            return Vec::new();
        };
        threads
            .flatten()
            .filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok())
            .flat_map(|list| {
                list.split_whitespace()
                    .filter_map(|number| number.parse().ok())
                    .collect::<Vec<u32>>()
            })
            .collect()
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    impl Family {
        fn of(_child: &Child) -> Family {
            Family {}
        }

        fn kill(&self, child: &mut Child, signal: Signal) {
            kill_child(child, signal);
        }
    }

    fn kill_child(child: &mut Child, signal: Signal) {
        // Only while it has not been waited for is the number certainly the child's.
        if matches!(child.try_wait(), Ok(None))
            && let Ok(number) = i32::try_from(child.id())
            && let Some(pid) = Pid::from_raw(number)
        {
            let _ = kill_process(pid, signal);
        }
    }

    /// The terminal's settings, which an editor that was killed leaves in disorder.
    struct TerminalState(Option<Termios>);

    impl TerminalState {
        fn save() -> TerminalState {
            TerminalState(tcgetattr(rustix::stdio::stdin()).ok())
        }

        fn restore(&self) {
            let stdin = rustix::stdio::stdin();
            // In the background, setting anything would stop us before the files are clean.
            if let Some(state) = &self.0
                && tcgetpgrp(stdin) == Ok(getpgrp())
            {
                let _ = tcsetattr(stdin, OptionalActions::Drain, state);
            }
        }
    }
}

#[cfg(not(unix))]
mod other {
    use super::super::signals::Hold;
    use super::{Answer, Command, Ended, io};

    /// Runs `command` until it ends.
    pub fn run(command: &mut Command, _hold: &Hold) -> io::Result<Ended> {
        command.status().map(Ended::Exited)
    }

    /// Waits for a line on standard input.
    pub fn wait_for_enter(_hold: &Hold) -> io::Result<Answer> {
        Ok(match io::stdin().read_line(&mut String::new())? {
            0 => Answer::End,
            _ => Answer::Enter,
        })
    }
}
