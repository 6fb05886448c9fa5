//! Which traces a filter can select spans of, where it names them: they are looked up, and nothing else is read.

use std::collections::BTreeSet;

use spanlight_model::TraceId;
use spanlight_traceql::ast::{Comparison, Field, Intrinsic};

use super::program::{Fields, Filter, Node};
use super::scalar::Scalar;

/// Spans of no other traces are selected; `None` where the filter may select any.
pub(crate) fn trace_ids(filter: &Filter, fields: &Fields) -> Option<BTreeSet<TraceId>> {
    of(&filter.root, fields)
}

fn of(node: &Node, fields: &Fields) -> Option<BTreeSet<TraceId>> {
    match node {
        Node::And(operands) => operands
            .iter()
            .filter_map(|it| of(it, fields))
            .min_by_key(BTreeSet::len),
        Node::Or(operands) => {
            let sets = operands.iter().map(|it| of(it, fields));
            let sets = sets.collect::<Option<Vec<_>>>()?;
            Some(sets.into_iter().flatten().collect())
        }
        Node::Compare(Comparison::Equal, left, right) => match (&**left, &**right) {
            (Node::Field(slot), Node::Constant(Scalar::Text(text)))
                if *fields.get(*slot) == Field::Intrinsic(Intrinsic::TraceId) =>
            {
                // What is no id is no trace's.
                Some(TraceId::parse(text).into_iter().collect())
            }
            _ => None,
        },
        _ => None,
    }
}
