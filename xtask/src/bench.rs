//! Measurements. They print figures and judge nothing: a busy machine must not fail a build.

mod answer;
mod cache;
mod fill;
pub(crate) mod ingest;
mod large;
mod metrics;
pub(crate) mod options;
mod probe;
mod proc;
pub(crate) mod progress;
pub(crate) mod query;
mod question;
mod report;
mod settle;
pub(crate) mod start;
pub(crate) mod store;
mod truth;

use std::time::Duration;

/// The value below which `percent` of the sorted values lie.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(index).copied().unwrap_or_default()
}

fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 100_000.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_value_that_was_measured() {
        let sorted: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(percentile(&sorted, 50), Duration::from_millis(50));
        assert_eq!(percentile(&sorted, 99), Duration::from_millis(99));
        assert_eq!(percentile(&sorted[..1], 99), Duration::from_millis(1));
        assert_eq!(percentile(&[], 50), Duration::ZERO);
    }
}
