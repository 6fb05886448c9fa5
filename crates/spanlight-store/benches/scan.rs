//! What a scan of data files costs: by id, by attribute, over everything.
//!
//! `cargo bench -p spanlight-store --bench scan`. The spans are orders of a shop that runs on functions: ten a trace
//! in time's order, eleven attributes each, an invocation id for each function of a trace, 100,000 users.
//! `SPANLIGHT_BENCH_SPANS` says how many there are (300,000: two row groups and a part).

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on panics")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures::StreamExt as _;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use spanlight_model::{SpanBatch, SpanBatchBuilder, SpanId, StatusCode, TraceId, Value};
use spanlight_store::{
    AttributeKeys, Comparison, Field, Filter, FsyncPolicy, Literal, ScanColumns, ScanRequest,
    Store, StoreOptions, TextTest,
};
use tokio::runtime::Runtime;

const SPANS_PER_TRACE: u64 = 10;
const TRACES_PER_BATCH: u64 = 100;
/// Of each span of a trace: the service, the name.
const SHAPE: [(usize, &str); 10] = [
    (0, "POST /orders"),
    (0, "validate"),
    (1, "checkout"),
    (1, "charge card"),
    (2, "PaymentIntent.create"),
    (1, "publish order"),
    (3, "process order"),
    (4, "reserve stock"),
    (4, "UPDATE stock"),
    (5, "send mail"),
];
const SERVICES: [&str; 6] = [
    "ingress",
    "checkout",
    "payment",
    "orders",
    "warehouse",
    "mail",
];

fn trace_id(number: u64) -> TraceId {
    let mut random = SmallRng::seed_from_u64(number);
    TraceId(random.random::<u128>().to_be_bytes())
}

fn invocation_id(random: &mut SmallRng) -> String {
    uuid::Uuid::from_u128(random.random()).to_string()
}

fn user(number: u64) -> String {
    let mut random = SmallRng::seed_from_u64(!number);
    format!("user-{:06}", random.random_range(0..100_000))
}

/// Whole traces, from this one on.
fn batch(first: u64) -> SpanBatch {
    let mut random = SmallRng::seed_from_u64(first ^ 0x5ca1_ab1e);
    let mut builder = SpanBatchBuilder::new(1_700_000_000_000_000_000);
    let resources = SERVICES.map(|service| {
        let mut resource = builder.begin_resource();
        let mut attributes = resource.attributes();
        attributes.push("service.name", Value::String(service));
        attributes.push("faas.name", Value::String(&format!("{service}-fn")));
        attributes.push("cloud.region", Value::String("eu-central-1"));
        resource.commit()
    });
    let scope = builder.begin_scope().commit();
    for number in first..first + TRACES_PER_BATCH {
        let user = user(number);
        let invocations = SERVICES.map(|_| invocation_id(&mut random));
        let mut start = 1_700_000_000_000_000_000 + number * 1_000_000;
        for (position, (service, name)) in SHAPE.iter().enumerate() {
            let mut span = builder.begin_span(resources[*service], scope);
            let id: u64 = random.random_range(1..u64::MAX);
            span.set_trace_id(trace_id(number));
            span.set_span_id(SpanId(id.to_be_bytes()));
            if position > 0 {
                span.set_parent_span_id(SpanId((id / 2 + 1).to_be_bytes()));
            }
            span.set_name(name);
            let length = (random.random::<f64>() * random.random::<f64>() * 5e7) as u64;
            span.set_start_time_unix_nano(start);
            span.set_end_time_unix_nano(start + length);
            start += random.random_range(1_000..1_000_000);
            let is_error = random.random_bool(0.01);
            if is_error {
                span.set_status_code(StatusCode::Error);
            }
            let mut attributes = span.attributes();
            attributes.push("http.request.method", Value::String("POST"));
            attributes.push("http.route", Value::String("/orders/{id}"));
            attributes.push(
                "http.response.status_code",
                Value::Int(if is_error { 500 } else { 200 }),
            );
            attributes.push("user.id", Value::String(&user));
            attributes.push("faas.invocation_id", Value::String(&invocations[*service]));
            attributes.push("faas.coldstart", Value::Bool(random.random_bool(0.02)));
            attributes.push(
                "order.total",
                Value::Double(random.random_range(1.0..500.0)),
            );
            attributes.push("order.items", Value::Int(random.random_range(1..9)));
            attributes.push("net.peer.name", Value::String("10.0.3.7"));
            attributes.push("retry", Value::Bool(false));
            attributes.push(
                "payload.bytes",
                Value::Int(random.random_range(100..90_000)),
            );
            if random.random_bool(0.00002) {
                let needle = format!("needle-{number}");
                attributes.push("rare.key", Value::String(&needle));
            }
            span.commit().unwrap();
        }
    }
    builder.finish().unwrap()
}

fn span(key: &str) -> Field {
    Field::SpanAttribute(key.into())
}

fn filtered(columns: ScanColumns, filter: Filter) -> ScanRequest {
    ScanRequest {
        columns,
        filter: Some(Arc::new(filter)),
        ..ScanRequest::default()
    }
}

fn by_id(id: TraceId) -> ScanRequest {
    ScanRequest {
        trace_ids: Some(Arc::new([id].into())),
        ..ScanRequest::default()
    }
}

fn candidates() -> ScanColumns {
    ScanColumns {
        trace_id: true,
        times: true,
        ..ScanColumns::NONE
    }
}

fn lookups(traces: u64) -> Vec<(&'static str, ScanRequest)> {
    let equal = |key, text: &str| filtered(candidates(), Filter::equal(span(key), text.into()));
    let no_name = Filter::equal(Field::Name, "none".into());
    vec![
        ("by id", by_id(trace_id(traces / 2))),
        ("by id, absent", by_id(TraceId([7; 16]))),
        ("a user", equal("user.id", &user(traces / 3))),
        ("no such user", equal("user.id", "nobody")),
        ("no such name", filtered(candidates(), no_name)),
        ("a rare key", equal("rare.key", "needle-1")),
    ]
}

fn searches() -> Vec<(&'static str, ScanRequest)> {
    let matches = |key, part: &'static str| {
        let test = TextTest::new(part, move |text| text.contains(part));
        filtered(candidates(), Filter::matches(span(key), test))
    };
    let failed = Filter::And(vec![
        Filter::equal(Field::ServiceName, "warehouse".into()),
        Filter::equal(span("http.response.status_code"), Literal::Int(500)),
    ]);
    let slow = Literal::Int(45_000_000);
    let slow = Filter::compare(Field::Duration, Comparison::Greater, slow);
    vec![
        ("failed in one service", filtered(candidates(), failed)),
        ("slow", filtered(candidates(), slow)),
        ("text in users", matches("user.id", "r-0012")),
        (
            "text in invocations",
            matches("faas.invocation_id", "abcdef"),
        ),
    ]
}

fn passes() -> Vec<(&'static str, ScanRequest)> {
    let metrics = ScanRequest {
        columns: ScanColumns {
            times: true,
            service_name: true,
            ..ScanColumns::NONE
        },
        ..ScanRequest::default()
    };
    let by_function = ScanColumns {
        times: true,
        resource: AttributeKeys::of(["faas.name"]),
        ..ScanColumns::NONE
    };
    let cold = Filter::equal(span("faas.coldstart"), Literal::Bool(true));
    vec![
        ("times and services", metrics),
        ("cold starts by function", filtered(by_function, cold)),
        ("everything", ScanRequest::default()),
    ]
}

async fn read(store: &Store, request: &ScanRequest) -> usize {
    let scan = store.snapshot().scan(request).await;
    let mut spans = 0;
    let mut streams = futures::stream::iter(scan.partitions)
        .map(|partition| partition.stream())
        .flatten_unordered(2);
    while let Some(batch) = streams.next().await {
        spans += black_box(batch.unwrap()).num_spans();
    }
    spans
}

fn scan(criterion: &mut Criterion) {
    let spans = std::env::var("SPANLIGHT_BENCH_SPANS");
    let spans: u64 = spans.map_or(300_000, |spans| spans.parse().unwrap());
    let runtime = Runtime::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut options = StoreOptions::new(directory.path());
    options.fsync = FsyncPolicy::Never;
    options.hot_bytes = 4 << 30;
    options.hot_window = Duration::MAX;
    let store = runtime.block_on(Store::open(options)).unwrap();
    let traces = spans / SPANS_PER_TRACE;
    runtime.block_on(async {
        for first in (0..traces).step_by(TRACES_PER_BATCH as usize) {
            store.append(batch(first)).await.unwrap();
        }
        store.flush().await.unwrap();
    });
    let mut group = criterion.benchmark_group("scan");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(2))
        .throughput(Throughput::Elements(spans));
    let requests = lookups(traces).into_iter().chain(searches());
    for (name, request) in requests.chain(passes()) {
        let found = runtime.block_on(read(&store, &request));
        let scan = runtime.block_on(store.snapshot().scan(&request));
        tracing::info!(name, found, figures = ?scan.report.figures());
        group.bench_function(name, |bencher| {
            bencher.iter(|| assert_eq!(runtime.block_on(read(&store, &request)), found));
        });
    }
    group.finish();
}

criterion_group!(benches, scan);
criterion_main!(benches);
