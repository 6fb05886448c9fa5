//! A trace by its id: every span once, in the order of its tree.

use spanlight_model::SpanBatch;

use crate::limits::PartialReason;

/// An assembled trace.
#[derive(Debug, Clone)]
pub struct Trace {
    /// Each span once, in tree order: a span, then what is below it; siblings and roots by start time.
    pub batch: SpanBatch,
    /// Where each row of `batch` stands in the tree.
    pub nodes: Vec<TraceNode>,
    /// Empty when the trace is complete as far as the store knows it.
    pub partial: Vec<PartialReason>,
}

/// Where a span stands in the tree of its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceNode {
    /// Zero for roots.
    pub depth: u32,
    /// The row of the parent.
    pub parent: Option<usize>,
    /// Spans directly below.
    pub child_count: u32,
    /// Spans below at any depth; they are the next rows.
    pub descendant_count: u32,
    /// The span names a parent that is not in the trace; it is shown as a root.
    pub orphan: bool,
    /// The chain of parents of this span leads back to itself; the tree was cut above it.
    pub cycle: bool,
    /// The span does not hold up its parent: it consumes what the parent produced, or starts after the parent ended.
    pub asynchronous: bool,
}
