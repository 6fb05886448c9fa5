//! More than the server may hold: refused with a time to come back, and never stored in part.

use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::fixture::{Fixture, hex, now_unix_nano, order, request, span, trace_id};
use crate::grpc::{self, TRACES, frame};

/// A connection that has announced a body and not sent it: its bytes are reserved.
async fn half_sent(server: &Fixture, bytes: usize) -> TcpStream {
    let address = server.otlp_http.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n\
         content-length: {bytes}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    while server.metric("spanlight_in_flight_bytes").await < bytes as f64 {
        tokio::task::yield_now().await;
    }
    stream
}

#[tokio::test]
async fn a_full_server_says_when_to_come_back_and_keeps_its_word() {
    let server = Fixture::with(&[
        "limits.request_bytes=1MiB",
        "limits.request_bytes_decompressed=1MiB",
        "limits.in_flight_bytes=2MiB",
    ])
    .await;
    let early = order(1, now_unix_nano());
    server.send(&early).await;

    let body = order(2, now_unix_nano()).encode_to_vec();
    let holding = [
        half_sent(&server, 1 << 20).await,
        half_sent(&server, (1 << 20) - 10).await,
    ];
    let answer = server.post_protobuf(body.clone()).await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.header("retry-after"), "1");
    let reply = grpc::call(server.otlp_grpc, TRACES, &[], frame(false, &body)).await;
    assert_eq!(reply.code, 8, "RESOURCE_EXHAUSTED");
    // The name of the type, in base64, as it stands in the details.
    assert!(
        !reply.details.is_empty(),
        "clients retry only with RetryInfo"
    );
    let trace = server
        .get(&format!("/api/v1/traces/{}", hex(&trace_id(2))))
        .await;
    assert_eq!(trace.status, 404);

    drop(holding);
    while server.metric("spanlight_in_flight_bytes").await > 0.0 {
        tokio::task::yield_now().await;
    }
    let answer = server.post_protobuf(body).await;
    assert_eq!(answer.status, 200);
    for number in [1, 2] {
        let trace = server
            .get(&format!("/api/v1/traces/{}", hex(&trace_id(number))))
            .await;
        assert_eq!(trace.json()["span_count"], 3);
    }
}

#[tokio::test]
async fn more_connections_than_allowed_wait() {
    let server = Fixture::with(&["limits.connections=2"]).await;
    let address = server.otlp_http.trim_start_matches("http://").to_owned();
    let idle = [
        TcpStream::connect(&address).await.unwrap(),
        TcpStream::connect(&address).await.unwrap(),
    ];
    let mut third = TcpStream::connect(&address).await.unwrap();
    third
        .write_all(b"GET /v1/traces HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    drop(idle);
    let mut answer = Vec::new();
    third.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 405"));
}

/// Memory for one of them at a time.
#[tokio::test(flavor = "multi_thread")]
async fn large_traces_that_are_asked_for_at_once_wait_for_each_other() {
    let server = Fixture::with(&["limits.search_bytes=3MiB"]).await;
    let start = now_unix_nano();
    let mut spans: Vec<_> = (0..5_000)
        .map(|number| span(1, 1, 0, &format!("step {number}"), start, start + 1))
        .collect();
    for (number, span) in spans.iter_mut().enumerate() {
        span.span_id = (number as u64 + 1).to_be_bytes().to_vec();
    }
    server.send(&request("shop", spans)).await;
    let path = format!("/tempo/api/traces/{}", hex(&trace_id(1)));
    let answers = (0..12).map(|_| server.get(&path));
    for answer in futures::future::join_all(answers).await {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}
