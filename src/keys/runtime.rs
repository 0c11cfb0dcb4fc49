//! The runtime of everything asynchronous, started by the first call that needs it.
//!
//! It has no threads of its own: the thread that waits for an answer drives it, and several may wait
//! at the same time. Nothing else in the program is asynchronous.

use std::future::Future;
use std::io;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Runtime};

/// Runs a future to its end.
///
/// # Errors
/// If the system has no means for a runtime.
pub(crate) fn block_on<F: Future>(future: F) -> io::Result<F::Output> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime.block_on(future));
    }
    let new = Builder::new_current_thread().enable_all().build()?;
    Ok(RUNTIME.get_or_init(|| new).block_on(future))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn several_threads_wait_at_the_same_time() {
        let sleep = async || tokio::time::sleep(Duration::from_millis(300)).await;
        let wait = || block_on(sleep()).unwrap();
        let started = std::time::Instant::now();
        std::thread::scope(|scope| (0..8).for_each(|_| drop(scope.spawn(wait))));
        assert!(started.elapsed() < Duration::from_secs(2));
    }
}
