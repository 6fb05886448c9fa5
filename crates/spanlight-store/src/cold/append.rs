//! Several data files to one without decoding them: their row groups follow each other, byte for byte. Only a row group
//! that has spans to leave out is written again, without them.
//!
//! In memory is one row group as it is on the disk, or the rows of one that is written again. What was sorted stays
//! sorted: the new file has the runs of the old ones, and says which of its row groups make a run.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow_buffer::BooleanBuffer;
use arrow_schema::ArrowError;
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    PageIndexPolicy, ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader,
};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use spanlight_model::{SpanBatch, SpanColumns, TraceId};

use super::catalogue::{AttributeColumn, Catalogue};
use super::condition::Condition;
use super::decode::{DecodeError, decode};
use super::encode::{Encoder, Source};
use super::fetch::Fetch;
use super::footer::Footer;
use super::footers::FooterCache;
use super::group::GroupReader;
use super::order::Order;
use super::rows::Rows;
use super::source::DataSource;
use super::write::{FileWriter, WriteError};
use super::{ColdFile, FileTimes, dictionary, prune, schema, select};
use crate::disk::Disk;
use crate::scan::{Field, Filter, Literal, ScanReport, ScanRequest};

/// Spans that are decoded at once.
const BATCH_SPANS: usize = 8 << 10;

/// Why files were not joined. What was written is removed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AppendError {
    /// A file cannot be read.
    #[error("{}: {source}", file.label())]
    Read {
        file: Arc<ColdFile>,
        #[source]
        source: ParquetError,
    },
    /// Its columns are called as others of other files are.
    #[error("the columns of {} are not those of other files", file.label())]
    Unfit { file: Arc<ColdFile> },
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error("the store closes")]
    Cancelled,
    /// The thread that did it broke off.
    #[error("{0}")]
    Broken(String),
}

/// What to append to what.
pub(crate) struct Append<'a> {
    pub(crate) source: &'a Arc<dyn DataSource>,
    pub(crate) files: &'a [Arc<ColdFile>],
    /// What to leave out.
    pub(crate) without: Option<&'a Without>,
    pub(crate) disk: &'a dyn Disk,
    pub(crate) directory: &'a Path,
    pub(crate) name: &'a str,
    pub(crate) is_cancelled: &'a dyn Fn() -> bool,
}

/// Spans to leave out.
#[derive(Debug, Clone)]
pub(crate) enum Without {
    /// Those of these traces.
    Traces(Arc<BTreeSet<TraceId>>),
    /// Those of these services.
    Services(Arc<BTreeSet<Arc<str>>>),
}

impl Without {
    /// Finds at least those that are meant.
    fn request(&self) -> ScanRequest {
        match self {
            Self::Traces(traces) => ScanRequest {
                trace_ids: Some(Arc::clone(traces)),
                ..ScanRequest::default()
            },
            Self::Services(services) => {
                let tests = services.iter().map(|name| {
                    Filter::equal(Field::ServiceName, Literal::String(Arc::clone(name)))
                });
                ScanRequest {
                    filter: Some(Arc::new(Filter::Or(tests.collect()))),
                    ..ScanRequest::default()
                }
            }
        }
    }

    /// The column that tells them.
    fn column(&self) -> &'static str {
        match self {
            Self::Traces(_) => schema::TRACE_ID,
            Self::Services(_) => schema::SERVICE_NAME,
        }
    }

    fn is_meant(&self, columns: &SpanColumns<'_>, row: usize) -> bool {
        match self {
            Self::Traces(traces) => traces.contains(&columns.trace_id(row)),
            Self::Services(services) => {
                let name = columns.service_name(row);
                name.is_some_and(|name| services.contains(name))
            }
        }
    }
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Appended {
    /// `None` when nothing is left, or nothing was to be left out.
    pub(crate) file: Option<ColdFile>,
    /// Spans that were left out.
    pub(crate) left_out: u64,
}

/// A file that is read.
struct Input {
    file: Arc<ColdFile>,
    fetch: Fetch,
    footer: Arc<Footer>,
    /// All that the footer says, with the page index.
    metadata: ParquetMetaData,
    /// The rows of each row group that stay.
    kept: Vec<Rows>,
}

impl Append<'_> {
    /// Writes the new file. Its name in the directory is the caller's to sync.
    pub(crate) fn run(self) -> Result<Appended, AppendError> {
        let inputs = self.files.iter().map(|file| self.open(file));
        let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
        let kept: usize = inputs.iter().flat_map(|it| &it.kept).map(Rows::count).sum();
        let spans: u64 = inputs.iter().map(|input| input.file.spans).sum();
        let left_out = spans.saturating_sub(kept as u64);
        if kept == 0 || (self.without.is_some() && left_out == 0) {
            let file = None;
            return Ok(Appended { file, left_out });
        }
        let columns = Arc::new(columns(&inputs)?);
        let path = self.directory.join(self.name);
        let written = self.write(&inputs, &columns, &path);
        if written.is_err() {
            self.disk.remove(&path).ok();
        }
        let (bytes, spans, times) = written?;
        let file = ColdFile {
            name: self.name.to_owned(),
            path,
            bytes,
            spans,
            times,
            columns,
        };
        Ok(Appended {
            file: Some(file),
            left_out,
        })
    }

    fn open(&self, file: &Arc<ColdFile>) -> Result<Input, AppendError> {
        let read_error = |source| AppendError::Read {
            file: Arc::clone(file),
            source,
        };
        let fetch = Fetch::new(Arc::clone(self.source), Arc::clone(file), Arc::default());
        // It is about to leave the table: it takes no place from others in the cache.
        let footer = FooterCache::default().get(&fetch).map_err(read_error)?;
        let fetch = fetch.checked(footer.checksums.clone());
        let mut input = Input {
            metadata: full_metadata(&fetch).map_err(read_error)?,
            kept: Vec::new(),
            file: Arc::clone(file),
            fetch,
            footer,
        };
        for group in 0..input.footer.groups.len() {
            if (self.is_cancelled)() {
                return Err(AppendError::Cancelled);
            }
            let kept = input.kept_of(group, self.without).map_err(read_error)?;
            input.kept.push(kept);
        }
        Ok(input)
    }

    fn write(
        &self,
        inputs: &[Input],
        columns: &Catalogue,
        path: &Path,
    ) -> Result<(u64, u64, FileTimes), AppendError> {
        let mut writer = FileWriter::create(self.disk, path, columns)?;
        let mut times = FileTimes::NONE;
        let (mut spans, mut runs) = (0, Vec::new());
        for input in inputs {
            let read_error = |source| AppendError::Read {
                file: Arc::clone(&input.file),
                source,
            };
            times.include_all(&input.file.times);
            let mut run = None;
            for (group, kept) in input
                .kept
                .iter()
                .enumerate()
                .filter(|(_, it)| !it.is_empty())
            {
                if (self.is_cancelled)() {
                    return Err(AppendError::Cancelled);
                }
                spans += if kept.is_all() && !input.footer.is_first_version {
                    let bytes = input.fetch.with(&[input.range(group)]);
                    let bytes = bytes.map_err(read_error)?;
                    let traces = input.traces(group, &bytes).map_err(read_error)?;
                    let traces = traces.iter().map(|id| &id.0[..]);
                    let chunk = |path: &str| input.chunk(group, path);
                    writer.append(kept.count(), traces, chunk, &bytes)?;
                    kept.count()
                } else {
                    let rows = input.rows(group, kept).map_err(read_error)?;
                    write_rows(&mut writer, &rows, columns)?
                } as u64;
                let of = input.run_of(group);
                match runs.last_mut() {
                    Some(groups) if run == Some(of) => *groups += 1,
                    _ => runs.push(1),
                }
                run = Some(of);
            }
        }
        writer.say_runs(&runs);
        Ok((writer.finish(columns, &times)?, spans, times))
    }
}

impl Input {
    /// Which rows of a row group stay.
    fn kept_of(&self, group: usize, without: Option<&Without>) -> Result<Rows, ParquetError> {
        let all = Rows::all(self.footer.groups[group].spans);
        let Some(without) = without else {
            return Ok(all);
        };
        if let Without::Traces(ids) = without
            && let Some(index) = self.footer.traces()
            && index.groups(&self.fetch, ids.iter())?.groups.get(group) == Some(&false)
        {
            return Ok(all);
        }
        let Some(condition) = Condition::of(&without.request(), &self.footer) else {
            return Ok(all);
        };
        let metadata = self.footer.metadata.row_group(group);
        if prune::by_statistics(&condition, metadata).is_some()
            || prune::by_index(&condition, &self.footer, &self.fetch, group)?.is_some()
        {
            return Ok(all);
        }
        let report = ScanReport::default();
        let reader = GroupReader::new(&self.footer, self.fetch.clone(), group, &report)?;
        let (found, _) = select::select(&reader, &condition, &all)?;
        if found.is_empty() {
            return Ok(all);
        }
        let root = self.footer.leaf(without.column()).map(|(_, root)| root);
        let mut meant = Vec::with_capacity(found.count());
        for batch in self.batches(&reader, root.as_slice(), &found)? {
            let columns = batch.columns();
            meant.extend((0..batch.num_spans()).map(|row| without.is_meant(&columns, row)));
        }
        Ok(all.without(&found.narrowed(&BooleanBuffer::from(meant))))
    }

    fn run_of(&self, group: usize) -> usize {
        match self.footer.is_first_version {
            true => group,
            false => self.footer.run_of(group),
        }
    }

    /// The spans of a row group that stay.
    fn rows(&self, group: usize, kept: &Rows) -> Result<Vec<SpanBatch>, ParquetError> {
        let report = ScanReport::default();
        let reader = GroupReader::new(&self.footer, self.fetch.clone(), group, &report)?;
        let roots: Vec<usize> = (0..self.footer.roots().len()).collect();
        self.batches(&reader, &roots, kept)
    }

    fn batches(
        &self,
        reader: &GroupReader<'_>,
        roots: &[usize],
        rows: &Rows,
    ) -> Result<Vec<SpanBatch>, ParquetError> {
        let batches = reader.rows(roots, rows, BATCH_SPANS)?;
        let batches = batches.map(|rows| {
            let batch = decode(&rows?, &self.footer.catalogue);
            batch.map_err(|error: DecodeError| ParquetError::General(error.to_string()))
        });
        batches.collect()
    }

    /// The traces of a row group, of which `pages` are at hand.
    fn traces(&self, group: usize, pages: &Fetch) -> Result<Vec<TraceId>, ParquetError> {
        let Some((leaf, root)) = self.footer.leaf(schema::TRACE_ID) else {
            return Ok(Vec::new());
        };
        let column = self.metadata.row_group(group).column(leaf);
        if dictionary::is_whole(column)
            && let Some(ids) = dictionary::read_bytes(pages, column)?
        {
            let ids = (0..ids.len()).map(|code| {
                let id = ids.get(code).try_into().map(TraceId);
                id.map_err(|_| ParquetError::General("a trace id is not one".to_owned()))
            });
            return ids.collect();
        }
        let report = ScanReport::default();
        let reader = GroupReader::new(&self.footer, pages.clone(), group, &report)?;
        let batches = self.batches(&reader, &[root], &Rows::all(reader.spans()))?;
        let ids = batches.iter().flat_map(|batch| {
            let columns = batch.columns();
            (0..batch.num_spans()).map(move |row| columns.trace_id(row))
        });
        Ok(ids.collect())
    }

    /// Where a row group's pages lie.
    fn range(&self, group: usize) -> Range<u64> {
        let columns = self.metadata.row_group(group).columns().iter();
        let ranges = columns.map(|column| {
            let (start, length) = column.byte_range();
            start..start.saturating_add(length)
        });
        ranges
            .reduce(|all, range| all.start.min(range.start)..all.end.max(range.end))
            .unwrap_or(0..0)
    }

    /// What is known of a column chunk; `None` where the file does not have the column.
    fn chunk(&self, group: usize, path: &str) -> Result<Option<ColumnCloseResult>, ParquetError> {
        let Some((leaf, _)) = self.footer.leaf(path) else {
            return Ok(None);
        };
        let metadata = self.metadata.row_group(group).column(leaf).clone();
        let bloom = self.footer.bloom(&self.fetch, group, leaf)?;
        let indexes = self
            .metadata
            .column_index()
            .and_then(|it| it.get(group)?.get(leaf));
        let offsets = self
            .metadata
            .offset_index()
            .and_then(|it| it.get(group)?.get(leaf));
        Ok(Some(ColumnCloseResult {
            bytes_written: u64::try_from(metadata.compressed_size()).unwrap_or(0),
            rows_written: self.footer.groups[group].spans as u64,
            metadata,
            bloom_filter: bloom.map(|bloom| bloom.as_ref().clone()),
            column_index: indexes
                .filter(|index| !matches!(index, ColumnIndexMetaData::NONE))
                .cloned(),
            offset_index: offsets.cloned(),
        }))
    }
}

/// The columns of all files.
fn columns(inputs: &[Input]) -> Result<Catalogue, AppendError> {
    let mut columns = Catalogue::default();
    for input in inputs {
        let own = &input.footer.catalogue;
        columns = columns.union(own).unwrap_or(columns);
        let is_there =
            |column: &Arc<AttributeColumn>| columns.by_name(&column.name) == Some(column);
        if !own.columns().iter().all(is_there) {
            let file = Arc::clone(&input.file);
            return Err(AppendError::Unfit { file });
        }
    }
    Ok(columns)
}

/// Everything that a file says: what readers need not know must be said again.
fn full_metadata(fetch: &Fetch) -> Result<ParquetMetaData, ParquetError> {
    let options = ParquetMetaDataOptions::new().with_encoding_stats_as_mask(false);
    ParquetMetaDataReader::new()
        .with_page_index_policy(PageIndexPolicy::Optional)
        .with_metadata_options(Some(options))
        .parse_and_finish(&fetch.with_sound_end()?)
}

/// Writes spans as one row group, each once; how many these are.
fn write_rows(
    writer: &mut FileWriter,
    batches: &[SpanBatch],
    columns: &Catalogue,
) -> Result<usize, WriteError> {
    let order = Order::of(batches);
    let sources: Vec<Source<'_>> = batches.iter().map(Source::of).collect();
    let rows = Encoder::new(&sources, columns).rows(&order.places);
    let rows = rows.map_err(|error: ArrowError| writer.error(error.into()))?;
    writer.write(&rows)?;
    Ok(order.places.len())
}
