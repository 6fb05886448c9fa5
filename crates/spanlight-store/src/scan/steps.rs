//! Times of which only the step counts, such as the interval of a time series that a span falls into.

use std::ops::Range;

/// Steps of one length, as far as they lie in a range. Before and after it a time is in no step, and not told from
/// other such times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Steps {
    range: Range<i64>,
    first: i64,
    length: i64,
}

impl Steps {
    /// Steps that begin at `first` and every `length` after it, all in unix nanoseconds.
    #[must_use]
    pub fn new(range: Range<i64>, first: i64, length: i64) -> Self {
        Self {
            range,
            first,
            length: length.max(1),
        }
    }

    /// Whether nothing tells the times apart that are not before `from` and not after `to`.
    pub(crate) fn are_one(&self, from: i64, to: i64) -> bool {
        self.place(from) == self.place(to)
    }

    fn place(&self, time: i64) -> i64 {
        if time < self.range.start {
            i64::MIN
        } else if time >= self.range.end {
            i64::MAX
        } else {
            time.saturating_sub(self.first).div_euclid(self.length)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_apart_by_their_steps_and_by_the_range() {
        let steps = Steps::new(15..47, 10, 10);
        assert!(steps.are_one(15, 19) && steps.are_one(20, 29) && steps.are_one(40, 46));
        assert!(steps.are_one(-100, 14) && steps.are_one(47, 1_000));
        assert!(!steps.are_one(14, 15) && !steps.are_one(19, 20) && !steps.are_one(46, 47));
        assert!(!steps.are_one(0, 100) && !steps.are_one(20, 40));
    }
}
