//! The part of Grafana Tempo's HTTP API that Grafana's Tempo data source calls, below `/tempo`: point the data
//! source at `http://HOST:7900/tempo`. Errors are plain text: Grafana shows bodies as they are.

mod legacy;
mod message;
mod metrics;
mod search;
mod streaming;
mod summary;
mod tags;
mod time;
mod trace;
mod values;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderMap, StatusCode, header};
use serde::Serialize;
use spanlight_query::QueryError;

use crate::api::{Failure, typed};
use crate::app::App;
pub(crate) use streaming::router as streaming_router;

/// The routes below `/tempo`.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/api/echo", get(echo))
        .route("/api/status/buildinfo", get(build_info))
        .route("/api/search", get(search::get).post(search::get))
        .route("/api/search/tags", get(tags::get_v1))
        .route("/api/v2/search/tags", get(tags::get_v2))
        .route("/api/search/tag/{name}/values", get(values::get_v1))
        .route("/api/v2/search/tag/{field}/values", get(values::get_v2))
        .route("/api/metrics/query_range", get(metrics::get_range))
        .route("/api/metrics/query", get(metrics::get_instant))
        .route("/api/metrics/summary", get(summary::get))
        .route("/api/traces/{id}", get(trace::get_v1))
        .route("/api/v2/traces/{id}", get(trace::get_v2))
}

/// The type of messages of Tempo's, which JSON answers have as well.
const PROTOBUF: &str = "application/protobuf";

/// Whether a client would rather have messages.
fn wants_protobuf(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|item| item.split(';').next().unwrap_or_default().trim() == PROTOBUF)
}

/// JSON, or the message that says the same.
fn answer(
    headers: &HeaderMap,
    json: &impl Serialize,
    message: impl FnOnce() -> Vec<u8>,
) -> Response {
    match wants_protobuf(headers) {
        true => typed(PROTOBUF, message().into()),
        false => axum::Json(json).into_response(),
    }
}

async fn echo() -> &'static str {
    "echo"
}

async fn build_info() -> Response {
    axum::Json(serde_json::json!({
        "version": env!("CARGO_PKG_VERSION"),
        "revision": "",
        "branch": "",
        "buildDate": "",
        "buildUser": "",
        "goVersion": "",
    }))
    .into_response()
}

pub(crate) fn not_found() -> Response {
    PlainError::new(
        StatusCode::NOT_FOUND,
        "Spanlight does not answer this part of Tempo's API",
    )
    .into_response()
}

/// An error in plain text.
#[derive(Debug)]
struct PlainError {
    status: StatusCode,
    message: String,
}

impl PlainError {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }

    /// Errors about metrics say nothing before what is wrong.
    fn of_metrics(error: QueryError) -> Self {
        match error {
            QueryError::Syntax(error) | QueryError::Unsupported(error) => {
                Self::bad(error.to_string())
            }
            error => error.into(),
        }
    }

    fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }
}

impl From<Failure> for PlainError {
    fn from(failure: Failure) -> Self {
        Self::new(failure.status, failure.body.message)
    }
}

impl From<QueryError> for PlainError {
    fn from(error: QueryError) -> Self {
        // With the place in the query, which the API's errors have in a field of their own.
        if let QueryError::Syntax(error) = &error {
            return Self::bad(format!("invalid TraceQL query: {error}"));
        }
        Failure::from(error).into()
    }
}

impl IntoResponse for PlainError {
    fn into_response(self) -> Response {
        (self.status, self.message).into_response()
    }
}
