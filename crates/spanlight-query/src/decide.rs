//! The second step of a search: loads whole traces and decides each exactly.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use spanlight_model::{SpanBatch, SpanColumns, TraceId};
use spanlight_traceql::ast::Field;

use crate::answer::TraceSummary;
use crate::cursor::Key;
use crate::load::Loaded;
use crate::plan::Plan;
use crate::predicate::{Bound, TraceFacts, TraceShape, is_trace_level};
use crate::spanset::Evaluation;
use crate::summary::summarize;
use crate::traces::{TraceRows, group};

/// Which traces are answers, beside what the query says.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    /// The trace's interval overlaps this range, both ends included.
    pub(crate) time_range: std::ops::Range<i64>,
    /// The trace comes after this one.
    pub(crate) after: Option<Key>,
    pub(crate) spans_per_trace: usize,
    /// Where spans that may match were looked for.
    pub(crate) window: std::ops::Range<i64>,
}

/// What was decided of some traces.
#[derive(Debug)]
pub(crate) struct Decided {
    /// In no order; each with its place where answers are not by time: greater ones come earlier.
    pub(crate) answers: Vec<(i64, TraceSummary)>,
    /// A trace of the range has spans outside the window, so there may be others, of which all that matches is there.
    pub(crate) has_long: bool,
}

impl Scope {
    fn includes(&self, trace: &TraceRows) -> bool {
        trace.start <= self.time_range.end
            && trace.end >= self.time_range.start
            && self
                .after
                .is_none_or(|after| (trace.start, trace.id) < after)
    }
}

/// Set when the search was dropped: the work on another thread ends at the next trace.
#[derive(Debug, Default, Clone)]
pub(crate) struct Cancelled(Arc<AtomicBool>);

impl Cancelled {
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The rows of each part that the query selects of these traces, with the part's fields. Runs long.
pub(crate) fn select(
    parts: &[SpanBatch],
    traces: &[TraceRows],
    plan: &Plan,
    cancelled: &Cancelled,
    mut selected: impl FnMut(&Bound<'_>, Vec<u32>),
) {
    let columns: Vec<SpanColumns<'_>> = parts.iter().map(SpanBatch::columns).collect();
    let (shapes, places) = shapes(plan, traces, &columns);
    let bound = bound(plan, columns, &shapes, &places);
    let hits = hits(plan, traces, &bound, cancelled);
    let mut rows: Vec<Vec<u32>> = vec![Vec::new(); bound.len()];
    for trace in traces.iter().take_while(|_| !cancelled.is_set()) {
        let evaluation = Evaluation {
            trace,
            bound: &bound,
            hits: &hits,
            shows: false,
        };
        for span in evaluation.run(plan).iter().flat_map(|set| &set.spans) {
            let at = trace.rows[*span];
            rows[at.part].push(at.row as u32);
        }
    }
    for (bound, mut rows) in bound.iter().zip(rows) {
        rows.sort_unstable();
        rows.dedup();
        selected(bound, rows);
    }
}

/// The fields of each part, with what is known of the traces.
fn bound<'a>(
    plan: &Plan,
    columns: Vec<SpanColumns<'a>>,
    shapes: &'a [TraceShape<'a>],
    places: &'a [Vec<(u32, u32)>],
) -> Vec<Bound<'a>> {
    let parts = columns.into_iter().zip(places);
    let bind = |(columns, places): (SpanColumns<'a>, &'a Vec<(u32, u32)>)| {
        Bound::new(&plan.fields, columns, Some(TraceFacts { shapes, places }))
    };
    parts.map(bind).collect()
}

/// Decides the loaded traces. Runs long; for a blocking thread.
pub(crate) fn decide(
    loaded: &Loaded,
    wanted: &BTreeSet<TraceId>,
    plan: &Plan,
    scope: &Scope,
    cancelled: &Cancelled,
) -> Decided {
    let mut traces = group(&loaded.parts, wanted);
    traces.retain(|trace| scope.includes(trace));
    let window = &scope.window;
    let is_long = |trace: &TraceRows| trace.start < window.start || trace.end > window.end;
    let has_long = traces.iter().any(is_long);
    let columns: Vec<SpanColumns<'_>> = loaded.parts.iter().map(|part| part.columns()).collect();
    let (shapes, places) = shapes(plan, &traces, &columns);
    let bound = bound(plan, columns, &shapes, &places);
    let hits = hits(plan, &traces, &bound, cancelled);
    let answers = traces
        .iter()
        .take_while(|_| !cancelled.is_set())
        .filter_map(|trace| {
            let evaluation = Evaluation {
                trace,
                bound: &bound,
                hits: &hits,
                shows: true,
            };
            let mut sets = evaluation.run(plan);
            let count = scope.spans_per_trace;
            if sets.is_empty() {
                return None;
            }
            let rank = plan.rank.as_ref();
            let place = rank.map_or(0, |rank| evaluation.rank(rank, &mut sets));
            Some((place, summarize(trace, &bound, &plan.fields, sets, count)))
        })
        .collect();
    Decided { answers, has_long }
}

/// For the fields that need it: the shape of each trace, and where in which trace each row of each part is.
fn shapes<'a>(
    plan: &Plan,
    traces: &[TraceRows],
    columns: &[SpanColumns<'a>],
) -> (Vec<TraceShape<'a>>, Vec<Vec<(u32, u32)>>) {
    if !plan.fields.iter().any(is_trace_level) {
        return (Vec::new(), vec![Vec::new(); columns.len()]);
    }
    let rows = columns.iter().map(|columns| columns.start_times.len());
    let mut places: Vec<_> = rows.map(|rows| vec![(u32::MAX, 0); rows]).collect();
    for (number, trace) in traces.iter().enumerate() {
        for (position, at) in trace.rows.iter().enumerate() {
            places[at.part][at.row] = (number as u32, position as u32);
        }
    }
    let mut shapes: Vec<TraceShape<'_>> = {
        let shapes = traces.iter().map(|it| it.shape(&plan.fields, columns));
        shapes.collect()
    };
    if let Some(own) = plan.fields.of_parents() {
        let bind = |columns: &SpanColumns<'a>| Bound::new(&own, columns.clone(), None);
        let bound: Vec<Bound<'a>> = columns.iter().map(bind).collect();
        for (shape, trace) in shapes.iter_mut().zip(traces) {
            let slots = plan.fields.iter().enumerate();
            let of = |(slot, field): (usize, &Field)| match field {
                Field::Attribute(attribute) if attribute.of_parent => {
                    trace.of_parents(slot, &bound)
                }
                _ => Vec::new(),
            };
            shape.of_parents = slots.map(of).collect();
        }
    }
    (shapes, places)
}

/// By filter, part and row: whether the filter selects the span.
fn hits(
    plan: &Plan,
    traces: &[TraceRows],
    bound: &[Bound<'_>],
    cancelled: &Cancelled,
) -> Vec<Vec<Vec<bool>>> {
    let mut rows: Vec<Vec<u32>> = vec![Vec::new(); bound.len()];
    for at in traces.iter().flat_map(|trace| &trace.rows) {
        rows[at.part].push(at.row as u32);
    }
    for rows in &mut rows {
        rows.sort_unstable();
    }
    let of_part = |filter, part: usize| {
        let mut hits = vec![false; bound[part].columns.start_times.len()];
        if !cancelled.is_set() {
            for row in bound[part].select(filter, rows[part].clone()) {
                hits[row as usize] = true;
            }
        }
        hits
    };
    let of_filter = |filter| (0..bound.len()).map(|part| of_part(filter, part)).collect();
    plan.filters.iter().map(of_filter).collect()
}
