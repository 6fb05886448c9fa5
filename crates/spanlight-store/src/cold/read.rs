//! Reading a data file: only the row groups, pages and columns that may have what is asked for.

use std::collections::BTreeSet;
use std::io::{Cursor, Read};
use std::ops::{Bound, Range};
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::{Array as _, BooleanArray};
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowPredicateFn, ParquetRecordBatchReaderBuilder, RowFilter, RowSelection, RowSelector,
};
use parquet::bloom_filter::Sbbf;
use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::statistics::Statistics;
use spanlight_model::{SpanBatch, TraceId};
use tokio::sync::mpsc;
use tokio::task;

use super::ColdFile;
use super::catalogue::{AttributeScope, Catalogue};
use super::decode::decode;
use super::footer::{Footer, FooterCache, column_of};
use super::schema as table;
use super::source::{DataSource, LocalFiles};
use crate::disk::Disk;
use crate::error::ReadError;
use crate::scan::{ScanColumns, ScanRequest};

/// Spans of a batch.
const BATCH_SPANS: usize = 8 << 10;
/// Batches that wait for a slow reader.
const BATCHES_AHEAD: usize = 2;

type Batches = mpsc::Sender<Result<SpanBatch, ReadError>>;

/// What reading takes: where the bytes come from, and the footers that are known.
#[derive(Debug, Clone)]
pub(crate) struct FileReader {
    pub(crate) source: Arc<dyn DataSource>,
    pub(crate) footers: Arc<FooterCache>,
}

impl FileReader {
    /// Reads files of the data directory.
    pub(crate) fn local(disk: &Arc<dyn Disk>) -> Self {
        Self {
            source: Arc::new(LocalFiles(Arc::clone(disk))),
            footers: Arc::default(),
        }
    }
}

/// Reads a file on a blocking thread, which starts when the stream is first polled and ends when it is dropped.
pub(crate) fn stream(
    reader: FileReader,
    file: Arc<ColdFile>,
    request: Arc<ScanRequest>,
) -> BoxStream<'static, Result<SpanBatch, ReadError>> {
    let batches = async move {
        let (sender, receiver) = mpsc::channel(BATCHES_AHEAD);
        task::spawn_blocking(move || {
            if let Err(error) = read(&reader, &file, &request, &sender) {
                sender.blocking_send(Err(error)).ok();
            }
        });
        stream::unfold(receiver, |mut receiver| async move {
            let batch = receiver.recv().await?;
            Some((batch, receiver))
        })
    };
    stream::once(batches).flatten().boxed()
}

fn read(
    reader: &FileReader,
    file: &Arc<ColdFile>,
    request: &ScanRequest,
    sender: &Batches,
) -> Result<(), ReadError> {
    let failed = |error: ParquetError| read_error(file, error);
    let damaged = |reason: String| ReadError::Damaged {
        file: display_name(file),
        reason,
    };
    let footers = &reader.footers;
    let reader = ParquetFile::new(Arc::clone(&reader.source), Arc::clone(file));
    let footer = footers.get(&file.path, &reader).map_err(failed)?;
    let groups = row_groups(&footer, request);
    if groups.is_empty() {
        return Ok(());
    }
    let builder =
        ParquetRecordBatchReaderBuilder::new_with_metadata(reader, footer.metadata.clone());
    let projection = projection(&builder, &footer.catalogue, &request.columns);
    let mut builder = builder
        .with_projection(projection)
        .with_batch_size(BATCH_SPANS);
    if let Some(ids) = &request.trace_ids {
        builder = builder.with_row_selection(rows_of_traces(&footer, &groups, ids));
        builder = with_trace_filter(builder, Arc::clone(ids));
    }
    let builder = builder.with_row_groups(groups);
    for rows in builder.build().map_err(failed)? {
        let rows = rows.map_err(|error| damaged(error.to_string()))?;
        if rows.num_rows() == 0 {
            continue;
        }
        let batch = decode(&rows, &footer.catalogue).map_err(|error| damaged(error.to_string()))?;
        if sender.blocking_send(Ok(batch)).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// The row groups that may have what is asked for.
fn row_groups(footer: &Footer, request: &ScanRequest) -> Vec<usize> {
    let range = request.time_range.as_ref();
    let ids = request.trace_ids.as_deref();
    let groups = footer.metadata.metadata().row_groups().iter().enumerate();
    groups
        .filter(|(_, group)| range.is_none_or(|range| may_overlap(group, range)))
        .filter(|(position, group)| {
            let filter = footer.trace_filters[*position].as_ref();
            ids.is_none_or(|ids| may_have_traces(group, filter, ids))
        })
        .map(|(position, _)| position)
        .collect()
}

fn int_bounds(group: &RowGroupMetaData, name: &str) -> Option<(i64, i64)> {
    match group.column(column_of(group, name)?).statistics()? {
        Statistics::Int64(values) => Some((*values.min_opt()?, *values.max_opt()?)),
        _ => None,
    }
}

fn may_overlap(group: &RowGroupMetaData, range: &Range<i64>) -> bool {
    let Some((start_min, end_max)) = time_bounds(group) else {
        return true;
    };
    start_min <= range.end && end_max >= range.start
}

/// When the first span of a row group starts or ends, and when the last one does.
fn time_bounds(group: &RowGroupMetaData) -> Option<(i64, i64)> {
    let old_starts = int_bounds(group, table::START_TIME_UNIX_NANO);
    let old_ends = int_bounds(group, table::END_TIME_UNIX_NANO);
    if let (Some(starts), Some(ends)) = (old_starts, old_ends) {
        return Some((starts.0.min(ends.0), starts.1.max(ends.1)));
    }
    let starts = int_bounds(group, table::START_TIME)?;
    let durations = int_bounds(group, table::DURATION_NANO)?;
    let first = starts.0.saturating_mul(1_000);
    let last = starts.1.saturating_mul(1_000).saturating_add(999);
    Some((
        first.saturating_add(durations.0.min(0)),
        last.saturating_add(durations.1.max(0)),
    ))
}

fn may_have_traces(
    group: &RowGroupMetaData,
    filter: Option<&Sbbf>,
    ids: &BTreeSet<TraceId>,
) -> bool {
    let Some(column) = column_of(group, table::TRACE_ID) else {
        return true;
    };
    let bounds = match group.column(column).statistics() {
        Some(Statistics::ByteArray(values)) => (
            values.min_opt().map(AsRef::as_ref),
            values.max_opt().map(AsRef::as_ref),
        ),
        _ => (None, None),
    };
    ids_within(ids, bounds.0, bounds.1)
        .any(|id| filter.is_none_or(|filter| filter.check(&id.0[..])))
}

/// The ids between two bounds, which are included; a bound that is not known excludes nothing.
fn ids_within<'a>(
    ids: &'a BTreeSet<TraceId>,
    min: Option<&[u8]>,
    max: Option<&[u8]>,
) -> impl Iterator<Item = &'a TraceId> {
    let exact = |bound: &[u8]| <[u8; 16]>::try_from(bound).ok().map(TraceId);
    let min = min
        .and_then(exact)
        .map_or(Bound::Unbounded, Bound::Included);
    let max = max
        .and_then(exact)
        .map_or(Bound::Unbounded, Bound::Included);
    let is_empty = matches!((min, max), (Bound::Included(min), Bound::Included(max)) if min > max);
    let range = (!is_empty).then(|| ids.range((min, max)));
    range.into_iter().flatten()
}

/// The pages that may have these traces: the file is sorted by trace, so one or two a trace.
fn rows_of_traces(footer: &Footer, groups: &[usize], ids: &BTreeSet<TraceId>) -> RowSelection {
    let metadata = footer.metadata.metadata();
    let mut selectors = Vec::new();
    for &position in groups {
        let group = metadata.row_group(position);
        let rows = usize::try_from(group.num_rows()).unwrap_or(0);
        let pages = column_of(group, table::TRACE_ID).and_then(|column| {
            let bounds = &metadata.column_index()?.get(position)?.get(column)?;
            let ColumnIndexMetaData::BYTE_ARRAY(bounds) = bounds else {
                return None;
            };
            let places = metadata.offset_index()?.get(position)?.get(column)?;
            Some((bounds, places.page_locations()))
        });
        let Some((bounds, places)) = pages else {
            selectors.push(RowSelector::select(rows));
            continue;
        };
        for (page, place) in places.iter().enumerate() {
            let start = place.first_row_index;
            let end = places
                .get(page + 1)
                .map_or(group.num_rows(), |next| next.first_row_index);
            let length = usize::try_from(end - start).unwrap_or(0);
            let mut found = ids_within(ids, bounds.min_value(page), bounds.max_value(page));
            selectors.push(if found.next().is_some() {
                RowSelector::select(length)
            } else {
                RowSelector::skip(length)
            });
        }
    }
    RowSelection::from(selectors)
}

fn projection(
    builder: &ParquetRecordBatchReaderBuilder<ParquetFile>,
    catalogue: &Catalogue,
    columns: &ScanColumns,
) -> ProjectionMask {
    let schema = builder.parquet_schema();
    let fields = schema.root_schema().get_fields().iter().enumerate();
    let is_old = schema
        .root_schema()
        .get_fields()
        .iter()
        .any(|field| field.name() == table::START_TIME_UNIX_NANO);
    let wanted = |name: &str| match name {
        table::START_TIME | table::DURATION_NANO => !is_old,
        table::ATTRIBUTES => !columns.attributes.is_none(),
        table::EVENTS => columns.events,
        table::LINKS => columns.links,
        table::RESOURCE => !columns.resource.is_none(),
        table::SERVICE_NAME => columns.resource.is_none(),
        table::SCOPE => columns.scope,
        _ => match catalogue.by_name(name) {
            Some(column) if column.scope == AttributeScope::Span => {
                columns.attributes.contains(&column.key)
            }
            Some(_) => false,
            None => true,
        },
    };
    let roots = fields.filter(|(_, field)| wanted(field.name()));
    ProjectionMask::roots(schema, roots.map(|(position, _)| position))
}

/// Reads the ids first, and the other columns only for the rows that match.
fn with_trace_filter(
    builder: ParquetRecordBatchReaderBuilder<ParquetFile>,
    ids: Arc<BTreeSet<TraceId>>,
) -> ParquetRecordBatchReaderBuilder<ParquetFile> {
    let mask = ProjectionMask::columns(builder.parquet_schema(), [table::TRACE_ID]);
    let predicate = ArrowPredicateFn::new(mask, move |rows| {
        let column = rows.column(0).as_binary::<i32>();
        let matches = (0..column.len()).map(|row| {
            let id = <[u8; 16]>::try_from(column.value(row)).ok();
            Some(id.is_some_and(|id| ids.contains(&TraceId(id))))
        });
        Ok(BooleanArray::from_iter(matches))
    });
    builder.with_row_filter(RowFilter::new(vec![Box::new(predicate)]))
}

fn display_name(file: &ColdFile) -> String {
    file.label()
}

fn read_error(file: &ColdFile, error: ParquetError) -> ReadError {
    match error {
        ParquetError::External(source) if source.is::<std::io::Error>() => ReadError::Disk {
            file: display_name(file),
            reason: source.to_string(),
        },
        other => ReadError::Damaged {
            file: display_name(file),
            reason: other.to_string(),
        },
    }
}

/// A data file, for the Parquet reader.
#[derive(Debug, Clone)]
pub(crate) struct ParquetFile {
    source: Arc<dyn DataSource>,
    file: Arc<ColdFile>,
}

impl ParquetFile {
    pub(crate) fn new(source: Arc<dyn DataSource>, file: Arc<ColdFile>) -> Self {
        Self { source, file }
    }

    fn range(&self, range: Range<u64>) -> Result<Bytes, ParquetError> {
        let parts = self
            .source
            .read_ranges(&self.file, std::slice::from_ref(&range));
        let mut parts = parts.map_err(|error| ParquetError::External(Box::new(error)))?;
        Ok(parts.pop().unwrap_or_default())
    }
}

impl Length for ParquetFile {
    fn len(&self) -> u64 {
        self.file.bytes
    }
}

impl ChunkReader for ParquetFile {
    type T = Box<dyn Read>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        // Only the footer and page headers are read this way; they are short.
        let end = self.len().min(start.saturating_add(64 << 10));
        let head = Cursor::new(self.range(start..end.max(start))?);
        let rest = LazyRest {
            file: self.clone(),
            range: end..self.len(),
            bytes: None,
        };
        Ok(Box::new(head.chain(rest)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        self.range(start..start.saturating_add(length as u64))
    }
}

/// The rest of a file, read when somebody gets there.
struct LazyRest {
    file: ParquetFile,
    range: Range<u64>,
    bytes: Option<Cursor<Bytes>>,
}

impl Read for LazyRest {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.range.is_empty() {
            return Ok(0);
        }
        let bytes = match &mut self.bytes {
            Some(bytes) => bytes,
            None => {
                let bytes = self.file.range(self.range.clone());
                self.bytes
                    .insert(Cursor::new(bytes.map_err(std::io::Error::other)?))
            }
        };
        bytes.read(buffer)
    }
}
