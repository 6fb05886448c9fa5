//! Dictionaries of text columns: the distinct values of a row group's column, in one page before its data.

use std::sync::Arc;

use arrow_array::StringArray;
use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef};
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

/// Distinct values, one after the other.
#[derive(Debug)]
pub(crate) struct Values {
    bytes: Buffer,
    offsets: OffsetBuffer<i32>,
}

impl Default for Values {
    fn default() -> Self {
        Self {
            bytes: Buffer::default(),
            offsets: OffsetBuffer::new_empty(),
        }
    }
}

impl Values {
    /// Of plain encoding: each value behind its length.
    pub(crate) fn split(plain: &[u8], count: usize) -> Result<Self, ParquetError> {
        let damaged = || ParquetError::General("a dictionary ends too early".to_owned());
        if count > plain.len() / 4 {
            return Err(damaged());
        }
        let mut values = Vec::with_capacity(plain.len() - 4 * count);
        let mut offsets: Vec<i32> = Vec::with_capacity(count + 1);
        offsets.push(0);
        let mut rest = plain;
        for _ in 0..count {
            let (length, after) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
            let length = u32::from_le_bytes(*length) as usize;
            let value = after.get(..length).ok_or_else(damaged)?;
            values.extend_from_slice(value);
            offsets.push(i32::try_from(values.len())?);
            rest = &after[length..];
        }
        Ok(Self {
            bytes: Buffer::from_vec(values),
            offsets: OffsetBuffer::new(ScalarBuffer::from(offsets)),
        })
    }

    /// Where each value begins and ends, and their bytes.
    pub(crate) fn parts(&self) -> (OffsetBuffer<i32>, Buffer) {
        (self.offsets.clone(), self.bytes.clone())
    }

    /// The values as texts.
    pub(crate) fn to_texts(&self) -> Result<StringArray, ParquetError> {
        let (offsets, bytes) = self.parts();
        Ok(StringArray::try_new(offsets, bytes, None)?)
    }

    /// The same of some values only.
    pub(crate) fn gather(&self, codes: &[i32]) -> (OffsetBuffer<i32>, Buffer) {
        let values = || codes.iter().map(|&code| self.get(code as usize));
        let offsets = OffsetBuffer::from_lengths(values().map(<[u8]>::len));
        let bytes: Vec<u8> = values().flatten().copied().collect();
        (offsets, Buffer::from_vec(bytes))
    }

    pub(crate) fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    pub(crate) fn get(&self, code: usize) -> &[u8] {
        &self.bytes[self.offsets[code] as usize..self.offsets[code + 1] as usize]
    }
}

/// The values of a dictionary as bytes; `None` when there is none.
pub(crate) fn read_bytes(
    fetch: &Fetch,
    column: &ColumnChunkMetaData,
) -> Result<Option<Values>, ParquetError> {
    let page = pages::read_dictionary(fetch, column)?;
    let values = page.map(|page| Values::split(&page.bytes, page.slots));
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
        let plain = b"\x02\0\0\0ab\0\0\0\0\x01\0\0\0c";
        let values = Values::split(plain, 3).unwrap();
        let texts: Vec<&[u8]> = (0..values.len()).map(|code| values.get(code)).collect();
        assert_eq!(texts, [&b"ab"[..], b"", b"c"]);
        assert!(Values::split(plain, 4).is_err());
        assert!(Values::split(&plain[..plain.len() - 1], 3).is_err());
        assert!(Values::split(b"\xff\xff\xff\xff", 1).is_err());
        assert!(Values::split(b"", usize::MAX).is_err());
    }
}
