//! A local copy of what was read of remote files: blocks of bytes, in files of their own below `DATA_DIR/cache`, up to
//! a limit. Data files never change, so a block is right as long as its checksum is; one that is not is fetched again.
//!
//! Which blocks stay: those that were asked for more than once, and the ends of files, where footers, page indexes and
//! Bloom filters are, outlive those that one long scan has passed through.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::disk::Disk;
use crate::statistics::CacheStatistics;

/// Missing blocks that are so close together are fetched by one request, with what lies between them.
const GAP_BYTES: u64 = 256 << 10;
/// Bytes of one request, at most.
const RUN_BYTES: u64 = 4 << 20;
/// Bytes at the end of a file that are kept as if they had been asked for again.
const TAIL_BYTES: u64 = 256 << 10;
const CHECKSUM_BYTES: u64 = 4;

/// Blocks of files, on the local disk.
#[derive(Debug)]
pub(crate) struct BlockCache {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    state: Mutex<State>,
}

type Key = (Arc<str>, u64);

#[derive(Debug, Default)]
struct State {
    entries: HashMap<Key, Entry>,
    /// By time of the last use: seen once, and seen again.
    once: BTreeMap<u64, Key>,
    again: BTreeMap<u64, Key>,
    again_bytes: u64,
    uses: u64,
    counters: CacheStatistics,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    bytes: u64,
    used: u64,
    is_again: bool,
}

impl BlockCache {
    pub(crate) const BLOCK_BYTES: u64 = 64 << 10;

    /// Opens the cache in this directory, with what an earlier process left there.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        directory: PathBuf,
        bytes_max: u64,
    ) -> io::Result<Self> {
        disk.create_dir_all(&directory)?;
        let mut state = State::default();
        state.counters.bytes_max = bytes_max;
        for found in disk.list(&directory)? {
            match key_of(&found.name) {
                Some(key) if found.stat.length > CHECKSUM_BYTES => {
                    state.insert(key, found.stat.length, false);
                }
                _ => {
                    disk.remove(&directory.join(&found.name)).ok();
                }
            }
        }
        let cache = Self {
            disk,
            directory,
            state: Mutex::new(state),
        };
        cache.evict();
        Ok(cache)
    }

    pub(crate) fn statistics(&self) -> CacheStatistics {
        self.state().counters
    }

    /// The blocks that these ranges of a file need, as far as they are here.
    pub(crate) fn blocks(&self, file: &str, ranges: &[Range<u64>]) -> Blocks {
        let mut blocks = Blocks::default();
        for range in ranges.iter().filter(|range| !range.is_empty()) {
            let last = (range.end - 1) / Self::BLOCK_BYTES;
            for number in range.start / Self::BLOCK_BYTES..=last {
                blocks.found.entry(number).or_default();
            }
        }
        for (number, bytes) in &mut blocks.found {
            *bytes = self.get(file, *number);
        }
        blocks
    }

    fn get(&self, file: &str, number: u64) -> Option<Bytes> {
        let key = (Arc::from(file), number);
        let bytes = {
            let mut state = self.state();
            let found = state.touch(&key);
            match found {
                Some(_) => state.counters.hits += 1,
                None => state.counters.misses += 1,
            }
            found?
        };
        let path = self.directory.join(name_of(&key)?);
        let whole = 0..bytes;
        let read = self.disk.read_ranges(&path, std::slice::from_ref(&whole));
        let checked = read.ok().and_then(|mut parts| checked(parts.pop()?));
        if checked.is_none() {
            // Torn by a crash, or removed by hand.
            self.state().remove(&key);
            self.disk.remove(&path).ok();
        }
        checked
    }

    /// Keeps bytes of a file of this size, which begin at the start of a block.
    pub(crate) fn insert_run(&self, file: &str, start: u64, bytes: &Bytes, file_bytes: u64) {
        let file: Arc<str> = Arc::from(file);
        let block = usize::try_from(Self::BLOCK_BYTES).unwrap_or(usize::MAX);
        for (number, from) in (start / Self::BLOCK_BYTES..).zip((0..bytes.len()).step_by(block)) {
            let part = bytes.slice(from..bytes.len().min(from + block));
            let end = number * Self::BLOCK_BYTES + part.len() as u64;
            // A block that was cut short by the request, not by the end of the file, is not one.
            if part.len() == block || end == file_bytes {
                let is_tail = end + TAIL_BYTES > file_bytes;
                self.insert((Arc::clone(&file), number), &part, is_tail);
            }
        }
        self.evict();
    }

    /// A cache that cannot be written is only a slow one.
    fn insert(&self, key: Key, bytes: &Bytes, is_tail: bool) {
        let Some(name) = name_of(&key) else {
            return;
        };
        if self.state().entries.contains_key(&key) {
            return;
        }
        let path = self.directory.join(name);
        let checksum = crc32c::crc32c(bytes).to_le_bytes();
        let written = self.disk.create_new(&path).and_then(|mut file| {
            file.write_all(bytes)?;
            file.write_all(&checksum)
        });
        match written {
            Ok(()) => {
                let length = bytes.len() as u64 + CHECKSUM_BYTES;
                self.state().insert(key, length, is_tail);
            }
            // Another reader was quicker.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(_) => {
                self.disk.remove(&path).ok();
            }
        }
    }

    /// Forgets a file that is gone.
    pub(crate) fn forget(&self, file: &str) {
        let keys: Vec<Key> = {
            let state = self.state();
            let keys = state.entries.keys();
            keys.filter(|(name, _)| &**name == file).cloned().collect()
        };
        for key in keys {
            self.state().remove(&key);
            self.remove_file(&key);
        }
    }

    fn evict(&self) {
        let gone: Vec<Key> = {
            let mut state = self.state();
            std::iter::from_fn(|| state.evict_one()).collect()
        };
        for key in gone {
            self.remove_file(&key);
        }
    }

    fn remove_file(&self, key: &Key) {
        if let Some(name) = name_of(key) {
            self.disk.remove(&self.directory.join(name)).ok();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn insert(&mut self, key: Key, bytes: u64, is_again: bool) {
        self.remove(&key);
        self.uses += 1;
        let used = self.uses;
        let list = if is_again {
            &mut self.again
        } else {
            &mut self.once
        };
        list.insert(used, key.clone());
        self.again_bytes += if is_again { bytes } else { 0 };
        self.counters.bytes += bytes;
        let entry = Entry {
            bytes,
            used,
            is_again,
        };
        self.entries.insert(key, entry);
    }

    fn remove(&mut self, key: &Key) -> Option<Entry> {
        let entry = self.entries.remove(key)?;
        if entry.is_again {
            self.again.remove(&entry.used);
            self.again_bytes -= entry.bytes;
        } else {
            self.once.remove(&entry.used);
        }
        self.counters.bytes -= entry.bytes;
        Some(entry)
    }

    /// Notes a use; returns the block's bytes.
    fn touch(&mut self, key: &Key) -> Option<u64> {
        let entry = self.remove(key)?;
        self.insert(key.clone(), entry.bytes, true);
        // What was asked for twice, long ago, must make room too.
        while self.again_bytes > self.counters.bytes_max / 5 * 4 {
            let (_, oldest) = self.again.pop_first()?;
            let bytes = self.entries.get(&oldest).map_or(0, |entry| entry.bytes);
            self.again_bytes -= bytes;
            self.uses += 1;
            self.once.insert(self.uses, oldest.clone());
            if let Some(entry) = self.entries.get_mut(&oldest) {
                entry.used = self.uses;
                entry.is_again = false;
            }
        }
        Some(entry.bytes)
    }

    fn evict_one(&mut self) -> Option<Key> {
        if self.counters.bytes <= self.counters.bytes_max {
            return None;
        }
        let oldest = self.once.first_key_value();
        let oldest = oldest.or_else(|| self.again.first_key_value());
        let key = oldest.map(|(_, key)| key.clone())?;
        self.remove(&key);
        self.counters.evictions += 1;
        Some(key)
    }
}

/// The name of a block's file; `None` for files whose names do not fit into one.
fn name_of((file, number): &Key) -> Option<String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let fits = file.len() <= 200 && !file.starts_with('.') && file.bytes().all(is_plain);
    fits.then(|| format!("{file}@{number}"))
}

fn key_of(name: &str) -> Option<Key> {
    let (file, number) = name.rsplit_once('@')?;
    Some((Arc::from(file), number.parse().ok()?))
}

/// The bytes before a checksum that is right.
fn checked(mut bytes: Vec<u8>) -> Option<Bytes> {
    let length = bytes.len().checked_sub(CHECKSUM_BYTES as usize)?;
    let checksum = bytes.split_off(length);
    (checksum == crc32c::crc32c(&bytes).to_le_bytes()).then(|| bytes.into())
}

/// The blocks that a reader needs.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    found: BTreeMap<u64, Option<Bytes>>,
}

impl Blocks {
    /// The ranges to fetch: few requests, none of them large.
    pub(crate) fn missing(&self) -> Vec<Range<u64>> {
        let mut runs: Vec<Range<u64>> = Vec::new();
        let missing = self.found.iter().filter(|(_, bytes)| bytes.is_none());
        for (number, _) in missing {
            let start = number * BlockCache::BLOCK_BYTES;
            let end = start + BlockCache::BLOCK_BYTES;
            match runs.last_mut() {
                Some(run) if start - run.end <= GAP_BYTES && end - run.start <= RUN_BYTES => {
                    run.end = end;
                }
                _ => runs.push(start..end),
            }
        }
        runs
    }

    /// Adds what was fetched, which begins at the start of a block.
    pub(crate) fn fill(&mut self, start: u64, bytes: &Bytes) {
        let first = start / BlockCache::BLOCK_BYTES;
        for (number, found) in self.found.range_mut(first..) {
            let from = (number - first) * BlockCache::BLOCK_BYTES;
            let from = usize::try_from(from).unwrap_or(usize::MAX);
            if from >= bytes.len() {
                break;
            }
            let end = bytes.len().min(from + BlockCache::BLOCK_BYTES as usize);
            if found.is_none() {
                *found = Some(bytes.slice(from..end));
            }
        }
    }

    /// The bytes of a range.
    pub(crate) fn read(&self, range: &Range<u64>) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut position = range.start;
        while position < range.end {
            let number = position / BlockCache::BLOCK_BYTES;
            let block = self.found.get(&number).and_then(Option::as_ref);
            let offset = usize::try_from(position % BlockCache::BLOCK_BYTES);
            let offset = offset.map_err(io::Error::other)?;
            let wanted = usize::try_from(range.end - position).unwrap_or(usize::MAX);
            let part = block.and_then(|block| block.get(offset..));
            let part = part.filter(|part| !part.is_empty());
            let part = part.ok_or(io::ErrorKind::UnexpectedEof)?;
            let part = part.get(..wanted).unwrap_or(part);
            bytes.extend_from_slice(part);
            position += part.len() as u64;
        }
        Ok(bytes)
    }
}
