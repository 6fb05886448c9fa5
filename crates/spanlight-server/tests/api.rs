//! Spanlight's own API.

use insta::{assert_json_snapshot, assert_snapshot};
use serde_json::Value as Json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::fixture::{Answer, Fixture, hex, now_unix_nano, order, request, span, trace_id};

const START: u64 = 1_700_000_000_000_000_000;

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

/// Every address of the document is there, and answers have the fields that it requires.
#[tokio::test]
async fn the_document_is_true() {
    let server = Fixture::start().await;
    server.send(&order(1, now_unix_nano())).await;
    let document = server.get("/api/v1/openapi.json").await.json();
    for (path, methods) in document["paths"].as_object().unwrap() {
        if methods.get("get").is_none() {
            continue;
        }
        let answer = server.get(&path.replace("{id}", &hex(&trace_id(1)))).await;
        assert_eq!(answer.status, 200, "{path}");
        let schema = &methods["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        let schema = schema["oneOf"].get(0).unwrap_or(schema);
        if schema.is_object() {
            conforms(&document, schema, &answer.json(), path);
        }
    }
    let failure = server.get("/api/v1/search?q=%7B").await.json();
    let schema = &document["components"]["schemas"]["Failure"];
    conforms(&document, schema, &failure, "failure");
}

fn conforms(document: &Json, schema: &Json, value: &Json, place: &str) {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap();
        return conforms(
            document,
            &document["components"]["schemas"][name],
            value,
            place,
        );
    }
    let kind = match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(number) if number.is_f64() => "number",
        Json::Number(_) => "integer",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    };
    let kinds = &schema["type"];
    let allowed = kinds == kind
        || (kinds == "number" && kind == "integer")
        || kinds
            .as_array()
            .is_some_and(|kinds| kinds.contains(&kind.into()));
    assert!(allowed, "{place} is {kind}, the document says {kinds}");
    for item in value.as_array().into_iter().flatten() {
        conforms(document, &schema["items"], item, &format!("{place}[]"));
    }
    let (Some(object), Some(properties)) = (value.as_object(), schema["properties"].as_object())
    else {
        return;
    };
    for required in schema["required"].as_array().into_iter().flatten() {
        let name = required.as_str().unwrap();
        assert!(object.contains_key(name), "{place} has no {name}");
    }
    for (name, value) in object {
        let schema = properties.get(name);
        let schema = schema.unwrap_or_else(|| panic!("{place}.{name} is not in the document"));
        conforms(document, schema, value, &format!("{place}.{name}"));
    }
}
