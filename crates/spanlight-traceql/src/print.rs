//! A tree to canonical text: one spelling for each query, with just the parentheses that it needs and those that make
//! the level of `&&` and `||` plain.
//!
//! What is printed parses to the same tree. Answers are keyed by these texts (`avg(duration)`, `span.a`), so they are
//! an interface.

use std::fmt::{self, Display, Formatter, Write};

use crate::ast::{
    Aggregate, Arithmetic, Attribute, AttributeScope, Field, FieldExpression, FieldNode, Hint,
    Intrinsic, Located, MetricsExpression, MetricsFunction, MetricsNode, Order, OrderKey, Pipeline,
    Query, Root, ScalarExpression, ScalarFilter, ScalarNode, SecondStage, SpansetExpression,
    SpansetNode, StageNode, Static,
};

/// How tightly things bind; arithmetic is between comparisons and atoms.
const LOGICAL: u8 = 1;
const COMPARISON: u8 = 2;
const ATOM: u8 = 7;

impl Display for Query {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.root {
            Root::Search(pipeline) => pipeline.fmt(f)?,
            Root::Metrics(metrics) => metrics.node.fmt(f)?,
        }
        if self.hints.is_empty() {
            return Ok(());
        }
        f.write_str(" with(")?;
        join(f, ", ", &self.hints, |f, Hint { name, value }| {
            write!(f, "{} = {value}", name.node)
        })?;
        f.write_char(')')
    }
}

impl Display for Pipeline {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        join(f, " | ", &self.stages, |f, stage| stage.node.fmt(f))
    }
}

impl Display for StageNode {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spansets(expression) => expression.node.fmt(f),
            Self::Filter(filter) => filter.fmt(f),
            Self::GroupBy(expression) => write!(f, "by({})", expression.node),
            Self::Coalesce => f.write_str("coalesce()"),
            Self::Select(names) => {
                f.write_str("select")?;
                fields(f, names)
            }
            Self::Order(order) => order.fmt(f),
            Self::Keep { end, count } => write!(f, "{}({count})", end.as_str()),
        }
    }
}

impl Display for Order {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.key {
            OrderKey::Spans(expression) => write!(f, "order by({})", expression.node)?,
            OrderKey::Spansets(aggregate) => write!(f, "order by({})", aggregate.node)?,
        }
        if self.descending {
            f.write_str(" desc")?;
        }
        match self.limit {
            Some(limit) => write!(f, " limit {limit}"),
            None => Ok(()),
        }
    }
}

impl Display for SpansetNode {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Filter(None) => f.write_str("{ }"),
            Self::Filter(Some(expression)) => write!(f, "{{ {} }}", expression.node),
            Self::Pipeline(pipeline) => write!(f, "({pipeline})"),
            Self::And(operands) => join(f, " && ", operands, |f, it| spansets(f, it, COMPARISON)),
            Self::Or(operands) => join(f, " || ", operands, |f, it| spansets(f, it, COMPARISON)),
            Self::Structural {
                operator,
                left,
                right,
            } => {
                spansets(f, left, COMPARISON)?;
                write!(f, " {} ", operator.as_str())?;
                spansets(f, right, ATOM)
            }
        }
    }
}

fn spansets(f: &mut Formatter<'_>, operand: &SpansetExpression, binding: u8) -> fmt::Result {
    let own = match operand.node {
        SpansetNode::Filter(_) | SpansetNode::Pipeline(_) => ATOM,
        SpansetNode::And(_) | SpansetNode::Or(_) => LOGICAL,
        SpansetNode::Structural { .. } => COMPARISON,
    };
    parenthesised(f, own < binding, &operand.node)
}

impl Display for FieldNode {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Static(literal) => literal.fmt(f),
            Self::Field(field) => field.fmt(f),
            Self::Not(operand) => {
                f.write_char('!')?;
                field(f, operand, Arithmetic::PREFIX_BINDING)
            }
            Self::Negate(operand) => {
                f.write_char('-')?;
                field(f, operand, Arithmetic::PREFIX_BINDING)
            }
            Self::Arithmetic {
                operator,
                left,
                right,
            } => {
                let own = operator.binding();
                let is_from_right = *operator == Arithmetic::Power;
                field(f, left, own + u8::from(is_from_right))?;
                write!(f, " {} ", operator.as_str())?;
                field(f, right, own + u8::from(!is_from_right))
            }
            Self::Comparison {
                operator,
                left,
                right,
            } => {
                field(f, left, COMPARISON + 1)?;
                write!(f, " {} ", operator.as_str())?;
                field(f, right, COMPARISON + 1)
            }
            Self::Match {
                operand,
                negated,
                pattern,
            } => {
                field(f, operand, COMPARISON + 1)?;
                f.write_str(if *negated { " !~ " } else { " =~ " })?;
                quoted(f, pattern.node.as_str())
            }
            Self::NilTest { operand, negated } => {
                field(f, operand, COMPARISON + 1)?;
                f.write_str(if *negated { " != nil" } else { " = nil" })
            }
            Self::And(operands) => join(f, " && ", operands, |f, it| field(f, it, COMPARISON)),
            Self::Or(operands) => join(f, " || ", operands, |f, it| field(f, it, COMPARISON)),
        }
    }
}

fn field(f: &mut Formatter<'_>, operand: &FieldExpression, binding: u8) -> fmt::Result {
    let own = match &operand.node {
        FieldNode::And(_) | FieldNode::Or(_) => LOGICAL,
        FieldNode::Comparison { .. } | FieldNode::Match { .. } | FieldNode::NilTest { .. } => {
            COMPARISON
        }
        FieldNode::Arithmetic { operator, .. } => operator.binding(),
        FieldNode::Not(_) | FieldNode::Negate(_) => Arithmetic::PREFIX_BINDING,
        // A sign is printed before a number, where it binds as one.
        FieldNode::Static(literal) if is_negative(literal) => Arithmetic::PREFIX_BINDING,
        FieldNode::Static(_) | FieldNode::Field(_) => ATOM,
    };
    parenthesised(f, own < binding, &operand.node)
}

fn is_negative(literal: &Static) -> bool {
    match literal {
        Static::Int(number) | Static::Duration(number) => *number < 0,
        Static::Float(number) => number.is_sign_negative(),
        _ => false,
    }
}

impl Display for ScalarFilter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        scalar(f, &self.left, COMPARISON + 1)?;
        write!(f, " {} ", self.operator.as_str())?;
        scalar(f, &self.right, COMPARISON + 1)
    }
}

impl Display for ScalarNode {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Static(literal) => literal.fmt(f),
            Self::Aggregate(aggregate) => aggregate.fmt(f),
            Self::Arithmetic {
                operator,
                left,
                right,
            } => {
                scalar(f, left, operator.binding())?;
                write!(f, " {} ", operator.as_str())?;
                scalar(f, right, operator.binding() + 1)
            }
            Self::Pipeline { pipeline, value } => write!(f, "({pipeline} | {})", value.node),
        }
    }
}

fn scalar(f: &mut Formatter<'_>, operand: &ScalarExpression, binding: u8) -> fmt::Result {
    let own = match &operand.node {
        ScalarNode::Arithmetic { operator, .. } => operator.binding(),
        _ => ATOM,
    };
    parenthesised(f, own < binding, &operand.node)
}

impl Display for Aggregate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.function.as_str())?;
        if let Some(argument) = &self.argument {
            argument.node.fmt(f)?;
        }
        if let Some(quantile) = self.quantile {
            write!(f, ", {quantile:?}")?;
        }
        f.write_char(')')
    }
}

impl Display for MetricsNode {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Series {
                pipeline,
                function,
                by,
            } => {
                write!(f, "{pipeline} | {}", function.node)?;
                if by.is_empty() {
                    return Ok(());
                }
                f.write_str(" by")?;
                fields(f, by)
            }
            Self::Number(number) => number.fmt(f),
            Self::Arithmetic {
                operator,
                left,
                right,
            } => {
                metrics(f, left, operator.binding())?;
                write!(f, " {} ", operator.as_str())?;
                metrics(f, right, operator.binding() + 1)
            }
            Self::Staged { input, stages } => {
                let is_series = matches!(input.node, Self::Series { .. });
                parenthesised(f, !is_series, &input.node)?;
                stages.iter().try_for_each(|stage| stage.node.fmt(f))
            }
        }
    }
}

fn metrics(f: &mut Formatter<'_>, operand: &MetricsExpression, binding: u8) -> fmt::Result {
    let own = match &operand.node {
        MetricsNode::Series { .. } | MetricsNode::Staged { .. } => 0,
        MetricsNode::Number(_) => ATOM,
        MetricsNode::Arithmetic { operator, .. } => operator.binding(),
    };
    parenthesised(f, own < binding, &operand.node)
}

impl Display for MetricsFunction {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.as_str())?;
        match self {
            Self::Rate | Self::CountOverTime => {}
            Self::OverTime { field, .. } | Self::HistogramOverTime { field } => {
                field.node.fmt(f)?
            }
            Self::QuantileOverTime { field, quantiles } => {
                field.node.fmt(f)?;
                for quantile in quantiles {
                    write!(f, ", {quantile:?}")?;
                }
            }
            Self::Compare {
                selection,
                top,
                window,
            } => {
                match selection {
                    Some(expression) => write!(f, "{{ {} }}", expression.node)?,
                    None => f.write_str("{ }")?,
                }
                if let Some(top) = top {
                    write!(f, ", {top}")?;
                }
                if let Some((start, end)) = window {
                    write!(f, ", {start}, {end}")?;
                }
            }
        }
        f.write_char(')')
    }
}

impl Display for SecondStage {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rank { function, count } => write!(f, " | {}({count})", function.as_str()),
            Self::Compare { operator, value } => write!(f, " {} {value}", operator.as_str()),
        }
    }
}

impl Display for Field {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Intrinsic(intrinsic) => intrinsic.fmt(f),
            Self::Attribute(attribute) => attribute.fmt(f),
        }
    }
}

impl Display for Intrinsic {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Display for Attribute {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.of_parent {
            f.write_str("parent")?;
            if self.scope != AttributeScope::Any {
                f.write_char('.')?;
            }
        }
        write!(f, "{}.", self.scope.as_str())?;
        let reads_as_scope = self.of_parent
            && self.scope == AttributeScope::Any
            && ["span.", "resource."]
                .iter()
                .any(|it| self.name.starts_with(it));
        if reads_as_scope || !is_plain_name(&self.name) {
            quoted(f, &self.name)
        } else {
            f.write_str(&self.name)
        }
    }
}

/// Whether a name is printed without quotes: fewer are than could be.
fn is_plain_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && name.chars().all(|c| {
            c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '/' | ':' | '@' | '$' | '#')
        })
        && !name.contains("//")
}

impl Display for Static {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("nil"),
            Self::Int(i64::MIN) => f.write_str("minInt"),
            Self::Int(number) => number.fmt(f),
            Self::Float(number) => write!(f, "{number:?}"),
            Self::String(text) => quoted(f, text),
            Self::Bool(truth) => truth.fmt(f),
            Self::Duration(nanos) => duration(f, *nanos),
            Self::Status(status) => f.write_str(status.as_str()),
            Self::Kind(kind) => f.write_str(kind.as_str()),
        }
    }
}

/// From a second on in hours, minutes and seconds, below in one unit: `1h30m`, `1m1.5s`, `250ms`.
fn duration(f: &mut Formatter<'_>, nanos: i64) -> fmt::Result {
    const MINUTE: u64 = 60_000_000_000;
    const HOUR: u64 = 60 * MINUTE;
    if nanos < 0 {
        f.write_char('-')?;
    }
    let nanos = nanos.unsigned_abs();
    for (amount, unit) in [(nanos / HOUR, "h"), (nanos % HOUR / MINUTE, "m")] {
        if amount > 0 {
            write!(f, "{amount}{unit}")?;
        }
    }
    let (scale, digits, unit) = match nanos {
        0 => return f.write_str("0s"),
        1_000_000_000.. => (1_000_000_000, 9, "s"),
        1_000_000.. => (1_000_000, 6, "ms"),
        1_000.. => (1_000, 3, "us"),
        _ => (1, 0, "ns"),
    };
    let rest = nanos % MINUTE;
    if rest == 0 {
        return Ok(());
    }
    write!(f, "{}", rest / scale)?;
    if !rest.is_multiple_of(scale) {
        let fraction = format!("{:0digits$}", rest % scale);
        write!(f, ".{}", fraction.trim_end_matches('0'))?;
    }
    f.write_str(unit)
}

/// A string literal.
fn quoted(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}

fn fields(f: &mut Formatter<'_>, names: &[Located<Field>]) -> fmt::Result {
    f.write_char('(')?;
    join(f, ", ", names, |f, name| name.node.fmt(f))?;
    f.write_char(')')
}

fn parenthesised(f: &mut Formatter<'_>, is_needed: bool, node: &dyn Display) -> fmt::Result {
    if is_needed {
        write!(f, "({node})")
    } else {
        node.fmt(f)
    }
}

fn join<T>(
    f: &mut Formatter<'_>,
    separator: &str,
    items: &[T],
    mut write_item: impl FnMut(&mut Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            f.write_str(separator)?;
        }
        write_item(f, item)?;
    }
    Ok(())
}
