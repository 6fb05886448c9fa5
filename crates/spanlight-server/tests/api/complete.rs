//! Completion of a query that is being typed.

use insta::{assert_json_snapshot, assert_snapshot};
use serde_json::Value as Json;

use crate::fixture::{Fixture, now_unix_nano, order};

async fn server() -> Fixture {
    let server = Fixture::start().await;
    for trace in 1..=2 {
        server.send(&order(trace, now_unix_nano())).await;
    }
    server
}

/// The answer at the `^` of a text.
async fn complete(server: &Fixture, text: &str) -> Json {
    let cursor = text.find('^').unwrap();
    let text = text.replace('^', "");
    let query: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
    let answer = server
        .get(&format!("/api/v1/query/complete?q={query}&cursor={cursor}"))
        .await;
    assert_eq!(answer.status, 200, "{text}: {}", answer.text());
    answer.json()
}

/// What the text would be with each of the first suggestions.
async fn completed(server: &Fixture, text: &str) -> String {
    let answer = complete(server, text).await;
    let text = text.replace('^', "");
    let at = |name: &str| answer["replace"][name].as_u64().unwrap() as usize;
    let suggestions = answer["suggestions"].as_array().unwrap().iter().take(5);
    let lines = suggestions.map(|it| {
        let new = it["text"].as_str().unwrap();
        format!("{}{new}{}", &text[..at("start")], &text[at("end")..])
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn fields_are_those_of_the_store_by_use() {
    let server = server().await;
    assert_snapshot!(completed(&server, "{^").await, @r"
    {name
    {status
    {duration
    {kind
    {resource.service.name
    ");
    assert_snapshot!(completed(&server, "{ http^").await, @r"
    { span.http.request.method
    { span.http.response.status_code
    ");
    assert_snapshot!(completed(&server, "{ name = \"x\" && .ser^ }").await, @r#"{ name = "x" && .service.name }"#);
    assert_snapshot!(completed(&server, "{ } | rate() by (excep^").await, @"{ } | rate() by (event.exception.type");
    assert_snapshot!(completed(&server, "{ batch^").await, @"");
}

#[tokio::test]
async fn values_are_those_of_the_field_and_of_what_is_beside_it() {
    let server = server().await;
    assert_snapshot!(completed(&server, "{ name = ^ }").await, @r#"
    { name = "POST /orders" }
    { name = "charge card" }
    { name = "late" }
    "#);
    assert_snapshot!(completed(&server, "{ name = \"car^").await, @r#"{ name = "charge card""#);
    assert_snapshot!(completed(&server, "{ status = error && name = ^").await, @r#"{ status = error && name = "charge card""#);
    assert_snapshot!(completed(&server, "{ span.http.response.status_code = ^").await, @"{ span.http.response.status_code = 502");
    assert_snapshot!(completed(&server, "{ status = ^").await, @r"
    { status = unset
    { status = error
    ");
    assert_snapshot!(completed(&server, "{ duration > ^").await, @"");
}

#[tokio::test]
async fn operators_and_functions_follow_the_grammar() {
    let server = server().await;
    assert_snapshot!(completed(&server, "^").await, @r"
    {
    { status = error }
    { }
    (
    ");
    assert_snapshot!(completed(&server, "{ name ^").await, @r"
    { name =
    { name !=
    { name =~
    { name !~
    { name >
    ");
    assert_snapshot!(completed(&server, "{ } ^").await, @r"
    { } |
    { } >>
    { } >
    { } &&
    { } ||
    ");
    assert_snapshot!(completed(&server, "{ } | qua^").await, @r"
    { } | quantile_over_time(duration, .9)
    { } | quantile(
    ");
    assert_snapshot!(completed(&server, "{ } | rate() ^").await, @r"
    { } | rate() by (
    { } | rate() | topk(10)
    { } | rate() | bottomk(10)
    { } | rate() >
    ");
}

#[tokio::test]
async fn what_is_wrong_so_far_is_said_with_its_place() {
    let server = server().await;
    let answer = complete(&server, "{ durration^ > 1s }").await;
    assert_json_snapshot!(answer["error"], @r#"
    {
      "code": "bad_query",
      "hint": "did you mean `duration`?",
      "message": "unknown name `durration`",
      "position": {
        "column": 3,
        "end": 11,
        "line": 1,
        "start": 2
      }
    }
    "#);
    assert_json_snapshot!(complete(&server, "{ status = error }^").await, @r#"
    {
      "error": null,
      "replace": {
        "end": 18,
        "start": 18
      },
      "suggestions": [
        {
          "detail": "a function of what was found",
          "kind": "operator",
          "text": "|"
        },
        {
          "detail": "descendants of it",
          "kind": "operator",
          "text": ">>"
        },
        {
          "detail": "children of it",
          "kind": "operator",
          "text": ">"
        },
        {
          "detail": "in one trace with",
          "kind": "operator",
          "text": "&&"
        },
        {
          "detail": "or",
          "kind": "operator",
          "text": "||"
        },
        {
          "detail": "ancestors of it",
          "kind": "operator",
          "text": "<<"
        },
        {
          "detail": "siblings of it",
          "kind": "operator",
          "text": "~"
        },
        {
          "detail": "not below it",
          "kind": "operator",
          "text": "!>>"
        }
      ]
    }
    "#);
    let far = server.get("/api/v1/query/complete?q=%C3%A9&cursor=1").await;
    assert_eq!(far.json()["replace"]["start"], 0);
    let far = server.get("/api/v1/query/complete?cursor=99").await.json();
    assert_eq!(far["error"], Json::Null);
}
