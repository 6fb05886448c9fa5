//! What a batch costs on its way: appended (with and without fsync), moved to a data file, read back.
//!
//! `cargo bench -p spanlight-store`. Ten spans a trace, eleven attributes each, a thousand spans a batch.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on panics")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use futures::StreamExt as _;
use spanlight_model::{SpanBatch, SpanBatchBuilder, SpanId, SpanRow, TraceId, Value};
use spanlight_store::{FsyncPolicy, ScanRequest, Store, StoreOptions};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const SPANS: u64 = 1_000;

/// Services of a trace, and the service of each of its spans.
const SERVICES: [&str; 6] = [
    "ingress",
    "validate",
    "event-bus",
    "egress",
    "warehouse",
    "payments",
];
const SERVICE_OF_SPAN: [usize; 10] = [0, 1, 1, 0, 2, 2, 3, 3, 4, 5];

/// Whole traces, grouped by service as a collector sends them. Ids, invocations (one for each trace and service), users
/// and durations differ in each trace.
fn batch(number: u64) -> SpanBatch {
    let mut builder = SpanBatchBuilder::new(1_700_000_000_000_000_000 + number as i64);
    let traces = number * SPANS / 10..(number + 1) * SPANS / 10;
    for (service, name) in SERVICES.iter().enumerate() {
        let resource = {
            let mut resource = builder.begin_resource();
            let mut attributes = resource.attributes();
            attributes.push("service.name", Value::String(name));
            attributes.push("faas.name", Value::String(&format!("shop-{name}")));
            resource.commit()
        };
        let scope = builder.begin_scope().commit();
        for trace in traces.clone() {
            for place in (0..10).filter(|&place| SERVICE_OF_SPAN[place] == service) {
                let span = builder.begin_span(resource, scope);
                fill(span, trace, place as u64, service as u64);
            }
        }
    }
    builder.finish().unwrap()
}

fn fill(mut span: SpanRow<'_>, trace: u64, place: u64, service: u64) {
    let start =
        1_700_000_000_000_000_000 + trace * 40_000 + place * (500_000 + mix(trace) % 900_000);
    // About log-normal: a product of two random factors.
    let length = 20_000 * (1 + mix(trace ^ 77) % 64) * (1 + mix(trace * 10 + place) % 64);
    let id = |name: u64| SpanId((mix(trace * 16 + name) | 1).to_be_bytes());
    let trace_id = u128::from(mix(trace)) << 64 | u128::from(mix(!trace));
    span.set_trace_id(TraceId(trace_id.to_be_bytes()));
    span.set_span_id(id(place));
    if place > 0 {
        span.set_parent_span_id(id(place / 2));
    }
    span.set_name(["POST /orders", "validate", "orders publish"][(place % 3) as usize]);
    span.set_start_time_unix_nano(start);
    span.set_end_time_unix_nano(start + length + mix(trace * 10 + place) % 1_000);
    let invocation =
        uuid::Uuid::from_u64_pair(mix(trace * 8 + service), mix(!(trace * 8 + service)));
    let invocation = invocation.to_string();
    let user = format!("user-{}", mix(trace ^ 5) % 100_000);
    let mut attributes = span.attributes();
    for (key, value) in [
        ("faas.trigger", "http"),
        ("faas.invocation_id", &invocation),
        ("cloud.account.id", "123456789012"),
        ("deployment.environment", "production"),
        ("user.id", &user),
        ("http.request.method", "POST"),
        ("http.route", "/orders"),
        ("server.address", "shop.internal"),
    ] {
        attributes.push(key, Value::String(value));
    }
    let is_failed = mix(trace * 10 + place).is_multiple_of(100);
    let status = if is_failed { 500 } else { 200 };
    attributes.push("http.response.status_code", Value::Int(status));
    let is_cold = mix(trace * 8 + service).is_multiple_of(50);
    attributes.push("faas.coldstart", Value::Bool(is_cold));
    let total = (100 + mix(trace ^ 7) % 50_000) as f64 / 100.0;
    attributes.push("order.total", Value::Double(total));
    span.commit().unwrap();
}

/// A number that looks random, the same for the same number.
fn mix(number: u64) -> u64 {
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

fn open(runtime: &Runtime, fsync: FsyncPolicy) -> (TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let mut options = StoreOptions::new(directory.path());
    options.fsync = fsync;
    options.hot_bytes = 4 << 30;
    options.hot_window = Duration::MAX;
    let store = runtime.block_on(Store::open(options)).unwrap();
    (directory, store)
}

fn append(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let mut group = criterion.benchmark_group("append");
    group.throughput(Throughput::Elements(SPANS * 16));
    for (name, fsync) in [
        ("synced", FsyncPolicy::Always),
        ("unsynced", FsyncPolicy::Never),
    ] {
        let (_directory, store) = open(&runtime, fsync);
        let batches: Vec<SpanBatch> = (0..16).map(batch).collect();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                // Sixteen senders, as in group commit.
                let appends = batches.iter().map(|batch| store.append(batch.clone()));
                let done = runtime.block_on(futures::future::join_all(appends));
                done.into_iter().for_each(Result::unwrap);
                if store.statistics().hot.bytes > 512 << 20 {
                    runtime.block_on(store.flush()).unwrap();
                }
            });
        });
    }
    group.finish();
}

fn flush_and_read(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let batches: Vec<SpanBatch> = (0..100).map(batch).collect();
    let mut group = criterion.benchmark_group("cold");
    group
        .throughput(Throughput::Elements(SPANS * 100))
        .sample_size(10);
    group.bench_function("flush", |bencher| {
        bencher.iter_batched(
            || {
                let (directory, store) = open(&runtime, FsyncPolicy::Never);
                let appends = batches.iter().map(|batch| store.append(batch.clone()));
                runtime.block_on(futures::future::join_all(appends));
                (directory, store)
            },
            |(directory, store)| {
                runtime.block_on(store.flush()).unwrap();
                (directory, store)
            },
            BatchSize::PerIteration,
        );
    });
    let (_directory, store) = open(&runtime, FsyncPolicy::Never);
    for batch in &batches {
        runtime.block_on(store.append(batch.clone())).unwrap();
    }
    runtime.block_on(store.flush()).unwrap();
    let cold = store.statistics().cold;
    // Criterion has no place for sizes.
    tracing::info!(
        bytes_per_span = cold.bytes as f64 / cold.spans as f64,
        "data file"
    );
    let read = |request: &ScanRequest| {
        runtime.block_on(async {
            let partitions = store.snapshot().scan(request).await.partitions;
            for partition in partitions {
                let mut stream = partition.stream();
                while let Some(batch) = stream.next().await {
                    black_box(batch.unwrap());
                }
            }
        });
    };
    group.bench_function("read everything", |bencher| {
        bencher.iter(|| read(&ScanRequest::default()));
    });
    let trace = batches[50].span(500).trace_id();
    let by_id = ScanRequest {
        trace_ids: Some(Arc::new([trace].into())),
        ..ScanRequest::default()
    };
    group.throughput(Throughput::Elements(1));
    group.bench_function("read one trace", |bencher| bencher.iter(|| read(&by_id)));
    group.finish();
}

criterion_group!(benches, append, flush_and_read);
criterion_main!(benches);
