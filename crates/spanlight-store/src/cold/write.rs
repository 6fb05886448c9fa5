//! Batches to a data file: sorted by trace, each span once, synced with its name.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray as _;
use parquet::arrow::ArrowSchemaConverter;
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::ChunkReader;
use parquet::file::writer::SerializedFileWriter;
use spanlight_model::SpanBatch;

use super::catalogue::Catalogue;
use super::checksum::{self, END_UNKNOWN, META_CHECKSUMS, META_END, Summing};
use super::chunk::{PAGE_ROWS, RowGroupWriter};
use super::encode::{Encoder, Source};
use super::order::Order;
use super::promote::Promotion;
use super::schema::{
    FORMAT, META_CATALOGUE, META_FORMAT, META_RUNS, META_TIMES, TRACE_ID, table_schema,
};
use super::traces::{Gathering, META_TRACES};
use super::{ColdFile, FileTimes};
use crate::disk::{Disk, DiskFile};

/// Spans of a row group: what a reader skips or takes as one.
pub(crate) const ROW_GROUP_SPANS: usize = 128 << 10;
/// Memory for the values of a row group,
const ROW_GROUP_BYTES: usize = 48 << 20;
/// and for one of them.
const VALUE_BYTES: usize = 8;
/// Columns that every file has.
const FIXED_COLUMNS: usize = 16;

/// A data file that was written but is not in the table yet.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) file: ColdFile,
    /// The catalogue for the next file: the one that was given, and what this file's spans added.
    pub(crate) catalogue: Arc<Catalogue>,
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

/// Writes the spans of these batches into one new file of this directory. Keys that occur often get columns, beside
/// those that the catalogue has already.
pub(crate) fn write(
    disk: &dyn Disk,
    directory: &Path,
    name: &str,
    batches: &[SpanBatch],
    catalogue: &Arc<Catalogue>,
) -> Result<Written, WriteError> {
    let path = directory.join(name);
    let promotion = Promotion::of(catalogue, batches);
    let order = Order::of(batches);
    let written = write_file(disk, &path, batches, &promotion, &order);
    if written.is_err() {
        // A left-over is only litter: recovery removes what no commit names.
        disk.remove(&path).ok();
    }
    Ok(Written {
        repeats: order.repeats,
        file: ColdFile {
            name: name.to_owned(),
            bytes: written?,
            path,
            spans: order.places.len() as u64,
            times: order.times,
            columns: Arc::new(promotion.occurring),
        },
        catalogue: promotion.catalogue,
    })
}

fn write_file(
    disk: &dyn Disk,
    path: &Path,
    batches: &[SpanBatch],
    promotion: &Promotion,
    order: &Order,
) -> Result<u64, WriteError> {
    let sources: Vec<Source<'_>> = batches.iter().map(Source::of).collect();
    let mut encoder = Encoder::new(&sources, &promotion.occurring);
    let mut writer = FileWriter::create(disk, path, &promotion.occurring)?;
    for places in order.places.chunks(row_group_spans(&promotion.occurring)) {
        let rows = encoder.rows(places);
        let rows = rows.map_err(|error| writer.error(error.into()))?;
        writer.write(&rows)?;
    }
    writer.finish(&promotion.occurring, &order.times)
}

/// Spans of a row group: fewer where there are many columns, so that memory is bounded.
pub(crate) fn row_group_spans(columns: &Catalogue) -> usize {
    let columns = columns.columns().len() + FIXED_COLUMNS;
    let room = (ROW_GROUP_BYTES / VALUE_BYTES / columns).next_multiple_of(PAGE_ROWS);
    room.min(ROW_GROUP_SPANS)
}

/// A data file that is being written.
pub(crate) struct FileWriter {
    path: PathBuf,
    file: SerializedFileWriter<Sink>,
    groups: RowGroupWriter,
    traces: Gathering,
}

impl FileWriter {
    /// A new file of rows with these columns.
    pub(crate) fn create(
        disk: &dyn Disk,
        path: &Path,
        columns: &Catalogue,
    ) -> Result<Self, WriteError> {
        let error = |source| WriteError::Parquet {
            path: path.to_owned(),
            source,
        };
        let file = disk.create_new(path);
        let sink = Sink {
            file: file.map_err(|source| WriteError::Disk {
                path: path.to_owned(),
                source,
            })?,
            buffer: Vec::with_capacity(SINK_BYTES),
            bytes: 0,
            unsynced: 0,
            sums: Some(Summing::default()),
        };
        let properties = WriterProperties::builder()
            .set_created_by(format!("Spanlight {}", env!("CARGO_PKG_VERSION")))
            .build();
        let schema = ArrowSchemaConverter::new().convert(&table_schema(columns));
        let schema = schema.map_err(error)?.root_schema_ptr();
        let file = SerializedFileWriter::new(sink, schema, Arc::new(properties));
        Ok(Self {
            path: path.to_owned(),
            file: file.map_err(error)?,
            groups: RowGroupWriter::new().map_err(error)?,
            traces: Gathering::default(),
        })
    }

    /// Writes rows as one row group.
    pub(crate) fn write(&mut self, rows: &RecordBatch) -> Result<(), WriteError> {
        let ids = rows.column_by_name(TRACE_ID);
        let ids = ids.and_then(|ids| ids.as_binary_opt::<i32>());
        self.traces.push_group(ids.into_iter().flatten().flatten());
        let written = self.groups.write(&mut self.file, rows);
        written.map_err(|error| self.error(error))
    }

    /// Writes a row group of another file as it is there: `chunk` knows the column chunks by their paths, and whether
    /// there are any, `bytes` has them; the traces are those of its spans.
    pub(crate) fn append<'a>(
        &mut self,
        spans: usize,
        traces: impl Iterator<Item = &'a [u8]>,
        chunk: impl FnMut(&str) -> Result<Option<ColumnCloseResult>, ParquetError>,
        bytes: &impl ChunkReader,
    ) -> Result<(), WriteError> {
        self.traces.push_group(traces);
        let written = self.groups.append(&mut self.file, spans, chunk, bytes);
        written.map_err(|error| self.error(error))
    }

    /// Says of how many row groups each of the file's runs is. One that says nothing is one run.
    pub(crate) fn say_runs(&mut self, runs: &[usize]) {
        if runs.len() > 1 {
            let runs: Vec<String> = runs.iter().map(usize::to_string).collect();
            let entry = KeyValue::new(META_RUNS.to_owned(), runs.join(" "));
            self.file.append_key_value_metadata(entry);
        }
    }

    /// Ends the file and syncs it, and says how long it is.
    pub(crate) fn finish(
        mut self,
        columns: &Catalogue,
        times: &FileTimes,
    ) -> Result<u64, WriteError> {
        for (key, value) in metadata(columns, times) {
            let entry = KeyValue::new(key.to_owned(), value);
            self.file.append_key_value_metadata(entry);
        }
        let path = self.path;
        let ended = end(&mut self.file, self.traces);
        ended.map_err(|source| WriteError::Disk {
            path: path.clone(),
            source,
        })?;
        let sink = self.file.into_inner();
        let mut sink = sink.map_err(|source| WriteError::Parquet {
            path: path.clone(),
            source,
        })?;
        let synced = sink.sync();
        synced.map_err(|source| WriteError::Disk { path, source })?;
        Ok(sink.bytes)
    }

    pub(crate) fn error(&self, source: ParquetError) -> WriteError {
        WriteError::Parquet {
            path: self.path.clone(),
            source,
        }
    }
}

/// Writes what lies between the row groups and the file's end, and says what must be known of it.
fn end(file: &mut SerializedFileWriter<Sink>, traces: Gathering) -> io::Result<()> {
    let (index, about_index) = traces.finish(file.bytes_written() as u64);
    file.write_all(&index)?;
    // So that nothing is on its way to the sink.
    file.flush()?;
    let sums = file.inner_mut().begin_end()?;
    // Readers look for the last two at the very end.
    let said = [
        (META_CHECKSUMS, sums),
        (META_TRACES, about_index),
        (META_END, END_UNKNOWN.to_owned()),
    ];
    for (name, value) in said {
        file.append_key_value_metadata(KeyValue::new(name.to_owned(), value));
    }
    Ok(())
}

/// What a file says about itself.
fn metadata(columns: &Catalogue, times: &FileTimes) -> [(&'static str, String); 3] {
    [
        (META_FORMAT, FORMAT.to_string()),
        (META_CATALOGUE, columns.to_json()),
        (META_TIMES, times.to_json()),
    ]
}

/// Bytes that go to the disk at once.
const SINK_BYTES: usize = 1 << 20;

/// Bytes that are synced at once: the log's next sync may wait for them.
const SYNC_BYTES: usize = 8 << 20;

/// A file that gathers its bytes, and counts them.
struct Sink {
    file: Box<dyn DiskFile>,
    buffer: Vec<u8>,
    bytes: u64,
    unsynced: usize,
    /// Until the end begins, which has the indexes and the footer.
    sums: Option<Summing>,
}

impl Sink {
    /// What comes now is the file's end. Gives the checksums of what came before.
    fn begin_end(&mut self) -> io::Result<String> {
        self.flush_buffer()?;
        let sums = self.sums.take().unwrap_or_default();
        Ok(sums.to_metadata())
    }

    fn flush_buffer(&mut self) -> io::Result<()> {
        self.file.write_all(&self.buffer)?;
        self.unsynced += self.buffer.len();
        self.buffer.clear();
        if self.unsynced >= SYNC_BYTES {
            self.file.sync()?;
            self.unsynced = 0;
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.sums.is_none() {
            checksum::seal(&mut self.buffer);
        }
        self.flush_buffer()?;
        self.file.sync()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        self.bytes += bytes.len() as u64;
        if let Some(sums) = &mut self.sums {
            sums.push(bytes);
            // The end stays until it is sealed.
            if self.buffer.len() >= SINK_BYTES {
                self.flush_buffer()?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
