//! Reading a snapshot: what is asked for, and the parts that may have it.

mod filter;
mod report;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::UInt32Array;
use futures::stream::{self, BoxStream};
use futures::{StreamExt as _, TryStreamExt as _};
use spanlight_model::{SpanBatch, TraceId};

use crate::cold::read::FileReader;
use crate::cold::{ColdFile, FileTimes, read};
use crate::error::ReadError;
use crate::hot::{HotBatch, TimeBounds};
pub use filter::{Comparison, Field, Filter, Literal, Predicate, Test, TextTest};
pub use report::{Figures, ScanFigures, ScanReport, SkipReason};

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
    /// Status codes.
    pub status: bool,
    /// Status messages.
    pub status_message: bool,
    /// When the spans were received.
    pub received_at: bool,
    /// Trace states, flags and counts of what the sender dropped.
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

    /// Whether this key is asked for.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        match self {
            Self::None => false,
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
        status: false,
        status_message: false,
        received_at: false,
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
        Self {
            trace_id: self.trace_id || other.trace_id,
            span_id: self.span_id || other.span_id,
            parent_span_id: self.parent_span_id || other.parent_span_id,
            name: self.name || other.name,
            kind: self.kind || other.kind,
            times: self.times || other.times,
            status: self.status || other.status,
            status_message: self.status_message || other.status_message,
            received_at: self.received_at || other.received_at,
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

/// What messages call a table of which nothing is known.
const MISSING_TABLE: &str = "the cold table";

/// A part of a snapshot that is read on its own, in parallel with others: some batches in memory, or a part of a file.
#[derive(Debug)]
pub struct Partition {
    source: Source,
    trace_ids: Option<Arc<BTreeSet<TraceId>>>,
    times: TimeBounds,
    spans: usize,
    report: Arc<ScanReport>,
}

#[derive(Debug)]
enum Source {
    Hot(Vec<Arc<HotBatch>>),
    Cold {
        reader: FileReader,
        file: Arc<ColdFile>,
        request: Arc<ScanRequest>,
    },
    /// Nothing is known of the table, for this reason.
    Missing(Arc<str>),
}

impl Partition {
    /// The batches of a chunk that may have what is asked for; `None` when there are none.
    pub(crate) fn of_hot(
        chunk: &[Arc<HotBatch>],
        request: &ScanRequest,
        report: &Arc<ScanReport>,
    ) -> Option<Self> {
        let in_time = |batch: &HotBatch| {
            let range = request.time_range.as_ref();
            range.is_none_or(|range| batch.summary.times.may_overlap(range))
        };
        let in_traces = |batch: &HotBatch| {
            let ids = request.trace_ids.as_ref();
            ids.is_none_or(|ids| batch.summary.may_contain_any(ids))
        };
        report.hot_batches.consider(chunk.len() as u64);
        let spans = |batches: &[Arc<HotBatch>]| -> usize {
            batches.iter().map(|batch| batch.spans.num_spans()).sum()
        };
        report.spans.consider(spans(chunk) as u64);
        let mut batches = chunk.to_vec();
        for (reason, may_have) in [
            (SkipReason::Time, &in_time as &dyn Fn(&HotBatch) -> bool),
            (SkipReason::KeyAbsent, &in_traces),
        ] {
            let before = (batches.len(), spans(&batches));
            batches.retain(|batch| may_have(batch));
            report
                .hot_batches
                .skip(reason, (before.0 - batches.len()) as u64);
            let skipped = before.1 - spans(&batches);
            report.spans.skip(reason, skipped as u64);
        }
        if batches.is_empty() {
            return None;
        }
        let bounds = batches.iter().map(|batch| batch.summary.times);
        Some(Self {
            times: bounds.fold(TimeBounds::NONE, TimeBounds::union),
            spans: spans(&batches),
            source: Source::Hot(batches),
            trace_ids: request.trace_ids.clone(),
            report: Arc::clone(report),
        })
    }

    /// A file of the table; `None` when it cannot have what is asked for.
    pub(crate) fn of_cold(
        reader: &FileReader,
        file: &Arc<ColdFile>,
        request: &Arc<ScanRequest>,
        report: &Arc<ScanReport>,
    ) -> Option<Self> {
        let times = file.times.bounds();
        let range = request.time_range.as_ref();
        report.files.consider(1);
        report.bytes.consider(file.bytes);
        report.spans.consider(file.spans);
        if !range.is_none_or(|range| times.may_overlap(range)) {
            report.files.skip(SkipReason::Time, 1);
            report.bytes.skip(SkipReason::Time, file.bytes);
            report.spans.skip(SkipReason::Time, file.spans);
            return None;
        }
        Some(Self {
            times,
            spans: usize::try_from(file.spans).unwrap_or(usize::MAX),
            source: Source::Cold {
                reader: reader.clone(),
                file: Arc::clone(file),
                request: Arc::clone(request),
            },
            trace_ids: None,
            report: Arc::clone(report),
        })
    }

    /// A table that nothing is known of: reading it fails, so that whoever does says what is missing.
    pub(crate) fn of_missing_table(reason: &Arc<str>, report: &Arc<ScanReport>) -> Self {
        Self {
            source: Source::Missing(Arc::clone(reason)),
            trace_ids: None,
            times: FileTimes::ANY.bounds(),
            spans: 0,
            report: Arc::clone(report),
        }
    }

    /// The spans, a batch at a time. Files are read on blocking threads; dropping the stream ends the reading.
    #[must_use]
    pub fn stream(self) -> BoxStream<'static, Result<SpanBatch, ReadError>> {
        let trace_ids = self.trace_ids;
        let report = self.report;
        match self.source {
            Source::Hot(batches) => stream::iter(batches)
                .inspect(move |batch| {
                    report.hot_batches.read(1);
                    report.spans.read(batch.spans.num_spans() as u64);
                })
                .map(move |batch| select_traces(&batch.spans, trace_ids.as_deref()))
                .filter(|batch| {
                    let keep = !matches!(batch, Ok(batch) if batch.is_empty());
                    futures::future::ready(keep)
                })
                .boxed(),
            Source::Cold {
                reader,
                file,
                request,
            } => {
                report.files.read(1);
                read::stream(reader, file, request)
                    .inspect_ok(move |batch| report.spans.read(batch.num_spans() as u64))
                    .boxed()
            }
            Source::Missing(reason) => stream::iter([Err(ReadError::Disk {
                file: MISSING_TABLE.to_owned(),
                reason: reason.to_string(),
            })])
            .boxed(),
        }
    }

    /// Where the spans are, for plans and messages.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.source {
            Source::Hot(batches) => format!("hot: {} batches", batches.len()),
            Source::Cold { file, .. } => file.label(),
            Source::Missing(_) => MISSING_TABLE.to_owned(),
        }
    }

    /// At most this many spans will come.
    #[must_use]
    pub fn span_count_upper_bound(&self) -> usize {
        self.spans
    }

    /// Whether the spans of a trace come one after the other, so that a trace ends where the next begins. It may go
    /// on in other partitions.
    #[must_use]
    pub fn has_runs_of_traces(&self) -> bool {
        matches!(self.source, Source::Cold { .. })
    }

    /// Whether spans of it may come again, in the partition or in others.
    #[must_use]
    pub fn may_repeat(&self) -> bool {
        matches!(self.source, Source::Hot(_))
    }

    /// No span starts later.
    #[must_use]
    pub fn max_start_time_unix_nano(&self) -> i64 {
        self.times.start_max
    }

    /// No span starts or ends earlier.
    #[must_use]
    pub fn min_start_time_unix_nano(&self) -> i64 {
        self.times.start_min
    }
}

/// The spans of these traces; the batch itself when all are wanted.
pub(crate) fn select_traces(
    batch: &SpanBatch,
    trace_ids: Option<&BTreeSet<TraceId>>,
) -> Result<SpanBatch, ReadError> {
    let Some(ids) = trace_ids else {
        return Ok(batch.clone());
    };
    let columns = batch.columns();
    let rows: Vec<u32> = (0..batch.num_spans())
        .filter(|&row| ids.contains(&columns.trace_id(row)))
        .filter_map(|row| u32::try_from(row).ok())
        .collect();
    if rows.len() == batch.num_spans() {
        return Ok(batch.clone());
    }
    batch
        .take(&UInt32Array::from(rows))
        .map_err(|error| ReadError::Damaged {
            file: "memory".to_owned(),
            reason: error.to_string(),
        })
}
