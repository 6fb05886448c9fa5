//! From settings to the parts of a server, wired together but not yet serving.

use std::sync::Arc;

use axum::Router;
use spanlight_query::{QueryEngine, QueryLimits};
use spanlight_store::{FsyncPolicy, Store, StoreOptions};

use crate::addresses::Addresses;
use crate::app::App;
use crate::config::{Fsync, Settings};
use crate::error::StartError;
use crate::metrics::Metrics;
use crate::panic;
use crate::receive::{self, Admission, Receiver};

/// The parts of a server, ready to be put on its ports.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) store: Store,
    /// Pages and queries.
    pub(crate) http: Router,
    pub(crate) otlp_http: Router,
    pub(crate) otlp_grpc: Router,
}

/// Opens the store and wires the parts together. `addresses` is what the server listens on.
pub(crate) async fn build(settings: &Settings, addresses: &Addresses) -> Result<Parts, StartError> {
    let store = Store::open(store_options(settings)?).await?;
    let limits = &settings.limits;
    let admission = Arc::new(Admission::new(limits.in_flight_bytes.bytes()));
    let metrics = Arc::new(Metrics::new(store.clone(), Arc::clone(&admission)));
    let receiver = Receiver::new(store.clone(), Arc::clone(&metrics), admission, limits);
    let engine = QueryEngine::new(store.clone(), query_limits(settings));
    let app = App::new(store.clone(), engine, metrics, addresses.clone(), settings);
    let origins = &settings.receivers.cors_origins;
    Ok(Parts {
        store,
        http: crate::app::router(app),
        otlp_http: receive::http_router(receiver.clone(), origins).layer(panic::layer()),
        otlp_grpc: receive::grpc_router(receiver).layer(panic::layer()),
    })
}

fn store_options(settings: &Settings) -> Result<StoreOptions, StartError> {
    let storage = &settings.storage;
    let mut options = StoreOptions::new(storage.data_dir.clone());
    options.fsync = match storage.fsync {
        Fsync::Always => FsyncPolicy::Always,
        Fsync::Never => FsyncPolicy::Never,
    };
    options.hot_bytes = settings.limits.hot_bytes.bytes();
    options.hot_window = storage.hot_window;
    options.retention = storage.retention;
    options.service_retention = storage.service_retention.0.clone();
    options.disk_bytes = storage.max_disk.map(|size| size.0);
    options.recent_bytes = storage.recent_max.0;
    options.tombstone_grace = storage.vacuum_grace;
    options.cache_bytes = storage.cache_max.0;
    options.cold = storage.cold_location()?;
    Ok(options)
}

fn query_limits(settings: &Settings) -> QueryLimits {
    QueryLimits {
        search_time_limit: settings.limits.search_time,
        memory_bytes: settings.limits.search_bytes.bytes(),
        traces_max: settings.limits.search_results_max,
        sql_rows_max: settings.limits.sql_rows_max,
        ..QueryLimits::default()
    }
}
