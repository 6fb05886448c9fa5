//! The pages of a column chunk of our own files: where they lie, what their headers say, and their bytes, decompressed.
//! What the bytes mean is said by `cold/pages/flat.rs` for plain columns and by the `parquet` crate for lists.
//!
//! The crate's own reader of pages makes a codec for each column chunk, which costs more than a page does; here one
//! decompressor serves them all.

mod bits;
mod decompress;
mod encodings;
pub(crate) mod flat;
pub(crate) mod found;
mod header;
pub(crate) mod index;
pub(crate) mod lists;
pub(crate) mod nested;
pub(crate) mod sorted;
mod thrift;
mod values;

use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Compression, Encoding};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::reader::ChunkReader as _;

pub(crate) use self::bits::take_varint;
use self::header::{Header, Kind};
use self::index::Places;
pub(crate) use self::values::Distinct;
use super::dictionary;
use super::fetch::Fetch;

/// The pages of one column of a row group.
#[derive(Debug, Clone)]
pub(crate) struct ColumnPages {
    pub(crate) fetch: Fetch,
    pub(crate) metadata: Arc<ParquetMetaData>,
    pub(crate) group: usize,
    pub(crate) leaf: usize,
    pub(crate) places: Arc<Places>,
}

/// A page, decompressed.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) bytes: Bytes,
    /// Values and nulls.
    pub(crate) slots: usize,
    pub(crate) encoding: Encoding,
}

impl ColumnPages {
    fn column(&self) -> &ColumnChunkMetaData {
        self.metadata.row_group(self.group).column(self.leaf)
    }

    /// The page of the dictionary, if there is one.
    fn dictionary(&self) -> Result<Option<Page>, ParquetError> {
        read_dictionary(&self.fetch, self.column())
    }

    /// A page of values: its levels, each kind behind its length, and its values.
    fn data(&self, page: usize) -> Result<Page, ParquetError> {
        let range = self.places.bytes(page);
        let length = usize::try_from(range.end - range.start)?;
        let bytes = self.fetch.get_bytes(range.start, length)?;
        open(&bytes, self.column(), Kind::Data)
    }
}

/// What the first bytes of a dictionary's page say: how many values there are, their bytes, how many these are on the
/// disk, and what lies behind the header. `None` for anything else.
pub(crate) fn dictionary_header(head: &[u8]) -> Option<(usize, usize, usize, &[u8])> {
    let (header, rest) = Header::parse(head).ok()?;
    let is_it = header.kind == Kind::Dictionary;
    is_it.then_some((header.slots, header.uncompressed, header.compressed, rest))
}

/// The page of a column's dictionary, if there is one.
pub(crate) fn read_dictionary(
    fetch: &Fetch,
    column: &ColumnChunkMetaData,
) -> Result<Option<Page>, ParquetError> {
    let Some(range) = dictionary::range(column) else {
        return Ok(None);
    };
    let length = usize::try_from(range.end - range.start)?;
    let bytes = fetch.get_bytes(range.start, length)?;
    open(&bytes, column, Kind::Dictionary).map(Some)
}

fn open(bytes: &Bytes, column: &ColumnChunkMetaData, kind: Kind) -> Result<Page, ParquetError> {
    let (header, rest) = Header::parse(bytes)?;
    if header.kind != kind {
        return Err(damaged("a page is of another kind than is said"));
    }
    let start = bytes.len() - rest.len();
    let end = start.checked_add(header.compressed);
    let end = end.filter(|end| *end <= bytes.len());
    let end = end.ok_or_else(|| damaged("a page ends too early"))?;
    let bytes = match column.compression() {
        Compression::UNCOMPRESSED => bytes.slice(start..end),
        Compression::ZSTD(_) => decompress::zstd(&bytes[start..end], header.uncompressed)?,
        other => return Err(ParquetError::NYI(format!("pages compressed with {other}"))),
    };
    Ok(Page {
        bytes,
        slots: header.slots,
        encoding: header.encoding,
    })
}

fn damaged(what: &'static str) -> ParquetError {
    ParquetError::General(what.to_owned())
}
