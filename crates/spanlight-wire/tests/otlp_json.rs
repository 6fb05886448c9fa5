//! JSON of real clients, and the letter of OTLP's JSON encoding.

use spanlight_model::{AnyValue, SpanBatch, SpanKind, StatusCode, Value};
use spanlight_wire::otlp::{decode_json, encode_json};
use spanlight_wire::{DecodeLimits, DecodeReport};

use crate::capture::body;
use crate::dump::dump;

const RECEIVED_AT: i64 = 1_795_381_900_000_000_000;

/// A body of which everything must be kept.
fn decode_whole(body: &[u8]) -> SpanBatch {
    let decoded = decode_json(body, RECEIVED_AT, &DecodeLimits::default()).unwrap();
    assert_eq!(decoded.report, DecodeReport::default());
    decoded.batch
}

/// A request of one span with these members beside its ids and times.
fn one_span(members: &str) -> String {
    format!(
        r#"{{"resourceSpans":[{{"resource":{{}},"scopeSpans":[{{"scope":{{}},"spans":[{{
            "traceId":"01010101010101010101010101010101","spanId":"0202020202020202",
            "startTimeUnixNano":"1","endTimeUnixNano":"2",{members}}}]}}]}}]}}"#
    )
}

fn value(json: &str) -> AnyValue {
    let body = one_span(&format!(r#""attributes":[{{"key":"k","value":{json}}}]"#));
    let batch = decode_whole(body.as_bytes());
    batch.span(0).attribute("k").unwrap().to_any().unwrap()
}

#[test]
fn python_spans_are_read() {
    insta::assert_snapshot!(dump(&decode_whole(&body("otlp/python-json-validate.http"))));
    insta::assert_snapshot!(dump(&decode_whole(&body("otlp/python-json-forward.http"))));
}

#[test]
fn node_spans_are_read() {
    insta::assert_snapshot!(dump(&decode_whole(&body("otlp/node-json.http"))));
    let zipped = decode_whole(&body("otlp/node-json-gzip.http"));
    assert_eq!(zipped.num_spans(), 3);
}

#[test]
fn what_is_written_is_read_again() {
    let batch = decode_whole(&body("otlp/python-json-forward.http"));
    let json = encode_json(&batch);
    assert_eq!(decode_whole(json.as_bytes()), batch);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let span = &json["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    assert_eq!(span["traceId"], "f3d585944bb30558c176143d3c0625a8");
    assert_eq!(span["kind"], 5);
    assert_eq!(span["status"]["code"], 2);
    assert!(span["startTimeUnixNano"].is_string());
}

#[test]
fn values_have_every_spelling_that_protobuf_allows() {
    for (json, expected) in [
        (
            r#"{"stringValue":"a\u0000\ud83d\ude00"}"#,
            AnyValue::String("a\0😀".into()),
        ),
        (r#"{"boolValue":true}"#, AnyValue::Bool(true)),
        (
            r#"{"intValue":"-9223372036854775808"}"#,
            AnyValue::Int(i64::MIN),
        ),
        (
            r#"{"intValue":9223372036854775807}"#,
            AnyValue::Int(i64::MAX),
        ),
        (r#"{"intValue":2e3}"#, AnyValue::Int(2000)),
        (r#"{"doubleValue":1}"#, AnyValue::Double(1.0)),
        (r#"{"doubleValue":-2.5e-3}"#, AnyValue::Double(-0.0025)),
        (
            r#"{"doubleValue":"Infinity"}"#,
            AnyValue::Double(f64::INFINITY),
        ),
        (
            r#"{"doubleValue":"-Infinity"}"#,
            AnyValue::Double(f64::NEG_INFINITY),
        ),
        (
            r#"{"bytesValue":"+/8="}"#,
            AnyValue::Bytes(vec![0xfb, 0xff]),
        ),
        (r#"{"bytesValue":"-_8"}"#, AnyValue::Bytes(vec![0xfb, 0xff])),
        (r#"{"arrayValue":{}}"#, AnyValue::Array(vec![])),
        (r#"{"stringValue":null}"#, AnyValue::Empty),
        ("{}", AnyValue::Empty),
        ("null", AnyValue::Empty),
        (r#"{"aNewKindOfValue":{"a":[1]}}"#, AnyValue::Empty),
        (
            r#"{"kvlistValue":{"values":[{"value":{"intValue":1},"key":"a"},{"key":"b"}]}}"#,
            AnyValue::KeyValueList(vec![
                ("a".into(), AnyValue::Int(1)),
                ("b".into(), AnyValue::Empty),
            ]),
        ),
    ] {
        assert_eq!(value(json), expected, "{json}");
    }
    assert!(matches!(value(r#"{"doubleValue":"NaN"}"#), AnyValue::Double(n) if n.is_nan()));
}

#[test]
fn half_a_character_does_not_cost_the_batch() {
    // What JavaScript writes for "😀".slice(0, 1).
    let body = one_span(
        r#""name":"cut \ud83d","attributes":[{"key":"k","value":{"stringValue":"\ud83d!"}}]"#,
    );
    let decoded = decode_json(body.as_bytes(), RECEIVED_AT, &DecodeLimits::default()).unwrap();
    assert!(decoded.batch.span(0).name().starts_with("cut \u{fffd}"));
    assert_eq!(decoded.report.rejected_spans, 0);
    insta::assert_snapshot!(
        decoded.report.message.unwrap(),
        @r#"resource_spans[0].scope_spans[0].spans[0]: text that is not UTF-8, replaced by U+FFFD (texts repaired: 2)"#
    );
}

#[test]
fn members_may_come_in_any_order() {
    let body = br#"{"resourceSpans":[{"schemaUrl":"r","scopeSpans":[{"schemaUrl":"s","spans":[
        {"spanId":"0202020202020202","traceId":"0101010101010101010101010101010A",
         "status":{"code":"STATUS_CODE_ERROR"},"kind":"SPAN_KIND_SERVER",
         "endTimeUnixNano":2,"startTimeUnixNano":1,"name":"n"}],
        "scope":{"version":"2","name":"lib"}}],
        "resource":{"attributes":[{"value":{"stringValue":"svc"},"key":"service.name"}]}}]}"#;
    let batch = decode_whole(body);
    let span = batch.span(0);
    assert_eq!(span.name(), "n");
    assert_eq!(span.trace_id().0[15], 10);
    assert_eq!(
        (span.kind(), span.status_code()),
        (SpanKind::Server, StatusCode::Error)
    );
    assert_eq!(span.resource().service_name(), Some("svc"));
    assert_eq!(span.resource().schema_url(), "r");
    assert_eq!(
        (span.scope().name(), span.scope().schema_url()),
        ("lib", "s")
    );
}

#[test]
fn what_is_absent_or_null_or_unknown_is_no_error() {
    for body in [
        "{}",
        r#"{"resourceSpans":null}"#,
        r#"{"resourceSpans":[{}, {"scopeSpans":null}]}"#,
    ] {
        assert_eq!(decode_whole(body.as_bytes()).num_spans(), 0);
    }
    let batch = decode_whole(
        one_span(
            r#""name":null,"parentSpanId":"","kind":99,"events":null,"links":[],"status":null,
               "start_time_unix_nano":"7","newMember":{"deep":[[{}]]},"flags":257"#,
        )
        .as_bytes(),
    );
    let span = batch.span(0);
    assert_eq!(
        (span.name(), span.kind(), span.flags()),
        ("", SpanKind::Unspecified, 257)
    );
    assert_eq!(
        (span.parent_span_id(), span.start_time_unix_nano()),
        (None, 1)
    );
    let without = br#"{"resourceSpans":[{"scopeSpans":[{"spans":[
        {"traceId":"01010101010101010101010101010101","spanId":"0202020202020202",
         "startTimeUnixNano":"1","endTimeUnixNano":"2"}]}]}]}"#;
    assert_eq!(
        decode_whole(without).span(0).resource().service_name(),
        None
    );
}

#[test]
fn what_is_not_otlp_is_refused_with_its_place() {
    let refused = |body: &str| {
        decode_json(body.as_bytes(), RECEIVED_AT, &DecodeLimits::default())
            .unwrap_err()
            .to_string()
    };
    let errors = [
        "",
        "[]",
        "{\"resourceSpans\":[{]}",
        "{\"resourceSpans\":\n  {}}",
        "{} {}",
        &one_span(r#""startTimeUnixNano":"yesterday""#),
        &one_span(r#""startTimeUnixNano":-1"#),
        &one_span(r#""name":5"#),
        &one_span(r#""attributes":[{"key":"k","value":{"intValue":"9223372036854775808"}}]"#),
        // The error is in a part that is read last.
        "{\"resourceSpans\":[\n{\"scopeSpans\":[{\"spans\":[\n{\"name\":\n5}]}],\"resource\":{}}]}",
    ]
    .map(refused);
    insta::assert_snapshot!(errors.join("\n"), @r#"
EOF while parsing a value at line 1, column 0
invalid type: sequence, expected an export request such as {"resourceSpans": […]} at line 1, column 2
key must be a string at line 1, column 20
invalid type: map, expected a list at line 2, column 4
trailing characters at line 1, column 4
invalid value: string "yesterday", expected nanoseconds since 1970 as a 64-bit unsigned integer at line 3, column 89
-1 is out of range, expected nanoseconds since 1970 as a 64-bit unsigned integer at line 3, column 81
invalid type: integer `5`, expected a string at line 3, column 66
9223372036854775808 is out of range, expected a 64-bit integer at line 3, column 125
invalid type: integer `5`, expected a string at line 4, column 1
"#);
}

#[test]
fn strings_of_values_keep_their_type() {
    let batch = decode_whole(
        one_span(r#""attributes":[{"key":"a","value":{"stringValue":"1"}},{"key":"b","value":{"intValue":"1"}}]"#)
            .as_bytes(),
    );
    assert_eq!(batch.span(0).attribute("a"), Some(Value::String("1")));
    assert_eq!(batch.span(0).attribute("b"), Some(Value::Int(1)));
}
