//! Tags and their values.

use insta::{assert_json_snapshot, assert_snapshot};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use serde_json::Value as Json;

use crate::fixture::{Fixture, attribute, order, request, span, text};

const START: u64 = 1_700_000_000_000_000_000;
const RANGE: &str = "start=1699999990&end=1700000010";

/// A server with an order, and a trace of another service with a few odd values.
async fn server() -> Fixture {
    let server = Fixture::start().await;
    server.send(&order(1, START)).await;
    let mut odd = span(2, 1, 0, "odd", START, START + 1);
    odd.attributes = vec![
        attribute("my attr", text("a \"b\"")),
        attribute("v", Value::DoubleValue(5.0)),
        attribute("app.order.value", Value::IntValue(7)),
        attribute("note", text("")),
    ];
    server.send(&request("odd", vec![odd])).await;
    server
}

async fn get(server: &Fixture, path: &str) -> Json {
    let separator = if path.contains('?') { '&' } else { '?' };
    let answer = server
        .get(&format!("/tempo/api/{path}{separator}{RANGE}"))
        .await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    let mut json = answer.json();
    let bytes = json["metrics"]["inspectedBytes"].take();
    if bytes.is_null() {
        json["metrics"].as_object_mut().unwrap().clear();
    } else {
        bytes.as_str().unwrap().parse::<u64>().unwrap();
        json["metrics"]["inspectedBytes"] = "n".into();
    }
    json
}

/// Values with their types, a word each.
fn typed(answer: &Json) -> String {
    let values = answer["tagValues"].as_array().unwrap().iter();
    let values = values.map(|it| {
        let fields = it.as_object().unwrap();
        assert!(fields.keys().all(|key| key == "type" || key == "value"));
        format!(
            "{}:{}",
            it["type"].as_str().unwrap(),
            it.get("value").unwrap_or(&Json::Null)
        )
    });
    values.collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn tags_have_the_shapes_of_both_versions() {
    let server = server().await;
    assert_json_snapshot!(get(&server, "search/tags").await, @r#"
    {
      "metrics": {
        "inspectedBytes": "n"
      },
      "tagNames": [
        "app.order.value",
        "batch",
        "exception.type",
        "faas.coldstart",
        "http.request.method",
        "http.response.status_code",
        "my attr",
        "note",
        "service.name",
        "v"
      ]
    }
    "#);
    assert_json_snapshot!(get(&server, "v2/search/tags").await, @r#"
    {
      "metrics": {
        "inspectedBytes": "n"
      },
      "scopes": [
        {
          "name": "event",
          "tags": [
            "exception.type"
          ]
        },
        {
          "name": "intrinsic",
          "tags": [
            "duration",
            "event:name",
            "event:timeSinceStart",
            "instrumentation:name",
            "instrumentation:version",
            "kind",
            "link:spanID",
            "link:traceID",
            "name",
            "rootName",
            "rootServiceName",
            "span:duration",
            "span:id",
            "span:kind",
            "span:name",
            "span:parentID",
            "span:status",
            "span:statusMessage",
            "status",
            "statusMessage",
            "trace:duration",
            "trace:id",
            "trace:rootName",
            "trace:rootService",
            "traceDuration"
          ]
        },
        {
          "name": "link",
          "tags": [
            "batch"
          ]
        },
        {
          "name": "resource",
          "tags": [
            "service.name"
          ]
        },
        {
          "name": "span",
          "tags": [
            "app.order.value",
            "faas.coldstart",
            "http.request.method",
            "http.response.status_code",
            "my attr",
            "note",
            "v"
          ]
        }
      ]
    }
    "#);
}

#[tokio::test]
async fn tags_are_asked_for_by_scope() {
    let server = server().await;
    for (parameters, found) in [
        (
            "scope=event",
            r#"[{"name":"event","tags":["exception.type"]}]"#,
        ),
        ("scope=link", r#"[{"name":"link","tags":["batch"]}]"#),
        ("scope=instrumentation", "[]"),
        (
            "scope=span&limit=1",
            r#"[{"name":"span","tags":["app.order.value"]}]"#,
        ),
        ("scope=resource&q=%7Bname%3D%22x%22%7D", "[]"),
        (
            "scope=span&q=%7Bresource.service.name%3D%22odd%22%20%26%26%20span.v%3D%7D",
            r#"[{"name":"span","tags":["app.order.value","my attr","note","v"]}]"#,
        ),
        (
            "scope=span&q=%7Bname%3D%22POST%20/orders%22%7D%20%3E%20%7Bstatus%3Derror%7D",
            "[]",
        ),
    ] {
        let answer = get(&server, &format!("v2/search/tags?{parameters}")).await;
        assert_eq!(answer["scopes"].to_string(), found, "{parameters}");
    }
    let v1 = get(&server, "search/tags?scope=event").await;
    assert_eq!(v1["tagNames"].to_string(), r#"["exception.type"]"#);
    let intrinsic = get(&server, "search/tags?scope=intrinsic&limit=2").await;
    assert_eq!(
        intrinsic["tagNames"].to_string(),
        r#"["duration","event:name"]"#
    );
    let elsewhere = "/tempo/api/v2/search/tags?scope=span&start=1&end=2";
    let elsewhere = server.get(elsewhere).await.json();
    assert_eq!(elsewhere["scopes"].to_string(), "[]");
}

#[tokio::test]
async fn values_of_a_key_are_texts_in_order() {
    let server = server().await;
    for (key, found) in [
        ("service.name", r#"["checkout","odd"]"#),
        ("app.order.value", r#"["19.5","7"]"#),
        ("my%20attr", r#"["a \"b\""]"#),
        ("exception.type", r#"["CardDeclined"]"#),
        ("name", r#"["POST /orders","charge card","late","odd"]"#),
        ("root.name", r#"["POST /orders","odd"]"#),
        ("root.service.name", r#"["checkout","odd"]"#),
        ("status.code", r#"["error","ok","unset"]"#),
        ("error", r#"["true"]"#),
        ("span.v", "[]"),
        (".v", "[]"),
        ("nobody", "[]"),
    ] {
        let answer = get(&server, &format!("search/tag/{key}/values")).await;
        assert_eq!(answer["tagValues"].to_string(), found, "{key}");
    }
}

#[tokio::test]
async fn values_of_a_field_have_types() {
    let server = server().await;
    for (field, found) in [
        (".app.order.value", r#"float:"19.5" int:"7""#),
        ("span.v", r#"float:"5.0""#),
        ("span.%22my%20attr%22", r#"string:"a \"b\"""#),
        ("span.note", "string:null"),
        ("span.faas.coldstart", r#"bool:"true""#),
        ("resource.service.name", r#"string:"checkout" string:"odd""#),
        ("status", r#"keyword:"error" keyword:"ok" keyword:"unset""#),
        ("event:name", r#"string:"exception""#),
        ("rootServiceName", r#"string:"checkout" string:"odd""#),
        ("duration", ""),
        ("trace:id", ""),
        ("span.nobody", ""),
    ] {
        let answer = get(&server, &format!("v2/search/tag/{field}/values")).await;
        assert_eq!(typed(&answer), found, "{field}");
    }
    let kinds = get(&server, "v2/search/tag/kind/values?limit=2").await;
    assert_eq!(typed(&kinds), r#"keyword:"client" keyword:"consumer""#);
}

#[tokio::test]
async fn values_are_filtered_by_what_is_finished_of_a_query() {
    let server = server().await;
    for (query, found) in [
        ("{resource.service.name=\"odd\"}", r#"string:"odd""#),
        (
            "{resource.service.name=\"odd\" && span.v= }",
            r#"string:"odd""#,
        ),
        (
            "{name=\"charge card\" && status=error}",
            r#"string:"charge card""#,
        ),
        ("{!(name=\"odd\")} > {}", r#"string:"charge card""#),
        (
            "{span.v = ",
            r#"string:"POST /orders" string:"charge card" string:"late" string:"odd""#,
        ),
        (
            "nonsense",
            r#"string:"POST /orders" string:"charge card" string:"late" string:"odd""#,
        ),
        ("{name=\"nothing\"}", ""),
    ] {
        let query: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
        let answer = get(&server, &format!("v2/search/tag/name/values?q={query}")).await;
        assert_eq!(typed(&answer), found, "{query}");
    }
}

#[tokio::test]
async fn what_is_no_tag_is_said_in_plain_text() {
    let server = server().await;
    for path in [
        "search/tags?scope=bad",
        "v2/search/tags?scope=bad",
        "v2/search/tags?start=5",
        "v2/search/tags?limit=many",
        "v2/search/tag/v/values",
        "v2/search/tag/span.a%20%7C%20rate()/values",
    ] {
        let answer = server.get(&format!("/tempo/api/{path}")).await;
        assert_eq!(answer.status, 400, "{path}: {}", answer.text());
        assert!(
            answer.header("content-type").starts_with("text/plain"),
            "{path}"
        );
    }
    let bare = server.get("/tempo/api/v2/search/tag/v/values").await;
    assert_snapshot!(bare.text(), @r#"please provide a valid tagName: "v" is no field: line 1, column 1: unexpected `v`, expected an attribute or an intrinsic; an attribute is written `.v`, a string "v""#);
}
