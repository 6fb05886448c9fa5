//! The values of a cell, and the value of a rank among them.
//!
//! Values that take too much memory are counted instead, in buckets of a thirty-second of their size. The counts say in
//! which bucket a rank lies; a second pass over the spans keeps the values of that bucket alone ([`Sought`]).

use std::collections::BTreeMap;

use super::Sample;
use crate::quantile::rank_of;

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
    /// Values that are not kept: how many are in each bucket, from this one on.
    first_bucket: u32,
    counts: Vec<f64>,
}

impl CellValues {
    pub(crate) fn push(&mut self, sample: Sample, weight: f64) {
        let is_number = matches!(sample, Sample::Number(_));
        let key = match sample {
            Sample::Duration(nanos) if weight == 1.0 => return self.push_duration(nanos),
            Sample::Duration(nanos) => nanos,
            Sample::Number(number) if !number.is_nan() => key_of_number(number),
            _ => return,
        };
        self.are_numbers |= is_number;
        match weight == 1.0 {
            true => self.long.push(key),
            false => self.weighted.push((key, weight)),
        }
    }

    pub(crate) fn push_duration(&mut self, nanos: u64) {
        match u32::try_from(nanos) {
            Ok(short) => self.short.push(short),
            Err(_) => self.long.push(nanos),
        }
    }

    pub(crate) fn byte_size(&self) -> usize {
        self.short.capacity() * size_of::<u32>()
            + (self.long.capacity() + self.counts.capacity()) * size_of::<u64>()
            + self.weighted.capacity() * size_of::<(u64, f64)>()
    }

    /// Counts the values, and lets go of them.
    pub(crate) fn condense(&mut self) {
        let (short, long) = (
            std::mem::take(&mut self.short),
            std::mem::take(&mut self.long),
        );
        let weighted = std::mem::take(&mut self.weighted);
        for (key, weight) in keys(&short, &long, &weighted) {
            let bucket = bucket_of(key, self.are_numbers);
            self.count(bucket, weight);
        }
    }

    /// Whether values are not kept.
    pub(crate) fn is_counted(&self) -> bool {
        !self.counts.is_empty()
    }

    fn count(&mut self, bucket: u32, weight: f64) {
        if self.counts.is_empty() {
            self.first_bucket = bucket;
        }
        if bucket < self.first_bucket {
            let missing = (self.first_bucket - bucket) as usize;
            self.counts.splice(0..0, std::iter::repeat_n(0.0, missing));
            self.first_bucket = bucket;
        }
        let at = (bucket - self.first_bucket) as usize;
        if at >= self.counts.len() {
            self.counts.resize(at + 1, 0.0);
        }
        self.counts[at] += weight;
    }

    /// How many values are in which buckets.
    fn buckets(&self) -> impl Iterator<Item = (u32, f64)> + '_ {
        let counted = (self.first_bucket..).zip(self.counts.iter().copied());
        let bucket = |(key, weight)| (bucket_of(key, self.are_numbers), weight);
        let kept = self.keys().map(bucket);
        counted.filter(|(_, count)| *count > 0.0).chain(kept)
    }

    /// Each with its weight.
    fn keys(&self) -> impl Iterator<Item = (u64, f64)> + '_ {
        keys(&self.short, &self.long, &self.weighted)
    }
}

fn keys<'a>(
    short: &'a [u32],
    long: &'a [u64],
    weighted: &'a [(u64, f64)],
) -> impl Iterator<Item = (u64, f64)> + 'a {
    let short = short.iter().map(|&key| (u64::from(key), 1.0));
    let long = long.iter().map(|&key| (key, 1.0));
    short.chain(long).chain(weighted.iter().copied())
}

/// For each cell, the buckets of which values are sought.
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
        buckets.is_some_and(|buckets| buckets.contains(&bucket))
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

/// Greater keys are in the same bucket or in greater ones.
fn bucket_of(key: u64, is_number: bool) -> u32 {
    /// Leading bits of a duration, behind the first, that tell buckets apart.
    const BITS: u32 = 5;
    if is_number {
        // Sign, exponent and four bits more.
        return (key >> 48) as u32;
    }
    match key.checked_ilog2() {
        Some(log) if log >= BITS => {
            let shift = log - BITS;
            (shift << BITS) + (key >> shift) as u32
        }
        _ => key as u32,
    }
}

/// How many values are in which buckets, in order, and how many there are.
fn counts_of<'a>(parts: impl Iterator<Item = &'a CellValues>) -> (BTreeMap<u32, f64>, f64) {
    let (mut counts, mut all) = (BTreeMap::new(), 0.0);
    for (bucket, count) in parts.flat_map(CellValues::buckets) {
        *counts.entry(bucket).or_default() += count;
        all += count;
    }
    (counts, all)
}

/// Of pairs in order, the first with which so many are reached, and how many are left to reach before it.
fn reached<T>(pairs: impl IntoIterator<Item = (T, f64)>, wanted: f64) -> Option<(T, f64)> {
    let (mut before, mut last) = (0.0, None);
    for (item, count) in pairs {
        let found = (item, wanted - before);
        before += count;
        if before >= wanted {
            return Some(found);
        }
        // Sums of fractions may fall short of the whole.
        last = Some(found);
    }
    last
}

/// The buckets that the quantiles lie in.
pub(super) fn buckets_of<'a>(
    parts: impl Iterator<Item = &'a CellValues>,
    quantiles: &[f64],
) -> Box<[u32]> {
    let (counts, all) = counts_of(parts);
    let counts = || counts.iter().map(|(bucket, count)| (*bucket, *count));
    let buckets = quantiles
        .iter()
        .filter_map(|quantile| reached(counts(), quantile * all));
    buckets.map(|(bucket, _)| bucket).collect()
}

/// The key at a quantile of values that were counted; `known` has all of those that are in its bucket.
pub(super) fn sought_quantile<'a>(
    counted: impl Iterator<Item = &'a CellValues>,
    known: impl Iterator<Item = &'a CellValues>,
    quantile: f64,
) -> Option<u64> {
    let (counts, all) = counts_of(counted);
    let (bucket, wanted) = reached(counts, quantile * all)?;
    let in_bucket = known.flat_map(|part| {
        let are_numbers = part.are_numbers;
        part.keys()
            .filter(move |(key, _)| bucket_of(*key, are_numbers) == bucket)
    });
    weighted_quantile(in_bucket.collect(), wanted)
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
mod tests {
    use super::*;

    #[test]
    fn keys_stand_in_the_order_of_their_numbers() {
        let numbers = [
            f64::NEG_INFINITY,
            -2.5,
            -0.0,
            0.0,
            1e-300,
            7.0,
            f64::INFINITY,
        ];
        let keys: Vec<u64> = numbers
            .iter()
            .map(|&number| key_of_number(number))
            .collect();
        assert!(keys.is_sorted());
        for (key, number) in keys.into_iter().zip(numbers) {
            assert_eq!(number_of_key(key).to_bits(), number.to_bits());
        }
    }

    #[test]
    fn the_value_of_a_rank_is_that_of_the_sorted_list() {
        let mut state = 7_u64;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            state >> 20
        };
        let values: Vec<u64> = (0..9_000).map(|_| next() >> (next() % 40)).collect();
        let mut sorted = values.clone();
        sorted.sort_unstable();
        let (one, two) = values.split_at(1_234);
        for rank in [0, 1, 17, 4_500, 8_998, 8_999] {
            assert_eq!(select(&[one, two], rank, 16, u64::BITS), Some(sorted[rank]));
        }
        assert_eq!(select(&[one, two], 9_000, 16, u64::BITS), None);
        let cell = |values: &[u64]| {
            let mut cell = CellValues::default();
            values
                .iter()
                .for_each(|&nanos| cell.push_duration(nanos << 12));
            cell
        };
        let cells = [&cell(one), &cell(two)];
        assert_eq!(quantile_of(&cells, 0.9), Some(sorted[8_099] << 12));
    }

    #[test]
    fn a_value_that_stands_for_several_counts_as_often() {
        let mut cell = CellValues::default();
        cell.push(Sample::Duration(10), 1.0);
        cell.push(Sample::Duration(20), 2.5);
        cell.push(Sample::Duration(30), 1.0);
        for condensed in [false, true] {
            for (quantile, expected) in [(0.0, 10), (0.2, 10), (0.25, 20), (0.7, 20), (0.9, 30)] {
                let mut counted = CellValues::default();
                counted.push(Sample::Duration(10), 1.0);
                counted.push(Sample::Duration(20), 2.5);
                counted.push(Sample::Duration(30), 1.0);
                let found = match condensed {
                    false => quantile_of(&[&counted], quantile),
                    true => {
                        counted.condense();
                        let parts = [&counted].into_iter();
                        sought_quantile(parts, [&cell].into_iter(), quantile)
                    }
                };
                assert_eq!(found, Some(expected), "{quantile}");
            }
        }
    }

    #[test]
    fn values_that_were_counted_are_found_again() {
        let mut state = 3_u64;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 20) >> (state % 41)
        };
        let durations: Vec<Sample> = (0..9_000).map(|_| Sample::Duration(next())).collect();
        let numbers = (0..9_000).map(|_| Sample::Number(next() as f64 - 9e5));
        for samples in [durations, numbers.collect()] {
            let keep = |samples: &[Sample]| {
                let mut kept = CellValues::default();
                samples.iter().for_each(|&sample| kept.push(sample, 1.0));
                kept
            };
            let (one, two) = samples.split_at(1_234);
            let (exact, single) = (keep(one), keep(two));
            let mut counted = keep(one);
            counted.condense();
            assert!(counted.is_counted() && counted.short.is_empty() && counted.long.is_empty());
            for quantile in [0.0, 0.001, 0.5, 0.9, 0.99, 1.0] {
                let parts = [&counted, &single];
                let buckets = buckets_of(parts.into_iter(), &[quantile]);
                let sought = Sought::new(vec![buckets]);
                let mut found = CellValues::default();
                for &sample in one.iter().filter(|sample| sought.has(0, **sample)) {
                    found.push(sample, 1.0);
                }
                let kept = found.short.len() + found.long.len();
                assert!(kept < 2_000, "{kept} of {}", one.len());
                let known = [&found, &single];
                assert_eq!(
                    sought_quantile(parts.into_iter(), known.into_iter(), quantile),
                    quantile_of(&[&exact, &single], quantile),
                    "{quantile}"
                );
            }
        }
    }
}
