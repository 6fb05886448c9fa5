//! The columns of the table. `cold/TABLE.md` explains them; a change here is a change there.

use std::sync::{Arc, LazyLock};

use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

pub(crate) const TRACE_ID: &str = "trace_id";
pub(crate) const SPAN_ID: &str = "span_id";
pub(crate) const PARENT_SPAN_ID: &str = "parent_span_id";
pub(crate) const NAME: &str = "name";
pub(crate) const KIND: &str = "kind";
pub(crate) const SERVICE_NAME: &str = "service_name";
pub(crate) const START_TIME: &str = "start_time";
pub(crate) const START_TIME_UNIX_NANO: &str = "start_time_unix_nano";
pub(crate) const END_TIME_UNIX_NANO: &str = "end_time_unix_nano";
pub(crate) const DURATION_NANO: &str = "duration_nano";
pub(crate) const STATUS_CODE: &str = "status_code";
pub(crate) const STATUS_MESSAGE: &str = "status_message";
pub(crate) const TRACE_STATE: &str = "trace_state";
pub(crate) const FLAGS: &str = "flags";
pub(crate) const DROPPED_ATTRIBUTES_COUNT: &str = "dropped_attributes_count";
pub(crate) const DROPPED_EVENTS_COUNT: &str = "dropped_events_count";
pub(crate) const DROPPED_LINKS_COUNT: &str = "dropped_links_count";
pub(crate) const RECEIVED_AT_UNIX_NANO: &str = "received_at_unix_nano";
pub(crate) const RESOURCE: &str = "resource";
pub(crate) const SCOPE: &str = "scope";
pub(crate) const ATTRIBUTES: &str = "attributes";
pub(crate) const EVENTS: &str = "events";
pub(crate) const LINKS: &str = "links";

/// Whether columns that repeat their texts have dictionaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Texts {
    /// As the table has them, and as they are written.
    Plain,
    /// As they are read, so that a text is looked at once a batch.
    Dictionary,
}

static TABLE: LazyLock<SchemaRef> = LazyLock::new(|| schema(Texts::Plain));
static READER: LazyLock<SchemaRef> = LazyLock::new(|| schema(Texts::Dictionary));

/// The table's schema, with plain types that every engine reads.
pub(crate) fn table_schema() -> SchemaRef {
    Arc::clone(&TABLE)
}

/// The same columns as they are read back.
pub(crate) fn reader_schema() -> SchemaRef {
    Arc::clone(&READER)
}

fn schema(texts: Texts) -> SchemaRef {
    let text = |name: &str| Field::new(name, repeated_text(texts), false);
    let bigint = |name: &str| Field::new(name, DataType::Int64, false);
    let microseconds = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        Field::new(TRACE_ID, DataType::Binary, false),
        Field::new(SPAN_ID, DataType::Binary, false),
        Field::new(PARENT_SPAN_ID, DataType::Binary, true),
        text(NAME),
        text(KIND),
        Field::new(SERVICE_NAME, repeated_text(texts), true),
        Field::new(START_TIME, microseconds, false),
        bigint(START_TIME_UNIX_NANO),
        bigint(END_TIME_UNIX_NANO),
        bigint(DURATION_NANO),
        text(STATUS_CODE),
        Field::new(STATUS_MESSAGE, DataType::Utf8, false),
        Field::new(TRACE_STATE, DataType::Utf8, false),
        bigint(FLAGS),
        bigint(DROPPED_ATTRIBUTES_COUNT),
        bigint(DROPPED_EVENTS_COUNT),
        bigint(DROPPED_LINKS_COUNT),
        bigint(RECEIVED_AT_UNIX_NANO),
        text(RESOURCE),
        text(SCOPE),
        Field::new(ATTRIBUTES, list(attribute_fields_of(texts)), false),
        Field::new(EVENTS, list(event_fields(texts)), false),
        Field::new(LINKS, list(link_fields(texts)), false),
    ]))
}

/// Fields of one attribute as it is written: its key, and the one lane that holds its value.
pub(crate) fn attribute_fields() -> Fields {
    attribute_fields_of(Texts::Plain)
}

/// Fields of one event as it is written.
pub(crate) fn table_event_fields() -> Fields {
    event_fields(Texts::Plain)
}

/// Fields of one link as it is written.
pub(crate) fn table_link_fields() -> Fields {
    link_fields(Texts::Plain)
}

fn attribute_fields_of(texts: Texts) -> Fields {
    Fields::from(vec![
        Field::new("key", repeated_text(texts), false),
        Field::new("string", repeated_text(texts), true),
        Field::new("int", DataType::Int64, true),
        Field::new("double", DataType::Float64, true),
        Field::new("bool", DataType::Boolean, true),
        Field::new("json", repeated_text(texts), true),
    ])
}

fn event_fields(texts: Texts) -> Fields {
    Fields::from(vec![
        Field::new("time_unix_nano", DataType::Int64, false),
        Field::new("name", repeated_text(texts), false),
        Field::new("attributes", list(attribute_fields_of(texts)), false),
        Field::new("dropped_attributes_count", DataType::Int64, false),
    ])
}

fn link_fields(texts: Texts) -> Fields {
    Fields::from(vec![
        Field::new("trace_id", DataType::Binary, false),
        Field::new("span_id", DataType::Binary, false),
        Field::new("trace_state", DataType::Utf8, false),
        Field::new("attributes", list(attribute_fields_of(texts)), false),
        Field::new("dropped_attributes_count", DataType::Int64, false),
        Field::new("flags", DataType::Int64, false),
    ])
}

fn repeated_text(texts: Texts) -> DataType {
    match texts {
        Texts::Plain => DataType::Utf8,
        Texts::Dictionary => {
            DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
        }
    }
}

fn list(item: Fields) -> DataType {
    DataType::List(list_item(item))
}

/// The field of a list's elements. The name is the one that Parquet and Spark use.
pub(crate) fn list_item(item: Fields) -> Arc<Field> {
    Arc::new(Field::new("element", DataType::Struct(item), false))
}
