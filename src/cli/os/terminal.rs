//! Questions to the user at the terminal of the process, whatever its standard streams are.

use std::io;

use crate::secret::SecretBytes;

#[cfg(unix)]
pub use unix::{ask, name};

/// Asks and returns the line that was typed, without its end.
#[cfg(not(unix))]
pub fn ask(_question: &str, _is_secret: bool) -> io::Result<SecretBytes> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Returns the path of the terminal among the standard streams.
#[cfg(not(unix))]
pub fn name() -> Option<String> {
    None
}

#[cfg(unix)]
mod unix {
    use std::fs::{File, OpenOptions};
    use std::io::{Read, Write};
    use std::os::fd::{AsFd, BorrowedFd};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::io::Errno;
    use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr, ttyname};

    use super::super::signals::Hold;
    use super::{SecretBytes, io};

    /// The longest answer, in bytes; a terminal gives no longer line.
    const MAX_ANSWER: usize = 4096;

    /// Asks and returns the line that was typed, without its end. A secret one is not shown.
    ///
    /// # Errors
    /// If there is no terminal, or it ends before the line does. A termination signal ends the
    /// process once the terminal shows again what is typed.
    pub fn ask(question: &str, is_secret: bool) -> io::Result<SecretBytes> {
        let mut terminal = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
        let hold = Hold::new()?;
        let silence = if is_secret { Some(Silence::of(&terminal)?) } else { None };
        terminal.write_all(format!("{question} ").as_bytes())?;
        let answer = line(&mut terminal, &hold);
        if silence.is_some() {
            // The user's own line break was not shown.
            terminal.write_all(b"\n")?;
        }
        answer
    }

    /// Returns the path of the terminal among the standard streams. `/dev/tty` would not do: for a
    /// process that does not descend from this one, it is another terminal or none.
    pub fn name() -> Option<String> {
        let of = |stream: BorrowedFd<'_>| ttyname(stream, Vec::new()).ok();
        let name = of(io::stdin().as_fd())
            .or_else(|| of(io::stderr().as_fd()))
            .or_else(|| of(io::stdout().as_fd()))?;
        name.into_string().ok()
    }

    fn line(terminal: &mut File, hold: &Hold) -> io::Result<SecretBytes> {
        let mut answer = SecretBytes::with_capacity(MAX_ANSWER);
        let mut buffer = SecretBytes::new();
        buffer.resize(256);
        loop {
            wait(terminal, hold)?;
            let count = terminal.read(buffer.as_mut_slice())?;
            if count == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "there was no answer"));
            }
            let typed = &buffer[..count];
            let end = typed.iter().position(|&byte| byte == b'\n');
            answer.extend_from_slice(&typed[..end.unwrap_or(count)]);
            if end.is_some() {
                return Ok(answer);
            }
            if answer.len() > MAX_ANSWER {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the answer is too long"));
            }
        }
    }

    /// Waits for something to be typed, or for a signal, which does not end a read.
    fn wait(terminal: &File, hold: &Hold) -> io::Result<()> {
        let pause = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        loop {
            if hold.pending().is_some() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let mut polled = [PollFd::new(terminal, PollFlags::IN)];
            match poll(&mut polled, Some(&pause)) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// A terminal that does not show what is typed, until this is dropped.
    struct Silence {
        terminal: File,
        before: Termios,
    }

    impl Silence {
        fn of(terminal: &File) -> io::Result<Silence> {
            let before = tcgetattr(terminal)?;
            let mut silent = before.clone();
            silent.local_modes.remove(LocalModes::ECHO);
            silent.local_modes.insert(LocalModes::ICANON | LocalModes::ISIG);
            let terminal = terminal.try_clone()?;
            tcsetattr(&terminal, OptionalActions::Now, &silent)?;
            Ok(Silence { terminal, before })
        }
    }

    impl Drop for Silence {
        fn drop(&mut self) {
            // Nothing can be done about a terminal that is gone.
            let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
        }
    }
}
