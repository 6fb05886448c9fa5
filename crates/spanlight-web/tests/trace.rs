//! The trace page and its fragments.

use std::collections::BTreeSet;

use spanlight_model::{SpanKind, TraceId};
use spanlight_web::{Fold, TraceReader, TraceView, span_panel, trace_page, trace_rows};

use crate::fixture::{self, Fixture, START};
use crate::search::text_of;

fn reader(trace: &Fixture) -> TraceReader<'_> {
    TraceReader::new(trace.trace_id, &trace.batch, &trace.nodes, vec![])
}

#[test]
fn the_page_tells_the_story_of_a_trace() {
    let trace = fixture::checkout();
    let text = text_of(&trace_page(&reader(&trace).page(&TraceView::default())));
    insta::assert_snapshot!(text, @r#"
    web-shop POST /checkout
    Duration
    1.93 s
    Start
    2026-01-02 03:04:05.678 UTC
    Spans
    18
    Depth
    6
    Services
    7
    Errors
    4
    Orphans
    1
    Trace
    4bf92f3577b34da6a3ce929d0e0e4736 JSON
    web-shop 5 2
    payments 3 2
    card-gateway 3
    event-bus 1
    notify-mailer 3
    analytics 1
    fraud-check 2
    − + fold unfold all
    0
    0.5 s
    1.0 s
    1.5 s
    web-shop POST /checkout
    1.24 s
    web-shop validate cart
    22 ms
    web-shop GET inventory.items
    14 ms
    web-shop invoke payments
    1.1 s
    payments payments.handler
    838 ms
    payments load configuration
    130 ms
    payments POST /v1/charges
    610 ms
    card-gateway charge
    560 ms
    card-gateway SELECT cards
    88 ms
    card-gateway risk score
    401 ms
    web-shop order.rejected send
    31 ms
    event-bus orders route
    40 ms
    notify-mailer order.rejected process
    520 ms
    notify-mailer render template
    71 ms
    notify-mailer smtp send
    210 ms
    analytics order.rejected process
    96 ms
    fraud-check score rejected order
    300 ms
    fraud-check PUT scores
    ◂ 0
    "#);
}

#[test]
#[expect(clippy::too_many_lines, reason = "the snapshot is long")]
fn the_panel_says_all_that_is_known() {
    let trace = fixture::checkout();
    let panel = reader(&trace)
        .span(&TraceView::default(), fixture::span_id(4))
        .unwrap();
    insta::assert_snapshot!(text_of(&span_panel(&panel)), @r#"
    payments
    payments.handler
    error server cold start
    card declined: insufficient funds (code 51)
    Duration
    838 ms
    Self time
    98 ms
    Starts at
    +288 ms
    Received
    1 min 29 s after its end
    Span id
    1715609f7c746c69
    Parent
    invoke payments
    Attributes 12
    faas.invocation_id
    79104eb2-7bd8-4a8d-9b2c-d6b8b8f1a001
    faas.trigger
    http
    payment.amount
    118.5
    payment.currency
    EUR
    payment.attempts
    3
    payment.retryable
    false
    cart.items
    ["sku-1", "sku-7", "sku-40"]
    card
    { "brand": "visa", "expires": { "year": 2028, "month": 4 } }
    { "brand": "visa", "expires": { "year": 2028, "month": 4 } }
    signature
    4 bytes, base64 3q2+7w==
    http.request.body
    {"order":48213,"note":"leave at the door"} {"order":48213,"note":"leave at the door"} {"order":48213…
    {"order":48213,"note":"leave at the door"} {"order":48213,"note":"leave at the door"} {"order":48213,"note":"leave at the door"} {"order":48213,"note":"leave at the door"} {"order":48213,"note":"leave at the door"} {"order":48213,"note":"leave at the door"} {"order":48213,"note":"leave at the door"} {"order":48213,"note":"leave at the door"} {"order":48213,"note":"leave at the door"} {"order":48213,"note":"leave at the door"} {"order":48213,"note":"leave at the door"} {"order":48213,"note":"leave at the door"}
    my odd key
    with "quotes"
    faas.coldstart
    true
    Events 1
    +771 ms payments.errors.CardDeclined
    card declined: insufficient funds (code 51)
    Traceback (most recent call last): File "/var/task/handler.py", line 41, in handle receipt = gateway.charge(order.total, order.card) File "/var/task/payments/gateway.py", line 88, in charge raise CardDeclined(response.code) payments.errors.CardDeclined: card declined: insufficient funds (code 51)
    As attributes
    exception.type
    payments.errors.CardDeclined
    exception.message
    card declined: insufficient funds (code 51)
    exception.escaped
    false
    Resource 6
    service.name
    payments
    service.version
    2.14.0
    cloud.provider
    aws
    cloud.region
    eu-central-1
    telemetry.sdk.language
    python
    process.pid
    8
    Instrumentation 1
    opentelemetry.instrumentation.fastapi 0.66b1
    "#);
}

#[test]
fn a_value_is_one_step_from_its_search() {
    let trace = fixture::checkout();
    let panel = reader(&trace)
        .span(&TraceView::default(), fixture::span_id(4))
        .unwrap();
    let page = span_panel(&panel);
    for query in [
        "%7B+span.payment.attempts+%3D+3+%7D",
        "%7B+span.payment.retryable+%3D+false+%7D",
        "%7B+span.payment.amount+%3D+118.5+%7D",
        "%7B+span.%22my+odd+key%22+%3D+%22with+%5C%22quotes%5C%22%22+%7D",
        "%7B+resource.service.name+%3D+%22payments%22+%7D",
        "%7B+event.exception.type+%3D+%22payments.errors.CardDeclined%22+%7D",
    ] {
        assert!(page.contains(&format!("href=\"/?q={query}\"")), "{query}");
    }
}

#[test]
fn odd_times_do_not_stretch_the_timeline() {
    let trace = fixture::checkout();
    let page = reader(&trace).page(&TraceView::default());
    assert_eq!(page.facts.start_time_unix_nano, START);
    assert_eq!(page.facts.duration_nano, 1_930_000_000);
    assert!(page.rows.rows[17].anomalous);
    assert!(page.rows.rows[17].start_offset_nano < 0);
}

#[test]
fn a_trace_of_odd_times_alone_has_a_page() {
    let odd = fixture::Sketch {
        anomaly: Some("zero_time"),
        ..fixture::span(0, "a", "b", SpanKind::Internal, (0.0, 0.0))
    };
    let trace = fixture::build(TraceId([9; 16]), &[odd]);
    assert!(trace_page(&reader(&trace).page(&TraceView::default())).contains("1970-01-01"));
}

#[test]
fn the_window_is_bounded_however_large_the_trace() {
    let trace = fixture::large(10_000);
    let reader = reader(&trace);
    let page = trace_page(&reader.page(&TraceView::default()));
    assert!(page.len() < 800_000, "{} bytes", page.len());
    assert_eq!(
        page.matches("role=\"treeitem\"").count(),
        TraceView::DEFAULT_LIMIT
    );
    assert!(page.contains("of 10,000"));

    let rows = reader.rows(&TraceView::parse("offset=9990&limit=300"));
    assert_eq!(
        (rows.total, rows.offset, rows.rows.len()),
        (10_000, 9_990, 10)
    );
    let markup = trace_rows(&rows);
    assert!(markup.contains("data-offset=\"9990\" data-total=\"10000\" data-count=\"10\""));
    assert_eq!(reader.rows(&TraceView::parse("offset=20000")).rows.len(), 0);
}

#[test]
fn a_link_to_a_span_opens_the_window_with_it() {
    let trace = fixture::large(10_000);
    let wanted = fixture::span_id(7_777);
    let page = reader(&trace).page(&TraceView::default().with_span(Some(wanted)));
    assert!(page.rows.rows.iter().any(|row| row.span_id == wanted));
    assert_eq!(page.panel.map(|panel| panel.span_id), Some(wanted));
}

#[test]
fn a_link_to_a_span_unfolds_what_hides_it() {
    let trace = fixture::checkout();
    let wanted = fixture::span_id(8);
    let view = TraceView {
        fold: Fold {
            level: Some(1),
            toggled: BTreeSet::new(),
        },
        ..TraceView::default().with_span(Some(wanted))
    };
    let page = reader(&trace).page(&view);
    assert!(page.rows.rows.iter().any(|row| row.span_id == wanted));
    assert!(page.rows.total < trace.nodes.len(), "the rest stays folded");
}

#[test]
fn folded_errors_are_counted_on_what_hides_them() {
    let trace = fixture::checkout();
    let view = TraceView::default().with_toggled(fixture::span_id(3));
    let rows = reader(&trace).rows(&view);
    let row = rows
        .rows
        .iter()
        .find(|row| row.span_id == fixture::span_id(3))
        .unwrap();
    assert_eq!(
        (row.folded, row.hidden_error_count, row.descendant_count),
        (true, 2, 6)
    );
    assert_eq!(rows.total, trace.nodes.len() - 6);
}

#[test]
fn a_tree_that_does_not_fit_its_batch_does_no_harm() {
    let trace = fixture::checkout();
    let mut nodes = trace.nodes.clone();
    nodes[0].descendant_count = u32::MAX;
    nodes[3].parent = Some(900);
    nodes.truncate(9);
    let reader = TraceReader::new(trace.trace_id, &trace.batch, &nodes, vec![]);
    let view = TraceView::default().with_toggled(fixture::span_id(0));
    assert_eq!(reader.rows(&view).total, 1);
    for row in 0..9 {
        let view = TraceView::default().with_span(Some(fixture::span_id(row)));
        assert!(!trace_page(&reader.page(&view)).is_empty());
    }
    assert!(reader.span(&view, fixture::span_id(12)).is_none());
}
