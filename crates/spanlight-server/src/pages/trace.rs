//! `/trace/{id}`: the page of a trace, and its fragments: a window of rows, and the panel of a span.

use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use spanlight_model::{SpanId, TraceId};
use spanlight_query::Trace;
use spanlight_web::{
    FailurePage, TraceReader, TraceView, TreeNode, span_panel, trace_page, trace_rows,
};

use super::{failed, failure, html};
use crate::api::off_the_loop;
use crate::app::App;

pub(super) async fn page(
    State(app): State<App>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    render(&app, &id, query, |reader, view| {
        Some(trace_page(&reader.page(view)))
    })
    .await
}

pub(super) async fn rows(
    State(app): State<App>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    render(&app, &id, query, |reader, view| {
        Some(trace_rows(&reader.rows(view)))
    })
    .await
}

pub(super) async fn span(
    State(app): State<App>,
    Path((id, span_id)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Response {
    let span_id = match SpanId::parse(&span_id) {
        Ok(span_id) => span_id,
        Err(error) => {
            return failure(&no_span(
                400,
                format!("“{span_id}” is not a span id: {error}."),
            ));
        }
    };
    render(&app, &id, query, move |reader, view| {
        Some(span_panel(&reader.span(view, span_id)?))
    })
    .await
}

fn no_span(status: u16, message: String) -> FailurePage {
    FailurePage {
        status,
        title: "Span not found".to_owned(),
        message,
        suggestions: vec!["The trace may have changed since; reload its page.".to_owned()],
    }
}

/// Loads the trace and renders a view of it away from the event loop.
async fn render(
    app: &App,
    id: &str,
    query: Option<String>,
    draw: impl FnOnce(&TraceReader<'_>, &TraceView) -> Option<String> + Send + 'static,
) -> Response {
    let id = match TraceId::parse(id) {
        Ok(id) => id,
        Err(error) => return failure(&FailurePage::bad_trace_id(id, &error.to_string())),
    };
    let view = TraceView::parse(&query.unwrap_or_default());
    let trace = match app.trace(id).await {
        Ok(Some(trace)) => trace,
        Ok(None) => return failure(&FailurePage::trace_not_found(&id.to_string())),
        Err(error) => return failed(error.into()),
    };
    let drawn = off_the_loop(move || {
        let nodes = nodes(&trace);
        let partial = trace.partial.iter().map(ToString::to_string).collect();
        draw(&TraceReader::new(id, &trace.batch, &nodes, partial), &view)
    })
    .await;
    match drawn {
        Ok(Some(text)) => html(text),
        Ok(None) => failure(&no_span(404, format!("Trace {id} has no such span."))),
        Err(error) => failed(error),
    }
}

fn nodes(trace: &Trace) -> Vec<TreeNode> {
    trace
        .nodes
        .iter()
        .map(|node| TreeNode {
            depth: node.depth,
            parent: node.parent,
            child_count: node.child_count,
            descendant_count: node.descendant_count,
            orphan: node.orphan,
            asynchronous: node.asynchronous,
        })
        .collect()
}
