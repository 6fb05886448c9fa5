//! Random metrics over random spans: what the reference selects, counted and folded by hand.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;
use spanlight_model::AnyValue;
use spanlight_query::{MetricsRequest, QueryError};
use spanlight_traceql::ast::{
    Field, FieldExpression, FieldNode, Located, MetricsFunction, MetricsNode, OverTimeFunction,
    Root,
};

use super::queries;
use crate::cases::Loaded;
use crate::notation::EPOCH;
use crate::reference::{self, Trace, Value};

const MILLI: i64 = 1_000_000;

/// A question: its text, the time range and the step in milliseconds.
#[derive(Debug, Clone)]
pub(super) struct Question {
    query: String,
    range: Range<i64>,
    step: i64,
}

/// Series by their labels: points by the start of their interval, in milliseconds. Values as text, so that an order of
/// additions does not matter.
type Answer = BTreeMap<String, BTreeMap<i64, String>>;

type Labels = Vec<(String, Option<AnyValue>)>;

const LABELS: [&str; 10] = [
    "name",
    "kind",
    "status",
    "statusMessage",
    "resource.service.name",
    "span.a",
    ".a",
    "resource.zone",
    "instrumentation:name",
    ".service.name",
];

const MEASURED: [&str; 6] = ["duration", "span.a", ".a", "span.b", ".zone", "resource.a"];

pub(super) fn question() -> impl Strategy<Value = Question> {
    let over = |name: &'static str| {
        select(&MEASURED[..]).prop_map(move |field| format!("{name}_over_time({field})"))
    };
    let quantile = (select(&MEASURED[..]), select(vec!["0", ".5", ".9", "1"]))
        .prop_map(|(field, quantile)| format!("quantile_over_time({field}, {quantile})"));
    let function = prop_oneof![
        3 => select(vec!["rate()", "count_over_time()"]).prop_map(str::to_owned),
        1 => over("min"),
        1 => over("max"),
        1 => over("sum"),
        1 => over("avg"),
        2 => quantile,
    ];
    let by = prop_oneof![
        1 => Just(String::new()),
        1 => select(&LABELS[..]).prop_map(|field| format!(" by ({field})")),
        1 => (select(&LABELS[..]), select(&LABELS[..]))
            .prop_map(|(one, two)| format!(" by ({one}, {two})")),
    ];
    let range = prop_oneof![
        2 => Just(-10_000..100_000_i64),
        1 => (0_i64..3_000, 1_i64..3_000).prop_map(|(start, length)| start..start + length),
    ];
    let step = select(vec![1_000_i64, 700, 60_000]);
    (queries::spansets(), function, by, range, step)
        .prop_map(|(spansets, function, by, range, step)| Question {
            query: format!("{spansets} | {function}{by}"),
            range,
            step,
        })
        .prop_filter("types meet", |it| {
            spanlight_traceql::parse(&it.query).is_ok()
        })
}

/// What the reference says.
pub(super) fn expected(traces: &[Trace], question: &Question) -> Answer {
    let query = spanlight_traceql::parse(&question.query).unwrap();
    let Root::Metrics(Located {
        node:
            MetricsNode::Series {
                pipeline,
                function,
                by,
            },
        ..
    }) = &query.root
    else {
        panic!("{query} is no series");
    };
    let expression = |field: &Located<Field>| {
        FieldExpression::new(FieldNode::Field(field.node.clone()), field.position.clone())
    };
    let mut cells: BTreeMap<(String, i64), Vec<Value>> = BTreeMap::new();
    for trace in traces {
        for span in reference::selected(pipeline, trace) {
            let start = trace.spans[span].start;
            if !question.range.contains(&start) {
                continue;
            }
            let interval = interval(start, question);
            let labels = by.iter().map(|field| {
                let shown = match trace.value_of(&expression(field), span) {
                    Value::Nil => None,
                    value => Some(as_label(&value)),
                };
                (field.node.to_string(), shown)
            });
            let labels = format!("{:?}", labels.collect::<Vec<_>>());
            let value = match measured(&function.node) {
                Some(field) => trace.value_of(&expression(field), span),
                None => Value::Nil,
            };
            cells.entry((labels, interval)).or_default().push(value);
        }
    }
    let mut answer = Answer::new();
    if counts(&function.node) {
        if by.is_empty() {
            answer.insert(format!("{:?}", Labels::new()), BTreeMap::new());
        }
        for (labels, _) in cells.keys() {
            answer.insert(labels.clone(), BTreeMap::new());
        }
        for points in answer.values_mut() {
            points.extend(intervals(question).map(|start| (start, format!("{:.6}", 0.0))));
        }
    }
    for ((labels, interval), values) in cells {
        if let Some(value) = fold(&function.node, &values, question.step) {
            let points = answer.entry(labels).or_default();
            points.insert(interval, format!("{value:.6}"));
        }
    }
    answer
}

/// Where there is no span, there are none: zero.
fn counts(function: &MetricsFunction) -> bool {
    matches!(
        function,
        MetricsFunction::Rate | MetricsFunction::CountOverTime
    )
}

/// The start of the interval of a time: a multiple of the step since 1970.
fn interval(time: i64, question: &Question) -> i64 {
    time - (EPOCH / MILLI + time).rem_euclid(question.step)
}

fn intervals(question: &Question) -> impl Iterator<Item = i64> {
    let first = interval(question.range.start, question);
    let starts = (0..).map(move |number| first + number * question.step);
    starts.take_while(|start| *start < question.range.end)
}

/// Lists are shown as text.
fn as_label(value: &Value) -> AnyValue {
    match value.shown_or_nil() {
        list @ AnyValue::Array(_) => AnyValue::String(list.to_json()),
        value => value,
    }
}

fn measured(function: &MetricsFunction) -> Option<&Located<Field>> {
    match function {
        MetricsFunction::OverTime { field, .. }
        | MetricsFunction::QuantileOverTime { field, .. } => Some(field),
        _ => None,
    }
}

/// Durations in seconds; what is no number is passed over, and without any there is no point.
fn fold(function: &MetricsFunction, values: &[Value], step: i64) -> Option<f64> {
    let count = values.len() as f64;
    let mut numbers: Vec<f64> = values
        .iter()
        .filter_map(|value| match value {
            Value::Duration(nanos) => Some(*nanos as f64 / 1e9),
            value => value.number().filter(|number| !number.is_nan()),
        })
        .collect();
    numbers.sort_by(f64::total_cmp);
    let sum = numbers.iter().fold(0.0, |sum, number| sum + number);
    match function {
        MetricsFunction::Rate => return Some(count / (step as f64 / 1e3)),
        MetricsFunction::CountOverTime => return Some(count),
        _ if numbers.is_empty() => return None,
        _ => {}
    }
    Some(match function {
        MetricsFunction::OverTime { function, .. } => match function {
            OverTimeFunction::Min => numbers[0],
            OverTimeFunction::Max => numbers[numbers.len() - 1],
            OverTimeFunction::Sum => sum,
            OverTimeFunction::Avg => sum / numbers.len() as f64,
        },
        MetricsFunction::QuantileOverTime { quantiles, .. } => {
            let rank = (quantiles[0] * numbers.len() as f64).ceil() as usize;
            numbers[rank.max(1) - 1]
        }
        other => panic!("{other} is not asked for"),
    })
}

/// What the engine says; nothing for what it does not do yet.
pub(super) async fn answer(loaded: &Loaded, question: &Question) -> Option<Answer> {
    let time = |millis: i64| EPOCH + millis * MILLI;
    let request = MetricsRequest {
        query: question.query.clone(),
        time_range: time(question.range.start)..time(question.range.end),
        step: Some(Duration::from_millis(question.step as u64)),
        ..MetricsRequest::default()
    };
    let found = match loaded.engine.metrics(request).await {
        Ok(found) => found,
        Err(QueryError::Unsupported(_)) => return None,
        Err(error) => panic!("{error}: {question:?}"),
    };
    assert_eq!(found.partial, []);
    let mut answer = Answer::new();
    for series in found.series {
        let labels = series.labels.into_iter().filter(|(label, _)| label != "p");
        let points = series.points.iter().map(|point| {
            let start = (point.start_time_unix_nano - EPOCH).div_euclid(MILLI);
            (start, format!("{:.6}", point.value))
        });
        let known = answer.insert(
            format!("{:?}", labels.collect::<Vec<_>>()),
            points.collect(),
        );
        assert_eq!(known, None, "two series of one name");
    }
    Some(answer)
}
