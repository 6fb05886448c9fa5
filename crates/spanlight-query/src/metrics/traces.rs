//! Spans that are selected by other spans of their trace, counted over everything in one pass.
//!
//! In a file the spans of a trace stand together, so each trace is decided as it goes by. Those at the edges of a
//! partition, and all in memory, are put together at the end; a trace that is in two places beside, or that has
//! repeats, is read again by its id and decided by the general way.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_array::Array as _;
use datafusion::execution::memory_pool::MemoryReservation;
use spanlight_model::{SpanBatch, SpanColumns, TraceId};
use spanlight_store::Partition;

use super::groups::{Groups, NO_CELL};
use super::measure::{Sample, sample};
use super::plan::MetricsPlan;
use super::relate::{Fact, Relations, may_match};
use crate::load::MemoryFull;
use crate::parallel::Worker;
use crate::plan::filter_bit;
use crate::predicate::Bound;

/// A span that was selected: the trace it is of, its cell, and what is measured of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Selected {
    pub(crate) trace: u128,
    pub(crate) cell: u32,
    pub(crate) sample: Sample,
}

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
    pub(crate) selected: Vec<Selected>,
    pub(crate) fragments: Vec<Fragment>,
    /// The traces that were decided, once for each place they were met at.
    pub(crate) decided: Vec<u128>,
    /// Traces to be read again.
    pub(crate) odd: BTreeSet<TraceId>,
    relations: Relations,
    memory: MemoryReservation,
    /// Of the run of spans that may go on in the next batch.
    open: Vec<Fact>,
    open_trace: Option<u128>,
    /// Nothing before the open run belongs to this partition.
    is_first: bool,
    streamed: bool,
}

impl TraceWorker {
    pub(crate) fn new(plan: &Arc<MetricsPlan>, groups: Groups, memory: MemoryReservation) -> Self {
        Self {
            plan: Arc::clone(plan),
            groups,
            selected: Vec::new(),
            fragments: Vec::new(),
            decided: Vec::new(),
            odd: BTreeSet::new(),
            relations: Relations::default(),
            memory,
            open: Vec::new(),
            open_trace: None,
            is_first: true,
            streamed: false,
        }
    }

    /// The open run has ended, and the partition goes on.
    fn close(&mut self) {
        let Some(trace) = self.open_trace.take() else {
            return;
        };
        if std::mem::take(&mut self.is_first) {
            // It may have begun in the partition before.
            self.keep(trace);
            return;
        }
        self.decided.push(trace);
        let facts = std::mem::take(&mut self.open);
        self.decide(trace, &facts);
        self.open = facts;
        self.open.clear();
    }

    fn decide(&mut self, trace: u128, facts: &[Fact]) {
        let selected = &mut self.selected;
        let found = self.relations.select(&self.plan.plan, facts, |at| {
            let Fact { cell, sample, .. } = facts[at];
            if cell != NO_CELL {
                selected.push(Selected {
                    trace,
                    cell,
                    sample,
                });
            }
        });
        if found.is_err() {
            self.odd.insert(TraceId(trace.to_be_bytes()));
        }
    }

    fn keep(&mut self, trace: u128) {
        let facts = self.open.drain(..);
        self.fragments
            .extend(facts.map(|fact| Fragment { trace, fact }));
    }

    fn account(&mut self) -> Result<(), MemoryFull> {
        let bytes = self.selected.capacity() * size_of::<Selected>()
            + self.fragments.capacity() * size_of::<Fragment>()
            + self.decided.capacity() * size_of::<u128>()
            + self.open.capacity() * size_of::<Fact>()
            + self.odd.len() * 32
            + self.groups.byte_size();
        self.memory.try_resize(bytes).map_err(|_| MemoryFull)
    }
}

impl Worker for TraceWorker {
    fn begin(&mut self, partition: &Partition) {
        self.streamed = partition.has_runs_of_traces();
        self.is_first = true;
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
            if self.open_trace != Some(trace) {
                self.close();
                self.open_trace = Some(trace);
            }
            let is_last = to == hits.len();
            let alone = self.open.is_empty() && !self.is_first && !is_last && self.streamed;
            if alone && !may_match(&plan.plan.needs, &hits[from..to]) {
                // Whole, and nothing in it.
                self.decided.push(trace);
                self.open_trace = None;
            } else {
                let fact = |row| facts.at(row, hits[row], cells[row], measured(row));
                self.open.extend((from..to).map(fact));
                if !self.streamed {
                    self.keep(trace);
                    self.open_trace = None;
                }
            }
            from = to;
        }
        self.account()
    }

    fn end(&mut self) -> Result<(), MemoryFull> {
        // It may go on in the next partition.
        if let Some(trace) = self.open_trace.take() {
            self.keep(trace);
        }
        self.account()
    }

    fn finish(&mut self) {
        self.decided.sort_unstable();
    }
}

/// The ids of spans as numbers.
struct Facts<'a> {
    span_ids: &'a [u8],
    parents: &'a arrow_array::FixedSizeBinaryArray,
}

impl<'a> Facts<'a> {
    fn of(columns: &SpanColumns<'a>) -> Self {
        Self {
            span_ids: columns.span_ids.value_data(),
            parents: columns.parent_span_ids,
        }
    }

    fn at(&self, row: usize, hits: u64, cell: u32, sample: Sample) -> Fact {
        let id = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_be_bytes);
        let parent = match self.parents.is_valid(row) {
            true => id(self.parents.value(row)),
            false => 0,
        };
        Fact {
            span_id: id(&self.span_ids[row * 8..][..8]),
            parent,
            hits,
            cell,
            sample,
        }
    }
}

/// The trace id of a row as a number.
pub(crate) fn id_at(ids: &[u8], row: usize) -> u128 {
    ids[row * 16..][..16]
        .try_into()
        .map_or(0, u128::from_be_bytes)
}

/// What the workers have found, put together: the spans that count, and the traces that must be read again.
pub(crate) struct Joined {
    pub(crate) selected: Vec<Selected>,
    pub(crate) again: BTreeSet<TraceId>,
}

/// Decides the traces that are in pieces. `remap` gives a worker's cells their common number.
pub(crate) fn join(
    plan: &MetricsPlan,
    workers: Vec<TraceWorker>,
    remap: &dyn Fn(usize, u32) -> u32,
) -> Joined {
    let mut again = BTreeSet::new();
    let (mut selected, mut fragments, mut decided) = (Vec::new(), Vec::new(), Vec::new());
    for (number, worker) in workers.into_iter().enumerate() {
        again.extend(worker.odd);
        selected.extend(worker.selected.into_iter().map(|it| Selected {
            cell: remap(number, it.cell),
            ..it
        }));
        fragments.extend(worker.fragments.into_iter().map(|mut it| {
            if it.fact.cell != NO_CELL {
                it.fact.cell = remap(number, it.fact.cell);
            }
            it
        }));
        decided.push(worker.decided);
    }
    let decided = sorted(&decided, &mut again);
    fragments.sort_by_key(|it| it.trace);
    let mut relations = Relations::default();
    for pieces in fragments.chunk_by(|one, two| one.trace == two.trace) {
        let trace = pieces[0].trace;
        let facts: Vec<Fact> = pieces.iter().map(|piece| piece.fact).collect();
        let is_whole = decided.binary_search(&trace).is_err();
        let mut add = |at: usize| {
            let Fact { cell, sample, .. } = facts[at];
            if cell != NO_CELL {
                selected.push(Selected {
                    trace,
                    cell,
                    sample,
                });
            }
        };
        if !is_whole || relations.select(&plan.plan, &facts, &mut add).is_err() {
            again.insert(TraceId(trace.to_be_bytes()));
        }
    }
    if !again.is_empty() {
        selected.retain(|it| !again.contains(&TraceId(it.trace.to_be_bytes())));
    }
    Joined { selected, again }
}

/// All of the sorted lists in one; what is in them twice was met in two places.
fn sorted(lists: &[Vec<u128>], twice: &mut BTreeSet<TraceId>) -> Vec<u128> {
    let mut all = lists.concat();
    // Finds the sorted runs, and merges them.
    all.sort();
    for pair in all.windows(2) {
        if pair[0] == pair[1] {
            twice.insert(TraceId(pair[0].to_be_bytes()));
        }
    }
    all
}
