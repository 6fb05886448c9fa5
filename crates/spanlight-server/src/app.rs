//! The listener of `http`: what its handlers share, and its routes.

use std::sync::Arc;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::{HeaderValue, header};
use spanlight_query::QueryEngine;
use spanlight_store::Store;
use tokio::sync::Semaphore;
use tower_http::compression::CompressionLayer;

use crate::addresses::Addresses;
use crate::api::{self, Failure};
use crate::config::Settings;
use crate::metrics::Metrics;
use crate::{operations, pages, panic, tempo};

/// What the handlers share. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct App {
    pub(crate) store: Store,
    pub(crate) engine: Arc<QueryEngine>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) addresses: Arc<Addresses>,
    /// What the settings give cause to warn of.
    pub(crate) warnings: Arc<[&'static str]>,
    /// Searches at one time; the rest wait for a place.
    pub(crate) searches: Arc<Semaphore>,
    /// Traces that are loaded and written out at one time; the rest wait for a place.
    pub(crate) traces: Arc<Semaphore>,
}

/// Places for traces.
pub(crate) const TRACES_AT_ONCE: u32 = 8;

impl App {
    pub(crate) fn new(
        store: Store,
        engine: QueryEngine,
        metrics: Arc<Metrics>,
        addresses: Addresses,
        settings: &Settings,
    ) -> Self {
        Self {
            store,
            engine: Arc::new(engine),
            metrics,
            addresses: Arc::new(addresses),
            warnings: settings.warnings().into(),
            searches: Arc::new(Semaphore::new(settings.limits.searches)),
            traces: Arc::new(Semaphore::new(TRACES_AT_ONCE as usize)),
        }
    }
}

/// Everything on the port. Tempo's part has errors in plain text, the API's in JSON, and the pages' are pages.
pub(crate) fn router(app: App) -> Router {
    let plumbing = Router::new()
        .route("/metrics", get(operations::metrics))
        .route("/healthz", get(operations::alive))
        .route("/readyz", get(operations::ready));
    Router::new()
        .merge(pages::router())
        .merge(plumbing)
        .nest("/api/v1", api::router())
        .nest("/tempo", tempo::router())
        .merge(tempo::streaming_router())
        .fallback(not_found)
        .layer(panic::layer())
        .layer(middleware::from_fn_with_state(app.clone(), observe))
        .layer(CompressionLayer::new())
        .with_state(app)
}

/// Counts the request, and sets the headers that every answer has.
async fn observe(State(app): State<App>, request: Request, next: Next) -> Response {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "other".to_owned(), |path| path.as_str().to_owned());
    let mut response = next.run(request).await;
    app.metrics.served(&route, response.status().as_u16());
    let headers = response.headers_mut();
    for (name, value) in [
        (
            header::CONTENT_SECURITY_POLICY,
            spanlight_web::CONTENT_SECURITY_POLICY,
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn not_found(request: Request) -> Response {
    let path = request.uri().path();
    if path.starts_with("/api/") {
        return Failure::not_found(format!(
            "there is no {path}; /api/v1/openapi.json lists what there is"
        ))
        .into_response();
    }
    if path.starts_with("/tempo/") {
        return tempo::not_found();
    }
    pages::not_found(path)
}
