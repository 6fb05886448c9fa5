//! What is counted, and what a checkpoint of it keeps.

use std::path::Path;
use std::sync::Arc;

use spanlight_model::{
    SpanBatch, SpanBatchBuilder, SpanColumns, SpanId, SpanKind, StatusCode, TraceId, Value,
};

use super::*;
use crate::disk::{Disk as _, LocalDisk};

/// A span of a test: trace, id, parent, service, kind.
struct Span {
    trace: u8,
    id: u8,
    parent: u8,
    service: &'static str,
    kind: SpanKind,
    link: Option<(u8, u8)>,
    attribute: Option<(&'static str, &'static str)>,
    failed: bool,
    trace_state: &'static str,
}

fn span(trace: u8, id: u8, parent: u8, service: &'static str, kind: SpanKind) -> Span {
    Span {
        trace,
        id,
        parent,
        service,
        kind,
        link: None,
        attribute: None,
        failed: false,
        trace_state: "",
    }
}

fn batch(spans: &[Span]) -> SpanBatch {
    let mut builder = SpanBatchBuilder::new(1_000);
    for span in spans {
        let mut resource = builder.begin_resource();
        let mut attributes = resource.attributes();
        attributes.push("service.name", Value::String(span.service));
        let resource = resource.commit();
        let scope = builder.begin_scope().commit();
        let mut row = builder.begin_span(resource, scope);
        row.set_trace_id(TraceId([span.trace; 16]));
        row.set_span_id(SpanId([span.id; 8]));
        if span.parent != 0 {
            row.set_parent_span_id(SpanId([span.parent; 8]));
        }
        row.set_name("work");
        row.set_kind(span.kind);
        row.set_trace_state(span.trace_state);
        row.set_start_time_unix_nano(1_000);
        row.set_end_time_unix_nano(1_005);
        if span.failed {
            row.set_status_code(StatusCode::Error);
        }
        if let Some((key, value)) = span.attribute {
            row.attributes().push(key, Value::String(value));
        }
        if let Some((trace, id)) = span.link {
            let mut link = row.begin_link();
            link.set_trace_id(TraceId([trace; 16]));
            link.set_span_id(SpanId([id; 8]));
            link.commit();
        }
        row.commit().unwrap();
    }
    builder.finish().unwrap()
}

/// Counts each group of spans as a segment of its own, and says what was counted.
fn check(segments: &[&[Span]]) -> String {
    let mut counters = Counters::default();
    for spans in segments {
        count(&mut counters, &batch(spans));
    }
    describe(&counters)
}

fn count(counters: &mut Counters, batch: &SpanBatch) {
    let columns: [SpanColumns<'_>; 1] = [batch.columns()];
    let places: Vec<Place> = (0..batch.num_spans())
        .map(|row| Place { batch: 0, row })
        .collect();
    counters.count(&columns, &places);
}

fn describe(counters: &Counters) -> String {
    let view = counters.view();
    let mut lines: Vec<String> = view
        .calls
        .iter()
        .map(|(call, counts)| {
            let Call {
                client,
                server,
                kind,
            } = call;
            format!(
                "{client} -> {server} {kind:?}: {} calls, {} failed",
                counts.calls, counts.errors
            )
        })
        .collect();
    if view.unmatched > 0 {
        lines.push(format!("{} unmatched", view.unmatched));
    }
    lines.join("\n")
}

#[test]
fn operations_count_spans_errors_and_durations() {
    let mut counters = Counters::default();
    let spans = [
        span(1, 1, 0, "a", SpanKind::Server),
        Span {
            failed: true,
            ..span(1, 2, 1, "a", SpanKind::Server)
        },
        Span {
            trace_state: "ot=th:8",
            ..span(1, 3, 1, "b", SpanKind::Server)
        },
    ];
    count(&mut counters, &batch(&spans));
    let operations = counters.view().operations;
    let of = |service: &str| {
        let found = operations
            .iter()
            .find(|(operation, _)| operation.service_name == service);
        found.map(|(operation, counts)| {
            assert_eq!(
                (operation.name.as_str(), operation.kind()),
                ("work", SpanKind::Server)
            );
            let longest = counts.durations.quantile_nano(1.0);
            (counts.spans, counts.calls, counts.errors, longest)
        })
    };
    assert_eq!(of("a"), Some((2, 2.0, 1.0, Some(6))));
    assert_eq!(of("b"), Some((1, 2.0, 0.0, Some(6))));
}

#[test]
fn a_child_in_another_service_is_a_call() {
    let spans = [
        span(1, 1, 0, "shop", SpanKind::Client),
        Span {
            failed: true,
            ..span(1, 2, 1, "cart", SpanKind::Server)
        },
        span(1, 3, 2, "cart", SpanKind::Internal),
        span(1, 4, 2, "cart", SpanKind::Producer),
        span(1, 5, 4, "mail", SpanKind::Consumer),
        span(1, 6, 4, "audit", SpanKind::Consumer),
    ];
    assert_eq!(
        check(&[&spans]),
        "cart -> audit Messaging: 1 calls, 0 failed\n\
         cart -> mail Messaging: 1 calls, 0 failed\n\
         shop -> cart Request: 1 calls, 1 failed"
    );
}

#[test]
fn sides_find_each_other_across_segments_in_either_order() {
    let client = || span(1, 1, 0, "shop", SpanKind::Client);
    let server = || span(1, 2, 1, "cart", SpanKind::Server);
    let found = "shop -> cart Request: 1 calls, 0 failed";
    assert_eq!(check(&[&[client()], &[server()]]), found);
    assert_eq!(check(&[&[server()], &[client()]]), found);
}

#[test]
fn a_message_may_have_several_consumers_in_later_segments() {
    let producer = [span(1, 1, 0, "shop", SpanKind::Producer)];
    let consumers = [
        span(1, 2, 1, "mail", SpanKind::Consumer),
        span(1, 3, 1, "audit", SpanKind::Consumer),
    ];
    assert_eq!(
        check(&[&producer, &consumers]),
        "shop -> audit Messaging: 1 calls, 0 failed\nshop -> mail Messaging: 1 calls, 0 failed"
    );
}

#[test]
fn a_consumer_of_a_batch_is_called_by_each_that_it_links_to() {
    let spans = [
        span(1, 1, 0, "shop", SpanKind::Producer),
        span(2, 1, 0, "web", SpanKind::Producer),
        Span {
            link: Some((1, 1)),
            ..span(3, 1, 0, "mail", SpanKind::Consumer)
        },
        Span {
            link: Some((2, 1)),
            ..span(3, 2, 0, "mail", SpanKind::Consumer)
        },
    ];
    assert_eq!(
        check(&[&spans]),
        "shop -> mail Messaging: 1 calls, 0 failed\nweb -> mail Messaging: 1 calls, 0 failed"
    );
}

#[test]
fn what_sends_no_spans_has_the_name_that_the_caller_gives_it() {
    let database = Some(("db.system.name", "dynamodb"));
    let peer = Some(("peer.service", "stripe"));
    let spans = [
        Span {
            attribute: database,
            ..span(1, 1, 0, "shop", SpanKind::Client)
        },
        Span {
            attribute: peer,
            ..span(1, 2, 0, "shop", SpanKind::Client)
        },
    ];
    assert_eq!(
        check(&[&spans]),
        "shop -> dynamodb Database: 1 calls, 0 failed\nshop -> stripe Peer: 1 calls, 0 failed"
    );
}

#[test]
fn spans_that_wait_in_vain_are_counted() {
    let mut counters = Counters::default();
    let spans = [
        span(1, 1, 0, "shop", SpanKind::Client),
        span(2, 2, 9, "cart", SpanKind::Server),
    ];
    count(&mut counters, &batch(&spans));
    counters.expire(1_000);
    assert_eq!(describe(&counters), "");
    counters.expire(1_001);
    assert_eq!(describe(&counters), "2 unmatched");
}

#[test]
fn those_that_wait_are_bounded() {
    let mut builder = SpanBatchBuilder::new(1_000);
    let resource = builder.begin_resource().commit();
    let scope = builder.begin_scope().commit();
    for number in 1..=(WAITING_MAX + 7) as u64 {
        let mut row = builder.begin_span(resource, scope);
        row.set_trace_id(TraceId([1; 16]));
        row.set_span_id(SpanId(number.to_be_bytes()));
        row.set_kind(SpanKind::Client);
        row.commit().unwrap();
    }
    let mut counters = Counters::default();
    count(&mut counters, &builder.finish().unwrap());
    assert_eq!(describe(&counters), "7 unmatched");
}

#[test]
fn a_checkpoint_keeps_everything() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("counters.json");
    assert!(Counters::load(&LocalDisk, &path).unwrap().is_none());
    let mut counters = Counters::default();
    let spans = [
        span(1, 1, 0, "shop", SpanKind::Client),
        span(1, 2, 1, "cart", SpanKind::Server),
        span(2, 1, 0, "shop", SpanKind::Client),
    ];
    count(&mut counters, &batch(&spans));
    counters.through = 17;
    counters.save(&LocalDisk, &path).unwrap();
    let mut loaded = Counters::load(&LocalDisk, &path).unwrap().unwrap();
    assert_eq!(loaded.through, 17);
    assert_eq!(loaded.view().operations, counters.view().operations);
    // What waits still finds its other side.
    count(
        &mut loaded,
        &batch(&[span(2, 2, 1, "cart", SpanKind::Server)]),
    );
    assert_eq!(describe(&loaded), "shop -> cart Request: 2 calls, 0 failed");
}

#[test]
fn a_damaged_checkpoint_is_an_error_and_no_panic() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("counters.json");
    let write = |text: &str| {
        let disk: Arc<dyn crate::disk::Disk> = Arc::new(LocalDisk);
        disk.remove(&path).ok();
        disk.create_new(&path)
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        Counters::load(&LocalDisk, Path::new(&path))
            .map(|_| ())
            .unwrap_err()
            .to_string()
    };
    assert_eq!(write("{"), "it is damaged, or of a newer version");
    assert!(LocalDisk.stat(&path).is_ok());
}
