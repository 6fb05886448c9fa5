//! Time series on the search page: from a metrics query to what the page shows of its answer.

use std::time::{Duration, Instant};

use http::StatusCode;
use spanlight_query::{MetricsAnswer, MetricsRequest};
use spanlight_traceql::ast::{
    Field, Intrinsic, MetricsExpression, MetricsFunction, MetricsNode, Pipeline, Root,
};
use spanlight_web::{
    MetricsResults, MetricsSeries, ProblemField, QueryProblem, SearchAddress, SearchBody, Unit,
};

use super::{inspected, message, problem, time_range};
use crate::api::{default_step, parse_duration};
use crate::app::App;

/// Intervals of a chart: more could not be told apart.
const INTERVALS_MAX: u32 = 1_000;

/// A query that asks for time series; `None` for searches, and for what is no query.
pub(super) fn parse(query: &str) -> Option<MetricsExpression> {
    match spanlight_traceql::parse(query).ok()?.root {
        Root::Metrics(metrics) => Some(metrics),
        Root::Search(_) => None,
    }
}

pub(super) async fn body(
    app: &App,
    address: &SearchAddress,
    query: &MetricsExpression,
    now: i64,
) -> (StatusCode, SearchBody) {
    let request = match request(address, query, now) {
        Ok(request) => request,
        Err(problem) => return (StatusCode::BAD_REQUEST, SearchBody::Problem(problem)),
    };
    let started = Instant::now();
    match app.metrics(request.clone()).await {
        Ok(answer) => {
            let results = results(answer, query, &request, started);
            (StatusCode::OK, SearchBody::Metrics(results))
        }
        Err(error) => {
            let (status, problem) = problem(error);
            (status, SearchBody::Problem(problem))
        }
    }
}

fn request(
    address: &SearchAddress,
    query: &MetricsExpression,
    now: i64,
) -> Result<MetricsRequest, QueryProblem> {
    let time_range = time_range(address, now)?;
    let is_comparison = matches!(function(query), Some(MetricsFunction::Compare { .. }));
    let step = match address.step.as_str() {
        // What is compared is shares, not how they went.
        _ if is_comparison => None,
        "all" => None,
        "" => Some(default_step(time_range.start, time_range.end)),
        text => Some(
            parse_duration(text)
                .filter(|step| !step.is_zero())
                .ok_or_else(|| {
                    let wrong =
                        format!("{text:?} is no duration; write seconds, or 30s, 5m, 1h, or all");
                    message(ProblemField::Step, wrong)
                })?,
        ),
    };
    let length = Duration::from_nanos(time_range.end.abs_diff(time_range.start));
    Ok(MetricsRequest {
        query: address.query.clone(),
        step: step.map(|step| step.max(length / INTERVALS_MAX)),
        time_range,
        ..MetricsRequest::default()
    })
}

fn results(
    answer: MetricsAnswer,
    query: &MetricsExpression,
    request: &MetricsRequest,
    started: Instant,
) -> MetricsResults {
    let (unit, bucket_unit) = function(query).map(units).unwrap_or_default();
    let series = answer.series.into_iter().map(|series| MetricsSeries {
        labels: series.labels,
        points: series
            .points
            .iter()
            .map(|point| (point.start_time_unix_nano, point.value))
            .collect(),
    });
    MetricsResults {
        name: answer.name,
        unit,
        bucket_unit,
        series: series.collect(),
        time_range: request.time_range.clone(),
        step_nano: request
            .step
            .map(|step| i64::try_from(step.as_nanos()).unwrap_or(i64::MAX)),
        spans_query: pipeline(query).map(ToString::to_string),
        partial: answer.partial.iter().map(ToString::to_string).collect(),
        inspected: inspected(answer.inspected, started),
    }
}

/// The one function of a query that calculates nothing.
fn function(query: &MetricsExpression) -> Option<&MetricsFunction> {
    match &query.node {
        MetricsNode::Series { function, .. } => Some(&function.node),
        MetricsNode::Staged { input, .. } => function(input),
        MetricsNode::Number(_) | MetricsNode::Arithmetic { .. } => None,
    }
}

/// What such a function counts.
fn pipeline(query: &MetricsExpression) -> Option<&Pipeline> {
    match &query.node {
        MetricsNode::Series { pipeline, .. } => Some(pipeline),
        MetricsNode::Staged { input, .. } => pipeline(input),
        MetricsNode::Number(_) | MetricsNode::Arithmetic { .. } => None,
    }
}

/// What the values are of, and the bounds of buckets.
fn units(function: &MetricsFunction) -> (Unit, Unit) {
    let of_field = |field: &Field| match field {
        Field::Intrinsic(
            Intrinsic::Duration | Intrinsic::TraceDuration | Intrinsic::EventTimeSinceStart,
        ) => Unit::Seconds,
        _ => Unit::Number,
    };
    match function {
        MetricsFunction::Rate => (Unit::PerSecond, Unit::Number),
        MetricsFunction::CountOverTime | MetricsFunction::Compare { .. } => {
            (Unit::Number, Unit::Number)
        }
        MetricsFunction::OverTime { field, .. }
        | MetricsFunction::QuantileOverTime { field, .. } => (of_field(&field.node), Unit::Number),
        MetricsFunction::HistogramOverTime { field } => (Unit::Number, of_field(&field.node)),
    }
}
