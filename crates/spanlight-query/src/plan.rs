//! A query compiled: its filters and fields, what a trace must have to be worth loading, and the stages that decide.

use std::collections::BTreeSet;

use spanlight_model::TraceId;
use spanlight_traceql::ast::{
    Aggregate, AggregateFunction, Comparison, End, FieldExpression, Located, Order, OrderKey,
    Pipeline, Query, Root, ScalarFilter, SpansetExpression, SpansetNode, StageNode, StructuralForm,
    StructuralOperator,
};

use crate::error::Unsupported;
use crate::predicate::{Fields, Filter, Node, Scalar, trace_ids};

/// A compiled search.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Every field that the query names.
    pub(crate) fields: Fields,
    /// Every filter of the query.
    pub(crate) filters: Vec<Filter>,
    pub(crate) stages: Vec<Stage>,
    /// What the query's filters must find in a trace for the trace to be an answer.
    pub(crate) needs: Needs,
    /// The order of the answers, where it is not by time.
    pub(crate) rank: Option<Rank>,
}

/// `order by(aggregate)` at the end of a query: of the spansets of a trace, and of the traces by their first.
#[derive(Debug)]
pub(crate) struct Rank {
    pub(crate) aggregate: CompiledAggregate,
    pub(crate) descending: bool,
    /// How many traces are kept.
    pub(crate) limit: usize,
}

/// An aggregate over the spans of a set.
#[derive(Debug)]
pub(crate) struct CompiledAggregate {
    pub(crate) function: AggregateFunction,
    pub(crate) argument: Option<Node>,
    pub(crate) quantile: Option<f64>,
    /// In canonical form, such as `max(.a * 2)`.
    pub(crate) text: String,
}

/// A stage of a pipeline.
#[derive(Debug)]
pub(crate) enum Stage {
    Spansets(Spansets),
    Filter(AggregateFilter),
    GroupBy {
        value: Node,
        text: String,
    },
    Coalesce,
    Order {
        key: Node,
        descending: bool,
        /// How many spans are kept.
        limit: usize,
    },
    Keep {
        end: End,
        count: usize,
    },
}

/// An expression that selects spans of a trace.
#[derive(Debug)]
pub(crate) enum Spansets {
    /// A position in [`Plan::filters`].
    Filter(usize),
    Pipeline(Vec<Stage>),
    And(Vec<Spansets>),
    Or(Vec<Spansets>),
    Structural(StructuralOperator, Box<Spansets>, Box<Spansets>),
}

/// `aggregate OP literal`.
#[derive(Debug)]
pub(crate) struct AggregateFilter {
    pub(crate) aggregate: CompiledAggregate,
    pub(crate) operator: Comparison,
    pub(crate) value: Scalar<'static>,
}

/// A condition on which filters find something in a trace: necessary, not sufficient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Needs {
    /// The filter of this number.
    Filter(usize),
    All(Vec<Needs>),
    Any(Vec<Needs>),
}

/// Found filters are bits of a number; the last bit stands for all further filters.
const LAST_BIT: usize = 63;

/// Of so many filters each has a bit of its own.
pub(crate) const FILTERS_APART: usize = LAST_BIT;

/// The bit of a filter.
pub(crate) fn filter_bit(filter: usize) -> u64 {
    1 << filter.min(LAST_BIT)
}

impl Needs {
    /// Whether it is met when these filters found something.
    pub(crate) fn met_by(&self, found: u64) -> bool {
        match self {
            Self::Filter(filter) => found & filter_bit(*filter) != 0,
            Self::All(parts) => parts.iter().all(|part| part.met_by(found)),
            Self::Any(parts) => parts.iter().any(|part| part.met_by(found)),
        }
    }
}

impl Plan {
    /// Compiles a query.
    pub(crate) fn compile(query: &Query) -> Result<Self, Unsupported> {
        let pipeline = match &query.root {
            Root::Search(pipeline) => pipeline,
            Root::Metrics(metrics) => {
                return Err(Unsupported {
                    message: "this is a metrics query, and a search finds traces",
                    hint: "end it before the metrics function",
                    position: metrics.position.clone(),
                });
            }
        };
        // The order of the answers concerns the answers alone, and so stands at the end.
        let (stages, rank) = match pipeline.stages.split_last() {
            Some((
                Located {
                    node: StageNode::Order(order),
                    ..
                },
                stages,
            )) => match &order.key {
                OrderKey::Spansets(aggregate) => (stages, Some((order, &aggregate.node))),
                OrderKey::Spans(_) => (&pipeline.stages[..], None),
            },
            _ => (&pipeline.stages[..], None),
        };
        let mut compiler = Compiler::default();
        let (stages, needs) = compiler.stages(stages)?;
        let rank = rank.map(|(order, aggregate)| Rank {
            aggregate: compiler.aggregate(aggregate),
            descending: order.descending,
            limit: order.limit.map_or(usize::MAX, at_most),
        });
        Ok(compiler.plan(stages, needs, rank))
    }

    /// Compiles what selects spans.
    pub(crate) fn of_pipeline(pipeline: &Pipeline) -> Result<Self, Unsupported> {
        let mut compiler = Compiler::default();
        let (stages, needs) = compiler.stages(&pipeline.stages)?;
        Ok(compiler.plan(stages, needs, None))
    }
}

impl Compiler {
    fn plan(self, stages: Vec<Stage>, needs: Needs, rank: Option<Rank>) -> Plan {
        Plan {
            fields: self.fields,
            filters: self.filters,
            stages,
            needs,
            rank,
        }
    }
}

impl Plan {
    /// The only traces that can be answers; `None` where any may.
    pub(crate) fn trace_ids(&self) -> Option<BTreeSet<TraceId>> {
        self.ids_of(&self.needs)
    }

    fn ids_of(&self, needs: &Needs) -> Option<BTreeSet<TraceId>> {
        match needs {
            Needs::Filter(filter) => trace_ids(&self.filters[*filter], &self.fields),
            Needs::All(parts) => {
                let known = parts.iter().filter_map(|part| self.ids_of(part));
                known.min_by_key(BTreeSet::len)
            }
            Needs::Any(parts) => {
                let all = parts.iter().map(|part| self.ids_of(part));
                let all = all.collect::<Option<Vec<_>>>()?;
                Some(all.into_iter().flatten().collect())
            }
        }
    }
}

fn at_most(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

#[derive(Default)]
struct Compiler {
    fields: Fields,
    filters: Vec<Filter>,
}

impl Compiler {
    fn stages(
        &mut self,
        of: &[spanlight_traceql::ast::Stage],
    ) -> Result<(Vec<Stage>, Needs), Unsupported> {
        let mut needs = Vec::new();
        let mut stages = Vec::with_capacity(of.len());
        for stage in of {
            stages.extend(match &stage.node {
                StageNode::Spansets(expression) => {
                    let (spansets, need) = self.spansets(expression)?;
                    needs.push(need);
                    Some(Stage::Spansets(spansets))
                }
                StageNode::Filter(filter) => Some(Stage::Filter(self.aggregate_filter(filter)?)),
                StageNode::GroupBy(expression) => Some(Stage::GroupBy {
                    value: Node::compile(expression, &mut self.fields),
                    text: format!("by({})", expression.node),
                }),
                StageNode::Coalesce => Some(Stage::Coalesce),
                StageNode::Order(order) => Some(self.order(order)?),
                StageNode::Keep { end, count } => Some(Stage::Keep {
                    end: *end,
                    count: at_most(*count),
                }),
                StageNode::Select(fields) => {
                    for field in fields {
                        self.fields.slot(&field.node);
                    }
                    None
                }
            });
        }
        if needs.is_empty() {
            // A pipeline that begins with an aggregate takes every span.
            let every = self.filter(None);
            needs.push(Needs::Filter(every));
            stages.insert(0, Stage::Spansets(Spansets::Filter(every)));
        }
        Ok((stages, Needs::All(needs)))
    }

    fn order(&mut self, order: &Order) -> Result<Stage, Unsupported> {
        match &order.key {
            OrderKey::Spans(expression) => Ok(Stage::Order {
                key: Node::compile(expression, &mut self.fields),
                descending: order.descending,
                limit: order.limit.map_or(usize::MAX, at_most),
            }),
            OrderKey::Spansets(aggregate) => Err(Unsupported {
                message: "the order of traces stands at the end of a search",
                hint: "put it there, or order the spans of each trace, as in order by(duration) desc",
                position: aggregate.position.clone(),
            }),
        }
    }

    fn filter(&mut self, expression: Option<&FieldExpression>) -> usize {
        let filter = Filter::compile(expression, &mut self.fields);
        self.filters.push(filter);
        self.filters.len() - 1
    }

    fn spansets(
        &mut self,
        expression: &SpansetExpression,
    ) -> Result<(Spansets, Needs), Unsupported> {
        Ok(match &expression.node {
            SpansetNode::Filter(condition) => {
                let filter = self.filter(condition.as_ref());
                (Spansets::Filter(filter), Needs::Filter(filter))
            }
            SpansetNode::Pipeline(pipeline) => {
                let (stages, needs) = self.stages(&pipeline.stages)?;
                (Spansets::Pipeline(stages), needs)
            }
            SpansetNode::And(operands) => {
                let (operands, needs) = self.all(operands)?;
                (Spansets::And(operands), Needs::All(needs))
            }
            SpansetNode::Or(operands) => {
                let (operands, needs) = self.all(operands)?;
                (Spansets::Or(operands), Needs::Any(needs))
            }
            SpansetNode::Structural {
                operator,
                left,
                right,
            } => {
                let (left, need_left) = self.spansets(left)?;
                let (right, need_right) = self.spansets(right)?;
                let needs = match operator.form {
                    // True of spans that have no relation at all.
                    StructuralForm::Negated => need_right,
                    StructuralForm::Plain | StructuralForm::Union => {
                        Needs::All(vec![need_left, need_right])
                    }
                };
                let spansets = Spansets::Structural(*operator, Box::new(left), Box::new(right));
                (spansets, needs)
            }
        })
    }

    fn all(
        &mut self,
        operands: &[SpansetExpression],
    ) -> Result<(Vec<Spansets>, Vec<Needs>), Unsupported> {
        operands
            .iter()
            .map(|operand| self.spansets(operand))
            .collect()
    }

    fn aggregate_filter(&mut self, filter: &ScalarFilter) -> Result<AggregateFilter, Unsupported> {
        let Some((aggregate, operator, value)) = filter.parts() else {
            return Err(Unsupported {
                message: "only an aggregate compared with a literal is supported yet",
                hint: "compare one with a literal, as in count() > 2",
                position: filter.left.position.start..filter.right.position.end,
            });
        };
        Ok(AggregateFilter {
            aggregate: self.aggregate(aggregate),
            operator,
            value: Scalar::of_static(value),
        })
    }

    fn aggregate(&mut self, aggregate: &Aggregate) -> CompiledAggregate {
        let argument = aggregate.argument.as_deref();
        CompiledAggregate {
            function: aggregate.function,
            quantile: aggregate.quantile,
            argument: argument.map(|argument| Node::compile(argument, &mut self.fields)),
            text: aggregate.to_string(),
        }
    }
}
