//! Metrics: time series of the spans that a query selects, exact over all of them.
//!
//! One pass reads the few columns that the query names, on as many threads as there are cores. A query whose filter
//! decides each span by itself counts rows as they go by ([`spans`]); one that relates spans decides traces as they go
//! by ([`traces`]).

mod answer;
mod groups;
mod measure;
mod plan;
mod relate;
mod repeats;
mod spans;
mod table;
mod traces;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use spanlight_model::TraceId;
use spanlight_store::{Partition, ScanColumns, ScanRequest, Snapshot};
use tokio::time::Instant;

use crate::decide::{self, Cancelled};
use crate::error::QueryError;
use crate::explain::ExplainedStep;
use crate::limits::{PartialReason, QueryLimits};
use crate::load::{Loaded, load};
use crate::parallel::{self, Stopped, Worker};
use crate::predicate::{self, Filter};
use crate::scan::ScanReport;
pub use answer::{MetricsAnswer, MetricsRequest, Point, Series};
use groups::{Groups, Intervals};
use measure::{Cells, sample};
use plan::{MetricsPlan, Selection};
pub(crate) use repeats::RepeatCache;
use repeats::{FileTraces, KeyWorker, Repeated};
use spans::SpanWorker;
use table::Table;
use traces::TraceWorker;

/// The whole query when the text is blank.
const EVERYTHING: &str = "{ } | rate()";

/// Intervals of an answer, at most.
const INTERVALS_MAX: usize = 11_000;

/// Traces that are read again at once.
const CHUNK_TRACES: usize = 1_024;

// The steps of an explanation.
const SPANS: &str = "count spans";
const REPEATS: &str = "count spans that may have come twice";
const PLACES: &str = "find traces that lie in several places";
const TRACES: &str = "relate spans, trace by trace";
const LOAD_AGAIN: &str = "load those traces";

pub(crate) async fn run(
    snapshot: Snapshot,
    limits: &QueryLimits,
    memory: &Arc<dyn MemoryPool>,
    repeats: &RepeatCache,
    request: &MetricsRequest,
) -> Result<MetricsAnswer, QueryError> {
    let text = match request.query.trim() {
        "" => EVERYTHING,
        _ => &request.query,
    };
    let plan = MetricsPlan::compile(&spanlight_traceql::parse(text)?);
    let plan = plan.map_err(|unsupported| unsupported.locate(text))?;
    let intervals = intervals(request)?;
    let mut pass = Pass {
        plan: Arc::new(plan),
        intervals,
        snapshot,
        limits,
        memory: Arc::clone(memory),
        repeats,
        deadline: Instant::now() + limits.search_time_limit,
        report: Arc::new(ScanReport::default()),
        cancelled: Cancelled::default(),
        answer: MetricsAnswer::default(),
        scans: Vec::new(),
        read_for: Duration::ZERO,
    };
    let filter = match &pass.plan.selection {
        Selection::Spans(filter) => Some(filter.clone()),
        Selection::Traces => None,
    };
    match filter {
        Some(filter) => pass.spans(&filter).await?,
        None => pass.traces().await?,
    }
    Ok(pass.finish())
}

fn intervals(request: &MetricsRequest) -> Result<Intervals, QueryError> {
    if request.time_range.end < request.time_range.start {
        return Err(QueryError::TimeRange);
    }
    let step = i64::try_from(request.step.as_nanos()).unwrap_or(i64::MAX);
    let refused = |message: String| QueryError::Limit { message };
    if step == 0 {
        return Err(refused("the step must be longer than nothing".to_owned()));
    }
    Intervals::new(request.time_range.clone(), step, INTERVALS_MAX).ok_or_else(|| {
        refused(format!(
            "the step must be so long that there are at most {INTERVALS_MAX} intervals in the time range"
        ))
    })
}

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
        let columns = fields.columns().union(&ScanColumns {
            steps: Some(self.intervals.steps()),
            trace_id: !repeated.is_empty(),
            ..ScanColumns::NONE
        });
        let condition = predicate::condition(std::slice::from_ref(filter), fields);
        let scan = self
            .scan(SPANS, Some(range.clone()), columns.clone(), condition)
            .await;
        let mut partitions: Vec<Partition> =
            scan.into_iter().filter(|it| !it.may_repeat()).collect();
        // The record that stands may be one that the filter refuses, so all are needed.
        let columns = columns.union(&ScanColumns {
            trace_id: true,
            span_id: true,
            parent_span_id: true,
            kind: true,
            received_at: true,
            ..ScanColumns::NONE
        });
        let scan = self.scan(REPEATS, Some(range), columns, None).await;
        partitions.extend(scan.into_iter().filter(Partition::may_repeat));
        partitions
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
        let (mut records, mut left_out) = (Vec::new(), BTreeSet::new());
        for worker in workers {
            let numbers = table.add_groups(&worker.groups);
            table.add_cells(worker.cells, &numbers);
            left_out.extend(worker.left_out);
            records.extend(worker.records.into_iter().map(|mut record| {
                record.cell = table.renumber(&numbers, record.cell);
                record
            }));
        }
        table = self.again(table, left_out).await?;
        let (mut table, sought) = off_the_loop(move || {
            spans::resolve(records, |it| table.add(it.cell, it.sample));
            let sought = table.sought();
            (table, sought)
        })
        .await?;
        if let Some(sought) = sought.map(Arc::new) {
            let partitions = self.partitions_of_spans(filter, &repeated).await;
            let partitions = partitions.into_iter().filter(|it| !it.may_repeat());
            let workers = self
                .read(partitions.collect(), |pass| {
                    let groups = table.groups(&pass.plan.by, pass.intervals.clone());
                    let cells = Cells::Sought(Arc::clone(&sought), Vec::new());
                    SpanWorker::new(&pass.plan, filter, cells, groups, &repeated, pass.reserve())
                })
                .await?;
            let cells = workers.into_iter().map(|worker| worker.cells);
            cells.for_each(|cells| table.add_sought(cells));
        }
        self.series(table).await
    }

    /// The traces that are in several places.
    async fn repeated(&mut self, range: Range<i64>) -> Result<Arc<Repeated>, QueryError> {
        let columns = ScanColumns {
            trace_id: true,
            ..ScanColumns::NONE
        };
        let scan = self.scan(PLACES, Some(range), columns.clone(), None).await;
        let (memory, files): (Vec<_>, Vec<_>) = scan.into_iter().partition(|it| it.run().is_none());
        let parts: BTreeSet<String> = files.iter().map(Partition::describe).collect();
        let known = match self.repeats.get(&parts) {
            Some(known) => known,
            None => {
                // Whole: the next question may have another range within the same parts.
                let mut whole = self.scan(PLACES, None, columns, None).await;
                whole.retain(|it| it.run().is_some() && parts.contains(&it.describe()));
                let places: BTreeSet<String> = whole.iter().filter_map(Partition::run).collect();
                let workers = self.keys(places, whole).await?;
                let found = off_the_loop(move || FileTraces::of(parts, workers)).await?;
                let found = Arc::new(found);
                // What was cut short is not the whole truth.
                if self.answer.partial.is_empty() {
                    self.repeats.put(&found);
                }
                found
            }
        };
        if memory.is_empty() {
            return Ok(known.repeated(Vec::new()));
        }
        let workers = self.keys(BTreeSet::new(), memory).await?;
        Ok(known.repeated(workers))
    }

    async fn keys(
        &mut self,
        places: BTreeSet<String>,
        partitions: Vec<Partition>,
    ) -> Result<Vec<KeyWorker>, QueryError> {
        let places = Arc::new(places.into_iter().collect());
        self.read(partitions, |pass| KeyWorker::new(&places, pass.reserve()))
            .await
    }

    /// Spans by their traces.
    async fn traces(&mut self) -> Result<(), QueryError> {
        // What a span is related to may lie outside the range.
        let range = self.intervals.time_range();
        let length = i64::try_from(self.limits.trace_length.as_nanos()).unwrap_or(i64::MAX);
        let range = range.start.saturating_sub(length)..range.end.saturating_add(length);
        let repeated = self.repeated(range.clone()).await?;
        let columns = ScanColumns {
            trace_id: true,
            span_id: true,
            parent_span_id: true,
            steps: Some(self.intervals.steps()),
            ..self.plan.plan.fields.columns()
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
            let odd = traces::join(&plan, fragments, |cell, sample| table.add(cell, sample));
            (table, odd)
        })
        .await?;
        again.extend(odd);
        let mut table = self.again(table, again).await?;
        if let Some(sought) = table.sought().map(Arc::new) {
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
        self.series(table).await
    }

    /// Counts traces that are read by their ids.
    async fn again(
        &mut self,
        mut table: Table,
        again: BTreeSet<TraceId>,
    ) -> Result<Table, QueryError> {
        let again: Vec<TraceId> = again.into_iter().collect();
        for ids in again.chunks(CHUNK_TRACES) {
            let ids = Arc::new(ids.iter().copied().collect::<BTreeSet<_>>());
            let Some(loaded) = self.load(&ids).await else {
                break;
            };
            table = self.general(table, loaded, ids).await?;
        }
        Ok(table)
    }

    /// Traces that must be read again, whole; `None` when the limits are reached.
    async fn load(&mut self, ids: &Arc<BTreeSet<TraceId>>) -> Option<Loaded> {
        let columns = self.plan.plan.fields.columns().union(&ScanColumns::BASE);
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

    /// Decides loaded traces the way that a search does.
    async fn general(
        &self,
        mut table: Table,
        loaded: Loaded,
        ids: Arc<BTreeSet<TraceId>>,
    ) -> Result<Table, QueryError> {
        let (plan, mut groups) = (Arc::clone(&self.plan), self.groups());
        let cancelled = self.cancelled.clone();
        off_the_loop(move || {
            let slot = plan.measure.slot();
            decide::select(&loaded, &ids, &plan.plan, &cancelled, |bound, rows| {
                let cells = groups.cells(bound, &rows);
                let numbers = table.add_groups(&groups);
                for (row, cell) in rows.into_iter().zip(cells) {
                    let cell = table.renumber(&numbers, cell);
                    table.add(cell, sample(bound, slot, row as usize));
                }
            });
            table
        })
        .await
    }

    async fn series(&mut self, table: Table) -> Result<(), QueryError> {
        let (plan, intervals) = (Arc::clone(&self.plan), self.intervals.clone());
        if table.overflow {
            self.stopped(Some(Stopped::Memory));
        }
        self.answer.series = off_the_loop(move || table.series(&plan, &intervals)).await?;
        Ok(())
    }

    fn finish(mut self) -> MetricsAnswer {
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
        answer
    }
}

/// Long work, where it keeps nobody waiting.
async fn off_the_loop<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, QueryError> {
    let work = tokio::task::spawn_blocking(work).await;
    work.map_err(|error| QueryError::Internal(error.to_string()))
}
