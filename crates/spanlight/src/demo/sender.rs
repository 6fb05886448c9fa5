//! Sends exports as unmodified services do: OTLP over HTTP, protobuf, with the retries that OTLP asks for.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
use prost::Message as _;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Response, StatusCode};

use super::world::Export;

/// An OTLP/HTTP exporter.
#[derive(Debug, Clone)]
pub struct Sender {
    client: reqwest::Client,
    url: String,
}

/// Why spans could not be sent.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No connection, or it broke.
    #[error("cannot send spans to {url}")]
    Transport {
        /// Where to.
        url: String,
        /// The cause.
        #[source]
        source: reqwest::Error,
    },
    /// The server refused them.
    #[error("{url} refused spans: {status}")]
    Refused {
        /// Where to.
        url: String,
        /// What it answered.
        status: StatusCode,
    },
}

const ATTEMPTS_MAX: u32 = 5;
const TIMEOUT: Duration = Duration::from_secs(10);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(5);

impl Sender {
    /// An exporter to an OTLP/HTTP address such as `127.0.0.1:4318`.
    ///
    /// # Errors
    /// When the HTTP client cannot be built.
    pub fn new(address: &str) -> Result<Self, reqwest::Error> {
        Ok(Self {
            client: reqwest::Client::builder()
                .timeout(TIMEOUT)
                .no_proxy()
                .build()?,
            url: format!("http://{address}/v1/traces"),
        })
    }

    /// Sends exports in one request; tries again while the server says that it may.
    ///
    /// # Errors
    /// [`SendError`] when the server refuses, or stays away.
    pub async fn send(&self, exports: Vec<Export>) -> Result<(), SendError> {
        let body = encode(exports);
        let mut attempt = 1;
        loop {
            let answer = self.post(body.clone()).await;
            let wait = match &answer {
                Ok(response) if response.status().is_success() => return Ok(()),
                Ok(response) if !retryable(response.status()) => None,
                Ok(response) => Some(retry_after(response, attempt)),
                Err(_) => Some(backoff(attempt)),
            };
            match wait {
                Some(wait) if attempt < ATTEMPTS_MAX => tokio::time::sleep(wait).await,
                _ => return Err(self.error(answer)),
            }
            attempt += 1;
        }
    }

    async fn post(&self, body: Vec<u8>) -> Result<Response, reqwest::Error> {
        self.client
            .post(&self.url)
            .header(CONTENT_TYPE, "application/x-protobuf")
            .body(body)
            .send()
            .await
    }

    fn error(&self, answer: Result<Response, reqwest::Error>) -> SendError {
        let url = self.url.clone();
        match answer {
            Ok(response) => SendError::Refused {
                url,
                status: response.status(),
            },
            Err(source) => SendError::Transport { url, source },
        }
    }
}

// The codes that OTLP/HTTP lists as retryable.
fn retryable(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502 | 503 | 504)
}

fn retry_after(response: &Response, attempt: u32) -> Duration {
    response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .map_or(backoff(attempt), Duration::from_secs)
        .min(RETRY_AFTER_MAX)
}

fn backoff(attempt: u32) -> Duration {
    Duration::from_millis(100 << attempt.min(5))
}

/// The body of an OTLP request.
#[must_use]
pub fn encode(exports: Vec<Export>) -> Vec<u8> {
    let resource_spans = exports.into_iter().map(resource_spans).collect();
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

fn resource_spans(export: Export) -> ResourceSpans {
    let scope = InstrumentationScope {
        name: export.scope.to_owned(),
        version: "1.0.0".to_owned(),
        ..InstrumentationScope::default()
    };
    ResourceSpans {
        resource: Some(Resource {
            attributes: export.resource,
            ..Resource::default()
        }),
        scope_spans: vec![ScopeSpans {
            scope: Some(scope),
            spans: export.spans,
            schema_url: String::new(),
        }],
        schema_url: "https://opentelemetry.io/schemas/1.38.0".to_owned(),
    }
}
