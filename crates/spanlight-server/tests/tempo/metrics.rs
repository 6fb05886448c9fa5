//! Metrics over a range, and instant ones.

use insta::assert_json_snapshot;
use serde_json::{Value as Json, json};

use crate::fixture::{Fixture, attribute, now_unix_nano, order, request, span, text};

/// A multiple of every step below.
const T0: u64 = 1_700_000_400_000_000_000;
const SECOND: u64 = 1_000_000_000;

/// Spans at these times from T0 in nanoseconds, by group.
async fn server(spans: &[(i64, &str)]) -> Fixture {
    let server = Fixture::start().await;
    let spans = spans.iter().zip(1_u8..).map(|((at, group), number)| {
        let start = T0.checked_add_signed(*at).unwrap();
        let mut span = span(number, 1, 0, "work", start, start + SECOND);
        if !group.is_empty() {
            span.attributes = vec![attribute("g", text(group))];
        }
        span
    });
    server.send(&request("edge", spans.collect())).await;
    server
}

/// Seven spans on the edges of intervals of 30 seconds.
const EDGES: [(i64, &str); 7] = [
    (0, "a"),
    (-1, "a"),
    (1, "a"),
    (30_000_000_000, "b"),
    (60_000_000_000, "b"),
    (59_999_999_999, "b"),
    (59_000_000_000, ""),
];

async fn get(server: &Fixture, path: &str, query: &str, more: &str) -> Json {
    let query: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
    let answer = server
        .get(&format!("/tempo/api/metrics/{path}?q={query}&{more}"))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let mut json = answer.json();
    json["metrics"]["inspectedBytes"] = "n".into();
    json
}

/// The points of each series: seconds from T0, and value.
fn points(answer: &Json) -> Vec<Vec<(i64, f64)>> {
    let series = answer["series"].as_array().unwrap().iter();
    let points = series.map(|series| {
        let samples = series["samples"].as_array().unwrap().iter();
        let samples = samples.map(|sample| {
            let milliseconds: i64 = sample["timestampMs"].as_str().unwrap().parse().unwrap();
            let value = sample
                .get("value")
                .map_or(0.0, |value| value.as_f64().unwrap());
            ((milliseconds - (T0 / 1_000_000) as i64) / 1_000, value)
        });
        samples.collect()
    });
    points.collect()
}

fn range(from: i64, to: i64) -> String {
    let at = |seconds: i64| (T0 / SECOND).checked_add_signed(seconds).unwrap();
    format!("start={}&end={}", at(from), at(to))
}

#[tokio::test]
async fn a_point_stands_for_the_interval_that_ends_with_it() {
    let server = server(&EDGES).await;
    let count = "{ } | count_over_time()";
    let ask = async |from, to, step: &str| {
        let more = format!("{}&step={step}", range(from, to));
        points(&get(&server, "query_range", count, &more).await)
    };
    assert_eq!(
        ask(0, 90, "30").await,
        [[(0, 2.0), (30, 2.0), (60, 3.0), (90, 0.0)]]
    );
    // Both ends move outwards to multiples of the step.
    assert_eq!(ask(7, 31, "30s").await, [[(0, 2.0), (30, 2.0), (60, 3.0)]]);
    assert_eq!(ask(1, 29, "0.5m").await, [[(0, 2.0), (30, 2.0)]]);
}

#[tokio::test]
async fn an_instant_query_has_one_value_for_the_range_without_its_start() {
    let server = server(&EDGES).await;
    let value = async |query: &str, from, to| {
        let answer = get(&server, "query", query, &range(from, to)).await;
        answer["series"].clone()
    };
    assert_eq!(
        value("{ } | count_over_time()", 0, 120).await,
        json!([{
            "labels": [{"key": "__name__", "value": {"stringValue": "count_over_time"}}],
            "value": 5.0,
        }])
    );
    let rate = value("{ } | rate()", 0, 20).await;
    assert_eq!(rate[0]["value"], json!(0.05));
    let nothing = value("{ name = \"x\" } | count_over_time()", 0, 120).await;
    assert_eq!(nothing[0].get("value"), None);
}

#[tokio::test]
async fn a_range_has_the_fields_that_grafana_reads() {
    let server = server(&EDGES).await;
    let query = "{ } | count_over_time() by (span.g)";
    let more = format!("{}&step=60", range(0, 60));
    let mut answer = get(&server, "query_range", query, &more).await;
    for series in answer["series"].as_array_mut().unwrap() {
        // Which of the spans of a point is given is not promised.
        let exemplars = series.as_object_mut().unwrap().remove("exemplars");
        let exemplar = &exemplars.unwrap()[0];
        assert_eq!(exemplar["labels"][0]["key"], "trace:id");
        assert!(exemplar["value"].is_number() && exemplar["timestampMs"].is_string());
    }
    assert_json_snapshot!(answer, @r#"
    {
      "metrics": {
        "completedJobs": 1,
        "inspectedBytes": "n",
        "totalJobs": 1
      },
      "series": [
        {
          "labels": [
            {
              "key": "span.g",
              "value": {
                "stringValue": "nil"
              }
            }
          ],
          "samples": [
            {
              "timestampMs": "1700000400000"
            },
            {
              "timestampMs": "1700000460000",
              "value": 1.0
            }
          ]
        },
        {
          "labels": [
            {
              "key": "span.g",
              "value": {
                "stringValue": "a"
              }
            }
          ],
          "samples": [
            {
              "timestampMs": "1700000400000",
              "value": 2.0
            },
            {
              "timestampMs": "1700000460000",
              "value": 1.0
            }
          ]
        },
        {
          "labels": [
            {
              "key": "span.g",
              "value": {
                "stringValue": "b"
              }
            }
          ],
          "samples": [
            {
              "timestampMs": "1700000400000"
            },
            {
              "timestampMs": "1700000460000",
              "value": 3.0
            }
          ]
        }
      ]
    }
    "#);
}

#[tokio::test]
async fn labels_keep_their_types_and_missing_ones_are_nil() {
    let server = server(&EDGES).await;
    let labels = async |query: &str| {
        let answer = get(&server, "query", query, &range(-60, 120)).await;
        let series = answer["series"].as_array().unwrap().iter();
        series
            .map(|it| it["labels"].to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        labels("{ name = \"work\" && .g = nil } | rate() by (span.g)").await,
        [r#"[{"key":"span.g","value":{"stringValue":"nil"}}]"#]
    );
    assert_eq!(
        labels("{ .g = nil } | rate() by (span.g, name)").await,
        [r#"[{"key":"name","value":{"stringValue":"work"}}]"#]
    );
    assert_eq!(
        labels("{ .g = nil } | rate() by (span.g, span.h)").await,
        [r#"[{"key":"span.g","value":{"stringValue":"nil"}}]"#]
    );
    assert_eq!(
        labels("{ .g = \"a\" } | quantile_over_time(duration, .5)").await,
        [r#"[{"key":"p","value":{"doubleValue":0.5}}]"#]
    );
}

#[tokio::test]
async fn the_step_follows_from_the_range() {
    let server = server(&[(0, "")]).await;
    for (minutes, seconds) in [(5, 1), (60, 15), (180, 45), (1_440, 300), (2_880, 660)] {
        let more = range(0, minutes * 60);
        let answer = get(&server, "query_range", "{ } | rate()", &more).await;
        let points = &points(&answer)[0];
        assert_eq!(points[1].0 - points[0].0, seconds, "{minutes} minutes");
    }
}

#[tokio::test]
async fn a_summary_has_counts_errors_and_quantiles_by_group() {
    let server = Fixture::start().await;
    for trace in 1..=4 {
        server.send(&order(trace, now_unix_nano())).await;
    }
    let summary = server
        .get("/tempo/api/metrics/summary?q=%7B%7D&groupBy=name,span.nobody")
        .await;
    assert_eq!(summary.status, 200, "{}", summary.text());
    // Of the three spans of each trace, one is of kind server.
    assert_json_snapshot!(summary.json(), @r#"
    {
      "summaries": [
        {
          "p50": "250000000",
          "p90": "250000000",
          "p95": "250000000",
          "p99": "250000000",
          "series": [
            {
              "key": "name",
              "value": {
                "s": "POST /orders",
                "type": 5
              }
            },
            {
              "key": "span.nobody",
              "value": {}
            }
          ],
          "spanCount": "4"
        }
      ]
    }
    "#);
    let missing = server.get("/tempo/api/metrics/summary?q=%7B%7D").await;
    assert_eq!(
        (missing.status, missing.text().contains("groupBy")),
        (400, true)
    );
}

#[tokio::test]
async fn what_is_wrong_is_said_in_plain_text() {
    let server = Fixture::start().await;
    for (more, says) in [
        ("q=%7B%7D", "metrics need a function"),
        ("q=%7B", "line 1, column"),
        (
            "q=%7B%7D%7Crate()&start=20&end=10",
            "end must be greater than start",
        ),
        ("q=%7B%7D%7Crate()&step=1x", "invalid step"),
        ("q=%7B%7D%7Crate()&since=long", "invalid since"),
        ("q=%7B%7D%7Crate()&start=soon", "\"soon\" is no time"),
        (
            "q=%7B%7D%7Crate()&step=5ms&since=2h",
            "minimum step for given range is 720ms",
        ),
    ] {
        for path in ["query_range", "query"] {
            if path == "query" && more.contains("step") {
                continue;
            }
            let answer = server
                .get(&format!("/tempo/api/metrics/{path}?{more}"))
                .await;
            assert_eq!(answer.status, 400, "{path} {more}");
            assert!(
                answer.header("content-type").starts_with("text/plain"),
                "{path} {more}"
            );
            assert!(
                answer.text().contains(says),
                "{path} {more}: {}",
                answer.text()
            );
        }
    }
}
