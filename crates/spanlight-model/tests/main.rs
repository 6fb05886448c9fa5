//! Span batches from the outside: what is built is what is read.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on says where it stopped"
)]

use arrow_array::UInt32Array;
use proptest::prelude::*;
use spanlight_model::{
    AnyValue, ResourceIndex, RowError, ScopeIndex, SpanBatch, SpanBatchBuilder, SpanId, SpanKind,
    SpanRef, StatusCode, TraceId, Value, convention,
};

const RECEIVED_AT: i64 = 1_700_000_100_000_000_000;
const START: u64 = 1_700_000_000_000_000_000;

fn resource(builder: &mut SpanBatchBuilder, service: &str) -> (ResourceIndex, ScopeIndex) {
    let mut row = builder.begin_resource();
    row.attributes()
        .push("cloud.region", Value::String("eu-west-1"));
    row.attributes()
        .push(convention::SERVICE_NAME, Value::String(service));
    row.set_schema_url("https://opentelemetry.io/schemas/1.26.0");
    let resource = row.commit();
    let mut row = builder.begin_scope();
    row.set_name("handler");
    row.set_version("1.2");
    row.attributes().push("scope.key", Value::Int(1));
    (resource, row.commit())
}

fn commit(builder: &mut SpanBatchBuilder, at: (ResourceIndex, ScopeIndex), number: u8) {
    let mut row = builder.begin_span(at.0, at.1);
    row.set_trace_id(TraceId([number; 16]));
    row.set_span_id(SpanId([number; 8]));
    row.set_name(&format!("span {number}"));
    row.set_start_time_unix_nano(START);
    row.set_end_time_unix_nano(START + u64::from(number));
    row.attributes()
        .push("number", Value::Int(i64::from(number)));
    row.attributes().push(
        "parity",
        Value::String(if number.is_multiple_of(2) {
            "even"
        } else {
            "odd"
        }),
    );
    row.commit().unwrap();
}

fn numbered(numbers: impl IntoIterator<Item = u8>, service: &str) -> SpanBatch {
    let mut builder = SpanBatchBuilder::new(RECEIVED_AT);
    let at = resource(&mut builder, service);
    numbers
        .into_iter()
        .for_each(|number| commit(&mut builder, at, number));
    builder.finish().unwrap()
}

fn describe(span: &SpanRef<'_>) -> String {
    let attributes: Vec<String> = span
        .attributes()
        .map(|(key, value)| format!("{key}={value:?}"))
        .collect();
    format!(
        "{} {} {} {}",
        span.span_id(),
        span.name(),
        span.resource().service_name().unwrap_or("-"),
        attributes.join(" ")
    )
}

/// A batch of one span that has everything, and the list among its attributes.
fn full() -> (SpanBatch, AnyValue) {
    let mut builder = SpanBatchBuilder::new(RECEIVED_AT);
    let (resource, scope) = resource(&mut builder, "ingress");
    let mut row = builder.begin_span(resource, scope);
    row.set_trace_id(TraceId([1; 16]));
    row.set_span_id(SpanId([2; 8]));
    row.set_parent_span_id(SpanId([3; 8]));
    row.set_trace_state("vendor=first");
    row.set_trace_state("vendor=1");
    row.set_flags(0x301);
    row.set_name("Validate Event");
    row.set_kind(SpanKind::Consumer);
    row.set_start_time_unix_nano(START);
    row.set_end_time_unix_nano(START + 5);
    row.set_status_code(StatusCode::Error);
    row.set_status_message("bad schema");
    row.set_dropped_attributes_count(1);
    row.set_dropped_events_count(2);
    row.set_dropped_links_count(3);
    let mut attributes = row.attributes();
    attributes.push("text", Value::String("é"));
    attributes.push("truth", Value::Bool(true));
    attributes.push("int", Value::Int(i64::MIN));
    attributes.push("double", Value::Double(-0.5));
    attributes.push("null", Value::Empty);
    attributes.push_bytes("bytes", &[0, 255]);
    let list = AnyValue::Array(vec![AnyValue::Int(1), AnyValue::String("a".to_owned())]);
    attributes.push_any("list", &list);
    assert_eq!(attributes.count(), 7);
    let mut event = row.begin_event();
    event.set_name("exception");
    event.set_time_unix_nano(START + 2);
    event
        .attributes()
        .push("exception.type", Value::String("ValueError"));
    event.commit();
    let mut link = row.begin_link();
    link.set_trace_id(TraceId([4; 16]));
    link.set_span_id(SpanId([5; 8]));
    link.set_trace_state("a=b");
    link.set_flags(1);
    link.attributes().push("queue", Value::String("orders"));
    link.commit();
    row.commit().unwrap();
    (builder.finish().unwrap(), list)
}

#[test]
fn every_field_of_a_span_comes_back() {
    let (batch, list) = full();
    let span = batch.span(0);
    assert_eq!(span.trace_id(), TraceId([1; 16]));
    assert_eq!(span.parent_span_id(), Some(SpanId([3; 8])));
    assert_eq!((span.trace_state(), span.flags()), ("vendor=1", 0x301));
    assert_eq!((span.kind(), span.duration_nano()), (SpanKind::Consumer, 5));
    assert_eq!(
        (span.status_code(), span.status_message()),
        (StatusCode::Error, "bad schema")
    );
    assert_eq!(
        (
            span.dropped_attributes_count(),
            span.dropped_events_count(),
            span.dropped_links_count()
        ),
        (1, 2, 3)
    );
    assert_eq!(span.attribute("double"), Some(Value::Double(-0.5)));
    assert_eq!(span.attribute("int"), Some(Value::Int(i64::MIN)));
    assert_eq!(span.attribute("null"), Some(Value::Empty));
    assert_eq!(span.attribute("absent"), None);
    assert_eq!(
        span.attribute("bytes").unwrap().to_any().unwrap(),
        AnyValue::Bytes(vec![0, 255])
    );
    assert_eq!(span.attribute("list").unwrap().to_any().unwrap(), list);
    let event = span.events().next().unwrap();
    assert_eq!(
        (event.name(), event.time_unix_nano()),
        ("exception", START as i64 + 2)
    );
    assert_eq!(
        event.attributes().collect::<Vec<_>>(),
        [("exception.type", Value::String("ValueError"))]
    );
    let link = span.links().next().unwrap();
    assert_eq!(
        (link.trace_id(), link.span_id()),
        (TraceId([4; 16]), SpanId([5; 8]))
    );
    assert_eq!((link.trace_state(), link.flags()), ("a=b", 1));
    assert_eq!(span.resource().service_name(), Some("ingress"));
    assert_eq!(
        (span.scope().name(), span.scope().version()),
        ("handler", "1.2")
    );
    assert_eq!(span.received_at_unix_nano(), RECEIVED_AT);
}

#[test]
fn a_row_rolled_back_in_its_middle_leaves_no_trace() {
    let mut builder = SpanBatchBuilder::new(RECEIVED_AT);
    let at = resource(&mut builder, "ingress");
    commit(&mut builder, at, 1);
    {
        let mut row = builder.begin_span(at.0, at.1);
        row.set_trace_state("half");
        row.set_status_message("half");
        row.attributes().push("half", Value::String("done"));
        let mut event = row.begin_event();
        event.attributes().push("half", Value::Int(1));
        event.commit();
        row.begin_event().attributes().push("open", Value::Int(1));
        row.begin_link().set_trace_state("open");
    }
    let mut row = builder.begin_span(at.0, at.1);
    row.set_trace_id(TraceId([9; 16]));
    row.attributes().push("without", Value::String("span id"));
    assert_eq!(row.commit(), Err(RowError::SpanId));
    commit(&mut builder, at, 2);

    let batch = builder.finish().unwrap();
    assert_eq!(batch.num_spans(), 2);
    assert_eq!(
        batch.column(spanlight_model::schema::Column::Attributes),
        numbered([1, 2], "ingress").column(spanlight_model::schema::Column::Attributes),
        "the same lists as if the bad rows had never been (the dictionaries may hold more)"
    );
    let span = batch.span(1);
    assert_eq!(
        (span.name(), span.trace_state(), span.status_message()),
        ("span 2", "", "")
    );
    assert_eq!((span.events().count(), span.links().count()), (0, 0));
}

#[test]
fn joined_and_reordered_batches_keep_each_spans_own_resource() {
    let joined =
        SpanBatch::concat([&numbered([1, 2], "ingress"), &numbered([3, 4], "egress")]).unwrap();
    let taken = joined.take(&UInt32Array::from(vec![3, 0])).unwrap();
    let lines: Vec<String> = (0..taken.num_spans())
        .map(|row| describe(&taken.span(row)))
        .collect();
    assert_eq!(
        lines,
        [
            "0404040404040404 span 4 egress number=Int(4) parity=String(\"even\")",
            "0101010101010101 span 1 ingress number=Int(1) parity=String(\"odd\")",
        ]
    );
    let sliced = joined.slice(1, 2);
    let columns = sliced.columns();
    assert_eq!(columns.service_name(0), Some("ingress"));
    assert_eq!(columns.service_name(1), Some("egress"));
}

#[test]
fn times_that_cannot_be_right_are_kept_and_marked() {
    let check = |start: u64, end: u64, expected: Option<&str>| {
        let mut builder = SpanBatchBuilder::new(RECEIVED_AT);
        let at = resource(&mut builder, "clock");
        let mut row = builder.begin_span(at.0, at.1);
        row.set_trace_id(TraceId([1; 16]));
        row.set_span_id(SpanId([1; 8]));
        row.set_start_time_unix_nano(start);
        row.set_end_time_unix_nano(end);
        row.commit().unwrap();
        let batch = builder.finish().unwrap();
        let span = batch.span(0);
        assert_eq!(
            span.start_time_unix_nano(),
            i64::try_from(start).unwrap_or(i64::MAX)
        );
        assert_eq!(
            span.attribute(convention::ANOMALY),
            expected.map(Value::String)
        );
        assert!(span.duration_nano() >= 0);
    };
    check(START, START + 1, None);
    check(START, START - 1, Some("end_before_start"));
    check(START, 0, Some("zero_time"));
    check(0, 0, Some("zero_time"));
    check(
        7_258_118_400_000_000_000,
        7_258_118_400_000_000_001,
        Some("future_time"),
    );
    check(u64::MAX, u64::MAX, Some("future_time,time_cut"));
}

#[test]
fn a_batch_of_another_schema_is_refused() {
    let batch = numbered([1], "ingress");
    let columns: Vec<usize> = (1..batch.record_batch().num_columns()).collect();
    let other = batch.record_batch().project(&columns).unwrap();
    let error = SpanBatch::try_new(other).unwrap_err();
    assert_eq!(
        error.to_string(),
        "not a batch of spans: column 0 is not trace_id"
    );
}

fn value() -> impl Strategy<Value = AnyValue> {
    let scalar = prop_oneof![
        Just(AnyValue::Empty),
        ".{0,300}".prop_map(AnyValue::String),
        any::<bool>().prop_map(AnyValue::Bool),
        any::<i64>().prop_map(AnyValue::Int),
        (-1e300f64..1e300).prop_map(AnyValue::Double),
        any::<Vec<u8>>().prop_map(AnyValue::Bytes),
    ];
    scalar.prop_recursive(2, 8, 3, |inner| {
        prop::collection::vec(inner, 0..4).prop_map(AnyValue::Array)
    })
}

proptest! {
    // Keys and values repeat, change places and alternate, which is what the guesses of the builder live on.
    #[test]
    fn any_attributes_come_back_in_order(
        spans in prop::collection::vec(prop::collection::vec(("[a-d]{1,2}|.{250,300}", value()), 0..8), 0..12)
    ) {
        let mut builder = SpanBatchBuilder::new(RECEIVED_AT);
        let at = resource(&mut builder, "any");
        for attributes in &spans {
            let mut row = builder.begin_span(at.0, at.1);
            row.set_trace_id(TraceId([1; 16]));
            row.set_span_id(SpanId([1; 8]));
            row.set_start_time_unix_nano(START);
            row.set_end_time_unix_nano(START);
            for (key, value) in attributes {
                row.attributes().push_any(key, value);
            }
            row.commit().unwrap();
        }
        let batch = builder.finish().unwrap();
        for (row, attributes) in spans.iter().enumerate() {
            let read: Vec<(String, AnyValue)> = batch
                .span(row)
                .attributes()
                .map(|(key, value)| (key.to_owned(), value.to_any().unwrap()))
                .collect();
            prop_assert_eq!(&read, attributes);
        }
    }
}
