//! The columns of a batch, typed and borrowed: for loops over a column.

use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int8Type, Int32Type, Int64Type, UInt32Type};
use arrow_array::{
    Array, FixedSizeBinaryArray, Int8Array, Int32Array, Int64Array, ListArray, StringArray,
    StructArray, UInt32Array,
};

use super::{SpanBatch, SpanRef};
use crate::attributes::Attributes;
use crate::id::{SpanId, TraceId};
use crate::schema::Column;

/// The columns of a batch, typed, borrowed.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each is the column of its name in SCHEMA.md")]
pub struct SpanColumns<'a> {
    pub trace_ids: &'a FixedSizeBinaryArray,
    pub span_ids: &'a FixedSizeBinaryArray,
    pub parent_span_ids: &'a FixedSizeBinaryArray,
    pub trace_states: &'a StringArray,
    pub flags: &'a UInt32Array,
    /// Dictionary indices into `name_values`.
    pub names: &'a Int32Array,
    pub name_values: &'a StringArray,
    pub kinds: &'a Int8Array,
    pub start_times: &'a Int64Array,
    pub end_times: &'a Int64Array,
    pub status_codes: &'a Int8Array,
    pub status_messages: &'a StringArray,
    pub dropped_attributes_counts: &'a UInt32Array,
    pub dropped_events_counts: &'a UInt32Array,
    pub dropped_links_counts: &'a UInt32Array,
    pub attributes: Attributes<'a>,
    pub events: EventColumns<'a>,
    pub links: LinkColumns<'a>,
    /// Dictionary indices into `resource_values`.
    pub resources: &'a Int32Array,
    pub resource_values: ResourceColumns<'a>,
    /// Dictionary indices into `scope_values`.
    pub scopes: &'a Int32Array,
    pub scope_values: ScopeColumns<'a>,
    pub received_at: &'a Int64Array,
}

/// Events of all spans; `lists` says which belong to which span.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each is the column of its name in SCHEMA.md")]
pub struct EventColumns<'a> {
    lists: &'a ListArray,
    pub times: &'a Int64Array,
    pub names: &'a Int32Array,
    pub name_values: &'a StringArray,
    pub attributes: Attributes<'a>,
    pub dropped_attributes_counts: &'a UInt32Array,
}

/// Links of all spans; `lists` says which belong to which span.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each is the column of its name in SCHEMA.md")]
pub struct LinkColumns<'a> {
    lists: &'a ListArray,
    pub trace_ids: &'a FixedSizeBinaryArray,
    pub span_ids: &'a FixedSizeBinaryArray,
    pub trace_states: &'a StringArray,
    pub attributes: Attributes<'a>,
    pub dropped_attributes_counts: &'a UInt32Array,
    pub flags: &'a UInt32Array,
}

/// The distinct resources.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each is the column of its name in SCHEMA.md")]
pub struct ResourceColumns<'a> {
    pub service_names: &'a StringArray,
    pub attributes: Attributes<'a>,
    pub dropped_attributes_counts: &'a UInt32Array,
    pub schema_urls: &'a StringArray,
}

/// The distinct instrumentation scopes.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each is the column of its name in SCHEMA.md")]
pub struct ScopeColumns<'a> {
    pub names: &'a StringArray,
    pub versions: &'a StringArray,
    pub attributes: Attributes<'a>,
    pub dropped_attributes_counts: &'a UInt32Array,
    pub schema_urls: &'a StringArray,
}

impl EventColumns<'_> {
    /// The events of the span at `row`.
    #[must_use]
    pub fn range(&self, row: usize) -> Range<usize> {
        list_range(self.lists, row)
    }
}

impl LinkColumns<'_> {
    /// The links of the span at `row`.
    #[must_use]
    pub fn range(&self, row: usize) -> Range<usize> {
        list_range(self.lists, row)
    }
}

fn list_range(lists: &ListArray, row: usize) -> Range<usize> {
    let offsets = lists.offsets();
    offsets[row] as usize..offsets[row + 1] as usize
}

// The casts below cannot fail: `SpanBatch::try_new` compared the schema, and no other way leads to a batch.
impl<'a> SpanColumns<'a> {
    pub(super) fn of(batch: &'a SpanBatch) -> Self {
        let column = |column: Column| batch.column(column).as_ref();
        let resources = column(Column::Resource).as_dictionary::<Int32Type>();
        let scopes = column(Column::Scope).as_dictionary::<Int32Type>();
        let names = column(Column::Name).as_dictionary::<Int32Type>();
        Self {
            trace_ids: column(Column::TraceId).as_fixed_size_binary(),
            span_ids: column(Column::SpanId).as_fixed_size_binary(),
            parent_span_ids: column(Column::ParentSpanId).as_fixed_size_binary(),
            trace_states: column(Column::TraceState).as_string(),
            flags: column(Column::Flags).as_primitive::<UInt32Type>(),
            names: names.keys(),
            name_values: names.values().as_string(),
            kinds: column(Column::Kind).as_primitive::<Int8Type>(),
            start_times: column(Column::StartTimeUnixNano).as_primitive::<Int64Type>(),
            end_times: column(Column::EndTimeUnixNano).as_primitive::<Int64Type>(),
            status_codes: column(Column::StatusCode).as_primitive::<Int8Type>(),
            status_messages: column(Column::StatusMessage).as_string(),
            dropped_attributes_counts: column(Column::DroppedAttributesCount).as_primitive(),
            dropped_events_counts: column(Column::DroppedEventsCount).as_primitive(),
            dropped_links_counts: column(Column::DroppedLinksCount).as_primitive(),
            attributes: attributes(column(Column::Attributes)),
            events: events(column(Column::Events)),
            links: links(column(Column::Links)),
            resources: resources.keys(),
            resource_values: resource_values(resources.values().as_struct()),
            scopes: scopes.keys(),
            scope_values: scope_values(scopes.values().as_struct()),
            received_at: column(Column::ReceivedAtUnixNano).as_primitive::<Int64Type>(),
        }
    }

    /// The span at a row.
    #[must_use]
    pub fn span(&self, row: usize) -> SpanRef<'a> {
        SpanRef::new(self.clone(), row)
    }

    /// The trace id at a row.
    #[must_use]
    pub fn trace_id(&self, row: usize) -> TraceId {
        TraceId(bytes(self.trace_ids.value(row)))
    }

    /// The span id at a row.
    #[must_use]
    pub fn span_id(&self, row: usize) -> SpanId {
        SpanId(bytes(self.span_ids.value(row)))
    }

    /// The parent's id at a row.
    #[must_use]
    pub fn parent_span_id(&self, row: usize) -> Option<SpanId> {
        self.parent_span_ids
            .is_valid(row)
            .then(|| SpanId(bytes(self.parent_span_ids.value(row))))
    }

    /// The name at a row.
    #[must_use]
    pub fn name(&self, row: usize) -> &'a str {
        self.name_values.value(self.names.value(row) as usize)
    }

    /// The service name at a row.
    #[must_use]
    pub fn service_name(&self, row: usize) -> Option<&'a str> {
        let names = self.resource_values.service_names;
        let at = self.resources.value(row) as usize;
        names.is_valid(at).then(|| names.value(at))
    }
}

#[expect(
    clippy::expect_used,
    reason = "the schema was compared when the batch was made"
)]
fn attributes(array: &dyn Array) -> Attributes<'_> {
    Attributes::of(array).expect("an attribute list")
}

fn events(array: &dyn Array) -> EventColumns<'_> {
    let lists = array.as_list::<i32>();
    let fields = lists.values().as_struct();
    let names = fields.column(1).as_dictionary::<Int32Type>();
    EventColumns {
        lists,
        times: fields.column(0).as_primitive(),
        names: names.keys(),
        name_values: names.values().as_string(),
        attributes: attributes(fields.column(2)),
        dropped_attributes_counts: fields.column(3).as_primitive(),
    }
}

fn links(array: &dyn Array) -> LinkColumns<'_> {
    let lists = array.as_list::<i32>();
    let fields = lists.values().as_struct();
    LinkColumns {
        lists,
        trace_ids: fields.column(0).as_fixed_size_binary(),
        span_ids: fields.column(1).as_fixed_size_binary(),
        trace_states: fields.column(2).as_string(),
        attributes: attributes(fields.column(3)),
        dropped_attributes_counts: fields.column(4).as_primitive(),
        flags: fields.column(5).as_primitive(),
    }
}

fn resource_values(fields: &StructArray) -> ResourceColumns<'_> {
    ResourceColumns {
        service_names: fields.column(0).as_string(),
        attributes: attributes(fields.column(1)),
        dropped_attributes_counts: fields.column(2).as_primitive(),
        schema_urls: fields.column(3).as_string(),
    }
}

fn scope_values(fields: &StructArray) -> ScopeColumns<'_> {
    ScopeColumns {
        names: fields.column(0).as_string(),
        versions: fields.column(1).as_string(),
        attributes: attributes(fields.column(2)),
        dropped_attributes_counts: fields.column(3).as_primitive(),
        schema_urls: fields.column(4).as_string(),
    }
}

/// Bytes of a fixed-size column; its width is the schema's, so the copy always fits.
pub(super) fn bytes<const N: usize>(value: &[u8]) -> [u8; N] {
    value.try_into().unwrap_or([0; N])
}
