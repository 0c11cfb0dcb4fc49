//! Key services: the real ones, and stand-ins for those that cannot run here.

#[cfg(feature = "audit")]
mod audit;
#[cfg(feature = "aws")]
mod aws;
mod azure;
#[cfg(feature = "hc-vault")]
mod bao;
mod clouds;
mod gcp;
#[cfg(feature = "hc-vault")]
mod hc_vault;
#[cfg(feature = "huawei")]
mod hckms;
#[cfg(feature = "keyservice")]
mod keyservice;
#[cfg(feature = "hc-vault")]
mod many;
mod pgp;
#[cfg(feature = "publish")]
mod publish;
mod stand_in;

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) use keyservice::{assert_both_serve_both, served};
pub(crate) use stand_in::{Asked, Reply, StandIn};

/// How long a server may take to listen.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server on a port of its own, that ends with the test.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    /// Starts a program with the arguments that it needs to listen on a port of this machine, and
    /// waits until it does.
    pub(crate) fn start(
        program: &Path,
        arguments: impl Fn(u16) -> Vec<String>,
        env: &[(&str, &str)],
    ) -> Server {
        let address = free_address();
        let child = Command::new(program)
            .args(arguments(address.port()))
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", program.display()));
        let mut server = Server { child, address };
        let started = Instant::now();
        while TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err() {
            let ended = server.child.try_wait().unwrap();
            assert!(ended.is_none(), "{} has ended: {ended:?}", program.display());
            assert!(started.elapsed() < PATIENCE, "{} does not listen", program.display());
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    /// Returns `http://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns an address of this machine where nobody listens.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

/// Sends a request, and returns status and body.
pub(crate) fn ask(
    server: &str,
    method: &str,
    path: &str,
    header: &str,
    body: &str,
) -> (u16, String) {
    let address = server.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: {address}\r\n{header}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}
