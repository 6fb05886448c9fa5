//! Checksums of a data file. The `parquet` crate's pages have none, so a file keeps its own: one for each block of
//! bytes before its indexes, in its footer's metadata, and one for all that follows, the footer included.
//!
//! So whatever is read is whole blocks that are what was written, or an error; a bit that turned on the disk, in
//! memory or on a network never becomes a wrong answer. Files without checksums are read as they are.

use std::ops::Range;

use crc32c::{crc32c, crc32c_append};
use parquet::errors::ParquetError;

/// What a file calls its checksums.
pub(crate) const META_CHECKSUMS: &str = "spanlight.checksums";

/// Bytes of a block.
const BLOCK: u64 = 8 << 10;
/// Before the checksum of the end, in the value of [`META_CHECKSUMS`].
const MARK: &[u8] = b"end=";
/// The checksum of the end while it is not known.
const UNKNOWN: &[u8; 8] = b"00000000";

/// Blocks that are being summed.
#[derive(Debug, Default)]
pub(crate) struct Summing {
    sums: Vec<u32>,
    open: u32,
    bytes: u64,
}

impl Summing {
    /// The next bytes of the file.
    pub(crate) fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = usize::try_from(BLOCK - self.bytes % BLOCK).unwrap_or(usize::MAX);
            let (now, rest) = bytes.split_at(room.min(bytes.len()));
            self.open = crc32c_append(self.open, now);
            self.bytes += now.len() as u64;
            if self.bytes.is_multiple_of(BLOCK) {
                self.sums.push(self.open);
                self.open = 0;
            }
            bytes = rest;
        }
    }

    /// The value of [`META_CHECKSUMS`] when everything but the end was pushed. [`seal`] completes it.
    pub(crate) fn to_metadata(&self) -> String {
        let open = (!self.bytes.is_multiple_of(BLOCK)).then_some(self.open);
        let sums = self.sums.iter().copied().chain(open);
        let sums: Vec<String> = sums.map(|sum| format!("{sum:08x}")).collect();
        format!("end=00000000 bytes={} blocks={}", self.bytes, sums.concat())
    }
}

/// Writes the checksum of a file's end, which has the footer, into the footer.
pub(crate) fn seal(end: &mut [u8]) {
    if let Some(place) = place_of_sum(end) {
        let sum = format!("{:08x}", crc32c(end));
        end[place].copy_from_slice(sum.as_bytes());
    }
}

fn place_of_sum(end: &[u8]) -> Option<Range<usize>> {
    // Between key and value stand a few bytes of lengths.
    let key = rfind(end, META_CHECKSUMS.as_bytes())?;
    let near = end.get(key + META_CHECKSUMS.len()..)?;
    let mark = near.get(..16 + MARK.len())?;
    let mark = rfind(mark, MARK)?;
    let start = key + META_CHECKSUMS.len() + mark + MARK.len();
    (start + UNKNOWN.len() <= end.len()).then_some(start..start + UNKNOWN.len())
}

fn rfind(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .rposition(|window| window == wanted)
}

/// The checksums of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Checksums {
    /// Bytes before the end.
    bytes: u64,
    sums: Vec<u32>,
}

impl Checksums {
    /// What [`Summing::to_metadata`] wrote; `None` for anything else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(' ');
        parts.next()?.strip_prefix("end=")?;
        let bytes: u64 = parts.next()?.strip_prefix("bytes=")?.parse().ok()?;
        let blocks = parts.next()?.strip_prefix("blocks=")?.as_bytes();
        let sums = blocks.chunks(8).map(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            u32::from_str_radix(digits, 16).ok()
        });
        let sums = sums.collect::<Option<Vec<_>>>()?;
        (sums.len() as u64 == bytes.div_ceil(BLOCK)).then_some(Self { bytes, sums })
    }

    /// Where the file's end begins, which has one checksum.
    pub(crate) fn end(&self) -> u64 {
        self.bytes
    }

    /// The whole blocks that a range lies in; what is behind them stays as it is.
    pub(crate) fn blocks_of(&self, range: &Range<u64>) -> Range<u64> {
        if range.start >= self.bytes {
            return range.clone();
        }
        let start = range.start / BLOCK * BLOCK;
        let end = range.end.next_multiple_of(BLOCK);
        start..end.min(self.bytes).max(range.end)
    }

    /// Checks bytes that begin where a block begins.
    ///
    /// # Errors
    /// When a block is not what was written.
    pub(crate) fn check(&self, start: u64, bytes: &[u8]) -> Result<(), ParquetError> {
        if start >= self.bytes {
            return Ok(());
        }
        let before_end = usize::try_from(self.bytes - start).unwrap_or(usize::MAX);
        let bytes = &bytes[..before_end.min(bytes.len())];
        let first = usize::try_from(start / BLOCK)?;
        for (block, bytes) in bytes.chunks(BLOCK as usize).enumerate() {
            if self.sums.get(first + block) != Some(&crc32c(bytes)) {
                let at = start + block as u64 * BLOCK;
                return Err(ParquetError::General(format!(
                    "the checksum of the block at byte {at} is wrong"
                )));
            }
        }
        Ok(())
    }
}

/// Whether the end of a file says that it has checksums, wherever its footer says so.
pub(crate) fn is_marked(end: &[u8]) -> bool {
    rfind(end, META_CHECKSUMS.as_bytes()).is_some()
}

/// Checks a file's end, from where [`Checksums::end`] says.
///
/// # Errors
/// When it is not what was written.
pub(crate) fn check_end(end: &[u8]) -> Result<(), ParquetError> {
    let wrong = || ParquetError::General("the checksum of the footer is wrong".to_owned());
    let place = place_of_sum(end).ok_or_else(wrong)?;
    let said = std::str::from_utf8(&end[place.clone()]).ok();
    let said = said.and_then(|digits| u32::from_str_radix(digits, 16).ok());
    let sum = crc32c(&end[..place.start]);
    let sum = crc32c_append(sum, UNKNOWN);
    let sum = crc32c_append(sum, &end[place.end..]);
    if said == Some(sum) {
        Ok(())
    } else {
        Err(wrong())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summed(bytes: &[u8]) -> (String, Checksums) {
        let mut summing = Summing::default();
        for part in bytes.chunks(5_000) {
            summing.push(part);
        }
        let text = summing.to_metadata();
        let sums = Checksums::parse(&text).unwrap();
        (text, sums)
    }

    #[test]
    fn each_block_is_checked() {
        for length in [0_usize, 1, 8_191, 8_192, 8_193, 40_000] {
            let mut bytes: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let (_, sums) = summed(&bytes);
            assert_eq!(sums.end(), length as u64);
            sums.check(0, &bytes).unwrap();
            for at in [0, length / 2, length.saturating_sub(1)] {
                if at < length {
                    bytes[at] ^= 4;
                    assert!(sums.check(0, &bytes).is_err());
                    bytes[at] ^= 4;
                }
            }
        }
    }

    #[test]
    fn ranges_grow_to_blocks() {
        let (_, sums) = summed(&vec![1; 20_000]);
        assert_eq!(sums.blocks_of(&(10_000..10_001)), 8_192..16_384);
        assert_eq!(sums.blocks_of(&(10_000..17_000)), 8_192..20_000);
        assert_eq!(sums.blocks_of(&(17_000..25_000)), 16_384..25_000);
        assert_eq!(sums.blocks_of(&(21_000..25_000)), 21_000..25_000);
        sums.check(16_384, &vec![1; 20_000 - 16_384 + 50]).unwrap();
    }

    #[test]
    fn the_end_is_checked() {
        let (text, _) = summed(&[7; 100]);
        let mut end = format!("index\0{META_CHECKSUMS}\x18\x40{text}\0PAR1").into_bytes();
        seal(&mut end);
        check_end(&end).unwrap();
        for at in 0..end.len() {
            end[at] ^= 1;
            assert!(check_end(&end).is_err(), "byte {at}");
            end[at] ^= 1;
        }
    }
}
