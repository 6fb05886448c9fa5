//! What is measured of the spans of each cell, and how it becomes a number.
//!
//! Quantiles are exact: a cell keeps the values that may have the rank, four bytes for durations below four seconds, and
//! counts the others ([`values`]). Where those that have it were not kept, a second pass keeps them alone.

mod values;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use datafusion::execution::memory_pool::MemoryReservation;
use spanlight_traceql::ast::{Intrinsic, OverTimeFunction};

use super::groups::NO_CELL;
use super::plan::Measure;
use super::weights::Weights;
use crate::load::MemoryFull;
use crate::parallel;
use crate::predicate::{Accessor, Bound, Scalar};
pub(crate) use values::{CellValues, Sought};
use values::{number_of_key, quantile_of};

/// The measure of each cell; a worker's cells are numbered by its groups.
#[derive(Debug)]
pub(crate) enum Cells {
    /// How many spans, of which each may stand for several.
    Counts(Vec<f64>),
    Totals(Vec<Total>),
    /// For these quantiles.
    Values(Box<[f64]>, Vec<CellValues>),
    /// Only what is sought, of values that were counted before.
    Sought(Arc<Sought>, Vec<CellValues>),
}

/// Of numbers: how many, their sum, the least and the greatest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Total {
    count: f64,
    sum: f64,
    min: f64,
    max: f64,
}

impl Default for Total {
    fn default() -> Self {
        Self {
            count: 0.0,
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
        }
    }
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
            Measure::Quantiles { quantiles, .. } => {
                Self::Values(quantiles.as_slice().into(), Vec::new())
            }
        }
    }

    /// Makes room for so many cells, as far as there is memory: groups may be many. `other` is what the reservation
    /// holds beside them.
    pub(crate) fn grow_within(
        &mut self,
        cells: usize,
        memory: &MemoryReservation,
        other: usize,
    ) -> Result<(), MemoryFull> {
        if self.reserve(cells, memory).is_err() {
            self.condense_within(memory, other)?;
            self.reserve(cells, memory)?;
        }
        self.grow(cells);
        Ok(())
    }

    fn reserve(&mut self, cells: usize, memory: &MemoryReservation) -> Result<(), MemoryFull> {
        fn reserve<T>(
            list: &mut Vec<T>,
            cells: usize,
            memory: &MemoryReservation,
        ) -> Result<(), MemoryFull> {
            if cells > list.capacity() {
                let room = cells.max(list.capacity() + list.capacity() / 2);
                let bytes = (room - list.capacity()) * size_of::<T>();
                memory.try_grow(bytes).map_err(|_| MemoryFull)?;
                list.reserve_exact(room - list.len());
            }
            Ok(())
        }
        match self {
            Self::Counts(counts) => reserve(counts, cells, memory),
            Self::Totals(totals) => reserve(totals, cells, memory),
            Self::Values(_, values) | Self::Sought(_, values) => reserve(values, cells, memory),
        }
    }

    pub(crate) fn grow(&mut self, cells: usize) {
        match self {
            Self::Counts(counts) => counts.resize(cells, 0.0),
            Self::Totals(totals) => totals.resize(cells, Total::default()),
            Self::Values(_, values) | Self::Sought(_, values) => {
                values.resize_with(cells, CellValues::default);
            }
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
        let in_cells = in_cells.map(|(&row, &cell)| (row as usize, cell));
        let weights = Weights::of(&bound.columns);
        match (self, measure.slot()) {
            (Self::Counts(counts), _) => {
                in_cells.for_each(|(row, cell)| counts[cell as usize] += weights.at(row));
            }
            (Self::Values(_, values), Some(slot))
                if is_duration(bound, slot) && weights.are_one() =>
            {
                let starts = bound.columns.start_times.values();
                let ends = bound.columns.end_times.values();
                for (row, cell) in in_cells {
                    let nanos = ends[row].saturating_sub(starts[row]).max(0) as u64;
                    values[cell as usize].push_duration(nanos);
                }
            }
            (cells, slot) => {
                for (row, cell) in in_cells {
                    cells.add_sample(cell, sample(bound, slot, row), weights.at(row));
                }
            }
        }
    }

    /// Adds one span, which may stand for several; one that is in no cell does not count.
    pub(crate) fn add_sample(&mut self, cell: u32, sample: Sample, weight: f64) {
        if cell == NO_CELL {
            return;
        }
        let cell = cell as usize;
        let number = match sample {
            Sample::Duration(nanos) => nanos as f64,
            Sample::Number(number) => number,
            Sample::Nothing => f64::NAN,
        };
        match self {
            Self::Counts(counts) => counts[cell] += weight,
            _ if number.is_nan() => {}
            Self::Totals(totals) => totals[cell].add(number, weight),
            Self::Values(_, values) => values[cell].push(sample, weight),
            Self::Sought(sought, values) => {
                if sought.has(cell, sample) {
                    values[cell].push(sample, weight);
                }
            }
        }
    }

    /// Adds the cells of another; `to` gives the place of each.
    pub(crate) fn merge(&mut self, other: Self, to: impl Fn(usize) -> usize) {
        match (self, other) {
            (Self::Counts(all), Self::Counts(counts)) => {
                for (cell, count) in counts.into_iter().enumerate() {
                    all[to(cell)] += count;
                }
            }
            (Self::Totals(all), Self::Totals(totals)) => {
                for (cell, total) in totals.iter().enumerate() {
                    all[to(cell)].merge(total);
                }
            }
            _ => {}
        }
    }

    /// Takes memory for these cells and for `other` bytes, after letting go of values that hardly have a rank. Where
    /// there is not enough, values are only counted.
    pub(crate) fn fit(
        &mut self,
        memory: &MemoryReservation,
        other: usize,
    ) -> Result<(), MemoryFull> {
        if let Self::Values(quantiles, values) = self {
            values.iter_mut().for_each(|cell| cell.focus(quantiles));
        }
        if memory.try_resize(self.byte_size() + other).is_ok() {
            return Ok(());
        }
        self.condense_within(memory, other)
    }

    /// Counts values instead of keeping them, and holds what these cells and `other` take then.
    fn condense_within(
        &mut self,
        memory: &MemoryReservation,
        other: usize,
    ) -> Result<(), MemoryFull> {
        if let Self::Values(_, values) = self {
            values.iter_mut().for_each(CellValues::condense);
        }
        let bytes = self.byte_size() + other;
        memory.try_resize(bytes).map_err(|_| MemoryFull)
    }

    fn byte_size(&self) -> usize {
        match self {
            Self::Counts(counts) => counts.capacity() * size_of::<f64>(),
            Self::Totals(totals) => totals.capacity() * size_of::<Total>(),
            Self::Values(_, values) | Self::Sought(_, values) => {
                let cells = values.iter().map(CellValues::byte_size).sum::<usize>();
                cells + values.capacity() * size_of::<CellValues>()
            }
        }
    }
}

impl Total {
    fn add(&mut self, number: f64, weight: f64) {
        self.count += weight;
        self.sum += number * weight;
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

/// The cells of all workers under one numbering.
#[derive(Debug)]
pub(crate) enum Merged {
    Folded(Cells),
    Values(Vec<Parts>),
}

/// The values of a cell, as they were found.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    /// By the passes that may be repeated.
    workers: Vec<CellValues>,
    /// One by one.
    single: CellValues,
    /// By the pass that sought them.
    sought: Vec<CellValues>,
}

impl Merged {
    pub(crate) fn new(measure: &Measure) -> Self {
        match Cells::new(measure) {
            Cells::Values(..) => Self::Values(Vec::new()),
            cells => Self::Folded(cells),
        }
    }

    pub(crate) fn grow(&mut self, cells: usize) {
        match self {
            Self::Folded(all) => all.grow(cells),
            Self::Values(all) => all.resize_with(cells, Parts::default),
        }
    }

    /// Adds a worker's cells; `to` gives the place of each.
    pub(crate) fn add(&mut self, cells: Cells, to: impl Fn(usize) -> usize) {
        match (self, cells) {
            (Self::Folded(all), cells) => all.merge(cells, to),
            (Self::Values(all), Cells::Values(_, values)) => {
                for (cell, values) in values.into_iter().enumerate() {
                    all[to(cell)].workers.push(values);
                }
            }
            (Self::Values(all), Cells::Sought(_, values)) => {
                for (cell, values) in values.into_iter().enumerate() {
                    all[to(cell)].sought.push(values);
                }
            }
            _ => {}
        }
    }

    /// Adds one span, which may stand for several.
    pub(crate) fn add_sample(&mut self, cell: u32, sample: Sample, weight: f64) {
        match self {
            Self::Folded(all) => all.add_sample(cell, sample, weight),
            Self::Values(all) => all[cell as usize].single.push(sample, weight),
        }
    }

    /// What a second pass must keep, where values that have a rank were only counted.
    pub(crate) fn sought(&mut self, measure: &Measure) -> Option<Sought> {
        match (self, measure) {
            (Self::Values(all), Measure::Quantiles { quantiles, .. }) => {
                let cells = all.iter_mut().map(|parts| parts.seek(quantiles));
                let cells: Vec<_> = cells.collect();
                let is_needed = cells.iter().any(|buckets| !buckets.is_empty());
                is_needed.then(|| Sought::new(cells))
            }
            _ => None,
        }
    }

    /// The numbers of each cell, one for each series that the measure makes of a group; `None` where there is
    /// nothing to measure.
    pub(crate) fn results(
        self,
        measure: &Measure,
        step_seconds: f64,
        in_seconds: bool,
    ) -> Vec<Vec<Option<f64>>> {
        let divisor = if in_seconds { 1e9 } else { 1.0 };
        match (self, measure) {
            (Self::Folded(Cells::Counts(counts)), _) => {
                let divisor = match measure {
                    Measure::Rate => step_seconds,
                    _ => 1.0,
                };
                let result = |count: f64| vec![Some(count / divisor)];
                counts.into_iter().map(result).collect()
            }
            (Self::Folded(Cells::Totals(totals)), Measure::OverTime { function, .. }) => {
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

impl Parts {
    /// The buckets that the quantiles lie in, where not all of their values are here; the workers' are only counted then.
    fn seek(&mut self, quantiles: &[f64]) -> Box<[u32]> {
        if !self.workers.iter().any(CellValues::is_counted) {
            return Box::default();
        }
        if values::know(
            self.counted(),
            &values::buckets_of(self.counted(), quantiles),
        ) {
            return Box::default();
        }
        self.workers.iter_mut().for_each(CellValues::let_go);
        // Fractions come to a little more or less where they are added in another order.
        values::buckets_of(self.counted(), quantiles)
    }

    /// All but what was sought.
    fn counted(&self) -> impl Iterator<Item = &CellValues> {
        self.workers.iter().chain([&self.single])
    }

    /// The key of the value at this quantile.
    fn key(&self, quantile: f64) -> Option<u64> {
        let parts: Vec<&CellValues> = self.counted().collect();
        match self.workers.iter().any(CellValues::is_counted) {
            true => values::counted_quantile(&parts, self.sought.iter(), quantile),
            false => quantile_of(&parts, quantile),
        }
    }
}

impl Total {
    fn result(&self, function: OverTimeFunction) -> Option<f64> {
        (self.count > 0.0).then_some(match function {
            OverTimeFunction::Min => self.min,
            OverTimeFunction::Max => self.max,
            OverTimeFunction::Sum => self.sum,
            OverTimeFunction::Avg => self.sum / self.count,
        })
    }
}

/// The quantiles of each cell; cells are dealt out to as many threads as there are cores.
fn quantiles_of(cells: &[Parts], quantiles: &[f64], in_seconds: bool) -> Vec<Vec<Option<f64>>> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(vec![Vec::new(); cells.len()]);
    thread::scope(|scope| {
        let work = || {
            loop {
                let cell = next.fetch_add(1, Ordering::Relaxed);
                let Some(parts) = cells.get(cell) else { break };
                let number = |key: u64| match in_seconds {
                    true => key as f64 / 1e9,
                    false => number_of_key(key),
                };
                let found = quantiles.iter();
                let found = found
                    .map(|&quantile| parts.key(quantile).map(number))
                    .collect();
                results.lock().unwrap_or_else(PoisonError::into_inner)[cell] = found;
            }
        };
        for _ in 1..parallel::workers().min(cells.len()) {
            // Where the system has no thread for it, the others do its work.
            let _ = thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
    results.into_inner().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryConsumer, MemoryPool};

    use super::*;

    #[test]
    fn there_is_room_for_more_cells_when_values_are_only_counted() {
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(40 << 10));
        let memory = MemoryConsumer::new("cells").register(&pool);
        let mut cells = Cells::Values([0.5].into(), Vec::new());
        cells.grow_within(1, &memory, 100).unwrap();
        for nanos in 0..4_000 {
            cells.add_sample(0, Sample::Duration(10_000 + nanos), 1.0);
        }
        cells.fit(&memory, 100).unwrap();
        assert!(memory.size() > 16_000);
        cells.grow_within(300, &memory, 100).unwrap();
        assert_eq!(memory.size(), cells.byte_size() + 100);
        assert!(cells.grow_within(3_000, &memory, 100).is_err());
    }

    #[test]
    fn what_is_sought_is_where_the_rank_lies_in_the_end() {
        let spans = |trial: u64, worker: u64| {
            (0..300_u64).map(move |count| {
                let place = (count * trial + worker) % 10;
                (place, 1.0 + (count % 7) as f64 * 0.1)
            })
        };
        for trial in 1..=40 {
            let cell = |worker| {
                let mut cell = CellValues::default();
                for (place, weight) in spans(trial, worker) {
                    cell.push(Sample::Duration(1_000 << place), weight);
                }
                cell
            };
            let mut sums = [0.0; 10];
            for (place, weight) in (0..3).flat_map(|worker| spans(trial, worker)) {
                sums[place as usize] += weight;
            }
            let all: f64 = sums.iter().sum();
            // Ranks at the very ends of buckets.
            for end in 1..10 {
                let quantile = sums[..end].iter().sum::<f64>() / all;
                let mut counted = cell(0);
                counted.let_go();
                let mut parts = Parts {
                    workers: vec![counted, cell(1), cell(2)],
                    ..Parts::default()
                };
                let sought = parts.seek(&[quantile]);
                let found = values::buckets_of(parts.counted(), &[quantile]);
                assert_eq!(sought, found, "{quantile}");
            }
        }
    }
}
