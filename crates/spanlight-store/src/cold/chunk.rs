//! Rows to a row group of a Parquet file. Knows what the `parquet` crate's writer cannot: that rows come with
//! dictionaries, so that no text is looked at twice; that ids do not compress; that most lists are empty. Owns pages,
//! encodings, statistics and Bloom filters; the file around them is the crate's. `cold/TABLE.md` gives the reasons.

mod bounds;
mod encodings;
mod levels;
mod page;
mod values;

use std::io::Write;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array as _, ArrayRef, ArrowPrimitiveType, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use bytes::Bytes;
use parquet::basic::{Compression, Encoding, Type, ZstdLevel};
use parquet::bloom_filter::Sbbf;
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ColumnIndexBuilder};
use parquet::file::statistics::Statistics;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnDescPtr;

use self::bounds::Bounds;
use self::encodings::{bits, push_bits, push_hybrid, push_run};
use self::levels::{Leaf, Levels, leaves};
use self::page::{DataPage, Pages, Zstd};
use self::values::{Value, Values};
use super::schema as table;
use super::tail_filter;

/// Rows of a page, so that reading one trace reads one small page of each column.
pub(super) const PAGE_ROWS: usize = 4 << 10;
/// The same where few rows have a value.
const SPARSE_PAGE_ROWS: usize = 8 << 10;
/// A Bloom filter is worth it from so many distinct values on: of fewer, the dictionary answers as fast.
const FILTER_DISTINCT_MIN: usize = 1 << 10;
/// Of absent values, so many are taken for present by a filter.
const FILTER_FALSE_POSITIVES: f64 = 0.01;

/// Writes row groups.
#[derive(Debug)]
pub(crate) struct RowGroupWriter {
    for_codes: Zstd,
    for_values: Zstd,
}

/// A column chunk that is done.
struct Chunk {
    bytes: Bytes,
    close: ColumnCloseResult,
}

impl RowGroupWriter {
    pub(crate) fn new() -> Result<Self, ParquetError> {
        Ok(Self {
            for_codes: Zstd::for_codes()?,
            for_values: Zstd::for_values()?,
        })
    }

    /// Writes rows, with dictionaries for texts, as one row group.
    pub(crate) fn write<W: Write + Send>(
        &mut self,
        file: &mut SerializedFileWriter<W>,
        rows: &RecordBatch,
    ) -> Result<(), ParquetError> {
        let descriptors = file.schema_descr().columns().to_vec();
        let mut descriptors = descriptors.into_iter();
        let mut group = file.next_row_group()?;
        for (field, column) in rows.schema_ref().fields().iter().zip(rows.columns()) {
            let mut filter_of_tail = match field.name().as_str() {
                table::ATTRIBUTES => tail_filter::filter(column)?,
                _ => None,
            };
            for leaf in leaves(column, field.is_nullable()) {
                let descriptor = descriptors.next();
                let descriptor = descriptor
                    .ok_or_else(|| ParquetError::General("too many columns".to_owned()))?;
                let mut chunk = self.chunk(&leaf, descriptor)?;
                if let Some(filter) = filter_of_tail.take() {
                    // The first leaf of the tail is its keys.
                    chunk.close.bloom_filter = Some(filter);
                }
                group.append_column(&chunk.bytes, chunk.close)?;
            }
        }
        group.close()?;
        Ok(())
    }

    fn chunk(&mut self, leaf: &Leaf, descriptor: ColumnDescPtr) -> Result<Chunk, ParquetError> {
        let values = &leaf.values;
        let levels = leaf.levels.as_ref();
        match values.data_type() {
            DataType::Dictionary(_, _) => {
                let values = coded_texts(values, levels)?;
                self.write_values(&values, levels, descriptor)
            }
            DataType::Binary => {
                let array = values.as_binary::<i32>();
                let values = present(levels, array.len(), |at| array.value(at));
                self.write_values(&Values::of(values), levels, descriptor)
            }
            DataType::Int64 => self.write_numbers::<Int64Type>(values, levels, descriptor),
            DataType::Int32 => self.write_numbers::<Int32Type>(values, levels, descriptor),
            DataType::Float64 => self.write_numbers::<Float64Type>(values, levels, descriptor),
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                self.write_numbers::<TimestampMicrosecondType>(values, levels, descriptor)
            }
            DataType::Boolean => self.write_truths(values, levels, descriptor),
            other => Err(ParquetError::NYI(format!("columns of type {other}"))),
        }
    }

    fn write_numbers<P: ArrowPrimitiveType>(
        &mut self,
        values: &ArrayRef,
        levels: &Levels,
        descriptor: ColumnDescPtr,
    ) -> Result<Chunk, ParquetError>
    where
        P::Native: Value,
    {
        let array = values.as_primitive::<P>().values();
        let values = present(levels, array.len(), |at| array[at]);
        self.write_values(&Values::of(values), levels, descriptor)
    }

    fn write_values<T: Value>(
        &mut self,
        values: &Values<T>,
        levels: &Levels,
        descriptor: ColumnDescPtr,
    ) -> Result<Chunk, ParquetError> {
        let mut writer = ChunkWriter::new(levels, descriptor);
        let mut seen = Vec::new();
        let mut encoding = Encoding::RLE_DICTIONARY;
        let mut is_compressed = true;
        let first = writer.pages_of(values.len(), values.is_constant());
        match values {
            Values::Coded { distinct, .. } => {
                let mut bytes = Vec::new();
                distinct
                    .iter()
                    .for_each(|value| value.push_plain(&mut bytes));
                let zstd = Some(&mut self.for_values);
                writer.pages.push_dictionary(zstd, distinct.len(), &bytes)?;
                seen = vec![u32::MAX; distinct.len()];
            }
            Values::Direct(_) if values.len() == 0 => encoding = Encoding::PLAIN,
            Values::Direct(_) => {
                let sample = 0..values.len().min(first.values);
                (encoding, is_compressed) = self.choose(values, sample)?;
            }
        }
        let is_bounded = writer.is_bounded(values);
        let mut all = Bounds::Nothing;
        let mut buffer = Vec::new();
        let mut number = 0;
        while let Some(page) = writer.next_page() {
            buffer.clear();
            values.push_page(page.values.clone(), encoding, &mut buffer);
            let bounds = match is_bounded {
                true => values.bounds(page.values.clone(), number, &mut seen),
                false => Bounds::Unordered,
            };
            number += 1;
            let zstd = match values {
                Values::Coded { .. } => &mut self.for_codes,
                Values::Direct(_) => &mut self.for_values,
            };
            let zstd = is_compressed.then_some(zstd);
            writer.push(zstd, &page, encoding, &buffer, bounds.bytes())?;
            all.include_all(bounds);
        }
        let filter = writer.filter(values)?;
        let nulls = writer.nulls();
        writer.finish(T::statistics(all, nulls), filter, is_compressed)
    }

    /// The encoding that makes a sample smallest, and whether it can be compressed.
    fn choose<T: Value>(
        &mut self,
        values: &Values<T>,
        sample: std::ops::Range<usize>,
    ) -> Result<(Encoding, bool), ParquetError> {
        let mut best = (usize::MAX, Encoding::PLAIN, true);
        for &encoding in T::ENCODINGS {
            let mut bytes = Vec::new();
            values.push_page(sample.clone(), encoding, &mut bytes);
            let compressed = self.for_values.compress(&bytes)?.len();
            let is_compressed = page::is_worth_it(bytes.len(), compressed);
            let size = if is_compressed {
                compressed
            } else {
                bytes.len()
            };
            if size < best.0 {
                best = (size, encoding, is_compressed);
            }
        }
        Ok((best.1, best.2))
    }

    fn write_truths(
        &mut self,
        values: &ArrayRef,
        levels: &Levels,
        descriptor: ColumnDescPtr,
    ) -> Result<Chunk, ParquetError> {
        let array = values.as_boolean();
        let truths = present(levels, array.len(), |at| u32::from(array.value(at)));
        let mut writer = ChunkWriter::new(levels, descriptor);
        let is_constant = truths.windows(2).all(|pair| pair[0] == pair[1]);
        writer.pages_of(truths.len(), is_constant);
        let mut all = Bounds::Nothing;
        while let Some(page) = writer.next_page() {
            let truths = &truths[page.values.clone()];
            let mut buffer = Vec::new();
            push_bits(&mut buffer, truths);
            let mut bounds = Bounds::Nothing;
            truths.iter().for_each(|&truth| bounds.include(truth != 0));
            let zstd = Some(&mut self.for_codes);
            writer.push(zstd, &page, Encoding::PLAIN, &buffer, bounds.bytes())?;
            all.include_all(bounds);
        }
        let (min, max) = all.pair();
        let nulls = writer.nulls();
        let statistics = Statistics::boolean(min, max, None, Some(nulls), false);
        writer.finish(statistics, None, true)
    }
}

/// The values that are there.
fn present<T>(levels: &Levels, rows: usize, value: impl Fn(usize) -> T) -> Vec<T> {
    if levels.is_full() && levels.values.is_empty() {
        return (0..rows).map(value).collect();
    }
    levels.values.iter().map(|&at| value(at as usize)).collect()
}

/// Texts as codes of what is used of their dictionary.
fn coded_texts<'a>(array: &'a ArrayRef, levels: &Levels) -> Result<Values<&'a [u8]>, ParquetError> {
    let wrong = || ParquetError::General("a dictionary of other than texts".to_owned());
    let dictionary = array.as_dictionary_opt::<Int32Type>().ok_or_else(wrong)?;
    let texts = dictionary.values().as_string_opt::<i32>();
    let texts = texts.ok_or_else(wrong)?;
    let keys = dictionary.keys().values();
    let mut codes = present(levels, keys.len(), |at| keys[at] as u32);
    let mut code_of = vec![u32::MAX; texts.len()];
    let mut distinct = Vec::new();
    for key in &mut codes {
        let code = &mut code_of[*key as usize];
        if *code == u32::MAX {
            *code = distinct.len() as u32;
            distinct.push(texts.value(*key as usize).as_bytes());
        }
        *key = *code;
    }
    Ok(Values::or_direct(codes, distinct))
}

/// The rows, slots and values of a page.
struct PageRange {
    rows: usize,
    slots: std::ops::Range<usize>,
    values: std::ops::Range<usize>,
}

/// The first page's size.
struct FirstPage {
    values: usize,
}

/// A column chunk that is being written.
struct ChunkWriter<'a> {
    levels: &'a Levels,
    descriptor: ColumnDescPtr,
    pages: Pages,
    index: ColumnIndexBuilder,
    page_rows: usize,
    next_row: usize,
    next_value: usize,
    buffer: Vec<u8>,
}

impl<'a> ChunkWriter<'a> {
    fn new(levels: &'a Levels, descriptor: ColumnDescPtr) -> Self {
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

    /// Chooses the size of pages.
    fn pages_of(&mut self, values: usize, is_constant: bool) -> FirstPage {
        let rows = self.levels.rows;
        self.page_rows = if is_constant && (values == 0 || values == self.levels.slots) {
            rows.max(1)
        } else if values < rows / 32 {
            SPARSE_PAGE_ROWS
        } else {
            PAGE_ROWS
        };
        FirstPage {
            values: self.page_rows,
        }
    }

    fn next_page(&mut self) -> Option<PageRange> {
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

    fn push(
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

    fn nulls(&self) -> u64 {
        (self.levels.slots - self.levels.present()) as u64
    }

    fn path(&self) -> String {
        self.descriptor.path().string()
    }

    /// Whether bounds of pages may help anybody: those of ids and of texts that hardly repeat do not.
    fn is_bounded<T>(&self, values: &Values<T>) -> bool {
        let path = self.path();
        let is_text = self.descriptor.physical_type() == Type::BYTE_ARRAY;
        let is_id = path == table::SPAN_ID || path == table::PARENT_SPAN_ID;
        match values {
            Values::Coded { .. } => !is_id,
            Values::Direct(_) => !is_text,
        }
    }

    /// The Bloom filter of a chunk, if it is to have one.
    fn filter<T: Value>(&self, values: &Values<T>) -> Result<Option<Sbbf>, ParquetError> {
        let path = self.path();
        let is_attribute = path.starts_with("span_") || path.starts_with("resource_");
        let is_sought = (is_attribute && path != table::SPAN_ID)
            || path == table::NAME
            || path == table::SERVICE_NAME;
        // Filters have texts without their length.
        let is_text = self.descriptor.physical_type() == Type::BYTE_ARRAY;
        let skip = if is_text { 4 } else { 0 };
        let mut buffer = Vec::new();
        let mut fill = |distinct: &mut dyn Iterator<Item = T>, count: usize| {
            let mut filter = Sbbf::new_with_ndv_fpp(count as u64, FILTER_FALSE_POSITIVES)?;
            for value in distinct {
                buffer.clear();
                value.push_plain(&mut buffer);
                filter.insert(&buffer[skip..]);
            }
            filter.fold_to_target_fpp(FILTER_FALSE_POSITIVES);
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

    fn finish(
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
