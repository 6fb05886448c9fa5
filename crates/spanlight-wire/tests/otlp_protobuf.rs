//! Protobuf of real clients, and what protobuf allows that they do not do.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use spanlight_model::{SpanBatch, Value};
use spanlight_wire::otlp::{decode_protobuf, encode_protobuf};
use spanlight_wire::{DecodeLimits, DecodeReport};

use crate::capture::body;
use crate::dump::dump;

const RECEIVED_AT: i64 = 1_795_381_900_000_000_000;

/// A body of which everything must be kept.
pub(crate) fn decode_whole(body: &[u8]) -> SpanBatch {
    let decoded = decode_protobuf(body, RECEIVED_AT, &DecodeLimits::default()).unwrap();
    assert_eq!(decoded.report, DecodeReport::default());
    decoded.batch
}

#[test]
fn python_spans_are_read() {
    insta::assert_snapshot!(dump(&decode_whole(&body(
        "otlp/python-protobuf-validate.http"
    ))));
    insta::assert_snapshot!(dump(&decode_whole(&body(
        "otlp/python-protobuf-forward.http"
    ))));
    let zipped = decode_whole(&body("otlp/python-protobuf-gzip-forward.http"));
    assert_eq!(zipped.span(0).name(), "Forward Event");
    let zipped = decode_whole(&body("otlp/python-protobuf-gzip-validate.http"));
    assert_eq!(zipped.span(0).name(), "Validate Event");
}

#[test]
fn node_spans_are_read() {
    insta::assert_snapshot!(dump(&decode_whole(&body("otlp/node-protobuf.http"))));
}

#[test]
fn what_is_written_is_what_prost_reads() {
    for name in [
        "otlp/python-protobuf-forward.http",
        "otlp/node-protobuf.http",
    ] {
        let body = body(name);
        let encoded = encode_protobuf(&decode_whole(&body));
        assert_eq!(
            ExportTraceServiceRequest::decode(&encoded[..]).unwrap(),
            ExportTraceServiceRequest::decode(&body[..]).unwrap(),
            "{name}"
        );
    }
}

fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2, u8::try_from(content.len()).unwrap()];
    assert!(content.len() < 128 && number < 16);
    bytes.extend_from_slice(content);
    bytes
}

const IDS: [u8; 28] = [
    0x0a, 16, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, // trace_id
    0x12, 8, 2, 2, 2, 2, 2, 2, 2, 2, // span_id
];

#[test]
fn fields_may_come_in_any_order_and_in_pieces() {
    let service = field(
        1,
        &[field(1, b"service.name"), field(2, &field(1, b"a"))].concat(),
    );
    let other = field(1, &[field(2, &field(1, b"b")), field(1, b"other")].concat());
    let span = field(
        2,
        &[&field(5, b"first")[..], &IDS, &field(5, b"last")].concat(),
    );
    let scope_spans = [
        span,
        field(3, b"scope schema"),
        field(1, &field(1, b"scope")),
    ]
    .concat();
    let resource_spans = [
        field(2, &scope_spans),
        field(3, b"schema"),
        field(1, &service),
        field(1, &other),
    ];
    let batch = decode_whole(&field(1, &resource_spans.concat()));
    let span = batch.span(0);
    assert_eq!(
        (span.name(), span.trace_id().0, span.span_id().0),
        ("last", [1; 16], [2; 8])
    );
    assert_eq!(span.resource().service_name(), Some("a"));
    assert_eq!(span.resource().attribute("other"), Some(Value::String("b")));
    assert_eq!(span.resource().schema_url(), "schema");
    assert_eq!(
        (span.scope().name(), span.scope().schema_url()),
        ("scope", "scope schema")
    );
}

#[test]
fn unknown_fields_and_wrong_wire_types_are_ignored() {
    let span = [
        &IDS[..],
        &[0x7b, 0x08, 1, 0x7c],               // a group under status' number
        &[0x28, 1],                           // the name as a number
        &[0xa2, 0x06, 2, 0xff, 0xff],         // field 100
        &[0xf8, 0x07, 0xff, 0x01],            // field 127, a number
        &field(9, &[0x0a, 1, b'k', 0x18, 1]), // an attribute with a field 3 and no value
    ]
    .concat();
    let batch = decode_whole(&field(1, &field(2, &field(2, &span))));
    assert_eq!(batch.num_spans(), 1);
    assert_eq!(batch.span(0).name(), "");
    assert_eq!(batch.span(0).attribute("k"), Some(Value::Empty));
}
