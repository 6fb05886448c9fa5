//! A metrics query compiled: whose spans, what is measured of them, and by what they are grouped.

use spanlight_store::ScanColumns;
use spanlight_traceql::ast::{
    Field, Intrinsic, Located, MetricsFunction, OverTimeFunction, Pipeline,
};

use super::compare::Compare;
use super::roots::as_relations;
use crate::error::Unsupported;
use crate::plan::{FILTERS_APART, Plan, Spansets, Stage};
use crate::predicate::{Filter, is_trace_level};

/// A compiled metrics query.
#[derive(Debug)]
pub(crate) struct MetricsPlan {
    /// The function's.
    pub(crate) name: &'static str,
    /// Its fields are those of the measure and the groups, too.
    pub(crate) plan: Plan,
    pub(crate) selection: Selection,
    pub(crate) measure: Measure,
    pub(crate) by: Vec<By>,
    /// Instead of a measure and groups.
    pub(crate) compare: Option<Compare>,
}

/// How the spans are found.
#[derive(Debug)]
pub(crate) enum Selection {
    /// Each span by itself, by this filter.
    Spans(Filter),
    /// By the other spans of its trace, and filters and relations alone.
    Traces,
    /// By all that is known of its trace, as searches do.
    Whole,
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
    /// Not the value, but the least power of two that it does not exceed.
    pub(crate) is_bucket: bool,
}

/// The label of a histogram's series.
const BUCKET: &str = "__bucket";

impl MetricsPlan {
    pub(crate) fn compile(
        pipeline: &Pipeline,
        function: &MetricsFunction,
        by: &[Located<Field>],
    ) -> Result<Self, Unsupported> {
        let mut plan = Plan::of_pipeline(&as_relations(pipeline))?;
        let measure = measure(function, &mut plan);
        let mut compare = Compare::compile(function, &mut plan);
        let by = by.iter().map(|field| By {
            slot: plan.fields.slot(&field.node),
            label: field.node.to_string(),
            is_bucket: false,
        });
        let mut by: Vec<By> = by.collect();
        if let MetricsFunction::HistogramOverTime { field } = function {
            by.push(By {
                slot: plan.fields.slot(&field.node),
                label: BUCKET.to_owned(),
                is_bucket: true,
            });
        }
        let selection = selection(&plan);
        if let Some(compare) = &mut compare {
            compare.add_fields(&mut plan);
        }
        Ok(Self {
            name: function.as_str(),
            selection,
            plan,
            measure,
            by,
            compare,
        })
    }
}

impl MetricsPlan {
    /// The columns of the fields, and what says how many spans each stands for where that counts.
    pub(crate) fn columns(&self) -> ScanColumns {
        let is_extreme = matches!(
            self.measure,
            Measure::OverTime {
                function: OverTimeFunction::Min | OverTimeFunction::Max,
                ..
            }
        );
        ScanColumns {
            trace_state: !is_extreme,
            ..self.plan.fields.columns()
        }
    }

    /// Whether what is measured is in nanoseconds.
    pub(crate) fn measures_durations(&self) -> bool {
        self.measure.slot().is_some_and(|slot| {
            matches!(
                self.plan.fields.get(slot),
                Field::Intrinsic(
                    Intrinsic::Duration | Intrinsic::TraceDuration | Intrinsic::EventTimeSinceStart
                )
            )
        })
    }
}

fn measure(function: &MetricsFunction, plan: &mut Plan) -> Measure {
    match function {
        MetricsFunction::Rate => Measure::Rate,
        // Of a histogram, the buckets are groups.
        MetricsFunction::CountOverTime
        | MetricsFunction::HistogramOverTime { .. }
        | MetricsFunction::Compare { .. } => Measure::Count,
        MetricsFunction::OverTime { function, field } => Measure::OverTime {
            function: *function,
            slot: plan.fields.slot(&field.node),
        },
        MetricsFunction::QuantileOverTime { field, quantiles } => Measure::Quantiles {
            slot: plan.fields.slot(&field.node),
            quantiles: distinct(quantiles),
        },
    }
}

/// Asked for twice, a quantile is one series.
fn distinct(quantiles: &[f64]) -> Vec<f64> {
    let mut distinct: Vec<f64> = Vec::with_capacity(quantiles.len());
    for quantile in quantiles {
        if !distinct.contains(quantile) {
            distinct.push(*quantile);
        }
    }
    distinct
}

/// The cheapest way that can do it.
fn selection(plan: &Plan) -> Selection {
    // Relations tell filters apart by bits.
    if plan.filters.len() > FILTERS_APART || plan.fields.iter().any(is_trace_level) {
        return Selection::Whole;
    }
    let spansets = plan.stages.iter().map(|stage| match stage {
        Stage::Spansets(spansets) => Some(spansets),
        Stage::Filter(_)
        | Stage::GroupBy { .. }
        | Stage::Coalesce
        | Stage::Order { .. }
        | Stage::Keep { .. } => None,
    });
    let Some(spansets) = spansets.collect::<Option<Vec<_>>>() else {
        return Selection::Whole;
    };
    let filters = spansets.iter().map(|spansets| match spansets {
        Spansets::Filter(filter) => Some(plan.filters[*filter].clone()),
        _ => None,
    });
    if let Some(filters) = filters.collect::<Option<Vec<_>>>() {
        return Filter::all(filters).map_or(Selection::Traces, Selection::Spans);
    }
    match spansets.iter().all(|spansets| is_relational(spansets)) {
        true => Selection::Traces,
        false => Selection::Whole,
    }
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
