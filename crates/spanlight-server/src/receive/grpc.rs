//! OTLP over gRPC: <https://opentelemetry.io/docs/specs/otlp/#otlpgrpc>. tonic frames and unpacks messages; their
//! bytes go to the same decoder as those of HTTP.

mod body;
mod codec;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::{Request as HttpRequest, State};
use axum::middleware::{self, Next};
use axum::response::IntoResponse as _;
use axum::routing::post;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Response, StatusCode, header};
use spanlight_wire::otlp::{Signal, export_response_protobuf};
use tonic::body::Body;
use tonic::codec::CompressionEncoding;
use tonic::server::{Grpc, UnaryService};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use self::body::ReservingBody;
pub(crate) use self::codec::RawCodec;
use super::admission::Reservation;
use super::body::{Encoding, discard, too_large};
use super::refusal::Refusal;
use super::{Receiver, Request};
use crate::connection::Peer;
use crate::metrics::Protocol;

/// The routes of the listener of `receivers.otlp_grpc`.
pub(crate) fn router(receiver: Receiver) -> Router {
    Router::new()
        .route(
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            post(traces),
        )
        .route(
            "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
            post(logs),
        )
        .route(
            "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            post(metrics),
        )
        .fallback(unknown)
        .layer(middleware::from_fn(refuse_other_protocols))
        .with_state(receiver)
}

/// A sender of OTLP over HTTP that has the wrong port. A gRPC error is HTTP's 200, which it would take for an
/// acknowledgement.
async fn refuse_other_protocols(request: HttpRequest, next: Next) -> axum::response::Response {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    if content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc")) {
        return next.run(request).await;
    }
    discard(request.into_body()).await;
    let message = "OTLP over gRPC is received here; OTLP over HTTP has a port of its own \
                   (receivers.otlp_http, usually 4318)\n";
    (StatusCode::UNSUPPORTED_MEDIA_TYPE, message).into_response()
}

async fn traces(State(receiver): State<Receiver>, request: HttpRequest) -> Response<Body> {
    receiver.serve_grpc(Signal::Traces, request).await
}

async fn logs(State(receiver): State<Receiver>, request: HttpRequest) -> Response<Body> {
    receiver.serve_grpc(Signal::Logs, request).await
}

async fn metrics(State(receiver): State<Receiver>, request: HttpRequest) -> Response<Body> {
    receiver.serve_grpc(Signal::Metrics, request).await
}

async fn unknown(request: HttpRequest) -> Response<Body> {
    let message = format!(
        "no method {}; OTLP over gRPC is received at /opentelemetry.proto.collector.trace.v1.TraceService/Export",
        request.uri().path()
    );
    Status::unimplemented(message).into_http()
}

impl Receiver {
    async fn serve_grpc(&self, signal: Signal, request: HttpRequest) -> Response<Body> {
        let reservation = self.admission.reservation();
        let client = request.extensions().get().map(|Peer(address)| address.ip());
        let service = Export {
            receiver: self.clone(),
            reservation: Arc::clone(&reservation),
            signal,
            client,
            reached: Arc::default(),
        };
        let reached = Arc::clone(&service.reached);
        let request =
            request.map(|body| ReservingBody::new(body, Arc::clone(&reservation), self.limits));
        let response = Grpc::new(RawCodec {
            reservation: Some(reservation),
        })
        .accept_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Zstd)
        .max_decoding_message_size(self.limits.bytes_decompressed)
        .unary(service, request)
        .await;
        let status = response.extensions().get::<Status>();
        let unread = status.filter(|_| !reached.load(Ordering::Relaxed));
        // The body was refused on its way, and only for want of room may it come again.
        if let Some(status) = unread.filter(|status| status.get_details_retry_info().is_some()) {
            self.overload.refused(status.message());
        }
        let refusal = unread.and_then(|status| self.reason_of_tonic(status));
        if let Some(refusal) = refusal {
            let code = refusal.grpc_code();
            self.metrics.answered(Protocol::Grpc, code_name(code));
            return refusal.grpc_status().into_http();
        }
        let code = status.map_or(Code::Ok, Status::code);
        self.metrics.answered(Protocol::Grpc, code_name(code));
        response
    }
}

impl Receiver {
    /// tonic's own errors about a message that did not become one: in our words, which name the setting, and with
    /// the codes of OTLP.
    fn reason_of_tonic(&self, status: &Status) -> Option<Refusal> {
        match status.code() {
            Code::OutOfRange => Some(too_large(self.limits.bytes_decompressed)),
            // What is refused for want of room has details.
            Code::ResourceExhausted if status.message().contains("decompress") => {
                Some(too_large(self.limits.bytes_decompressed))
            }
            Code::Internal if status.message().contains("decompress") => Some(Refusal::Malformed(
                "the message is not packed as its grpc-encoding says".to_owned(),
            )),
            _ => None,
        }
    }
}

/// One call.
struct Export {
    receiver: Receiver,
    reservation: Arc<Reservation>,
    signal: Signal,
    client: Option<IpAddr>,
    /// Whether there was a message to work on.
    reached: Arc<AtomicBool>,
}

impl Export {
    async fn run(self, body: Bytes) -> Result<Vec<u8>, Refusal> {
        if self.signal != Signal::Traces {
            let message = self
                .receiver
                .other_signals
                .message(self.signal, self.client);
            return Ok(export_response_protobuf(0, message));
        }
        let request = Request {
            protocol: Protocol::Grpc,
            body,
            encoding: Encoding::Identity,
        };
        let accepted = self.receiver.export(request, &self.reservation).await?;
        Ok(export_response_protobuf(
            accepted.rejected_spans,
            &accepted.message,
        ))
    }
}

impl UnaryService<Bytes> for Export {
    type Response = Vec<u8>;
    type Future = BoxFuture<'static, Result<tonic::Response<Vec<u8>>, Status>>;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        let call = Self {
            receiver: self.receiver.clone(),
            reservation: Arc::clone(&self.reservation),
            signal: self.signal,
            client: self.client,
            reached: Arc::clone(&self.reached),
        };
        self.reached.store(true, Ordering::Relaxed);
        let receiver = self.receiver.clone();
        Box::pin(async move {
            match call.run(request.into_inner()).await {
                Ok(response) => Ok(tonic::Response::new(response)),
                Err(refusal) => {
                    receiver.log(&refusal);
                    Err(refusal.grpc_status())
                }
            }
        })
    }
}

/// gRPC's own spelling of its codes.
fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
