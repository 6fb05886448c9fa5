//! Spans as examples of points: found in a few parts of the store, spread over its time, once the series are known.
//!
//! They are no part of what is counted, so what they take is bounded by itself, and an answer without them is whole.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::execution::memory_pool::MemoryReservation;
use rustc_hash::FxHashMap;
use spanlight_model::{SpanId, TraceId};
use spanlight_store::{AttributeColumn, ScanColumns};

use super::answer::Exemplar;
use super::groups::{Groups, NO_CELL};
use super::lines::Labels;
use super::measure::{Sample, sample};
use super::plan::MetricsPlan;
use super::rows::{RowWorker, Sink};
use super::{Pass, TRACES};
use crate::error::QueryError;
use crate::load::MemoryFull;
use crate::predicate::Bound;

/// Examples of an answer, at most.
pub(super) const EXEMPLARS_MAX: usize = 100;

/// Parts of the store that are looked into.
const PARTITIONS: usize = 8;

/// Points of which a worker keeps an example, to choose from.
const FOUND_MAX: usize = 4_096;

/// Traces that are read by their ids.
const TRACES_MAX: usize = 256;

/// The first span of each cell that is met.
pub(super) struct ExemplarSink {
    plan: Arc<MetricsPlan>,
    groups: Groups,
    found: FxHashMap<u32, Found>,
}

#[derive(Debug, Clone, Copy)]
struct Found {
    trace_id: TraceId,
    span_id: SpanId,
    start: i64,
    sample: Sample,
}

impl Sink for ExemplarSink {
    fn add(
        &mut self,
        bound: &Bound<'_>,
        rows: &[u32],
        _: &[AttributeColumn],
        _: &MemoryReservation,
    ) -> Result<(), MemoryFull> {
        let cells = self.groups.cells(bound, rows);
        for (&row, cell) in rows.iter().zip(cells) {
            if self.found.len() >= FOUND_MAX {
                break;
            }
            let row = row as usize;
            if cell == NO_CELL || self.found.contains_key(&cell) {
                continue;
            }
            let sample = sample(bound, self.plan.measure.slot(), row);
            if sample != Sample::Nothing {
                let found = Found {
                    trace_id: bound.columns.trace_id(row),
                    span_id: bound.columns.span_id(row),
                    start: bound.columns.start_times.value(row),
                    sample,
                };
                self.found.insert(cell, found);
            }
        }
        Ok(())
    }

    fn fit(&mut self, memory: &MemoryReservation, other: usize) -> Result<(), MemoryFull> {
        let found = self.found.len() * size_of::<(u32, Found)>();
        let bytes = found + self.groups.byte_size() + other;
        memory.try_resize(bytes).map_err(|_| MemoryFull)
    }
}

impl ExemplarSink {
    /// By their labels.
    fn found(self) -> impl Iterator<Item = (Labels, Found)> {
        let count = self.groups.intervals().count();
        let labels: Vec<Labels> = self
            .groups
            .labels()
            .map(|values| {
                let by = self.plan.by.iter().zip(values);
                by.map(|(by, value)| (by.label.clone(), value.to_any()))
                    .collect()
            })
            .collect();
        let found = self.found.into_iter();
        found.map(move |(cell, found)| (labels[cell as usize / count].clone(), found))
    }
}

impl Pass<'_> {
    /// Gives the series that were counted examples, so many in all.
    pub(super) async fn exemplars(&mut self, count: usize) -> Result<(), QueryError> {
        let known = self.answer.partial.len();
        let found = self.some_spans().await;
        // What is missing here is missing from no series.
        self.answer.partial.truncate(known);
        let mut found = found?;
        found.sort_by_key(|(_, found)| (found.start, found.trace_id, found.span_id));
        let apart = found.len().div_ceil(count.clamp(1, EXEMPLARS_MAX)).max(1);
        let in_seconds = self.plan.measures_durations();
        let is_counted = self.plan.measure.slot().is_none();
        let lines = self.lines.list.iter().enumerate();
        // Of several quantiles, the first stands for all.
        let key = |labels: &[_]| format!("{:?}", &labels[..self.plan.by.len()]);
        let mut by_labels: FxHashMap<String, usize> = FxHashMap::default();
        for (at, line) in lines {
            by_labels.entry(key(&line.labels)).or_insert(at);
        }
        for (labels, found) in found.into_iter().step_by(apart) {
            let Some(&at) = by_labels.get(&key(&labels)) else {
                continue;
            };
            let line = &mut self.lines.list[at];
            let value = match found.sample {
                _ if is_counted => line.values[self.intervals.interval_of(found.start)],
                Sample::Duration(nanos) if in_seconds => nanos as f64 / 1e9,
                Sample::Duration(nanos) => nanos as f64,
                Sample::Number(number) => number,
                Sample::Nothing => f64::NAN,
            };
            if !value.is_nan() {
                line.exemplars.push(Exemplar {
                    trace_id: found.trace_id,
                    span_id: found.span_id,
                    time_unix_nano: found.start,
                    value,
                });
            }
        }
        Ok(())
    }

    async fn some_spans(&mut self) -> Result<Vec<(Labels, Found)>, QueryError> {
        let columns = self.plan.columns().union(&ScanColumns::BASE);
        let range = self.range_of_traces();
        let repeated = self.repeated(range.clone()).await?;
        let partitions = self.scan(TRACES, Some(range), columns.clone(), None).await;
        let apart = partitions.len().div_ceil(PARTITIONS).max(1);
        let partitions = partitions.into_iter().step_by(apart).collect();
        let make = |pass: &Self| ExemplarSink {
            plan: Arc::clone(&pass.plan),
            groups: pass.groups(),
            found: FxHashMap::default(),
        };
        let workers = self.read(partitions, |pass| {
            let sink = make(pass);
            let memory = (pass.reserve(), pass.limits.memory_bytes);
            RowWorker::new(&pass.plan, sink, &repeated, &pass.cancelled, memory)
        });
        let (mut sinks, mut again) = (Vec::new(), BTreeSet::new());
        for worker in workers.await? {
            sinks.push(worker.sink);
            again.extend(worker.again);
        }
        let apart = again.len().div_ceil(TRACES_MAX).max(1);
        let again = again.into_iter().step_by(apart).collect();
        let sink = make(self);
        sinks.push(self.by_ids(sink, columns, again).await?);
        Ok(sinks.into_iter().flat_map(ExemplarSink::found).collect())
    }
}
