//! `/`: the search page. A query that asks for time series has its answer from `metrics`.

mod metrics;

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Instant;

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use http::StatusCode;
use spanlight_query::{QueryError, SearchAnswer, SearchRequest};
use spanlight_web::{
    Inspected, MatchedSpan, ProblemField, QueryProblem, SearchAddress, SearchBody, SearchPage,
    SearchResults, ServiceSummary, TraceSummary, TraceView, Welcome, search_page,
};

use super::html;
use crate::api::{Failure, TimeError, parse_end, parse_start};
use crate::app::App;
use crate::clock::unix_nano_now;

/// Matched spans shown of a trace.
const SPANS_PER_TRACE: usize = 3;

pub(super) async fn get(State(app): State<App>, RawQuery(query): RawQuery) -> Response {
    let address = SearchAddress::parse(&query.unwrap_or_default());
    if let Some(id) = address.trace_id() {
        return Redirect::to(&TraceView::default().href(id)).into_response();
    }
    let now_unix_nano = unix_nano_now();
    let (status, body) = body(&app, &address, now_unix_nano).await;
    let page = SearchPage {
        address,
        now_unix_nano,
        body,
    };
    (status, html(search_page(&page))).into_response()
}

async fn body(app: &App, address: &SearchAddress, now: i64) -> (StatusCode, SearchBody) {
    if let Some(query) = metrics::parse(&address.query) {
        return metrics::body(app, address, &query, now).await;
    }
    let request = match request(app, address, now) {
        Ok(request) => request,
        Err(problem) => return (StatusCode::BAD_REQUEST, SearchBody::Problem(problem)),
    };
    let started = Instant::now();
    match app.search(request).await {
        Ok(answer) if answer.traces.is_empty() && is_empty(app) => {
            (StatusCode::OK, SearchBody::Welcome(welcome(app)))
        }
        Ok(answer) => (
            StatusCode::OK,
            SearchBody::Results(results(answer, started)),
        ),
        Err(error) => {
            let (status, problem) = problem(error);
            (status, SearchBody::Problem(problem))
        }
    }
}

fn request(app: &App, address: &SearchAddress, now: i64) -> Result<SearchRequest, QueryProblem> {
    Ok(SearchRequest {
        query: address.query.clone(),
        time_range: time_range(address, now)?,
        limit: address.limit.min(app.engine.limits().traces_max),
        spans_per_trace: SPANS_PER_TRACE,
        cursor: address.cursor.clone(),
    })
}

fn time_range(address: &SearchAddress, now: i64) -> Result<Range<i64>, QueryProblem> {
    let wrong = |field| move |error: TimeError| message(field, error.to_string());
    let start = parse_start(Some(&address.start), now).map_err(wrong(ProblemField::Start))?;
    let end = Some(address.end.as_str()).filter(|end| !end.is_empty());
    let end = parse_end(end, now).map_err(wrong(ProblemField::End))?;
    Ok(start..end)
}

fn message(field: ProblemField, message: String) -> QueryProblem {
    QueryProblem {
        field,
        message,
        position: None,
        expected: Vec::new(),
        hint: None,
    }
}

fn problem(error: QueryError) -> (StatusCode, QueryProblem) {
    let field = match &error {
        QueryError::Syntax(_) | QueryError::Unsupported(_) => ProblemField::Query,
        QueryError::TimeRange => ProblemField::End,
        _ => ProblemField::Server,
    };
    let Failure { status, body } = Failure::from(error);
    let problem = QueryProblem {
        field,
        message: body.message,
        position: body.position.map(|position| position.start..position.end),
        expected: body.expected,
        hint: body.hint,
    };
    (status, problem)
}

fn is_empty(app: &App) -> bool {
    let statistics = app.store.statistics();
    statistics.hot.spans + statistics.recent.spans + statistics.cold.spans == 0
}

fn welcome(app: &App) -> Welcome {
    let base = |address: Option<SocketAddr>| Some(format!("http://{}", address?));
    Welcome {
        otlp_http: base(app.addresses.otlp_http),
        otlp_grpc: base(app.addresses.otlp_grpc),
    }
}

fn results(answer: SearchAnswer, started: Instant) -> SearchResults {
    SearchResults {
        traces: answer.traces.into_iter().map(summary).collect(),
        next_cursor: answer.next_cursor,
        partial: answer.partial.iter().map(ToString::to_string).collect(),
        inspected: inspected(answer.inspected, started),
    }
}

fn inspected(inspected: spanlight_query::Inspected, started: Instant) -> Inspected {
    Inspected {
        spans: inspected.spans,
        bytes: inspected.bytes,
        elapsed_nano: u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX),
    }
}

fn summary(trace: spanlight_query::TraceSummary) -> TraceSummary {
    TraceSummary {
        trace_id: trace.trace_id,
        root_service_name: trace.root_service_name,
        root_name: trace.root_name,
        start_time_unix_nano: trace.start_time_unix_nano,
        duration_nano: trace.duration_nano,
        span_count: trace.span_count.into(),
        error_count: trace.error_count.into(),
        has_cold_start: trace.has_cold_start,
        services: trace.services.into_iter().map(service).collect(),
        matched: trace.matched.into(),
        spans: trace.spans.into_iter().map(matched_span).collect(),
        attributes: trace.attributes,
    }
}

fn service(service: spanlight_query::ServiceSummary) -> ServiceSummary {
    ServiceSummary {
        name: service.name,
        span_count: service.span_count.into(),
        error_count: service.error_count.into(),
    }
}

fn matched_span(span: spanlight_query::MatchedSpan) -> MatchedSpan {
    MatchedSpan {
        span_id: span.span_id,
        name: span.name,
        service_name: span.service_name,
        start_time_unix_nano: span.start_time_unix_nano,
        duration_nano: span.duration_nano,
        attributes: span.attributes,
    }
}
