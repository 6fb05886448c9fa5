//! The order of spans within a set, and what is found by rank.

use std::cmp::Ordering;

use spanlight_traceql::ast::{Comparison, Kind, Status};

use crate::predicate::{Scalar, compare};
use crate::quantile::rank_of;

/// Puts spans in the order of their values, those of one value in the order in which they are. What has no value
/// comes last, either way round.
pub(super) fn sort(spans: &mut [(Scalar<'_>, usize)], descending: bool) {
    spans.sort_by(|(left, _), (right, _)| {
        let has_none = |value: &Scalar<'_>| class(value) == NO_VALUE;
        let lacking = has_none(left).cmp(&has_none(right));
        lacking.then_with(|| match descending {
            true => order(right, left),
            false => order(left, right),
        })
    });
}

/// The value at this part of all values in order. `None` of no numbers.
pub(super) fn quantile<'a>(
    values: impl Iterator<Item = Scalar<'a>>,
    quantile: f64,
) -> Option<Scalar<'a>> {
    let mut numbers: Vec<Scalar<'a>> = values
        .filter(|value| value.as_f64().is_some_and(|number| !number.is_nan()))
        .collect();
    numbers.sort_by(order);
    let rank = rank_of(quantile, numbers.len() as u64)?;
    Some(numbers.swap_remove(usize::try_from(rank).ok()?))
}

/// The place of a number or duration: the greater comes earlier. What has none comes last, as the least.
pub(super) fn place(value: &Scalar<'_>, descending: bool) -> i64 {
    let Some(number) = value.as_f64().filter(|number| !number.is_nan()) else {
        return i64::MIN;
    };
    let number = if descending { number } else { -number };
    // In the order of the numbers, above what has none.
    let bits = number.to_bits() as i64;
    let ordered = if bits < 0 {
        i64::MIN.wrapping_sub(bits)
    } else {
        bits
    };
    ordered.max(i64::MIN + 1)
}

/// Values of different types do not mix: numbers and durations, texts, truth values, statuses, kinds. Of lists any
/// element may be the lesser one, which is no order, so all are alike.
fn order(left: &Scalar<'_>, right: &Scalar<'_>) -> Ordering {
    class(left).cmp(&class(right)).then_with(|| {
        if matches!(left, Scalar::Array(_)) {
            Ordering::Equal
        } else if compare(Comparison::Less, left, right) {
            Ordering::Less
        } else if compare(Comparison::Greater, left, right) {
            Ordering::Greater
        } else {
            Ordering::Equal
        }
    })
}

const NO_VALUE: usize = usize::MAX;

/// What is not compared has its order here.
fn class(value: &Scalar<'_>) -> usize {
    let place = |place: Option<usize>| place.unwrap_or_default();
    match value {
        Scalar::Int(_) | Scalar::Duration(_) => 0,
        Scalar::Float(number) if !number.is_nan() => 0,
        Scalar::Text(_) => 1,
        Scalar::TraceId(_) => 2,
        Scalar::Bool(truth) => 3 + usize::from(*truth),
        Scalar::Status(status) => 5 + place(Status::ALL.iter().position(|it| it == status)),
        Scalar::Kind(kind) => 8 + place(Kind::ALL.iter().position(|it| it == kind)),
        Scalar::Array(_) => 14,
        Scalar::Nil | Scalar::Float(_) => NO_VALUE,
    }
}
