//! `/tempo/api/traces/{id}` and `/tempo/api/v2/traces/{id}`.

use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode};
use spanlight_model::{SpanBatch, TraceId};
use spanlight_query::Trace;
use spanlight_wire::otlp::encode_protobuf;
use spanlight_wire::tempo::{TraceStatus, encode_v1_json, encode_v2_json, encode_v2_protobuf};

use super::{PROTOBUF, PlainError, wants_protobuf};
use crate::api::{json, off_the_loop, typed};
use crate::app::App;

pub(super) async fn get_v1(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, PlainError> {
    let Some(trace) = app.trace(parse(&id)?).await? else {
        // Without a body, as Grafana has it from Tempo.
        return Ok(StatusCode::NOT_FOUND.into_response());
    };
    let protobuf = wants_protobuf(&headers);
    Ok(off_the_loop(move || {
        if protobuf {
            typed(PROTOBUF, encode_protobuf(&trace.batch).into())
        } else {
            json(encode_v1_json(&trace.batch))
        }
    })
    .await?)
}

/// Here a trace that does not exist is an empty one.
pub(super) async fn get_v2(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, PlainError> {
    let trace = app.trace(parse(&id)?).await?;
    let protobuf = wants_protobuf(&headers);
    Ok(off_the_loop(move || {
        let empty = Trace {
            batch: SpanBatch::empty(),
            nodes: Vec::new(),
            partial: Vec::new(),
        };
        let trace = trace.as_deref().unwrap_or(&empty);
        let missing: Vec<String> = trace.partial.iter().map(ToString::to_string).collect();
        let missing = missing.join("; ");
        let status = TraceStatus {
            partial: (!missing.is_empty()).then_some(missing.as_str()),
            inspected_bytes: if trace.batch.is_empty() {
                0
            } else {
                trace.batch.byte_size() as u64
            },
        };
        if protobuf {
            typed(PROTOBUF, encode_v2_protobuf(&trace.batch, &status).into())
        } else {
            json(encode_v2_json(&trace.batch, &status))
        }
    })
    .await?)
}

fn parse(text: &str) -> Result<TraceId, PlainError> {
    TraceId::parse(text)
        .map_err(|error| PlainError::bad(format!("{text:?} is no trace id: {error}")))
}
