//! A running server: started, asked for its addresses, and run until it is told to stop.

use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use spanlight_store::Store;
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use crate::addresses::Addresses;
use crate::build::{Parts, build};
use crate::config::{Limits, Settings};
use crate::connection::{Endpoint, Shutdown};
use crate::error::StartError;
use crate::listen::Listeners;
use crate::stage::Stage;

/// A server that serves. Dropping it without [`Server::run_until`] leaves its tasks running until the runtime ends.
#[derive(Debug)]
pub struct Server {
    pub(crate) addresses: Addresses,
    pub(crate) data_dir: PathBuf,
    pub(crate) store: Store,
    pub(crate) running: Running,
    pub(crate) drain_time: Duration,
}

/// Starts a server. When this returns, every port answers and `addresses.json` is there.
///
/// # Errors
/// [`StartError`] says what is in the way and what to do.
pub async fn start(settings: Settings) -> Result<Server, StartError> {
    for warning in settings.warnings() {
        tracing::warn!("{warning}");
    }
    let listeners = Listeners::bind(&settings).await?;
    let addresses = listeners.addresses();
    let running = Running::new(&settings.limits);
    let stage = Stage::default();
    running.serve(listeners.http, stage.router());
    let store = match open(&settings, &addresses, &stage).await {
        Ok(parts) => {
            running.serve(listeners.otlp_http, parts.otlp_http);
            running.serve(listeners.otlp_grpc, parts.otlp_grpc);
            parts.store
        }
        Err(error) => {
            running.end(Duration::ZERO).await;
            return Err(error);
        }
    };
    log_addresses(&addresses);
    Ok(Server {
        addresses,
        data_dir: settings.storage.data_dir,
        store,
        running,
        drain_time: settings.limits.drain_time,
    })
}

/// Builds the parts, tells the addresses, and opens the stage.
async fn open(
    settings: &Settings,
    addresses: &Addresses,
    stage: &Stage,
) -> Result<Parts, StartError> {
    let parts = build(settings, addresses).await?;
    let data_dir = &settings.storage.data_dir;
    if let Err(source) = addresses.write(data_dir) {
        let path = Addresses::path(data_dir);
        if !is_full(&source) {
            parts.store.close().await;
            return Err(StartError::Addresses { path, source });
        }
        // What is stored can be read, and retention makes room: a server that does not start does neither.
        tracing::warn!(error = %source, file = %path.display(), "the addresses cannot be written");
        Addresses::remove(data_dir);
    }
    stage.open(parts.http.clone());
    Ok(parts)
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded
    )
}

/// The ports that are being served.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) tasks: TaskTracker,
    pub(crate) shutdown: Shutdown,
    connections_max: usize,
    first_byte_time: Duration,
    head_time: Duration,
}

impl Running {
    fn new(limits: &Limits) -> Self {
        Self {
            tasks: TaskTracker::new(),
            shutdown: Shutdown::default(),
            connections_max: limits.connections,
            first_byte_time: limits.request_read_time,
            head_time: limits.idle_time,
        }
    }

    fn serve(&self, listener: Option<TcpListener>, router: Router) {
        let Some(listener) = listener else { return };
        let endpoint = Endpoint {
            listener,
            router,
            connections_max: self.connections_max,
            first_byte_time: self.first_byte_time,
            head_time: self.head_time,
        };
        self.tasks.spawn(endpoint.serve(self.shutdown.clone()));
    }
}

impl Server {
    /// What the server listens on.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Serves until `shutdown` is ready; then answers what it is being asked, and closes the store.
    pub async fn run_until(self, shutdown: impl Future<Output = ()>) {
        shutdown.await;
        self.drain().await;
    }
}

fn log_addresses(addresses: &Addresses) {
    for (name, address) in [
        ("http", addresses.http),
        ("otlp_http", addresses.otlp_http),
        ("otlp_grpc", addresses.otlp_grpc),
    ] {
        if let Some(address) = address {
            tracing::info!(server.address = %address, listener = name, "listening");
        }
    }
}
