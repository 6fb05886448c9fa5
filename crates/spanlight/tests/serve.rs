//! `serve`: a banner when it is ready, and a clean end.

use tempfile::TempDir;

use crate::process::{Running, run_in};

#[test]
fn serves_until_a_signal() {
    for signal in ["-TERM", "-INT"] {
        let directory = TempDir::new().unwrap();
        let server = Running::serve(directory.path(), &[]);
        let addresses = directory.path().join("spanlight-data/addresses.json");
        let text = std::fs::read_to_string(&addresses).unwrap();
        let http = server.address("pages and queries");
        assert!(text.contains(http.trim_start_matches("http://").trim_end_matches('/')));
        assert!(
            server
                .banner
                .contains("OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:")
        );
        assert_eq!(server.stop(signal).0, Some(0), "{signal}");
        assert!(!addresses.exists());
    }
}

#[test]
fn what_may_lose_spans_is_announced() {
    let directory = TempDir::new().unwrap();
    let quiet = Running::serve(directory.path(), &[]);
    assert!(!quiet.banner.contains("warning"), "{}", quiet.banner);
    quiet.stop("-TERM");
    let log = directory.path().join("log");
    let server = Running::serve_logging(directory.path(), &["--set", "storage.fsync=never"], &log);
    let warning = "storage.fsync is never: spans are acknowledged before they are on the disk";
    assert!(
        server.banner.contains(&format!("warning: {warning}")),
        "{}",
        server.banner
    );
    server.stop("-TERM");
    let log = std::fs::read_to_string(log).unwrap();
    let warned = log
        .lines()
        .any(|line| line.contains("WARN") && line.contains(warning));
    assert!(warned, "{log}");
}

#[test]
fn the_log_is_about_spanlight() {
    let directory = TempDir::new().unwrap();
    let log = directory.path().join("log");
    Running::serve_logging(directory.path(), &[], &log).stop("-TERM");
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains(" INFO spanlight_server"), "{log}");
    let mut lines = log.lines().filter(|line| line.contains(" INFO "));
    assert!(lines.all(|line| line.contains(" INFO spanlight")), "{log}");
}

#[test]
fn the_example_can_be_followed_whatever_the_listener() {
    for (listener, endpoint) in [("0.0.0.0:0", "127.0.0.1:"), ("[::]:0", "[::1]:")] {
        if std::net::TcpListener::bind(listener).is_err() {
            continue; // A machine without IPv6.
        }
        let directory = TempDir::new().unwrap();
        let setting = format!("receivers.otlp_http={listener}");
        let server = Running::serve(directory.path(), &["--set", &setting]);
        let example = server.address("OTEL_EXPORTER_OTLP_ENDPOINT=");
        let example = example.strip_prefix("http://").unwrap();
        assert!(example.starts_with(endpoint), "{}", server.banner);
        std::net::TcpStream::connect(example).unwrap();
        let bound = listener.trim_end_matches('0');
        let label = server.address("OTLP over HTTP");
        assert!(
            label.starts_with(&format!("http://{bound}")),
            "{}",
            server.banner
        );
    }
}

#[test]
fn a_directory_has_one_server() {
    let directory = TempDir::new().unwrap();
    let _server = Running::serve(directory.path(), &[]);
    let second = [
        "serve",
        "--set",
        "http=127.0.0.1:0",
        "--set",
        "receivers.otlp_http=off",
    ];
    let second = [&second[..], &["--set", "receivers.otlp_grpc=off"]].concat();
    let ended = run_in(directory.path(), &second);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains("belongs to a running Spanlight"),
        "{ended:?}"
    );
}

#[test]
fn a_taken_port_is_named() {
    let directory = TempDir::new().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = run_in(directory.path(), &["serve", "--listen", &address]);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended
            .stderr
            .contains(&format!("cannot listen on {address}")),
        "{ended:?}"
    );
}
