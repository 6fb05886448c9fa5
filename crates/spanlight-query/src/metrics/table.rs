//! The groups and cells of all workers under one numbering, and the series that are made of them.

use rustc_hash::FxHashMap;
use spanlight_model::AnyValue;

use super::groups::{GroupValue, Groups, Intervals, NO_CELL};
use super::lines::{Labels, Line, Lines};
use super::measure::{Cells, Merged, Sample, Sought};
use super::plan::{By, Measure, MetricsPlan};

/// The label of quantiles.
const QUANTILE: &str = "p";

/// The groups and cells of all workers.
#[derive(Debug)]
pub(crate) struct Table {
    groups: FxHashMap<Vec<GroupValue>, u32>,
    labels: Vec<Vec<GroupValue>>,
    intervals: usize,
    measure: Measure,
    merged: Merged,
    /// More groups than an answer may have cells for.
    pub(crate) overflow: bool,
}

impl Table {
    pub(crate) fn new(measure: &Measure, intervals: usize) -> Self {
        Self {
            groups: FxHashMap::default(),
            labels: Vec::new(),
            intervals,
            measure: measure.clone(),
            merged: Merged::new(measure),
            overflow: false,
        }
    }

    /// The common number of each of a worker's groups.
    pub(crate) fn add_groups(&mut self, groups: &Groups) -> Vec<u32> {
        let numbers = groups
            .labels()
            .map(|labels| {
                let next = self.labels.len() as u32;
                *self.groups.entry(labels).or_insert_with_key(|labels| {
                    self.labels.push(labels.clone());
                    next
                })
            })
            .collect();
        self.merged.grow(self.labels.len() * self.intervals);
        self.overflow |= groups.overflow;
        numbers
    }

    pub(crate) fn renumber(&self, numbers: &[u32], cell: u32) -> u32 {
        if cell == NO_CELL {
            return NO_CELL;
        }
        let (group, interval) = (
            cell as usize / self.intervals,
            cell as usize % self.intervals,
        );
        numbers[group] * self.intervals as u32 + interval as u32
    }

    pub(crate) fn add_cells(&mut self, cells: Cells, numbers: &[u32]) {
        let intervals = self.intervals;
        self.merged.add(cells, |cell| {
            numbers[cell / intervals] as usize * intervals + cell % intervals
        });
    }

    pub(crate) fn add(&mut self, cell: u32, sample: Sample, weight: f64) {
        if cell != NO_CELL {
            self.merged.add_sample(cell, sample, weight);
        }
    }

    /// What a second pass must keep, where memory was too short to keep all values.
    pub(crate) fn sought(&mut self) -> Option<Sought> {
        self.merged.sought(&self.measure)
    }

    /// The groups, for workers that number cells as this table does.
    pub(crate) fn groups(&self, by: &[By], intervals: Intervals) -> Groups {
        Groups::of(by, intervals, &self.labels)
    }

    /// Adds what a second pass has found.
    pub(crate) fn add_sought(&mut self, cells: Cells) {
        self.merged.add(cells, |cell| cell);
    }

    pub(crate) fn lines(self, plan: &MetricsPlan, intervals: &Intervals) -> Lines {
        // Where spans are counted, none is zero.
        let counts = matches!(self.measure, Measure::Count | Measure::Rate);
        let in_seconds = plan.measures_durations();
        let results = self
            .merged
            .results(&self.measure, intervals.step_seconds(), in_seconds);
        let quantiles: &[f64] = match &self.measure {
            Measure::Quantiles { quantiles, .. } => quantiles,
            _ => &[],
        };
        let quantile = |number: usize| {
            let quantile = quantiles.get(number)?;
            Some((QUANTILE.to_owned(), Some(AnyValue::Double(*quantile))))
        };
        let mut lines = Lines {
            name: plan.name.to_owned(),
            ..Lines::default()
        };
        for (labels, cells) in self.labels.iter().zip(results.chunks(self.intervals)) {
            for number in 0..quantiles.len().max(1) {
                let value = |cell: &Vec<Option<f64>>| cell.get(number).copied().flatten();
                let values = cells.iter().map(|cell| value(cell).unwrap_or(f64::NAN));
                let values: Vec<f64> = values.collect();
                // Groups may have been met of which no span counts in the end; of everything, that is an answer.
                let is_nothing = |value: &f64| value.is_nan() || *value == 0.0 && counts;
                if !plan.by.is_empty() && values.iter().all(is_nothing) {
                    continue;
                }
                let by = plan.by.iter().zip(labels);
                let mut labels: Labels = by
                    .map(|(by, value)| (by.label.clone(), value.to_any()))
                    .collect();
                if quantiles.len() > 1 {
                    labels.extend(quantile(number));
                }
                lines.list.push(Line::new(labels, values));
            }
        }
        if quantiles.len() == 1 {
            lines.common.extend(quantile(0));
        }
        lines.sort();
        lines
    }
}
