//! A query's stages over one trace whose spans are all there: sets of spans, the operators between them, aggregates
//! and groups.

mod order;

use std::borrow::Cow;

use rustc_hash::FxHashMap;
use spanlight_model::AnyValue;
use spanlight_traceql::ast::{
    AggregateFunction, Comparison, End, Relation, StructuralForm, StructuralOperator,
};

use crate::plan::{AggregateFilter, CompiledAggregate, Plan, Rank, Spansets, Stage};
use crate::predicate::{Bound, Node, Scalar, compare};
use crate::traces::TraceRows;

/// Spans of a trace that belong together: positions, ascending unless the query gave them another order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selected {
    pub(crate) spans: Vec<usize>,
    /// Groups and aggregates, keyed by their text in the query.
    pub(crate) attributes: Vec<(String, AnyValue)>,
}

impl Selected {
    /// Adds an aggregate to what is said beside the spans.
    fn show(&mut self, text: &str, value: &Scalar<'_>) {
        if let Some(shown) = value.to_any() {
            self.attributes.retain(|(known, _)| known != text);
            self.attributes.push((text.to_owned(), shown));
        }
    }
}

/// A trace under evaluation.
#[derive(Debug)]
pub(crate) struct Evaluation<'a> {
    pub(crate) trace: &'a TraceRows,
    /// By part.
    pub(crate) bound: &'a [Bound<'a>],
    /// By filter, part and row: whether the filter selects the span.
    pub(crate) hits: &'a [Vec<Vec<bool>>],
    /// Whether groups and aggregates are shown beside the spans.
    pub(crate) shows: bool,
}

impl Evaluation<'_> {
    /// The span sets that the query leaves of the trace; none when it is no answer.
    pub(crate) fn run(&self, plan: &Plan) -> Vec<Selected> {
        let every = (0..self.trace.rows.len()).collect();
        self.stages(&plan.stages, every)
    }

    fn stages(&self, stages: &[Stage], spans: Vec<usize>) -> Vec<Selected> {
        let mut sets = vec![Selected {
            spans,
            attributes: Vec::new(),
        }];
        for stage in stages {
            sets = match stage {
                Stage::Spansets(expression) => sets
                    .into_iter()
                    .map(|set| Selected {
                        spans: self.select(expression, &set.spans),
                        attributes: set.attributes,
                    })
                    .filter(|set| !set.spans.is_empty())
                    .collect(),
                Stage::Filter(filter) => sets
                    .into_iter()
                    .filter_map(|set| self.filter(filter, set))
                    .collect(),
                Stage::GroupBy { value, text } => sets
                    .into_iter()
                    .flat_map(|set| self.group(value, text, set))
                    .collect(),
                Stage::Coalesce => coalesce(sets),
                Stage::Order {
                    key,
                    descending,
                    limit,
                } => sets
                    .into_iter()
                    .map(|set| self.order(key, *descending, *limit, set))
                    .collect(),
                Stage::Keep { end, count } => sets
                    .into_iter()
                    .map(|set| keep(*end, *count, set))
                    .collect(),
            };
        }
        sets
    }

    /// What an expression selects of the incoming spans.
    fn select(&self, expression: &Spansets, incoming: &[usize]) -> Vec<usize> {
        match expression {
            Spansets::Filter(filter) => {
                let hit = |&&position: &&usize| {
                    let at = self.trace.rows[position];
                    self.hits[*filter][at.part][at.row]
                };
                incoming.iter().filter(hit).copied().collect()
            }
            Spansets::Pipeline(stages) => union(
                self.stages(stages, incoming.to_vec())
                    .into_iter()
                    .map(|set| set.spans),
            ),
            Spansets::And(operands) => {
                let selected: Vec<_> = self.each(operands, incoming).collect();
                if selected.iter().any(Vec::is_empty) {
                    return Vec::new();
                }
                union(selected.into_iter())
            }
            Spansets::Or(operands) => union(self.each(operands, incoming)),
            Spansets::Structural(operator, left, right) => {
                let left = self.select(left, incoming);
                let right = self.select(right, incoming);
                self.structural(*operator, &left, &right)
            }
        }
    }

    fn each<'s>(
        &'s self,
        operands: &'s [Spansets],
        incoming: &'s [usize],
    ) -> impl Iterator<Item = Vec<usize>> + use<'s> {
        operands
            .iter()
            .map(move |operand| self.select(operand, incoming))
    }

    fn structural(
        &self,
        operator: StructuralOperator,
        left: &[usize],
        right: &[usize],
    ) -> Vec<usize> {
        let related = self.related(operator.relation, left);
        let keep = |wanted: bool| {
            let spans = right.iter().filter(|&&span| related.of(span) == wanted);
            spans.copied().collect::<Vec<_>>()
        };
        match operator.form {
            StructuralForm::Plain => keep(true),
            StructuralForm::Negated => keep(false),
            StructuralForm::Union => {
                let back = self.related(inverse(operator.relation), right);
                let left = left.iter().copied().filter(|&span| back.of(span));
                union([left.collect(), keep(true)].into_iter())
            }
        }
    }

    /// The spans that have one of `others` in the relation: r of `l OP r` when `others` are l.
    fn related(&self, relation: Relation, others: &[usize]) -> Related {
        let tree = self.trace.tree();
        let mut is_other = vec![false; self.trace.rows.len()];
        for &span in others {
            is_other[span] = true;
        }
        let mut marks = vec![false; is_other.len()];
        match relation {
            Relation::Child | Relation::Descendant => {
                for &position in &tree.order {
                    if let Some(parent) = tree.parent(position) {
                        let above = relation == Relation::Descendant && marks[parent];
                        marks[position as usize] = is_other[parent] || above;
                    }
                }
            }
            Relation::Parent | Relation::Ancestor => {
                for &position in tree.order.iter().rev() {
                    let at = position as usize;
                    let below = relation == Relation::Ancestor && marks[at];
                    if let Some(parent) = tree.parent(position) {
                        marks[parent] |= is_other[at] || below;
                    }
                }
            }
            Relation::Sibling => return Related::siblings(self.trace, others),
        }
        Related(marks)
    }

    /// The set with the aggregate shown, when it passes.
    fn filter(&self, filter: &AggregateFilter, mut set: Selected) -> Option<Selected> {
        let value = self.aggregate(&filter.aggregate, &set.spans)?;
        if !compare(filter.operator, &value, &filter.value) {
            return None;
        }
        if self.shows {
            set.show(&filter.aggregate.text, &value);
        }
        Some(set)
    }

    /// `None` of no value.
    fn aggregate(&self, aggregate: &CompiledAggregate, spans: &[usize]) -> Option<Scalar<'_>> {
        match (&aggregate.argument, aggregate.function) {
            (None, _) => Some(Scalar::Int(spans.len() as i64)),
            (Some(argument), AggregateFunction::Quantile) => {
                let values = spans.iter().map(|&span| self.value(argument, span));
                order::quantile(values, aggregate.quantile.unwrap_or_default())
            }
            (Some(argument), function) => {
                let mut total = Total::default();
                for &span in spans {
                    total.add(&self.value(argument, span));
                }
                total.result(function)
            }
        }
    }

    /// Puts the sets in their order, and gives the place of the trace among others, the greatest first.
    pub(crate) fn rank(&self, rank: &Rank, sets: &mut Vec<Selected>) -> i64 {
        let mut placed: Vec<(i64, Selected)> = std::mem::take(sets)
            .into_iter()
            .map(|mut set| {
                let value = self.aggregate(&rank.aggregate, &set.spans);
                let place = value.as_ref().map_or(i64::MIN, |value| {
                    set.show(&rank.aggregate.text, value);
                    order::place(value, rank.descending)
                });
                (place, set)
            })
            .collect();
        placed.sort_by_key(|(place, _)| std::cmp::Reverse(*place));
        let first = placed.first().map_or(i64::MIN, |(place, _)| *place);
        sets.extend(placed.into_iter().map(|(_, set)| set));
        first
    }

    /// The set in the order of a value, and as much of it as is wanted.
    fn order(&self, key: &Node, descending: bool, limit: usize, mut set: Selected) -> Selected {
        let with_value = |span| (self.value(key, span), span);
        let mut spans: Vec<(Scalar<'_>, usize)> = set.spans.into_iter().map(with_value).collect();
        order::sort(&mut spans, descending);
        set.spans = spans
            .into_iter()
            .take(limit)
            .map(|(_, span)| span)
            .collect();
        set
    }

    /// The value of an expression for a span, with its first event and link.
    fn value(&self, node: &Node, span: usize) -> Scalar<'_> {
        let at = self.trace.rows[span];
        let bound = &self.bound[at.part];
        bound.evaluate(node, bound.first_position(at.row))
    }

    /// The set split by the value, groups in the order of their first spans.
    fn group(&self, node: &Node, text: &str, set: Selected) -> Vec<Selected> {
        let mut texts: FxHashMap<Cow<'_, str>, usize> = FxHashMap::default();
        let mut known: FxHashMap<String, usize> = FxHashMap::default();
        let mut groups: Vec<Selected> = Vec::new();
        for span in set.spans {
            let value = self.value(node, span);
            // Values of different types are different groups; the debug form tells them apart.
            let new = || {
                let mut attributes = set.attributes.clone();
                if self.shows {
                    let nil = || AnyValue::String("nil".to_owned());
                    attributes.push((text.to_owned(), value.to_any().unwrap_or_else(nil)));
                }
                let spans = Vec::new();
                groups.push(Selected { spans, attributes });
                groups.len() - 1
            };
            let group = match &value {
                Scalar::Text(text) => *texts.entry(text.clone()).or_insert_with(new),
                value => *known.entry(format!("{value:?}")).or_insert_with(new),
            };
            groups[group].spans.push(span);
        }
        groups
    }
}

/// The first or last spans, in the order in which the set is.
fn keep(end: End, count: usize, mut set: Selected) -> Selected {
    match end {
        End::First => set.spans.truncate(count),
        End::Last => {
            let before = set.spans.len().saturating_sub(count);
            set.spans.drain(..before);
        }
    }
    set
}

fn coalesce(sets: Vec<Selected>) -> Vec<Selected> {
    if sets.is_empty() {
        return sets;
    }
    vec![Selected {
        spans: union(sets.into_iter().map(|set| set.spans)),
        attributes: Vec::new(),
    }]
}

fn union(sets: impl Iterator<Item = Vec<usize>>) -> Vec<usize> {
    let mut spans: Vec<usize> = sets.flatten().collect();
    spans.sort_unstable();
    spans.dedup();
    spans
}

fn inverse(relation: Relation) -> Relation {
    match relation {
        Relation::Child => Relation::Parent,
        Relation::Parent => Relation::Child,
        Relation::Descendant => Relation::Ancestor,
        Relation::Ancestor => Relation::Descendant,
        Relation::Sibling => Relation::Sibling,
    }
}

/// By position: whether the span is related.
struct Related(Vec<bool>);

impl Related {
    fn of(&self, span: usize) -> bool {
        self.0[span]
    }

    /// Siblings name the same parent, there or not; roots are siblings of roots. No span is its own sibling.
    fn siblings(trace: &TraceRows, others: &[usize]) -> Self {
        let mut counts = FxHashMap::default();
        let mut own = vec![0_u32; trace.rows.len()];
        for &span in others {
            *counts.entry(trace.places[span].parent).or_insert(0_u32) += 1;
            own[span] += 1;
        }
        let count = |parent| counts.get(parent).copied().unwrap_or(0);
        let marks = trace.places.iter().zip(own);
        Self(
            marks
                .map(|(place, own)| count(&place.parent) > own)
                .collect(),
        )
    }
}

/// What an aggregate has seen: its numeric values; what is no number is passed over.
#[derive(Debug, Default)]
struct Total {
    count: u64,
    whole: i128,
    sum: f64,
    has_float: bool,
    has_duration: bool,
    least: Option<Scalar<'static>>,
    greatest: Option<Scalar<'static>>,
}

impl Total {
    fn add(&mut self, value: &Scalar<'_>) {
        let owned = match value {
            Scalar::Int(number) => Scalar::Int(*number),
            Scalar::Duration(nanos) => Scalar::Duration(*nanos),
            Scalar::Float(number) if !number.is_nan() => Scalar::Float(*number),
            _ => return,
        };
        self.count += 1;
        self.sum += value.as_f64().unwrap_or(0.0);
        match owned {
            Scalar::Int(number) => self.whole += i128::from(number),
            Scalar::Duration(nanos) => {
                self.whole += i128::from(nanos);
                self.has_duration = true;
            }
            _ => self.has_float = true,
        }
        let replaces = |known: &Option<Scalar<'static>>, operator| {
            known
                .as_ref()
                .is_none_or(|known| compare(operator, &owned, known))
        };
        if replaces(&self.least, Comparison::Less) {
            self.least = Some(owned.clone());
        }
        if replaces(&self.greatest, Comparison::Greater) {
            self.greatest = Some(owned);
        }
    }

    /// `None` without a value.
    fn result(self, function: AggregateFunction) -> Option<Scalar<'static>> {
        let duration = |nanos: f64| Scalar::Duration(nanos.round() as i64);
        match function {
            AggregateFunction::Count => Some(Scalar::Int(self.count as i64)),
            _ if self.count == 0 => None,
            // By rank, not by totals.
            AggregateFunction::Quantile => None,
            AggregateFunction::Min => self.least,
            AggregateFunction::Max => self.greatest,
            AggregateFunction::Avg if self.has_duration => {
                Some(duration(self.sum / self.count as f64))
            }
            AggregateFunction::Avg => Some(Scalar::Float(self.sum / self.count as f64)),
            AggregateFunction::Sum if self.has_float && self.has_duration => {
                Some(duration(self.sum))
            }
            AggregateFunction::Sum if self.has_float => Some(Scalar::Float(self.sum)),
            AggregateFunction::Sum => {
                let whole = i64::try_from(self.whole).unwrap_or(if self.whole < 0 {
                    i64::MIN
                } else {
                    i64::MAX
                });
                Some(if self.has_duration {
                    Scalar::Duration(whole)
                } else {
                    Scalar::Int(whole)
                })
            }
        }
    }
}
