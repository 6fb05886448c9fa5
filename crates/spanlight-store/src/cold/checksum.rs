//! Checksums of a data file. The `parquet` crate's pages have none, so a file keeps its own: one for each block of
//! bytes before its indexes, in its footer's metadata, and one for all that follows, the footer included. The footer has
//! another to itself, and so have the indexes: most readers want only one of them.
//!
//! So whatever is read is whole blocks that are what was written, or an error; a bit that turned on the disk, in
//! memory or on a network never becomes a wrong answer. Files without checksums are read as they are.

use std::ops::Range;

use crc32c::{crc32c, crc32c_append};
use parquet::errors::ParquetError;

/// What a file calls its checksums.
pub(crate) const META_CHECKSUMS: &str = "spanlight.checksums";

/// What a file calls the checksums of the two parts of its end.
pub(crate) const META_END: &str = "spanlight.end";
/// Its value before it is known.
pub(crate) const END_UNKNOWN: &str = "footer=00000000 indexes=00000000";
const FOOTER_MARK: &[u8] = b"footer=";
const INDEXES_MARK: &[u8] = b"indexes=";
/// A mark is no further behind the name of what it is in.
const MARK_WITHIN: usize = 48;

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

/// Writes the checksums of a file's end, which has the footer, into the footer.
pub(crate) fn seal(end: &mut [u8]) {
    let footer = footer_start(end).unwrap_or(0);
    let indexes = crc32c(&end[..footer]);
    put(end, META_END, INDEXES_MARK, indexes);
    let sum = crc32c(&end[footer..]);
    put(end, META_END, FOOTER_MARK, sum);
    let sum = crc32c(end);
    put(end, META_CHECKSUMS, MARK, sum);
}

fn put(end: &mut [u8], name: &str, mark: &[u8], sum: u32) {
    if let Some(place) = place_of(end, name, mark) {
        end[place].copy_from_slice(format!("{sum:08x}").as_bytes());
    }
}

/// Where the footer begins in a file's end.
fn footer_start(end: &[u8]) -> Option<usize> {
    end.len().checked_sub(footer_length(end)?)
}

/// The length of the footer, as the last bytes of a file say it, with these.
pub(crate) fn footer_length(end: &[u8]) -> Option<usize> {
    let [a, b, c, d, ..] = *end.last_chunk::<8>()?;
    (u32::from_le_bytes([a, b, c, d]) as usize).checked_add(8)
}

fn place_of_sum(end: &[u8]) -> Option<Range<usize>> {
    place_of(end, META_CHECKSUMS, MARK)
}

/// The digits behind a mark in what the file says under this name.
fn place_of(end: &[u8], name: &str, mark: &[u8]) -> Option<Range<usize>> {
    // Between key and value stand a few bytes of lengths.
    let behind = rfind(end, name.as_bytes())? + name.len();
    let near = &end[behind..];
    let near = &near[..near.len().min(MARK_WITHIN)];
    let start = behind + rfind(near, mark)? + mark.len();
    (start + UNKNOWN.len() <= end.len()).then_some(start..start + UNKNOWN.len())
}

/// The checksums of the parts of a file's end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EndSums {
    footer: u32,
    indexes: u32,
}

impl EndSums {
    /// What the last bytes of a file say.
    pub(crate) fn find(last: &[u8]) -> Option<Self> {
        let sum = |mark| {
            let digits = last.get(place_of(last, META_END, mark)?)?;
            u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
        };
        Some(Self {
            footer: sum(FOOTER_MARK)?,
            indexes: sum(INDEXES_MARK)?,
        })
    }

    /// Checks a footer, up to the end of the file.
    ///
    /// # Errors
    /// When it is not what was written.
    pub(crate) fn check_footer(&self, footer: &[u8]) -> Result<(), ParquetError> {
        let mut written = footer.to_vec();
        for (name, mark) in [(META_END, FOOTER_MARK), (META_CHECKSUMS, MARK)] {
            let place = place_of(footer, name, mark).ok_or_else(wrong_footer)?;
            written[place].copy_from_slice(UNKNOWN);
        }
        match crc32c(&written) == self.footer {
            true => Ok(()),
            false => Err(wrong_footer()),
        }
    }

    /// Checks what lies before the footer.
    ///
    /// # Errors
    /// When it is not what was written.
    pub(crate) fn check_indexes(&self, indexes: &[u8]) -> Result<(), ParquetError> {
        match crc32c(indexes) == self.indexes {
            true => Ok(()),
            false => Err(ParquetError::General(
                "the checksum of the page indexes is wrong".to_owned(),
            )),
        }
    }
}

fn wrong_footer() -> ParquetError {
    ParquetError::General("the checksum of the footer is wrong".to_owned())
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
    let place = place_of_sum(end).ok_or_else(wrong_footer)?;
    let said = std::str::from_utf8(&end[place.clone()]).ok();
    let said = said.and_then(|digits| u32::from_str_radix(digits, 16).ok());
    let sum = crc32c(&end[..place.start]);
    let sum = crc32c_append(sum, UNKNOWN);
    let sum = crc32c_append(sum, &end[place.end..]);
    if said == Some(sum) {
        Ok(())
    } else {
        Err(wrong_footer())
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

    #[test]
    fn each_part_of_the_end_is_checked() {
        let (text, _) = summed(&[7; 100]);
        let indexes = b"indexes of pages";
        let mut footer =
            format!("footer {META_CHECKSUMS}\x18\x40{text}\0{META_END}\x18\x40{END_UNKNOWN}\0")
                .into_bytes();
        footer.extend((footer.len() as u32).to_le_bytes());
        footer.extend(b"PAR1");
        let mut end = [indexes, footer.as_slice()].concat();
        seal(&mut end);
        check_end(&end).unwrap();
        let sums = EndSums::find(&end[20..]).unwrap();
        assert_eq!(footer_start(&end), Some(indexes.len()));
        for at in 0..end.len() {
            let (indexes, footer) = end.split_at(indexes.len());
            sums.check_indexes(indexes).unwrap();
            sums.check_footer(footer).unwrap();
            let mut damaged = end.clone();
            damaged[at] ^= 1;
            let (indexes, footer) = damaged.split_at(indexes.len());
            // The digits of the checksum of all say nothing about a part; its own, and its name, are where it is looked for.
            let place = place_of_sum(&end).unwrap();
            let own = EndSums::find(&damaged);
            let is_right = own.is_some_and(|own| {
                own.check_indexes(indexes).is_ok() && own.check_footer(footer).is_ok()
            });
            assert_eq!(is_right, place.contains(&at), "byte {at}");
        }
    }
}
