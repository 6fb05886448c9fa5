//! Which row groups of a file may have a trace, and where in the row group's dictionary its id is: an index in the file, of
//! which a look-up needs the file's last bytes and one small block, and no footer. `cold/TABLE.md` describes it.
//!
//! It is a hint beside the Bloom filters, made from the trace ids and checked by checksums of its own. A file without
//! one, or with one that is damaged, is read as if there were none.

mod ask;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use crc32c::crc32c;
use parquet::errors::ParquetError;
use parquet::file::reader::ChunkReader as _;
use spanlight_model::TraceId;

pub(crate) use self::ask::count_without;
use super::fetch::Fetch;
use super::pages::take_varint;

/// What a file calls what it says of its index.
pub(crate) const META_TRACES: &str = "spanlight.traces";

/// Of a hash so many bits are kept beyond those that tell the traces of a file apart: one absent trace in a thousand
/// seems to be there.
const SPARE_BITS: u32 = 10;
/// Bytes of a block, twice as many as long as there are more than so many blocks.
const BLOCK: usize = 1 << 10;
const BLOCKS_MAX: usize = 512;
/// Before a block's entries stands their number, behind them the block's checksum.
const COUNT: usize = 2;
const CHECKSUM: usize = 4;
/// Bytes of an entry, at most.
const ENTRY_MAX: usize = 15;

/// An index that is being made.
#[derive(Debug, Default)]
pub(crate) struct Gathering {
    /// Hashes of trace ids, each with its row group and how many other traces come before it there.
    entries: Vec<(u32, u32, u32)>,
    groups: u32,
}

impl Gathering {
    /// The trace ids of the next row group. One that comes again next to itself costs nothing.
    pub(crate) fn push_group<'a>(&mut self, ids: impl Iterator<Item = &'a [u8]>) {
        let group = self.groups;
        self.groups += 1;
        let (mut last, mut code) = (None, 0);
        for id in ids {
            if last != Some(id) {
                self.entries.push((crc32c(id), group, code));
                last = Some(id);
                code += 1;
            }
        }
    }

    /// The bytes of the index, which will begin at this byte of the file, and what the file's footer says of it.
    pub(crate) fn finish(mut self, start: u64) -> (Vec<u8>, String) {
        self.entries.sort_unstable();
        self.entries.dedup();
        let bits = (usize::BITS - self.entries.len().leading_zeros() + SPARE_BITS).min(32);
        let mut block = BLOCK;
        let mut blocks = self.blocks(bits, block);
        while blocks.len() > BLOCKS_MAX {
            block *= 2;
            blocks = self.blocks(bits, block);
        }
        let (mut bytes, mut firsts) = (Vec::new(), String::new());
        for (first, mut entries) in blocks {
            bytes.resize(bytes.len().next_multiple_of(block), 0);
            let sum = crc32c(&entries);
            entries.extend(sum.to_le_bytes());
            bytes.append(&mut entries);
            // Texts take whatever is written to them.
            write!(firsts, "{first:08x}").ok();
        }
        let text = format!(
            "at={start} bytes={} groups={} bits={bits} block={block} shift={} firsts={firsts}",
            bytes.len(),
            self.groups,
            self.shift()
        );
        let sum = crc32c(text.as_bytes());
        (bytes, format!("crc={sum:08x} {text}"))
    }

    /// Bits of the number of a row group.
    fn shift(&self) -> u32 {
        u32::BITS - self.groups.saturating_sub(1).leading_zeros()
    }

    /// The blocks without their checksums, each with the first hash in it.
    fn blocks(&self, bits: u32, bytes_max: usize) -> Vec<(u32, Vec<u8>)> {
        let mut blocks: Vec<(u32, Vec<u8>)> = Vec::new();
        let mut last = 0;
        for &(hash, group, code) in &self.entries {
            let hash = hash >> (32 - bits);
            let fits = |(_, block): &(u32, Vec<u8>)| {
                block.len() + ENTRY_MAX + CHECKSUM <= bytes_max && block[..COUNT] != [0xff; COUNT]
            };
            if !blocks.last().is_some_and(fits) {
                blocks.push((hash, vec![0; COUNT]));
                last = hash;
            }
            if let Some((_, block)) = blocks.last_mut() {
                let gap = u64::from(hash - last);
                push_varint(gap << self.shift() | u64::from(group), block);
                push_varint(u64::from(code), block);
                let count = u16::from_le_bytes([block[0], block[1]]) + 1;
                block[..COUNT].copy_from_slice(&count.to_le_bytes());
                last = hash;
            }
        }
        blocks
    }
}

fn push_varint(mut number: u64, bytes: &mut Vec<u8>) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// What stands for a trace in a block.
#[derive(Debug, Clone, Copy)]
enum Entry {
    /// One number: a gap times so many row groups, and a row group.
    Group(u64),
    /// A gap with so many bits for the row group, and the code of the trace.
    Code(u32),
}

impl Entry {
    /// Takes the next one off the front: gap, row group, code.
    #[inline]
    fn take(self, entries: &mut &[u8]) -> Option<(u64, usize, Option<u32>)> {
        let first = take_varint(entries)?;
        Some(match self {
            Self::Group(groups) => (first / groups, (first % groups) as usize, None),
            Self::Code(shift) => {
                let code = take_varint(entries)?;
                let group = first & ((1 << shift) - 1);
                (first >> shift, group as usize, u32::try_from(code).ok())
            }
        })
    }
}

/// What the index says of some traces.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// For each row group whether it may have any of them.
    pub(crate) groups: Vec<bool>,
    /// Row groups and codes that may be those of the traces; none where the index does not know codes.
    codes: Vec<(usize, u32)>,
}

impl Said {
    /// Whether any row group may have any of the traces.
    pub(crate) fn is_any(&self) -> bool {
        self.groups.contains(&true)
    }

    /// The codes in a row group that may be those of the traces.
    pub(crate) fn codes_in(&self, group: usize) -> Vec<i32> {
        let codes = self.codes.iter().filter(|(of, _)| *of == group);
        codes
            .filter_map(|(_, code)| i32::try_from(*code).ok())
            .collect()
    }
}

/// The index of a file, as far as it was read.
#[derive(Debug)]
pub(crate) struct TraceIndex {
    start: u64,
    bytes: u64,
    /// Row groups of the file.
    pub(crate) groups: usize,
    bits: u32,
    block: u64,
    entry: Entry,
    firsts: Vec<u32>,
    /// Entries of blocks, their checksums checked.
    blocks: Vec<OnceLock<Bytes>>,
    is_damaged: AtomicBool,
    kept: AtomicUsize,
}

impl TraceIndex {
    /// What is said of it in the last bytes of a file.
    pub(crate) fn find(end: &[u8]) -> Option<Self> {
        // Of what a file says about itself it is near the end: its name, one byte of what follows, and its length.
        let name = META_TRACES.as_bytes();
        let key = end.windows(name.len()).rposition(|part| part == name)?;
        let (kind, mut rest) = end[key + name.len()..].split_first()?;
        let length = usize::try_from(take_varint(&mut rest)?).ok()?;
        let text = (*kind == 0x18).then(|| rest.get(..length))??;
        Self::parse(std::str::from_utf8(text).ok()?)
    }

    /// What [`Gathering::finish`] says; `None` for anything else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (sum, text) = text.strip_prefix("crc=")?.split_once(' ')?;
        if u32::from_str_radix(sum, 16) != Ok(crc32c(text.as_bytes())) {
            return None;
        }
        let mut parts = text.split(' ');
        let mut part = |name: &str| parts.next()?.strip_prefix(name)?.strip_prefix('=');
        let start: u64 = part("at")?.parse().ok()?;
        let bytes: u64 = part("bytes")?.parse().ok()?;
        let groups: usize = part("groups")?.parse().ok()?;
        let bits: u32 = part("bits")?.parse().ok()?;
        let block: u64 = part("block")?.parse().ok()?;
        let mut rest = parts.next()?;
        let mut entry = Entry::Group(groups as u64);
        if let Some(shift) = rest.strip_prefix("shift=") {
            entry = Entry::Code(shift.parse().ok().filter(|shift| *shift <= 32)?);
            rest = parts.next()?;
        }
        let firsts = rest.strip_prefix("firsts=")?.as_bytes();
        let firsts = firsts.chunks(8).map(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            u32::from_str_radix(digits, 16).ok()
        });
        let firsts = firsts.collect::<Option<Vec<_>>>()?;
        let is_sound = groups > 0
            && (1..=32).contains(&bits)
            && block > 0
            && bytes.div_ceil(block) == firsts.len() as u64;
        is_sound.then(|| Self {
            start,
            bytes,
            groups,
            bits,
            block,
            entry,
            blocks: firsts.iter().map(|_| OnceLock::new()).collect(),
            kept: AtomicUsize::new(firsts.len() * (size_of::<OnceLock<Bytes>>() + 4)),
            firsts,
            is_damaged: AtomicBool::new(false),
        })
    }

    /// Whether a part of it was found to be damaged, so that it says nothing.
    pub(crate) fn is_damaged(&self) -> bool {
        self.is_damaged.load(Ordering::Relaxed)
    }

    /// Bytes that are kept of it.
    pub(crate) fn memory(&self) -> usize {
        self.kept.load(Ordering::Relaxed)
    }

    /// Where any of these traces may be, as far as that is known without reading.
    pub(crate) fn known<'a>(&self, ids: impl Iterator<Item = &'a TraceId>) -> Option<Said> {
        let mut said = Said {
            groups: vec![false; self.groups],
            codes: Vec::new(),
        };
        for id in ids {
            let hash = self.hash(id);
            for number in self.blocks_of(hash) {
                self.look(number, self.blocks[number].get()?, hash, &mut said);
            }
        }
        Some(said)
    }

    /// Where any of these traces may be. Reads what is missing, all at once.
    ///
    /// # Errors
    /// When it cannot be read, or is damaged.
    pub(crate) fn groups<'a>(
        &self,
        fetch: &Fetch,
        ids: impl Iterator<Item = &'a TraceId> + Clone,
    ) -> Result<Said, ParquetError> {
        let wanted = ids.clone().flat_map(|id| self.blocks_of(self.hash(id)));
        let mut missing: Vec<usize> = wanted
            .filter(|number| self.blocks[*number].get().is_none())
            .collect();
        missing.sort_unstable();
        missing.dedup();
        if !missing.is_empty() {
            let ranges: Vec<_> = missing.iter().map(|number| self.range(*number)).collect();
            let fetch = fetch.with(&ranges)?;
            for (number, range) in missing.into_iter().zip(ranges) {
                let length = usize::try_from(range.end - range.start)?;
                let bytes = fetch.get_bytes(range.start, length)?;
                let block = self.checked(&bytes).ok_or_else(|| self.damaged(number))?;
                self.kept.fetch_add(block.len(), Ordering::Relaxed);
                // Of two that read it at once, either is right.
                self.blocks[number].set(block).ok();
            }
        }
        let known = self.known(ids);
        known.ok_or_else(|| ParquetError::General("an index of traces is not there".to_owned()))
    }

    fn hash(&self, id: &TraceId) -> u32 {
        crc32c(&id.0) >> (32 - self.bits)
    }

    /// The blocks that may have a hash: one, unless it is the first of one.
    fn blocks_of(&self, hash: u32) -> Range<usize> {
        let first = self.firsts.partition_point(|first| *first < hash);
        let end = self.firsts.partition_point(|first| *first <= hash);
        first.saturating_sub(1)..end
    }

    fn range(&self, number: usize) -> Range<u64> {
        let start = number as u64 * self.block;
        let end = (start + self.block).min(self.bytes);
        self.start.saturating_add(start)..self.start.saturating_add(end)
    }

    fn look(&self, number: usize, mut entries: &[u8], hash: u32, said: &mut Said) {
        let wanted = u64::from(hash);
        let mut at = u64::from(self.firsts[number]);
        while let Some((gap, group, code)) = self.entry.take(&mut entries) {
            at = at.saturating_add(gap);
            if at > wanted {
                return;
            }
            if at == wanted
                && let Some(has) = said.groups.get_mut(group)
            {
                *has = true;
                said.codes.extend(code.map(|code| (group, code)));
            }
        }
    }

    /// The entries of a block whose checksum is right; a copy, so that what was read with it can go.
    fn checked(&self, block: &[u8]) -> Option<Bytes> {
        let (count, _) = block.split_first_chunk::<COUNT>()?;
        let mut rest = &block[COUNT..];
        for _ in 0..u16::from_le_bytes(*count) {
            self.entry.take(&mut rest)?;
        }
        let end = block.len() - rest.len();
        let (sum, _) = rest.split_first_chunk::<CHECKSUM>()?;
        let is_right = crc32c(&block[..end]) == u32::from_le_bytes(*sum);
        is_right.then(|| Bytes::copy_from_slice(&block[COUNT..end]))
    }

    fn damaged(&self, number: usize) -> ParquetError {
        self.is_damaged.store(true, Ordering::Relaxed);
        let at = self.range(number).start;
        ParquetError::General(format!("the index of traces is damaged at byte {at}"))
    }
}
