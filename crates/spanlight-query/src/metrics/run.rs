//! From a question to its answer: the steps of the query, one after the other, on a stack.

use std::sync::Arc;
use std::time::Duration;

use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use spanlight_store::Snapshot;
use spanlight_traceql::ast::{Query, Static};
use tokio::time::Instant;

use super::answer::{MetricsAnswer, MetricsRequest};
use super::exemplars::EXEMPLARS_MAX;
use super::groups::Intervals;
use super::lines::{Lines, Operand, calculate};
use super::plan::{MetricsPlan, Selection};
use super::program::{self, Step};
use super::repeats::RepeatCache;
use super::{Pass, off_the_loop};
use crate::decide::Cancelled;
use crate::error::QueryError;
use crate::limits::{PartialReason, QueryLimits};
use crate::scan::ScanReport;

/// The whole query when the text is blank.
const EVERYTHING: &str = "{ } | rate()";

/// Intervals of an answer, at most.
const INTERVALS_MAX: usize = 11_000;

/// Answers a question.
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
    let query = spanlight_traceql::parse(text)?;
    let steps = program::compile(&query).map_err(|unsupported| unsupported.locate(text))?;
    // What is calculated of points has no span.
    let is_calculated = steps.iter().any(|step| matches!(step, Step::Arithmetic(_)));
    let mut run = Run {
        snapshot,
        limits,
        memory,
        repeats,
        intervals: intervals(request)?,
        deadline: Instant::now() + limits.search_time_limit,
        exemplars: match is_calculated {
            true => 0,
            false => exemplars(&query, request),
        },
        held: MemoryConsumer::new("series").register(memory),
        answer: MetricsAnswer::default(),
    };
    let mut stack = Vec::new();
    for step in steps {
        run.step(step, &mut stack).await?;
    }
    match stack.pop() {
        Some(Operand::Lines(lines)) => Ok(run.finish(lines)),
        _ => Err(QueryError::Internal("a query without series".to_owned())),
    }
}

/// How many the request asks for, unless the query says otherwise.
fn exemplars(query: &Query, request: &MetricsRequest) -> usize {
    let asked = match query.hint("exemplars") {
        Some(Static::Bool(false)) => 0,
        Some(Static::Bool(true)) if request.exemplars == 0 => EXEMPLARS_MAX,
        Some(Static::Int(count)) => usize::try_from(*count).unwrap_or(request.exemplars),
        _ => request.exemplars,
    };
    asked.min(EXEMPLARS_MAX)
}

fn intervals(request: &MetricsRequest) -> Result<Intervals, QueryError> {
    let range = request.time_range.clone();
    if range.end < range.start {
        return Err(QueryError::TimeRange);
    }
    let Some(step) = request.step else {
        return Ok(Intervals::one(range));
    };
    let step = i64::try_from(step.as_nanos()).unwrap_or(i64::MAX);
    let refused = |message: String| QueryError::Limit { message };
    if step == 0 {
        return Err(refused("the step must be longer than nothing".to_owned()));
    }
    Intervals::new(range, step, request.origin, INTERVALS_MAX).ok_or_else(|| {
        refused(format!(
            "the step must be so long that there are at most {INTERVALS_MAX} intervals in the time range"
        ))
    })
}

struct Run<'l> {
    snapshot: Snapshot,
    limits: &'l QueryLimits,
    memory: &'l Arc<dyn MemoryPool>,
    repeats: &'l RepeatCache,
    intervals: Intervals,
    deadline: Instant,
    /// How many to give.
    exemplars: usize,
    /// For the series on the stack.
    held: MemoryReservation,
    answer: MetricsAnswer,
}

impl Run<'_> {
    async fn step(&mut self, step: Step, stack: &mut Vec<Operand>) -> Result<(), QueryError> {
        let result = match step {
            Step::Number(number) => Operand::Number(number),
            Step::Count(plan) => Operand::Lines(self.count(plan).await?),
            Step::Arithmetic(operator) => match (stack.pop(), stack.pop()) {
                (Some(right), Some(left)) => {
                    off_the_loop(move || calculate(operator, left, right)).await?
                }
                _ => return Err(QueryError::Internal("a missing operand".to_owned())),
            },
            Step::Stage(stage) => match stack.pop() {
                Some(Operand::Lines(lines)) => {
                    Operand::Lines(off_the_loop(move || lines.staged(&stage)).await?)
                }
                other => other.unwrap_or(Operand::Number(f64::NAN)),
            },
        };
        stack.push(result);
        let held = stack.iter().map(Operand::byte_size).sum();
        if self.held.try_resize(held).is_err() {
            return Err(QueryError::Memory {
                limit_bytes: self.limits.memory_bytes,
            });
        }
        Ok(())
    }

    /// The series of one function.
    async fn count(&mut self, plan: Arc<MetricsPlan>) -> Result<Lines, QueryError> {
        let mut pass = Pass {
            plan,
            intervals: self.intervals.clone(),
            snapshot: self.snapshot.clone(),
            limits: self.limits,
            memory: Arc::clone(self.memory),
            repeats: self.repeats,
            deadline: self.deadline,
            report: Arc::new(ScanReport::default()),
            cancelled: Cancelled::default(),
            answer: MetricsAnswer::default(),
            lines: Lines::default(),
            scans: Vec::new(),
            read_for: Duration::ZERO,
        };
        let plan = Arc::clone(&pass.plan);
        match &plan.selection {
            _ if plan.compare.is_some() => pass.compare().await?,
            Selection::Spans(filter) => pass.spans(filter).await?,
            Selection::Traces => pass.traces().await?,
            Selection::Whole => pass.whole().await?,
        }
        if self.exemplars > 0 && plan.compare.is_none() {
            pass.exemplars(self.exemplars).await?;
        }
        let (answer, lines) = pass.finish();
        for reason in answer.partial {
            self.note(reason);
        }
        self.answer.inspected.add(answer.inspected);
        for step in answer.explanation.steps {
            self.answer.explanation.add(step);
        }
        Ok(lines)
    }

    fn note(&mut self, reason: PartialReason) {
        if !self.answer.partial.contains(&reason) {
            self.answer.partial.push(reason);
        }
    }

    fn finish(mut self, mut lines: Lines) -> MetricsAnswer {
        let limit = self.limits.series_max;
        if lines.list.len() > limit {
            self.note(PartialReason::SeriesLimit {
                limit,
                found: lines.list.len(),
            });
            lines.list.truncate(limit);
        }
        let mut answer = self.answer;
        answer.name.clone_from(&lines.name);
        answer.series = lines.into_series(&self.intervals);
        answer
    }
}
