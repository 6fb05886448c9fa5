//! The selected spans themselves, for what looks at more of them than a group and a number, or can be decided only with
//! all of their trace.
//!
//! In a file the spans of a trace stand together: those that lie whole in a batch are decided there, as searches
//! decide. Traces at the edges of batches, in memory, and in several places are left for reading them by their ids.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use datafusion::execution::memory_pool::MemoryReservation;
use rustc_hash::FxHashSet;
use spanlight_model::{SpanBatch, TraceId};
use spanlight_store::{AttributeColumn, Partition};

use super::plan::{MetricsPlan, Selection};
use super::relate::may_match;
use super::repeats::{Repeated, TraceKey};
use super::traces::id_at;
use crate::decide::{self, Cancelled};
use crate::load::{MemoryFull, new_bytes};
use crate::parallel::{self, Reading, Stopped, Worker};
use crate::plan::filter_bit;
use crate::predicate::{Bound, Filter};
use crate::traces::{TraceRows, group};

/// Spans of a batch whose attributes come apart: the more, the fewer traces are cut and the seldomer a text is looked up.
const BATCH_SPANS: Range<usize> = 1 << 10..32 << 10;
/// About as many bytes does each of them take.
const SPAN_BYTES: usize = 400;

/// Takes the rows that were selected.
pub(crate) trait Sink: Send + 'static {
    /// Whether it looks at all attributes, key by key: what has a column comes by itself.
    const APART: bool = false;

    /// Those of which only the presence is of interest.
    fn without_values(&self) -> impl Iterator<Item = &str> {
        std::iter::empty()
    }

    /// Rows of a batch, ascending, and attributes of the batch that are not in it. `memory` is what [`Self::fit`]
    /// has taken, to take more from where rows need much at once.
    fn add(
        &mut self,
        bound: &Bound<'_>,
        rows: &[u32],
        apart: &[AttributeColumn],
        memory: &MemoryReservation,
    ) -> Result<(), MemoryFull>;

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
    batch_spans: usize,
    cancelled: Cancelled,
    streamed: bool,
    /// Of the partition nothing was seen yet.
    is_first: bool,
    open: Option<Open>,
}

/// A trace at the edge of a batch, which may go on in the next.
#[derive(Debug)]
struct Open {
    id: TraceId,
    parts: Vec<SpanBatch>,
    found: u64,
    /// The partition begins with it.
    is_first: bool,
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
        (memory, memory_max): (MemoryReservation, usize),
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
            batch_spans: batch_spans(memory_max, parallel::workers()),
            cancelled: cancelled.clone(),
            streamed: false,
            is_first: true,
            open: None,
        }
    }

    /// A batch that was made for it alone. What is held for it stays until the next one, as that is about as large.
    fn take_apart(
        &mut self,
        batch: &SpanBatch,
        apart: &[AttributeColumn],
    ) -> Result<(), MemoryFull> {
        let columns = apart.iter().map(|column| column.values.byte_size());
        let bytes = new_bytes(batch, &mut FxHashSet::default()) + columns.sum::<usize>();
        self.fit(bytes)?;
        self.look(batch, apart)?;
        self.fit(bytes)
    }

    /// Takes memory for what was found, and for a batch of so many bytes.
    fn fit(&mut self, batch: usize) -> Result<(), MemoryFull> {
        let again = self.again.len() * 32;
        self.sink.fit(&self.memory, again + batch)
    }

    fn look(&mut self, batch: &SpanBatch, apart: &[AttributeColumn]) -> Result<(), MemoryFull> {
        let plan = Arc::clone(&self.plan);
        match &plan.selection {
            Selection::Spans(filter) => self.spans(filter, batch, apart),
            Selection::Traces | Selection::Whole => self.traces(batch, apart),
        }
    }

    /// Spans that are selected each by itself.
    fn spans(
        &mut self,
        filter: &Filter,
        batch: &SpanBatch,
        apart: &[AttributeColumn],
    ) -> Result<(), MemoryFull> {
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
        self.sink.add(&bound, &rows, apart, &self.memory)
    }

    /// Spans that are selected with their traces.
    fn traces(&mut self, batch: &SpanBatch, apart: &[AttributeColumn]) -> Result<(), MemoryFull> {
        let bound = Bound::new(&self.plan.plan.fields, batch.columns(), None);
        let mut hits = vec![0_u64; batch.num_spans()];
        for (number, filter) in self.filters.iter().enumerate() {
            for row in bound.select(filter, (0..hits.len() as u32).collect()) {
                hits[row as usize] |= filter_bit(number);
            }
        }
        let columns = &bound.columns;
        let runs = runs(columns.trace_ids.value_data(), hits.len());
        // Attributes by themselves are of this batch alone.
        let may_go_on = self.streamed && !S::APART;
        let mut whole = Vec::new();
        for Run { trace, from, to } in runs {
            let found = hits[from..to].iter().fold(0, |found, hits| found | hits);
            let id = TraceId(trace.to_be_bytes());
            let is_edge = from == 0 || to == hits.len();
            if !self.streamed || self.repeated.contains(&(trace as TraceKey)) {
                self.leave(id, found);
            } else if is_edge && may_go_on {
                let rows = batch.slice(from, to - from);
                self.go_on(id, rows, found)?;
                if to < hits.len() {
                    self.close()?;
                }
            } else if is_edge {
                self.leave(id, found);
            } else if may_match(&self.plan.plan.needs, &[found]) {
                whole.push(TraceRows::of_run(id, columns, from..to));
            }
        }
        self.select(std::slice::from_ref(batch), &whole, apart)
    }

    /// To be read by its id.
    fn leave(&mut self, id: TraceId, found: u64) {
        if found != 0 {
            self.again.insert(id);
        }
    }

    /// Rows at the edge of a batch: of the trace that is open, or of one that is now.
    fn go_on(&mut self, id: TraceId, rows: SpanBatch, found: u64) -> Result<(), MemoryFull> {
        if self.open.as_ref().is_some_and(|open| open.id != id) {
            self.close()?;
        }
        let is_first = std::mem::take(&mut self.is_first);
        let open = self.open.get_or_insert_with(|| Open {
            id,
            parts: Vec::new(),
            found: 0,
            is_first,
        });
        open.parts.push(rows);
        open.found |= found;
        Ok(())
    }

    /// The open trace has ended.
    fn close(&mut self) -> Result<(), MemoryFull> {
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        if open.is_first {
            // It may have begun in the partition before.
            self.leave(open.id, open.found);
        } else if may_match(&self.plan.plan.needs, &[open.found]) {
            let traces = group(&open.parts, &BTreeSet::from([open.id]));
            self.select(&open.parts, &traces, &[])?;
        }
        Ok(())
    }

    fn select(
        &mut self,
        parts: &[SpanBatch],
        traces: &[TraceRows],
        apart: &[AttributeColumn],
    ) -> Result<(), MemoryFull> {
        let (plan, sink, memory) = (&self.plan.plan, &mut self.sink, &self.memory);
        let mut added = Ok(());
        decide::select(parts, traces, plan, &self.cancelled, |bound, rows| {
            if added.is_ok() {
                added = sink.add(bound, &rows, apart, memory);
            }
        });
        added
    }
}

impl<S: Sink> Worker for RowWorker<S> {
    fn begin(&mut self, partition: &Partition) {
        self.streamed = partition.has_runs_of_traces() && !partition.may_repeat();
        self.is_first = true;
        self.open = None;
    }

    fn end(&mut self) -> Result<(), MemoryFull> {
        // It may go on in the next partition.
        if let Some(open) = self.open.take() {
            self.leave(open.id, open.found);
        }
        self.fit(0)
    }

    fn read(&mut self, partition: Partition, reading: &Reading<'_>) -> Result<(), Stopped> {
        if !S::APART || !partition.has_runs_of_traces() {
            return reading.batches(self, partition);
        }
        let sink = &self.sink;
        let present: BTreeSet<String> = sink.without_values().map(str::to_owned).collect();
        let has_values = |key: &str| !present.contains(key);
        let (batch_spans, take) = (self.batch_spans, Self::take_apart);
        reading.apart(self, partition, batch_spans, has_values, take)
    }

    fn take(&mut self, batch: &SpanBatch) -> Result<(), MemoryFull> {
        self.look(batch, &[])?;
        self.fit(0)
    }
}

/// As many spans as the batches of all workers may take a half of the memory for.
fn batch_spans(memory_bytes: usize, workers: usize) -> usize {
    let spans = memory_bytes / 2 / workers.max(1) / SPAN_BYTES;
    spans.clamp(BATCH_SPANS.start, BATCH_SPANS.end)
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
