//! A running server: started, asked for its addresses, and run until it is told to stop.

use std::path::PathBuf;
use std::time::Duration;

use spanlight_store::Store;
use tokio_util::task::TaskTracker;

use crate::addresses::Addresses;
use crate::build::build;
use crate::config::Settings;
use crate::connection::Shutdown;
use crate::error::StartError;

/// A server that serves. Dropping it without [`Server::run_until`] leaves its tasks running until the runtime ends.
#[derive(Debug)]
pub struct Server {
    pub(crate) addresses: Addresses,
    pub(crate) data_dir: PathBuf,
    pub(crate) store: Store,
    pub(crate) tasks: TaskTracker,
    pub(crate) shutdown: Shutdown,
    pub(crate) drain_time: Duration,
}

/// Starts a server. When this returns, every port answers and `addresses.json` is there.
///
/// # Errors
/// [`StartError`] says what is in the way and what to do.
pub async fn start(settings: Settings) -> Result<Server, StartError> {
    let parts = build(&settings).await?;
    let data_dir = settings.storage.data_dir.clone();
    if let Err(source) = parts.addresses.write(&data_dir) {
        parts.store.close().await;
        return Err(StartError::Addresses {
            path: Addresses::path(&data_dir),
            source,
        });
    }
    let shutdown = Shutdown::default();
    let tasks = TaskTracker::new();
    for endpoint in parts.endpoints {
        tasks.spawn(endpoint.serve(shutdown.clone()));
    }
    tasks.close();
    log_addresses(&parts.addresses);
    Ok(Server {
        addresses: parts.addresses,
        data_dir,
        store: parts.store,
        tasks,
        shutdown,
        drain_time: settings.limits.drain_time,
    })
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
