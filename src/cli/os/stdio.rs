//! The standard streams without buffers that nobody wipes.
//!
//! `std::io::stdin()` and `stdout()` keep copies of what passes through in buffers that stay in
//! memory until the process ends; these functions move bytes between the caller's memory and the
//! system directly.

use std::io;
use std::time::Duration;

/// What standard input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StdinKind {
    /// A terminal.
    Terminal,
    /// Closed. (Rust opens `/dev/null` in place of a closed stream when the program starts, so
    /// that this is seldom seen: it comes as [`StdinKind::Device`].)
    Closed,
    /// A device without content, such as `/dev/null`, or a directory.
    Device,
    /// A regular file with nothing left to read.
    EmptyFile,
    /// A regular file with something to read.
    File,
    /// A pipe or a socket.
    Pipe,
}

/// What came first on standard input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstByte {
    /// There is something to read.
    Data,
    /// It has ended, and nothing came.
    Eof,
    /// Nothing came in time.
    Timeout,
}

/// Which standard stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

#[cfg(unix)]
pub use unix::{read_stdin, stdin_kind, wait_for_first_byte, write_all};

#[cfg(not(unix))]
pub use other::{read_stdin, stdin_kind, wait_for_first_byte, write_all};

#[cfg(unix)]
mod unix {
    use std::time::Instant;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::fd::BorrowedFd;
    use rustix::fs::FileType;
    use rustix::io::Errno;

    use super::{Duration, FirstByte, Output, StdinKind, io};

    /// Returns what standard input is, without reading from it.
    pub fn stdin_kind() -> StdinKind {
        kind_of(rustix::stdio::stdin())
    }

    pub(super) fn kind_of(stream: BorrowedFd<'_>) -> StdinKind {
        let Ok(stat) = rustix::fs::fstat(stream) else {
            return StdinKind::Closed;
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Fifo | FileType::Socket => StdinKind::Pipe,
            FileType::RegularFile => {
                let size = u64::try_from(stat.st_size).unwrap_or(0);
                // Something may have read the file up to its end before us: `{ read; encfile; } < f`.
                if rustix::fs::tell(stream).unwrap_or(0) >= size {
                    StdinKind::EmptyFile
                } else {
                    StdinKind::File
                }
            }
            FileType::CharacterDevice if rustix::termios::isatty(stream) => StdinKind::Terminal,
            _ => StdinKind::Device,
        }
    }

    /// Waits until there is something to read on standard input, which stays there.
    ///
    /// For pipes and sockets. Of a terminal the next line counts, and a device such as
    /// `/dev/null` always has [`FirstByte::Data`].
    pub fn wait_for_first_byte(timeout: Duration) -> io::Result<FirstByte> {
        wait_on(rustix::stdio::stdin(), timeout)
    }

    pub(super) fn wait_on(stream: BorrowedFd<'_>, timeout: Duration) -> io::Result<FirstByte> {
        // `None`: so long that it is for ever.
        let deadline = Instant::now().checked_add(timeout);
        loop {
            let left = deadline
                .map(|deadline| deadline.saturating_duration_since(Instant::now()))
                .and_then(|left| Timespec::try_from(left).ok());
            let mut fds = [PollFd::from_borrowed_fd(stream, PollFlags::IN)];
            match poll(&mut fds, left.as_ref()) {
                Ok(0) => return Ok(FirstByte::Timeout),
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            if !fds[0].revents().contains(PollFlags::IN) {
                return Ok(FirstByte::Eof);
            }
            // "Readable" is also what the end of a socket or of a file looks like.
            return Ok(match rustix::io::ioctl_fionread(stream) {
                Ok(0) => FirstByte::Eof,
                _ => FirstByte::Data,
            });
        }
    }

    /// Reads some bytes from standard input; 0 at its end.
    pub fn read_stdin(buffer: &mut [u8]) -> io::Result<usize> {
        let stream = rustix::stdio::stdin();
        loop {
            match rustix::io::read(stream, &mut *buffer) {
                Ok(count) => return Ok(count),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => wait_until(stream, PollFlags::IN)?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Writes all bytes to a standard stream.
    pub fn write_all(output: Output, bytes: &[u8]) -> io::Result<()> {
        let stream = match output {
            Output::Stdout => rustix::stdio::stdout(),
            Output::Stderr => rustix::stdio::stderr(),
        };
        write_all_to(stream, bytes)
    }

    pub(super) fn write_all_to(stream: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match rustix::io::write(stream, bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => bytes = &bytes[count.min(bytes.len())..],
                Err(Errno::INTR) => {}
                // Whoever shares the stream may have made it non-blocking.
                Err(Errno::AGAIN) => wait_until(stream, PollFlags::OUT)?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn wait_until(stream: BorrowedFd<'_>, ready: PollFlags) -> io::Result<()> {
        match poll(&mut [PollFd::from_borrowed_fd(stream, ready)], None) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(not(unix))]
mod other {
    use std::io::{IsTerminal, Read, Write};

    use super::{Duration, FirstByte, Output, StdinKind, io};

    /// Returns what standard input is; everything but a terminal counts as a pipe.
    pub fn stdin_kind() -> StdinKind {
        if io::stdin().is_terminal() { StdinKind::Terminal } else { StdinKind::Pipe }
    }

    /// Returns [`FirstByte::Data`]: waiting with a limit is not possible here.
    pub fn wait_for_first_byte(_timeout: Duration) -> io::Result<FirstByte> {
        Ok(FirstByte::Data)
    }

    /// Reads some bytes from standard input; 0 at its end.
    pub fn read_stdin(buffer: &mut [u8]) -> io::Result<usize> {
        io::stdin().lock().read(buffer)
    }

    /// Writes all bytes to a standard stream.
    pub fn write_all(output: Output, bytes: &[u8]) -> io::Result<()> {
        match output {
            Output::Stdout => {
                let mut stream = io::stdout().lock();
                stream.write_all(bytes)?;
                stream.flush()
            }
            Output::Stderr => io::stderr().lock().write_all(bytes),
        }
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Seek, SeekFrom, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::unix::{kind_of, wait_on, write_all_to};
    use super::*;

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn every_kind_of_input_is_told_apart() {
        let (pipe, _writer) = io::pipe().unwrap();
        assert_eq!(kind_of(pipe.as_fd()), StdinKind::Pipe);
        let (socket, _other) = UnixStream::pair().unwrap();
        assert_eq!(kind_of(socket.as_fd()), StdinKind::Pipe);
        let null = File::open("/dev/null").unwrap();
        assert_eq!(kind_of(null.as_fd()), StdinKind::Device);
        let directory = File::open("/").unwrap();
        assert_eq!(kind_of(directory.as_fd()), StdinKind::Device);
        let mut file = tempfile::tempfile().unwrap();
        assert_eq!(kind_of(file.as_fd()), StdinKind::EmptyFile);
        file.write_all(b"x").unwrap();
        assert_eq!(kind_of(file.as_fd()), StdinKind::EmptyFile, "read to its end");
        file.seek(SeekFrom::Start(0)).unwrap();
        assert_eq!(kind_of(file.as_fd()), StdinKind::File);
    }

    #[test]
    fn the_first_byte_of_a_pipe_is_waited_for_and_kept() {
        let (mut reader, mut writer) = io::pipe().unwrap();
        assert_eq!(wait_on(reader.as_fd(), SHORT).unwrap(), FirstByte::Timeout);
        let late = std::thread::spawn(move || {
            std::thread::sleep(SHORT);
            writer.write_all(b"x").unwrap();
        });
        assert_eq!(wait_on(reader.as_fd(), LONG).unwrap(), FirstByte::Data);
        late.join().unwrap();
        let mut all = Vec::new();
        reader.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"x");
        assert_eq!(wait_on(reader.as_fd(), LONG).unwrap(), FirstByte::Eof);
    }

    #[test]
    fn the_end_of_a_socket_or_file_is_no_data() {
        let (reader, writer) = UnixStream::pair().unwrap();
        assert_eq!(wait_on(reader.as_fd(), SHORT).unwrap(), FirstByte::Timeout);
        (&writer).write_all(b"x").unwrap();
        assert_eq!(wait_on(reader.as_fd(), LONG).unwrap(), FirstByte::Data);
        (&reader).read_exact(&mut [0]).unwrap();
        drop(writer);
        assert_eq!(wait_on(reader.as_fd(), LONG).unwrap(), FirstByte::Eof);
        let empty = tempfile::tempfile().unwrap();
        assert_eq!(wait_on(empty.as_fd(), LONG).unwrap(), FirstByte::Eof);
    }

    #[test]
    fn writing_waits_for_a_slow_non_blocking_reader() {
        let (mut reader, writer) = UnixStream::pair().unwrap();
        writer.set_nonblocking(true).unwrap();
        let bytes: Vec<u8> = (0..1_000_000u32).map(|n| n as u8).collect();
        let expected = bytes.clone();
        let slow = std::thread::spawn(move || {
            let mut all = Vec::new();
            reader.read_to_end(&mut all).unwrap();
            all
        });
        write_all_to(writer.as_fd(), &bytes).unwrap();
        drop(writer);
        assert!(slow.join().unwrap() == expected);
    }
}
