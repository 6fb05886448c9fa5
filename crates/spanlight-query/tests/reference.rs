//! TraceQL answered the slow and plain way: every rule of the language over plain structs, without columns, indices,
//! snapshots or anything that the engine shares but the syntax tree. What it says is what the engine has to say.

mod evaluate;
mod value;

use spanlight_model::AnyValue;
use spanlight_traceql::ast::{
    Aggregate, AggregateFunction, End, FieldExpression, OrderKey, Pipeline, Query, Relation, Root,
    ScalarFilter, SpansetNode, StageNode, StructuralForm, StructuralOperator,
};

pub(crate) use evaluate::{Event, Link, Scope, Span, Trace};
pub(crate) use value::{Stored, Value};
use value::{compare, in_order};

/// A set of spans of one trace: positions, and what groups and aggregates say beside them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Set {
    pub(crate) spans: Vec<usize>,
    pub(crate) attributes: Vec<(String, AnyValue)>,
}

/// What a search finds of a trace; nothing when the trace is no answer.
pub(crate) fn search(query: &Query, trace: &Trace) -> Vec<Set> {
    let Root::Search(pipeline) = &query.root else {
        panic!("{query} is no search");
    };
    stages(pipeline, trace, (0..trace.spans.len()).collect())
}

/// The spans that a pipeline leaves of a trace.
pub(crate) fn selected(pipeline: &Pipeline, trace: &Trace) -> Vec<usize> {
    let sets = stages(pipeline, trace, (0..trace.spans.len()).collect());
    union(sets.into_iter().map(|set| set.spans))
}

fn stages(pipeline: &Pipeline, trace: &Trace, spans: Vec<usize>) -> Vec<Set> {
    let mut sets = vec![Set {
        spans,
        attributes: Vec::new(),
    }];
    for stage in &pipeline.stages {
        let mut next = Vec::new();
        match &stage.node {
            StageNode::Select(_) => next = sets,
            StageNode::Coalesce => {
                let spans = union(sets.into_iter().map(|set| set.spans));
                if !spans.is_empty() {
                    next.push(Set {
                        spans,
                        attributes: Vec::new(),
                    });
                }
            }
            StageNode::Spansets(expression) => {
                for mut set in sets {
                    set.spans = select(&expression.node, trace, &set.spans);
                    if !set.spans.is_empty() {
                        next.push(set);
                    }
                }
            }
            StageNode::GroupBy(expression) => {
                next.extend(
                    sets.into_iter()
                        .flat_map(|set| grouped(expression, trace, set)),
                );
            }
            StageNode::Order(order) => {
                let OrderKey::Spans(key) = &order.key else {
                    panic!("{} is of traces", stage.node);
                };
                for mut set in sets {
                    let value = |span: &usize| trace.value_of(key, *span);
                    set.spans.sort_by(|left, right| {
                        in_order(&value(left), &value(right), order.descending)
                    });
                    set.spans.truncate(order.limit.unwrap_or(u64::MAX) as usize);
                    next.push(set);
                }
            }
            StageNode::Keep { end, count } => {
                let count = *count as usize;
                for mut set in sets {
                    set.spans = match end {
                        End::First => set.spans.into_iter().take(count).collect(),
                        End::Last => {
                            let kept = set.spans.into_iter().rev().take(count);
                            kept.collect::<Vec<_>>().into_iter().rev().collect()
                        }
                    };
                    next.push(set);
                }
            }
            StageNode::Filter(filter) => {
                next.extend(
                    sets.into_iter()
                        .filter_map(|set| aggregate(filter, trace, set)),
                );
            }
        }
        sets = next;
    }
    sets
}

/// The set split by a value, in the order of the first spans.
fn grouped(expression: &FieldExpression, trace: &Trace, set: Set) -> Vec<Set> {
    let label = format!("by({})", expression.node);
    let mut groups: Vec<(Value, Set)> = Vec::new();
    for span in set.spans {
        let value = trace.value_of(expression, span);
        match groups.iter_mut().find(|(known, _)| known.is_same(&value)) {
            Some((_, group)) => group.spans.push(span),
            None => {
                let mut attributes = set.attributes.clone();
                attributes.push((label.clone(), value.shown_or_nil()));
                let spans = vec![span];
                groups.push((value, Set { spans, attributes }));
            }
        }
    }
    groups.into_iter().map(|(_, set)| set).collect()
}

fn union(sets: impl Iterator<Item = Vec<usize>>) -> Vec<usize> {
    let all: std::collections::BTreeSet<usize> = sets.flatten().collect();
    all.into_iter().collect()
}

/// What an expression selects of the incoming spans.
fn select(node: &SpansetNode, trace: &Trace, incoming: &[usize]) -> Vec<usize> {
    match node {
        SpansetNode::Filter(None) => incoming.to_vec(),
        SpansetNode::Filter(Some(condition)) => {
            let passes = |span: &usize| trace.passes(condition, *span);
            incoming.iter().copied().filter(passes).collect()
        }
        SpansetNode::Pipeline(pipeline) => {
            let sets = stages(pipeline, trace, incoming.to_vec());
            union(sets.into_iter().map(|set| set.spans))
        }
        SpansetNode::And(operands) => {
            let found: Vec<Vec<usize>> = operands
                .iter()
                .map(|it| select(&it.node, trace, incoming))
                .collect();
            match found.iter().any(Vec::is_empty) {
                true => Vec::new(),
                false => union(found.into_iter()),
            }
        }
        SpansetNode::Or(operands) => {
            union(operands.iter().map(|it| select(&it.node, trace, incoming)))
        }
        SpansetNode::Structural {
            operator,
            left,
            right,
        } => {
            let left = select(&left.node, trace, incoming);
            let right = select(&right.node, trace, incoming);
            structural(*operator, trace, &left, &right)
        }
    }
}

fn structural(
    operator: StructuralOperator,
    trace: &Trace,
    left: &[usize],
    right: &[usize],
) -> Vec<usize> {
    let related = |l: usize, r: usize| {
        l != r
            && match operator.relation {
                Relation::Child => trace.parent(r) == Some(l),
                Relation::Parent => trace.parent(l) == Some(r),
                Relation::Descendant => trace.ancestors(r).contains(&l),
                Relation::Ancestor => trace.ancestors(l).contains(&r),
                Relation::Sibling => trace.spans[l].parent == trace.spans[r].parent,
            }
    };
    let with = right
        .iter()
        .copied()
        .filter(|&r| left.iter().any(|&l| related(l, r)));
    match operator.form {
        StructuralForm::Plain => with.collect(),
        StructuralForm::Negated => right
            .iter()
            .copied()
            .filter(|&r| !left.iter().any(|&l| related(l, r)))
            .collect(),
        StructuralForm::Union => {
            let partners = left
                .iter()
                .copied()
                .filter(|&l| right.iter().any(|&r| related(l, r)));
            union([partners.collect(), with.collect()].into_iter())
        }
    }
}

/// The set with the aggregate's value, when it passes.
fn aggregate(filter: &ScalarFilter, trace: &Trace, mut set: Set) -> Option<Set> {
    let (aggregate, operator, constant) = filter.parts().unwrap();
    let value = aggregated(aggregate, trace, &set.spans);
    if !compare(operator, &value, &Value::of_static(constant)) {
        return None;
    }
    let label = aggregate.to_string();
    set.attributes.retain(|(known, _)| *known != label);
    set.attributes.push((label, value.shown_or_nil()));
    Some(set)
}

/// Every value that is a number counts, whatever its type; what is none is passed over.
fn aggregated(aggregate: &Aggregate, trace: &Trace, spans: &[usize]) -> Value {
    let Some(argument) = &aggregate.argument else {
        return Value::Int(spans.len() as i64);
    };
    let values: Vec<Value> = spans
        .iter()
        .map(|&span| trace.value_of(argument, span))
        .filter(|value| value.number().is_some_and(|number| !number.is_nan()))
        .collect();
    let numbers = values.iter().filter_map(Value::number);
    let by_number = |a: &&Value, b: &&Value| in_order(a, b, false);
    let whole = values.iter().map(|value| match value {
        Value::Int(number) | Value::Duration(number) => i128::from(*number),
        _ => 0,
    });
    let whole_sum = whole.sum::<i128>().clamp(i64::MIN.into(), i64::MAX.into()) as i64;
    let is_duration = values.iter().any(|it| matches!(it, Value::Duration(_)));
    let is_float = values.iter().any(|it| matches!(it, Value::Float(_)));
    let sum = numbers.fold(0.0, |sum, number| sum + number);
    match aggregate.function {
        _ if values.is_empty() => Value::Nil,
        // Of equal ones the first.
        AggregateFunction::Min => values.iter().min_by(by_number).unwrap().clone(),
        AggregateFunction::Max => values.iter().rev().max_by(by_number).unwrap().clone(),
        AggregateFunction::Quantile => {
            let mut sorted = values.clone();
            sorted.sort_by(|a, b| by_number(&a, &b));
            let rank = (aggregate.quantile.unwrap() * sorted.len() as f64).ceil() as usize;
            sorted[rank.max(1) - 1].clone()
        }
        AggregateFunction::Avg => {
            let mean = sum / values.len() as f64;
            match is_duration {
                true => Value::Duration(mean.round() as i64),
                false => Value::Float(mean),
            }
        }
        AggregateFunction::Sum => match (is_duration, is_float) {
            (true, true) => Value::Duration(sum.round() as i64),
            (true, false) => Value::Duration(whole_sum),
            (false, true) => Value::Float(sum),
            (false, false) => Value::Int(whole_sum),
        },
        AggregateFunction::Count => panic!("count takes no argument"),
    }
}
