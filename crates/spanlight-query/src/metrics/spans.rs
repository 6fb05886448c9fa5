//! Spans that are selected each by itself: counted as they go by.
//!
//! In memory a span may be there twice: its records are kept until all are there, and only the one that stands counts.
//! Traces that are in several places are left out, and counted by the general way.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::execution::memory_pool::MemoryReservation;
use spanlight_model::{SpanBatch, TraceId};
use spanlight_store::Partition;

use super::groups::{Groups, NO_CELL};
use super::measure::{Cells, Sample, sample};
use super::plan::MetricsPlan;
use super::repeats::{Repeated, TraceKey};
use super::traces::id_at;
use super::weights::Weights;
use crate::load::MemoryFull;
use crate::parallel::Worker;
use crate::predicate::{Bound, Filter};
use crate::tree::{self, Place};

/// A record of a span that may have others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record {
    trace: TraceId,
    place: Place,
    /// [`NO_CELL`] where the record does not count.
    pub(crate) cell: u32,
    pub(crate) sample: Sample,
    /// How many spans it stands for.
    pub(crate) weight: f64,
}

/// What one worker finds.
#[derive(Debug)]
pub(crate) struct SpanWorker {
    plan: Arc<MetricsPlan>,
    filter: Filter,
    pub(crate) groups: Groups,
    pub(crate) cells: Cells,
    pub(crate) records: Vec<Record>,
    memory: MemoryReservation,
    /// Whether spans of the partition may be in it twice.
    repeats: bool,
    repeated: Arc<Repeated>,
    /// The traces that were left out.
    pub(crate) left_out: BTreeSet<TraceId>,
}

impl SpanWorker {
    pub(crate) fn new(
        plan: &Arc<MetricsPlan>,
        filter: &Filter,
        cells: Cells,
        groups: Groups,
        repeated: &Arc<Repeated>,
        memory: MemoryReservation,
    ) -> Self {
        Self {
            repeated: Arc::clone(repeated),
            left_out: BTreeSet::new(),
            filter: filter.clone(),
            groups,
            cells,
            plan: Arc::clone(plan),
            records: Vec::new(),
            memory,
            repeats: false,
        }
    }

    /// Of the rows, those that are not of traces in several places.
    fn without_repeated(&mut self, ids: &[u8], mut rows: Vec<u32>) -> Vec<u32> {
        let mut last = (None, false);
        rows.retain(|&row| {
            let id = id_at(ids, row as usize);
            if last.0 != Some(id) {
                last = (Some(id), !self.repeated.contains(&(id as TraceKey)));
                if !last.1 {
                    self.left_out.insert(TraceId(id.to_be_bytes()));
                }
            }
            last.1
        });
        rows
    }

    fn record(&mut self, bound: &Bound<'_>, rows: &[u32], cells: &[u32]) {
        let columns = &bound.columns;
        let mut counted = rows.iter().zip(cells).peekable();
        let slot = self.plan.measure.slot();
        let weights = Weights::of(columns);
        self.records
            .extend((0..columns.start_times.len()).map(|row| {
                let cell = counted.next_if(|(counted, _)| **counted as usize == row);
                let cell = cell.map_or(NO_CELL, |(_, cell)| *cell);
                Record {
                    trace: columns.trace_id(row),
                    place: Place::of(columns, row),
                    cell,
                    sample: match cell {
                        NO_CELL => Sample::Nothing,
                        _ => sample(bound, slot, row),
                    },
                    weight: weights.at(row),
                }
            }));
    }
}

impl Worker for SpanWorker {
    fn begin(&mut self, partition: &Partition) {
        self.repeats = partition.may_repeat();
    }

    fn take(&mut self, batch: &SpanBatch) -> Result<(), MemoryFull> {
        let plan = Arc::clone(&self.plan);
        let bound = Bound::new(&plan.plan.fields, batch.columns(), None);
        let starts = bound.columns.start_times.values();
        let rows = self.groups.intervals().within(starts);
        let mut rows = bound.select(&self.filter, rows);
        if !self.repeated.is_empty() {
            rows = self.without_repeated(bound.columns.trace_ids.value_data(), rows);
        }
        let cells = self.groups.cells(&bound, &rows);
        self.cells.grow(self.groups.cell_count());
        if self.repeats {
            self.record(&bound, &rows, &cells);
        } else {
            self.cells.add(&plan.measure, &bound, &rows, &cells);
        }
        let bytes = self.groups.byte_size()
            + self.left_out.len() * 32
            + self.records.capacity() * size_of::<Record>();
        self.cells.fit(&self.memory, bytes)
    }
}

/// Calls `count` with each record that stands and counts.
pub(crate) fn resolve(mut records: Vec<Record>, mut count: impl FnMut(&Record)) {
    records.sort_unstable_by_key(|it| (it.trace, it.place.span_id));
    let same = |one: &Record, two: &Record| {
        (one.trace, one.place.span_id) == (two.trace, two.place.span_id)
    };
    for span in records.chunk_by(same) {
        match span {
            [record] => (record.cell != NO_CELL).then(|| count(record)),
            records => {
                let places: Vec<Place> = records.iter().map(|it| it.place).collect();
                let standing = tree::distinct(&places).into_iter().map(|at| &records[at]);
                standing
                    .filter(|it| it.cell != NO_CELL)
                    .for_each(&mut count);
                None
            }
        };
    }
}
