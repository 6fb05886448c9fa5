//! The builder of span batches: decoders append a span a row at a time, straight into columns.
//!
//! Protobuf and JSON fields come in any order and a span may turn out bad in its middle, so a row is begun, filled
//! and committed; a row that is dropped without commit leaves no trace. Owns no limits: how many spans, attributes
//! or levels are allowed is the decoder's to enforce.

mod lists;
mod origin;
mod row;

use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, DictionaryArray, FixedSizeBinaryArray, Int8Array, Int32Array, Int64Array,
    RecordBatch, StringArray, StructArray, UInt32Array,
};
use arrow_buffer::{BooleanBufferBuilder, Buffer, NullBuffer};
use arrow_schema::ArrowError;

use crate::attributes::{AttributeLists, dictionary};
use crate::batch::SpanBatch;
use crate::intern::{StringPool, more};
use crate::schema;
use lists::{EventLists, LinkLists, TextColumn};
pub use origin::{ResourceRow, ScopeRow};
pub use row::{AttributeSink, EventRow, LinkRow, RowError, SpanRow};

/// A resource of the batch that is being built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResourceIndex(i32);

/// An instrumentation scope of the batch that is being built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScopeIndex(i32);

/// Builds one [`SpanBatch`].
#[derive(Debug)]
pub struct SpanBatchBuilder {
    received_at_unix_nano: i64,
    trace_ids: Vec<u8>,
    span_ids: Vec<u8>,
    parent_span_ids: Vec<u8>,
    has_parent: BooleanBufferBuilder,
    trace_states: TextColumn,
    flags: Vec<u32>,
    names: Vec<i32>,
    name_pool: StringPool,
    kinds: Vec<i8>,
    start_times: Vec<i64>,
    end_times: Vec<i64>,
    status_codes: Vec<i8>,
    status_messages: TextColumn,
    dropped_attributes_counts: Vec<u32>,
    dropped_events_counts: Vec<u32>,
    dropped_links_counts: Vec<u32>,
    attributes: AttributeLists,
    events: EventLists,
    links: LinkLists,
    resource_indices: Vec<i32>,
    scope_indices: Vec<i32>,
    resources: Resources,
    scopes: Scopes,
}

#[derive(Debug)]
struct Resources {
    service_names: Vec<Option<String>>,
    attributes: AttributeLists,
    dropped_attributes_counts: Vec<u32>,
    schema_urls: Vec<String>,
}

#[derive(Debug)]
struct Scopes {
    names: Vec<String>,
    versions: Vec<String>,
    attributes: AttributeLists,
    dropped_attributes_counts: Vec<u32>,
    schema_urls: Vec<String>,
}

impl SpanBatchBuilder {
    /// An empty builder for spans received at this time of our own clock.
    #[must_use]
    pub fn new(received_at_unix_nano: i64) -> Self {
        Self {
            received_at_unix_nano,
            trace_ids: Vec::new(),
            span_ids: Vec::new(),
            parent_span_ids: Vec::new(),
            has_parent: BooleanBufferBuilder::new(0),
            trace_states: TextColumn::new(),
            flags: Vec::new(),
            names: Vec::new(),
            name_pool: StringPool::new(),
            kinds: Vec::new(),
            start_times: Vec::new(),
            end_times: Vec::new(),
            status_codes: Vec::new(),
            status_messages: TextColumn::new(),
            dropped_attributes_counts: Vec::new(),
            dropped_events_counts: Vec::new(),
            dropped_links_counts: Vec::new(),
            attributes: AttributeLists::new(),
            events: EventLists::new(),
            links: LinkLists::new(),
            resource_indices: Vec::new(),
            scope_indices: Vec::new(),
            resources: Resources {
                service_names: Vec::new(),
                attributes: AttributeLists::new(),
                dropped_attributes_counts: Vec::new(),
                schema_urls: Vec::new(),
            },
            scopes: Scopes {
                names: Vec::new(),
                versions: Vec::new(),
                attributes: AttributeLists::new(),
                dropped_attributes_counts: Vec::new(),
                schema_urls: Vec::new(),
            },
        }
    }

    /// Makes room for `factor` times as many spans, attributes and texts as there are, so that columns need not grow
    /// by being moved.
    pub fn expect(&mut self, factor: usize) {
        let spans = more(self.num_spans(), factor);
        for ids in [
            (&mut self.trace_ids, 16),
            (&mut self.span_ids, 8),
            (&mut self.parent_span_ids, 8),
        ] {
            ids.0.reserve_exact(spans * ids.1);
        }
        for indices in [
            &mut self.names,
            &mut self.resource_indices,
            &mut self.scope_indices,
        ] {
            indices.reserve_exact(spans);
        }
        for counts in [
            &mut self.flags,
            &mut self.dropped_attributes_counts,
            &mut self.dropped_events_counts,
            &mut self.dropped_links_counts,
        ] {
            counts.reserve_exact(spans);
        }
        for times in [&mut self.start_times, &mut self.end_times] {
            times.reserve_exact(spans);
        }
        for codes in [&mut self.kinds, &mut self.status_codes] {
            codes.reserve_exact(spans);
        }
        self.has_parent.reserve(spans);
        self.attributes.expect(factor);
    }

    /// How many spans are committed.
    #[must_use]
    pub fn num_spans(&self) -> usize {
        self.flags.len()
    }

    /// About how many bytes the columns take so far.
    #[must_use]
    pub fn byte_size(&self) -> usize {
        // 16 + 8 + 8 bytes of ids, two times, a receipt time, and nine columns of four bytes or fewer.
        self.num_spans() * (32 + 24 + 36)
            + self.trace_states.byte_size()
            + self.status_messages.byte_size()
            + self.name_pool.byte_size()
            + self.attributes.byte_size()
            + self.events.byte_size()
            + self.links.byte_size()
            + self.resources.attributes.byte_size()
            + self.scopes.attributes.byte_size()
    }

    /// Begins a resource; its attributes follow, then [`ResourceRow::commit`].
    pub fn begin_resource(&mut self) -> ResourceRow<'_> {
        ResourceRow::new(self)
    }

    /// Begins an instrumentation scope; its attributes follow, then [`ScopeRow::commit`].
    pub fn begin_scope(&mut self) -> ScopeRow<'_> {
        ScopeRow::new(self)
    }

    /// Sets the schema of a committed resource: JSON brings it after the spans.
    pub fn set_resource_schema_url(&mut self, resource: ResourceIndex, url: &str) {
        if let Some(slot) = self.resources.schema_urls.get_mut(resource.0 as usize) {
            url.clone_into(slot);
        }
    }

    /// Sets the schema of a committed scope: JSON brings it after the spans.
    pub fn set_scope_schema_url(&mut self, scope: ScopeIndex, url: &str) {
        if let Some(slot) = self.scopes.schema_urls.get_mut(scope.0 as usize) {
            url.clone_into(slot);
        }
    }

    /// Begins a span of this resource and scope, which must come from this builder.
    pub fn begin_span(&mut self, resource: ResourceIndex, scope: ScopeIndex) -> SpanRow<'_> {
        SpanRow::new(self, resource, scope)
    }

    /// The batch of the committed spans.
    ///
    /// # Errors
    /// When a column outgrew Arrow's 32-bit offsets, which the limits on requests keep from happening.
    pub fn finish(self) -> Result<SpanBatch, ArrowError> {
        let rows = self.num_spans();
        let parents = NullBuffer::new(self.has_parent.build());
        let resource = dictionary_of_rows(self.resource_indices, self.resources.finish()?)?;
        let scope = dictionary_of_rows(self.scope_indices, self.scopes.finish()?)?;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(fixed_binary(16, self.trace_ids, None)?),
            Arc::new(fixed_binary(8, self.span_ids, None)?),
            Arc::new(fixed_binary(8, self.parent_span_ids, Some(parents))?),
            Arc::new(self.trace_states.finish()?),
            Arc::new(UInt32Array::from(self.flags)),
            Arc::new(dictionary(self.names, self.name_pool)?),
            Arc::new(Int8Array::from(self.kinds)),
            Arc::new(Int64Array::from(self.start_times)),
            Arc::new(Int64Array::from(self.end_times)),
            Arc::new(Int8Array::from(self.status_codes)),
            Arc::new(self.status_messages.finish()?),
            Arc::new(UInt32Array::from(self.dropped_attributes_counts)),
            Arc::new(UInt32Array::from(self.dropped_events_counts)),
            Arc::new(UInt32Array::from(self.dropped_links_counts)),
            Arc::new(self.attributes.finish()?),
            Arc::new(self.events.finish()?),
            Arc::new(self.links.finish()?),
            Arc::new(resource),
            Arc::new(scope),
            Arc::new(Int64Array::from_value(self.received_at_unix_nano, rows)),
        ];
        SpanBatch::try_new(RecordBatch::try_new(schema::schema(), columns)?)
            .map_err(|error| ArrowError::SchemaError(error.to_string()))
    }
}

impl Resources {
    fn finish(self) -> Result<StructArray, ArrowError> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(self.service_names)),
            Arc::new(self.attributes.finish()?),
            Arc::new(UInt32Array::from(self.dropped_attributes_counts)),
            Arc::new(StringArray::from(self.schema_urls)),
        ];
        StructArray::try_new(schema::resource_fields(), columns, None)
    }
}

impl Scopes {
    fn finish(self) -> Result<StructArray, ArrowError> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(self.names)),
            Arc::new(StringArray::from(self.versions)),
            Arc::new(self.attributes.finish()?),
            Arc::new(UInt32Array::from(self.dropped_attributes_counts)),
            Arc::new(StringArray::from(self.schema_urls)),
        ];
        StructArray::try_new(schema::scope_fields(), columns, None)
    }
}

/// A column of ids.
fn fixed_binary(
    width: i32,
    bytes: Vec<u8>,
    nulls: Option<NullBuffer>,
) -> Result<FixedSizeBinaryArray, ArrowError> {
    FixedSizeBinaryArray::try_new(width, Buffer::from_vec(bytes), nulls)
}

fn dictionary_of_rows(
    indices: Vec<i32>,
    values: StructArray,
) -> Result<DictionaryArray<Int32Type>, ArrowError> {
    DictionaryArray::try_new(Int32Array::from(indices), Arc::new(values))
}
