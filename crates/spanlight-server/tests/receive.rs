//! Spans in, by every way, and back field by field.

use prost::Message as _;

use crate::fixture::{Fixture, hex, now_unix_nano, order, trace_id};

#[tokio::test]
async fn what_is_acknowledged_is_there_at_once() {
    let server = Fixture::start().await;
    server.send(&order(1, now_unix_nano())).await;
    let answer = server
        .get(&format!("/api/v1/traces/{}", hex(&trace_id(1))))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["span_count"], 3);
    let directory = server.stop().await;
    assert!(!directory.path().join("addresses.json").exists());
}

#[tokio::test]
async fn protobuf_is_answered_in_protobuf() {
    let server = Fixture::start().await;
    let answer = server
        .post_protobuf(order(1, now_unix_nano()).encode_to_vec())
        .await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, "application/x-protobuf")
    );
    assert!(answer.body.is_empty());
}
