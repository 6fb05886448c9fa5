//! Metrics, and what is counted on the way in.

use insta::{assert_json_snapshot, assert_snapshot};
use serde_json::Value as Json;

use super::START;
use crate::fixture::{Fixture, order};

#[tokio::test]
async fn metrics_are_series_of_samples() {
    let server = Fixture::start().await;
    server.send(&order(1, START)).await;
    let seconds = START / 1_000_000_000;
    let path = format!(
        "/api/v1/metrics?q=%7B%20%7D%20%7C%20count_over_time()%20by%20(resource.service.name,%20status)&start={seconds}&end={}&step=1m",
        seconds + 60
    );
    let mut answer = server.get(&path).await.json();
    answer["inspected"] = Json::Null;
    assert_json_snapshot!(answer, @r#"
    {
      "inspected": null,
      "partial": [],
      "series": [
        {
          "labels": {
            "resource.service.name": "checkout",
            "status": "error"
          },
          "samples": [
            [
              1699999980.0,
              1.0
            ],
            [
              1700000040.0,
              0.0
            ]
          ]
        },
        {
          "labels": {
            "resource.service.name": "checkout",
            "status": "unset"
          },
          "samples": [
            [
              1699999980.0,
              2.0
            ],
            [
              1700000040.0,
              0.0
            ]
          ]
        }
      ]
    }
    "#);
    for (part, code) in [
        ("q=%7B%20%7D", "unsupported_query"),
        ("step=fast", "bad_parameter"),
        ("step=1ms", "limit"),
        ("explain=maybe", "bad_parameter"),
    ] {
        let refused = server.get(&format!("/api/v1/metrics?{part}")).await;
        assert_eq!(refused.status, 400, "{part}");
        assert_eq!(refused.json()["error"]["code"], code, "{part}");
    }
}

#[tokio::test]
async fn services_and_calls_are_counted_before_they_are_flushed() {
    let server = Fixture::start().await;
    server.send(&order(1, START)).await;
    // A client that sends again what it could not know to be stored.
    server.send(&order(1, START)).await;
    let services = server.get("/api/v1/services").await.json();
    let mut lines = Vec::new();
    for service in services["services"].as_array().unwrap() {
        for operation in service["operations"].as_array().unwrap() {
            let field = |name: &str| operation[name].to_string();
            let [name, kind, spans, errors] =
                ["name", "kind", "span_count", "error_count"].map(field);
            lines.push(format!(
                "{} {name} {kind} {spans} {errors}",
                service["name"]
            ));
        }
    }
    assert_snapshot!(lines.join("\n"), @r#"
    "checkout" "POST /orders" "server" 1 0.0
    "checkout" "charge card" "client" 1 1.0
    "checkout" "late" "internal" 1 0.0
    "#);
    let graph = server.get("/api/v1/service-graph").await.json();
    assert_snapshot!(graph, @r#"{"calls":[],"unmatched_span_count":0}"#);
}
