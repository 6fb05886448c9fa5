//! Spanlight's JSON of a trace: facts of the whole, and spans in tree order with their places in the tree.
//! Resources and scopes are listed once; spans name them by their number.

use std::collections::HashMap;
use std::ops::Range;

use serde::Serialize;
use spanlight_model::{
    EventRef, LinkRef, ResourceRef, ScopeRef, SpanRef, StatusCode, TraceId, Value, convention,
};
use spanlight_query::{Trace, TraceNode};

use crate::api::search::{AttributeJson, PartialJson};

#[derive(Serialize)]
struct TraceJson<'a> {
    trace_id: String,
    start_time_unix_nano: String,
    duration_nano: String,
    /// All spans of the trace; `spans` may be some of them.
    span_count: usize,
    error_count: usize,
    offset: usize,
    /// Where the next window begins; absent after the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_offset: Option<usize>,
    partial: Vec<PartialJson>,
    resources: Vec<ResourceJson<'a>>,
    scopes: Vec<ScopeJson<'a>>,
    spans: Vec<SpanJson<'a>>,
}

#[derive(Serialize)]
struct ResourceJson<'a> {
    service_name: Option<&'a str>,
    attributes: Vec<AttributeJson>,
    dropped_attributes_count: u32,
    schema_url: &'a str,
}

#[derive(Serialize)]
struct ScopeJson<'a> {
    name: &'a str,
    version: &'a str,
    attributes: Vec<AttributeJson>,
    dropped_attributes_count: u32,
    schema_url: &'a str,
}

#[derive(Serialize)]
struct SpanJson<'a> {
    span_id: String,
    parent_span_id: Option<String>,
    name: &'a str,
    service_name: Option<&'a str>,
    kind: &'static str,
    start_time_unix_nano: String,
    end_time_unix_nano: String,
    duration_nano: String,
    status: &'static str,
    status_message: &'a str,
    error: bool,
    cold_start: bool,
    depth: u32,
    /// The row of the parent, counted over the whole trace.
    parent: Option<usize>,
    child_count: u32,
    descendant_count: u32,
    orphan: bool,
    cycle: bool,
    asynchronous: bool,
    attributes: Vec<AttributeJson>,
    events: Vec<EventJson<'a>>,
    links: Vec<LinkJson<'a>>,
    trace_state: &'a str,
    flags: u32,
    dropped_attributes_count: u32,
    dropped_events_count: u32,
    dropped_links_count: u32,
    received_at_unix_nano: String,
    resource: usize,
    scope: usize,
}

#[derive(Serialize)]
struct EventJson<'a> {
    time_unix_nano: String,
    name: &'a str,
    attributes: Vec<AttributeJson>,
    dropped_attributes_count: u32,
}

#[derive(Serialize)]
struct LinkJson<'a> {
    trace_id: String,
    span_id: String,
    trace_state: &'a str,
    attributes: Vec<AttributeJson>,
    dropped_attributes_count: u32,
    flags: u32,
}

/// The numbers of what is listed once, in the order of their first use.
#[derive(Default)]
struct Numbers(HashMap<i32, usize>);

impl Numbers {
    /// The number of a dictionary index, and whether it is new.
    fn of(&mut self, index: i32) -> (usize, bool) {
        let next = self.0.len();
        let number = *self.0.entry(index).or_insert(next);
        (number, number == next)
    }
}

pub(super) fn write(id: TraceId, trace: &Trace, rows: Range<usize>) -> String {
    let columns = trace.batch.columns();
    let (mut resources, mut scopes, mut spans) = (Vec::new(), Vec::new(), Vec::new());
    let (mut resource_numbers, mut scope_numbers) = (Numbers::default(), Numbers::default());
    for row in rows.clone() {
        let span = columns.span(row);
        let (resource, new_resource) = resource_numbers.of(columns.resources.value(row));
        if new_resource {
            resources.push(ResourceJson::of(&span.resource()));
        }
        let (scope, new_scope) = scope_numbers.of(columns.scopes.value(row));
        if new_scope {
            scopes.push(ScopeJson::of(&span.scope()));
        }
        if let Some(node) = trace.nodes.get(row) {
            spans.push(SpanJson::of(&span, node, resource, scope));
        }
    }
    let span_count = trace.batch.num_spans();
    let starts = columns.start_times.values().iter();
    let start = starts.clone().min().copied().unwrap_or(0);
    let end = columns.end_times.values().iter().chain(starts).max();
    let errors = columns.status_codes.values().iter();
    let trace_json = TraceJson {
        trace_id: id.to_string(),
        start_time_unix_nano: start.to_string(),
        duration_nano: end.map_or(0, |end| end.saturating_sub(start)).to_string(),
        span_count,
        error_count: errors
            .filter(|code| **code == StatusCode::Error as i8)
            .count(),
        offset: rows.start,
        next_offset: (rows.end < span_count).then_some(rows.end),
        partial: PartialJson::of(&trace.partial),
        resources,
        scopes,
        spans,
    };
    // Neither maps with keys of another type nor failing writers are involved.
    serde_json::to_string(&trace_json).unwrap_or_default()
}

fn attributes<'a>(list: impl Iterator<Item = (&'a str, Value<'a>)>) -> Vec<AttributeJson> {
    list.map(|(key, value)| AttributeJson::of(key, &value.to_any().unwrap_or_default()))
        .collect()
}

impl<'a> SpanJson<'a> {
    fn of(span: &SpanRef<'a>, node: &TraceNode, resource: usize, scope: usize) -> Self {
        let cold = span.attribute(convention::FAAS_COLDSTART);
        Self {
            span_id: span.span_id().to_string(),
            parent_span_id: span.parent_span_id().map(|id| id.to_string()),
            name: span.name(),
            service_name: span.resource().service_name(),
            kind: span.kind().as_str(),
            start_time_unix_nano: span.start_time_unix_nano().to_string(),
            end_time_unix_nano: span.end_time_unix_nano().to_string(),
            duration_nano: span.duration_nano().to_string(),
            status: span.status_code().as_str(),
            status_message: span.status_message(),
            error: span.status_code() == StatusCode::Error,
            cold_start: cold == Some(Value::Bool(true)),
            depth: node.depth,
            parent: node.parent,
            child_count: node.child_count,
            descendant_count: node.descendant_count,
            orphan: node.orphan,
            cycle: node.cycle,
            asynchronous: node.asynchronous,
            attributes: attributes(span.attributes()),
            events: span.events().map(|event| EventJson::of(&event)).collect(),
            links: span.links().map(|link| LinkJson::of(&link)).collect(),
            trace_state: span.trace_state(),
            flags: span.flags(),
            dropped_attributes_count: span.dropped_attributes_count(),
            dropped_events_count: span.dropped_events_count(),
            dropped_links_count: span.dropped_links_count(),
            received_at_unix_nano: span.received_at_unix_nano().to_string(),
            resource,
            scope,
        }
    }
}

impl<'a> EventJson<'a> {
    fn of(event: &EventRef<'a>) -> Self {
        Self {
            time_unix_nano: event.time_unix_nano().to_string(),
            name: event.name(),
            attributes: attributes(event.attributes()),
            dropped_attributes_count: event.dropped_attributes_count(),
        }
    }
}

impl<'a> LinkJson<'a> {
    fn of(link: &LinkRef<'a>) -> Self {
        Self {
            trace_id: link.trace_id().to_string(),
            span_id: link.span_id().to_string(),
            trace_state: link.trace_state(),
            attributes: attributes(link.attributes()),
            dropped_attributes_count: link.dropped_attributes_count(),
            flags: link.flags(),
        }
    }
}

impl<'a> ResourceJson<'a> {
    fn of(resource: &ResourceRef<'a>) -> Self {
        Self {
            service_name: resource.service_name(),
            attributes: attributes(resource.attributes()),
            dropped_attributes_count: resource.dropped_attributes_count(),
            schema_url: resource.schema_url(),
        }
    }
}

impl<'a> ScopeJson<'a> {
    fn of(scope: &ScopeRef<'a>) -> Self {
        Self {
            name: scope.name(),
            version: scope.version(),
            attributes: attributes(scope.attributes()),
            dropped_attributes_count: scope.dropped_attributes_count(),
            schema_url: scope.schema_url(),
        }
    }
}
