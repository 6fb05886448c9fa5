//! What is decoded and encoded again is what was sent.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

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
