//! One trace: its tree, its spelling, its forms and its windows.

use insta::{assert_json_snapshot, assert_snapshot};
use serde_json::Value as Json;

use super::START;
use crate::fixture::{Fixture, hex, order, request, span, trace_id};

#[tokio::test]
async fn a_trace_is_told_with_its_tree() {
    let server = Fixture::start().await;
    server.send(&order(1, START)).await;
    let mut answer = server
        .get(&format!("/api/v1/traces/{}", hex(&trace_id(1))))
        .await
        .json();
    for span in answer["spans"].as_array_mut().unwrap() {
        span["received_at_unix_nano"] = Json::from("now");
    }
    assert_json_snapshot!(answer, @r#"
    {
      "duration_nano": "250000000",
      "error_count": 1,
      "offset": 0,
      "partial": [],
      "resources": [
        {
          "attributes": [
            {
              "key": "service.name",
              "value": {
                "stringValue": "checkout"
              }
            }
          ],
          "dropped_attributes_count": 0,
          "schema_url": "",
          "service_name": "checkout"
        }
      ],
      "scopes": [
        {
          "attributes": [],
          "dropped_attributes_count": 0,
          "name": "checkout-tracer",
          "schema_url": "",
          "version": "1.2"
        }
      ],
      "span_count": 3,
      "spans": [
        {
          "asynchronous": false,
          "attributes": [
            {
              "key": "http.request.method",
              "value": {
                "stringValue": "POST"
              }
            },
            {
              "key": "http.response.status_code",
              "value": {
                "intValue": "502"
              }
            },
            {
              "key": "faas.coldstart",
              "value": {
                "boolValue": true
              }
            },
            {
              "key": "app.order.value",
              "value": {
                "doubleValue": 19.5
              }
            }
          ],
          "child_count": 1,
          "cold_start": true,
          "cycle": false,
          "depth": 0,
          "descendant_count": 1,
          "dropped_attributes_count": 0,
          "dropped_events_count": 0,
          "dropped_links_count": 0,
          "duration_nano": "250000000",
          "end_time_unix_nano": "1700000000250000000",
          "error": false,
          "events": [],
          "flags": 0,
          "kind": "server",
          "links": [],
          "name": "POST /orders",
          "orphan": false,
          "parent": null,
          "parent_span_id": null,
          "received_at_unix_nano": "now",
          "resource": 0,
          "scope": 0,
          "service_name": "checkout",
          "span_id": "000000000000cd01",
          "start_time_unix_nano": "1700000000000000000",
          "status": "unset",
          "status_message": "",
          "trace_state": "vendor=1"
        },
        {
          "asynchronous": false,
          "attributes": [],
          "child_count": 0,
          "cold_start": false,
          "cycle": false,
          "depth": 1,
          "descendant_count": 0,
          "dropped_attributes_count": 0,
          "dropped_events_count": 0,
          "dropped_links_count": 0,
          "duration_nano": "190000000",
          "end_time_unix_nano": "1700000000200000000",
          "error": true,
          "events": [
            {
              "attributes": [
                {
                  "key": "exception.type",
                  "value": {
                    "stringValue": "CardDeclined"
                  }
                }
              ],
              "dropped_attributes_count": 1,
              "name": "exception",
              "time_unix_nano": "1700000000020000000"
            }
          ],
          "flags": 0,
          "kind": "client",
          "links": [
            {
              "attributes": [
                {
                  "key": "batch",
                  "value": {
                    "bytesValue": "AQID"
                  }
                }
              ],
              "dropped_attributes_count": 0,
              "flags": 0,
              "span_id": "0707070707070707",
              "trace_id": "ababababababababababababababab63",
              "trace_state": ""
            }
          ],
          "name": "charge card",
          "orphan": false,
          "parent": 0,
          "parent_span_id": "000000000000cd01",
          "received_at_unix_nano": "now",
          "resource": 0,
          "scope": 0,
          "service_name": "checkout",
          "span_id": "000000000000cd02",
          "start_time_unix_nano": "1700000000010000000",
          "status": "error",
          "status_message": "card declined",
          "trace_state": ""
        },
        {
          "asynchronous": false,
          "attributes": [],
          "child_count": 0,
          "cold_start": false,
          "cycle": false,
          "depth": 0,
          "descendant_count": 0,
          "dropped_attributes_count": 0,
          "dropped_events_count": 0,
          "dropped_links_count": 0,
          "duration_nano": "10000000",
          "end_time_unix_nano": "1700000000040000000",
          "error": false,
          "events": [],
          "flags": 1,
          "kind": "internal",
          "links": [],
          "name": "late",
          "orphan": true,
          "parent": null,
          "parent_span_id": "000000000000cd4d",
          "received_at_unix_nano": "now",
          "resource": 0,
          "scope": 0,
          "service_name": "checkout",
          "span_id": "000000000000cd03",
          "start_time_unix_nano": "1700000000030000000",
          "status": "unset",
          "status_message": "",
          "trace_state": ""
        }
      ],
      "start_time_unix_nano": "1700000000000000000",
      "trace_id": "ababababababababababababababab01"
    }
    "#);
}

#[tokio::test]
async fn ids_are_read_in_any_spelling() {
    let server = Fixture::start().await;
    server.send(&order(1, START)).await;
    let id = hex(&trace_id(1));
    let xray = format!("1-{}-{}", &id[..8], &id[8..]);
    for spelling in [id.to_uppercase(), xray] {
        assert_eq!(
            server
                .get(&format!("/api/v1/traces/{spelling}"))
                .await
                .status,
            200,
            "{spelling}"
        );
    }
    let answer = server.get("/api/v1/traces/orders").await;
    assert_eq!(answer.status, 400);
    assert_snapshot!(answer.text(), @r#"{"error":{"code":"bad_trace_id","message":"\"orders\" is no trace id: character 0 is not a hexadecimal digit","hint":"a trace id has 1 to 32 hexadecimal digits, or X-Ray's form 1-8hex-24hex"}}"#);
    let answer = server.get("/api/v1/traces/ab").await;
    assert_eq!(answer.status, 404);
    assert_snapshot!(answer.text(), @r#"{"error":{"code":"trace_not_found","message":"no span of trace 000000000000000000000000000000ab is stored","hint":"its spans may still be on their way, be older than the retention, or have been rejected: see /metrics"}}"#);
}

#[tokio::test]
async fn forms_are_chosen_by_accept_and_by_name() {
    let server = Fixture::start().await;
    server.send(&order(1, START)).await;
    let path = format!("/api/v1/traces/{}", hex(&trace_id(1)));
    let otlp = server.get_as(&path, "application/otlp+json").await;
    assert_eq!(
        otlp.json()["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["traceId"],
        hex(&trace_id(1))
    );
    let named = server.get(&format!("{path}?format=otlp")).await;
    assert_eq!(named.body, otlp.body);
    let protobuf = server.get(&format!("{path}?format=protobuf")).await;
    assert_eq!(protobuf.header("content-type"), "application/x-protobuf");
    let json = server.get_as(&path, "text/html, */*").await;
    assert_eq!(json.json()["span_count"], 3);
    let wrong = server.get(&format!("{path}?format=xml")).await;
    assert_eq!(wrong.status, 400);
    assert_snapshot!(wrong.text(), @r#"{"error":{"code":"bad_parameter","message":"parameter format: \"xml\" is not one of json, otlp, protobuf"}}"#);
}

#[tokio::test]
async fn a_large_trace_comes_in_windows() {
    let server = Fixture::start().await;
    let spans = (1..=50)
        .map(|id| {
            span(
                1,
                id,
                u8::from(id > 1),
                "step",
                START + u64::from(id),
                START + 100,
            )
        })
        .collect();
    server.send(&request("shop", spans)).await;
    let path = format!("/api/v1/traces/{}", hex(&trace_id(1)));
    let window = server
        .get(&format!("{path}?offset=10&limit=20"))
        .await
        .json();
    assert_eq!(window["span_count"], 50);
    assert_eq!(window["next_offset"], 30);
    let ids: Vec<&str> = window["spans"]
        .as_array()
        .unwrap()
        .iter()
        .map(|span| span["span_id"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), 20);
    assert_eq!(ids[0], "000000000000cd0b");
    let last = server
        .get(&format!("{path}?offset=40&limit=20"))
        .await
        .json();
    assert_eq!(last["spans"].as_array().unwrap().len(), 10);
    assert_eq!(last.get("next_offset"), None);
    let beyond = server.get(&format!("{path}?offset=500")).await.json();
    assert_eq!(beyond["spans"].as_array().unwrap().len(), 0);
}
