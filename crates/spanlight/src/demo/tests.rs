//! The spans of the example systems: the same for the same seed, well formed, and with the stories they promise.

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::{Span, status::StatusCode};

use super::{Export, Traffic, World};

const MINUTE: u64 = 60_000_000_000;
const ORIGIN: u64 = 1_777_000_000_000_000_000;

fn exports(seed: u64) -> Vec<Export> {
    let mut traffic = Traffic::new(World::new(seed, ORIGIN), 2.0, ORIGIN - 15 * MINUTE);
    // Past the origin, so that every late export and retry is in.
    traffic.due(ORIGIN + 15 * MINUTE)
}

fn spans(exports: &[Export]) -> impl Iterator<Item = &Span> {
    exports.iter().flat_map(|export| &export.spans)
}

fn value<'a>(span: &'a Span, key: &str) -> Option<&'a Value> {
    let found = span.attributes.iter().find(|pair| pair.key == key)?;
    found.value.as_ref()?.value.as_ref()
}

fn failed(span: &Span) -> bool {
    let error = StatusCode::Error as i32;
    span.status
        .as_ref()
        .is_some_and(|status| status.code == error)
}

#[test]
fn same_seed_gives_same_spans() {
    assert_eq!(exports(7), exports(7));
    assert_ne!(exports(7), exports(8));
}

#[test]
fn due_comes_in_order_and_in_pieces() {
    let whole = exports(1);
    assert!(whole.is_sorted_by_key(|export| export.due));
    let mut traffic = Traffic::new(World::new(1, ORIGIN), 2.0, ORIGIN - 15 * MINUTE);
    let mut pieces = Vec::new();
    for minute in 0..=30 {
        pieces.extend(traffic.due(ORIGIN - 15 * MINUTE + minute * MINUTE));
    }
    assert_eq!(pieces, whole);
}

#[test]
fn spans_are_well_formed() {
    let exports = exports(2);
    let mut seen = BTreeSet::new();
    for export in &exports {
        for span in &export.spans {
            assert_eq!((span.trace_id.len(), span.span_id.len()), (16, 8));
            assert!(span.trace_id.iter().any(|&byte| byte != 0));
            assert!(
                span.end_time_unix_nano >= span.start_time_unix_nano,
                "{span:?}"
            );
            assert!(
                export.due >= span.end_time_unix_nano,
                "sent before its end: {span:?}"
            );
            assert!(seen.insert((span.trace_id.clone(), span.span_id.clone())));
            for event in &span.events {
                let range = span.start_time_unix_nano..=span.end_time_unix_nano;
                assert!(range.contains(&event.time_unix_nano), "{span:?}");
            }
        }
    }
}

#[test]
fn parents_and_links_exist_and_traces_have_one_root() {
    let mut traffic = Traffic::new(World::new(3, ORIGIN), 2.0, ORIGIN - 15 * MINUTE);
    let mut exports = traffic.due(ORIGIN);
    let cut: BTreeSet<_> = spans(&exports).map(|span| span.trace_id.clone()).collect();
    // What was still on its way.
    exports.extend(traffic.due(ORIGIN + 15 * MINUTE));
    let all: BTreeSet<_> = spans(&exports)
        .map(|span| (&span.trace_id, &span.span_id))
        .collect();
    let mut roots: BTreeMap<_, u32> = BTreeMap::new();
    for span in spans(&exports).filter(|span| cut.contains(&span.trace_id)) {
        if span.parent_span_id.is_empty() {
            *roots.entry(&span.trace_id).or_default() += 1;
        } else {
            assert!(
                all.contains(&(&span.trace_id, &span.parent_span_id)),
                "{span:?}"
            );
        }
        for link in &span.links {
            assert!(all.contains(&(&link.trace_id, &link.span_id)), "{span:?}");
        }
    }
    assert_eq!(roots.len(), cut.len());
    assert!(roots.values().all(|&count| count == 1));
}

#[test]
fn shares_are_as_in_life() {
    let exports = exports(4);
    let total = spans(&exports).count() as f64;
    let errors = spans(&exports).filter(|span| failed(span)).count() as f64;
    assert!(
        (0.01..0.08).contains(&(errors / total)),
        "{errors} of {total}"
    );
    let runs: Vec<_> = spans(&exports)
        .filter_map(|span| value(span, "faas.coldstart"))
        .collect();
    let cold = runs
        .iter()
        .filter(|value| matches!(value, Value::BoolValue(true)))
        .count() as f64;
    let share = cold / runs.len() as f64;
    assert!((0.015..0.1).contains(&share), "{share}");
}

#[test]
fn stories_are_there() {
    let exports = exports(5);
    let any = |test: &dyn Fn(&Span) -> bool| spans(&exports).any(test);
    let attempt = |span: &Span| match value(span, "app.event.consumer.attempt_number") {
        Some(Value::IntValue(number)) => *number,
        _ => 0,
    };
    assert!(
        any(&|span| attempt(span) > 1 && failed(span)),
        "failed retry"
    );
    assert!(
        any(&|span| attempt(span) > 1 && !failed(span)),
        "saved by a retry"
    );
    assert!(
        any(&|span| span.links.len() > 1),
        "batch with a link for each message"
    );
    assert!(any(&|span| span.name == "Initialization"), "initialisation");
    for name in ["router", "Validate Event", "submit_user", "image"] {
        let fails =
            |span: &Span| span.name == name && span.events.iter().any(|e| e.name == "exception");
        assert!(any(&fails), "{name} never throws");
    }
    let by_id: BTreeMap<_, _> = spans(&exports).map(|span| (&span.span_id, span)).collect();
    let late = |span: &Span| {
        by_id
            .get(&span.parent_span_id)
            .is_some_and(|parent| parent.end_time_unix_nano < span.start_time_unix_nano)
    };
    assert!(any(&late), "a child that starts after its parent's end");
}

#[test]
fn a_trace_to_point_at_has_ended() {
    let mut traffic = Traffic::new(World::new(6, ORIGIN), 2.0, ORIGIN - 15 * MINUTE);
    let sent = traffic.due(ORIGIN);
    let best = traffic.world().highlight().unwrap();
    assert!(best.end < ORIGIN);
    assert!(spans(&sent).any(|span| span.trace_id == best.trace_id));
}
