//! `import`: files into a server and into a directory, with what is wrong in them named.

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Ended, Running, run_in, spanlight};

/// An export of one trace, its spans named `span 0`, `span 1`, ….
fn export(trace: u128, spans: usize) -> String {
    let spans: Vec<String> = (1..=spans)
        .map(|span| {
            format!(
                r#"{{"traceId":"{trace:032x}","spanId":"{span:016x}","name":"span {span}","kind":2,"startTimeUnixNano":"1760000000000000000","endTimeUnixNano":"1760000000250000000"}}"#
            )
        })
        .collect();
    format!(
        r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"files"}}}}]}},"scopeSpans":[{{"spans":[{}]}}]}}]}}"#,
        spans.join(",")
    )
}

fn span_count(directory: &Path, trace: u128) -> u64 {
    let id = format!("{trace:032x}");
    let shown = run_in(directory, &["trace", &id, "--output", "json"]);
    if shown.code == Some(3) {
        return 0;
    }
    assert_eq!(shown.code, Some(0), "{shown:?}");
    let answer: Value = serde_json::from_str(&shown.stdout).unwrap();
    answer["span_count"].as_u64().unwrap()
}

fn pipe(directory: &Path, arguments: &[&str], bytes: &[u8]) -> Ended {
    let mut command = spanlight(directory, arguments);
    command.stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    let output = child.wait_with_output().unwrap();
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn files_and_standard_input_reach_a_server() {
    let directory = TempDir::new().unwrap();
    let server = Running::serve(directory.path(), &[]);
    let lines: Vec<String> = (1..=40).map(|trace| export(trace, 25)).collect();
    std::fs::write(directory.path().join("lines.jsonl"), lines.join("\n")).unwrap();
    std::fs::write(directory.path().join("empty.json"), "").unwrap();
    let files = ["import", "lines.jsonl", "empty.json"];
    for _twice in 0..2 {
        let ended = run_in(directory.path(), &files);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(
            ended.stdout.starts_with("1,000 spans imported from "),
            "{ended:?}"
        );
        assert_eq!(ended.stderr, "");
    }
    assert_eq!(span_count(directory.path(), 40), 25);
    let address = server.address("pages and queries");
    let piped = ["import", "-", "--server", address];
    let ended = pipe(directory.path(), &piped, export(99, 3).as_bytes());
    assert!(ended.stdout.starts_with("3 spans imported"), "{ended:?}");
    assert_eq!(span_count(directory.path(), 99), 3);
}

#[test]
fn a_directory_without_a_server_is_written_to() {
    let directory = TempDir::new().unwrap();
    std::fs::write(directory.path().join("one.json"), export(7, 4)).unwrap();
    let ended = run_in(directory.path(), &["import", "one.json"]);
    assert_eq!(ended.code, Some(4), "there is neither: {ended:?}");
    // One that is named is made.
    let named = ["import", "one.json", "--data-dir", "spanlight-data"];
    let ended = run_in(directory.path(), &named);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.stderr.contains("writing to spanlight-data"),
        "{ended:?}"
    );
    let ended = run_in(directory.path(), &["import", "one.json"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let _server = Running::serve(directory.path(), &[]);
    assert_eq!(span_count(directory.path(), 7), 4);
}

#[test]
fn what_is_wrong_is_named_and_the_rest_is_kept() {
    let directory = TempDir::new().unwrap();
    let _server = Running::serve(directory.path(), &[]);
    let misshapen = export(2, 2).replacen("\"spanId\":\"0000000000000001\"", "\"spanId\":[1]", 1);
    let zero = export(0, 1);
    let text = [export(1, 2), misshapen, zero, export(3, 2)].join("\n");
    std::fs::write(directory.path().join("bad.jsonl"), &text).unwrap();
    let files = ["import", "bad.jsonl", "nowhere.json", "."];
    let ended = run_in(directory.path(), &files);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stdout.starts_with("4 spans imported"), "{ended:?}");
    for part in [
        "bad.jsonl:2:",
        "cannot read nowhere.json",
        "cannot read .: ",
        "3 spans refused",
        "2 files not read to the end",
    ] {
        assert!(ended.stderr.contains(part), "no {part} in {}", ended.stderr);
    }
    assert_eq!(span_count(directory.path(), 1), 2);
    assert_eq!(span_count(directory.path(), 3), 2);
    let column = text.lines().nth(1).unwrap().find("\"spanId\":[1]").unwrap() + 1;
    let named: usize = ended
        .stderr
        .split_once("bad.jsonl:2:")
        .unwrap()
        .1
        .split(':')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!(
        (column..column + 14).contains(&named),
        "{named} is not near {column}"
    );
}
