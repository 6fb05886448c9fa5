//! [`SpanBatch`]: a record batch that is known to have the schema of spans, and typed ways to read it.
//!
//! [`SpanColumns`] is for loops over a column; [`SpanRef`] is for code that renders one span at a time.

use std::fmt;
use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int8Type, Int32Type, Int64Type, UInt32Type};
use arrow_array::{
    Array, ArrayRef, FixedSizeBinaryArray, Int8Array, Int32Array, Int64Array, ListArray,
    RecordBatch, StringArray, StructArray, UInt32Array,
};
use arrow_schema::ArrowError;

use crate::attributes::{Attributes, Value};
use crate::id::{SpanId, TraceId};
use crate::kind::{SpanKind, StatusCode};
use crate::schema::{Column, schema};

/// Spans as columns. Cheap to clone; never changed once built.
#[derive(Clone, PartialEq)]
pub struct SpanBatch {
    batch: RecordBatch,
}

/// A record batch does not have the schema of spans.
#[derive(Debug, thiserror::Error)]
#[error("not a batch of spans: {0}")]
pub struct SchemaError(String);

impl SpanBatch {
    /// Takes a record batch of the schema of spans.
    ///
    /// # Errors
    /// [`SchemaError`] when a column is missing or of another type.
    pub fn try_new(batch: RecordBatch) -> Result<Self, SchemaError> {
        let expected = schema();
        for (position, field) in expected.fields().iter().enumerate() {
            let found = batch.schema_ref().fields().get(position);
            if found.map(|found| found.data_type()) != Some(field.data_type()) {
                return Err(SchemaError(format!(
                    "column {position} is not {}",
                    field.name()
                )));
            }
        }
        Ok(Self { batch })
    }

    /// A batch without spans.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            batch: RecordBatch::new_empty(schema()),
        }
    }

    /// How many spans there are.
    #[must_use]
    pub fn num_spans(&self) -> usize {
        self.batch.num_rows()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.num_spans() == 0
    }

    /// The Arrow form.
    #[must_use]
    pub fn record_batch(&self) -> &RecordBatch {
        &self.batch
    }

    /// The Arrow form of one column.
    #[must_use]
    pub fn column(&self, column: Column) -> &ArrayRef {
        self.batch.column(column as usize)
    }

    /// Bytes of memory that the columns keep alive.
    #[must_use]
    pub fn byte_size(&self) -> usize {
        self.batch.get_array_memory_size()
    }

    /// The spans of all batches, one after the other.
    ///
    /// # Errors
    /// When a column outgrows Arrow's 32-bit offsets.
    pub fn concat<'a>(batches: impl IntoIterator<Item = &'a Self>) -> Result<Self, ArrowError> {
        let batches: Vec<&RecordBatch> = batches.into_iter().map(|batch| &batch.batch).collect();
        Ok(Self {
            batch: arrow_select::concat::concat_batches(&schema(), batches)?,
        })
    }

    /// The spans at these rows, in this order.
    ///
    /// # Errors
    /// When a row is out of range, or a column outgrows Arrow's 32-bit offsets.
    pub fn take(&self, rows: &UInt32Array) -> Result<Self, ArrowError> {
        Ok(Self {
            batch: arrow_select::take::take_record_batch(&self.batch, rows)?,
        })
    }

    /// `length` spans from row `offset` on, sharing memory.
    #[must_use]
    pub fn slice(&self, offset: usize, length: usize) -> Self {
        Self {
            batch: self.batch.slice(offset, length),
        }
    }

    /// The columns, typed.
    #[must_use]
    pub fn columns(&self) -> SpanColumns<'_> {
        SpanColumns::of(self)
    }

    /// The span at a row below [`SpanBatch::num_spans`]. For many rows, take [`SpanBatch::columns`] once.
    #[must_use]
    pub fn span(&self, row: usize) -> SpanRef<'_> {
        SpanRef {
            columns: self.columns(),
            row,
        }
    }
}

impl fmt::Debug for SpanBatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SpanBatch")
            .field("num_spans", &self.num_spans())
            .finish()
    }
}

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
    fn of(batch: &'a SpanBatch) -> Self {
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
        SpanRef {
            columns: self.clone(),
            row,
        }
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
fn bytes<const N: usize>(value: &[u8]) -> [u8; N] {
    value.try_into().unwrap_or([0; N])
}

/// One span of a batch. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SpanRef<'a> {
    columns: SpanColumns<'a>,
    row: usize,
}

impl<'a> SpanRef<'a> {
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
