//! The trace page: facts above, waterfall in the middle, the panel beside it.

use maud::{Markup, html};

use super::{ServiceFacts, TraceFacts, TracePage, TraceRows};
use super::{minimap, panel, rows, timeline};
use crate::address::SearchAddress;
use crate::colour::ServiceColours;
use crate::format;
use crate::icon;
use crate::layout;
use crate::traceql;

/// The trace page as HTML.
#[must_use]
pub fn trace_page(page: &TracePage) -> String {
    let facts = &page.facts;
    let title = match (&facts.root_service_name, &facts.root_name) {
        (Some(service), Some(name)) => format!("{service}: {name}"),
        (None, Some(name)) => name.clone(),
        (_, None) => format!("Trace {}", facts.trace_id),
    };
    let content = html! {
        (stripes())
        section.trace-head {
            (heading(facts))
            (self::facts(facts))
            (services(&facts.services, &facts.colours))
            @for sentence in &page.partial {
                p.partial role="status" { (icon::anomaly()) "Not complete: " (sentence) }
            }
        }
        div.trace-body .has-panel[page.panel.is_some()] {
            section.waterfall aria-label="Waterfall" {
                (minimap_row(page))
                (toolbar(page))
                (waterfall(&page.rows))
            }
            aside #panel aria-label="Span" hidden[page.panel.is_none()] {
                @if let Some(panel) = &page.panel { (panel::render(panel)) }
            }
        }
    };
    layout::page(&layout::Shell {
        title: &title,
        page: layout::PageKind::Trace,
        content,
    })
}

/// The pattern that the bars of cold starts are striped with, once for the page.
fn stripes() -> Markup {
    html! {
        svg.definitions width="0" height="0" aria-hidden="true" {
            defs {
                pattern #cold-stripes width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                    rect.cold-stripe width="2.5" height="6" {}
                }
            }
        }
    }
}

fn heading(facts: &TraceFacts) -> Markup {
    html! {
        h1 {
            @if let Some(service) = &facts.root_service_name {
                span.chip .(facts.colours.class(Some(service))) {}
                span.title-service { (service) } " "
            }
            @match &facts.root_name {
                Some(name) => span.title-name { (name) },
                None => span.title-name { "Root span not received" },
            }
        }
    }
}

fn facts(facts: &TraceFacts) -> Markup {
    html! {
        dl.trace-facts {
            div { dt { "Duration" } dd { strong { (format::duration(facts.duration_nano)) } } }
            div { dt { "Start" } dd {
                time data-local datetime=(format::rfc3339(facts.start_time_unix_nano)) { (format::utc(facts.start_time_unix_nano)) }
            } }
            div { dt { "Spans" } dd { (format::count(facts.span_count as u64)) } }
            div { dt { "Depth" } dd { (facts.depth + 1) } }
            div { dt { "Services" } dd { (facts.services.len()) } }
            @if facts.error_count > 0 {
                div { dt { "Errors" } dd { span.badge.badge-error { (icon::error()) (format::count(facts.error_count as u64)) } } }
            }
            @if facts.orphan_count > 0 {
                div { dt { "Orphans" } dd title="spans whose parent has not been received" {
                    span.badge.badge-warning { (icon::orphan()) (format::count(facts.orphan_count as u64)) }
                } }
            }
            div.fact-id { dt { "Trace" } dd {
                span.mono { (facts.trace_id) } (icon::copy_button(&facts.trace_id.to_string(), "trace id"))
                a.fact-link href={ "/api/v1/traces/" (facts.trace_id) } { "JSON" }
            } }
        }
    }
}

fn services(services: &[ServiceFacts], colours: &ServiceColours) -> Markup {
    const SHOWN: usize = 24;
    html! {
        ul.legend aria-label="Services" {
            @for service in services.iter().take(SHOWN) {
                li {
                    span.chip .(colours.class(service.name.as_deref())) {}
                    @match &service.name {
                        Some(name) => a href=(SearchAddress::of_query(traceql::service(name)).href())
                            title="Search for traces of this service" { (name) },
                        None => "no service name",
                    }
                    " " span.count { (format::count(service.span_count as u64)) }
                    @if service.error_count > 0 {
                        span.mark.mark-error title={ (service.error_count) " failed" } {
                            (icon::error()) (format::count(service.error_count as u64)) span.visually-hidden { " failed" }
                        }
                    }
                }
            }
            @if services.len() > SHOWN { li { "and " (services.len() - SHOWN) " more" } }
        }
    }
}

fn minimap_row(page: &TracePage) -> Markup {
    html! {
        div.minimap-row {
            (minimap::render(&page.minimap, &page.rows.timeline, &page.facts.colours))
            @if page.rows.view.zoom.is_some() {
                a.button.zoom-out href=(page.rows.view.with_zoom(None).href(page.facts.trace_id)) { "Whole trace" }
            }
        }
    }
}

/// Folding for the whole trace, as links; the keys `[` and `]` follow them.
fn toolbar(page: &TracePage) -> Markup {
    let view = &page.rows.view;
    let with_level = |level: Option<u32>| {
        let mut next = view.with_offset(0);
        next.fold.toggled.clear();
        next.fold.level = level;
        next.href(page.facts.trace_id)
    };
    let depth = page.facts.depth;
    let level = view.fold.level.filter(|&level| level < depth);
    let less = level.map_or(depth.saturating_sub(1), |level| level.saturating_sub(1));
    let more = level.map(|level| level + 1).filter(|&level| level < depth);
    html! {
        div.ruler-row {
            div.fold-tools {
                @if depth > 0 {
                    a.tool #fold-less href=(with_level(Some(less))) title="Fold one level ([)" { "−" span.visually-hidden { " fold one level" } }
                    a.tool #fold-more href=(with_level(more)) title="Unfold one level (])" { "+" span.visually-hidden { " unfold one level" } }
                    a.fold-link href=(with_level(Some(0))) { "fold" }
                    a.fold-link href=(with_level(None)) { "unfold all" }
                }
            }
            (timeline::ruler(&page.rows.timeline))
        }
    }
}

fn waterfall(rows: &TraceRows) -> Markup {
    let end = rows.offset + rows.rows.len();
    let window = |offset: usize| rows.view.with_offset(offset).href(rows.trace_id);
    html! {
        // The script needs the trace, and the view without its window and its panel, to fetch further rows.
        div.rows-frame {
            (timeline::grid(&rows.timeline))
            div #rows .rows role="tree" tabindex="0" aria-label="Spans" data-trace=(rows.trace_id) {
                div #rows-spacer .rows-spacer role="presentation" { (rows::render(rows)) }
            }
        }
        @if rows.offset > 0 || end < rows.total {
            nav.windows aria-label="Rows" {
                @if rows.offset > 0 {
                    a.button href=(window(rows.offset.saturating_sub(rows.view.limit))) { "Rows before" }
                }
                span { "Rows " (format::count(rows.offset as u64 + 1)) " to " (format::count(end as u64)) " of " (format::count(rows.total as u64)) }
                @if end < rows.total { a.button href=(window(end)) { "Rows after" } }
            }
        }
    }
}
