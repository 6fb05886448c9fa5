//! A metrics query compiled: whose spans, what is measured of them, and by what they are grouped.

use spanlight_traceql::ast::{
    Field, Intrinsic, Located, MetricsFunction, MetricsNode, OverTimeFunction, Query, Root,
};

use crate::error::Unsupported;
use crate::plan::{Plan, Spansets, Stage};
use crate::predicate::{Filter, is_trace_level};

/// A compiled metrics query.
#[derive(Debug)]
pub(crate) struct MetricsPlan {
    /// Its fields are those of the measure and the groups, too.
    pub(crate) plan: Plan,
    pub(crate) selection: Selection,
    pub(crate) measure: Measure,
    pub(crate) by: Vec<By>,
}

/// How the spans are found.
#[derive(Debug)]
pub(crate) enum Selection {
    /// Each span by itself, by this filter.
    Spans(Filter),
    /// By the other spans of its trace.
    Traces,
}

/// What is made of the spans of a cell.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Measure {
    Count,
    /// Spans a second.
    Rate,
    OverTime {
        function: OverTimeFunction,
        slot: usize,
    },
    Quantiles {
        slot: usize,
        quantiles: Vec<f64>,
    },
}

impl Measure {
    /// The field whose value is measured.
    pub(crate) fn slot(&self) -> Option<usize> {
        match self {
            Self::Count | Self::Rate => None,
            Self::OverTime { slot, .. } | Self::Quantiles { slot, .. } => Some(*slot),
        }
    }
}

/// A field that tells groups apart.
#[derive(Debug)]
pub(crate) struct By {
    pub(crate) slot: usize,
    /// As in the query.
    pub(crate) label: String,
}

impl MetricsPlan {
    pub(crate) fn compile(query: &Query) -> Result<Self, Unsupported> {
        let metrics = match &query.root {
            Root::Metrics(metrics) => metrics,
            Root::Search(_) => {
                return Err(Unsupported {
                    message: "this is a search, and metrics need a function",
                    hint: "end it with one, as in { } | rate()",
                    position: 0..0,
                });
            }
        };
        let MetricsNode::Series {
            pipeline,
            function,
            by,
        } = &metrics.node
        else {
            return Err(Unsupported {
                message: "arithmetic and stages after a metrics function are not supported yet",
                hint: "ask for one function, as in { } | rate() by (name)",
                position: metrics.position.clone(),
            });
        };
        let mut plan = Plan::of_pipeline(pipeline)?;
        let measure = measure(function, &mut plan)?;
        let by = by.iter().map(|field| {
            Ok(By {
                slot: slot(field, &mut plan)?,
                label: field.node.to_string(),
            })
        });
        let by = by.collect::<Result<_, _>>()?;
        let selection = selection(&plan);
        let selection = selection.ok_or_else(|| Unsupported {
            message: "metrics of aggregates, groups and fields of the whole trace are not supported yet",
            hint: "select spans by filters and relations between them",
            position: metrics.position.clone(),
        })?;
        Ok(Self {
            plan,
            selection,
            measure,
            by,
        })
    }
}

impl MetricsPlan {
    /// Whether what is measured is in nanoseconds.
    pub(crate) fn measures_durations(&self) -> bool {
        self.measure.slot().is_some_and(|slot| {
            matches!(
                self.plan.fields.get(slot),
                Field::Intrinsic(Intrinsic::Duration | Intrinsic::EventTimeSinceStart)
            )
        })
    }
}

fn measure(function: &Located<MetricsFunction>, plan: &mut Plan) -> Result<Measure, Unsupported> {
    Ok(match &function.node {
        MetricsFunction::CountOverTime => Measure::Count,
        MetricsFunction::Rate => Measure::Rate,
        MetricsFunction::OverTime { function, field } => Measure::OverTime {
            function: *function,
            slot: slot(field, plan)?,
        },
        MetricsFunction::QuantileOverTime { field, quantiles } => Measure::Quantiles {
            slot: slot(field, plan)?,
            quantiles: quantiles.clone(),
        },
        MetricsFunction::HistogramOverTime { .. } | MetricsFunction::Compare { .. } => {
            return Err(Unsupported {
                message: "this metrics function is not supported yet",
                hint: "use rate, count_over_time, min, max, avg, sum or quantile_over_time",
                position: function.position.clone(),
            });
        }
    })
}

fn slot(field: &Located<Field>, plan: &mut Plan) -> Result<usize, Unsupported> {
    if is_trace_level(&field.node) {
        return Err(Unsupported {
            message: "fields of the whole trace are not supported in metrics yet",
            hint: "use a field of the span or of its resource",
            position: field.position.clone(),
        });
    }
    Ok(plan.fields.slot(&field.node))
}

/// `None` when the pipeline has what neither way can do.
fn selection(plan: &Plan) -> Option<Selection> {
    if plan.fields.iter().any(is_trace_level) {
        return None;
    }
    let spansets = plan.stages.iter().map(|stage| match stage {
        Stage::Spansets(spansets) => Some(spansets),
        Stage::Filter(_)
        | Stage::GroupBy { .. }
        | Stage::Coalesce
        | Stage::Order { .. }
        | Stage::Keep { .. } => None,
    });
    let spansets = spansets.collect::<Option<Vec<_>>>()?;
    let filters = spansets.iter().map(|spansets| match spansets {
        Spansets::Filter(filter) => Some(plan.filters[*filter].clone()),
        _ => None,
    });
    if let Some(filters) = filters.collect::<Option<Vec<_>>>() {
        return Filter::all(filters)
            .map(Selection::Spans)
            .or(Some(Selection::Traces));
    }
    spansets
        .iter()
        .all(|spansets| is_relational(spansets))
        .then_some(Selection::Traces)
}

/// Whether it is made of filters and relations between them alone.
fn is_relational(spansets: &Spansets) -> bool {
    match spansets {
        Spansets::Filter(_) => true,
        Spansets::Pipeline(_) => false,
        Spansets::And(operands) | Spansets::Or(operands) => operands.iter().all(is_relational),
        Spansets::Structural(_, left, right) => is_relational(left) && is_relational(right),
    }
}
