//! The pages of a column chunk: header, compressed levels and values, checksum, and where each page lies.

use parquet::basic::{Encoding, PageType};
use parquet::errors::ParquetError;
use parquet::file::metadata::{OffsetIndexBuilder, PageEncodingStats};

use zstd::bulk::Compressor;
use zstd::zstd_safe::CParameter;

use super::encodings::push_zigzag;

/// How hard codes are compressed,
const CODES_LEVEL: i32 = 3;
/// and values.
const VALUES_LEVEL: i32 = 1;
/// Ids in hexadecimal digits have short matches everywhere, which cost more than they save.
const VALUES_MATCH_MIN: u32 = 7;
/// Compression that gains less than a twentieth is not worth undoing.
const GAIN_MIN: usize = 20;

/// The compressor, with its memory.
pub(super) struct Zstd(Compressor<'static>);

impl std::fmt::Debug for Zstd {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Zstd")
    }
}

impl Zstd {
    /// For codes of dictionaries, and for levels.
    pub(super) fn for_codes() -> Result<Self, ParquetError> {
        let compressor = Compressor::new(CODES_LEVEL).map_err(external)?;
        Ok(Self(compressor))
    }

    /// For values that hardly repeat.
    pub(super) fn for_values() -> Result<Self, ParquetError> {
        let mut compressor = Compressor::new(VALUES_LEVEL).map_err(external)?;
        let parameter = CParameter::MinMatch(VALUES_MATCH_MIN);
        compressor.set_parameter(parameter).map_err(external)?;
        Ok(Self(compressor))
    }

    pub(super) fn compress(&mut self, bytes: &[u8]) -> Result<Vec<u8>, ParquetError> {
        self.0.compress(bytes).map_err(external)
    }
}

fn external(error: std::io::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}

/// Whether compressing bytes to so many is worth undoing.
pub(super) fn is_worth_it(bytes: usize, compressed: usize) -> bool {
    bytes.saturating_sub(compressed) * GAIN_MIN >= bytes
}

/// A page of values as it is to be written. Levels come before the values and are compressed with them: the pattern of
/// what is there repeats from trace to trace.
#[derive(Debug)]
pub(super) struct DataPage<'a> {
    pub(super) encoding: Encoding,
    pub(super) rows: usize,
    /// Values and nulls.
    pub(super) slots: usize,
    /// Levels, each kind behind its length, and values.
    pub(super) bytes: &'a [u8],
}

/// Pages, one after the other.
#[derive(Default)]
pub(super) struct Pages {
    pub(super) bytes: Vec<u8>,
    pub(super) uncompressed: usize,
    pub(super) dictionary_bytes: Option<usize>,
    pub(super) offsets: OffsetIndexBuilder,
    pub(super) encodings: Vec<PageEncodingStats>,
}

impl Pages {
    /// Appends the page of the dictionary, which comes first.
    pub(super) fn push_dictionary(
        &mut self,
        zstd: Option<&mut Zstd>,
        values: usize,
        bytes: &[u8],
    ) -> Result<(), ParquetError> {
        let compressed = match zstd {
            Some(zstd) => &zstd.compress(bytes)?,
            None => bytes,
        };
        self.push_stored(values, bytes.len(), compressed);
        Ok(())
    }

    /// The same of bytes that are already as they are to be on the disk.
    pub(super) fn push_stored(&mut self, values: usize, length: usize, compressed: &[u8]) {
        let mut header = Header::new(
            PageType::DICTIONARY_PAGE,
            length,
            compressed.len(),
            crc32fast::hash(compressed),
        );
        header.begin(7);
        header.number(1, values as i64);
        header.number(2, Encoding::PLAIN as i64);
        header.end();
        let header = header.finish();
        self.bytes.extend_from_slice(&header);
        self.bytes.extend_from_slice(compressed);
        self.uncompressed += header.len() + length;
        self.dictionary_bytes = Some(self.bytes.len());
        self.encodings.push(PageEncodingStats {
            page_type: PageType::DICTIONARY_PAGE,
            encoding: Encoding::PLAIN,
            count: 1,
        });
    }

    pub(super) fn push_data(
        &mut self,
        zstd: Option<&mut Zstd>,
        page: &DataPage<'_>,
    ) -> Result<(), ParquetError> {
        let compressed = match zstd {
            Some(zstd) => &zstd.compress(page.bytes)?,
            None => page.bytes,
        };
        let mut header = Header::new(
            PageType::DATA_PAGE,
            page.bytes.len(),
            compressed.len(),
            crc32fast::hash(compressed),
        );
        header.begin(5);
        header.number(1, page.slots as i64);
        header.number(2, page.encoding as i64);
        // Of definition and repetition levels.
        header.number(3, Encoding::RLE as i64);
        header.number(4, Encoding::RLE as i64);
        header.end();
        let header = header.finish();
        let offset = self.bytes.len();
        self.bytes.extend_from_slice(&header);
        self.bytes.extend_from_slice(compressed);
        self.uncompressed += header.len() + page.bytes.len();
        let length = self.bytes.len() - offset;
        self.offsets.append_row_count(page.rows as i64);
        self.offsets
            .append_offset_and_size(offset as i64, i32::try_from(length).unwrap_or(i32::MAX));
        match self.encodings.last_mut() {
            Some(last) if last.page_type == PageType::DATA_PAGE => last.count += 1,
            _ => self.encodings.push(PageEncodingStats {
                page_type: PageType::DATA_PAGE,
                encoding: page.encoding,
                count: 1,
            }),
        }
        Ok(())
    }
}

/// A page's header, in Thrift's compact protocol.
struct Header {
    bytes: Vec<u8>,
    last: Vec<u8>,
}

/// Types of the compact protocol.
const I32: u8 = 5;
const STRUCT: u8 = 12;

impl Header {
    fn new(kind: PageType, uncompressed: usize, compressed: usize, checksum: u32) -> Self {
        let mut header = Self {
            bytes: Vec::with_capacity(48),
            last: vec![0],
        };
        header.number(1, kind as i64);
        header.number(2, uncompressed as i64);
        header.number(3, compressed as i64);
        header.number(4, i64::from(checksum as i32));
        header
    }

    fn field(&mut self, number: u8, kind: u8) {
        if let Some(last) = self.last.last_mut() {
            self.bytes.push((number - *last) << 4 | kind);
            *last = number;
        }
    }

    fn number(&mut self, field: u8, number: i64) {
        self.field(field, I32);
        push_zigzag(&mut self.bytes, number);
    }

    fn begin(&mut self, field: u8) {
        self.field(field, STRUCT);
        self.last.push(0);
    }

    fn end(&mut self) {
        self.bytes.push(0);
        self.last.pop();
    }

    fn finish(mut self) -> Vec<u8> {
        self.bytes.push(0);
        self.bytes
    }
}
