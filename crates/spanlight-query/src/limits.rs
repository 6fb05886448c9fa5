//! How much a query may take, and what it says when it took that much.

use std::fmt;
use std::time::Duration;

use spanlight_model::TraceId;

/// What one engine allows its queries.
#[derive(Debug, Clone)]
pub struct QueryLimits {
    /// A search answers with what it has after this time.
    pub search_time_limit: Duration,
    /// Bytes that all running queries of the engine may hold together.
    pub memory_bytes: usize,
    /// The most traces that one answer may hold.
    pub traces_max: usize,
    /// The most series that one answer may hold.
    pub series_max: usize,
    /// The most spans of one trace that a search answer may hold.
    pub spans_per_trace_max: usize,
    /// A trace is in a time range when its own interval overlaps it, while what matches may lie before or after the
    /// range; matches up to this far outside are looked for.
    pub trace_length: Duration,
    /// The most rows that a statement of SQL may be answered with.
    pub sql_rows_max: usize,
    /// About as many bytes of rows may it be answered with.
    pub sql_bytes_max: usize,
}

impl Default for QueryLimits {
    fn default() -> Self {
        Self {
            search_time_limit: Duration::from_secs(10),
            memory_bytes: 96 << 20,
            traces_max: 1_000,
            series_max: 10_000,
            spans_per_trace_max: 100,
            trace_length: Duration::from_secs(15 * 60),
            sql_rows_max: 100_000,
            sql_bytes_max: 32 << 20,
        }
    }
}

/// Why an answer is not complete. `Display` says it to a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartialReason {
    /// The time was up.
    TimeLimit {
        /// The time that was allowed.
        limit: Duration,
    },
    /// The memory was full.
    MemoryLimit {
        /// The bytes that all running queries may hold.
        limit_bytes: usize,
    },
    /// A trace is too large for what memory was left, and was not looked at.
    TraceTooLarge {
        /// The trace.
        trace_id: TraceId,
    },
    /// There are more series than an answer may hold; the first of them are there.
    SeriesLimit {
        /// How many it may hold.
        limit: usize,
        /// How many there are.
        found: usize,
    },
    /// Traces of the range are longer than matches outside the range are looked for.
    LongTraces {
        /// How far they are.
        trace_length: Duration,
    },
    /// There are more things than were told apart or are given.
    TooMany {
        /// Which things.
        what: &'static str,
        /// How many were told apart or are given.
        limit: usize,
    },
    /// A part of the data could not be read.
    Unreadable {
        /// Which part, as the store names it.
        partition: String,
        /// What is wrong with it.
        message: String,
    },
}

impl PartialReason {
    /// A short name for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TimeLimit { .. } => "time_limit",
            Self::MemoryLimit { .. } => "memory_limit",
            Self::TraceTooLarge { .. } => "trace_too_large",
            Self::SeriesLimit { .. } => "series_limit",
            Self::LongTraces { .. } => "long_traces",
            Self::TooMany { .. } => "too_many",
            Self::Unreadable { .. } => "unreadable",
        }
    }
}

impl fmt::Display for PartialReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimeLimit { limit } => write!(
                formatter,
                "the search stopped after {limit:?}, its time limit; older traces may be missing: \
                 narrow the time range or the query"
            ),
            Self::MemoryLimit { limit_bytes } => write!(
                formatter,
                "the running queries filled the {limit_bytes} bytes that they may hold; older traces may be \
                 missing: narrow the time range or the query"
            ),
            Self::TraceTooLarge { trace_id } => write!(
                formatter,
                "trace {trace_id} does not fit the memory that queries may hold, and was not searched"
            ),
            Self::SeriesLimit { limit, found } => write!(
                formatter,
                "there are {found} series, of which the first {limit} by their labels are here: group by what has \
                 fewer values, or keep the greatest with topk"
            ),
            Self::LongTraces { trace_length } => write!(
                formatter,
                "there are traces longer than {trace_length:?}; those of which all that matches lies farther than \
                 that outside the time range may be missing: widen the range"
            ),
            Self::TooMany { what, limit } => {
                write!(
                    formatter,
                    "there are more than {limit} {what}; the rest is left out"
                )
            }
            Self::Unreadable { partition, message } => {
                write!(formatter, "{partition} could not be read: {message}")
            }
        }
    }
}
