//! Pages as a browser gets them.

use std::collections::BTreeSet;

use prost::Message as _;

use crate::fixture::{
    Fixture, attribute, hex, now_unix_nano, order, request, span, text, trace_id,
};

const MARKUP: &str = "<script>alert(1)</script>";

#[tokio::test]
async fn an_empty_store_says_how_to_send_the_first_span() {
    let server = Fixture::start().await;
    let page = server.get("/").await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(page.text().contains(&server.otlp_http));
    server.send(&order(1, now_unix_nano())).await;
    let page = server.get("/").await.text();
    assert!(!page.contains(&server.otlp_http));
    assert!(page.contains("POST /orders"));
}

#[tokio::test]
async fn pages_allow_nothing_from_elsewhere_and_load_what_they_name() {
    let server = Fixture::start().await;
    server.send(&order(1, now_unix_nano())).await;
    let mut assets = BTreeSet::new();
    for path in ["/".to_owned(), format!("/trace/{}", hex(&trace_id(1)))] {
        let page = server.get(&path).await;
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert_eq!(page.header("x-content-type-options"), "nosniff");
        let body = page.text();
        assets.extend(
            body.split('"')
                .filter(|word| word.starts_with("/assets/"))
                .map(str::to_owned),
        );
    }
    assert!(assets.len() >= 3, "{assets:?}");
    for asset in assets {
        let answer = server.get(&asset).await;
        assert_eq!(answer.status, 200, "{asset}");
        assert!(answer.header("cache-control").contains("immutable"));
        let again = server
            .client
            .get(format!("{}{asset}", server.http))
            .header("if-none-match", answer.header("etag"))
            .send()
            .await
            .unwrap();
        assert_eq!(again.status(), 304, "{asset}");
    }
}

#[tokio::test]
async fn markup_in_what_was_sent_is_text_on_every_page() {
    let server = Fixture::start().await;
    let now = now_unix_nano();
    let mut hostile = span(1, 1, 0, MARKUP, now, now + 1_000);
    hostile.attributes = vec![attribute(MARKUP, text(MARKUP))];
    server.send(&request(MARKUP, vec![hostile])).await;
    let id = hex(&trace_id(1));
    for path in [
        "/".to_owned(),
        format!("/?q={}", "%3Cscript%3Ealert(1)%3C/script%3E"),
        "/?start=%3Cscript%3Ealert(1)%3C/script%3E".to_owned(),
        format!("/trace/{id}"),
        format!("/trace/{id}?span=000000000000cd01"),
        format!("/trace/{id}/rows"),
        format!("/trace/{id}/span/000000000000cd01"),
        "/trace/%3Cscript%3Ealert(1)%3C%2Fscript%3E".to_owned(),
        "/%3Cscript%3Ealert(1)%3C/script%3E".to_owned(),
    ] {
        let page = server.get(&path).await;
        assert_eq!(
            page.header("content-type"),
            "text/html; charset=utf-8",
            "{path}"
        );
        assert!(!page.text().contains(MARKUP), "{path}");
    }
    assert!(server.get("/").await.text().contains("&lt;script&gt;"));
}

#[tokio::test]
async fn what_is_not_there_says_what_to_try() {
    let server = Fixture::start().await;
    for (path, status, words) in [
        ("/trace/ab", 404, "on their way"),
        ("/trace/orders", 400, "32 hexadecimal digits"),
        ("/trace/ab/rows", 404, "on their way"),
        ("/nothing", 404, "search page"),
    ] {
        let page = server.get(path).await;
        assert_eq!(page.status, status, "{path}");
        assert!(page.text().contains(words), "{path}: {}", page.text());
    }
    server.send(&order(1, now_unix_nano())).await;
    let id = hex(&trace_id(1));
    let panel = server
        .get(&format!("/trace/{id}/span/00000000000000ff"))
        .await;
    assert_eq!(panel.status, 404);
    let panel = server
        .get(&format!("/trace/{id}/span/000000000000cd02"))
        .await;
    assert_eq!(panel.status, 200);
    assert!(panel.text().contains("CardDeclined"));
}

#[tokio::test]
async fn a_wrong_query_is_shown_under_itself() {
    let server = Fixture::start().await;
    server.send(&order(1, now_unix_nano())).await;
    let page = server.get("/?q=%7B%20span.a%20%3D%20%7D").await;
    assert_eq!(page.status, 400);
    assert!(page.text().contains("span.a = "));
    let page = server.get("/?start=soon").await;
    assert_eq!(page.status, 400);
    assert!(page.text().contains("is no time"));
    let page = server.get("/?cursor=x").await;
    assert_eq!(page.status, 400);
    assert!(page.text().contains("the cursor"));
}

#[tokio::test]
async fn a_pasted_id_leads_to_its_trace() {
    let server = Fixture::start().await;
    let id = hex(&trace_id(1));
    let answer = server.get(&format!("/?q={id}")).await;
    assert_eq!(answer.status, 303);
    assert_eq!(answer.header("location"), format!("/trace/{id}"));
}

#[tokio::test]
async fn browsers_may_send_only_where_they_are_allowed() {
    let body = order(1, now_unix_nano()).encode_to_vec();
    let closed = Fixture::start().await;
    let open = Fixture::with(&["receivers.cors_origins=https://shop.example"]).await;
    let origin = ("origin", "https://shop.example");
    let preflight = |server: &Fixture, origin: &'static str| {
        server
            .client
            .request(
                reqwest::Method::OPTIONS,
                format!("{}/v1/traces", server.otlp_http),
            )
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type,x-team")
            .send()
    };
    let allowed = "access-control-allow-origin";
    let answer = preflight(&closed, "https://shop.example").await.unwrap();
    assert!(!answer.headers().contains_key(allowed));
    let answer = preflight(&open, "https://evil.example").await.unwrap();
    assert!(!answer.headers().contains_key(allowed));
    let answer = preflight(&open, "https://shop.example").await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()[allowed], "https://shop.example");
    assert_eq!(
        answer.headers()["access-control-allow-headers"],
        "content-type,x-team"
    );
    let headers = [("content-type", "application/x-protobuf"), origin];
    let answer = open.post("/v1/traces", &headers, body).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header(allowed), "https://shop.example");
}

#[tokio::test]
async fn a_metrics_query_is_a_chart_whose_parts_lead_to_spans() {
    let server = Fixture::start().await;
    let now = now_unix_nano();
    for id in 1..4 {
        server.send(&order(id, now - 60_000_000_000)).await;
    }
    let page = server
        .get("/?q=%7B+kind+%3D+server+%7D+%7C+count_over_time()+by+(resource.service.name)&step=1m")
        .await;
    assert_eq!(page.status, 200, "{}", page.text());
    let text = page.text();
    assert!(text.contains("class=\"chart-line"), "{text}");
    let column = text
        .split("<a class=\"chart-column\"")
        .find(|it| it.contains(": 3</title>"));
    let column = column.unwrap_or_else(|| panic!("{text}"));
    // Where a column leads is a search that finds what it counts.
    let href = column.split('"').nth(1).unwrap().replace("&amp;", "&");
    let found = server.get(&href).await.text();
    assert_eq!(found.matches("<li class=\"result").count(), 3, "{href}");
    let row = text
        .split("title=\"Search for these spans\"")
        .next()
        .unwrap();
    let href = row
        .rsplit("href=\"")
        .next()
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let found = server.get(&href.replace("&amp;", "&")).await.text();
    assert_eq!(found.matches("<li class=\"result").count(), 3, "{href}");

    let all = "/?q=%7B+%7D+%7C+quantile_over_time(duration,+.5)&step=all";
    let text = server.get(all).await.text();
    assert!(
        !text.contains("chart-line") && text.contains("Value</th>"),
        "{text}"
    );
    let compared = "/?q=%7B+%7D+%7C+compare(%7B+kind+%3D+server+%7D)";
    assert!(server.get(compared).await.text().contains("Baseline</th>"));
    let wrong = server.get("/?q=%7B+%7D+%7C+rate()&step=soon").await;
    assert_eq!(wrong.status, 400);
    assert!(wrong.text().contains("is no duration"));
}
