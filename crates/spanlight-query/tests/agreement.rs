//! Random questions about random spans: the engine answers what the plain reference says, from memory, from the
//! table, and with spans of a trace on both sides.

mod queries;
mod series;
mod spans;

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestCaseError, TestRng, TestRunner};
use spanlight_model::AnyValue;
use spanlight_query::{SearchRequest, SpanSet, TraceSummary};

use crate::cases::{Loaded, load, request};
use crate::notation::{self, EPOCH};
use crate::reference::{self, Trace};
use spans::Dataset;

/// Sets of spans that are asked about, and questions about each.
const DATASETS: u32 = 48;
const QUESTIONS: usize = 48;

/// Questions about series.
const METRICS: usize = 24;

/// A question: its text, the time range in milliseconds, and how many traces are wanted.
#[derive(Debug, Clone)]
struct Question {
    query: String,
    range: Option<(i64, i64)>,
    limit: usize,
}

fn question() -> impl Strategy<Value = Question> {
    let range = prop_oneof![
        3 => Just(None),
        1 => (0_i64..4_000, 0_i64..2_000).prop_map(|(start, length)| Some((start, start + length))),
    ];
    let limit = prop_oneof![3 => Just(20_usize), 1 => 1_usize..4];
    (queries::query(), range, limit).prop_map(|(query, range, limit)| Question {
        query,
        range,
        limit,
    })
}

/// A line a trace: `id: span span [aggregate] | span`, newest first.
type Answer = Vec<String>;

fn line(id: u128, sets: impl Iterator<Item = (Vec<String>, Vec<(String, AnyValue)>)>) -> String {
    let sets: Vec<String> = sets
        .map(|(spans, attributes)| format!("{} {attributes:?}", spans.join(" ")))
        .collect();
    format!("{id:x}: {}", sets.join(" | "))
}

fn expected(traces: &[Trace], question: &Question) -> Answer {
    let query = spanlight_traceql::parse(&question.query).unwrap();
    let in_range = |trace: &&Trace| match question.range {
        Some((start, end)) => trace.start() <= end && trace.end() >= start,
        None => true,
    };
    // By start, then by id; from the end.
    let found: BTreeMap<(i64, u128), String> = traces
        .iter()
        .filter(in_range)
        .filter_map(|trace| {
            let sets = reference::search(&query, trace);
            let name = |&at: &usize| format!("{}#{:x}", trace.spans[at].name, trace.spans[at].id);
            let named = sets.iter().map(|set| {
                let spans = set.spans.iter().map(name).collect();
                (spans, set.attributes.clone())
            });
            let text = line(trace.id, named);
            (!sets.is_empty()).then_some(((trace.start(), trace.id), text))
        })
        .collect();
    found.into_values().rev().take(question.limit).collect()
}

async fn answer(loaded: &Loaded, question: &Question) -> Answer {
    let time = |millis: i64| EPOCH + millis * 1_000_000;
    let time_range = match question.range {
        Some((start, end)) => time(start)..time(end),
        None => i64::MIN..i64::MAX,
    };
    let request = SearchRequest {
        time_range,
        limit: question.limit,
        ..request(&question.query)
    };
    let found = match loaded.engine.search(request).await {
        Ok(found) => found,
        Err(error) => return vec![format!("error: {error}")],
    };
    assert_eq!(found.partial, []);
    found.traces.iter().map(summary).collect()
}

fn summary(trace: &TraceSummary) -> String {
    let first = SpanSet {
        matched: trace.matched,
        spans: trace.spans.clone(),
        attributes: trace.attributes.clone(),
    };
    let sets = std::iter::once(&first).chain(&trace.more_span_sets);
    let named = sets.map(|set| {
        assert_eq!(set.matched as usize, set.spans.len());
        let name = |span: &spanlight_query::MatchedSpan| {
            let id = u64::from_be_bytes(span.span_id.0);
            format!("{}#{id:x}", span.name)
        };
        (set.spans.iter().map(name).collect(), set.attributes.clone())
    });
    line(u128::from_be_bytes(trace.trace_id.0), named)
}

/// Asks all questions of one set of spans, at each stage of its way to the table.
async fn check(
    dataset: &Dataset,
    questions: &[Question],
    metrics: &[series::Question],
) -> Result<(), TestCaseError> {
    let text = dataset.to_string();
    let traces = dataset.traces();
    let expected: Vec<Answer> = questions.iter().map(|it| expected(&traces, it)).collect();
    let compare = async |loaded: &Loaded, place: &str| {
        for (question, expected) in questions.iter().zip(&expected) {
            let found = answer(loaded, question).await;
            prop_assert_eq!(&found, expected, "{}\n{:?}\nof\n{}", place, question, text);
        }
        for question in metrics {
            let expected = series::expected(&traces, question);
            let found = series::answer(loaded, question).await;
            prop_assert_eq!(found, expected, "{}\n{:?}\nof\n{}", place, question, text);
        }
        Ok(())
    };
    let loaded = load("").await;
    let batches = notation::batches(&text);
    for (number, batch) in batches.iter().enumerate() {
        loaded.store.append(batch.clone()).await.unwrap();
        if number == 0 && dataset.begins_in_table {
            loaded.store.flush().await.unwrap();
        }
    }
    compare(&loaded, "before the flush").await?;
    loaded.store.flush().await.unwrap();
    compare(&loaded, "after the flush").await
}

#[test]
fn the_engine_answers_what_the_reference_says() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let config = ProptestConfig {
        cases: DATASETS,
        max_shrink_iters: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let rng = match std::env::var_os("ANY_SEED") {
        // For whoever looks for trouble: other questions in each run.
        Some(_) => TestRng::from_seed(RngAlgorithm::ChaCha, &seed_of_the_clock()),
        None => TestRng::deterministic_rng(RngAlgorithm::ChaCha),
    };
    let questions = prop::collection::vec(question(), 1..=QUESTIONS);
    let metrics = prop::collection::vec(series::question(), 1..=METRICS);
    let all = (spans::dataset(), questions, metrics);
    TestRunner::new_with_rng(config, rng)
        .run(&all, |(dataset, questions, metrics)| {
            runtime.block_on(check(&dataset, &questions, &metrics))
        })
        .unwrap();
}

fn seed_of_the_clock() -> [u8; 32] {
    let nanos = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    let mut seed = [0; 32];
    seed[..16].copy_from_slice(&nanos.to_be_bytes());
    seed
}
