//! What may be joined with what outside `{ }`.
//!
//! While parsing, a value is a set of spans, a number for each of them, or series; which one is known only when all of
//! it has been read. [`join`] says what an operator makes of two, and explains when it makes nothing.

use std::ops::Range;

use crate::{
    ErrorKind,
    ast::{
        Arithmetic, Comparison, Field, Located, MetricsExpression, MetricsFunction, MetricsNode,
        Pipeline, ScalarFilter, ScalarNode, SecondStage, SpansetExpression, SpansetNode, StageNode,
        Static, StructuralOperator,
    },
    error::Fault,
};

use super::{Parsed, above, quote, spanset::is_metrics_arithmetic};

/// What has been read so far of a stage.
#[derive(Clone, Debug)]
pub(super) enum Node {
    /// Spans.
    Spansets(SpansetNode),
    /// A number for each spanset, or a literal.
    Scalar(ScalarNode),
    /// A comparison of scalars.
    Filter(ScalarFilter),
    /// `by`, `coalesce`, `select`, `order by`, `first`, `last`.
    Stage(StageNode),
    /// A metrics function whose pipeline is what stands before it.
    Series(Series),
    /// What is done with the series before it.
    SecondStages(Vec<Located<SecondStage>>),
    /// Series that are complete: from parentheses, or arithmetic between such.
    Metrics(MetricsNode),
}

/// A node, its place and its height.
#[derive(Clone, Debug)]
pub(super) struct Value {
    pub(super) node: Node,
    pub(super) position: Range<usize>,
    pub(super) height: usize,
}

/// A metrics function and what follows it in its stage.
#[derive(Clone, Debug)]
pub(super) struct Series {
    function: Located<MetricsFunction>,
    by: Vec<Located<Field>>,
    stages: Vec<Located<SecondStage>>,
}

impl Value {
    pub(super) fn new(node: Node, position: Range<usize>, height: usize) -> Self {
        Self {
            node,
            position,
            height,
        }
    }
}

impl Series {
    pub(super) fn new(function: Located<MetricsFunction>, by: Vec<Located<Field>>) -> Self {
        Self {
            function,
            by,
            stages: Vec::new(),
        }
    }

    /// The series over the spans of `pipeline`.
    pub(super) fn over(self, pipeline: Pipeline, position: Range<usize>) -> MetricsExpression {
        let node = MetricsNode::Series {
            pipeline,
            function: self.function,
            by: self.by,
        };
        self.stages
            .into_iter()
            .fold(Located::new(node, position), MetricsExpression::staged)
    }
}

impl Node {
    pub(super) fn literal(literal: Static) -> Self {
        Self::Scalar(ScalarNode::Static(literal))
    }

    /// What it is, for messages.
    fn describe(&self) -> &'static str {
        match self {
            Self::Spansets(_) => "a set of spans",
            Self::Scalar(ScalarNode::Static(_)) => "a value",
            Self::Scalar(_) => "an aggregate",
            Self::Filter(_) => "a comparison of aggregates",
            Self::Stage(_) => "a stage",
            Self::Series(_) => "a metrics function",
            Self::SecondStages(_) => "a ranking",
            Self::Metrics(_) => "a metrics query",
        }
    }
}

impl Pipeline {
    /// The spanset expression that is all of the pipeline, or the pipeline again.
    pub(super) fn single_spansets(mut self) -> Result<SpansetNode, Self> {
        match self.stages.pop() {
            Some(Located {
                node: StageNode::Spansets(expression),
                ..
            }) if self.stages.is_empty() => Ok(expression.node),
            last => {
                self.stages.extend(last);
                Err(self)
            }
        }
    }
}

/// How tightly an operator outside `{ }` binds; nothing for what is none.
pub(super) fn binding(symbol: &str) -> Option<u8> {
    match symbol {
        "&&" | "||" => Some(1),
        _ if StructuralOperator::from_symbol(symbol).is_some()
            || Comparison::from_symbol(symbol).is_some() =>
        {
            Some(2)
        }
        _ => Arithmetic::from_symbol(symbol).map(Arithmetic::binding),
    }
}

/// What the operator makes of two values.
pub(super) fn join(
    text: &str,
    symbol: &'static str,
    sign: &Range<usize>,
    left: Value,
    right: Value,
) -> Parsed<Value> {
    let position = left.position.start..right.position.end;
    let height = joined_height(symbol, &left, &right, &position)?;
    let comparison = Comparison::from_symbol(symbol);
    let arithmetic = Arithmetic::from_symbol(symbol);
    let node = match (left.node, right.node) {
        (Node::Spansets(l), Node::Spansets(r)) => {
            let l = Located::new(l, left.position);
            let r = Located::new(r, right.position);
            join_spansets(symbol, sign, l, r)?
        }
        (Node::Scalar(l), Node::Scalar(r)) => {
            let l = Located::new(l, left.position);
            let r = Located::new(r, right.position);
            match (comparison, arithmetic) {
                (Some(operator), _) => compare_scalars(text, operator, l, r)?,
                (_, Some(operator)) => calculate_scalars(operator, l, r)?,
                _ => {
                    return Err(no_join(
                        symbol,
                        sign,
                        &Node::Scalar(l.node),
                        &Node::Scalar(r.node),
                    ));
                }
            }
        }
        (l @ (Node::Series(_) | Node::SecondStages(_) | Node::Metrics(_)), Node::Scalar(r))
            if comparison.is_some() =>
        {
            let stage = point_filter(comparison, r, sign.start..right.position.end)?;
            filter_points(l, left.position, stage)
        }
        (
            l @ (Node::Metrics(_) | Node::Scalar(ScalarNode::Static(_))),
            r @ (Node::Metrics(_) | Node::Scalar(ScalarNode::Static(_))),
        ) if arithmetic.is_some_and(is_metrics_arithmetic) => MetricsNode::Arithmetic {
            operator: arithmetic.unwrap_or(Arithmetic::Add),
            left: Box::new(operand(l, left.position)?),
            right: Box::new(operand(r, right.position)?),
        }
        .into(),
        (l, r) => return Err(no_join(symbol, sign, &l, &r)),
    };
    Ok(Value::new(node, position, height))
}

impl From<MetricsNode> for Node {
    fn from(node: MetricsNode) -> Self {
        Self::Metrics(node)
    }
}

/// The height of what is joined: chains of one logical operator count as one level, stages on series as none.
fn joined_height(
    symbol: &str,
    left: &Value,
    right: &Value,
    position: &Range<usize>,
) -> Parsed<usize> {
    let below = |value: &Value| {
        let is_chain = matches!(
            (symbol, &value.node),
            ("&&", Node::Spansets(SpansetNode::And(_)))
                | ("||", Node::Spansets(SpansetNode::Or(_)))
        );
        value.height - usize::from(is_chain)
    };
    let is_staged = match &left.node {
        Node::Metrics(MetricsNode::Staged { .. }) => Comparison::from_symbol(symbol).is_some(),
        Node::Series(_) | Node::SecondStages(_) => true,
        _ => false,
    };
    let is_folded = matches!(
        (&left.node, &right.node),
        (
            Node::Scalar(ScalarNode::Static(_)),
            Node::Scalar(ScalarNode::Static(_))
        )
    );
    if is_folded || is_staged {
        return Ok(left.height);
    }
    above(below(left).max(below(right)), position)
}

fn join_spansets(
    symbol: &'static str,
    sign: &Range<usize>,
    left: SpansetExpression,
    right: SpansetExpression,
) -> Parsed<Node> {
    let node = match symbol {
        "&&" => SpansetNode::and(vec![left, right]),
        "||" => SpansetNode::or(vec![left, right]),
        _ => match StructuralOperator::from_symbol(symbol) {
            Some(operator) => SpansetNode::Structural {
                operator,
                left: Box::new(left),
                right: Box::new(right),
            },
            None => {
                let (left, right) = (Node::Spansets(left.node), Node::Spansets(right.node));
                return Err(no_join(symbol, sign, &left, &right));
            }
        },
    };
    Ok(Node::Spansets(node))
}

fn compare_scalars(
    text: &str,
    operator: Comparison,
    left: Located<ScalarNode>,
    right: Located<ScalarNode>,
) -> Parsed<Node> {
    if let (ScalarNode::Static(_), ScalarNode::Static(_)) = (&left.node, &right.node) {
        let position = left.position.start..right.position.end;
        let message = format!("{} compares two constants", quote(text, &position));
        return Err(Fault::syntax(position, message).expecting(&["an aggregate on the left"]));
    }
    Ok(Node::Filter(ScalarFilter {
        left,
        operator,
        right,
    }))
}

fn calculate_scalars(
    operator: Arithmetic,
    left: Located<ScalarNode>,
    right: Located<ScalarNode>,
) -> Parsed<Node> {
    let (ScalarNode::Static(l), ScalarNode::Static(r)) = (&left.node, &right.node) else {
        return Ok(Node::Scalar(ScalarNode::Arithmetic {
            operator,
            left: Box::new(left),
            right: Box::new(right),
        }));
    };
    match calculate(operator, l, r) {
        Some(literal) => Ok(Node::literal(literal)),
        None => Err(Fault::invalid(
            left.position.start..right.position.end,
            format!("`{}` has no value here", operator.as_str()),
        )
        .hint("only numbers are calculated with, and none is divided by zero")),
    }
}

/// Arithmetic between constants: whole numbers stay whole and wrap, a duration may be scaled.
fn calculate(operator: Arithmetic, left: &Static, right: &Static) -> Option<Static> {
    use Static::{Duration, Float, Int};
    let result = match (left, right) {
        (Int(l), Int(r)) => match operator {
            Arithmetic::Add => Int(l.wrapping_add(*r)),
            Arithmetic::Subtract => Int(l.wrapping_sub(*r)),
            Arithmetic::Multiply => Int(l.wrapping_mul(*r)),
            Arithmetic::Divide => Int(l.checked_div(*r)?),
            Arithmetic::Remainder => Int(l.checked_rem(*r)?),
            Arithmetic::Power => match u32::try_from(*r) {
                Ok(exponent) => Int(l.wrapping_pow(exponent)),
                Err(_) => Float(float(left)?.powf(float(right)?)),
            },
        },
        (Duration(l), Duration(r)) => match operator {
            Arithmetic::Add => Duration(l.checked_add(*r)?),
            Arithmetic::Subtract => Duration(l.checked_sub(*r)?),
            _ => return None,
        },
        (Duration(l), Int(r)) | (Int(r), Duration(l)) if operator == Arithmetic::Multiply => {
            Duration(l.checked_mul(*r)?)
        }
        (Duration(l), Int(r)) if operator == Arithmetic::Divide => Duration(l.checked_div(*r)?),
        _ => {
            let (l, r) = (float(left)?, float(right)?);
            Float(match operator {
                Arithmetic::Add => l + r,
                Arithmetic::Subtract => l - r,
                Arithmetic::Multiply => l * r,
                Arithmetic::Divide => l / r,
                Arithmetic::Remainder => l % r,
                Arithmetic::Power => l.powf(r),
            })
        }
    };
    match result {
        Float(number) if !number.is_finite() => None,
        result => Some(result),
    }
}

fn float(literal: &Static) -> Option<f64> {
    match literal {
        Static::Float(number) => Some(*number),
        #[expect(clippy::cast_precision_loss, reason = "mixed arithmetic is in floats")]
        Static::Int(number) => Some(*number as f64),
        _ => None,
    }
}

/// `OP value` behind series.
fn point_filter(
    operator: Option<Comparison>,
    right: ScalarNode,
    position: Range<usize>,
) -> Parsed<Located<SecondStage>> {
    match (operator, right) {
        (
            Some(operator),
            ScalarNode::Static(value @ (Static::Int(_) | Static::Float(_) | Static::Duration(_))),
        ) => Ok(Located::new(
            SecondStage::Compare { operator, value },
            position,
        )),
        _ => Err(
            Fault::invalid(position, "points are compared with a constant number")
                .expecting(&["a number", "a duration"]),
        ),
    }
}

/// Series and one more filter of their points.
fn filter_points(series: Node, position: Range<usize>, stage: Located<SecondStage>) -> Node {
    match series {
        Node::Series(mut series) => {
            series.stages.push(stage);
            Node::Series(series)
        }
        Node::SecondStages(mut stages) => {
            stages.push(stage);
            Node::SecondStages(stages)
        }
        Node::Metrics(node) => Node::Metrics(Located::new(node, position).staged(stage).node),
        other => other,
    }
}

/// An operand of metrics arithmetic.
fn operand(node: Node, position: Range<usize>) -> Parsed<MetricsExpression> {
    match node {
        Node::Metrics(node) => Ok(Located::new(node, position)),
        Node::Scalar(ScalarNode::Static(number @ (Static::Int(_) | Static::Float(_)))) => {
            Ok(Located::new(MetricsNode::Number(number), position))
        }
        _ => Err(
            Fault::invalid(position, "series are calculated with numbers only")
                .expecting(&["a number", "a metrics query in parentheses"]),
        ),
    }
}

/// Why an operator makes nothing of two values.
fn no_join(symbol: &str, sign: &Range<usize>, left: &Node, right: &Node) -> Box<Fault> {
    let fault = Fault::syntax(
        sign.clone(),
        format!(
            "`{symbol}` does not go between {} and {}",
            left.describe(),
            right.describe()
        ),
    );
    match (left, right) {
        (Node::Series(_), _) | (_, Node::Series(_)) => {
            fault.hint("put each metrics query in parentheses: ({ … } | rate()) / ({ … } | rate())")
        }
        (Node::Filter(_), _) | (_, Node::Filter(_)) => fault.hint(
            "write one stage after the other, `| count() > 1 | count() < 9`, or put each pipeline in parentheses",
        ),
        (Node::Scalar(_), Node::Metrics(_)) => fault.hint("write the metrics query on the left"),
        (Node::Metrics(_), Node::Metrics(_)) => {
            fault.hint("metrics queries are joined with `+`, `-`, `*` and `/`")
        }
        (Node::Spansets(_), Node::Spansets(_)) => fault
            .hint("sets of spans are joined by `&&`, `||` and structural operators such as `>>`"),
        (Node::Spansets(_), Node::Scalar(_)) => fault.hint("count spans with `| count() > 1`"),
        _ => fault,
    }
}

/// Why a value cannot follow series.
pub(super) fn after_metrics(node: &Node, position: Range<usize>) -> Box<Fault> {
    let fault = Fault::syntax(
        position,
        format!("{} cannot follow a metrics function", node.describe()),
    )
    .expecting(&["`topk(n)`", "`bottomk(n)`", "a comparison without `|`"]);
    match node {
        Node::Stage(StageNode::GroupBy(_)) => {
            fault.hint("series are grouped without a `|`: `| rate() by(…)`")
        }
        Node::Stage(StageNode::Order(_) | StageNode::Keep { .. }) => {
            fault.hint("the largest series are `| topk(5)`, the smallest `| bottomk(5)`")
        }
        _ => fault,
    }
}

/// Why a value is no stage.
pub(super) fn no_stage(text: &str, node: &Node, position: Range<usize>) -> Box<Fault> {
    match node {
        Node::Scalar(ScalarNode::Static(_)) => {
            let message = format!("{} is a constant, not a stage", quote(text, &position));
            Fault::syntax(position, message).expecting(&["a filter", "an aggregate", "a function"])
        }
        Node::Scalar(_) => {
            let quoted = quote(text, &position);
            let example = format!("write for example {} > 1", quoted.trim_matches('`'));
            Fault::syntax(position, format!("{quoted} is a number, not a condition"))
                .expecting(&["a comparison after it"])
                .hint(example)
        }
        Node::SecondStages(_) => {
            Fault::syntax(position, "there is no metrics function before the ranking")
                .hint("write for example `| rate() by(name) | topk(5)`")
        }
        Node::Metrics(_) => Fault::new(
            ErrorKind::Syntax,
            position,
            "a metrics query in parentheses cannot be a later stage",
        )
        .expecting(&["a filter", "an aggregate", "a function"]),
        other => Fault::syntax(position, format!("{} is no stage", other.describe())),
    }
}
