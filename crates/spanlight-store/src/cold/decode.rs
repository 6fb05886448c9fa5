//! Rows of the table to spans; the way back from `cold/encode.rs`. Columns that were not read come back empty.

use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, BinaryArray, DictionaryArray, FixedSizeBinaryArray, Int8Array, Int32Array,
    Int64Array, ListArray, RecordBatch, StringArray, StructArray, UInt32Array, new_empty_array,
};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer};
use arrow_schema::{ArrowError, DataType, FieldRef};
use spanlight_model::schema::{Column, attributes as attributes_type};
use spanlight_model::schema::{attribute_fields, event_fields, link_fields, schema};
use spanlight_model::{AttributeType, SpanBatch, SpanBatchBuilder, SpanKind, StatusCode, Value};

use super::json::Parsed;
use super::schema as table;

/// Why rows are not spans.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DecodeError {
    #[error("column {0} is missing or of another type")]
    Column(&'static str),
    #[error("column {column}: {reason}")]
    Value {
        column: &'static str,
        reason: &'static str,
    },
    #[error("columns do not fit together")]
    Columns(#[from] ArrowError),
}

/// The spans of some rows of the table.
pub(crate) fn decode(rows: &RecordBatch) -> Result<SpanBatch, DecodeError> {
    let rows = Rows(rows);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.ids(table::TRACE_ID, 16)?),
        Arc::new(rows.ids(table::SPAN_ID, 8)?),
        Arc::new(rows.ids(table::PARENT_SPAN_ID, 8)?),
        Arc::new(rows.strings(table::TRACE_STATE)?.clone()),
        Arc::new(rows.counts(table::FLAGS)?),
        Arc::new(rows.texts(table::NAME)?.clone()),
        Arc::new(rows.words(table::KIND, |word| {
            let kinds = SpanKind::ALL.into_iter();
            kinds
                .filter(|kind| kind.as_str() == word)
                .map(|kind| kind as i8)
                .next()
        })?),
        Arc::new(rows.integers(table::START_TIME_UNIX_NANO)?.clone()),
        Arc::new(rows.integers(table::END_TIME_UNIX_NANO)?.clone()),
        Arc::new(rows.words(table::STATUS_CODE, |word| {
            let codes = StatusCode::ALL.into_iter();
            codes
                .filter(|code| code.as_str() == word)
                .map(|code| code as i8)
                .next()
        })?),
        Arc::new(rows.strings(table::STATUS_MESSAGE)?.clone()),
        Arc::new(rows.counts(table::DROPPED_ATTRIBUTES_COUNT)?),
        Arc::new(rows.counts(table::DROPPED_EVENTS_COUNT)?),
        Arc::new(rows.counts(table::DROPPED_LINKS_COUNT)?),
        rows.list(table::ATTRIBUTES, Column::Attributes, |list| {
            attributes(list).map(|list| Arc::new(list) as ArrayRef)
        })?,
        rows.list(table::EVENTS, Column::Events, events)?,
        rows.list(table::LINKS, Column::Links, links)?,
        rows.resources()?,
        rows.scopes()?,
        Arc::new(rows.integers(table::RECEIVED_AT_UNIX_NANO)?.clone()),
    ];
    let batch = RecordBatch::try_new(schema(), columns)?;
    SpanBatch::try_new(batch)
        .map_err(|error| DecodeError::Columns(ArrowError::SchemaError(error.to_string())))
}

struct Rows<'a>(&'a RecordBatch);

impl<'a> Rows<'a> {
    fn column(&self, name: &'static str) -> Result<&'a ArrayRef, DecodeError> {
        self.0.column_by_name(name).ok_or(DecodeError::Column(name))
    }

    fn ids(&self, name: &'static str, width: i32) -> Result<FixedSizeBinaryArray, DecodeError> {
        let array = self.column(name)?.as_binary_opt::<i32>();
        ids(name, array.ok_or(DecodeError::Column(name))?, width)
    }

    fn strings(&self, name: &'static str) -> Result<&'a StringArray, DecodeError> {
        let array = self.column(name)?.as_string_opt();
        array.ok_or(DecodeError::Column(name))
    }

    fn integers(&self, name: &'static str) -> Result<&'a Int64Array, DecodeError> {
        let array = self.column(name)?.as_primitive_opt();
        array.ok_or(DecodeError::Column(name))
    }

    fn counts(&self, name: &'static str) -> Result<UInt32Array, DecodeError> {
        Ok(counts(self.integers(name)?))
    }

    fn texts(&self, name: &'static str) -> Result<&'a DictionaryArray<Int32Type>, DecodeError> {
        let array = self.column(name)?.as_dictionary_opt();
        array.ok_or(DecodeError::Column(name))
    }

    /// The numbers of words; an unknown word is zero, "not said".
    fn words(
        &self,
        name: &'static str,
        number: impl Fn(&str) -> Option<i8>,
    ) -> Result<Int8Array, DecodeError> {
        let texts = self.texts(name)?;
        let values = dictionary_values(name, texts)?;
        let numbers: Vec<i8> = values
            .iter()
            .map(|word| word.and_then(&number).unwrap_or(0))
            .collect();
        let keys = texts.keys().values().iter();
        Ok(keys.map(|&key| numbers[key as usize]).collect())
    }

    fn list(
        &self,
        name: &'static str,
        column: Column,
        convert: impl FnOnce(&ListArray) -> Result<ArrayRef, DecodeError>,
    ) -> Result<ArrayRef, DecodeError> {
        let Some(array) = self.0.column_by_name(name) else {
            return empty_lists(column, self.0.num_rows());
        };
        convert(array.as_list_opt().ok_or(DecodeError::Column(name))?)
    }

    fn resources(&self) -> Result<ArrayRef, DecodeError> {
        let mut builder = SpanBatchBuilder::new(0);
        if self.0.column_by_name(table::RESOURCE).is_some() {
            let texts = self.texts(table::RESOURCE)?;
            for text in dictionary_values(table::RESOURCE, texts)?.iter() {
                let parsed = parse(table::RESOURCE, text)?;
                let mut row = builder.begin_resource();
                parsed
                    .push_attributes(&mut row.attributes())
                    .map_err(value_error(table::RESOURCE))?;
                row.set_schema_url(parsed.text("schemaUrl"));
                row.set_dropped_attributes_count(parsed.dropped_attributes_count());
                let _ = row.commit();
            }
            return dictionary(texts.keys().clone(), builder, Column::Resource);
        }
        let texts = self.texts(table::SERVICE_NAME)?;
        let values = dictionary_values(table::SERVICE_NAME, texts)?;
        for name in values.iter().flatten() {
            let mut row = builder.begin_resource();
            let key = spanlight_model::convention::SERVICE_NAME;
            row.attributes().push(key, Value::String(name));
            let _ = row.commit();
        }
        let _ = builder.begin_resource().commit();
        let nameless = values.len() as i32;
        let keys = texts.keys().iter().map(|key| key.unwrap_or(nameless));
        dictionary(
            Int32Array::from_iter_values(keys),
            builder,
            Column::Resource,
        )
    }

    fn scopes(&self) -> Result<ArrayRef, DecodeError> {
        let mut builder = SpanBatchBuilder::new(0);
        if self.0.column_by_name(table::SCOPE).is_none() {
            let _ = builder.begin_scope().commit();
            let keys = Int32Array::from_value(0, self.0.num_rows());
            return dictionary(keys, builder, Column::Scope);
        }
        let texts = self.texts(table::SCOPE)?;
        for text in dictionary_values(table::SCOPE, texts)?.iter() {
            let parsed = parse(table::SCOPE, text)?;
            let mut row = builder.begin_scope();
            row.set_name(parsed.text("name"));
            row.set_version(parsed.text("version"));
            row.set_schema_url(parsed.text("schemaUrl"));
            row.set_dropped_attributes_count(parsed.dropped_attributes_count());
            parsed
                .push_attributes(&mut row.attributes())
                .map_err(value_error(table::SCOPE))?;
            let _ = row.commit();
        }
        dictionary(texts.keys().clone(), builder, Column::Scope)
    }
}

fn parse(column: &'static str, text: Option<&str>) -> Result<Parsed, DecodeError> {
    Parsed::of(text.unwrap_or("{}")).map_err(value_error(column))
}

fn value_error(column: &'static str) -> impl Fn(&'static str) -> DecodeError {
    move |reason| DecodeError::Value { column, reason }
}

/// A dictionary column whose values are the resources or scopes of a builder without spans.
fn dictionary(
    keys: Int32Array,
    builder: SpanBatchBuilder,
    column: Column,
) -> Result<ArrayRef, DecodeError> {
    let built = builder.finish()?;
    let values = built.column(column).as_any_dictionary().values();
    Ok(Arc::new(DictionaryArray::try_new(
        keys,
        Arc::clone(values),
    )?))
}

fn dictionary_values<'a>(
    name: &'static str,
    texts: &'a DictionaryArray<Int32Type>,
) -> Result<&'a StringArray, DecodeError> {
    let values = texts.values().as_string_opt();
    values.ok_or(DecodeError::Column(name))
}

fn ids(
    name: &'static str,
    array: &BinaryArray,
    width: i32,
) -> Result<FixedSizeBinaryArray, DecodeError> {
    let size = width as usize;
    let mut bytes = Vec::with_capacity(array.len() * size);
    for id in array {
        match id {
            Some(id) if id.len() == size => bytes.extend_from_slice(id),
            None => bytes.resize(bytes.len() + size, 0),
            Some(_) => {
                return Err(DecodeError::Value {
                    column: name,
                    reason: "an id of the wrong length",
                });
            }
        }
    }
    let nulls: Option<NullBuffer> = array.nulls().cloned();
    Ok(FixedSizeBinaryArray::try_new(
        width,
        Buffer::from_vec(bytes),
        nulls,
    )?)
}

fn counts(array: &Int64Array) -> UInt32Array {
    let values = array.values().iter();
    UInt32Array::from_iter_values(values.map(|&value| u32::try_from(value).unwrap_or(u32::MAX)))
}

fn empty_lists(column: Column, rows: usize) -> Result<ArrayRef, DecodeError> {
    let schema = schema();
    let DataType::List(item) = schema.field(column as usize).data_type() else {
        return Err(DecodeError::Column("list"));
    };
    let values = new_empty_array(item.data_type());
    let offsets = OffsetBuffer::new_zeroed(rows);
    Ok(Arc::new(ListArray::try_new(
        Arc::clone(item),
        offsets,
        values,
        None,
    )?))
}

fn field<'a>(
    entries: &'a StructArray,
    column: &'static str,
    name: &str,
) -> Result<&'a ArrayRef, DecodeError> {
    entries
        .column_by_name(name)
        .ok_or(DecodeError::Column(column))
}

fn entries<'a>(list: &'a ListArray, column: &'static str) -> Result<&'a StructArray, DecodeError> {
    list.values()
        .as_struct_opt()
        .ok_or(DecodeError::Column(column))
}

/// The field of the elements of the model's attribute lists.
fn attribute_item() -> Result<FieldRef, DecodeError> {
    match attributes_type() {
        DataType::List(item) => Ok(item),
        _ => Err(DecodeError::Column(table::ATTRIBUTES)),
    }
}

fn attributes(list: &ListArray) -> Result<ListArray, DecodeError> {
    const NAME: &str = table::ATTRIBUTES;
    let values = entries(list, NAME)?;
    let lanes = Lanes::of(values)?;
    let keys = field(values, NAME, "key")?;
    let columns: Vec<ArrayRef> = vec![
        Arc::clone(keys),
        Arc::new(Int8Array::from(lanes.types)),
        Arc::new(Int64Array::from(lanes.numbers)),
        Arc::new(DictionaryArray::<Int32Type>::try_new(
            Int32Array::from(lanes.texts),
            Arc::new(lanes.text_values),
        )?),
    ];
    let entries = StructArray::try_new(attribute_fields(), columns, None)?;
    let offsets = list.offsets().clone();
    Ok(ListArray::try_new(
        attribute_item()?,
        offsets,
        Arc::new(entries),
        None,
    )?)
}

/// The model's lanes of attribute values, from the table's.
struct Lanes {
    types: Vec<i8>,
    numbers: Vec<i64>,
    texts: Vec<i32>,
    text_values: StringArray,
}

impl Lanes {
    fn of(entries: &StructArray) -> Result<Self, DecodeError> {
        const NAME: &str = table::ATTRIBUTES;
        let missing = || DecodeError::Column(NAME);
        let texts = |name| {
            let array = field(entries, NAME, name)?.as_dictionary_opt::<Int32Type>();
            array.ok_or_else(missing)
        };
        let (strings, jsons) = (texts("string")?, texts("json")?);
        let ints = field(entries, NAME, "int")?.as_primitive_opt::<Int64Type>();
        let ints = ints.ok_or_else(missing)?;
        let doubles = field(entries, NAME, "double")?.as_primitive_opt::<Float64Type>();
        let doubles = doubles.ok_or_else(missing)?;
        let bools = field(entries, NAME, "bool")?.as_boolean_opt();
        let bools = bools.ok_or_else(missing)?;

        // The strings, the empty text of values that have none, the texts of the rest.
        let string_values = dictionary_values(NAME, strings)?;
        let no_text = string_values.len() as i32;
        let mut text_values = StringBuilder::new();
        for value in string_values {
            text_values.append_value(value.unwrap_or(""));
        }
        text_values.append_value("");
        let mut json_types = Vec::new();
        for value in dictionary_values(NAME, jsons)? {
            let (kind, text) = text_form(value.unwrap_or(""));
            json_types.push(kind);
            text_values.append_value(text);
        }

        let count = entries.len();
        let mut lanes = Self {
            types: Vec::with_capacity(count),
            numbers: Vec::with_capacity(count),
            texts: Vec::with_capacity(count),
            text_values: text_values.finish(),
        };
        for entry in 0..count {
            let (kind, number, text) = if strings.is_valid(entry) {
                (AttributeType::String, 0, strings.keys().value(entry))
            } else if ints.is_valid(entry) {
                (AttributeType::Int, ints.value(entry), no_text)
            } else if bools.is_valid(entry) {
                let number = i64::from(bools.value(entry));
                (AttributeType::Bool, number, no_text)
            } else if doubles.is_valid(entry) {
                let bits = doubles.value(entry).to_bits() as i64;
                (AttributeType::Double, bits, no_text)
            } else if jsons.is_valid(entry) {
                let json = jsons.keys().value(entry);
                (json_types[json as usize], 0, no_text + 1 + json)
            } else {
                (AttributeType::Empty, 0, no_text)
            };
            lanes.types.push(kind as i8);
            lanes.numbers.push(number);
            lanes.texts.push(text);
        }
        Ok(lanes)
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

fn nested_attributes(
    entries: &StructArray,
    column: &'static str,
) -> Result<ListArray, DecodeError> {
    let list = field(entries, column, "attributes")?.as_list_opt();
    attributes(list.ok_or(DecodeError::Column(column))?)
}

fn nested_counts(
    entries: &StructArray,
    column: &'static str,
    name: &str,
) -> Result<UInt32Array, DecodeError> {
    let array = field(entries, column, name)?.as_primitive_opt::<Int64Type>();
    Ok(counts(array.ok_or(DecodeError::Column(column))?))
}

fn events(list: &ListArray) -> Result<ArrayRef, DecodeError> {
    const NAME: &str = table::EVENTS;
    let values = entries(list, NAME)?;
    let columns: Vec<ArrayRef> = vec![
        Arc::clone(field(values, NAME, "time_unix_nano")?),
        Arc::clone(field(values, NAME, "name")?),
        Arc::new(nested_attributes(values, NAME)?),
        Arc::new(nested_counts(values, NAME, "dropped_attributes_count")?),
    ];
    let values = StructArray::try_new(event_fields(), columns, None)?;
    relist(list, Column::Events, values)
}

fn links(list: &ListArray) -> Result<ArrayRef, DecodeError> {
    const NAME: &str = table::LINKS;
    let values = entries(list, NAME)?;
    let id = |name: &str, width| {
        let array = field(values, NAME, name)?.as_binary_opt::<i32>();
        ids(NAME, array.ok_or(DecodeError::Column(NAME))?, width)
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(id("trace_id", 16)?),
        Arc::new(id("span_id", 8)?),
        Arc::clone(field(values, NAME, "trace_state")?),
        Arc::new(nested_attributes(values, NAME)?),
        Arc::new(nested_counts(values, NAME, "dropped_attributes_count")?),
        Arc::new(nested_counts(values, NAME, "flags")?),
    ];
    let values = StructArray::try_new(link_fields(), columns, None)?;
    relist(list, Column::Links, values)
}

/// The same lists with other elements.
fn relist(list: &ListArray, column: Column, values: StructArray) -> Result<ArrayRef, DecodeError> {
    let schema = schema();
    let DataType::List(item) = schema.field(column as usize).data_type() else {
        return Err(DecodeError::Column("list"));
    };
    Ok(Arc::new(ListArray::try_new(
        Arc::clone(item),
        list.offsets().clone(),
        Arc::new(values),
        None,
    )?))
}
