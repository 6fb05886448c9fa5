//! The results of a search as rows.

use maud::{Markup, html};

use super::scatter;
use super::{Inspected, MatchedSpan, SearchPage, SearchResults, TraceSummary, form};
use crate::address::{SearchAddress, TraceView};
use crate::attribute;
use crate::colour::ServiceColours;
use crate::format;
use crate::icon;
use crate::traceql;

/// Services of a trace that its row names.
const SERVICES_SHOWN: usize = 6;
/// Services that have a filter of their own.
const SERVICE_FILTERS: usize = 8;

pub(super) fn results(page: &SearchPage, results: &SearchResults) -> Markup {
    let colours = ServiceColours::of(results.traces.iter().flat_map(|trace| {
        let services = trace
            .services
            .iter()
            .filter_map(|service| service.name.as_deref());
        services.chain(trace.root_service_name.as_deref())
    }));
    html! {
        @for sentence in &results.partial {
            p.partial role="status" { (icon::anomaly()) "Not complete: " (sentence) }
        }
        @if results.traces.is_empty() {
            (nothing(page))
        } @else {
            (summary(page, results))
            (scatter::scatter(&results.traces, &colours))
            (filters(page, results, &colours))
            ol #results .results aria-label="Traces" {
                @let longest = results.traces.iter().map(|trace| trace.duration_nano).max().unwrap_or(1);
                @for trace in &results.traces { (row(trace, longest, page.now_unix_nano, &colours)) }
            }
            (pages(page, results))
            @if page.address.query.is_empty() { (form::examples(&page.address)) }
        }
    }
}

fn nothing(page: &SearchPage) -> Markup {
    let address = &page.address;
    html! {
        section.nothing {
            h1 { "No trace matches" }
            p {
                @if address.cursor.is_some() { "There is nothing older in this range." }
                @else if address.query.is_empty() { "No span was received for this time range." }
                @else { "The store has spans, but none in this range answers this query." }
            }
            p.nothing-tools {
                @if address.start != "now-24h" && address.start != "now-7d" {
                    a.button href=(address.with_range("now-24h", "").href()) { "Look at the last 24 h" }
                }
                @if address.start != "now-7d" {
                    a.button href=(address.with_range("now-7d", "").href()) { "Look at the last 7 d" }
                }
                @if !address.query.is_empty() { a.button href=(address.with_query("").href()) { "Every trace" } }
            }
        }
        (form::examples(address))
    }
}

fn summary(page: &SearchPage, results: &SearchResults) -> Markup {
    let more = if results.next_cursor.is_some() {
        "Newest "
    } else {
        ""
    };
    html! {
        p.summary {
            strong { (more) (format::counted(results.traces.len() as u64, "trace")) }
            @if page.address.cursor.is_some() { " of an older page" }
            (cost(&results.inspected))
        }
    }
}

/// What was read for an answer.
pub(super) fn cost(inspected: &Inspected) -> Markup {
    html! {
        @if inspected.spans > 0 {
            span.summary-cost {
                (format::counted(inspected.spans, "span")) " read"
                @if inspected.bytes > 0 { ", " (format::bytes(inspected.bytes)) }
                @if inspected.elapsed_nano > 0 {
                    ", " (format::duration(i64::try_from(inspected.elapsed_nano).unwrap_or(i64::MAX)))
                }
            }
        }
    }
}

/// Filters that narrow the query: by what often matters, and by the services in the results.
fn filters(page: &SearchPage, results: &SearchResults, colours: &ServiceColours) -> Markup {
    let mut services: Vec<(&str, usize)> = Vec::new();
    for trace in &results.traces {
        for name in trace
            .services
            .iter()
            .filter_map(|service| service.name.as_deref())
        {
            match services.iter_mut().find(|(known, _)| *known == name) {
                Some((_, count)) => *count += 1,
                None => services.push((name, 1)),
            }
        }
    }
    services.sort_by(|(name, count), (other, others)| others.cmp(count).then(name.cmp(other)));
    let errors = results
        .traces
        .iter()
        .filter(|trace| trace.error_count > 0)
        .count();
    let cold = results
        .traces
        .iter()
        .filter(|trace| trace.has_cold_start)
        .count();
    html! {
        ul.filters aria-label="Narrow down" {
            @if errors > 0 {
                (filter(&page.address, "{ status = error }", &html! { (icon::error()) "errors" }, errors))
            }
            @if cold > 0 {
                (filter(&page.address, "{ span.faas.coldstart = true }", &html! { (icon::cold_start()) "cold starts" }, cold))
            }
            @for (name, count) in services.into_iter().take(SERVICE_FILTERS) {
                (filter(&page.address, &traceql::service(name),
                    &html! { span.chip .(colours.class(Some(name))) {} (name) }, count))
            }
        }
    }
}

fn filter(address: &SearchAddress, query: &str, label: &Markup, count: usize) -> Markup {
    html! {
        li { a href=(narrowed(address, query).href()) title=(query) { (label) " " span.count { (count) } } }
    }
}

/// Both conditions where the query can take one more, else the new one alone: a pipeline cannot be extended by `&&`.
fn narrowed(address: &SearchAddress, filter: &str) -> SearchAddress {
    let query = address.query.as_str();
    if query.is_empty() || query.contains(filter) || query.contains('|') || !query.ends_with('}') {
        address.with_query(filter)
    } else {
        address.with_query(format!("{query} && {filter}"))
    }
}

fn row(
    trace: &TraceSummary,
    longest_nano: i64,
    now_unix_nano: i64,
    colours: &ServiceColours,
) -> Markup {
    let href = TraceView::default().href(trace.trace_id);
    let share = trace.duration_nano as f64 / longest_nano.max(1) as f64;
    html! {
        li.result .is-error[trace.error_count > 0] {
            div.result-main {
                a.result-link href=(href) {
                    span.chip .(colours.class(trace.root_service_name.as_deref())) {}
                    @match &trace.root_name {
                        Some(name) => {
                            span.result-service { (trace.root_service_name.as_deref().unwrap_or("no service name")) } " "
                            span.result-name { (name) }
                        },
                        None => span.result-name.is-missing { "root span not received" },
                    }
                }
                @if trace.error_count > 0 {
                    span.badge.badge-error { (icon::error()) (format::counted(trace.error_count, "error")) }
                }
                @if trace.has_cold_start {
                    span.badge.badge-cold { (icon::cold_start()) "cold start" }
                }
                @for (name, value) in &trace.attributes {
                    span.badge { (name) " = " (attribute::short(value)) }
                }
            }
            div.result-services {
                span.result-spans { (format::counted(trace.span_count, "span")) }
                @for service in trace.services.iter().take(SERVICES_SHOWN) {
                    span.service {
                        span.chip .(colours.class(service.name.as_deref())) {}
                        (service.name.as_deref().unwrap_or("no service name")) " "
                        span.count { (service.span_count) }
                        @if service.error_count > 0 { span.mark.mark-error title="failed" { (icon::error()) (service.error_count) span.visually-hidden { " failed" } } }
                    }
                }
                @if trace.services.len() > SERVICES_SHOWN {
                    span.service { "+" (trace.services.len() - SERVICES_SHOWN) }
                }
            }
            div.result-duration {
                span { (format::duration(trace.duration_nano)) }
                svg.duration-bar width="100%" height="4" aria-hidden="true" {
                    rect.duration-track width="100%" height="4" rx="2" {}
                    rect .(colours.class(trace.root_service_name.as_deref())) width=(format::percent(share.clamp(0.005, 1.0))) height="4" rx="2" {}
                }
            }
            time.result-time data-relative datetime=(format::rfc3339(trace.start_time_unix_nano))
                title=(format::utc(trace.start_time_unix_nano)) {
                (format::relative(trace.start_time_unix_nano, now_unix_nano))
            }
            (matched(trace, colours))
        }
    }
}

/// The spans that the query selected. Without them a row says no less, so a selected root alone is left out.
fn matched(trace: &TraceSummary, colours: &ServiceColours) -> Markup {
    let root_alone = trace.matched == 1
        && matches!(&trace.spans[..], [span] if Some(&span.name) == trace.root_name.as_ref() && span.attributes.is_empty());
    let hidden = trace.matched.saturating_sub(trace.spans.len() as u64);
    html! {
        @if !trace.spans.is_empty() && trace.matched < trace.span_count && !root_alone {
            ul.matched aria-label="Matching spans" {
                @for span in &trace.spans { (matched_span(trace, span, colours)) }
                @if hidden > 0 { li.matched-more { "and " (format::count(hidden)) " more" } }
            }
        }
    }
}

fn matched_span(trace: &TraceSummary, span: &MatchedSpan, colours: &ServiceColours) -> Markup {
    let href = TraceView::default()
        .with_span(Some(span.span_id))
        .href(trace.trace_id);
    html! {
        li {
            a href=(href) {
                span.chip .(colours.class(span.service_name.as_deref())) {}
                (span.name)
            }
            span.matched-duration { (format::duration(span.duration_nano)) }
            @for (key, value) in &span.attributes {
                span.matched-attribute { span.key { (key) } "=" (attribute::short(value)) }
            }
        }
    }
}

fn pages(page: &SearchPage, results: &SearchResults) -> Markup {
    html! {
        nav.pages aria-label="Pages of results" {
            @if page.address.cursor.is_some() {
                a.button href=(page.address.with_cursor(None).href()) { "Newest" }
            }
            @if let Some(cursor) = &results.next_cursor {
                a.button #older href=(page.address.with_cursor(Some(cursor.clone())).href()) rel="next" { "Older traces" }
            } @else {
                span { "Nothing older in this range." }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_extend_the_query_where_they_can() {
        let narrowed =
            |query: &str| narrowed(&SearchAddress::of_query(query), "{ status = error }").query;
        assert_eq!(narrowed(""), "{ status = error }");
        assert_eq!(narrowed("{ a.b = 1 }"), "{ a.b = 1 } && { status = error }");
        assert_eq!(narrowed("{ .a = 1 } | count() > 1"), "{ status = error }");
        assert_eq!(narrowed("{ status = error }"), "{ status = error }");
    }
}
