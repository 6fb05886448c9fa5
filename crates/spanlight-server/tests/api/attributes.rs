//! Which attributes there are and what they say.

use insta::assert_json_snapshot;

use crate::fixture::{Fixture, now_unix_nano, order};

#[tokio::test]
async fn attributes_and_their_values_are_listed_by_use() {
    let server = Fixture::start().await;
    for trace in 1..=3 {
        server.send(&order(trace, now_unix_nano())).await;
    }
    let mut keys = server.get("/api/v1/attributes").await.json();
    keys["inspected"].take();
    assert_json_snapshot!(keys, @r#"
    {
      "attributes": [
        {
          "count": 9,
          "key": "service.name",
          "scope": "resource",
          "types": [
            "string"
          ]
        },
        {
          "count": 3,
          "key": "app.order.value",
          "scope": "span",
          "types": [
            "double"
          ]
        },
        {
          "count": 3,
          "key": "faas.coldstart",
          "scope": "span",
          "types": [
            "bool"
          ]
        },
        {
          "count": 3,
          "key": "http.request.method",
          "scope": "span",
          "types": [
            "string"
          ]
        },
        {
          "count": 3,
          "key": "http.response.status_code",
          "scope": "span",
          "types": [
            "int"
          ]
        },
        {
          "count": 3,
          "key": "exception.type",
          "scope": "event",
          "types": [
            "string"
          ]
        },
        {
          "count": 3,
          "key": "batch",
          "scope": "link",
          "types": [
            "bytes"
          ]
        }
      ],
      "inspected": null,
      "partial": []
    }
    "#);
    let path = "/api/v1/attributes/span.http.response.status_code/values";
    let mut values = server.get(path).await.json();
    values["inspected"].take();
    assert_json_snapshot!(values, @r#"
    {
      "distinct": 1,
      "inspected": null,
      "partial": [],
      "values": [
        {
          "count": 3,
          "type": "int",
          "value": "502"
        }
      ]
    }
    "#);
    let failed = "?q=%7Bstatus%3Derror%7D&scope=event&limit=1";
    let failed = server
        .get(&format!("/api/v1/attributes{failed}"))
        .await
        .json();
    assert_eq!(failed["attributes"][0]["key"], "exception.type");
    let named = server
        .get("/api/v1/attributes/name/values?containing=CARD")
        .await
        .json();
    assert_eq!(named["values"].as_array().unwrap().len(), 1);
    assert_eq!(named["values"][0]["count"], 3);
}

#[tokio::test]
async fn what_is_wrong_with_a_question_about_attributes_is_said() {
    let server = Fixture::start().await;
    for (path, code) in [
        ("?scope=trace", "bad_parameter"),
        ("?limit=0", "bad_parameter"),
        ("?q=%7B", "bad_query"),
        ("?start=2&end=1", "bad_time_range"),
        ("/durration/values", "bad_query"),
        ("/name/values?start=soon", "bad_parameter"),
    ] {
        let answer = server.get(&format!("/api/v1/attributes{path}")).await;
        assert_eq!(answer.status, 400, "{path}: {}", answer.text());
        assert_eq!(answer.json()["error"]["code"], code, "{path}");
    }
}
