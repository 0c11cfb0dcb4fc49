//! A pseudo-terminal as standard input, output and error of a program.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// The side of a pseudo-terminal where the person sits.
pub(crate) struct Terminal {
    input: File,
    reader: JoinHandle<()>,
    shown: Arc<Mutex<Vec<u8>>>,
    drained: mpsc::Receiver<()>,
}

impl Terminal {
    /// Makes a terminal the standard streams of `command`.
    pub(crate) fn attach(command: &mut Command) -> Terminal {
        let controller: OwnedFd = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        let name = ptsname(&controller, Vec::new()).unwrap();
        let side = || {
            // O_NOCTTY: the terminal of whoever runs the tests stays theirs.
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .custom_flags(rustix::fs::OFlags::NOCTTY.bits().cast_signed())
                .open(Path::new(std::ffi::OsStr::from_bytes(name.as_bytes())))
                .unwrap();
            Stdio::from(file)
        };
        command.stdin(side()).stdout(side()).stderr(side());

        let controller = File::from(controller);
        let mut output = controller.try_clone().unwrap();
        let (done, drained) = mpsc::channel();
        let shown = Arc::new(Mutex::new(Vec::new()));
        let text = Arc::clone(&shown);
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // The read fails (EIO) when the last program that has the terminal open is gone.
            while let Ok(count) = output.read(&mut buffer) {
                if count == 0 {
                    break;
                }
                text.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
            let _ = done.send(());
        });
        Terminal { input: controller, reader, shown, drained }
    }

    /// Types `keys`.
    pub(crate) fn type_in(&mut self, keys: &[u8]) {
        self.input.write_all(keys).unwrap();
    }

    /// Returns whether the program has shown `text` by now.
    pub(crate) fn has_shown(&self, text: &str) -> bool {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).contains(text)
    }

    /// Returns all that the program has shown, once it is gone.
    pub(crate) fn shown(self) -> String {
        self.drained
            .recv_timeout(Duration::from_secs(20))
            .expect("a program still has the terminal open");
        self.reader.join().unwrap();
        String::from_utf8_lossy(&self.shown.lock().unwrap()).replace("\r\n", "\n")
    }
}
