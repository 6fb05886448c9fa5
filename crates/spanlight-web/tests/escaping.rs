//! Hostile text on every page.

use spanlight_model::{AnyValue, SpanKind, TraceId};
use spanlight_web::{
    FailurePage, ProblemField, QueryProblem, SearchAddress, SearchBody, TraceReader, TraceView,
    failure_page, search_page, span_panel, trace_page, trace_rows,
};

use crate::fixture::{self, Sketch};
use crate::pages;

const HOSTILE: &str = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>";

/// The document has the hostile text, but neither as elements nor as the end of an attribute.
#[track_caller]
fn check(document: &str) {
    assert!(
        document.contains("&lt;script&gt;alert("),
        "the text is not shown"
    );
    assert!(!document.contains("<script>alert"), "a script got in");
    assert!(!document.contains("<img"), "an element got in");
    assert!(
        !document.contains("\"><img"),
        "an attribute was broken out of"
    );
    check_policy(document);
}

/// What the content security policy would refuse.
#[track_caller]
fn check_policy(document: &str) {
    for refused in [
        " style=",
        "<style",
        " onclick=",
        " onerror=\"",
        "javascript:",
        "<script>",
    ] {
        assert!(!document.contains(refused), "{refused}");
    }
}

#[test]
fn search_pages_show_hostile_text_as_text() {
    let mut page = pages::results(SearchAddress::of_query(HOSTILE));
    if let SearchBody::Results(results) = &mut page.body {
        results.partial = vec![HOSTILE.to_owned()];
        let trace = &mut results.traces[0];
        trace.root_name = Some(HOSTILE.to_owned());
        trace.root_service_name = Some(HOSTILE.to_owned());
        trace.services[0].name = Some(HOSTILE.to_owned());
        trace.attributes = vec![(HOSTILE.to_owned(), AnyValue::String(HOSTILE.to_owned()))];
        trace.spans[0].name = HOSTILE.to_owned();
        trace.spans[0].attributes =
            vec![(HOSTILE.to_owned(), AnyValue::String(HOSTILE.to_owned()))];
        results.next_cursor = Some(HOSTILE.to_owned());
    }
    check(&search_page(&page));

    let labels = vec![
        vec![(HOSTILE, pages::label(HOSTILE))],
        vec![(HOSTILE, None)],
    ];
    let mut series = pages::metrics(HOSTILE, labels, |_, _| Some(1.0));
    if let SearchBody::Metrics(results) = &mut series.body {
        results.name = HOSTILE.to_owned();
        results.partial = vec![HOSTILE.to_owned()];
        results.spans_query = Some(HOSTILE.to_owned());
    }
    check(&search_page(&series));

    page.address.start = HOSTILE.to_owned();
    page.body = SearchBody::Problem(QueryProblem {
        field: ProblemField::Query,
        message: HOSTILE.to_owned(),
        position: Some(3..20),
        expected: vec![HOSTILE.to_owned(), format!("`{HOSTILE}`")],
        hint: Some(HOSTILE.to_owned()),
    });
    check(&search_page(&page));
}

#[test]
fn failure_pages_show_hostile_text_as_text() {
    check(&failure_page(&FailurePage::trace_not_found(HOSTILE)));
    check(&failure_page(&FailurePage::bad_trace_id(HOSTILE, HOSTILE)));
}

#[test]
fn trace_pages_show_hostile_text_as_text() {
    let sketch = Sketch {
        error: Some(HOSTILE),
        event: Some((1.0, HOSTILE)),
        attributes: vec![
            (HOSTILE, fixture::text(HOSTILE)),
            ("nested", AnyValue::Array(vec![fixture::text(HOSTILE); 3])),
            ("long", fixture::text(&HOSTILE.repeat(20))),
        ],
        ..fixture::span(0, HOSTILE, HOSTILE, SpanKind::Server, (0.0, 5.0))
    };
    let trace = fixture::build(TraceId([7; 16]), &[sketch]);
    let reader = TraceReader::new(
        trace.trace_id,
        &trace.batch,
        &trace.nodes,
        vec![HOSTILE.to_owned()],
    );
    let view = TraceView::default().with_span(Some(fixture::span_id(0)));
    check(&trace_page(&reader.page(&view)));
    check(&trace_rows(&reader.rows(&view)));
    check(&span_panel(
        &reader.span(&view, fixture::span_id(0)).unwrap(),
    ));
}

#[test]
fn ordinary_pages_keep_to_the_policy() {
    check_policy(&search_page(&pages::welcome()));
    check_policy(&search_page(&pages::nothing()));
    check_policy(&search_page(&pages::problem()));
    check_policy(&search_page(&pages::rates()));
    check_policy(&search_page(&pages::histogram()));
    check_policy(&search_page(&pages::comparison()));
    let trace = fixture::checkout();
    let reader = TraceReader::new(trace.trace_id, &trace.batch, &trace.nodes, vec![]);
    for row in 0..trace.nodes.len() {
        let view = TraceView::default().with_span(Some(fixture::span_id(row)));
        check_policy(&trace_page(&reader.page(&view)));
    }
}
