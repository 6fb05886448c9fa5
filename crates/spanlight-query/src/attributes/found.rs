//! The spans that a query finds which must see whole traces: those of the newest traces.

use std::collections::BTreeSet;
use std::sync::Arc;

use rustc_hash::FxHashSet;
use spanlight_model::{SpanBatch, SpanId, TraceId};
use spanlight_store::ScanColumns;
use spanlight_traceql::ast::{Field, Intrinsic};

use super::question::Question;
use crate::answer::{SearchRequest, TraceSummary};
use crate::error::QueryError;
use crate::limits::QueryLimits;
use crate::load::{MemoryFull, load};
use crate::search;

/// Traces that are looked at.
const TRACES_MAX: usize = 500;
/// Traces that are loaded at once.
const CHUNK_TRACES: usize = 64;

/// What was found.
pub(super) struct Found {
    traces: Vec<TraceSummary>,
}

impl Found {
    pub(super) async fn of(question: &mut Question<'_>, query: &str) -> Result<Self, QueryError> {
        let limits = QueryLimits {
            search_time_limit: question
                .deadline
                .duration_since(tokio::time::Instant::now()),
            ..question.limits.clone()
        };
        let limit = TRACES_MAX.min(limits.traces_max);
        let request = SearchRequest {
            query: query.to_owned(),
            time_range: question.time_range.clone(),
            limit,
            spans_per_trace: limits.spans_per_trace_max,
            cursor: None,
        };
        let snapshot = question.snapshot.clone();
        let mut answer = search::run(snapshot, &limits, &question.memory, &request).await?;
        question.partial.append(&mut answer.partial);
        question.inspected.add(answer.inspected);
        question.note_too_many(answer.next_cursor.is_some(), "traces", limit);
        let is_cut = |trace: &TraceSummary| trace.matched as usize > trace.spans.len();
        let is_cut = answer.traces.iter().any(is_cut);
        let spans = limits.spans_per_trace_max;
        question.note_too_many(is_cut, "spans of one trace", spans);
        Ok(Self {
            traces: answer.traces,
        })
    }

    /// What the roots of the traces are called, or their services.
    pub(super) fn roots(&self, field: &Field) -> impl Iterator<Item = &str> {
        let is_service = matches!(field, Field::Intrinsic(Intrinsic::RootServiceName));
        self.traces
            .iter()
            .filter_map(move |trace| match is_service {
                true => trace.root_service_name.as_deref(),
                false => trace.root_name.as_deref(),
            })
    }

    /// Reads the spans again, with these columns.
    pub(super) async fn each(
        &self,
        question: &mut Question<'_>,
        columns: &ScanColumns,
        mut take: impl FnMut(&SpanBatch, &[u32]) -> Result<(), MemoryFull>,
    ) {
        let columns = columns.union(&ScanColumns {
            trace_id: true,
            span_id: true,
            ..ScanColumns::NONE
        });
        for traces in self.traces.chunks(CHUNK_TRACES) {
            let ids: BTreeSet<TraceId> = traces.iter().map(|trace| trace.trace_id).collect();
            let spans: FxHashSet<(TraceId, SpanId)> = traces.iter().flat_map(spans).collect();
            let load = load(
                &question.snapshot,
                Arc::new(ids),
                columns.clone(),
                &question.memory,
            );
            let mut loaded = match tokio::time::timeout_at(question.deadline, load).await {
                Ok(Ok(loaded)) => loaded,
                Ok(Err(_)) => return question.note_full(),
                Err(_) => return question.note_late(),
            };
            question.partial.append(&mut loaded.partial);
            question.inspected.add(loaded.inspected);
            for batch in &loaded.parts {
                let columns = batch.columns();
                let is_found = |&row: &u32| {
                    let row = row as usize;
                    spans.contains(&(columns.trace_id(row), columns.span_id(row)))
                };
                let rows: Vec<u32> = (0..batch.num_spans() as u32).filter(is_found).collect();
                if take(batch, &rows).is_err() {
                    return question.note_full();
                }
            }
        }
    }
}

fn spans(trace: &TraceSummary) -> impl Iterator<Item = (TraceId, SpanId)> + '_ {
    let more = trace.more_span_sets.iter().flat_map(|set| &set.spans);
    let spans = trace.spans.iter().chain(more);
    spans.map(|span| (trace.trace_id, span.span_id))
}
