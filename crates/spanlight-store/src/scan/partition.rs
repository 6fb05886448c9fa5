//! The parts of a snapshot: some batches in memory, or a row group of a file.

use std::collections::BTreeSet;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use arrow_array::UInt32Array;
use futures::StreamExt as _;
use futures::future::join_all;
use futures::stream::{self, BoxStream};
use spanlight_model::{SpanBatch, TraceId};
use tokio::task;

use super::report::{ScanReport, SkipReason};
use super::{AttributeColumn, AttributeCount, ScanRequest, memory};
use crate::cold::read::{self, FileReader, Part};
use crate::cold::{ColdFile, FileTimes};
use crate::error::ReadError;
use crate::hot::{HotBatch, TimeBounds};

/// Files that are looked into by one thread: each may have a million spans.
const FILES_AT_ONCE: usize = 4;

/// What messages call a table of which nothing is known.
const MISSING_TABLE: &str = "the cold table";

/// A part of a snapshot that is read on its own, in parallel with others: some batches in memory, or a part of a file.
#[derive(Debug, Clone)]
pub struct Partition {
    source: Source,
    times: TimeBounds,
    spans: usize,
}

/// Rows of a file that are sorted as one. What it has never changes, and neither does its name when the file moves on
/// from the recent level to the table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Run {
    /// The name of the file.
    pub file: String,
    /// Which of the file's runs.
    pub number: usize,
}

#[derive(Debug, Clone)]
enum Source {
    Hot {
        batches: Vec<Arc<HotBatch>>,
        trace_ids: Option<Arc<BTreeSet<TraceId>>>,
        report: Arc<ScanReport>,
    },
    File(Part),
    Unreadable {
        file: String,
        error: ReadError,
    },
}

impl Run {
    pub(crate) fn new(file: &str, number: usize) -> Self {
        Self {
            file: file.to_owned(),
            number,
        }
    }
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
        let in_filter = |batch: &HotBatch| {
            let filter = request.filter.as_ref();
            filter.is_none_or(|filter| memory::may_pass(&batch.spans, filter))
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
            (SkipReason::Dictionary, &in_filter),
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
            source: Source::Hot {
                batches,
                trace_ids: request.trace_ids.clone(),
                report: Arc::clone(report),
            },
        })
    }

    fn of_part(part: Part) -> Self {
        Self {
            times: part.times(),
            spans: part.spans(),
            source: Source::File(part),
        }
    }

    fn unreadable(file: &ColdFile, error: ReadError) -> Self {
        Self {
            times: file.times.bounds(),
            spans: 0,
            source: Source::Unreadable {
                file: file.label(),
                error,
            },
        }
    }

    /// A table that nothing is known of: reading it fails, so that whoever does says what is missing.
    pub(crate) fn of_missing_table(reason: &Arc<str>) -> Self {
        let error = ReadError::Disk {
            file: MISSING_TABLE.to_owned(),
            reason: reason.to_string(),
        };
        Self {
            times: FileTimes::ANY.bounds(),
            spans: 0,
            source: Source::Unreadable {
                file: MISSING_TABLE.to_owned(),
                error,
            },
        }
    }

    /// The part of it that may have spans which start in this range, both ends included. Others may still come. What
    /// is read of several ranges is what is read of all of them, but what cannot be read says so each time.
    #[must_use]
    pub fn starting_in(&self, starts: Range<i64>) -> Self {
        let source = match &self.source {
            Source::Hot {
                batches,
                trace_ids,
                report,
            } => {
                let in_time = |batch: &&Arc<HotBatch>| batch.summary.times.may_start_in(&starts);
                Source::Hot {
                    batches: batches.iter().filter(in_time).map(Arc::clone).collect(),
                    trace_ids: trace_ids.clone(),
                    report: Arc::clone(report),
                }
            }
            Source::File(part) => Source::File(part.starting_in(starts)),
            Source::Unreadable { .. } => self.source.clone(),
        };
        Self {
            source,
            times: self.times,
            spans: self.spans,
        }
    }

    /// The spans, a batch at a time. Files are read on blocking threads; dropping the stream ends the reading.
    #[must_use]
    pub fn stream(self) -> BoxStream<'static, Result<SpanBatch, ReadError>> {
        match self.source {
            Source::Hot {
                batches,
                trace_ids,
                report,
            } => stream::iter(batches)
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
            Source::File(part) => part.stream(),
            Source::Unreadable { error, .. } => stream::iter([Err(error)]).boxed(),
        }
    }

    /// The same on this thread, until there is no more or `take` breaks off. For those who may block, and want no other
    /// thread between the disk and themselves.
    pub fn read(self, mut take: impl FnMut(Result<SpanBatch, ReadError>) -> ControlFlow<()>) {
        match self.source {
            Source::Hot {
                batches,
                trace_ids,
                report,
            } => {
                for batch in batches {
                    report.hot_batches.read(1);
                    report.spans.read(batch.spans.num_spans() as u64);
                    let batch = select_traces(&batch.spans, trace_ids.as_deref());
                    let is_empty = matches!(&batch, Ok(batch) if batch.is_empty());
                    if !is_empty && take(batch).is_break() {
                        return;
                    }
                }
            }
            Source::File(part) => part.read(&mut take),
            Source::Unreadable { error, .. } => {
                // It was the last anyway.
                let _ = take(Err(error));
            }
        }
    }

    /// The same for those who look at all attributes, key by key: what has a column comes by itself, beside the
    /// spans. They have what has no column, and the attributes that were asked for; in memory all. Of keys for which
    /// `has_values` is false only the presence is read, which takes no dictionaries. From a file so many spans come at
    /// once.
    pub fn read_apart(
        self,
        batch_spans: usize,
        has_values: impl Fn(&str) -> bool,
        mut take: impl FnMut(Result<(SpanBatch, Vec<AttributeColumn>), ReadError>) -> ControlFlow<()>,
    ) {
        match self.source {
            Source::File(part) => part.read_apart(batch_spans, &has_values, &mut take),
            Source::Hot { .. } | Source::Unreadable { .. } => {
                self.read(|batch| take(batch.map(|batch| (batch, Vec::new()))));
            }
        }
    }

    /// Where the spans are, for plans and messages.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.source {
            Source::Hot { batches, .. } => format!("hot: {} batches", batches.len()),
            Source::File(part) => part.describe(),
            Source::Unreadable { file, .. } => file.clone(),
        }
    }

    /// How many spans have which attributes of their own, as far as the keys have columns; `None` where only reading
    /// tells. What it does not count is read with [`AttributeKeys::Uncounted`](super::AttributeKeys::Uncounted).
    #[must_use]
    pub fn attribute_counts(&self) -> Option<Vec<AttributeCount>> {
        match &self.source {
            Source::File(part) => part.attribute_counts(),
            Source::Hot { .. } | Source::Unreadable { .. } => None,
        }
    }

    /// The run of rows of a file that it is a part of; `None` in memory. No span is in a run twice.
    #[must_use]
    pub fn run(&self) -> Option<Run> {
        match &self.source {
            Source::Hot { .. } => None,
            Source::File(part) => Some(part.run()),
            Source::Unreadable { file, .. } => Some(Run::new(file, 0)),
        }
    }

    /// The traces of all spans of its run, or of its batches in memory, whatever was asked for: the low halves of their
    /// ids as numbers, which are random in every id format. In no order; some come more than once. Blocks.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn trace_keys(&self) -> Result<Vec<u64>, ReadError> {
        match &self.source {
            Source::Hot { batches, .. } => {
                let keys = batches.iter().flat_map(|batch| batch.summary.trace_keys());
                Ok(keys.copied().collect())
            }
            Source::File(part) => part.trace_keys(),
            Source::Unreadable { error, .. } => Err(error.clone()),
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
        matches!(self.source, Source::File(_))
    }

    /// Whether spans of it may come again in it: it is in memory. In others they may come again, too.
    #[must_use]
    pub fn may_repeat(&self) -> bool {
        matches!(self.source, Source::Hot { .. })
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

/// The row groups of these files that may have what is asked for. What cannot be read is a partition that says so.
pub(crate) async fn of_files(
    reader: &FileReader,
    files: impl Iterator<Item = &Arc<ColdFile>>,
    request: &Arc<ScanRequest>,
    report: &Arc<ScanReport>,
) -> Vec<Partition> {
    let in_time = candidates(reader, files, request, report);
    let chunks = in_time.chunks(FILES_AT_ONCE).map(|files| {
        let (reader, files) = (reader.clone(), files.to_vec());
        let (request, report) = (Arc::clone(request), Arc::clone(report));
        task::spawn_blocking(move || {
            let partitions = files
                .iter()
                .flat_map(|file| of_file(&reader, file, &request, &report));
            partitions.collect::<Vec<_>>()
        })
    });
    let mut partitions = Vec::new();
    for (looked, files) in join_all(chunks)
        .await
        .into_iter()
        .zip(in_time.chunks(FILES_AT_ONCE))
    {
        match looked {
            Ok(found) => partitions.extend(found),
            Err(error) => partitions.extend(files.iter().map(|file| {
                let error = read::broken_off(&file.label(), &error);
                Partition::unreadable(file, error)
            })),
        }
    }
    partitions
}

/// The same on this thread; `None` when footers of several files would have to be read.
pub(crate) fn of_known_files<'a>(
    reader: &FileReader,
    files: impl Iterator<Item = &'a Arc<ColdFile>>,
    request: &Arc<ScanRequest>,
    report: &Arc<ScanReport>,
) -> Option<Vec<Partition>> {
    let files = candidates(reader, files, request, report);
    let is_known = |file: &Arc<ColdFile>| reader.footers.find(&file.path).is_some();
    if files.len() > 1 && !files.iter().all(is_known) {
        return None;
    }
    let partitions = files
        .iter()
        .flat_map(|file| of_file(reader, file, request, report));
    Some(partitions.collect())
}

/// The files that have to be looked into.
fn candidates<'a>(
    reader: &FileReader,
    files: impl Iterator<Item = &'a Arc<ColdFile>>,
    request: &ScanRequest,
    report: &ScanReport,
) -> Vec<Arc<ColdFile>> {
    let mut candidates = Vec::new();
    for file in files.filter(|file| is_in_time(file, request, report)) {
        // Most files lack a trace, and to know it takes no thread.
        match reader.lacks_traces(file, request, report) {
            true => report.files.skip(SkipReason::NoRows, 1),
            false => candidates.push(Arc::clone(file)),
        }
    }
    candidates
}

fn is_in_time(file: &ColdFile, request: &ScanRequest, report: &ScanReport) -> bool {
    report.files.consider(1);
    report.bytes.consider(file.bytes);
    report.spans.consider(file.spans);
    let range = request.time_range.as_ref();
    let is_in_time = range.is_none_or(|range| file.times.bounds().may_overlap(range));
    if !is_in_time {
        report.files.skip(SkipReason::Time, 1);
        report.bytes.skip(SkipReason::Time, file.bytes);
        report.spans.skip(SkipReason::Time, file.spans);
    }
    is_in_time
}

fn of_file(
    reader: &FileReader,
    file: &Arc<ColdFile>,
    request: &Arc<ScanRequest>,
    report: &Arc<ScanReport>,
) -> Vec<Partition> {
    match reader.parts(file, request, report) {
        Ok(parts) => {
            match parts.is_empty() {
                true => report.files.skip(SkipReason::NoRows, 1),
                false => report.files.read(1),
            }
            let partitions = parts.into_iter().map(|part| match part {
                Ok(part) => Partition::of_part(part),
                Err(error) => Partition::unreadable(file, error),
            });
            partitions.collect()
        }
        Err(error) => vec![Partition::unreadable(file, error)],
    }
}

/// The spans of these traces; the batch itself when all are wanted.
fn select_traces(
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
