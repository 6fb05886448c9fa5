//! The search page: the query box, what was found as a scatter and as rows, time series as a chart and a table, and what
//! an empty store shows instead.

mod compare;
mod form;
mod metrics;
mod results;
mod scatter;
mod welcome;

use std::ops::Range;

use maud::html;
use spanlight_model::{AnyValue, SpanId, TraceId};

use crate::address::SearchAddress;
use crate::layout;
pub use metrics::{MetricsResults, MetricsSeries};

/// Everything the search page shows.
#[derive(Debug, Clone)]
pub struct SearchPage {
    /// What was asked, as it was written.
    pub address: SearchAddress,
    /// The time that relative times are relative to, in unix nanoseconds.
    pub now_unix_nano: i64,
    /// The answer.
    pub body: SearchBody,
}

/// What stands under the search form.
#[derive(Debug, Clone)]
pub enum SearchBody {
    /// The store has no span at all: how to send the first one.
    Welcome(Welcome),
    /// The question could not be answered.
    Problem(QueryProblem),
    /// The answer, which may have no traces.
    Results(SearchResults),
    /// The answer to a metrics query, which may have no series.
    Metrics(MetricsResults),
}

/// How an empty store is reached.
#[derive(Debug, Clone, Default)]
pub struct Welcome {
    /// Base address of OTLP over HTTP as a client reaches it, without a path: `http://127.0.0.1:4318`. `None` when
    /// the listener is off.
    pub otlp_http: Option<String>,
    /// Address of OTLP over gRPC: `http://127.0.0.1:4317`.
    pub otlp_grpc: Option<String>,
}

/// Why a question could not be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryProblem {
    /// The field of the form that is wrong.
    pub field: ProblemField,
    /// What is wrong.
    pub message: String,
    /// Where in the field's text, in bytes. An empty range points between two characters.
    pub position: Option<Range<usize>>,
    /// What would have been right there.
    pub expected: Vec<String>,
    /// What to do.
    pub hint: Option<String>,
}

/// A field of the search form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProblemField {
    /// `q`.
    Query,
    /// `step`.
    Step,
    /// `start`.
    Start,
    /// `end`.
    End,
    /// None of them: a limit was hit, or the store could not be read.
    Server,
}

/// The answer to a search.
#[derive(Debug, Clone, Default)]
pub struct SearchResults {
    /// The traces, newest first.
    pub traces: Vec<TraceSummary>,
    /// Where the next page begins; `None` on the last one.
    pub next_cursor: Option<String>,
    /// What is missing from the answer, a sentence each; empty when it is complete.
    pub partial: Vec<String>,
    /// What was read for it.
    pub inspected: Inspected,
}

/// What was read for an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Inspected {
    /// Spans looked at.
    pub spans: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Time taken, in nanoseconds; zero when not known.
    pub elapsed_nano: u64,
}

/// One trace of the results.
#[derive(Debug, Clone)]
pub struct TraceSummary {
    /// The trace's id.
    pub trace_id: TraceId,
    /// The root span's service; `None` while the root is missing, or where it has no service name.
    pub root_service_name: Option<String>,
    /// The root span's name; `None` while the root is missing.
    pub root_name: Option<String>,
    /// The earliest start, in unix nanoseconds.
    pub start_time_unix_nano: i64,
    /// From the earliest start to the latest end.
    pub duration_nano: i64,
    /// Spans of the trace.
    pub span_count: u64,
    /// Spans that failed.
    pub error_count: u64,
    /// Whether a function started cold in it.
    pub has_cold_start: bool,
    /// The services that took part.
    pub services: Vec<ServiceSummary>,
    /// Spans that the query selected; may be more than `spans` lists.
    pub matched: u64,
    /// The first of the selected spans.
    pub spans: Vec<MatchedSpan>,
    /// Values that the query computed for the trace, keyed by its text: `count()`.
    pub attributes: Vec<(String, AnyValue)>,
}

/// One service of a trace.
#[derive(Debug, Clone)]
pub struct ServiceSummary {
    /// Its name; `None` for spans without one.
    pub name: Option<String>,
    /// Its spans.
    pub span_count: u64,
    /// Its spans that failed.
    pub error_count: u64,
}

/// A span that the query selected.
#[derive(Debug, Clone)]
pub struct MatchedSpan {
    /// The span's id.
    pub span_id: SpanId,
    /// Its name.
    pub name: String,
    /// Its service.
    pub service_name: Option<String>,
    /// Its start, in unix nanoseconds.
    pub start_time_unix_nano: i64,
    /// Its duration.
    pub duration_nano: i64,
    /// The attributes that the query names, or selects.
    pub attributes: Vec<(String, AnyValue)>,
}

/// The search page as HTML.
#[must_use]
pub fn search_page(page: &SearchPage) -> String {
    let content = html! {
        (form::form(page))
        @match &page.body {
            SearchBody::Welcome(welcome) => (welcome::welcome(welcome, page.now_unix_nano)),
            SearchBody::Problem(_) => (form::examples(&page.address)),
            SearchBody::Results(results) => (results::results(page, results)),
            SearchBody::Metrics(results) => (metrics::metrics(page, results)),
        }
    };
    layout::page(&layout::Shell {
        title: "Search",
        page: layout::PageKind::Search,
        content,
    })
}
