//! Which attributes there are and what their values are: from memory, from the table, and from both at once.

use std::fmt::Write as _;
use std::time::Duration;

use insta::assert_snapshot;
use spanlight_model::AnyValue;
use spanlight_query::{
    AttributeScope, KeysRequest, PartialReason, QueryEngine, QueryError, ValuesRequest,
};

use crate::cases::load;
use crate::notation::{self, EPOCH};

const MILLI: i64 = 1_000_000;

fn keys_of(query: &str) -> KeysRequest {
    KeysRequest {
        query: query.to_owned(),
        time_range: EPOCH..EPOCH + 3_600_000 * MILLI,
        scope: None,
        limit: 1_000,
        time_limit: Duration::from_secs(60),
    }
}

fn values_of(field: &str, query: &str) -> ValuesRequest {
    ValuesRequest {
        field: field.to_owned(),
        query: query.to_owned(),
        time_range: EPOCH..EPOCH + 3_600_000 * MILLI,
        containing: String::new(),
        limit: 1_000,
        time_limit: Duration::from_secs(60),
    }
}

/// A key with its scope, types and count a word.
async fn keys(engine: &QueryEngine, request: &KeysRequest) -> String {
    let answer = engine.attribute_keys(request.clone()).await.unwrap();
    assert_eq!(answer.partial, []);
    let mut text = String::new();
    for key in &answer.keys {
        let types: Vec<&str> = key.types.iter().map(|kind| kind.as_str()).collect();
        let (scope, types) = (key.scope.as_str(), types.join("|"));
        writeln!(text, "{scope}.{} {types} {}", key.key, key.count).unwrap();
    }
    text
}

async fn values(engine: &QueryEngine, request: &ValuesRequest) -> String {
    let answer = engine.attribute_values(request.clone()).await.unwrap();
    assert_eq!(answer.partial, []);
    assert!(answer.distinct >= answer.values.len());
    let values = answer.values.iter().map(|it| {
        let value = match (&it.value, it.is_keyword) {
            (AnyValue::String(word), true) => word.clone(),
            (AnyValue::String(text), false) => format!("{text:?}"),
            (AnyValue::Int(number), _) => number.to_string(),
            (AnyValue::Double(number), _) => format!("{number:?}"),
            (AnyValue::Bool(truth), _) => truth.to_string(),
            (value, _) => value.to_json(),
        };
        format!("{value} {}", it.count)
    });
    values.collect::<Vec<_>>().join(", ")
}

/// The same question of memory, of the table, and of both.
async fn check<A: PartialEq + std::fmt::Debug>(
    spans: &str,
    ask: impl AsyncFn(&QueryEngine) -> A,
) -> A {
    let in_memory = load(spans).await;
    let expected = ask(&in_memory.engine).await;
    in_memory.store.flush().await.unwrap();
    assert_eq!(ask(&in_memory.engine).await, expected, "in the table");
    let both = load("").await;
    let batches = notation::batches(spans);
    for (number, batch) in batches.iter().enumerate() {
        if number + 1 == batches.len() {
            both.store.flush().await.unwrap();
        }
        both.store.append(batch.clone()).await.unwrap();
    }
    assert_eq!(ask(&both.engine).await, expected, "in both");
    expected
}

async fn check_keys(spans: &str, request: &KeysRequest) -> String {
    check(spans, async |engine| keys(engine, request).await).await
}

async fn check_values(spans: &str, field: &str, query: &str) -> String {
    let request = values_of(field, query);
    check(spans, async |engine| values(engine, &request).await).await
}

/// Forty spans, so that frequent keys have columns, and a few odd ones.
fn shop() -> String {
    let mut spans = String::new();
    for number in 0..40 {
        let (user, start) = (number % 4, number * 100);
        let status = if number % 10 == 0 { "error" } else { "unset" };
        writeln!(
            spans,
            "trace {}\n  order {start}+50 @shop kind:server .user=\"u{user}\" .n={number} resource.zone=\"eu\" status:{status}",
            number + 1
        )
        .unwrap();
        let rare = if number == 7 {
            r#" .rare=true .tags=["a","b","a"]"#
        } else {
            ""
        };
        writeln!(
            spans,
            "    pay {start}+10 @bank kind:client .user=\"u{user}\"{rare}"
        )
        .unwrap();
        if number == 19 {
            writeln!(spans, "---").unwrap();
        }
    }
    spans.push_str(
        r#"trace 99
  log 4000+1 @shop .n="many" .n2=2.5 event:exception@1{type="E" n=1} event:exception@2{type="F"} link:2/1{why="x"} scope:lib/1.0{lang="rust"}
"#,
    );
    spans
}

#[tokio::test]
async fn keys_are_listed_by_use_with_their_types() {
    assert_snapshot!(check_keys(&shop(), &keys_of("")).await, @r"
    resource.service.name string 81
    span.user string 80
    span.n int|string 41
    resource.zone string 40
    event.type string 2
    span.n2 double 1
    span.rare bool 1
    span.tags array 1
    event.n int 1
    link.why string 1
    instrumentation.lang string 1
    ");
}

#[tokio::test]
async fn keys_are_those_of_the_spans_that_are_meant() {
    let mut resource = keys_of("");
    resource.scope = Some(AttributeScope::Resource);
    assert_snapshot!(check_keys(&shop(), &resource).await, @r"
    resource.service.name string 81
    resource.zone string 40
    ");
    assert_snapshot!(check_keys(&shop(), &keys_of("{ .rare = true }")).await, @r"
    span.rare bool 1
    span.tags array 1
    span.user string 1
    resource.service.name string 1
    ");
    assert_snapshot!(check_keys(&shop(), &keys_of("{ name = \"order\" } > { .rare = true }")).await, @r"
    span.rare bool 1
    span.tags array 1
    span.user string 1
    resource.service.name string 1
    ");
    assert_snapshot!(check_keys(&shop(), &keys_of("{ name = \"nothing\" }")).await, @"");
    let mut early = keys_of("");
    // The range ends within the trace of the rare attribute, before the spans that have links and events.
    early.time_range.end = EPOCH + 700 * MILLI + 1;
    early.scope = Some(AttributeScope::Span);
    assert_snapshot!(check_keys(&shop(), &early).await, @r"
    span.user string 16
    span.n int 8
    span.rare bool 1
    span.tags array 1
    ");
    early.time_range.end -= 1;
    assert_snapshot!(check_keys(&shop(), &early).await, @r"
    span.user string 14
    span.n int 7
    ");
}

#[tokio::test]
async fn values_are_listed_by_use_with_their_type() {
    let shop = shop();
    let mut found = String::new();
    for field in [
        "span.user",
        "name",
        "status",
        "kind",
        "resource.service.name",
        ".zone",
        "span.tags",
        "span.n2",
        "event.type",
        "event:name",
        "link.why",
        "instrumentation:name",
        "instrumentation.lang",
        "rootName",
        "rootServiceName",
        "parent.user",
        "duration",
        "trace:id",
        "span.nobody",
    ] {
        let values = check_values(&shop, field, "").await;
        writeln!(found, "{field}: {values}").unwrap();
    }
    assert_snapshot!(found, @r#"
    span.user: "u0" 20, "u1" 20, "u2" 20, "u3" 20
    name: "order" 40, "pay" 40, "log" 1
    status: unset 77, error 4
    kind: client 40, server 40, unspecified 1
    resource.service.name: "shop" 41, "bank" 40
    .zone: "eu" 40
    span.tags: "a" 2, "b" 1
    span.n2: 2.5 1
    event.type: "E" 1, "F" 1
    event:name: "exception" 2
    link.why: "x" 1
    instrumentation:name: "" 80, "lib" 1
    instrumentation.lang: "rust" 1
    rootName: "order" 40, "log" 1
    rootServiceName: "shop" 41
    parent.user: "u0" 20, "u1" 20, "u2" 20, "u3" 20
    duration: 
    trace:id: 
    span.nobody:
    "#);
}

#[tokio::test]
async fn values_are_those_of_the_spans_that_are_meant() {
    let shop = shop();
    let mut found = String::new();
    for (field, query) in [
        ("name", "{ status = error }"),
        ("span.n", "{ .n > 37 }"),
        ("span.user", "{ .rare } | rate()"),
        ("name", "{ name = \"order\" && .n = 7 } > { }"),
        ("span.user", "{ traceDuration > 1s }"),
        ("rootName", "{ .rare = true }"),
        ("rootServiceName", "{ name = \"pay\" && .rare = true }"),
        ("span.user", "{ } | count() > 1"),
    ] {
        let values = check_values(&shop, field, query).await;
        writeln!(found, "{field} of {query}: {values}").unwrap();
    }
    assert_snapshot!(found, @r#"
    name of { status = error }: "order" 4
    span.n of { .n > 37 }: 38 1, 39 1
    span.user of { .rare } | rate(): "u3" 1
    name of { name = "order" && .n = 7 } > { }: "pay" 1
    span.user of { traceDuration > 1s }: 
    rootName of { .rare = true }: "order" 1
    rootServiceName of { name = "pay" && .rare = true }: "shop" 1
    span.user of { } | count() > 1: "u0" 20, "u1" 20, "u2" 20, "u3" 20
    "#);
}

#[tokio::test]
async fn values_may_be_asked_for_by_what_is_in_them() {
    let mut request = values_of("name", "");
    request.containing = "RD".to_owned();
    let found = check(&shop(), async |engine| values(engine, &request).await).await;
    assert_eq!(found, r#""order" 40"#);
    request.field = "span.n".to_owned();
    request.containing = "39".to_owned();
    let found = check(&shop(), async |engine| values(engine, &request).await).await;
    assert_eq!(found, "39 1");
}

#[tokio::test]
async fn what_is_left_out_is_said() {
    let loaded = load(&shop()).await;
    let mut request = keys_of("");
    request.limit = 2;
    let answer = loaded.engine.attribute_keys(request).await.unwrap();
    let too_many = PartialReason::TooMany {
        what: "attributes",
        limit: 2,
    };
    assert_eq!((answer.keys.len(), answer.partial), (2, vec![too_many]));
    let mut request = values_of("span.n", "");
    request.limit = 3;
    let answer = loaded
        .engine
        .attribute_values(request.clone())
        .await
        .unwrap();
    assert_eq!((answer.values.len(), answer.distinct), (3, 41));
    request.time_limit = Duration::ZERO;
    let answer = loaded.engine.attribute_values(request).await.unwrap();
    assert!(matches!(
        answer.partial[..],
        [PartialReason::TimeLimit { .. }]
    ));
}

#[tokio::test]
async fn a_flood_of_values_ends_the_question() {
    let mut spans = String::new();
    for trace in 1..=21 {
        writeln!(spans, "trace {trace}").unwrap();
        for span in 0..1_000 {
            writeln!(spans, "  a {span}+1 .id={}", trace * 1_000 + span).unwrap();
        }
    }
    let loaded = load(&spans).await;
    let answer = loaded
        .engine
        .attribute_values(values_of("span.id", ""))
        .await
        .unwrap();
    let too_many = PartialReason::TooMany {
        what: "values",
        limit: 20_000,
    };
    assert_eq!(answer.partial, [too_many]);
    assert_eq!(answer.values.len(), 1_000);
}

#[tokio::test]
async fn what_is_no_question_is_refused_with_its_place() {
    let loaded = load("").await;
    for (field, query) in [
        ("durration", ""),
        ("span.a, span.b", ""),
        ("name) | count() > 1 | select(kind", ""),
        ("", ""),
        ("name", "{ .a = "),
        ("name", "({ } | rate()) / ({ } | rate())"),
    ] {
        let answer = loaded
            .engine
            .attribute_values(values_of(field, query))
            .await;
        let error = answer.unwrap_err();
        assert!(
            matches!(error, QueryError::Syntax(_) | QueryError::Unsupported(_)),
            "{field} {query}: {error}"
        );
    }
    let error = loaded
        .engine
        .attribute_values(values_of("durration", ""))
        .await
        .unwrap_err();
    assert_snapshot!(error, @"line 1, column 1: unexpected `durration`, expected an attribute or an intrinsic; did you mean `duration`?");
}
