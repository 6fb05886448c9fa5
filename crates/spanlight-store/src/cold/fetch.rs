//! Bytes of one data file for the Parquet reader: fetched in as few reads as possible before they are decoded, each
//! counted.

use std::io::{Cursor, Read};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::{Buf as _, Bytes};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use super::ColdFile;
use super::checksum::{self, Checksums};
use super::source::DataSource;
use crate::scan::ScanReport;

/// Ranges that are closer than this are read as one: a read costs about as much as copying so many bytes.
const GAP_MAX: u64 = 16 << 10;
/// What is read when the end is not known: the headers of pages, which are short.
const HEAD: u64 = 4 << 10;
/// What is read of the end of a file: the index of pages and the footer, which grow with its spans. Where they are
/// longer, they are read again.
const TAIL_MIN: u64 = 32 << 10;
const TAIL_SPANS: u64 = 2;
/// Of the end so much is read where only what a file says of its traces is wanted.
const LAST: u64 = 16 << 10;

/// One file's bytes.
#[derive(Debug, Clone)]
pub(crate) struct Fetch {
    source: Arc<dyn DataSource>,
    file: Arc<ColdFile>,
    report: Arc<ScanReport>,
    /// What was fetched, by where it starts.
    parts: Arc<Vec<(u64, Bytes)>>,
    /// What is read is checked, once its checksums are known.
    checksums: Option<Arc<Checksums>>,
}

impl Fetch {
    pub(crate) fn new(
        source: Arc<dyn DataSource>,
        file: Arc<ColdFile>,
        report: Arc<ScanReport>,
    ) -> Self {
        Self {
            source,
            file,
            report,
            parts: Arc::default(),
            checksums: None,
        }
    }

    pub(crate) fn file(&self) -> &ColdFile {
        &self.file
    }

    /// The same file, read with these checksums.
    pub(crate) fn checked(&self, checksums: Option<Arc<Checksums>>) -> Self {
        Self {
            checksums,
            ..self.clone()
        }
    }

    /// The same file with these ranges at hand.
    pub(crate) fn with(&self, ranges: &[Range<u64>]) -> Result<Self, ParquetError> {
        let ranges = coalesce(ranges.iter().map(|range| self.whole(range)).collect());
        let parts = self.read(&ranges)?;
        let parts = ranges.iter().map(|range| range.start).zip(parts);
        Ok(Self {
            parts: Arc::new(parts.collect()),
            ..self.clone()
        })
    }

    /// The same file with its end at hand, for reading its footer.
    pub(crate) fn with_tail(&self) -> Result<Self, ParquetError> {
        self.with_end(self.tail())
    }

    /// A footer is about to be read.
    pub(crate) fn count_footer(&self) {
        self.report.footers_read.fetch_add(1, Ordering::Relaxed);
    }

    /// Where the footer begins.
    pub(crate) fn footer_start(&self, last: &[u8]) -> Result<u64, ParquetError> {
        let length = checksum::footer_length(last);
        let start = length.and_then(|length| self.file.bytes.checked_sub(length as u64));
        start.ok_or_else(|| ParquetError::EOF("a file is shorter than its footer".to_owned()))
    }

    /// The last bytes of the file, unchecked.
    pub(crate) fn last(&self) -> Result<Bytes, ParquetError> {
        let end = self.file.bytes;
        self.range(end.saturating_sub(LAST), end)
    }

    /// Where what is read of the end begins.
    fn tail(&self) -> u64 {
        let length = TAIL_MIN + self.file.spans / TAIL_SPANS;
        self.file.bytes.saturating_sub(length)
    }

    /// Whether the end that is at hand says that the file has checksums.
    pub(crate) fn is_marked(&self) -> bool {
        let end = self.at_hand(self.tail());
        end.is_some_and(|end| checksum::is_marked(&end))
    }

    /// The same file with its end, which is found to be sound, at hand. As it is if there are no checksums.
    pub(crate) fn with_sound_end(&self) -> Result<Self, ParquetError> {
        let Some(checksums) = &self.checksums else {
            return Ok(self.clone());
        };
        let start = checksums.end();
        let length = |end: &Bytes| start + end.len() as u64;
        let is_there = self.at_hand(start).as_ref().map(length) == Some(self.file.bytes);
        let fetch = if is_there {
            self.clone()
        } else {
            self.with_end(start)?
        };
        checksum::check_end(&fetch.at_hand(start).unwrap_or_default())?;
        Ok(fetch)
    }

    /// The index of pages, which lies between the columns and the footer, and where it begins; from an end that is
    /// sound. Nothing if there are no checksums.
    pub(crate) fn sound_index(&self) -> Result<(u64, Bytes), ParquetError> {
        let Some(checksums) = &self.checksums else {
            return Ok((0, Bytes::new()));
        };
        let start = checksums.end();
        let end = self.with_sound_end()?.at_hand(start).unwrap_or_default();
        let footer = end
            .last_chunk::<8>()
            .map(|[a, b, c, d, ..]| [*a, *b, *c, *d]);
        let footer = footer.map_or(0, |length| u32::from_le_bytes(length) as usize + 8);
        let index = end.get(..end.len().saturating_sub(footer));
        // A copy, so that the footer's bytes can go.
        Ok((start, Bytes::copy_from_slice(index.unwrap_or_default())))
    }

    fn with_end(&self, start: u64) -> Result<Self, ParquetError> {
        #[expect(clippy::single_range_in_vec_init, reason = "one range is meant")]
        self.with(&[start..self.file.bytes])
    }

    /// The range with what must be read to check it.
    fn whole(&self, range: &Range<u64>) -> Range<u64> {
        let checksums = self.checksums.as_ref();
        checksums.map_or_else(|| range.clone(), |it| it.blocks_of(range))
    }

    fn read(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, ParquetError> {
        let bytes = ranges.iter().map(|range| range.end - range.start).sum();
        self.report.bytes.read(bytes);
        let parts = self
            .source
            .read_ranges(&self.file, ranges)
            .map_err(|error| ParquetError::External(Box::new(error)))?;
        if let Some(checksums) = &self.checksums {
            for (range, part) in ranges.iter().zip(&parts) {
                checksums.check(range.start, part)?;
            }
        }
        Ok(parts)
    }

    /// What is at hand from here on.
    fn at_hand(&self, start: u64) -> Option<Bytes> {
        let after = self.parts.partition_point(|(from, _)| *from <= start);
        let (from, bytes) = self.parts.get(after.checked_sub(1)?)?;
        let skip = usize::try_from(start - from).ok()?;
        (skip < bytes.len()).then(|| bytes.slice(skip..))
    }

    /// Bytes of the file.
    pub(crate) fn range(&self, start: u64, end: u64) -> Result<Bytes, ParquetError> {
        let length = usize::try_from(end.saturating_sub(start))?;
        if length == 0 {
            return Ok(Bytes::new());
        }
        if let Some(bytes) = self.at_hand(start)
            && bytes.len() >= length
        {
            return Ok(bytes.slice(..length));
        }
        let whole = self.whole(&(start..end));
        let mut parts = self.read(std::slice::from_ref(&whole))?;
        let skip = usize::try_from(start - whole.start)?;
        let part = parts.pop().unwrap_or_default();
        if part.len() < skip + length {
            return Err(ParquetError::EOF("a read gave too few bytes".to_owned()));
        }
        Ok(part.slice(skip..skip + length))
    }
}

/// The ranges in order, neighbours joined.
fn coalesce(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.retain(|range| range.start < range.end);
    ranges.sort_unstable_by_key(|range| range.start);
    let mut joined: Vec<Range<u64>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start <= last.end.saturating_add(GAP_MAX) => {
                last.end = last.end.max(range.end);
            }
            _ => joined.push(range),
        }
    }
    joined
}

impl Length for Fetch {
    fn len(&self) -> u64 {
        self.file.bytes
    }
}

impl ChunkReader for Fetch {
    type T = Box<dyn Read>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        let head = match self.at_hand(start) {
            Some(bytes) => bytes,
            None => self.range(start, self.len().min(start.saturating_add(HEAD)).max(start))?,
        };
        let from = start.saturating_add(head.len() as u64);
        let rest = LazyRest {
            fetch: self.clone(),
            range: from..self.len(),
            bytes: None,
        };
        Ok(Box::new(head.reader().chain(rest)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let end = start.saturating_add(length as u64);
        if end > self.len() {
            let error = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
            return Err(ParquetError::General(format!(
                "{start}..{end} is beyond the file's end: {error}"
            )));
        }
        self.range(start, end)
    }
}

/// The rest of a file, read when somebody gets there.
struct LazyRest {
    fetch: Fetch,
    range: Range<u64>,
    bytes: Option<Cursor<Bytes>>,
}

impl Read for LazyRest {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.range.is_empty() {
            return Ok(0);
        }
        let bytes = match &mut self.bytes {
            Some(bytes) => bytes,
            None => {
                let bytes = self.fetch.range(self.range.start, self.range.end);
                let bytes = bytes.map_err(std::io::Error::other)?;
                self.bytes.insert(Cursor::new(bytes))
            }
        };
        bytes.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_read_as_one() {
        let far = GAP_MAX + 100;
        let joined = coalesce(vec![far + 200..far + 300, 0..10, 20..100, 5..8, 7..7]);
        assert_eq!(joined, [0..100, far + 200..far + 300]);
    }
}
