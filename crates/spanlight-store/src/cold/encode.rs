//! Spans to rows of the table. `cold/decode.rs` is the way back.

use std::sync::Arc;

use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, Float64Builder, Int64Builder, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow_array::{Array as _, ArrayRef, ListArray, RecordBatch, StructArray};
use arrow_buffer::{OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, Fields};
use spanlight_model::{
    Attributes, EventColumns, LinkColumns, SpanBatch, SpanColumns, SpanKind, StatusCode, Value,
};

use super::json::{resource_to_json, scope_to_json};
use super::schema::{
    attribute_fields, list_item, table_event_fields, table_link_fields, table_schema,
};

/// A batch whose rows are to be written, with its resources and scopes as the table has them.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    pub(crate) columns: SpanColumns<'a>,
    resources: Vec<String>,
    scopes: Vec<String>,
}

impl<'a> Source<'a> {
    pub(crate) fn of(batch: &'a SpanBatch) -> Self {
        let columns = batch.columns();
        let mut resources = vec![String::new(); columns.resource_values.schema_urls.len()];
        let mut scopes = vec![String::new(); columns.scope_values.schema_urls.len()];
        for row in 0..batch.num_spans() {
            let resource = &mut resources[columns.resources.value(row) as usize];
            if resource.is_empty() {
                *resource = resource_to_json(&columns.span(row).resource());
            }
            let scope = &mut scopes[columns.scopes.value(row) as usize];
            if scope.is_empty() {
                *scope = scope_to_json(&columns.span(row).scope());
            }
        }
        Self {
            columns,
            resources,
            scopes,
        }
    }
}

/// Rows of the table that are being filled.
#[derive(Debug, Default)]
pub(crate) struct TableRows {
    trace_ids: BinaryBuilder,
    span_ids: BinaryBuilder,
    parent_span_ids: BinaryBuilder,
    names: StringBuilder,
    kinds: StringBuilder,
    service_names: StringBuilder,
    start_micros: TimestampMicrosecondBuilder,
    start_times: Int64Builder,
    end_times: Int64Builder,
    durations: Int64Builder,
    status_codes: StringBuilder,
    status_messages: StringBuilder,
    trace_states: StringBuilder,
    flags: Int64Builder,
    dropped_attributes_counts: Int64Builder,
    dropped_events_counts: Int64Builder,
    dropped_links_counts: Int64Builder,
    received_at: Int64Builder,
    resources: StringBuilder,
    scopes: StringBuilder,
    attributes: AttributeRows,
    events: EventRows,
    links: LinkRows,
}

impl TableRows {
    /// Appends the span at this row of a batch.
    pub(crate) fn push(&mut self, source: &Source<'_>, row: usize) {
        let columns = &source.columns;
        self.trace_ids.append_value(columns.trace_ids.value(row));
        self.span_ids.append_value(columns.span_ids.value(row));
        if columns.parent_span_ids.is_valid(row) {
            self.parent_span_ids
                .append_value(columns.parent_span_ids.value(row));
        } else {
            self.parent_span_ids.append_null();
        }
        self.names.append_value(columns.name(row));
        let kind = SpanKind::from_number(i64::from(columns.kinds.value(row)));
        self.kinds.append_value(kind.as_str());
        self.service_names.append_option(columns.service_name(row));
        let start = columns.start_times.value(row);
        let end = columns.end_times.value(row);
        self.start_micros.append_value(start.div_euclid(1_000));
        self.start_times.append_value(start);
        self.end_times.append_value(end);
        self.durations
            .append_value(end.saturating_sub(start).max(0));
        let status = StatusCode::from_number(i64::from(columns.status_codes.value(row)));
        self.status_codes.append_value(status.as_str());
        self.status_messages
            .append_value(columns.status_messages.value(row));
        self.trace_states
            .append_value(columns.trace_states.value(row));
        self.flags.append_value(i64::from(columns.flags.value(row)));
        self.dropped_attributes_counts
            .append_value(i64::from(columns.dropped_attributes_counts.value(row)));
        self.dropped_events_counts
            .append_value(i64::from(columns.dropped_events_counts.value(row)));
        self.dropped_links_counts
            .append_value(i64::from(columns.dropped_links_counts.value(row)));
        self.received_at
            .append_value(columns.received_at.value(row));
        let resource = columns.resources.value(row) as usize;
        self.resources.append_value(&source.resources[resource]);
        let scope = columns.scopes.value(row) as usize;
        self.scopes.append_value(&source.scopes[scope]);
        self.attributes.push(&columns.attributes, row);
        self.events.push(&columns.events, row);
        self.links.push(&columns.links, row);
    }

    /// The rows, as the table has them.
    pub(crate) fn finish(mut self) -> Result<RecordBatch, ArrowError> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.trace_ids.finish()),
            Arc::new(self.span_ids.finish()),
            Arc::new(self.parent_span_ids.finish()),
            Arc::new(self.names.finish()),
            Arc::new(self.kinds.finish()),
            Arc::new(self.service_names.finish()),
            Arc::new(self.start_micros.finish().with_timezone("UTC")),
            Arc::new(self.start_times.finish()),
            Arc::new(self.end_times.finish()),
            Arc::new(self.durations.finish()),
            Arc::new(self.status_codes.finish()),
            Arc::new(self.status_messages.finish()),
            Arc::new(self.trace_states.finish()),
            Arc::new(self.flags.finish()),
            Arc::new(self.dropped_attributes_counts.finish()),
            Arc::new(self.dropped_events_counts.finish()),
            Arc::new(self.dropped_links_counts.finish()),
            Arc::new(self.received_at.finish()),
            Arc::new(self.resources.finish()),
            Arc::new(self.scopes.finish()),
            Arc::new(self.attributes.finish()?),
            Arc::new(self.events.finish()?),
            Arc::new(self.links.finish()?),
        ];
        RecordBatch::try_new(table_schema(), columns)
    }
}

#[derive(Debug)]
struct AttributeRows {
    offsets: Vec<i32>,
    keys: StringBuilder,
    strings: StringBuilder,
    ints: Int64Builder,
    doubles: Float64Builder,
    bools: BooleanBuilder,
    jsons: StringBuilder,
    entries: i32,
}

impl Default for AttributeRows {
    fn default() -> Self {
        Self {
            offsets: vec![0],
            keys: StringBuilder::new(),
            strings: StringBuilder::new(),
            ints: Int64Builder::new(),
            doubles: Float64Builder::new(),
            bools: BooleanBuilder::new(),
            jsons: StringBuilder::new(),
            entries: 0,
        }
    }
}

impl AttributeRows {
    /// Appends the attributes at this row as one list.
    fn push(&mut self, attributes: &Attributes<'_>, row: usize) {
        for entry in attributes.range(row) {
            self.keys.append_value(attributes.key(entry));
            self.value(attributes.value(entry));
            self.entries += 1;
        }
        self.offsets.push(self.entries);
    }

    fn value(&mut self, value: Value<'_>) {
        let (mut string, mut int, mut double, mut bool, mut json) = (None, None, None, None, None);
        let bytes;
        match value {
            Value::Empty => {}
            Value::String(text) => string = Some(text),
            Value::Bool(truth) => bool = Some(truth),
            Value::Int(number) => int = Some(number),
            Value::Double(number) => double = Some(number),
            Value::Bytes(base64) => {
                bytes = format!("{{\"bytesValue\":\"{base64}\"}}");
                json = Some(bytes.as_str());
            }
            Value::Array(text) | Value::KeyValueList(text) => json = Some(text),
        }
        self.strings.append_option(string);
        self.ints.append_option(int);
        self.doubles.append_option(double);
        self.bools.append_option(bool);
        self.jsons.append_option(json);
    }

    fn finish(mut self) -> Result<ListArray, ArrowError> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.keys.finish()),
            Arc::new(self.strings.finish()),
            Arc::new(self.ints.finish()),
            Arc::new(self.doubles.finish()),
            Arc::new(self.bools.finish()),
            Arc::new(self.jsons.finish()),
        ];
        list_of(attribute_fields(), columns, self.offsets)
    }
}

#[derive(Debug)]
struct EventRows {
    offsets: Vec<i32>,
    times: Int64Builder,
    names: StringBuilder,
    attributes: AttributeRows,
    dropped_attributes_counts: Int64Builder,
}

impl Default for EventRows {
    fn default() -> Self {
        Self {
            offsets: vec![0],
            times: Int64Builder::new(),
            names: StringBuilder::new(),
            attributes: AttributeRows::default(),
            dropped_attributes_counts: Int64Builder::new(),
        }
    }
}

impl EventRows {
    fn push(&mut self, events: &EventColumns<'_>, row: usize) {
        let range = events.range(row);
        let end = self.offsets.last().copied().unwrap_or(0) + range.len() as i32;
        for event in range {
            self.times.append_value(events.times.value(event));
            let name = events.names.value(event) as usize;
            self.names.append_value(events.name_values.value(name));
            self.attributes.push(&events.attributes, event);
            self.dropped_attributes_counts
                .append_value(i64::from(events.dropped_attributes_counts.value(event)));
        }
        self.offsets.push(end);
    }

    fn finish(mut self) -> Result<ListArray, ArrowError> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.times.finish()),
            Arc::new(self.names.finish()),
            Arc::new(self.attributes.finish()?),
            Arc::new(self.dropped_attributes_counts.finish()),
        ];
        list_of(table_event_fields(), columns, self.offsets)
    }
}

#[derive(Debug)]
struct LinkRows {
    offsets: Vec<i32>,
    trace_ids: BinaryBuilder,
    span_ids: BinaryBuilder,
    trace_states: StringBuilder,
    attributes: AttributeRows,
    dropped_attributes_counts: Int64Builder,
    flags: Int64Builder,
}

impl Default for LinkRows {
    fn default() -> Self {
        Self {
            offsets: vec![0],
            trace_ids: BinaryBuilder::new(),
            span_ids: BinaryBuilder::new(),
            trace_states: StringBuilder::new(),
            attributes: AttributeRows::default(),
            dropped_attributes_counts: Int64Builder::new(),
            flags: Int64Builder::new(),
        }
    }
}

impl LinkRows {
    fn push(&mut self, links: &LinkColumns<'_>, row: usize) {
        let range = links.range(row);
        let end = self.offsets.last().copied().unwrap_or(0) + range.len() as i32;
        for link in range {
            self.trace_ids.append_value(links.trace_ids.value(link));
            self.span_ids.append_value(links.span_ids.value(link));
            self.trace_states
                .append_value(links.trace_states.value(link));
            self.attributes.push(&links.attributes, link);
            self.dropped_attributes_counts
                .append_value(i64::from(links.dropped_attributes_counts.value(link)));
            self.flags.append_value(i64::from(links.flags.value(link)));
        }
        self.offsets.push(end);
    }

    fn finish(mut self) -> Result<ListArray, ArrowError> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.trace_ids.finish()),
            Arc::new(self.span_ids.finish()),
            Arc::new(self.trace_states.finish()),
            Arc::new(self.attributes.finish()?),
            Arc::new(self.dropped_attributes_counts.finish()),
            Arc::new(self.flags.finish()),
        ];
        list_of(table_link_fields(), columns, self.offsets)
    }
}

fn list_of(
    fields: Fields,
    columns: Vec<ArrayRef>,
    offsets: Vec<i32>,
) -> Result<ListArray, ArrowError> {
    let values = StructArray::try_new(fields.clone(), columns, None)?;
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    ListArray::try_new(list_item(fields), offsets, Arc::new(values), None)
}
