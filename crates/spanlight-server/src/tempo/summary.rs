//! `/tempo/api/metrics/summary?q=&groupBy=&limit=&start=&end=`: how many server spans a query selects, how many of them
//! failed and how long they took, by group. Tempo has given it up for metrics queries, and it is three of them here.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{RawQuery, State};
use serde::Serialize;
use spanlight_model::AnyValue;
use spanlight_query::{MetricsRequest, Series};

use super::PlainError;
use super::tags::limit;
use super::time::time_range;
use crate::api::Parameters;
use crate::app::App;

/// Groups, at most.
const LIMIT_DEFAULT: usize = 1_000;

/// The label of quantiles, and which there are.
const QUANTILE: &str = "p";
const QUANTILES: &str = ".5, .9, .95, .99";

pub(super) async fn get(
    State(app): State<App>,
    RawQuery(query): RawQuery,
) -> Result<Json<Answer>, PlainError> {
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes());
    let Some(by) = parameters.get("groupBy") else {
        return Err(PlainError::bad("groupBy is missing: fields to group by"));
    };
    let time_range = time_range(&parameters)?;
    let limit = limit(&parameters, LIMIT_DEFAULT)?;
    // A comment may be the last of the query.
    let query = parameters.get("q").unwrap_or("{ }");
    let spans = format!("{query}\n| {{ kind = server }}");
    let mut groups = Groups::default();
    for (function, take) in [
        ("count_over_time()".to_owned(), Group::count as Take),
        (
            format!("quantile_over_time(duration, {QUANTILES})"),
            Group::quantile,
        ),
        (
            "{ status = error } | count_over_time()".to_owned(),
            Group::failed,
        ),
    ] {
        let request = MetricsRequest {
            query: format!("{spans} | {function} by ({by})"),
            time_range: time_range.clone(),
            ..MetricsRequest::default()
        };
        let answer = app.metrics(request).await.map_err(PlainError::of_metrics)?;
        groups.add(answer.series, take);
    }
    Ok(Json(groups.answer(limit)))
}

type Take = fn(&mut Group, Option<f64>, f64);

/// By their labels as text.
#[derive(Debug, Default)]
struct Groups(BTreeMap<String, Group>);

#[derive(Debug, Default)]
struct Group {
    series: Vec<LabelJson>,
    count: u64,
    failed: u64,
    /// In nanoseconds, by percent.
    quantiles: BTreeMap<u8, u64>,
}

impl Group {
    fn count(&mut self, _quantile: Option<f64>, value: f64) {
        self.count = value.round() as u64;
    }

    fn failed(&mut self, _quantile: Option<f64>, value: f64) {
        self.failed = value.round() as u64;
    }

    fn quantile(&mut self, quantile: Option<f64>, seconds: f64) {
        if let Some(quantile) = quantile {
            let percent = (quantile * 100.0).round() as u8;
            self.quantiles
                .insert(percent, (seconds * 1e9).round() as u64);
        }
    }
}

impl Groups {
    fn add(&mut self, series: Vec<Series>, take: Take) {
        for Series { labels, points, .. } in series {
            let quantile = labels.iter().find(|(key, _)| key == QUANTILE);
            let quantile = quantile.and_then(|(_, value)| match value {
                Some(AnyValue::Double(quantile)) => Some(*quantile),
                _ => None,
            });
            let labels: Vec<_> = labels
                .into_iter()
                .filter(|(key, _)| key != QUANTILE)
                .collect();
            let Some(point) = points.first() else {
                continue;
            };
            let group = self.0.entry(format!("{labels:?}")).or_default();
            take(group, quantile, point.value);
            let labels = labels.into_iter();
            group.series = labels
                .map(|(key, value)| LabelJson::of(key, value))
                .collect();
        }
    }

    /// The largest groups come first.
    fn answer(self, limit: usize) -> Answer {
        let mut groups: Vec<Group> = self.0.into_values().filter(|it| it.count > 0).collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.count));
        groups.truncate(limit);
        Answer {
            summaries: groups.into_iter().map(SummaryJson::of).collect(),
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Answer {
    summaries: Vec<SummaryJson>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SummaryJson {
    span_count: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_span_count: Option<String>,
    series: Vec<LabelJson>,
    #[serde(flatten)]
    quantiles: BTreeMap<String, String>,
}

/// A key and a value of TraceQL: its type as a number, and the value in the field of that type.
#[derive(Debug, Serialize)]
struct LabelJson {
    key: String,
    value: StaticJson,
}

#[derive(Debug, Default, Serialize)]
struct StaticJson {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    f: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    s: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    b: Option<bool>,
}

impl SummaryJson {
    fn of(group: Group) -> Self {
        let quantiles = group.quantiles.into_iter();
        Self {
            span_count: group.count.to_string(),
            error_span_count: (group.failed > 0).then(|| group.failed.to_string()),
            series: group.series,
            quantiles: quantiles
                .map(|(percent, nanos)| (format!("p{percent}"), nanos.to_string()))
                .collect(),
        }
    }
}

impl LabelJson {
    fn of(key: String, value: Option<AnyValue>) -> Self {
        let none = StaticJson::default();
        let value = match value {
            None => none,
            Some(AnyValue::Int(number)) => StaticJson {
                kind: Some(3),
                n: Some(number.to_string()),
                ..none
            },
            Some(AnyValue::Double(number)) => StaticJson {
                kind: Some(4),
                f: Some(number),
                ..none
            },
            Some(AnyValue::Bool(truth)) => StaticJson {
                kind: Some(6),
                b: Some(truth),
                ..none
            },
            Some(AnyValue::String(text)) => StaticJson {
                kind: Some(5),
                s: Some(text),
                ..none
            },
            Some(other) => StaticJson {
                kind: Some(5),
                s: Some(other.to_json()),
                ..none
            },
        };
        Self { key, value }
    }
}
