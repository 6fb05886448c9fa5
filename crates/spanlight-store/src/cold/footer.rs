//! A data file's footer, its index of pages, and those Bloom filters and small dictionaries that were asked for.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arrow_array::{Array as _, StringArray};
use arrow_schema::{DataType, SchemaRef};
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::{
    FieldLevels, ProjectionMask, parquet_to_arrow_field_levels, parquet_to_arrow_schema,
};
use parquet::bloom_filter::Sbbf;
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData,
};

use super::catalogue::Catalogue;
use super::checksum::{Checksums, EndSums, META_CHECKSUMS};
use super::dictionary;
use super::fetch::Fetch;
use super::prune::{self, Durations};
use super::schema::{META_CATALOGUE, META_FORMAT, META_RUNS, with_dictionaries};
use super::stored;
use super::traces::{META_TRACES, TraceIndex};
use crate::hot::TimeBounds;

/// Memory of what is known of a column's type.
const FIELD_BYTES: usize = 200;

/// A file's footer, and what was read because of it.
#[derive(Debug)]
pub(crate) struct Footer {
    pub(crate) metadata: Arc<ParquetMetaData>,
    /// The attributes that have columns in this file.
    pub(crate) catalogue: Catalogue,
    pub(crate) groups: Vec<Group>,
    /// The first row group of each run.
    runs: Vec<usize>,
    /// Times are other columns in the first version of the table, and the order of rows is not known.
    pub(crate) is_first_version: bool,
    pub(crate) checksums: Option<Arc<Checksums>>,
    pub(super) traces: Option<Arc<TraceIndex>>,
    leaves: HashMap<String, (usize, usize)>,
    /// For each column its name and its leaves.
    roots: Vec<(String, Range<usize>)>,
    index: PageIndex,
    paged: OnceLock<Paged>,
    details: Mutex<HashMap<(usize, usize), Details>>,
    bytes: AtomicUsize,
}

/// The index of pages as it is in the file, and where that is; nothing of files that are not ours.
#[derive(Debug, Default)]
struct PageIndex {
    start: u64,
    end: u64,
    bytes: OnceLock<Bytes>,
    sums: Option<EndSums>,
}

impl PageIndex {
    fn memory(&self) -> usize {
        self.bytes.get().map_or(0, Bytes::len)
    }
}

/// How the columns of a file are read.
#[derive(Debug)]
pub(crate) struct Paged {
    /// To read spans.
    pub(crate) rows: Layout,
    /// To test columns.
    pub(crate) tested: Layout,
    /// The columns of lists: what the `parquet` crate must know of each to put it together.
    pub(crate) nested: HashMap<usize, FieldLevels>,
}

/// The types that columns are read as.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) schema: SchemaRef,
}

impl Layout {
    /// For the `parquet` crate's own reader.
    pub(crate) fn for_crate(
        &self,
        metadata: &Arc<ParquetMetaData>,
    ) -> Result<ArrowReaderMetadata, ParquetError> {
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let options = options.with_schema(Arc::clone(&self.schema));
        ArrowReaderMetadata::try_new(Arc::clone(metadata), options)
    }
}

/// What is known of a row group without a look at its columns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Group {
    pub(crate) spans: usize,
    pub(crate) bytes: u64,
    pub(crate) times: TimeBounds,
    pub(crate) durations: Durations,
}

/// What was read of a column of a row group; an inner `None` says that there is no such thing.
#[derive(Debug, Clone, Default)]
struct Details {
    bloom: Option<Option<Arc<Sbbf>>>,
    dictionary: Option<Option<Arc<StringArray>>>,
    stored: Option<Option<stored::Place>>,
}

impl Footer {
    /// Reads it; the index of traces may be known already.
    pub(super) fn read(
        fetch: &Fetch,
        traces: Option<Arc<TraceIndex>>,
    ) -> Result<Self, ParquetError> {
        fetch.count_footer();
        let last = fetch.last()?;
        let (metadata, index) = match EndSums::find(&last) {
            Some(sums) => read_alone(fetch, &last, sums)?,
            None => read_with_index(&fetch.with_tail()?)?,
        };
        let checksums = checksums(&metadata)?;
        let metadata = Arc::new(metadata);
        let descriptor = metadata.file_metadata().schema_descr();
        let leaves = descriptor.columns().iter().enumerate();
        let leaves = leaves.map(|(leaf, column)| {
            let root = descriptor.get_column_root_idx(leaf);
            (column.path().string(), (leaf, root))
        });
        let leaves: HashMap<_, _> = leaves.collect();
        let groups = metadata.row_groups().iter();
        let groups = groups.map(|group| {
            let (times, durations) = prune::times(group, &leaves);
            Group {
                spans: usize::try_from(group.num_rows()).unwrap_or(0),
                bytes: u64::try_from(group.compressed_size()).unwrap_or(0),
                times,
                durations,
            }
        });
        let said = || key_value(&metadata, META_TRACES).and_then(TraceIndex::parse);
        Ok(Self {
            groups: groups.collect(),
            traces: traces.or_else(|| said().map(Arc::new)),
            runs: runs(&metadata),
            is_first_version: key_value(&metadata, META_FORMAT).is_none(),
            catalogue: catalogue(&metadata)?,
            bytes: AtomicUsize::new(metadata.memory_size() + index.memory() + 100 * leaves.len()),
            leaves,
            roots: roots(&metadata),
            checksums,
            metadata,
            index,
            paged: OnceLock::new(),
            details: Mutex::default(),
        })
    }

    /// The leaf column of this path, and the column that it belongs to.
    pub(crate) fn leaf(&self, path: &str) -> Option<(usize, usize)> {
        self.leaves.get(path).copied()
    }

    /// The run that a row group belongs to. Within a run rows are sorted, and each span is there once.
    pub(crate) fn run_of(&self, group: usize) -> usize {
        self.runs.partition_point(|first| *first <= group)
    }

    /// The index of traces, where there is one that is sound.
    pub(crate) fn traces(&self) -> Option<&Arc<TraceIndex>> {
        let traces = self.traces.as_ref();
        traces.filter(|index| index.groups == self.groups.len() && !index.is_damaged())
    }

    /// The columns: each with its name and its leaves.
    pub(crate) fn roots(&self) -> &[(String, Range<usize>)] {
        &self.roots
    }

    /// How the columns are read.
    pub(crate) fn paged(&self) -> Result<&Paged, ParquetError> {
        if let Some(paged) = self.paged.get() {
            return Ok(paged);
        }
        let metadata = &self.metadata;
        let descriptor = metadata.file_metadata().schema_descr();
        let plain = parquet_to_arrow_schema(descriptor, None)?;
        let schema = dictionary::readable(&with_dictionaries(&plain), metadata);
        let roots = schema.fields().iter().enumerate();
        let nested = roots.filter(|(_, field)| matches!(field.data_type(), DataType::List(_)));
        let nested = nested.map(|(root, _)| {
            let mask = ProjectionMask::roots(descriptor, [root]);
            let levels = parquet_to_arrow_field_levels(descriptor, mask, Some(schema.fields()));
            Ok((root, levels?))
        });
        let paged = Paged {
            nested: nested.collect::<Result<_, ParquetError>>()?,
            tested: Layout {
                schema: dictionary::testable(&schema, metadata),
            },
            rows: Layout { schema },
        };
        // Of two that make it at once, either is right.
        if self.paged.set(paged).is_ok() {
            let fields = self.roots.len() * 2 * FIELD_BYTES;
            self.bytes.fetch_add(fields, Ordering::Relaxed);
        }
        self.paged
            .get()
            .ok_or_else(|| ParquetError::General("no columns".to_owned()))
    }

    /// Where the pages of a column lie, as the file says it.
    pub(crate) fn offset_index(&self, group: usize, leaf: usize) -> Option<&[u8]> {
        let column = self.metadata.row_group(group).column(leaf);
        self.indexed(column.offset_index_offset()?, column.offset_index_length()?)
    }

    /// What the pages of a column have, as the file says it.
    pub(crate) fn column_index(&self, group: usize, leaf: usize) -> Option<&[u8]> {
        let column = self.metadata.row_group(group).column(leaf);
        self.indexed(column.column_index_offset()?, column.column_index_length()?)
    }

    fn indexed(&self, start: i64, length: i32) -> Option<&[u8]> {
        let start = u64::try_from(start).ok()?.checked_sub(self.index.start)?;
        let start = usize::try_from(start).ok()?;
        let end = start.checked_add(usize::try_from(length).ok()?)?;
        self.index.bytes.get()?.get(start..end)
    }

    /// Reads the index of pages, unless it is there. Until then nothing is said of pages.
    pub(crate) fn read_index(&self, fetch: &Fetch) -> Result<(), ParquetError> {
        let index = &self.index;
        if index.bytes.get().is_some() {
            return Ok(());
        }
        let bytes = fetch.range(index.start, index.end)?;
        if let Some(sums) = index.sums {
            sums.check_indexes(&bytes)?;
        }
        let length = bytes.len();
        // Of two that read it at once, either is right.
        if index.bytes.set(bytes).is_ok() {
            self.bytes.fetch_add(length, Ordering::Relaxed);
        }
        Ok(())
    }

    /// The Bloom filter of a column of a row group.
    pub(crate) fn bloom(
        &self,
        fetch: &Fetch,
        group: usize,
        leaf: usize,
    ) -> Result<Option<Arc<Sbbf>>, ParquetError> {
        let column = self.metadata.row_group(group).column(leaf);
        if column.bloom_filter_offset().is_none() {
            return Ok(None);
        }
        if let Some(known) = self.details(group, leaf).bloom {
            return Ok(known);
        }
        let bloom = Sbbf::read_from_column_chunk(column, fetch)?.map(Arc::new);
        let bytes = bloom.as_ref().map_or(0, |bloom| bloom.num_blocks() * 32);
        self.remember(group, leaf, bytes, |details| {
            details.bloom = Some(bloom.clone());
        });
        Ok(bloom)
    }

    /// The distinct values of a text column of a row group, if they are few and the column has nothing else.
    pub(crate) fn small_dictionary(
        &self,
        fetch: &Fetch,
        group: usize,
        leaf: usize,
    ) -> Result<Option<Arc<StringArray>>, ParquetError> {
        let column = self.metadata.row_group(group).column(leaf);
        if !dictionary::is_small(column) {
            return Ok(None);
        }
        if let Some(known) = self.details(group, leaf).dictionary {
            return Ok(known);
        }
        let values = dictionary::read(fetch, column)?.map(Arc::new);
        let bytes = values.as_ref().map_or(0, |it| it.get_array_memory_size());
        self.remember(group, leaf, bytes, |details| {
            details.dictionary = Some(values.clone());
        });
        Ok(values)
    }

    /// Where the distinct values of a column of a row group lie, if they are stored as they are.
    pub(crate) fn stored_dictionary(
        &self,
        fetch: &Fetch,
        group: usize,
        leaf: usize,
    ) -> Result<Option<stored::Place>, ParquetError> {
        if let Some(known) = self.details(group, leaf).stored {
            return Ok(known);
        }
        let column = self.metadata.row_group(group).column(leaf);
        let place = stored::Place::find(fetch, column)?;
        self.remember(group, leaf, 0, |details| details.stored = Some(place));
        Ok(place)
    }

    fn details(&self, group: usize, leaf: usize) -> Details {
        let details = self.details.lock().unwrap_or_else(PoisonError::into_inner);
        details.get(&(group, leaf)).cloned().unwrap_or_default()
    }

    fn remember(&self, group: usize, leaf: usize, bytes: usize, add: impl FnOnce(&mut Details)) {
        let mut details = self.details.lock().unwrap_or_else(PoisonError::into_inner);
        add(details.entry((group, leaf)).or_default());
        let entry = size_of::<((usize, usize), Details)>();
        self.bytes.fetch_add(bytes + entry, Ordering::Relaxed);
    }

    /// Bytes that it takes, and what was read because of it.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// The footer by itself, whose checksum the file's last bytes have.
fn read_alone(
    fetch: &Fetch,
    last: &[u8],
    sums: EndSums,
) -> Result<(ParquetMetaData, PageIndex), ParquetError> {
    let start = fetch.footer_start(last)?;
    let footer = fetch.range(start, fetch.file().bytes)?;
    sums.check_footer(&footer)?;
    // Behind it are its length and four letters.
    let metadata = ParquetMetaDataReader::decode_metadata(&footer[..footer.len() - 8])?;
    let index = PageIndex {
        start: checksums(&metadata)?.map_or(start, |checksums| checksums.end()),
        end: start,
        bytes: OnceLock::new(),
        sums: Some(sums),
    };
    Ok((metadata, index))
}

/// The footer with the index of pages, from a file's end, which has one checksum or none.
fn read_with_index(fetch: &Fetch) -> Result<(ParquetMetaData, PageIndex), ParquetError> {
    let metadata = ParquetMetaDataReader::new()
        .with_page_index_policy(PageIndexPolicy::Skip)
        .parse_and_finish(fetch)?;
    let checksums = checksums(&metadata)?;
    if checksums.is_none() && fetch.is_marked() {
        let message = "the checksums are not where the footer says";
        return Err(ParquetError::General(message.to_owned()));
    }
    let (start, bytes) = fetch.checked(checksums).sound_index()?;
    let index = PageIndex {
        start,
        bytes: OnceLock::from(bytes),
        ..PageIndex::default()
    };
    Ok((metadata, index))
}

fn roots(metadata: &ParquetMetaData) -> Vec<(String, Range<usize>)> {
    let descriptor = metadata.file_metadata().schema_descr();
    let fields = descriptor.root_schema().get_fields().iter();
    let mut roots: Vec<_> = fields
        .map(|field| (field.name().to_owned(), 0..0))
        .collect();
    for leaf in 0..descriptor.num_columns() {
        let (_, leaves) = &mut roots[descriptor.get_column_root_idx(leaf)];
        let start = if leaves.end == 0 { leaf } else { leaves.start };
        *leaves = start..leaf + 1;
    }
    roots
}

fn checksums(metadata: &ParquetMetaData) -> Result<Option<Arc<Checksums>>, ParquetError> {
    let Some(text) = key_value(metadata, META_CHECKSUMS) else {
        return Ok(None);
    };
    match Checksums::parse(text) {
        Some(checksums) => Ok(Some(Arc::new(checksums))),
        None => Err(ParquetError::General(format!(
            "{META_CHECKSUMS} makes no sense"
        ))),
    }
}

/// Where the runs begin; all row groups are one, unless the file says otherwise.
fn runs(metadata: &ParquetMetaData) -> Vec<usize> {
    let lengths = key_value(metadata, META_RUNS).unwrap_or_default();
    let lengths = lengths
        .split(' ')
        .filter_map(|length| length.parse::<usize>().ok());
    let firsts = lengths.scan(0, |first, length| {
        Some(std::mem::replace(first, *first + length))
    });
    firsts.collect()
}

/// What a file says of its attribute columns; files of the first version have none.
pub(crate) fn catalogue(metadata: &ParquetMetaData) -> Result<Catalogue, ParquetError> {
    let Some(text) = key_value(metadata, META_CATALOGUE) else {
        return Ok(Catalogue::default());
    };
    Catalogue::from_json(text)
        .ok_or_else(|| ParquetError::General(format!("{META_CATALOGUE} makes no sense")))
}

/// What a file says about itself under this name.
pub(crate) fn key_value<'a>(metadata: &'a ParquetMetaData, name: &str) -> Option<&'a str> {
    let entries = metadata.file_metadata().key_value_metadata()?;
    let entry = entries.iter().find(|entry| entry.key == name)?;
    entry.value.as_deref()
}

/// The position of a leaf column.
pub(crate) fn column_of(group: &RowGroupMetaData, name: &str) -> Option<usize> {
    group
        .columns()
        .iter()
        .position(|column| column.column_path().string() == name)
}
