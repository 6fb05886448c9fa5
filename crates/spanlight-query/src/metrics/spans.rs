//! Spans that are selected each by itself: counted as they go by.
//!
//! Traces that are in several places, or have a span twice in memory, are left out, and counted by the general way.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::execution::memory_pool::MemoryReservation;
use spanlight_model::{SpanBatch, TraceId};

use super::groups::Groups;
use super::measure::Cells;
use super::plan::MetricsPlan;
use super::repeats::{Repeated, TraceKey};
use super::traces::id_at;
use crate::load::MemoryFull;
use crate::parallel::Worker;
use crate::predicate::{Bound, Filter};

/// What one worker finds.
#[derive(Debug)]
pub(crate) struct SpanWorker {
    plan: Arc<MetricsPlan>,
    filter: Filter,
    pub(crate) groups: Groups,
    pub(crate) cells: Cells,
    memory: MemoryReservation,
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
            memory,
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
}

impl Worker for SpanWorker {
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
        let bytes = self.groups.byte_size() + self.left_out.len() * 32;
        let count = self.groups.cell_count();
        self.cells.grow_within(count, &self.memory, bytes)?;
        self.cells.add(&plan.measure, &bound, &rows, &cells);
        self.cells.fit(&self.memory, bytes)
    }
}
