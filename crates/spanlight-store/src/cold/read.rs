//! Reading a data file: only the row groups, pages and columns that may have what is asked for.

use std::collections::BTreeSet;
use std::io::{Cursor, Read};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::{Array as _, BooleanArray};
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowPredicateFn, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowFilter,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, RowGroupMetaData};
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::statistics::Statistics;
use spanlight_model::{SpanBatch, TraceId};
use tokio::sync::mpsc;
use tokio::task;

use super::ColdFile;
use super::decode::decode;
use super::schema as table;
use super::schema::reader_schema;
use crate::disk::Disk;
use crate::error::ReadError;
use crate::scan::{ScanColumns, ScanRequest};

/// Spans of a batch.
const BATCH_SPANS: usize = 8 << 10;
/// Batches that wait for a slow reader.
const BATCHES_AHEAD: usize = 2;

type Batches = mpsc::Sender<Result<SpanBatch, ReadError>>;

/// Reads a file on a blocking thread, which starts when the stream is first polled and ends when it is dropped.
pub(crate) fn stream(
    disk: Arc<dyn Disk>,
    file: Arc<ColdFile>,
    request: ScanRequest,
) -> BoxStream<'static, Result<SpanBatch, ReadError>> {
    let batches = async move {
        let (sender, receiver) = mpsc::channel(BATCHES_AHEAD);
        task::spawn_blocking(move || {
            if let Err(error) = read(&disk, &file, &request, &sender) {
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
    disk: &Arc<dyn Disk>,
    file: &ColdFile,
    request: &ScanRequest,
    sender: &Batches,
) -> Result<(), ReadError> {
    let failed = |error: ParquetError| read_error(file, error);
    let damaged = |reason: String| ReadError::Damaged {
        file: display_name(file),
        reason,
    };
    let reader = DiskReader {
        disk: Arc::clone(disk),
        path: Arc::from(file.path.as_path()),
        length: file.bytes,
    };
    let options = ArrowReaderOptions::new()
        .with_schema(reader_schema())
        .with_page_index_policy(PageIndexPolicy::Optional);
    let builder =
        ParquetRecordBatchReaderBuilder::try_new_with_options(reader, options).map_err(failed)?;
    let groups = row_groups(&builder, request).map_err(failed)?;
    if groups.is_empty() {
        return Ok(());
    }
    let projection = projection(&builder, request.columns);
    let mut builder = builder
        .with_row_groups(groups)
        .with_projection(projection)
        .with_batch_size(BATCH_SPANS);
    if let Some(ids) = &request.trace_ids {
        builder = with_trace_filter(builder, Arc::clone(ids));
    }
    for rows in builder.build().map_err(failed)? {
        let rows = rows.map_err(|error| damaged(error.to_string()))?;
        if rows.num_rows() == 0 {
            continue;
        }
        let batch = decode(&rows).map_err(|error| damaged(error.to_string()))?;
        if sender.blocking_send(Ok(batch)).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// The row groups that may have what is asked for.
fn row_groups(
    builder: &ParquetRecordBatchReaderBuilder<DiskReader>,
    request: &ScanRequest,
) -> Result<Vec<usize>, ParquetError> {
    let metadata = Arc::clone(builder.metadata());
    let mut groups = Vec::new();
    for (position, group) in metadata.row_groups().iter().enumerate() {
        let in_time = request
            .time_range
            .as_ref()
            .is_none_or(|range| may_overlap(group, range));
        if in_time && may_have_traces(builder, position, group, request.trace_ids.as_deref())? {
            groups.push(position);
        }
    }
    Ok(groups)
}

fn column_of(group: &RowGroupMetaData, name: &str) -> Option<usize> {
    group
        .columns()
        .iter()
        .position(|column| column.column_path().string() == name)
}

fn int_bounds(group: &RowGroupMetaData, name: &str) -> Option<(i64, i64)> {
    match group.column(column_of(group, name)?).statistics()? {
        Statistics::Int64(values) => Some((*values.min_opt()?, *values.max_opt()?)),
        _ => None,
    }
}

fn may_overlap(group: &RowGroupMetaData, range: &Range<i64>) -> bool {
    let starts = int_bounds(group, table::START_TIME_UNIX_NANO);
    let ends = int_bounds(group, table::END_TIME_UNIX_NANO);
    let (Some(starts), Some(ends)) = (starts, ends) else {
        return true;
    };
    starts.0.min(ends.0) <= range.end && starts.1.max(ends.1) >= range.start
}

fn may_have_traces(
    builder: &ParquetRecordBatchReaderBuilder<DiskReader>,
    position: usize,
    group: &RowGroupMetaData,
    ids: Option<&BTreeSet<TraceId>>,
) -> Result<bool, ParquetError> {
    let (Some(ids), Some(column)) = (ids, column_of(group, table::TRACE_ID)) else {
        return Ok(true);
    };
    let within = |id: &&TraceId| match group.column(column).statistics() {
        Some(Statistics::ByteArray(values)) => {
            let id = &id.0[..];
            values.min_opt().is_none_or(|min| min.data() <= id)
                && values.max_opt().is_none_or(|max| id <= max.data())
        }
        _ => true,
    };
    let candidates: Vec<&TraceId> = ids.iter().filter(within).collect();
    if candidates.is_empty() {
        return Ok(false);
    }
    let Some(bloom) = builder.get_row_group_column_bloom_filter(position, column)? else {
        return Ok(true);
    };
    Ok(candidates.iter().any(|id| bloom.check(&id.0[..])))
}

fn projection(
    builder: &ParquetRecordBatchReaderBuilder<DiskReader>,
    columns: ScanColumns,
) -> ProjectionMask {
    let wanted = |name: &str| match name {
        table::START_TIME | table::DURATION_NANO => false,
        table::ATTRIBUTES => columns.attributes,
        table::EVENTS => columns.events,
        table::LINKS => columns.links,
        table::RESOURCE => columns.resource,
        table::SERVICE_NAME => !columns.resource,
        table::SCOPE => columns.scope,
        _ => true,
    };
    let schema = builder.parquet_schema();
    let fields = schema.root_schema().get_fields().iter().enumerate();
    let roots = fields.filter(|(_, field)| wanted(field.name()));
    ProjectionMask::roots(schema, roots.map(|(position, _)| position))
}

/// Reads the ids first, and the other columns only for the rows that match.
fn with_trace_filter(
    builder: ParquetRecordBatchReaderBuilder<DiskReader>,
    ids: Arc<BTreeSet<TraceId>>,
) -> ParquetRecordBatchReaderBuilder<DiskReader> {
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
    format!("cold/{}", file.name)
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

/// A file behind the disk's door, for the Parquet reader.
struct DiskReader {
    disk: Arc<dyn Disk>,
    path: Arc<Path>,
    length: u64,
}

impl DiskReader {
    fn range(&self, range: Range<u64>) -> Result<Vec<u8>, ParquetError> {
        let parts = self
            .disk
            .read_ranges(&self.path, std::slice::from_ref(&range));
        let mut parts = parts.map_err(|error| ParquetError::External(Box::new(error)))?;
        Ok(parts.pop().unwrap_or_default())
    }
}

impl Length for DiskReader {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for DiskReader {
    type T = Box<dyn Read>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        // Only the footer and page headers are read this way; they are short.
        let end = self.length.min(start.saturating_add(64 << 10));
        let head = Cursor::new(self.range(start..end.max(start))?);
        let rest = LazyRest {
            disk: Arc::clone(&self.disk),
            path: Arc::clone(&self.path),
            range: end..self.length,
            bytes: None,
        };
        Ok(Box::new(head.chain(rest)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let end = start.saturating_add(length as u64);
        Ok(Bytes::from(self.range(start..end)?))
    }
}

/// The rest of a file, read when somebody gets there.
struct LazyRest {
    disk: Arc<dyn Disk>,
    path: Arc<Path>,
    range: Range<u64>,
    bytes: Option<Cursor<Vec<u8>>>,
}

impl Read for LazyRest {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.range.is_empty() {
            return Ok(0);
        }
        let bytes = match &mut self.bytes {
            Some(bytes) => bytes,
            None => {
                let range = std::slice::from_ref(&self.range);
                let mut parts = self.disk.read_ranges(&self.path, range)?;
                let bytes = Cursor::new(parts.pop().unwrap_or_default());
                self.bytes.insert(bytes)
            }
        };
        bytes.read(buffer)
    }
}
