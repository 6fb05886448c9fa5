//! What a batch costs on its way: appended (with and without fsync), moved to a data file, read back.
//!
//! `cargo bench -p spanlight-store`. The spans are those of the ingest benchmark: ten a trace, eleven attributes each,
//! a thousand a batch.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on panics")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use futures::StreamExt as _;
use spanlight_model::{SpanBatch, SpanBatchBuilder, SpanId, TraceId, Value};
use spanlight_store::{FsyncPolicy, ScanRequest, Store, StoreOptions};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const SPANS: u64 = 1_000;

fn batch(number: u64) -> SpanBatch {
    let mut builder = SpanBatchBuilder::new(0);
    let resource = {
        let mut resource = builder.begin_resource();
        resource
            .attributes()
            .push("service.name", Value::String("checkout"));
        resource.commit()
    };
    let scope = builder.begin_scope().commit();
    for span_number in number * SPANS..(number + 1) * SPANS {
        let mut span = builder.begin_span(resource, scope);
        let trace = u128::from(span_number / 10 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060);
        span.set_trace_id(TraceId(trace.to_be_bytes()));
        span.set_span_id(SpanId((span_number + 1).to_be_bytes()));
        span.set_name(["GET /cart", "charge", "reserve"][(span_number % 3) as usize]);
        span.set_start_time_unix_nano(1_700_000_000_000_000_000 + span_number * 1_000);
        span.set_end_time_unix_nano(1_700_000_000_000_500_000 + span_number * 1_000);
        let user = format!("user-{}", span_number % 5_000);
        for key in [
            "http.method",
            "http.route",
            "net.peer.name",
            "faas.name",
            "cloud.region",
        ] {
            span.attributes()
                .push(key, Value::String("a value that repeats"));
        }
        span.attributes().push("user.id", Value::String(&user));
        for key in ["http.status_code", "retry", "order.items", "bytes"] {
            span.attributes()
                .push(key, Value::Int((span_number % 97) as i64));
        }
        span.attributes().push("faas.coldstart", Value::Bool(false));
        span.commit().unwrap();
    }
    builder.finish().unwrap()
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
