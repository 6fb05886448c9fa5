//! `/tempo/api/search`. Grafana reads the answer strictly: a field that Tempo does not have is an error there.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use http::HeaderMap;
use serde::Serialize;
use serde_json::value::RawValue;
use spanlight_model::{AnyValue, TraceId};
use spanlight_query::{MatchedSpan, SearchAnswer, SearchRequest, SpanSet, TraceSummary};

use super::message::of_search;
use super::time::time_range;
use super::{PROTOBUF, PlainError, legacy, wants_protobuf};
use crate::api::{Parameters, typed, value_json};
use crate::app::App;

const LIMIT_DEFAULT: usize = 20;
const SPANS_PER_SET_DEFAULT: usize = 3;
const SPANS_PER_SET_MAX: usize = 100;
/// What Grafana's users know in place of the name of a root that has not come.
pub(super) const ROOT_MISSING: &str = "<root span not yet received>";
/// The key of spans without a service, in a map whose keys are services.
const NO_SERVICE: &str = "unknown_service";

pub(super) async fn get(
    State(app): State<App>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, PlainError> {
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes());
    let request = request(&app, &parameters)?;
    let found = app.search(request).await?;
    if wants_protobuf(&headers) {
        return Ok(typed(PROTOBUF, of_search(&found).into()));
    }
    Ok(Json(Answer::of(found)).into_response())
}

pub(super) fn request(app: &App, parameters: &Parameters) -> Result<SearchRequest, PlainError> {
    let traces_max = app.engine.limits().traces_max;
    let limit = match parameters.number("limit")? {
        Some(0) => return Err(PlainError::bad("invalid limit: it must be at least 1")),
        limit => limit.unwrap_or(LIMIT_DEFAULT).min(traces_max),
    };
    let spans_per_trace = match parameters.number("spss")?.unwrap_or(0) {
        0 => SPANS_PER_SET_DEFAULT,
        spans @ 1..=SPANS_PER_SET_MAX => spans,
        spans => {
            return Err(PlainError::bad(format!(
                "invalid spss: {spans} is more than {SPANS_PER_SET_MAX}"
            )));
        }
    };
    let query = parameters.get("q");
    let legacy = legacy::query(parameters)?;
    let query = match (query, legacy) {
        (Some(_), Some(_)) => {
            return Err(PlainError::bad(
                "invalid request: q cannot be combined with tags, minDuration or maxDuration",
            ));
        }
        (query, legacy) => query.map(str::to_owned).or(legacy).unwrap_or_default(),
    };
    Ok(SearchRequest {
        query,
        time_range: time_range(parameters)?,
        limit,
        spans_per_trace,
        cursor: None,
    })
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    traces: Vec<TraceJson>,
    metrics: MetricsJson,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct MetricsJson {
    inspected_traces: u32,
    inspected_bytes: String,
    inspected_spans: String,
    completed_jobs: u32,
    total_jobs: u32,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct TraceJson {
    #[serde(rename = "traceID")]
    trace_id: String,
    root_service_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    root_trace_name: Option<String>,
    start_time_unix_nano: String,
    #[serde(skip_serializing_if = "is_zero")]
    duration_ms: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    span_set: Option<SpanSetJson>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    span_sets: Vec<SpanSetJson>,
    service_stats: BTreeMap<String, ServiceJson>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct ServiceJson {
    span_count: u32,
    #[serde(skip_serializing_if = "is_zero")]
    error_count: u32,
}

#[derive(Debug, Clone, Serialize)]
struct SpanSetJson {
    spans: Vec<SpanJson>,
    matched: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attributes: Vec<AttributeJson>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct SpanJson {
    #[serde(rename = "spanID")]
    span_id: String,
    name: String,
    start_time_unix_nano: String,
    duration_nanos: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attributes: Vec<AttributeJson>,
}

#[derive(Debug, Clone, Serialize)]
struct AttributeJson {
    key: String,
    value: Box<RawValue>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature is serde's"
)]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Answer {
    fn of(answer: SearchAnswer) -> Self {
        let inspected = answer.inspected;
        Self {
            metrics: MetricsJson {
                inspected_traces: cut(inspected.traces),
                inspected_bytes: inspected.bytes.to_string(),
                inspected_spans: inspected.spans.to_string(),
                // The only place that Tempo's answer has for "not complete".
                completed_jobs: u32::from(answer.partial.is_empty()),
                total_jobs: 1,
            },
            traces: answer.traces.into_iter().map(TraceJson::of).collect(),
        }
    }
}

/// As Tempo writes the ids of traces that were found.
pub(super) fn short_id(id: TraceId) -> String {
    id.to_string().trim_start_matches('0').to_owned()
}

fn cut(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl TraceJson {
    fn of(trace: TraceSummary) -> Self {
        let mut service_stats: BTreeMap<String, ServiceJson> = BTreeMap::new();
        for service in trace.services {
            let name = service.name.unwrap_or_else(|| NO_SERVICE.to_owned());
            let stats = service_stats.entry(name).or_default();
            stats.span_count += service.span_count;
            stats.error_count += service.error_count;
        }
        let first = SpanSet {
            matched: trace.matched,
            spans: trace.spans,
            attributes: trace.attributes,
        };
        let span_sets: Vec<SpanSetJson> = std::iter::once(first)
            .chain(trace.more_span_sets)
            .map(SpanSetJson::of)
            .collect();
        Self {
            trace_id: short_id(trace.trace_id),
            root_service_name: trace
                .root_service_name
                .unwrap_or_else(|| ROOT_MISSING.to_owned()),
            root_trace_name: trace.root_name,
            start_time_unix_nano: trace.start_time_unix_nano.to_string(),
            duration_ms: u32::try_from(trace.duration_nano / 1_000_000).unwrap_or(u32::MAX),
            span_set: span_sets.first().cloned(),
            span_sets,
            service_stats,
        }
    }
}

impl SpanSetJson {
    fn of(set: SpanSet) -> Self {
        Self {
            spans: set.spans.into_iter().map(SpanJson::of).collect(),
            matched: set.matched,
            attributes: attributes(&set.attributes),
        }
    }
}

impl SpanJson {
    fn of(span: MatchedSpan) -> Self {
        Self {
            span_id: span.span_id.to_string(),
            name: span.name,
            start_time_unix_nano: span.start_time_unix_nano.to_string(),
            duration_nanos: span.duration_nano.to_string(),
            attributes: attributes(&span.attributes),
        }
    }
}

fn attributes(list: &[(String, AnyValue)]) -> Vec<AttributeJson> {
    list.iter()
        .map(|(key, value)| AttributeJson {
            key: key.clone(),
            value: value_json(value),
        })
        .collect()
}
