//! A metrics query as steps: series that are counted, and what is calculated of them, operands first.

use std::sync::Arc;

use spanlight_traceql::ast::{
    Arithmetic, MetricsExpression, MetricsNode, Query, Root, SecondStage, Static,
};

use super::plan::MetricsPlan;
use crate::error::Unsupported;

/// A step; it takes its operands from a stack and leaves its result there.
#[derive(Debug)]
pub(crate) enum Step {
    /// Series of spans.
    Count(Arc<MetricsPlan>),
    Number(f64),
    Arithmetic(Arithmetic),
    Stage(SecondStage),
}

/// The steps of a query.
pub(crate) fn compile(query: &Query) -> Result<Vec<Step>, Unsupported> {
    let Root::Metrics(metrics) = &query.root else {
        return Err(Unsupported {
            message: "this is a search, and metrics need a function",
            hint: "end it with one, as in { } | rate()",
            position: 0..0,
        });
    };
    let mut steps = Vec::new();
    add(metrics, &mut steps)?;
    Ok(steps)
}

fn add(metrics: &MetricsExpression, steps: &mut Vec<Step>) -> Result<(), Unsupported> {
    match &metrics.node {
        MetricsNode::Series {
            pipeline,
            function,
            by,
        } => {
            let plan = MetricsPlan::compile(pipeline, &function.node, by)?;
            steps.push(Step::Count(Arc::new(plan)));
        }
        MetricsNode::Number(number) => steps.push(Step::Number(number_of(number))),
        MetricsNode::Arithmetic {
            operator,
            left,
            right,
        } => {
            add(left, steps)?;
            add(right, steps)?;
            steps.push(Step::Arithmetic(*operator));
        }
        MetricsNode::Staged { input, stages } => {
            add(input, steps)?;
            let stages = stages.iter().map(|stage| Step::Stage(stage.node.clone()));
            steps.extend(stages);
        }
    }
    Ok(())
}

/// Durations in seconds, as in series.
pub(crate) fn number_of(literal: &Static) -> f64 {
    match literal {
        Static::Int(number) => *number as f64,
        Static::Float(number) => *number,
        Static::Duration(nanos) => *nanos as f64 / 1e9,
        _ => f64::NAN,
    }
}
