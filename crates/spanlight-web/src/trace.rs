//! The trace page: the facts of a trace, its minimap, its waterfall in windows of rows, and the panel of a span.

mod fold;
mod minimap;
mod page;
mod panel;
mod reader;
mod rows;
mod timeline;

use std::ops::Range;

use spanlight_model::{AnyValue, SpanId, SpanKind, StatusCode, TraceId};

use crate::address::TraceView;
use crate::colour::ServiceColours;
pub use fold::Fold;
pub use minimap::{Minimap, MinimapMark};
pub use page::trace_page;
pub use panel::span_panel;
pub use reader::{TraceReader, TreeNode};
pub use rows::trace_rows;
pub use timeline::Timeline;

/// Everything the trace page shows.
#[derive(Debug, Clone)]
pub struct TracePage {
    /// What is said about the trace as a whole.
    pub facts: TraceFacts,
    /// The state in the page's address.
    pub view: TraceView,
    /// The whole trace in small.
    pub minimap: Minimap,
    /// The window of rows that the page comes with.
    pub rows: TraceRows,
    /// The panel of the span that the address names.
    pub panel: Option<SpanPanel>,
    /// What is missing from the trace, a sentence each.
    pub partial: Vec<String>,
}

/// What is said about a trace as a whole.
#[derive(Debug, Clone)]
pub struct TraceFacts {
    /// The trace's id.
    pub trace_id: TraceId,
    /// The root span's service.
    pub root_service_name: Option<String>,
    /// The root span's name; `None` while the root is missing.
    pub root_name: Option<String>,
    /// The earliest start, in unix nanoseconds.
    pub start_time_unix_nano: i64,
    /// From the earliest start to the latest end.
    pub duration_nano: i64,
    /// Spans.
    pub span_count: usize,
    /// Spans that failed.
    pub error_count: usize,
    /// Spans whose parent has not come.
    pub orphan_count: usize,
    /// The deepest level of the tree, the root being 0.
    pub depth: u32,
    /// The services that took part, in order of their first span.
    pub services: Vec<ServiceFacts>,
    /// Their colours.
    pub colours: ServiceColours,
}

/// One service of a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceFacts {
    /// Its name; `None` for spans without one.
    pub name: Option<String>,
    /// Its spans.
    pub span_count: usize,
    /// Its spans that failed.
    pub error_count: usize,
}

/// A window of the visible rows of a waterfall.
#[derive(Debug, Clone)]
pub struct TraceRows {
    /// The trace.
    pub trace_id: TraceId,
    /// The view that the rows' links start from.
    pub view: TraceView,
    /// How many rows are visible in all, folded ones not counted.
    pub total: usize,
    /// The number of the window's first row among them.
    pub offset: usize,
    /// The part of the trace's time on show.
    pub timeline: Timeline,
    /// The colours of the trace's services.
    pub colours: ServiceColours,
    /// The rows.
    pub rows: Vec<Row>,
}

/// One row of a waterfall.
#[derive(Debug, Clone)]
pub struct Row {
    /// The span's id.
    pub span_id: SpanId,
    /// Its name.
    pub name: String,
    /// Its service.
    pub service_name: Option<String>,
    /// Its kind.
    pub kind: SpanKind,
    /// Its level in the tree.
    pub depth: u32,
    /// For the levels `0..=depth`, whether a later row continues that level: where tree guides go on downwards.
    pub guides: Vec<bool>,
    /// Spans directly below.
    pub child_count: u32,
    /// Spans below, at any depth.
    pub descendant_count: u32,
    /// Whether what is below is folded away.
    pub folded: bool,
    /// Failed spans below that are folded away.
    pub hidden_error_count: u32,
    /// Its start, in nanoseconds from the trace's start; negative for spans outside the trace's own time.
    pub start_offset_nano: i64,
    /// Its duration.
    pub duration_nano: i64,
    /// Whether it failed.
    pub error: bool,
    /// Whether its parent has not come.
    pub orphan: bool,
    /// Whether it was started without being waited for.
    pub asynchronous: bool,
    /// Whether a function started cold for it.
    pub cold_start: bool,
    /// Links to other spans.
    pub link_count: usize,
    /// Its events: offset from the trace's start in nanoseconds, and whether the event is an exception.
    pub events: Vec<(i64, bool)>,
    /// Whether its times cannot be right.
    pub anomalous: bool,
}

/// Everything the panel of a span shows.
#[derive(Debug, Clone)]
pub struct SpanPanel {
    /// The trace.
    pub trace_id: TraceId,
    /// The view that the panel's links start from.
    pub view: TraceView,
    /// The span's id.
    pub span_id: SpanId,
    /// The parent's id, whether it has come or not.
    pub parent_span_id: Option<SpanId>,
    /// The parent's name; `None` while it has not come.
    pub parent_name: Option<String>,
    /// The name.
    pub name: String,
    /// The service.
    pub service_name: Option<String>,
    /// The colours of the trace's services.
    pub colours: ServiceColours,
    /// The kind.
    pub kind: SpanKind,
    /// How it ended.
    pub status_code: StatusCode,
    /// What it said about that.
    pub status_message: String,
    /// The start, in unix nanoseconds.
    pub start_time_unix_nano: i64,
    /// The start, in nanoseconds from the trace's start.
    pub start_offset_nano: i64,
    /// The duration.
    pub duration_nano: i64,
    /// The part of the duration in which no child that it waited for ran.
    pub self_time_nano: i64,
    /// When Spanlight received it, in unix nanoseconds.
    pub received_at_unix_nano: i64,
    /// Whether its parent has not come.
    pub orphan: bool,
    /// Whether it was started without being waited for.
    pub asynchronous: bool,
    /// Whether a function started cold for it.
    pub cold_start: bool,
    /// What cannot be right about its times.
    pub anomalies: Vec<Anomaly>,
    /// Its own attributes, in the order sent.
    pub attributes: Vec<AttributeFacts>,
    /// Attributes, events and links that the sender dropped.
    pub dropped: [u32; 3],
    /// Its events, in the order sent.
    pub events: Vec<EventFacts>,
    /// Its links.
    pub links: Vec<LinkFacts>,
    /// The attributes of its resource.
    pub resource: Vec<AttributeFacts>,
    /// The name of the instrumentation scope.
    pub scope_name: String,
    /// The version of the instrumentation scope.
    pub scope_version: String,
    /// The attributes of the instrumentation scope.
    pub scope: Vec<AttributeFacts>,
    /// W3C `tracestate`.
    pub trace_state: String,
    /// How many spans of the trace carry this id; more than one is normal only for Zipkin's shared spans.
    pub same_id_count: usize,
}

/// An attribute, as the panel shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct AttributeFacts {
    /// The key.
    pub key: String,
    /// The value.
    pub value: AnyValue,
}

/// Something that cannot be right about a span's times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anomaly {
    /// It ends before it starts.
    EndBeforeStart,
    /// Its start or its end is zero.
    ZeroTime,
    /// It starts more than five minutes after it was received.
    FutureTime,
    /// A time is beyond what 64 bits of nanoseconds hold.
    TimeCut,
}

/// An event of a span.
#[derive(Debug, Clone)]
pub struct EventFacts {
    /// The name.
    pub name: String,
    /// The time, in nanoseconds from the span's start.
    pub offset_nano: i64,
    /// The attributes, in the order sent.
    pub attributes: Vec<AttributeFacts>,
    /// Attributes that the sender dropped.
    pub dropped_attributes_count: u32,
}

/// A link of a span.
#[derive(Debug, Clone)]
pub struct LinkFacts {
    /// The linked span's trace.
    pub trace_id: TraceId,
    /// The linked span.
    pub span_id: SpanId,
    /// The linked span's name, where it is in the same trace and has come.
    pub name: Option<String>,
    /// The attributes, in the order sent.
    pub attributes: Vec<AttributeFacts>,
}

/// A part of the trace's time, in nanoseconds from its start.
pub(crate) type Window = Range<i64>;
