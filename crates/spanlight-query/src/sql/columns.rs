//! The columns of the views that have a row a span, an event or a link: their names and types, what of the store each
//! needs, and making them.

use std::sync::Arc;

use arrow_array::builder::{BooleanBuilder, Float64Builder, Int64Builder, StringBuilder};
use arrow_array::{
    Array as _, ArrayRef, FixedSizeBinaryArray, Int64Array, StringArray, TimestampNanosecondArray,
};
use arrow_schema::{DataType, Field, TimeUnit};
use spanlight_model::{Attributes, SpanColumns, SpanKind, StatusCode};
use spanlight_store::{AttributeKeys, ScanColumns};

use super::types::Types;
use super::values::{Cell, cell, json_of};
use crate::attributes::AttributeScope;

/// The zone of all times.
pub(super) const UTC: &str = "UTC";

/// A column.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ViewColumn {
    pub(super) name: String,
    pub(super) what: What,
}

/// What a column has.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum What {
    TraceId,
    SpanId,
    ParentSpanId,
    Name,
    Kind,
    Service,
    StartTime,
    EndTime,
    Duration,
    Status,
    StatusMessage,
    TraceState,
    ScopeName,
    ScopeVersion,
    EventCount,
    LinkCount,
    ReceivedAt,
    /// All of a scope, as JSON.
    All(AttributeScope),
    /// One, as one of these types; or as whatever it is where it has several.
    Attribute {
        scope: AttributeScope,
        key: String,
        types: Types,
    },
    EventTime,
    EventName,
    LinkedTraceId,
    LinkedSpanId,
    LinkedTraceState,
}

/// Rows of a batch: spans, and of each its event or its link where the view is of those.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows<'r> {
    pub(super) spans: &'r [u32],
    pub(super) items: &'r [u32],
}

impl ViewColumn {
    pub(super) fn new(name: &str, what: What) -> Self {
        Self {
            name: name.to_owned(),
            what,
        }
    }

    pub(super) fn field(&self) -> Field {
        Field::new(&self.name, self.what.data_type(), self.what.is_nullable())
    }
}

/// Times as SQL has them.
pub(super) fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Nanosecond, Some(UTC.into()))
}

impl What {
    fn data_type(&self) -> DataType {
        match self {
            Self::StartTime | Self::EndTime | Self::ReceivedAt | Self::EventTime => time_type(),
            Self::Duration | Self::EventCount | Self::LinkCount => DataType::Int64,
            Self::Attribute { types, .. } => types.data_type(),
            _ => DataType::Utf8,
        }
    }

    fn is_nullable(&self) -> bool {
        matches!(
            self,
            Self::ParentSpanId
                | Self::Service
                | Self::StatusMessage
                | Self::TraceState
                | Self::LinkedTraceState
                | Self::ScopeName
                | Self::ScopeVersion
                | Self::Attribute { .. }
        )
    }

    /// What of the store it is made of.
    pub(super) fn needs(&self) -> ScanColumns {
        let mut needs = ScanColumns::NONE;
        match self {
            Self::TraceId => needs.trace_id = true,
            Self::SpanId => needs.span_id = true,
            Self::ParentSpanId => needs.parent_span_id = true,
            Self::Name => needs.name = true,
            Self::Kind => needs.kind = true,
            Self::Service => needs.service_name = true,
            Self::StartTime | Self::EndTime => needs.times = true,
            Self::Duration => needs.durations = true,
            Self::Status => needs.status = true,
            Self::StatusMessage => needs.status_message = true,
            Self::TraceState => needs.trace_state = true,
            Self::ScopeName | Self::ScopeVersion => needs.scope = true,
            Self::ReceivedAt => needs.received_at = true,
            Self::All(scope) => needs_of(*scope, AttributeKeys::All, &mut needs),
            Self::Attribute { scope, key, .. } => {
                needs_of(*scope, AttributeKeys::of([key.as_str()]), &mut needs);
            }
            Self::EventCount | Self::EventTime | Self::EventName => needs.events = true,
            Self::LinkCount | Self::LinkedTraceId | Self::LinkedSpanId | Self::LinkedTraceState => {
                needs.links = true
            }
        }
        needs
    }

    /// The values of these rows.
    pub(super) fn of(&self, columns: &SpanColumns<'_>, rows: Rows<'_>) -> ArrayRef {
        let spans = || rows.spans.iter().map(|&row| row as usize);
        let items = || rows.items.iter().map(|&item| item as usize);
        let time = |times: Vec<i64>| -> ArrayRef {
            Arc::new(TimestampNanosecondArray::from(times).with_timezone(UTC))
        };
        match self {
            Self::TraceId => hex(columns.trace_ids, spans()),
            Self::SpanId => hex(columns.span_ids, spans()),
            Self::ParentSpanId => hex(columns.parent_span_ids, spans()),
            Self::Name => texts(spans().map(|row| Some(columns.name(row)))),
            Self::Kind => texts(spans().map(|row| {
                let number = i64::from(columns.kinds.value(row));
                Some(SpanKind::from_number(number).as_str())
            })),
            Self::Service => texts(spans().map(|row| columns.service_name(row))),
            Self::StartTime => time(spans().map(|row| columns.start_times.value(row)).collect()),
            Self::EndTime => time(spans().map(|row| columns.end_times.value(row)).collect()),
            Self::Duration => numbers(spans().map(|row| duration(columns, row))),
            Self::Status => texts(spans().map(|row| {
                let number = i64::from(columns.status_codes.value(row));
                Some(StatusCode::from_number(number).as_str())
            })),
            Self::StatusMessage => some_texts(columns.status_messages, spans()),
            Self::TraceState => some_texts(columns.trace_states, spans()),
            Self::ScopeName | Self::ScopeVersion => {
                let scopes = &columns.scope_values;
                let of = match self {
                    Self::ScopeName => scopes.names,
                    _ => scopes.versions,
                };
                some_texts(of, spans().map(|row| columns.scopes.value(row) as usize))
            }
            Self::EventCount => numbers(spans().map(|row| columns.events.range(row).len() as i64)),
            Self::LinkCount => numbers(spans().map(|row| columns.links.range(row).len() as i64)),
            Self::ReceivedAt => time(spans().map(|row| columns.received_at.value(row)).collect()),
            Self::All(scope) => {
                let (attributes, owners) = owners(*scope, columns, rows);
                texts(
                    owners
                        .into_iter()
                        .map(|owner| Some(json_of(&attributes, owner))),
                )
            }
            Self::Attribute { scope, key, types } => {
                let (attributes, owners) = owners(*scope, columns, rows);
                attribute(&attributes, &owners, key, *types)
            }
            Self::EventTime => time(items().map(|at| columns.events.times.value(at)).collect()),
            Self::EventName => texts(items().map(|at| {
                let name = columns.events.names.value(at) as usize;
                Some(columns.events.name_values.value(name))
            })),
            Self::LinkedTraceId => hex(columns.links.trace_ids, items()),
            Self::LinkedSpanId => hex(columns.links.span_ids, items()),
            Self::LinkedTraceState => some_texts(columns.links.trace_states, items()),
        }
    }
}

fn needs_of(scope: AttributeScope, keys: AttributeKeys, needs: &mut ScanColumns) {
    match scope {
        AttributeScope::Span => needs.attributes = keys,
        AttributeScope::Resource => needs.resource = keys,
        AttributeScope::Event => needs.events = true,
        AttributeScope::Link => needs.links = true,
        AttributeScope::Instrumentation => needs.scope = true,
    }
}

/// Zero where the end is before the start.
pub(super) fn duration(columns: &SpanColumns<'_>, row: usize) -> i64 {
    let (start, end) = (columns.start_times.value(row), columns.end_times.value(row));
    end.saturating_sub(start).max(0)
}

/// The attributes of a scope, and which of them belong to each row.
fn owners<'a>(
    scope: AttributeScope,
    columns: &SpanColumns<'a>,
    rows: Rows<'_>,
) -> (Attributes<'a>, Vec<usize>) {
    let spans = rows.spans.iter().map(|&row| row as usize);
    let items = || rows.items.iter().map(|&item| item as usize).collect();
    match scope {
        AttributeScope::Span => (columns.attributes.clone(), spans.collect()),
        AttributeScope::Resource => (
            columns.resource_values.attributes.clone(),
            spans
                .map(|row| columns.resources.value(row) as usize)
                .collect(),
        ),
        AttributeScope::Instrumentation => (
            columns.scope_values.attributes.clone(),
            spans
                .map(|row| columns.scopes.value(row) as usize)
                .collect(),
        ),
        AttributeScope::Event => (columns.events.attributes.clone(), items()),
        AttributeScope::Link => (columns.links.attributes.clone(), items()),
    }
}

fn attribute(attributes: &Attributes<'_>, owners: &[usize], key: &str, types: Types) -> ArrayRef {
    let known = attributes.find_key(key);
    let keys = attributes.key_indices();
    let entries = owners.iter().map(|&owner| {
        let mut entries = attributes.range(owner);
        let entry = match known.as_slice() {
            [] => None,
            [one] => entries.find(|&entry| keys[entry] == *one),
            several => entries.find(|&entry| several.contains(&keys[entry])),
        };
        entry.map_or(Cell::Null, |entry| cell(attributes.value(entry), types))
    });
    match types.data_type() {
        DataType::Int64 => {
            let mut column = Int64Builder::with_capacity(owners.len());
            entries.for_each(|cell| column.append_option(cell.int()));
            Arc::new(column.finish())
        }
        DataType::Float64 => {
            let mut column = Float64Builder::with_capacity(owners.len());
            entries.for_each(|cell| column.append_option(cell.double()));
            Arc::new(column.finish())
        }
        DataType::Boolean => {
            let mut column = BooleanBuilder::with_capacity(owners.len());
            entries.for_each(|cell| column.append_option(cell.bool()));
            Arc::new(column.finish())
        }
        _ => texts(entries.map(Cell::into_text)),
    }
}

fn numbers(values: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

/// Texts; they are copied, so that what is held of them is what it takes.
pub(super) fn texts<T: AsRef<str>>(values: impl Iterator<Item = Option<T>>) -> ArrayRef {
    let mut column = StringBuilder::new();
    values.for_each(|value| column.append_option(value));
    Arc::new(column.finish())
}

/// Texts of which the empty ones say that there is none.
fn some_texts(values: &StringArray, rows: impl Iterator<Item = usize>) -> ArrayRef {
    texts(rows.map(|row| Some(values.value(row)).filter(|text| !text.is_empty())))
}

/// Ids as lower-case hexadecimal text.
fn hex(ids: &FixedSizeBinaryArray, rows: impl Iterator<Item = usize>) -> ArrayRef {
    let mut column = StringBuilder::new();
    let mut text = String::with_capacity(32);
    for row in rows {
        if ids.is_null(row) {
            column.append_null();
            continue;
        }
        text.clear();
        hex_of(ids.value(row), &mut text);
        column.append_value(&text);
    }
    Arc::new(column.finish())
}

/// Appends bytes as hexadecimal text.
pub(super) fn hex_of(bytes: &[u8], text: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}
