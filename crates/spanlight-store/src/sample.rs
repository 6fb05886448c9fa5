//! Spans for unit tests: every column, every type of value, all the emptiness that real spans have; the same for the
//! same seed.

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use spanlight_model::{
    AnyValue, AttributeSink, SpanBatch, SpanBatchBuilder, SpanId, SpanKind, SpanRow, StatusCode,
    TraceId, Value,
};

/// A batch of so many spans, received at `1_700_000_000` seconds and `seed` nanoseconds.
pub(crate) fn batch(seed: u64, spans: usize) -> SpanBatch {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut builder = SpanBatchBuilder::new(1_700_000_000_000_000_000 + seed as i64);
    let mut row = 0;
    while row < spans {
        let resource = {
            let mut resource = builder.begin_resource();
            if random.random_bool(0.8) {
                let name = format!("service-{}", random.random_range(0..3));
                resource
                    .attributes()
                    .push("service.name", Value::String(&name));
            }
            attributes(&mut resource.attributes(), &mut random);
            if random.random_bool(0.3) {
                resource.set_schema_url("https://example.org/schema");
                resource.set_dropped_attributes_count(u32::MAX);
            }
            resource.commit()
        };
        let scope = {
            let mut scope = builder.begin_scope();
            scope.set_name(["", "http", "ünïcode \"quoted\""][random.random_range(0..3)]);
            scope.set_version("1.0");
            attributes(&mut scope.attributes(), &mut random);
            scope.commit()
        };
        for _ in 0..random.random_range(1..5) {
            let mut span = builder.begin_span(resource, scope);
            fill(&mut span, &mut random);
            span.commit().unwrap();
            row += 1;
        }
    }
    builder.finish().unwrap().slice(0, spans)
}

fn fill(span: &mut SpanRow<'_>, random: &mut SmallRng) {
    let mut trace = [0; 16];
    trace[15] = random.random_range(1..20);
    span.set_trace_id(TraceId(trace));
    span.set_span_id(SpanId(random.random_range(1..u64::MAX).to_be_bytes()));
    if random.random_bool(0.7) {
        span.set_parent_span_id(SpanId(random.random_range(1..u64::MAX).to_be_bytes()));
        span.set_trace_state("ot=th:8");
        span.set_flags(random.random());
    }
    span.set_name(["GET /", "работа", "", "a b"][random.random_range(0..4)]);
    span.set_kind(SpanKind::ALL[random.random_range(0..6)]);
    let start = [0, 1_700_000_000_000_000_000, u64::MAX][random.random_range(0..3)];
    span.set_start_time_unix_nano(start);
    span.set_end_time_unix_nano(start.saturating_add(random.random_range(0..1_000_000)));
    span.set_status_code(StatusCode::ALL[random.random_range(0..3)]);
    span.set_status_message(["", "broken"][random.random_range(0..2)]);
    span.set_dropped_attributes_count(random.random_range(0..2));
    span.set_dropped_links_count(u32::MAX);
    attributes(&mut span.attributes(), random);
    for _ in 0..random.random_range(0..3) {
        let mut event = span.begin_event();
        event.set_name("exception");
        event.set_time_unix_nano(start);
        event.set_dropped_attributes_count(random.random_range(0..2));
        attributes(&mut event.attributes(), random);
        event.commit();
    }
    for _ in 0..random.random_range(0..3) {
        let mut link = span.begin_link();
        link.set_trace_id(TraceId([7; 16]));
        link.set_span_id(SpanId([9; 8]));
        link.set_trace_state("a=b");
        link.set_flags(1);
        attributes(&mut link.attributes(), random);
        link.commit();
    }
}

fn attributes(sink: &mut AttributeSink<'_>, random: &mut SmallRng) {
    for _ in 0..random.random_range(0..6) {
        let key = ["a", "http.route", "", "κλειδί"][random.random_range(0..4)];
        let value = match random.random_range(0..9) {
            0 => Value::Empty,
            1 => Value::String(""),
            2 => Value::String("héllo"),
            3 => Value::Bool(random.random()),
            4 => Value::Int(random.random()),
            5 => Value::Double(-0.0),
            other => {
                push_rare(sink, key, other);
                continue;
            }
        };
        sink.push(key, value);
    }
}

fn push_rare(sink: &mut AttributeSink<'_>, key: &str, kind: u32) {
    match kind {
        6 => sink.push_bytes(key, &[0, 255, 7]),
        7 => sink.push_any(
            key,
            &AnyValue::Array(vec![AnyValue::Int(1), AnyValue::Empty]),
        ),
        _ => sink.push_any(
            key,
            &AnyValue::KeyValueList(vec![("k".into(), AnyValue::Double(f64::NAN))]),
        ),
    }
}

/// Everything that a batch says, span by span, as text: equal texts are equal spans, however the dictionaries lie, and
/// in whatever order a span's attributes of different keys are.
pub(crate) fn describe(batch: &SpanBatch) -> Vec<String> {
    let list = |attributes: &mut dyn Iterator<Item = (&str, Value<'_>)>| -> String {
        let texts = attributes.map(|(key, value)| match value {
            Value::Double(number) => format!("{key}=bits {:x}", number.to_bits()),
            other => format!("{key}={other:?}"),
        });
        texts.collect::<Vec<_>>().join(",")
    };
    let spans = (0..batch.num_spans()).map(|row| batch.span(row));
    spans
        .map(|span| {
            let resource = span.resource();
            let scope = span.scope();
            let mut attributes: Vec<(&str, Value<'_>)> = span.attributes().collect();
            attributes.sort_by_key(|(key, _)| *key);
            let events: Vec<String> = span
                .events()
                .map(|event| {
                    let attributes = list(&mut event.attributes());
                    let dropped = event.dropped_attributes_count();
                    format!("{} {} {dropped} {attributes}", event.time_unix_nano(), event.name())
                })
                .collect();
            let links: Vec<String> = span
                .links()
                .map(|link| {
                    let attributes = list(&mut link.attributes());
                    let dropped = link.dropped_attributes_count();
                    format!(
                        "{} {} {} {} {dropped} {attributes}",
                        link.trace_id(),
                        link.span_id(),
                        link.trace_state(),
                        link.flags()
                    )
                })
                .collect();
            format!(
                "{} {} {:?} {:?} {} {:?} {:?} {}..{} {:?} {:?} {}/{}/{} [{}] {events:?} {links:?} resource {:?} [{}] {} {:?} scope {:?} {:?} [{}] {} {:?} at {}",
                span.trace_id(), span.span_id(), span.parent_span_id(), span.trace_state(), span.flags(),
                span.name(), span.kind(), span.start_time_unix_nano(), span.end_time_unix_nano(),
                span.status_code(), span.status_message(), span.dropped_attributes_count(),
                span.dropped_events_count(), span.dropped_links_count(), list(&mut attributes.into_iter()),
                resource.service_name(), list(&mut resource.attributes()),
                resource.dropped_attributes_count(), resource.schema_url(),
                scope.name(), scope.version(), list(&mut scope.attributes()),
                scope.dropped_attributes_count(), scope.schema_url(), span.received_at_unix_nano(),
            )
        })
        .collect()
}
