//! Batches to a data file: sorted by trace, each span once, synced; its name is the caller's to sync.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use spanlight_model::{SpanId, SpanKind, TraceId};

use super::encode::{Source, TableRows};
use super::schema::{TRACE_ID, table_schema};
use super::{ColdFile, FileTimes};
use crate::disk::{Disk, DiskFile};
use crate::hot::HotBatch;

/// Spans of a row group: what a reader skips or takes as one.
const ROW_GROUP_SPANS: usize = 128 << 10;
/// Spans that are converted at once.
const CHUNK_SPANS: usize = 8 << 10;

/// A data file that was written but is not in the table yet.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) file: ColdFile,
    /// Spans that were left out because they are in the file already.
    pub(crate) repeats: u64,
}

/// Why a data file was not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    #[error("{}: {source}", path.display())]
    Disk {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{}: {source}", path.display())]
    Parquet {
        path: PathBuf,
        #[source]
        source: ParquetError,
    },
}

/// Writes the spans of these batches into one new file of this directory.
pub(crate) fn write(
    disk: &dyn Disk,
    directory: &Path,
    name: &str,
    batches: &[Arc<HotBatch>],
) -> Result<Written, WriteError> {
    let path = directory.join(name);
    let written = write_file(disk, &path, batches);
    if written.is_err() {
        // A left-over is only litter: recovery removes what no commit names.
        disk.remove(&path).ok();
    }
    let (order, bytes) = written?;
    let spans: usize = batches.iter().map(|batch| batch.spans.num_spans()).sum();
    Ok(Written {
        repeats: (spans - order.places.len()) as u64,
        file: ColdFile {
            name: name.to_owned(),
            path,
            bytes,
            spans: order.places.len() as u64,
            times: order.times,
        },
    })
}

fn write_file(
    disk: &dyn Disk,
    path: &Path,
    batches: &[Arc<HotBatch>],
) -> Result<(Order, u64), WriteError> {
    let parquet_error = |source| WriteError::Parquet {
        path: path.to_owned(),
        source,
    };
    let disk_error = |source| WriteError::Disk {
        path: path.to_owned(),
        source,
    };
    let sources: Vec<Source<'_>> = batches.iter().map(|b| Source::of(&b.spans)).collect();
    let order = Order::of(&sources);
    let sink = Sink {
        file: disk.create_new(path).map_err(disk_error)?,
        bytes: 0,
    };
    let options = ArrowWriterOptions::new()
        .with_properties(properties(order.traces))
        // Other engines read the Parquet types; ours are given to the reader.
        .with_skip_arrow_metadata(true);
    let mut writer =
        ArrowWriter::try_new_with_options(sink, table_schema(), options).map_err(parquet_error)?;
    for chunk in order.places.chunks(CHUNK_SPANS) {
        let mut rows = TableRows::default();
        for place in chunk {
            rows.push(&sources[place.batch as usize], place.row as usize);
        }
        let rows = rows.finish().map_err(ParquetError::from);
        writer
            .write(&rows.map_err(parquet_error)?)
            .map_err(parquet_error)?;
    }
    let mut sink = writer.into_inner().map_err(parquet_error)?;
    sink.file.sync().map_err(disk_error)?;
    Ok((order, sink.bytes))
}

fn properties(traces: usize) -> WriterProperties {
    let trace_id = ColumnPath::from(TRACE_ID);
    WriterProperties::builder()
        .set_created_by(format!("Spanlight {}", env!("CARGO_PKG_VERSION")))
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_max_row_group_row_count(Some(ROW_GROUP_SPANS))
        .set_column_bloom_filter_enabled(trace_id.clone(), true)
        .set_column_bloom_filter_max_ndv(trace_id, traces.clamp(1, ROW_GROUP_SPANS) as u64)
        .build()
}

/// The rows to write, in the order of the file.
struct Order {
    places: Vec<Place>,
    traces: usize,
    times: FileTimes,
}

struct Place {
    trace_id: TraceId,
    span_id: SpanId,
    /// Zipkin's clients and servers share an id; the server's span is another.
    server: bool,
    start: i64,
    end: i64,
    received: i64,
    batch: u32,
    row: u32,
}

impl Order {
    fn of(sources: &[Source<'_>]) -> Self {
        let mut places = Vec::new();
        for (batch, source) in (0..).zip(sources) {
            let columns = &source.columns;
            places.extend((0..columns.flags.len()).map(|row| Place {
                trace_id: columns.trace_id(row),
                span_id: columns.span_id(row),
                server: columns.kinds.value(row) == SpanKind::Server as i8,
                start: columns.start_times.value(row),
                end: columns.end_times.value(row),
                received: columns.received_at.value(row),
                batch,
                row: row as u32,
            }));
        }
        // Of a repeated span the latest stays: last received, then ended, then appended. Readers, who see repeats
        // beyond the file, decide by the first two.
        places.sort_unstable_by(|a, b| {
            let key = |place: &Place| (place.trace_id, place.span_id, place.server);
            let age = |place: &Place| (place.received, place.end, place.batch, place.row);
            key(a).cmp(&key(b)).then(age(b).cmp(&age(a)))
        });
        places.dedup_by_key(|place| (place.trace_id, place.span_id, place.server));
        places.sort_unstable_by_key(|place| (place.trace_id, place.start, place.span_id));
        let changes = places
            .windows(2)
            .filter(|pair| pair[0].trace_id != pair[1].trace_id);
        let traces = changes.count() + 1;
        let mut times = FileTimes::NONE;
        for place in &places {
            times.include(place.start, place.end, place.received);
        }
        Self {
            places,
            traces,
            times,
        }
    }
}

/// A file that counts its bytes.
struct Sink {
    file: Box<dyn DiskFile>,
    bytes: u64,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_all(bytes)?;
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
