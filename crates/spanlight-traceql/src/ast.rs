//! The typed syntax tree of a TraceQL query: what every other crate reads.
//!
//! Owns the shape of the language and the forms that are made one on the way in: names of intrinsics in both
//! spellings, tests for nil, chains of `&&` and `||`, parentheses. Text becomes a tree in `parser`, the type rules
//! are in `validate`, and `print` turns a tree back into text. Nothing here knows how a query is executed.
//!
//! Two queries are equal when they mean the same tree; where they were written is not compared.

mod field;
mod literal;
mod metrics;
mod operator;
mod spanset;

use std::ops::Range;

pub use field::{Attribute, AttributeScope, Field, FieldExpression, FieldNode, Intrinsic};
pub use literal::{Kind, Static, Status};
pub use metrics::{
    MetricsExpression, MetricsFunction, MetricsNode, OverTimeFunction, RankFunction, SecondStage,
};
pub use operator::{Arithmetic, Comparison};
pub use spanset::{
    Aggregate, AggregateFunction, End, Order, OrderKey, Pipeline, Relation, ScalarExpression,
    ScalarFilter, ScalarNode, SpansetExpression, SpansetNode, Stage, StageNode, StructuralForm,
    StructuralOperator,
};

/// A whole query.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// What is asked for.
    pub root: Root,
    /// `with(name = value, …)`, in order; a later one of the same name wins.
    pub hints: Vec<Hint>,
}

/// What a query asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Root {
    /// Spans, in traces: a search.
    Search(Pipeline),
    /// Time series.
    Metrics(MetricsExpression),
}

/// One `name = value` of `with(…)`. Unknown names are no errors: hints never change what a query means.
#[derive(Clone, Debug, PartialEq)]
pub struct Hint {
    /// The name as written.
    pub name: Located<String>,
    /// The value.
    pub value: Static,
}

/// A node and the bytes of the query's text that it was read from. Equality ignores the bytes.
#[derive(Clone, Debug)]
pub struct Located<T> {
    /// The node.
    pub node: T,
    /// Byte offsets in the query's text, on character boundaries.
    pub position: Range<usize>,
}

impl<T> Located<T> {
    /// A node that was read from `position`.
    pub fn new(node: T, position: Range<usize>) -> Self {
        Self { node, position }
    }
}

impl<T: PartialEq> PartialEq for Located<T> {
    fn eq(&self, other: &Self) -> bool {
        self.node == other.node
    }
}

impl Query {
    /// The last hint of this name.
    #[must_use]
    pub fn hint(&self, name: &str) -> Option<&Static> {
        self.hints
            .iter()
            .rev()
            .find(|hint| hint.name.node == name)
            .map(|hint| &hint.value)
    }

    /// Calls `visit` with each attribute and intrinsic that the query names, in no promised order.
    pub fn for_each_field<'a>(&'a self, visit: &mut dyn FnMut(&'a Field)) {
        match &self.root {
            Root::Search(pipeline) => pipeline.for_each_field(visit),
            Root::Metrics(metrics) => metrics.node.for_each_field(visit),
        }
    }
}
