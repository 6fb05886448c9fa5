//! A server for one test, and spans to send to it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body::Frame;
use http_body_util::StreamBody;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message as _;
use serde_json::Value as Json;
use spanlight_server::{Override, Server, Settings, Sources, StartError};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A running server on free ports; ends when it is dropped.
pub(crate) struct Fixture {
    pub(crate) http: String,
    pub(crate) otlp_http: String,
    pub(crate) otlp_grpc: SocketAddr,
    pub(crate) client: reqwest::Client,
    stop: Option<oneshot::Sender<()>>,
    running: Option<JoinHandle<()>>,
    pub(crate) directory: TempDir,
}

/// Settings with free ports in a directory, then as the test wants them.
pub(crate) fn settings(directory: &Path, set: &[&str]) -> Settings {
    let fixed = [
        "http=127.0.0.1:0".to_owned(),
        "receivers.otlp_http=127.0.0.1:0".to_owned(),
        "receivers.otlp_grpc=127.0.0.1:0".to_owned(),
        format!("storage.data_dir={}", directory.display()),
    ];
    let set = set.iter().map(|text| (*text).to_owned());
    Settings::load(&Sources {
        overrides: fixed
            .into_iter()
            .chain(set)
            .map(Override::assignment)
            .collect(),
        ..Sources::default()
    })
    .unwrap()
}

pub(crate) async fn try_start(directory: &Path, set: &[&str]) -> Result<Server, StartError> {
    spanlight_server::start(settings(directory, set)).await
}

impl Fixture {
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// With settings of its own.
    pub(crate) async fn with(set: &[&str]) -> Self {
        Self::at(tempfile::tempdir().unwrap(), set).await
    }

    pub(crate) async fn at(directory: TempDir, set: &[&str]) -> Self {
        let server = try_start(directory.path(), set).await.unwrap();
        let addresses = server.addresses().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(server.run_until(async {
            let _ = stopped.await;
        }));
        Self {
            http: format!("http://{}", addresses.http.unwrap()),
            otlp_http: format!("http://{}", addresses.otlp_http.unwrap()),
            otlp_grpc: addresses.otlp_grpc.unwrap_or(([0, 0, 0, 0], 0).into()),
            client: reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .build()
                .unwrap(),
            stop: Some(stop),
            running: Some(running),
            directory,
        }
    }

    /// A clean shutdown; gives the directory back.
    pub(crate) async fn stop(mut self) -> TempDir {
        self.stop.take().unwrap().send(()).unwrap();
        self.running.take().unwrap().await.unwrap();
        self.directory
    }

    /// `GET` on the port of pages and queries.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.get_as(path, "").await
    }

    pub(crate) async fn get_as(&self, path: &str, accept: &str) -> Answer {
        let request = self.client.get(format!("{}{path}", self.http));
        let request = if accept.is_empty() {
            request
        } else {
            request.header("accept", accept)
        };
        Answer::of(request.send().await.unwrap()).await
    }

    /// `POST` of spans.
    pub(crate) async fn post(&self, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
        let mut request = self.client.post(format!("{}{path}", self.otlp_http));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer::of(request.body(body).send().await.unwrap()).await
    }

    /// `POST` of a body in chunks, of a length that is not announced.
    pub(crate) async fn post_chunks(&self, chunks: Vec<Vec<u8>>) -> Answer {
        let frames = chunks
            .into_iter()
            .map(|chunk| Ok::<_, Infallible>(Frame::data(Bytes::from(chunk))));
        let body = StreamBody::new(futures::stream::iter(frames));
        let request = self
            .client
            .post(format!("{}/v1/traces", self.otlp_http))
            .header("content-type", "application/x-protobuf")
            .body(reqwest::Body::wrap(body));
        Answer::of(request.send().await.unwrap()).await
    }

    /// Sends spans as protobuf, which must be accepted.
    pub(crate) async fn send(&self, request: &ExportTraceServiceRequest) {
        let answer = self.post_protobuf(request.encode_to_vec()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    pub(crate) async fn post_protobuf(&self, body: Vec<u8>) -> Answer {
        self.post(
            "/v1/traces",
            &[("content-type", "application/x-protobuf")],
            body,
        )
        .await
    }

    /// The value of a metric, zero where it is not there. `name` includes the labels.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").await.text();
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.map_or(0.0, |value| value.trim().parse().unwrap())
    }
}

/// An answer that was read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) async fn of(response: reqwest::Response) -> Self {
        Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes().await.unwrap().to_vec(),
        }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

pub(crate) fn now_unix_nano() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_nanos() as u64
}

pub(crate) fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

pub(crate) fn text(value: &str) -> Value {
    Value::StringValue(value.to_owned())
}

/// The id of a trace, from a small number.
pub(crate) fn trace_id(number: u8) -> Vec<u8> {
    let mut id = vec![0xab; 16];
    id[15] = number;
    id
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A plain span: `id` from 1, below `parent` (0: a root).
pub(crate) fn span(trace: u8, id: u8, parent: u8, name: &str, start: u64, end: u64) -> Span {
    let span_id = |number: u8| vec![0, 0, 0, 0, 0, 0, 0xcd, number];
    Span {
        trace_id: trace_id(trace),
        span_id: span_id(id),
        parent_span_id: if parent == 0 {
            Vec::new()
        } else {
            span_id(parent)
        },
        name: name.to_owned(),
        kind: 1,
        start_time_unix_nano: start,
        end_time_unix_nano: end,
        status: Some(Status::default()),
        ..Span::default()
    }
}

/// Spans of one service in one request.
pub(crate) fn request(service: &str, spans: Vec<Span>) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: vec![attribute("service.name", text(service))],
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans {
                scope: Some(InstrumentationScope {
                    name: "checkout-tracer".to_owned(),
                    version: "1.2".to_owned(),
                    ..InstrumentationScope::default()
                }),
                spans,
                schema_url: String::new(),
            }],
            schema_url: String::new(),
        }],
    }
}

/// A trace of three spans with something in every field.
pub(crate) fn order(trace: u8, start: u64) -> ExportTraceServiceRequest {
    let mut root = span(trace, 1, 0, "POST /orders", start, start + 250_000_000);
    root.kind = 2;
    root.attributes = vec![
        attribute("http.request.method", text("POST")),
        attribute("http.response.status_code", Value::IntValue(502)),
        attribute("faas.coldstart", Value::BoolValue(true)),
        attribute("app.order.value", Value::DoubleValue(19.5)),
    ];
    root.trace_state = "vendor=1".to_owned();
    let mut charge = span(
        trace,
        2,
        1,
        "charge card",
        start + 10_000_000,
        start + 200_000_000,
    );
    charge.kind = 3;
    charge.status = Some(Status {
        code: 2,
        message: "card declined".to_owned(),
    });
    charge.events = vec![Event {
        time_unix_nano: start + 20_000_000,
        name: "exception".to_owned(),
        attributes: vec![attribute("exception.type", text("CardDeclined"))],
        dropped_attributes_count: 1,
    }];
    charge.links = vec![Link {
        trace_id: trace_id(99),
        span_id: vec![7; 8],
        attributes: vec![attribute("batch", Value::BytesValue(vec![1, 2, 3]))],
        ..Link::default()
    }];
    let orphan = {
        let mut span = span(trace, 3, 77, "late", start + 30_000_000, start + 40_000_000);
        span.flags = 1;
        span
    };
    request("checkout", vec![root, charge, orphan])
}
