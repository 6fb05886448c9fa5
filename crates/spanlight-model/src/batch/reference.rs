//! One span of a batch at a time, with what belongs to it: for code that renders spans.

use arrow_array::Array;

use super::columns::{
    EventColumns, LinkColumns, ResourceColumns, ScopeColumns, SpanColumns, bytes,
};
use crate::attributes::Value;
use crate::id::{SpanId, TraceId};
use crate::kind::{SpanKind, StatusCode};

/// One span of a batch. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SpanRef<'a> {
    columns: SpanColumns<'a>,
    row: usize,
}

impl<'a> SpanRef<'a> {
    pub(super) fn new(columns: SpanColumns<'a>, row: usize) -> Self {
        Self { columns, row }
    }

    /// The trace id.
    #[must_use]
    pub fn trace_id(&self) -> TraceId {
        self.columns.trace_id(self.row)
    }

    /// The span id.
    #[must_use]
    pub fn span_id(&self) -> SpanId {
        self.columns.span_id(self.row)
    }

    /// The parent's id, where there is one.
    #[must_use]
    pub fn parent_span_id(&self) -> Option<SpanId> {
        self.columns.parent_span_id(self.row)
    }

    /// W3C `tracestate`, empty where there is none.
    #[must_use]
    pub fn trace_state(&self) -> &'a str {
        self.columns.trace_states.value(self.row)
    }

    /// OTLP's flags.
    #[must_use]
    pub fn flags(&self) -> u32 {
        self.columns.flags.value(self.row)
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.columns.name(self.row)
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> SpanKind {
        SpanKind::from_number(i64::from(self.columns.kinds.value(self.row)))
    }

    /// The start, in unix nanoseconds, as sent.
    #[must_use]
    pub fn start_time_unix_nano(&self) -> i64 {
        self.columns.start_times.value(self.row)
    }

    /// The end, in unix nanoseconds, as sent; may be before the start.
    #[must_use]
    pub fn end_time_unix_nano(&self) -> i64 {
        self.columns.end_times.value(self.row)
    }

    /// Nanoseconds from start to end, zero where the end is before the start.
    #[must_use]
    pub fn duration_nano(&self) -> i64 {
        self.end_time_unix_nano()
            .saturating_sub(self.start_time_unix_nano())
            .max(0)
    }

    /// The status code.
    #[must_use]
    pub fn status_code(&self) -> StatusCode {
        StatusCode::from_number(i64::from(self.columns.status_codes.value(self.row)))
    }

    /// The status message, empty where there is none.
    #[must_use]
    pub fn status_message(&self) -> &'a str {
        self.columns.status_messages.value(self.row)
    }

    /// How many attributes were dropped before they reached us.
    #[must_use]
    pub fn dropped_attributes_count(&self) -> u32 {
        self.columns.dropped_attributes_counts.value(self.row)
    }

    /// How many events were dropped before they reached us.
    #[must_use]
    pub fn dropped_events_count(&self) -> u32 {
        self.columns.dropped_events_counts.value(self.row)
    }

    /// How many links were dropped before they reached us.
    #[must_use]
    pub fn dropped_links_count(&self) -> u32 {
        self.columns.dropped_links_counts.value(self.row)
    }

    /// The span's own attributes, in the order sent.
    pub fn attributes(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> + use<'a> {
        self.columns.attributes.iter(self.row)
    }

    /// One of the span's own attributes.
    #[must_use]
    pub fn attribute(&self, key: &str) -> Option<Value<'a>> {
        self.columns.attributes.get(self.row, key)
    }

    /// The events, in the order sent.
    pub fn events(&self) -> impl Iterator<Item = EventRef<'a>> + use<'a> {
        let columns = self.columns.events.clone();
        columns.range(self.row).map(move |row| EventRef {
            columns: columns.clone(),
            row,
        })
    }

    /// The links, in the order sent.
    pub fn links(&self) -> impl Iterator<Item = LinkRef<'a>> + use<'a> {
        let columns = self.columns.links.clone();
        columns.range(self.row).map(move |row| LinkRef {
            columns: columns.clone(),
            row,
        })
    }

    /// The resource.
    #[must_use]
    pub fn resource(&self) -> ResourceRef<'a> {
        ResourceRef {
            columns: self.columns.resource_values.clone(),
            row: self.columns.resources.value(self.row) as usize,
        }
    }

    /// The instrumentation scope.
    #[must_use]
    pub fn scope(&self) -> ScopeRef<'a> {
        ScopeRef {
            columns: self.columns.scope_values.clone(),
            row: self.columns.scopes.value(self.row) as usize,
        }
    }

    /// When Spanlight received the span, by its own clock, in unix nanoseconds.
    #[must_use]
    pub fn received_at_unix_nano(&self) -> i64 {
        self.columns.received_at.value(self.row)
    }
}

/// One event of a span.
#[derive(Debug, Clone)]
pub struct EventRef<'a> {
    columns: EventColumns<'a>,
    row: usize,
}

impl<'a> EventRef<'a> {
    /// The time, in unix nanoseconds, as sent.
    #[must_use]
    pub fn time_unix_nano(&self) -> i64 {
        self.columns.times.value(self.row)
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.columns
            .name_values
            .value(self.columns.names.value(self.row) as usize)
    }

    /// The attributes, in the order sent.
    pub fn attributes(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> + use<'a> {
        self.columns.attributes.iter(self.row)
    }

    /// How many attributes were dropped before they reached us.
    #[must_use]
    pub fn dropped_attributes_count(&self) -> u32 {
        self.columns.dropped_attributes_counts.value(self.row)
    }
}

/// One link of a span.
#[derive(Debug, Clone)]
pub struct LinkRef<'a> {
    columns: LinkColumns<'a>,
    row: usize,
}

impl<'a> LinkRef<'a> {
    /// The linked span's trace id.
    #[must_use]
    pub fn trace_id(&self) -> TraceId {
        TraceId(bytes(self.columns.trace_ids.value(self.row)))
    }

    /// The linked span's id.
    #[must_use]
    pub fn span_id(&self) -> SpanId {
        SpanId(bytes(self.columns.span_ids.value(self.row)))
    }

    /// W3C `tracestate`, empty where there is none.
    #[must_use]
    pub fn trace_state(&self) -> &'a str {
        self.columns.trace_states.value(self.row)
    }

    /// The attributes, in the order sent.
    pub fn attributes(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> + use<'a> {
        self.columns.attributes.iter(self.row)
    }

    /// How many attributes were dropped before they reached us.
    #[must_use]
    pub fn dropped_attributes_count(&self) -> u32 {
        self.columns.dropped_attributes_counts.value(self.row)
    }

    /// OTLP's flags.
    #[must_use]
    pub fn flags(&self) -> u32 {
        self.columns.flags.value(self.row)
    }
}

/// The resource of a span.
#[derive(Debug, Clone)]
pub struct ResourceRef<'a> {
    columns: ResourceColumns<'a>,
    row: usize,
}

impl<'a> ResourceRef<'a> {
    /// `service.name`, where it is a string.
    #[must_use]
    pub fn service_name(&self) -> Option<&'a str> {
        let names = self.columns.service_names;
        names.is_valid(self.row).then(|| names.value(self.row))
    }

    /// The attributes, in the order sent.
    pub fn attributes(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> + use<'a> {
        self.columns.attributes.iter(self.row)
    }

    /// One attribute.
    #[must_use]
    pub fn attribute(&self, key: &str) -> Option<Value<'a>> {
        self.columns.attributes.get(self.row, key)
    }

    /// How many attributes were dropped before they reached us.
    #[must_use]
    pub fn dropped_attributes_count(&self) -> u32 {
        self.columns.dropped_attributes_counts.value(self.row)
    }

    /// The schema that the attributes follow, empty where it was not said.
    #[must_use]
    pub fn schema_url(&self) -> &'a str {
        self.columns.schema_urls.value(self.row)
    }

    /// Position among the batch's resources: spans with equal positions share a resource.
    #[must_use]
    pub fn position(&self) -> usize {
        self.row
    }
}

/// The instrumentation scope of a span.
#[derive(Debug, Clone)]
pub struct ScopeRef<'a> {
    columns: ScopeColumns<'a>,
    row: usize,
}

impl<'a> ScopeRef<'a> {
    /// The name.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.columns.names.value(self.row)
    }

    /// The version.
    #[must_use]
    pub fn version(&self) -> &'a str {
        self.columns.versions.value(self.row)
    }

    /// The attributes, in the order sent.
    pub fn attributes(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> + use<'a> {
        self.columns.attributes.iter(self.row)
    }

    /// How many attributes were dropped before they reached us.
    #[must_use]
    pub fn dropped_attributes_count(&self) -> u32 {
        self.columns.dropped_attributes_counts.value(self.row)
    }

    /// The schema that the scope's spans follow, empty where it was not said.
    #[must_use]
    pub fn schema_url(&self) -> &'a str {
        self.columns.schema_urls.value(self.row)
    }

    /// Position among the batch's scopes: spans with equal positions share a scope.
    #[must_use]
    pub fn position(&self) -> usize {
        self.row
    }
}
