//! What questions cost, each class once: over spans in files, with everything warm.
//!
//! `cargo bench -p spanlight-query`. `SPANS` is how many (500,000 where it is not said). Ten spans a trace, six services,
//! users, invocations and durations that hardly repeat, one span in a hundred failed. Every answer is checked for its
//! size. The figures of the budgets are those of `cargo xtask bench store`, over HTTP.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on panics")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use spanlight_model::{SpanBatch, SpanBatchBuilder, SpanId, SpanKind, StatusCode, TraceId, Value};
use spanlight_query::{MetricsRequest, QueryEngine, QueryLimits, SearchRequest};
use spanlight_store::{FsyncPolicy, Store, StoreOptions};
use tokio::runtime::Runtime;

const START: i64 = 1_700_000_000_000_000_000;
const SPANS_PER_TRACE: u64 = 10;
const TRACES_PER_BATCH: u64 = 200;
/// Between the starts of two traces.
const STEP_NANO: u64 = 3_000_000;
const SERVICES: [&str; 6] = ["ingress", "cart", "payment", "warehouse", "mail", "audit"];

/// A number that looks random, the same each time.
fn mixed(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

fn trace_id(trace: u64) -> TraceId {
    TraceId((u128::from(mixed(trace)) << 64 | u128::from(mixed(!trace))).to_be_bytes())
}

fn batch(first: u64) -> SpanBatch {
    let mut builder = SpanBatchBuilder::new(START);
    let resources = SERVICES.map(|service| {
        let mut resource = builder.begin_resource();
        let mut attributes = resource.attributes();
        attributes.push("service.name", Value::String(service));
        attributes.push("faas.name", Value::String(&format!("shop-{service}-prod")));
        resource.commit()
    });
    let scope = builder.begin_scope().commit();
    for trace in first..first + TRACES_PER_BATCH {
        for number in 0..SPANS_PER_TRACE {
            let draw = mixed(trace * SPANS_PER_TRACE + number);
            let service = (number as usize) % SERVICES.len();
            let mut span = builder.begin_span(resources[service], scope);
            span.set_trace_id(trace_id(trace));
            span.set_span_id(SpanId((trace * SPANS_PER_TRACE + number + 1).to_be_bytes()));
            if number > 0 {
                let parent = trace * SPANS_PER_TRACE + number / 2;
                span.set_parent_span_id(SpanId((parent + 1).to_be_bytes()));
            }
            span.set_name(["GET /cart", "charge", "reserve"][(number % 3) as usize]);
            span.set_kind([SpanKind::Server, SpanKind::Client][(number % 2) as usize]);
            let start = START as u64 + trace * STEP_NANO + number * 1_000_000;
            span.set_start_time_unix_nano(start);
            span.set_end_time_unix_nano(start + 1_000 + draw % 400_000_000);
            if draw.is_multiple_of(100) {
                span.set_status_code(StatusCode::Error);
            }
            let user = format!("user-{:06}", mixed(trace) % 100_000);
            let invocation = format!("{:016x}-{:016x}", mixed(draw), draw);
            let mut attributes = span.attributes();
            attributes.push("user.id", Value::String(&user));
            attributes.push("faas.invocation_id", Value::String(&invocation));
            attributes.push("faas.coldstart", Value::Bool(draw % 50 == 1));
            attributes.push(
                "http.response.status_code",
                Value::Int(200 + (draw % 3) as i64),
            );
            span.commit().unwrap();
        }
    }
    builder.finish().unwrap()
}

struct Bench {
    runtime: Runtime,
    engine: QueryEngine,
    traces: u64,
    _directory: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let spans = std::env::var("SPANS")
            .ok()
            .and_then(|text| text.parse().ok());
        let traces = spans.unwrap_or(500_000_u64) / SPANS_PER_TRACE;
        let runtime = Runtime::new().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let mut options = StoreOptions::new(directory.path());
        options.fsync = FsyncPolicy::Never;
        let store = runtime.block_on(async {
            let store = Store::open(options).await.unwrap();
            for first in (0..traces).step_by(TRACES_PER_BATCH as usize) {
                while store.append(batch(first)).await.is_err() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            store.flush().await.unwrap();
            store
        });
        Self {
            engine: QueryEngine::new(store, QueryLimits::default()),
            runtime,
            traces,
            _directory: directory,
        }
    }

    fn search(&self, query: &str, limit: usize) -> usize {
        let request = SearchRequest {
            query: query.to_owned(),
            time_range: START..i64::MAX,
            limit,
            spans_per_trace: 3,
            cursor: None,
        };
        let answer = self.runtime.block_on(self.engine.search(request)).unwrap();
        assert_eq!(answer.partial, []);
        answer.traces.len()
    }

    fn metrics(&self, query: &str) -> f64 {
        let request = MetricsRequest {
            query: query.to_owned(),
            time_range: START..START + 86_400_000_000_000,
            step: Some(Duration::from_secs(60)),
            ..MetricsRequest::default()
        };
        let answer = self.runtime.block_on(self.engine.metrics(request)).unwrap();
        assert_eq!(answer.partial, []);
        let points = answer.series.iter().flat_map(|series| &series.points);
        points.map(|point| point.value).sum()
    }
}

fn questions(criterion: &mut Criterion) {
    let bench = Bench::new();
    let mut group = criterion.benchmark_group("query");
    group.sample_size(10);
    let user = format!("{{ span.user.id = \"user-{:06}\" }}", mixed(7) % 100_000);
    let relation = "{ resource.service.name = \"ingress\" } >> { status = error }";
    for (name, query, limit, least) in [
        ("user", user.as_str(), 1_000, 1),
        ("newest", "{ span.http.response.status_code = 201 }", 20, 20),
        ("no match", "{ span.user.id = \"nobody\" }", 20, 0),
        (
            "regex user",
            "{ span.user.id =~ \"user-0123[0-9].*\" }",
            1_000,
            0,
        ),
        (
            "regex invocation",
            "{ span.faas.invocation_id =~ \".*abcdef0.*\" }",
            1_000,
            0,
        ),
        ("structural", relation, 20, 20),
        ("aggregate", "{ status = error } | count() > 1", 20, 20),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| assert!(black_box(bench.search(query, limit)) >= least));
        });
    }
    let id = trace_id(bench.traces / 2);
    group.bench_function("trace by id", |bencher| {
        bencher.iter(|| {
            let trace = bench.runtime.block_on(bench.engine.trace(id)).unwrap();
            assert_eq!(trace.unwrap().nodes.len() as u64, SPANS_PER_TRACE);
        });
    });
    let relation = format!("{relation} | count_over_time()");
    for (name, query) in [
        (
            "quantile",
            "{ } | quantile_over_time(duration, .9) by (resource.service.name)",
        ),
        (
            "count",
            "{ span.faas.coldstart = true } | count_over_time() by (resource.faas.name)",
        ),
        ("structural count", relation.as_str()),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| assert!(black_box(bench.metrics(query)) > 0.0));
        });
    }
    group.finish();
}

criterion_group!(benches, questions);
criterion_main!(benches);
