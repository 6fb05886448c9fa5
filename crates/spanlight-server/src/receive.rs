//! Receiving spans: what every protocol shares, from the bytes of a request to its acknowledgement.
//!
//! [`Receiver::export`] unpacks, decodes and stores; [`http`] and [`grpc`] read requests and put the outcome into
//! their protocol's terms. Bytes of requests are counted in [`admission`] from before they are read until after
//! they are answered.

pub(crate) mod admission;
mod body;
mod cors;
mod grpc;
mod http;
mod other_signals;
mod overload;
mod refusal;

use std::num::NonZero;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use spanlight_store::Store;
use spanlight_wire::otlp::{decode_json, decode_protobuf};
use spanlight_wire::{DecodeError, DecodeLimits, Decoded};
use tokio::sync::Semaphore;

use crate::clock::unix_nano_now;
use crate::config::Limits;
use crate::metrics::{Metrics, Protocol};

pub(crate) use admission::Admission;
pub(crate) use grpc::RawCodec;
pub(crate) use grpc::router as grpc_router;
pub(crate) use http::router as http_router;

use admission::Reservation;
use body::Encoding;
use other_signals::OtherSignals;
use overload::Overload;
use refusal::Refusal;

/// Bodies up to this size are decoded where they are; larger ones would hold up their neighbours.
const DECODE_INLINE_BYTES: usize = 16 << 10;

/// What receives spans, whatever the protocol. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Receiver {
    store: Store,
    metrics: Arc<Metrics>,
    admission: Arc<Admission>,
    other_signals: Arc<OtherSignals>,
    overload: Arc<Overload>,
    decode_limits: Arc<DecodeLimits>,
    /// As many large bodies are decoded at one time as there are cores: more would take memory and gain nothing.
    decoding: Arc<Semaphore>,
    pub(crate) limits: ReceiveLimits,
}

/// Bounds on reading a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReceiveLimits {
    pub(crate) bytes: usize,
    pub(crate) bytes_decompressed: usize,
    pub(crate) read_time: Duration,
}

/// A request that was read but not understood yet.
#[derive(Debug)]
struct Request {
    protocol: Protocol,
    body: Bytes,
    encoding: Encoding,
}

/// A request whose spans are stored, but for those it says.
#[derive(Debug, Default)]
struct Accepted {
    rejected_spans: u64,
    /// Empty when there is nothing to say.
    message: String,
}

impl Receiver {
    pub(crate) fn new(
        store: Store,
        metrics: Arc<Metrics>,
        admission: Arc<Admission>,
        limits: &Limits,
    ) -> Self {
        Self {
            store,
            metrics,
            admission,
            other_signals: Arc::default(),
            overload: Arc::default(),
            decode_limits: Arc::new(DecodeLimits {
                spans_per_request: limits.spans_per_request,
                attributes_per_span: limits.attributes_per_span,
                value_depth: limits.value_depth,
                events_per_span: limits.events_per_span,
                links_per_span: limits.links_per_span,
                ..DecodeLimits::default()
            }),
            decoding: Arc::new(Semaphore::new(
                std::thread::available_parallelism().map_or(1, NonZero::get),
            )),
            limits: ReceiveLimits {
                bytes: limits.request_bytes.bytes(),
                bytes_decompressed: limits.request_bytes_decompressed.bytes(),
                read_time: limits.request_read_time,
            },
        }
    }

    /// Stores the spans of a request. When this returns `Ok` they are on the disk and visible.
    async fn export(
        &self,
        request: Request,
        reservation: &Arc<Reservation>,
    ) -> Result<Accepted, Refusal> {
        let started = Instant::now();
        let protocol = request.protocol;
        let Decoded { batch, report } = self.decode(request, Arc::clone(reservation)).await?;
        let spans = batch.num_spans() as u64;
        self.store.append(batch).await?;
        self.metrics.received(protocol, spans, &report);
        self.metrics.acknowledged(protocol, started.elapsed());
        if let Some(message) = &report.message {
            // What clients get wrong is for them to see, and for the metrics; a log that they can fill helps nobody.
            tracing::debug!(%message, "a request was kept in part");
        }
        Ok(Accepted {
            rejected_spans: report.rejected_spans,
            message: report.message.unwrap_or_default(),
        })
    }

    /// Tells the log of a refusal, as far as that is news for whoever runs the server.
    fn log(&self, refusal: &Refusal) {
        match refusal {
            Refusal::Overloaded { message, .. } => self.overload.refused(message),
            // Defects of ours are for whoever runs the server; the rest is the client's, and could fill the log.
            Refusal::Internal(message) => tracing::error!(error = %message, "a request failed"),
            other => tracing::debug!(reason = %other, "a request was refused"),
        }
    }

    async fn decode(
        &self,
        request: Request,
        reservation: Arc<Reservation>,
    ) -> Result<Decoded, Refusal> {
        let limits = Arc::clone(&self.decode_limits);
        let bytes_max = self.limits.bytes_decompressed;
        let inline =
            request.body.len() <= DECODE_INLINE_BYTES && request.encoding == Encoding::Identity;
        let work = move || {
            let body = body::decompress(request.body, request.encoding, bytes_max, &reservation)?;
            let decode = match request.protocol {
                Protocol::HttpJson => decode_json,
                Protocol::HttpProtobuf | Protocol::Grpc => decode_protobuf,
            };
            decode(&body, unix_nano_now(), &limits).map_err(Refusal::from)
        };
        if inline {
            return work();
        }
        // The semaphore is never closed.
        let _place = self.decoding.acquire().await.ok();
        tokio::task::spawn_blocking(work)
            .await
            .unwrap_or_else(|panic| Err(Refusal::Internal(panic.to_string())))
    }
}

impl From<DecodeError> for Refusal {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::TooLarge(_) => Self::TooLarge(error.to_string()),
            other => Self::Malformed(other.to_string()),
        }
    }
}
