//! Spans as the protobuf of `TracesData`.

use spanlight_model::{
    AnyValue, EventRef, LinkRef, ResourceRef, ScopeRef, SpanBatch, SpanRef, Value,
};

use super::group::{ResourceGroup, ScopeGroup, group};
use crate::protobuf::Writer;

/// Writes the fields of `TracesData`.
pub(crate) fn write_traces(traces: &mut Writer, batch: &SpanBatch) {
    for group in group(batch) {
        traces.message(1, |writer| write_resource_spans(writer, batch, &group));
    }
}

fn write_resource_spans(writer: &mut Writer, batch: &SpanBatch, group: &ResourceGroup) {
    let resource = batch.span(group.first_row()).resource();
    writer.message(1, |writer| write_resource(writer, &resource));
    for group in &group.scopes {
        writer.message(2, |writer| write_scope_spans(writer, batch, group));
    }
    writer.text(3, resource.schema_url());
}

fn write_scope_spans(writer: &mut Writer, batch: &SpanBatch, group: &ScopeGroup) {
    let columns = batch.columns();
    let scope = columns.span(group.first_row()).scope();
    writer.message(1, |writer| write_scope(writer, &scope));
    for &row in &group.rows {
        writer.message(2, |writer| write_span(writer, &columns.span(row)));
    }
    writer.text(3, scope.schema_url());
}

/// All that tells one resource from another.
pub(super) fn resource_bytes(resource: &ResourceRef<'_>) -> Vec<u8> {
    let mut writer = Writer::default();
    write_resource(&mut writer, resource);
    writer.text(3, resource.schema_url());
    writer.finish()
}

/// All that tells one scope from another.
pub(super) fn scope_bytes(scope: &ScopeRef<'_>) -> Vec<u8> {
    let mut writer = Writer::default();
    write_scope(&mut writer, scope);
    writer.text(5, scope.schema_url());
    writer.finish()
}

fn write_resource(writer: &mut Writer, resource: &ResourceRef<'_>) {
    write_attributes(writer, 1, resource.attributes());
    writer.varint(2, u64::from(resource.dropped_attributes_count()));
}

fn write_scope(writer: &mut Writer, scope: &ScopeRef<'_>) {
    writer.text(1, scope.name());
    writer.text(2, scope.version());
    write_attributes(writer, 3, scope.attributes());
    writer.varint(4, u64::from(scope.dropped_attributes_count()));
}

fn write_span(writer: &mut Writer, span: &SpanRef<'_>) {
    writer.bytes(1, &span.trace_id().0);
    writer.bytes(2, &span.span_id().0);
    writer.text(3, span.trace_state());
    if let Some(parent) = span.parent_span_id() {
        writer.bytes(4, &parent.0);
    }
    writer.text(5, span.name());
    writer.varint(6, span.kind() as u64);
    writer.fixed64(7, span.start_time_unix_nano() as u64);
    writer.fixed64(8, span.end_time_unix_nano() as u64);
    write_attributes(writer, 9, span.attributes());
    writer.varint(10, u64::from(span.dropped_attributes_count()));
    for event in span.events() {
        writer.message(11, |writer| write_event(writer, &event));
    }
    writer.varint(12, u64::from(span.dropped_events_count()));
    for link in span.links() {
        writer.message(13, |writer| write_link(writer, &link));
    }
    writer.varint(14, u64::from(span.dropped_links_count()));
    writer.message(15, |status| {
        status.text(2, span.status_message());
        status.varint(3, span.status_code() as u64);
    });
    writer.fixed32(16, span.flags());
}

fn write_event(writer: &mut Writer, event: &EventRef<'_>) {
    writer.fixed64(1, event.time_unix_nano() as u64);
    writer.text(2, event.name());
    write_attributes(writer, 3, event.attributes());
    writer.varint(4, u64::from(event.dropped_attributes_count()));
}

fn write_link(writer: &mut Writer, link: &LinkRef<'_>) {
    if !link.trace_id().is_zero() {
        writer.bytes(1, &link.trace_id().0);
    }
    if !link.span_id().is_zero() {
        writer.bytes(2, &link.span_id().0);
    }
    writer.text(3, link.trace_state());
    write_attributes(writer, 4, link.attributes());
    writer.varint(5, u64::from(link.dropped_attributes_count()));
    writer.fixed32(6, link.flags());
}

fn write_attributes<'a>(
    writer: &mut Writer,
    field: u32,
    attributes: impl Iterator<Item = (&'a str, Value<'a>)>,
) {
    for (key, value) in attributes {
        writer.message(field, |writer| {
            writer.text(1, key);
            writer.message(2, |writer| write_value(writer, value));
        });
    }
}

fn write_value(writer: &mut Writer, value: Value<'_>) {
    match value {
        Value::String(text) => writer.bytes_always(1, text.as_bytes()),
        Value::Bytes(text) | Value::Array(text) | Value::KeyValueList(text) => {
            match value.to_any() {
                Ok(value) => write_any(writer, &value),
                // Damaged; better shown as it is than not at all.
                Err(_) => writer.bytes_always(1, text.as_bytes()),
            }
        }
        _ => write_any(writer, &value.to_any().unwrap_or_default()),
    }
}

/// The fields of an `AnyValue`. As deep as the text form could be read, which is bounded.
pub(crate) fn write_any(writer: &mut Writer, value: &AnyValue) {
    match value {
        AnyValue::Empty => {}
        AnyValue::String(text) => writer.bytes_always(1, text.as_bytes()),
        AnyValue::Bool(truth) => writer.varint_always(2, u64::from(*truth)),
        AnyValue::Int(number) => writer.varint_always(3, *number as u64),
        AnyValue::Double(number) => writer.fixed64_always(4, number.to_bits()),
        AnyValue::Array(values) => writer.message(5, |writer| {
            for value in values {
                writer.message(1, |writer| write_any(writer, value));
            }
        }),
        AnyValue::KeyValueList(entries) => writer.message(6, |writer| {
            for (key, value) in entries {
                writer.message(1, |writer| {
                    writer.text(1, key);
                    writer.message(2, |writer| write_any(writer, value));
                });
            }
        }),
        AnyValue::Bytes(bytes) => writer.bytes_always(7, bytes),
    }
}
