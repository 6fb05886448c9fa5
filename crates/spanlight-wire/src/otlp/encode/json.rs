//! Spans as JSON: in OTLP's own encoding, and in protobuf's standard one, which Tempo uses.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use spanlight_model::{EventRef, LinkRef, SpanBatch, SpanKind, SpanRef, StatusCode, Value};

use super::group::{ResourceGroup, ScopeGroup, group};

/// Where the two encodings differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// OTLP: ids in hexadecimal, enums as numbers.
    Otlp,
    /// Protobuf: ids in base64, enums as names.
    Protobuf,
}

impl Style {
    fn id(self, id: &[u8]) -> String {
        match self {
            Self::Otlp => id.iter().map(|byte| format!("{byte:02x}")).collect(),
            Self::Protobuf => STANDARD.encode(id),
        }
    }

    fn number_or_name(self, number: i8, name: &'static str) -> Option<NumberOrName> {
        (number != 0).then_some(match self {
            Self::Otlp => NumberOrName::Number(number),
            Self::Protobuf => NumberOrName::Name(name),
        })
    }
}

/// The list of `ResourceSpans`, written one span at a time.
pub(crate) struct TracesJson<'a> {
    pub(crate) batch: &'a SpanBatch,
    pub(crate) style: Style,
}

impl Serialize for TracesJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let groups = group(self.batch);
        serializer.collect_seq(
            groups
                .iter()
                .map(|group| ResourceSpans::of(self.batch, group, self.style)),
        )
    }
}

/// JSON of what [`TracesJson`] is a part of.
pub(crate) fn json_text(json: &impl Serialize) -> String {
    // Fails only for keys that are no text, and on writers that fail; a string is none.
    serde_json::to_string(json).unwrap_or_default()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans<'a> {
    resource: Resource<'a>,
    scope_spans: Vec<ScopeSpans<'a>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    schema_url: &'a str,
}

impl<'a> ResourceSpans<'a> {
    fn of(batch: &'a SpanBatch, group: &'a ResourceGroup, style: Style) -> Self {
        let resource = batch.span(group.first_row()).resource();
        Self {
            resource: Resource {
                attributes: attributes(resource.attributes()),
                dropped_attributes_count: resource.dropped_attributes_count(),
            },
            scope_spans: group
                .scopes
                .iter()
                .map(|group| ScopeSpans::of(batch, group, style))
                .collect(),
            schema_url: resource.schema_url(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Resource<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attributes: Vec<KeyValue<'a>>,
    #[serde(skip_serializing_if = "is_zero")]
    dropped_attributes_count: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ScopeSpans<'a> {
    scope: Scope<'a>,
    spans: Spans<'a>,
    #[serde(skip_serializing_if = "str::is_empty")]
    schema_url: &'a str,
}

impl<'a> ScopeSpans<'a> {
    fn of(batch: &'a SpanBatch, group: &'a ScopeGroup, style: Style) -> Self {
        let scope = batch.span(group.first_row()).scope();
        Self {
            scope: Scope {
                name: scope.name(),
                version: scope.version(),
                attributes: attributes(scope.attributes()),
                dropped_attributes_count: scope.dropped_attributes_count(),
            },
            spans: Spans {
                batch,
                rows: &group.rows,
                style,
            },
            schema_url: scope.schema_url(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Scope<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    version: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attributes: Vec<KeyValue<'a>>,
    #[serde(skip_serializing_if = "is_zero")]
    dropped_attributes_count: u32,
}

struct Spans<'a> {
    batch: &'a SpanBatch,
    rows: &'a [usize],
    style: Style,
}

impl Serialize for Spans<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let columns = self.batch.columns();
        serializer.collect_seq(
            self.rows
                .iter()
                .map(|&row| Span::of(&columns.span(row), self.style)),
        )
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Span<'a> {
    trace_id: String,
    span_id: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    trace_state: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_span_id: Option<String>,
    #[serde(skip_serializing_if = "is_zero")]
    flags: u32,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<NumberOrName>,
    start_time_unix_nano: String,
    end_time_unix_nano: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attributes: Vec<KeyValue<'a>>,
    #[serde(skip_serializing_if = "is_zero")]
    dropped_attributes_count: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    events: Vec<Event<'a>>,
    #[serde(skip_serializing_if = "is_zero")]
    dropped_events_count: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    links: Vec<Link<'a>>,
    #[serde(skip_serializing_if = "is_zero")]
    dropped_links_count: u32,
    status: Status<'a>,
}

impl<'a> Span<'a> {
    fn of(span: &SpanRef<'a>, style: Style) -> Self {
        Self {
            trace_id: style.id(&span.trace_id().0),
            span_id: style.id(&span.span_id().0),
            trace_state: span.trace_state(),
            parent_span_id: span.parent_span_id().map(|id| style.id(&id.0)),
            flags: span.flags(),
            name: span.name(),
            kind: style.number_or_name(span.kind() as i8, kind_name(span.kind())),
            start_time_unix_nano: span.start_time_unix_nano().to_string(),
            end_time_unix_nano: span.end_time_unix_nano().to_string(),
            attributes: attributes(span.attributes()),
            dropped_attributes_count: span.dropped_attributes_count(),
            events: span.events().map(|event| Event::of(&event)).collect(),
            dropped_events_count: span.dropped_events_count(),
            links: span.links().map(|link| Link::of(&link, style)).collect(),
            dropped_links_count: span.dropped_links_count(),
            status: Status {
                code: style.number_or_name(
                    span.status_code() as i8,
                    status_code_name(span.status_code()),
                ),
                message: span.status_message(),
            },
        }
    }
}

#[derive(Serialize)]
struct Status<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<NumberOrName>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    time_unix_nano: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attributes: Vec<KeyValue<'a>>,
    #[serde(skip_serializing_if = "is_zero")]
    dropped_attributes_count: u32,
}

impl<'a> Event<'a> {
    fn of(event: &EventRef<'a>) -> Self {
        Self {
            time_unix_nano: event.time_unix_nano().to_string(),
            name: event.name(),
            attributes: attributes(event.attributes()),
            dropped_attributes_count: event.dropped_attributes_count(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Link<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    span_id: Option<String>,
    #[serde(skip_serializing_if = "str::is_empty")]
    trace_state: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attributes: Vec<KeyValue<'a>>,
    #[serde(skip_serializing_if = "is_zero")]
    dropped_attributes_count: u32,
    #[serde(skip_serializing_if = "is_zero")]
    flags: u32,
}

impl<'a> Link<'a> {
    fn of(link: &LinkRef<'a>, style: Style) -> Self {
        let (trace_id, span_id) = (link.trace_id(), link.span_id());
        Self {
            trace_id: (!trace_id.is_zero()).then(|| style.id(&trace_id.0)),
            span_id: (!span_id.is_zero()).then(|| style.id(&span_id.0)),
            trace_state: link.trace_state(),
            attributes: attributes(link.attributes()),
            dropped_attributes_count: link.dropped_attributes_count(),
            flags: link.flags(),
        }
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum NumberOrName {
    Number(i8),
    Name(&'static str),
}

fn kind_name(kind: SpanKind) -> &'static str {
    match kind {
        SpanKind::Unspecified => "SPAN_KIND_UNSPECIFIED",
        SpanKind::Internal => "SPAN_KIND_INTERNAL",
        SpanKind::Server => "SPAN_KIND_SERVER",
        SpanKind::Client => "SPAN_KIND_CLIENT",
        SpanKind::Producer => "SPAN_KIND_PRODUCER",
        SpanKind::Consumer => "SPAN_KIND_CONSUMER",
    }
}

fn status_code_name(code: StatusCode) -> &'static str {
    match code {
        StatusCode::Unset => "STATUS_CODE_UNSET",
        StatusCode::Ok => "STATUS_CODE_OK",
        StatusCode::Error => "STATUS_CODE_ERROR",
    }
}

#[derive(Serialize)]
struct KeyValue<'a> {
    key: &'a str,
    value: AnyValue<'a>,
}

fn attributes<'a>(attributes: impl Iterator<Item = (&'a str, Value<'a>)>) -> Vec<KeyValue<'a>> {
    attributes
        .map(|(key, value)| KeyValue {
            key,
            value: AnyValue(value),
        })
        .collect()
}

struct AnyValue<'a>(Value<'a>);

impl Serialize for AnyValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Empty => serializer.collect_map::<&str, &str, [(&str, &str); 0]>([]),
            Value::String(text) => member(serializer, "stringValue", text),
            Value::Bool(truth) => member(serializer, "boolValue", &truth),
            Value::Int(number) => member(serializer, "intValue", &number.to_string()),
            Value::Double(number) if number.is_nan() => member(serializer, "doubleValue", "NaN"),
            Value::Double(f64::INFINITY) => member(serializer, "doubleValue", "Infinity"),
            Value::Double(f64::NEG_INFINITY) => member(serializer, "doubleValue", "-Infinity"),
            Value::Double(number) => member(serializer, "doubleValue", &number),
            Value::Bytes(base64) => member(serializer, "bytesValue", base64),
            // The text form is OTLP's JSON already.
            Value::Array(text) | Value::KeyValueList(text) => {
                match serde_json::from_str::<&RawValue>(text) {
                    Ok(json) => json.serialize(serializer),
                    // Damaged; better shown as it is than not at all.
                    Err(_) => member(serializer, "stringValue", text),
                }
            }
        }
    }
}

fn member<S: Serializer, T: Serialize + ?Sized>(
    serializer: S,
    kind: &'static str,
    value: &T,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map([(kind, value)])
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature is serde's"
)]
fn is_zero(number: &u32) -> bool {
    *number == 0
}
