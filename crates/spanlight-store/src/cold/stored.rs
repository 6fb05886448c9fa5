//! Dictionaries that are stored as they are, in a frame of zstd that compresses nothing: so that one value is read where
//! it lies. Owns the form of such a frame, written and read; which column has one is said by `cold/chunk.rs`.
//! <https://github.com/facebook/zstd/blob/dev/doc/zstd_compression_format.md>

use std::ops::Range;

use bytes::Bytes;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::metadata::ColumnChunkMetaData;

use super::dictionary::{self, Values};
use super::fetch::Fetch;
use super::pages::dictionary_header;

/// A frame's first bytes: its magic number, and that it is one segment whose length is in the next four bytes.
const MAGIC: [u8; 5] = [0x28, 0xb5, 0x2f, 0xfd, 0b1010_0000];
const FRAME_HEADER: usize = MAGIC.len() + 4;
const BLOCK_HEADER: usize = 3;
/// Bytes of a block, at most.
const BLOCK_MAX: usize = 128 << 10;
/// Bytes that have the header of a page and all that comes before a frame's first value.
const HEAD: u64 = 128;
/// Shorter ones are read as a whole.
const BYTES_MIN: u64 = 16 << 10;

/// Values of `stride` bytes in such a frame.
pub(crate) fn frame(values: &[u8], stride: usize) -> Vec<u8> {
    let length = values.len() as u32;
    let mut frame = [&MAGIC[..], &length.to_le_bytes()].concat();
    frame.reserve(values.len() + BLOCK_HEADER * (values.len() / BLOCK_MAX + 2));
    let mut blocks = values.chunks(block_of(stride)).peekable();
    while let Some(block) = blocks.next() {
        frame.extend_from_slice(&block_header(block.len(), blocks.peek().is_none()));
        frame.extend_from_slice(block);
    }
    frame
}

/// Bytes of a block that has whole values only.
fn block_of(stride: usize) -> usize {
    (BLOCK_MAX / stride.max(1) * stride).max(1)
}

fn block_header(length: usize, is_last: bool) -> [u8; BLOCK_HEADER] {
    // The type, between the two, is zero: bytes as they are.
    let [a, b, c, _] = (u32::from(is_last) | (length as u32) << 3).to_le_bytes();
    [a, b, c]
}

/// Where the values of such a dictionary lie.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// The frame's first block.
    start: u64,
    count: usize,
    stride: usize,
}

impl Place {
    /// `None` when a column's dictionary is compressed, or short. Reads its first bytes.
    pub(crate) fn find(
        fetch: &Fetch,
        column: &ColumnChunkMetaData,
    ) -> Result<Option<Self>, ParquetError> {
        let range = dictionary::range(column);
        let is_zstd = matches!(column.compression(), Compression::ZSTD(_));
        let range = range.filter(|range| is_zstd && range.end - range.start >= BYTES_MIN);
        let Some(Range { start, end }) = range else {
            return Ok(None);
        };
        let head = fetch.range(start, end.min(start + HEAD))?;
        Ok(Self::parse(&head, start))
    }

    fn parse(head: &Bytes, start: u64) -> Option<Self> {
        let (count, length, compressed, frame) = dictionary_header(head)?;
        let stride = length.checked_div(count)?;
        let blocks = length.div_ceil(block_of(stride));
        let first = block_header(length.min(block_of(stride)), blocks == 1);
        let expected = [
            &MAGIC[..],
            &u32::try_from(length).ok()?.to_le_bytes(),
            &first,
        ]
        .concat();
        let is_it = stride * count == length
            && compressed == FRAME_HEADER + blocks * BLOCK_HEADER + length
            && frame.starts_with(&expected);
        let header = head.len() - frame.len() + FRAME_HEADER;
        is_it.then_some(Self {
            start: start + header as u64,
            count,
            stride,
        })
    }

    fn value(&self, code: usize) -> Range<u64> {
        let blocks = code * self.stride / block_of(self.stride) + 1;
        let start = self.start + (blocks * BLOCK_HEADER + code * self.stride) as u64;
        start..start + self.stride as u64
    }
}

/// A dictionary of which single values are read.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) fetch: Fetch,
    pub(crate) place: Place,
}

impl Stored {
    pub(crate) fn len(&self) -> usize {
        self.place.count
    }

    /// Reads the values of these codes.
    pub(crate) fn pick(&self, codes: &[i32]) -> Result<Picked, ParquetError> {
        let mut codes = codes.to_vec();
        codes.sort_unstable();
        codes.dedup();
        let beyond = codes.iter().find(|code| **code as usize >= self.len());
        if beyond.is_some() {
            let message = "a code stands for nothing in the dictionary";
            return Err(ParquetError::General(message.to_owned()));
        }
        let places = codes.iter().map(|code| self.place.value(*code as usize));
        let places: Vec<_> = places.collect();
        let fetch = self.fetch.with(&places)?;
        let mut plain = Vec::with_capacity(places.len() * self.place.stride);
        for place in places {
            plain.extend_from_slice(&fetch.range(place.start, place.end)?);
        }
        let values = Values::split(plain.into(), codes.len())?;
        Ok(Picked { codes, values })
    }
}

/// Some values of a dictionary.
#[derive(Debug)]
pub(crate) struct Picked {
    /// Sorted, each once.
    pub(crate) codes: Vec<i32>,
    /// In the order of the codes.
    pub(crate) values: Values,
}

impl Picked {
    /// The value of a code, which is among them.
    pub(crate) fn get(&self, code: i32) -> &[u8] {
        let at = self.codes.binary_search(&code);
        at.map_or(&[], |at| self.values.get(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_what_zstd_reads_and_lies_where_it_is_looked_for() {
        for (count, stride) in [
            (1, 20),
            (3, 20),
            (6_553, 20),
            (6_554, 20),
            (20_000, 20),
            (9, 7),
        ] {
            let values: Vec<u8> = (0..count * stride).map(|at| (at * 7 % 251) as u8).collect();
            let frame = frame(&values, stride);
            let read = zstd::bulk::decompress(&frame, values.len()).unwrap();
            assert_eq!(read, values, "{count}");
            let place = Place {
                start: FRAME_HEADER as u64,
                count,
                stride,
            };
            for code in [0, count / 2, count - 1] {
                let value = place.value(code);
                let value = &frame[value.start as usize..value.end as usize];
                assert_eq!(
                    value,
                    &values[code * stride..][..stride],
                    "{code} of {count}"
                );
            }
        }
    }
}
