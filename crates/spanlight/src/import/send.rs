//! Sends what was read to a server, several requests at a time, and finds out what in a refused request is wrong.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use spanlight_wire::otlp::{decode_json, decode_protobuf};
use spanlight_wire::{DecodeError, DecodeLimits};

use super::{Flaw, Format, Place, Request, Unit};

/// An OTLP/HTTP client that insists.
#[derive(Debug, Clone)]
pub struct Sender {
    client: reqwest::Client,
    url: String,
}

/// What became of a request.
#[derive(Debug, Default)]
pub struct Sent {
    /// Spans that are on the server's disk.
    pub spans: u64,
    /// Spans that the server did not take.
    pub rejected: u64,
    /// What was wrong, where.
    pub flaws: Vec<Flaw>,
}

/// Why there is no use in going on.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No connection, or it broke, again and again.
    #[error("{url} does not answer any more")]
    Gone {
        /// Where to.
        url: String,
        /// The last cause.
        #[source]
        source: reqwest::Error,
    },
    /// The server is there and takes nothing.
    #[error("{url} has taken nothing for {} s: {message}", waited.as_secs())]
    Busy {
        /// Where to.
        url: String,
        /// How long it was tried.
        waited: Duration,
        /// What it said last.
        message: String,
    },
    /// Something that answers, and is no Spanlight.
    #[error("{url} answered {status}; is it the address of a Spanlight server?")]
    Strange {
        /// Where to.
        url: String,
        /// What it answered.
        status: StatusCode,
    },
}

/// How long a server may be away or refuse everything.
const PATIENCE: Duration = Duration::from_secs(60);
const TIMEOUT: Duration = Duration::from_secs(60);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(200);

/// An answer that is final.
enum Answer {
    Taken { rejected: u64, message: String },
    Refused(String),
}

impl Sender {
    /// A sender to the address of a server's OTLP/HTTP listener, such as `127.0.0.1:4318`.
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

    /// Sends a request; what the server refuses is sent again without what is wrong with it.
    ///
    /// # Errors
    /// [`SendError`] when the server stays away; sending the same spans again later does no harm.
    pub async fn send(&self, request: Request) -> Result<Sent, SendError> {
        let mut sent = Sent::default();
        let mut left = VecDeque::from([request]);
        while let Some(request) = left.pop_front() {
            match self.deliver(&request).await? {
                Answer::Taken { rejected, message } => {
                    sent.spans += (request.spans() as u64).saturating_sub(rejected);
                    sent.rejected += rejected;
                    if let Some(place) = request.place().filter(|_| !message.is_empty()) {
                        sent.flaws.push(Flaw {
                            place: place.clone(),
                            problem: partly(&request, &message),
                        });
                    }
                }
                Answer::Refused(message) => left.extend(without_wrong(request, message, &mut sent)),
            }
        }
        Ok(sent)
    }

    async fn deliver(&self, request: &Request) -> Result<Answer, SendError> {
        let body = request.body();
        let begin = Instant::now();
        loop {
            let response = self.post(request.format(), body.clone()).await;
            let waited = begin.elapsed();
            let url = self.url.clone();
            let pause = match response {
                Err(source) if waited >= PATIENCE => return Err(SendError::Gone { url, source }),
                Err(_) => PAUSE,
                Ok(response) => match response.status().as_u16() {
                    200 => match taken(request.format(), response).await {
                        Ok(answer) => return Ok(answer),
                        Err(source) => return Err(SendError::Gone { url, source }),
                    },
                    400 | 413 => {
                        return Ok(Answer::Refused(message(request.format(), response).await));
                    }
                    429 | 502..=504 if waited < PATIENCE => retry_after(&response),
                    429 | 502..=504 => {
                        let message = message(request.format(), response).await;
                        return Err(SendError::Busy {
                            url,
                            waited,
                            message,
                        });
                    }
                    _ => {
                        let status = response.status();
                        return Err(SendError::Strange { url, status });
                    }
                },
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn post(&self, format: Format, body: Vec<u8>) -> Result<Response, reqwest::Error> {
        let content_type = match format {
            Format::Protobuf => "application/x-protobuf",
            Format::Json => "application/json",
        };
        let request = self.client.post(&self.url).body(body);
        request.header(CONTENT_TYPE, content_type).send().await
    }
}

fn retry_after(response: &Response) -> Duration {
    let value = response.headers().get(RETRY_AFTER);
    value
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .map_or(PAUSE, Duration::from_secs)
        .min(RETRY_AFTER_MAX)
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct JsonResponse {
    partial_success: Option<JsonPartialSuccess>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct JsonPartialSuccess {
    rejected_spans: String,
    error_message: String,
}

async fn taken(format: Format, response: Response) -> Result<Answer, reqwest::Error> {
    let body = response.bytes().await?;
    let (rejected, message) = match format {
        Format::Json => {
            let answer: JsonResponse = serde_json::from_slice(&body).unwrap_or_default();
            let partial = answer.partial_success.unwrap_or_default();
            let rejected = partial.rejected_spans.parse().unwrap_or(0);
            (rejected, partial.error_message)
        }
        Format::Protobuf => {
            let answer = ExportTraceServiceResponse::decode(body).unwrap_or_default();
            let partial = answer.partial_success.unwrap_or_default();
            let rejected = u64::try_from(partial.rejected_spans).unwrap_or(0);
            (rejected, partial.error_message)
        }
    };
    Ok(Answer::Taken { rejected, message })
}

#[derive(Deserialize)]
struct JsonStatus {
    message: String,
}

/// The message of a `google.rpc.Status`.
#[derive(Clone, PartialEq, prost::Message)]
struct Status {
    #[prost(string, tag = "2")]
    message: String,
}

async fn message(format: Format, response: Response) -> String {
    let status = response.status();
    let body = response.bytes().await.unwrap_or_default();
    let message = match format {
        Format::Json => serde_json::from_slice::<JsonStatus>(&body)
            .ok()
            .map(|status| status.message),
        Format::Protobuf => Status::decode(body).ok().map(|status| status.message),
    };
    message.unwrap_or_else(|| format!("the server answered {status}"))
}

fn partly(request: &Request, message: &str) -> String {
    match request.units.len() {
        1 => message.to_owned(),
        units => format!(
            "in this resource or one of the {} after it: {message}",
            units - 1
        ),
    }
}

/// What is left of a refused request. What is wrong with the rest is noted.
fn without_wrong(request: Request, message: String, sent: &mut Sent) -> Vec<Request> {
    let before = request.units.len();
    let mut kept = Vec::new();
    for unit in request.units {
        match wrong_with(&unit) {
            None => kept.push(unit),
            Some((place, problem)) => {
                sent.rejected += unit.spans as u64;
                sent.flaws.push(Flaw { place, problem });
            }
        }
    }
    if kept.len() == before {
        if let [unit] = kept.as_slice() {
            sent.rejected += unit.spans as u64;
            sent.flaws.push(Flaw {
                place: unit.place.clone(),
                problem: message,
            });
            return Vec::new();
        }
        // Nothing is wrong with any of them; together they are too much.
        let second = kept.split_off(kept.len() / 2);
        return vec![Request { units: kept }, Request { units: second }];
    }
    if kept.is_empty() {
        return Vec::new();
    }
    vec![Request { units: kept }]
}

/// What is wrong with a unit by itself, and where.
fn wrong_with(unit: &Unit) -> Option<(Place, String)> {
    let alone = Request {
        units: vec![unit.clone()],
    };
    let body = alone.body();
    let limits = DecodeLimits::default();
    let decoded = match unit.format {
        Format::Json => decode_json(&body, 0, &limits),
        Format::Protobuf => decode_protobuf(&body, 0, &limits),
    };
    let place = unit.place.clone();
    let head = body.len() - unit.bytes.len();
    Some(match decoded.err()? {
        DecodeError::Json {
            problem,
            line,
            column,
        } => {
            let before = if line <= 1 {
                Request::JSON_START.len()
            } else {
                0
            };
            let place = place.within(line, column.saturating_sub(before).max(1));
            (place, problem)
        }
        DecodeError::Protobuf {
            problem,
            offset,
            path,
        } => {
            let offset = place.offset + offset.saturating_sub(head) as u64;
            (Place { offset, ..place }, format!("{problem}, in {path}"))
        }
        error @ DecodeError::TooLarge(_) => (place, error.to_string()),
    })
}
