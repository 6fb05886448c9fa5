//! Durations, counted in buckets that are an eighth of a power of two wide.

use serde::{Deserialize, Serialize};

/// Buckets of a power of two, as a power of two.
const STEP_BITS: u32 = 3;

/// Durations by bucket. A bucket's bounds differ by at most an eighth, so a quantile is off by at most that.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DurationHistogram {
    /// Bucket and weight, by growing bucket.
    buckets: Vec<(u16, f64)>,
    sum_nano: f64,
}

impl DurationHistogram {
    pub(super) fn add(&mut self, duration_nano: i64, weight: f64) {
        let duration = u64::try_from(duration_nano).unwrap_or(0);
        self.sum_nano += duration as f64 * weight;
        let bucket = bucket_of(duration);
        match self
            .buckets
            .binary_search_by_key(&bucket, |(bucket, _)| *bucket)
        {
            Ok(at) => self.buckets[at].1 += weight,
            Err(at) => self.buckets.insert(at, (bucket, weight)),
        }
    }

    /// The sum of all durations, in nanoseconds.
    #[must_use]
    pub fn sum_nano(&self) -> f64 {
        self.sum_nano
    }

    /// Upper bound in nanoseconds, not included, and weight of each bucket that is not empty, from the shortest on.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, f64)> {
        self.buckets
            .iter()
            .map(|&(bucket, weight)| (upper_bound(bucket), weight))
    }

    /// The duration that this part of all, from 0 to 1, does not exceed; the upper bound of its bucket, in
    /// nanoseconds. `None` of nothing.
    #[must_use]
    pub fn quantile_nano(&self, part: f64) -> Option<u64> {
        let total: f64 = self.buckets.iter().map(|(_, weight)| weight).sum();
        let wanted = total * part.clamp(0.0, 1.0);
        let mut below = 0.0;
        let found = self.buckets().find(|(_, weight)| {
            below += weight;
            below >= wanted
        });
        found.map(|(bound, _)| bound)
    }
}

/// Log-linear: the power of two, and the next bits after the leading one.
fn bucket_of(duration: u64) -> u16 {
    if duration < 1 << STEP_BITS {
        return duration as u16;
    }
    let power = duration.ilog2();
    let step = (duration >> (power - STEP_BITS)) & ((1 << STEP_BITS) - 1);
    (((power - STEP_BITS + 1) << STEP_BITS) as u16) | step as u16
}

fn upper_bound(bucket: u16) -> u64 {
    let (octave, step) = (u32::from(bucket) >> STEP_BITS, u64::from(bucket) & 7);
    if octave == 0 {
        return step + 1;
    }
    let shift = octave - 1;
    ((1 << STEP_BITS) + step + 1)
        .checked_shl(shift)
        .unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_is_below_its_bound_by_an_eighth_at_most() {
        let powers = (0..63).map(|power| 1_u64 << power);
        let durations = powers.flat_map(|power| [power - 1, power, power + 1, power + power / 3]);
        for duration in durations {
            let bound = upper_bound(bucket_of(duration));
            assert!(duration < bound, "{duration} {bound}");
            assert!(
                bound - duration <= 1 + duration / 8 + 1,
                "{duration} {bound}"
            );
        }
    }

    #[test]
    fn quantiles_are_of_weights() {
        let mut histogram = DurationHistogram::default();
        assert_eq!(histogram.quantile_nano(0.5), None);
        histogram.add(5, 90.0);
        histogram.add(1_000, 10.0);
        histogram.add(-3, 0.0);
        assert_eq!(histogram.quantile_nano(0.9), Some(6));
        assert_eq!(histogram.quantile_nano(0.91), Some(1_024));
        assert_eq!(histogram.sum_nano(), 10_450.0);
    }
}
