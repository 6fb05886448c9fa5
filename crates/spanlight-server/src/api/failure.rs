//! Errors of the API: `{"error": {"code", "message", "position"?, "hint"?}}`.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;
use spanlight_model::IdError;
use spanlight_query::{QueryError, SqlFault, SqlFaultKind};
use spanlight_store::FlushError;

/// An answer that says why there is none.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) status: StatusCode,
    pub(crate) body: Box<Body>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Body {
    /// For programs.
    pub(crate) code: &'static str,
    /// For people.
    pub(crate) message: String,
    /// Where in the query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) position: Option<Position>,
    /// What could have stood there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) expected: Vec<String>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
}

/// Bytes of the query, and the line and character (from 1) of the first of them.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Position {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) line: usize,
    pub(crate) column: usize,
}

#[derive(Serialize)]
struct Envelope<'a> {
    error: &'a Body,
}

impl Failure {
    fn new(status: StatusCode, code: &'static str, message: String) -> Self {
        Self {
            status,
            body: Box::new(Body {
                code,
                message,
                position: None,
                expected: Vec::new(),
                hint: None,
            }),
        }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.body.hint = Some(hint.into());
        self
    }

    pub(crate) fn bad_parameter(name: &str, problem: &str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "bad_parameter",
            format!("parameter {name}: {problem}"),
        )
    }

    pub(crate) fn bad_trace_id(text: &str, error: &IdError) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "bad_trace_id",
            format!("{text:?} is no trace id: {error}"),
        )
        .hint("a trace id has 1 to 32 hexadecimal digits, or X-Ray's form 1-8hex-24hex")
    }

    pub(crate) fn trace_not_found(id: impl std::fmt::Display) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "trace_not_found",
            format!("no span of trace {id} is stored"),
        )
        .hint(
            "its spans may still be on their way, be older than the retention, or have been rejected: see /metrics",
        )
    }

    pub(crate) fn not_found(message: String) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    pub(crate) fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "this address does not take this method; /api/v1/openapi.json lists what there is"
                .to_owned(),
        )
    }

    pub(crate) fn too_large(message: String) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
    }

    pub(crate) fn too_slow(message: String) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "too_slow", message)
    }

    pub(crate) fn unsupported_type(message: String) -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_type",
            message,
        )
    }

    pub(crate) fn not_acceptable(accept: &str) -> Self {
        Self::new(
            StatusCode::NOT_ACCEPTABLE,
            "not_acceptable",
            format!("there is no answer of type {accept:?}"),
        )
        .hint("ask for application/json, text/csv or application/vnd.apache.arrow.stream")
    }

    /// What is wrong with the text of a query, and where.
    pub(crate) fn of_query(code: &'static str, error: spanlight_traceql::Error) -> Self {
        let mut failure = Self::new(StatusCode::BAD_REQUEST, code, error.message);
        failure.body.position = Some(Position {
            start: error.position.start,
            end: error.position.end,
            line: error.line,
            column: error.column,
        });
        failure.body.expected = error.expected;
        failure.body.hint = error.hint;
        failure
    }

    /// What is wrong with a statement of SQL, and where.
    fn of_sql(fault: SqlFault) -> Self {
        let (status, code) = match fault.kind {
            SqlFaultKind::Bad => (StatusCode::BAD_REQUEST, "bad_sql"),
            SqlFaultKind::ReadOnly => (StatusCode::BAD_REQUEST, "read_only"),
            SqlFaultKind::TimeLimit => (StatusCode::SERVICE_UNAVAILABLE, "time_limit"),
            SqlFaultKind::MemoryLimit => (StatusCode::SERVICE_UNAVAILABLE, "memory"),
            SqlFaultKind::Internal => {
                tracing::error!(error = %fault, "a statement failed");
                return Self::internal();
            }
        };
        let mut failure = Self::new(status, code, fault.message);
        failure.body.position = fault.position.map(|at| Position {
            start: at.bytes.start,
            end: at.bytes.end,
            line: at.line,
            column: at.column,
        });
        failure.body.hint = fault.hint;
        failure
    }

    pub(crate) fn store(error: &FlushError) -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self::new(status, "store", error.to_string())
    }

    pub(crate) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "internal error; the log of the server says more".to_owned(),
        )
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        let message = error.to_string();
        let bad = |code| Self::new(StatusCode::BAD_REQUEST, code, message.clone());
        match error {
            QueryError::Syntax(error) => Self::of_query("bad_query", error),
            QueryError::Unsupported(error) => Self::of_query("unsupported_query", error),
            QueryError::Sql(fault) => Self::of_sql(*fault),
            QueryError::Limit { .. } => bad("limit"),
            QueryError::Cursor => bad("bad_cursor"),
            QueryError::TimeRange => bad("bad_time_range"),
            QueryError::Memory { .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "memory", message)
            }
            _ => {
                tracing::error!(%error, "a query failed");
                Self::internal()
            }
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.status, Json(Envelope { error: &self.body })).into_response()
    }
}
