//! Spanlight's pages: typed page structs in, HTML and SVG out.
//!
//! Pure: no clock, no network, no store. What a page shows is what its struct says; [`TraceReader`] makes the
//! structs of the trace page from a [`spanlight_model::SpanBatch`], and the addresses ([`SearchAddress`],
//! [`TraceView`]) read and write the query strings that hold a page's whole state.

mod address;
mod asset;
mod attribute;
mod chart;
mod colour;
mod failure;
mod format;
mod icon;
mod layout;
mod search;
mod trace;
mod traceql;

pub use address::{SearchAddress, TraceView};
pub use asset::{Asset, CONTENT_SECURITY_POLICY, asset};
pub use chart::Unit;
pub use colour::ServiceColours;
pub use failure::{FailurePage, failure_page};
pub use search::{
    Inspected, MatchedSpan, MetricsResults, MetricsSeries, ProblemField, QueryProblem, SearchBody,
    SearchPage, SearchResults, ServiceSummary, TraceSummary, Welcome, search_page,
};
pub use trace::{
    Anomaly, AttributeFacts, EventFacts, Fold, LinkFacts, Minimap, MinimapMark, Row, ServiceFacts,
    SpanPanel, Timeline, TraceFacts, TracePage, TraceReader, TraceRows, TreeNode, span_panel,
    trace_page, trace_rows,
};
