//! `docs/traceql.md`: each of its queries is asked of the example systems' spans, and finds something.

use std::time::{SystemTime, UNIX_EPOCH};

use spanlight::demo::{Sender, Traffic, World};
use tempfile::TempDir;

use crate::process::{Running, run_in};

const PAGE: &str = include_str!("../../../docs/traceql.md");

const MINUTE: u64 = 60_000_000_000;

/// What finds nothing in these systems, or not in these minutes.
const NOTHING: &str = "// nothing";

/// A quarter of an hour of the example systems.
pub(crate) fn fill(server: &Running) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = now.as_nanos() as u64;
    let mut traffic = Traffic::new(World::new(11, now), 3.0, now - 15 * MINUTE);
    let exports = traffic.due(now);
    let address = server.address("OTLP over HTTP");
    let sender = Sender::new(address.trim_start_matches("http://")).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(sender.send(exports)).unwrap();
}

/// The lines of the blocks of queries, and the queries in tables; each with whether it finds something.
fn examples() -> Vec<(String, bool)> {
    let mut found = Vec::new();
    let (mut in_block, mut finds) = (false, true);
    for line in PAGE.lines().map(str::trim) {
        if line.starts_with("```") {
            in_block = line == "```traceql";
        } else if in_block && line.starts_with("//") {
            finds = !line.starts_with(NOTHING);
        } else if in_block {
            found.push((line.to_owned(), finds));
            finds = true;
        } else if line.starts_with("| ") {
            let line = line.replace("\\|", "|");
            let code = line.split('`').skip(1).step_by(2);
            let queries = code.filter(|code| code.starts_with("{ ") && code.contains('}'));
            found.extend(queries.map(|query| (query.to_owned(), true)));
        }
    }
    found
}

/// Whether there is a trace, or a point that is not zero.
fn finds(answer: &serde_json::Value) -> bool {
    let list = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
    let samples = list(&answer["series"])
        .into_iter()
        .flat_map(|series| list(&series["samples"]));
    let mut values = samples.map(|sample| sample[1].as_f64().unwrap());
    !list(&answer["traces"]).is_empty() || values.any(|value| value != 0.0)
}

#[test]
fn every_example_of_the_language_finds_something() {
    let directory = TempDir::new().unwrap();
    let server = Running::serve(directory.path(), &[]);
    fill(&server);
    let examples = examples();
    assert!(examples.len() > 60, "{} examples", examples.len());
    let mut wrong = Vec::new();
    for (query, expected) in examples {
        let asked = ["query", &query, "--output", "json", "--limit", "1"];
        let ended = run_in(directory.path(), &asked);
        let answer: Option<serde_json::Value> = serde_json::from_str(&ended.stdout).ok();
        let is_right = answer.is_some_and(|answer| {
            answer["partial"].as_array().is_some_and(Vec::is_empty) && finds(&answer) == expected
        });
        if !is_right {
            wrong.push(format!("{query}\n  {}{}", ended.stdout, ended.stderr));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let drawn = run_in(
        directory.path(),
        &[
            "query",
            "{ } | rate() by (resource.service.name)",
            "--step",
            "1m",
        ],
    );
    for part in ["resource.service.name=ebe-egress", "┤", "█", "max "] {
        assert!(drawn.stdout.contains(part), "no {part} in {drawn:?}");
    }
}
