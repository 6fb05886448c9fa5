//! Accepting connections and speaking HTTP on them, the same way on every port: bounded in number, closed when they
//! dawdle, and ended in order at shutdown.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::{ServiceExt as _, service_fn};

/// How long to wait after a connection could not be accepted: mostly no file descriptor was left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// How long an HTTP/2 client has to answer a ping.
const KEEP_ALIVE_TIME: Duration = Duration::from_secs(20);
/// Largest header block, which also bounds the address of a request: queries are in it.
const HEADER_BYTES_MAX: usize = 256 << 10;
/// Streams of one HTTP/2 connection at a time.
const STREAMS_MAX: u32 = 256;

/// Who is at the other end; a request extension.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// One bound port and what answers on it.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) listener: TcpListener,
    pub(crate) router: Router,
    pub(crate) connections_max: usize,
    /// How long a connection may stay open without a byte.
    pub(crate) first_byte_time: Duration,
    /// How long a client may take for the head of a request, the time between two requests included.
    pub(crate) head_time: Duration,
}

/// The two steps of a shutdown.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shutdown {
    /// Accept nothing more; finish what is being answered.
    pub(crate) drain: CancellationToken,
    /// Close what is still open.
    pub(crate) abort: CancellationToken,
}

impl Endpoint {
    /// Serves until the drain, then until the last request is answered or the abort comes.
    pub(crate) async fn serve(self, shutdown: Shutdown) {
        let graceful = GracefulShutdown::new();
        let tasks = TaskTracker::new();
        let permits = Arc::new(Semaphore::new(self.connections_max));
        while let Some((stream, peer, permit)) = self.accept(&permits, &shutdown).await {
            let connection = self.connection(stream, peer, &graceful);
            let abort = shutdown.abort.clone();
            tasks.spawn(async move {
                tokio::select! {
                    () = connection => {}
                    () = abort.cancelled() => {}
                }
                drop(permit);
            });
        }
        drop(self);
        tasks.close();
        graceful.shutdown().await;
        tasks.wait().await;
    }

    async fn accept(
        &self,
        permits: &Arc<Semaphore>,
        shutdown: &Shutdown,
    ) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
        let accepting = async {
            let permit = Arc::clone(permits).acquire_owned().await.ok()?;
            loop {
                match self.listener.accept().await {
                    Ok((stream, peer)) => return Some((stream, peer, permit)),
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        };
        tokio::select! {
            accepted = accepting => accepted,
            () = shutdown.drain.cancelled() => None,
        }
    }

    fn connection(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        graceful: &GracefulShutdown,
    ) -> impl Future<Output = ()> + Send + 'static {
        // Answers are small, and a client waits for each.
        let _ = stream.set_nodelay(true);
        let router = self.router.clone();
        let service = TowerToHyperService::new(service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(Peer(peer));
            let router = router.clone();
            async move { router.oneshot(request).await }
        }));
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(self.head_time)
            .max_buf_size(HEADER_BYTES_MAX * 2);
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(KEEP_ALIVE_TIME)
            .keep_alive_timeout(KEEP_ALIVE_TIME)
            .max_header_list_size(HEADER_BYTES_MAX as u32)
            .max_concurrent_streams(STREAMS_MAX);
        let watcher = graceful.watcher();
        let first_byte_time = self.first_byte_time;
        async move {
            // The timer for heads starts when the version of HTTP is known, which takes a first byte.
            let mut first_byte = [0];
            let arrival = stream.peek(&mut first_byte);
            match tokio::time::timeout(first_byte_time, arrival).await {
                Ok(Ok(1..)) => {}
                _ => return,
            }
            let connection = builder.serve_connection(TokioIo::new(stream), service);
            if let Err(error) = watcher.watch(connection.into_owned()).await {
                tracing::debug!(client.address = %peer, %error, "a connection broke off");
            }
        }
    }
}
