//! `store`: what it says of a directory, with a server on it and without, and how it ends when something is wrong.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Running, run_in};

/// Imports traces of three spans each, one of a user of its own.
fn fill(directory: &Path, traces: u64) {
    let lines: Vec<String> = (1..=traces)
        .map(|trace| {
            let spans: Vec<String> = (1..=3)
                .map(|span| {
                    format!(
                        r#"{{"traceId":"{trace:032x}","spanId":"{span:016x}","name":"s","startTimeUnixNano":"1760000000000000000","endTimeUnixNano":"1760000000250000000","attributes":[{{"key":"user.id","value":{{"stringValue":"user-{trace}"}}}}]}}"#
                    )
                })
                .collect();
            format!(
                r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"shop"}}}}]}},"scopeSpans":[{{"spans":[{}]}}]}}]}}"#,
                spans.join(",")
            )
        })
        .collect();
    std::fs::write(directory.join("spans.jsonl"), lines.join("\n")).unwrap();
    let ended = run_in(directory, &["import", "spans.jsonl"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

fn json(directory: &Path, arguments: &[&str]) -> Value {
    let ended = run_in(directory, &[arguments, &["--output", "json"]].concat());
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

#[test]
fn a_directory_is_verified_measured_and_copied_beside_a_server() {
    let directory = TempDir::new().unwrap();
    let root = directory.path();
    let server = Running::serve(root, &["--set", "storage.hot_window=1s"]);
    fill(root, 100);
    let ended = run_in(root, &["store", "compact"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let ended = run_in(root, &["store", "verify"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("nothing is wrong"), "{ended:?}");
    assert!(ended.stdout.contains("a server is running"), "{ended:?}");
    let ended = run_in(root, &["store", "stats"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.starts_with("LEVEL"), "{ended:?}");
    for _ in 0..2 {
        let ended = run_in(root, &["store", "backup", "copy"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    drop(server);
    let ended = run_in(root, &["store", "restore", "copy", "--data-dir", "other"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let id = format!("{:032x}", 77);
    let shown = run_in(root, &["trace", &id, "--data-dir", "other"]);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    let ended = run_in(root, &["store", "restore", "copy", "--data-dir", "other"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("is not empty"), "{ended:?}");
    assert_eq!(
        run_in(root, &["store", "verify", "--data-dir", "copy/log"]).code,
        Some(1)
    );
}

#[test]
fn what_is_wrong_is_said_with_what_to_do() {
    let directory = TempDir::new().unwrap();
    let root = directory.path();
    let server = Running::serve(root, &[]);
    fill(root, 10);
    assert_eq!(server.stop("-TERM").0, Some(0));
    let report = json(root, &["store", "verify"]);
    assert_eq!(report["running"], false);
    assert_eq!(report["problems"], Value::Array(Vec::new()));
    let log = std::fs::read_dir(root.join("spanlight-data/log")).unwrap();
    let segment = log.map(|entry| entry.unwrap().path()).max().unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    let whole = bytes[32..].to_vec();
    bytes[100] ^= 1;
    // The damage is not at the end.
    bytes.extend(whole);
    std::fs::write(&segment, bytes).unwrap();
    let ended = run_in(root, &["store", "verify"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("found"), "{ended:?}");
}

#[test]
fn traces_are_deleted_when_it_is_meant() {
    let directory = TempDir::new().unwrap();
    let root = directory.path();
    let _server = Running::serve(root, &[]);
    fill(root, 20);
    let query = r#"{ span.user.id = "user-7" }"#;
    let id = format!("{:032x}", 7);
    let delete = |more: &[&str]| {
        let arguments = [&["store", "delete", "--query", query], more].concat();
        run_in(root, &arguments)
    };
    let ended = delete(&["--dry-run"]);
    assert_eq!(
        ended.stdout, "1 trace with 3 spans would be deleted\n",
        "{ended:?}"
    );
    let ended = delete(&[]);
    assert_eq!(ended.code, Some(2), "nobody was asked: {ended:?}");
    assert_eq!(run_in(root, &["trace", &id]).code, Some(0));
    let ended = delete(&["--yes"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.stdout.starts_with("deleted 1 trace with 3 spans"),
        "{ended:?}"
    );
    assert_eq!(run_in(root, &["trace", &id]).code, Some(3));
    assert_eq!(delete(&["--yes"]).stdout, "no trace matches\n");
    let other = format!("{:032x}", 8);
    assert_eq!(run_in(root, &["trace", &other]).code, Some(0));
    let ended = run_in(root, &["store", "delete", "--query", "{ nonsense", "--yes"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
}
