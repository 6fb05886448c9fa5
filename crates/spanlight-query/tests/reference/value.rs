//! Values, and the rules by which they compare and are calculated with.

use spanlight_model::AnyValue;
use spanlight_traceql::Pattern;
use spanlight_traceql::ast::{Arithmetic, Comparison, Kind, Static, Status};

/// An attribute's value as it was sent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Stored {
    Null,
    Bytes,
    Map,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'static str),
    List(Vec<Stored>),
}

/// The value of an expression.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// Nanoseconds.
    Duration(i64),
    Text(String),
    TraceId(u128),
    Status(Status),
    Kind(Kind),
    /// Not empty, and all elements of one type.
    List(Vec<Value>),
}

impl Stored {
    /// What a query sees: null, bytes, maps, and lists that are empty or mixed are as if they were not there.
    pub(crate) fn seen(&self) -> Value {
        match self {
            Self::Null | Self::Bytes | Self::Map => Value::Nil,
            Self::Bool(truth) => Value::Bool(*truth),
            Self::Int(number) => Value::Int(*number),
            Self::Float(number) => Value::Float(*number),
            Self::Text(text) => Value::Text((*text).to_owned()),
            Self::List(items) => {
                let seen: Vec<Value> = items.iter().map(Self::seen).collect();
                let Some(first) = seen.first() else {
                    return Value::Nil;
                };
                let is_scalar = |it: &Value| {
                    !matches!(it, Value::Nil | Value::List(_))
                        && std::mem::discriminant(it) == std::mem::discriminant(first)
                };
                match seen.iter().all(is_scalar) {
                    true => Value::List(seen),
                    false => Value::Nil,
                }
            }
        }
    }
}

impl Value {
    pub(crate) fn of_static(literal: &Static) -> Self {
        match literal {
            Static::Nil => Self::Nil,
            Static::Int(number) => Self::Int(*number),
            Static::Float(number) => Self::Float(*number),
            Static::String(text) => Self::Text(text.clone()),
            Static::Bool(truth) => Self::Bool(*truth),
            Static::Duration(nanos) => Self::Duration(*nanos),
            Static::Status(status) => Self::Status(*status),
            Static::Kind(kind) => Self::Kind(*kind),
        }
    }

    /// Numbers by value, durations in nanoseconds.
    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Self::Int(number) | Self::Duration(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            _ => None,
        }
    }

    /// Whether a condition that is this value holds.
    pub(crate) fn holds(&self) -> bool {
        match self {
            Self::Bool(truth) => *truth,
            Self::List(items) => items.contains(&Self::Bool(true)),
            _ => false,
        }
    }

    /// Whether `by()` puts both into one group: the same value of the same type.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Float(left), Self::Float(right)) => left.to_bits() == right.to_bits(),
            _ => self == other,
        }
    }

    /// As answers show it.
    pub(crate) fn shown_or_nil(&self) -> AnyValue {
        let text = |text: &str| AnyValue::String(text.to_owned());
        match self {
            Self::Nil => text("nil"),
            Self::Bool(truth) => AnyValue::Bool(*truth),
            Self::Int(number) => AnyValue::Int(*number),
            Self::Float(number) => AnyValue::Double(*number),
            Self::Duration(nanos) => AnyValue::String(duration_text(*nanos)),
            Self::Text(it) => text(it),
            Self::TraceId(id) => AnyValue::String(format!("{id:032x}")),
            Self::Status(status) => text(status.as_str()),
            Self::Kind(kind) => text(kind.as_str()),
            Self::List(items) => AnyValue::Array(items.iter().map(Self::shown_or_nil).collect()),
        }
    }
}

/// In one unit below a minute, else in hours, minutes and seconds.
fn duration_text(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let size = nanos.unsigned_abs();
    let decimal = |unit: u64, digits: usize, name: &str| {
        let text = format!("{}.{:0digits$}", size / unit, size % unit);
        format!("{}{name}", text.trim_end_matches('0').trim_end_matches('.'))
    };
    let text = match size {
        0 => "0s".to_owned(),
        1..1_000 => format!("{size}ns"),
        1_000..1_000_000 => decimal(1_000, 3, "µs"),
        1_000_000..1_000_000_000 => decimal(1_000_000, 6, "ms"),
        _ => {
            let (minutes, rest) = (size / 60_000_000_000, size % 60_000_000_000);
            let text = format!("{}.{:09}", rest / 1_000_000_000, rest % 1_000_000_000);
            let seconds = text.trim_end_matches('0').trim_end_matches('.');
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{seconds}s"),
                (0, minutes) => format!("{minutes}m{seconds}s"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
            }
        }
    };
    format!("{sign}{text}")
}

/// `left OP right`. A list meets the other side with any of its elements; with `!=` it wants none that is equal.
pub(crate) fn compare(operator: Comparison, left: &Value, right: &Value) -> bool {
    let pairs = || {
        elements(left)
            .iter()
            .flat_map(|l| elements(right).iter().map(move |r| (l, r)))
    };
    if !pairs().all(|(l, r)| meet(l, r)) {
        return false;
    }
    match operator {
        Comparison::NotEqual => !pairs().any(|(l, r)| holds(Comparison::Equal, l, r)),
        _ => pairs().any(|(l, r)| holds(operator, l, r)),
    }
}

fn elements(value: &Value) -> &[Value] {
    match value {
        Value::List(items) => items,
        single => std::slice::from_ref(single),
    }
}

/// Numbers and durations meet one another, everything else its own type; nothing meets nil.
fn meet(left: &Value, right: &Value) -> bool {
    use Value as V;
    match (left, right) {
        (V::Nil, _) | (_, V::Nil) => false,
        (V::TraceId(_), V::Text(_)) | (V::Text(_), V::TraceId(_)) => true,
        _ if left.number().is_some() => right.number().is_some(),
        _ => std::mem::discriminant(left) == std::mem::discriminant(right),
    }
}

/// Of two scalars that meet.
fn holds(operator: Comparison, left: &Value, right: &Value) -> bool {
    use Value as V;
    let ordering = match (left, right) {
        (V::Text(left), V::Text(right)) => left.as_bytes().partial_cmp(right.as_bytes()),
        (V::TraceId(id), V::Text(text)) | (V::Text(text), V::TraceId(id)) => {
            let is_equal = text.len() <= 32
                && !text.is_empty()
                && text.trim_start_matches('0') == format!("{id:x}").trim_start_matches('0');
            is_equal.then_some(std::cmp::Ordering::Equal)
        }
        (V::Int(left) | V::Duration(left), V::Int(right) | V::Duration(right)) => {
            left.partial_cmp(right)
        }
        _ => match (left.number(), right.number()) {
            (Some(left), Some(right)) => left.partial_cmp(&right),
            _ => (left == right).then_some(std::cmp::Ordering::Equal),
        },
    };
    let is = |test: fn(std::cmp::Ordering) -> bool| ordering.is_some_and(test);
    match operator {
        Comparison::Equal => is(std::cmp::Ordering::is_eq),
        Comparison::NotEqual => !is(std::cmp::Ordering::is_eq),
        Comparison::Less => is(std::cmp::Ordering::is_lt),
        Comparison::LessOrEqual => is(std::cmp::Ordering::is_le) && has_order(left),
        Comparison::Greater => is(std::cmp::Ordering::is_gt),
        Comparison::GreaterOrEqual => is(std::cmp::Ordering::is_ge) && has_order(left),
    }
}

fn has_order(value: &Value) -> bool {
    value.number().is_some() || matches!(value, Value::Text(_) | Value::TraceId(_))
}

/// `value =~ pattern`, or `!~`: of texts only; of a list, `=~` wants any element, `!~` none.
pub(crate) fn matches(value: &Value, pattern: &Pattern, negated: bool) -> bool {
    let texts: Vec<Vec<String>> = elements(value)
        .iter()
        .map(|element| match element {
            Value::Text(text) => vec![text.clone()],
            // With leading zeros and without.
            Value::TraceId(id) => vec![format!("{id:032x}"), format!("{id:x}")],
            _ => Vec::new(),
        })
        .collect();
    let all_are_texts = texts.iter().all(|forms| !forms.is_empty());
    let any = texts.iter().flatten().any(|text| pattern.is_match(text));
    all_are_texts && any != negated
}

/// `left OP right`: nil when an operand is no number.
pub(crate) fn calculate(operator: Arithmetic, left: &Value, right: &Value) -> Value {
    use Value as V;
    let (Some(l), Some(r)) = (left.number(), right.number()) else {
        return V::Nil;
    };
    let of_floats = match operator {
        Arithmetic::Add => l + r,
        Arithmetic::Subtract => l - r,
        Arithmetic::Multiply => l * r,
        Arithmetic::Divide => l / r,
        Arithmetic::Remainder => l % r,
        Arithmetic::Power => l.powf(r),
    };
    let is_duration = matches!(left, V::Duration(_)) || matches!(right, V::Duration(_));
    let (l, r) = match (left, right) {
        (V::Duration(_), V::Duration(_)) if operator == Arithmetic::Divide => {
            return V::Float(of_floats);
        }
        (V::Int(l) | V::Duration(l), V::Int(r) | V::Duration(r)) => (*l, *r),
        _ if is_duration => return V::Duration(of_floats as i64),
        _ => return V::Float(of_floats),
    };
    let whole = match operator {
        Arithmetic::Add => l.wrapping_add(r),
        Arithmetic::Subtract => l.wrapping_sub(r),
        Arithmetic::Multiply => l.wrapping_mul(r),
        Arithmetic::Divide | Arithmetic::Remainder if r == 0 => return V::Nil,
        Arithmetic::Divide => l.wrapping_div(r),
        Arithmetic::Remainder => l.wrapping_rem(r),
        // A whole power of a whole number is whole; 2 ^ -1 is a half.
        Arithmetic::Power if r < 0 => return V::Float(of_floats),
        Arithmetic::Power => l.wrapping_pow(u32::try_from(r).unwrap_or(u32::MAX)),
    };
    match is_duration {
        true => V::Duration(whole),
        false => V::Int(whole),
    }
}

/// The order of `order by`: types apart, and what has no value last, either way round.
pub(crate) fn in_order(left: &Value, right: &Value, descending: bool) -> std::cmp::Ordering {
    let has_none = |value: &Value| match value {
        Value::Float(number) => number.is_nan(),
        value => *value == Value::Nil,
    };
    if has_none(left) || has_none(right) {
        return has_none(left).cmp(&has_none(right));
    }
    let rank = |value: &Value| match value {
        Value::Int(_) | Value::Float(_) | Value::Duration(_) => (0, 0),
        Value::Text(_) => (1, 0),
        Value::TraceId(_) => (2, 0),
        Value::Bool(truth) => (3, i32::from(*truth)),
        Value::Status(status) => (4, *status as i32),
        Value::Kind(kind) => (5, *kind as i32),
        Value::List(_) => (6, 0),
        Value::Nil => (7, 0),
    };
    let within = match (left, right) {
        (Value::Text(left), Value::Text(right)) => left.as_bytes().cmp(right.as_bytes()),
        (Value::TraceId(left), Value::TraceId(right)) => left.cmp(right),
        (Value::Int(left) | Value::Duration(left), Value::Int(right) | Value::Duration(right)) => {
            left.cmp(right)
        }
        _ => match (left.number(), right.number()) {
            (Some(left), Some(right)) => left.partial_cmp(&right).unwrap(),
            _ => std::cmp::Ordering::Equal,
        },
    };
    let ordering = rank(left).cmp(&rank(right)).then(within);
    if descending {
        ordering.reverse()
    } else {
        ordering
    }
}
