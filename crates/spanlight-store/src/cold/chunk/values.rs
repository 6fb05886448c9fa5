//! Values of a leaf: as they are, or as codes of a dictionary, whatever is smaller.

use std::hash::BuildHasher as _;

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};
use parquet::basic::Encoding;
use parquet::data_type::ByteArray;
use parquet::file::statistics::Statistics;

use super::bounds::{Bounded, Bounds};
use super::encodings::{bits, push_deltas, push_hybrid};

/// Values by which it is seen early that a dictionary is not worth it.
const SAMPLE: usize = 4096;

/// A value that is written.
pub(super) trait Value: Bounded {
    /// Encodings to choose from, without a dictionary.
    const ENCODINGS: &'static [Encoding];
    /// Of a hundred values, how many may differ for a dictionary to be made.
    const DISTINCT_PERCENT_MAX: usize;
    /// What equal values have in common, and others not.
    type Identity: std::hash::Hash + Eq;

    fn identity(self) -> Self::Identity;
    fn push_plain(self, target: &mut Vec<u8>);
    /// In one of [`ENCODINGS`](Self::ENCODINGS).
    fn push_encoded(
        values: impl ExactSizeIterator<Item = Self> + Clone,
        _encoding: Encoding,
        target: &mut Vec<u8>,
    ) {
        values.for_each(|value| value.push_plain(target));
    }
    fn statistics(bounds: Bounds<Self>, nulls: u64) -> Statistics;
}

impl Value for i64 {
    const ENCODINGS: &'static [Encoding] = &[Encoding::PLAIN, Encoding::DELTA_BINARY_PACKED];
    const DISTINCT_PERCENT_MAX: usize = 25;
    type Identity = Self;

    fn identity(self) -> Self {
        self
    }

    fn push_plain(self, target: &mut Vec<u8>) {
        target.extend_from_slice(&self.to_le_bytes());
    }

    fn push_encoded(
        values: impl ExactSizeIterator<Item = Self> + Clone,
        encoding: Encoding,
        target: &mut Vec<u8>,
    ) {
        match encoding {
            Encoding::DELTA_BINARY_PACKED => push_deltas(target, values),
            _ => values.for_each(|value| value.push_plain(target)),
        }
    }

    fn statistics(bounds: Bounds<Self>, nulls: u64) -> Statistics {
        let (min, max) = bounds.pair();
        Statistics::int64(min, max, None, Some(nulls), false)
    }
}

impl Value for i32 {
    const ENCODINGS: &'static [Encoding] = &[Encoding::PLAIN];
    const DISTINCT_PERCENT_MAX: usize = 25;
    type Identity = Self;

    fn identity(self) -> Self {
        self
    }

    fn push_plain(self, target: &mut Vec<u8>) {
        target.extend_from_slice(&self.to_le_bytes());
    }

    fn statistics(bounds: Bounds<Self>, nulls: u64) -> Statistics {
        let (min, max) = bounds.pair();
        Statistics::int32(min, max, None, Some(nulls), false)
    }
}

impl Value for f64 {
    const ENCODINGS: &'static [Encoding] = &[Encoding::PLAIN];
    const DISTINCT_PERCENT_MAX: usize = 25;
    type Identity = u64;

    fn identity(self) -> u64 {
        self.to_bits()
    }

    fn push_plain(self, target: &mut Vec<u8>) {
        target.extend_from_slice(&self.to_le_bytes());
    }

    fn statistics(bounds: Bounds<Self>, nulls: u64) -> Statistics {
        let (min, max) = match bounds.pair() {
            (Some(min), Some(max)) => (
                Some(if min == 0.0 { -0.0 } else { min }),
                Some(if max == 0.0 { 0.0 } else { max }),
            ),
            none => none,
        };
        Statistics::double(min, max, None, Some(nulls), false)
    }
}

impl Value for &[u8] {
    const ENCODINGS: &'static [Encoding] = &[Encoding::DELTA_LENGTH_BYTE_ARRAY];
    const DISTINCT_PERCENT_MAX: usize = 55;
    type Identity = Self;

    fn identity(self) -> Self {
        self
    }

    fn push_plain(self, target: &mut Vec<u8>) {
        target.extend_from_slice(&(self.len() as u32).to_le_bytes());
        target.extend_from_slice(self);
    }

    fn push_encoded(
        values: impl ExactSizeIterator<Item = Self> + Clone,
        _: Encoding,
        target: &mut Vec<u8>,
    ) {
        push_deltas(target, values.clone().map(|value| value.len() as i64));
        values.for_each(|value| target.extend_from_slice(value));
    }

    fn statistics(bounds: Bounds<Self>, nulls: u64) -> Statistics {
        let (min, max) = match bounds.bytes() {
            Some((min, max)) => (Some(ByteArray::from(min)), Some(ByteArray::from(max))),
            None => (None, None),
        };
        Statistics::byte_array(min, max, None, Some(nulls), false)
    }
}

/// The values of a leaf that are there, in order.
#[derive(Debug)]
pub(super) enum Values<T> {
    Coded { codes: Vec<u32>, distinct: Vec<T> },
    Direct(Vec<T>),
}

impl<T: Value> Values<T> {
    /// Looks whether a dictionary makes them smaller.
    pub(super) fn of(values: Vec<T>) -> Self {
        let mut index: HashTable<u32> = HashTable::new();
        let hasher = DefaultHashBuilder::default();
        let mut codes = Vec::with_capacity(values.len());
        let mut distinct: Vec<T> = Vec::new();
        for (at, &value) in values.iter().enumerate() {
            let identity = value.identity();
            let last = codes.last().copied();
            if let Some(last) = last
                && distinct[last as usize].identity() == identity
            {
                codes.push(last);
                continue;
            }
            if at % SAMPLE == SAMPLE - 1 && distinct.len() * 100 > at * T::DISTINCT_PERCENT_MAX {
                return Self::Direct(values);
            }
            let found = index.entry(
                hasher.hash_one(&identity),
                |&code| distinct[code as usize].identity() == identity,
                |&code| hasher.hash_one(distinct[code as usize].identity()),
            );
            let code = match found {
                Entry::Occupied(found) => *found.get(),
                Entry::Vacant(free) => {
                    let code = distinct.len() as u32;
                    free.insert(code);
                    distinct.push(value);
                    code
                }
            };
            codes.push(code);
        }
        Self::or_direct(codes, distinct)
    }

    /// Of codes and what they stand for, each of which is used.
    pub(super) fn or_direct(codes: Vec<u32>, distinct: Vec<T>) -> Self {
        if codes.is_empty() {
            return Self::Direct(Vec::new());
        }
        if codes.len() > 64 && distinct.len() * 100 > codes.len() * T::DISTINCT_PERCENT_MAX {
            let values = codes.iter().map(|&code| distinct[code as usize]);
            return Self::Direct(values.collect());
        }
        Self::Coded { codes, distinct }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Coded { codes, .. } => codes.len(),
            Self::Direct(values) => values.len(),
        }
    }

    /// Whether there is only one, or none.
    pub(super) fn is_constant(&self) -> bool {
        match self {
            Self::Coded { distinct, .. } => distinct.len() <= 1,
            Self::Direct(values) => values.is_empty(),
        }
    }

    /// Appends the values of a page.
    pub(super) fn push_page(
        &self,
        range: std::ops::Range<usize>,
        encoding: Encoding,
        target: &mut Vec<u8>,
    ) {
        match self {
            Self::Coded { codes, .. } => {
                let codes = &codes[range];
                let greatest = codes.iter().copied().max().unwrap_or(0);
                let width = bits(u64::from(greatest)).max(1);
                target.push(width as u8);
                push_hybrid(target, codes, width);
            }
            Self::Direct(values) if !values.is_empty() => {
                T::push_encoded(values[range].iter().copied(), encoding, target);
            }
            Self::Direct(_) => {}
        }
    }

    /// The bounds of a page. `seen` has, for each code, a number that is not this page's unless it was met in it.
    pub(super) fn bounds(
        &self,
        range: std::ops::Range<usize>,
        page: u32,
        seen: &mut [u32],
    ) -> Bounds<T> {
        let mut bounds = Bounds::Nothing;
        match self {
            Self::Coded { codes, distinct } => {
                for &code in &codes[range] {
                    let seen = &mut seen[code as usize];
                    if *seen != page {
                        *seen = page;
                        bounds.include(distinct[code as usize]);
                    }
                }
            }
            Self::Direct(values) => {
                values[range]
                    .iter()
                    .for_each(|&value| bounds.include(value));
            }
        }
        bounds
    }
}
