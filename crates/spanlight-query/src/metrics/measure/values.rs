//! The values of a cell, and the value of a rank among them.
//!
//! Of many values only those are kept that may have the rank: the first of them say about where it lies. The others are
//! counted, in buckets of a thirty-second of their size. The counts say in which bucket the rank lies in the end. Where
//! its values were not kept, as others came later than came first, or memory is short, a second pass over the spans
//! keeps the values of that bucket alone ([`Sought`]).

mod counts;

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use super::Sample;
use crate::quantile::rank_of;
use counts::{Counts, bucket_of, reached};

/// So many values of a cell are kept whatever they are, to tell where a rank lies.
const SAMPLE: usize = 4_096;

/// Values of a cell. What is measured is either a duration or a number, the same for all cells of an answer.
#[derive(Debug, Default)]
pub(crate) struct CellValues {
    /// Durations in nanoseconds, where they fit.
    short: Vec<u32>,
    /// All others, as keys of the same order: durations as they are, numbers by [`key_of_number`].
    long: Vec<u64>,
    /// Keys of spans that stand for several, and for how many.
    weighted: Vec<(u64, f64)>,
    /// Numbers differ from durations in how their keys are dealt to buckets.
    are_numbers: bool,
    /// `None` where all values are kept.
    focus: Option<Box<Focus>>,
    /// How many values are kept before fewer of them are.
    crowd: usize,
    /// How many there were when to count them took more memory than to keep them.
    scattered: usize,
}

/// Which values are kept, and how many are not.
#[derive(Debug)]
struct Focus {
    /// Buckets, ascending and apart from each other.
    kept: Box<[RangeInclusive<u32>]>,
    counts: Counts,
}

impl CellValues {
    pub(crate) fn push(&mut self, sample: Sample, weight: f64) {
        let key = match sample {
            Sample::Duration(nanos) if weight == 1.0 => return self.push_duration(nanos),
            Sample::Duration(nanos) => nanos,
            Sample::Number(number) if !number.is_nan() => {
                self.are_numbers = true;
                key_of_number(number)
            }
            _ => return,
        };
        if !self.keeps(key, weight) {
            return;
        }
        match weight == 1.0 {
            true => self.long.push(key),
            false => self.weighted.push((key, weight)),
        }
    }

    pub(crate) fn push_duration(&mut self, nanos: u64) {
        if !self.keeps(nanos, 1.0) {
            return;
        }
        match u32::try_from(nanos) {
            Ok(short) => self.short.push(short),
            Err(_) => self.long.push(nanos),
        }
    }

    /// Whether a value is to be kept; otherwise it was counted.
    fn keeps(&mut self, key: u64, weight: f64) -> bool {
        let Some(focus) = &mut self.focus else {
            return true;
        };
        let bucket = bucket_of(key, self.are_numbers);
        let is_kept = contain(&focus.kept, bucket);
        if !is_kept {
            focus.counts.add(bucket, weight);
        }
        is_kept
    }

    /// How many values are kept.
    fn count(&self) -> usize {
        self.short.len() + self.long.len() + self.weighted.len()
    }

    pub(crate) fn byte_size(&self) -> usize {
        let focus = self.focus.as_ref().map_or(0, |focus| {
            size_of::<Focus>() + size_of_val(&*focus.kept) + focus.counts.byte_size()
        });
        focus
            + self.short.capacity() * size_of::<u32>()
            + self.long.capacity() * size_of::<u64>()
            + self.weighted.capacity() * size_of::<(u64, f64)>()
    }

    /// Where many values are kept, lets go of those that hardly have one of the ranks.
    pub(crate) fn focus(&mut self, quantiles: &[f64]) {
        if self.count() <= self.crowd.max(SAMPLE) {
            return;
        }
        let counts = counts_of(std::iter::once(&*self));
        let near = quantiles.iter().filter_map(|it| counts.near(*it));
        let fewer = self.only(&joined(near.collect()));
        if fewer.byte_size() < self.byte_size() {
            *self = fewer;
        }
        self.crowd = 2 * self.count().max(SAMPLE);
    }

    /// Counts the values and lets go of them, where that takes less memory.
    pub(crate) fn condense(&mut self) {
        let count = self.count();
        if count * size_of::<u32>() < Counts::BYTES_MIN || count < 2 * self.scattered {
            return;
        }
        let none = self.only(&[]);
        if none.byte_size() < self.byte_size() {
            *self = none;
        } else {
            self.scattered = count;
        }
    }

    /// Counts the values, and lets go of them.
    pub(super) fn let_go(&mut self) {
        *self = self.only(&[]);
    }

    /// Of the values that are kept, those of these buckets, and how many the others are. Others are not kept from
    /// here on.
    fn only(&self, buckets: &[RangeInclusive<u32>]) -> Self {
        let (kept, counts) = match &self.focus {
            None => (buckets.into(), Counts::default()),
            // What was let go of before is not there to be kept.
            Some(focus) => (overlaps(&focus.kept, buckets), focus.counts.clone()),
        };
        let mut left = Self {
            are_numbers: self.are_numbers,
            focus: Some(Box::new(Focus { kept, counts })),
            crowd: self.crowd,
            ..Self::default()
        };
        for &key in &self.short {
            left.push_duration(u64::from(key));
        }
        for &key in &self.long {
            if left.keeps(key, 1.0) {
                left.long.push(key);
            }
        }
        for &(key, weight) in &self.weighted {
            if left.keeps(key, weight) {
                left.weighted.push((key, weight));
            }
        }
        left
    }

    /// Whether values are not kept.
    pub(crate) fn is_counted(&self) -> bool {
        let focus = self.focus.as_ref();
        focus.is_some_and(|focus| !focus.counts.is_empty())
    }

    /// Whether all values of this bucket are kept.
    fn knows(&self, bucket: u32) -> bool {
        let focus = self.focus.as_ref();
        focus.is_none_or(|focus| contain(&focus.kept, bucket))
    }

    /// Each with its weight.
    fn keys(&self) -> impl Iterator<Item = (u64, f64)> + '_ {
        let short = self.short.iter().map(|&key| (u64::from(key), 1.0));
        let long = self.long.iter().map(|&key| (key, 1.0));
        short.chain(long).chain(self.weighted.iter().copied())
    }
}

/// Whether one of these, which ascend, has the bucket.
fn contain(ranges: &[RangeInclusive<u32>], bucket: u32) -> bool {
    /// So many are faster looked at one by one, for each value that is measured.
    const FEW: usize = 4;
    if ranges.len() <= FEW {
        return ranges.iter().any(|range| range.contains(&bucket));
    }
    let at = ranges.partition_point(|range| *range.end() < bucket);
    ranges.get(at).is_some_and(|range| *range.start() <= bucket)
}

/// The same buckets, ascending, and those that meet as one.
fn joined(mut ranges: Vec<RangeInclusive<u32>>) -> Vec<RangeInclusive<u32>> {
    ranges.sort_unstable_by_key(|range| *range.start());
    let mut joined: Vec<RangeInclusive<u32>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if *range.start() <= last.end().saturating_add(1) => {
                *last = *last.start()..=*last.end().max(range.end());
            }
            _ => joined.push(range),
        }
    }
    joined
}

/// What is in one of these and in one of those; both ascend.
fn overlaps(
    these: &[RangeInclusive<u32>],
    those: &[RangeInclusive<u32>],
) -> Box<[RangeInclusive<u32>]> {
    let (mut one, mut two, mut both) = (0, 0, Vec::new());
    while let (Some(this), Some(that)) = (these.get(one), those.get(two)) {
        let overlap = *this.start().max(that.start())..=*this.end().min(that.end());
        if !overlap.is_empty() {
            both.push(overlap);
        }
        if this.end() < that.end() {
            one += 1;
        } else {
            two += 1;
        }
    }
    both.into()
}

/// Of all values of these parts.
fn counts_of<'a>(parts: impl Iterator<Item = &'a CellValues>) -> Counts {
    let mut all = Counts::default();
    for part in parts {
        for (bucket, count) in part.focus.iter().flat_map(|focus| focus.counts.iter()) {
            all.add(bucket, count);
        }
        for (key, weight) in part.keys() {
            all.add(bucket_of(key, part.are_numbers), weight);
        }
    }
    all
}

/// For each cell, the buckets of which values are sought, ascending.
#[derive(Debug)]
pub(crate) struct Sought(Vec<Box<[u32]>>);

impl Sought {
    pub(crate) fn new(buckets: Vec<Box<[u32]>>) -> Self {
        Self(buckets)
    }

    pub(crate) fn has(&self, cell: usize, sample: Sample) -> bool {
        let bucket = match sample {
            Sample::Duration(nanos) => bucket_of(nanos, false),
            Sample::Number(number) => bucket_of(key_of_number(number), true),
            Sample::Nothing => return false,
        };
        let buckets = self.0.get(cell);
        buckets.is_some_and(|buckets| buckets.binary_search(&bucket).is_ok())
    }
}

/// Numbers as keys that stand in the same order.
pub(super) fn key_of_number(number: f64) -> u64 {
    let bits = number.to_bits();
    if bits >> 63 == 0 {
        bits | 1 << 63
    } else {
        !bits
    }
}

pub(super) fn number_of_key(key: u64) -> f64 {
    f64::from_bits(if key >> 63 == 1 {
        key & !(1 << 63)
    } else {
        !key
    })
}

/// The buckets that the quantiles lie in, ascending.
pub(super) fn buckets_of<'a>(
    parts: impl Iterator<Item = &'a CellValues>,
    quantiles: &[f64],
) -> Box<[u32]> {
    let counts = counts_of(parts);
    let buckets = quantiles.iter().filter_map(|it| counts.find(*it));
    let buckets: BTreeSet<u32> = buckets.map(|(bucket, _)| bucket).collect();
    buckets.into_iter().collect()
}

/// Whether these parts have all values of these buckets.
pub(super) fn know<'a>(mut parts: impl Iterator<Item = &'a CellValues>, buckets: &[u32]) -> bool {
    parts.all(|part| buckets.iter().all(|&bucket| part.knows(bucket)))
}

/// The key at a quantile of values that were counted; `sought` has all of those of its bucket that the parts have not.
pub(super) fn counted_quantile<'a>(
    parts: &[&'a CellValues],
    sought: impl Iterator<Item = &'a CellValues>,
    quantile: f64,
) -> Option<u64> {
    let (bucket, wanted) = counts_of(parts.iter().copied()).find(quantile)?;
    let in_bucket = |part: &'a CellValues| {
        let is_in = move |(key, _): &(u64, f64)| bucket_of(*key, part.are_numbers) == bucket;
        part.keys().filter(is_in)
    };
    let kept = parts.iter().flat_map(|part| in_bucket(part));
    let keys = kept.chain(sought.flat_map(in_bucket));
    weighted_quantile(keys.collect(), wanted)
}

/// The key with which so many are reached.
fn weighted_quantile(mut keys: Vec<(u64, f64)>, wanted: f64) -> Option<u64> {
    keys.sort_unstable_by_key(|(key, _)| *key);
    reached(keys, wanted).map(|(key, _)| key)
}

/// The key at a quantile: the least that at least this part of all does not exceed.
pub(super) fn quantile_of(parts: &[&CellValues], quantile: f64) -> Option<u64> {
    if parts.iter().any(|part| !part.weighted.is_empty()) {
        let keys: Vec<(u64, f64)> = parts.iter().flat_map(|part| part.keys()).collect();
        let all: f64 = keys.iter().map(|(_, weight)| weight).sum();
        return weighted_quantile(keys, quantile * all);
    }
    let short: Vec<&[u32]> = parts.iter().map(|it| &it.short[..]).collect();
    let long: Vec<&[u64]> = parts.iter().map(|it| &it.long[..]).collect();
    let shorter: usize = short.iter().map(|part| part.len()).sum();
    let count = shorter + long.iter().map(|part| part.len()).sum::<usize>();
    let rank = usize::try_from(rank_of(quantile, count as u64)?).ok()?;
    if rank < shorter {
        select(&short, rank, 16, u32::BITS).map(u64::from)
    } else {
        select(&long, rank - shorter, 16, u64::BITS)
    }
}

/// The value of this rank: by counting the leading bits of all, then looking at those alone that share them.
fn select<T: Copy + Ord + Into<u64>>(
    parts: &[&[T]],
    rank: usize,
    digit: u32,
    bits: u32,
) -> Option<T> {
    const FEW: usize = 4_096;
    let all = || parts.iter().flat_map(|part| part.iter().copied());
    if parts.iter().map(|part| part.len()).sum::<usize>() <= FEW {
        return nth(all().collect(), rank);
    }
    // Leading zeros that all have in common would put everything into one bucket.
    let top = bits
        - all()
            .map(|value| value.into().leading_zeros() - (u64::BITS - bits))
            .min()?;
    let shift = top.saturating_sub(digit);
    let mut counts = vec![0_usize; 1 << digit];
    for part in parts {
        for &value in *part {
            counts[(value.into() >> shift) as usize] += 1;
        }
    }
    let mut left = rank;
    let bucket = counts.iter().position(|&count| {
        let here = left < count;
        if !here {
            left -= count;
        }
        here
    })?;
    let same = all().filter(|value| (*value).into() >> shift == bucket as u64);
    nth(same.collect(), left)
}

fn nth<T: Copy + Ord>(mut values: Vec<T>, rank: usize) -> Option<T> {
    (rank < values.len()).then(|| *values.select_nth_unstable(rank).1)
}

#[cfg(test)]
mod tests;
