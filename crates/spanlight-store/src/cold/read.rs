//! Reading data files: which row groups may have what is asked for, and of those the rows and columns that have it.

mod attributes;

use std::io;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::{BinaryArray, RecordBatch};
use futures::future;
use futures::stream::{self, BoxStream, StreamExt as _};
use parquet::errors::ParquetError;
use spanlight_model::{SpanBatch, TraceId};
use tokio::sync::mpsc;
use tokio::task::{self, JoinError};

use super::ColdFile;
use super::catalogue::AttributeScope;
use super::condition::Condition;
use super::decode::decode;
use super::fetch::Fetch;
use super::footer::Footer;
use super::footers::FooterCache;
use super::group::GroupReader;
use super::pages::Distinct;
use super::rows::Rows;
use super::schema as table;
use super::source::{DataSource, LocalFiles};
use super::starts::{self, Starts};
use super::traces::Said;
use super::{dictionary, prune, select, traces};
use crate::disk::Disk;
use crate::error::ReadError;
use crate::hot::{TimeBounds, trace_key};
use crate::scan::{AttributeKeys, Run, ScanColumns, ScanReport, ScanRequest, SkipReason};
use crate::unreadable::Unreadable;

/// Spans of a batch that has everything, and of one that has a few narrow columns.
const BATCH_SPANS_WIDE: usize = 8 << 10;
const BATCH_SPANS_NARROW: usize = 32 << 10;
/// Batches that wait for a slow reader.
const BATCHES_AHEAD: usize = 2;

/// What reading takes: where the bytes come from, and the footers that are known.
#[derive(Debug, Clone)]
pub(crate) struct FileReader {
    pub(crate) source: Arc<dyn DataSource>,
    pub(crate) footers: Arc<FooterCache>,
    /// Files that could not be read.
    pub(crate) unreadable: Arc<Unreadable>,
}

/// A row group that may have what is asked for, or of it what starts in some time.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    file: Arc<OpenFile>,
    group: usize,
    starts: Option<Range<i64>>,
}

/// A data file and what is asked of it.
#[derive(Debug)]
struct OpenFile {
    fetch: Fetch,
    footer: Arc<Footer>,
    condition: Option<Condition>,
    request: Arc<ScanRequest>,
    /// Where the traces may be that are asked for, as far as the file has an index.
    has_traces: Option<Said>,
    report: Arc<ScanReport>,
    unreadable: Arc<Unreadable>,
}

impl FileReader {
    /// Reads files of the data directory.
    pub(crate) fn local(disk: &Arc<dyn Disk>) -> Self {
        Self {
            source: Arc::new(LocalFiles(Arc::clone(disk))),
            footers: Arc::default(),
            unreadable: Arc::default(),
        }
    }

    /// The row groups of a file that may have what is asked for. Blocks; reads the footer if it is not known, and
    /// filters and dictionaries that the request needs.
    ///
    /// # Errors
    /// When the footer cannot be read. A row group of which that is known only later has its error in its place.
    pub(crate) fn parts(
        &self,
        file: &Arc<ColdFile>,
        request: &Arc<ScanRequest>,
        report: &Arc<ScanReport>,
    ) -> Result<Vec<Result<Part, ReadError>>, ReadError> {
        let source = Arc::clone(&self.source);
        let fetch = Fetch::new(source, Arc::clone(file), Arc::clone(report));
        let has_traces = self.has_traces(&fetch, request);
        if let Some(said) = &has_traces
            && !said.is_any()
        {
            traces::count_without(file, said, report);
            self.footers.trim();
            return Ok(Vec::new());
        }
        let footer = self.footers.get(&fetch);
        let footer = footer.map_err(|error| read_error(file, &error, &self.unreadable))?;
        let opened = Arc::new(OpenFile {
            condition: Condition::of(request, &footer),
            fetch: fetch.checked(footer.checksums.clone()),
            footer,
            request: Arc::clone(request),
            has_traces,
            report: Arc::clone(report),
            unreadable: Arc::clone(&self.unreadable),
        });
        let groups = 0..opened.footer.groups.len();
        let parts = groups.filter_map(|group| match opened.skip(group) {
            Ok(Some(reason)) => {
                opened.count_skipped(group, reason);
                None
            }
            Ok(None) => Some(Ok(Part {
                file: Arc::clone(&opened),
                group,
                starts: None,
            })),
            Err(error) => Some(Err(read_error(file, &error, &self.unreadable))),
        });
        let parts = parts.collect();
        self.footers.trim();
        Ok(parts)
    }
}

impl FileReader {
    /// What a file has of a request, from its beginning to its end.
    pub(crate) fn stream(
        &self,
        file: Arc<ColdFile>,
        request: ScanRequest,
    ) -> BoxStream<'static, Result<SpanBatch, ReadError>> {
        let reader = self.clone();
        let parts = async move {
            let label = file.label();
            let look = move || reader.parts(&file, &Arc::new(request), &Arc::default());
            let parts = match task::spawn_blocking(look).await {
                Ok(Ok(parts)) => parts,
                Ok(Err(error)) => vec![Err(error)],
                Err(error) => vec![Err(broken_off(&label, &error))],
            };
            stream::iter(parts).flat_map(|part| match part {
                Ok(part) => part.stream(),
                Err(error) => stream::iter([Err(error)]).boxed(),
            })
        };
        stream::once(parts).flatten().boxed()
    }
}

impl OpenFile {
    /// Why a row group need not be looked into.
    fn skip(&self, group: usize) -> Result<Option<SkipReason>, ParquetError> {
        self.report.row_groups.consider(1);
        let range = self.request.time_range.as_ref();
        let times = self.footer.groups[group].times;
        if !range.is_none_or(|range| times.may_overlap(range)) {
            return Ok(Some(SkipReason::Time));
        }
        let has_traces = self
            .has_traces
            .as_ref()
            .and_then(|said| said.groups.get(group));
        if has_traces == Some(&false) {
            return Ok(Some(SkipReason::Bloom));
        }
        let Some(condition) = &self.condition else {
            return Ok(None);
        };
        let metadata = self.footer.metadata.row_group(group);
        match prune::by_statistics(condition, metadata) {
            Some(reason) => Ok(Some(reason)),
            None => prune::by_index(condition, &self.footer, &self.fetch, group),
        }
    }

    /// Appends the traces of a row group: its dictionary of ids, where it has one.
    fn trace_keys(&self, group: usize, keys: &mut Vec<u64>) -> Result<(), ParquetError> {
        let Some((leaf, root)) = self.footer.leaf(table::TRACE_ID) else {
            return Ok(());
        };
        let mut push = |id: &[u8]| keys.extend(id.try_into().map(TraceId).map(trace_key));
        let group = GroupReader::new(&self.footer, self.fetch.clone(), group, &self.report)?;
        if dictionary::is_whole(group.column(leaf))
            && let Some(distinct) = group.distinct(leaf)?
            && let Distinct::Texts(ids) = &*distinct
        {
            (0..ids.len()).for_each(|code| push(ids.get(code)));
            return Ok(());
        }
        let rows = Rows::all(group.spans());
        for rows in group.rows(&[root], &rows, BATCH_SPANS_NARROW)? {
            let rows = rows?;
            let ids = rows.columns().first().and_then(|ids| ids.as_binary_opt());
            let ids: &BinaryArray = ids.ok_or_else(|| {
                ParquetError::General(format!("column {root} is of another type"))
            })?;
            let mut last: Option<&[u8]> = None;
            for id in ids.iter().flatten() {
                if last.replace(id) != Some(id) {
                    push(id);
                }
            }
        }
        Ok(())
    }

    fn count_skipped(&self, group: usize, reason: SkipReason) {
        let skipped = &self.footer.groups[group];
        self.report.row_groups.skip(reason, 1);
        self.report.bytes.skip(reason, skipped.bytes);
        self.report.spans.skip(reason, skipped.spans as u64);
    }
}

impl Part {
    pub(crate) fn times(&self) -> TimeBounds {
        self.file.footer.groups[self.group].times
    }

    pub(crate) fn spans(&self) -> usize {
        self.file.footer.groups[self.group].spans
    }

    /// Of this the pages that may have spans which start in this range, both ends included.
    pub(crate) fn starting_in(&self, starts: Range<i64>) -> Self {
        Self {
            starts: Some(starts),
            ..self.clone()
        }
    }

    /// The run that this is a part of.
    pub(crate) fn run(&self) -> Run {
        Run::new(
            &self.file.fetch.file().name,
            self.file.footer.run_of(self.group),
        )
    }

    /// See [`Partition::trace_keys`](crate::Partition::trace_keys).
    pub(crate) fn trace_keys(&self) -> Result<Vec<u64>, ReadError> {
        let file = &self.file;
        let run = file.footer.run_of(self.group);
        let groups = 0..file.footer.groups.len();
        let mut keys = Vec::new();
        for group in groups.filter(|&group| file.footer.run_of(group) == run) {
            file.trace_keys(group, &mut keys)
                .map_err(|error| read_error(file.fetch.file(), &error, &file.unreadable))?;
        }
        Ok(keys)
    }

    pub(crate) fn describe(&self) -> String {
        format!(
            "{} row group {}",
            self.file.fetch.file().label(),
            self.group
        )
    }

    /// Reads on a blocking thread, which starts when the stream is first polled and ends when it is dropped. Where it
    /// breaks off, the last is an error.
    pub(crate) fn stream(self) -> BoxStream<'static, Result<SpanBatch, ReadError>> {
        let batches = async move {
            let label = self.file.fetch.file().label();
            let (sender, receiver) = mpsc::channel(BATCHES_AHEAD);
            let reading = task::spawn_blocking(move || {
                self.read(&mut |batch| match sender.blocking_send(batch) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(_) => ControlFlow::Break(()),
                });
            });
            let ended = stream::once(reading).filter_map(move |ended| {
                let error = ended.err().map(|error| broken_off(&label, &error));
                future::ready(error.map(Err))
            });
            let batches = stream::unfold(receiver, |mut receiver| async move {
                let batch = receiver.recv().await?;
                Some((batch, receiver))
            });
            batches.chain(ended)
        };
        stream::once(batches).flatten().boxed()
    }

    /// Reads on this thread, until there is no more or `take` breaks off.
    pub(crate) fn read(
        &self,
        take: &mut dyn FnMut(Result<SpanBatch, ReadError>) -> ControlFlow<()>,
    ) {
        let group = self.group_reader();
        let columns = &self.file.request.columns;
        let batch_spans = match is_narrow(columns) {
            true => BATCH_SPANS_NARROW,
            false => BATCH_SPANS_WIDE,
        };
        let read = group.and_then(|group| {
            let roots = self.columns(&group, &columns.attributes)?;
            self.read_rows(&group, &roots, batch_spans, &mut |rows| {
                let batch = decode(rows, &self.file.footer.catalogue);
                let batch = batch.map_err(|error| ParquetError::General(error.to_string()))?;
                Ok(take(Ok(batch)))
            })
        });
        if let Err(error) = read {
            // It was the last anyway.
            let _ = take(Err(self.error(&error)));
        }
    }

    fn error(&self, error: &ParquetError) -> ReadError {
        read_error(self.file.fetch.file(), error, &self.file.unreadable)
    }

    fn group_reader(&self) -> Result<GroupReader<'_>, ParquetError> {
        let file = &self.file;
        let report = &file.report;
        let mut group = GroupReader::new(&file.footer, file.fetch.clone(), self.group, report)?;
        if let Some(said) = &file.has_traces {
            group.traces_at = said.codes_in(self.group);
        }
        Ok(group)
    }

    fn read_rows(
        &self,
        group: &GroupReader<'_>,
        roots: &[usize],
        batch_spans: usize,
        take: &mut dyn FnMut(&RecordBatch) -> Result<ControlFlow<()>, ParquetError>,
    ) -> Result<(), ParquetError> {
        let file = &self.file;
        let report = &file.report;
        let whole = match &self.starts {
            Some(starts) => group.pages_where(|times| times.may_start_in(starts))?,
            None => Rows::all(group.spans()),
        };
        let in_time = match &file.request.time_range {
            Some(range) => whole.intersection(&group.pages_where(|it| it.may_overlap(range))?),
            None => whole.clone(),
        };
        if in_time.is_empty() {
            self.count_skipped(&whole, SkipReason::Time);
            return Ok(());
        }
        let rows = match &file.condition {
            Some(condition) => {
                let (rows, reason) = select::select(group, condition, &in_time)?;
                if rows.is_empty() {
                    self.count_skipped(&whole, reason);
                    return Ok(());
                }
                rows
            }
            None => in_time.clone(),
        };
        let too_early_or_late = whole.count() - in_time.count();
        let failed = in_time.count() - rows.count();
        report
            .spans
            .skip(SkipReason::Time, too_early_or_late as u64);
        report.spans.skip(SkipReason::NoRows, failed as u64);
        report.row_groups.read(1);
        report.spans.read(rows.count() as u64);
        let mut starts = self.starts(group, &rows)?;
        for rows in group.rows(roots, &rows, batch_spans)? {
            let mut rows = rows?;
            if rows.num_rows() == 0 {
                continue;
            }
            if let Some(starts) = &mut starts {
                rows = starts.join(&rows)?;
            }
            if take(&rows)?.is_break() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn count_skipped(&self, rows: &Rows, reason: SkipReason) {
        if rows.is_all() {
            self.file.count_skipped(self.group, reason);
        } else {
            let spans = &self.file.report.spans;
            spans.skip(reason, rows.count() as u64);
        }
    }

    /// The columns that hold what is asked for, and these attributes.
    fn columns(
        &self,
        group: &GroupReader<'_>,
        attributes: &AttributeKeys,
    ) -> Result<Vec<usize>, ParquetError> {
        let footer = &self.file.footer;
        let columns = &self.file.request.columns;
        let tail = self.needs_tail(group, attributes)?;
        let exact = starts::are_exact(columns, &footer.groups[self.group]);
        let wanted = |name: &str| match name {
            table::TRACE_ID => columns.trace_id,
            table::SPAN_ID => columns.span_id,
            table::PARENT_SPAN_ID => columns.parent_span_id,
            table::NAME => columns.name,
            table::KIND => columns.kind,
            table::START_TIME_UNIX_NANO | table::END_TIME_UNIX_NANO => {
                columns.times || columns.durations || columns.steps.is_some()
            }
            table::START_TIME | table::START_TIME_NANOS => exact && !footer.is_first_version,
            table::DURATION_NANO => (exact || columns.durations) && !footer.is_first_version,
            table::STATUS_CODE => columns.status,
            table::STATUS_MESSAGE => columns.status_message,
            table::RECEIVED_AT_UNIX_NANO => columns.received_at,
            table::TRACE_STATE => columns.trace_state,
            table::FLAGS
            | table::DROPPED_ATTRIBUTES_COUNT
            | table::DROPPED_EVENTS_COUNT
            | table::DROPPED_LINKS_COUNT => columns.details,
            table::SERVICE_NAME => columns.service_name && columns.resource.is_none(),
            table::RESOURCE => !columns.resource.is_none(),
            table::SCOPE => columns.scope,
            table::ATTRIBUTES => tail,
            table::EVENTS => columns.events,
            table::LINKS => columns.links,
            _ => footer.catalogue.by_name(name).is_some_and(|column| {
                column.scope == AttributeScope::Span && attributes.contains(&column.key)
            }),
        };
        let is_list = |name: &str| matches!(name, table::ATTRIBUTES | table::EVENTS | table::LINKS);
        // The first leaf of a list has a value in every element: where it has none, no span has an element.
        let has_none = |name: &str, leaves: &Range<usize>| {
            is_list(name) && dictionary::is_empty(group.column(leaves.start))
        };
        let roots = footer.roots().iter().enumerate();
        let roots = roots.filter(|(_, (name, leaves))| wanted(name) && !has_none(name, leaves));
        Ok(roots.map(|(root, _)| root).collect())
    }

    /// Starts that are not among the columns.
    fn starts(&self, group: &GroupReader<'_>, rows: &Rows) -> Result<Option<Starts>, ParquetError> {
        let footer = &self.file.footer;
        let columns = &self.file.request.columns;
        match &columns.steps {
            Some(steps)
                if !footer.is_first_version
                    && !starts::are_exact(columns, &footer.groups[self.group]) =>
            {
                Starts::read(group, steps, rows).map(Some)
            }
            _ => Ok(None),
        }
    }
}

fn is_narrow(columns: &ScanColumns) -> bool {
    !(columns.attributes == AttributeKeys::All || columns.events || columns.links)
}

/// A thread that read the file broke off, which only a file that nobody foresaw brings about.
pub(crate) fn broken_off(file: &str, error: &JoinError) -> ReadError {
    ReadError::Damaged {
        file: file.to_owned(),
        reason: error.to_string(),
    }
}

/// What readers are told; those who run the server are told too, unless the file is only out of reach.
pub(crate) fn read_error(
    file: &ColdFile,
    error: &ParquetError,
    unreadable: &Unreadable,
) -> ReadError {
    let source = match error {
        ParquetError::External(source) => source.downcast_ref::<io::Error>(),
        _ => None,
    };
    let reason = source.map_or_else(|| error.to_string(), ToString::to_string);
    if source.is_none_or(|source| source.kind() != io::ErrorKind::HostUnreachable) {
        unreadable.note(&file.name, &reason);
    }
    let file = file.label();
    match source {
        Some(_) => ReadError::Disk { file, reason },
        None => ReadError::Damaged { file, reason },
    }
}
