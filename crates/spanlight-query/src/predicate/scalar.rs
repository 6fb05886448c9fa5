//! Values of expressions over a span, and the rules by which they are compared and calculated with.
//!
//! No rule fails: what has no value is nil, and what cannot be compared does not match.

use std::borrow::Cow;
use std::cmp::Ordering;

use spanlight_model::{AnyValue, TraceId, Value};
use spanlight_traceql::Pattern;
use spanlight_traceql::ast::{Arithmetic, Comparison, Kind, Static, Status};

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scalar<'a> {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// Nanoseconds.
    Duration(i64),
    Text(Cow<'a, str>),
    /// Compared without leading zeros.
    TraceId(TraceId),
    Status(Status),
    Kind(Kind),
    /// OTLP JSON of an array whose elements have one scalar type; never empty.
    Array(&'a str),
}

impl<'a> Scalar<'a> {
    /// The value of an attribute. Null, bytes, key-value lists and arrays that are empty or mixed are kept, but no
    /// query sees them.
    pub(crate) fn of_attribute(value: Value<'a>) -> Self {
        match value {
            Value::Empty | Value::Bytes(_) | Value::KeyValueList(_) => Self::Nil,
            Value::String(text) => Self::Text(Cow::Borrowed(text)),
            Value::Bool(truth) => Self::Bool(truth),
            Value::Int(number) => Self::Int(number),
            Value::Double(number) => Self::Float(number),
            Value::Array(text) => match elements(text) {
                Some(_) => Self::Array(text),
                None => Self::Nil,
            },
        }
    }

    pub(crate) fn of_static(value: &Static) -> Scalar<'static> {
        match value {
            Static::Nil => Scalar::Nil,
            Static::Int(number) => Scalar::Int(*number),
            Static::Float(number) => Scalar::Float(*number),
            Static::String(text) => Scalar::Text(Cow::Owned(text.clone())),
            Static::Bool(truth) => Scalar::Bool(*truth),
            Static::Duration(nanos) => Scalar::Duration(*nanos),
            Static::Status(status) => Scalar::Status(*status),
            Static::Kind(kind) => Scalar::Kind(*kind),
        }
    }

    pub(crate) fn is_nil(&self) -> bool {
        matches!(self, Self::Nil)
    }

    /// Whether a filter that consists of the value alone lets the span pass.
    pub(crate) fn is_true(&self) -> bool {
        match self {
            Self::Bool(truth) => *truth,
            Self::Array(text) => any_element(text, |element| element.is_true()),
            _ => false,
        }
    }

    /// `!value`: nil but for truth values.
    pub(crate) fn not(&self) -> Scalar<'static> {
        match self {
            Self::Bool(truth) => Scalar::Bool(!truth),
            _ => Scalar::Nil,
        }
    }

    /// `-value`: nil but for numbers.
    pub(crate) fn negate(&self) -> Scalar<'static> {
        match self {
            Self::Int(number) => Scalar::Int(number.wrapping_neg()),
            Self::Float(number) => Scalar::Float(-number),
            Self::Duration(nanos) => Scalar::Duration(nanos.wrapping_neg()),
            _ => Scalar::Nil,
        }
    }

    /// The numeric value as a float; durations in nanoseconds.
    pub(crate) fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Int(number) | Self::Duration(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            _ => None,
        }
    }

    /// The value as answers show it; durations as text, nil as `None`.
    pub(crate) fn to_any(&self) -> Option<AnyValue> {
        Some(match self {
            Self::Nil => return None,
            Self::Bool(truth) => AnyValue::Bool(*truth),
            Self::Int(number) => AnyValue::Int(*number),
            Self::Float(number) => AnyValue::Double(*number),
            Self::Duration(nanos) => AnyValue::String(duration_text(*nanos)),
            Self::Text(text) => AnyValue::String(text.to_string()),
            Self::TraceId(id) => AnyValue::String(id.to_string()),
            Self::Status(status) => AnyValue::String(status.as_str().to_owned()),
            Self::Kind(kind) => AnyValue::String(kind.as_str().to_owned()),
            Self::Array(text) => AnyValue::from_json(text).ok()?,
        })
    }
}

/// The elements of an array of one scalar type; `None` for any other.
fn elements(text: &str) -> Option<Vec<Scalar<'static>>> {
    let Ok(AnyValue::Array(values)) = AnyValue::from_json(text) else {
        return None;
    };
    let first = std::mem::discriminant(values.first()?);
    values
        .into_iter()
        .map(|value| {
            if std::mem::discriminant(&value) != first {
                return None;
            }
            match value {
                AnyValue::String(text) => Some(Scalar::Text(Cow::Owned(text))),
                AnyValue::Bool(truth) => Some(Scalar::Bool(truth)),
                AnyValue::Int(number) => Some(Scalar::Int(number)),
                AnyValue::Double(number) => Some(Scalar::Float(number)),
                AnyValue::Empty
                | AnyValue::Bytes(_)
                | AnyValue::Array(_)
                | AnyValue::KeyValueList(_) => None,
            }
        })
        .collect()
}

fn any_element(text: &str, test: impl Fn(&Scalar<'static>) -> bool) -> bool {
    elements(text).is_some_and(|elements| elements.iter().any(test))
}

/// `left OP right`. Of an array, `=` and the orders ask for any element, `!=` for none that is equal.
pub(crate) fn compare(operator: Comparison, left: &Scalar<'_>, right: &Scalar<'_>) -> bool {
    if let Scalar::Array(text) = left {
        return match operator {
            Comparison::NotEqual => {
                comparable(text, right)
                    && !any_element(text, |it| compare(Comparison::Equal, it, right))
            }
            _ => any_element(text, |it| compare(operator, it, right)),
        };
    }
    if matches!(right, Scalar::Array(_)) {
        return compare(operator.mirrored(), right, left);
    }
    let Some(ordering) = order(left, right) else {
        return false;
    };
    match (operator, ordering) {
        (Comparison::Equal, found) => found == Found::Ordered(Ordering::Equal),
        (Comparison::NotEqual, found) => found != Found::Ordered(Ordering::Equal),
        (Comparison::Less, Found::Ordered(found)) => found.is_lt(),
        _ if !has_order(left) => false,
        (Comparison::LessOrEqual, Found::Ordered(found)) => found.is_le(),
        (Comparison::Greater, Found::Ordered(found)) => found.is_gt(),
        (Comparison::GreaterOrEqual, Found::Ordered(found)) => found.is_ge(),
        (_, Found::Different) => false,
    }
}

/// Truth values, statuses and kinds are equal or not, and nothing else.
fn has_order(value: &Scalar<'_>) -> bool {
    !matches!(value, Scalar::Bool(_) | Scalar::Status(_) | Scalar::Kind(_))
}

/// Whether the array's elements and the other value have types that can be compared.
fn comparable(text: &str, other: &Scalar<'_>) -> bool {
    let Some(first) = elements(text).and_then(|elements| elements.into_iter().next()) else {
        return false;
    };
    match other {
        Scalar::Array(other) => elements(other)
            .and_then(|elements| elements.into_iter().next())
            .is_some_and(|other| order(&first, &other).is_some()),
        other => order(&first, other).is_some(),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Found {
    Ordered(Ordering),
    /// Of one type and not equal, but without an order: NaN.
    Different,
}

/// How two scalars stand to each other; `None` when their types do not meet.
fn order(left: &Scalar<'_>, right: &Scalar<'_>) -> Option<Found> {
    use Scalar as S;
    let partial = |ordering: Option<Ordering>| ordering.map_or(Found::Different, Found::Ordered);
    Some(match (left, right) {
        (S::Int(left) | S::Duration(left), S::Int(right) | S::Duration(right)) => {
            Found::Ordered(left.cmp(right))
        }
        (S::Float(left), S::Float(right)) => partial(left.partial_cmp(right)),
        (S::Int(left) | S::Duration(left), S::Float(right)) => {
            partial(order_int_float(*left, *right))
        }
        (S::Float(left), S::Int(right) | S::Duration(right)) => {
            partial(order_int_float(*right, *left).map(Ordering::reverse))
        }
        (S::Text(left), S::Text(right)) => Found::Ordered(left.as_bytes().cmp(right.as_bytes())),
        (S::TraceId(id), S::Text(text)) => order_trace_id(*id, text),
        (S::Text(text), S::TraceId(id)) => match order_trace_id(*id, text) {
            Found::Ordered(ordering) => Found::Ordered(ordering.reverse()),
            Found::Different => Found::Different,
        },
        (S::TraceId(left), S::TraceId(right)) => Found::Ordered(left.cmp(right)),
        (S::Bool(left), S::Bool(right)) => equality(left == right),
        (S::Status(left), S::Status(right)) => equality(left == right),
        (S::Kind(left), S::Kind(right)) => equality(left == right),
        _ => return None,
    })
}

fn equality(equal: bool) -> Found {
    if equal {
        Found::Ordered(Ordering::Equal)
    } else {
        Found::Different
    }
}

/// Leading zeros are optional; upper case is another text.
fn order_trace_id(id: TraceId, text: &str) -> Found {
    if text.is_empty() || text.len() > 32 {
        return Found::Different;
    }
    Found::Ordered(id.to_string().as_str().cmp(&format!("{text:0>32}")))
}

/// Exact, also beyond 2^53; `None` for NaN.
fn order_int_float(int: i64, float: f64) -> Option<Ordering> {
    const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
    if float.is_nan() {
        None
    } else if float >= TWO_TO_63 {
        Some(Ordering::Less)
    } else if float < -TWO_TO_63 {
        Some(Ordering::Greater)
    } else {
        let whole = float.trunc();
        let fraction = || 0.0_f64.partial_cmp(&(float - whole));
        match int.cmp(&(whole as i64)) {
            Ordering::Equal => fraction(),
            other => Some(other),
        }
    }
}

/// `value =~ pattern` or `!~`: false of what is no text. Of an array, `=~` asks for any element, `!~` for none.
pub(crate) fn matches(value: &Scalar<'_>, pattern: &Pattern, negated: bool) -> bool {
    match value {
        Scalar::Text(text) => pattern.is_match(text) != negated,
        Scalar::TraceId(id) => {
            let text = id.to_string();
            let short = text.trim_start_matches('0');
            (pattern.is_match(&text) || pattern.is_match(short)) != negated
        }
        Scalar::Array(text) => elements(text).is_some_and(|elements| {
            let texts = elements
                .iter()
                .all(|element| matches!(element, Scalar::Text(_)));
            let any = elements
                .iter()
                .any(|element| matches!(element, Scalar::Text(text) if pattern.is_match(text)));
            texts && any != negated
        }),
        _ => false,
    }
}

/// `left OP right`: nil when an operand is no number, and for division of integers by zero.
pub(crate) fn calculate(
    operator: Arithmetic,
    left: &Scalar<'_>,
    right: &Scalar<'_>,
) -> Scalar<'static> {
    use Scalar as S;
    match (left, right) {
        // Two to the power of minus one is a half, and of no unit.
        (S::Int(base) | S::Duration(base), S::Int(exponent) | S::Duration(exponent))
            if operator == Arithmetic::Power && *exponent < 0 =>
        {
            S::Float((*base as f64).powf(*exponent as f64))
        }
        (S::Int(left), S::Int(right)) => whole(operator, *left, *right).map_or(S::Nil, S::Int),
        (S::Duration(left), S::Duration(right)) => match operator {
            Arithmetic::Divide => S::Float(*left as f64 / *right as f64),
            _ => whole(operator, *left, *right).map_or(S::Nil, S::Duration),
        },
        (S::Duration(left), S::Int(right)) | (S::Int(left), S::Duration(right)) => {
            whole(operator, *left, *right).map_or(S::Nil, S::Duration)
        }
        (S::Duration(_), S::Float(_)) | (S::Float(_), S::Duration(_)) => {
            match fraction(operator, left, right) {
                Some(nanos) => S::Duration(nanos as i64),
                None => S::Nil,
            }
        }
        _ => fraction(operator, left, right).map_or(S::Nil, S::Float),
    }
}

fn whole(operator: Arithmetic, left: i64, right: i64) -> Option<i64> {
    Some(match operator {
        Arithmetic::Add => left.wrapping_add(right),
        Arithmetic::Subtract => left.wrapping_sub(right),
        Arithmetic::Multiply => left.wrapping_mul(right),
        Arithmetic::Divide if right == 0 => return None,
        Arithmetic::Divide => left.wrapping_div(right),
        Arithmetic::Remainder if right == 0 => return None,
        Arithmetic::Remainder => left.wrapping_rem(right),
        Arithmetic::Power => match u32::try_from(right) {
            Ok(exponent) => left.wrapping_pow(exponent),
            Err(_) => (left as f64).powf(right as f64) as i64,
        },
    })
}

fn fraction(operator: Arithmetic, left: &Scalar<'_>, right: &Scalar<'_>) -> Option<f64> {
    let (left, right) = (left.as_f64()?, right.as_f64()?);
    Some(match operator {
        Arithmetic::Add => left + right,
        Arithmetic::Subtract => left - right,
        Arithmetic::Multiply => left * right,
        Arithmetic::Divide => left / right,
        Arithmetic::Remainder => left % right,
        Arithmetic::Power => left.powf(right),
    })
}

/// A duration in the units that people use: `1h30m0s`, `293.75ms`, `15µs`, `7ns`, `0s`.
pub(crate) fn duration_text(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let total = nanos.unsigned_abs();
    let decimal = |unit: u64, digits: usize| {
        let fraction = format!("{:0digits$}", total % unit);
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() { "" } else { "." };
        (point, fraction.to_owned())
    };
    match total {
        0 => "0s".to_owned(),
        1..1_000 => format!("{sign}{total}ns"),
        1_000..1_000_000 => {
            let (point, fraction) = decimal(1_000, 3);
            format!("{sign}{}{point}{fraction}µs", total / 1_000)
        }
        1_000_000..1_000_000_000 => {
            let (point, fraction) = decimal(1_000_000, 6);
            format!("{sign}{}{point}{fraction}ms", total / 1_000_000)
        }
        _ => {
            let (point, fraction) = decimal(1_000_000_000, 9);
            let seconds = total / 1_000_000_000;
            let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
            let long = match (hours, minutes) {
                (0, 0) => String::new(),
                (0, minutes) => format!("{minutes}m"),
                (hours, minutes) => format!("{hours}h{minutes}m"),
            };
            format!("{sign}{long}{seconds}{point}{fraction}s")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_and_floats_compare_exactly() {
        assert_eq!(order_int_float(5, 5.0), Some(Ordering::Equal));
        assert_eq!(order_int_float(-1, -1.5), Some(Ordering::Greater));
        assert_eq!(order_int_float(i64::MAX, 9.3e18), Some(Ordering::Less));
        assert_eq!(
            order_int_float((1 << 53) + 1, 9_007_199_254_740_992.0),
            Some(Ordering::Greater)
        );
        assert_eq!(order_int_float(0, f64::NAN), None);
    }

    #[test]
    fn durations_read_as_people_write_them() {
        for (nanos, text) in [
            (0, "0s"),
            (7, "7ns"),
            (15_000, "15µs"),
            (293_750_000, "293.75ms"),
            (1_500_000_000, "1.5s"),
            (90_000_000_000, "1m30s"),
            (5_400_000_000_000, "1h30m0s"),
            (-1_000, "-1µs"),
        ] {
            assert_eq!(duration_text(nanos), text);
        }
    }
}
