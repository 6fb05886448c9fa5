//! Headers of pages, in Thrift's compact protocol.
//! <https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift>

use parquet::basic::Encoding;
use parquet::errors::ParquetError;

use super::damaged;
use super::thrift::{I32, Reader, STRUCT};

/// What a page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Values, of the first version of pages.
    Data,
    Dictionary,
    Other,
}

/// What a page says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) uncompressed: usize,
    pub(super) compressed: usize,
    pub(super) slots: usize,
    pub(super) encoding: Encoding,
}

impl Header {
    /// A header, and the bytes behind it.
    pub(super) fn parse(bytes: &[u8]) -> Result<(Self, &[u8]), ParquetError> {
        let mut reader = Reader::new(bytes);
        let mut header = Self {
            kind: Kind::Other,
            uncompressed: 0,
            compressed: 0,
            slots: 0,
            encoding: Encoding::PLAIN,
        };
        let mut last = 0;
        while let Some((number, kind)) = reader.field(&mut last)? {
            match (number, kind) {
                (1, I32) => {
                    header.kind = match reader.number()? {
                        0 => Kind::Data,
                        2 => Kind::Dictionary,
                        _ => Kind::Other,
                    }
                }
                (2, I32) => header.uncompressed = reader.length()?,
                (3, I32) => header.compressed = reader.length()?,
                // Of values and of dictionaries: both begin with a count and an encoding.
                (5 | 7, STRUCT) => {
                    let mut last = 0;
                    while let Some((number, kind)) = reader.field(&mut last)? {
                        match (number, kind) {
                            (1, I32) => header.slots = reader.length()?,
                            (2, I32) => header.encoding = encoding(reader.number()?)?,
                            (_, kind) => reader.skip(kind, 0)?,
                        }
                    }
                }
                (_, kind) => reader.skip(kind, 0)?,
            }
        }
        Ok((header, reader.rest()))
    }
}

fn encoding(number: i64) -> Result<Encoding, ParquetError> {
    Ok(match number {
        0 => Encoding::PLAIN,
        2 => Encoding::PLAIN_DICTIONARY,
        3 => Encoding::RLE,
        5 => Encoding::DELTA_BINARY_PACKED,
        6 => Encoding::DELTA_LENGTH_BYTE_ARRAY,
        7 => Encoding::DELTA_BYTE_ARRAY,
        8 => Encoding::RLE_DICTIONARY,
        9 => Encoding::BYTE_STREAM_SPLIT,
        _ => return Err(damaged("a page has an unknown encoding")),
    })
}
