//! OTLP, the OpenTelemetry protocol: trace requests in protobuf and JSON, and the answers to them.
//!
//! `OTLP.md` beside this crate's manifest says which rules of the protocol the code follows, and what it does
//! where the protocol leaves a choice.

mod encode;
mod ids;
mod json;
mod notes;
mod protobuf;
mod response;

pub use response::{
    Signal, export_response_json, export_response_protobuf, status_json, status_protobuf,
};

use std::collections::BTreeMap;

use spanlight_model::SpanBatch;

pub(crate) use encode::{Style, TracesJson, json_text, write_any, write_traces};

use crate::protobuf::Writer;
use crate::{DecodeError, DecodeLimits, Decoded};

/// Reads an `ExportTraceServiceRequest` (or `TracesData`, which has the same bytes).
///
/// # Errors
/// [`DecodeError`] when the body is not protobuf; a span that is wrong by itself is left out and reported.
pub fn decode_protobuf(
    body: &[u8],
    received_at_unix_nano: i64,
    limits: &DecodeLimits,
) -> Result<Decoded, DecodeError> {
    protobuf::decode(body, received_at_unix_nano, limits)
}

/// Reads an `ExportTraceServiceRequest` (or `TracesData`) in OTLP's JSON encoding.
///
/// # Errors
/// [`DecodeError`] when the body is not JSON of that shape; a span that is wrong by itself is left out and
/// reported.
pub fn decode_json(
    body: &[u8],
    received_at_unix_nano: i64,
    limits: &DecodeLimits,
) -> Result<Decoded, DecodeError> {
    json::decode(body, received_at_unix_nano, limits)
}

/// Writes spans as `TracesData`, which is also an `ExportTraceServiceRequest` and Tempo's `Trace`.
#[must_use]
pub fn encode_protobuf(batch: &SpanBatch) -> Vec<u8> {
    let mut traces = Writer::default();
    write_traces(&mut traces, batch);
    traces.finish()
}

/// Writes spans as `TracesData` in OTLP's JSON encoding.
#[must_use]
pub fn encode_json(batch: &SpanBatch) -> String {
    let traces = TracesJson {
        batch,
        style: Style::Otlp,
    };
    json_text(&BTreeMap::from([("resourceSpans", traces)]))
}
