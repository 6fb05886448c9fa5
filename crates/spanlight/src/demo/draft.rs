//! A span while an example system writes it: OTLP's own structure with short ways to fill it.

use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::{Span, Status, status::StatusCode};

/// What travels from span to span: the two ids of W3C trace context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// The trace.
    pub trace_id: [u8; 16],
    /// The span that others name as their parent.
    pub span_id: [u8; 8],
}

/// A thrown error as a language's tracing library records it.
#[derive(Debug, Clone, Copy)]
pub struct Exception {
    /// The class, with its module where the language has one.
    pub class: &'static str,
    /// What it says.
    pub message: &'static str,
    /// The stack trace, in the language's own form.
    pub stacktrace: &'static str,
}

/// A span without its end.
#[derive(Debug)]
#[must_use = "a draft becomes a span with `end`"]
pub struct Draft {
    context: Context,
    span: Span,
}

// The low byte is W3C's `sampled`; OTLP adds that the parent's locality is known.
const SAMPLED: u32 = 0x101;

impl Draft {
    /// A span that starts at a time in unix nanoseconds.
    pub fn new(
        context: Context,
        parent: Option<Context>,
        name: &str,
        kind: SpanKind,
        start: u64,
    ) -> Self {
        let span = Span {
            trace_id: context.trace_id.to_vec(),
            span_id: context.span_id.to_vec(),
            parent_span_id: parent.map_or_else(Vec::new, |parent| parent.span_id.to_vec()),
            flags: SAMPLED,
            name: name.to_owned(),
            kind: kind as i32,
            start_time_unix_nano: start,
            ..Span::default()
        };
        Self { context, span }
    }

    /// What a child needs.
    #[must_use]
    pub fn context(&self) -> Context {
        self.context
    }

    /// Adds an attribute.
    pub fn with(mut self, key: &str, value: impl IntoValue) -> Self {
        self.set(key, value);
        self
    }

    /// Adds attributes.
    pub fn with_all(mut self, attributes: Vec<KeyValue>) -> Self {
        self.span.attributes.extend(attributes);
        self
    }

    /// Adds an attribute.
    pub fn set(&mut self, key: &str, value: impl IntoValue) {
        self.span.attributes.push(attribute(key, value));
    }

    /// Adds an event at a time in unix nanoseconds.
    pub fn event(&mut self, name: &str, at: u64, attributes: Vec<KeyValue>) {
        self.span.events.push(Event {
            time_unix_nano: at,
            name: name.to_owned(),
            attributes,
            dropped_attributes_count: 0,
        });
    }

    /// Records an exception that ended the span's work.
    pub fn fail(&mut self, at: u64, exception: Exception) {
        let attributes = vec![
            attribute("exception.type", exception.class),
            attribute("exception.message", exception.message),
            attribute("exception.stacktrace", exception.stacktrace),
        ];
        self.event("exception", at, attributes);
        self.set_error(&format!("{}: {}", exception.class, exception.message));
    }

    /// Marks the span as failed.
    pub fn set_error(&mut self, message: &str) {
        self.span.status = Some(Status {
            message: message.to_owned(),
            code: StatusCode::Error as i32,
        });
    }

    /// Adds a link to another span.
    pub fn link(&mut self, to: Context, attributes: Vec<KeyValue>) {
        self.span.links.push(Link {
            trace_id: to.trace_id.to_vec(),
            span_id: to.span_id.to_vec(),
            attributes,
            flags: SAMPLED,
            ..Link::default()
        });
    }

    /// The span, ended at a time in unix nanoseconds.
    #[must_use]
    pub fn end(mut self, at: u64) -> Span {
        self.span.end_time_unix_nano = at;
        self.span
    }
}

/// What an attribute can be given.
pub trait IntoValue {
    /// As OTLP has it.
    fn into_value(self) -> Value;
}

impl IntoValue for &str {
    fn into_value(self) -> Value {
        Value::StringValue(self.to_owned())
    }
}

impl IntoValue for String {
    fn into_value(self) -> Value {
        Value::StringValue(self)
    }
}

impl IntoValue for i64 {
    fn into_value(self) -> Value {
        Value::IntValue(self)
    }
}

impl IntoValue for f64 {
    fn into_value(self) -> Value {
        Value::DoubleValue(self)
    }
}

impl IntoValue for bool {
    fn into_value(self) -> Value {
        Value::BoolValue(self)
    }
}

impl IntoValue for &[&str] {
    fn into_value(self) -> Value {
        let values = self
            .iter()
            .map(|text| AnyValue {
                value: Some(text.into_value()),
            })
            .collect();
        Value::ArrayValue(ArrayValue { values })
    }
}

/// A key with its value.
pub fn attribute(key: &str, value: impl IntoValue) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(value.into_value()),
        }),
        ..KeyValue::default()
    }
}
