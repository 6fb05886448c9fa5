//! `/api/v1/search?q=&start=&end=&limit=&spans_per_trace=&cursor=&explain=`: traces that TraceQL finds, newest first.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::Serialize;
use serde_json::value::RawValue;
use spanlight_model::AnyValue;
use spanlight_query::{
    Inspected, MatchedSpan, PartialReason, SearchAnswer, SearchRequest, ServiceSummary, SpanSet,
    TraceSummary,
};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::explain::{self, ExplanationJson};
use super::failure::Failure;
use super::parameters::Parameters;
use super::{parse_end, parse_start, value_json};
use crate::app::App;
use crate::clock::unix_nano_now;

const LIMIT_DEFAULT: usize = 20;
const SPANS_PER_TRACE_DEFAULT: usize = 3;
/// The largest form; a query that is too long is refused by the parser, which says so better.
const FORM_BYTES_MAX: usize = 4 << 20;
/// How long a body may take to come.
const BODY_TIME: Duration = Duration::from_secs(10);
/// Bodies that are read at one time; the rest wait for a place.
static BODIES: Semaphore = Semaphore::const_new(8);
const FORM: &str = "application/x-www-form-urlencoded";

pub(crate) async fn get(
    State(app): State<App>,
    RawQuery(query): RawQuery,
) -> Result<Json<Answer>, Failure> {
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes());
    run(&app, &parameters).await
}

/// The same with the parameters as a form, for queries that are too long for an address.
pub(crate) async fn post(
    State(app): State<App>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Answer>, Failure> {
    check_is_form(&headers)?;
    let form = read_body(body, FORM_BYTES_MAX).await?;
    run(&app, &Parameters::parse(&form)).await
}

/// The body of a question, within a limit.
pub(super) async fn read_body(body: Body, bytes_max: usize) -> Result<Bytes, Failure> {
    // The semaphore is never closed; without a permit the bodies would only be less bounded.
    let _place = BODIES.acquire().await.ok();
    let body = Limited::new(body, bytes_max).collect();
    let body = timeout(BODY_TIME, body)
        .await
        .map_err(|_| Failure::too_slow(format!("the body did not come within {BODY_TIME:?}")))?;
    let body = body.map_err(|error| {
        if error.is::<LengthLimitError>() {
            Failure::too_large(format!("the body is larger than {bytes_max} bytes"))
        } else {
            Failure::bad_parameter("q", &format!("the body broke off: {error}"))
        }
    })?;
    Ok(body.to_bytes())
}

/// Anything else would have no parameters in it, and be answered with every trace.
fn check_is_form(headers: &HeaderMap) -> Result<(), Failure> {
    let value = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let value = String::from_utf8_lossy(value.unwrap_or(FORM.as_bytes()));
    let essence = value.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(FORM) {
        return Ok(());
    }
    Err(Failure::unsupported_type(format!(
        "content-type {essence:?} is not supported; send the parameters as {FORM}"
    )))
}

async fn run(app: &App, parameters: &Parameters) -> Result<Json<Answer>, Failure> {
    let answer = app.search(request(app, parameters)?).await?;
    Ok(Json(Answer::of(answer, explain::is_asked(parameters)?)))
}

fn request(app: &App, parameters: &Parameters) -> Result<SearchRequest, Failure> {
    let now = unix_nano_now();
    let start = parse_start(parameters.get("start"), now)
        .map_err(|error| Failure::bad_parameter("start", &error.to_string()))?;
    let end = parse_end(parameters.get("end"), now)
        .map_err(|error| Failure::bad_parameter("end", &error.to_string()))?;
    let limits = app.engine.limits();
    Ok(SearchRequest {
        query: parameters.get("q").unwrap_or_default().to_owned(),
        time_range: start..end,
        limit: bounded(parameters, "limit", LIMIT_DEFAULT, limits.traces_max)?,
        spans_per_trace: bounded(
            parameters,
            "spans_per_trace",
            SPANS_PER_TRACE_DEFAULT,
            limits.spans_per_trace_max,
        )?,
        cursor: parameters.get("cursor").map(str::to_owned),
    })
}

/// A number of things, at least one.
pub(super) fn bounded(
    parameters: &Parameters,
    name: &str,
    default: usize,
    max: usize,
) -> Result<usize, Failure> {
    match parameters.number(name)? {
        None => Ok(default.min(max)),
        Some(number) if (1..=max).contains(&number) => Ok(number),
        Some(number) => Err(Failure::bad_parameter(
            name,
            &format!("{number} is not between 1 and {max}"),
        )),
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    traces: Vec<TraceJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
    /// Empty when the answer is complete.
    partial: Vec<PartialJson>,
    inspected: InspectedJson,
    #[serde(skip_serializing_if = "Option::is_none")]
    explain: Option<ExplanationJson>,
}

/// Why an answer is not complete.
#[derive(Debug, Serialize)]
pub(crate) struct PartialJson {
    code: &'static str,
    message: String,
}

impl PartialJson {
    pub(crate) fn of(reasons: &[PartialReason]) -> Vec<Self> {
        reasons
            .iter()
            .map(|reason| Self {
                code: reason.code(),
                message: reason.to_string(),
            })
            .collect()
    }
}

/// What was looked at.
#[derive(Debug, Serialize)]
pub(crate) struct InspectedJson {
    spans: u64,
    traces: u64,
    bytes: u64,
    partitions: u64,
}

impl InspectedJson {
    pub(crate) fn of(inspected: Inspected) -> Self {
        Self {
            spans: inspected.spans,
            traces: inspected.traces,
            bytes: inspected.bytes,
            partitions: inspected.partitions,
        }
    }
}

#[derive(Debug, Serialize)]
struct TraceJson {
    trace_id: String,
    root_service_name: Option<String>,
    root_name: Option<String>,
    start_time_unix_nano: String,
    duration_nano: String,
    span_count: u32,
    error_count: u32,
    has_cold_start: bool,
    services: Vec<ServiceJson>,
    span_sets: Vec<SpanSetJson>,
}

#[derive(Debug, Serialize)]
struct ServiceJson {
    name: Option<String>,
    span_count: u32,
    error_count: u32,
}

#[derive(Debug, Serialize)]
struct SpanSetJson {
    matched: u32,
    spans: Vec<SpanJson>,
    attributes: Vec<AttributeJson>,
}

#[derive(Debug, Serialize)]
struct SpanJson {
    span_id: String,
    name: String,
    service_name: Option<String>,
    start_time_unix_nano: String,
    duration_nano: String,
    attributes: Vec<AttributeJson>,
}

/// A key and a value in OTLP's JSON.
#[derive(Debug, Serialize)]
pub(crate) struct AttributeJson {
    key: String,
    value: Box<RawValue>,
}

impl AttributeJson {
    pub(crate) fn of(key: &str, value: &AnyValue) -> Self {
        Self {
            key: key.to_owned(),
            value: value_json(value),
        }
    }

    fn list(attributes: &[(String, AnyValue)]) -> Vec<Self> {
        attributes
            .iter()
            .map(|(key, value)| Self::of(key, value))
            .collect()
    }
}

impl Answer {
    fn of(answer: SearchAnswer, explain: bool) -> Self {
        Self {
            explain: explain.then(|| ExplanationJson::of(&answer.explanation)),
            traces: answer.traces.into_iter().map(TraceJson::of).collect(),
            next_cursor: answer.next_cursor,
            partial: PartialJson::of(&answer.partial),
            inspected: InspectedJson::of(answer.inspected),
        }
    }
}

impl TraceJson {
    fn of(trace: TraceSummary) -> Self {
        let first = SpanSet {
            matched: trace.matched,
            spans: trace.spans,
            attributes: trace.attributes,
        };
        Self {
            trace_id: trace.trace_id.to_string(),
            root_service_name: trace.root_service_name,
            root_name: trace.root_name,
            start_time_unix_nano: trace.start_time_unix_nano.to_string(),
            duration_nano: trace.duration_nano.to_string(),
            span_count: trace.span_count,
            error_count: trace.error_count,
            has_cold_start: trace.has_cold_start,
            services: trace.services.into_iter().map(ServiceJson::of).collect(),
            span_sets: std::iter::once(first)
                .chain(trace.more_span_sets)
                .map(SpanSetJson::of)
                .collect(),
        }
    }
}

impl ServiceJson {
    fn of(service: ServiceSummary) -> Self {
        Self {
            name: service.name,
            span_count: service.span_count,
            error_count: service.error_count,
        }
    }
}

impl SpanSetJson {
    fn of(set: SpanSet) -> Self {
        Self {
            matched: set.matched,
            spans: set.spans.into_iter().map(SpanJson::of).collect(),
            attributes: AttributeJson::list(&set.attributes),
        }
    }
}

impl SpanJson {
    fn of(span: MatchedSpan) -> Self {
        Self {
            span_id: span.span_id.to_string(),
            name: span.name,
            service_name: span.service_name,
            start_time_unix_nano: span.start_time_unix_nano.to_string(),
            duration_nano: span.duration_nano.to_string(),
            attributes: AttributeJson::list(&span.attributes),
        }
    }
}
