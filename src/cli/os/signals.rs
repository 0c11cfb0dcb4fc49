//! Termination signals that wait until files are clean.
//!
//! While a [`Hold`] exists, SIGINT, SIGTERM, SIGHUP and SIGQUIT are only noted; when the last one
//! is dropped, a noted signal ends the process as if it had just come. So whatever a `Hold`
//! protects - a temporary file, a directory with plaintext - is removed by ordinary destructors,
//! and no clean-up runs inside a signal handler. Signals that were ignored when the program
//! started (`nohup`, background jobs) stay ignored.
//!
//! Signal handlers belong to the whole process, which is why this is the one module with global
//! state.

#[cfg(unix)]
pub use unix::{Hold, TERMINATION};

#[cfg(not(unix))]
pub use other::Hold;

/// Runs `action` on a thread when a termination signal comes, once.
///
/// # Errors
/// If the system has no means for it.
#[cfg(unix)]
pub fn on_termination(action: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    let mut arrived = super::arrivals::Arrivals::new(&[])?;
    let wait = move || {
        while arrived.take().is_empty() {
            if arrived.wait().is_err() {
                return;
            }
        }
        action();
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(wait).map(drop)
}

/// Does nothing: a termination signal ends the process.
#[cfg(not(unix))]
pub fn on_termination(action: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    drop(action);
    Ok(())
}

#[cfg(unix)]
mod unix {
    use std::io;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::sync::{Mutex, PoisonError};

    use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGXFSZ};
    use signal_hook::flag;

    /// The signals that end the program and wait while a [`Hold`] exists.
    pub const TERMINATION: [i32; 4] = [SIGINT, SIGTERM, SIGHUP, SIGQUIT];

    /// Whether a signal ends the process at once.
    static AT_ONCE: AtomicBool = AtomicBool::new(true);
    /// The last signal that came; 0 for none.
    static PENDING: AtomicUsize = AtomicUsize::new(0);
    /// Only set: a file size limit then is an error of the write, instead of the end of the process.
    static FILE_SIZE: AtomicBool = AtomicBool::new(false);
    static HOLDERS: Mutex<Holders> = Mutex::new(Holders { count: 0, installed: false });

    struct Holders {
        count: usize,
        installed: bool,
    }

    /// Keeps termination signals waiting until it is dropped; they nest.
    ///
    /// Declare it as the last field of a structure or the first variable of a function, so that it
    /// is dropped after what it protects.
    #[derive(Debug)]
    pub struct Hold(());

    impl Hold {
        /// Lets termination signals wait from now on.
        pub fn new() -> io::Result<Hold> {
            let mut holders = HOLDERS.lock().unwrap_or_else(PoisonError::into_inner);
            if !holders.installed {
                install()?;
                holders.installed = true;
            }
            holders.count += 1;
            AT_ONCE.store(false, Ordering::SeqCst);
            Ok(Hold(()))
        }

        /// Returns the signal that waits.
        pub fn pending(&self) -> Option<i32> {
            match PENDING.load(Ordering::SeqCst) {
                0 => None,
                signal => i32::try_from(signal).ok(),
            }
        }

        /// Forgets the signal that waits: the caller reports it itself.
        pub fn forget_pending(&self) {
            PENDING.store(0, Ordering::SeqCst);
        }
    }

    impl Drop for Hold {
        fn drop(&mut self) {
            let mut holders = HOLDERS.lock().unwrap_or_else(PoisonError::into_inner);
            holders.count = holders.count.saturating_sub(1);
            if holders.count > 0 {
                return;
            }
            // In this order: a signal between the two lines ends the process in its handler.
            AT_ONCE.store(true, Ordering::SeqCst);
            if let Some(signal) = self.pending() {
                // Does not return.
                let _ = signal_hook::low_level::emulate_default_handler(signal);
            }
        }
    }

    fn install() -> io::Result<()> {
        let ignored = ignored_signals();
        for signal in TERMINATION {
            if !is_in(ignored, signal) {
                flag::register_usize(signal, &PENDING, signal.unsigned_abs() as usize)?;
                flag::register_conditional_default(signal, &AT_ONCE)?;
            }
        }
        flag::register(SIGXFSZ, &FILE_SIZE)?;
        Ok(())
    }

    /// Returns the termination signals that the program does not ignore.
    pub(in super::super) fn not_ignored() -> impl Iterator<Item = i32> {
        let ignored = ignored_signals();
        TERMINATION.into_iter().filter(move |&signal| !is_in(ignored, signal))
    }

    fn is_in(set: u64, signal: i32) -> bool {
        let bit = signal.unsigned_abs().wrapping_sub(1);
        set.checked_shr(bit).unwrap_or(0) & 1 == 1
    }

    /// Returns the set of ignored signals, bit 0 for signal 1; none where it cannot be known.
    fn ignored_signals() -> u64 {
        if !cfg!(any(target_os = "linux", target_os = "android")) {
            return 0;
        }
        std::fs::read_to_string("/proc/self/status")
            .ok()
            .and_then(|status| {
                let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
                u64::from_str_radix(line.trim(), 16).ok()
            })
            .unwrap_or(0)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn signal_sets_are_counted_from_one() {
            assert!(is_in(0b10, SIGINT));
            assert!(!is_in(0b10, SIGHUP));
            assert!(!is_in(u64::MAX, 0));
            assert!(!is_in(u64::MAX, 65));
        }
    }
}

#[cfg(unix)]
pub(in crate::cli::os) use unix::not_ignored;

#[cfg(not(unix))]
mod other {
    use std::io;

    /// Keeps termination signals waiting where the system has them; here it has none.
    #[derive(Debug)]
    pub struct Hold(());

    impl Hold {
        /// Returns a hold that does nothing.
        pub fn new() -> io::Result<Hold> {
            Ok(Hold(()))
        }

        /// Returns `None`.
        pub fn pending(&self) -> Option<i32> {
            None
        }

        /// Does nothing.
        pub fn forget_pending(&self) {}
    }
}
