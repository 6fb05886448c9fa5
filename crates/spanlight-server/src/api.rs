//! Spanlight's own HTTP API, `/api/v1/…`: its routes, its errors, and what its handlers share.
//!
//! JSON with names in `snake_case`; 64-bit times and durations are text, which readers of JSON do not round.
//! `openapi.json` beside this file describes it.

mod attributes;
mod complete;
mod explain;
mod failure;
mod metrics;
mod parameters;
mod search;
mod services;
mod sql;
mod status;
mod store;
mod time;
mod trace;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::{get, post};
use http::{HeaderValue, header};
use serde_json::value::RawValue;
use spanlight_model::{AnyValue, TraceId};
use spanlight_query::{
    KeysAnswer, KeysRequest, MetricsAnswer, MetricsRequest, PartialReason, QueryError,
    SearchAnswer, SearchRequest, SqlAnswer, SqlRequest, Trace, ValuesAnswer, ValuesRequest,
};
use tokio::sync::OwnedSemaphorePermit;

use crate::app::{App, TRACES_AT_ONCE};

pub(crate) use attributes::value_text;
pub(crate) use failure::Failure;
pub(crate) use metrics::default_step;
pub(crate) use parameters::Parameters;
pub(crate) use time::{TimeError, parse_duration, parse_end, parse_start};

const OPENAPI: &str = include_str!("api/openapi.json");

/// The routes below `/api/v1`.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/search", get(search::get).post(search::post))
        .route("/metrics", get(metrics::get))
        .route("/sql", post(sql::post))
        .route("/attributes", get(attributes::keys))
        .route("/attributes/{field}/values", get(attributes::values))
        .route("/query/complete", get(complete::get))
        .route("/traces/{id}", get(trace::get))
        .route("/status", get(status::get))
        .route("/services", get(services::services))
        .route("/service-graph", get(services::graph))
        .route("/store/compact", post(store::compact))
        .route("/store/delete", post(store::delete))
        .route("/openapi.json", get(openapi))
        .method_not_allowed_fallback(method_not_allowed)
}

async fn openapi() -> Response {
    json(OPENAPI.to_owned())
}

async fn method_not_allowed() -> Failure {
    Failure::method_not_allowed()
}

/// JSON that is already text.
pub(crate) fn json(text: String) -> Response {
    typed("application/json", text.into())
}

pub(crate) fn typed(content_type: &'static str, body: axum::body::Body) -> Response {
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// An attribute value in OTLP's JSON encoding, which keeps its type.
pub(crate) fn value_json(value: &AnyValue) -> Box<RawValue> {
    RawValue::from_string(value.to_json()).unwrap_or_default()
}

/// The id of a path.
pub(crate) fn trace_id(Path(text): &Path<String>) -> Result<TraceId, Failure> {
    TraceId::parse(text).map_err(|error| Failure::bad_trace_id(text, &error))
}

impl App {
    /// Searches, when there is a place for one more search.
    pub(crate) async fn search(&self, request: SearchRequest) -> Result<SearchAnswer, QueryError> {
        let answer = self.asked("search", self.engine.search(request)).await?;
        self.partial(&answer.partial);
        Ok(answer)
    }

    /// Makes time series, when there is a place for one more search.
    pub(crate) async fn metrics(
        &self,
        request: MetricsRequest,
    ) -> Result<MetricsAnswer, QueryError> {
        let answer = self.asked("metrics", self.engine.metrics(request)).await?;
        self.partial(&answer.partial);
        Ok(answer)
    }

    /// Which attributes there are, when there is a place for one more search.
    pub(crate) async fn attribute_keys(
        &self,
        request: KeysRequest,
    ) -> Result<KeysAnswer, QueryError> {
        let answer = self.engine.attribute_keys(request);
        let answer = self.asked("attributes", answer).await?;
        self.partial(&answer.partial);
        Ok(answer)
    }

    /// Which values a field has, when there is a place for one more search.
    pub(crate) async fn attribute_values(
        &self,
        request: ValuesRequest,
    ) -> Result<ValuesAnswer, QueryError> {
        let answer = self.engine.attribute_values(request);
        let answer = self.asked("attributes", answer).await?;
        self.partial(&answer.partial);
        Ok(answer)
    }

    /// Answers a statement of SQL, when there is a place for one more search.
    pub(crate) async fn sql(&self, request: SqlRequest) -> Result<SqlAnswer, QueryError> {
        let answer = self.asked("sql", self.engine.sql(request)).await?;
        self.partial(&answer.partial);
        Ok(answer)
    }

    /// Waits for a place among the searches, and counts the time from before.
    async fn asked<A>(&self, what: &'static str, answer: impl Future<Output = A>) -> A {
        let started = Instant::now();
        // The semaphore is never closed; without a permit the search would only be less bounded.
        let _place = self.searches.acquire().await.ok();
        let _running = self.metrics.runs(what);
        let answer = answer.await;
        self.metrics.queried(what, started.elapsed());
        answer
    }

    fn partial(&self, reasons: &[PartialReason]) {
        for reason in reasons {
            self.metrics.partial(reason.code());
            tracing::warn!(%reason, "an answer is not complete");
        }
    }

    /// A trace by its id, when there is a place for one more trace.
    pub(crate) async fn trace(&self, id: TraceId) -> Result<Option<PlacedTrace>, QueryError> {
        let started = Instant::now();
        let mut place = Arc::clone(&self.traces).acquire_owned().await.ok();
        let _running = self.metrics.runs("trace");
        let mut trace = self.engine.trace(id).await;
        if matches!(trace, Err(QueryError::Memory { .. })) {
            // It may be full of other traces, which are soon written out.
            drop(place);
            let all = Arc::clone(&self.traces).acquire_many_owned(TRACES_AT_ONCE);
            place = all.await.ok();
            trace = self.engine.trace(id).await;
        }
        self.metrics.queried("trace", started.elapsed());
        let Some(trace) = trace? else {
            return Ok(None);
        };
        for reason in &trace.partial {
            self.metrics.partial(reason.code());
            tracing::warn!(%reason, trace.id = %id, "a trace is not complete");
        }
        Ok(Some(PlacedTrace {
            trace,
            _place: place,
        }))
    }
}

/// A trace and its place among those that are being answered with: it takes memory until it is written out.
#[derive(Debug)]
pub(crate) struct PlacedTrace {
    trace: Trace,
    _place: Option<OwnedSemaphorePermit>,
}

impl Deref for PlacedTrace {
    type Target = Trace;

    fn deref(&self) -> &Trace {
        &self.trace
    }
}

/// Does work that takes long for an event loop, such as writing out a trace.
pub(crate) async fn off_the_loop<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|panic| {
        tracing::error!(error = %panic, "an answer could not be written");
        Failure::internal()
    })
}
