//! What a decoder kept, and what it did not and why.

use spanlight_model::SpanBatch;

/// A body that was read.
#[derive(Debug)]
pub struct Decoded {
    /// The spans that were kept, in the order sent.
    pub batch: SpanBatch,
    /// What was not.
    pub report: DecodeReport,
}

/// What was left out of a batch, for metrics and for the client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DecodeReport {
    /// Spans that were refused; the sum of `rejections`.
    pub rejected_spans: u64,
    /// Attributes that were left out of spans, events, links, resources and scopes.
    pub dropped_attributes: u64,
    /// Events that were left out of spans.
    pub dropped_events: u64,
    /// Links that were left out of spans.
    pub dropped_links: u64,
    /// The refused spans by reason.
    pub rejections: RejectionCounts,
    /// What to tell the client: the first problem with its place, and how much more there was. Also set where
    /// nothing was rejected, as a warning.
    pub message: Option<String>,
}

/// Why a span was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RejectReason {
    /// The trace id is missing or zero.
    ZeroTraceId,
    /// The span id is missing or zero.
    ZeroSpanId,
    /// An id is of the wrong length, or is no number.
    BadId,
    /// The request had more spans than [`crate::DecodeLimits::spans_per_request`].
    TooManySpans,
}

impl RejectReason {
    /// Every reason.
    pub const ALL: [Self; 4] = [
        Self::ZeroTraceId,
        Self::ZeroSpanId,
        Self::BadId,
        Self::TooManySpans,
    ];

    /// The word for metric labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ZeroTraceId => "zero_trace_id",
            Self::ZeroSpanId => "zero_span_id",
            Self::BadId => "bad_id",
            Self::TooManySpans => "too_many_spans",
        }
    }
}

/// How many spans were refused, by reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RejectionCounts([u64; RejectReason::ALL.len()]);

impl RejectionCounts {
    /// How many were refused for this reason.
    #[must_use]
    pub fn get(&self, reason: RejectReason) -> u64 {
        self.0[reason as usize]
    }

    /// The reasons that occurred, and how often.
    pub fn iter(&self) -> impl Iterator<Item = (RejectReason, u64)> + '_ {
        RejectReason::ALL
            .into_iter()
            .map(|reason| (reason, self.get(reason)))
            .filter(|&(_, count)| count > 0)
    }

    pub(crate) fn add(&mut self, reason: RejectReason, count: u64) {
        self.0[reason as usize] += count;
    }
}
