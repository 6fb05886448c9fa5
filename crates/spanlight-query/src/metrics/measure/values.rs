//! The values of a cell, and the value of a rank among them.
//!
//! Of many values only those are kept that may have the rank: the first of them say about where it lies. The others are
//! counted, in buckets of a thirty-second of their size. The counts say in which bucket the rank lies in the end. Where
//! its values were not kept, as others came later than came first, or memory is short, a second pass over the spans
//! keeps the values of that bucket alone ([`Sought`]).

use std::ops::RangeInclusive;

use super::Sample;
use crate::quantile::rank_of;

/// So many values of a cell are kept whatever they are, to tell where a rank lies.
const SAMPLE: usize = 4_096;
/// The part of all values beside a rank that is kept at least: those that come later may differ a little.
const MARGIN: f64 = 0.015;
/// How many standard deviations of what a sample says are kept.
const DEVIATIONS: f64 = 5.0;

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
    /// The buckets whose values are kept; `None` for all.
    kept: Option<Box<[RangeInclusive<u32>]>>,
    /// How many values are kept before fewer of them are.
    crowd: usize,
    /// Values that are not kept.
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
        let Some(kept) = &self.kept else {
            return true;
        };
        let bucket = bucket_of(key, self.are_numbers);
        let is_kept = kept.iter().any(|buckets| buckets.contains(&bucket));
        if !is_kept {
            self.counts.add(bucket, weight);
        }
        is_kept
    }

    pub(crate) fn byte_size(&self) -> usize {
        self.short.capacity() * size_of::<u32>()
            + self.long.capacity() * size_of::<u64>()
            + self.weighted.capacity() * size_of::<(u64, f64)>()
            + self.counts.list.capacity() * size_of::<f64>()
    }

    /// Where many values are kept, lets go of those that hardly have one of the ranks.
    pub(crate) fn focus(&mut self, quantiles: &[f64]) {
        let count = self.short.len() + self.long.len() + self.weighted.len();
        if count <= self.crowd.max(SAMPLE) {
            return;
        }
        let counts = Counts::of(std::iter::once(&*self));
        let near = quantiles
            .iter()
            .filter_map(|quantile| counts.near(*quantile));
        self.keep_only(near.collect());
        let left = self.short.len() + self.long.len() + self.weighted.len();
        self.crowd = 2 * left.max(SAMPLE);
    }

    /// Counts the values, and lets go of them.
    pub(crate) fn condense(&mut self) {
        self.keep_only(Box::default());
    }

    /// Of the values that are kept, keeps those of these buckets. Others are not kept from here on.
    fn keep_only(&mut self, buckets: Box<[RangeInclusive<u32>]>) {
        let (short, long) = (
            std::mem::take(&mut self.short),
            std::mem::take(&mut self.long),
        );
        let weighted = std::mem::take(&mut self.weighted);
        // What was let go of before is not there to be kept.
        let kept = match &self.kept {
            None => buckets,
            Some(before) => overlaps(before, &buckets),
        };
        self.kept = Some(kept);
        for key in short {
            self.push_duration(u64::from(key));
        }
        for key in long {
            if self.keeps(key, 1.0) {
                self.long.push(key);
            }
        }
        for (key, weight) in weighted {
            if self.keeps(key, weight) {
                self.weighted.push((key, weight));
            }
        }
    }

    /// Whether values are not kept.
    pub(crate) fn is_counted(&self) -> bool {
        !self.counts.list.is_empty()
    }

    /// Whether all values of this bucket are kept.
    fn knows(&self, bucket: u32) -> bool {
        let kept = self.kept.as_ref();
        kept.is_none_or(|kept| kept.iter().any(|buckets| buckets.contains(&bucket)))
    }

    /// Each with its weight.
    fn keys(&self) -> impl Iterator<Item = (u64, f64)> + '_ {
        let short = self.short.iter().map(|&key| (u64::from(key), 1.0));
        let long = self.long.iter().map(|&key| (key, 1.0));
        short.chain(long).chain(self.weighted.iter().copied())
    }
}

/// What is in one of these and in one of those.
fn overlaps(
    these: &[RangeInclusive<u32>],
    those: &[RangeInclusive<u32>],
) -> Box<[RangeInclusive<u32>]> {
    let pairs = these
        .iter()
        .flat_map(|one| those.iter().map(move |two| (one, two)));
    let both = pairs.map(|(one, two)| *one.start().max(two.start())..=*one.end().min(two.end()));
    both.filter(|both| !both.is_empty()).collect()
}

/// How many values are in each bucket, from the first on.
#[derive(Debug, Default)]
pub(super) struct Counts {
    first: u32,
    list: Vec<f64>,
}

impl Counts {
    /// Of all values of these parts.
    fn of<'a>(parts: impl Iterator<Item = &'a CellValues>) -> Self {
        let mut all = Self::default();
        for part in parts {
            for (bucket, count) in part.counts.iter() {
                all.add(bucket, count);
            }
            for (key, weight) in part.keys() {
                all.add(bucket_of(key, part.are_numbers), weight);
            }
        }
        all
    }

    fn add(&mut self, bucket: u32, count: f64) {
        if self.list.is_empty() {
            self.first = bucket;
        }
        if bucket < self.first {
            let missing = (self.first - bucket) as usize;
            self.list.splice(0..0, std::iter::repeat_n(0.0, missing));
            self.first = bucket;
        }
        let at = (bucket - self.first) as usize;
        if at >= self.list.len() {
            self.list.resize(at + 1, 0.0);
        }
        self.list[at] += count;
    }

    fn iter(&self) -> impl Iterator<Item = (u32, f64)> + '_ {
        let counts = (self.first..).zip(self.list.iter().copied());
        counts.filter(|(_, count)| *count > 0.0)
    }

    fn all(&self) -> f64 {
        self.list.iter().sum()
    }

    /// The bucket of a quantile, and how many values are left to reach it there.
    fn find(&self, quantile: f64) -> Option<(u32, f64)> {
        reached(self.iter(), quantile * self.all())
    }

    /// The buckets that a quantile of more values like these is in.
    fn near(&self, quantile: f64) -> Option<RangeInclusive<u32>> {
        let deviation = (quantile * (1.0 - quantile) / self.all()).sqrt();
        let margin = MARGIN.max(DEVIATIONS * deviation);
        let (from, _) = self.find((quantile - margin).max(0.0))?;
        let (to, _) = self.find((quantile + margin).min(1.0))?;
        // What is greater, or less, than everything so far may still come.
        let to = if quantile + margin >= 1.0 {
            u32::MAX
        } else {
            to
        };
        let from = if quantile - margin <= 0.0 { 0 } else { from };
        Some(from..=to)
    }
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
    let counts = Counts::of(parts);
    let buckets = quantiles.iter().filter_map(|it| counts.find(*it));
    buckets.map(|(bucket, _)| bucket).collect()
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
    let (bucket, wanted) = Counts::of(parts.iter().copied()).find(quantile)?;
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
        for (quantile, expected) in [(0.0, 10), (0.2, 10), (0.25, 20), (0.7, 20), (0.9, 30)] {
            let cell = || {
                let mut cell = CellValues::default();
                cell.push(Sample::Duration(10), 1.0);
                cell.push(Sample::Duration(20), 2.5);
                cell.push(Sample::Duration(30), 1.0);
                cell
            };
            let (sought, mut counted) = (cell(), cell());
            counted.condense();
            let found = counted_quantile(&[&counted], std::iter::once(&sought), quantile);
            assert_eq!(found, Some(expected), "{quantile}");
            assert_eq!(quantile_of(&[&cell()], quantile), Some(expected));
        }
    }

    /// Durations and numbers of all sizes.
    fn samples() -> [Vec<Sample>; 2] {
        let mut state = 3_u64;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 20) >> (state % 41)
        };
        let durations = (0..30_000).map(|_| Sample::Duration(next())).collect();
        let numbers = (0..30_000).map(|_| Sample::Number(next() as f64 - 9e5));
        [durations, numbers.collect()]
    }

    fn kept(samples: &[Sample]) -> CellValues {
        let mut kept = CellValues::default();
        samples.iter().for_each(|&sample| kept.push(sample, 1.0));
        kept
    }

    #[test]
    fn values_that_were_counted_are_found_again() {
        for samples in samples() {
            let (one, two) = samples.split_at(11_234);
            let (exact, single) = (kept(one), kept(two));
            let mut counted = kept(one);
            counted.condense();
            assert!(counted.is_counted() && counted.keys().count() == 0);
            for quantile in [0.0, 0.001, 0.5, 0.9, 0.99, 1.0] {
                let parts = [&counted, &single];
                let buckets = buckets_of(parts.into_iter(), &[quantile]);
                assert!(!know(parts.into_iter(), &buckets));
                let sought = Sought::new(vec![buckets]);
                let found = one.iter().filter(|sample| sought.has(0, **sample));
                let found = kept(&found.copied().collect::<Vec<_>>());
                let count = found.keys().count();
                assert!(count < one.len() / 2, "{count} of {}", one.len());
                assert_eq!(
                    counted_quantile(&parts, std::iter::once(&found), quantile),
                    quantile_of(&[&exact, &single], quantile),
                    "{quantile}"
                );
            }
        }
    }

    #[test]
    fn of_many_values_those_near_the_ranks_are_kept() {
        for samples in samples() {
            for quantiles in [&[0.9][..], &[0.0], &[1.0], &[0.5, 0.9, 0.99]] {
                let (one, two) = samples.split_at(17_234);
                let focused = |samples: &[Sample]| {
                    let mut cell = CellValues::default();
                    for samples in samples.chunks(3_000) {
                        samples.iter().for_each(|&sample| cell.push(sample, 1.0));
                        cell.focus(quantiles);
                    }
                    cell
                };
                let (one, two, all) = (focused(one), focused(two), kept(&samples));
                let count = one.keys().count() + two.keys().count();
                assert!(count < 15_000, "{count} of {}", samples.len());
                let buckets = buckets_of([&one, &two].into_iter(), quantiles);
                assert!(know([&one, &two].into_iter(), &buckets));
                for &quantile in quantiles {
                    assert_eq!(
                        counted_quantile(&[&one, &two], std::iter::empty(), quantile),
                        quantile_of(&[&all], quantile),
                        "{quantile}"
                    );
                }
            }
        }
    }

    #[test]
    fn values_that_come_to_be_others_are_not_taken_for_known() {
        let mut cell = CellValues::default();
        for nanos in (0..100_000_u64).map(|nanos| nanos * nanos) {
            cell.push_duration(nanos);
            cell.focus(&[0.5]);
        }
        let buckets = buckets_of(std::iter::once(&cell), &[0.5]);
        assert!(!know(std::iter::once(&cell), &buckets));
    }
}
