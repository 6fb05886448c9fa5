//! Health, traces by id, searches and errors.

use insta::{assert_json_snapshot, assert_snapshot};
use opentelemetry_proto::tonic::trace::v1::TracesData;
use prost::Message as _;
use serde_json::Value as Json;

use crate::fixture::{Fixture, hex, now_unix_nano, order, trace_id};

const START: u64 = 1_700_000_000_000_000_000;
const SECONDS: u64 = START / 1_000_000_000;

#[tokio::test]
async fn the_data_source_finds_its_health() {
    let server = Fixture::start().await;
    let echo = server.get("/tempo/api/echo").await;
    assert_eq!((echo.status, echo.text().as_str()), (200, "echo"));
    let info = server.get("/tempo/api/status/buildinfo").await.json();
    assert_eq!(info["version"], env!("CARGO_PKG_VERSION"));
}

#[tokio::test]
async fn a_trace_has_the_shapes_of_both_versions() {
    let server = Fixture::start().await;
    server.send(&order(1, START)).await;
    let id = hex(&trace_id(1));
    let v1 = server.get(&format!("/tempo/api/traces/{id}")).await.json();
    assert_eq!(
        v1["batches"][0]["scopeSpans"][0]["spans"][0]["kind"],
        "SPAN_KIND_SERVER"
    );
    let v2 = server
        .get(&format!("/tempo/api/v2/traces/{id}"))
        .await
        .json();
    assert_eq!(v2["trace"]["resourceSpans"], v1["batches"]);
    let v1 = server
        .get_as(&format!("/tempo/api/traces/{id}"), "application/protobuf")
        .await;
    assert_eq!(v1.header("content-type"), "application/protobuf");
    let spans = |data: &TracesData| data.resource_spans[0].scope_spans[0].spans.len();
    assert_eq!(spans(&TracesData::decode(&v1.body[..]).unwrap()), 3);
    let v2 = server
        .get_as(
            &format!("/tempo/api/v2/traces/{id}"),
            "application/protobuf",
        )
        .await;
    assert_eq!(v2.header("content-type"), "application/protobuf");
    assert!(v2.body.len() > v1.body.len());
}

/// Grafana sends a range, which may be off; it is a hint of where to look, and nothing has to be looked for here.
#[tokio::test]
async fn a_trace_is_found_whole_whatever_range_and_mode_are_given() {
    let server = Fixture::start().await;
    server.send(&order(1, START)).await;
    let id = hex(&trace_id(1));
    for version in ["traces", "v2/traces"] {
        let path = format!("/tempo/api/{version}/{id}");
        let whole = server.get(&path).await.text();
        for hints in [
            "start=1&end=2",
            "start=9&end=1&mode=blocks",
            "mode=ingesters",
        ] {
            let answer = server.get(&format!("{path}?{hints}")).await;
            assert_eq!(
                (answer.status, answer.text()),
                (200, whole.clone()),
                "{hints}"
            );
        }
    }
}

#[tokio::test]
async fn an_unknown_trace_is_none_in_one_version_and_empty_in_the_other() {
    let server = Fixture::start().await;
    let v1 = server.get("/tempo/api/traces/ab").await;
    assert_eq!((v1.status, v1.body.len()), (404, 0));
    let v2 = server.get("/tempo/api/v2/traces/ab").await;
    assert_eq!(v2.status, 200);
    assert_snapshot!(v2.text(), @r#"{"trace":{},"metrics":{}}"#);
    let bad = server.get("/tempo/api/traces/orders").await;
    assert_eq!(bad.status, 400);
    assert_snapshot!(bad.text(), @r#""orders" is no trace id: character 0 is not a hexadecimal digit"#);
}

#[tokio::test]
async fn a_search_has_the_fields_of_tempo_and_no_other() {
    let server = Fixture::start().await;
    server.send(&order(1, START)).await;
    let mut answer = server
        .get(&format!(
            "/tempo/api/search?q=%7Bstatus%3Derror%7D&start={}&end={}",
            SECONDS - 10,
            SECONDS + 10
        ))
        .await
        .json();
    answer["metrics"]["inspectedBytes"] = Json::from("n");
    answer["metrics"]["inspectedSpans"] = Json::from("n");
    assert_json_snapshot!(answer, @r#"
    {
      "metrics": {
        "completedJobs": 1,
        "inspectedBytes": "n",
        "inspectedSpans": "n",
        "inspectedTraces": 1,
        "totalJobs": 1
      },
      "traces": [
        {
          "durationMs": 250,
          "rootServiceName": "checkout",
          "rootTraceName": "POST /orders",
          "serviceStats": {
            "checkout": {
              "errorCount": 1,
              "spanCount": 3
            }
          },
          "spanSet": {
            "matched": 1,
            "spans": [
              {
                "attributes": [
                  {
                    "key": "status",
                    "value": {
                      "stringValue": "error"
                    }
                  }
                ],
                "durationNanos": "190000000",
                "name": "charge card",
                "spanID": "000000000000cd02",
                "startTimeUnixNano": "1700000000010000000"
              }
            ]
          },
          "spanSets": [
            {
              "matched": 1,
              "spans": [
                {
                  "attributes": [
                    {
                      "key": "status",
                      "value": {
                        "stringValue": "error"
                      }
                    }
                  ],
                  "durationNanos": "190000000",
                  "name": "charge card",
                  "spanID": "000000000000cd02",
                  "startTimeUnixNano": "1700000000010000000"
                }
              ]
            }
          ],
          "startTimeUnixNano": "1700000000000000000",
          "traceID": "ababababababababababababababab01"
        }
      ]
    }
    "#);
    let nothing = server
        .get("/tempo/api/search?q=%7Bname%3D%22x%22%7D")
        .await
        .json();
    assert_eq!(nothing["traces"], Json::Array(Vec::new()));
}

#[tokio::test]
async fn a_search_by_tags_finds_what_contains_them() {
    let server = Fixture::start().await;
    server.send(&order(1, now_unix_nano())).await;
    for (parameters, found) in [
        ("tags=service.name%3Dcheck", 1),
        ("tags=service.name%3Dcheck%20name%3Dorders", 1),
        ("tags=service.name%3Dother", 0),
        ("minDuration=100ms", 1),
        ("minDuration=10s", 0),
        ("tags=service.name%3Dcheckout&maxDuration=10ms", 0),
    ] {
        let answer = server.get(&format!("/tempo/api/search?{parameters}")).await;
        assert_eq!(answer.status, 200, "{parameters}: {}", answer.text());
        let traces = answer.json()["traces"].as_array().unwrap().len();
        assert_eq!(traces, found, "{parameters}");
    }
}

#[tokio::test]
async fn errors_are_plain_text() {
    let server = Fixture::start().await;
    for (path, status) in [
        ("search?q=%7B", 400),
        ("search?limit=0", 400),
        ("search?spss=101", 400),
        ("search?start=10&end=5", 400),
        ("search?start=10", 400),
        ("search?start=now-1h&end=now", 400),
        ("search?q=%7B%7D&tags=a%3Db", 400),
        ("search?minDuration=5", 400),
        ("overrides", 404),
    ] {
        let answer = server.get(&format!("/tempo/api/{path}")).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert!(
            answer.header("content-type").starts_with("text/plain"),
            "{path}"
        );
        assert!(
            !answer.text().contains('<') && !answer.text().is_empty(),
            "{path}"
        );
    }
}
