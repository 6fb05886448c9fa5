//! The groups and cells of all workers under one numbering, and the series that are made of them.

use rustc_hash::FxHashMap;
use spanlight_model::AnyValue;

use super::groups::{GroupValue, Groups, Intervals, NO_CELL};
use super::measure::{Cells, Merged, Sample, Sought};
use super::plan::{By, Measure, MetricsPlan};
use super::{Point, Series};

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

    pub(crate) fn add(&mut self, cell: u32, sample: Sample) {
        if cell != NO_CELL {
            self.merged.add_sample(cell, sample);
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

    pub(crate) fn series(self, plan: &MetricsPlan, intervals: &Intervals) -> Vec<Series> {
        let in_seconds = plan.measures_durations();
        let results = self
            .merged
            .results(&self.measure, intervals.step_seconds(), in_seconds);
        let quantiles: &[f64] = match &self.measure {
            Measure::Quantiles { quantiles, .. } => quantiles,
            _ => &[],
        };
        let mut series = Vec::new();
        for (labels, cells) in self.labels.iter().zip(results.chunks(self.intervals)) {
            for number in 0..quantiles.len().max(1) {
                let points: Vec<Point> = cells
                    .iter()
                    .enumerate()
                    .filter_map(|(interval, values)| {
                        Some(Point {
                            start_time_unix_nano: intervals.start_of(interval),
                            value: (*values.get(number)?)?,
                        })
                    })
                    .collect();
                if points.is_empty() {
                    continue;
                }
                let by = plan.by.iter().zip(labels);
                let mut labels: Vec<_> = by
                    .map(|(by, value)| (by.label.clone(), value.to_any()))
                    .collect();
                if let Some(&quantile) = quantiles.get(number)
                    && quantiles.len() > 1
                {
                    labels.push(("p".to_owned(), Some(AnyValue::Double(quantile))));
                }
                series.push(Series { labels, points });
            }
        }
        series.sort_by_cached_key(|series| {
            let labels = series.labels.iter();
            labels
                .map(|(_, value)| value.as_ref().map(AnyValue::to_json))
                .collect::<Vec<_>>()
        });
        series
    }
}
