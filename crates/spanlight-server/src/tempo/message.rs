//! What a search found, as Tempo's message.

use spanlight_model::AnyValue;
use spanlight_query::{MatchedSpan, SearchAnswer, SpanSet};
use spanlight_wire::tempo::streaming::{
    FoundSpan, FoundSpans, FoundTrace, SearchMetrics, encode_search,
};

use super::search::{ROOT_MISSING, short_id};

/// A `SearchResponse`.
pub(super) fn of_search(answer: &SearchAnswer) -> Vec<u8> {
    let ids: Vec<String> = answer
        .traces
        .iter()
        .map(|trace| short_id(trace.trace_id))
        .collect();
    let traces = answer.traces.iter().zip(&ids).map(|(trace, id)| {
        let first = spans(&trace.spans, trace.matched, &trace.attributes);
        let more = trace.more_span_sets.iter();
        let more = more.map(
            |SpanSet {
                 matched,
                 spans: of_set,
                 attributes,
             }| { spans(of_set, *matched, attributes) },
        );
        FoundTrace {
            trace_id: id,
            root_service_name: trace.root_service_name.as_deref().unwrap_or(ROOT_MISSING),
            root_name: trace.root_name.as_deref().unwrap_or_default(),
            start_time_unix_nano: trace.start_time_unix_nano.unsigned_abs(),
            duration_ms: u32::try_from(trace.duration_nano / 1_000_000).unwrap_or(u32::MAX),
            span_sets: std::iter::once(first).chain(more).collect(),
        }
    });
    let metrics = SearchMetrics {
        inspected_traces: u32::try_from(answer.inspected.traces).unwrap_or(u32::MAX),
        inspected_bytes: answer.inspected.bytes,
        completed_jobs: u32::from(answer.partial.is_empty()),
        total_jobs: 1,
    };
    encode_search(&traces.collect::<Vec<_>>(), metrics)
}

fn spans<'a>(
    spans: &'a [MatchedSpan],
    matched: u32,
    attributes: &'a [(String, AnyValue)],
) -> FoundSpans<'a> {
    let spans = spans.iter().map(|span| FoundSpan {
        span_id: span.span_id.to_string(),
        name: &span.name,
        start_time_unix_nano: span.start_time_unix_nano.unsigned_abs(),
        duration_nano: span.duration_nano.unsigned_abs(),
        attributes: &span.attributes,
    });
    FoundSpans {
        spans: spans.collect(),
        matched,
        attributes,
    }
}
