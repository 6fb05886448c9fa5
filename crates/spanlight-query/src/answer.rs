//! What a search is asked and what it answers.

use std::ops::Range;

use spanlight_model::{AnyValue, SpanId, TraceId};

use crate::explain::Explanation;
use crate::limits::PartialReason;

/// A search.
#[derive(Debug, Clone)]
pub struct SearchRequest {
    /// TraceQL. Blank text finds every trace.
    pub query: String,
    /// Unix nanoseconds; a trace is found when its interval overlaps the range, both ends included.
    pub time_range: Range<i64>,
    /// The most traces to answer with.
    pub limit: usize,
    /// The most matched spans of a trace to answer with; [`TraceSummary::matched`] counts them all.
    pub spans_per_trace: usize,
    /// [`SearchAnswer::next_cursor`] of the page before.
    pub cursor: Option<String>,
}

/// What a search found.
#[derive(Debug, Clone, Default)]
pub struct SearchAnswer {
    /// Newest first, by the start of the trace, then by id; or in the order that the query gives.
    pub traces: Vec<TraceSummary>,
    /// Continues after the last trace; `None` when there is no more.
    pub next_cursor: Option<String>,
    /// Empty when the answer is complete.
    pub partial: Vec<PartialReason>,
    /// What the search looked at.
    pub inspected: Inspected,
    /// How it went about it.
    pub explanation: Explanation,
}

/// What a search looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Inspected {
    /// Spans, each time they were read.
    pub spans: u64,
    /// Traces that were assembled.
    pub traces: u64,
    /// Bytes of columns in memory.
    pub bytes: u64,
    /// Partitions (batches and files) that were read.
    pub partitions: u64,
}

impl Inspected {
    pub(crate) fn add(&mut self, other: Self) {
        self.spans += other.spans;
        self.traces += other.traces;
        self.bytes += other.bytes;
        self.partitions += other.partitions;
    }
}

/// A trace that was found: the whole trace in short, and what of it matched.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceSummary {
    /// The trace.
    pub trace_id: TraceId,
    /// The service of the root; `None` when the root has none, or is missing.
    pub root_service_name: Option<String>,
    /// The name of the root; `None` when the root is missing.
    pub root_name: Option<String>,
    /// The start of the earliest span.
    pub start_time_unix_nano: i64,
    /// From the earliest start to the latest end.
    pub duration_nano: i64,
    /// All spans of the trace.
    pub span_count: u32,
    /// Those with status error.
    pub error_count: u32,
    /// Whether a span says `faas.coldstart = true`.
    pub has_cold_start: bool,
    /// By service, most spans first.
    pub services: Vec<ServiceSummary>,
    /// How many spans of the first span set matched.
    pub matched: u32,
    /// The first of them, by time.
    pub spans: Vec<MatchedSpan>,
    /// Aggregates and groups of the first span set, keyed by their text in the query, such as `count()`.
    pub attributes: Vec<(String, AnyValue)>,
    /// The further span sets, when `by()` made more than one.
    pub more_span_sets: Vec<SpanSet>,
}

/// The spans of one service in a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceSummary {
    /// `service.name`.
    pub name: Option<String>,
    /// Spans of the service.
    pub span_count: u32,
    /// Those with status error.
    pub error_count: u32,
}

/// Spans of one trace that matched together.
#[derive(Debug, Clone, PartialEq)]
pub struct SpanSet {
    /// How many there are.
    pub matched: u32,
    /// The first of them, by time.
    pub spans: Vec<MatchedSpan>,
    /// Aggregates and groups, keyed by their text in the query.
    pub attributes: Vec<(String, AnyValue)>,
}

/// A span that matched.
#[derive(Debug, Clone, PartialEq)]
pub struct MatchedSpan {
    /// The span.
    pub span_id: SpanId,
    /// Its name.
    pub name: String,
    /// Its service.
    pub service_name: Option<String>,
    /// Its start.
    pub start_time_unix_nano: i64,
    /// From start to end, zero where the end is before the start.
    pub duration_nano: i64,
    /// The values of what the query mentions or selects; keys without their scope.
    pub attributes: Vec<(String, AnyValue)>,
}
