//! Counting spans that are selected with their whole traces, and those that must be read again by their ids.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::execution::memory_pool::MemoryReservation;
use spanlight_model::TraceId;
use spanlight_store::{AttributeColumn, Partition, ScanColumns};

use super::groups::Groups;
use super::measure::{Cells, sample};
use super::plan::MetricsPlan;
use super::rows::{RowWorker, Sink};
use super::table::Table;
use super::weights::Weights;
use super::{CHUNK_TRACES, Pass, TRACES, off_the_loop};
use crate::decide;
use crate::error::QueryError;
use crate::load::MemoryFull;
use crate::parallel::Stopped;
use crate::predicate::Bound;
use crate::traces::group;

/// Counts in cells of its own.
#[derive(Debug)]
pub(super) struct CellSink {
    plan: Arc<MetricsPlan>,
    groups: Groups,
    cells: Cells,
}

impl Sink for CellSink {
    fn add(
        &mut self,
        bound: &Bound<'_>,
        rows: &[u32],
        _: &[AttributeColumn],
        memory: &MemoryReservation,
    ) -> Result<(), MemoryFull> {
        let cells = self.groups.cells(bound, rows);
        let (count, other) = (self.groups.cell_count(), self.groups.byte_size());
        self.cells.grow_within(count, memory, other)?;
        self.cells.add(&self.plan.measure, bound, rows, &cells);
        Ok(())
    }

    fn fit(&mut self, memory: &MemoryReservation, other: usize) -> Result<(), MemoryFull> {
        self.cells.fit(memory, self.groups.byte_size() + other)
    }
}

/// Counts in the cells of all.
pub(super) struct TableSink {
    plan: Arc<MetricsPlan>,
    groups: Groups,
    table: Table,
}

impl Sink for TableSink {
    fn add(
        &mut self,
        bound: &Bound<'_>,
        rows: &[u32],
        _: &[AttributeColumn],
        _: &MemoryReservation,
    ) -> Result<(), MemoryFull> {
        let cells = self.groups.cells(bound, rows);
        let numbers = self.table.add_groups(&self.groups);
        let weights = Weights::of(&bound.columns);
        for (&row, cell) in rows.iter().zip(cells) {
            let cell = self.table.renumber(&numbers, cell);
            let sample = sample(bound, self.plan.measure.slot(), row as usize);
            self.table.add(cell, sample, weights.at(row as usize));
        }
        Ok(())
    }

    fn fit(&mut self, _: &MemoryReservation, _: usize) -> Result<(), MemoryFull> {
        Ok(())
    }
}

impl Pass<'_> {
    /// Spans by their whole traces.
    pub(super) async fn whole(&mut self) -> Result<(), QueryError> {
        let groups = |pass: &Self| pass.groups();
        let make = |pass: &Self| CellSink {
            plan: Arc::clone(&pass.plan),
            groups: groups(pass),
            cells: Cells::new(&pass.plan.measure),
        };
        // Receipt decides between records of one span, and in a file there is one of each.
        let columns = self.plan.columns().union(&ScanColumns {
            received_at: false,
            ..ScanColumns::BASE
        });
        let workers = self.rows(columns.clone(), |_| true, make).await?;
        let mut table = Table::new(&self.plan.measure, self.intervals.count());
        let mut again = BTreeSet::new();
        for worker in workers {
            let numbers = table.add_groups(&worker.sink.groups);
            table.add_cells(worker.sink.cells, &numbers);
            again.extend(worker.again);
        }
        let table = self.again(table, again).await?;
        let (mut table, sought) = Self::sought(table).await?;
        if let Some(sought) = sought {
            let make = |pass: &Self| CellSink {
                plan: Arc::clone(&pass.plan),
                groups: table.groups(&pass.plan.by, pass.intervals.clone()),
                cells: Cells::Sought(Arc::clone(&sought), Vec::new()),
            };
            let workers = self.rows(columns, Partition::has_runs_of_traces, make);
            let cells = workers.await?.into_iter().map(|worker| worker.sink.cells);
            cells.for_each(|cells| table.add_sought(cells));
        }
        self.lines(table).await
    }

    /// The selected rows, but for those of the traces that must be read again.
    pub(super) async fn rows<S: Sink>(
        &mut self,
        columns: ScanColumns,
        wanted: impl Fn(&Partition) -> bool,
        make: impl Fn(&Self) -> S,
    ) -> Result<Vec<RowWorker<S>>, QueryError> {
        let range = self.range_of_traces();
        let repeated = self.repeated(range.clone()).await?;
        let mut partitions = self.scan(TRACES, Some(range), columns, None).await;
        partitions.retain(wanted);
        self.read(partitions, |pass| {
            let sink = make(pass);
            let memory = (pass.reserve(), pass.limits.memory_bytes);
            RowWorker::new(&pass.plan, sink, &repeated, &pass.cancelled, memory)
        })
        .await
    }

    /// Counts traces that are read by their ids.
    pub(super) async fn again(
        &mut self,
        table: Table,
        again: BTreeSet<TraceId>,
    ) -> Result<Table, QueryError> {
        if again.is_empty() {
            return Ok(table);
        }
        let sink = TableSink {
            plan: Arc::clone(&self.plan),
            groups: self.groups(),
            table,
        };
        let columns = self.plan.columns().union(&ScanColumns::BASE);
        Ok(self.by_ids(sink, columns, again).await?.table)
    }

    /// The rows that are selected of traces, which are read by their ids and decided the way that a search does.
    pub(super) async fn by_ids<S: Sink>(
        &mut self,
        mut sink: S,
        columns: ScanColumns,
        ids: BTreeSet<TraceId>,
    ) -> Result<S, QueryError> {
        let ids: Vec<TraceId> = ids.into_iter().collect();
        for ids in ids.chunks(CHUNK_TRACES) {
            let ids = Arc::new(ids.iter().copied().collect::<BTreeSet<_>>());
            let Some(loaded) = self.load(&ids, columns.clone()).await else {
                break;
            };
            let (plan, cancelled) = (Arc::clone(&self.plan), self.cancelled.clone());
            let memory = self.reserve();
            let added;
            (sink, added) = off_the_loop(move || {
                let traces = group(&loaded.parts, &ids);
                let mut added = Ok(());
                let (parts, plan) = (&loaded.parts, &plan.plan);
                decide::select(parts, &traces, plan, &cancelled, |bound, rows| {
                    if added.is_ok() {
                        added = sink.add(bound, &rows, &[], &memory);
                    }
                });
                (sink, added)
            })
            .await?;
            if added.is_err() {
                self.stopped(Some(Stopped::Memory));
                break;
            }
        }
        Ok(sink)
    }
}
