//! Searches: pages, forms, and what is refused.

use insta::assert_json_snapshot;
use serde_json::Value as Json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::fixture::{Answer, Fixture, hex, now_unix_nano, order, request, span, trace_id};

#[tokio::test]
async fn a_search_finds_what_was_just_acknowledged() {
    let server = Fixture::start().await;
    let now = now_unix_nano();
    server.send(&order(1, now)).await;
    server
        .send(&request("other", vec![span(2, 1, 0, "ping", now, now + 1)]))
        .await;
    let mut answer = server
        .get("/api/v1/search?q=%7B%20span.http.response.status_code%20%3D%20502%20%7D")
        .await
        .json();
    let trace = &mut answer["traces"][0];
    trace["start_time_unix_nano"] = Json::from("start");
    trace["span_sets"][0]["spans"][0]["start_time_unix_nano"] = Json::from("start");
    answer["inspected"] = Json::Null;
    assert_json_snapshot!(answer, @r#"
    {
      "inspected": null,
      "partial": [],
      "traces": [
        {
          "duration_nano": "250000000",
          "error_count": 1,
          "has_cold_start": true,
          "root_name": "POST /orders",
          "root_service_name": "checkout",
          "services": [
            {
              "error_count": 1,
              "name": "checkout",
              "span_count": 3
            }
          ],
          "span_count": 3,
          "span_sets": [
            {
              "attributes": [],
              "matched": 1,
              "spans": [
                {
                  "attributes": [
                    {
                      "key": "http.response.status_code",
                      "value": {
                        "intValue": "502"
                      }
                    }
                  ],
                  "duration_nano": "250000000",
                  "name": "POST /orders",
                  "service_name": "checkout",
                  "span_id": "000000000000cd01",
                  "start_time_unix_nano": "start"
                }
              ]
            }
          ],
          "start_time_unix_nano": "start",
          "trace_id": "ababababababababababababababab01"
        }
      ]
    }
    "#);
}

#[tokio::test]
async fn a_search_is_paged() {
    let server = Fixture::start().await;
    let now = now_unix_nano();
    for number in 1..=5 {
        let start = now - 1_000_000 * u64::from(number);
        server
            .send(&request(
                "shop",
                vec![span(number, 1, 0, "ping", start, start + 1)],
            ))
            .await;
    }
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let (start, end) = (now - 1_000_000_000, now + 1_000_000_000);
        let answer = server
            .get(&format!(
                "/api/v1/search?limit=2&start={start}&end={end}&cursor={cursor}"
            ))
            .await
            .json();
        let traces = answer["traces"].as_array().unwrap();
        found.extend(
            traces
                .iter()
                .map(|trace| trace["trace_id"].as_str().unwrap().to_owned()),
        );
        match answer["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    let expected: Vec<String> = (1..=5).map(|number| hex(&trace_id(number))).collect();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_query_that_is_not_answered_yet_says_where_and_what_instead() {
    let server = Fixture::start().await;
    let answer = server
        .get("/api/v1/search?q=%7B%20%7D%20%7C%202%20%3C%20count()")
        .await;
    assert_eq!(answer.status, 400);
    assert_json_snapshot!(answer.json(), @r#"
    {
      "error": {
        "code": "unsupported_query",
        "expected": [
          "an aggregate, a comparison and a constant"
        ],
        "hint": "write count() > 2",
        "message": "`2 < count()` is not supported",
        "position": {
          "column": 7,
          "end": 17,
          "line": 1,
          "start": 6
        }
      }
    }
    "#);
}

#[tokio::test]
async fn a_search_that_is_posted_is_a_form() {
    let server = Fixture::start().await;
    server.send(&order(1, now_unix_nano())).await;
    let post = async |content_type: &str, body: &'static str| {
        let request = server
            .client
            .post(format!("{}/api/v1/search", server.http))
            .header("content-type", content_type)
            .body(body);
        Answer::of(request.send().await.unwrap()).await
    };
    let form = "application/x-www-form-urlencoded; charset=utf-8";
    let answer = post(form, "q=%7Bname%3D%22nothing%22%7D").await;
    assert_eq!(answer.json()["traces"], serde_json::json!([]));
    let answer = post("application/json", r#"{"q": "{ name = \"nothing\" }"}"#).await;
    assert_eq!(answer.status, 415, "{}", answer.text());
    assert_eq!(answer.json()["error"]["code"], "unsupported_type");
}

#[tokio::test]
async fn wrong_parameters_and_queries_say_what_is_wrong() {
    let server = Fixture::start().await;
    for (path, expected) in [
        ("q=%7B%20span.a%20%3D%20%7D", "bad_query"),
        ("start=soon", "bad_parameter"),
        ("end=then", "bad_parameter"),
        ("limit=many", "bad_parameter"),
        ("limit=0", "bad_parameter"),
        ("limit=1000000", "bad_parameter"),
        ("start=now&end=now-1h", "bad_time_range"),
        ("cursor=x", "bad_cursor"),
    ] {
        let answer = server.get(&format!("/api/v1/search?{path}")).await;
        assert_eq!(answer.status, 400, "{path}: {}", answer.text());
        let error = &answer.json()["error"];
        assert_eq!(error["code"], expected, "{path}: {error}");
        assert!(!error["message"].as_str().unwrap().is_empty());
    }
    let answer = server
        .get("/api/v1/search?q=%7B%20span.a%20%3D%20%7D")
        .await;
    assert_json_snapshot!(answer.json(), @r#"
    {
      "error": {
        "code": "bad_query",
        "expected": [
          "an attribute",
          "an intrinsic",
          "a value",
          "`(`"
        ],
        "message": "unexpected `}`",
        "position": {
          "column": 12,
          "end": 12,
          "line": 1,
          "start": 11
        }
      }
    }
    "#);
    let answer = server.get("/api/v1/nothing").await;
    assert_eq!(answer.status, 404);
    assert_eq!(answer.json()["error"]["code"], "not_found");
}

#[tokio::test]
async fn a_query_too_long_or_too_deep_is_refused() {
    let server = Fixture::start().await;
    let long = format!("{{ span.a = \"{}\" }}", "x".repeat(1 << 20));
    let deep = format!("{{ {}true{} }}", "(".repeat(10_000), ")".repeat(10_000));
    for query in [long, deep] {
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("q", &query)
            .finish();
        let request = server
            .client
            .post(format!("{}/api/v1/search", server.http))
            .body(form);
        let answer = Answer::of(request.send().await.unwrap()).await;
        assert_eq!(answer.status, 400);
        let error = answer.json();
        assert_eq!(error["error"]["code"], "bad_query", "{error}");
        assert!(error["error"]["message"].as_str().unwrap().len() < 500);
    }
    // In an address it does not get that far.
    let address = server.http.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("GET /api/v1/search?q={} HTTP/1.1\r\n", "x".repeat(1 << 20));
    // The server answers before it has read everything, and closes.
    let _ = stream.write_all(head.as_bytes()).await;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert!([b"HTTP/1.1 414", b"HTTP/1.1 431"].contains(&&answer));
    assert_eq!(server.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn an_answer_explains_what_it_read_when_it_is_asked() {
    let server = Fixture::start().await;
    server.send(&order(1, now_unix_nano())).await;
    let search = "/api/v1/search?q=%7B%20span.http.response.status_code%20%3D%20502%20%7D";
    assert!(server.get(search).await.json()["explain"].is_null());
    let answer = server.get(&format!("{search}&explain=true")).await.json();
    let explain = &answer["explain"];
    assert_eq!(
        explain["steps"][0]["filter"],
        "span.http.response.status_code = 502"
    );
    assert_eq!(
        explain["steps"][0]["figures"]["batches in memory"]["read"],
        1
    );
    assert_eq!(explain["steps"][1]["name"], "load their traces");
    let text = explain["text"].as_str().unwrap();
    assert!(
        text.contains("where span.http.response.status_code = 502"),
        "{text}"
    );
    let metrics = server.get("/api/v1/metrics?explain=true").await.json();
    assert!(
        metrics["explain"]["text"]
            .as_str()
            .unwrap()
            .contains("spans:")
    );
}
