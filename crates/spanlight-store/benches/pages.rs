//! What it costs to read one trace of a data file, all columns of it, by its id: this store's reader of pages beside the
//! `parquet` crate's, on the same file in the same run.
//!
//! `cargo bench -p spanlight -p spanlight-store --bench pages`. The file is one row group of 131,072 spans, ten a trace.
//! Both know the footer and the page index; the crate's Bloom filter is not asked, and its rows are not made spans.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on panics")]

use std::collections::BTreeSet;
use std::fs::File;
use std::hint::black_box;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow_array::cast::AsArray as _;
use arrow_array::{BooleanArray, RecordBatch};
use criterion::{Criterion, criterion_group, criterion_main};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowPredicateFn, ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
    RowFilter,
};
use parquet::file::metadata::PageIndexPolicy;
use spanlight_model::{SpanBatch, SpanBatchBuilder, SpanId, TraceId, Value};
use spanlight_store::{FsyncPolicy, ScanColumns, ScanRequest, Store, StoreOptions};
use tokio::runtime::Runtime;

const SPANS: u64 = 131_072;
const SPANS_PER_TRACE: u64 = 10;
const TRACES_PER_BATCH: u64 = 100;

/// Looks random, and is the same each time.
fn random(number: u64) -> u64 {
    let mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn trace_id(number: u64) -> TraceId {
    let id = u128::from(random(number)) << 64 | u128::from(random(!number));
    TraceId(id.to_be_bytes())
}

fn push_span(builder: &mut SpanBatchBuilder, number: u64) {
    let random = random(number);
    let resource = {
        let mut resource = builder.begin_resource();
        let service = format!("service {}", number % 6);
        let mut attributes = resource.attributes();
        attributes.push("service.name", Value::String(&service));
        attributes.push("cloud.region", Value::String("eu-central-1"));
        resource.commit()
    };
    let scope = builder.begin_scope().commit();
    let mut span = builder.begin_span(resource, scope);
    span.set_trace_id(trace_id(number / SPANS_PER_TRACE));
    span.set_span_id(SpanId(random.to_be_bytes()));
    if !number.is_multiple_of(SPANS_PER_TRACE) {
        span.set_parent_span_id(SpanId((random / 2 + 1).to_be_bytes()));
    }
    span.set_name(["POST /orders", "validate", "publish order"][(number % 3) as usize]);
    let start = 1_700_000_000_000_000_000 + number * 100_000 + random % 1_000;
    span.set_start_time_unix_nano(start);
    span.set_end_time_unix_nano(start + random % 50_000_000);
    let user = format!("user-{:06}", random % 100_000);
    let invocation = format!("{:016x}-{random:016x}", !random);
    let mut attributes = span.attributes();
    attributes.push("http.request.method", Value::String("POST"));
    attributes.push("http.route", Value::String("/orders/{id}"));
    attributes.push("http.response.status_code", Value::Int(200));
    if number.is_multiple_of(SPANS_PER_TRACE) {
        attributes.push("user.id", Value::String(&user));
    }
    attributes.push("faas.invocation_id", Value::String(&invocation));
    attributes.push("faas.coldstart", Value::Bool(random.is_multiple_of(50)));
    attributes.push("order.total", Value::Double(random as f64 / 1e6));
    attributes.push("order.items", Value::Int((random % 9) as i64));
    attributes.push("net.peer.name", Value::String("10.0.3.7"));
    attributes.push("payload.bytes", Value::Int((random % 90_000) as i64));
    attributes.push("retry", Value::Bool(false));
    span.commit().unwrap();
}

fn batch(first: u64) -> SpanBatch {
    let mut builder = SpanBatchBuilder::new(1_700_000_000_000_000_000);
    let end = SPANS.min(first + TRACES_PER_BATCH * SPANS_PER_TRACE);
    (first..end).for_each(|number| push_span(&mut builder, number));
    builder.finish().unwrap()
}

fn data_file(directory: &Path) -> PathBuf {
    let files = directory.join("recent").read_dir().unwrap();
    let mut files = files.map(|file| file.unwrap().path());
    files
        .find(|path| path.extension().is_some_and(|it| it == "parquet"))
        .unwrap()
}

fn read_own(runtime: &Runtime, store: &Store, id: TraceId) -> usize {
    let request = ScanRequest {
        trace_ids: Some(Arc::new(BTreeSet::from([id]))),
        columns: ScanColumns::ALL,
        ..ScanRequest::default()
    };
    let scan = runtime.block_on(store.snapshot().scan(&request));
    let mut spans = 0;
    for partition in scan.partitions {
        partition.read(|batch| {
            spans += black_box(batch.unwrap()).num_spans();
            ControlFlow::Continue(())
        });
    }
    spans
}

fn read_crate(path: &Path, metadata: &ArrowReaderMetadata, id: TraceId) -> usize {
    let file = File::open(path).unwrap();
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata.clone());
    let ids = ProjectionMask::columns(builder.parquet_schema(), ["trace_id"]);
    let is_it = ArrowPredicateFn::new(ids, move |rows: RecordBatch| {
        let ids = rows.column(0).as_binary::<i32>().iter();
        Ok(ids
            .map(|it| Some(it == Some(&id.0[..])))
            .collect::<BooleanArray>())
    });
    let filter = RowFilter::new(vec![Box::new(is_it)]);
    let rows = builder.with_row_filter(filter).build().unwrap();
    rows.map(|rows| black_box(rows.unwrap()).num_rows()).sum()
}

fn pages(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut options = StoreOptions::new(directory.path());
    options.fsync = FsyncPolicy::Never;
    options.hot_bytes = 4 << 30;
    options.hot_window = Duration::MAX;
    let store = runtime.block_on(Store::open(options)).unwrap();
    runtime.block_on(async {
        for first in (0..SPANS).step_by((TRACES_PER_BATCH * SPANS_PER_TRACE) as usize) {
            store.append(batch(first)).await.unwrap();
        }
        store.flush().await.unwrap();
    });
    let path = data_file(directory.path());
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
    let metadata = ArrowReaderMetadata::load(&File::open(&path).unwrap(), options).unwrap();
    assert_eq!(metadata.metadata().num_row_groups(), 1);
    // Another trace each time, all over the file.
    let traces = SPANS / SPANS_PER_TRACE;
    let mut asked = 0;
    let mut next = || {
        asked += 1;
        trace_id(random(asked) % traces)
    };
    let mut group = criterion.benchmark_group("a trace of 131,072 spans");
    group.measurement_time(Duration::from_secs(3));
    group.bench_function("this reader", |bencher| {
        bencher.iter(|| assert_eq!(read_own(&runtime, &store, next()), 10));
    });
    group.bench_function("the parquet crate's", |bencher| {
        bencher.iter(|| assert_eq!(read_crate(&path, &metadata, next()), 10));
    });
    group.finish();
}

criterion_group!(benches, pages);
criterion_main!(benches);
