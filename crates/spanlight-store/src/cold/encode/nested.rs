//! Lists in rows of the table: the tail of the attributes, events, links.

use std::sync::Arc;

use arrow_array::{
    Array as _, ArrayRef, BinaryArray, BooleanArray, Float64Array, Int64Array, ListArray,
    StructArray,
};
use arrow_buffer::{OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, Field, Fields, Schema};
use spanlight_model::{Attributes, EventColumns, LinkColumns, Value};

use super::Source;
use super::texts::{Memo, NONE, Texts};
use crate::cold::order::Place;
use crate::cold::schema::{attribute_fields, event_fields, link_fields, with_dictionaries};

/// Lists of attributes that are being filled.
#[derive(Debug)]
pub(super) struct AttributeRows {
    offsets: Vec<i32>,
    keys: Vec<u32>,
    strings: Vec<u32>,
    ints: Vec<Option<i64>>,
    doubles: Vec<Option<f64>>,
    bools: Vec<Option<bool>>,
    jsons: Vec<u32>,
}

impl Default for AttributeRows {
    fn default() -> Self {
        Self {
            offsets: vec![0],
            keys: Vec::new(),
            strings: Vec::new(),
            ints: Vec::new(),
            doubles: Vec::new(),
            bools: Vec::new(),
            jsons: Vec::new(),
        }
    }
}

impl AttributeRows {
    /// Appends all attributes of a row of a batch as one list.
    fn push_row<'a>(
        &mut self,
        attributes: &Attributes<'a>,
        row: usize,
        texts: &mut Texts<'a>,
        memos: &mut AttributeMemos,
    ) {
        for entry in attributes.range(row) {
            self.push_entry(attributes, entry, texts, &mut memos.texts, &mut memos.keys);
        }
        self.close();
    }

    /// Appends an attribute to the open list.
    pub(super) fn push_entry<'a>(
        &mut self,
        attributes: &Attributes<'a>,
        entry: usize,
        texts: &mut Texts<'a>,
        text_memo: &mut Memo,
        key_memo: &mut Memo,
    ) {
        let key = attributes.key_indices()[entry] as usize;
        let key = key_memo.get(key, || texts.intern(attributes.keys().value(key)));
        let at = attributes.text_indices()[entry] as usize;
        let text = |texts: &mut Texts<'a>, text_memo: &mut Memo| {
            text_memo.get(at, || texts.intern(attributes.texts().value(at)))
        };
        let (mut string, mut int, mut double, mut bool, mut json) = (NONE, None, None, None, NONE);
        match attributes.value(entry) {
            Value::Empty => {}
            Value::String(_) => string = text(texts, text_memo),
            Value::Bool(truth) => bool = Some(truth),
            Value::Int(number) => int = Some(number),
            Value::Double(number) => double = Some(number),
            Value::Bytes(base64) => {
                json = texts.intern_owned(format!("{{\"bytesValue\":\"{base64}\"}}"));
            }
            Value::Array(_) | Value::KeyValueList(_) => json = text(texts, text_memo),
        }
        self.keys.push(key);
        self.strings.push(string);
        self.ints.push(int);
        self.doubles.push(double);
        self.bools.push(bool);
        self.jsons.push(json);
    }

    /// Ends the open list.
    pub(super) fn close(&mut self) {
        self.offsets.push(self.keys.len() as i32);
    }

    pub(super) fn finish(self, texts: &mut Texts<'_>) -> Result<ListArray, ArrowError> {
        let columns: Vec<ArrayRef> = vec![
            texts.dictionary(self.keys)?,
            texts.dictionary(self.strings)?,
            Arc::new(Int64Array::from(self.ints)),
            Arc::new(Float64Array::from(self.doubles)),
            Arc::new(BooleanArray::from(self.bools)),
            texts.dictionary(self.jsons)?,
        ];
        list_of(attribute_fields(), columns, self.offsets)
    }
}

/// The numbers of the texts of one column of attributes of a batch.
#[derive(Debug)]
struct AttributeMemos {
    texts: Memo,
    keys: Memo,
}

impl AttributeMemos {
    fn of(attributes: &Attributes<'_>) -> Self {
        Self {
            texts: Memo::new(attributes.texts().len()),
            keys: Memo::new(attributes.keys().len()),
        }
    }
}

/// The numbers of the texts of events, by batch.
#[derive(Debug)]
pub(super) struct EventMemos(Vec<(Memo, AttributeMemos)>);

impl EventMemos {
    pub(super) fn new(sources: &[Source<'_>]) -> Self {
        let events = sources.iter().map(|source| &source.columns.events);
        let memos = events.map(|events| {
            let names = Memo::new(events.name_values.len());
            (names, AttributeMemos::of(&events.attributes))
        });
        Self(memos.collect())
    }
}

#[derive(Debug)]
pub(super) struct EventRows {
    offsets: Vec<i32>,
    times: Vec<i64>,
    names: Vec<u32>,
    attributes: AttributeRows,
    dropped_attributes_counts: Vec<i64>,
}

impl Default for EventRows {
    fn default() -> Self {
        Self {
            offsets: vec![0],
            times: Vec::new(),
            names: Vec::new(),
            attributes: AttributeRows::default(),
            dropped_attributes_counts: Vec::new(),
        }
    }
}

impl EventRows {
    pub(super) fn push<'a>(
        &mut self,
        memos: &mut EventMemos,
        texts: &mut Texts<'a>,
        place: Place,
        events: &EventColumns<'a>,
    ) {
        let (names, attributes) = &mut memos.0[place.batch as usize];
        for event in events.range(place.row as usize) {
            self.times.push(events.times.value(event));
            let name = events.names.value(event) as usize;
            let name = names.get(name, || texts.intern(events.name_values.value(name)));
            self.names.push(name);
            self.attributes
                .push_row(&events.attributes, event, texts, attributes);
            self.dropped_attributes_counts
                .push(i64::from(events.dropped_attributes_counts.value(event)));
        }
        self.offsets.push(self.times.len() as i32);
    }

    pub(super) fn finish(self, texts: &mut Texts<'_>) -> Result<ArrayRef, ArrowError> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(self.times)),
            texts.dictionary(self.names)?,
            Arc::new(self.attributes.finish(texts)?),
            Arc::new(Int64Array::from(self.dropped_attributes_counts)),
        ];
        Ok(Arc::new(list_of(event_fields(), columns, self.offsets)?))
    }
}

/// The numbers of the texts of links, by batch.
#[derive(Debug)]
pub(super) struct LinkMemos(Vec<AttributeMemos>);

impl LinkMemos {
    pub(super) fn new(sources: &[Source<'_>]) -> Self {
        let links = sources.iter().map(|source| &source.columns.links);
        let memos = links.map(|links| AttributeMemos::of(&links.attributes));
        Self(memos.collect())
    }
}

#[derive(Debug)]
pub(super) struct LinkRows<'a> {
    offsets: Vec<i32>,
    trace_ids: Vec<&'a [u8]>,
    span_ids: Vec<&'a [u8]>,
    trace_states: Vec<u32>,
    attributes: AttributeRows,
    dropped_attributes_counts: Vec<i64>,
    flags: Vec<i64>,
}

impl Default for LinkRows<'_> {
    fn default() -> Self {
        Self {
            offsets: vec![0],
            trace_ids: Vec::new(),
            span_ids: Vec::new(),
            trace_states: Vec::new(),
            attributes: AttributeRows::default(),
            dropped_attributes_counts: Vec::new(),
            flags: Vec::new(),
        }
    }
}

impl<'a> LinkRows<'a> {
    pub(super) fn push(
        &mut self,
        memos: &mut LinkMemos,
        texts: &mut Texts<'a>,
        place: Place,
        links: &LinkColumns<'a>,
    ) {
        let attributes = &mut memos.0[place.batch as usize];
        for link in links.range(place.row as usize) {
            self.trace_ids.push(links.trace_ids.value(link));
            self.span_ids.push(links.span_ids.value(link));
            self.trace_states
                .push(texts.intern(links.trace_states.value(link)));
            self.attributes
                .push_row(&links.attributes, link, texts, attributes);
            self.dropped_attributes_counts
                .push(i64::from(links.dropped_attributes_counts.value(link)));
            self.flags.push(i64::from(links.flags.value(link)));
        }
        self.offsets.push(self.flags.len() as i32);
    }

    pub(super) fn finish(self, texts: &mut Texts<'_>) -> Result<ArrayRef, ArrowError> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(BinaryArray::from_iter_values(self.trace_ids)),
            Arc::new(BinaryArray::from_iter_values(self.span_ids)),
            texts.dictionary(self.trace_states)?,
            Arc::new(self.attributes.finish(texts)?),
            Arc::new(Int64Array::from(self.dropped_attributes_counts)),
            Arc::new(Int64Array::from(self.flags)),
        ];
        Ok(Arc::new(list_of(link_fields(), columns, self.offsets)?))
    }
}

fn list_of(
    fields: Fields,
    columns: Vec<ArrayRef>,
    offsets: Vec<i32>,
) -> Result<ListArray, ArrowError> {
    let fields = with_dictionaries(&Schema::new(fields)).fields().clone();
    let values = StructArray::try_new(fields.clone(), columns, None)?;
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    let item = Arc::new(Field::new("element", DataType::Struct(fields), false));
    ListArray::try_new(item, offsets, Arc::new(values), None)
}
