//! The server: connections, methods, its end.

#[cfg(unix)]
use std::collections::HashSet;
use std::convert::Infallible;
#[cfg(unix)]
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};
use tokio::time::{sleep, timeout};
use tonic::body::Body;
use tonic::codegen::http;
use tonic::codegen::tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use super::KeyServer;
use crate::keys::remote::message::{MAX_MESSAGE, method};
use crate::keys::runtime;

/// How many requests are worked on at the same time; the others wait.
const MAX_WORK: usize = 16;

/// How many requests of one connection wait or are worked on.
const MAX_REQUESTS: u32 = 64;

/// How many connections wait to be taken.
const BACKLOG: usize = 8;

/// The largest head of a request, in bytes.
const MAX_HEAD: u32 = 16 * 1024;

/// After how much silence a connection is asked whether anybody is there.
const SILENCE: Duration = Duration::from_secs(60);

/// How long requests may take to end once the server is told to.
const GRACE: Duration = Duration::from_secs(1);

/// A socket that listens.
#[derive(Debug)]
pub enum Listener {
    /// A host's.
    Tcp(std::net::TcpListener),
    /// One in the file system.
    #[cfg(unix)]
    Unix {
        /// The socket.
        socket: std::os::unix::net::UnixListener,
        /// Who is answered, if that is one user alone.
        only: Option<Only>,
    },
}

/// The only user whom a socket answers, whatever its mode says.
#[cfg(unix)]
pub struct Only {
    user: u32,
    refused: Box<dyn Fn(Option<u32>) + Send>,
    told: HashSet<Option<u32>>,
}

#[cfg(unix)]
impl Only {
    /// Lets in the user with the number `user`. Each other one who tries is told to `refused`, once:
    /// nobody else is to fill a log. It gets their number, or `None` if the system does not say it.
    pub fn new(user: u32, refused: impl Fn(Option<u32>) + Send + 'static) -> Only {
        Only { user, refused: Box::new(refused), told: HashSet::new() }
    }

    /// Returns whether the other end of a connection is the user's.
    fn lets_in(&mut self, stream: &tokio::net::UnixStream) -> bool {
        let peer = stream.peer_cred().ok().map(|peer| peer.uid());
        if peer == Some(self.user) {
            return true;
        }
        if self.told.insert(peer) {
            (self.refused)(peer);
        }
        false
    }
}

#[cfg(unix)]
impl fmt::Debug for Only {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Only").field("user", &self.user).finish_non_exhaustive()
    }
}

/// What ends a server. A clone ends the same one.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<Notify>);

impl Stop {
    /// Ends the server, also one that is started later.
    pub fn now(&self) {
        self.0.notify_one();
    }
}

/// Answers until it is stopped.
///
/// # Errors
/// If the system has no means for it.
pub fn serve(listener: Listener, server: KeyServer) -> io::Result<()> {
    let server = Arc::new(server);
    runtime::block_on(async {
        let sweeping = server.sweep().map(|pause| tokio::spawn(sweep(Arc::clone(&server), pause)));
        let answered = match listener {
            Listener::Tcp(socket) => {
                socket.set_nonblocking(true)?;
                let socket = tokio::net::TcpListener::from_std(socket)?;
                let (sender, incoming) = mpsc::channel(BACKLOG);
                let accepting = tokio::spawn(async move {
                    while let Some(sender) = room(&sender).await {
                        match socket.accept().await {
                            Ok((stream, _)) => sender.send(Ok(stream)),
                            Err(_) => sleep(Duration::from_millis(100)).await,
                        }
                    }
                });
                let answered = answer_all(incoming, server).await;
                end(accepting).await;
                answered
            }
            #[cfg(unix)]
            Listener::Unix { socket, mut only } => {
                socket.set_nonblocking(true)?;
                let socket = tokio::net::UnixListener::from_std(socket)?;
                let (sender, incoming) = mpsc::channel(BACKLOG);
                let mut is_let_in = move |stream: &tokio::net::UnixStream| {
                    only.as_mut().is_none_or(|only| only.lets_in(stream))
                };
                let accepting = tokio::spawn(async move {
                    while let Some(sender) = room(&sender).await {
                        match socket.accept().await {
                            Ok((stream, _)) if is_let_in(&stream) => sender.send(Ok(stream)),
                            Ok(_) => {}
                            // Too many open files, mostly: connections that end make room.
                            Err(_) => sleep(Duration::from_millis(100)).await,
                        }
                    }
                });
                let answered = answer_all(incoming, server).await;
                end(accepting).await;
                answered
            }
        };
        if let Some(sweeping) = sweeping {
            end(sweeping).await;
        }
        answered
    })?
}

/// Ends a task, and what it holds.
async fn end(task: tokio::task::JoinHandle<()>) {
    task.abort();
    // That it was cancelled is what is meant.
    let _ = task.await;
}

/// Waits until a connection can be taken; `None` if nobody takes any more.
async fn room<T>(sender: &mpsc::Sender<T>) -> Option<mpsc::Permit<'_, T>> {
    sender.reserve().await.ok()
}

/// Forgets keys that are too old, now and then.
async fn sweep(server: Arc<KeyServer>, pause: Duration) {
    loop {
        sleep(pause).await;
        if let Some(memory) = &server.memory {
            memory.forget_old();
        }
    }
}

/// Answers the requests of all connections.
async fn answer_all<S>(
    incoming: mpsc::Receiver<io::Result<S>>,
    server: Arc<KeyServer>,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
{
    let stop = server.stop();
    let (told, ended) = oneshot::channel::<()>();
    let methods = Methods { server, turns: Arc::new(Semaphore::new(MAX_WORK)) };
    let connections = tonic::transport::Server::builder()
        .concurrency_limit_per_connection(MAX_REQUESTS as usize)
        .max_concurrent_streams(MAX_REQUESTS)
        .http2_max_header_list_size(MAX_HEAD)
        .http2_keepalive_interval(Some(SILENCE))
        .serve_with_incoming_shutdown(methods, ReceiverStream::new(incoming), async {
            // Both what is sent and that nobody can send any more mean the end.
            let _ = ended.await;
        });
    let connections = tokio::spawn(connections);
    stop.0.notified().await;
    let _ = told.send(());
    // Who does not end in time has no answer: the process ends.
    match timeout(GRACE, connections).await {
        Ok(Ok(Err(error))) => Err(io::Error::other(error)),
        _ => Ok(()),
    }
}

/// The methods of the service.
#[derive(Clone)]
struct Methods {
    server: Arc<KeyServer>,
    turns: Arc<Semaphore>,
}

impl tower::Service<http::Request<Body>> for Methods {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let methods = self.clone();
        Box::pin(async move {
            Ok(match request.uri().path() {
                method::ENCRYPT => methods.answer(request, KeyServer::encrypt).await,
                method::DECRYPT => methods.answer(request, KeyServer::decrypt).await,
                method::RECALL => methods.answer(request, KeyServer::recall).await,
                method::REMEMBER => methods.answer(request, KeyServer::remember).await,
                method::STATUS => methods.answer(request, KeyServer::status).await,
                method::LOCK => methods.answer(request, KeyServer::lock).await,
                method::STOP => methods.answer(request, KeyServer::end).await,
                _ => Status::unimplemented("unknown method").into_http(),
            })
        })
    }
}

impl Methods {
    /// Answers a request. The work may ask servers, start programs or wait for the user, and so has
    /// a thread of its own.
    async fn answer<Q, A>(
        self,
        request: http::Request<Body>,
        work: fn(&KeyServer, &Q) -> Result<A, Status>,
    ) -> http::Response<Body>
    where
        Q: Message + Default + 'static,
        A: Message + Default + 'static,
    {
        let unary = tower::service_fn(move |request: Request<Q>| {
            let Methods { server, turns } = self.clone();
            async move {
                let ended = |_| Status::unavailable("the key service ends");
                let turn = turns.acquire_owned().await.map_err(ended)?;
                let work = move || {
                    let answer = work(&server, request.get_ref());
                    drop(turn);
                    answer
                };
                let answer = tokio::task::spawn_blocking(work).await;
                let broken = |_| Status::internal("the request could not be worked on");
                answer.map_err(broken)?.map(Response::new)
            }
        });
        tonic::server::Grpc::new(ProstCodec::<A, Q>::default())
            .max_decoding_message_size(MAX_MESSAGE)
            .unary(unary, request)
            .await
    }
}
