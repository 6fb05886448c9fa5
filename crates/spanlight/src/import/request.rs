//! Units, gathered into requests of a good size.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::protobuf::{MEMBERS, fields};
use super::{Place, Unit};

/// Requests of about this size keep the server busy and its memory small.
const REQUEST_BYTES: usize = 2 << 20;
const REQUEST_SPANS: usize = 20_000;
/// A unit beyond this is split: the server's limit for a request is far above it.
const UNIT_BYTES: usize = 4 << 20;

/// OTLP's two encodings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Protobuf's own.
    Protobuf,
    /// JSON.
    Json,
}

/// Units that are sent together.
#[derive(Debug)]
pub struct Request {
    /// Of one format, at least one.
    pub units: Vec<Unit>,
}

impl Request {
    /// The encoding of the body.
    #[must_use]
    pub fn format(&self) -> Format {
        self.units.first().map_or(Format::Protobuf, |u| u.format)
    }

    /// How many spans it has.
    #[must_use]
    pub fn spans(&self) -> usize {
        self.units.iter().map(|unit| unit.spans).sum()
    }

    /// Where the first of them begins.
    #[must_use]
    pub fn place(&self) -> Option<&Place> {
        self.units.first().map(|unit| &unit.place)
    }

    /// An `ExportTraceServiceRequest`.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        let bytes: usize = self.units.iter().map(|unit| unit.bytes.len() + 8).sum();
        let mut body = Vec::with_capacity(bytes + 32);
        match self.format() {
            Format::Protobuf => {
                for unit in &self.units {
                    member(&mut body, 1, &unit.bytes);
                }
            }
            Format::Json => {
                body.extend_from_slice(Self::JSON_START.as_bytes());
                for (position, unit) in self.units.iter().enumerate() {
                    if position > 0 {
                        body.push(b',');
                    }
                    body.extend_from_slice(&unit.bytes);
                }
                body.extend_from_slice(b"]}");
            }
        }
        body
    }

    /// What stands before the first unit.
    pub const JSON_START: &'static str = "{\"resourceSpans\":[";
}

/// Gathers units.
#[derive(Debug, Default)]
pub struct Requests {
    units: Vec<Unit>,
    bytes: usize,
    spans: usize,
}

impl Requests {
    /// Takes a unit; gives the requests that are complete.
    pub fn add(&mut self, unit: Unit) -> Vec<Request> {
        let mut complete = Vec::new();
        for unit in divide(unit) {
            if self.units.first().is_some_and(|u| u.format != unit.format) {
                complete.extend(self.finish());
            }
            self.bytes += unit.bytes.len();
            self.spans += unit.spans;
            self.units.push(unit);
            if self.bytes >= REQUEST_BYTES || self.spans >= REQUEST_SPANS {
                complete.extend(self.finish());
            }
        }
        complete
    }

    /// What is left.
    pub fn finish(&mut self) -> Option<Request> {
        self.bytes = 0;
        self.spans = 0;
        let units = std::mem::take(&mut self.units);
        (!units.is_empty()).then_some(Request { units })
    }
}

/// A unit that is too large for a request, as several.
fn divide(unit: Unit) -> Vec<Unit> {
    if unit.bytes.len() <= UNIT_BYTES && unit.spans <= REQUEST_SPANS {
        return vec![unit];
    }
    let parts = match unit.format {
        Format::Protobuf => divide_protobuf(&unit.bytes),
        Format::Json => divide_json(&unit.bytes),
    };
    // What cannot be divided goes as it is; the server says what is wrong with it.
    let Some(parts) = parts.filter(|parts| !parts.is_empty()) else {
        return vec![unit];
    };
    let part = |(bytes, spans)| Unit {
        format: unit.format,
        bytes,
        spans,
        place: unit.place.clone(),
    };
    parts.into_iter().map(part).collect()
}

/// The spans of a scope in runs that are small enough: for each run its bytes' total and the spans.
fn runs<T: Copy>(spans: &[T], size: impl Fn(T) -> usize) -> Vec<&[T]> {
    let mut runs = Vec::new();
    let (mut from, mut bytes) = (0, 0);
    for (position, &span) in spans.iter().enumerate() {
        bytes += size(span);
        if bytes >= REQUEST_BYTES || position + 1 - from >= REQUEST_SPANS {
            runs.push(&spans[from..=position]);
            from = position + 1;
            bytes = 0;
        }
    }
    if from < spans.len() {
        runs.push(&spans[from..]);
    }
    runs
}

fn divide_protobuf(unit: &[u8]) -> Option<Vec<(Vec<u8>, usize)>> {
    let mut resource = Vec::new();
    let mut scopes = Vec::new();
    for field in fields(unit, 0..unit.len())? {
        if field.number == MEMBERS {
            scopes.push(field.content);
        } else {
            resource.extend_from_slice(&unit[field.whole]);
        }
    }
    let mut parts = Vec::new();
    for scope in scopes {
        let mut head = Vec::new();
        let mut spans: Vec<&[u8]> = Vec::new();
        for field in fields(unit, scope)? {
            if field.number == MEMBERS {
                spans.push(&unit[field.whole]);
            } else {
                head.extend_from_slice(&unit[field.whole]);
            }
        }
        for run in runs(&spans, <[u8]>::len) {
            let scope = [&head[..], &run.concat()].concat();
            let mut part = resource.clone();
            member(&mut part, MEMBERS, &scope);
            parts.push((part, run.len()));
        }
    }
    Some(parts)
}

fn member(message: &mut Vec<u8>, number: u64, content: &[u8]) {
    varint(message, number << 3 | 2);
    varint(message, content.len() as u64);
    message.extend_from_slice(content);
}

fn varint(message: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        message.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

type Object<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

fn divide_json(unit: &[u8]) -> Option<Vec<(Vec<u8>, usize)>> {
    let mut resource: Object<'_> = serde_json::from_slice(unit).ok()?;
    let scopes = take(&mut resource, &["scopeSpans", "scope_spans"])?;
    let scopes: Vec<Object<'_>> = serde_json::from_str(scopes.get()).ok()?;
    let mut parts = Vec::new();
    for mut scope in scopes {
        let Some(spans) = take(&mut scope, &["spans"]) else {
            continue;
        };
        let spans: Vec<&RawValue> = serde_json::from_str(spans.get()).ok()?;
        for run in runs(&spans, |span| span.get().len()) {
            let spans: Vec<&str> = run.iter().map(|span| span.get()).collect();
            let scope = with_list(&scope, "spans", &spans.join(","))?;
            let part = with_list(&resource, "scopeSpans", &scope)?;
            parts.push((part.into_bytes(), run.len()));
        }
    }
    Some(parts)
}

fn take<'a>(object: &mut Object<'a>, names: &[&str]) -> Option<&'a RawValue> {
    names.iter().find_map(|&name| object.remove(name))
}

/// The object with one more member, a list of these elements.
fn with_list(object: &Object<'_>, name: &str, elements: &str) -> Option<String> {
    let mut text = serde_json::to_string(object).ok()?;
    text.pop();
    if !object.is_empty() {
        text.push(',');
    }
    text.push_str(&format!("\"{name}\":[{elements}]}}"));
    Some(text)
}
