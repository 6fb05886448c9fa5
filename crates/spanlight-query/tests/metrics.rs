//! Time series, against counting by hand; from memory, from the table, and from both at once.

use std::fmt::Write as _;
use std::time::Duration;

use proptest::prelude::*;
use spanlight_model::AnyValue;
use spanlight_query::{MetricsAnswer, MetricsRequest, PartialReason, QueryEngine, QueryLimits};

use crate::cases::{Loaded, load, load_with};
use crate::notation::{self, EPOCH};

const MILLI: i64 = 1_000_000;

/// Three intervals of a second from the epoch of the notation on.
fn request(query: &str) -> MetricsRequest {
    MetricsRequest {
        query: query.to_owned(),
        time_range: EPOCH..EPOCH + 3_000 * MILLI,
        step: Some(Duration::from_secs(1)),
        ..MetricsRequest::default()
    }
}

/// A line a series: its labels, then each point that is not zero as seconds since the epoch and value.
async fn series(engine: &QueryEngine, query: &str) -> String {
    let answer = engine.metrics(request(query)).await.unwrap();
    assert_eq!(answer.partial, []);
    let mut text = String::new();
    for series in &answer.series {
        for (label, value) in &series.labels {
            let value = match value {
                None => "nil".to_owned(),
                Some(AnyValue::String(text)) => text.clone(),
                Some(AnyValue::Double(number)) => number.to_string(),
                Some(value) => value.to_json(),
            };
            write!(text, "{label}={value} ").unwrap();
        }
        for point in series.points.iter().filter(|point| point.value != 0.0) {
            let second = (point.start_time_unix_nano - EPOCH) / (1_000 * MILLI);
            write!(text, "{second}:{} ", point.value).unwrap();
        }
        if !text.is_empty() {
            text = text.trim_end().to_owned() + "\n";
        }
    }
    text
}

/// The answer, the same in memory, in the table and with the last batch in memory and the rest in the table.
async fn check(spans: &str, query: &str) -> String {
    let batches = notation::batches(spans);
    let in_memory = load(spans).await;
    let expected = series(&in_memory.engine, query).await;
    in_memory.store.flush().await.unwrap();
    assert_eq!(
        series(&in_memory.engine, query).await,
        expected,
        "in the table"
    );
    let both = load("").await;
    for (number, batch) in batches.iter().enumerate() {
        if number + 1 == batches.len() {
            both.store.flush().await.unwrap();
        }
        both.store.append(batch.clone()).await.unwrap();
    }
    assert_eq!(series(&both.engine, query).await, expected, "in both");
    expected
}

const SHOP: &str = r#"
trace 1
  order 0+400 @shop kind:server .user="a" .n=1
    pay 10+200 @bank .user="a" .n=2 status:error
      charge 20+100 @bank .n=2.5
  order 1100+100 @shop .n=4 resource.zone="eu"
trace 2
  order 1500+300 @shop .user="b" .cold=true
    pay 1600+5000 @bank .n=true
---
trace 3
  order 2500+20 @shop .cold=true
    pay 2501+7 @bank status:error
"#;

#[tokio::test]
async fn spans_are_counted_by_group_and_interval() {
    insta::assert_snapshot!(check(SHOP, "{ } | count_over_time()").await, @"0:3 1:3 2:2");
    insta::assert_snapshot!(check(SHOP, "{ name = \"pay\" } | rate() by (resource.service.name)").await, @"resource.service.name=bank 0:1 1:1 2:1");
    insta::assert_snapshot!(check(SHOP, "{ span.cold = true } | count_over_time() by (resource.service.name, resource.zone)").await, @"resource.service.name=shop resource.zone=nil 1:1 2:1");
    insta::assert_snapshot!(check(SHOP, "{ } | count_over_time() by (span.user)").await, @r"
    span.user=nil 0:1 1:2 2:2
    span.user=a 0:2
    span.user=b 1:1
    ");
    insta::assert_snapshot!(check(SHOP, "{ name = \"nobody\" } | count_over_time()").await, @"");
}

#[tokio::test]
async fn numbers_are_folded_and_what_is_none_is_passed_over() {
    insta::assert_snapshot!(check(SHOP, "{ } | sum_over_time(span.n)").await, @"0:5.5 1:4");
    insta::assert_snapshot!(check(SHOP, "{ } | avg_over_time(duration) by (name)").await, @r"
    name=charge 0:0.1
    name=order 0:0.4 1:0.2 2:0.02
    name=pay 0:0.2 1:5 2:0.007
    ");
    insta::assert_snapshot!(check(SHOP, "{ } | max_over_time(duration)").await, @"0:0.4 1:5 2:0.02");
    insta::assert_snapshot!(check(SHOP, "{ } | quantile_over_time(duration, 0, .5, 1)").await, @r"
    p=0 0:0.1 1:0.1 2:0.007
    p=0.5 0:0.2 1:0.3 2:0.007
    p=1 0:0.4 1:5 2:0.02
    ");
    insta::assert_snapshot!(check(SHOP, "{ } | quantile_over_time(span.n, .9)").await, @"p=0.9 0:2.5 1:4");
}

#[tokio::test]
async fn relations_are_counted_like_searches_find_them() {
    for (query, expected) in [
        ("{ name = \"order\" } >> { name = \"charge\" }", "0:1\n"),
        ("{ name = \"order\" } > { name = \"pay\" }", "0:1 1:1 2:1\n"),
        (
            "{ name = \"order\" } !> { name = \"order\" }",
            "0:1 1:2 2:1\n",
        ),
        ("{ name = \"charge\" } << { }", "0:2\n"),
        ("{ kind = server } ~ { name = \"order\" }", "1:1\n"),
        ("{ name = \"order\" } &> { status = error }", "0:2 2:2\n"),
        ("{ status = error } && { name = \"charge\" }", "0:2\n"),
        ("{ status = error } | { } >> { name = \"charge\" }", ""),
    ] {
        let query = format!("{query} | count_over_time()");
        assert_eq!(check(SHOP, &query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn many_filters_are_told_apart() {
    let mut query: Vec<String> = (0..70).map(|it| format!("{{ name = \"{it}\" }}")).collect();
    query.push("{ }".to_owned());
    let query = query.join(" || ");
    let query = format!("{query} | {{ name = \"order\" }} > {{ }} | count_over_time()");
    assert_eq!(check(SHOP, &query).await, "0:1 1:1 2:1\n");
}

#[tokio::test]
async fn a_span_that_came_twice_counts_once_and_by_its_last_record() {
    let spans = "trace 1\n  a 0+10 id:1 .hit=true\n    b 1+5 id:2\n---\ntrace 1\n  a 0+30 id:1\n---\ntrace 1\n  b 1+5 id:2 parent:1";
    let loaded = load(spans).await;
    for (query, expected) in [
        ("{ } | count_over_time()", "0:2\n"),
        ("{ .hit = true } | count_over_time()", ""),
        ("{ } | max_over_time(duration)", "0:0.03\n"),
        (
            "{ name = \"a\" } > { name = \"b\" } | count_over_time()",
            "0:1\n",
        ),
        ("{ .hit = true } > { } | count_over_time()", ""),
    ] {
        assert_eq!(series(&loaded.engine, query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn a_trace_whose_spans_lie_apart_is_related_across_files() {
    let loaded = load("").await;
    for batch in notation::batches(
        "trace 1\n  a 0+90 id:1\ntrace 2\n  a 1+1 id:1\n---\ntrace 1\n  b 1+80 id:2 parent:1\ntrace 3\n  x 1+1\n---\ntrace 1\n  c 2+70 id:3 parent:2\ntrace 4\n  c 2+1",
    ) {
        loaded.store.append(batch).await.unwrap();
        loaded.store.flush().await.unwrap();
    }
    let query = "{ name = \"a\" } >> { name = \"c\" } | count_over_time()";
    assert_eq!(series(&loaded.engine, query).await, "0:1\n");
}

#[tokio::test]
async fn quantiles_are_exact_where_memory_is_too_short_for_all_values() {
    let mut text = String::new();
    let mut state = 1_u64;
    for trace in 1..=2_000 {
        writeln!(text, "trace {trace:x}").unwrap();
        for span in 1..=8 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let (indent, name) = if span == 1 {
                ("  ", "a")
            } else {
                ("    ", "b")
            };
            let duration = (state >> 40) % 3_000 + 1;
            writeln!(text, "{indent}{name} 0+{duration} id:{span} .n={duration}").unwrap();
        }
    }
    let load = async |limits: QueryLimits| {
        let loaded = load_with("", limits).await;
        for batch in notation::batches(&text) {
            loaded.store.append(batch).await.unwrap();
        }
        loaded.store.flush().await.unwrap();
        loaded
    };
    let roomy = load(QueryLimits::default()).await;
    let short = load(QueryLimits {
        memory_bytes: 48 << 10,
        ..QueryLimits::default()
    })
    .await;
    for query in [
        "{ } | quantile_over_time(duration, 0, .1, .9, 1) by (name)",
        "{ } | quantile_over_time(span.n, .5)",
        "{ name = \"a\" } >> { } | quantile_over_time(duration, .5, .99)",
    ] {
        let request = MetricsRequest {
            time_range: EPOCH..EPOCH + 1_000 * MILLI,
            ..request(query)
        };
        let expected = roomy.engine.metrics(request.clone()).await.unwrap();
        let found = short.engine.metrics(request).await.unwrap();
        assert_eq!(
            (found.series, found.partial),
            (expected.series, vec![]),
            "{query}"
        );
    }
}

#[tokio::test]
async fn examples_of_points_are_spans_of_them() {
    let loaded = load(SHOP).await;
    let examples = async |query: &str, count: usize| {
        let request = MetricsRequest {
            exemplars: count,
            ..request(query)
        };
        let answer = loaded.engine.metrics(request).await.unwrap();
        assert_eq!(answer.partial, []);
        let mut text = String::new();
        for series in &answer.series {
            for it in &series.exemplars {
                let (trace, span) = (it.trace_id.0[15], it.span_id.0[7]);
                let at = (it.time_unix_nano - EPOCH) / MILLI;
                write!(text, "{trace}/{span}@{at}:{} ", it.value).unwrap();
            }
        }
        text
    };
    for _ in ["in memory", "in the table"] {
        for (query, count, expected) in [
            (
                "{ .n > 2 || name = \"pay\" } | rate() by (name)",
                9,
                "1/3@20:1 1/4@1100:1 1/2@10:1 2/2@1600:1 3/2@2501:1 ",
            ),
            (
                "{ .n > 2 || name = \"pay\" } | max_over_time(duration) by (name)",
                9,
                "1/3@20:0.1 1/4@1100:0.1 1/2@10:0.2 2/2@1600:5 3/2@2501:0.007 ",
            ),
            // Of several quantiles the first stands for all.
            (
                "{ name = \"order\" } > { name = \"pay\" } | quantile_over_time(duration, .5, .9)",
                9,
                "1/2@10:0.2 2/2@1600:5 3/2@2501:0.007 ",
            ),
            (
                "{ rootName = \"order\" && name = \"pay\" } | sum_over_time(duration) with(exemplars=2)",
                0,
                "1/2@10:0.2 3/2@2501:0.007 ",
            ),
            // Hints that are not known, and those about sampling, change nothing.
            (
                "{ name = \"pay\" } | sum_over_time(duration) > 1 with(exemplars=true, sample=0.1, nonsense=1)",
                0,
                "2/2@1600:5 ",
            ),
        ] {
            assert_eq!(examples(query, count).await, expected, "{query}");
        }
        assert_eq!(examples("{ } | rate() with(exemplars=false)", 9).await, "");
        assert_eq!(
            examples("{ name = \"order\" } | compare({ .cold })", 9).await,
            ""
        );
        assert_eq!(examples("({ } | rate()) * 2", 9).await, "");
        loaded.store.flush().await.unwrap();
    }
}

/// Compares spans of the table, of these many traces and with a text of these many bytes each, within this memory.
async fn compare_within(memory_bytes: usize, traces: usize, bytes: usize) -> MetricsAnswer {
    let mut text = String::new();
    for trace in 1..=traces {
        writeln!(text, "trace {trace:x}").unwrap();
        for span in 1..=5 {
            let (a, long) = ((span + trace) % 7, "x".repeat(bytes));
            writeln!(
                text,
                "  s 0+5 id:{span:x} .a={a} .b=\"{trace}.{span}.{long}\""
            )
            .unwrap();
        }
    }
    let limits = QueryLimits {
        memory_bytes,
        ..QueryLimits::default()
    };
    let loaded = load_with(&text, limits).await;
    loaded.store.flush().await.unwrap();
    let request = request("{ } | compare({ .a < 3 })");
    let answer = loaded.engine.metrics(request).await.unwrap();
    assert_eq!(loaded.engine.memory_bytes(), 0);
    answer
}

#[tokio::test]
async fn where_memory_is_short_batches_are_smaller_and_the_answer_is_the_same() {
    let roomy = compare_within(96 << 20, 1_200, 1).await;
    let short = compare_within(4 << 20, 1_200, 1).await;
    assert_eq!((short.series, short.partial), (roomy.series, vec![]));
    assert_eq!(roomy.partial, []);
}

#[tokio::test]
async fn what_is_counted_has_to_fit_beside_the_batch_that_it_is_counted_of() {
    let roomy = compare_within(12 << 20, 400, 1_000).await;
    assert_eq!(roomy.partial, []);
    let short = compare_within(5 << 20, 400, 1_000).await;
    assert!(matches!(
        short.partial[..],
        [PartialReason::MemoryLimit { .. }]
    ));
}

#[tokio::test]
async fn what_is_compared_is_the_same_whether_traces_are_assembled_or_go_by() {
    let mut text = String::new();
    for trace in 1..=120_u32 {
        writeln!(text, "trace {trace:x}").unwrap();
        // The root is neither the first to start nor the only one, some parents are missing, some traces are long.
        let spans = if trace % 40 == 0 { 50 } else { 7 };
        for span in 1..=spans {
            let parent = match (span + trace) % 5 {
                0 => String::new(),
                1 => "parent:99".to_owned(),
                _ => format!("parent:{:x}", (span * trace) % spans + 1),
            };
            let (start, service) = ((span * 7 + trace) % 11, trace % 3);
            writeln!(
                text,
                "  s{} {start}+5 id:{span:x} {parent} @front{service} .a={}",
                span % 4,
                trace % 20
            )
            .unwrap();
        }
    }
    let loaded = load(&text).await;
    for _ in ["in memory", "in the table"] {
        let compare = async |filter: &str| {
            let query = format!("{filter} | compare({{ .a < 3 }}, 5)");
            let answer = loaded.engine.metrics(request(&query)).await.unwrap();
            assert_eq!(answer.partial, []);
            answer.series
        };
        let (passing, assembled) = (
            compare("{ }").await,
            compare("{ traceDuration > 0s }").await,
        );
        assert_eq!(passing, assembled);
        let labels: Vec<&str> = passing.iter().map(|it| it.labels[1].0.as_str()).collect();
        for label in ["rootName", "rootServiceName", "span:childCount", "span.a"] {
            assert!(labels.contains(&label), "no {label}");
        }
        loaded.store.flush().await.unwrap();
    }
}

#[tokio::test]
async fn more_series_than_an_answer_has_are_said() {
    let limits = QueryLimits {
        series_max: 2,
        ..QueryLimits::default()
    };
    let loaded = load_with(SHOP, limits).await;
    let answer = loaded.engine.metrics(request("{ } | rate() by (name)"));
    let answer = answer.await.unwrap();
    let names: Vec<_> = answer
        .series
        .iter()
        .map(|it| it.labels[0].1.clone())
        .collect();
    let text = |text: &str| Some(AnyValue::String(text.to_owned()));
    assert_eq!(names, [text("charge"), text("order")]);
    let said = answer.partial.iter().map(ToString::to_string);
    insta::assert_snapshot!(said.collect::<String>(), @"there are 3 series, of which the first 2 by their labels are here: group by what has fewer values, or keep the greatest with topk");
    // What is kept of many is what counts.
    let answer = loaded
        .engine
        .metrics(request("{ } | rate() by (name) | topk(1)"));
    assert_eq!(answer.await.unwrap().partial, []);
}

#[tokio::test]
async fn what_metrics_cannot_do_is_refused() {
    let loaded = load(SHOP).await;
    let refused = async |query: &str, change: fn(&mut MetricsRequest)| {
        let mut request = request(query);
        change(&mut request);
        match loaded.engine.metrics(request).await {
            Err(error) => error.to_string(),
            Ok(answer) => panic!("{answer:?}"),
        }
    };
    let count = "{ } | count_over_time()";
    insta::assert_snapshot!(refused("{ }", |_| ()).await, @"line 1, column 1: this is a search, and metrics need a function; end it with one, as in { } | rate()");
    insta::assert_snapshot!(refused(count, |it| it.step = Some(Duration::ZERO)).await, @"the step must be longer than nothing");
    insta::assert_snapshot!(refused(count, |it| it.step = Some(Duration::from_nanos(1))).await, @"the step must be so long that there are at most 11000 intervals in the time range");
}

/// Spans as (trace, parent, start, marks), in batches.
fn histories() -> impl Strategy<Value = Vec<Vec<(u8, u8, u16, u8)>>> {
    let span = (1..5_u8, 0..9_u8, 0..3_000_u16, 0..4_u8);
    prop::collection::vec(prop::collection::vec(span, 1..8), 1..5)
}

/// How many spans searches find.
async fn found(loaded: &Loaded, query: &str) -> u64 {
    let request = crate::cases::request(query);
    let answer = loaded.engine.search(request).await.unwrap();
    answer
        .traces
        .iter()
        .map(|trace| u64::from(trace.matched))
        .sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn metrics_count_what_searches_find(history in histories(), flushed in 0..5_usize) {
        let mut text = String::new();
        let mut number = 0;
        for batch in &history {
            for (trace, parent, start, marks) in batch {
                number += 1;
                // Ids repeat, parents may be missing, later, or the span itself.
                writeln!(
                    text,
                    "trace {trace:x}\n  s {start}+1 id:{:x} parent:{:x} .a={} .b={}",
                    number % 8 + 1, parent + 1, marks & 1 != 0, marks & 2 != 0
                ).unwrap();
            }
            text.push_str("---\n");
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let loaded = load("").await;
            for (number, batch) in notation::batches(&text).into_iter().enumerate() {
                loaded.store.append(batch).await.unwrap();
                if number + 1 >= flushed && number < flushed + 1 {
                    loaded.store.flush().await.unwrap();
                }
            }
            for query in [
                "{ .a = true }",
                "{ .a = true } >> { .b = true }",
                "{ .a = true } < { .b = true }",
                "{ .a = true } !>> { }",
                "{ .a = true } &~ { .b = true }",
                "{ .a = true } && { .b = true }",
                "{ .a = true } | { } << { .b = true }",
            ] {
                let mut request = request(&format!("{query} | count_over_time()"));
                request.step = Some(Duration::from_secs(4_000));
                let answer = loaded.engine.metrics(request).await.unwrap();
                prop_assert_eq!(&answer.partial, &[]);
                let points = answer.series.iter().flat_map(|series| &series.points);
                let counted: f64 = points.map(|point| point.value).sum();
                prop_assert_eq!(counted as u64, found(&loaded, query).await, "{}\n{}", query, text);
            }
            Ok(())
        })?;
    }
}
