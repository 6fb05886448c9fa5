//! Rows that are being filled: a span, its events and links.
//!
//! A row holds only its scalars; lists go straight to the columns. Dropped without commit, it takes them back.

use super::{ResourceIndex, ScopeIndex, SpanBatchBuilder};
use crate::attributes::{AttributeLists, Entry, Value};
use crate::convention::{
    ANOMALY, ANOMALY_END_BEFORE_START, ANOMALY_FUTURE, ANOMALY_TIME_CUT, ANOMALY_ZERO_TIME,
};
use crate::id::{SpanId, TraceId};
use crate::kind::{SpanKind, StatusCode};
use crate::value::{AnyValue, encode_bytes};

/// A start this long after the receipt is marked as an anomaly.
const FUTURE_NANOS: i64 = 5 * 60 * 1_000_000_000;

/// Why a row cannot be committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// The trace id was not set, or is zero.
    #[error("the trace id is missing or zero")]
    TraceId,
    /// The span id was not set, or is zero.
    #[error("the span id is missing or zero")]
    SpanId,
}

/// Where attributes of the row that is being filled go.
#[derive(Debug)]
pub struct AttributeSink<'a> {
    pub(super) lists: &'a mut AttributeLists,
}

impl AttributeSink<'_> {
    /// Appends a scalar, or a value whose text form is at hand.
    pub fn push(&mut self, key: &str, value: Value<'_>) -> Entry {
        self.lists.push(key, value)
    }

    /// Appends what was appended before, which costs much less than comparing or hashing its texts again. The entry
    /// must come from a sink of the same kind of row of the same builder.
    pub fn push_again(&mut self, entry: Entry) {
        self.lists.push_again(entry);
    }

    /// Appends bytes.
    pub fn push_bytes(&mut self, key: &str, bytes: &[u8]) {
        self.lists.push(key, Value::Bytes(&encode_bytes(bytes)));
    }

    /// Appends any value; arrays and key-value lists become their text form.
    pub fn push_any(&mut self, key: &str, value: &AnyValue) {
        let json;
        let value = match value {
            AnyValue::Empty => Value::Empty,
            AnyValue::String(text) => Value::String(text),
            AnyValue::Bool(truth) => Value::Bool(*truth),
            AnyValue::Int(number) => Value::Int(*number),
            AnyValue::Double(number) => Value::Double(*number),
            AnyValue::Bytes(bytes) => return self.push_bytes(key, bytes),
            AnyValue::Array(_) => {
                json = value.to_json();
                Value::Array(&json)
            }
            AnyValue::KeyValueList(_) => {
                json = value.to_json();
                Value::KeyValueList(&json)
            }
        };
        self.push(key, value);
    }

    /// How many attributes the row has so far.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lists.open_len()
    }
}

/// A span that is being filled. Setting a field again replaces it, as protobuf says of repeated scalars.
#[derive(Debug)]
pub struct SpanRow<'a> {
    builder: &'a mut SpanBatchBuilder,
    resource: ResourceIndex,
    scope: ScopeIndex,
    trace_id: TraceId,
    span_id: SpanId,
    parent_span_id: SpanId,
    flags: u32,
    name: Option<u32>,
    kind: SpanKind,
    start_time_unix_nano: u64,
    end_time_unix_nano: u64,
    status_code: StatusCode,
    dropped_attributes_count: u32,
    dropped_events_count: u32,
    dropped_links_count: u32,
    committed: bool,
}

impl<'a> SpanRow<'a> {
    pub(super) fn new(
        builder: &'a mut SpanBatchBuilder,
        resource: ResourceIndex,
        scope: ScopeIndex,
    ) -> Self {
        // The open row's texts, so that setting them again can replace them.
        builder.trace_states.push("");
        builder.status_messages.push("");
        Self {
            builder,
            resource,
            scope,
            trace_id: TraceId::ZERO,
            span_id: SpanId::ZERO,
            parent_span_id: SpanId::ZERO,
            flags: 0,
            name: None,
            kind: SpanKind::Unspecified,
            start_time_unix_nano: 0,
            end_time_unix_nano: 0,
            status_code: StatusCode::Unset,
            dropped_attributes_count: 0,
            dropped_events_count: 0,
            dropped_links_count: 0,
            committed: false,
        }
    }

    /// Sets the trace id.
    pub fn set_trace_id(&mut self, id: TraceId) {
        self.trace_id = id;
    }

    /// Sets the span id.
    pub fn set_span_id(&mut self, id: SpanId) {
        self.span_id = id;
    }

    /// Sets the parent's id; zero means that there is none.
    pub fn set_parent_span_id(&mut self, id: SpanId) {
        self.parent_span_id = id;
    }

    /// Sets W3C `tracestate`.
    pub fn set_trace_state(&mut self, text: &str) {
        let rows = self.builder.num_spans();
        self.builder.trace_states.truncate(rows);
        self.builder.trace_states.push(text);
    }

    /// Sets OTLP's flags: W3C trace flags in the low byte, "has remote parent" above.
    pub fn set_flags(&mut self, flags: u32) {
        self.flags = flags;
    }

    /// Sets the name.
    pub fn set_name(&mut self, name: &str) {
        self.name = Some(self.builder.name_pool.intern(name));
    }

    /// Sets the kind.
    pub fn set_kind(&mut self, kind: SpanKind) {
        self.kind = kind;
    }

    /// Sets the start, in unix nanoseconds as on the wire.
    pub fn set_start_time_unix_nano(&mut self, time: u64) {
        self.start_time_unix_nano = time;
    }

    /// Sets the end, in unix nanoseconds as on the wire.
    pub fn set_end_time_unix_nano(&mut self, time: u64) {
        self.end_time_unix_nano = time;
    }

    /// Sets the status code.
    pub fn set_status_code(&mut self, code: StatusCode) {
        self.status_code = code;
    }

    /// Sets the status message.
    pub fn set_status_message(&mut self, text: &str) {
        let rows = self.builder.num_spans();
        self.builder.status_messages.truncate(rows);
        self.builder.status_messages.push(text);
    }

    /// Sets how many attributes were dropped before they reached us.
    pub fn set_dropped_attributes_count(&mut self, count: u32) {
        self.dropped_attributes_count = count;
    }

    /// Sets how many events were dropped before they reached us.
    pub fn set_dropped_events_count(&mut self, count: u32) {
        self.dropped_events_count = count;
    }

    /// Sets how many links were dropped before they reached us.
    pub fn set_dropped_links_count(&mut self, count: u32) {
        self.dropped_links_count = count;
    }

    /// Where the span's attributes go.
    pub fn attributes(&mut self) -> AttributeSink<'_> {
        AttributeSink {
            lists: &mut self.builder.attributes,
        }
    }

    /// Begins an event of the span.
    pub fn begin_event(&mut self) -> EventRow<'_> {
        EventRow {
            builder: self.builder,
            time_unix_nano: 0,
            name: None,
            dropped_attributes_count: 0,
            committed: false,
        }
    }

    /// Begins a link of the span.
    pub fn begin_link(&mut self) -> LinkRow<'_> {
        self.builder.links.trace_states.push("");
        LinkRow {
            builder: self.builder,
            trace_id: TraceId::ZERO,
            span_id: SpanId::ZERO,
            dropped_attributes_count: 0,
            flags: 0,
            committed: false,
        }
    }

    /// How many events the span has so far.
    #[must_use]
    pub fn num_events(&self) -> usize {
        self.builder.events.open_len()
    }

    /// How many links the span has so far.
    #[must_use]
    pub fn num_links(&self) -> usize {
        self.builder.links.open_len()
    }

    /// Makes the row a span of the batch. Times that cannot be right are kept and marked.
    ///
    /// # Errors
    /// [`RowError`] when an id is missing or zero; the row is then rolled back.
    pub fn commit(mut self) -> Result<(), RowError> {
        if self.trace_id.is_zero() {
            return Err(RowError::TraceId);
        }
        if self.span_id.is_zero() {
            return Err(RowError::SpanId);
        }
        self.mark_anomaly();
        let name = self
            .name
            .unwrap_or_else(|| self.builder.name_pool.intern(""));
        let builder = &mut *self.builder;
        builder.trace_ids.extend_from_slice(&self.trace_id.0);
        builder.span_ids.extend_from_slice(&self.span_id.0);
        builder
            .parent_span_ids
            .extend_from_slice(&self.parent_span_id.0);
        builder.has_parent.append(!self.parent_span_id.is_zero());
        builder.flags.push(self.flags);
        builder.names.push(name as i32);
        builder.kinds.push(self.kind as i8);
        builder
            .start_times
            .push(signed_nanos(self.start_time_unix_nano));
        builder
            .end_times
            .push(signed_nanos(self.end_time_unix_nano));
        builder.status_codes.push(self.status_code as i8);
        builder
            .dropped_attributes_counts
            .push(self.dropped_attributes_count);
        builder
            .dropped_events_counts
            .push(self.dropped_events_count);
        builder.dropped_links_counts.push(self.dropped_links_count);
        builder.resource_indices.push(self.resource.0);
        builder.scope_indices.push(self.scope.0);
        builder.attributes.close();
        builder.events.close();
        builder.links.close();
        self.committed = true;
        Ok(())
    }

    fn mark_anomaly(&mut self) {
        let (start, end) = (self.start_time_unix_nano, self.end_time_unix_nano);
        let latest = self
            .builder
            .received_at_unix_nano
            .saturating_add(FUTURE_NANOS);
        let found = [
            (start == 0 || end == 0, ANOMALY_ZERO_TIME),
            (end < start && end != 0, ANOMALY_END_BEFORE_START),
            (signed_nanos(start) > latest, ANOMALY_FUTURE),
            (start.max(end) > i64::MAX as u64, ANOMALY_TIME_CUT),
        ];
        if found.iter().any(|(holds, _)| *holds) {
            let names: Vec<&str> = found
                .iter()
                .filter(|(holds, _)| *holds)
                .map(|(_, name)| *name)
                .collect();
            // A span that comes from another Spanlight is marked already.
            if self.builder.attributes.open_string(ANOMALY).is_none() {
                self.builder
                    .attributes
                    .push(ANOMALY, Value::String(&names.join(",")));
            }
        }
    }
}

impl Drop for SpanRow<'_> {
    fn drop(&mut self) {
        if !self.committed {
            let rows = self.builder.num_spans();
            self.builder.trace_states.truncate(rows);
            self.builder.status_messages.truncate(rows);
            self.builder.attributes.truncate(rows);
            self.builder.events.truncate(rows);
            self.builder.links.truncate(rows);
        }
    }
}

/// An event that is being filled.
#[derive(Debug)]
pub struct EventRow<'a> {
    builder: &'a mut SpanBatchBuilder,
    time_unix_nano: u64,
    name: Option<u32>,
    dropped_attributes_count: u32,
    committed: bool,
}

impl EventRow<'_> {
    /// Sets the time, in unix nanoseconds as on the wire.
    pub fn set_time_unix_nano(&mut self, time: u64) {
        self.time_unix_nano = time;
    }

    /// Sets the name.
    pub fn set_name(&mut self, name: &str) {
        self.name = Some(self.builder.events.name_pool.intern(name));
    }

    /// Sets how many attributes were dropped before they reached us.
    pub fn set_dropped_attributes_count(&mut self, count: u32) {
        self.dropped_attributes_count = count;
    }

    /// Where the event's attributes go.
    pub fn attributes(&mut self) -> AttributeSink<'_> {
        AttributeSink {
            lists: &mut self.builder.events.attributes,
        }
    }

    /// Makes the row an event of the span.
    pub fn commit(mut self) {
        let events = &mut self.builder.events;
        let name = self.name.unwrap_or_else(|| events.name_pool.intern(""));
        events.times.push(signed_nanos(self.time_unix_nano));
        events.names.push(name as i32);
        events
            .dropped_attributes_counts
            .push(self.dropped_attributes_count);
        events.attributes.close();
        self.committed = true;
    }
}

impl Drop for EventRow<'_> {
    fn drop(&mut self) {
        if !self.committed {
            let events = &mut self.builder.events;
            events.attributes.truncate(events.times.len());
        }
    }
}

/// A link that is being filled. Ids of zero are kept: a link is never the reason to refuse a span.
#[derive(Debug)]
pub struct LinkRow<'a> {
    builder: &'a mut SpanBatchBuilder,
    trace_id: TraceId,
    span_id: SpanId,
    dropped_attributes_count: u32,
    flags: u32,
    committed: bool,
}

impl LinkRow<'_> {
    /// Sets the linked span's trace id.
    pub fn set_trace_id(&mut self, id: TraceId) {
        self.trace_id = id;
    }

    /// Sets the linked span's id.
    pub fn set_span_id(&mut self, id: SpanId) {
        self.span_id = id;
    }

    /// Sets W3C `tracestate`.
    pub fn set_trace_state(&mut self, text: &str) {
        let links = &mut self.builder.links;
        links.trace_states.truncate(links.flags.len());
        links.trace_states.push(text);
    }

    /// Sets how many attributes were dropped before they reached us.
    pub fn set_dropped_attributes_count(&mut self, count: u32) {
        self.dropped_attributes_count = count;
    }

    /// Sets OTLP's flags of the link.
    pub fn set_flags(&mut self, flags: u32) {
        self.flags = flags;
    }

    /// Where the link's attributes go.
    pub fn attributes(&mut self) -> AttributeSink<'_> {
        AttributeSink {
            lists: &mut self.builder.links.attributes,
        }
    }

    /// Makes the row a link of the span.
    pub fn commit(mut self) {
        let links = &mut self.builder.links;
        links.trace_ids.extend_from_slice(&self.trace_id.0);
        links.span_ids.extend_from_slice(&self.span_id.0);
        links
            .dropped_attributes_counts
            .push(self.dropped_attributes_count);
        links.flags.push(self.flags);
        links.attributes.close();
        self.committed = true;
    }
}

impl Drop for LinkRow<'_> {
    fn drop(&mut self) {
        if !self.committed {
            let links = &mut self.builder.links;
            links.trace_states.truncate(links.flags.len());
            links.attributes.truncate(links.flags.len());
        }
    }
}

/// Unix nanoseconds as stored: the wire's unsigned times are cut to the signed range, which ends in 2262.
fn signed_nanos(time: u64) -> i64 {
    i64::try_from(time).unwrap_or(i64::MAX)
}
