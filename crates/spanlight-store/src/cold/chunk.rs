//! Rows to a row group of a Parquet file. Knows what the `parquet` crate's writer cannot: that rows come with
//! dictionaries, so that no text is looked at twice; that ids do not compress; that most lists are empty. Owns pages,
//! encodings, statistics and Bloom filters; the file around them is the crate's. `cold/TABLE.md` gives the reasons.

mod bounds;
mod encodings;
mod levels;
mod page;
mod values;
mod writer;

use std::io::Write;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array as _, ArrayRef, ArrowPrimitiveType, RecordBatch, new_null_array};
use arrow_schema::{DataType, TimeUnit};
use parquet::basic::{Encoding, Type};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::reader::ChunkReader;
use parquet::file::statistics::Statistics;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnDescPtr;

use self::bounds::Bounds;
use self::encodings::push_bits;
use self::levels::{Leaf, Levels, leaves};
use self::page::Zstd;
use self::values::{Value, Values};
use self::writer::{Chunk, ChunkWriter};
use super::schema as table;
use super::{stored, tail_filter};

/// Rows of a page, so that reading one trace reads one small page of each column.
pub(super) const PAGE_ROWS: usize = 4 << 10;

/// Writes row groups.
#[derive(Debug)]
pub(crate) struct RowGroupWriter {
    for_codes: Zstd,
    for_values: Zstd,
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

    /// Writes a row group of column chunks that are known by their paths and read from `bytes`; columns that are not
    /// known have nulls only.
    pub(crate) fn append<W: Write + Send>(
        &mut self,
        file: &mut SerializedFileWriter<W>,
        spans: usize,
        mut chunk: impl FnMut(&str) -> Result<Option<ColumnCloseResult>, ParquetError>,
        bytes: &impl ChunkReader,
    ) -> Result<(), ParquetError> {
        let descriptors = file.schema_descr().columns().to_vec();
        let mut group = file.next_row_group()?;
        for descriptor in descriptors {
            if let Some(known) = chunk(&descriptor.path().string())? {
                group.append_column(bytes, known)?;
                continue;
            }
            let nulls = self.nulls(spans, descriptor)?;
            group.append_column(&nulls.bytes, nulls.close)?;
        }
        group.close()?;
        Ok(())
    }

    /// An attribute's column in which no row has a value.
    fn nulls(&mut self, rows: usize, descriptor: ColumnDescPtr) -> Result<Chunk, ParquetError> {
        let kind = match descriptor.physical_type() {
            Type::BYTE_ARRAY => table::dictionary_of_texts(),
            Type::INT64 => DataType::Int64,
            Type::DOUBLE => DataType::Float64,
            Type::BOOLEAN => DataType::Boolean,
            other => return Err(ParquetError::NYI(format!("columns of type {other}"))),
        };
        let leaves = leaves(&new_null_array(&kind, rows), true);
        let leaf = leaves.first();
        let leaf = leaf.ok_or_else(|| ParquetError::General("no column".to_owned()))?;
        self.chunk(leaf, descriptor)
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
        let page_rows = writer.pages_of(values.len(), values.is_constant());
        match values {
            Values::Coded { distinct, .. } => {
                let mut bytes = Vec::new();
                distinct
                    .iter()
                    .for_each(|value| value.push_plain(&mut bytes));
                match writer.stride(values) {
                    Some(stride) => {
                        let stored = stored::frame(&bytes, stride);
                        let pages = &mut writer.pages;
                        pages.push_stored(distinct.len(), bytes.len(), &stored);
                    }
                    None => {
                        let zstd = Some(&mut self.for_values);
                        writer.pages.push_dictionary(zstd, distinct.len(), &bytes)?;
                    }
                }
                seen = vec![u32::MAX; distinct.len()];
            }
            Values::Direct(_) if values.len() == 0 => encoding = Encoding::PLAIN,
            Values::Direct(_) => {
                let sample = 0..values.len().min(page_rows);
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
