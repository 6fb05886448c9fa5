//! The spans of a history: each is made from its number alone, and knows what it says.

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use spanlight_model::{
    AnyValue, AttributeSink, SpanBatch, SpanBatchBuilder, SpanId, SpanKind, SpanRef, StatusCode,
    TraceId, Value,
};

/// What tells one span from another, as people count them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) trace: u64,
    pub(super) span: u64,
    /// A server's span and another may share an id.
    pub(super) is_server: bool,
}

/// One record of a span: the same span may be sent again, with more in it.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) number: u64,
    pub(super) key: Key,
    pub(super) received: i64,
    pub(super) start: i64,
    pub(super) end: i64,
}

impl Record {
    /// Of two records of a span the higher rank stands.
    pub(super) fn rank(&self) -> (i64, i64) {
        (self.received, self.end)
    }
}

pub(super) fn trace_id(number: u64) -> TraceId {
    let mut id = [1; 16];
    id[8..].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    TraceId(id)
}

fn span_id(number: u64) -> SpanId {
    SpanId((number + 1).to_be_bytes())
}

/// The number of the record that a span is, by its name; every reader reads names.
pub(super) fn number_of(span: &SpanRef<'_>) -> Option<u64> {
    span.name().strip_prefix("record ")?.parse().ok()
}

/// A batch of these records, which were received together.
pub(super) fn batch(seed: u64, records: &[Record]) -> SpanBatch {
    let received = records.first().map_or(0, |record| record.received);
    let mut builder = SpanBatchBuilder::new(received);
    for record in records {
        let mut random = SmallRng::seed_from_u64(seed ^ (record.number << 20));
        let resource = {
            let mut resource = builder.begin_resource();
            let service = format!("service-{}", record.key.trace % 4);
            let mut attributes = resource.attributes();
            attributes.push("service.name", Value::String(&service));
            fill(&mut attributes, &mut random);
            if random.random_bool(0.2) {
                resource.set_schema_url("https://example.org/schema");
            }
            resource.commit()
        };
        let scope = {
            let mut scope = builder.begin_scope();
            scope.set_name(["", "http", "ünïcode \"quoted\""][random.random_range(0..3)]);
            scope.set_version("1.0");
            scope.commit()
        };
        let mut span = builder.begin_span(resource, scope);
        span.set_trace_id(trace_id(record.key.trace));
        span.set_span_id(span_id(record.key.span));
        if record.key.span > 0 {
            span.set_parent_span_id(span_id(record.key.span / 2));
        }
        span.set_name(&format!("record {}", record.number));
        let kind = if record.key.is_server {
            SpanKind::Server
        } else {
            SpanKind::Client
        };
        span.set_kind(kind);
        span.set_start_time_unix_nano(record.start as u64);
        span.set_end_time_unix_nano(record.end as u64);
        span.set_status_code(StatusCode::ALL[random.random_range(0..3)]);
        span.set_status_message(["", "broken"][random.random_range(0..2)]);
        span.set_trace_state(["", "ot=th:8"][random.random_range(0..2)]);
        span.set_flags(random.random());
        span.set_dropped_attributes_count(random.random_range(0..2));
        fill(&mut span.attributes(), &mut random);
        for _ in 0..random.random_range(0..2) {
            let mut event = span.begin_event();
            event.set_name("exception");
            event.set_time_unix_nano(record.start as u64);
            fill(&mut event.attributes(), &mut random);
            event.commit();
        }
        if random.random_bool(0.2) {
            let mut link = span.begin_link();
            link.set_trace_id(TraceId([7; 16]));
            link.set_span_id(SpanId([9; 8]));
            fill(&mut link.attributes(), &mut random);
            link.commit();
        }
        span.commit().unwrap();
    }
    builder.finish().unwrap()
}

fn fill(sink: &mut AttributeSink<'_>, random: &mut SmallRng) {
    for _ in 0..random.random_range(0..5) {
        let key = [
            "http.route",
            "user.id",
            "",
            "κλειδί",
            "a b",
            "http.status_code",
        ];
        let key = key[random.random_range(0..key.len())];
        let text = ["", "héllo", "/cart"][random.random_range(0..3)];
        let value = match random.random_range(0..9) {
            0 => Value::Empty,
            1 | 2 => Value::String(text),
            3 => Value::Bool(random.random()),
            4 | 5 => Value::Int(random.random()),
            6 => Value::Double(random.random()),
            7 => {
                sink.push_bytes(key, &[0, 255, 7]);
                continue;
            }
            _ => {
                let array = vec![AnyValue::Int(1), AnyValue::Empty];
                sink.push_any(key, &AnyValue::Array(array));
                continue;
            }
        };
        sink.push(key, value);
    }
}

/// Everything that a span says, as text. A span's attributes are a map: their order says nothing.
pub(super) fn describe(span: &SpanRef<'_>) -> String {
    let list = |attributes: &mut dyn Iterator<Item = (&str, Value<'_>)>| -> String {
        let texts = attributes.map(|(key, value)| match value {
            Value::Double(number) => format!("{key}=bits {:x}", number.to_bits()),
            other => format!("{key}={other:?}"),
        });
        let mut texts: Vec<String> = texts.collect();
        texts.sort_unstable();
        texts.join(",")
    };
    let resource = span.resource();
    let scope = span.scope();
    let events = span.events().map(|event| {
        let attributes = list(&mut event.attributes());
        format!("{} {} {attributes}", event.time_unix_nano(), event.name())
    });
    let links = span.links().map(|link| {
        let attributes = list(&mut link.attributes());
        format!("{} {} {attributes}", link.trace_id(), link.span_id())
    });
    let events: Vec<String> = events.collect();
    let links: Vec<String> = links.collect();
    format!(
        "{} {} {:?} {:?} {} {:?} {:?} {}..{} {:?} {:?} {} [{}] {events:?} {links:?} {:?} [{}] {:?} {:?} {:?} at {}",
        span.trace_id(),
        span.span_id(),
        span.parent_span_id(),
        span.trace_state(),
        span.flags(),
        span.name(),
        span.kind(),
        span.start_time_unix_nano(),
        span.end_time_unix_nano(),
        span.status_code(),
        span.status_message(),
        span.dropped_attributes_count(),
        list(&mut span.attributes()),
        resource.service_name(),
        list(&mut resource.attributes()),
        resource.schema_url(),
        scope.name(),
        scope.version(),
        span.received_at_unix_nano(),
    )
}
