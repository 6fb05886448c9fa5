//! Strings of one batch, each kept once. Owns the lookup from bytes to a dictionary index; the Arrow dictionary
//! is made from it when the batch is finished.

use std::borrow::Cow;
use std::hash::BuildHasher;

use arrow_array::StringArray;
use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use hashbrown::{DefaultHashBuilder, HashTable};

/// Longer strings are stored without a lookup: they seldom repeat, and hashing them costs more than it saves.
const INTERN_BYTES_MAX: usize = 256;

/// An append-only set of strings, addressed by the order of first appearance.
#[derive(Debug)]
pub(crate) struct StringPool {
    bytes: Vec<u8>,
    offsets: Vec<i32>,
    index: HashTable<u32>,
    // Random per pool: a client cannot choose strings that collide.
    hasher: DefaultHashBuilder,
}

impl StringPool {
    pub(crate) fn new() -> Self {
        Self {
            bytes: Vec::new(),
            offsets: vec![0],
            index: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
        }
    }

    /// Makes room for `factor` times as many strings as there are.
    pub(crate) fn expect(&mut self, factor: usize) {
        self.bytes.reserve_exact(more(self.bytes.len(), factor));
        let strings = more(self.len(), factor);
        self.offsets.reserve_exact(strings);
        let (bytes, offsets, hasher) = (&self.bytes, &self.offsets, &self.hasher);
        self.index
            .reserve(strings, |&at| hasher.hash_one(slice(bytes, offsets, at)));
    }

    /// How many strings there are.
    pub(crate) fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Bytes that the strings and their offsets take.
    pub(crate) fn byte_size(&self) -> usize {
        self.bytes.len() + self.offsets.len() * size_of::<i32>()
    }

    fn get(&self, at: u32) -> &[u8] {
        slice(&self.bytes, &self.offsets, at)
    }

    /// The string at `at`.
    pub(crate) fn text(&self, at: u32) -> Cow<'_, str> {
        String::from_utf8_lossy(self.get(at))
    }

    /// Whether the string at `at` is `text`.
    pub(crate) fn is(&self, at: u32, text: &str) -> bool {
        self.get(at) == text.as_bytes()
    }

    /// The index of `text`, added if it is new.
    pub(crate) fn intern(&mut self, text: &str) -> u32 {
        if text.len() > INTERN_BYTES_MAX {
            return self.push(text);
        }
        let hash = self.hasher.hash_one(text.as_bytes());
        let (bytes, offsets) = (&self.bytes, &self.offsets);
        if let Some(at) = self
            .index
            .find(hash, |&at| slice(bytes, offsets, at) == text.as_bytes())
        {
            return *at;
        }
        let at = self.push(text);
        let (bytes, offsets, hasher) = (&self.bytes, &self.offsets, &self.hasher);
        self.index
            .insert_unique(hash, at, |&at| hasher.hash_one(slice(bytes, offsets, at)));
        at
    }

    fn push(&mut self, text: &str) -> u32 {
        let at = self.len() as u32;
        self.bytes.extend_from_slice(text.as_bytes());
        // Requests are bounded far below 2 GiB (`limits.request_bytes`), which keeps the offset in range;
        // saturation would only make the array invalid, which `finish` reports.
        self.offsets
            .push(i32::try_from(self.bytes.len()).unwrap_or(i32::MAX));
        at
    }

    /// The strings as an Arrow array, in index order.
    pub(crate) fn finish(self) -> Result<StringArray, arrow_schema::ArrowError> {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.offsets));
        StringArray::try_new(offsets, Buffer::from_vec(self.bytes), None)
    }
}

/// How many are missing where there will be `factor` times as many.
pub(crate) fn more(count: usize, factor: usize) -> usize {
    count.saturating_mul(factor.saturating_sub(1))
}

fn slice<'a>(bytes: &'a [u8], offsets: &[i32], at: u32) -> &'a [u8] {
    let at = at as usize;
    &bytes[offsets[at] as usize..offsets[at + 1] as usize]
}
