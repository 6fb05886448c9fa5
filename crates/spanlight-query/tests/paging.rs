//! Pages: newest first, each trace once, whatever the order in which spans came.

use std::fmt::Write as _;

use proptest::prelude::*;
use spanlight_model::TraceId;
use spanlight_query::{QueryEngine, QueryError};

use crate::cases::{load, request};
use crate::notation;

/// The ids of all pages of this size, and how many pages there were.
async fn pages(engine: &QueryEngine, query: &str, limit: usize) -> (Vec<TraceId>, usize) {
    let (mut ids, mut count, mut cursor) = (Vec::new(), 0, None);
    loop {
        let mut request = request(query);
        request.limit = limit;
        request.cursor = cursor;
        let answer = engine.search(request).await.unwrap();
        assert_eq!(answer.partial, []);
        assert!(answer.traces.len() <= limit);
        ids.extend(answer.traces.iter().map(|trace| trace.trace_id));
        count += 1;
        cursor = answer.next_cursor;
        if cursor.is_none() {
            return (ids, count);
        }
    }
}

#[tokio::test]
async fn pages_continue_where_the_last_one_ended() {
    // Five traces start at the same time, and must be told apart by their ids.
    let mut text = String::new();
    for number in 1..=23 {
        let start = if number % 5 == 0 { 7 } else { number * 3 };
        writeln!(text, "trace {number:x}\n  span {start}+1\n---").unwrap();
    }
    let loaded = load(&text).await;
    let (all, count) = pages(&loaded.engine, "{ }", 100).await;
    assert_eq!((all.len(), count), (23, 1));
    for (limit, expected) in [(1, 23), (5, 5), (22, 2), (23, 1)] {
        let (ids, count) = pages(&loaded.engine, "{ }", limit).await;
        assert_eq!(ids, all, "pages of {limit}");
        assert_eq!(count, expected, "pages of {limit}");
    }
}

#[tokio::test]
async fn a_later_page_keeps_the_range_of_the_first_and_takes_no_newer_trace() {
    let loaded = load("trace 1\n  a 1+1\ntrace 2\n  a 2+1\ntrace 3\n  a 3+1").await;
    let mut first = request("{ }");
    first.limit = 2;
    let answer = loaded.engine.search(first.clone()).await.unwrap();
    for batch in notation::batches("trace 4\n  a 4+1\ntrace 5\n  a 0+1") {
        loaded.store.append(batch).await.unwrap();
    }
    let mut second = first;
    second.cursor = answer.next_cursor;
    // The clock went on: a relative range means another time now.
    second.time_range = 0..1;
    let answer = loaded.engine.search(second).await.unwrap();
    let ids: Vec<TraceId> = answer.traces.iter().map(|trace| trace.trace_id).collect();
    assert_eq!(ids, [notation::trace_id(1), notation::trace_id(5)]);
}

#[tokio::test]
async fn a_cursor_belongs_to_its_query() {
    let loaded = load("trace 1\n  a 1+1\ntrace 2\n  a 2+1").await;
    let mut request = request("{ }");
    request.limit = 1;
    let answer = loaded.engine.search(request.clone()).await.unwrap();
    request.cursor = answer.next_cursor;
    request.query = "{ name = \"a\" }".to_owned();
    let error = loaded.engine.search(request.clone()).await.unwrap_err();
    assert!(matches!(error, QueryError::Cursor));
    request.cursor = Some("garbage".to_owned());
    let error = loaded.engine.search(request).await.unwrap_err();
    assert!(matches!(error, QueryError::Cursor));
}

/// Spans as (trace, start, matches), in batches.
fn histories() -> impl Strategy<Value = Vec<Vec<(u8, u16, bool)>>> {
    let span = (1..12_u8, 0..40_u16, any::<bool>());
    prop::collection::vec(prop::collection::vec(span, 1..8), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_history_is_paged_newest_first(history in histories(), limit in 1..4_usize) {
        let mut text = String::new();
        let mut number = 0;
        for batch in &history {
            for (trace, start, matches) in batch {
                number += 1;
                writeln!(text, "trace {trace:x}\n  s {start}+1 id:{number:x} .hit={matches}").unwrap();
            }
            text.push_str("---\n");
        }
        let spans = || history.iter().flatten();
        let mut expected: Vec<(u16, TraceId)> = (1..12_u8)
            .filter(|id| spans().any(|(trace, _, hit)| trace == id && *hit))
            .filter_map(|id| {
                let starts = spans().filter(|(trace, ..)| *trace == id).map(|it| it.1);
                Some((starts.min()?, notation::trace_id(u128::from(id))))
            })
            .collect();
        expected.sort_unstable_by(|a, b| b.cmp(a));
        let expected: Vec<TraceId> = expected.into_iter().map(|(_, id)| id).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let found = runtime.block_on(async {
            let loaded = load(&text).await;
            pages(&loaded.engine, "{ .hit = true }", limit).await.0
        });
        prop_assert_eq!(found, expected);
    }
}
