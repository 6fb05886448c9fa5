//! Dictionaries of text columns: the distinct values of a row group's column, in one page before its data.

use std::sync::Arc;

use arrow_array::StringArray;
use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef};
use bytes::Bytes;
use parquet::basic::{Encoding, PageType, Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::statistics::Statistics;

use super::fetch::Fetch;
use super::pages;

/// Bytes on disk up to which a dictionary is kept in memory.
const SMALL_BYTES: u64 = 16 << 10;

/// Where the dictionary lies.
pub(crate) fn range(column: &ColumnChunkMetaData) -> Option<std::ops::Range<u64>> {
    let start = u64::try_from(column.dictionary_page_offset()?).ok()?;
    let end = u64::try_from(column.data_page_offset()).ok()?;
    (start < end).then_some(start..end)
}

/// Whether every data page has codes of the dictionary.
pub(crate) fn is_whole(column: &ColumnChunkMetaData) -> bool {
    let is_code = |encoding: Encoding| {
        matches!(
            encoding,
            Encoding::PLAIN_DICTIONARY | Encoding::RLE_DICTIONARY
        )
    };
    if range(column).is_none() {
        return false;
    }
    if let Some(pages) = column.page_encoding_stats() {
        let mut data = pages.iter().filter(|pages| {
            matches!(
                pages.page_type,
                PageType::DATA_PAGE | PageType::DATA_PAGE_V2
            )
        });
        return data.all(|pages| is_code(pages.encoding) || pages.count == 0);
    }
    column
        .page_encoding_stats_mask()
        .is_some_and(|mask| mask.encodings().all(is_code))
}

/// Whether the column has nulls only.
pub(crate) fn is_empty(column: &ColumnChunkMetaData) -> bool {
    let nulls = column.statistics().and_then(Statistics::null_count_opt);
    nulls.is_some_and(|nulls| i64::try_from(nulls) == Ok(column.num_values()))
}

/// Whether the dictionary is the whole truth about the column's texts, and small.
pub(crate) fn is_small(column: &ColumnChunkMetaData) -> bool {
    column.column_type() == Type::BYTE_ARRAY
        && range(column).is_some_and(|range| range.end - range.start <= SMALL_BYTES)
        && is_whole(column)
}

/// The values of a dictionary of texts; `None` when there is none.
pub(crate) fn read(
    fetch: &Fetch,
    column: &ColumnChunkMetaData,
) -> Result<Option<StringArray>, ParquetError> {
    let values = read_bytes(fetch, column)?;
    values.map(|values| values.to_texts()).transpose()
}

/// Distinct values, in plain encoding: each behind its length. They stay where they are, as most readers want few.
#[derive(Debug, Default)]
pub(crate) struct Values {
    plain: Bytes,
    places: Places,
}

/// Where values begin.
#[derive(Debug)]
enum Places {
    /// So many, all of one length.
    Even {
        count: usize,
        length: usize,
    },
    At(Vec<u32>),
}

impl Default for Places {
    fn default() -> Self {
        Self::At(Vec::new())
    }
}

/// Bytes before a value that say how long it is.
const LENGTH_BYTES: usize = 4;

impl Values {
    /// Finds the values.
    pub(crate) fn split(plain: Bytes, count: usize) -> Result<Self, ParquetError> {
        let damaged = || ParquetError::General("a dictionary ends too early".to_owned());
        if count > plain.len() / LENGTH_BYTES || i32::try_from(plain.len()).is_err() {
            return Err(damaged());
        }
        let places = match even(&plain, count) {
            Some(length) => Places::Even { count, length },
            None => {
                let mut starts = Vec::with_capacity(count);
                let mut rest = &plain[..];
                for _ in 0..count {
                    let (length, after) = rest.split_first_chunk().ok_or_else(damaged)?;
                    starts.push((plain.len() - after.len()) as u32);
                    let length = u32::from_le_bytes(*length) as usize;
                    rest = after.get(length..).ok_or_else(damaged)?;
                }
                Places::At(starts)
            }
        };
        Ok(Self { plain, places })
    }

    /// Where each value begins and ends when they lie side by side, and their bytes.
    pub(crate) fn parts(&self) -> (OffsetBuffer<i32>, Buffer) {
        self.collect((0..self.len()).map(|code| self.get(code)))
    }

    /// The values as texts.
    pub(crate) fn to_texts(&self) -> Result<StringArray, ParquetError> {
        let (offsets, bytes) = self.parts();
        Ok(StringArray::try_new(offsets, bytes, None)?)
    }

    /// The same of some values only.
    pub(crate) fn gather(&self, codes: &[i32]) -> (OffsetBuffer<i32>, Buffer) {
        self.collect(codes.iter().map(|&code| self.get(code as usize)))
    }

    fn collect<'a>(
        &self,
        values: impl ExactSizeIterator<Item = &'a [u8]>,
    ) -> (OffsetBuffer<i32>, Buffer) {
        let mut offsets: Vec<i32> = Vec::with_capacity(values.len() + 1);
        offsets.push(0);
        let all = values.len() == self.len();
        let mut bytes = Vec::with_capacity(if all { self.plain.len() } else { 0 });
        for value in values {
            bytes.extend_from_slice(value);
            offsets.push(bytes.len() as i32);
        }
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        (offsets, Buffer::from_vec(bytes))
    }

    pub(crate) fn len(&self) -> usize {
        match &self.places {
            Places::Even { count, .. } => *count,
            Places::At(starts) => starts.len(),
        }
    }

    pub(crate) fn get(&self, code: usize) -> &[u8] {
        let (start, length) = match &self.places {
            Places::Even { length, .. } => (code * (LENGTH_BYTES + length) + LENGTH_BYTES, *length),
            Places::At(starts) => {
                let start = starts[code] as usize;
                (start, length_before(&self.plain, start))
            }
        };
        &self.plain[start..start + length]
    }
}

fn length_before(plain: &[u8], start: usize) -> usize {
    let mut length = [0; LENGTH_BYTES];
    length.copy_from_slice(&plain[start - LENGTH_BYTES..start]);
    u32::from_le_bytes(length) as usize
}

/// The length that all values have, if they have one.
fn even(plain: &[u8], count: usize) -> Option<usize> {
    let first = plain.first_chunk::<LENGTH_BYTES>()?;
    let length = u32::from_le_bytes(*first) as usize;
    let stride = length.checked_add(LENGTH_BYTES)?;
    let values = plain.get(..count.checked_mul(stride)?)?;
    let mut values = values.chunks_exact(stride);
    values
        .all(|value| value.starts_with(first))
        .then_some(length)
}

/// The values of a dictionary as bytes; `None` when there is none.
pub(crate) fn read_bytes(
    fetch: &Fetch,
    column: &ColumnChunkMetaData,
) -> Result<Option<Values>, ParquetError> {
    let page = pages::read_dictionary(fetch, column)?;
    let values = page.map(|page| Values::split(page.bytes, page.slots));
    values.transpose()
}

/// The schema to read a file with: texts as dictionaries where the file has dictionaries. Where it has none, making
/// one would cost more than reading.
pub(crate) fn readable(schema: &Schema, metadata: &ParquetMetaData) -> SchemaRef {
    let has_dictionary = has_dictionary(schema, metadata);
    let fields = schema.fields().iter().zip(has_dictionary);
    let fields = fields.map(|(field, has_dictionary)| match field.data_type() {
        DataType::Dictionary(_, values) if !has_dictionary => {
            with_type(field, values.as_ref().clone())
        }
        _ => Arc::clone(field),
    });
    let fields: Fields = fields.collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// The schema to test columns with: bytes, too, as dictionaries where the file has dictionaries.
pub(crate) fn testable(readable: &Schema, metadata: &ParquetMetaData) -> SchemaRef {
    let has_dictionary = has_dictionary(readable, metadata);
    let fields = readable.fields().iter().zip(has_dictionary);
    let fields = fields.map(|(field, has_dictionary)| match field.data_type() {
        DataType::Binary if has_dictionary => {
            let values = Box::new(DataType::Binary);
            with_type(
                field,
                DataType::Dictionary(Box::new(DataType::Int32), values),
            )
        }
        _ => Arc::clone(field),
    });
    let fields: Fields = fields.collect();
    Arc::new(Schema::new_with_metadata(
        fields,
        readable.metadata().clone(),
    ))
}

fn with_type(field: &Field, data_type: DataType) -> Arc<Field> {
    Arc::new(field.clone().with_data_type(data_type))
}

/// For each column whether all of its values are in dictionaries.
fn has_dictionary(schema: &Schema, metadata: &ParquetMetaData) -> Vec<bool> {
    let descriptor = metadata.file_metadata().schema_descr();
    let mut has_dictionary = vec![true; schema.fields().len()];
    for group in metadata.row_groups() {
        for (leaf, column) in group.columns().iter().enumerate() {
            if !is_empty(column) && !is_whole(column) {
                has_dictionary[descriptor.get_column_root_idx(leaf)] = false;
            }
        }
    }
    has_dictionary
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dictionary_is_split_into_its_values() {
        let split = |plain: &'static [u8], count| Values::split(Bytes::from_static(plain), count);
        let plain = b"\x02\0\0\0ab\0\0\0\0\x01\0\0\0c";
        let even = b"\x01\0\0\0a\x01\0\0\0b\x01\0\0\0c";
        for (plain, expected) in [
            (&plain[..], [&b"ab"[..], b"", b"c"]),
            (&even[..], [&b"a"[..], b"b", b"c"]),
        ] {
            let values = split(plain, 3).unwrap();
            let texts: Vec<&[u8]> = (0..values.len()).map(|code| values.get(code)).collect();
            assert_eq!(texts, expected);
            let (offsets, bytes) = values.parts();
            assert_eq!(bytes.as_slice(), b"abc");
            assert_eq!(offsets.len(), 4);
            assert_eq!(values.gather(&[2]).1.as_slice(), b"c");
            assert!(split(plain, 4).is_err());
            assert!(split(&plain[..plain.len() - 1], 3).is_err());
        }
        assert!(split(b"\xff\xff\xff\xff", 1).is_err());
        assert!(split(b"", usize::MAX).is_err());
        // As many bytes as two of the first length would have.
        let uneven = split(b"\x01\0\0\0a\0\0\0\0\x02\0\0\0bc", 3).unwrap();
        assert_eq!((uneven.get(1), uneven.get(2)), (&b""[..], &b"bc"[..]));
    }
}
