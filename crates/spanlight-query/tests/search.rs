//! What a search takes and what it leaves out.

use std::time::Duration;

use spanlight_query::{PartialReason, QueryError, QueryLimits, SearchRequest};

use crate::cases::{Loaded, load, load_with, request};
use crate::notation::EPOCH;

const MILLI: i64 = 1_000_000;

async fn found(loaded: &Loaded, request: SearchRequest) -> Vec<u8> {
    let answer = loaded.engine.search(request).await.unwrap();
    assert_eq!(answer.partial, []);
    let ids = answer.traces.iter().map(|trace| trace.trace_id.0[15]);
    ids.collect()
}

#[tokio::test]
async fn a_trace_is_in_a_range_that_its_interval_overlaps_ends_included() {
    // The span that matches lies outside the range, and nothing happens in the middle of the trace.
    let loaded = load("trace 1\n  a 700+10\n    b 790+10 .hit=true").await;
    for (from, to, expected) in [
        (600, 700, true),
        (800, 810, true),
        (730, 740, true),
        (801, 901, false),
        (600, 699, false),
    ] {
        let mut request = request("{ .hit = true }");
        request.time_range = EPOCH + from * MILLI..EPOCH + to * MILLI;
        let ids = found(&loaded, request).await;
        assert_eq!(!ids.is_empty(), expected, "{from}..{to}");
    }
}

#[tokio::test]
async fn spans_beside_the_range_are_looked_for_as_far_as_the_limit_says() {
    let limits = QueryLimits {
        trace_length: Duration::from_millis(50),
        ..QueryLimits::default()
    };
    let loaded = load_with("trace 1\n  a 0+1 .hit=true\n    b 100+1", limits).await;
    let mut late = request("{ .hit = true }");
    late.time_range = EPOCH + 100 * MILLI..EPOCH + 200 * MILLI;
    assert!(found(&loaded, late.clone()).await.is_empty());
    late.time_range.start = EPOCH + 40 * MILLI;
    assert_eq!(found(&loaded, late).await, [1]);
}

#[tokio::test]
async fn matches_that_may_lie_beyond_what_was_looked_at_make_the_answer_partial() {
    let limits = QueryLimits {
        trace_length: Duration::from_millis(50),
        ..QueryLimits::default()
    };
    let long = "trace 1\n  a 0+1 .hit=true\n    b 500+1 .hit=true\ntrace 2\n  a 1+1 .hit=true\n    b 500+1";
    let loaded = load_with(long, limits).await;
    let mut late = request("{ .hit = true }");
    late.time_range = EPOCH + 500 * MILLI..EPOCH + 600 * MILLI;
    let answer = loaded.engine.search(late.clone()).await.unwrap();
    assert_eq!(answer.traces.len(), 1);
    assert!(
        matches!(answer.partial[..], [PartialReason::LongTraces { .. }]),
        "{:?}",
        answer.partial
    );
    late.time_range.start = EPOCH;
    assert_eq!(found(&loaded, late).await, [2, 1]);
}

#[tokio::test]
async fn blank_text_finds_everything() {
    let loaded = load("trace 1\n  a 0+1\ntrace 2\n  b 1+1").await;
    for query in ["", "  \n", "{}"] {
        assert_eq!(found(&loaded, request(query)).await, [2, 1]);
    }
}

#[tokio::test]
async fn matched_counts_what_the_answer_leaves_out() {
    let loaded = load("trace 1\n  a 0+1\n  b 1+1\n  c 2+1").await;
    let mut request = request("{ }");
    request.spans_per_trace = 2;
    let answer = loaded.engine.search(request).await.unwrap();
    assert_eq!(answer.traces[0].matched, 3);
    let names = answer.traces[0].spans.iter().map(|span| span.name.as_str());
    assert_eq!(names.collect::<Vec<_>>(), ["a", "b"]);
}

#[tokio::test]
async fn what_is_acknowledged_is_found_by_the_next_search() {
    let loaded = load("trace 1\n  a 0+1").await;
    for batch in crate::notation::batches("trace 2\n  b 1+1") {
        loaded.store.append(batch).await.unwrap();
        assert_eq!(found(&loaded, request("{ name = \"b\" }")).await, [2]);
    }
}

#[tokio::test]
async fn a_trace_whose_spans_came_apart_is_decided_as_one() {
    let loaded = load("trace 1\n  a 0+1\n---\ntrace 1\n  b 1+1 id:2 parent:1").await;
    loaded.store.flush().await.unwrap();
    for batch in crate::notation::batches("trace 1\n  c 2+1 id:3 parent:2") {
        loaded.store.append(batch).await.unwrap();
    }
    for query in [
        "{ name = \"a\" } && { name = \"c\" }",
        "{ name = \"a\" } >> { name = \"c\" }",
        "{ } | count() = 3",
        "{ name = \"c\" && rootName = \"a\" }",
    ] {
        assert_eq!(found(&loaded, request(query)).await, [1], "{query}");
    }
}

#[tokio::test]
async fn a_search_that_runs_out_of_time_says_so() {
    let limits = QueryLimits {
        search_time_limit: Duration::ZERO,
        ..QueryLimits::default()
    };
    let loaded = load_with("trace 1\n  a 0+1", limits).await;
    let answer = loaded.engine.search(request("{ }")).await.unwrap();
    assert!(matches!(
        answer.partial[..],
        [PartialReason::TimeLimit { .. }]
    ));
    assert!(answer.partial[0].to_string().contains("time limit"));
}

#[tokio::test]
async fn a_search_that_runs_out_of_memory_says_so_and_gives_it_back() {
    let limits = QueryLimits {
        memory_bytes: 4_096,
        ..QueryLimits::default()
    };
    let loaded = load_with("trace 1\n  a 0+1", limits).await;
    let answer = loaded.engine.search(request("{ }")).await.unwrap();
    assert!(matches!(
        answer.partial[..],
        [PartialReason::MemoryLimit { .. }]
    ));
    assert_eq!(loaded.engine.memory_bytes(), 0);
    let limits = QueryLimits {
        memory_bytes: 128 * 1_024 + 1,
        ..QueryLimits::default()
    };
    let wide = format!(
        "trace 1\n  a 0+1 .wide=\"{}\"\ntrace 2\n  b 1+1",
        "x".repeat(200_000)
    );
    let loaded = load_with(&wide, limits).await;
    let answer = loaded.engine.search(request("{ }")).await.unwrap();
    assert!(
        matches!(
            answer.partial[..],
            [PartialReason::TraceTooLarge { .. }, ..]
        ),
        "{:?}",
        answer.partial
    );
    assert_eq!(loaded.engine.memory_bytes(), 0);
}

#[tokio::test]
async fn what_was_found_before_the_memory_was_full_is_in_the_answer() {
    // There is room for 1,024 traces that may be answers, and then for some that are loaded.
    let limits = QueryLimits {
        memory_bytes: 1_024 * 128 + 100_000,
        ..QueryLimits::default()
    };
    let traces = (1..=1_040).map(|number| {
        let end = if number % 20 == 0 { "---\n" } else { "" };
        format!("trace {number:x}\n  a {number}+1\n{end}")
    });
    let loaded = load_with(&traces.collect::<String>(), limits).await;
    let answer = loaded.engine.search(request("{ }")).await.unwrap();
    assert!(
        matches!(answer.partial[..], [PartialReason::MemoryLimit { .. }]),
        "{:?}",
        answer.partial
    );
    assert!(!answer.traces.is_empty());
    drop(answer);
    assert_eq!(loaded.engine.memory_bytes(), 0);
}

#[tokio::test]
async fn parameters_out_of_bounds_are_refused() {
    let loaded = load("trace 1\n  a 0+1").await;
    let refused = async |change: fn(&mut SearchRequest)| {
        let mut request = request("{ }");
        change(&mut request);
        let error = loaded.engine.search(request).await.unwrap_err();
        error.to_string()
    };
    insta::assert_snapshot!(refused(|it| it.limit = 0).await, @"limit must be between 1 and 1000, not 0");
    insta::assert_snapshot!(refused(|it| it.limit = 1_001).await, @"limit must be between 1 and 1000, not 1001");
    insta::assert_snapshot!(refused(|it| it.spans_per_trace = 101).await, @"spans per trace must be between 0 and 100, not 101");
    insta::assert_snapshot!(refused(|it| (it.time_range.start, it.time_range.end) = (5, 4)).await, @"the time range ends before it starts");
    insta::assert_snapshot!(refused(|it| it.query = "{ .a == 1 }".to_owned()).await, @"line 1, column 6: `==` is no operator; write `=`");
    insta::assert_snapshot!(refused(|it| it.query = "{ } | rate()".to_owned()).await, @"line 1, column 1: this is a metrics query, and a search finds traces; end it before the metrics function");
}

#[tokio::test]
async fn what_is_not_supported_yet_says_where() {
    let loaded = load("trace 1\n  a 0+1").await;
    let refused = async |query: &str| match loaded.engine.search(request(query)).await {
        Err(QueryError::Unsupported(error)) => {
            format!("{error} [{}]", &query[error.position.clone()])
        }
        other => panic!("{other:?}"),
    };
    // Found by the engine, and found by the parser.
    insta::assert_snapshot!(refused("{ .a = 1 } |\n order by(count()) | first(1)").await, @"line 2, column 11: the order of traces stands at the end of a search; put it there, or order the spans of each trace, as in order by(duration) desc [count()]");
    insta::assert_snapshot!(refused("{ } | 2 < count()").await, @"line 1, column 7: `2 < count()` is not supported, expected an aggregate, a comparison and a constant; write count() > 2 [2 < count()]");
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_named_and_the_rest_is_found() {
    let loaded = load("trace 1\n  a 0+1").await;
    loaded.store.flush().await.unwrap();
    for batch in crate::notation::batches("trace 2\n  b 1+1") {
        loaded.store.append(batch).await.unwrap();
    }
    let table = loaded.directory.path().join("cold");
    let files = std::fs::read_dir(table)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut damaged = files.filter(|path| path.extension().is_some_and(|it| it == "parquet"));
    let damaged = damaged.next().unwrap();
    std::fs::write(&damaged, b"no parquet").unwrap();
    let answer = loaded.engine.search(request("{ }")).await.unwrap();
    assert_eq!(answer.traces.len(), 1);
    let name = damaged.file_name().unwrap().to_str().unwrap();
    match &answer.partial[..] {
        [reason @ PartialReason::Unreadable { .. }] => {
            assert!(reason.to_string().contains(name), "{reason}");
        }
        partial => panic!("{partial:?}"),
    }
    let id = crate::notation::trace_id(1);
    let trace = loaded.engine.trace(id).await.unwrap().unwrap();
    assert!(trace.batch.is_empty());
    assert_eq!(trace.partial.len(), 1);
}
