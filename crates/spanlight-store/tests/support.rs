//! Spans to store, what a store has, and a disk that forgets.

pub(crate) mod clock;
pub(crate) mod disk;
pub(crate) mod objects;

use std::collections::BTreeMap;

use futures::StreamExt as _;
use spanlight_model::{SpanBatch, SpanBatchBuilder, SpanId, TraceId, Value};
use spanlight_store::{ScanRequest, Snapshot, Store};

/// A batch whose spans are known by their numbers: span `n` belongs to trace `n / 3`, starts at second `n`, and was
/// received at that second too.
pub(crate) fn batch(numbers: impl IntoIterator<Item = u64>) -> SpanBatch {
    batch_of("shop", numbers)
}

/// The same, of another service.
pub(crate) fn batch_of(service: &str, numbers: impl IntoIterator<Item = u64>) -> SpanBatch {
    let numbers: Vec<u64> = numbers.into_iter().collect();
    let received = numbers.iter().max().copied().unwrap_or(0) * 1_000_000_000;
    let mut builder = SpanBatchBuilder::new(received as i64);
    let resource = {
        let mut resource = builder.begin_resource();
        resource
            .attributes()
            .push("service.name", Value::String(service));
        resource.commit()
    };
    let scope = builder.begin_scope().commit();
    for number in numbers {
        let mut span = builder.begin_span(resource, scope);
        span.set_trace_id(trace_id(number / 3));
        span.set_span_id(span_id(number));
        span.set_name("work");
        span.set_start_time_unix_nano(number * 1_000_000_000);
        span.set_end_time_unix_nano(number * 1_000_000_000 + 5);
        span.attributes().push("number", Value::Int(number as i64));
        span.commit().unwrap();
    }
    builder.finish().unwrap()
}

pub(crate) fn trace_id(number: u64) -> TraceId {
    let mut id = [1; 16];
    id[8..].copy_from_slice(&number.to_be_bytes());
    TraceId(id)
}

fn span_id(number: u64) -> SpanId {
    SpanId((number + 1).to_be_bytes())
}

/// How often each span is there, by its number.
pub(crate) async fn counts(store: &Store, request: &ScanRequest) -> BTreeMap<u64, usize> {
    counts_of(&store.snapshot(), request).await
}

/// How often each span is in a snapshot, by its number.
pub(crate) async fn counts_of(snapshot: &Snapshot, request: &ScanRequest) -> BTreeMap<u64, usize> {
    let mut counts = BTreeMap::new();
    for partition in snapshot.scan(request).await.partitions {
        let mut stream = partition.stream();
        while let Some(batch) = stream.next().await {
            let batch = batch.unwrap();
            for row in 0..batch.num_spans() {
                let span = batch.span(row);
                let number = u64::from_be_bytes(span.span_id().0) - 1;
                assert_eq!(span.trace_id(), trace_id(number / 3));
                assert_eq!(span.resource().service_name(), Some("shop"));
                assert_eq!(span.attribute("number"), Some(Value::Int(number as i64)));
                *counts.entry(number).or_default() += 1;
            }
        }
    }
    counts
}

/// The numbers of the spans that are there; panics when one is there twice.
pub(crate) async fn numbers(store: &Store) -> Vec<u64> {
    let counts = counts(store, &ScanRequest::default()).await;
    let twice: Vec<_> = counts.iter().filter(|(_, count)| **count != 1).collect();
    assert!(twice.is_empty(), "spans that are there twice: {twice:?}");
    counts.into_keys().collect()
}
