//! Attributes and their values. Scalars go to the columns as they are; arrays and key-value lists become their
//! text form (OTLP JSON, as `spanlight_model::AnyValue` reads it) without a tree in between.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use spanlight_model::{AttributeSink, Entry, Value};

use super::names::{ANY_VALUE, KEY_VALUE};
use super::repeat::Repeats;
use crate::otlp::notes::Notes;
use crate::protobuf::{Malformed, Read, Reader, Wire, Within};

/// An `AnyValue` whose parts are still bytes.
#[derive(Debug, Clone, Copy)]
enum Sent<'a> {
    Empty,
    String(&'a [u8]),
    Bool(bool),
    Int(i64),
    Double(f64),
    Array(&'a [u8]),
    KeyValueList(&'a [u8]),
    Bytes(&'a [u8]),
}

/// Reads a `KeyValue` into the row; says whether it was kept.
pub(super) fn push_attribute(
    mut sink: AttributeSink<'_>,
    notes: &mut Notes<'_>,
    message: &[u8],
) -> Read<bool> {
    if sink.count() >= notes.limits.attributes_per_span {
        notes.dropped_attribute("too many attributes");
        return Ok(false);
    }
    Ok(!matches!(read(&mut sink, notes, message)?, Kept::Not))
}

/// The same for an attribute of a span, which may be one that came before.
#[inline]
pub(super) fn push_attribute_again<'a>(
    mut sink: AttributeSink<'_>,
    notes: &mut Notes<'_>,
    repeats: &mut Repeats<'a>,
    message: &'a [u8],
) -> Read<bool> {
    if sink.count() >= notes.limits.attributes_per_span {
        notes.dropped_attribute("too many attributes");
        return Ok(false);
    }
    if let Some(entry) = repeats.find(message) {
        sink.push_again(entry);
        return Ok(true);
    }
    match read(&mut sink, notes, message)? {
        Kept::AsSent(entry) => repeats.note(message, entry),
        Kept::InOtherForm => {}
        Kept::Not => return Ok(false),
    }
    Ok(true)
}

/// What became of an attribute.
enum Kept {
    AsSent(Entry),
    /// Repaired or nested: each time it is read and counted anew.
    InOtherForm,
    Not,
}

fn read(sink: &mut AttributeSink<'_>, notes: &mut Notes<'_>, message: &[u8]) -> Read<Kept> {
    let (sent_key, value) = key_value(message)?;
    let key = notes.text(sent_key);
    let mut is_as_sent = matches!(key, Cow::Borrowed(_));
    let entry = match value {
        Sent::String(text) => {
            let text = notes.text(text);
            is_as_sent &= matches!(text, Cow::Borrowed(_));
            sink.push(&key, Value::String(&text))
        }
        Sent::Int(number) => sink.push(&key, Value::Int(number)),
        Sent::Bool(truth) => sink.push(&key, Value::Bool(truth)),
        Sent::Double(number) => sink.push(&key, Value::Double(number)),
        Sent::Empty => sink.push(&key, Value::Empty),
        Sent::Bytes(bytes) => {
            sink.push_bytes(&key, bytes);
            return Ok(Kept::InOtherForm);
        }
        Sent::Array(_) | Sent::KeyValueList(_) => {
            match nested_text(value, notes) {
                Ok(text) if matches!(value, Sent::Array(_)) => sink.push(&key, Value::Array(&text)),
                Ok(text) => sink.push(&key, Value::KeyValueList(&text)),
                Err(Stop::Malformed(malformed)) => return Err(malformed),
                Err(Stop::TooMuch(problem)) => {
                    notes.dropped_attribute_named(&key, problem);
                    return Ok(Kept::Not);
                }
            };
            return Ok(Kept::InOtherForm);
        }
    };
    Ok(if is_as_sent {
        Kept::AsSent(entry)
    } else {
        Kept::InOtherForm
    })
}

#[inline]
fn key_value(message: &[u8]) -> Read<(&[u8], Sent<'_>)> {
    let mut key: &[u8] = b"";
    let mut value = Sent::Empty;
    let mut reader = Reader::new(message);
    while let Some(field) = reader.next().of_message(KEY_VALUE)? {
        match (field.number, field.value) {
            (1, Wire::Bytes(bytes)) => key = bytes,
            (2, Wire::Bytes(bytes)) => value = any_value(bytes).within("value")?,
            _ => {}
        }
    }
    Ok((key, value))
}

#[inline]
fn any_value(message: &[u8]) -> Read<Sent<'_>> {
    let mut value = Sent::Empty;
    let mut reader = Reader::new(message);
    while let Some(field) = reader.next().of_message(ANY_VALUE)? {
        value = match (field.number, field.value) {
            (1, Wire::Bytes(bytes)) => Sent::String(bytes),
            (2, Wire::Varint(number)) => Sent::Bool(number != 0),
            (3, Wire::Varint(number)) => Sent::Int(number as i64),
            (4, Wire::Fixed64(bits)) => Sent::Double(f64::from_bits(bits)),
            (5, Wire::Bytes(bytes)) => Sent::Array(bytes),
            (6, Wire::Bytes(bytes)) => Sent::KeyValueList(bytes),
            (7, Wire::Bytes(bytes)) => Sent::Bytes(bytes),
            _ => value,
        };
    }
    Ok(value)
}

/// Why a nested value is not kept.
enum Stop {
    Malformed(Box<Malformed>),
    TooMuch(&'static str),
}

impl From<Box<Malformed>> for Stop {
    fn from(malformed: Box<Malformed>) -> Self {
        Self::Malformed(malformed)
    }
}

fn nested_text(value: Sent<'_>, notes: &mut Notes<'_>) -> Result<String, Stop> {
    let mut writer = TextWriter {
        text: String::new(),
        elements_left: notes.limits.value_elements,
        repaired: false,
    };
    writer.value(value, notes.limits.value_depth())?;
    if writer.repaired {
        notes.invalid_text();
    }
    Ok(writer.text)
}

struct TextWriter {
    text: String,
    elements_left: usize,
    repaired: bool,
}

impl TextWriter {
    // Recursion is bounded by `levels_left`.
    fn value(&mut self, value: Sent<'_>, levels_left: usize) -> Result<(), Stop> {
        match value {
            Sent::Empty => self.text.push_str("{}"),
            Sent::String(bytes) => {
                self.text.push_str(r#"{"stringValue":"#);
                self.string(bytes);
                self.text.push('}');
            }
            Sent::Bool(true) => self.text.push_str(r#"{"boolValue":true}"#),
            Sent::Bool(false) => self.text.push_str(r#"{"boolValue":false}"#),
            Sent::Int(number) => self.scalar("intValue", &format!("\"{number}\"")),
            Sent::Double(number) => self.scalar("doubleValue", &double(number)),
            Sent::Bytes(bytes) => {
                self.scalar("bytesValue", &format!("\"{}\"", STANDARD.encode(bytes)));
            }
            Sent::Array(message) => {
                self.text.push_str(r#"{"arrayValue":{"values":["#);
                self.elements(message, levels_left, |writer, element, levels_left| {
                    writer.value(any_value(element)?, levels_left)
                })?;
                self.text.push_str("]}}");
            }
            Sent::KeyValueList(message) => {
                self.text.push_str(r#"{"kvlistValue":{"values":["#);
                self.elements(message, levels_left, |writer, element, levels_left| {
                    let (key, value) = key_value(element)?;
                    writer.text.push_str(r#"{"key":"#);
                    writer.string(key);
                    writer.text.push_str(r#","value":"#);
                    writer.value(value, levels_left)?;
                    writer.text.push('}');
                    Ok(())
                })?;
                self.text.push_str("]}}");
            }
        }
        Ok(())
    }

    fn elements(
        &mut self,
        message: &[u8],
        levels_left: usize,
        mut write: impl FnMut(&mut Self, &[u8], usize) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let levels_left = levels_left
            .checked_sub(1)
            .ok_or(Stop::TooMuch("is nested too deeply"))?;
        let mut is_first = true;
        let mut reader = Reader::new(message);
        while let Some(field) = reader.next()? {
            if let (1, Wire::Bytes(element)) = (field.number, field.value) {
                self.elements_left = self
                    .elements_left
                    .checked_sub(1)
                    .ok_or(Stop::TooMuch("has too many values in it"))?;
                if !is_first {
                    self.text.push(',');
                }
                is_first = false;
                write(self, element, levels_left)?;
            }
        }
        Ok(())
    }

    fn scalar(&mut self, kind: &str, json: &str) {
        for part in ["{\"", kind, "\":", json, "}"] {
            self.text.push_str(part);
        }
    }

    fn string(&mut self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        self.repaired |= matches!(text, Cow::Owned(_));
        let needs_escape = |byte| byte < b' ' || byte == b'"' || byte == b'\\';
        if text.bytes().any(needs_escape) {
            self.text
                .push_str(&serde_json::Value::from(text).to_string());
        } else {
            self.text.push('"');
            self.text.push_str(&text);
            self.text.push('"');
        }
    }
}

fn double(number: f64) -> String {
    match serde_json::Number::from_f64(number) {
        Some(number) => number.to_string(),
        None if number.is_nan() => "\"NaN\"".to_owned(),
        None if number > 0.0 => "\"Infinity\"".to_owned(),
        None => "\"-Infinity\"".to_owned(),
    }
}
