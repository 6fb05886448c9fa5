//! Questions about metrics, and their answers.

use std::ops::Range;
use std::time::Duration;

use spanlight_model::AnyValue;

use crate::answer::Inspected;
use crate::explain::Explanation;
use crate::limits::PartialReason;

/// A question about metrics.
#[derive(Debug, Clone)]
pub struct MetricsRequest {
    /// TraceQL that ends in a metrics function. Blank text is the rate of all spans.
    pub query: String,
    /// Unix nanoseconds, the end not included: spans count at their start.
    pub time_range: Range<i64>,
    /// The length of an interval. Intervals begin at its multiples since 1970.
    pub step: Duration,
}

/// Time series.
#[derive(Debug, Clone, Default)]
pub struct MetricsAnswer {
    /// By their labels.
    pub series: Vec<Series>,
    /// Empty when the answer is complete.
    pub partial: Vec<PartialReason>,
    /// What was looked at.
    pub inspected: Inspected,
    /// How the question was gone about.
    pub explanation: Explanation,
}

/// A time series.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The fields of `by (…)` and their values, `None` where the spans have none; `p` for a quantile.
    pub labels: Vec<(String, Option<AnyValue>)>,
    /// By time; intervals without a value are left out.
    pub points: Vec<Point>,
}

/// The value of an interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// The start of the interval, in unix nanoseconds.
    pub start_time_unix_nano: i64,
    /// Durations in seconds.
    pub value: f64,
}
