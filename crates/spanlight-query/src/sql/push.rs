//! What of a statement's conditions the store may use to leave out spans: weaker than they are, never stronger.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Operator};
use spanlight_model::{AttributeType, TraceId};
use spanlight_store::{Comparison, Field, Filter, Literal, Predicate, Test};

use super::columns::{ViewColumn, What};
use super::types::Types;
use super::view::Kind;
use crate::attributes::AttributeScope;

/// Conditions for the store.
#[derive(Debug, Clone, Default)]
pub(super) struct Conditions {
    /// Spans that overlap it, both ends included.
    pub(super) time_range: Option<Range<i64>>,
    /// Spans of these traces.
    pub(super) trace_ids: Option<Arc<BTreeSet<TraceId>>>,
    pub(super) filter: Option<Arc<Filter>>,
}

/// Whole numbers up to here are the same as doubles.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

impl Conditions {
    /// Those that hold wherever all of these do.
    pub(super) fn of(kind: Kind, columns: &[ViewColumn], filters: &[&Expr]) -> Self {
        let mut found = Self::default();
        let (mut low, mut high) = (i64::MIN, i64::MAX);
        let mut tests = Vec::new();
        let mut left: Vec<&Expr> = filters.to_vec();
        while let Some(filter) = left.pop() {
            if let Expr::BinaryExpr(BinaryExpr {
                left: one,
                op: Operator::And,
                right: other,
            }) = filter
            {
                left.extend([&**one, &**other]);
            } else if let Some((from, to)) = times(filter) {
                (low, high) = (low.max(from), high.min(to));
            } else if let Some(ids) = trace_ids(filter) {
                found.trace_ids = Some(match found.trace_ids {
                    Some(known) => Arc::new(known.intersection(&ids).copied().collect()),
                    None => Arc::new(ids),
                });
            } else if kind != Kind::Trace {
                tests.extend(test(columns, filter));
            }
        }
        // Ends may be before starts, so that bounds that contradict each other say nothing.
        if (low, high) != (i64::MIN, i64::MAX) && low <= high {
            found.time_range = Some(low..high);
        }
        found.filter = match tests.len() {
            0 => None,
            1 => tests.pop().map(Arc::new),
            _ => Some(Arc::new(Filter::And(tests))),
        };
        found
    }

    pub(super) fn is_anything(&self) -> bool {
        self.time_range.is_none() && self.trace_ids.is_none() && self.filter.is_none()
    }
}

impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(ids) = &self.trace_ids {
            write!(f, ", {} traces by id", ids.len())?;
        }
        if let Some(range) = &self.time_range {
            write!(f, ", time {}..{}", range.start, range.end)?;
        }
        match &self.filter {
            Some(filter) => write!(f, ", where {filter}"),
            None => Ok(()),
        }
    }
}

fn column(expression: &Expr) -> Option<&str> {
    match expression {
        Expr::Column(column) => Some(&column.name),
        _ => None,
    }
}

fn literal(expression: &Expr) -> Option<&ScalarValue> {
    match expression {
        Expr::Literal(value, _) if !value.is_null() => Some(value),
        _ => None,
    }
}

/// A column compared with a literal, which stands on the right.
fn comparison(expression: &Expr) -> Option<(&str, Operator, &ScalarValue)> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = expression else {
        return None;
    };
    match (column(left), literal(right)) {
        (Some(name), Some(value)) => Some((name, *op, value)),
        _ => Some((column(right)?, op.swap()?, literal(left)?)),
    }
}

/// The times that a span overlaps, both ends included.
fn times(expression: &Expr) -> Option<(i64, i64)> {
    let is_time = |name: &str| matches!(name, "start_time" | "end_time");
    if let Expr::Between(Between {
        expr,
        negated: false,
        low,
        high,
    }) = expression
    {
        let is_time = column(expr).is_some_and(is_time);
        return Some((time(literal(low)?)?, time(literal(high)?)?)).filter(|_| is_time);
    }
    let (name, operator, value) = comparison(expression)?;
    if !is_time(name) {
        return None;
    }
    let at = time(value)?;
    match operator {
        Operator::Eq => Some((at, at)),
        Operator::Lt | Operator::LtEq => Some((i64::MIN, at)),
        Operator::Gt | Operator::GtEq => Some((at, i64::MAX)),
        _ => None,
    }
}

fn time(value: &ScalarValue) -> Option<i64> {
    match value {
        ScalarValue::TimestampNanosecond(Some(at), _) => Some(*at),
        _ => None,
    }
}

fn trace_ids(expression: &Expr) -> Option<BTreeSet<TraceId>> {
    if let Expr::InList(list) = expression {
        if list.negated || column(&list.expr) != Some("trace_id") {
            return None;
        }
        let texts = list.list.iter().map(|it| text(literal(it)?));
        let texts: Option<Vec<&str>> = texts.collect();
        return Some(texts?.into_iter().filter_map(trace_id).collect());
    }
    if let Expr::BinaryExpr(BinaryExpr {
        left,
        op: Operator::Or,
        right,
    }) = expression
    {
        let (left, right) = (trace_ids(left)?, trace_ids(right)?);
        return Some(left.union(&right).copied().collect());
    }
    match comparison(expression)? {
        ("trace_id", Operator::Eq, value) => Some(trace_id(text(value)?).into_iter().collect()),
        _ => None,
    }
}

/// The id of a text that an id is shown as; any other text equals none.
fn trace_id(text: &str) -> Option<TraceId> {
    let id = TraceId::parse(text).ok()?;
    (id.to_string() == text).then_some(id)
}

fn text(value: &ScalarValue) -> Option<&str> {
    value.try_as_str().flatten()
}

/// The test of a column of the view.
fn test(columns: &[ViewColumn], expression: &Expr) -> Option<Filter> {
    let each = |one: &Expr, other: &Expr| (test(columns, one), test(columns, other));
    match expression {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Or,
            right,
        }) => match each(left, right) {
            (Some(left), Some(right)) => Some(Filter::Or(vec![left, right])),
            _ => None,
        },
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::And,
            right,
        }) => match each(left, right) {
            (Some(left), Some(right)) => Some(Filter::And(vec![left, right])),
            (one, other) => one.or(other),
        },
        Expr::Column(_) | Expr::IsTrue(_) => {
            let of = match expression {
                Expr::IsTrue(of) => of,
                of => of,
            };
            let field = field(columns, column(of)?)?;
            Some(Filter::equal(field.0, Literal::Bool(true)))
        }
        Expr::Not(of) | Expr::IsFalse(of) => {
            let (field, types) = field(columns, column(of)?)?;
            let is_bool = types == Some(Types::only(&[AttributeType::Bool]));
            is_bool.then(|| Filter::equal(field, Literal::Bool(false)))
        }
        Expr::IsNotNull(of) => match field(columns, column(of)?)? {
            (field @ (Field::SpanAttribute(_) | Field::ResourceAttribute(_)), _) => {
                Some(Filter::exists(field))
            }
            _ => None,
        },
        Expr::InList(list) if !list.negated => {
            let (field, types) = field(columns, column(&list.expr)?)?;
            let values = list.list.iter().map(|it| value(literal(it)?, types));
            let values: Option<Vec<Literal>> = values.collect();
            let predicate = Predicate::OneOf(values?.into());
            Some(Filter::Test(Test { field, predicate }))
        }
        _ => {
            let (name, operator, literal) = comparison(expression)?;
            let (field, types) = field(columns, name)?;
            // SQL has NaN above every number, the store has it nowhere: of doubles, equality alone is the same.
            let is_int = types == Some(Types::only(&[AttributeType::Int]));
            let ordered = is_int || field == Field::Duration;
            let operator = match operator {
                Operator::Eq => Comparison::Equal,
                Operator::Lt if ordered => Comparison::Less,
                Operator::LtEq if ordered => Comparison::LessOrEqual,
                Operator::Gt if ordered => Comparison::Greater,
                Operator::GtEq if ordered => Comparison::GreaterOrEqual,
                _ => return None,
            };
            Some(Filter::compare(field, operator, value(literal, types)?))
        }
    }
}

/// What the store calls a column, and for attributes the types of their values.
fn field(columns: &[ViewColumn], name: &str) -> Option<(Field, Option<Types>)> {
    let what = &columns.iter().find(|column| column.name == name)?.what;
    let field = match what {
        What::Name => Field::Name,
        What::Kind => Field::Kind,
        What::Status => Field::Status,
        What::StatusMessage => Field::StatusMessage,
        What::Duration => Field::Duration,
        What::Service => Field::ServiceName,
        What::Attribute { scope, key, types } => {
            let key = Arc::from(key.as_str());
            let field = match scope {
                AttributeScope::Span => Field::SpanAttribute(key),
                AttributeScope::Resource => Field::ResourceAttribute(key),
                _ => return None,
            };
            return Some((field, Some(*types)));
        }
        _ => return None,
    };
    Some((field, None))
}

/// A literal as the store compares it with values of these types; nothing where it would compare otherwise.
fn value(literal: &ScalarValue, types: Option<Types>) -> Option<Literal> {
    use AttributeType as A;
    let is = |kinds: &[A]| types.is_none_or(|types| types == Types::only(kinds));
    let is_number = is(&[A::Int]) || is(&[A::Double]) || is(&[A::Int, A::Double]);
    match literal {
        ScalarValue::Int64(Some(number)) if is_number => Some(Literal::Int(*number)),
        ScalarValue::Float64(Some(number)) if is_number && number.abs() < EXACT_MAX => {
            Some(Literal::Double(*number))
        }
        ScalarValue::Boolean(Some(truth)) if is(&[A::Bool]) => Some(Literal::Bool(*truth)),
        // Of several types a text may be made of what the store compares as a number.
        literal if is(&[A::String]) => text(literal).map(Literal::from),
        _ => None,
    }
}
