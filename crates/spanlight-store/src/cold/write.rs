//! Batches to a data file: sorted by trace, each span once, synced with its name.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use spanlight_model::SpanBatch;

use super::catalogue::Catalogue;
use super::encode::{Encoder, Source};
use super::order::Order;
use super::promote::Promotion;
use super::schema::{FORMAT, META_CATALOGUE, META_FORMAT, META_TIMES, TRACE_ID};
use super::{ColdFile, FileTimes};
use crate::disk::{Disk, DiskFile};

/// Spans of a row group: what a reader skips or takes as one.
const ROW_GROUP_SPANS: usize = 128 << 10;
/// Spans that are converted at once.
const CHUNK_SPANS: usize = 16 << 10;
/// Spans of a page, so that reading one trace reads one small page of each column.
const PAGE_SPANS: usize = 4 << 10;

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
    let written = write_file(disk, &path, batches, catalogue);
    if written.is_err() {
        // A left-over is only litter: recovery removes what no commit names.
        disk.remove(&path).ok();
    }
    let (order, promotion, bytes) = written?;
    Ok(Written {
        catalogue: promotion.catalogue,
        repeats: order.repeats,
        file: ColdFile {
            name: name.to_owned(),
            path,
            bytes,
            spans: order.places.len() as u64,
            times: order.times,
            columns: Arc::new(promotion.occurring),
        },
    })
}

fn write_file(
    disk: &dyn Disk,
    path: &Path,
    batches: &[SpanBatch],
    catalogue: &Arc<Catalogue>,
) -> Result<(Order, Promotion, u64), WriteError> {
    let parquet_error = |source| WriteError::Parquet {
        path: path.to_owned(),
        source,
    };
    let disk_error = |source| WriteError::Disk {
        path: path.to_owned(),
        source,
    };
    let promotion = Promotion::of(catalogue, batches);
    let order = Order::of(batches);
    let sources: Vec<Source<'_>> = batches.iter().map(Source::of).collect();
    let mut encoder = Encoder::new(&sources, &promotion.occurring);
    let sink = Sink {
        file: disk.create_new(path).map_err(disk_error)?,
        bytes: 0,
    };
    let options = ArrowWriterOptions::new()
        .with_properties(properties(order.places.len()))
        // Other engines read the Parquet types; ours are given to the reader.
        .with_skip_arrow_metadata(true);
    let mut writer = ArrowWriter::try_new_with_options(sink, encoder.schema(), options)
        .map_err(parquet_error)?;
    for chunk in order.places.chunks(CHUNK_SPANS) {
        let rows = encoder.rows(chunk).map_err(ParquetError::from);
        writer
            .write(&rows.map_err(parquet_error)?)
            .map_err(parquet_error)?;
    }
    for (key, value) in metadata(&promotion.occurring, &order.times) {
        writer.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
    }
    let mut sink = writer.into_inner().map_err(parquet_error)?;
    sink.file.sync().map_err(disk_error)?;
    Ok((order, promotion, sink.bytes))
}

/// What a file says about itself.
fn metadata(columns: &Catalogue, times: &FileTimes) -> [(&'static str, String); 3] {
    [
        (META_FORMAT, FORMAT.to_string()),
        (META_CATALOGUE, columns.to_json()),
        (META_TIMES, times.to_json()),
    ]
}

fn properties(spans: usize) -> WriterProperties {
    let trace_id = ColumnPath::from(TRACE_ID);
    WriterProperties::builder()
        .set_created_by(format!("Spanlight {}", env!("CARGO_PKG_VERSION")))
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_max_row_group_row_count(Some(ROW_GROUP_SPANS))
        .set_data_page_row_count_limit(PAGE_SPANS)
        .set_write_batch_size(PAGE_SPANS)
        .set_column_bloom_filter_enabled(trace_id.clone(), true)
        .set_column_bloom_filter_max_ndv(trace_id, (spans / 4).clamp(1, ROW_GROUP_SPANS) as u64)
        .build()
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
