//! The Arrow schema of a [`SpanBatch`](crate::SpanBatch): names, types and positions of its columns.
//!
//! `SCHEMA.md` explains each choice. A change here is a change of the log's format: raise [`VERSION`].

use std::sync::{Arc, LazyLock};

use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef};

/// Raised whenever a column is added, removed or changes its meaning; the log stores it.
pub const VERSION: u16 = 1;

/// Positions of the columns, in schema order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
#[expect(missing_docs, reason = "each is the column of its name in SCHEMA.md")]
pub enum Column {
    TraceId,
    SpanId,
    ParentSpanId,
    TraceState,
    Flags,
    Name,
    Kind,
    StartTimeUnixNano,
    EndTimeUnixNano,
    StatusCode,
    StatusMessage,
    DroppedAttributesCount,
    DroppedEventsCount,
    DroppedLinksCount,
    Attributes,
    Events,
    Links,
    Resource,
    Scope,
    ReceivedAtUnixNano,
}

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("trace_id", DataType::FixedSizeBinary(16), false),
        Field::new("span_id", DataType::FixedSizeBinary(8), false),
        Field::new("parent_span_id", DataType::FixedSizeBinary(8), true),
        Field::new("trace_state", DataType::Utf8, false),
        Field::new("flags", DataType::UInt32, false),
        Field::new("name", dictionary(DataType::Utf8), false),
        Field::new("kind", DataType::Int8, false),
        Field::new("start_time_unix_nano", DataType::Int64, false),
        Field::new("end_time_unix_nano", DataType::Int64, false),
        Field::new("status_code", DataType::Int8, false),
        Field::new("status_message", DataType::Utf8, false),
        Field::new("dropped_attributes_count", DataType::UInt32, false),
        Field::new("dropped_events_count", DataType::UInt32, false),
        Field::new("dropped_links_count", DataType::UInt32, false),
        Field::new("attributes", attributes(), false),
        Field::new("events", list(DataType::Struct(event_fields())), false),
        Field::new("links", list(DataType::Struct(link_fields())), false),
        Field::new(
            "resource",
            dictionary(DataType::Struct(resource_fields())),
            false,
        ),
        Field::new("scope", dictionary(DataType::Struct(scope_fields())), false),
        Field::new("received_at_unix_nano", DataType::Int64, false),
    ]))
});

/// The schema of every span batch.
#[must_use]
pub fn schema() -> SchemaRef {
    Arc::clone(&SCHEMA)
}

/// Fields of one attribute: its key, the number of its type ([`crate::AttributeType`]), and the two lanes that
/// hold a value of any type.
#[must_use]
pub fn attribute_fields() -> Fields {
    Fields::from(vec![
        Field::new("key", dictionary(DataType::Utf8), false),
        Field::new("type", DataType::Int8, false),
        Field::new("number", DataType::Int64, false),
        Field::new("text", dictionary(DataType::Utf8), false),
    ])
}

/// The type of an attribute list.
#[must_use]
pub fn attributes() -> DataType {
    list(DataType::Struct(attribute_fields()))
}

/// Fields of one event.
#[must_use]
pub fn event_fields() -> Fields {
    Fields::from(vec![
        Field::new("time_unix_nano", DataType::Int64, false),
        Field::new("name", dictionary(DataType::Utf8), false),
        Field::new("attributes", attributes(), false),
        Field::new("dropped_attributes_count", DataType::UInt32, false),
    ])
}

/// Fields of one link.
#[must_use]
pub fn link_fields() -> Fields {
    Fields::from(vec![
        Field::new("trace_id", DataType::FixedSizeBinary(16), false),
        Field::new("span_id", DataType::FixedSizeBinary(8), false),
        Field::new("trace_state", DataType::Utf8, false),
        Field::new("attributes", attributes(), false),
        Field::new("dropped_attributes_count", DataType::UInt32, false),
        Field::new("flags", DataType::UInt32, false),
    ])
}

/// Fields of one resource.
#[must_use]
pub fn resource_fields() -> Fields {
    Fields::from(vec![
        // Repeated from the attributes: every search, row and colour asks for it.
        Field::new("service_name", DataType::Utf8, true),
        Field::new("attributes", attributes(), false),
        Field::new("dropped_attributes_count", DataType::UInt32, false),
        Field::new("schema_url", DataType::Utf8, false),
    ])
}

/// Fields of one instrumentation scope.
#[must_use]
pub fn scope_fields() -> Fields {
    Fields::from(vec![
        Field::new("name", DataType::Utf8, false),
        Field::new("version", DataType::Utf8, false),
        Field::new("attributes", attributes(), false),
        Field::new("dropped_attributes_count", DataType::UInt32, false),
        Field::new("schema_url", DataType::Utf8, false),
    ])
}

fn dictionary(values: DataType) -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(values))
}

fn list(item: DataType) -> DataType {
    DataType::List(list_item(item))
}

/// The field of a list's elements, the same for every list of the schema.
pub(crate) fn list_item(item: DataType) -> Arc<Field> {
    Arc::new(Field::new("item", item, false))
}
