//! A small HTTP server within the test: it answers what a closure says, and keeps what it was asked.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// How long a client may be silent in the middle of a request.
const PATIENCE: Duration = Duration::from_secs(10);

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// `GET`, `PUT` ...
    pub(crate) method: String,
    /// The path with its query.
    pub(crate) path: String,
    /// Names in lower case, and values.
    pub(crate) headers: Vec<(String, String)>,
    /// The body.
    pub(crate) body: String,
}

impl Asked {
    /// Returns the value of a header, whose name is given in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
    is_silent: bool,
}

impl Reply {
    /// Returns an answer with a JSON body.
    pub(crate) fn json(status: u16, body: impl Into<String>) -> Reply {
        let headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
        Reply { status, headers, body: body.into(), is_silent: false }
    }

    /// Adds a header.
    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Reply {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Returns the body.
    pub(crate) fn body(&self) -> &str {
        &self.body
    }

    /// Returns no answer: the connection stays open until the server ends.
    pub(crate) fn silence() -> Reply {
        Reply { status: 0, headers: Vec::new(), body: String::new(), is_silent: true }
    }
}

/// Answers requests on a port of this machine until it is dropped.
pub(crate) struct StandIn {
    address: SocketAddr,
    certificate: Option<String>,
    shared: Arc<Shared>,
    listening: Option<JoinHandle<()>>,
}

struct Shared {
    answer: Box<dyn Fn(&Asked) -> Reply + Send + Sync>,
    asked: Mutex<Vec<Asked>>,
    /// Connections that wait for ever, kept open.
    silent: Mutex<Vec<TcpStream>>,
    is_over: AtomicBool,
    tls: Option<Arc<ServerConfig>>,
}

impl StandIn {
    /// Starts a server for plain HTTP.
    pub(crate) fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> StandIn {
        StandIn::listen(Box::new(answer), None)
    }

    /// Starts a server with a certificate of its own ([`StandIn::certificate`]) for `127.0.0.1`
    /// and these names.
    pub(crate) fn start_tls(
        names: &[&str],
        answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> StandIn {
        let names = ["127.0.0.1"].iter().chain(names).map(|&name| name.to_owned());
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(names.collect::<Vec<_>>()).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
        let config =
            ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![cert.der().clone()], key)
                .unwrap();
        StandIn::listen(Box::new(answer), Some((Arc::new(config), cert.pem())))
    }

    fn listen(
        answer: Box<dyn Fn(&Asked) -> Reply + Send + Sync>,
        tls: Option<(Arc<ServerConfig>, String)>,
    ) -> StandIn {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (tls, certificate) = tls.unzip();
        let shared = Arc::new(Shared {
            answer,
            asked: Mutex::default(),
            silent: Mutex::default(),
            is_over: AtomicBool::new(false),
            tls,
        });
        let theirs = Arc::clone(&shared);
        let listening = thread::spawn(move || {
            for stream in listener.incoming() {
                if theirs.is_over.load(Ordering::Relaxed) {
                    return;
                }
                let shared = Arc::clone(&theirs);
                // What goes wrong is a client that went away: it says so itself.
                thread::spawn(move || stream.and_then(|stream| serve(stream, &shared)));
            }
        });
        StandIn { address, certificate, shared, listening: Some(listening) }
    }

    /// Returns `http://127.0.0.1:PORT`, or the same with `https`.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.certificate.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Returns the certificate, as PEM, that a client has to trust.
    pub(crate) fn certificate(&self) -> &str {
        self.certificate.as_deref().unwrap()
    }

    /// Returns all requests so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for the next client.
        let _ = TcpStream::connect(self.address);
        if let Some(listening) = self.listening.take() {
            let _ = listening.join();
        }
    }
}

fn serve(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let kept = stream.try_clone()?;
    let reply = match &shared.tls {
        None => converse(stream, shared)?,
        Some(config) => {
            let connection = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
            converse(StreamOwned::new(connection, stream), shared)?
        }
    };
    if reply.is_silent {
        shared.silent.lock().unwrap().push(kept);
    }
    Ok(())
}

/// Reads one request and answers it; the connection ends there.
fn converse(stream: impl Read + Write, shared: &Shared) -> io::Result<Reply> {
    let mut reader = BufReader::new(stream);
    let asked = read(&mut reader)?;
    let reply = (shared.answer)(&asked);
    shared.asked.lock().unwrap().push(asked);
    if !reply.is_silent {
        let mut text = format!("HTTP/1.1 {} Answer\r\nConnection: close\r\n", reply.status);
        for (name, value) in &reply.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str(&format!("Content-Length: {}\r\n\r\n{}", reply.body.len(), reply.body));
        reader.get_mut().write_all(text.as_bytes())?;
        reader.get_mut().flush()?;
    }
    Ok(reply)
}

fn read(reader: &mut impl BufRead) -> io::Result<Asked> {
    let mut line = || -> io::Result<String> {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    };
    let first = line()?;
    let mut words = first.split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = Vec::new();
    loop {
        let header = line()?;
        let Some((name, value)) = header.split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut asked = Asked { method, path, headers, body: String::new() };
    if asked.header("transfer-encoding") == Some("chunked") {
        while let size @ 1.. = chunk_size(reader)? {
            reader.by_ref().take(size).read_to_string(&mut asked.body)?;
            reader.read_line(&mut String::new())?;
        }
        return Ok(asked);
    }
    let length = asked.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    reader.take(length).read_to_string(&mut asked.body)?;
    Ok(asked)
}

/// Reads the line in front of a piece of a body.
fn chunk_size(reader: &mut impl BufRead) -> io::Result<u64> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    u64::from_str_radix(line.trim(), 16).map_err(io::Error::other)
}
