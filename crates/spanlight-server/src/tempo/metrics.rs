//! `/tempo/api/metrics/query_range` and `/tempo/api/metrics/query`: time series, and one value for the whole range; and
//! time series as a message, for those who stream.
//!
//! A point at a time stands for the spans that start after the point before it, up to that time. Zeros are left out, as
//! everywhere in these answers.

use std::ops::Range;
use std::time::Duration;

use axum::Json;
use axum::extract::{RawQuery, State};
use serde::Serialize;
use serde_json::value::RawValue;
use spanlight_model::AnyValue;
use spanlight_query::{Exemplar, MetricsAnswer, MetricsRequest, PartialReason, Series};
use spanlight_wire::tempo::streaming::{FoundSeries, SearchMetrics, encode_series};

use super::PlainError;
use super::search::short_id;
use super::time::go_duration;
use crate::api::{Parameters, parse_end, parse_start, value_json};
use crate::app::App;
use crate::clock::unix_nano_now;

const SECOND: i64 = 1_000_000_000;
const MILLISECOND: i64 = 1_000_000;
const MINUTE: i64 = 60;
/// Points of a series, at most.
const POINTS_MAX: i64 = 10_000;
const EXEMPLARS_MAX: usize = 100;
/// The range where none is asked for.
const SINCE_DEFAULT: Duration = Duration::from_secs(3_600);

/// What stands for a value that is not there.
const NIL: &str = "nil";

/// The steps that Grafana's users are used to: for ranges up to so many minutes, so many seconds.
const STEPS: [(i64, i64); 9] = [
    (5, 1),
    (10, 2),
    (30, 5),
    (60, 15),
    (120, 30),
    (180, 45),
    (360, 60),
    (720, 180),
    (1_440, 300),
];

pub(super) async fn get_range(
    State(app): State<App>,
    RawQuery(query): RawQuery,
) -> Result<Json<RangeAnswer>, PlainError> {
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes());
    let (request, step) = range_request(&parameters)?;
    let answer = app.metrics(request).await.map_err(PlainError::of_metrics)?;
    Ok(Json(RangeAnswer::of(answer, step)))
}

/// A `QueryRangeResponse`, of the question that HTTP has as these parameters.
pub(super) async fn range_message(
    app: &App,
    parameters: &Parameters,
) -> Result<Vec<u8>, PlainError> {
    let (request, step) = range_request(parameters)?;
    let answer = app.metrics(request).await.map_err(PlainError::of_metrics)?;
    let metrics = SearchMetrics {
        inspected_traces: 0,
        inspected_bytes: answer.inspected.bytes,
        completed_jobs: u32::from(answer.partial.is_empty()),
        total_jobs: 1,
    };
    let series = answer.series.iter().map(|series| FoundSeries {
        labels: labels(&answer.name, series),
        samples: samples(series, step).collect(),
    });
    Ok(encode_series(series, metrics))
}

pub(super) async fn get_instant(
    State(app): State<App>,
    RawQuery(query): RawQuery,
) -> Result<Json<InstantAnswer>, PlainError> {
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes());
    let range = time_range(&parameters)?;
    let request = MetricsRequest {
        query: text(&parameters),
        // The start is not in it, the end is.
        time_range: range.start.saturating_add(1)..range.end.saturating_add(1),
        ..MetricsRequest::default()
    };
    let answer = app.metrics(request).await.map_err(PlainError::of_metrics)?;
    Ok(Json(InstantAnswer::of(answer)))
}

fn text(parameters: &Parameters) -> String {
    let query = parameters.get("q").or_else(|| parameters.get("query"));
    query.unwrap_or_default().to_owned()
}

fn time_range(parameters: &Parameters) -> Result<Range<i64>, PlainError> {
    let now = unix_nano_now();
    let bad = |error: crate::api::TimeError| PlainError::bad(error.to_string());
    let end = match parameters.get("end") {
        Some(text) => parse_end(Some(text), now).map_err(bad)?,
        None => now,
    };
    let since = match parameters.get("since") {
        None => SINCE_DEFAULT,
        Some(text) => go_duration(text)
            .ok_or_else(|| PlainError::bad(format!("invalid since: {text:?} is no duration")))?,
    };
    let start = match parameters.get("start") {
        Some(text) => parse_start(Some(text), now).map_err(bad)?,
        None => end.saturating_sub(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)),
    };
    if end <= start {
        return Err(PlainError::bad("end must be greater than start"));
    }
    Ok(start..end)
}

/// The question, and its step in nanoseconds.
fn range_request(parameters: &Parameters) -> Result<(MetricsRequest, i64), PlainError> {
    let range = time_range(parameters)?;
    let step = match parameters.get("step") {
        None => default_step(&range),
        Some(text) => step(text)?,
    };
    // Both ends are moved outwards to multiples of the step; each has a point.
    let first = range.start.div_euclid(step).saturating_mul(step);
    let last = range
        .end
        .saturating_add(step - 1)
        .div_euclid(step)
        .saturating_mul(step);
    if last.saturating_sub(first) / step > POINTS_MAX {
        let least = range.end.saturating_sub(range.start) / POINTS_MAX;
        let (step, least) = (
            Duration::from_nanos(step as u64),
            Duration::from_nanos(least as u64),
        );
        return Err(PlainError::bad(format!(
            "step of {step:?} is too small, minimum step for given range is {least:?}"
        )));
    }
    let exemplars = parameters
        .get("exemplars")
        .and_then(|text| text.parse().ok());
    let exemplars = exemplars
        .filter(|count| *count > 0)
        .unwrap_or(EXEMPLARS_MAX);
    let request = MetricsRequest {
        query: text(parameters),
        time_range: first.saturating_sub(step).saturating_add(1)..last.saturating_add(1),
        step: Some(Duration::from_nanos(step as u64)),
        origin: 1,
        exemplars: exemplars.min(EXEMPLARS_MAX),
    };
    Ok((request, step))
}

fn step(text: &str) -> Result<i64, PlainError> {
    let step = go_duration(text).and_then(|step| i64::try_from(step.as_nanos()).ok());
    step.filter(|&step| step > 0).ok_or_else(|| {
        PlainError::bad(format!(
            "invalid step: {text:?} is no duration; write seconds, or 30s, 5m, 1h30m"
        ))
    })
}

fn default_step(range: &Range<i64>) -> i64 {
    let minutes = range.end.saturating_sub(range.start) / (MINUTE * SECOND);
    let known = STEPS.iter().find(|(up_to, _)| minutes <= *up_to);
    let seconds = known.map_or_else(
        // As many points as a day has.
        || (minutes / 288).saturating_add(1) * MINUTE,
        |(_, seconds)| *seconds,
    );
    seconds.saturating_mul(SECOND)
}

#[derive(Debug, Serialize)]
pub(super) struct RangeAnswer {
    series: Vec<RangeSeries>,
    metrics: MetricsJson,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "String::is_empty")]
    message: String,
}

#[derive(Debug, Serialize)]
pub(super) struct InstantAnswer {
    series: Vec<InstantSeries>,
    metrics: MetricsJson,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct MetricsJson {
    inspected_bytes: String,
    completed_jobs: u32,
    total_jobs: u32,
}

#[derive(Debug, Serialize)]
struct RangeSeries {
    labels: Vec<LabelJson>,
    samples: Vec<SampleJson>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    exemplars: Vec<ExemplarJson>,
}

#[derive(Debug, Serialize)]
struct InstantSeries {
    labels: Vec<LabelJson>,
    #[serde(skip_serializing_if = "is_zero")]
    value: f64,
}

#[derive(Debug, Serialize)]
struct LabelJson {
    key: String,
    value: Box<RawValue>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SampleJson {
    timestamp_ms: String,
    #[serde(skip_serializing_if = "is_zero")]
    value: f64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ExemplarJson {
    labels: Vec<LabelJson>,
    #[serde(skip_serializing_if = "is_zero")]
    value: f64,
    timestamp_ms: String,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature is serde's"
)]
fn is_zero(number: &f64) -> bool {
    *number == 0.0
}

fn milliseconds(nano: i64) -> i64 {
    nano.div_euclid(MILLISECOND)
}

/// The points in unix milliseconds. A point stands at the end of its interval, which begins after the point before it.
fn samples(series: &Series, step: i64) -> impl Iterator<Item = (i64, f64)> {
    series.points.iter().map(move |point| {
        let end = point.start_time_unix_nano.saturating_add(step - 1);
        (milliseconds(end), point.value)
    })
}

impl MetricsJson {
    fn of(answer: &MetricsAnswer) -> Self {
        Self {
            inspected_bytes: answer.inspected.bytes.to_string(),
            completed_jobs: u32::from(answer.partial.is_empty()),
            total_jobs: 1,
        }
    }
}

impl RangeAnswer {
    fn of(answer: MetricsAnswer, step: i64) -> Self {
        let missing: Vec<String> = answer
            .partial
            .iter()
            .map(PartialReason::to_string)
            .collect();
        let metrics = MetricsJson::of(&answer);
        let series = answer.series.into_iter().map(|series| RangeSeries {
            labels: labels_json(&answer.name, &series),
            samples: samples(&series, step)
                .map(|(time, value)| SampleJson {
                    timestamp_ms: time.to_string(),
                    value,
                })
                .collect(),
            exemplars: series.exemplars.iter().map(ExemplarJson::of).collect(),
        });
        Self {
            series: series.collect(),
            metrics,
            status: (!missing.is_empty()).then_some("PARTIAL"),
            message: missing.join("; "),
        }
    }
}

impl InstantAnswer {
    fn of(answer: MetricsAnswer) -> Self {
        let metrics = MetricsJson::of(&answer);
        let series = answer.series.into_iter().filter_map(|series| {
            Some(InstantSeries {
                value: series.points.first()?.value,
                labels: labels_json(&answer.name, &series),
            })
        });
        Self {
            series: series.collect(),
            metrics,
        }
    }
}

impl ExemplarJson {
    fn of(exemplar: &Exemplar) -> Self {
        let id = short_id(exemplar.trace_id);
        Self {
            labels: vec![label_json("trace:id", &AnyValue::String(id))],
            value: exemplar.value,
            timestamp_ms: milliseconds(exemplar.time_unix_nano).to_string(),
        }
    }
}

/// The labels of a series: its name where there are none. Of several that have no value, only the first is there.
fn labels(name: &str, series: &Series) -> Vec<(String, AnyValue)> {
    let text = |text: &str| AnyValue::String(text.to_owned());
    if series.labels.is_empty() {
        return vec![("__name__".to_owned(), text(name))];
    }
    let known: Vec<(String, AnyValue)> = series
        .labels
        .iter()
        .filter_map(|(key, value)| Some((key.clone(), value.clone()?)))
        .collect();
    let is_made = |key: &str| key == "p" || key.starts_with("__");
    let has_group = known.iter().any(|(key, _)| !is_made(key));
    match series.labels.iter().find(|(_, value)| value.is_none()) {
        Some((key, _)) if !has_group => {
            let nil = (key.clone(), text(NIL));
            std::iter::once(nil).chain(known).collect()
        }
        _ => known,
    }
}

fn labels_json(name: &str, series: &Series) -> Vec<LabelJson> {
    let labels = labels(name, series);
    let labels = labels.iter().map(|(key, value)| label_json(key, value));
    labels.collect()
}

fn label_json(key: &str, value: &AnyValue) -> LabelJson {
    LabelJson {
        key: key.to_owned(),
        value: value_json(value),
    }
}
