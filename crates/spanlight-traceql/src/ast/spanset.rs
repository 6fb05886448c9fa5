//! What stands outside `{ }` in a search: sets of spans, how they combine, and the stages of a pipeline.

use super::{Arithmetic, Comparison, Field, FieldExpression, Located, Static, field::append};

/// Stages that each trace's spans go through, left to right. Never empty; all spans of a trace go into the first.
#[derive(Clone, Debug, PartialEq)]
pub struct Pipeline {
    /// In order. No stage is a bare parenthesised pipeline: its stages stand here themselves.
    pub stages: Vec<Stage>,
}

/// One stage of a pipeline.
pub type Stage = Located<StageNode>;

/// The forms of a stage.
#[derive(Clone, Debug, PartialEq)]
pub enum StageNode {
    /// Keeps the spans of the incoming ones that the expression selects.
    Spansets(SpansetExpression),
    /// Keeps the spansets whose aggregate passes.
    Filter(ScalarFilter),
    /// `by(expression)`: splits each spanset by the value.
    GroupBy(FieldExpression),
    /// `coalesce()`: merges a trace's spansets.
    Coalesce,
    /// `select(field, …)`: shows these fields of each span; filters nothing. At least one.
    Select(Vec<Located<Field>>),
    /// `order by(…)`: an extension.
    Order(Order),
    /// `first(n)` and `last(n)`: keeps so many spans of each spanset, from an end of the order in which they are; that
    /// is by start until an `order by`. An extension.
    Keep {
        /// From which end.
        end: End,
        /// At least 1.
        count: u64,
    },
}

/// `order by(key) desc limit n`. What has no value comes last, either way round.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// By what.
    pub key: OrderKey,
    /// From the greatest down.
    pub descending: bool,
    /// How many are kept, at least 1; all when there is none.
    pub limit: Option<u64>,
}

/// What is put in order.
#[derive(Clone, Debug, PartialEq)]
pub enum OrderKey {
    /// The spans within each spanset, by an expression.
    Spans(FieldExpression),
    /// The spansets of the answer, by an aggregate.
    Spansets(Located<Aggregate>),
}

/// An end of a spanset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// `first(n)`.
    First,
    /// `last(n)`.
    Last,
}

/// An expression that selects spans of a trace.
pub type SpansetExpression = Located<SpansetNode>;

/// The forms of a spanset expression.
#[derive(Clone, Debug, PartialEq)]
pub enum SpansetNode {
    /// `{ expression }`; `{ }` is `None` and selects every span.
    Filter(Option<FieldExpression>),
    /// A pipeline in parentheses: more than a spanset expression alone.
    Pipeline(Pipeline),
    /// Traces in which every operand selects something; the union of what they select. At least two operands, none of
    /// them an `And`.
    And(Vec<SpansetExpression>),
    /// The union of what the operands select. At least two operands, none of them an `Or`.
    Or(Vec<SpansetExpression>),
    /// A relation between the spans of two sides.
    Structural {
        /// Which.
        operator: StructuralOperator,
        /// The left side.
        left: Box<SpansetExpression>,
        /// The right side, whose spans are kept.
        right: Box<SpansetExpression>,
    },
}

/// A structural operator: how spans must be related, and which are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StructuralOperator {
    /// How a span of the right side is related to one of the left.
    pub relation: Relation,
    /// Which spans are kept.
    pub form: StructuralForm,
}

/// How a span r of the right side is related to a span l of the left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Relation {
    /// `>`: l is r's parent.
    Child,
    /// `<`: r is l's parent.
    Parent,
    /// `>>`: l is an ancestor of r.
    Descendant,
    /// `<<`: r is an ancestor of l.
    Ancestor,
    /// `~`: the same parent, different spans.
    Sibling,
}

/// Which spans a structural operator keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StructuralForm {
    /// The right side's spans that have a related one on the left.
    Plain,
    /// `!…`: the right side's spans that have none; the left side may be empty.
    Negated,
    /// `&…`: both sides' spans that take part.
    Union,
}

/// `scalar OP scalar`. What passes validation has the form `aggregate OP literal`: see [`ScalarFilter::parts`].
#[derive(Clone, Debug, PartialEq)]
pub struct ScalarFilter {
    /// The left side.
    pub left: ScalarExpression,
    /// How they are compared.
    pub operator: Comparison,
    /// The right side.
    pub right: ScalarExpression,
}

/// An expression that has a value for each spanset.
pub type ScalarExpression = Located<ScalarNode>;

/// The forms of a scalar expression.
#[derive(Clone, Debug, PartialEq)]
pub enum ScalarNode {
    /// A literal; arithmetic between literals is done while parsing.
    Static(Static),
    /// An aggregate over the spanset.
    Aggregate(Aggregate),
    /// Arithmetic with at least one aggregate.
    Arithmetic {
        /// What is done.
        operator: Arithmetic,
        /// The left operand.
        left: Box<ScalarExpression>,
        /// The right operand.
        right: Box<ScalarExpression>,
    },
    /// `({…} | … | scalar)`: a scalar over what a pipeline of its own selects.
    Pipeline {
        /// What selects.
        pipeline: Pipeline,
        /// The value of that.
        value: Box<ScalarExpression>,
    },
}

/// `count()`, `avg(expression)` and so on.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// Which.
    pub function: AggregateFunction,
    /// Over what; `None` for `count()` alone.
    pub argument: Option<Box<FieldExpression>>,
    /// From 0 to 1, for `quantile` alone.
    pub quantile: Option<f64>,
}

/// The aggregates of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AggregateFunction {
    /// How many spans.
    Count,
    /// The least value.
    Min,
    /// The greatest value.
    Max,
    /// The mean value.
    Avg,
    /// The sum of the values.
    Sum,
    /// `quantile(expression, q)`: the value at this part of all values in order. An extension.
    Quantile,
}

impl Pipeline {
    /// A pipeline of `stages`; the stages of pipelines that stand alone in parentheses are taken out of them.
    #[must_use]
    pub fn new(stages: Vec<Stage>) -> Self {
        let mut flat = Vec::new();
        for stage in stages {
            match stage.node {
                StageNode::Spansets(Located {
                    node: SpansetNode::Pipeline(inner),
                    ..
                }) => append(&mut flat, inner.stages),
                node => flat.push(Located::new(node, stage.position)),
            }
        }
        Self { stages: flat }
    }

    /// Calls `visit` with each attribute and intrinsic of its stages.
    pub fn for_each_field<'a>(&'a self, visit: &mut dyn FnMut(&'a Field)) {
        for stage in &self.stages {
            match &stage.node {
                StageNode::Spansets(expression) => expression.node.for_each_field(visit),
                StageNode::Filter(filter) => {
                    filter.left.node.for_each_field(visit);
                    filter.right.node.for_each_field(visit);
                }
                StageNode::GroupBy(expression) => expression.node.for_each_field(visit),
                StageNode::Coalesce | StageNode::Keep { .. } => {}
                StageNode::Select(fields) => fields.iter().for_each(|field| visit(&field.node)),
                StageNode::Order(order) => match &order.key {
                    OrderKey::Spans(expression) => expression.node.for_each_field(visit),
                    OrderKey::Spansets(aggregate) => aggregate.node.for_each_field(visit),
                },
            }
        }
    }
}

impl SpansetNode {
    /// The conjunction of `operands`: nested conjunctions are flattened, one operand stays itself.
    #[must_use]
    pub fn and(operands: Vec<SpansetExpression>) -> Self {
        let mut flat = Vec::new();
        for operand in operands {
            match operand.node {
                Self::And(inner) => append(&mut flat, inner),
                node => flat.push(Located::new(node, operand.position)),
            }
        }
        single_or(flat, Self::And)
    }

    /// The disjunction of `operands`: nested disjunctions are flattened, one operand stays itself.
    #[must_use]
    pub fn or(operands: Vec<SpansetExpression>) -> Self {
        let mut flat = Vec::new();
        for operand in operands {
            match operand.node {
                Self::Or(inner) => append(&mut flat, inner),
                node => flat.push(Located::new(node, operand.position)),
            }
        }
        single_or(flat, Self::Or)
    }

    /// Calls `visit` with each attribute and intrinsic below.
    pub fn for_each_field<'a>(&'a self, visit: &mut dyn FnMut(&'a Field)) {
        match self {
            Self::Filter(None) => {}
            Self::Filter(Some(expression)) => expression.node.for_each_field(visit),
            Self::Pipeline(pipeline) => pipeline.for_each_field(visit),
            Self::And(operands) | Self::Or(operands) => {
                for operand in operands {
                    operand.node.for_each_field(visit);
                }
            }
            Self::Structural { left, right, .. } => {
                left.node.for_each_field(visit);
                right.node.for_each_field(visit);
            }
        }
    }
}

fn single_or(
    mut operands: Vec<SpansetExpression>,
    many: fn(Vec<SpansetExpression>) -> SpansetNode,
) -> SpansetNode {
    match operands.pop() {
        Some(only) if operands.is_empty() => only.node,
        last => {
            operands.extend(last);
            many(operands)
        }
    }
}

impl ScalarFilter {
    /// The aggregate and the literal of `aggregate OP literal`, the form of every filter that [`crate::parse`] returns.
    #[must_use]
    pub fn parts(&self) -> Option<(&Aggregate, Comparison, &Static)> {
        match (&self.left.node, &self.right.node) {
            (ScalarNode::Aggregate(aggregate), ScalarNode::Static(value)) => {
                Some((aggregate, self.operator, value))
            }
            _ => None,
        }
    }
}

impl ScalarNode {
    /// Calls `visit` with each attribute and intrinsic below.
    pub fn for_each_field<'a>(&'a self, visit: &mut dyn FnMut(&'a Field)) {
        match self {
            Self::Static(_) => {}
            Self::Aggregate(aggregate) => aggregate.for_each_field(visit),
            Self::Arithmetic { left, right, .. } => {
                left.node.for_each_field(visit);
                right.node.for_each_field(visit);
            }
            Self::Pipeline { pipeline, value } => {
                pipeline.for_each_field(visit);
                value.node.for_each_field(visit);
            }
        }
    }
}

impl Aggregate {
    /// Calls `visit` with each attribute and intrinsic below.
    pub fn for_each_field<'a>(&'a self, visit: &mut dyn FnMut(&'a Field)) {
        if let Some(argument) = &self.argument {
            argument.node.for_each_field(visit);
        }
    }
}

impl End {
    /// As written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Last => "last",
        }
    }
}

impl AggregateFunction {
    /// Every aggregate.
    pub const ALL: [Self; 6] = [
        Self::Count,
        Self::Min,
        Self::Max,
        Self::Avg,
        Self::Sum,
        Self::Quantile,
    ];

    /// As written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Min => "min",
            Self::Max => "max",
            Self::Avg => "avg",
            Self::Sum => "sum",
            Self::Quantile => "quantile",
        }
    }
}

impl StructuralOperator {
    pub(crate) fn from_symbol(symbol: &str) -> Option<Self> {
        use {Relation as R, StructuralForm as F};
        [F::Plain, F::Negated, F::Union]
            .into_iter()
            .flat_map(|form| {
                [R::Child, R::Parent, R::Descendant, R::Ancestor, R::Sibling]
                    .map(|relation| Self { relation, form })
            })
            .find(|it| it.as_str() == symbol)
    }

    /// As written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        use {Relation as R, StructuralForm as F};
        match (self.form, self.relation) {
            (F::Plain, R::Child) => ">",
            (F::Plain, R::Parent) => "<",
            (F::Plain, R::Descendant) => ">>",
            (F::Plain, R::Ancestor) => "<<",
            (F::Plain, R::Sibling) => "~",
            (F::Negated, R::Child) => "!>",
            (F::Negated, R::Parent) => "!<",
            (F::Negated, R::Descendant) => "!>>",
            (F::Negated, R::Ancestor) => "!<<",
            (F::Negated, R::Sibling) => "!~",
            (F::Union, R::Child) => "&>",
            (F::Union, R::Parent) => "&<",
            (F::Union, R::Descendant) => "&>>",
            (F::Union, R::Ancestor) => "&<<",
            (F::Union, R::Sibling) => "&~",
        }
    }
}
