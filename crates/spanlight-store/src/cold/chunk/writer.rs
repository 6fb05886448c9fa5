//! One column chunk, page by page: which rows a page has, and what is said of pages and of the chunk.

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, Type, ZstdLevel};
use parquet::bloom_filter::Sbbf;
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ColumnIndexBuilder};
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnDescPtr;

use super::PAGE_ROWS;
use super::encodings::{bits, push_hybrid, push_run};
use super::levels::Levels;
use super::page::{DataPage, Pages, Zstd};
use super::values::{Value, Values};
use crate::cold::schema as table;

/// Rows of a page where few of them have a value.
const SPARSE_PAGE_ROWS: usize = 8 << 10;
/// A Bloom filter is worth it from so many distinct values on: of fewer, the dictionary answers as fast.
const FILTER_DISTINCT_MIN: usize = 1 << 10;
/// Of absent values, so many are taken for present by a filter.
const FILTER_FALSE_POSITIVES: f64 = 0.01;
/// Fewer of trace ids: a search looks for each trace of its page in all row groups.
const TRACE_FALSE_POSITIVES: f64 = 0.001;

/// A column chunk that is done.
pub(super) struct Chunk {
    pub(super) bytes: Bytes,
    pub(super) close: ColumnCloseResult,
}

/// The rows, slots and values of a page.
pub(super) struct PageRange {
    rows: usize,
    slots: std::ops::Range<usize>,
    pub(super) values: std::ops::Range<usize>,
}

/// A column chunk that is being written.
pub(super) struct ChunkWriter<'a> {
    levels: &'a Levels,
    descriptor: ColumnDescPtr,
    pub(super) pages: Pages,
    index: ColumnIndexBuilder,
    page_rows: usize,
    next_row: usize,
    next_value: usize,
    buffer: Vec<u8>,
}

impl<'a> ChunkWriter<'a> {
    pub(super) fn new(levels: &'a Levels, descriptor: ColumnDescPtr) -> Self {
        Self {
            levels,
            index: ColumnIndexBuilder::new(descriptor.physical_type()),
            descriptor,
            pages: Pages::default(),
            page_rows: PAGE_ROWS,
            next_row: 0,
            next_value: 0,
            buffer: Vec::new(),
        }
    }

    /// Chooses how many rows a page has, and says it.
    pub(super) fn pages_of(&mut self, values: usize, is_constant: bool) -> usize {
        let rows = self.levels.rows;
        self.page_rows = if is_constant && (values == 0 || values == self.levels.slots) {
            rows.max(1)
        } else if values < rows / 32 {
            SPARSE_PAGE_ROWS
        } else {
            PAGE_ROWS
        };
        self.page_rows
    }

    pub(super) fn next_page(&mut self) -> Option<PageRange> {
        let rows = self.next_row..self.levels.rows.min(self.next_row + self.page_rows);
        if rows.is_empty() {
            return None;
        }
        self.next_row = rows.end;
        let count = rows.len();
        let slots = self.levels.slots_of(rows);
        let present = if self.levels.is_full() {
            slots.len()
        } else if self.levels.definition.is_empty() {
            0
        } else {
            let levels = &self.levels.definition[slots.clone()];
            let max = self.levels.definition_max;
            levels.iter().filter(|&&level| level == max).count()
        };
        let values = self.next_value..self.next_value + present;
        self.next_value = values.end;
        Some(PageRange {
            rows: count,
            slots,
            values,
        })
    }

    pub(super) fn push(
        &mut self,
        zstd: Option<&mut Zstd>,
        page: &PageRange,
        encoding: Encoding,
        values: &[u8],
        bounds: Option<(Vec<u8>, Vec<u8>)>,
    ) -> Result<(), ParquetError> {
        let levels = self.levels;
        let bytes = &mut self.buffer;
        bytes.clear();
        push_levels(bytes, &levels.repetition, levels.repetition_max, 0, page);
        push_levels(
            bytes,
            &levels.definition,
            levels.definition_max,
            levels.definition_all,
            page,
        );
        bytes.extend_from_slice(values);
        let nulls = page.slots.len() - page.values.len();
        match bounds {
            Some((min, max)) => self.index.append(false, min, max, nulls as i64),
            None if page.values.is_empty() => {
                self.index
                    .append(true, Vec::new(), Vec::new(), nulls as i64);
            }
            None => self.index.to_invalid(),
        }
        let page = DataPage {
            encoding,
            rows: page.rows,
            slots: page.slots.len(),
            bytes,
        };
        self.pages.push_data(zstd, &page)
    }

    pub(super) fn nulls(&self) -> u64 {
        (self.levels.slots - self.levels.present()) as u64
    }

    fn path(&self) -> String {
        self.descriptor.path().string()
    }

    /// Whether bounds of pages may help anybody: those of ids and of texts that hardly repeat do not.
    pub(super) fn is_bounded<T>(&self, values: &Values<T>) -> bool {
        let path = self.path();
        let is_text = self.descriptor.physical_type() == Type::BYTE_ARRAY;
        let is_id = path == table::SPAN_ID || path == table::PARENT_SPAN_ID;
        match values {
            Values::Coded { .. } => !is_id,
            Values::Direct(_) => !is_text,
        }
    }

    /// Bytes of each value of a dictionary that is stored as it is: trace ids hardly compress, and are read one by one.
    pub(super) fn stride<T: Value>(&self, values: &Values<T>) -> Option<usize> {
        let Values::Coded { distinct, .. } = values else {
            return None;
        };
        if self.path() != table::TRACE_ID {
            return None;
        }
        let mut lengths = distinct.iter().map(|value| {
            let mut plain = Vec::with_capacity(20);
            value.push_plain(&mut plain);
            plain.len()
        });
        let first = lengths.next()?;
        lengths.all(|length| length == first).then_some(first)
    }

    /// The Bloom filter of a chunk, if it is to have one.
    pub(super) fn filter<T: Value>(
        &self,
        values: &Values<T>,
    ) -> Result<Option<Sbbf>, ParquetError> {
        let path = self.path();
        let is_attribute = path.starts_with("span_") || path.starts_with("resource_");
        let is_sought = (is_attribute && path != table::SPAN_ID)
            || path == table::NAME
            || path == table::SERVICE_NAME;
        // Filters have texts without their length.
        let is_text = self.descriptor.physical_type() == Type::BYTE_ARRAY;
        let skip = if is_text { 4 } else { 0 };
        let false_positives = match path == table::TRACE_ID {
            true => TRACE_FALSE_POSITIVES,
            false => FILTER_FALSE_POSITIVES,
        };
        let mut buffer = Vec::new();
        let mut fill = |distinct: &mut dyn Iterator<Item = T>, count: usize| {
            let mut filter = Sbbf::new_with_ndv_fpp(count as u64, false_positives)?;
            for value in distinct {
                buffer.clear();
                value.push_plain(&mut buffer);
                filter.insert(&buffer[skip..]);
            }
            filter.fold_to_target_fpp(false_positives);
            Ok(Some(filter))
        };
        match values {
            Values::Coded { distinct, .. } if path == table::TRACE_ID => {
                fill(&mut distinct.iter().copied(), distinct.len().max(1))
            }
            Values::Direct(values) if path == table::TRACE_ID => {
                fill(&mut values.iter().copied(), values.len().max(1))
            }
            // Nobody looks for one of many fractions.
            _ if self.descriptor.physical_type() == Type::DOUBLE => Ok(None),
            Values::Coded { distinct, .. } if is_sought && distinct.len() > FILTER_DISTINCT_MIN => {
                fill(&mut distinct.iter().copied(), distinct.len())
            }
            Values::Direct(values) if is_sought && values.len() > FILTER_DISTINCT_MIN => {
                fill(&mut values.iter().copied(), values.len())
            }
            _ => Ok(None),
        }
    }

    pub(super) fn finish(
        self,
        statistics: Statistics,
        filter: Option<Sbbf>,
        is_compressed: bool,
    ) -> Result<Chunk, ParquetError> {
        let compression = if is_compressed {
            Compression::ZSTD(ZstdLevel::default())
        } else {
            Compression::UNCOMPRESSED
        };
        let mut encodings: Vec<Encoding> = vec![Encoding::RLE];
        encodings.extend(self.pages.encodings.iter().map(|pages| pages.encoding));
        let first_data_page = self.pages.dictionary_bytes.unwrap_or(0);
        let metadata = ColumnChunkMetaData::builder(self.descriptor)
            .set_compression(compression)
            .set_encodings(encodings)
            .set_page_encoding_stats(self.pages.encodings)
            .set_total_compressed_size(self.pages.bytes.len() as i64)
            .set_total_uncompressed_size(self.pages.uncompressed as i64)
            .set_num_values(self.levels.slots as i64)
            .set_dictionary_page_offset(self.pages.dictionary_bytes.map(|_| 0))
            .set_data_page_offset(first_data_page as i64)
            .set_statistics(statistics)
            .build()?;
        let column_index = match self.index.valid() {
            true => Some(self.index.build()?),
            false => None,
        };
        Ok(Chunk {
            close: ColumnCloseResult {
                bytes_written: self.pages.bytes.len() as u64,
                rows_written: self.levels.rows as u64,
                metadata,
                bloom_filter: filter,
                column_index,
                offset_index: Some(self.pages.offsets.build()),
            },
            bytes: Bytes::from(self.pages.bytes),
        })
    }
}

/// Appends the levels of a page behind their length, unless there is only one that they could be.
fn push_levels(target: &mut Vec<u8>, levels: &[u8], max: u8, all: u8, page: &PageRange) {
    let width = bits(u64::from(max));
    if width == 0 {
        return;
    }
    let start = target.len();
    target.extend_from_slice(&[0; 4]);
    if levels.is_empty() {
        push_run(target, page.slots.len(), u32::from(all), width);
    } else {
        let levels = levels[page.slots.clone()].iter();
        let levels: Vec<u32> = levels.map(|&level| u32::from(level)).collect();
        push_hybrid(target, &levels, width);
    }
    let length = (target.len() - start - 4) as u32;
    target[start..start + 4].copy_from_slice(&length.to_le_bytes());
}
