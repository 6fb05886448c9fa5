//! Attribute values as a tree, and their text form.
//!
//! Scalars live in columns (see [`crate::schema`]); arrays, key-value lists and bytes are rare, and are kept as
//! text: bytes as standard base64, the nested ones as OTLP's JSON encoding of `AnyValue`
//! (<https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>), which is lossless and which people and
//! other engines can read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value as Json};

/// An attribute value that owns its parts. Decoders build it only for arrays and key-value lists.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum AnyValue {
    /// A value that was sent without any of its kinds set (null).
    #[default]
    Empty,
    /// Text.
    String(String),
    /// A truth value.
    Bool(bool),
    /// A signed 64-bit integer.
    Int(i64),
    /// A 64-bit float, NaN and the infinities included.
    Double(f64),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A list; elements may differ in kind.
    Array(Vec<AnyValue>),
    /// Keys and values in the order sent; keys may repeat.
    KeyValueList(Vec<(String, AnyValue)>),
}

/// Why a text is not the encoding of a value.
#[derive(Debug, thiserror::Error)]
pub enum ValueError {
    /// Not JSON at all.
    #[error("not JSON")]
    Json(#[from] serde_json::Error),
    /// JSON of another shape than OTLP's `AnyValue`.
    #[error("not an attribute value: {0}")]
    Shape(&'static str),
}

impl AnyValue {
    /// The text form of an array or a key-value list (and, for tests and tools, of any other value).
    #[must_use]
    pub fn to_json(&self) -> String {
        self.as_json().to_string()
    }

    /// Reads what [`AnyValue::to_json`] wrote.
    ///
    /// # Errors
    /// [`ValueError`] when the text is not JSON of that shape.
    pub fn from_json(text: &str) -> Result<Self, ValueError> {
        Self::of_json(&serde_json::from_str(text)?)
    }

    fn as_json(&self) -> Json {
        let (kind, value) = match self {
            Self::Empty => return Json::Object(Map::new()),
            Self::String(text) => ("stringValue", Json::from(text.as_str())),
            Self::Bool(truth) => ("boolValue", Json::from(*truth)),
            // Text, because JSON readers commonly lose integers beyond 2^53.
            Self::Int(number) => ("intValue", Json::from(number.to_string())),
            Self::Double(number) => ("doubleValue", double_to_json(*number)),
            Self::Bytes(bytes) => ("bytesValue", Json::from(encode_bytes(bytes))),
            Self::Array(values) => (
                "arrayValue",
                values_object(values.iter().map(Self::as_json).collect()),
            ),
            Self::KeyValueList(entries) => (
                "kvlistValue",
                values_object(entries.iter().map(entry_to_json).collect()),
            ),
        };
        Json::Object(Map::from_iter([(kind.to_owned(), value)]))
    }

    fn of_json(json: &Json) -> Result<Self, ValueError> {
        let Json::Object(object) = json else {
            return Err(ValueError::Shape("expected an object"));
        };
        let Some((kind, value)) = object.iter().next() else {
            return Ok(Self::Empty);
        };
        match (kind.as_str(), value) {
            ("stringValue", Json::String(text)) => Ok(Self::String(text.clone())),
            ("boolValue", Json::Bool(truth)) => Ok(Self::Bool(*truth)),
            ("intValue", Json::String(text)) => text
                .parse()
                .map(Self::Int)
                .map_err(|_| ValueError::Shape("intValue is no integer")),
            ("doubleValue", value) => double_of_json(value).map(Self::Double),
            ("bytesValue", Json::String(text)) => decode_bytes(text).map(Self::Bytes),
            ("arrayValue", value) => values_of(value)?
                .iter()
                .map(Self::of_json)
                .collect::<Result<_, _>>()
                .map(Self::Array),
            ("kvlistValue", value) => values_of(value)?
                .iter()
                .map(entry_of_json)
                .collect::<Result<_, _>>()
                .map(Self::KeyValueList),
            _ => Err(ValueError::Shape("unknown kind of value")),
        }
    }
}

/// Bytes as the text that stands for them.
pub(crate) fn encode_bytes(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The bytes that a text stands for.
pub(crate) fn decode_bytes(text: &str) -> Result<Vec<u8>, ValueError> {
    STANDARD
        .decode(text)
        .map_err(|_| ValueError::Shape("bytesValue is not base64"))
}

fn values_object(values: Vec<Json>) -> Json {
    Json::Object(Map::from_iter([("values".to_owned(), Json::Array(values))]))
}

fn values_of(json: &Json) -> Result<&[Json], ValueError> {
    json.get("values")
        .and_then(Json::as_array)
        .map(Vec::as_slice)
        .ok_or(ValueError::Shape("no values"))
}

fn entry_to_json((key, value): &(String, AnyValue)) -> Json {
    Json::Object(Map::from_iter([
        ("key".to_owned(), Json::from(key.as_str())),
        ("value".to_owned(), value.as_json()),
    ]))
}

fn entry_of_json(json: &Json) -> Result<(String, AnyValue), ValueError> {
    let key = json
        .get("key")
        .and_then(Json::as_str)
        .ok_or(ValueError::Shape("entry without key"))?;
    let value = json
        .get("value")
        .map_or(Ok(AnyValue::Empty), AnyValue::of_json)?;
    Ok((key.to_owned(), value))
}

// Protobuf's JSON mapping spells the numbers that JSON lacks as strings.
fn double_to_json(number: f64) -> Json {
    serde_json::Number::from_f64(number).map_or_else(
        || {
            Json::from(if number.is_nan() {
                "NaN"
            } else if number > 0.0 {
                "Infinity"
            } else {
                "-Infinity"
            })
        },
        Json::Number,
    )
}

fn double_of_json(json: &Json) -> Result<f64, ValueError> {
    match json {
        Json::Number(number) => number
            .as_f64()
            .ok_or(ValueError::Shape("doubleValue out of range")),
        Json::String(text) => match text.as_str() {
            "NaN" => Ok(f64::NAN),
            "Infinity" => Ok(f64::INFINITY),
            "-Infinity" => Ok(f64::NEG_INFINITY),
            _ => Err(ValueError::Shape("doubleValue is no number")),
        },
        _ => Err(ValueError::Shape("doubleValue is no number")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_value() -> impl Strategy<Value = AnyValue> {
        let leaf = prop_oneof![
            Just(AnyValue::Empty),
            any::<String>().prop_map(AnyValue::String),
            any::<bool>().prop_map(AnyValue::Bool),
            any::<i64>().prop_map(AnyValue::Int),
            any::<f64>()
                .prop_filter("NaN is not equal to itself", |n| !n.is_nan())
                .prop_map(AnyValue::Double),
            any::<Vec<u8>>().prop_map(AnyValue::Bytes),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(AnyValue::Array),
                prop::collection::vec((any::<String>(), inner), 0..6)
                    .prop_map(AnyValue::KeyValueList),
            ]
        })
    }

    proptest! {
        #[test]
        fn text_form_round_trips(value in any_value()) {
            prop_assert_eq!(AnyValue::from_json(&value.to_json()).unwrap(), value);
        }
    }

    #[test]
    fn nan_survives() {
        let text = AnyValue::Array(vec![AnyValue::Double(f64::NAN)]).to_json();
        assert_eq!(text, r#"{"arrayValue":{"values":[{"doubleValue":"NaN"}]}}"#);
        assert!(matches!(
            AnyValue::from_json(&text).unwrap(),
            AnyValue::Array(values) if matches!(values[..], [AnyValue::Double(n)] if n.is_nan())
        ));
    }
}
