//! Questions about metrics, and their answers.

use std::ops::Range;
use std::time::Duration;

use spanlight_model::{AnyValue, SpanId, TraceId};

use crate::answer::Inspected;
use crate::explain::Explanation;
use crate::limits::PartialReason;

/// A question about metrics.
#[derive(Debug, Clone, Default)]
pub struct MetricsRequest {
    /// TraceQL that ends in a metrics function. Blank text is the rate of all spans.
    pub query: String,
    /// Unix nanoseconds, the end not included: spans count at their start.
    pub time_range: Range<i64>,
    /// The length of an interval; `None` makes one interval of the whole range.
    pub step: Option<Duration>,
    /// Intervals begin at multiples of the step from this time, in unix nanoseconds. With 1, they end with a multiple
    /// since 1970 instead of beginning with one.
    pub origin: i64,
    /// The most spans to give as examples of points.
    pub exemplars: usize,
}

/// Time series.
#[derive(Debug, Clone, Default)]
pub struct MetricsAnswer {
    /// What the values are, such as `rate`, or `(rate / rate)`.
    pub name: String,
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
    /// The fields of `by (…)` and their values, `None` where the spans have none; `p` for a quantile, `__bucket` for
    /// the greatest value of a histogram's bucket, `__meta_type` for what `compare` counts.
    pub labels: Vec<(String, Option<AnyValue>)>,
    /// By time. Where no span is, rates and counts are zero, and other functions have no point.
    pub points: Vec<Point>,
    /// Spans that stand for points, by time.
    pub exemplars: Vec<Exemplar>,
}

/// A span as an example of what a series counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar {
    /// Its trace.
    pub trace_id: TraceId,
    /// The span.
    pub span_id: SpanId,
    /// Its start.
    pub time_unix_nano: i64,
    /// What is measured of it, durations in seconds; of rates and counts, the point's value.
    pub value: f64,
}

/// The value of an interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// The start of the interval, in unix nanoseconds.
    pub start_time_unix_nano: i64,
    /// Durations in seconds.
    pub value: f64,
}
