//! Reading a snapshot: what is asked for, and the parts that may have it.

mod attributes;
mod filter;
mod memory;
mod partition;
mod predicate;
mod report;
mod steps;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use spanlight_model::TraceId;

pub use attributes::{AttributeColumn, AttributeCount, AttributeValues};
pub use filter::{Comparison, Field, Filter, Literal, Predicate, Test, TestTexts, TextTest};
pub use partition::{Partition, Run};
pub(crate) use partition::{of_files, of_known_files};
pub use report::{Figures, ScanFigures, ScanReport, SkipReason};
pub use steps::Steps;

/// What a reader needs. Everything here is a hint that lets the store skip: spans beyond it may still come, so
/// readers filter again.
#[derive(Debug, Clone, Default)]
pub struct ScanRequest {
    /// Only spans that overlap this range of unix nanoseconds, both ends included.
    pub time_range: Option<Range<i64>>,
    /// Only spans of these traces.
    pub trace_ids: Option<Arc<BTreeSet<TraceId>>>,
    /// Which columns to read.
    pub columns: ScanColumns,
    /// Only spans that may pass. Its fields are read for the test alone: those that the reader wants to see are
    /// asked for in `columns`.
    pub filter: Option<Arc<Filter>>,
}

/// The columns to read. One that is not asked for may come back as a constant, which costs nothing: zero ids and
/// times, an empty name, no attributes, no events, a scope without name. Only parents' ids may then be null.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "one for each column")]
pub struct ScanColumns {
    /// Trace ids.
    pub trace_id: bool,
    /// Span ids.
    pub span_id: bool,
    /// Ids of parents.
    pub parent_span_id: bool,
    /// Names.
    pub name: bool,
    /// Kinds.
    pub kind: bool,
    /// Starts and ends.
    pub times: bool,
    /// What ends are later than starts. Unless `times` are asked for, neither need be what they were.
    pub durations: bool,
    /// Starts, of which only the step counts: one that is in the same step may come in its place.
    pub steps: Option<Steps>,
    /// Status codes.
    pub status: bool,
    /// Status messages.
    pub status_message: bool,
    /// When the spans were received.
    pub received_at: bool,
    /// Trace states.
    pub trace_state: bool,
    /// Flags and counts of what the sender dropped.
    pub details: bool,
    /// Service names, as resources that have nothing else.
    pub service_name: bool,
    /// Resources beyond the service name: these attributes, and the rest of the resource if all are asked for.
    pub resource: AttributeKeys,
    /// The spans' own attributes.
    pub attributes: AttributeKeys,
    /// Events.
    pub events: bool,
    /// Links.
    pub links: bool,
    /// Instrumentation scopes.
    pub scope: bool,
}

/// Which attributes to read; others may still come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AttributeKeys {
    /// None.
    #[default]
    None,
    /// Those of these keys.
    Some(Arc<BTreeSet<String>>),
    /// Those that [`Partition::attribute_counts`] does not count.
    Uncounted,
    /// All.
    All,
}

impl AttributeKeys {
    /// Those of these keys; none when there are no keys.
    #[must_use]
    pub fn of<'a>(keys: impl IntoIterator<Item = &'a str>) -> Self {
        let keys: BTreeSet<String> = keys.into_iter().map(str::to_owned).collect();
        match keys.is_empty() {
            true => Self::None,
            false => Self::Some(Arc::new(keys)),
        }
    }

    /// Whether there may be any.
    #[must_use]
    pub fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Whether this key is asked for, wherever it is.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        match self {
            Self::None | Self::Uncounted => false,
            Self::Some(keys) => keys.contains(key),
            Self::All => true,
        }
    }

    /// These and those.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::All, _) | (_, Self::All) => Self::All,
            (Self::None, keys) | (keys, Self::None) => keys.clone(),
            (Self::Uncounted, Self::Uncounted) => Self::Uncounted,
            (Self::Uncounted, _) | (_, Self::Uncounted) => Self::All,
            (Self::Some(keys), Self::Some(others)) => {
                Self::Some(Arc::new(keys.union(others).cloned().collect()))
            }
        }
    }
}

impl ScanColumns {
    /// Every column.
    pub const ALL: Self = Self {
        parent_span_id: true,
        status_message: true,
        trace_state: true,
        details: true,
        resource: AttributeKeys::All,
        attributes: AttributeKeys::All,
        events: true,
        links: true,
        scope: true,
        ..Self::BASE
    };

    /// What tells a span from others and places it: ids, name, kind, times, status, receipt and service name.
    pub const BASE: Self = Self {
        trace_id: true,
        span_id: true,
        parent_span_id: true,
        name: true,
        kind: true,
        times: true,
        status: true,
        received_at: true,
        service_name: true,
        ..Self::NONE
    };

    /// Nothing but how many spans there are.
    pub const NONE: Self = Self {
        trace_id: false,
        span_id: false,
        parent_span_id: false,
        name: false,
        kind: false,
        times: false,
        durations: false,
        steps: None,
        status: false,
        status_message: false,
        received_at: false,
        trace_state: false,
        details: false,
        service_name: false,
        resource: AttributeKeys::None,
        attributes: AttributeKeys::None,
        events: false,
        links: false,
        scope: false,
    };

    /// The columns of both.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let steps_differ =
            matches!((&self.steps, &other.steps), (Some(one), Some(two)) if one != two);
        Self {
            trace_id: self.trace_id || other.trace_id,
            span_id: self.span_id || other.span_id,
            parent_span_id: self.parent_span_id || other.parent_span_id,
            name: self.name || other.name,
            kind: self.kind || other.kind,
            times: self.times || other.times || steps_differ,
            durations: self.durations || other.durations,
            steps: self.steps.clone().or_else(|| other.steps.clone()),
            status: self.status || other.status,
            status_message: self.status_message || other.status_message,
            received_at: self.received_at || other.received_at,
            trace_state: self.trace_state || other.trace_state,
            details: self.details || other.details,
            service_name: self.service_name || other.service_name,
            resource: self.resource.union(&other.resource),
            attributes: self.attributes.union(&other.attributes),
            events: self.events || other.events,
            links: self.links || other.links,
            scope: self.scope || other.scope,
        }
    }
}

impl Default for ScanColumns {
    fn default() -> Self {
        Self::ALL
    }
}

/// What a snapshot has of a request.
#[derive(Debug)]
pub struct Scan {
    /// The parts that may have what is asked for, in no particular order:
    /// [`Partition::max_start_time_unix_nano`] helps to read the newest first.
    pub partitions: Vec<Partition>,
    /// What was left out, and what is being read.
    pub report: Arc<ScanReport>,
}
