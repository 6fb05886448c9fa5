//! The panel of a span: everything that is known about it, each value a step to a search.

use maud::{Markup, html};
use spanlight_model::{AnyValue, SpanKind, StatusCode, convention};

use super::{Anomaly, AttributeFacts, EventFacts, LinkFacts, SpanPanel};
use crate::address::TraceView;
use crate::attribute;
use crate::format;
use crate::icon;
use crate::traceql::Scope;

/// The panel as an HTML fragment.
#[must_use]
pub fn span_panel(panel: &SpanPanel) -> String {
    render(panel).into_string()
}

pub(super) fn render(panel: &SpanPanel) -> Markup {
    html! {
        div.panel-content data-span=(panel.span_id) {
            (heading(panel))
            (notes(panel))
            (facts(panel))
            (section("Attributes", panel.attributes.len(), true, &html! {
                (attribute::table(Scope::Span, &panel.attributes))
                (dropped(panel.dropped[0], "attribute"))
            }))
            (section("Events", panel.events.len(), true, &html! {
                @for event in &panel.events { (self::event(event)) }
                (dropped(panel.dropped[1], "event"))
            }))
            (section("Links", panel.links.len(), true, &html! {
                @for link in &panel.links { (self::link(panel, link)) }
                (dropped(panel.dropped[2], "link"))
            }))
            (section("Resource", panel.resource.len(), true, &attribute::table(Scope::Resource, &panel.resource)))
            (section("Instrumentation", usize::from(!panel.scope_name.is_empty()) + panel.scope.len(), false, &scope(panel)))
        }
    }
}

fn heading(panel: &SpanPanel) -> Markup {
    html! {
        header.panel-head {
            div {
                p.panel-service .(panel.colours.class(panel.service_name.as_deref())) {
                    span.chip {} span.panel-service-name { (panel.service_name.as_deref().unwrap_or("no service name")) }
                }
                h2 { (panel.name) }
            }
            a.tool.panel-close href=(panel.view.with_span(None).href(panel.trace_id)) title="Close (Esc)" data-panel-close {
                (icon::close()) span.visually-hidden { "Close" }
            }
        }
        p.badges {
            @if panel.status_code == StatusCode::Error {
                span.badge.badge-error { (icon::error()) "error" }
            }
            @if panel.status_code == StatusCode::Ok { span.badge { "ok" } }
            @if panel.kind != SpanKind::Unspecified { span.badge { (panel.kind.as_str()) } }
            @if panel.cold_start { span.badge.badge-cold { (icon::cold_start()) "cold start" } }
            @if panel.asynchronous { span.badge { (icon::asynchronous()) "asynchronous" } }
            @if panel.orphan { span.badge.badge-warning { (icon::orphan()) "parent not received" } }
            @if !panel.anomalies.is_empty() { span.badge.badge-warning { (icon::anomaly()) "odd times" } }
        }
        @if !panel.status_message.is_empty() {
            p.status-message .is-error[panel.status_code == StatusCode::Error] { (panel.status_message) }
        }
    }
}

fn notes(panel: &SpanPanel) -> Markup {
    html! {
        @for anomaly in &panel.anomalies { p.note { (anomaly.explanation()) } }
        @if panel.orphan {
            p.note {
                "The parent span has not been received. It may still come, may have been lost with its function, or was never sent."
            }
        }
        @if panel.same_id_count > 1 {
            p.note { (panel.same_id_count) " spans of this trace carry this id; this is the first of them." }
        }
    }
}

impl Anomaly {
    fn explanation(self) -> &'static str {
        match self {
            Self::EndBeforeStart => {
                "It ends before it starts, as sent. Its duration is shown as 0."
            }
            Self::ZeroTime => "Its start or its end is zero, as sent: the sender set no time.",
            Self::FutureTime => {
                "It starts more than five minutes after it was received: the sender's clock is ahead."
            }
            Self::TimeCut => "A time was beyond the year 2262 and is cut to it.",
        }
    }
}

fn facts(panel: &SpanPanel) -> Markup {
    html! {
        dl.facts {
            div { dt { "Duration" } dd { (format::duration(panel.duration_nano)) } }
            div { dt { "Self time" } dd title="The part in which no child that it waited for ran" {
                (format::duration(panel.self_time_nano))
            } }
            div { dt { "Starts at" } dd title=(format::utc(panel.start_time_unix_nano)) {
                "+" (format::duration(panel.start_offset_nano))
            } }
            div { dt { "Received" } dd {
                time datetime=(format::rfc3339(panel.received_at_unix_nano)) title=(format::utc(panel.received_at_unix_nano)) {
                    (format::duration(panel.received_at_unix_nano.saturating_sub(
                        panel.start_time_unix_nano.saturating_add(panel.duration_nano)))) " after its end"
                }
            } }
            div { dt { "Span id" } dd.mono { (panel.span_id) (icon::copy_button(&panel.span_id.to_string(), "span id")) } }
            @if let Some(parent) = panel.parent_span_id {
                div { dt { "Parent" } dd {
                    @match &panel.parent_name {
                        Some(name) => a href=(panel.view.with_span(Some(parent)).href(panel.trace_id)) data-span=(parent) { (name) },
                        None => span.mono { (parent) },
                    }
                } }
            }
            @if !panel.trace_state.is_empty() {
                div.wide { dt { "Trace state" } dd.mono { (panel.trace_state) } }
            }
        }
    }
}

fn section(title: &str, count: usize, open: bool, content: &Markup) -> Markup {
    html! {
        @if count > 0 {
            details.section open[open] {
                summary { (title) " " span.count { (count) } }
                (content)
            }
        }
    }
}

fn dropped(count: u32, noun: &str) -> Markup {
    html! {
        @if count > 0 { p.note { (format::counted(u64::from(count), noun)) " dropped by the sender." } }
    }
}

fn event(event: &EventFacts) -> Markup {
    if event.name == convention::EXCEPTION_EVENT {
        return exception(event);
    }
    html! {
        div.event {
            p.event-head { span.event-offset { "+" (format::duration(event.offset_nano)) } " " strong { (event.name) } }
            (attribute::table(Scope::Event, &event.attributes))
            (dropped(event.dropped_attributes_count, "attribute"))
        }
    }
}

/// Type, message and stack trace as a person reads them; what else there is follows as a table.
fn exception(event: &EventFacts) -> Markup {
    let text = |key: &str| {
        event
            .attributes
            .iter()
            .find_map(|attribute| match &attribute.value {
                AnyValue::String(text) if attribute.key == key => Some(text.as_str()),
                _ => None,
            })
    };
    let known = [
        convention::EXCEPTION_TYPE,
        convention::EXCEPTION_MESSAGE,
        convention::EXCEPTION_STACKTRACE,
    ];
    let (shown, rest): (Vec<AttributeFacts>, Vec<AttributeFacts>) =
        event.attributes.iter().cloned().partition(|attribute| {
            known.contains(&attribute.key.as_str())
                && matches!(attribute.value, AnyValue::String(_))
        });
    let searchable: Vec<AttributeFacts> = shown
        .into_iter()
        .filter(|attribute| attribute.key != convention::EXCEPTION_STACKTRACE)
        .collect();
    html! {
        div.event.exception {
            p.event-head {
                span.event-offset { "+" (format::duration(event.offset_nano)) } " "
                strong.exception-type { (icon::error()) (text(convention::EXCEPTION_TYPE).unwrap_or("exception")) }
            }
            @if let Some(message) = text(convention::EXCEPTION_MESSAGE) { p.exception-message { (message) } }
            @if let Some(stack) = text(convention::EXCEPTION_STACKTRACE) {
                div.stack {
                    pre tabindex="0" { (stack) }
                    (icon::copy_button(stack, "stack trace"))
                }
            }
            details.exception-attributes {
                summary { "As attributes" }
                (attribute::table(Scope::Event, &searchable))
            }
            (attribute::table(Scope::Event, &rest))
            (dropped(event.dropped_attributes_count, "attribute"))
        }
    }
}

fn link(panel: &SpanPanel, link: &LinkFacts) -> Markup {
    let same_trace = link.trace_id == panel.trace_id;
    let view = if same_trace {
        panel.view.clone()
    } else {
        TraceView::default()
    };
    let href = view.with_span(Some(link.span_id)).href(link.trace_id);
    html! {
        div.event {
            p.event-head {
                (icon::link()) " "
                @match (&link.name, same_trace) {
                    (Some(name), _) => a href=(href) data-span=(link.span_id) { (name) },
                    (None, true) => { "span " a.mono href=(href) data-span=(link.span_id) { (link.span_id) } " of this trace" },
                    (None, false) => { "trace " a.mono href=(href) { (link.trace_id) } },
                }
            }
            (attribute::table(Scope::Link, &link.attributes))
        }
    }
}

fn scope(panel: &SpanPanel) -> Markup {
    html! {
        @if !panel.scope_name.is_empty() {
            p.scope-name { (panel.scope_name) " " span.count { (panel.scope_version) } }
        }
        (attribute::table(Scope::Instrumentation, &panel.scope))
    }
}
