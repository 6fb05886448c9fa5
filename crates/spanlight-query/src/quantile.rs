//! What a quantile is, wherever one is asked for: a value that is there, never one between two.

/// The position of a quantile among so many sorted values: that of the least value that at least this part of them does
/// not exceed. `None` of no values.
pub(crate) fn rank_of(quantile: f64, count: u64) -> Option<u64> {
    let rank = (quantile * count as f64).ceil() as u64;
    (count > 0).then(|| rank.clamp(1, count) - 1)
}
