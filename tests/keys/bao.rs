//! A real `OpenBao` server.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::{Server, ask};
use crate::peers;

/// The token that may do everything; the sandbox finds it in messages.
pub(super) const ROOT: &str = "root-canary";

/// Returns the server, which the tests that run at the same time share.
pub(super) fn shared() -> Arc<Server> {
    static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    let server = shared.upgrade().unwrap_or_else(|| {
        let arguments = |port| {
            let listen = format!("-dev-listen-address=127.0.0.1:{port}");
            let token = format!("-dev-root-token-id={ROOT}");
            let words = ["server", "-dev", "-dev-no-store-token", &listen, &token];
            words.map(str::to_owned).to_vec()
        };
        Arc::new(Server::start(&peers::python_program("bao"), arguments, &[]))
    });
    *shared = Arc::downgrade(&server);
    server
}

/// Asks the API for something as root, and returns the status and the body of the answer.
pub(super) fn ask_as_root(server: &Server, method: &str, path: &str, body: &str) -> (u16, String) {
    let header = format!("X-Vault-Token: {ROOT}");
    ask(&server.url(), method, &format!("/v1/{path}"), &header, body)
}
