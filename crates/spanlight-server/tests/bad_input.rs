//! Each bad input gets an answer that says what is wrong, and the server and the neighbours live on.

use insta::assert_snapshot;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::fixture::{
    Answer, Fixture, attribute, hex, now_unix_nano, order, request, span, text, trace_id,
};
use crate::grpc::{self, TRACES, frame};
use crate::receive::gzip;

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, prost::Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

/// Status of the answer, code and message of the body.
fn outcome(answer: &Answer) -> String {
    assert_eq!(answer.header("content-type"), "application/x-protobuf");
    let status = RpcStatus::decode(&answer.body[..]).unwrap();
    format!("{} {} {}", answer.status, status.code, status.message)
}

async fn is_alive(server: &Fixture) {
    server.send(&order(200, now_unix_nano())).await;
    let answer = server
        .get(&format!("/api/v1/traces/{}", hex(&trace_id(200))))
        .await;
    assert_eq!(answer.json()["span_count"], 3);
}

/// A gRPC error is HTTP's 200: a sender of OTLP over HTTP would take its spans for stored.
#[tokio::test]
async fn otlp_over_http_on_the_port_of_grpc_is_not_acknowledged() {
    let server = Fixture::start().await;
    for path in ["/v1/traces", TRACES] {
        let request = server
            .client
            .post(format!("http://{}{path}", server.otlp_grpc))
            .header(PROTOBUF.0, PROTOBUF.1)
            .body(order(1, now_unix_nano()).encode_to_vec());
        let answer = Answer::of(request.send().await.unwrap()).await;
        assert_eq!(answer.status, 415, "{path}");
        assert!(answer.text().contains("receivers.otlp_http"), "{path}");
    }
}

#[tokio::test]
async fn what_is_no_request_is_refused_with_its_place() {
    let server = Fixture::start().await;
    let whole = order(1, now_unix_nano()).encode_to_vec();
    let truncated = whole[..whole.len() / 2].to_vec();
    assert_snapshot!(outcome(&server.post_protobuf(truncated).await), @"400 3 truncated message at byte 0, in resource_spans");
    let json = server
        .post(
            "/v1/traces",
            &[("content-type", "application/json")],
            b"{\"resourceSpans\": [{]}".to_vec(),
        )
        .await;
    assert_snapshot!(format!("{} {}", json.status, json.text()), @r#"400 {"code":3,"message":"key must be a string at line 1, column 21"}"#);
    let answer = server
        .post(
            "/v1/traces",
            &[("content-type", "text/plain")],
            whole.clone(),
        )
        .await;
    assert_snapshot!(outcome(&answer), @r#"415 3 content-type "text/plain" is not supported; send application/x-protobuf or application/json"#);
    let answer = server.post("/v1/traces", &[], whole.clone()).await;
    assert_snapshot!(outcome(&answer), @"415 3 the request has no content-type; send application/x-protobuf or application/json");
    let answer = server
        .post(
            "/v1/traces",
            &[PROTOBUF, ("content-encoding", "br")],
            whole.clone(),
        )
        .await;
    assert_snapshot!(outcome(&answer), @r#"415 3 content-encoding "br" is not supported; send one of gzip, zstd, deflate, identity"#);
    assert_eq!(
        answer.header("accept-encoding"),
        "gzip, zstd, deflate, identity"
    );
    let answer = server
        .post(
            "/v1/traces",
            &[PROTOBUF, ("content-encoding", "gzip")],
            whole.clone(),
        )
        .await;
    assert_snapshot!(outcome(&answer), @"400 3 the body is not gzip, as its content-encoding says: invalid gzip header");
    let answer = server
        .post(
            "/v1/traces",
            &[PROTOBUF, ("content-encoding", "zstd")],
            whole.clone(),
        )
        .await;
    assert_snapshot!(outcome(&answer), @"400 3 the body is not zstd, as its content-encoding says: Unknown frame descriptor");
    let packed = gzip(&whole);
    let answer = server
        .post(
            "/v1/traces",
            &[PROTOBUF, ("content-encoding", "gzip")],
            packed[..packed.len() - 9].to_vec(),
        )
        .await;
    assert_snapshot!(outcome(&answer), @"400 3 the body is cut off: its gzip data has no end");
    let refused = server
        .metric("spanlight_receive_requests_total{protocol=\"otlp_http_protobuf\",code=\"400\"}")
        .await;
    assert!((refused - 4.0).abs() < 0.5, "{refused}");
    is_alive(&server).await;
}

#[tokio::test]
async fn what_is_too_large_is_refused_with_the_limit() {
    let server = Fixture::with(&[
        "limits.request_bytes=64KiB",
        "limits.request_bytes_decompressed=1MiB",
    ])
    .await;
    let answer = server.post_protobuf(vec![0; 3 << 20]).await;
    assert_snapshot!(outcome(&answer), @"413 8 the body is larger than 65536 bytes (limits.request_bytes); send smaller batches");
    let chunks = vec![vec![0; 1_000]; 200];
    assert_eq!(server.post_chunks(chunks).await.status, 413);
    let bomb = gzip(&vec![0; 40 << 20]);
    assert!(bomb.len() < 64 << 10);
    let answer = server
        .post(
            "/v1/traces",
            &[PROTOBUF, ("content-encoding", "gzip")],
            bomb.clone(),
        )
        .await;
    assert_snapshot!(outcome(&answer), @"413 8 the decompressed body is larger than 1048576 bytes (limits.request_bytes_decompressed); send smaller batches");
    let reply = grpc::call(
        server.otlp_grpc,
        TRACES,
        &[("grpc-encoding", "gzip")],
        frame(true, &bomb),
    )
    .await;
    assert_snapshot!(format!("{} {}", reply.code, reply.message), @"8 the decompressed body is larger than 1048576 bytes (limits.request_bytes_decompressed); send smaller batches");
    let reply = grpc::call(
        server.otlp_grpc,
        TRACES,
        &[],
        frame(false, &vec![0; 2 << 20]),
    )
    .await;
    assert_snapshot!(format!("{} {}", reply.code, reply.message), @"8 the decompressed body is larger than 1048576 bytes (limits.request_bytes_decompressed); send smaller batches");
    let reply = grpc::call(
        server.otlp_grpc,
        TRACES,
        &[("grpc-encoding", "gzip")],
        frame(true, b"not gzip at all"),
    )
    .await;
    assert_snapshot!(format!("{} {}", reply.code, reply.message), @"3 the message is not packed as its grpc-encoding says");
    is_alive(&server).await;
    let in_flight = server.metric("spanlight_in_flight_bytes").await;
    assert!(in_flight.abs() < 0.5, "{in_flight}");
}

#[tokio::test]
async fn one_bad_span_of_a_hundred_is_left_out() {
    let server = Fixture::start().await;
    let now = now_unix_nano();
    let mut spans: Vec<_> = (1..=100)
        .map(|id| span(1, id, 0, "work", now, now + 1))
        .collect();
    spans[41].span_id = vec![0; 8];
    let answer = server
        .post_protobuf(request("shop", spans).encode_to_vec())
        .await;
    assert_eq!(answer.status, 200);
    let success = ExportTraceServiceResponse::decode(&answer.body[..])
        .unwrap()
        .partial_success
        .unwrap();
    assert_eq!(success.rejected_spans, 1);
    assert!(
        success.error_message.contains("spans[41]"),
        "{}",
        success.error_message
    );
    let trace = server
        .get(&format!("/api/v1/traces/{}", hex(&trace_id(1))))
        .await;
    assert_eq!(trace.json()["span_count"], 99);
    let rejected = server
        .metric("spanlight_spans_rejected_total{protocol=\"otlp_http_protobuf\",reason=\"zero_span_id\"}")
        .await;
    assert!((rejected - 1.0).abs() < 0.5);
}

#[tokio::test]
async fn a_huge_value_is_kept_and_a_flood_of_attributes_is_cut() {
    let server = Fixture::start().await;
    let now = now_unix_nano();
    let mut huge = span(1, 1, 0, "huge", now, now + 1);
    huge.attributes = vec![attribute("text", text(&"x".repeat(1 << 20)))];
    let mut flood = span(1, 2, 1, "flood", now, now + 1);
    flood.attributes = vec![attribute("k", text("v")); 1_000_000];
    server
        .send(&request(
            "shop",
            vec![huge, flood, span(1, 3, 1, "neighbour", now, now + 1)],
        ))
        .await;
    let trace = server
        .get(&format!("/api/v1/traces/{}", hex(&trace_id(1))))
        .await
        .json();
    let named = |name: &str| {
        let spans = trace["spans"].as_array().unwrap().iter();
        spans
            .into_iter()
            .find(|span| span["name"] == name)
            .unwrap()
            .clone()
    };
    let value = &named("huge")["attributes"][0]["value"]["stringValue"];
    assert_eq!(value.as_str().unwrap().len(), 1 << 20);
    assert_eq!(
        named("flood")["attributes"].as_array().unwrap().len(),
        1_024
    );
    assert_eq!(
        named("flood")["dropped_attributes_count"],
        1_000_000 - 1_024
    );
    assert_eq!(named("neighbour")["depth"], 1);
    let dropped = server
        .metric("spanlight_parts_dropped_total{protocol=\"otlp_http_protobuf\",part=\"attribute\"}")
        .await;
    assert!((dropped - 998_976.0).abs() < 0.5, "{dropped}");
    for path in ["/", &format!("/trace/{}", hex(&trace_id(1)))] {
        assert_eq!(server.get(path).await.status, 200);
    }
}

#[tokio::test]
async fn grpc_says_it_in_its_own_terms() {
    let server = Fixture::start().await;
    let whole = order(1, now_unix_nano()).encode_to_vec();
    let reply = grpc::call(server.otlp_grpc, TRACES, &[], frame(false, &whole[..40])).await;
    assert_snapshot!(format!("{} {}", reply.code, reply.message), @"3 truncated message at byte 0, in resource_spans");
    let reply = grpc::call(
        server.otlp_grpc,
        "/shop.Orders/List",
        &[],
        frame(false, &[]),
    )
    .await;
    assert_snapshot!(format!("{} {}", reply.code, reply.message), @"12 no method /shop.Orders/List; OTLP over gRPC is received at /opentelemetry.proto.collector.trace.v1.TraceService/Export");
    is_alive(&server).await;
}

#[tokio::test]
async fn other_methods_and_paths_say_what_is_there() {
    let server = Fixture::start().await;
    let get = server
        .client
        .get(format!("{}/v1/traces", server.otlp_http))
        .send()
        .await
        .unwrap();
    assert_eq!(get.status(), 405);
    let answer = server.post("/v2/traces", &[PROTOBUF], Vec::new()).await;
    assert_eq!(answer.status, 404);
    assert!(answer.text().contains("/v1/traces"));
    // The answers of the other port, to someone who took it for this one.
    let answer = server.get("/v1/traces").await;
    assert_eq!(answer.status, 404);
    assert!(answer.text().contains("other ports"));
}

#[tokio::test]
async fn who_dawdles_is_cut_off() {
    let server = Fixture::with(&["limits.request_read_time=300ms", "limits.idle_time=300ms"]).await;
    let address = server.otlp_http.trim_start_matches("http://").to_owned();
    for begin in [
        "",
        "POST /v1/tra",
        "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: 100\r\n\r\nabc",
    ] {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream.write_all(begin.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // Ends when the server closes; a server that waits for ever fails the test by its time limit.
        let reading = stream.read_to_end(&mut answer);
        let _ = tokio::time::timeout(std::time::Duration::from_secs(20), reading)
            .await
            .unwrap();
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 408"),
            "{begin:?}: {answer}"
        );
    }
    is_alive(&server).await;
}
