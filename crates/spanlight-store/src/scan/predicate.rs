//! What predicates say of values, and of ranges of values.

use std::cmp::Ordering;

use arrow_array::{Array as _, StringArray};
use arrow_buffer::BooleanBuffer;

use super::filter::{Comparison, Literal, Predicate};

impl Predicate {
    /// Whether a text passes.
    pub(crate) fn passes_text(&self, text: &str) -> bool {
        match self {
            Self::Compare(comparison, Literal::String(literal)) => {
                comparison.holds(Some(text.as_bytes().cmp(literal.as_bytes())))
            }
            Self::OneOf(literals) => literals
                .iter()
                .any(|literal| matches!(literal, Literal::String(literal) if **literal == *text)),
            Self::Matches(test) => test.is_match(text),
            Self::Exists => true,
            Self::Compare(..) => false,
        }
    }

    /// One bit for each of these texts; those of nulls have no meaning.
    pub(crate) fn passes_texts(&self, texts: &StringArray) -> BooleanBuffer {
        match self {
            Self::Matches(test) => test.are_matches(texts),
            _ => BooleanBuffer::collect_bool(texts.len(), |at| self.passes_text(texts.value(at))),
        }
    }

    /// Whether an integer passes.
    pub(crate) fn passes_int(&self, number: i64) -> bool {
        let compare = |comparison: Comparison, literal: &Literal| match literal {
            Literal::Int(literal) => comparison.holds(Some(number.cmp(literal))),
            Literal::Double(literal) => comparison.holds(order_int_double(number, *literal)),
            Literal::String(_) | Literal::Bool(_) => false,
        };
        self.passes(compare)
    }

    /// Whether a float passes.
    pub(crate) fn passes_double(&self, number: f64) -> bool {
        let compare = |comparison: Comparison, literal: &Literal| match literal {
            Literal::Int(literal) => {
                comparison.holds(order_int_double(*literal, number).map(Ordering::reverse))
            }
            Literal::Double(literal) => comparison.holds(number.partial_cmp(literal)),
            Literal::String(_) | Literal::Bool(_) => false,
        };
        self.passes(compare)
    }

    /// Whether a truth value passes.
    pub(crate) fn passes_bool(&self, truth: bool) -> bool {
        let compare = |comparison: Comparison, literal: &Literal| match literal {
            Literal::Bool(literal) => comparison.holds(Some(truth.cmp(literal))),
            Literal::Int(_) | Literal::Double(_) | Literal::String(_) => false,
        };
        self.passes(compare)
    }

    fn passes(&self, compare: impl Fn(Comparison, &Literal) -> bool) -> bool {
        match self {
            Self::Compare(comparison, literal) => compare(*comparison, literal),
            Self::OneOf(literals) => literals
                .iter()
                .any(|literal| compare(Comparison::Equal, literal)),
            Self::Exists => true,
            Self::Matches(_) => false,
        }
    }

    /// Whether a text between these two, which are included, may pass.
    pub(crate) fn may_pass_texts(&self, min: &[u8], max: &[u8]) -> bool {
        self.may_pass(|comparison, literal| match literal {
            Literal::String(text) => {
                let text = text.as_bytes();
                comparison.may_hold(Some(min.cmp(text)), Some(max.cmp(text)))
            }
            Literal::Int(_) | Literal::Double(_) | Literal::Bool(_) => false,
        })
    }

    /// Whether an integer between these two, which are included, may pass.
    pub(crate) fn may_pass_ints(&self, min: i64, max: i64) -> bool {
        self.may_pass(|comparison, literal| match literal {
            Literal::Int(number) => {
                comparison.may_hold(Some(min.cmp(number)), Some(max.cmp(number)))
            }
            Literal::Double(number) => comparison.may_hold(
                order_int_double(min, *number),
                order_int_double(max, *number),
            ),
            Literal::String(_) | Literal::Bool(_) => false,
        }) && !matches!(self, Self::Matches(_))
    }

    /// Whether a float between these two, which are included, or NaN may pass.
    pub(crate) fn may_pass_doubles(&self, min: f64, max: f64) -> bool {
        self.may_pass(|comparison, literal| {
            let (low, high) = match literal {
                Literal::Int(number) => (
                    order_int_double(*number, min).map(Ordering::reverse),
                    order_int_double(*number, max).map(Ordering::reverse),
                ),
                Literal::Double(number) => (min.partial_cmp(number), max.partial_cmp(number)),
                Literal::String(_) | Literal::Bool(_) => return false,
            };
            // Bounds do not tell of NaN, which differs from everything.
            comparison == Comparison::NotEqual || comparison.may_hold(low, high)
        }) && !matches!(self, Self::Matches(_))
    }

    fn may_pass(&self, compare: impl Fn(Comparison, &Literal) -> bool) -> bool {
        match self {
            Self::Compare(comparison, literal) => compare(*comparison, literal),
            Self::OneOf(literals) => literals
                .iter()
                .any(|literal| compare(Comparison::Equal, literal)),
            Self::Exists | Self::Matches(_) => true,
        }
    }

    /// The values that alone pass, where the predicate names them.
    pub(crate) fn literals(&self) -> Option<&[Literal]> {
        match self {
            Self::Compare(Comparison::Equal, literal) => Some(std::slice::from_ref(literal)),
            Self::OneOf(literals) => Some(literals),
            Self::Compare(..) | Self::Exists | Self::Matches(_) => None,
        }
    }
}

impl Comparison {
    /// Whether it holds of a value that stands so to the literal. Without an order (NaN) values only differ.
    fn holds(self, ordering: Option<Ordering>) -> bool {
        let Some(ordering) = ordering else {
            return self == Self::NotEqual;
        };
        match self {
            Self::Equal => ordering.is_eq(),
            Self::NotEqual => ordering.is_ne(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }

    /// Whether it may hold of a value between two that stand so to the literal.
    fn may_hold(self, min: Option<Ordering>, max: Option<Ordering>) -> bool {
        let (Some(min), Some(max)) = (min, max) else {
            return self == Self::NotEqual;
        };
        match self {
            Self::Equal => min.is_le() && max.is_ge(),
            Self::NotEqual => min.is_ne() || max.is_ne(),
            Self::Less => min.is_lt(),
            Self::LessOrEqual => min.is_le(),
            Self::Greater => max.is_gt(),
            Self::GreaterOrEqual => max.is_ge(),
        }
    }
}

/// Exact, also beyond 2^53; `None` for NaN.
fn order_int_double(int: i64, double: f64) -> Option<Ordering> {
    const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
    if double.is_nan() {
        None
    } else if double >= TWO_TO_63 {
        Some(Ordering::Less)
    } else if double < -TWO_TO_63 {
        Some(Ordering::Greater)
    } else {
        let whole = double.trunc();
        match int.cmp(&(whole as i64)) {
            Ordering::Equal => 0.0_f64.partial_cmp(&(double - whole)),
            other => Some(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::TextTest;

    const COMPARISONS: [Comparison; 6] = [
        Comparison::Equal,
        Comparison::NotEqual,
        Comparison::Less,
        Comparison::LessOrEqual,
        Comparison::Greater,
        Comparison::GreaterOrEqual,
    ];

    fn check(comparison: Comparison, literal: Literal) -> Predicate {
        Predicate::Compare(comparison, literal)
    }

    #[test]
    fn numbers_compare_exactly_whatever_their_types() {
        let equal = |literal| check(Comparison::Equal, literal);
        assert!(equal(Literal::Int(5)).passes_double(5.0));
        assert!(equal(Literal::Double(5.0)).passes_int(5));
        assert!(!equal(Literal::Double(9_007_199_254_740_992.0)).passes_int((1 << 53) + 1));
        assert!(!equal(Literal::from("5")).passes_int(5));
        assert!(!equal(Literal::Bool(true)).passes_int(1));
        assert!(!equal(Literal::Double(f64::NAN)).passes_double(f64::NAN));
        assert!(check(Comparison::NotEqual, Literal::Int(1)).passes_double(f64::NAN));
        assert!(!check(Comparison::NotEqual, Literal::Int(1)).passes_text("x"));
        assert!(check(Comparison::Greater, Literal::Double(-1.5)).passes_int(-1));
    }

    #[test]
    fn a_range_may_pass_when_a_value_in_it_passes() {
        for comparison in COMPARISONS {
            for literal in -4..=4 {
                let ints = check(comparison, Literal::Int(literal));
                let text = Literal::from(
                    char::from(b'f'.wrapping_add_signed(literal as i8))
                        .to_string()
                        .as_str(),
                );
                let texts = check(comparison, text);
                for min in -3_i64..=3 {
                    for max in min..=3 {
                        let any = (min..=max).any(|number| ints.passes_int(number));
                        assert!(!any || ints.may_pass_ints(min, max));
                        assert!(!any || ints.may_pass_doubles(min as f64, max as f64));
                        // A range of integers is exact.
                        assert_eq!(any, ints.may_pass_ints(min, max));
                        let letter = |number: i64| [b'f'.wrapping_add_signed(number as i8)];
                        let any = (min..=max)
                            .any(|n| texts.passes_text(&String::from_utf8_lossy(&letter(n))));
                        assert!(!any || texts.may_pass_texts(&letter(min), &letter(max)));
                    }
                }
            }
        }
        let test = Predicate::Matches(TextTest::new("any", |_| true));
        assert!(test.may_pass_texts(b"a", b"b") && !test.may_pass_ints(0, 1));
    }
}
