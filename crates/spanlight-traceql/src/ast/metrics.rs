//! Metrics: a pipeline's spans made into time series, and what may be done with the series.

use super::{Arithmetic, Comparison, Field, FieldExpression, Located, Pipeline, Static};

/// An expression whose value is a set of time series.
pub type MetricsExpression = Located<MetricsNode>;

/// The forms of a metrics expression.
#[derive(Clone, Debug, PartialEq)]
pub enum MetricsNode {
    /// `pipeline | function by (field, …)`.
    Series {
        /// Whose spans are counted.
        pipeline: Pipeline,
        /// What is made of them.
        function: Located<MetricsFunction>,
        /// One series for each combination of values; none is one series in all.
        by: Vec<Located<Field>>,
    },
    /// A number beside a parenthesised query: an `Int` or a `Float`.
    Number(Static),
    /// Arithmetic between series of equal labels, or with a number; at least one operand has series.
    Arithmetic {
        /// `+`, `-`, `*` or `/`.
        operator: Arithmetic,
        /// The left operand.
        left: Box<MetricsExpression>,
        /// The right operand.
        right: Box<MetricsExpression>,
    },
    /// Series, and what is done with their points, in order. At least one stage; the input is no `Staged`.
    Staged {
        /// Whose points.
        input: Box<MetricsExpression>,
        /// In order.
        stages: Vec<Located<SecondStage>>,
    },
}

/// What is made of the spans of an interval.
#[derive(Clone, Debug, PartialEq)]
pub enum MetricsFunction {
    /// `rate()`: spans a second.
    Rate,
    /// `count_over_time()`: spans.
    CountOverTime,
    /// `min_over_time(field)` and so on.
    OverTime {
        /// Which.
        function: OverTimeFunction,
        /// Over what.
        field: Located<Field>,
    },
    /// `quantile_over_time(field, q, …)`.
    QuantileOverTime {
        /// Over what.
        field: Located<Field>,
        /// At least one, each from 0 to 1.
        quantiles: Vec<f64>,
    },
    /// `histogram_over_time(field)`.
    HistogramOverTime {
        /// Over what.
        field: Located<Field>,
    },
    /// `compare({ selection }, top, start, end)`: which attributes tell the selection from the rest.
    Compare {
        /// The filter of the selection; `None` selects every span.
        selection: Option<Box<FieldExpression>>,
        /// Values for each attribute, 1 to 1,000; the engine's default when absent.
        top: Option<u32>,
        /// Start and end of the selection in unix nanoseconds.
        window: Option<(i64, i64)>,
    },
}

/// The functions that fold the numbers of an interval into one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OverTimeFunction {
    /// `min_over_time`.
    Min,
    /// `max_over_time`.
    Max,
    /// `avg_over_time`.
    Avg,
    /// `sum_over_time`.
    Sum,
}

/// What is done with the points of series.
#[derive(Clone, Debug, PartialEq)]
pub enum SecondStage {
    /// `| topk(n)`, `| bottomk(n)`: at each point in time.
    Rank {
        /// Which end.
        function: RankFunction,
        /// At least 1.
        count: u64,
    },
    /// `> 10`: drops the points that fail.
    Compare {
        /// How.
        operator: Comparison,
        /// An `Int`, a `Float` or a `Duration`.
        value: Static,
    },
}

/// Which end of the ranking is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RankFunction {
    /// The greatest.
    Top,
    /// The least.
    Bottom,
}

impl MetricsExpression {
    /// The expression with one more stage.
    #[must_use]
    pub fn staged(self, stage: Located<SecondStage>) -> Self {
        let position = self.position.start..stage.position.end.max(self.position.end);
        let node = match self.node {
            MetricsNode::Staged { input, mut stages } => {
                stages.push(stage);
                MetricsNode::Staged { input, stages }
            }
            node => MetricsNode::Staged {
                input: Box::new(Self::new(node, self.position)),
                stages: vec![stage],
            },
        };
        Self::new(node, position)
    }
}

impl MetricsNode {
    /// Calls `visit` with each attribute and intrinsic below.
    pub fn for_each_field<'a>(&'a self, visit: &mut dyn FnMut(&'a Field)) {
        match self {
            MetricsNode::Series {
                pipeline,
                function,
                by,
            } => {
                pipeline.for_each_field(visit);
                function.node.for_each_field(visit);
                by.iter().for_each(|field| visit(&field.node));
            }
            MetricsNode::Number(_) => {}
            MetricsNode::Arithmetic { left, right, .. } => {
                left.node.for_each_field(visit);
                right.node.for_each_field(visit);
            }
            MetricsNode::Staged { input, .. } => input.node.for_each_field(visit),
        }
    }
}

impl MetricsFunction {
    /// The function's name.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::CountOverTime => "count_over_time",
            Self::OverTime { function, .. } => function.as_str(),
            Self::QuantileOverTime { .. } => "quantile_over_time",
            Self::HistogramOverTime { .. } => "histogram_over_time",
            Self::Compare { .. } => "compare",
        }
    }

    fn for_each_field<'a>(&'a self, visit: &mut dyn FnMut(&'a Field)) {
        match self {
            Self::Rate | Self::CountOverTime => {}
            Self::OverTime { field, .. }
            | Self::QuantileOverTime { field, .. }
            | Self::HistogramOverTime { field } => visit(&field.node),
            Self::Compare { selection, .. } => {
                if let Some(selection) = selection {
                    selection.node.for_each_field(visit);
                }
            }
        }
    }
}

impl OverTimeFunction {
    /// As written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Min => "min_over_time",
            Self::Max => "max_over_time",
            Self::Avg => "avg_over_time",
            Self::Sum => "sum_over_time",
        }
    }
}

impl RankFunction {
    /// As written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Top => "topk",
            Self::Bottom => "bottomk",
        }
    }
}
