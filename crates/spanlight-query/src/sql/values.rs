//! Attribute values as SQL has them: a number, a truth value or a text; and all of a span as plain JSON.

use std::borrow::Cow;

use serde_json::{Map, Number, Value as Json};
use spanlight_model::{AnyValue, Attributes, Value};

use super::types::Types;

/// A value of a column.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell<'a> {
    Null,
    Int(i64),
    Double(f64),
    Bool(bool),
    Text(Cow<'a, str>),
}

/// A value in a column of these types; nothing where it is of another.
pub(super) fn cell(value: Value<'_>, types: Types) -> Cell<'_> {
    match value {
        _ if !types.has(value.lanes().0) => Cell::Null,
        Value::Empty => Cell::Null,
        Value::Int(number) => Cell::Int(number),
        Value::Double(number) => Cell::Double(number),
        Value::Bool(truth) => Cell::Bool(truth),
        Value::String(text) | Value::Bytes(text) => Cell::Text(Cow::Borrowed(text)),
        Value::Array(_) | Value::KeyValueList(_) => Cell::Text(plain(value).to_string().into()),
    }
}

impl<'a> Cell<'a> {
    pub(super) fn int(self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(number),
            _ => None,
        }
    }

    pub(super) fn double(self) -> Option<f64> {
        match self {
            Self::Int(number) => Some(number as f64),
            Self::Double(number) => Some(number),
            _ => None,
        }
    }

    pub(super) fn bool(self) -> Option<bool> {
        match self {
            Self::Bool(truth) => Some(truth),
            _ => None,
        }
    }

    pub(super) fn into_text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Null => None,
            Self::Int(number) => Some(number.to_string().into()),
            Self::Double(number) => Some(number.to_string().into()),
            Self::Bool(truth) => Some(if truth { "true" } else { "false" }.into()),
            Self::Text(text) => Some(text),
        }
    }
}

/// The attributes of a row as a JSON object; of a key that repeats, the first.
pub(super) fn json_of(attributes: &Attributes<'_>, row: usize) -> String {
    let mut object = Map::new();
    for (key, value) in attributes.iter(row) {
        if !object.contains_key(key) {
            object.insert(key.to_owned(), plain(value));
        }
    }
    Json::Object(object).to_string()
}

/// A value without its type: what JSON has no number for is text.
fn plain(value: Value<'_>) -> Json {
    match value {
        Value::Empty => Json::Null,
        Value::String(text) | Value::Bytes(text) => text.into(),
        Value::Bool(truth) => truth.into(),
        Value::Int(number) => number.into(),
        Value::Double(number) => double(number),
        // The text form is damaged, which the builder never writes.
        Value::Array(text) | Value::KeyValueList(text) => value
            .to_any()
            .map_or_else(|_| text.into(), |value| tree(&value)),
    }
}

fn tree(value: &AnyValue) -> Json {
    match value {
        AnyValue::Empty => Json::Null,
        AnyValue::String(text) => text.as_str().into(),
        AnyValue::Bool(truth) => (*truth).into(),
        AnyValue::Int(number) => (*number).into(),
        AnyValue::Double(number) => double(*number),
        // As base64, which its typed form has already.
        AnyValue::Bytes(_) => {
            let typed: Json = serde_json::from_str(&value.to_json()).unwrap_or_default();
            typed.get("bytesValue").cloned().unwrap_or_default()
        }
        AnyValue::Array(values) => values.iter().map(tree).collect(),
        AnyValue::KeyValueList(entries) => {
            let entries = entries.iter();
            Json::Object(
                entries
                    .map(|(key, value)| (key.clone(), tree(value)))
                    .collect(),
            )
        }
    }
}

fn double(number: f64) -> Json {
    match Number::from_f64(number) {
        Some(number) => Json::Number(number),
        None => number.to_string().into(),
    }
}
