//! Answers to "trace by id" in the shapes of Tempo's HTTP API, which Grafana reads.
//!
//! In protobuf the first version is plain OTLP ([`crate::otlp::encode_protobuf`]). The JSON of both versions is
//! protobuf's standard mapping, so ids are base64 there and enums are names, unlike in OTLP's JSON.

pub mod streaming;

use std::collections::BTreeMap;

use serde::Serialize;
use spanlight_model::SpanBatch;

use crate::otlp::{Style, TracesJson, json_text, write_traces};
use crate::protobuf::Writer;

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
    let traces = TracesJson {
        batch,
        style: Style::Protobuf,
    };
    json_text(&BTreeMap::from([("batches", traces)]))
}

/// JSON of `GET /api/v2/traces/{id}`; a trace that does not exist is an empty batch.
#[must_use]
pub fn encode_v2_json(batch: &SpanBatch, status: &TraceStatus<'_>) -> String {
    let traces = TracesJson {
        batch,
        style: Style::Protobuf,
    };
    json_text(&TraceByIdResponse {
        trace: Trace {
            resource_spans: (!batch.is_empty()).then_some(traces),
        },
        metrics: Metrics {
            inspected_bytes: (status.inspected_bytes > 0)
                .then(|| status.inspected_bytes.to_string()),
        },
        status: status.partial.map(|_| "PARTIAL"),
        message: status.partial,
    })
}

/// Protobuf of `GET /api/v2/traces/{id}` (`TraceByIDResponse`); a trace that does not exist is an empty batch.
#[must_use]
pub fn encode_v2_protobuf(batch: &SpanBatch, status: &TraceStatus<'_>) -> Vec<u8> {
    let mut response = Writer::default();
    // Written even when it is empty: Grafana takes its presence for granted.
    response.message(1, |trace| write_traces(trace, batch));
    // The bytes read are in the JSON only: Grafana does not look at them here.
    response.message(2, |_metrics| {});
    if let Some(message) = status.partial {
        response.varint(3, STATUS_PARTIAL);
        response.text(4, message);
    }
    response.finish()
}

const STATUS_PARTIAL: u64 = 1;

#[derive(Serialize)]
struct TraceByIdResponse<'a> {
    trace: Trace<'a>,
    metrics: Metrics,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Trace<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_spans: Option<TracesJson<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metrics {
    #[serde(skip_serializing_if = "Option::is_none")]
    inspected_bytes: Option<String>,
}
