//! Searches: from a request to a page of traces, newest first.
//!
//! The first step scans the store back through time, in waves, for traces that may be answers. As soon as they may
//! fill the page, the second loads them whole, those first that may be newest, and decides. A trace starts no later
//! than any of its spans, so the search ends when the page is full of traces that start after every span not yet
//! looked at.

mod front;
mod sweep;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::physical_plan::execute_stream;
use futures::{StreamExt as _, stream};
use spanlight_model::TraceId;
use spanlight_model::convention::FAAS_COLDSTART;
use spanlight_store::{AttributeKeys, Partition, ScanColumns, ScanRequest, Snapshot};
use tokio::time::{Instant, timeout_at};

use crate::answer::{SearchAnswer, SearchRequest};
use crate::candidates::{self, CandidateExec, Conditions, Window};
use crate::cursor::Cursor;
use crate::decide::{Cancelled, Scope, decide};
use crate::error::QueryError;
use crate::explain::ExplainedStep;
use crate::limits::{PartialReason, QueryLimits};
use crate::load::{Loaded, MemoryFull, load_then};
use crate::parallel::workers;
use crate::plan::Plan;
use crate::scan::{ScanReport, SpanScanExec};
use front::Front;
use sweep::{Sweep, Wave};

/// Traces that are loaded at once, at first and at most; more at first where the page has room for more. Twice as many
/// where a trace that has what the query needs may still be no answer: another load costs more than another trace.
const CHUNK_TRACES: std::ops::Range<usize> = 32..1_024;

/// The part of the time limit after which scans stop.
const SCAN_SHARE: f64 = 0.8;

// The steps of an explanation.
const FIND: &str = "find spans, newest first";
const LOAD: &str = "load their traces";

/// The whole query when the text is blank.
const EVERYTHING: &str = "{ }";

pub(crate) async fn run(
    snapshot: Snapshot,
    limits: &QueryLimits,
    memory: &Arc<dyn MemoryPool>,
    request: &SearchRequest,
) -> Result<SearchAnswer, QueryError> {
    check(request, limits)?;
    let text = match request.query.trim() {
        "" => EVERYTHING,
        _ => &request.query,
    };
    let plan = Plan::compile(&spanlight_traceql::parse(text)?);
    let plan = plan.map_err(|unsupported| unsupported.locate(text))?;
    let cursor = request.cursor.as_deref();
    let cursor = cursor
        .map(|cursor| Cursor::of_text(cursor, text))
        .transpose()?;
    let (time_range, after) = match cursor {
        Some(cursor) => (cursor.time_range, Some(cursor.after)),
        None => (request.time_range.clone(), None),
    };
    let started = Instant::now();
    let conditions = Arc::new(Conditions::of(&plan));
    let conditions_of_files = Conditions::of_files(&conditions);
    let is_decided_by_spans = !Arc::ptr_eq(&conditions, &conditions_of_files);
    // One more than asked for tells whether there is a next page.
    let front = match &plan.rank {
        None => Front::new(request.limit + 1, memory),
        Some(rank) => Front::ranked(request.limit.min(rank.limit), memory),
    };
    let mut search = Search {
        conditions_of_files,
        conditions,
        plan: Arc::new(plan),
        scope: Scope {
            time_range,
            after,
            spans_per_trace: request.spans_per_trace,
            window: i64::MIN..i64::MAX,
        },
        front,
        snapshot,
        limits,
        memory: Arc::clone(memory),
        deadline: started + limits.search_time_limit,
        scan_deadline: started + limits.search_time_limit.mul_f64(SCAN_SHARE),
        report: Arc::new(ScanReport::default()),
        answer: SearchAnswer::default(),
        cancelled: Cancelled::default(),
        chunk: CHUNK_TRACES.start * if is_decided_by_spans { 1 } else { 2 },
        is_short_of_memory: false,
        scanned: None,
        waves: 0,
        scanned_for: Duration::ZERO,
        has_long: false,
    };
    let mut outcome = search.waves().await;
    if let Err(Stop::Partial(reason)) = outcome {
        search.note(reason);
        // What a search has found when it ends before its time still counts.
        outcome = search.decide_rest().await;
    }
    match outcome {
        Ok(()) => {}
        Err(Stop::Partial(reason)) => search.note(reason),
        Err(Stop::Failed(error)) => return Err(error),
    }
    Ok(search.finish(text, request.limit))
}

fn check(request: &SearchRequest, limits: &QueryLimits) -> Result<(), QueryError> {
    if request.time_range.end < request.time_range.start {
        return Err(QueryError::TimeRange);
    }
    let bounds = |name: &str, value: usize, min: usize, max: usize| {
        if (min..=max).contains(&value) {
            return Ok(());
        }
        Err(QueryError::Limit {
            message: format!("{name} must be between {min} and {max}, not {value}"),
        })
    };
    bounds("limit", request.limit, 1, limits.traces_max)?;
    let (spans, max) = (request.spans_per_trace, limits.spans_per_trace_max);
    bounds("spans per trace", spans, 0, max)
}

/// Why a search ends before it has seen everything.
enum Stop {
    /// The answer is what was found so far.
    Partial(PartialReason),
    Failed(QueryError),
}

impl<E: std::error::Error> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(QueryError::Internal(error.to_string()))
    }
}

struct Search<'l> {
    plan: Arc<Plan>,
    conditions: Arc<Conditions>,
    /// What is left of them for spans of files, where the store has tested what it was told.
    conditions_of_files: Arc<Conditions>,
    scope: Scope,
    front: Front,
    snapshot: Snapshot,
    limits: &'l QueryLimits,
    memory: Arc<dyn MemoryPool>,
    deadline: Instant,
    /// Earlier, so that there is time to decide what a scan found.
    scan_deadline: Instant,
    report: Arc<ScanReport>,
    answer: SearchAnswer,
    cancelled: Cancelled,
    /// Traces that the next load takes at least.
    chunk: usize,
    /// A load did not fit the memory.
    is_short_of_memory: bool,
    /// The first step's condition and what it read, its rounds and its time.
    scanned: Option<(Option<String>, Arc<spanlight_store::ScanReport>)>,
    waves: u64,
    scanned_for: Duration,
    /// See [`Decided`](crate::decide::Decided).
    has_long: bool,
}

impl Drop for Search<'_> {
    fn drop(&mut self) {
        self.cancelled.set();
    }
}

impl Search<'_> {
    async fn waves(&mut self) -> Result<(), Stop> {
        let window = self.window();
        self.scope.window = window.end_min..window.start_max;
        let request = ScanRequest {
            time_range: Some(window.end_min..window.start_max),
            trace_ids: self.plan.trace_ids().map(Arc::new),
            columns: self.conditions_of_files.columns(),
            filter: self.conditions.pushed(),
        };
        let scan = self.before(self.scan_deadline, self.snapshot.scan(&request));
        let scan = scan.await?;
        let filter = request.filter.as_ref().map(ToString::to_string);
        self.scanned = Some((filter, Arc::clone(&scan.report)));
        let mut sweep = Sweep::new(scan, self.front.missing());
        while let Some(newest) = sweep.newest()
            && !self.front.is_settled(newest)
        {
            let wave = sweep.next(self.front.start_min());
            self.scan(wave, window).await?;
            let rest = sweep.newest();
            if rest.is_none_or(|newest| self.front.may_settle(&self.plan.needs, newest)) {
                self.front.line_up(&self.plan.needs);
                self.decide_front().await?;
            }
        }
        self.look_beyond(request).await
    }

    /// Where there are traces longer than spans beside the range are looked for, says whether more may be there.
    async fn look_beyond(&mut self, mut request: ScanRequest) -> Result<(), Stop> {
        if !self.has_long {
            return Ok(());
        }
        let window = request.time_range.take().unwrap_or_default();
        let scan = self.in_time(self.snapshot.scan(&request)).await?;
        let is_beyond = |it: &Partition| {
            it.min_start_time_unix_nano() < window.start
                || it.max_start_time_unix_nano() > window.end
        };
        if scan.partitions.iter().any(is_beyond) {
            self.note(PartialReason::LongTraces {
                trace_length: self.limits.trace_length,
            });
        }
        Ok(())
    }

    /// The spans that may make a trace of the range an answer.
    fn window(&self) -> Window {
        let length = nanos(self.limits.trace_length);
        let range = &self.scope.time_range;
        let newest = match self.scope.after {
            Some((start, _)) => start.min(range.end),
            None => range.end,
        };
        Window {
            end_min: range.start.saturating_sub(length),
            start_min: i64::MIN,
            start_max: newest.saturating_add(length),
        }
    }

    /// The first step, over a wave.
    async fn scan(&mut self, wave: Wave, window: Window) -> Result<(), Stop> {
        let started = Instant::now();
        self.waves += 1;
        let window = Window {
            start_min: wave.starts.start.max(self.front.start_min()),
            start_max: wave.starts.end.min(window.start_max),
            ..window
        };
        let (in_memory, in_files): (Vec<_>, Vec<_>) =
            wave.partitions.into_iter().partition(Partition::may_repeat);
        let mut found = Vec::new();
        for (partitions, conditions) in [
            (in_memory, &self.conditions),
            (in_files, &self.conditions_of_files),
        ] {
            if !partitions.is_empty() {
                let scan = SpanScanExec::new(partitions, workers(), Arc::clone(&self.report));
                let plan = CandidateExec::new(Arc::new(scan), Arc::clone(conditions), window);
                let context = Arc::new(TaskContext::default());
                found.push(execute_stream(Arc::new(plan), context)?);
            }
        }
        let mut batches = stream::select_all(found);
        while let Some(batch) = self.before(self.scan_deadline, batches.next()).await? {
            // What is in memory never has to be waited for; without this nobody would see that the client left.
            tokio::task::yield_now().await;
            for candidate in candidates::read(&batch?) {
                self.front.add(candidate).map_err(|_| self.memory_full())?;
            }
        }
        self.scanned_for += started.elapsed();
        Ok(())
    }

    /// The second step, for what was found when no more can be.
    async fn decide_rest(&mut self) -> Result<(), Stop> {
        self.front.close(&self.plan.needs);
        self.decide_front().await
    }

    /// The second step, for the traces that are lined up and may still be on the page.
    async fn decide_front(&mut self) -> Result<(), Stop> {
        loop {
            let count = match self.is_short_of_memory {
                true => self.chunk,
                false => self.front.missing().clamp(self.chunk, CHUNK_TRACES.end),
            };
            let ids = self.front.next(count);
            if ids.is_empty() {
                return Ok(());
            }
            self.decide_chunk(ids).await?;
            self.chunk = (self.chunk * 2).min(CHUNK_TRACES.end);
        }
    }

    async fn decide_chunk(&mut self, ids: BTreeSet<TraceId>) -> Result<(), Stop> {
        // Chunks that do not fit the memory are halved.
        let mut left = vec![ids];
        while let Some(mut ids) = left.pop() {
            if self.decide_traces(&ids).await?.is_ok() {
                continue;
            }
            (self.chunk, self.is_short_of_memory) = (CHUNK_TRACES.start, true);
            match ids.iter().nth(ids.len() / 2).copied() {
                Some(middle) if ids.len() > 1 => {
                    left.push(ids.split_off(&middle));
                    left.push(ids);
                }
                // Said of all that may be missing.
                _ if self.answer.partial.contains(&self.memory_limit()) => {}
                _ => self.answer.partial.extend(
                    ids.into_iter()
                        .map(|trace_id| PartialReason::TraceTooLarge { trace_id }),
                ),
            }
        }
        Ok(())
    }

    async fn decide_traces(
        &mut self,
        ids: &BTreeSet<TraceId>,
    ) -> Result<Result<(), MemoryFull>, Stop> {
        let ids = Arc::new(ids.clone());
        // Of every answer it is told whether it was a cold start.
        let cold_start = ScanColumns {
            attributes: AttributeKeys::of([FAAS_COLDSTART]),
            ..ScanColumns::BASE
        };
        let columns = self.plan.fields.columns().union(&cold_start);
        let (plan, scope) = (Arc::clone(&self.plan), self.scope.clone());
        let (cancelled, wanted) = (self.cancelled.clone(), Arc::clone(&ids));
        let then = move |loaded: Result<Loaded, MemoryFull>| {
            let loaded = loaded?;
            let found = decide(&loaded, &wanted, &plan, &scope, &cancelled);
            Ok((loaded, found))
        };
        let loaded = load_then(
            &self.snapshot,
            Arc::clone(&ids),
            columns,
            &self.memory,
            then,
        );
        let (mut loaded, found) = match self.in_time(loaded).await?? {
            Ok(decided) => decided,
            Err(full) => return Ok(Err(full)),
        };
        for reason in std::mem::take(&mut loaded.partial) {
            self.note(reason);
        }
        self.answer.explanation.add(loaded.explain(LOAD));
        let inspected = &mut self.answer.inspected;
        inspected.spans += loaded.inspected.spans;
        inspected.bytes += loaded.inspected.bytes;
        inspected.partitions += loaded.inspected.partitions;
        inspected.traces += ids.len() as u64;
        self.has_long |= found.has_long;
        for (place, summary) in found.answers {
            self.front.found(place, summary);
        }
        Ok(Ok(()))
    }

    async fn in_time<F: Future>(&self, future: F) -> Result<F::Output, Stop> {
        self.before(self.deadline, future).await
    }

    async fn before<F: Future>(&self, deadline: Instant, future: F) -> Result<F::Output, Stop> {
        // A future that is always ready would never see the deadline.
        if Instant::now() >= deadline {
            return Err(self.time_is_up());
        }
        timeout_at(deadline, future)
            .await
            .map_err(|_| self.time_is_up())
    }

    fn time_is_up(&self) -> Stop {
        Stop::Partial(PartialReason::TimeLimit {
            limit: self.limits.search_time_limit,
        })
    }

    fn memory_full(&self) -> Stop {
        Stop::Partial(self.memory_limit())
    }

    fn memory_limit(&self) -> PartialReason {
        PartialReason::MemoryLimit {
            limit_bytes: self.limits.memory_bytes,
        }
    }

    fn note(&mut self, reason: PartialReason) {
        if !self.answer.partial.contains(&reason) {
            self.answer.partial.push(reason);
        }
    }

    fn finish(mut self, text: &str, limit: usize) -> SearchAnswer {
        for reason in self.report.unreadable() {
            self.note(reason);
        }
        let mut answer = std::mem::take(&mut self.answer);
        if let Some((filter, report)) = self.scanned.take() {
            let step = ExplainedStep {
                name: FIND,
                filter,
                rounds: self.waves,
                elapsed: self.scanned_for,
                figures: report.figures(),
            };
            answer.explanation.steps.insert(0, step);
        }
        let scanned = self.report.inspected();
        answer.inspected.spans += scanned.spans;
        answer.inspected.bytes += scanned.bytes;
        answer.inspected.partitions += scanned.partitions;
        answer.traces = self.front.take();
        if answer.traces.len() > limit {
            answer.traces.truncate(limit);
            answer.next_cursor = answer.traces.last().map(|last| {
                let after = (last.start_time_unix_nano, last.trace_id);
                let time_range = self.scope.time_range.clone();
                Cursor { after, time_range }.to_text(text)
            });
        }
        answer
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}
