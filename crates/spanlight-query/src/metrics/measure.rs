//! What is measured of the spans of each cell, and how it becomes a number.
//!
//! Quantiles are exact: a cell keeps every value, four bytes for durations below four seconds, and the rank is found
//! by counting leading bits, not by sorting.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use spanlight_traceql::ast::{Intrinsic, OverTimeFunction};

use super::groups::NO_CELL;
use super::plan::Measure;
use crate::parallel;
use crate::predicate::{Accessor, Bound, Scalar};

/// The measure of each cell of a worker; cells are numbered by its groups.
#[derive(Debug)]
pub(crate) enum Cells {
    Counts(Vec<u64>),
    Totals(Vec<Total>),
    Values(Vec<CellValues>),
}

/// Of numbers: how many, their sum, the least and the greatest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Total {
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
}

impl Default for Total {
    fn default() -> Self {
        Self {
            count: 0,
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
        }
    }
}

/// Every value of a cell. What is measured is either a duration or a number, the same for all cells of an answer.
#[derive(Debug, Default)]
pub(crate) struct CellValues {
    /// Durations in nanoseconds, where they fit.
    short: Vec<u32>,
    /// All others, as keys of the same order: durations as they are, numbers by [`key_of_number`].
    long: Vec<u64>,
}

/// What is measured of a span.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Sample {
    Nothing,
    Duration(u64),
    Number(f64),
}

impl Cells {
    pub(crate) fn new(measure: &Measure) -> Self {
        match measure {
            Measure::Count | Measure::Rate => Self::Counts(Vec::new()),
            Measure::OverTime { .. } => Self::Totals(Vec::new()),
            Measure::Quantiles { .. } => Self::Values(Vec::new()),
        }
    }

    pub(crate) fn grow(&mut self, cells: usize) {
        match self {
            Self::Counts(counts) => counts.resize(cells, 0),
            Self::Totals(totals) => totals.resize(cells, Total::default()),
            Self::Values(values) => values.resize_with(cells, CellValues::default),
        }
    }

    /// Adds rows of a batch to their cells.
    pub(crate) fn add(
        &mut self,
        measure: &Measure,
        bound: &Bound<'_>,
        rows: &[u32],
        cells: &[u32],
    ) {
        let in_cells = rows.iter().zip(cells).filter(|(_, cell)| **cell != NO_CELL);
        let in_cells = in_cells.map(|(&row, &cell)| (row as usize, cell as usize));
        match (self, measure.slot()) {
            (Self::Counts(counts), _) => in_cells.for_each(|(_, cell)| counts[cell] += 1),
            (Self::Values(values), Some(slot)) if is_duration(bound, slot) => {
                let starts = bound.columns.start_times.values();
                let ends = bound.columns.end_times.values();
                for (row, cell) in in_cells {
                    values[cell].push_duration(ends[row].saturating_sub(starts[row]).max(0) as u64);
                }
            }
            (cells, slot) => {
                for (row, cell) in in_cells {
                    cells.add_sample(cell, sample(bound, slot, row));
                }
            }
        }
    }

    pub(crate) fn add_sample(&mut self, cell: usize, sample: Sample) {
        let number = match sample {
            Sample::Duration(nanos) => nanos as f64,
            Sample::Number(number) => number,
            Sample::Nothing => f64::NAN,
        };
        match self {
            Self::Counts(counts) => counts[cell] += 1,
            Self::Totals(_) | Self::Values(_) if number.is_nan() => {}
            Self::Totals(totals) => totals[cell].add(number),
            Self::Values(values) => values[cell].push(sample),
        }
    }

    pub(crate) fn byte_size(&self) -> usize {
        match self {
            Self::Counts(counts) => counts.capacity() * size_of::<u64>(),
            Self::Totals(totals) => totals.capacity() * size_of::<Total>(),
            Self::Values(values) => {
                let cells = values.iter().map(CellValues::byte_size).sum::<usize>();
                cells + values.capacity() * size_of::<CellValues>()
            }
        }
    }
}

impl Total {
    fn add(&mut self, number: f64) {
        self.count += 1;
        self.sum += number;
        self.min = self.min.min(number);
        self.max = self.max.max(number);
    }

    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }
}

impl CellValues {
    fn push(&mut self, sample: Sample) {
        match sample {
            Sample::Duration(nanos) => self.push_duration(nanos),
            Sample::Number(number) if !number.is_nan() => self.long.push(key_of_number(number)),
            _ => {}
        }
    }

    fn push_duration(&mut self, nanos: u64) {
        match u32::try_from(nanos) {
            Ok(short) => self.short.push(short),
            Err(_) => self.long.push(nanos),
        }
    }

    fn byte_size(&self) -> usize {
        self.short.capacity() * size_of::<u32>() + self.long.capacity() * size_of::<u64>()
    }
}

fn is_duration(bound: &Bound<'_>, slot: usize) -> bool {
    matches!(
        bound.accessor(slot),
        Accessor::Intrinsic(Intrinsic::Duration)
    )
}

/// What is measured of a span; values that are no numbers are passed over.
pub(crate) fn sample(bound: &Bound<'_>, slot: Option<usize>, row: usize) -> Sample {
    let Some(slot) = slot else {
        return Sample::Number(1.0);
    };
    match bound.first_value(slot, row) {
        Scalar::Duration(nanos) => Sample::Duration(nanos.max(0) as u64),
        value => value.as_f64().map_or(Sample::Nothing, Sample::Number),
    }
}

/// Numbers as keys that stand in the same order.
fn key_of_number(number: f64) -> u64 {
    let bits = number.to_bits();
    if bits >> 63 == 0 {
        bits | 1 << 63
    } else {
        !bits
    }
}

fn number_of_key(key: u64) -> f64 {
    f64::from_bits(if key >> 63 == 1 {
        key & !(1 << 63)
    } else {
        !key
    })
}

/// The cells of all workers under one numbering.
#[derive(Debug)]
pub(crate) enum Merged {
    Counts(Vec<u64>),
    Totals(Vec<Total>),
    Values(Vec<Vec<CellValues>>),
}

impl Merged {
    pub(crate) fn new(measure: &Measure) -> Self {
        match measure {
            Measure::Count | Measure::Rate => Self::Counts(Vec::new()),
            Measure::OverTime { .. } => Self::Totals(Vec::new()),
            Measure::Quantiles { .. } => Self::Values(Vec::new()),
        }
    }

    pub(crate) fn grow(&mut self, cells: usize) {
        match self {
            Self::Counts(counts) => counts.resize(cells, 0),
            Self::Totals(totals) => totals.resize(cells, Total::default()),
            Self::Values(values) => values.resize_with(cells, Vec::new),
        }
    }

    /// Adds a worker's cells; `to` gives the place of each.
    pub(crate) fn add(&mut self, cells: Cells, to: impl Fn(usize) -> usize) {
        match (self, cells) {
            (Self::Counts(all), Cells::Counts(counts)) => {
                for (cell, count) in counts.into_iter().enumerate() {
                    all[to(cell)] += count;
                }
            }
            (Self::Totals(all), Cells::Totals(totals)) => {
                for (cell, total) in totals.iter().enumerate() {
                    all[to(cell)].merge(total);
                }
            }
            (Self::Values(all), Cells::Values(values)) => {
                for (cell, values) in values.into_iter().enumerate() {
                    all[to(cell)].push(values);
                }
            }
            _ => {}
        }
    }

    /// Adds one span.
    pub(crate) fn add_sample(&mut self, cell: usize, sample: Sample) {
        match self {
            Self::Counts(counts) => counts[cell] += 1,
            Self::Totals(totals) => match sample {
                Sample::Duration(nanos) => totals[cell].add(nanos as f64),
                Sample::Number(number) if !number.is_nan() => totals[cell].add(number),
                _ => {}
            },
            Self::Values(values) => {
                let parts = &mut values[cell];
                if parts.is_empty() {
                    parts.push(CellValues::default());
                }
                if let Some(part) = parts.last_mut() {
                    part.push(sample);
                }
            }
        }
    }

    /// The numbers of each cell, one for each series that the measure makes of a group; `None` where no span was.
    pub(crate) fn results(
        self,
        measure: &Measure,
        step_seconds: f64,
        in_seconds: bool,
    ) -> Vec<Vec<Option<f64>>> {
        let divisor = if in_seconds { 1e9 } else { 1.0 };
        match (self, measure) {
            (Self::Counts(counts), _) => {
                let divisor = match measure {
                    Measure::Rate => step_seconds,
                    _ => 1.0,
                };
                let result = |count: u64| vec![(count > 0).then_some(count as f64 / divisor)];
                counts.into_iter().map(result).collect()
            }
            (Self::Totals(totals), Measure::OverTime { function, .. }) => {
                let result = |total: &Total| vec![total.result(*function).map(|it| it / divisor)];
                totals.iter().map(result).collect()
            }
            (Self::Values(values), Measure::Quantiles { quantiles, .. }) => {
                quantiles_of(&values, quantiles, in_seconds)
            }
            _ => Vec::new(),
        }
    }
}

impl Total {
    fn result(&self, function: OverTimeFunction) -> Option<f64> {
        (self.count > 0).then_some(match function {
            OverTimeFunction::Min => self.min,
            OverTimeFunction::Max => self.max,
            OverTimeFunction::Sum => self.sum,
            OverTimeFunction::Avg => self.sum / self.count as f64,
        })
    }
}

/// The quantiles of each cell; cells are dealt out to as many threads as there are cores.
fn quantiles_of(
    cells: &[Vec<CellValues>],
    quantiles: &[f64],
    in_seconds: bool,
) -> Vec<Vec<Option<f64>>> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(vec![Vec::new(); cells.len()]);
    std::thread::scope(|scope| {
        let work = || {
            loop {
                let cell = next.fetch_add(1, Ordering::Relaxed);
                let Some(values) = cells.get(cell) else { break };
                let found = quantiles
                    .iter()
                    .map(|&quantile| quantile_of(values, quantile, in_seconds))
                    .collect();
                results.lock().unwrap_or_else(PoisonError::into_inner)[cell] = found;
            }
        };
        for _ in 1..parallel::workers().min(cells.len()) {
            scope.spawn(work);
        }
        work();
    });
    results.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// The least value that at least this part of the values do not exceed.
fn quantile_of(values: &[CellValues], quantile: f64, in_seconds: bool) -> Option<f64> {
    let short: Vec<&[u32]> = values.iter().map(|it| &it.short[..]).collect();
    let long: Vec<&[u64]> = values.iter().map(|it| &it.long[..]).collect();
    let shorter: usize = short.iter().map(|part| part.len()).sum();
    let count = shorter + long.iter().map(|part| part.len()).sum::<usize>();
    let rank = ((quantile * count as f64).ceil() as usize).clamp(1, count.max(1)) - 1;
    if count == 0 {
        return None;
    }
    let key = if rank < shorter {
        u64::from(select(&short, rank, 16, u32::BITS)?)
    } else {
        select(&long, rank - shorter, 16, u64::BITS)?
    };
    Some(if in_seconds {
        key as f64 / 1e9
    } else {
        number_of_key(key)
    })
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
        let cells = [cell(one), cell(two)];
        let expected = (sorted[8_099] << 12) as f64 / 1e9;
        assert_eq!(quantile_of(&cells, 0.9, true), Some(expected));
    }
}
