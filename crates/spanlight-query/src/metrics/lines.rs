//! Series while they are calculated with: arithmetic between them, comparisons, and rankings, point by point.

use std::cmp::Ordering;

use rustc_hash::FxHashMap;
use spanlight_model::AnyValue;
use spanlight_traceql::ast::{Arithmetic, Comparison, RankFunction, SecondStage};

use super::answer::{Exemplar, Point, Series};
use super::groups::Intervals;
use super::program::number_of;

/// Names and values; no value where the spans have none.
pub(crate) type Labels = Vec<(String, Option<AnyValue>)>;

/// A series with a value for each interval, NaN where there is none.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) labels: Labels,
    pub(crate) values: Vec<f64>,
    pub(crate) exemplars: Vec<Exemplar>,
}

/// What a function or a calculation gives.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lines {
    /// The function, or the calculation with parentheses around it.
    pub(crate) name: String,
    /// By their labels.
    pub(crate) list: Vec<Line>,
    /// Shown with each series, but series pair without it: what all have in common.
    pub(crate) common: Labels,
}

/// What a step leaves for the next.
#[derive(Debug, Clone)]
pub(crate) enum Operand {
    Number(f64),
    Lines(Lines),
}

impl Operand {
    pub(crate) fn byte_size(&self) -> usize {
        match self {
            Self::Number(_) => 0,
            Self::Lines(lines) => lines.list.iter().map(Line::byte_size).sum(),
        }
    }
}

impl Line {
    pub(crate) fn new(labels: Labels, values: Vec<f64>) -> Self {
        Self {
            labels,
            values,
            exemplars: Vec::new(),
        }
    }

    fn byte_size(&self) -> usize {
        /// Of a label's name and value, about.
        const LABEL: usize = 128;
        size_of::<Self>()
            + self.values.len() * size_of::<f64>()
            + self.labels.len() * LABEL
            + self.exemplars.len() * size_of::<Exemplar>()
    }
}

impl Lines {
    /// As an answer, without series that have no point.
    pub(crate) fn into_series(self, intervals: &Intervals) -> Vec<Series> {
        let common = self.common;
        let lines = self.list.into_iter();
        let series = lines.map(|mut line| {
            line.labels.extend(common.iter().cloned());
            let has_point = |it: &Exemplar| {
                let value = line.values.get(intervals.interval_of(it.time_unix_nano));
                value.is_some_and(|value| value.is_finite()) && it.value.is_finite()
            };
            line.exemplars.retain(has_point);
            Series {
                labels: line.labels,
                points: points(&line.values, intervals).collect(),
                exemplars: line.exemplars,
            }
        });
        series.filter(|series| !series.points.is_empty()).collect()
    }

    /// In the order of their labels.
    pub(crate) fn sort(&mut self) {
        self.list.sort_by(|a, b| order(&a.labels, &b.labels));
    }

    /// What a second stage leaves.
    pub(crate) fn staged(mut self, stage: &SecondStage) -> Self {
        match stage {
            SecondStage::Compare { operator, value } => {
                let constant = number_of(value);
                for value in self.list.iter_mut().flat_map(|line| &mut line.values) {
                    if !passes(*operator, *value, constant) {
                        *value = f64::NAN;
                    }
                }
            }
            SecondStage::Rank { function, count } => {
                let count = usize::try_from(*count).unwrap_or(usize::MAX);
                self.rank(*function, count);
            }
        }
        self.list
            .retain(|line| line.values.iter().any(|value| !value.is_nan()));
        self
    }

    /// At each interval keeps the greatest or least values. Of equal ones those of the first labels are greater.
    fn rank(&mut self, function: RankFunction, count: usize) {
        let intervals = self.list.first().map_or(0, |line| line.values.len());
        let mut ranked: Vec<usize> = Vec::with_capacity(self.list.len());
        for interval in 0..intervals {
            let value = |line: usize| self.list[line].values[interval];
            ranked.clear();
            ranked.extend((0..self.list.len()).filter(|&line| !value(line).is_nan()));
            ranked.sort_by(|&a, &b| value(b).total_cmp(&value(a)).then(a.cmp(&b)));
            let dropped = match function {
                RankFunction::Top => ranked.get(count..),
                RankFunction::Bottom => ranked.get(..ranked.len().saturating_sub(count)),
            };
            for &line in dropped.unwrap_or_default() {
                self.list[line].values[interval] = f64::NAN;
            }
        }
    }

    /// With each value changed, and no exemplars: none has the new values.
    fn map(mut self, change: impl Fn(f64) -> f64) -> Self {
        for line in &mut self.list {
            line.exemplars.clear();
            line.values
                .iter_mut()
                .for_each(|value| *value = change(*value));
        }
        self
    }

    /// Whether it is one series of everything, which goes with each of another's.
    fn is_total(&self) -> bool {
        matches!(&self.list[..], [line] if line.labels.is_empty())
    }
}

/// `left OP right`.
pub(crate) fn calculate(operator: Arithmetic, left: Operand, right: Operand) -> Operand {
    let apply = |left: f64, right: f64| apply(operator, left, right);
    match (left, right) {
        (Operand::Number(left), Operand::Number(right)) => Operand::Number(apply(left, right)),
        (Operand::Lines(lines), Operand::Number(number)) => {
            Operand::Lines(lines.map(|value| apply(value, number)))
        }
        (Operand::Number(number), Operand::Lines(lines)) => {
            Operand::Lines(lines.map(|value| apply(number, value)))
        }
        (Operand::Lines(left), Operand::Lines(right)) => {
            let name = format!("({} {} {})", left.name, operator.as_str(), right.name);
            let list = paired(left, right, apply);
            Operand::Lines(Lines {
                name,
                list,
                common: Labels::new(),
            })
        }
    }
}

/// Series of equal labels go together; a series of everything goes with each of the other side.
fn paired(left: Lines, right: Lines, apply: impl Fn(f64, f64) -> f64) -> Vec<Line> {
    let join = |labels: Labels, left: &[f64], right: &[f64]| {
        let values = left
            .iter()
            .zip(right)
            .map(|(left, right)| apply(*left, *right));
        Line::new(labels, values.collect())
    };
    if left.is_total() {
        let total = &left.list[0].values;
        let lines = right.list.into_iter();
        return lines.map(|it| join(it.labels, total, &it.values)).collect();
    }
    if right.is_total() {
        let total = &right.list[0].values;
        let lines = left.list.into_iter();
        return lines.map(|it| join(it.labels, &it.values, total)).collect();
    }
    // The debug form tells values of different types apart, and NaN from nothing else.
    let key = |labels: &Labels| format!("{labels:?}");
    let lines = right.list.iter();
    let by_labels: FxHashMap<String, &Line> = lines.map(|it| (key(&it.labels), it)).collect();
    let lines = left.list.into_iter();
    let pairs = lines.filter_map(|line| {
        let other = by_labels.get(&key(&line.labels))?;
        Some(join(line.labels, &line.values, &other.values))
    });
    pairs.collect()
}

/// Nothing where an operand is nothing, and where it is divided by zero.
fn apply(operator: Arithmetic, left: f64, right: f64) -> f64 {
    match operator {
        Arithmetic::Add => left + right,
        Arithmetic::Subtract => left - right,
        Arithmetic::Multiply => left * right,
        Arithmetic::Divide if right == 0.0 => f64::NAN,
        Arithmetic::Divide => left / right,
        // Not between series.
        Arithmetic::Remainder | Arithmetic::Power => f64::NAN,
    }
}

fn passes(operator: Comparison, value: f64, constant: f64) -> bool {
    let ordering = value.partial_cmp(&constant);
    ordering.is_some_and(|ordering| match operator {
        Comparison::Equal => ordering.is_eq(),
        Comparison::NotEqual => ordering.is_ne(),
        Comparison::Less => ordering.is_lt(),
        Comparison::LessOrEqual => ordering.is_le(),
        Comparison::Greater => ordering.is_gt(),
        Comparison::GreaterOrEqual => ordering.is_ge(),
    })
}

fn points(values: &[f64], intervals: &Intervals) -> impl Iterator<Item = Point> {
    let values = values.iter().copied().enumerate();
    // What no number can say is not said.
    let present = values.filter(|(_, value)| value.is_finite());
    present.map(|(interval, value)| Point {
        start_time_unix_nano: intervals.start_of(interval),
        value,
    })
}

/// Label by label: nothing, numbers, truth values, texts.
fn order(left: &Labels, right: &Labels) -> Ordering {
    let pairs = left.iter().zip(right);
    let orders =
        pairs.map(|((_, left), (_, right))| order_of_values(left.as_ref(), right.as_ref()));
    let differing = orders.into_iter().find(|ordering| ordering.is_ne());
    differing.unwrap_or_else(|| left.len().cmp(&right.len()))
}

fn order_of_values(left: Option<&AnyValue>, right: Option<&AnyValue>) -> Ordering {
    let number = |value: Option<&AnyValue>| match value {
        Some(AnyValue::Int(number)) => Some((*number as f64, true)),
        Some(AnyValue::Double(number)) => Some((*number, false)),
        _ => None,
    };
    let rank = |value: Option<&AnyValue>| match value {
        None => 0,
        Some(AnyValue::Int(_) | AnyValue::Double(_)) => 1,
        Some(AnyValue::Bool(_)) => 2,
        Some(AnyValue::String(_)) => 3,
        Some(_) => 4,
    };
    let by_value = || match (number(left), number(right)) {
        (Some(left), Some(right)) => left.0.total_cmp(&right.0).then(right.1.cmp(&left.1)),
        _ => match (left, right) {
            (Some(AnyValue::String(left)), Some(AnyValue::String(right))) => left.cmp(right),
            (Some(AnyValue::Bool(left)), Some(AnyValue::Bool(right))) => left.cmp(right),
            _ => Ordering::Equal,
        },
    };
    rank(left).cmp(&rank(right)).then_with(by_value)
}
