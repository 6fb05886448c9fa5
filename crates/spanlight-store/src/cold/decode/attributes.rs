//! Attribute columns and the tail, back to the lanes of a batch: first the columns in the catalogue's order, then the
//! tail. Of a key that repeats, the first value is the one that was first.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, Int32Type};
use arrow_array::{
    Array as _, ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int8Array, Int32Array,
    Int64Array, ListArray, StringArray, StructArray,
};
use arrow_buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, FieldRef};
use spanlight_model::schema::{Column, attribute_fields, attributes as attributes_type};
use spanlight_model::{AttributeType, Value};

use super::{DecodeError, Presence, Rows, dictionary_values, integer_column, texts};
use crate::cold::catalogue::{AttributeScope, ColumnType};
use crate::cold::schema as table;
use crate::scan::{AttributeColumn, AttributeValues};

const NAME: &str = table::ATTRIBUTES;

/// Pairs that are told apart by a table of them all; of more, by those that occur.
const DENSE_PAIRS: usize = 64 << 10;

/// A column of one key's values.
pub(super) enum ValueColumn<'a> {
    Texts(DictionaryArray<Int32Type>),
    Ints(&'a Int64Array),
    Doubles(&'a Float64Array),
    Bools(&'a BooleanArray),
}

impl<'a> ValueColumn<'a> {
    pub(super) fn of(kind: ColumnType, array: &'a ArrayRef) -> Result<Self, DecodeError> {
        let wrong = DecodeError::Column("of an attribute");
        match kind {
            ColumnType::String => Self::texts("of an attribute", array),
            ColumnType::Int => array.as_primitive_opt().map(Self::Ints).ok_or(wrong),
            ColumnType::Double => array.as_primitive_opt().map(Self::Doubles).ok_or(wrong),
            ColumnType::Bool => array.as_boolean_opt().map(Self::Bools).ok_or(wrong),
        }
    }

    pub(super) fn texts(name: &'static str, array: &ArrayRef) -> Result<Self, DecodeError> {
        let texts = texts(name, array)?;
        dictionary_values(name, &texts)?;
        Ok(Self::Texts(texts))
    }

    fn nulls(&self) -> Option<&NullBuffer> {
        match self {
            Self::Texts(texts) => texts.keys().nulls(),
            Self::Ints(ints) => ints.nulls(),
            Self::Doubles(doubles) => doubles.nulls(),
            Self::Bools(bools) => bools.nulls(),
        }
    }

    fn is_valid(&self, row: usize) -> bool {
        self.nulls().is_none_or(|nulls| nulls.is_valid(row))
    }

    fn kind(&self) -> AttributeType {
        match self {
            Self::Texts(_) => AttributeType::String,
            Self::Ints(_) => AttributeType::Int,
            Self::Doubles(_) => AttributeType::Double,
            Self::Bools(_) => AttributeType::Bool,
        }
    }

    /// The number lane of a row.
    fn number(&self, row: usize) -> i64 {
        match self {
            Self::Texts(_) => 0,
            Self::Ints(ints) => ints.value(row),
            Self::Doubles(doubles) => doubles.value(row).to_bits() as i64,
            Self::Bools(bools) => i64::from(bools.value(row)),
        }
    }

    /// Tells rows of one key apart by their values here: each pair of key and value gets a key, in the order in which
    /// they come.
    pub(super) fn refine(&self, keys: &mut [i32]) {
        let count = keys.iter().max().map_or(0, |max| *max as usize + 1);
        if let Self::Texts(texts) = self
            && let width = texts.values().len() + 1
            && count.saturating_mul(width) <= DENSE_PAIRS
        {
            let codes = texts.keys().values();
            let mut next = 0;
            let mut known = vec![-1; count * width];
            for (row, key) in keys.iter_mut().enumerate() {
                let code = if self.is_valid(row) {
                    codes[row] as usize + 1
                } else {
                    0
                };
                let pair = &mut known[*key as usize * width + code];
                if *pair < 0 {
                    *pair = next;
                    next += 1;
                }
                *key = *pair;
            }
            return;
        }
        let mut known: HashMap<(i32, Option<i64>), i32> = HashMap::new();
        for (row, key) in keys.iter_mut().enumerate() {
            let next = known.len() as i32;
            let code = self.is_valid(row).then(|| match self {
                Self::Texts(texts) => i64::from(texts.keys().value(row)),
                other => other.number(row),
            });
            *key = *known.entry((*key, code)).or_insert(next);
        }
    }

    pub(super) fn value(&self, row: usize) -> Option<Value<'_>> {
        if !self.is_valid(row) {
            return None;
        }
        let text = match self {
            Self::Texts(texts) => {
                let values: &StringArray = texts.values().as_string_opt()?;
                values.value(texts.keys().value(row) as usize)
            }
            _ => "",
        };
        Some(Value::of_lanes(self.kind(), self.number(row), text))
    }
}

impl Rows<'_> {
    pub(super) fn attributes(&self) -> Result<ArrayRef, DecodeError> {
        let mut columns = Vec::new();
        for column in self.catalogue.columns() {
            let is_listed = self.listed.contains(&column.key);
            let array = self.column(&column.name).filter(|_| is_listed);
            if let Some(array) = array.filter(|_| column.scope == AttributeScope::Span) {
                columns.push((column.key.as_str(), ValueColumn::of(column.kind, array)?));
            }
        }
        let tail = match self.column(NAME) {
            Some(tail) => Some(tail.as_list_opt().ok_or(DecodeError::Column(NAME))?),
            None => None,
        };
        match tail {
            None if columns.is_empty() => Ok(self.blank(Column::Attributes)),
            Some(tail) if columns.is_empty() => Ok(Arc::new(attribute_lists(tail)?)),
            tail => Ok(Arc::new(joined(self.len(), &columns, tail)?)),
        }
    }
}

impl Rows<'_> {
    /// The columns of attributes that are no part of the spans.
    pub(super) fn attributes_apart(
        &self,
        presence: &Presence,
    ) -> Result<Vec<AttributeColumn>, DecodeError> {
        let columns = self.catalogue.columns().iter();
        let apart = columns.filter(|column| {
            column.scope == AttributeScope::Span && !self.listed.contains(&column.key)
        });
        let mut found = Vec::new();
        for column in apart {
            let Some(array) = self.column(&column.name) else {
                continue;
            };
            let nulls = || array.nulls().cloned();
            let values = match presence.get(&column.name) {
                Some(None) => AttributeValues::Present(nulls()),
                Some(Some(text)) => AttributeValues::Same(Arc::clone(text), nulls()),
                None => match ValueColumn::of(column.kind, array)? {
                    ValueColumn::Texts(texts) => {
                        let values = dictionary_values(NAME, &texts)?.clone();
                        AttributeValues::Texts(texts.keys().clone(), values)
                    }
                    ValueColumn::Ints(ints) => AttributeValues::Ints(ints.clone()),
                    ValueColumn::Doubles(doubles) => AttributeValues::Doubles(doubles.clone()),
                    ValueColumn::Bools(bools) => AttributeValues::Bools(bools.clone()),
                },
            };
            found.push(AttributeColumn {
                key: column.key.clone(),
                values,
            });
        }
        Ok(found)
    }
}

/// Lists of attributes as they are in the table.
pub(super) fn attribute_lists(list: &ListArray) -> Result<ListArray, DecodeError> {
    let entries = entries(list)?;
    let mut lanes = Lanes::with_capacity(entries.len());
    lanes.push_tail(entries)?;
    lanes.finish(list.offsets().clone())
}

fn entries(list: &ListArray) -> Result<&StructArray, DecodeError> {
    list.values()
        .as_struct_opt()
        .ok_or(DecodeError::Column(NAME))
}

/// One list a row: of each column what it has there, then the tail.
fn joined(
    rows: usize,
    columns: &[(&str, ValueColumn<'_>)],
    tail: Option<&ListArray>,
) -> Result<ListArray, DecodeError> {
    let mut lengths = vec![0_usize; rows];
    for (_, column) in columns {
        for (row, length) in lengths.iter_mut().enumerate() {
            *length += usize::from(column.is_valid(row));
        }
    }
    if let Some(tail) = tail {
        let tails = tail.offsets().windows(2);
        for (length, tail) in lengths.iter_mut().zip(tails) {
            *length += (tail[1] - tail[0]) as usize;
        }
    }
    let offsets = OffsetBuffer::<i32>::from_lengths(lengths);
    let total = offsets[rows] as usize;
    let mut lanes = Lanes::of_size(total);
    let mut next: Vec<usize> = offsets[..rows].iter().map(|&at| at as usize).collect();
    for (key, column) in columns {
        lanes.put_column(key, column, &mut next)?;
    }
    if let Some(tail) = tail {
        let mut read =
            Lanes::with_texts(std::mem::take(&mut lanes.key_values), lanes.texts_taken());
        read.push_tail(entries(tail)?)?;
        for (row, next) in next.iter().enumerate() {
            let (from, to) = (
                tail.offsets()[row] as usize,
                tail.offsets()[row + 1] as usize,
            );
            for (entry, at) in (from..to).zip(*next..) {
                lanes.keys[at] = read.keys[entry];
                lanes.types[at] = read.types[entry];
                lanes.numbers[at] = read.numbers[entry];
                lanes.texts[at] = read.texts[entry];
            }
        }
        lanes.key_values = read.key_values;
        lanes.text_values = read.text_values;
        lanes.text_count = read.text_count;
    }
    lanes.finish(offsets)
}

/// The model's lanes of attributes.
struct Lanes {
    keys: Vec<i32>,
    types: Vec<i8>,
    numbers: Vec<i64>,
    texts: Vec<i32>,
    key_values: Vec<String>,
    text_values: StringBuilder,
    text_count: i32,
}

impl Lanes {
    /// Of attributes that are appended.
    fn with_capacity(entries: usize) -> Self {
        let mut texts = StringBuilder::new();
        // The text of values that have none.
        texts.append_value("");
        let mut lanes = Self::with_texts(Vec::new(), (texts, 1));
        lanes.keys.reserve(entries);
        lanes.types.reserve(entries);
        lanes.numbers.reserve(entries);
        lanes.texts.reserve(entries);
        lanes
    }

    fn with_texts(key_values: Vec<String>, texts: (StringBuilder, i32)) -> Self {
        Self {
            keys: Vec::new(),
            types: Vec::new(),
            numbers: Vec::new(),
            texts: Vec::new(),
            key_values,
            text_values: texts.0,
            text_count: texts.1,
        }
    }

    /// Of attributes that are put into their places.
    fn of_size(entries: usize) -> Self {
        let mut lanes = Self::with_capacity(0);
        lanes.keys = vec![0; entries];
        lanes.types = vec![0; entries];
        lanes.numbers = vec![0; entries];
        lanes.texts = vec![0; entries];
        lanes
    }

    fn texts_taken(&mut self) -> (StringBuilder, i32) {
        (std::mem::take(&mut self.text_values), self.text_count)
    }

    fn push_text(&mut self, text: &str) -> i32 {
        self.text_values.append_value(text);
        self.text_count += 1;
        self.text_count - 1
    }

    /// Puts a column's values into the next place of each row that has one.
    fn put_column(
        &mut self,
        key: &str,
        column: &ValueColumn<'_>,
        next: &mut [usize],
    ) -> Result<(), DecodeError> {
        let key_code = self.key_values.len() as i32;
        self.key_values.push(key.to_owned());
        let kind = column.kind() as i8;
        let texts = match column {
            ValueColumn::Texts(texts) => Some(self.put_texts(texts)?),
            _ => None,
        };
        for (row, next) in next.iter_mut().enumerate() {
            if !column.is_valid(row) {
                continue;
            }
            self.keys[*next] = key_code;
            self.types[*next] = kind;
            match &texts {
                Some(texts) => self.texts[*next] = texts[row],
                None => self.numbers[*next] = column.number(row),
            }
            *next += 1;
        }
        Ok(())
    }

    /// For each row, the index of its text.
    fn put_texts(&mut self, texts: &DictionaryArray<Int32Type>) -> Result<Vec<i32>, DecodeError> {
        let values = dictionary_values(NAME, texts)?;
        let keys = texts.keys();
        if values.len() <= keys.len() {
            let first = self.text_count;
            for value in values {
                self.push_text(value.unwrap_or(""));
            }
            return Ok(keys.values().iter().map(|key| key + first).collect());
        }
        // A long dictionary of which few rows are left.
        let mut last = (-1, 0);
        let indices = keys.iter().map(|key| match key {
            None => 0,
            Some(key) => {
                if last.0 != key {
                    last = (key, self.push_text(values.value(key as usize)));
                }
                last.1
            }
        });
        Ok(indices.collect())
    }

    /// Appends attributes as they are in the table.
    fn push_tail(&mut self, entries: &StructArray) -> Result<(), DecodeError> {
        let field = |name: &str| {
            entries
                .column_by_name(name)
                .ok_or(DecodeError::Column(NAME))
        };
        let keys = texts(NAME, field("key")?)?;
        let strings = texts(NAME, field("string")?)?;
        let ints = integer_column(field("int")?, NAME)?;
        let doubles = field("double")?.as_primitive_opt::<Float64Type>();
        let doubles = doubles.ok_or(DecodeError::Column(NAME))?;
        let bools = field("bool")?.as_boolean_opt();
        let bools = bools.ok_or(DecodeError::Column(NAME))?;
        let jsons = texts(NAME, field("json")?)?;

        let first_key = self.key_values.len() as i32;
        let key_values = dictionary_values(NAME, &keys)?;
        let key_values = key_values.iter().map(|key| key.unwrap_or("").to_owned());
        self.key_values.extend(key_values);
        let keys = keys.keys().values().iter();
        self.keys.extend(keys.map(|key| key + first_key));
        let string_texts = self.put_texts(&strings)?;
        let json_values = dictionary_values(NAME, &jsons)?;
        let json_texts: Vec<(AttributeType, i32)> = json_values
            .iter()
            .map(|json| {
                let (kind, text) = text_form(json.unwrap_or(""));
                (kind, self.push_text(text))
            })
            .collect();
        for entry in 0..entries.len() {
            let (kind, number, text) = if strings.is_valid(entry) {
                (AttributeType::String, 0, string_texts[entry])
            } else if ints.is_valid(entry) {
                (AttributeType::Int, ints.value(entry), 0)
            } else if bools.is_valid(entry) {
                (AttributeType::Bool, i64::from(bools.value(entry)), 0)
            } else if doubles.is_valid(entry) {
                let bits = doubles.value(entry).to_bits() as i64;
                (AttributeType::Double, bits, 0)
            } else if jsons.is_valid(entry) {
                let (kind, text) = json_texts[jsons.keys().value(entry) as usize];
                (kind, 0, text)
            } else {
                (AttributeType::Empty, 0, 0)
            };
            self.types.push(kind as i8);
            self.numbers.push(number);
            self.texts.push(text);
        }
        Ok(())
    }

    fn finish(mut self, offsets: OffsetBuffer<i32>) -> Result<ListArray, DecodeError> {
        let keys = StringArray::from_iter_values(&self.key_values);
        let texts = self.text_values.finish();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(DictionaryArray::<Int32Type>::try_new(
                Int32Array::from(self.keys),
                Arc::new(keys),
            )?),
            Arc::new(Int8Array::from(self.types)),
            Arc::new(Int64Array::new(ScalarBuffer::from(self.numbers), None)),
            Arc::new(DictionaryArray::<Int32Type>::try_new(
                Int32Array::from(self.texts),
                Arc::new(texts),
            )?),
        ];
        let entries = StructArray::try_new(attribute_fields(), columns, None)?;
        Ok(ListArray::try_new(
            attribute_item()?,
            offsets,
            Arc::new(entries),
            None,
        )?)
    }
}

/// The field of the elements of the model's attribute lists.
fn attribute_item() -> Result<FieldRef, DecodeError> {
    match attributes_type() {
        DataType::List(item) => Ok(item),
        _ => Err(DecodeError::Column(NAME)),
    }
}

/// The type of a value that the table keeps as JSON, and the model's text of it.
fn text_form(json: &str) -> (AttributeType, &str) {
    let bytes = json
        .strip_prefix("{\"bytesValue\":\"")
        .and_then(|rest| rest.strip_suffix("\"}"));
    if let Some(base64) = bytes {
        (AttributeType::Bytes, base64)
    } else if json.starts_with("{\"arrayValue\"") {
        (AttributeType::Array, json)
    } else if json.starts_with("{\"kvlistValue\"") {
        (AttributeType::KeyValueList, json)
    } else {
        (AttributeType::String, json)
    }
}
