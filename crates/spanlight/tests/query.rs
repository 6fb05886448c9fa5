//! `query` and `trace`, against a server and against a directory without one.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use spanlight::demo::{Sender, Traffic, World};
use tempfile::TempDir;

use crate::process::{Running, run_in};

const MINUTE: u64 = 60_000_000_000;

/// Sends ten minutes of the example systems to a server; gives the id of a trace with several attempts, and the
/// number of spans.
fn fill(server: &Running) -> (String, usize) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = now.as_nanos() as u64;
    let mut traffic = Traffic::new(World::new(11, now), 1.0, now - 10 * MINUTE);
    let exports = traffic.due(now);
    let spans = exports.iter().map(|export| export.spans.len()).sum();
    let address = server.address("OTLP over HTTP");
    let sender = Sender::new(address.trim_start_matches("http://")).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(sender.send(exports)).unwrap();
    let best = traffic.world().highlight().unwrap();
    let id = format!("{:032x}", u128::from_be_bytes(best.trace_id));
    (id, spans)
}

fn answers(directory: &Path, id: &str) {
    let retried = "{ span.app.event.consumer.attempt_number > 1 }";
    let found = run_in(directory, &["query", retried, "--limit", "500"]);
    assert_eq!(found.code, Some(0), "{found:?}");
    assert!(found.stdout.contains("TIME"), "{found:?}");
    assert!(found.stdout.contains(id), "{found:?}");
    assert!(!found.stdout.contains("lambda"), "{found:?}");

    let json = run_in(
        directory,
        &["query", "{ status = error }", "--output", "json"],
    );
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    let traces = json["traces"].as_array().unwrap();
    assert_eq!(traces.len(), 20);
    assert!(
        traces
            .iter()
            .all(|trace| trace["error_count"].as_u64() > Some(0))
    );

    for (query, step) in [
        ("{ status = error }", "find spans, newest first ("),
        ("{ status = error } | rate()", "count spans ("),
    ] {
        let explained = run_in(directory, &["query", "--explain", query]).stdout;
        for part in [step, "\n  where status = \"error\"", "\n  spans: "] {
            assert!(explained.contains(part), "no {part:?} in {explained}");
        }
    }

    let shown = run_in(directory, &["trace", id]);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    for part in ["Validate Event", "└╴", "█", "DeliveryFailed", "✗ error", id] {
        assert!(shown.stdout.contains(part), "no {part} in {shown:?}");
    }
    let json = run_in(directory, &["trace", id, "--output", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["trace_id"], id);
    let short = run_in(directory, &["trace", id, "--limit", "2"]);
    assert!(short.stdout.contains("more; --limit"), "{short:?}");
}

#[test]
fn server_and_directory_give_the_same_answers() {
    let directory = TempDir::new().unwrap();
    let server = Running::serve(directory.path(), &[]);
    let (id, _) = fill(&server);
    answers(directory.path(), &id);
    assert_eq!(server.stop("-TERM").0, Some(0));

    // Of the directory of another server nothing is known on the usual port.
    let path = directory.path().join("spanlight-data");
    let path = path.to_str().unwrap();
    let named = ["trace", &id, "--data-dir", path];
    let shown = run_in(directory.path(), &named);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    assert!(
        shown.stderr.contains("no server is running; reading"),
        "{shown:?}"
    );
    assert!(shown.stdout.contains("DeliveryFailed"), "{shown:?}");
    // It can be opened again: the lock was given back.
    assert_eq!(run_in(directory.path(), &named).code, Some(0));
}

#[test]
fn a_restart_says_what_it_recovered() {
    let directory = TempDir::new().unwrap();
    let log = directory.path().join("log");
    let told = |server: Running| {
        server.stop("-KILL");
        let log = std::fs::read_to_string(&log).unwrap();
        let line = log.lines().find(|line| line.contains("recovered the log"));
        line.map(str::to_owned)
    };
    let server = Running::serve_logging(directory.path(), &[], &log);
    let spans = fill(&server).1;
    assert_eq!(
        told(server),
        None,
        "nothing is recovered in a new directory"
    );
    let line = told(Running::serve_logging(directory.path(), &[], &log)).unwrap();
    assert!(line.contains("INFO"), "{line}");
    assert!(line.contains(&format!(" spans={spans} ")), "{line}");
    for (name, least) in [
        ("batches", 1),
        ("bytes", 100),
        ("segments", 1),
        ("elapsed_ms", 0),
    ] {
        let value = line.split_once(&format!("{name}=")).unwrap().1;
        let value = value.split_whitespace().next().unwrap();
        assert!(value.parse::<u64>().unwrap() >= least, "{line}");
    }
}

#[test]
fn a_bad_query_is_marked() {
    let directory = TempDir::new().unwrap();
    let _server = Running::serve(directory.path(), &[]);
    let ended = run_in(directory.path(), &["query", "{ span.foo == 3 }"]);
    assert_eq!(ended.code, Some(2));
    let lines: Vec<&str> = ended.stderr.lines().collect();
    assert_eq!(lines[1], "  { span.foo == 3 }");
    assert!(lines[2].trim_start().starts_with('^'), "{ended:?}");
    // Too long for an address.
    let long = format!("{{ name == \"{}\" }}", "x".repeat(10_000));
    let ended = run_in(directory.path(), &["query", &long]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("^^"), "{ended:?}");
    let ended = run_in(directory.path(), &["query", "{}", "--start", "yesterday"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("start"), "{ended:?}");
}

#[test]
fn what_is_not_there() {
    let directory = TempDir::new().unwrap();
    let _server = Running::serve(directory.path(), &[]);
    let ended = run_in(
        directory.path(),
        &["trace", "4bf92f3577b34da6a3ce929d0e0e4736"],
    );
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let ended = run_in(directory.path(), &["query", "{ name = \"nothing\" }"]);
    assert_eq!(ended.code, Some(0));
    assert!(ended.stdout.starts_with("no trace matches"), "{ended:?}");
}
