//! Lists of attributes as columns: reading them, and the growing form that the builder appends to.
//!
//! An attribute is one row of four lanes: key, type, number, text. Integers, truth values and doubles (as their
//! IEEE bits) are numbers; strings, and the text forms of bytes, arrays and key-value lists (see
//! [`crate::AnyValue`]), are text. The lane that a type does not use holds zero, or the empty string.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int8Type, Int32Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, DictionaryArray, Int8Array, Int32Array, Int64Array, ListArray, StringArray,
    StructArray,
};
use arrow_buffer::{OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType};

use crate::intern::{StringPool, more};
use crate::schema::{attribute_fields, list_item};
use crate::value::{AnyValue, ValueError, decode_bytes};

/// The type of an attribute's value; the numbers are those of the `type` column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i8)]
pub enum AttributeType {
    /// Sent without a value (null).
    Empty = 0,
    /// Text.
    String = 1,
    /// Truth value: number 0 or 1.
    Bool = 2,
    /// Integer: number.
    Int = 3,
    /// Float: number holds its IEEE 754 bits.
    Double = 4,
    /// Bytes: text holds base64.
    Bytes = 5,
    /// Array: text holds OTLP JSON.
    Array = 6,
    /// Key-value list: text holds OTLP JSON.
    KeyValueList = 7,
}

impl AttributeType {
    /// Every type, in the order of the numbers.
    pub const ALL: [Self; 8] = [
        Self::Empty,
        Self::String,
        Self::Bool,
        Self::Int,
        Self::Double,
        Self::Bytes,
        Self::Array,
        Self::KeyValueList,
    ];

    /// The type of a number of the `type` column; numbers of no type read as `Empty`.
    #[must_use]
    pub fn from_number(number: i8) -> Self {
        usize::try_from(number)
            .ok()
            .and_then(|n| Self::ALL.get(n))
            .copied()
            .unwrap_or(Self::Empty)
    }

    /// The word that SQL and JSON use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::String => "string",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Double => "double",
            Self::Bytes => "bytes",
            Self::Array => "array",
            Self::KeyValueList => "kvlist",
        }
    }
}

/// A value borrowed from the columns. Bytes and nested values are their text forms; [`Value::to_any`] decodes them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// Sent without a value (null).
    Empty,
    /// Text.
    String(&'a str),
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    Double(f64),
    /// Bytes, as base64.
    Bytes(&'a str),
    /// An array, as OTLP JSON.
    Array(&'a str),
    /// A key-value list, as OTLP JSON.
    KeyValueList(&'a str),
}

impl<'a> Value<'a> {
    /// The value of a row of the lanes.
    #[must_use]
    pub fn of_lanes(kind: AttributeType, number: i64, text: &'a str) -> Self {
        match kind {
            AttributeType::Empty => Self::Empty,
            AttributeType::String => Self::String(text),
            AttributeType::Bool => Self::Bool(number != 0),
            AttributeType::Int => Self::Int(number),
            AttributeType::Double => Self::Double(f64::from_bits(number as u64)),
            AttributeType::Bytes => Self::Bytes(text),
            AttributeType::Array => Self::Array(text),
            AttributeType::KeyValueList => Self::KeyValueList(text),
        }
    }

    /// The row of the lanes that holds the value: type, number, text.
    #[must_use]
    pub fn lanes(self) -> (AttributeType, i64, &'a str) {
        match self {
            Self::Empty => (AttributeType::Empty, 0, ""),
            Self::String(text) => (AttributeType::String, 0, text),
            Self::Bool(truth) => (AttributeType::Bool, i64::from(truth), ""),
            Self::Int(number) => (AttributeType::Int, number, ""),
            Self::Double(number) => (AttributeType::Double, number.to_bits() as i64, ""),
            Self::Bytes(text) => (AttributeType::Bytes, 0, text),
            Self::Array(text) => (AttributeType::Array, 0, text),
            Self::KeyValueList(text) => (AttributeType::KeyValueList, 0, text),
        }
    }

    /// The value as an owned tree.
    ///
    /// # Errors
    /// [`ValueError`] when a text form is damaged, which the builder never writes.
    pub fn to_any(self) -> Result<AnyValue, ValueError> {
        Ok(match self {
            Self::Empty => AnyValue::Empty,
            Self::String(text) => AnyValue::String(text.to_owned()),
            Self::Bool(truth) => AnyValue::Bool(truth),
            Self::Int(number) => AnyValue::Int(number),
            Self::Double(number) => AnyValue::Double(number),
            Self::Bytes(text) => AnyValue::Bytes(decode_bytes(text)?),
            Self::Array(text) | Self::KeyValueList(text) => AnyValue::from_json(text)?,
        })
    }
}

/// The attribute lists of a column: row `i` has the attributes of its `i`-th owner (span, event, link, …).
#[derive(Debug, Clone)]
pub struct Attributes<'a> {
    offsets: &'a OffsetBuffer<i32>,
    keys: &'a Int32Array,
    key_values: &'a StringArray,
    types: &'a Int8Array,
    numbers: &'a Int64Array,
    texts: &'a Int32Array,
    text_values: &'a StringArray,
}

impl<'a> Attributes<'a> {
    /// Reads a column of the type [`crate::schema::attributes`]; `None` for any other type.
    #[must_use]
    pub fn of(array: &'a dyn Array) -> Option<Self> {
        let list = array.as_list_opt::<i32>()?;
        let entries = list.values().as_struct_opt()?;
        let keys = entries.column(0).as_dictionary_opt::<Int32Type>()?;
        let texts = entries.column(3).as_dictionary_opt::<Int32Type>()?;
        Some(Self {
            offsets: list.offsets(),
            keys: keys.keys(),
            key_values: keys.values().as_string_opt()?,
            types: entries.column(1).as_primitive_opt::<Int8Type>()?,
            numbers: entries.column(2).as_primitive_opt::<Int64Type>()?,
            texts: texts.keys(),
            text_values: texts.values().as_string_opt()?,
        })
    }

    /// The range of entries that belong to `row`, for the entry-wise readers below.
    #[must_use]
    pub fn range(&self, row: usize) -> std::ops::Range<usize> {
        self.offsets[row] as usize..self.offsets[row + 1] as usize
    }

    /// The keys and values of `row`, in the order sent.
    pub fn iter(&self, row: usize) -> impl Iterator<Item = (&'a str, Value<'a>)> + use<'a> {
        let columns = self.clone();
        self.range(row)
            .map(move |entry| (columns.key(entry), columns.value(entry)))
    }

    /// The value of `key` in `row`; where a key repeats, the first.
    #[must_use]
    pub fn get(&self, row: usize, key: &str) -> Option<Value<'a>> {
        self.range(row)
            .find(|&entry| self.key(entry) == key)
            .map(|entry| self.value(entry))
    }

    /// The dictionary indices that stand for `key`. Usually one or none; batches that were joined may have more.
    /// Resolve once a batch, then compare [`Attributes::key_indices`].
    #[must_use]
    pub fn find_key(&self, key: &str) -> Vec<i32> {
        (0..self.key_values.len())
            .filter(|&at| self.key_values.value(at) == key)
            .map(|at| at as i32)
            .collect()
    }

    /// The dictionary index of each entry's key.
    #[must_use]
    pub fn key_indices(&self) -> &'a [i32] {
        self.keys.values()
    }

    /// The distinct keys.
    #[must_use]
    pub fn keys(&self) -> &'a StringArray {
        self.key_values
    }

    /// The type number of each entry.
    #[must_use]
    pub fn types(&self) -> &'a [i8] {
        self.types.values()
    }

    /// The number lane of each entry.
    #[must_use]
    pub fn numbers(&self) -> &'a [i64] {
        self.numbers.values()
    }

    /// The dictionary index of each entry's text.
    #[must_use]
    pub fn text_indices(&self) -> &'a [i32] {
        self.texts.values()
    }

    /// The distinct texts.
    #[must_use]
    pub fn texts(&self) -> &'a StringArray {
        self.text_values
    }

    /// The key of an entry.
    #[must_use]
    pub fn key(&self, entry: usize) -> &'a str {
        self.key_values.value(self.keys.value(entry) as usize)
    }

    /// The value of an entry.
    #[must_use]
    pub fn value(&self, entry: usize) -> Value<'a> {
        let kind = AttributeType::from_number(self.types.value(entry));
        Value::of_lanes(
            kind,
            self.numbers.value(entry),
            self.text_values.value(self.texts.value(entry) as usize),
        )
    }
}

/// An attribute that was appended, to be appended again to another row of the same lists.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    key: i32,
    kind: i8,
    number: i64,
    text: i32,
}

impl Entry {
    /// The place of its key among the keys of the batch, in the order of their first appearance.
    #[must_use]
    pub fn key_index(&self) -> usize {
        self.key as usize
    }
}

/// Attribute lists that grow. Entries are appended to the open list; closing it makes it the next row.
#[derive(Debug)]
pub(crate) struct AttributeLists {
    offsets: Vec<i32>,
    keys: Vec<i32>,
    types: Vec<i8>,
    numbers: Vec<i64>,
    texts: Vec<i32>,
    key_pool: StringPool,
    text_pool: StringPool,
    // By key: the key that followed it last time, and the text it had last time. Spans of one program repeat
    // both, and comparing bytes is cheaper than hashing them. Wrong guesses only cost the comparison.
    next_key: Vec<i32>,
    last_text: Vec<i32>,
    previous_key: usize,
}

const UNKNOWN: i32 = -1;

impl AttributeLists {
    pub(crate) fn new() -> Self {
        let mut text_pool = StringPool::new();
        // Index 0 is the text of values that have none.
        text_pool.intern("");
        Self {
            offsets: vec![0],
            keys: Vec::new(),
            types: Vec::new(),
            numbers: Vec::new(),
            texts: Vec::new(),
            key_pool: StringPool::new(),
            text_pool,
            next_key: Vec::new(),
            last_text: Vec::new(),
            previous_key: 0,
        }
    }

    /// Appends an entry to the open list.
    pub(crate) fn push(&mut self, key: &str, value: Value<'_>) -> Entry {
        let (kind, number, text) = value.lanes();
        let key = self.key(key);
        let text = if text.is_empty() {
            0
        } else {
            self.text(key, text)
        };
        let entry = Entry {
            key: key as i32,
            kind: kind as i8,
            number,
            text,
        };
        self.append(entry);
        entry
    }

    /// Appends an entry that `push` has made.
    pub(crate) fn push_again(&mut self, entry: Entry) {
        self.previous_key = entry.key_index();
        self.append(entry);
    }

    fn append(&mut self, entry: Entry) {
        self.keys.push(entry.key);
        self.types.push(entry.kind);
        self.numbers.push(entry.number);
        self.texts.push(entry.text);
    }

    /// Makes room for `factor` times as many entries and texts as there are.
    pub(crate) fn expect(&mut self, factor: usize) {
        let entries = more(self.keys.len(), factor);
        self.offsets.reserve_exact(more(self.rows(), factor));
        self.keys.reserve_exact(entries);
        self.types.reserve_exact(entries);
        self.numbers.reserve_exact(entries);
        self.texts.reserve_exact(entries);
        self.text_pool.expect(factor);
    }

    fn key(&mut self, key: &str) -> usize {
        let guess = self
            .next_key
            .get(self.previous_key)
            .copied()
            .unwrap_or(UNKNOWN);
        if guess != UNKNOWN && self.key_pool.is(guess as u32, key) {
            self.previous_key = guess as usize;
            return self.previous_key;
        }
        let at = self.key_pool.intern(key) as usize;
        // Long keys are not interned, so an index may be new although the text is not: grow to the index.
        if at >= self.last_text.len() {
            self.last_text.resize(at + 1, UNKNOWN);
            self.next_key.resize(at + 1, UNKNOWN);
        }
        self.next_key[self.previous_key] = at as i32;
        self.previous_key = at;
        at
    }

    fn text(&mut self, key: usize, text: &str) -> i32 {
        let guess = self.last_text[key];
        if guess != UNKNOWN && self.text_pool.is(guess as u32, text) {
            return guess;
        }
        let at = self.text_pool.intern(text) as i32;
        self.last_text[key] = at;
        at
    }

    /// How many entries the open list has.
    pub(crate) fn open_len(&self) -> usize {
        self.keys.len() - self.offsets.last().map_or(0, |&offset| offset as usize)
    }

    /// The text of the open list's first string of this key.
    pub(crate) fn open_string(&self, key: &str) -> Option<String> {
        let open = self.offsets.last().map_or(0, |&offset| offset as usize);
        let entry = (open..self.keys.len()).find(|&entry| {
            self.types[entry] == AttributeType::String as i8
                && self.key_pool.is(self.keys[entry] as u32, key)
        })?;
        Some(self.text_pool.text(self.texts[entry] as u32).into_owned())
    }

    /// Makes the open list the next row and opens an empty one.
    pub(crate) fn close(&mut self) {
        self.offsets.push(self.keys.len() as i32);
    }

    /// How many rows are closed.
    pub(crate) fn rows(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Forgets the open list and every row from `rows` on.
    pub(crate) fn truncate(&mut self, rows: usize) {
        self.offsets.truncate(rows + 1);
        let entries = self.offsets[rows] as usize;
        self.keys.truncate(entries);
        self.types.truncate(entries);
        self.numbers.truncate(entries);
        self.texts.truncate(entries);
    }

    /// Bytes that the columns take.
    pub(crate) fn byte_size(&self) -> usize {
        self.keys.len() * (4 + 1 + 8 + 4)
            + self.offsets.len() * 4
            + self.key_pool.byte_size()
            + self.text_pool.byte_size()
    }

    /// The Arrow list column of the closed rows.
    pub(crate) fn finish(mut self) -> Result<ListArray, ArrowError> {
        self.truncate(self.rows());
        let columns: Vec<ArrayRef> = vec![
            Arc::new(dictionary(self.keys, self.key_pool)?),
            Arc::new(Int8Array::from(self.types)),
            Arc::new(Int64Array::from(self.numbers)),
            Arc::new(dictionary(self.texts, self.text_pool)?),
        ];
        let entries = StructArray::try_new(attribute_fields(), columns, None)?;
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.offsets));
        let item = list_item(DataType::Struct(attribute_fields()));
        ListArray::try_new(item, offsets, Arc::new(entries), None)
    }
}

/// A dictionary column of the pool's strings.
pub(crate) fn dictionary(
    indices: Vec<i32>,
    pool: StringPool,
) -> Result<DictionaryArray<Int32Type>, ArrowError> {
    DictionaryArray::try_new(Int32Array::from(indices), Arc::new(pool.finish()?))
}
