//! From settings to the parts of a server, wired together but not yet serving.

use std::sync::Arc;

use axum::Router;
use spanlight_query::{QueryEngine, QueryLimits};
use spanlight_store::{FsyncPolicy, Store, StoreOptions};
use tokio::net::TcpListener;

use crate::addresses::Addresses;
use crate::app::App;
use crate::config::{Fsync, Settings};
use crate::connection::Endpoint;
use crate::error::StartError;
use crate::listen::Listeners;
use crate::metrics::Metrics;
use crate::receive::{self, Admission, Receiver};

/// A server that only needs to be run.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) store: Store,
    pub(crate) addresses: Addresses,
    pub(crate) endpoints: Vec<Endpoint>,
}

/// Binds the ports, opens the store, and puts the routes on the ports.
pub(crate) async fn build(settings: &Settings) -> Result<Parts, StartError> {
    let listeners = Listeners::bind(settings).await?;
    let addresses = listeners.addresses();
    let store = Store::open(store_options(settings)).await?;
    let limits = &settings.limits;
    let admission = Arc::new(Admission::new(limits.in_flight_bytes.bytes()));
    let metrics = Arc::new(Metrics::new(store.clone(), Arc::clone(&admission)));
    let receiver = Receiver::new(store.clone(), Arc::clone(&metrics), admission, limits);
    let app = App::new(
        store.clone(),
        QueryEngine::new(store.clone(), query_limits(settings)),
        metrics,
        addresses.clone(),
        limits,
    );
    let routers = [
        (listeners.http, crate::app::router(app)),
        (
            listeners.otlp_http,
            receive::http_router(receiver.clone(), &settings.receivers.cors_origins),
        ),
        (listeners.otlp_grpc, receive::grpc_router(receiver)),
    ];
    let endpoints = routers
        .into_iter()
        .filter_map(|(listener, router)| Some(endpoint(listener?, router, settings)))
        .collect();
    Ok(Parts {
        store,
        addresses,
        endpoints,
    })
}

fn endpoint(listener: TcpListener, router: Router, settings: &Settings) -> Endpoint {
    Endpoint {
        listener,
        router,
        connections_max: settings.limits.connections,
        head_read_time: settings.limits.request_read_time,
    }
}

fn store_options(settings: &Settings) -> StoreOptions {
    let storage = &settings.storage;
    let mut options = StoreOptions::new(storage.data_dir.clone());
    options.fsync = match storage.fsync {
        Fsync::Always => FsyncPolicy::Always,
        Fsync::Never => FsyncPolicy::Never,
    };
    options.hot_bytes = settings.limits.hot_bytes.bytes();
    options.hot_window = storage.hot_window;
    options.retention = storage.retention;
    options
}

fn query_limits(settings: &Settings) -> QueryLimits {
    QueryLimits {
        search_time_limit: settings.limits.search_time,
        memory_bytes: settings.limits.search_bytes.bytes(),
        traces_max: settings.limits.search_results_max,
        ..QueryLimits::default()
    }
}
