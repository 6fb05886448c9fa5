//! What is decoded and encoded again is what was sent.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use proptest::prelude::*;
use prost::Message as _;
use spanlight_model::SpanBatch;
use spanlight_wire::otlp::{decode_json, decode_protobuf, encode_json, encode_protobuf};
use spanlight_wire::{DecodeLimits, DecodeReport};

use crate::generate;

pub(crate) const RECEIVED_AT: i64 = 1_795_381_900_000_000_000;

fn read_protobuf(body: &[u8]) -> SpanBatch {
    let decoded = decode_protobuf(body, RECEIVED_AT, &DecodeLimits::default()).unwrap();
    assert_eq!(decoded.report, DecodeReport::default());
    decoded.batch
}

fn read_json(body: &str) -> SpanBatch {
    let decoded = decode_json(body.as_bytes(), RECEIVED_AT, &DecodeLimits::default()).unwrap();
    assert_eq!(decoded.report, DecodeReport::default());
    decoded.batch
}

fn read_prost(body: &[u8]) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest::decode(body).unwrap()
}

/// Spans of few keys and values, so that attributes come again, in the same order and in others.
fn repetitive() -> impl Strategy<Value = ExportTraceServiceRequest> {
    let value = prop_oneof![
        3 => (0..3).prop_map(|n| Some(Any::StringValue(format!("v{n}")))),
        1 => Just(Some(Any::IntValue(7))),
        1 => Just(Some(Any::BytesValue(vec![7]))),
        1 => Just(Some(Any::ArrayValue(ArrayValue::default()))),
        1 => Just(None),
    ];
    let attribute = (0..4_usize, value).prop_map(|(key, value)| KeyValue {
        key: ["", "a", "b", "c"][key].to_owned(),
        value: Some(AnyValue { value }),
        ..KeyValue::default()
    });
    let attributes = proptest::collection::vec(attribute, 0..6);
    proptest::collection::vec(attributes, 1..120).prop_map(|spans| {
        let spans = (1_u64..)
            .zip(spans)
            .map(|(number, attributes)| Span {
                trace_id: vec![1; 16],
                span_id: number.to_be_bytes().to_vec(),
                start_time_unix_nano: 1,
                end_time_unix_nano: 2,
                attributes,
                ..Span::default()
            })
            .collect();
        let scope_spans = vec![ScopeSpans {
            spans,
            ..ScopeSpans::default()
        }];
        ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                scope_spans,
                ..ResourceSpans::default()
            }],
        }
    })
}

fn attributes(request: &ExportTraceServiceRequest) -> Vec<Vec<KeyValue>> {
    let spans = request
        .resource_spans
        .iter()
        .flat_map(|resource| &resource.scope_spans)
        .flat_map(|scope| &scope.spans);
    spans.map(|span| span.attributes.clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn attributes_that_come_again(request in repetitive()) {
        let encoded = read_prost(&encode_protobuf(&read_protobuf(&request.encode_to_vec())));
        prop_assert_eq!(attributes(&encoded), attributes(&request));
    }

    #[test]
    fn through_protobuf(request in generate::request()) {
        let batch = read_protobuf(&request.encode_to_vec());
        let encoded = encode_protobuf(&batch);
        prop_assert_eq!(read_prost(&encoded), request);
        prop_assert_eq!(read_protobuf(&encoded), batch);
    }

    #[test]
    fn through_json(request in generate::request()) {
        let batch = read_protobuf(&request.encode_to_vec());
        let again = read_json(&encode_json(&batch));
        prop_assert_eq!(read_prost(&encode_protobuf(&again)), request);
    }

    #[test]
    fn joined_batches_keep_every_span(first in generate::request(), second in generate::request()) {
        let batches = [first, second].map(|request| read_protobuf(&request.encode_to_vec()));
        let joined = SpanBatch::concat(&batches).unwrap();
        let again = read_protobuf(&encode_protobuf(&joined));
        let ids = |batch: &SpanBatch| {
            let mut ids: Vec<_> = (0..batch.num_spans())
                .map(|row| (batch.span(row).trace_id(), batch.span(row).span_id()))
                .collect();
            ids.sort_unstable();
            ids
        };
        prop_assert_eq!(ids(&joined), ids(&again));
    }
}
