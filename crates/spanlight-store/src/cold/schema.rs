//! The columns of the table. `cold/TABLE.md` explains them; a change here is a change there.

use std::sync::{Arc, LazyLock};

use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

use super::catalogue::Catalogue;

/// The version of the table's columns, which every file states under [`META_FORMAT`].
pub(crate) const FORMAT: u32 = 2;
/// Names of what a file says about itself, in its footer's key-value metadata.
pub(crate) const META_FORMAT: &str = "spanlight.format";
pub(crate) const META_CATALOGUE: &str = "spanlight.catalogue";
pub(crate) const META_TIMES: &str = "spanlight.times";
pub(crate) const META_RUNS: &str = "spanlight.runs";

pub(crate) const TRACE_ID: &str = "trace_id";
pub(crate) const SPAN_ID: &str = "span_id";
pub(crate) const PARENT_SPAN_ID: &str = "parent_span_id";
pub(crate) const NAME: &str = "name";
pub(crate) const KIND: &str = "kind";
pub(crate) const SERVICE_NAME: &str = "service_name";
pub(crate) const START_TIME: &str = "start_time";
pub(crate) const START_TIME_NANOS: &str = "start_time_nanos";
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

/// Columns of the first version of the table only: the times as they were sent. Its `attributes` had every attribute,
/// and its `duration_nano` was never negative.
pub(crate) const START_TIME_UNIX_NANO: &str = "start_time_unix_nano";
pub(crate) const END_TIME_UNIX_NANO: &str = "end_time_unix_nano";

static FIXED: LazyLock<Fields> = LazyLock::new(|| {
    let text = |name: &str| Field::new(name, DataType::Utf8, false);
    let optional_text = |name: &str| Field::new(name, DataType::Utf8, true);
    let optional_count = |name: &str| Field::new(name, DataType::Int64, true);
    let microseconds = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Fields::from(vec![
        Field::new(TRACE_ID, DataType::Binary, false),
        Field::new(SPAN_ID, DataType::Binary, false),
        Field::new(PARENT_SPAN_ID, DataType::Binary, true),
        text(NAME),
        text(KIND),
        optional_text(SERVICE_NAME),
        text(STATUS_CODE),
        Field::new(START_TIME, microseconds, false),
        Field::new(START_TIME_NANOS, DataType::Int32, true),
        Field::new(DURATION_NANO, DataType::Int64, false),
        Field::new(RECEIVED_AT_UNIX_NANO, DataType::Int64, false),
        optional_text(STATUS_MESSAGE),
        optional_text(TRACE_STATE),
        optional_count(FLAGS),
        optional_count(DROPPED_ATTRIBUTES_COUNT),
        optional_count(DROPPED_EVENTS_COUNT),
        optional_count(DROPPED_LINKS_COUNT),
        text(RESOURCE),
        text(SCOPE),
        Field::new(ATTRIBUTES, list(attribute_fields()), false),
        Field::new(EVENTS, list(event_fields()), false),
        Field::new(LINKS, list(link_fields()), false),
    ])
});

/// The columns of the table or of a file with these attribute columns, in plain types that every engine reads.
pub(crate) fn table_schema(catalogue: &Catalogue) -> SchemaRef {
    let attributes = catalogue.columns().iter();
    let attributes = attributes.map(|column| Arc::new(column.field()));
    let fields: Vec<_> = FIXED.iter().map(Arc::clone).chain(attributes).collect();
    Arc::new(Schema::new(fields))
}

/// The schema of a table that has these columns and shall have those of this version and of this catalogue, and the
/// names of the columns that are new to it. `None` when it has them all.
pub(crate) fn evolved(present: &Schema, catalogue: &Catalogue) -> Option<(Schema, Vec<String>)> {
    let wanted = table_schema(catalogue);
    let mut fields: Vec<Field> = Vec::new();
    for field in present.fields() {
        let field = field.as_ref().clone();
        // Columns of the first version are empty in files of this one.
        let is_optional = match FIXED.iter().find(|own| own.name() == field.name()) {
            Some(own) => own.is_nullable(),
            None => true,
        };
        let is_nullable = field.is_nullable() || is_optional;
        fields.push(field.with_nullable(is_nullable));
    }
    let mut new = Vec::new();
    for field in wanted.fields() {
        if present.field_with_name(field.name()).is_err() {
            // Files that are there have none of it.
            fields.push(field.as_ref().clone().with_nullable(true));
            new.push(field.name().clone());
        }
    }
    let relaxed = fields.iter().zip(present.fields());
    let is_changed = relaxed
        .into_iter()
        .any(|(now, before)| now.is_nullable() != before.is_nullable());
    (is_changed || !new.is_empty()).then(|| (Schema::new(fields), new))
}

/// Whether a name is that of a column which every table has, or had.
pub(crate) fn is_fixed(name: &str) -> bool {
    let old = [START_TIME_UNIX_NANO, END_TIME_UNIX_NANO];
    old.contains(&name) || FIXED.iter().any(|field| field.name() == name)
}

/// The same columns with dictionaries for their texts: as rows are written, and as they are read, so that a text is
/// looked at once a batch.
pub(crate) fn with_dictionaries(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| dictionary_field(field));
    let fields: Fields = fields.collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

fn dictionary_field(field: &Field) -> Field {
    let kind = match field.data_type() {
        DataType::Utf8 => dictionary_of_texts(),
        DataType::List(item) => DataType::List(Arc::new(dictionary_field(item))),
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(|field| dictionary_field(field)).collect())
        }
        other => other.clone(),
    };
    field.clone().with_data_type(kind)
}

pub(crate) fn dictionary_of_texts() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// Fields of one attribute: its key, and the one lane that holds its value.
pub(crate) fn attribute_fields() -> Fields {
    Fields::from(vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("string", DataType::Utf8, true),
        Field::new("int", DataType::Int64, true),
        Field::new("double", DataType::Float64, true),
        Field::new("bool", DataType::Boolean, true),
        Field::new("json", DataType::Utf8, true),
    ])
}

/// Fields of one event.
pub(crate) fn event_fields() -> Fields {
    Fields::from(vec![
        Field::new("time_unix_nano", DataType::Int64, false),
        Field::new("name", DataType::Utf8, false),
        Field::new("attributes", list(attribute_fields()), false),
        Field::new("dropped_attributes_count", DataType::Int64, false),
    ])
}

/// Fields of one link.
pub(crate) fn link_fields() -> Fields {
    Fields::from(vec![
        Field::new("trace_id", DataType::Binary, false),
        Field::new("span_id", DataType::Binary, false),
        Field::new("trace_state", DataType::Utf8, false),
        Field::new("attributes", list(attribute_fields()), false),
        Field::new("dropped_attributes_count", DataType::Int64, false),
        Field::new("flags", DataType::Int64, false),
    ])
}

/// The type of a list. The name of its elements is the one that Parquet and Spark use.
pub(crate) fn list(item: Fields) -> DataType {
    DataType::List(Arc::new(Field::new(
        "element",
        DataType::Struct(item),
        false,
    )))
}
