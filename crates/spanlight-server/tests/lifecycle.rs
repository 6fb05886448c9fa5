//! Starting, being asked how it is, and ending.

use std::time::Duration;

use insta::assert_snapshot;
use spanlight_server::Addresses;
use spanlight_store::{Store, StoreOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::fixture::{Fixture, hex, now_unix_nano, order, trace_id, try_start};

#[tokio::test]
async fn addresses_are_told_while_the_server_runs() {
    let server = Fixture::with(&["receivers.otlp_grpc=off"]).await;
    let addresses = Addresses::read(server.directory.path()).unwrap();
    assert_eq!(
        Some(server.http.trim_start_matches("http://").to_owned()),
        addresses.http.map(|address| address.to_string())
    );
    assert_eq!(addresses.otlp_grpc, None);
    let directory = server.stop().await;
    assert_eq!(Addresses::read(directory.path()), None);
}

#[tokio::test]
async fn a_taken_port_says_which_setting_to_change() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port();
    for setting in ["http", "receivers.otlp_http", "receivers.otlp_grpc"] {
        let directory = tempfile::tempdir().unwrap();
        let set = format!("{setting}=127.0.0.1:{port}");
        let error = try_start(directory.path(), &[&set]).await.unwrap_err();
        let message = error.to_string().replace(&port.to_string(), "PORT");
        assert!(message.contains(&format!("({setting})")), "{message}");
        if setting == "http" {
            assert_snapshot!(message, @"cannot listen on 127.0.0.1:PORT (http), it is taken: end the program that has it, or set http to another address, to one with port 0 (any free port) or to off");
        }
    }
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = try_start(&file.join("data"), &[]).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("cannot write to the data directory"),
        "{error}"
    );
}

#[tokio::test]
async fn a_directory_in_use_says_by_whom() {
    let server = Fixture::start().await;
    let error = try_start(server.directory.path(), &[]).await.unwrap_err();
    assert!(
        error.to_string().contains("belongs to a running Spanlight"),
        "{error}"
    );
    // The addresses are still those of the one that runs.
    assert!(Addresses::read(server.directory.path()).is_some());
}

#[tokio::test]
async fn spans_outlive_the_server() {
    let server = Fixture::start().await;
    server.send(&order(1, now_unix_nano())).await;
    let directory = server.stop().await;
    let server = Fixture::at(directory, &[]).await;
    let trace = server
        .get(&format!("/api/v1/traces/{}", hex(&trace_id(1))))
        .await;
    assert_eq!(trace.json()["span_count"], 3);
}

#[tokio::test]
async fn health_is_told() {
    let server = Fixture::start().await;
    assert_eq!(server.get("/healthz").await.status, 200);
    let ready = server.get("/readyz").await;
    assert_eq!(ready.status, 200);
    assert_snapshot!(ready.text(), @r#"{"ready":true,"reasons":[],"warnings":[]}"#);
    let careless = Fixture::with(&["storage.fsync=never"]).await;
    let ready = careless.get("/readyz").await;
    assert_eq!(ready.status, 200);
    assert_snapshot!(ready.text(), @r#"{"ready":true,"reasons":[],"warnings":["storage.fsync is never: spans are acknowledged before they are on the disk, and a power cut may lose them"]}"#);
    let metrics = server.get("/metrics").await;
    assert!(
        metrics
            .header("content-type")
            .starts_with("application/openmetrics-text")
    );
    let text = metrics.text();
    assert!(text.ends_with("# EOF\n"));
    assert!(text.contains("spanlight_build_info{version="));
    assert!(text.contains("spanlight_store_writable 1"));
}

#[tokio::test]
async fn what_is_being_sent_at_the_end_is_still_stored() {
    use prost::Message as _;
    let server = Fixture::start().await;
    let body = order(1, now_unix_nano()).encode_to_vec();
    let address = server.otlp_http.trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body[..50]).await.unwrap();
    while server.metric("spanlight_in_flight_bytes").await < 1.0 {
        tokio::task::yield_now().await;
    }
    let stopping = tokio::spawn(server.stop());
    // The listener is closed first; then the rest of the body comes.
    while TcpStream::connect(&address).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stream.write_all(&body[50..]).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"));
    let server = Fixture::at(stopping.await.unwrap(), &[]).await;
    let trace = server
        .get(&format!("/api/v1/traces/{}", hex(&trace_id(1))))
        .await;
    assert_eq!(trace.json()["span_count"], 3);
}

#[tokio::test]
async fn a_drain_ends_though_a_client_does_not() {
    let server = Fixture::with(&["limits.drain_time=100ms"]).await;
    let address = server.otlp_http.trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&address).await.unwrap();
    stream
        .write_all(
            b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{",
        )
        .await
        .unwrap();
    while server.metric("spanlight_in_flight_bytes").await < 1.0 {
        tokio::task::yield_now().await;
    }
    tokio::time::timeout(Duration::from_secs(20), server.stop())
        .await
        .unwrap();
}

/// A full disk takes no spans, but it must not keep those that it has from being read, or deleted by age.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_does_not_keep_a_server_from_starting() {
    let directory = tempfile::tempdir().unwrap();
    let unfinished = directory.path().join("addresses.json.new");
    std::os::unix::fs::symlink("/dev/full", unfinished).unwrap();
    let server = Fixture::at(directory, &[]).await;
    assert_eq!(Addresses::read(server.directory.path()), None);
    assert_eq!(server.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn a_file_that_is_missing_is_named() {
    let server = Fixture::start().await;
    server.send(&order(1, now_unix_nano())).await;
    let directory = server.stop().await;
    let store = Store::open(StoreOptions::new(directory.path())).await;
    let store = store.unwrap();
    store.flush().await.unwrap();
    store.close().await;
    let files = std::fs::read_dir(directory.path().join("cold")).unwrap();
    let mut files = files.map(|entry| entry.unwrap().path());
    let file = files.find(|path| path.is_file()).unwrap();
    std::fs::remove_file(&file).unwrap();

    let server = Fixture::at(directory, &[]).await;
    let warnings = loop {
        let ready = server.get("/readyz").await;
        assert_eq!(ready.status, 200);
        let warnings = ready.json()["warnings"].clone();
        if warnings != serde_json::json!([]) {
            break warnings;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let name = file.file_name().unwrap().to_string_lossy();
    let told = format!(
        "cold/{name} cannot be read, and answers lack its 3 spans: it is missing; restore it from a backup, or live with the gap"
    );
    assert_eq!(warnings, serde_json::json!([told]));
    let status = server.get("/api/v1/status").await.json();
    let unreadable = &status["store"]["unreadable"];
    assert_eq!(
        *unreadable,
        serde_json::json!([{"file": format!("cold/{name}"), "spans": 3, "reason": "it is missing"}])
    );
    let metrics = server.get("/metrics").await.text();
    assert!(metrics.contains("spanlight_store_unreadable_files 1"));
}
