//! The forms that files come in, cut everywhere, and what is wrong in them.

use std::io::{self, Cursor, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;

use super::*;

/// Gives a few bytes at a time, so that everything is cut everywhere.
struct Trickle(Cursor<Vec<u8>>, usize);

impl io::Read for Trickle {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(self.1);
        self.0.read(&mut buffer[..most])
    }
}

struct Found {
    units: Vec<Unit>,
    flaws: Vec<String>,
}

fn read(bytes: &[u8]) -> Found {
    let whole = read_by(bytes, usize::MAX);
    for step in [1, 3, 7] {
        let trickled = read_by(bytes, step);
        let places = |found: &Found| -> Vec<Place> {
            found.units.iter().map(|unit| unit.place.clone()).collect()
        };
        assert_eq!(places(&whole), places(&trickled), "by {step}");
        assert_eq!(whole.flaws, trickled.flaws, "by {step}");
    }
    whole
}

fn read_by(bytes: &[u8], step: usize) -> Found {
    let counter = Read::default();
    let reader = Trickle(Cursor::new(bytes.to_vec()), step);
    let mut input = Input::of("f", reader, &counter).unwrap();
    let mut found = Found {
        units: Vec::new(),
        flaws: Vec::new(),
    };
    split(&mut input, &mut |item| {
        match item {
            Item::Unit(unit) => found.units.push(unit),
            Item::Flaw(flaw) => found
                .flaws
                .push(format!("{}: {}", flaw.place, flaw.problem)),
        }
        true
    })
    .unwrap();
    if found.flaws.is_empty() {
        assert_eq!(counter.bytes(), bytes.len() as u64);
    }
    found
}

fn texts(found: &Found) -> Vec<(String, usize, String)> {
    found
        .units
        .iter()
        .map(|unit| {
            let text = String::from_utf8(unit.bytes.clone()).unwrap();
            (text, unit.spans, unit.place.to_string())
        })
        .collect()
}

const TWO: &str = r#"{"resource":{"attributes":[{"key":"a]}{","value":{"stringValue":"\\\"}]"}}]},"scopeSpans":[{"spans":[{},{}]}]}"#;

#[test]
fn documents_are_split_wherever_they_stand() {
    for text in [
        format!("{{\"resourceSpans\":[{TWO},{TWO}]}}"),
        format!("{{\"resourceSpans\":[{TWO}]}}\n{{\"resourceSpans\":[{TWO}]}}\n"),
        format!("  {{ \"resourceSpans\" : [\n {TWO} ,\n\n {TWO} ] , \"x\": [{{\"y\":[1]}}] }}"),
        format!("[{{\"resourceSpans\":[{TWO}]}},\n{{\"resource_spans\":[{TWO}]}}]"),
        format!("\u{feff}{{\"batches\":[{TWO},{TWO}]}}{{}}"),
    ] {
        let found = read(text.as_bytes());
        assert_eq!(found.flaws, [""; 0], "{text}");
        let units = texts(&found);
        assert_eq!(units.len(), 2, "{text}");
        for (text, spans, _) in units {
            assert_eq!((text.as_str(), spans), (TWO, 2));
        }
    }
    assert!(read(b"").units.is_empty());
    assert!(read(b" \n").flaws.is_empty());
    assert_eq!(read_by(b"\n\n{\"resourceSpans\":[{}]}", 9).units.len(), 1);
}

#[test]
fn what_is_wrong_has_a_place_and_costs_only_itself() {
    let good = format!("{{\"resourceSpans\":[{TWO}]}}");
    let cut = &good[..good.len() - 40];
    let text = format!("{good}\n{cut}\n{good}\noops {{\n{{\"resourceLogs\":[]}}\n{good}");
    let found = read(text.as_bytes());
    assert_eq!(
        found.flaws,
        [
            "f:2:1: this document is cut off",
            "f:4:1: expected a JSON document, found `o`",
            "f:5:1: this document has no resourceSpans, but \"resourceLogs\"",
        ]
    );
    let places: Vec<String> = texts(&found).into_iter().map(|(_, _, at)| at).collect();
    assert_eq!(places, ["f:1:19", "f:3:19", "f:6:19"]);

    // In the middle of a line, and on a line of its own.
    let bad = "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{},tru]}]}]}";
    assert_eq!(read(bad.as_bytes()).flaws, ["f:1:50: expected ident"]);
    let bad = "{\"resourceSpans\":[{\"scopeSpans\":\n[{\"spans\":[{},tru]}]}]}";
    assert_eq!(read(bad.as_bytes()).flaws, ["f:2:18: expected ident"]);
    assert_eq!(
        read(format!("{good}{cut}").as_bytes()).flaws,
        [format!("f:1:{}: this document is cut off", good.len() + 1)]
    );
}

fn message(resources: usize, spans: usize) -> ExportTraceServiceRequest {
    let resource = |number: usize| ResourceSpans {
        schema_url: format!("resource {number}"),
        scope_spans: vec![ScopeSpans {
            scope: Some(InstrumentationScope {
                name: "scope".to_owned(),
                ..InstrumentationScope::default()
            }),
            spans: (0..spans)
                .map(|span| Span {
                    trace_id: vec![1; 16],
                    span_id: (span as u64 + 1).to_be_bytes().to_vec(),
                    name: "x".repeat(250),
                    ..Span::default()
                })
                .collect(),
            schema_url: "of the scope".to_owned(),
        }],
        ..ResourceSpans::default()
    };
    ExportTraceServiceRequest {
        resource_spans: (0..resources).map(resource).collect(),
    }
}

fn framed(messages: &[Vec<u8>]) -> Vec<u8> {
    let framed = messages.iter().flat_map(|message| {
        let length = (message.len() as u32).to_be_bytes();
        [&length[..], message].concat()
    });
    framed.collect()
}

#[test]
fn protobuf_is_split_with_lengths_and_without() {
    let one = message(2, 3).encode_to_vec();
    let packed = zstd::stream::encode_all(&one[..], 1).unwrap();
    for (bytes, resources) in [
        (one.clone(), 2),
        ([one.clone(), one.clone()].concat(), 4),
        (framed(&[one.clone(), one.clone()]), 4),
        (framed(&[packed]), 2),
    ] {
        let found = read(&bytes);
        assert_eq!(found.flaws, [""; 0]);
        let spans: Vec<usize> = found.units.iter().map(|unit| unit.spans).collect();
        assert_eq!(spans, vec![3; resources]);
        let body = Request { units: found.units }.body();
        let body = ExportTraceServiceRequest::decode(&body[..]).unwrap();
        assert_eq!(body.resource_spans[..2], message(2, 3).resource_spans);
    }
    let cut = &framed(&[one.clone(), one.clone()])[..one.len() + 50];
    let found = read(cut);
    assert_eq!(found.units.len(), 2);
    let place = one.len() + 4;
    assert_eq!(
        found.flaws,
        [format!("f at byte {place}: this message is cut off")]
    );
    let found = read(&one[..one.len() - 1]);
    assert_eq!(found.units.len(), 1);
    assert_eq!(found.flaws.len(), 1);
    assert!(read(b"PAR1 and so on").flaws[0].contains("this is no OTLP"));
}

#[test]
fn packed_files_are_unpacked() {
    let text = format!("{{\"resourceSpans\":[{TWO}]}}\n");
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    // Two members one after the other are one file, as `cat` makes them.
    assert_eq!(read(&[gzip.clone(), gzip].concat()).units.len(), 2);
    let zstd = zstd::stream::encode_all(text.as_bytes(), 1).unwrap();
    assert_eq!(read(&zstd).units.len(), 1);
}

#[test]
fn large_resources_are_divided_and_lose_nothing() {
    let whole = message(1, 21_000);
    let json = serde_json::to_vec(&whole).unwrap();
    for bytes in [whole.encode_to_vec(), json] {
        let unit = read_by(&bytes, usize::MAX).units.remove(0);
        assert_eq!(unit.spans, 21_000);
        let mut requests = Requests::default();
        let mut found = requests.add(unit);
        found.extend(requests.finish());
        assert!(found.len() > 2);
        let mut spans = Vec::new();
        for request in found {
            let body = request.body();
            assert!(body.len() < 5 << 20, "{}", body.len());
            let part: ExportTraceServiceRequest = match request.format() {
                Format::Protobuf => ExportTraceServiceRequest::decode(&body[..]).unwrap(),
                Format::Json => serde_json::from_slice(&body).unwrap(),
            };
            assert_eq!(part.resource_spans.len(), 1);
            let mut part = part.resource_spans.into_iter().next().unwrap();
            let scope = part.scope_spans.remove(0);
            assert_eq!(scope.spans.len(), request.spans());
            assert_eq!(scope.schema_url, "of the scope");
            assert_eq!(scope.scope.unwrap().name, "scope");
            assert_eq!(part.schema_url, "resource 0");
            spans.extend(scope.spans);
        }
        assert_eq!(spans, whole.resource_spans[0].scope_spans[0].spans);
    }
}
