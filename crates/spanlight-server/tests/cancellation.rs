//! Clients that leave: what they asked is not answered to its end.

use std::time::Duration;

use crate::fixture::{Fixture, attribute, now_unix_nano, request, span, text};

/// Requests to store, and the spans of each: more in all than a query looks at in one go.
const REQUESTS: u8 = 10;
const SPANS: u16 = 4_000;

/// A server with spans in memory that are dear to look at, if one looks for something in them.
async fn full() -> Fixture {
    let server = Fixture::with(&["limits.search_time=10m"]).await;
    let now = now_unix_nano();
    for number in 0..REQUESTS {
        let spans = (1..=SPANS).map(|id| {
            let start = now - u64::from(id) * 1_000;
            let mut span = span(number, 1, 0, "work", start, start + 100);
            span.span_id[..2].copy_from_slice(&id.to_be_bytes());
            let value = format!("{number}-{id} ").repeat(10);
            span.attributes = vec![attribute("text", text(&value))];
            span
        });
        server.send(&request("worker", spans.collect())).await;
    }
    server
}

/// Conditions that no span meets, each with a look at each text.
fn conditions(count: usize) -> String {
    let conditions =
        (0..count).map(|number| format!("span.text =~ `([a-z0-9 -]+[0-9]){{{number}}}[!?]`"));
    conditions.collect::<Vec<_>>().join(" || ")
}

/// Waits for a gauge to have a value.
async fn until(server: &Fixture, name: &str, value: f64) {
    for _ in 0..5_000 {
        if server.metric(name).await == value {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("{name} does not become {value}");
}

/// Asks, leaves once the question is being answered, and waits until it is not.
async fn check(kind: &str, path: &str, query: &str) {
    let server = full().await;
    let address = format!("{}{path}", server.http);
    let request = server.client.get(address).query(&[("q", query)]);
    let asked = tokio::spawn(request.send());
    let running = format!("spanlight_running_queries{{query=\"{kind}\"}}");
    until(&server, &running, 1.0).await;
    asked.abort();
    until(&server, &running, 0.0).await;
    // It was given up: what is answered, complete or not, is counted.
    let answered = format!("spanlight_query_seconds_count{{query=\"{kind}\"}}");
    assert_eq!(server.metric(&answered).await, 0.0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_ends_when_its_client_leaves() {
    let query = format!("{{ {} }}", conditions(40));
    check("search", "/api/v1/search", &query).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn series_end_when_their_client_leaves() {
    let part = format!("({{ {} }} | rate())", conditions(2));
    let query = vec![part; 60].join(" + ");
    check("metrics", "/api/v1/metrics", &query).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_grafana_ends_with_it() {
    let query = format!("{{ {} }}", conditions(40));
    check("search", "/tempo/api/search", &query).await;
}
