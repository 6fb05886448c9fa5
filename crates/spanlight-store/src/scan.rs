//! Reading a snapshot: what is asked for, and the parts that may have it.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::UInt32Array;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use spanlight_model::{SpanBatch, TraceId};

use crate::cold::footer::FooterCache;
use crate::cold::{ColdFile, read};
use crate::disk::Disk;
use crate::error::ReadError;
use crate::hot::{HotBatch, TimeBounds};

/// What a reader needs. Everything here is a hint that lets the store skip: spans beyond it may still come, so
/// readers filter again.
#[derive(Debug, Clone, Default)]
pub struct ScanRequest {
    /// Only spans that overlap this range of unix nanoseconds, both ends included.
    pub time_range: Option<Range<i64>>,
    /// Only spans of these traces.
    pub trace_ids: Option<Arc<BTreeSet<TraceId>>>,
    /// Which of the heavy columns to read.
    pub columns: ScanColumns,
}

/// The columns that cost most to read. One that is not asked for may come back empty: no attributes, no events, no
/// links, a resource without attributes (its service name is always there), a scope without name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanColumns {
    /// The spans' own attributes.
    pub attributes: bool,
    /// Events.
    pub events: bool,
    /// Links.
    pub links: bool,
    /// Resources beyond the service name.
    pub resource: bool,
    /// Instrumentation scopes.
    pub scope: bool,
}

impl ScanColumns {
    /// Every column.
    pub const ALL: Self = Self {
        attributes: true,
        events: true,
        links: true,
        resource: true,
        scope: true,
    };

    /// Only ids, names, times, kind, status and service name.
    pub const NONE: Self = Self {
        attributes: false,
        events: false,
        links: false,
        resource: false,
        scope: false,
    };
}

impl Default for ScanColumns {
    fn default() -> Self {
        Self::ALL
    }
}

/// A part of a snapshot that is read on its own, in parallel with others: some batches in memory, or a file.
#[derive(Debug)]
pub struct Partition {
    source: Source,
    trace_ids: Option<Arc<BTreeSet<TraceId>>>,
    times: TimeBounds,
    spans: usize,
}

#[derive(Debug)]
enum Source {
    Hot(Vec<Arc<HotBatch>>),
    Cold {
        disk: Arc<dyn Disk>,
        footers: Arc<FooterCache>,
        file: Arc<ColdFile>,
        request: ScanRequest,
    },
}

impl Partition {
    /// The batches of a chunk that may have what is asked for; `None` when there are none.
    pub(crate) fn of_hot(chunk: &[Arc<HotBatch>], request: &ScanRequest) -> Option<Self> {
        let in_time = |batch: &HotBatch| {
            let range = request.time_range.as_ref();
            range.is_none_or(|range| batch.summary.times.may_overlap(range))
        };
        let in_traces = |batch: &HotBatch| {
            let ids = request.trace_ids.as_ref();
            ids.is_none_or(|ids| batch.summary.may_contain_any(ids))
        };
        let batches: Vec<_> = chunk
            .iter()
            .filter(|batch| in_time(batch) && in_traces(batch))
            .map(Arc::clone)
            .collect();
        if batches.is_empty() {
            return None;
        }
        let bounds = batches.iter().map(|batch| batch.summary.times);
        Some(Self {
            times: bounds.fold(TimeBounds::NONE, TimeBounds::union),
            spans: batches.iter().map(|batch| batch.spans.num_spans()).sum(),
            source: Source::Hot(batches),
            trace_ids: request.trace_ids.clone(),
        })
    }

    /// A file of the table; `None` when it cannot have what is asked for.
    pub(crate) fn of_cold(
        disk: &Arc<dyn Disk>,
        footers: &Arc<FooterCache>,
        file: &Arc<ColdFile>,
        request: &ScanRequest,
    ) -> Option<Self> {
        let times = file.times.bounds();
        let range = request.time_range.as_ref();
        if !range.is_none_or(|range| times.may_overlap(range)) {
            return None;
        }
        Some(Self {
            times,
            spans: usize::try_from(file.spans).unwrap_or(usize::MAX),
            source: Source::Cold {
                disk: Arc::clone(disk),
                footers: Arc::clone(footers),
                file: Arc::clone(file),
                request: request.clone(),
            },
            trace_ids: None,
        })
    }

    /// The spans, a batch at a time. Files are read on blocking threads; dropping the stream ends the reading.
    #[must_use]
    pub fn stream(self) -> BoxStream<'static, Result<SpanBatch, ReadError>> {
        let trace_ids = self.trace_ids;
        match self.source {
            Source::Hot(batches) => stream::iter(batches)
                .map(move |batch| select_traces(&batch.spans, trace_ids.as_deref()))
                .filter(|batch| {
                    let keep = !matches!(batch, Ok(batch) if batch.is_empty());
                    futures::future::ready(keep)
                })
                .boxed(),
            Source::Cold {
                disk,
                footers,
                file,
                request,
            } => read::stream(disk, footers, file, request),
        }
    }

    /// Where the spans are, for plans and messages.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.source {
            Source::Hot(batches) => format!("hot: {} batches", batches.len()),
            Source::Cold { file, .. } => format!("cold/{}", file.name),
        }
    }

    /// At most this many spans will come.
    #[must_use]
    pub fn span_count_upper_bound(&self) -> usize {
        self.spans
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
