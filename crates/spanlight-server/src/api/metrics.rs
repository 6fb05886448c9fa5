//! `/api/v1/metrics?q=&start=&end=&step=`: time series of the spans that TraceQL selects.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::{RawQuery, State};
use serde::Serialize;
use spanlight_model::AnyValue;
use spanlight_query::{Exemplar, MetricsAnswer, MetricsRequest, Series};

use super::explain::{self, ExplanationJson};
use super::failure::Failure;
use super::parameters::Parameters;
use super::search::{InspectedJson, PartialJson};
use super::{parse_duration, parse_end, parse_start};
use crate::app::App;
use crate::clock::unix_nano_now;

/// Steps that people think in, in seconds; where none is asked for, the first that gives few enough intervals.
const STEPS: [u64; 14] = [
    1, 5, 10, 15, 30, 60, 300, 600, 900, 1_800, 3_600, 10_800, 21_600, 86_400,
];
const INTERVALS_DEFAULT: u64 = 120;

pub(crate) async fn get(
    State(app): State<App>,
    RawQuery(query): RawQuery,
) -> Result<Json<Answer>, Failure> {
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes());
    let request = request(&parameters)?;
    let answer = app.metrics(request).await?;
    Ok(Json(Answer::of(answer, explain::is_asked(&parameters)?)))
}

fn request(parameters: &Parameters) -> Result<MetricsRequest, Failure> {
    let now = unix_nano_now();
    let start = parse_start(parameters.get("start"), now)
        .map_err(|error| Failure::bad_parameter("start", &error.to_string()))?;
    let end = parse_end(parameters.get("end"), now)
        .map_err(|error| Failure::bad_parameter("end", &error.to_string()))?;
    let step = match parameters.get("step") {
        None => Some(default_step(start, end)),
        Some("all") => None,
        Some(text) => Some(parse_duration(text).ok_or_else(|| {
            Failure::bad_parameter(
                "step",
                &format!("{text:?} is no duration; write seconds, or 30s, 5m, 1h, or all"),
            )
        })?),
    };
    let exemplars = match parameters.get("exemplars") {
        None => 0,
        Some(text) => text.parse().map_err(|_| {
            Failure::bad_parameter("exemplars", &format!("{text:?} is no number of spans"))
        })?,
    };
    Ok(MetricsRequest {
        query: parameters.get("q").unwrap_or_default().to_owned(),
        time_range: start..end,
        step,
        exemplars,
        ..MetricsRequest::default()
    })
}

/// The length of an interval that suits a time range.
pub(crate) fn default_step(start: i64, end: i64) -> Duration {
    let seconds = end.abs_diff(start) / 1_000_000_000;
    let enough = |step: &&u64| seconds / **step <= INTERVALS_DEFAULT;
    let step = STEPS.iter().find(enough).copied();
    Duration::from_secs(step.unwrap_or_else(|| (seconds / INTERVALS_DEFAULT).max(1)))
}

#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    series: Vec<SeriesJson>,
    /// Empty when the answer is complete.
    partial: Vec<PartialJson>,
    inspected: InspectedJson,
    #[serde(skip_serializing_if = "Option::is_none")]
    explain: Option<ExplanationJson>,
}

#[derive(Debug, Serialize)]
struct SeriesJson {
    labels: BTreeMap<String, serde_json::Value>,
    /// The start of each interval in unix seconds, and the value.
    samples: Vec<(f64, f64)>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    exemplars: Vec<ExemplarJson>,
}

#[derive(Debug, Serialize)]
struct ExemplarJson {
    trace_id: String,
    span_id: String,
    /// In unix seconds, as in samples.
    time: f64,
    value: f64,
}

impl Answer {
    fn of(answer: MetricsAnswer, explain: bool) -> Self {
        Self {
            series: answer.series.into_iter().map(SeriesJson::of).collect(),
            partial: PartialJson::of(&answer.partial),
            inspected: InspectedJson::of(answer.inspected),
            explain: explain.then(|| ExplanationJson::of(&answer.explanation)),
        }
    }
}

impl SeriesJson {
    fn of(series: Series) -> Self {
        let label = |value: Option<AnyValue>| match value {
            None => serde_json::Value::Null,
            Some(AnyValue::String(text)) => text.into(),
            Some(AnyValue::Bool(truth)) => truth.into(),
            Some(AnyValue::Int(number)) => number.into(),
            Some(AnyValue::Double(number)) if number.is_finite() => number.into(),
            // JSON has no number for it, and null means that there is no value.
            Some(AnyValue::Double(number)) => number.to_string().into(),
            Some(value) => value.to_json().into(),
        };
        let labels = series.labels.into_iter();
        Self {
            labels: labels.map(|(key, value)| (key, label(value))).collect(),
            samples: series
                .points
                .iter()
                .map(|point| (point.start_time_unix_nano as f64 / 1e9, point.value))
                .collect(),
            exemplars: series.exemplars.iter().map(ExemplarJson::of).collect(),
        }
    }
}

impl ExemplarJson {
    fn of(exemplar: &Exemplar) -> Self {
        Self {
            trace_id: exemplar.trace_id.to_string(),
            span_id: exemplar.span_id.to_string(),
            time: exemplar.time_unix_nano as f64 / 1e9,
            value: exemplar.value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_step_follows_from_the_range() {
        let step = |seconds: i64| default_step(0, seconds * 1_000_000_000).as_secs();
        assert_eq!(step(0), 1);
        assert_eq!(step(3_600), 30);
        assert_eq!(step(86_400), 900);
        assert_eq!(step(86_400 * 365), 86_400 * 365 / 120);
    }
}
