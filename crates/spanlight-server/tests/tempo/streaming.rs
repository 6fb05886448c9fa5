//! The gRPC service, on the same port.

use std::net::SocketAddr;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use prost::Message;

use crate::fixture::{Fixture, now_unix_nano, order, text};
use crate::grpc::{Reply, call, frame};

/// The messages as an independent library reads them.
#[derive(Clone, PartialEq, Message)]
struct SearchRequest {
    #[prost(map = "string, string", tag = "1")]
    tags: std::collections::HashMap<String, String>,
    #[prost(uint32, tag = "2")]
    min_duration_ms: u32,
    #[prost(uint32, tag = "4")]
    limit: u32,
    #[prost(uint32, tag = "5")]
    start: u32,
    #[prost(uint32, tag = "6")]
    end: u32,
    #[prost(string, tag = "8")]
    query: String,
    #[prost(uint32, tag = "9")]
    spans_per_span_set: u32,
}

#[derive(Clone, PartialEq, Message)]
struct SearchResponse {
    #[prost(message, repeated, tag = "1")]
    traces: Vec<Trace>,
    #[prost(message, optional, tag = "2")]
    metrics: Option<Metrics>,
}

#[derive(Clone, PartialEq, Message)]
struct Metrics {
    #[prost(uint32, tag = "1")]
    inspected_traces: u32,
    #[prost(uint32, tag = "4")]
    completed_jobs: u32,
    #[prost(uint32, tag = "5")]
    total_jobs: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Trace {
    #[prost(string, tag = "1")]
    trace_id: String,
    #[prost(string, tag = "2")]
    root_service_name: String,
    #[prost(string, tag = "3")]
    root_trace_name: String,
    #[prost(uint64, tag = "4")]
    start_time_unix_nano: u64,
    #[prost(uint32, tag = "5")]
    duration_ms: u32,
    #[prost(message, optional, tag = "6")]
    span_set: Option<SpanSet>,
    #[prost(message, repeated, tag = "7")]
    span_sets: Vec<SpanSet>,
}

#[derive(Clone, PartialEq, Message)]
struct SpanSet {
    #[prost(message, repeated, tag = "1")]
    spans: Vec<Span>,
    #[prost(uint32, tag = "2")]
    matched: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Span {
    #[prost(string, tag = "1")]
    span_id: String,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(uint64, tag = "3")]
    start_time_unix_nano: u64,
    #[prost(uint64, tag = "4")]
    duration_nanos: u64,
    #[prost(message, repeated, tag = "5")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct Texts {
    #[prost(string, repeated, tag = "1")]
    texts: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Pair {
    #[prost(string, tag = "1")]
    one: String,
    #[prost(string, tag = "2")]
    two: String,
}

#[derive(Clone, PartialEq, Message)]
struct Pairs {
    #[prost(message, repeated, tag = "1")]
    pairs: Vec<Pair>,
}

#[derive(Clone, PartialEq, Message)]
struct Scope {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, repeated, tag = "2")]
    tags: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Scopes {
    #[prost(message, repeated, tag = "1")]
    scopes: Vec<Scope>,
}

async fn ask(server: &Fixture, method: &str, message: Vec<u8>) -> Reply {
    let address: SocketAddr = server
        .http
        .strip_prefix("http://")
        .unwrap()
        .parse()
        .unwrap();
    let path = format!("/tempopb.StreamingQuerier/{method}");
    call(address, &path, &[], frame(false, &message)).await
}

async fn answer<M: Message + Default>(server: &Fixture, method: &str, message: Vec<u8>) -> M {
    let reply = ask(server, method, message).await;
    assert_eq!(reply.code, 0, "{method}: {}", reply.message);
    M::decode(&reply.body[..]).unwrap()
}

fn pair(one: &str, two: &str) -> Vec<u8> {
    let (one, two) = (one.to_owned(), two.to_owned());
    Pair { one, two }.encode_to_vec()
}

#[tokio::test]
async fn a_search_streams_what_http_answers() {
    let server = Fixture::start().await;
    let start = now_unix_nano();
    server.send(&order(1, start)).await;
    server.send(&order(2, start)).await;
    let request = SearchRequest {
        query: "{ status = error }".to_owned(),
        limit: 1,
        ..SearchRequest::default()
    };
    let found: SearchResponse = answer(&server, "Search", request.encode_to_vec()).await;
    let http = server
        .get("/tempo/api/search?q=%7Bstatus%3Derror%7D&limit=1")
        .await
        .json();
    let [trace] = &found.traces[..] else {
        panic!("{} traces", found.traces.len());
    };
    assert_eq!(
        trace.trace_id,
        http["traces"][0]["traceID"].as_str().unwrap()
    );
    assert_eq!(trace.root_service_name, "checkout");
    assert_eq!(trace.root_trace_name, "POST /orders");
    assert_eq!(
        (trace.start_time_unix_nano, trace.duration_ms),
        (start, 250)
    );
    assert_eq!(trace.span_set.as_ref(), trace.span_sets.first());
    let [set] = &trace.span_sets[..] else {
        panic!("{} sets", trace.span_sets.len());
    };
    assert_eq!((set.matched, set.spans.len()), (1, 1));
    let span = &set.spans[0];
    assert_eq!(
        (span.name.as_str(), span.duration_nanos),
        ("charge card", 190_000_000)
    );
    assert_eq!(span.span_id, "000000000000cd02");
    assert_eq!(span.attributes[0].key, "status");
    let metrics = found.metrics.unwrap();
    assert_eq!((metrics.completed_jobs, metrics.total_jobs), (1, 1));
}

#[tokio::test]
async fn the_search_from_before_traceql_streams_too() {
    let server = Fixture::start().await;
    server.send(&order(1, now_unix_nano())).await;
    for (service, least, count) in [("check", 100, 1), ("other", 100, 0), ("check", 10_000, 0)] {
        let request = SearchRequest {
            tags: [("service.name".to_owned(), service.to_owned())].into(),
            min_duration_ms: least,
            ..SearchRequest::default()
        };
        let found: SearchResponse = answer(&server, "Search", request.encode_to_vec()).await;
        assert_eq!(found.traces.len(), count, "{service} {least}");
    }
}

#[tokio::test]
async fn tags_and_values_stream_too() {
    let server = Fixture::start().await;
    server.send(&order(1, now_unix_nano())).await;
    let tags: Texts = answer(&server, "SearchTags", pair("event", "")).await;
    assert_eq!(tags.texts, ["exception.type"]);
    let scopes: Scopes = answer(&server, "SearchTagsV2", Vec::new()).await;
    let names: Vec<&str> = scopes
        .scopes
        .iter()
        .map(|scope| scope.name.as_str())
        .collect();
    assert_eq!(names, ["event", "intrinsic", "link", "resource", "span"]);
    assert_eq!(scopes.scopes[3].tags, ["service.name"]);
    let values: Texts = answer(&server, "SearchTagValues", pair("service.name", "")).await;
    assert_eq!(values.texts, ["checkout"]);
    let query = pair("name", "{ status = error && .x = }");
    let values: Pairs = answer(&server, "SearchTagValuesV2", query).await;
    let values = values
        .pairs
        .iter()
        .map(|it| (it.one.as_str(), it.two.as_str()));
    assert_eq!(values.collect::<Vec<_>>(), [("string", "charge card")]);
}

#[derive(Clone, PartialEq, Message)]
struct RangeRequest {
    #[prost(string, tag = "1")]
    query: String,
    #[prost(uint64, tag = "2")]
    start: u64,
    #[prost(uint64, tag = "3")]
    end: u64,
    #[prost(uint64, tag = "4")]
    step: u64,
}

#[derive(Clone, PartialEq, Message)]
struct RangeResponse {
    #[prost(message, repeated, tag = "1")]
    series: Vec<TimeSeries>,
    #[prost(message, optional, tag = "2")]
    metrics: Option<Metrics>,
}

#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<KeyValue>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp_ms: i64,
}

#[tokio::test]
async fn time_series_stream_what_http_answers() {
    let server = Fixture::start().await;
    let (now, second) = (now_unix_nano(), 1_000_000_000);
    server.send(&order(1, now)).await;
    server.send(&order(2, now)).await;
    let query = "{ status = error } | count_over_time() by (resource.service.name)";
    let request = RangeRequest {
        query: query.to_owned(),
        start: (now - 60 * second),
        end: (now + 60 * second),
        step: (30 * second),
    };
    let found: RangeResponse = answer(&server, "MetricsQueryRange", request.encode_to_vec()).await;
    let path = format!(
        "/tempo/api/metrics/query_range?start={}&end={}&step=30&q={}",
        request.start,
        request.end,
        "%7Bstatus%3Derror%7D|count_over_time()by(resource.service.name)"
    );
    let http = server.get(&path).await.json();
    let [series] = &found.series[..] else {
        panic!("{} series", found.series.len());
    };
    let label = &series.labels[0];
    assert_eq!(label.key, "resource.service.name");
    let value = label.value.as_ref().unwrap();
    assert_eq!(value.value, Some(text("checkout")));
    let samples = series.samples.iter();
    let samples: Vec<_> = samples
        .map(|sample| (sample.timestamp_ms.to_string(), sample.value))
        .collect();
    let expected = http["series"][0]["samples"].as_array().unwrap().iter();
    let expected: Vec<_> = expected
        .map(|sample| {
            let time = sample["timestampMs"].as_str().unwrap().to_owned();
            (time, sample["value"].as_f64().unwrap_or(0.0))
        })
        .collect();
    assert_eq!(samples, expected);
    assert_eq!(samples.iter().map(|(_, value)| value).sum::<f64>(), 2.0);
    assert_eq!(found.metrics.unwrap().completed_jobs, 1);
}

#[tokio::test]
async fn over_http_the_same_messages_are_there_for_the_asking() {
    let server = Fixture::start().await;
    server.send(&order(1, now_unix_nano())).await;
    let get = async |path: &str| {
        let path = format!("/tempo/api/{path}");
        let answer = server.get_as(&path, "application/protobuf").await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("content-type"), "application/protobuf");
        answer.body
    };
    let found = SearchResponse::decode(&get("search").await[..]).unwrap();
    assert_eq!(found.traces.len(), 1);
    let tags = Texts::decode(&get("search/tags?scope=event").await[..]).unwrap();
    assert_eq!(tags.texts, ["exception.type"]);
    let scopes = Scopes::decode(&get("v2/search/tags?scope=link").await[..]).unwrap();
    assert_eq!(scopes.scopes[0].tags, ["batch"]);
    let values = Texts::decode(&get("search/tag/service.name/values").await[..]).unwrap();
    assert_eq!(values.texts, ["checkout"]);
    let values = Pairs::decode(&get("v2/search/tag/status/values?limit=1").await[..]).unwrap();
    assert_eq!(
        (values.pairs[0].one.as_str(), values.pairs[0].two.as_str()),
        ("keyword", "error")
    );
}

#[tokio::test]
async fn what_is_wrong_is_a_status_of_grpc() {
    let server = Fixture::start().await;
    let bad = SearchRequest {
        query: "{".to_owned(),
        ..SearchRequest::default()
    };
    for (method, message, code) in [
        ("Search", bad.encode_to_vec(), 3),
        ("Search", vec![0xff], 3),
        ("SearchTags", pair("bad", ""), 3),
        ("SearchTagValuesV2", pair("v", ""), 3),
        ("MetricsQueryRange", pair("{ }", ""), 3),
        ("MetricsQueryInstant", Vec::new(), 12),
        ("Nothing", Vec::new(), 12),
    ] {
        let reply = ask(&server, method, message).await;
        assert_eq!(reply.code, code, "{method}: {}", reply.message);
        assert!(!reply.message.is_empty(), "{method}");
    }
}
