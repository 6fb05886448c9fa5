//! `POST /api/v1/sql`: a statement that reads, as text or as JSON; the rows as JSON, CSV or an Arrow stream.

mod csv;
mod json;
mod stream;

use arrow_array::{Array, RecordBatch};
use arrow_schema::{ArrowError, DataType};
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use bytes::Bytes;
use futures::stream::unfold;
use http::{HeaderMap, HeaderValue, header};
use serde::Deserialize;
use spanlight_query::{PartialReason, SqlAnswer, SqlRequest};

use super::failure::Failure;
use super::parameters::Parameters;
use super::search::{bounded, read_body};
use super::{off_the_loop, typed};
use crate::app::App;

/// The largest body; a statement that is too long is refused by its reader, which says so better.
const BODY_BYTES_MAX: usize = 1 << 20;
/// Why an answer is not complete, where the body has no place for it: the codes, separated by commas.
const PARTIAL: &str = "spanlight-partial";

/// A statement in JSON.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    statement: String,
    #[serde(default)]
    limit: Option<usize>,
}

/// Writes an answer, a part at a time.
trait Encode: Send + 'static {
    /// The next part; `None` after the last.
    fn next(&mut self) -> Option<Result<Vec<u8>, ArrowError>>;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Csv,
    Arrow,
}

pub(crate) async fn post(
    State(app): State<App>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let form = form(&headers)?;
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes());
    let rows_max = app.engine.limits().sql_rows_max;
    let limit = bounded(&parameters, "limit", rows_max, rows_max)?;
    let body = read_body(body, BODY_BYTES_MAX).await?;
    let request = request(&headers, &body, limit)?;
    let answer = app.sql(request).await?;
    let partial = header_of(&answer.partial);
    let (content_type, body) = match form {
        Form::Json => ("application/json", encoded(json::Rows::new(answer))),
        Form::Csv => (
            "text/csv; charset=utf-8; header=present",
            encoded(csv::Rows::new(answer)),
        ),
        Form::Arrow => {
            let rows = stream::Rows::new(answer).map_err(|error| broken(&error))?;
            ("application/vnd.apache.arrow.stream", encoded(rows))
        }
    };
    let mut response = typed(content_type, body);
    if let Some(partial) = partial {
        response.headers_mut().insert(PARTIAL, partial);
    }
    Ok(response)
}

/// The form that is asked for first, of those that there are.
fn form(headers: &HeaderMap) -> Result<Form, Failure> {
    let accept = headers.get_all(header::ACCEPT).iter();
    let accept: Vec<_> = accept
        .map(|it| String::from_utf8_lossy(it.as_bytes()))
        .collect();
    let accept = accept.join(",");
    if accept.trim().is_empty() {
        return Ok(Form::Json);
    }
    let types = accept
        .split(',')
        .map(|it| it.split(';').next().unwrap_or_default());
    let known = types
        .map(|it| it.trim().to_ascii_lowercase())
        .find_map(|it| match &*it {
            "application/json" | "application/*" | "*/*" => Some(Form::Json),
            "text/csv" | "text/*" => Some(Form::Csv),
            "application/vnd.apache.arrow.stream" => Some(Form::Arrow),
            _ => None,
        });
    known.ok_or_else(|| Failure::not_acceptable(&accept))
}

fn request(headers: &HeaderMap, body: &Bytes, limit: usize) -> Result<SqlRequest, Failure> {
    let content_type = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let content_type = String::from_utf8_lossy(content_type.unwrap_or(b"text/plain"));
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    match essence.to_ascii_lowercase().as_str() {
        "application/json" => {
            let question: Question = serde_json::from_slice(body)
                .map_err(|error| Failure::bad_parameter("body", &error.to_string()))?;
            Ok(SqlRequest {
                statement: question.statement,
                rows_max: question.limit.unwrap_or(limit).min(limit),
            })
        }
        "text/plain" | "application/sql" => {
            let statement = std::str::from_utf8(body)
                .map_err(|error| Failure::bad_parameter("body", &error.to_string()))?;
            Ok(SqlRequest {
                statement: statement.to_owned(),
                rows_max: limit,
            })
        }
        _ => Err(Failure::unsupported_type(format!(
            "content-type {essence:?} is not supported; send the statement as text/plain, or as application/json \
             {{\"statement\": …}}"
        ))),
    }
}

fn header_of(partial: &[PartialReason]) -> Option<HeaderValue> {
    let mut codes: Vec<&str> = Vec::new();
    for code in partial.iter().map(PartialReason::code) {
        if !codes.contains(&code) {
            codes.push(code);
        }
    }
    let value = HeaderValue::from_str(&codes.join(",")).ok();
    value.filter(|_| !codes.is_empty())
}

/// A body that is written as the client takes it, on threads where that keeps nobody waiting.
fn encoded(rows: impl Encode) -> Body {
    Body::from_stream(unfold(Some(rows), async |rows| {
        let mut rows = rows?;
        let part = off_the_loop(move || (rows.next(), rows)).await;
        match part {
            Ok((Some(Ok(part)), rows)) => Some((Ok(part), Some(rows))),
            Ok((None, _)) => None,
            Ok((Some(Err(error)), _)) => {
                broken(&error);
                Some((Err(axum::Error::new(error)), None))
            }
            Err(_) => Some((
                Err(axum::Error::new(std::io::Error::other("broken off"))),
                None,
            )),
        }
    }))
}

fn broken(error: &ArrowError) -> Failure {
    tracing::error!(%error, "rows could not be written");
    Failure::internal()
}

/// Whether there is no value; a column of nothing else has no list of which those are.
fn is_null(array: &dyn Array, row: usize) -> bool {
    array.is_null(row) || *array.data_type() == DataType::Null
}

/// Batches of an answer, one after the other; the answer is held until the last, and its memory with it.
struct Batches {
    answer: SqlAnswer,
    next: usize,
}

impl Batches {
    fn new(answer: SqlAnswer) -> Self {
        Self { answer, next: 0 }
    }

    fn next(&mut self) -> Option<RecordBatch> {
        let batch = self.answer.batches.get(self.next)?.clone();
        self.next += 1;
        Some(batch)
    }
}
