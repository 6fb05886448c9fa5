//! Making rows of what the store has: one execution of a scan, by several threads.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::{RecordBatch, RecordBatchOptions};
use datafusion::common::{DataFusionError, Result, resources_datafusion_err};
use spanlight_model::{SpanBatch, TraceId};
use spanlight_store::Partition;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::columns::Rows;
use super::scan::Plan;
use super::traces::TraceTable;
use super::view::Kind;
use crate::load::load;
use crate::metrics::repeats::TraceKey;
use crate::traces::{RowAt, group};

/// Rows of a batch.
const ROWS_AT_ONCE: usize = 8_192;
/// Traces that are read by their ids at once.
const TRACES_AT_ONCE: usize = 1_024;

/// One execution of it.
pub(super) struct Work {
    plan: Arc<Plan>,
    partitions: Mutex<Vec<Partition>>,
    /// Traces to be read by their ids.
    again: Mutex<BTreeSet<TraceId>>,
    /// Threads that still read partitions.
    running: AtomicUsize,
}

/// Takes the rows; broken off when nobody wants more.
pub(super) struct Output {
    sender: mpsc::Sender<Result<RecordBatch>>,
}

impl Work {
    /// Of these partitions, and of the traces of these ids.
    pub(super) fn new(
        plan: &Arc<Plan>,
        partitions: Vec<Partition>,
        ids: BTreeSet<TraceId>,
        threads: usize,
    ) -> Arc<Self> {
        Arc::new(Self {
            plan: Arc::clone(plan),
            partitions: Mutex::new(partitions),
            again: Mutex::new(ids),
            running: AtomicUsize::new(threads),
        })
    }

    fn next(&self) -> Option<Partition> {
        let partitions = self.partitions.lock();
        partitions.unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// What one of the threads does.
    pub(super) fn run(&self, mut output: Output) {
        let mut table = TraceTable::new(&self.plan.schema);
        while let Some(partition) = self.next() {
            if self.read(partition, &mut table, &mut output).is_break() {
                return;
            }
        }
        let is_last = self.running.fetch_sub(1, Ordering::AcqRel) == 1;
        if is_last && self.read_again(&mut table, &mut output).is_break() {
            return;
        }
        // Whether anybody still wants it matters to nobody here.
        let _ = output.rest(&mut table);
    }

    fn read(
        &self,
        partition: Partition,
        table: &mut TraceTable,
        output: &mut Output,
    ) -> ControlFlow<()> {
        let report = &self.plan.reading.report;
        report.opened();
        let name = partition.describe();
        let is_run = partition.has_runs_of_traces() && !partition.may_repeat();
        let mut flow = ControlFlow::Continue(());
        partition.read(|read| {
            let late = Instant::now() >= self.plan.reading.deadline;
            flow = match report.note(&name, read) {
                _ if late || output.sender.is_closed() => ControlFlow::Break(()),
                Some(batch) if self.plan.kind == Kind::Trace => {
                    self.traces(&batch, is_run, table, output)
                }
                Some(batch) => self.spans(&batch, output),
                None => ControlFlow::Continue(()),
            };
            flow
        });
        flow
    }

    /// The spans of a batch, but for traces that are in several places.
    fn spans(&self, batch: &SpanBatch, output: &mut Output) -> ControlFlow<()> {
        let mut rows: Vec<u32> = (0..batch.num_spans() as u32).collect();
        if !self.plan.repeated.is_empty() {
            let columns = batch.columns();
            let mut again = BTreeSet::new();
            rows.retain(|&row| {
                let id = columns.trace_id(row as usize);
                let stays = !self.plan.repeated.contains(&key(id));
                if !stays {
                    again.insert(id);
                }
                stays
            });
            self.leave(again);
        }
        output.spans(&self.plan, batch, &rows)
    }

    /// The traces that lie whole in a batch.
    fn traces(
        &self,
        batch: &SpanBatch,
        is_run: bool,
        table: &mut TraceTable,
        output: &mut Output,
    ) -> ControlFlow<()> {
        let columns = batch.columns();
        let count = batch.num_spans();
        let mut again = BTreeSet::new();
        let mut from = 0;
        while from < count {
            let id = columns.trace_id(from);
            let same = (from..count).take_while(|&row| columns.trace_id(row) == id);
            let to = from + same.count();
            let is_edge = from == 0 || to == count;
            if !is_run || is_edge || self.plan.repeated.contains(&key(id)) {
                again.insert(id);
            } else {
                table.add(id, (from..to).map(|row| (&columns, row)));
                output.full(table)?;
            }
            from = to;
        }
        self.leave(again);
        ControlFlow::Continue(())
    }

    fn leave(&self, mut ids: BTreeSet<TraceId>) {
        let again = self.again.lock();
        again
            .unwrap_or_else(PoisonError::into_inner)
            .append(&mut ids);
    }

    /// What was left.
    fn read_again(&self, table: &mut TraceTable, output: &mut Output) -> ControlFlow<()> {
        let ids = std::mem::take(&mut *self.again.lock().unwrap_or_else(PoisonError::into_inner));
        let ids: Vec<TraceId> = ids.into_iter().collect();
        let (plan, needs) = (&self.plan, self.plan.needs_by_id());
        for ids in ids.chunks(TRACES_AT_ONCE) {
            if output.sender.is_closed() || Instant::now() >= plan.reading.deadline {
                return ControlFlow::Break(());
            }
            let ids: Arc<BTreeSet<TraceId>> = Arc::new(ids.iter().copied().collect());
            let reading = &plan.reading;
            let load = load(
                &reading.snapshot,
                Arc::clone(&ids),
                needs.clone(),
                &reading.memory,
            );
            let Ok(mut loaded) = Handle::current().block_on(load) else {
                return output.send(Err(resources_datafusion_err!("traces")));
            };
            let partial = reading.partial.lock();
            let mut partial = partial.unwrap_or_else(PoisonError::into_inner);
            partial.append(&mut loaded.partial);
            drop(partial);
            let found = group(&loaded.parts, &ids);
            let columns: Vec<_> = loaded.parts.iter().map(SpanBatch::columns).collect();
            if plan.kind == Kind::Trace {
                for trace in &found {
                    let rows = trace.rows.iter();
                    table.add(trace.id, rows.map(|at| (&columns[at.part], at.row)));
                    output.full(table)?;
                }
                continue;
            }
            let mut rows: Vec<Vec<u32>> = vec![Vec::new(); loaded.parts.len()];
            for RowAt { part, row } in found.iter().flat_map(|trace| &trace.rows) {
                rows[*part].push(*row as u32);
            }
            for (batch, rows) in loaded.parts.iter().zip(&rows) {
                output.spans(plan, batch, rows)?;
            }
        }
        ControlFlow::Continue(())
    }
}

/// How repeats know a trace.
fn key(id: TraceId) -> TraceKey {
    u128::from_be_bytes(id.0) as TraceKey
}

impl Output {
    pub(super) fn new(sender: mpsc::Sender<Result<RecordBatch>>) -> Self {
        Self { sender }
    }

    fn send(&mut self, batch: Result<RecordBatch>) -> ControlFlow<()> {
        match self.sender.blocking_send(batch) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }

    /// What these spans have.
    fn spans(&mut self, plan: &Plan, batch: &SpanBatch, rows: &[u32]) -> ControlFlow<()> {
        let columns = batch.columns();
        let mut send = |spans: &[u32], items: &[u32]| {
            let rows = Rows { spans, items };
            let arrays = plan.columns.iter().map(|it| it.what.of(&columns, rows));
            let arrays = arrays.collect();
            let options = RecordBatchOptions::new().with_row_count(Some(spans.len()));
            let batch =
                RecordBatch::try_new_with_options(Arc::clone(&plan.schema), arrays, &options);
            self.send(batch.map_err(DataFusionError::from))
        };
        let items_of = |row: usize| match plan.kind {
            Kind::Event => columns.events.range(row),
            Kind::Link => columns.links.range(row),
            Kind::Span | Kind::Trace => 0..0,
        };
        if plan.kind == Kind::Span {
            return rows
                .chunks(ROWS_AT_ONCE)
                .try_for_each(|rows| send(rows, &[]));
        }
        let (mut spans, mut items) = (Vec::new(), Vec::new());
        for &row in rows {
            for item in items_of(row as usize) {
                spans.push(row);
                items.push(item as u32);
                if spans.len() == ROWS_AT_ONCE {
                    send(&spans, &items)?;
                    spans.clear();
                    items.clear();
                }
            }
        }
        match spans.is_empty() {
            true => ControlFlow::Continue(()),
            false => send(&spans, &items),
        }
    }

    /// Sends the table on when it is full.
    fn full(&mut self, table: &mut TraceTable) -> ControlFlow<()> {
        match table.len() < ROWS_AT_ONCE {
            true => ControlFlow::Continue(()),
            false => self.rest(table),
        }
    }

    fn rest(&mut self, table: &mut TraceTable) -> ControlFlow<()> {
        match table.len() {
            0 => ControlFlow::Continue(()),
            _ => self.send(table.finish()),
        }
    }
}
