//! One call: a connection, a request, an answer.

use std::error::Error as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Endpoint;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use super::Address;
use super::message::MAX_MESSAGE;
use crate::keys::{error_text, runtime};

/// How long a service may take to accept a connection, and then to say anything: each begins with
/// what it can do, whatever it is asked.
const CONNECT: Duration = Duration::from_secs(5);

/// How long everything may take: somebody may have to answer a question there, or touch a token.
const TOTAL: Duration = Duration::from_secs(300);

/// How long a service may take before the user is told what is waited for.
const PATIENCE: Duration = Duration::from_millis(250);

/// Why a call has no answer, in SOPS' words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Nobody listens, or nobody who may.
    #[error(
        "rpc error: code = Unavailable desc = connection error: desc = \"transport: Error while \
         dialing: {reason}\""
    )]
    Unreachable {
        /// What the system says.
        reason: String,
    },
    /// The service has an error for an answer, or the connection broke.
    #[error("rpc error: code = {code} desc = {message}")]
    Status {
        /// The code's name.
        code: String,
        /// What the service says.
        message: String,
    },
}

impl CallError {
    /// Returns whether the service cannot be reached at all.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, CallError::Unreachable { .. })
    }

    fn status(status: &Status) -> CallError {
        let code = match status.code() {
            Code::Ok => "OK".to_owned(),
            Code::Cancelled => "Canceled".to_owned(),
            code => format!("{code:?}"),
        };
        CallError::Status { code, message: status.message().to_owned() }
    }

    fn internal(error: &io::Error) -> CallError {
        CallError::status(&Status::internal(error.to_string()))
    }
}

/// Calls a method and waits for the answer; `tell` is called once if that takes a while.
pub(crate) fn call<Q, A>(
    address: &Address,
    method: &'static str,
    request: Q,
    tell: impl Fn(),
) -> Result<A, CallError>
where
    Q: prost::Message + 'static,
    A: prost::Message + Default + 'static,
{
    let work = async {
        match address {
            #[cfg(unix)]
            Address::Unix(path) => {
                let connect = tokio::net::UnixStream::connect(path);
                let place = format!("dial unix {}: connect", path.display());
                talk(connected(connect, &place).await?, method, request).await
            }
            #[cfg(not(unix))]
            Address::Unix(_) => {
                Err(CallError::Unreachable { reason: "there are no such sockets here".to_owned() })
            }
            Address::Tcp { place, version } => {
                let connect = connect(place, *version);
                let place = format!("dial tcp {place}: connect");
                talk(connected(connect, &place).await?, method, request).await
            }
        }
    };
    let bounded = async {
        let mut work = std::pin::pin!(work);
        if let Ok(answer) = timeout(PATIENCE, &mut work).await {
            return answer;
        }
        tell();
        let late = |_| CallError::status(&Status::deadline_exceeded("no answer in five minutes"));
        timeout(TOTAL, &mut work).await.map_err(late)?
    };
    runtime::block_on(bounded).map_err(|error| CallError::internal(&error))?
}

async fn connected<S>(
    connect: impl Future<Output = io::Result<S>>,
    place: &str,
) -> Result<S, CallError> {
    let late = |_| Err(io::ErrorKind::TimedOut.into());
    let connected = timeout(CONNECT, connect).await.unwrap_or_else(late);
    connected.map_err(|error| CallError::Unreachable {
        reason: format!("{place}: {}", error_text(&error)),
    })
}

/// Connects to the first address of a host that answers.
async fn connect(place: &str, version: Option<u8>) -> io::Result<TcpStream> {
    let mut last = None;
    for address in lookup_host(place).await? {
        if version.is_some_and(|version| (version == 4) != address.is_ipv4()) {
            continue;
        }
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| io::Error::other("no suitable address")))
}

/// Sends a request over a connection.
async fn talk<S, Q, A>(stream: S, method: &'static str, request: Q) -> Result<A, CallError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    Q: prost::Message + 'static,
    A: prost::Message + Default + 'static,
{
    let heard = Arc::new(AtomicBool::new(false));
    let stream = Listened { stream, heard: Arc::clone(&heard) };
    let mut stream = Some(TokioIo::new(stream));
    // The host is what Go's client says for a socket; no name is looked up.
    let endpoint = Endpoint::from_static("http://localhost").connect_timeout(CONNECT);
    let connector = tower::service_fn(move |_| {
        let stream = stream.take();
        async move { stream.ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected)) }
    });
    let channel = endpoint.connect_with_connector(connector).await.map_err(|_| ended())?;
    let mut client = tonic::client::Grpc::new(channel).max_decoding_message_size(MAX_MESSAGE);
    client.ready().await.map_err(|_| ended())?;
    let path = PathAndQuery::from_static(method);
    let codec = ProstCodec::<Q, A>::default();
    let mut answer = std::pin::pin!(client.unary(Request::new(request), path, codec));
    let answer = match timeout(CONNECT, &mut answer).await {
        Ok(answer) => answer,
        Err(_) if heard.load(Ordering::Relaxed) => answer.await,
        Err(_) => return Err(silent()),
    };
    answer.map(tonic::Response::into_inner).map_err(|status| {
        // What a service says has no cause here; how a connection ends is a matter of chance.
        if status.source().is_some() { ended() } else { CallError::status(&status) }
    })
}

fn silent() -> CallError {
    let reason = "the service took the connection, and said nothing for five seconds".to_owned();
    CallError::Unreachable { reason }
}

fn ended() -> CallError {
    let message = "the service ended the connection without an answer, as an agent does to other \
                   users";
    CallError::status(&Status::unavailable(message))
}

/// A stream, and whether anything came through it.
struct Listened<S> {
    stream: S,
    heard: Arc<AtomicBool>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Listened<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.heard.store(true, Ordering::Relaxed);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Listened<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
