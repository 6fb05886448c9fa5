//! Answers to "trace by id" in the shapes of Tempo's HTTP API, which Grafana reads.
//!
//! In protobuf the first version is plain OTLP ([`crate::otlp::encode_protobuf`]). The JSON of both versions is
//! protobuf's standard mapping, so ids are base64 there and enums are names, unlike in OTLP's JSON.

use spanlight_model::SpanBatch;

/// What the second version says about an answer beside its spans.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TraceStatus<'a> {
    /// Set where the trace is not complete: what is missing.
    pub partial: Option<&'a str>,
    /// How many bytes were read to answer.
    pub inspected_bytes: u64,
}

/// JSON of `GET /api/traces/{id}`.
#[must_use]
pub fn encode_v1_json(batch: &SpanBatch) -> String {
    let _ = batch;
    String::new()
}

/// JSON of `GET /api/v2/traces/{id}`; a trace that does not exist is an empty batch.
#[must_use]
pub fn encode_v2_json(batch: &SpanBatch, status: &TraceStatus<'_>) -> String {
    let _ = (batch, status);
    String::new()
}

/// Protobuf of `GET /api/v2/traces/{id}` (`TraceByIDResponse`); a trace that does not exist is an empty batch.
#[must_use]
pub fn encode_v2_protobuf(batch: &SpanBatch, status: &TraceStatus<'_>) -> Vec<u8> {
    let _ = (batch, status);
    Vec::new()
}
