//! Signals as they arrive, with who sent them, while a child shares the terminal.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use signal_hook::consts::SIGCHLD;
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::raw::WithRawSiginfo;

use super::signals;

/// A signal that came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    /// Its number.
    pub(super) signal: i32,
    /// Whether the kernel sent it, as it does for the keys of a terminal: a child in the same
    /// process group has got it as well.
    pub(super) by_kernel: bool,
}

/// The signals that came since it was made: those of termination that are not ignored, others that
/// are asked for, and the end of a child.
pub(super) struct Arrivals(SignalDelivery<UnixStream, WithRawSiginfo>);

impl Arrivals {
    pub(super) fn new(others: &[i32]) -> io::Result<Arrivals> {
        let (read, write) = UnixStream::pair()?;
        let signals = signals::not_ignored().chain(others.iter().copied()).chain([SIGCHLD]);
        SignalDelivery::with_pipe(read, write, WithRawSiginfo, signals).map(Arrivals)
    }

    /// Returns the signals that came since the last call, but for the end of a child.
    pub(super) fn take(&mut self) -> Vec<Arrival> {
        self.0
            .pending()
            .filter(|info| info.si_signo != SIGCHLD)
            .map(|info| Arrival { signal: info.si_signo, by_kernel: is_by_kernel(info.si_code) })
            .collect()
    }

    /// Waits for a signal.
    pub(super) fn wait(&self) -> io::Result<()> {
        self.wait_with(None).map(|_| ())
    }

    /// Waits for a signal or something on standard input, and returns whether it is the latter.
    pub(super) fn wait_or_stdin(&self) -> io::Result<bool> {
        let stdin = rustix::stdio::stdin();
        self.wait_with(Some(PollFd::from_borrowed_fd(stdin, PollFlags::IN)))
    }

    fn wait_with(&self, other: Option<PollFd<'_>>) -> io::Result<bool> {
        let signal = PollFd::from_borrowed_fd(self.0.get_read().as_fd(), PollFlags::IN);
        let mut fds: Vec<PollFd<'_>> = std::iter::once(signal).chain(other).collect();
        match poll(&mut fds, None) {
            Ok(_) => Ok(fds.get(1).is_some_and(|fd| !fd.revents().is_empty())),
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

fn is_by_kernel(code: i32) -> bool {
    if cfg!(any(target_os = "linux", target_os = "android")) {
        const SI_KERNEL: i32 = 0x80;
        code == SI_KERNEL
    } else {
        // The BSDs and macOS mark what processes send.
        const SI_USER: i32 = 0x10001;
        code != SI_USER
    }
}
