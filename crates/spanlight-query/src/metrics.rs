//! Metrics: time series of the spans that a query selects, exact over all of them.
//!
//! One pass reads the few columns that the query names, on as many threads as there are cores. A query whose filter
//! decides each span by itself counts rows as they go by ([`spans`]); one that relates spans decides traces as they go
//! by ([`traces`]); what needs all of a trace has it assembled ([`whole`]). Of what was counted, [`lines`] are made, and
//! calculated with.

mod answer;
mod compare;
mod exemplars;
mod groups;
mod lines;
mod measure;
mod plan;
mod program;
mod relate;
pub(crate) mod repeats;
mod roots;
mod rows;
mod run;
mod spans;
mod table;
mod traces;
mod weights;
mod whole;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use spanlight_model::TraceId;
use spanlight_store::{Partition, ScanColumns, ScanRequest, Snapshot};
use tokio::time::Instant;

use crate::decide::Cancelled;
use crate::error::QueryError;
use crate::explain::ExplainedStep;
use crate::limits::{PartialReason, QueryLimits};
use crate::load::{Loaded, load};
use crate::parallel::{self, Stopped, Worker};
use crate::predicate::{self, Filter};
use crate::scan::ScanReport;
pub use answer::{Exemplar, MetricsAnswer, MetricsRequest, Point, Series};
use groups::{Groups, Intervals};
use lines::Lines;
use measure::{Cells, Sought};
use plan::MetricsPlan;
pub(crate) use repeats::RepeatCache;
use repeats::Repeated;
pub(crate) use run::run;
use spans::SpanWorker;
use table::Table;
use traces::TraceWorker;

/// Traces that are read again at once.
const CHUNK_TRACES: usize = 1_024;

// The steps of an explanation.
const SPANS: &str = "count spans";
const PLACES: &str = "find traces that lie in several places";
const TRACES: &str = "relate spans, trace by trace";
const LOAD_AGAIN: &str = "load those traces";

struct Pass<'l> {
    plan: Arc<MetricsPlan>,
    intervals: Intervals,
    snapshot: Snapshot,
    limits: &'l QueryLimits,
    memory: Arc<dyn MemoryPool>,
    repeats: &'l RepeatCache,
    deadline: Instant,
    report: Arc<ScanReport>,
    cancelled: Cancelled,
    answer: MetricsAnswer,
    lines: Lines,
    /// What was scanned, by name and condition.
    scans: Vec<(
        &'static str,
        Option<String>,
        Arc<spanlight_store::ScanReport>,
    )>,
    read_for: Duration,
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.cancelled.set();
    }
}

impl Pass<'_> {
    fn reserve(&self) -> MemoryReservation {
        MemoryConsumer::new("metrics").register(&self.memory)
    }

    fn groups(&self) -> Groups {
        Groups::new(&self.plan.by, self.intervals.clone())
    }

    async fn read<W: Worker>(
        &mut self,
        mut partitions: Vec<Partition>,
        make: impl Fn(&Self) -> W,
    ) -> Result<Vec<W>, QueryError> {
        // The largest are taken first, so that the workers end together.
        partitions.sort_by_key(Partition::span_count_upper_bound);
        let workers = parallel::workers().clamp(1, partitions.len().max(1));
        let workers = (0..workers).map(|_| make(self)).collect();
        let started = Instant::now();
        let (workers, stopped) =
            parallel::pass(partitions, workers, &self.report, self.deadline).await?;
        self.read_for += started.elapsed();
        self.stopped(stopped);
        Ok(workers)
    }

    async fn scan(
        &mut self,
        name: &'static str,
        time_range: Option<Range<i64>>,
        columns: ScanColumns,
        filter: Option<Arc<spanlight_store::Filter>>,
    ) -> Vec<Partition> {
        let request = ScanRequest {
            time_range,
            trace_ids: None,
            columns,
            filter,
        };
        let scan = self.snapshot.scan(&request).await;
        let filter = request.filter.as_ref().map(ToString::to_string);
        self.scans.push((name, filter, scan.report));
        scan.partitions
    }

    /// The partitions for spans that are counted each by itself.
    async fn partitions_of_spans(
        &mut self,
        filter: &Filter,
        repeated: &Repeated,
    ) -> Vec<Partition> {
        let range = self.intervals.time_range();
        let plan = Arc::clone(&self.plan);
        let fields = &plan.plan.fields;
        let columns = plan.columns().union(&ScanColumns {
            steps: Some(self.intervals.steps()),
            trace_id: !repeated.is_empty(),
            ..ScanColumns::NONE
        });
        let condition = predicate::condition(std::slice::from_ref(filter), fields);
        self.scan(SPANS, Some(range), columns, condition).await
    }

    fn stopped(&mut self, stopped: Option<Stopped>) {
        self.answer
            .partial
            .extend(stopped.map(|stopped| match stopped {
                Stopped::Time => PartialReason::TimeLimit {
                    limit: self.limits.search_time_limit,
                },
                Stopped::Memory => self.memory_full(),
            }));
    }

    fn memory_full(&self) -> PartialReason {
        PartialReason::MemoryLimit {
            limit_bytes: self.limits.memory_bytes,
        }
    }

    /// Each span by itself.
    async fn spans(&mut self, filter: &Filter) -> Result<(), QueryError> {
        let repeated = self.repeated(self.intervals.time_range()).await?;
        let partitions = self.partitions_of_spans(filter, &repeated).await;
        let workers = self
            .read(partitions, |pass| {
                let (cells, memory) = (Cells::new(&pass.plan.measure), pass.reserve());
                SpanWorker::new(&pass.plan, filter, cells, pass.groups(), &repeated, memory)
            })
            .await?;
        let mut table = Table::new(&self.plan.measure, self.intervals.count());
        let mut left_out = BTreeSet::new();
        for worker in workers {
            let numbers = table.add_groups(&worker.groups);
            table.add_cells(worker.cells, &numbers);
            left_out.extend(worker.left_out);
        }
        let table = self.again(table, left_out).await?;
        let (mut table, sought) = Self::sought(table).await?;
        if let Some(sought) = sought {
            let partitions = self.partitions_of_spans(filter, &repeated).await;
            let workers = self
                .read(partitions, |pass| {
                    let groups = table.groups(&pass.plan.by, pass.intervals.clone());
                    let cells = Cells::Sought(Arc::clone(&sought), Vec::new());
                    SpanWorker::new(&pass.plan, filter, cells, groups, &repeated, pass.reserve())
                })
                .await?;
            let cells = workers.into_iter().map(|worker| worker.cells);
            cells.for_each(|cells| table.add_sought(cells));
        }
        self.lines(table).await
    }

    /// What a second pass must keep of what is in the table.
    async fn sought(mut table: Table) -> Result<(Table, Option<Arc<Sought>>), QueryError> {
        off_the_loop(move || {
            let sought = table.sought().map(Arc::new);
            (table, sought)
        })
        .await
    }

    /// The traces that are in several places.
    async fn repeated(&mut self, range: Range<i64>) -> Result<Arc<Repeated>, QueryError> {
        let started = Instant::now();
        let reading = repeats::Search {
            snapshot: &self.snapshot,
            cache: self.repeats,
            memory: &self.memory,
            report: &self.report,
            deadline: self.deadline,
        };
        let found = reading.find(Some(range)).await?;
        self.scans.push((PLACES, None, found.report));
        self.read_for += started.elapsed();
        self.stopped(found.stopped);
        Ok(found.repeated)
    }

    /// What a span is related to may lie outside the range.
    fn range_of_traces(&self) -> Range<i64> {
        let range = self.intervals.time_range();
        let length = i64::try_from(self.limits.trace_length.as_nanos()).unwrap_or(i64::MAX);
        range.start.saturating_sub(length)..range.end.saturating_add(length)
    }

    /// Spans by their traces.
    async fn traces(&mut self) -> Result<(), QueryError> {
        let range = self.range_of_traces();
        let repeated = self.repeated(range.clone()).await?;
        let columns = ScanColumns {
            trace_id: true,
            span_id: true,
            parent_span_id: true,
            steps: Some(self.intervals.steps()),
            ..self.plan.columns()
        };
        let scan = self.scan(TRACES, Some(range.clone()), columns.clone(), None);
        let partitions = scan.await;
        let workers = self
            .read(partitions, |pass| {
                let (cells, memory) = (Cells::new(&pass.plan.measure), pass.reserve());
                TraceWorker::new(&pass.plan, cells, pass.groups(), &repeated, memory)
            })
            .await?;
        let mut table = Table::new(&self.plan.measure, self.intervals.count());
        let (mut fragments, mut again) = (Vec::new(), BTreeSet::new());
        for worker in workers {
            let numbers = table.add_groups(&worker.groups);
            table.add_cells(worker.cells, &numbers);
            again.extend(worker.again);
            fragments.extend(worker.fragments.into_iter().map(|mut it| {
                it.fact.cell = table.renumber(&numbers, it.fact.cell);
                it
            }));
        }
        let plan = Arc::clone(&self.plan);
        let (table, odd) = off_the_loop(move || {
            let odd = traces::join(&plan, fragments, |it| {
                table.add(it.cell, it.sample, it.weight)
            });
            (table, odd)
        })
        .await?;
        again.extend(odd);
        let table = self.again(table, again).await?;
        let (mut table, sought) = Self::sought(table).await?;
        if let Some(sought) = sought {
            let partitions = self.scan(TRACES, Some(range), columns, None).await;
            let partitions = partitions.into_iter().filter(Partition::has_runs_of_traces);
            let workers = self
                .read(partitions.collect(), |pass| {
                    let groups = table.groups(&pass.plan.by, pass.intervals.clone());
                    let cells = Cells::Sought(Arc::clone(&sought), Vec::new());
                    TraceWorker::new(&pass.plan, cells, groups, &repeated, pass.reserve())
                })
                .await?;
            let cells = workers.into_iter().map(|worker| worker.cells);
            cells.for_each(|cells| table.add_sought(cells));
        }
        self.lines(table).await
    }

    /// Traces that must be read again, whole; `None` when the limits are reached.
    async fn load(&mut self, ids: &Arc<BTreeSet<TraceId>>, columns: ScanColumns) -> Option<Loaded> {
        let load = load(&self.snapshot, Arc::clone(ids), columns, &self.memory);
        match tokio::time::timeout_at(self.deadline, load).await {
            Ok(Ok(mut loaded)) => {
                self.answer.partial.append(&mut loaded.partial);
                self.answer.inspected.add(loaded.inspected);
                self.answer.explanation.add(loaded.explain(LOAD_AGAIN));
                self.answer.inspected.traces += ids.len() as u64;
                Some(loaded)
            }
            Ok(Err(_)) => {
                self.stopped(Some(Stopped::Memory));
                None
            }
            Err(_) => {
                self.stopped(Some(Stopped::Time));
                None
            }
        }
    }

    async fn lines(&mut self, table: Table) -> Result<(), QueryError> {
        let (plan, intervals) = (Arc::clone(&self.plan), self.intervals.clone());
        if table.overflow {
            self.stopped(Some(Stopped::Memory));
        }
        self.lines = off_the_loop(move || table.lines(&plan, &intervals)).await?;
        Ok(())
    }

    /// The series, and an answer that has all else.
    fn finish(mut self) -> (MetricsAnswer, Lines) {
        let mut answer = std::mem::take(&mut self.answer);
        for reason in self.report.unreadable() {
            if !answer.partial.contains(&reason) {
                answer.partial.push(reason);
            }
        }
        answer.inspected.add(self.report.inspected());
        for (name, filter, report) in self.scans.drain(..) {
            answer.explanation.add(ExplainedStep {
                name,
                filter,
                rounds: 1,
                elapsed: self.read_for,
                figures: report.figures(),
            });
        }
        (answer, std::mem::take(&mut self.lines))
    }
}

/// Long work, where it keeps nobody waiting.
pub(crate) async fn off_the_loop<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, QueryError> {
    let work = tokio::task::spawn_blocking(work).await;
    work.map_err(|error| QueryError::Internal(error.to_string()))
}
