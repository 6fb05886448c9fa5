//! Questions about spans: TraceQL over the store, and traces assembled from their spans.
//!
//! Owns the way from a query's syntax tree to DataFusion plans and typed answers, and the shape of a trace. The
//! language is `spanlight-traceql`'s, the data is `spanlight-store`'s, and what an answer looks like on a wire or a
//! page is the edge's.

mod answer;
mod attributes;
mod background;
mod candidates;
mod completion;
mod cursor;
mod decide;
mod engine;
mod error;
mod explain;
mod limits;
mod load;
mod metrics;
mod parallel;
mod plan;
mod predicate;
mod quantile;
mod scan;
mod search;
mod spanset;
mod sql;
mod summary;
mod trace;
mod traces;
mod tree;

pub use answer::{
    Inspected, MatchedSpan, SearchAnswer, SearchRequest, ServiceSummary, SpanSet, TraceSummary,
};
pub use attributes::{
    AttributeScope, KeyUse, KeysAnswer, KeysRequest, ValueUse, ValuesAnswer, ValuesRequest,
    complete_conditions,
};
pub use completion::{Completion, CompletionRequest, Suggestion, SuggestionKind};
pub use engine::QueryEngine;
pub use error::QueryError;
pub use explain::{ExplainedStep, Explanation};
pub use limits::{PartialReason, QueryLimits};
pub use metrics::{Exemplar, MetricsAnswer, MetricsRequest, Point, Series};
pub use sql::{SqlAnswer, SqlFault, SqlFaultKind, SqlPosition, SqlRequest};
pub use trace::{Trace, TraceNode};
