//! Time series as text, for the cases: a line a series, its labels, then a value for each interval, `-` where there is
//! none.

use std::time::Duration;

use spanlight_model::AnyValue;
use spanlight_query::{MetricsRequest, QueryEngine, Series};

use crate::notation::EPOCH;

const MILLI: i64 = 1_000_000;

/// Milliseconds after the epoch of the notation, and the length of an interval; none for one interval.
#[derive(Debug, Clone, Copy)]
struct Times {
    start: i64,
    end: i64,
    step: Option<i64>,
}

/// `series` asks for three seconds, one by one; `series@0..5000/2500` and `series@0..5000` for others.
pub(crate) async fn ask(engine: &QueryEngine, verb: &str, query: &str) -> Vec<String> {
    let times = times(verb);
    match engine.metrics(request(query, times)).await {
        Err(error) => vec![format!("error: {error}")],
        Ok(answer) => {
            assert_eq!(answer.partial, [], "{query}");
            match &answer.series[..] {
                [] => vec!["(none)".to_owned()],
                series => series
                    .iter()
                    .map(|it| line(it, &answer.name, times))
                    .collect(),
            }
        }
    }
}

fn times(verb: &str) -> Times {
    let Some(text) = verb.strip_prefix("series@") else {
        return Times {
            start: 0,
            end: 3_000,
            step: Some(1_000),
        };
    };
    let (range, step) = match text.split_once('/') {
        Some((range, step)) => (range, Some(step.parse().unwrap())),
        None => (text, None),
    };
    let (start, end) = range.split_once("..").unwrap();
    let (start, end) = (start.parse().unwrap(), end.parse().unwrap());
    Times { start, end, step }
}

fn request(query: &str, times: Times) -> MetricsRequest {
    MetricsRequest {
        query: query.to_owned(),
        time_range: EPOCH + times.start * MILLI..EPOCH + times.end * MILLI,
        step: times.step.map(|step| Duration::from_millis(step as u64)),
        origin: EPOCH,
        ..MetricsRequest::default()
    }
}

fn line(series: &Series, name: &str, times: Times) -> String {
    let labels = series.labels.iter().map(|(label, value)| {
        let value = match value {
            None => "nil".to_owned(),
            Some(AnyValue::String(text)) => format!("{text:?}"),
            Some(AnyValue::Int(number)) => number.to_string(),
            Some(AnyValue::Bool(truth)) => truth.to_string(),
            Some(AnyValue::Double(number)) => format!("{number:?}"),
            Some(value) => value.to_json(),
        };
        format!("{label}={value}")
    });
    let labels: Vec<String> = labels.collect();
    let labels = match labels.is_empty() {
        true => name.to_owned(),
        false => labels.join(" "),
    };
    let step = times.step.unwrap_or(times.end - times.start).max(1);
    let first = times.start.div_euclid(step);
    let intervals = (times.end + step - 1).div_euclid(step) - first;
    let start = |interval: i64| match times.step {
        Some(step) => EPOCH + (first + interval) * step * MILLI,
        None => EPOCH + times.start * MILLI,
    };
    let value = |interval: i64| {
        let points = series.points.iter();
        let mut found = points.filter(|it| it.start_time_unix_nano == start(interval));
        match (found.next(), found.next()) {
            (None, _) => "-".to_owned(),
            (Some(point), None) => format!("{:?}", point.value)
                .trim_end_matches(".0")
                .to_owned(),
            (Some(_), Some(_)) => panic!("two points of one time"),
        }
    };
    let count = if times.step.is_some() { intervals } else { 1 };
    let values: Vec<String> = (0..count).map(value).collect();
    assert_eq!(
        series.points.len(),
        values.iter().filter(|it| *it != "-").count(),
        "points outside the range: {series:?}"
    );
    format!("{labels}: {}", values.join(" "))
}
