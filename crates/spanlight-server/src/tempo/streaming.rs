//! `tempopb.StreamingQuerier`, which Grafana asks instead of the HTTP addresses where its data source streams: gRPC on the
//! same port. A stream has one message here: answers do not take so long that parts of them would help.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::{Request, State};
use axum::routing::post;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt as _};
use http::{Response, StatusCode};
use spanlight_wire::DecodeError;
use spanlight_wire::tempo::streaming::{
    QueryRangeMessage, SearchMessage, decode_query_range, decode_search, decode_tag_values,
    decode_tags,
};
use tonic::body::Body;
use tonic::server::{Grpc, ServerStreamingService};
use tonic::{Code, Status};

use super::message::of_search;
use super::tags::{LIMIT_DEFAULT as TAGS_MAX, Scope, Tags, TagsRequest};
use super::time::recent;
use super::values::{LIMIT_DEFAULT as VALUES_MAX, TagValues, TagValuesRequest};
use super::{PlainError, metrics, search, tags, values};
use crate::api::Parameters;
use crate::app::App;
use crate::receive::RawCodec;

/// The longest question: a query has an address' length elsewhere, too.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// What can be asked.
#[derive(Debug, Clone, Copy)]
enum Method {
    Search,
    Tags,
    TagsV2,
    Values,
    ValuesV2,
    MetricsRange,
}

const METHODS: [(&str, Method); 6] = [
    ("Search", Method::Search),
    ("SearchTags", Method::Tags),
    ("SearchTagsV2", Method::TagsV2),
    ("SearchTagValues", Method::Values),
    ("SearchTagValuesV2", Method::ValuesV2),
    ("MetricsQueryRange", Method::MetricsRange),
];

/// The routes of the service, at the root of the port.
pub(crate) fn router() -> Router<App> {
    let service = |method: &str| format!("/tempopb.StreamingQuerier/{method}");
    let router = Router::new().route(&service("{method}"), post(unknown));
    METHODS.into_iter().fold(router, |router, (name, method)| {
        let serve = move |State(app): State<App>, request: Request| serve(app, method, request);
        router.route(&service(name), post(serve))
    })
}

async fn unknown(request: Request) -> Response<Body> {
    let message = format!(
        "no method {}; ask for it over HTTP, below /tempo",
        request.uri().path()
    );
    Status::unimplemented(message).into_http()
}

impl Method {
    async fn answer(self, app: App, message: Bytes) -> Result<Vec<u8>, Status> {
        Ok(match self {
            Self::Search => {
                let search = decode_search(&message).map_err(|error| malformed(&error))?;
                let request = search::request(&app, &parameters(&search))?;
                of_search(&app.search(request).await.map_err(PlainError::from)?)
            }
            Self::Tags => {
                let (scope, tags) = find_tags(&app, &message).await?;
                tags::AnswerV1::of(tags, scope, TAGS_MAX).message()
            }
            Self::TagsV2 => tags::AnswerV2::of(find_tags(&app, &message).await?.1).message(),
            Self::Values => {
                let request = values_request(&message)?;
                let values = TagValues::of_key(&app, &request).await?;
                values::AnswerV1::of(values, request.limit).message()
            }
            Self::ValuesV2 => {
                let values = TagValues::of_field(&app, &values_request(&message)?).await?;
                values::AnswerV2::of(values).message()
            }
            Self::MetricsRange => {
                let range = decode_query_range(&message).map_err(|error| malformed(&error))?;
                metrics::range_message(&app, &range_parameters(&range)).await?
            }
        })
    }
}

/// The same question as its parameters over HTTP.
fn parameters(search: &SearchMessage) -> Parameters {
    let tags: BTreeMap<_, _> = search.tags.iter().cloned().collect();
    let tags = tags.iter().map(|(key, value)| format!("{key}={value:?}"));
    let tags = tags.collect::<Vec<_>>().join(" ");
    let text = |number: u32| match number {
        0 => String::new(),
        number => number.to_string(),
    };
    let duration = |milliseconds: u32| match milliseconds {
        0 => String::new(),
        milliseconds => format!("{milliseconds}ms"),
    };
    Parameters::of([
        ("q", search.query.clone()),
        ("tags", tags),
        ("minDuration", duration(search.min_duration_ms)),
        ("maxDuration", duration(search.max_duration_ms)),
        ("limit", text(search.limit)),
        ("spss", text(search.spans_per_set)),
        ("start", text(search.start)),
        ("end", text(search.end)),
    ])
}

fn range_parameters(range: &QueryRangeMessage) -> Parameters {
    let text = |number: u64, unit: &str| match number {
        0 => String::new(),
        number => format!("{number}{unit}"),
    };
    Parameters::of([
        ("q", range.query.clone()),
        ("start", text(range.start, "")),
        ("end", text(range.end, "")),
        ("step", text(range.step, "ns")),
    ])
}

async fn find_tags(app: &App, message: &[u8]) -> Result<(Scope, Tags), Status> {
    let message = decode_tags(message).map_err(|error| malformed(&error))?;
    let scope = Scope::parse(&message.scope)?;
    let request = TagsRequest {
        scope,
        query: String::new(),
        time_range: recent(),
        limit: TAGS_MAX,
    };
    Ok((scope, Tags::find(app, request).await?))
}

fn values_request(message: &[u8]) -> Result<TagValuesRequest, Status> {
    let message = decode_tag_values(message).map_err(|error| malformed(&error))?;
    Ok(TagValuesRequest {
        name: message.name,
        query: message.query,
        time_range: recent(),
        limit: VALUES_MAX,
    })
}

fn malformed(error: &DecodeError) -> Status {
    Status::invalid_argument(error.to_string())
}

impl From<PlainError> for Status {
    fn from(error: PlainError) -> Self {
        let code = match error.status {
            StatusCode::BAD_REQUEST => Code::InvalidArgument,
            StatusCode::SERVICE_UNAVAILABLE => Code::ResourceExhausted,
            StatusCode::NOT_FOUND => Code::NotFound,
            _ => Code::Internal,
        };
        Self::new(code, error.message)
    }
}

/// Answers one call.
async fn serve(app: App, method: Method, request: Request) -> Response<Body> {
    Grpc::new(RawCodec { reservation: None })
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .server_streaming(Call { app, method }, request)
        .await
}

struct Call {
    app: App,
    method: Method,
}

impl ServerStreamingService<Bytes> for Call {
    type Response = Vec<u8>;
    type ResponseStream = BoxStream<'static, Result<Vec<u8>, Status>>;
    type Future = BoxFuture<'static, Result<tonic::Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        let answer = self.method.answer(self.app.clone(), request.into_inner());
        Box::pin(async move {
            let message = answer.await?;
            Ok(tonic::Response::new(stream::iter([Ok(message)]).boxed()))
        })
    }
}
