//! What reading a request costs: 100 traces of 10 spans of 11 attributes, about 450 bytes a span. Prost's own
//! decoding of the same bytes into structs, which is what other receivers start with, runs beside it.
#![expect(missing_docs, reason = "criterion's macros make a public function")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message as _;
use spanlight_wire::DecodeLimits;
use spanlight_wire::otlp::{decode_json, decode_protobuf, encode_json, encode_protobuf};

const TRACES: u64 = 100;
const SPANS_PER_TRACE: u64 = 10;
const RECEIVED_AT: i64 = 1_795_381_900_000_000_000;

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn text(key: &str, value: impl Into<String>) -> KeyValue {
    attribute(key, Value::StringValue(value.into()))
}

/// Numbers without pattern, the same in every run.
fn scattered(number: u64) -> u64 {
    number
        .wrapping_add(1)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .rotate_left(29)
}

fn span(trace: u64, index: u64) -> Span {
    let number = trace * SPANS_PER_TRACE + index;
    let id = |number: u64| scattered(number).to_be_bytes().to_vec();
    let start = RECEIVED_AT as u64 - 1_000_000_000 + number * 1_003;
    let status_code = [200, 200, 200, 404, 500][(scattered(number) % 5) as usize];
    Span {
        trace_id: [id(trace), id(trace + 7_000)].concat(),
        span_id: id(number),
        parent_span_id: if index == 0 {
            Vec::new()
        } else {
            id(number - 1)
        },
        flags: 0x101,
        name: [
            "GET /orders/{id}",
            "reserve stock",
            "charge card",
            "publish",
            "render",
        ][(index % 5) as usize]
            .to_owned(),
        kind: 1 + (index % 5) as i32,
        start_time_unix_nano: start,
        end_time_unix_nano: start + scattered(number) % 50_000_000,
        attributes: vec![
            text(
                "http.request.method",
                ["GET", "POST"][(number % 2) as usize],
            ),
            text(
                "url.path",
                format!("/orders/{}", scattered(number) % 10_000),
            ),
            attribute("http.response.status_code", Value::IntValue(status_code)),
            text("server.address", "orders.internal.example"),
            attribute("server.port", Value::IntValue(8443)),
            text(
                "enduser.id",
                format!("user-{:06}", scattered(trace) % 100_000),
            ),
            text("cloud.region", "eu-central-1"),
            attribute(
                "faas.coldstart",
                Value::BoolValue(number.is_multiple_of(50)),
            ),
            text(
                "faas.invocation_id",
                format!("{:016x}", scattered(number + 31)),
            ),
            attribute(
                "app.amount",
                Value::DoubleValue((number % 997) as f64 / 10.0),
            ),
            attribute(
                "messaging.batch.message_count",
                Value::IntValue((number % 10) as i64),
            ),
        ],
        status: Some(Status {
            code: i32::from(status_code >= 500) * 2,
            message: String::new(),
        }),
        ..Span::default()
    }
}

fn request() -> ExportTraceServiceRequest {
    let spans = |service: u64| {
        (0..TRACES)
            .flat_map(|trace| (0..SPANS_PER_TRACE).map(move |index| (trace, index)))
            .filter(|(_, index)| index % 5 == service)
            .map(|(trace, index)| span(trace, index))
            .collect()
    };
    let resource_spans = (0..5)
        .map(|service| ResourceSpans {
            resource: Some(Resource {
                attributes: vec![
                    text("service.name", format!("service-{service}")),
                    text("telemetry.sdk.language", "python"),
                    text("faas.name", format!("function-{service}")),
                ],
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans {
                scope: Some(InstrumentationScope {
                    name: "orders".to_owned(),
                    version: "1.4.2".to_owned(),
                    ..InstrumentationScope::default()
                }),
                spans: spans(service),
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        })
        .collect();
    ExportTraceServiceRequest { resource_spans }
}

#[expect(
    clippy::unwrap_used,
    reason = "a benchmark of what does not decode measures nothing"
)]
fn otlp(criterion: &mut Criterion) {
    let limits = DecodeLimits::default();
    let body = request().encode_to_vec();
    let batch = decode_protobuf(&body, RECEIVED_AT, &limits).unwrap().batch;
    assert_eq!(batch.num_spans() as u64, TRACES * SPANS_PER_TRACE);
    let json = encode_json(&batch);
    let mut group = criterion.benchmark_group(format!(
        "otlp, {} bytes a span",
        body.len() / batch.num_spans()
    ));
    group.throughput(Throughput::Elements(TRACES * SPANS_PER_TRACE));
    group.bench_function("decode protobuf to columns", |bencher| {
        bencher.iter(|| decode_protobuf(black_box(&body), RECEIVED_AT, &limits).unwrap());
    });
    group.bench_function("decode protobuf to prost's structs", |bencher| {
        bencher.iter(|| ExportTraceServiceRequest::decode(black_box(&body[..])).unwrap());
    });
    group.bench_function("decode JSON to columns", |bencher| {
        bencher.iter(|| decode_json(black_box(json.as_bytes()), RECEIVED_AT, &limits).unwrap());
    });
    group.bench_function("encode protobuf", |bencher| {
        bencher.iter(|| encode_protobuf(black_box(&batch)));
    });
    group.bench_function("encode JSON", |bencher| {
        bencher.iter(|| encode_json(black_box(&batch)));
    });
    group.finish();
}

criterion_group!(benches, otlp);
criterion_main!(benches);
