//! Malformed, oversized and hostile requests: an answer that names what is wrong, and the neighbours kept.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use proptest::prelude::*;
use prost::Message as _;
use spanlight_model::Value;
use spanlight_wire::otlp::{decode_json, decode_protobuf};
use spanlight_wire::{DecodeLimits, Decoded, RejectReason};

use crate::capture::body;

const RECEIVED_AT: i64 = 1_795_381_900_000_000_000;

const CAPTURES: [&str; 4] = [
    "otlp/python-protobuf-forward.http",
    "otlp/node-protobuf.http",
    "otlp/python-json-forward.http",
    "otlp/node-json.http",
];

fn span(number: u8) -> Span {
    Span {
        trace_id: vec![1; 16],
        span_id: vec![number + 1; 8],
        start_time_unix_nano: 1_795_381_899_000_000_000,
        end_time_unix_nano: 1_795_381_899_000_000_001,
        ..Span::default()
    }
}

fn request(spans: Vec<Span>) -> Vec<u8> {
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans {
                spans,
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
    .encode_to_vec()
}

fn decode_with(spans: Vec<Span>, limits: &DecodeLimits) -> Decoded {
    decode_protobuf(&request(spans), RECEIVED_AT, limits).unwrap()
}

fn decode(spans: Vec<Span>) -> Decoded {
    decode_with(spans, &DecodeLimits::default())
}

fn attribute(key: &str, value: Any) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn nested(levels: usize) -> Any {
    (0..levels).fold(Any::BoolValue(true), |inner, level| {
        let value = AnyValue { value: Some(inner) };
        if level.is_multiple_of(2) {
            Any::ArrayValue(ArrayValue {
                values: vec![value],
            })
        } else {
            let entry = KeyValue {
                key: "k".to_owned(),
                value: Some(value),
                ..KeyValue::default()
            };
            Any::KvlistValue(KeyValueList {
                values: vec![entry],
            })
        }
    })
}

#[test]
fn a_body_cut_anywhere_is_an_error_or_whole_fields() {
    for name in CAPTURES {
        let body = body(name);
        let is_json = name.contains("json");
        for length in 0..body.len() {
            let limits = DecodeLimits::default();
            let result = if is_json {
                decode_json(&body[..length], RECEIVED_AT, &limits)
            } else {
                decode_protobuf(&body[..length], RECEIVED_AT, &limits)
            };
            // The one resource of these requests is their one field: nothing shorter is whole.
            assert_eq!(
                result.is_ok(),
                length == 0 && !is_json,
                "{name} cut at {length}"
            );
        }
    }
}

#[test]
fn errors_say_what_and_where() {
    let error = |body: &[u8]| {
        decode_protobuf(body, RECEIVED_AT, &DecodeLimits::default())
            .unwrap_err()
            .to_string()
    };
    let body = body("otlp/node-protobuf.http");
    assert_eq!(
        error(&body[..100]),
        "truncated message at byte 0, in resource_spans"
    );
    assert_eq!(
        error(b"not protobuf"),
        "unknown wire type at byte 0, in field 13"
    );
    // The length of the second span's name reaches beyond the span.
    let mut two = request(vec![
        span(0),
        Span {
            name: "nnn".to_owned(),
            ..span(1)
        },
    ]);
    let at = two
        .windows(5)
        .position(|bytes| bytes == b"\x2a\x03nnn")
        .unwrap();
    two[at + 1] = 100;
    assert_eq!(
        error(&two),
        format!(
            "truncated message at byte {at}, in resource_spans[0].scope_spans[0].spans[1].name"
        )
    );
}

#[test]
fn one_span_with_zero_ids_costs_only_itself() {
    let mut spans: Vec<Span> = (0..100).map(span).collect();
    spans[7].trace_id = vec![0; 16];
    let decoded = decode(spans);
    assert_eq!(decoded.batch.num_spans(), 99);
    assert_eq!(decoded.report.rejected_spans, 1);
    assert_eq!(decoded.report.rejections.get(RejectReason::ZeroTraceId), 1);
    insta::assert_snapshot!(decoded.report.message.unwrap(), @r#"resource_spans[0].scope_spans[0].spans[7]: the trace id is missing or zero (spans rejected: 1)"#);
    assert_eq!(decoded.batch.span(7).span_id().0, [9; 8]);
}

#[test]
fn ids_of_another_length_refuse_the_span() {
    let spans = vec![
        Span {
            trace_id: vec![1; 15],
            ..span(0)
        },
        Span {
            span_id: vec![],
            ..span(1)
        },
        Span {
            parent_span_id: vec![3; 9],
            ..span(2)
        },
        Span {
            parent_span_id: vec![0; 8],
            ..span(3)
        },
    ];
    let decoded = decode(spans);
    assert_eq!(decoded.batch.num_spans(), 1);
    assert_eq!(decoded.batch.span(0).parent_span_id(), None);
    assert_eq!(
        decoded.report.rejections.iter().collect::<Vec<_>>(),
        [(RejectReason::ZeroSpanId, 1), (RejectReason::BadId, 2)]
    );
    insta::assert_snapshot!(decoded.report.message.unwrap(), @r#"resource_spans[0].scope_spans[0].spans[0]: trace_id has 15 bytes instead of 16 (spans rejected: 3)"#);
}

#[test]
fn json_ids_of_another_form_refuse_the_span() {
    let body = br#"{"resourceSpans":[{"scopeSpans":[{"spans":[
        {"traceId":"uOxfen9n8CIj1OyXilF/zg==","spanId":"0202020202020202"},
        {"traceId":"0101010101010101010101010101010g","spanId":"0202020202020202"},
        {"traceId":"01010101010101010101010101010101"},
        {"traceId":"01010101010101010101010101010101","spanId":"0202020202020202"}]}]}]}"#;
    let decoded = decode_json(body, RECEIVED_AT, &DecodeLimits::default()).unwrap();
    assert_eq!(decoded.batch.num_spans(), 1);
    assert_eq!(decoded.report.rejected_spans, 3);
    insta::assert_snapshot!(decoded.report.message.unwrap(), @r#"resource_spans[0].scope_spans[0].spans[0]: traceId has 24 characters instead of 32 hexadecimal digits (spans rejected: 3)"#);
}

#[test]
fn a_link_that_names_nothing_is_dropped_and_its_span_kept() {
    let links = vec![
        Link {
            trace_id: vec![1; 3],
            span_id: vec![2; 8],
            ..Link::default()
        },
        Link {
            trace_id: vec![1; 16],
            span_id: vec![2; 8],
            ..Link::default()
        },
    ];
    let decoded = decode(vec![Span { links, ..span(0) }]);
    assert_eq!(decoded.batch.span(0).links().count(), 1);
    assert_eq!(decoded.batch.span(0).dropped_links_count(), 1);
    assert_eq!(
        (decoded.report.rejected_spans, decoded.report.dropped_links),
        (0, 1)
    );
}

/// A field of a message or text, of any length.
fn field(number: u64, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    prost::encoding::encode_varint(number << 3 | 2, &mut bytes);
    prost::encoding::encode_varint(content.len() as u64, &mut bytes);
    bytes.extend_from_slice(content);
    bytes
}

#[test]
fn a_bomb_of_ten_thousand_levels_costs_the_attribute() {
    let bomb = (0..10_000).fold(Vec::new(), |inner, _| field(5, &field(1, &inner)));
    let attribute = [field(1, b"bomb"), field(2, &bomb)].concat();
    let span = [span(0).encode_to_vec(), field(9, &attribute)].concat();
    let body = field(1, &field(2, &field(2, &span)));
    let decoded = decode_protobuf(&body, RECEIVED_AT, &DecodeLimits::default()).unwrap();
    assert_eq!(decoded.batch.num_spans(), 1);
    assert_eq!(decoded.batch.span(0).dropped_attributes_count(), 1);
}

#[test]
fn a_depth_bomb_costs_the_attribute() {
    let max = DecodeLimits::VALUE_DEPTH_MAX;
    let attributes = vec![
        attribute("bomb", nested(200)),
        attribute("too deep", nested(max + 1)),
        attribute("deep", nested(max)),
        attribute("after", Any::IntValue(1)),
    ];
    let decoded = decode(vec![Span {
        attributes,
        dropped_attributes_count: 1,
        ..span(0)
    }]);
    let kept = decoded.batch.span(0);
    let keys: Vec<&str> = kept.attributes().map(|(key, _)| key).collect();
    assert_eq!(keys, ["deep", "after"]);
    assert!(kept.attribute("deep").unwrap().to_any().is_ok());
    assert_eq!(kept.dropped_attributes_count(), 3);
    assert_eq!(decoded.report.dropped_attributes, 2);
    insta::assert_snapshot!(decoded.report.message.unwrap(), @r#"resource_spans[0].scope_spans[0].spans[0]: attribute "bomb" is nested too deeply (attributes dropped: 2)"#);
}

#[test]
fn a_depth_bomb_in_json_costs_the_attribute() {
    let bomb = |open: &str, close: &str| {
        format!(
            r#"{{"resourceSpans":[{{"resource":{{}},"scopeSpans":[{{"scope":{{}},"spans":[
            {{"traceId":"01010101010101010101010101010101","spanId":"0202020202020202",
              "unknown":{}{}, "events":[{{"attributes":[
                {{"key":"bomb","value":{}{}}},{{"key":"after","value":{{"intValue":1}}}}]}}]}}]}}]}}]}}"#,
            "[".repeat(10_000),
            "]".repeat(10_000),
            open.repeat(10_000),
            close.repeat(10_000),
        )
    };
    let list = bomb(r#"{"kvlistValue":{"values":[{"value":"#, "}]}}");
    // The innermost value is missing, which is no JSON.
    assert!(decode_json(list.as_bytes(), RECEIVED_AT, &DecodeLimits::default()).is_err());
    for body in [
        list.replace(r#""value":}"#, r#""value":null}"#),
        bomb(r#"{"arrayValue":{"values":["#, "]}}"),
    ] {
        let decoded = decode_json(body.as_bytes(), RECEIVED_AT, &DecodeLimits::default()).unwrap();
        let kept = decoded.batch.span(0);
        let event = kept.events().next().unwrap();
        assert_eq!(
            event.attributes().collect::<Vec<_>>(),
            [("after", Value::Int(1))]
        );
        assert_eq!(event.dropped_attributes_count(), 1);
        assert_eq!(decoded.report.dropped_attributes, 1);
    }
}

#[test]
fn a_wide_value_costs_the_attribute() {
    let values = vec![
        AnyValue {
            value: Some(Any::BoolValue(true))
        };
        1_000
    ];
    let attributes = vec![
        attribute("wide", Any::ArrayValue(ArrayValue { values })),
        attribute("after", Any::IntValue(1)),
    ];
    let limits = DecodeLimits {
        value_elements: 999,
        ..DecodeLimits::default()
    };
    let spans = vec![Span {
        attributes,
        ..span(0)
    }];
    let decoded = decode_with(spans.clone(), &limits);
    assert_eq!(decoded.batch.span(0).attributes().count(), 1);
    let json = spanlight_wire::otlp::encode_json(&decode(spans).batch);
    let decoded_json = decode_json(json.as_bytes(), RECEIVED_AT, &limits).unwrap();
    assert_eq!(decoded_json.report, decoded.report);
}

#[test]
fn large_values_are_kept() {
    let text = "é".repeat(1 << 19);
    let attributes = vec![attribute("large", Any::StringValue(text.clone()))];
    let decoded = decode(vec![Span {
        attributes,
        name: text.clone(),
        ..span(0)
    }]);
    assert_eq!(
        decoded.batch.span(0).attribute("large"),
        Some(Value::String(&text))
    );
    assert_eq!(decoded.batch.span(0).name(), text);
}

#[test]
fn a_million_attributes_are_cut_to_the_limit() {
    let attributes = (0..1_000_000)
        .map(|number| attribute(&number.to_string(), Any::IntValue(number)))
        .collect();
    let decoded = decode(vec![
        Span {
            attributes,
            ..span(0)
        },
        span(1),
    ]);
    assert_eq!(decoded.batch.num_spans(), 2);
    assert_eq!(decoded.batch.span(0).attributes().count(), 1_024);
    assert_eq!(
        decoded.batch.span(0).dropped_attributes_count(),
        1_000_000 - 1_024
    );
    assert_eq!(decoded.report.dropped_attributes, 1_000_000 - 1_024);
    insta::assert_snapshot!(decoded.report.message.unwrap(), @r#"resource_spans[0].scope_spans[0].spans[0]: too many attributes (attributes dropped: 998976)"#);
}

#[test]
fn events_links_and_spans_beyond_the_limits_are_counted() {
    let limits = DecodeLimits {
        spans_per_request: 2,
        events_per_span: 1,
        links_per_span: 2,
        ..DecodeLimits::default()
    };
    let link = Link {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        ..Link::default()
    };
    let full = Span {
        events: vec![Event::default(); 3],
        links: vec![link; 3],
        ..span(0)
    };
    let spans = vec![full, span(1), span(2), span(3)];
    let decoded = decode_with(spans.clone(), &limits);
    assert_eq!(decoded.batch.num_spans(), 2);
    let report = &decoded.report;
    assert_eq!((report.dropped_events, report.dropped_links), (2, 1));
    assert_eq!(report.rejections.get(RejectReason::TooManySpans), 2);
    let kept = decoded.batch.span(0);
    assert_eq!(
        (kept.dropped_events_count(), kept.dropped_links_count()),
        (2, 1)
    );
    insta::assert_snapshot!(report.message.as_ref().unwrap(), @r#"resource_spans[0].scope_spans[0].spans[0]: too many events (spans rejected: 2, events dropped: 2, links dropped: 1)"#);

    let json = spanlight_wire::otlp::encode_json(&decode(spans).batch);
    let decoded_json = decode_json(json.as_bytes(), RECEIVED_AT, &limits).unwrap();
    assert_eq!(decoded_json.report, decoded.report);
}

#[test]
fn an_attribute_that_is_repaired_is_counted_each_time() {
    let value = Any::StringValue("mark".to_owned());
    let attributes = vec![attribute("key", value)];
    let of = |number| Span {
        attributes: attributes.clone(),
        ..span(number)
    };
    let mut body = request(vec![of(0), of(1), of(2)]);
    for at in 0..=body.len() - 4 {
        if &body[at..at + 4] == b"mark" {
            body[at] = 0xff;
        }
    }
    let decoded = decode_protobuf(&body, RECEIVED_AT, &DecodeLimits::default()).unwrap();
    let message = decoded.report.message.unwrap();
    assert!(message.contains("texts repaired: 3"), "{message}");
}

#[test]
fn text_that_is_not_utf8_is_repaired_and_reported() {
    let name = "n".repeat(9);
    let mut body = request(vec![
        Span {
            name: name.clone(),
            ..span(0)
        },
        span(1),
    ]);
    let at = body
        .windows(9)
        .position(|bytes| bytes == name.as_bytes())
        .unwrap();
    body[at..at + 2].copy_from_slice(b"\xc3\x28");
    let decoded = decode_protobuf(&body, RECEIVED_AT, &DecodeLimits::default()).unwrap();
    assert_eq!(decoded.batch.num_spans(), 2);
    assert_eq!(decoded.batch.span(0).name(), "\u{fffd}(nnnnnnn");
    assert_eq!(decoded.report.rejected_spans, 0);
    insta::assert_snapshot!(decoded.report.message.unwrap(), @r#"resource_spans[0].scope_spans[0].spans[0]: text that is not UTF-8, replaced by U+FFFD (texts repaired: 1)"#);

    let json = [
        &br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":""#[..],
        b"\xff",
        br#"","traceId":"01010101010101010101010101010101","spanId":"0202020202020202"}]}]}]}"#,
    ]
    .concat();
    let decoded = decode_json(&json, RECEIVED_AT, &DecodeLimits::default()).unwrap();
    assert_eq!(decoded.batch.span(0).name(), "\u{fffd}");
    assert!(decoded.report.message.is_some());
}

#[test]
fn times_that_cannot_be_right_are_kept_and_marked() {
    let year_2200 = 7_258_118_400_000_000_000;
    let with = |start, end| Span {
        start_time_unix_nano: start,
        end_time_unix_nano: end,
        ..span(0)
    };
    let decoded = decode(vec![with(5, 3), with(0, 0), with(year_2200, year_2200 + 1)]);
    assert_eq!(decoded.report.rejected_spans, 0);
    let seen: Vec<_> = (0..3)
        .map(|row| {
            let span = decoded.batch.span(row);
            let anomaly = span
                .attribute("spanlight.anomaly")
                .unwrap()
                .to_any()
                .unwrap();
            (
                span.start_time_unix_nano(),
                span.end_time_unix_nano(),
                anomaly,
            )
        })
        .collect();
    let text = |text: &str| spanlight_model::AnyValue::String(text.to_owned());
    assert_eq!(
        seen,
        [
            (5, 3, text("end_before_start")),
            (0, 0, text("zero_time")),
            (
                7_258_118_400_000_000_000,
                7_258_118_400_000_000_001,
                text("future_time")
            ),
        ]
    );
    // Sent on and received again, they are not marked twice.
    let again = decode_protobuf(
        &spanlight_wire::otlp::encode_protobuf(&decoded.batch),
        RECEIVED_AT,
        &DecodeLimits::default(),
    )
    .unwrap();
    assert_eq!(again.batch, decoded.batch);
}

proptest! {
    #[test]
    fn any_bytes_get_an_answer(body in proptest::collection::vec(any::<u8>(), 0..400)) {
        let limits = DecodeLimits::default();
        _ = decode_protobuf(&body, RECEIVED_AT, &limits);
        _ = decode_json(&body, RECEIVED_AT, &limits);
    }

    #[test]
    fn damaged_bodies_get_an_answer(
        name in proptest::sample::select(&CAPTURES[..]),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
    ) {
        let mut body = body(name);
        for (at, byte) in changes {
            let at = at.index(body.len());
            body[at] = byte;
        }
        let limits = DecodeLimits::default();
        let result = if name.contains("json") {
            decode_json(&body, RECEIVED_AT, &limits)
        } else {
            decode_protobuf(&body, RECEIVED_AT, &limits)
        };
        // What was understood can be written and read again.
        if let Ok(decoded) = result {
            let again = spanlight_wire::otlp::encode_protobuf(&decoded.batch);
            let again = decode_protobuf(&again, RECEIVED_AT, &limits).unwrap();
            prop_assert_eq!(again.batch.num_spans(), decoded.batch.num_spans());
            _ = spanlight_wire::otlp::encode_json(&decoded.batch);
        }
    }
}
