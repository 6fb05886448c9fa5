//! Answers to clients.

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message as _;
use spanlight_wire::otlp::{
    Signal, export_response_json, export_response_protobuf, status_json, status_protobuf,
};

#[test]
fn protobuf_is_what_clients_read() {
    for (rejected, message) in [(0, ""), (1, "bad"), (0, "a warning"), (300, "")] {
        let response =
            ExportTraceServiceResponse::decode(&export_response_protobuf(rejected, message)[..])
                .unwrap();
        let expected = (rejected > 0 || !message.is_empty()).then(|| ExportTracePartialSuccess {
            rejected_spans: i64::try_from(rejected).unwrap(),
            error_message: message.to_owned(),
        });
        assert_eq!(response.partial_success, expected);
    }
    assert_eq!(export_response_protobuf(0, ""), b"");
    assert_eq!(status_protobuf(3, "no"), b"\x08\x03\x12\x02no");
}

#[test]
fn json_is_what_clients_read() {
    assert_eq!(export_response_json(Signal::Traces, 0, ""), "{}");
    assert_eq!(
        export_response_json(Signal::Traces, 2, "why \"so\""),
        r#"{"partialSuccess":{"errorMessage":"why \"so\"","rejectedSpans":"2"}}"#
    );
    assert_eq!(
        export_response_json(Signal::Logs, 0, "no logs"),
        r#"{"partialSuccess":{"errorMessage":"no logs"}}"#
    );
    assert_eq!(
        export_response_json(Signal::Metrics, 1, ""),
        r#"{"partialSuccess":{"rejectedDataPoints":"1"}}"#
    );
    assert_eq!(status_json(3, "no"), r#"{"code":3,"message":"no"}"#);
}
