//! The selected spans themselves, for what looks at more of them than a group and a number, or can be decided only with
//! all of their trace.
//!
//! In a file the spans of a trace stand together: those that lie whole in a batch are decided there, as searches
//! decide. Traces at the edges of batches, in memory, and in several places are left for reading them by their ids.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::execution::memory_pool::MemoryReservation;
use spanlight_model::{SpanBatch, TraceId};
use spanlight_store::{AttributeColumn, Partition};

use super::plan::{MetricsPlan, Selection};
use super::relate::may_match;
use super::repeats::{Repeated, TraceKey};
use super::traces::id_at;
use crate::decide::{self, Cancelled};
use crate::load::MemoryFull;
use crate::parallel::{Reading, Stopped, Worker};
use crate::plan::filter_bit;
use crate::predicate::{Bound, Filter};
use crate::traces::TraceRows;

/// Takes the rows that were selected.
pub(crate) trait Sink: Send + 'static {
    /// Whether it looks at all attributes, key by key: what has a column comes by itself.
    const APART: bool = false;

    /// Those of which only the presence is of interest.
    fn without_values(&self) -> impl Iterator<Item = &str> {
        std::iter::empty()
    }

    /// Rows of a batch, ascending, and attributes of the batch that are not in it.
    fn add(&mut self, bound: &Bound<'_>, rows: &[u32], apart: &[AttributeColumn]);

    /// Takes memory for what was added, and for `other` bytes.
    fn fit(&mut self, memory: &MemoryReservation, other: usize) -> Result<(), MemoryFull>;
}

/// Finds the rows.
#[derive(Debug)]
pub(crate) struct RowWorker<S> {
    plan: Arc<MetricsPlan>,
    /// The filters of the plan, as far as a span alone can tell.
    filters: Vec<Filter>,
    pub(crate) sink: S,
    /// Traces to be read by their ids.
    pub(crate) again: BTreeSet<TraceId>,
    repeated: Arc<Repeated>,
    memory: MemoryReservation,
    cancelled: Cancelled,
    streamed: bool,
}

/// Rows of one trace that stand together.
struct Run {
    trace: u128,
    from: usize,
    to: usize,
}

impl<S: Sink> RowWorker<S> {
    pub(crate) fn new(
        plan: &Arc<MetricsPlan>,
        sink: S,
        repeated: &Arc<Repeated>,
        cancelled: &Cancelled,
        memory: MemoryReservation,
    ) -> Self {
        let fields = &plan.plan.fields;
        let filters = plan.plan.filters.iter();
        Self {
            filters: filters.map(|filter| filter.relaxed(fields)).collect(),
            plan: Arc::clone(plan),
            sink,
            again: BTreeSet::new(),
            repeated: Arc::clone(repeated),
            memory,
            cancelled: cancelled.clone(),
            streamed: false,
        }
    }

    fn take_apart(
        &mut self,
        batch: &SpanBatch,
        apart: &[AttributeColumn],
    ) -> Result<(), MemoryFull> {
        let plan = Arc::clone(&self.plan);
        match &plan.selection {
            Selection::Spans(filter) => self.spans(filter, batch, apart),
            Selection::Traces | Selection::Whole => self.traces(batch, apart),
        }
        self.sink.fit(&self.memory, self.again.len() * 32)
    }

    /// Spans that are selected each by itself.
    fn spans(&mut self, filter: &Filter, batch: &SpanBatch, apart: &[AttributeColumn]) {
        let bound = Bound::new(&self.plan.plan.fields, batch.columns(), None);
        let mut rows = bound.select(filter, (0..batch.num_spans() as u32).collect());
        let ids = bound.columns.trace_ids.value_data();
        // What is compared may be of the trace, so that all of it must be there.
        let edges = match (self.plan.compare.is_some(), batch.num_spans()) {
            (true, count @ 1..) => [Some(id_at(ids, 0)), Some(id_at(ids, count - 1))],
            _ => [None; 2],
        };
        if !self.streamed || !self.repeated.is_empty() || edges[0].is_some() {
            rows.retain(|&row| {
                let id = id_at(ids, row as usize);
                let stays = self.streamed
                    && !self.repeated.contains(&(id as TraceKey))
                    && !edges.contains(&Some(id));
                if !stays {
                    self.again.insert(TraceId(id.to_be_bytes()));
                }
                stays
            });
        }
        self.sink.add(&bound, &rows, apart);
    }

    /// Spans that are selected with their traces.
    fn traces(&mut self, batch: &SpanBatch, apart: &[AttributeColumn]) {
        let bound = Bound::new(&self.plan.plan.fields, batch.columns(), None);
        let mut hits = vec![0_u64; batch.num_spans()];
        for (number, filter) in self.filters.iter().enumerate() {
            for row in bound.select(filter, (0..hits.len() as u32).collect()) {
                hits[row as usize] |= filter_bit(number);
            }
        }
        let columns = &bound.columns;
        let runs = runs(columns.trace_ids.value_data(), hits.len());
        let mut whole = Vec::new();
        for Run { trace, from, to } in runs {
            let is_edge = from == 0 || to == hits.len();
            let hits = &hits[from..to];
            let id = TraceId(trace.to_be_bytes());
            if is_edge || !self.streamed || self.repeated.contains(&(trace as TraceKey)) {
                if hits.iter().any(|&hits| hits != 0) {
                    self.again.insert(id);
                }
            } else if may_match(&self.plan.plan.needs, hits) {
                whole.push(TraceRows::of_run(id, columns, from..to));
            }
        }
        let (sink, parts) = (&mut self.sink, std::slice::from_ref(batch));
        decide::select(
            parts,
            &whole,
            &self.plan.plan,
            &self.cancelled,
            |bound, rows| {
                sink.add(bound, &rows, apart);
            },
        );
    }
}

impl<S: Sink> Worker for RowWorker<S> {
    fn begin(&mut self, partition: &Partition) {
        self.streamed = partition.has_runs_of_traces() && !partition.may_repeat();
    }

    fn read(&mut self, partition: Partition, reading: &Reading<'_>) -> Result<(), Stopped> {
        if !S::APART || !partition.has_runs_of_traces() {
            return reading.batches(self, partition);
        }
        let sink = &self.sink;
        let present: BTreeSet<String> = sink.without_values().map(str::to_owned).collect();
        let has_values = |key: &str| !present.contains(key);
        reading.apart(self, partition, has_values, Self::take_apart)
    }

    fn take(&mut self, batch: &SpanBatch) -> Result<(), MemoryFull> {
        self.take_apart(batch, &[])
    }
}

fn runs(ids: &[u8], rows: usize) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for row in 0..rows {
        let trace = id_at(ids, row);
        match runs.last_mut() {
            Some(run) if run.trace == trace => run.to = row + 1,
            _ => runs.push(Run {
                trace,
                from: row,
                to: row + 1,
            }),
        }
    }
    runs
}
