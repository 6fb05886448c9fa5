//! Requests as clients could send them, for property tests.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use proptest::collection::vec;
use proptest::prelude::*;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z.]{0,12}",
        any::<String>(),
        Just("\u{0}\"\\\u{7f}\u{2028}é💥".to_owned()),
    ]
}

fn any_value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        text().prop_map(Value::StringValue),
        any::<bool>().prop_map(Value::BoolValue),
        any::<i64>().prop_map(Value::IntValue),
        any::<f64>()
            .prop_filter("NaN is not equal to itself", |number| !number.is_nan())
            .prop_map(Value::DoubleValue),
        Just(Value::DoubleValue(f64::INFINITY)),
        vec(any::<u8>(), 0..20).prop_map(Value::BytesValue),
    ];
    let leaf = proptest::option::weighted(0.9, leaf).prop_map(|value| AnyValue { value });
    leaf.prop_recursive(3, 16, 4, |inner| {
        let array =
            vec(inner.clone(), 0..4).prop_map(|values| Value::ArrayValue(ArrayValue { values }));
        let list = vec(key_value(inner), 0..4)
            .prop_map(|values| Value::KvlistValue(KeyValueList { values }));
        prop_oneof![array, list].prop_map(|value| AnyValue { value: Some(value) })
    })
}

fn key_value(value: impl Strategy<Value = AnyValue>) -> impl Strategy<Value = KeyValue> {
    (text(), value).prop_map(|(key, value)| KeyValue {
        key,
        value: Some(value),
        ..KeyValue::default()
    })
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    vec(key_value(any_value()), 0..5)
}

fn id(bytes: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), bytes).prop_filter("zero is no id", |id| id.iter().any(|&byte| byte != 0))
}

prop_compose! {
    fn event()(
        time_unix_nano in 0..=i64::MAX as u64,
        name in text(),
        attributes in attributes(),
        dropped_attributes_count in any::<u32>(),
    ) -> Event {
        Event { time_unix_nano, name, attributes, dropped_attributes_count }
    }
}

prop_compose! {
    fn link()(
        trace_id in prop_oneof![Just(Vec::new()), id(16)],
        span_id in prop_oneof![Just(Vec::new()), id(8)],
        trace_state in text(),
        attributes in attributes(),
        dropped_attributes_count in any::<u32>(),
        flags in any::<u32>(),
    ) -> Link {
        Link { trace_id, span_id, trace_state, attributes, dropped_attributes_count, flags }
    }
}

prop_compose! {
    fn span()(
        ids in (id(16), id(8), prop_oneof![Just(Vec::new()), id(8)]),
        trace_state in text(),
        name in text(),
        kind in 0..6,
        // Times without anomaly: with one, a span gets an attribute more than was sent.
        start_time_unix_nano in 1..super::round_trip::RECEIVED_AT as u64,
        duration in 0..1_000_000_000_000_u64,
        attributes in attributes(),
        events in vec(event(), 0..3),
        links in vec(link(), 0..3),
        dropped in any::<(u32, u32, u32)>(),
        status in (0..3, text()),
        flags in any::<u32>(),
    ) -> Span {
        Span {
            trace_id: ids.0,
            span_id: ids.1,
            parent_span_id: ids.2,
            trace_state,
            flags,
            name,
            kind,
            start_time_unix_nano,
            end_time_unix_nano: start_time_unix_nano + duration,
            attributes,
            dropped_attributes_count: dropped.0,
            events,
            dropped_events_count: dropped.1,
            links,
            dropped_links_count: dropped.2,
            status: Some(Status { code: status.0, message: status.1 }),
        }
    }
}

prop_compose! {
    fn scope_spans()(
        name in text(),
        version in text(),
        attributes in attributes(),
        dropped_attributes_count in any::<u32>(),
        spans in vec(span(), 1..4),
        schema_url in text(),
    ) -> ScopeSpans {
        ScopeSpans {
            scope: Some(InstrumentationScope { name, version, attributes, dropped_attributes_count }),
            spans,
            schema_url,
        }
    }
}

prop_compose! {
    fn resource_spans()(
        attributes in attributes(),
        dropped_attributes_count in any::<u32>(),
        scope_spans in vec(scope_spans(), 1..3),
        schema_url in text(),
    ) -> ResourceSpans {
        ResourceSpans {
            resource: Some(Resource {
                attributes,
                dropped_attributes_count,
                entity_refs: Vec::new(),
            }),
            scope_spans,
            schema_url,
        }
    }
}

prop_compose! {
    /// A request of which everything is kept, and whose resources and scopes differ, so that there is one way
    /// to group its spans.
    pub(crate) fn request()(
        mut resource_spans in vec(resource_spans(), 0..3),
    ) -> ExportTraceServiceRequest {
        for (index, resource) in resource_spans.iter_mut().enumerate() {
            resource.schema_url.push_str(&index.to_string());
            for (index, scope) in resource.scope_spans.iter_mut().enumerate() {
                scope.schema_url.push_str(&index.to_string());
            }
        }
        ExportTraceServiceRequest { resource_spans }
    }
}
