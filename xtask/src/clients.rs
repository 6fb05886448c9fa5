//! OpenTelemetry's own SDKs against a real server: programs in Python and Node, unmodified exporters, every protocol.
//! Each program says which spans it made; they are read back through the API and compared field by field.

mod compare;

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;

use crate::{
    http::Client,
    repository,
    server::{Addresses, Launch, Scratch, Server},
    setup,
};

#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Options {
    /// Only the programs whose name contains this
    filter: Option<String>,
    /// Use the release build of the server
    #[arg(long)]
    release: bool,
}

/// One program and one way to send.
#[derive(Clone, Copy, Debug)]
struct Program {
    name: &'static str,
    language: Language,
    /// On top of what every program gets.
    environment: &'static [(&'static str, &'static str)],
    grpc: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Language {
    Python,
    Node,
}

const PROGRAMS: [Program; 8] = [
    python("python-http-protobuf", &[("EXPORTER", "http")], false),
    python(
        "python-http-protobuf-gzip",
        &[
            ("EXPORTER", "http"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ],
        false,
    ),
    python("python-grpc", &[("EXPORTER", "grpc")], true),
    python(
        "python-grpc-gzip",
        &[
            ("EXPORTER", "grpc"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ],
        true,
    ),
    node(
        "node-http-json",
        &[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")],
        false,
    ),
    node(
        "node-http-json-gzip",
        &[
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ],
        false,
    ),
    node(
        "node-http-protobuf",
        &[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")],
        false,
    ),
    node(
        "node-grpc",
        &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")],
        true,
    ),
];

const fn python(
    name: &'static str,
    environment: &'static [(&'static str, &'static str)],
    grpc: bool,
) -> Program {
    Program {
        name,
        language: Language::Python,
        environment,
        grpc,
    }
}

const fn node(
    name: &'static str,
    environment: &'static [(&'static str, &'static str)],
    grpc: bool,
) -> Program {
    Program {
        name,
        language: Language::Node,
        environment,
        grpc,
    }
}

/// Where the packages are that the programs need.
#[derive(Debug)]
struct Tools {
    python: PathBuf,
    node: PathBuf,
}

/// Runs all programs against one server; returns how many passed.
pub(crate) fn run(options: &Options) -> Result<u64> {
    let wanted = |program: &&Program| {
        options
            .filter
            .as_ref()
            .is_none_or(|filter| program.name.contains(filter.as_str()))
    };
    let tools = Tools {
        python: setup::python("tests/clients/python")?,
        node: setup::node("tests/clients/node")?,
    };
    let binary = repository::spanlight(options.release)?;
    let scratch = Scratch::new("clients")?;
    let mut server = Launch::new(&binary, &scratch.path().join("data")).start()?;
    let (mut passed, mut failed) = (0, 0);
    for program in PROGRAMS.iter().filter(wanted) {
        let started = Instant::now();
        match test(program, &tools, &server, scratch.path()) {
            Ok(spans) => {
                passed += 1;
                println!(
                    "ok    {} ({spans} spans, {:.1} s)",
                    program.name,
                    started.elapsed().as_secs_f64()
                );
            }
            Err(error) => {
                failed += 1;
                println!("FAIL  {}: {error:#}", program.name);
            }
        }
    }
    server.check_alive()?;
    println!("clients: {passed} passed, {failed} failed");
    if failed > 0 || passed == 0 {
        bail!(
            "{failed} programs failed; the server's log ends with\n{}",
            server.log_tail()
        );
    }
    server.stop()?;
    Ok(passed)
}

/// Returns how many spans were compared.
fn test(program: &Program, tools: &Tools, server: &Server, scratch: &Path) -> Result<usize> {
    let sent = send(program, tools, server.addresses, scratch)?;
    let mut client = Client::new(server.addresses.http);
    let mut spans = 0;
    for (trace_id, expected) in compare::by_trace(&sent)? {
        // The ack was the end of the program's export: the very next question must be answered.
        let answer = client.get(&format!("/api/v1/traces/{trace_id}?format=otlp"))?;
        if answer.status != 200 {
            bail!(
                "asked for trace {trace_id}, the server answered {}: {}",
                answer.status,
                answer.text()
            );
        }
        let differences = compare::differences(&expected, &answer.json()?)?;
        if !differences.is_empty() {
            bail!(
                "trace {trace_id} came back different:\n      {}",
                differences.join("\n      ")
            );
        }
        search(&mut client, &trace_id)?;
        spans += expected.len();
    }
    if spans == 0 {
        bail!("the program made no spans");
    }
    Ok(spans)
}

/// The trace is also found by asking for it in TraceQL.
fn search(client: &mut Client, trace_id: &str) -> Result<()> {
    // {trace:id="…"}, as a URL has it.
    let query = format!("%7B%20trace%3Aid%20%3D%20%22{trace_id}%22%20%7D");
    let answer = client.get(&format!("/api/v1/search?q={query}&start=now-1h&end=now"))?;
    if answer.status != 200 || !answer.text().contains(trace_id) {
        bail!(
            "a search does not find trace {trace_id}: {} {}",
            answer.status,
            answer.text()
        );
    }
    Ok(())
}

/// Runs the program to its end; returns the spans that it says it has made.
fn send(
    program: &Program,
    tools: &Tools,
    addresses: Addresses,
    scratch: &Path,
) -> Result<Vec<Value>> {
    let mut command = match program.language {
        Language::Python => Command::new(&tools.python),
        Language::Node => Command::new("node"),
    };
    match program.language {
        Language::Python => command
            .current_dir(repository::root().join("tests/clients/python"))
            .arg("broker.py"),
        Language::Node => command.current_dir(&tools.node).arg("router.js"),
    };
    let complaints = scratch.join(format!("{}.log", program.name));
    command
        .envs(environment(program, addresses))
        .stdin(Stdio::null())
        .stderr(File::create(&complaints)?);
    for proxy in [
        "http_proxy",
        "https_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "all_proxy",
        "ALL_PROXY",
    ] {
        command.env_remove(proxy);
    }
    let output = command.stdout(Stdio::piped()).spawn()?.wait_with_output()?;
    let complaints = std::fs::read_to_string(&complaints)?;
    if !output.status.success() {
        bail!("the program failed ({}):\n{complaints}", output.status);
    }
    // An SDK whose export failed says so there, and ends well all the same.
    if !complaints.trim().is_empty() {
        bail!("the program complained:\n{complaints}");
    }
    serde_json::from_slice(&output.stdout).context("the program did not print its spans as JSON")
}

fn environment(program: &Program, addresses: Addresses) -> Vec<(&'static str, String)> {
    let address = if program.grpc {
        addresses.otlp_grpc
    } else {
        addresses.otlp_http
    };
    let mut environment = vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{address}")),
        ("OTEL_EXPORTER_OTLP_INSECURE", "true".to_owned()),
        ("PYTHONDONTWRITEBYTECODE", "1".to_owned()),
    ];
    if program.language == Language::Node {
        environment.extend(
            [
                ("OTEL_SERVICE_NAME", "node-service"),
                (
                    "OTEL_RESOURCE_ATTRIBUTES",
                    "service.version=3.2.1,faas.name=ot-gen",
                ),
                ("OTEL_TRACES_EXPORTER", "otlp"),
                ("OTEL_METRICS_EXPORTER", "none"),
                ("OTEL_LOGS_EXPORTER", "none"),
                ("OTEL_NODE_RESOURCE_DETECTORS", "env"),
            ]
            .map(|(name, value)| (name, value.to_owned())),
        );
    }
    environment.extend(
        program
            .environment
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned())),
    );
    environment
}
