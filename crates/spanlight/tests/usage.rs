//! Wrong usage: exit code 2 (or 4, where nobody can be asked), and a message that says what to do.

use std::fs;

use tempfile::TempDir;

use crate::process::{run, run_in};

#[test]
fn no_command_shows_help() {
    let ended = run(&[]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("Usage: spanlight"), "{ended:?}");
}

#[test]
fn unknown_setting_names_the_nearest() {
    let ended = run(&["config", "--set", "receivers.otlp_htp=off"]);
    assert_eq!(ended.code, Some(2));
    insta::assert_snapshot!(ended.stderr.trim_end(), @r#"error: --set: no setting is called "receivers.otlp_htp"; did you mean "receivers.otlp_http"?"#);
}

#[test]
fn bad_file_names_line_and_column() {
    let directory = TempDir::new().unwrap();
    let file = "[storage]\nretention = \"soon\"\n";
    fs::write(directory.path().join("spanlight.toml"), file).unwrap();
    let ended = run_in(directory.path(), &["serve", "--config", "spanlight.toml"]);
    assert_eq!(ended.code, Some(2));
    assert!(
        ended
            .stderr
            .contains("spanlight.toml:2:1: storage.retention"),
        "{ended:?}"
    );
}

#[test]
fn config_shows_where_values_come_from() {
    let ended = run(&["config", "--set", "http=off"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert!(
        ended.stdout.contains("http = \"off\" # from --set"),
        "{}",
        ended.stdout
    );
    assert!(
        ended
            .stdout
            .contains("otlp_http = \"127.0.0.1:4318\" # default")
    );
}

#[test]
fn config_as_json() {
    let ended = run(&["config", "--data-dir", "elsewhere", "--output", "json"]);
    let settings: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(settings["storage.data_dir"]["origin"], "--data-dir");
    assert_eq!(settings["receivers.otlp_grpc"]["origin"], "default");
}

#[test]
fn nobody_to_ask() {
    // Port 1 is reserved; nobody listens there.
    let ended = run(&["query", "{}", "--set", "http=127.0.0.1:1"]);
    assert_eq!(ended.code, Some(4));
    insta::assert_snapshot!(ended.stderr.trim_end(), @r"error: no server answers at 127.0.0.1:1, and there is no data directory spanlight-data: start `spanlight serve`, or name the server with --server or the directory with --data-dir");
    let ended = run(&["query", "{}", "--server", "http://127.0.0.1:1"]);
    assert_eq!(ended.code, Some(4));
    assert!(
        ended
            .stderr
            .starts_with("error: no Spanlight server answers at http://127.0.0.1:1/\n")
    );
}

#[test]
fn a_trace_id_is_no_path() {
    let ended = run(&["trace", "../../metrics"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("is not a trace id"), "{ended:?}");
}

#[test]
fn rate_out_of_range() {
    let ended = run(&["demo", "--rate", "0"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("expected a number from 0.01 to 1000"));
}
