//! The growing columns behind a span's texts, events and links.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, ListArray, StringArray, StructArray, UInt32Array};
use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, Fields};

use super::fixed_binary;
use crate::attributes::{AttributeLists, dictionary};
use crate::intern::StringPool;
use crate::schema::{self, list_item};

/// Texts that seldom repeat, one after the other.
#[derive(Debug)]
pub(super) struct TextColumn {
    bytes: Vec<u8>,
    offsets: Vec<i32>,
}

impl TextColumn {
    pub(super) fn new() -> Self {
        Self {
            bytes: Vec::new(),
            offsets: vec![0],
        }
    }

    pub(super) fn push(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
        self.offsets
            .push(i32::try_from(self.bytes.len()).unwrap_or(i32::MAX));
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        self.offsets.truncate(rows + 1);
        self.bytes.truncate(self.offsets[rows] as usize);
    }

    pub(super) fn byte_size(&self) -> usize {
        self.bytes.len() + self.offsets.len() * 4
    }

    pub(super) fn finish(self) -> Result<StringArray, ArrowError> {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.offsets));
        StringArray::try_new(offsets, Buffer::from_vec(self.bytes), None)
    }
}

/// Events of all spans; the open list belongs to the span that is being built.
#[derive(Debug)]
pub(super) struct EventLists {
    offsets: Vec<i32>,
    pub(super) times: Vec<i64>,
    pub(super) names: Vec<i32>,
    pub(super) name_pool: StringPool,
    pub(super) attributes: AttributeLists,
    pub(super) dropped_attributes_counts: Vec<u32>,
}

impl EventLists {
    pub(super) fn new() -> Self {
        Self {
            offsets: vec![0],
            times: Vec::new(),
            names: Vec::new(),
            name_pool: StringPool::new(),
            attributes: AttributeLists::new(),
            dropped_attributes_counts: Vec::new(),
        }
    }

    pub(super) fn open_len(&self) -> usize {
        self.times.len() - self.offsets.last().map_or(0, |&offset| offset as usize)
    }

    pub(super) fn close(&mut self) {
        self.offsets.push(self.times.len() as i32);
    }

    pub(super) fn truncate(&mut self, spans: usize) {
        self.offsets.truncate(spans + 1);
        let events = self.offsets[spans] as usize;
        self.times.truncate(events);
        self.names.truncate(events);
        self.dropped_attributes_counts.truncate(events);
        self.attributes.truncate(events);
    }

    pub(super) fn byte_size(&self) -> usize {
        self.times.len() * 16
            + self.offsets.len() * 4
            + self.name_pool.byte_size()
            + self.attributes.byte_size()
    }

    pub(super) fn finish(self) -> Result<ListArray, ArrowError> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(self.times)),
            Arc::new(dictionary(self.names, self.name_pool)?),
            Arc::new(self.attributes.finish()?),
            Arc::new(UInt32Array::from(self.dropped_attributes_counts)),
        ];
        list_of_structs(schema::event_fields(), columns, self.offsets)
    }
}

/// Links of all spans; the open list belongs to the span that is being built.
#[derive(Debug)]
pub(super) struct LinkLists {
    offsets: Vec<i32>,
    pub(super) trace_ids: Vec<u8>,
    pub(super) span_ids: Vec<u8>,
    pub(super) trace_states: TextColumn,
    pub(super) attributes: AttributeLists,
    pub(super) dropped_attributes_counts: Vec<u32>,
    pub(super) flags: Vec<u32>,
}

impl LinkLists {
    pub(super) fn new() -> Self {
        Self {
            offsets: vec![0],
            trace_ids: Vec::new(),
            span_ids: Vec::new(),
            trace_states: TextColumn::new(),
            attributes: AttributeLists::new(),
            dropped_attributes_counts: Vec::new(),
            flags: Vec::new(),
        }
    }

    pub(super) fn open_len(&self) -> usize {
        self.flags.len() - self.offsets.last().map_or(0, |&offset| offset as usize)
    }

    pub(super) fn close(&mut self) {
        self.offsets.push(self.flags.len() as i32);
    }

    pub(super) fn truncate(&mut self, spans: usize) {
        self.offsets.truncate(spans + 1);
        let links = self.offsets[spans] as usize;
        self.trace_ids.truncate(links * 16);
        self.span_ids.truncate(links * 8);
        self.trace_states.truncate(links);
        self.attributes.truncate(links);
        self.dropped_attributes_counts.truncate(links);
        self.flags.truncate(links);
    }

    pub(super) fn byte_size(&self) -> usize {
        self.flags.len() * 32
            + self.offsets.len() * 4
            + self.trace_states.byte_size()
            + self.attributes.byte_size()
    }

    pub(super) fn finish(self) -> Result<ListArray, ArrowError> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(fixed_binary(16, self.trace_ids, None)?),
            Arc::new(fixed_binary(8, self.span_ids, None)?),
            Arc::new(self.trace_states.finish()?),
            Arc::new(self.attributes.finish()?),
            Arc::new(UInt32Array::from(self.dropped_attributes_counts)),
            Arc::new(UInt32Array::from(self.flags)),
        ];
        list_of_structs(schema::link_fields(), columns, self.offsets)
    }
}

fn list_of_structs(
    fields: Fields,
    columns: Vec<ArrayRef>,
    offsets: Vec<i32>,
) -> Result<ListArray, ArrowError> {
    let item = list_item(DataType::Struct(fields.clone()));
    let values = StructArray::try_new(fields, columns, None)?;
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    ListArray::try_new(item, offsets, Arc::new(values), None)
}
