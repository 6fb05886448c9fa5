//! Spans that are selected by other spans of their trace, counted over everything in one pass.
//!
//! In a file the spans of a trace stand together, so each trace is decided as it goes by. Those at the edges of a
//! partition, and all in memory, are put together at the end. Traces that are in several places are left out; they and
//! those with repeats are read again by their ids and decided by the general way.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_array::Array as _;
use datafusion::execution::memory_pool::MemoryReservation;
use rustc_hash::FxHashMap;
use spanlight_model::{SpanBatch, SpanColumns, TraceId};
use spanlight_store::Partition;

use super::groups::{Groups, NO_CELL};
use super::measure::{Cells, Sample, sample};
use super::plan::MetricsPlan;
use super::relate::{Fact, Relations, may_match};
use super::repeats::{Repeated, TraceKey};
use super::weights::Weights;
use crate::load::MemoryFull;
use crate::parallel::Worker;
use crate::plan::filter_bit;
use crate::predicate::Bound;

/// A span of a trace that is not known to be whole.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fragment {
    pub(crate) trace: u128,
    pub(crate) fact: Fact,
}

/// What one worker finds.
#[derive(Debug)]
pub(crate) struct TraceWorker {
    plan: Arc<MetricsPlan>,
    pub(crate) groups: Groups,
    pub(crate) cells: Cells,
    pub(crate) fragments: Vec<Fragment>,
    /// Traces to be read again.
    pub(crate) again: BTreeSet<TraceId>,
    repeated: Arc<Repeated>,
    relations: Relations,
    memory: MemoryReservation,
    /// The run of spans that may go on in the next batch: its trace, and what may be needed of it.
    run: Option<u128>,
    open: Vec<Fact>,
    /// Runs of the partition so far.
    runs: usize,
    streamed: bool,
}

impl TraceWorker {
    pub(crate) fn new(
        plan: &Arc<MetricsPlan>,
        cells: Cells,
        groups: Groups,
        repeated: &Arc<Repeated>,
        memory: MemoryReservation,
    ) -> Self {
        Self {
            plan: Arc::clone(plan),
            groups,
            cells,
            fragments: Vec::new(),
            again: BTreeSet::new(),
            repeated: Arc::clone(repeated),
            relations: Relations::default(),
            memory,
            run: None,
            open: Vec::new(),
            runs: 0,
            streamed: false,
        }
    }

    /// The run has ended, and the partition goes on.
    fn close(&mut self) {
        let Some(trace) = self.run.take() else {
            return;
        };
        if self.runs == 1 {
            // It may have begun in the partition before.
            self.keep(trace);
        } else if !self.open.is_empty() {
            let facts = std::mem::take(&mut self.open);
            let cells = &mut self.cells;
            let found = self.relations.select(&self.plan.plan, &facts, |at| {
                let fact = &facts[at];
                cells.add_sample(fact.cell, fact.sample, fact.weight);
            });
            if found.is_err() {
                self.again.insert(TraceId(trace.to_be_bytes()));
            }
            self.open = facts;
            self.open.clear();
        }
    }

    fn keep(&mut self, trace: u128) {
        let facts = self.open.drain(..);
        self.fragments
            .extend(facts.map(|fact| Fragment { trace, fact }));
    }

    /// What is kept beside the cells.
    fn other_bytes(&self) -> usize {
        self.fragments.capacity() * size_of::<Fragment>()
            + self.open.capacity() * size_of::<Fact>()
            + self.again.len() * 32
            + self.groups.byte_size()
    }

    fn account(&mut self) -> Result<(), MemoryFull> {
        self.cells.fit(&self.memory, self.other_bytes())
    }
}

impl Worker for TraceWorker {
    fn begin(&mut self, partition: &Partition) {
        self.streamed = partition.has_runs_of_traces();
        self.runs = 0;
    }

    fn take(&mut self, batch: &SpanBatch) -> Result<(), MemoryFull> {
        let plan = Arc::clone(&self.plan);
        let bound = Bound::new(&plan.plan.fields, batch.columns(), None);
        let rows: Vec<u32> = (0..batch.num_spans() as u32).collect();
        let mut hits = vec![0_u64; rows.len()];
        for (number, filter) in plan.plan.filters.iter().enumerate() {
            for row in bound.select(filter, rows.clone()) {
                hits[row as usize] |= filter_bit(number);
            }
        }
        let hit = |row: &u32| hits[*row as usize] != 0;
        let wanted: Vec<u32> = rows.into_iter().filter(hit).collect();
        let mut cells = vec![NO_CELL; hits.len()];
        for (&row, cell) in wanted.iter().zip(self.groups.cells(&bound, &wanted)) {
            cells[row as usize] = cell;
        }
        let (count, other) = (self.groups.cell_count(), self.other_bytes());
        self.cells.grow_within(count, &self.memory, other)?;
        let measured = |row: usize| match plan.measure.slot() {
            Some(slot) if cells[row] != NO_CELL => sample(&bound, Some(slot), row),
            _ => Sample::Nothing,
        };
        let columns = &bound.columns;
        let facts = Facts::of(columns);
        let ids = columns.trace_ids.value_data();
        let mut from = 0;
        while from < hits.len() {
            let trace = id_at(ids, from);
            let mut to = from + 1;
            while to < hits.len() && id_at(ids, to) == trace {
                to += 1;
            }
            let goes_on = self.run == Some(trace);
            if !goes_on {
                self.close();
                self.run = Some(trace);
                self.runs += 1;
            }
            let is_whole = !goes_on && self.runs > 1 && to < hits.len() && self.streamed;
            if self.repeated.contains(&(trace as TraceKey)) {
                self.again.insert(TraceId(trace.to_be_bytes()));
            } else if !is_whole || may_match(&plan.plan.needs, &hits[from..to]) {
                let fact = |row| Fact {
                    hits: hits[row],
                    cell: cells[row],
                    sample: measured(row),
                    ..facts.at(row)
                };
                self.open.extend((from..to).map(fact));
                if !self.streamed {
                    self.keep(trace);
                }
            }
            from = to;
        }
        self.account()
    }

    fn end(&mut self) -> Result<(), MemoryFull> {
        // It may go on in the next partition.
        if let Some(trace) = self.run.take() {
            self.keep(trace);
        }
        self.account()
    }
}

/// What is known of spans without the query.
struct Facts<'a> {
    span_ids: &'a [u8],
    parents: &'a arrow_array::FixedSizeBinaryArray,
    weights: Weights<'a>,
}

impl<'a> Facts<'a> {
    fn of(columns: &SpanColumns<'a>) -> Self {
        Self {
            span_ids: columns.span_ids.value_data(),
            parents: columns.parent_span_ids,
            weights: Weights::of(columns),
        }
    }

    fn at(&self, row: usize) -> Fact {
        let id = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_be_bytes);
        let parent = match self.parents.is_valid(row) {
            true => id(self.parents.value(row)),
            false => 0,
        };
        Fact {
            span_id: id(&self.span_ids[row * 8..][..8]),
            parent,
            hits: 0,
            cell: NO_CELL,
            sample: Sample::Nothing,
            weight: self.weights.at(row),
        }
    }
}

/// The trace id of a row as a number.
pub(crate) fn id_at(ids: &[u8], row: usize) -> u128 {
    ids[row * 16..][..16]
        .try_into()
        .map_or(0, u128::from_be_bytes)
}

/// Decides traces that are in pieces: calls `count` with the spans that are selected, and gives back the traces that
/// must be read again.
pub(crate) fn join(
    plan: &MetricsPlan,
    mut fragments: Vec<Fragment>,
    mut count: impl FnMut(&Fact),
) -> BTreeSet<TraceId> {
    let mut again = BTreeSet::new();
    let mut found: FxHashMap<u128, u64> = FxHashMap::default();
    for piece in &fragments {
        *found.entry(piece.trace).or_default() |= piece.fact.hits;
    }
    fragments.retain(|piece| may_match(&plan.plan.needs, &[found[&piece.trace]]));
    fragments.sort_by_key(|it| it.trace);
    let mut relations = Relations::default();
    for pieces in fragments.chunk_by(|one, two| one.trace == two.trace) {
        let facts: Vec<Fact> = pieces.iter().map(|piece| piece.fact).collect();
        let found = relations.select(&plan.plan, &facts, |at| {
            count(&facts[at]);
        });
        if found.is_err() {
            again.insert(TraceId(pieces[0].trace.to_be_bytes()));
        }
    }
    again
}
