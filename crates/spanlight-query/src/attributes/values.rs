//! Counting the values of a field.

use std::ops::Range;

use arrow_array::{Array as _, StringArray};
use datafusion::execution::memory_pool::MemoryReservation;
use rustc_hash::FxHashMap;
use spanlight_model::{AnyValue, AttributeType, Attributes, SpanBatch};
use spanlight_store::Partition;
use spanlight_traceql::ast::{Attribute, AttributeScope, Field, Intrinsic};

use super::{VALUES_MAX, ValueUse};
use crate::load::MemoryFull;
use crate::parallel::Worker;
use crate::predicate::{Accessor, Bound, Fields, Filter, Scalar, entry};

/// What a field of the root is on the root itself.
pub(super) fn of_root(field: &Field) -> Option<Field> {
    match field {
        Field::Intrinsic(Intrinsic::RootName) => Some(Field::Intrinsic(Intrinsic::Name)),
        Field::Intrinsic(Intrinsic::RootServiceName) => Some(Field::Attribute(Attribute {
            of_parent: false,
            scope: AttributeScope::Resource,
            name: spanlight_model::convention::SERVICE_NAME.to_owned(),
        })),
        _ => None,
    }
}

/// Ids, times and counts: nearly every span has another one.
pub(super) fn has_none(field: &Field) -> bool {
    use Intrinsic as I;
    let Field::Intrinsic(intrinsic) = field else {
        return false;
    };
    match intrinsic {
        I::Name
        | I::Status
        | I::StatusMessage
        | I::Kind
        | I::RootName
        | I::RootServiceName
        | I::EventName
        | I::InstrumentationName
        | I::InstrumentationVersion => false,
        I::Duration
        | I::SpanId
        | I::SpanParentId
        | I::SpanChildCount
        | I::TraceId
        | I::TraceDuration
        | I::NestedSetLeft
        | I::NestedSetRight
        | I::NestedSetParent
        | I::EventTimeSinceStart
        | I::LinkTraceId
        | I::LinkSpanId => true,
    }
}

/// A value that is no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Plain {
    Bool(bool),
    Int(i64),
    /// Bits.
    Float(u64),
    Keyword(&'static str),
}

/// What one worker has counted.
#[derive(Debug)]
pub(super) struct ValueWorker {
    fields: Fields,
    slot: usize,
    filter: Filter,
    range: Range<i64>,
    /// Only values of spans without a parent.
    pub(super) of_roots: bool,
    /// In lower case.
    containing: String,
    memory: MemoryReservation,
    texts: FxHashMap<Box<str>, u64>,
    plain: FxHashMap<Plain, u64>,
    bytes: usize,
    /// There were more values than are told apart.
    pub(super) overflow: bool,
}

impl ValueWorker {
    pub(super) fn new(
        fields: &Fields,
        slot: usize,
        filter: &Filter,
        range: Range<i64>,
        containing: &str,
        memory: MemoryReservation,
    ) -> Self {
        Self {
            fields: fields.clone(),
            slot,
            filter: filter.clone(),
            range,
            of_roots: false,
            containing: containing.to_lowercase(),
            memory,
            texts: FxHashMap::default(),
            plain: FxHashMap::default(),
            bytes: 0,
            overflow: false,
        }
    }

    /// Counts the values of these rows.
    pub(super) fn rows(&mut self, batch: &SpanBatch, rows: &[u32]) -> Result<(), MemoryFull> {
        let fields = std::mem::take(&mut self.fields);
        let bound = Bound::new(&fields, batch.columns(), None);
        self.bound(&bound, rows);
        drop(bound);
        self.fields = fields;
        self.fit()
    }

    fn fit(&mut self) -> Result<(), MemoryFull> {
        match self.overflow {
            true => Err(MemoryFull),
            false => self.memory.try_resize(self.bytes).map_err(|_| MemoryFull),
        }
    }

    fn bound(&mut self, bound: &Bound<'_>, rows: &[u32]) {
        let columns = &bound.columns;
        let rows = || rows.iter().map(|&row| row as usize);
        let resource = |row: usize| columns.resources.value(row) as usize;
        match bound.accessor(self.slot) {
            Accessor::Span(keys) => {
                let attributes = &columns.attributes;
                self.entries(
                    attributes,
                    rows().filter_map(|row| entry(attributes, keys, row)),
                );
            }
            Accessor::Any(keys, of_resource) => {
                let attributes = &columns.attributes;
                let own = |row| {
                    let entry = entry(attributes, keys, row)?;
                    (!Scalar::of_attribute(attributes.value(entry)).is_nil()).then_some(entry)
                };
                self.entries(attributes, rows().filter_map(own));
                let others = rows().filter(|&row| own(row).is_none()).map(resource);
                self.places(of_resource, others);
            }
            Accessor::Resource(values) => self.places(values, rows().map(resource)),
            Accessor::Scope(values) => {
                self.places(values, rows().map(|row| columns.scopes.value(row) as usize));
            }
            Accessor::Event(keys) => {
                let attributes = &columns.events.attributes;
                let events = rows().flat_map(|row| columns.events.range(row));
                self.entries(
                    attributes,
                    events.filter_map(|it| entry(attributes, keys, it)),
                );
            }
            Accessor::Link(keys) => {
                let attributes = &columns.links.attributes;
                let links = rows().flat_map(|row| columns.links.range(row));
                self.entries(
                    attributes,
                    links.filter_map(|it| entry(attributes, keys, it)),
                );
            }
            Accessor::Intrinsic(intrinsic) => self.intrinsic(bound, *intrinsic, rows()),
            Accessor::Parent => {}
        }
    }

    fn intrinsic(
        &mut self,
        bound: &Bound<'_>,
        intrinsic: Intrinsic,
        rows: impl Iterator<Item = usize>,
    ) {
        let columns = &bound.columns;
        match intrinsic {
            Intrinsic::Name => {
                let names = rows.map(|row| columns.names.value(row) as usize);
                self.texts_at(columns.name_values, names);
            }
            Intrinsic::EventName => {
                let events = rows.flat_map(|row| columns.events.range(row));
                let names = events.map(|event| columns.events.names.value(event) as usize);
                self.texts_at(columns.events.name_values, names);
            }
            Intrinsic::StatusMessage => {
                let messages = rows.map(|row| columns.status_messages.value(row));
                let said = messages.filter(|message| !message.is_empty());
                said.for_each(|message| self.text(message, 1));
            }
            // Few of them.
            Intrinsic::Kind | Intrinsic::Status => {
                let mut first = [None; 256];
                for row in rows {
                    let number = match intrinsic {
                        Intrinsic::Kind => columns.kinds.value(row),
                        _ => columns.status_codes.value(row),
                    };
                    first[usize::from(number as u8)]
                        .get_or_insert((row, 0_u64))
                        .1 += 1;
                }
                for (row, count) in first.into_iter().flatten() {
                    self.scalar(&bound.first_value(self.slot, row), count);
                }
            }
            _ => {}
        }
    }

    /// Values of a dictionary.
    fn texts_at(&mut self, texts: &StringArray, indices: impl Iterator<Item = usize>) {
        let mut counts = vec![0; texts.len()];
        indices.for_each(|index| counts[index] += 1);
        let met = counts
            .into_iter()
            .enumerate()
            .filter(|(_, count)| *count > 0);
        met.for_each(|(index, count)| self.text(texts.value(index), count));
    }

    /// Values that several rows share.
    fn places(&mut self, values: &[Scalar<'_>], of_rows: impl Iterator<Item = usize>) {
        let mut counts = vec![0; values.len()];
        of_rows.for_each(|place| counts[place] += 1);
        let met = values.iter().zip(counts).filter(|(_, count)| *count > 0);
        met.for_each(|(value, count)| self.scalar(value, count));
    }

    /// Values of attributes.
    fn entries(&mut self, attributes: &Attributes<'_>, entries: impl Iterator<Item = usize>) {
        let (types, indices) = (attributes.types(), attributes.text_indices());
        let mut texts = vec![0; attributes.texts().len()];
        for entry in entries {
            match types[entry] == AttributeType::String as i8 {
                true => texts[indices[entry] as usize] += 1,
                false => self.scalar(&Scalar::of_attribute(attributes.value(entry)), 1),
            }
        }
        let met = texts
            .into_iter()
            .enumerate()
            .filter(|(_, count)| *count > 0);
        met.for_each(|(index, count)| self.text(attributes.texts().value(index), count));
    }

    /// The elements of an array count each by itself.
    fn elements(&mut self, text: &str, count: u64) {
        let Ok(AnyValue::Array(elements)) = AnyValue::from_json(text) else {
            return;
        };
        for element in &elements {
            match element {
                AnyValue::String(text) => self.text(text, count),
                AnyValue::Bool(truth) => self.plain(Plain::Bool(*truth), count),
                AnyValue::Int(number) => self.plain(Plain::Int(*number), count),
                AnyValue::Double(number) => self.plain(Plain::Float(number.to_bits()), count),
                _ => {}
            }
        }
    }

    fn scalar(&mut self, value: &Scalar<'_>, count: u64) {
        match value {
            Scalar::Text(text) => self.text(text, count),
            Scalar::Bool(truth) => self.plain(Plain::Bool(*truth), count),
            Scalar::Int(number) => self.plain(Plain::Int(*number), count),
            Scalar::Float(number) => self.plain(Plain::Float(number.to_bits()), count),
            Scalar::Status(status) => self.plain(Plain::Keyword(status.as_str()), count),
            Scalar::Kind(kind) => self.plain(Plain::Keyword(kind.as_str()), count),
            Scalar::Array(text) => self.elements(text, count),
            Scalar::Nil | Scalar::Duration(_) | Scalar::TraceId(_) => {}
        }
    }

    pub(super) fn text(&mut self, text: &str, count: u64) {
        if !self.containing.is_empty() && !text.to_lowercase().contains(&self.containing) {
            return;
        }
        if let Some(known) = self.texts.get_mut(text) {
            *known += count;
        } else if self.has_room(text.len()) {
            self.texts.insert(text.into(), count);
        }
    }

    fn plain(&mut self, value: Plain, count: u64) {
        if !self.containing.is_empty() && !shown(value).contains(&self.containing) {
            return;
        }
        if let Some(known) = self.plain.get_mut(&value) {
            *known += count;
        } else if self.has_room(0) {
            self.plain.insert(value, count);
        }
    }

    fn has_room(&mut self, bytes: usize) -> bool {
        self.overflow |= self.texts.len() + self.plain.len() >= VALUES_MAX;
        if !self.overflow {
            self.bytes += bytes + 2 * size_of::<(Box<str>, u64)>();
        }
        !self.overflow
    }
}

fn shown(value: Plain) -> String {
    match value {
        Plain::Bool(truth) => truth.to_string(),
        Plain::Int(number) => number.to_string(),
        Plain::Float(bits) => f64::from_bits(bits).to_string(),
        Plain::Keyword(word) => word.to_owned(),
    }
}

impl Worker for ValueWorker {
    fn begin(&mut self, _partition: &Partition) {}

    fn take(&mut self, batch: &SpanBatch) -> Result<(), MemoryFull> {
        let fields = std::mem::take(&mut self.fields);
        let bound = Bound::new(&fields, batch.columns(), None);
        let starts = bound.columns.start_times.values();
        let rows = 0..starts.len() as u32;
        let parents = bound.columns.parent_span_ids;
        let rows = rows.filter(|&row| {
            let row = row as usize;
            self.range.contains(&starts[row]) && (!self.of_roots || parents.is_null(row))
        });
        let rows = bound.select(&self.filter, rows.collect());
        self.bound(&bound, &rows);
        drop(bound);
        self.fields = fields;
        self.fit()
    }
}

/// The values by use, and how many there were.
pub(super) fn ranked(workers: Vec<ValueWorker>, limit: usize) -> (Vec<ValueUse>, usize) {
    let mut texts: FxHashMap<Box<str>, u64> = FxHashMap::default();
    let mut plain: FxHashMap<Plain, u64> = FxHashMap::default();
    for worker in workers {
        for (text, count) in worker.texts {
            *texts.entry(text).or_default() += count;
        }
        for (value, count) in worker.plain {
            *plain.entry(value).or_default() += count;
        }
    }
    let texts = texts.into_iter().map(|(text, count)| ValueUse {
        value: AnyValue::String(text.into()),
        is_keyword: false,
        count,
    });
    let plain = plain.into_iter().map(|(value, count)| ValueUse {
        value: match value {
            Plain::Bool(truth) => AnyValue::Bool(truth),
            Plain::Int(number) => AnyValue::Int(number),
            Plain::Float(bits) => AnyValue::Double(f64::from_bits(bits)),
            Plain::Keyword(word) => AnyValue::String(word.to_owned()),
        },
        is_keyword: matches!(value, Plain::Keyword(_)),
        count,
    });
    let mut values: Vec<(ValueUse, String)> = texts
        .chain(plain)
        .map(|it| {
            let text = it.value.to_json();
            (it, text)
        })
        .collect();
    let distinct = values.len();
    values.sort_by(|(a, text_a), (b, text_b)| (b.count, text_a).cmp(&(a.count, text_b)));
    values.truncate(limit);
    (
        values.into_iter().map(|(value, _)| value).collect(),
        distinct,
    )
}
