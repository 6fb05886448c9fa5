//! Spans in by every way, and back field by field.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use insta::assert_snapshot;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::{Span, TracesData};
use prost::Message as _;

use crate::fixture::{Fixture, hex, now_unix_nano, order, request, span, trace_id};
use crate::grpc::{self, TRACES, frame};

const START: u64 = 1_700_000_000_000_000_000;

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

/// The spans of a request, by id: grouping and order are not part of what was said.
fn spans(resources: &[opentelemetry_proto::tonic::trace::v1::ResourceSpans]) -> Vec<Span> {
    let mut spans: Vec<Span> = resources
        .iter()
        .flat_map(|resource| &resource.scope_spans)
        .flat_map(|scope| scope.spans.clone())
        .collect();
    spans.sort_by(|one, other| one.span_id.cmp(&other.span_id));
    spans
}

/// What comes back is what was sent.
async fn check(server: &Fixture, sent: &ExportTraceServiceRequest) {
    let id = hex(&sent.resource_spans[0].scope_spans[0].spans[0].trace_id);
    let answer = server
        .get_as(&format!("/api/v1/traces/{id}"), "application/x-protobuf")
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "application/x-protobuf");
    let stored = TracesData::decode(&answer.body[..]).unwrap().resource_spans;
    assert_eq!(spans(&stored), spans(&sent.resource_spans));
    for resource in &stored {
        assert_eq!(resource.resource, sent.resource_spans[0].resource);
        for scope in &resource.scope_spans {
            assert_eq!(scope.scope, sent.resource_spans[0].scope_spans[0].scope);
        }
    }
}

#[tokio::test]
async fn what_is_acknowledged_is_there_at_once_and_whole() {
    let server = Fixture::start().await;
    for (number, (encoding, pack)) in [
        ("", (|bytes| bytes.to_vec()) as fn(&[u8]) -> Vec<u8>),
        ("identity", |bytes| bytes.to_vec()),
        ("gzip", gzip),
        ("deflate", zlib),
        ("zstd", zstd),
    ]
    .into_iter()
    .enumerate()
    {
        let sent = order(number as u8, START);
        let mut headers = vec![("content-type", "application/x-protobuf")];
        if !encoding.is_empty() {
            headers.push(("content-encoding", encoding));
        }
        let answer = server
            .post("/v1/traces", &headers, pack(&sent.encode_to_vec()))
            .await;
        assert_eq!(answer.status, 200, "{encoding}: {}", answer.text());
        assert_eq!(answer.header("content-type"), "application/x-protobuf");
        assert!(answer.body.is_empty());
        check(&server, &sent).await;
    }
    let received = server
        .metric("spanlight_spans_received_total{protocol=\"otlp_http_protobuf\"}")
        .await;
    assert!((received - 15.0).abs() < 0.5);
}

#[tokio::test]
async fn grpc_takes_the_same_spans() {
    let server = Fixture::start().await;
    for (number, encoding) in ["", "gzip", "zstd"].into_iter().enumerate() {
        let sent = order(number as u8, START);
        let bytes = sent.encode_to_vec();
        let (headers, body) = match encoding {
            "gzip" => (vec![("grpc-encoding", "gzip")], frame(true, &gzip(&bytes))),
            "zstd" => (vec![("grpc-encoding", "zstd")], frame(true, &zstd(&bytes))),
            _ => (vec![], frame(false, &bytes)),
        };
        let reply = grpc::call(server.otlp_grpc, TRACES, &headers, body).await;
        assert_eq!((reply.code, reply.message.as_str()), (0, ""), "{encoding}");
        assert!(reply.body.is_empty());
        check(&server, &sent).await;
    }
}

#[tokio::test]
async fn json_is_answered_in_json() {
    let server = Fixture::start().await;
    let body = format!(
        r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"shop"}}}}]}},
        "scopeSpans":[{{"spans":[
          {{"traceId":"{id}","spanId":"00000000000000a1","name":"ok","kind":2,
            "startTimeUnixNano":"{START}","endTimeUnixNano":"{START}","attributes":[{{"key":"n","value":{{"intValue":"5"}}}}]}},
          {{"traceId":"{id}","spanId":"0000000000000000","name":"bad"}}]}}]}}]}}"#,
        id = hex(&trace_id(1)),
    );
    let answer = server
        .post(
            "/v1/traces",
            &[("content-type", "application/json; charset=utf-8")],
            body.into_bytes(),
        )
        .await;
    assert_eq!(answer.header("content-type"), "application/json");
    assert_snapshot!(answer.text(), @r#"{"partialSuccess":{"errorMessage":"resource_spans[0].scope_spans[0].spans[1]: the span id is missing or zero (spans rejected: 1)","rejectedSpans":"1"}}"#);
    let trace = server
        .get(&format!("/api/v1/traces/{}", hex(&trace_id(1))))
        .await
        .json();
    assert_eq!(trace["span_count"], 1);
    assert_eq!(trace["spans"][0]["attributes"][0]["value"]["intValue"], "5");
}

#[tokio::test]
async fn a_body_in_chunks_is_a_body() {
    let server = Fixture::start().await;
    let sent = order(1, START);
    let bytes = sent.encode_to_vec();
    let chunks = bytes.chunks(100).map(<[u8]>::to_vec).collect();
    assert_eq!(server.post_chunks(chunks).await.status, 200);
    check(&server, &sent).await;
}

#[tokio::test]
async fn logs_and_metrics_are_answered_with_why_they_are_not_kept() {
    let server = Fixture::start().await;
    for path in ["/v1/logs", "/v1/metrics"] {
        let answer = server
            .post(
                path,
                &[("content-type", "application/x-protobuf")],
                vec![1, 2],
            )
            .await;
        assert_eq!(answer.status, 200);
        let success = ExportTraceServiceResponse::decode(&answer.body[..])
            .unwrap()
            .partial_success
            .unwrap();
        assert!(success.error_message.contains("Spanlight keeps traces"));
    }
    let answer = server
        .post(
            "/v1/logs",
            &[("content-type", "application/json")],
            b"{}".to_vec(),
        )
        .await;
    assert_snapshot!(answer.text(), @r#"{"partialSuccess":{"errorMessage":"Spanlight keeps traces; these log records were not kept: set OTEL_LOGS_EXPORTER=none"}}"#);
    let reply = grpc::call(server.otlp_grpc, grpc::LOGS, &[], frame(false, &[])).await;
    assert_eq!(reply.code, 0);
    assert!(String::from_utf8_lossy(&reply.body).contains("Spanlight keeps traces"));
}

#[tokio::test]
async fn strange_times_and_names_are_kept_as_sent() {
    let server = Fixture::start().await;
    let year_2200 = 7_258_118_400_000_000_000;
    let sent = request(
        "größte Straße",
        vec![
            span(1, 1, 0, "ends before it starts", START, START - 5),
            span(1, 2, 1, "zero", 0, 0),
            span(1, 3, 1, "year 2200", year_2200, year_2200 + 1),
            span(1, 4, 1, "名前 ✨", now_unix_nano(), now_unix_nano()),
        ],
    );
    server.send(&sent).await;
    let answer = server
        .get(&format!("/api/v1/traces/{}", hex(&trace_id(1))))
        .await
        .json();
    let names: Vec<&str> = answer["spans"]
        .as_array()
        .unwrap()
        .iter()
        .map(|span| span["name"].as_str().unwrap())
        .collect();
    assert_eq!(names.len(), 4);
    assert!(names.contains(&"名前 ✨"));
    let page = server.get(&format!("/trace/{}", hex(&trace_id(1)))).await;
    assert_eq!(page.status, 200);
}

#[tokio::test]
async fn the_same_span_sent_twice_is_there_once() {
    let server = Fixture::start().await;
    let sent = order(1, START);
    server.send(&sent).await;
    server.send(&sent).await;
    check(&server, &sent).await;
}
