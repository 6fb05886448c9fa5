//! Traces as Grafana reads them.

use serde_json::{Value, json};
use spanlight_model::SpanBatch;
use spanlight_wire::otlp::encode_protobuf;
use spanlight_wire::tempo::{TraceStatus, encode_v1_json, encode_v2_json, encode_v2_protobuf};

use crate::capture::body;
use crate::otlp_protobuf::decode_whole;

const COMPLETE: TraceStatus<'_> = TraceStatus {
    partial: None,
    inspected_bytes: 1234,
};

fn parse(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

#[test]
fn json_is_protobufs_own() {
    let batch = decode_whole(&body("otlp/python-protobuf-forward.http"));
    let v1 = parse(&encode_v1_json(&batch));
    let span = &v1["batches"][0]["scopeSpans"][0]["spans"][0];
    assert_eq!(span["traceId"], "uOxfemfwJCI9Tsl4pRfPzg==");
    assert_eq!(span["spanId"], "uozEuxf+gfU=");
    assert_eq!(span["parentSpanId"], "rX0iByqflYM=");
    assert_eq!(span["kind"], "SPAN_KIND_CONSUMER");
    assert_eq!(
        span["status"],
        json!({"code": "STATUS_CODE_ERROR", "message": "consumer endpoint did not answer"})
    );
    assert_eq!(span["links"][0]["traceId"], span["traceId"]);
    assert_eq!(span["startTimeUnixNano"], "1795381509683206453");

    let v2 = parse(&encode_v2_json(&batch, &COMPLETE));
    assert_eq!(v2["trace"]["resourceSpans"], v1["batches"]);
    assert_eq!(v2["metrics"], json!({"inspectedBytes": "1234"}));
    assert_eq!(v2.get("status"), None);
}

#[test]
fn a_trace_that_is_not_there_is_an_empty_answer() {
    let status = TraceStatus::default();
    let empty = SpanBatch::empty();
    assert_eq!(
        encode_v2_json(&empty, &status),
        r#"{"trace":{},"metrics":{}}"#
    );
    assert_eq!(encode_v2_protobuf(&empty, &status), b"\x0a\x00\x12\x00");
}

#[test]
fn a_partial_answer_says_so() {
    let status = TraceStatus {
        partial: Some("a file is damaged"),
        inspected_bytes: 0,
    };
    let batch = decode_whole(&body("otlp/python-protobuf-forward.http"));
    let json = parse(&encode_v2_json(&batch, &status));
    assert_eq!(
        (&json["status"], &json["message"]),
        (&json!("PARTIAL"), &json!("a file is damaged"))
    );

    let protobuf = encode_v2_protobuf(&batch, &status);
    let trace = encode_protobuf(&batch);
    let rest = b"\x12\x00\x18\x01\x22\x11a file is damaged";
    assert!(protobuf.starts_with(b"\x0a"));
    assert!(protobuf.ends_with(&[&trace[..], rest].concat()));
}
