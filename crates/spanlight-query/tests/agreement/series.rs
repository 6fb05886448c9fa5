//! Random metrics over random spans: what the reference selects, counted, folded and calculated with by hand.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;
use spanlight_model::AnyValue;
use spanlight_query::MetricsRequest;
use spanlight_traceql::ast::{
    Arithmetic, Comparison, Field, FieldExpression, FieldNode, Intrinsic, Located, MetricsFunction,
    MetricsNode, OverTimeFunction, Pipeline, RankFunction, Root, SecondStage, Static,
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

/// Series by their labels: points by the start of their interval, in milliseconds. Values as text, so that the last
/// digits do not matter.
type Answer = BTreeMap<String, BTreeMap<i64, String>>;

type Labels = Vec<(String, Option<AnyValue>)>;

/// Series by their labels while they are calculated with.
#[derive(Debug, Clone, Default)]
struct Lines {
    list: Vec<(Labels, BTreeMap<i64, f64>)>,
    /// Of one quantile: what all series have and pair without.
    common: Labels,
}

enum Operand {
    Number(f64),
    Lines(Lines),
}

const LABELS: [&str; 14] = [
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
    "rootName",
    "span:childCount",
    "parent.a",
    "trace:id",
];

const MEASURED: [&str; 8] = [
    "duration",
    "span.a",
    ".a",
    "span.b",
    ".zone",
    "resource.a",
    "traceDuration",
    "span:childCount",
];

/// A pipeline that ends in a function.
fn series() -> impl Strategy<Value = String> {
    let over = |name: &'static str| {
        select(&MEASURED[..]).prop_map(move |field| format!("{name}_over_time({field})"))
    };
    let quantiles = select(vec!["0", ".5", ".9", "1", ".5, .9"]);
    let quantile = (select(&MEASURED[..]), quantiles)
        .prop_map(|(field, quantiles)| format!("quantile_over_time({field}, {quantiles})"));
    let function = prop_oneof![
        4 => select(vec!["rate()", "count_over_time()"]).prop_map(str::to_owned),
        1 => over("min"),
        1 => over("max"),
        1 => over("sum"),
        1 => over("avg"),
        2 => over("histogram"),
        2 => quantile,
    ];
    let by = prop_oneof![
        1 => Just(String::new()),
        1 => select(&LABELS[..]).prop_map(|field| format!(" by ({field})")),
        1 => (select(&LABELS[..]), select(&LABELS[..]))
            .prop_map(|(one, two)| format!(" by ({one}, {two})")),
    ];
    let pipeline = prop_oneof![2 => queries::spansets(), 1 => queries::query()];
    (pipeline, function, by)
        .prop_map(|(pipeline, function, by)| format!("{pipeline} | {function}{by}"))
        .prop_filter("types meet", |text| spanlight_traceql::parse(text).is_ok())
}

pub(super) fn question() -> impl Strategy<Value = Question> {
    let stage = select(vec![
        "",
        "",
        "",
        " | topk(1)",
        " | topk(2)",
        " | bottomk(1)",
        " > 0.3",
        " <= 1",
        " != 2",
        " < 250ms",
        " > 0 | topk(2) | bottomk(1)",
    ]);
    let operator = || select(vec!["+", "-", "*", "/"]);
    let number = select(vec!["2", "0.5", "0"]);
    let series = series().boxed();
    let whole = prop_oneof![
        6 => series.clone(),
        1 => (series.clone(), operator(), series.clone()).prop_map(|(l, sign, r)| format!("({l}) {sign} ({r})")),
        // The same spans, so that labels meet.
        1 => (series.clone(), operator()).prop_map(|(it, sign)| format!("({it} > 0) {sign} ({it})")),
        1 => (series.clone(), operator(), number.clone()).prop_map(|(l, sign, r)| format!("({l}) {sign} {r}")),
        1 => (number, operator(), series).prop_map(|(l, sign, r)| format!("{l} {sign} ({r})")),
    ];
    let range = prop_oneof![
        2 => Just(-10_000..100_000_i64),
        1 => (0_i64..3_000, 1_i64..3_000).prop_map(|(start, length)| start..start + length),
    ];
    let step = select(vec![1_000_i64, 700, 60_000]);
    (whole, stage, range, step)
        .prop_map(|(whole, stage, range, step)| Question {
            query: format!("{whole}{stage}"),
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
    let Root::Metrics(metrics) = &query.root else {
        panic!("{query} is no series");
    };
    let Operand::Lines(lines) = evaluate(&metrics.node, traces, question) else {
        panic!("{query} is a number");
    };
    let mut answer = Answer::new();
    for (mut labels, points) in lines.list {
        labels.extend(lines.common.iter().cloned());
        let points = points.into_iter();
        let points: BTreeMap<i64, String> = points
            .map(|(start, value)| (start, format!("{value:.6}")))
            .collect();
        if !points.is_empty() {
            answer.insert(format!("{labels:?}"), points);
        }
    }
    answer
}

fn evaluate(node: &MetricsNode, traces: &[Trace], question: &Question) -> Operand {
    match node {
        MetricsNode::Series {
            pipeline,
            function,
            by,
        } => Operand::Lines(counted(pipeline, &function.node, by, traces, question)),
        MetricsNode::Number(number) => Operand::Number(constant(number)),
        MetricsNode::Arithmetic {
            operator,
            left,
            right,
        } => {
            let left = evaluate(&left.node, traces, question);
            let right = evaluate(&right.node, traces, question);
            calculated(*operator, left, right)
        }
        MetricsNode::Staged { input, stages } => {
            let Operand::Lines(mut lines) = evaluate(&input.node, traces, question) else {
                panic!("a stage of a number");
            };
            for stage in stages {
                staged(&mut lines, &stage.node);
            }
            Operand::Lines(lines)
        }
    }
}

fn constant(number: &Static) -> f64 {
    match number {
        Static::Int(number) => *number as f64,
        Static::Float(number) => *number,
        Static::Duration(nanos) => *nanos as f64 / 1e9,
        other => panic!("{other} is no number"),
    }
}

fn counted(
    pipeline: &Pipeline,
    function: &MetricsFunction,
    by: &[Located<Field>],
    traces: &[Trace],
    question: &Question,
) -> Lines {
    let expression = |field: &Located<Field>| {
        FieldExpression::new(FieldNode::Field(field.node.clone()), field.position.clone())
    };
    let mut groups: Vec<(Labels, BTreeMap<i64, Vec<Value>>)> = Vec::new();
    let is_histogram = matches!(function, MetricsFunction::HistogramOverTime { .. });
    if by.is_empty() && counts(function) && !is_histogram {
        groups.push((Labels::new(), BTreeMap::new()));
    }
    for trace in traces {
        for span in reference::selected(pipeline, trace) {
            let start = trace.spans[span].start;
            if !question.range.contains(&start) {
                continue;
            }
            let interval = interval(start, question);
            let value = measured(function).map(|field| trace.value_of(&expression(field), span));
            let mut labels: Labels = by
                .iter()
                .map(|field| {
                    let shown = match trace.value_of(&expression(field), span) {
                        Value::Nil => None,
                        value => Some(as_label(&value)),
                    };
                    (field.node.to_string(), shown)
                })
                .collect();
            if is_histogram {
                let Some(bucket) = value.as_ref().and_then(bucket) else {
                    continue;
                };
                labels.push(("__bucket".to_owned(), Some(AnyValue::Double(bucket))));
            }
            let key = format!("{labels:?}");
            let known = groups.iter().position(|(it, _)| format!("{it:?}") == key);
            let at = known.unwrap_or_else(|| {
                groups.push((labels, BTreeMap::new()));
                groups.len() - 1
            });
            let cell = groups[at].1.entry(interval).or_default();
            cell.push(value.unwrap_or(Value::Nil));
        }
    }
    let mut lines = Lines::default();
    for (labels, cells) in groups {
        for quantile in quantiles(function) {
            let mut points = BTreeMap::new();
            if counts(function) {
                points.extend(intervals(question).map(|start| (start, 0.0)));
            }
            let values = cells.iter().filter_map(|(start, values)| {
                Some((*start, fold(function, quantile, values, question.step)?))
            });
            points.extend(values);
            let mut labels = labels.clone();
            if quantiles(function).len() > 1 {
                labels.push(("p".to_owned(), quantile.map(AnyValue::Double)));
            } else if quantile.is_some() {
                lines.common = vec![("p".to_owned(), quantile.map(AnyValue::Double))];
            }
            if !points.is_empty() {
                lines.list.push((labels, points));
            }
        }
    }
    lines
}

/// Of other functions one that is none.
fn quantiles(function: &MetricsFunction) -> Vec<Option<f64>> {
    match function {
        MetricsFunction::QuantileOverTime { quantiles, .. } => {
            quantiles.iter().copied().map(Some).collect()
        }
        _ => vec![None],
    }
}

/// Where there is no span, there are none: zero.
fn counts(function: &MetricsFunction) -> bool {
    matches!(
        function,
        MetricsFunction::Rate
            | MetricsFunction::CountOverTime
            | MetricsFunction::HistogramOverTime { .. }
    )
}

/// The start of the interval of a time: a multiple of the step since 1970.
fn interval(time: i64, question: &Question) -> i64 {
    time - (EPOCH / MILLI + time).rem_euclid(question.step)
}

fn intervals(question: &Question) -> impl Iterator<Item = i64> {
    let first = interval(question.range.start, question);
    let (step, end) = (question.step, question.range.end);
    let starts = (0..).map(move |number| first + number * step);
    starts.take_while(move |start| *start < end)
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
        | MetricsFunction::QuantileOverTime { field, .. }
        | MetricsFunction::HistogramOverTime { field } => Some(field),
        _ => None,
    }
}

/// Doubled or halved from one until it is the least that is no less than the value.
fn bucket(value: &Value) -> Option<f64> {
    let number = value.number().filter(|number| !number.is_nan())?;
    let mut greatest = 1.0;
    if number <= 0.0 {
        greatest = 0.0;
    } else {
        while greatest < number {
            greatest *= 2.0;
        }
        while greatest / 2.0 >= number {
            greatest /= 2.0;
        }
    }
    let is_duration = matches!(value, Value::Duration(_));
    Some(if is_duration {
        greatest / 1e9
    } else {
        greatest
    })
}

/// Durations in seconds; what is no number is passed over, and without any there is no point.
fn fold(
    function: &MetricsFunction,
    quantile: Option<f64>,
    values: &[Value],
    step: i64,
) -> Option<f64> {
    let count = values.len() as f64;
    let numbers = values.iter().filter_map(Value::number);
    let mut numbers: Vec<f64> = numbers.filter(|number| !number.is_nan()).collect();
    numbers.sort_by(f64::total_cmp);
    let is_duration = matches!(
        measured(function).map(|field| &field.node),
        Some(Field::Intrinsic(
            Intrinsic::Duration | Intrinsic::TraceDuration
        ))
    );
    let unit = if is_duration { 1e9 } else { 1.0 };
    let sum = numbers.iter().fold(0.0, |sum, number| sum + number);
    match function {
        MetricsFunction::Rate => return Some(count / (step as f64 / 1e3)),
        MetricsFunction::CountOverTime | MetricsFunction::HistogramOverTime { .. } => {
            return Some(count);
        }
        _ if numbers.is_empty() => return None,
        _ => {}
    }
    let value = match function {
        MetricsFunction::OverTime { function, .. } => match function {
            OverTimeFunction::Min => numbers[0],
            OverTimeFunction::Max => numbers[numbers.len() - 1],
            OverTimeFunction::Sum => sum,
            OverTimeFunction::Avg => sum / numbers.len() as f64,
        },
        MetricsFunction::QuantileOverTime { .. } => {
            let rank = (quantile.unwrap() * numbers.len() as f64).ceil() as usize;
            numbers[rank.max(1) - 1]
        }
        other => panic!("{other} is not asked for"),
    };
    Some(value / unit)
}

fn staged(lines: &mut Lines, stage: &SecondStage) {
    match stage {
        SecondStage::Compare { operator, value } => {
            let constant = constant(value);
            for (_, points) in &mut lines.list {
                points.retain(|_, value| match operator {
                    Comparison::Equal => *value == constant,
                    Comparison::NotEqual => *value != constant,
                    Comparison::Less => *value < constant,
                    Comparison::LessOrEqual => *value <= constant,
                    Comparison::Greater => *value > constant,
                    Comparison::GreaterOrEqual => *value >= constant,
                });
            }
        }
        SecondStage::Rank { function, count } => {
            lines.list.sort_by_key(|(labels, _)| {
                let labels = labels.iter();
                labels
                    .map(|(_, value)| place(value.as_ref()))
                    .collect::<Vec<_>>()
            });
            let before = lines.list.clone();
            for (at, (_, points)) in lines.list.iter_mut().enumerate() {
                points.retain(|start, value| {
                    // Of equal values that of the first labels is greater.
                    let is_greater =
                        |other: usize, it: f64| it > *value || it == *value && other < at;
                    let values = before.iter().map(|(_, points)| points.get(start));
                    let others = values.enumerate().filter(|(other, _)| *other != at);
                    let others: Vec<bool> = others
                        .filter_map(|(other, it)| it.map(|it| is_greater(other, *it)))
                        .collect();
                    let greater = others.iter().filter(|is| **is).count() as u64;
                    match function {
                        RankFunction::Top => greater < *count,
                        RankFunction::Bottom => (others.len() as u64 - greater) < *count,
                    }
                });
            }
        }
    }
    lines.list.retain(|(_, points)| !points.is_empty());
}

/// Nothing, numbers, truth values, texts.
fn place(value: Option<&AnyValue>) -> (u8, i64, String) {
    // Numbers of the spans are few halves; NaN is the greatest.
    let number = |number: f64| match number.is_nan() {
        true => i64::MAX,
        false => (number * 1e12) as i64,
    };
    match value {
        None => (0, 0, String::new()),
        Some(AnyValue::Int(int)) => (1, number(*int as f64), "int".to_owned()),
        Some(AnyValue::Double(double)) => (1, number(*double), "other".to_owned()),
        Some(AnyValue::Bool(truth)) => (2, i64::from(*truth), String::new()),
        Some(AnyValue::String(text)) => (3, 0, text.clone()),
        other => panic!("{other:?} is no label"),
    }
}

fn calculated(operator: Arithmetic, left: Operand, right: Operand) -> Operand {
    let apply = |left: f64, right: f64| match operator {
        Arithmetic::Add => Some(left + right),
        Arithmetic::Subtract => Some(left - right),
        Arithmetic::Multiply => Some(left * right),
        Arithmetic::Divide => (right != 0.0).then(|| left / right),
        other => panic!("{other:?} of series"),
    };
    let each = |mut lines: Lines, apply: &dyn Fn(f64) -> Option<f64>| {
        for (_, points) in &mut lines.list {
            let changed = points
                .iter()
                .filter_map(|(start, value)| Some((*start, apply(*value)?)));
            *points = changed.collect();
        }
        Operand::Lines(lines)
    };
    match (left, right) {
        (Operand::Number(_), Operand::Number(_)) => panic!("two numbers are folded"),
        (Operand::Lines(lines), Operand::Number(number)) => each(lines, &|it| apply(it, number)),
        (Operand::Number(number), Operand::Lines(lines)) => each(lines, &|it| apply(number, it)),
        (Operand::Lines(left), Operand::Lines(right)) => {
            let is_total = |lines: &Lines| lines.list.len() == 1 && lines.list[0].0.is_empty();
            let (total_left, total_right) = (is_total(&left), is_total(&right));
            let mut list = Vec::new();
            for (labels, points) in &left.list {
                for (others, other_points) in &right.list {
                    let pair = format!("{labels:?}") == format!("{others:?}");
                    if !(pair || total_left || total_right) {
                        continue;
                    }
                    let shown = if total_left { others } else { labels };
                    let points = points.iter().filter_map(|(start, value)| {
                        Some((*start, apply(*value, *other_points.get(start)?)?))
                    });
                    list.push((shown.clone(), points.collect()));
                }
            }
            Operand::Lines(Lines {
                list,
                common: Labels::new(),
            })
        }
    }
}

/// What the engine says.
pub(super) async fn answer(loaded: &Loaded, question: &Question) -> Answer {
    let time = |millis: i64| EPOCH + millis * MILLI;
    let request = MetricsRequest {
        query: question.query.clone(),
        time_range: time(question.range.start)..time(question.range.end),
        step: Some(Duration::from_millis(question.step as u64)),
        ..MetricsRequest::default()
    };
    let found = match loaded.engine.metrics(request).await {
        Ok(found) => found,
        Err(error) => panic!("{error}: {question:?}"),
    };
    assert_eq!(found.partial, []);
    let mut answer = Answer::new();
    for series in found.series {
        let points = series.points.iter().map(|point| {
            let start = (point.start_time_unix_nano - EPOCH).div_euclid(MILLI);
            (start, format!("{:.6}", point.value))
        });
        let known = answer.insert(format!("{:?}", series.labels), points.collect());
        assert_eq!(known, None, "two series of one name");
    }
    answer
}
