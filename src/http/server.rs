//! Connections: how many, how long they may dawdle, and how they end.
//!
//! A connection has one request under way at a time, so the bound on connections bounds every kind of request.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use axum::response::Response;
use futures::future::Either;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tower::ServiceExt;
use tower::util::Oneshot;

use super::doors::Peer;
use super::stream::FOLLOWERS;
use super::tls::Tls;
use super::{Gateway, kept, router};

/// How many connections there may be, those that follow streams included; more wait to be accepted.
pub const CONNECTIONS: usize = FOLLOWERS + 4096;
/// Of the files that the process may open, how many are left to what else it opens: the log, the folded state, NATS, webhooks.
const OTHER_FILES: u64 = 256;
/// How long a peer may leave what was sent to it where it is, before its connection is given up: a reader of a stream
/// who takes nothing any more would hold its place for ever.
#[cfg(target_os = "linux")]
const UNTAKEN: Duration = Duration::from_secs(60);
/// How much of a request's head is taken, in bytes.
pub const HEAD_BYTES: usize = 64 * 1024;
/// How long no connection is accepted after the system refused one.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long is waited for whom.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For a request's head, and for the next request on an idle connection.
    pub head: Duration,
    /// At the end, for what is under way.
    pub end: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { head: Duration::from_secs(60), end: Duration::from_secs(10) }
    }
}

/// Where connections come in.
#[derive(Debug)]
pub struct Entrance {
    /// What is listened on.
    pub listener: TcpListener,
    /// The certificate, where connections speak TLS.
    pub tls: Option<Arc<Tls>>,
}

impl From<TcpListener> for Entrance {
    fn from(listener: TcpListener) -> Self {
        Self { listener, tls: None }
    }
}

/// Serves every route until `stop` is done; then accepts nothing more, and returns when everything under way has
/// finished or there is no patience left.
pub async fn serve(
    entrance: impl Into<Entrance>,
    gateway: Arc<Gateway>,
    patience: Patience,
    stop: impl Future<Output = ()>,
) {
    let Entrance { listener, tls } = entrance.into();
    let app = router(Arc::clone(&gateway));
    let connections = Arc::new(Semaphore::new(places()));
    let graceful = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = async {
            let place = Arc::clone(&connections).acquire_owned().await;
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            () = &mut stop => break,
            accepted = accepted => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                prepare(&stream);
                let (watcher, app, tls) = (graceful.watcher(), app.clone(), tls.clone());
                let app = Addressed { app, gateway: Arc::clone(&gateway), peer: Peer(peer.ip()) };
                let mut draining = gateway.health.draining();
                tokio::spawn(async move {
                    let ended = match tls {
                        None => watcher.watch(connection(stream, app, patience.head)).await,
                        Some(tls) => {
                            // Who hasn't shaken hands yet has nothing under way that an end would wait for.
                            let shaken = tokio::select! {
                                shaken = tls.accept(stream) => shaken,
                                _ = draining.wait_for(|draining| *draining) => None,
                            };
                            match shaken {
                                Some(stream) => watcher.watch(connection(stream, app, patience.head)).await,
                                None => Ok(()),
                            }
                        }
                    };
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a connection ended early");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection can't be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    gateway.health.set_draining();
    let finish = async {
        graceful.shutdown().await;
        gateway.in_flight.drained().await;
    };
    if tokio::time::timeout(patience.end, finish).await.is_err() {
        tracing::warn!("some requests were still under way at the end");
    }
}

/// How many connections there may be here: each is an open file, and the log needs some too.
fn places() -> usize {
    let files = open_files();
    let places = usize::try_from(files.saturating_sub(OTHER_FILES)).unwrap_or(usize::MAX).min(CONNECTIONS);
    if places < CONNECTIONS {
        tracing::warn!(
            files,
            places,
            "there may be fewer connections than usual: raise LimitNOFILE, or `ulimit -n`"
        );
    }
    places.max(1)
}

/// Has the process open as many files as it needs, as far as the system lets it; gives how many it may.
fn open_files() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let Some(current) = limit.current else { return u64::MAX };
    let needed = limit.maximum.unwrap_or(u64::MAX).min(CONNECTIONS as u64 + OTHER_FILES);
    let raised =
        needed > current && setrlimit(Resource::Nofile, Rlimit { current: Some(needed), ..limit }).is_ok();
    if raised { needed } else { current }
}

fn prepare(stream: &TcpStream) {
    // Answers are small and awaited: held back to be sent together, they would only come late.
    let _ = stream.set_nodelay(true);
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(stream).set_tcp_user_timeout(Some(UNTAKEN));
}

/// The routes, for requests of one connection.
struct Addressed {
    app: Router,
    gateway: Arc<Gateway>,
    peer: Peer,
}

impl Service<Request<Incoming>> for Addressed {
    type Response = Response;
    type Error = Infallible;
    type Future = Either<Ready<Result<Response, Infallible>>, Oneshot<Router, Request<Incoming>>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        if let Some(response) = kept::answer(&self.gateway, self.peer, &request) {
            return Either::Left(ready(Ok(response)));
        }
        request.extensions_mut().insert(self.peer);
        Either::Right(self.app.clone().oneshot(request))
    }
}

type Connection<S> = http1::Connection<TokioIo<S>, Addressed>;

fn connection<S: AsyncRead + AsyncWrite + Unpin + 'static>(
    stream: S,
    app: Addressed,
    head: Duration,
) -> Connection<S> {
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), app)
}
