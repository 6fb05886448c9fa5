//! OTLP over HTTP: <https://opentelemetry.io/docs/specs/otlp/#otlphttp>. Answers are in the request's own encoding;
//! errors are a `google.rpc.Status`.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request as HttpRequest, State};
use axum::response::Response;
use axum::routing::post;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use spanlight_wire::otlp::{
    Signal, export_response_json, export_response_protobuf, status_json, status_protobuf,
};

use super::body::{self, Encoding};
use super::refusal::Refusal;
use super::{Accepted, Receiver, Request, cors};
use crate::config::Origin;
use crate::connection::Peer;
use crate::metrics::Protocol;

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

/// The routes of the listener of `receivers.otlp_http`.
pub(crate) fn router(receiver: Receiver, cors_origins: &[Origin]) -> Router {
    let router = Router::new()
        .route("/v1/traces", post(traces))
        .route("/v1/logs", post(logs))
        .route("/v1/metrics", post(metrics))
        .method_not_allowed_fallback(only_post)
        .fallback(not_found)
        .with_state(receiver);
    match cors::layer(cors_origins) {
        Some(layer) => router.layer(layer),
        None => router,
    }
}

async fn traces(State(receiver): State<Receiver>, request: HttpRequest) -> Response {
    let (parts, body) = request.into_parts();
    let format = match Format::of(&parts.headers) {
        Ok(format) => format,
        Err(refusal) => {
            body::discard(body).await;
            return receiver.refuse_http(Format::Protobuf, &refusal);
        }
    };
    match receiver.export_http(format, &parts.headers, body).await {
        Ok(accepted) => {
            receiver
                .metrics
                .answered(format.protocol(), StatusCode::OK.as_str());
            format.accepted(Signal::Traces, &accepted)
        }
        Err(refusal) => receiver.refuse_http(format, &refusal),
    }
}

async fn logs(State(receiver): State<Receiver>, request: HttpRequest) -> Response {
    other(&receiver, Signal::Logs, request).await
}

async fn metrics(State(receiver): State<Receiver>, request: HttpRequest) -> Response {
    other(&receiver, Signal::Metrics, request).await
}

async fn other(receiver: &Receiver, signal: Signal, request: HttpRequest) -> Response {
    let format = Format::of(request.headers()).unwrap_or(Format::Protobuf);
    let client = request.extensions().get().map(|Peer(address)| address.ip());
    let message = receiver.other_signals.message(signal, client);
    body::discard(request.into_body()).await;
    format.accepted(
        signal,
        &Accepted {
            rejected_spans: 0,
            message: message.to_owned(),
        },
    )
}

async fn only_post() -> Response {
    text(
        StatusCode::METHOD_NOT_ALLOWED,
        "send spans with POST\n".to_owned(),
    )
}

async fn not_found(request: HttpRequest) -> Response {
    let path = request.uri().path();
    text(
        StatusCode::NOT_FOUND,
        format!(
            "nothing is received at {path}; OTLP over HTTP is received at /v1/traces, and pages and queries have a \
             port of their own\n"
        ),
    )
}

fn text(status: StatusCode, message: String) -> Response {
    answer(status, "text/plain; charset=utf-8", message.into())
}

impl Receiver {
    async fn export_http(
        &self,
        format: Format,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Accepted, Refusal> {
        let encoding = match Encoding::of(headers) {
            Ok(encoding) => encoding,
            Err(refusal) => {
                body::discard(body).await;
                return Err(refusal);
            }
        };
        let reservation = self.admission.reservation();
        let body = body::read(body, headers, &self.limits, &reservation).await?;
        let request = Request {
            protocol: format.protocol(),
            body,
            encoding,
        };
        self.export(request, &reservation).await
    }

    fn refuse_http(&self, format: Format, refusal: &Refusal) -> Response {
        self.metrics
            .answered(format.protocol(), refusal.http_status().as_str());
        self.log(refusal);
        format.refused(refusal)
    }
}

/// The encoding of messages, of the request and so of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Protobuf,
    Json,
}

impl Format {
    fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let value = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
        let value = String::from_utf8_lossy(value.unwrap_or_default()).to_ascii_lowercase();
        match value.split(';').next().unwrap_or_default().trim() {
            PROTOBUF | "application/protobuf" => Ok(Self::Protobuf),
            JSON => Ok(Self::Json),
            "" => Err(Refusal::UnsupportedType(format!(
                "the request has no content-type; send {PROTOBUF} or {JSON}"
            ))),
            other => Err(Refusal::UnsupportedType(format!(
                "content-type {other:?} is not supported; send {PROTOBUF} or {JSON}"
            ))),
        }
    }

    fn protocol(self) -> Protocol {
        match self {
            Self::Protobuf => Protocol::HttpProtobuf,
            Self::Json => Protocol::HttpJson,
        }
    }

    fn accepted(self, signal: Signal, accepted: &Accepted) -> Response {
        let (rejected, message) = (accepted.rejected_spans, accepted.message.as_str());
        match self {
            Self::Protobuf => answer(
                StatusCode::OK,
                PROTOBUF,
                export_response_protobuf(rejected, message).into(),
            ),
            Self::Json => answer(
                StatusCode::OK,
                JSON,
                export_response_json(signal, rejected, message).into(),
            ),
        }
    }

    fn refused(self, refusal: &Refusal) -> Response {
        let code = refusal.grpc_code() as i32;
        let message = refusal.to_string();
        let (content_type, body): (_, Body) = match self {
            Self::Protobuf => (PROTOBUF, status_protobuf(code, &message).into()),
            Self::Json => (JSON, status_json(code, &message).into()),
        };
        let mut response = answer(refusal.http_status(), content_type, body);
        let headers = response.headers_mut();
        if let Some(delay) = refusal.retry_after() {
            // Whole seconds, rounded up: a client that comes back too early is refused again.
            let seconds = delay.as_millis().div_ceil(1_000).max(1) as u64;
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if matches!(refusal, Refusal::UnsupportedType(_)) {
            headers.insert(
                header::ACCEPT_ENCODING,
                HeaderValue::from_static(Encoding::ACCEPTED),
            );
        }
        response
    }
}

fn answer(status: StatusCode, content_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
