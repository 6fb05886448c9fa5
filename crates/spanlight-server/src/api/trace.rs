//! `/api/v1/traces/{id}?offset=&limit=&format=`: a trace, or a window of its spans in tree order.
//!
//! Three forms: Spanlight's JSON, which has the tree; OTLP's JSON (`format=otlp`, or `Accept:
//! application/otlp+json`); OTLP's protobuf (`format=protobuf`, or `Accept: application/x-protobuf`).

mod json;

use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use http::{HeaderMap, header};
use spanlight_model::TraceId;
use spanlight_query::Trace;
use spanlight_wire::otlp::{encode_json, encode_protobuf};

use super::failure::Failure;
use super::parameters::Parameters;
use super::{json as json_response, off_the_loop, trace_id, typed};
use crate::app::App;

/// Spans in one answer of Spanlight's JSON that names no limit; it then says that there are more.
const SPANS_DEFAULT: usize = 10_000;
/// Spans that are written in less time than another thread takes to be handed them.
const SPANS_IN_PLACE: usize = 50;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    OtlpJson,
    OtlpProtobuf,
}

impl Form {
    fn of(parameters: &Parameters, headers: &HeaderMap) -> Result<Self, Failure> {
        match parameters.get("format") {
            Some("json") => Ok(Self::Json),
            Some("otlp") => Ok(Self::OtlpJson),
            Some("protobuf") => Ok(Self::OtlpProtobuf),
            Some(other) => Err(Failure::bad_parameter(
                "format",
                &format!("{other:?} is not one of json, otlp, protobuf"),
            )),
            None => Ok(Self::accepted(headers)),
        }
    }

    /// The first form that the client lists; JSON where it lists none.
    fn accepted(headers: &HeaderMap) -> Self {
        let accept = headers
            .get(header::ACCEPT)
            .and_then(|value| value.to_str().ok());
        accept
            .unwrap_or_default()
            .split(',')
            .find_map(
                |item| match item.split(';').next().unwrap_or_default().trim() {
                    "application/json" => Some(Self::Json),
                    "application/otlp+json" => Some(Self::OtlpJson),
                    "application/x-protobuf" | "application/protobuf" => Some(Self::OtlpProtobuf),
                    _ => None,
                },
            )
            .unwrap_or(Self::Json)
    }
}

/// The rows to answer with.
#[derive(Debug, Clone, Copy)]
struct Window {
    offset: usize,
    limit: Option<usize>,
}

pub(crate) async fn get(
    State(app): State<App>,
    path: Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let id = trace_id(&path)?;
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes());
    let form = Form::of(&parameters, &headers)?;
    let window = Window {
        offset: parameters.number("offset")?.unwrap_or(0),
        limit: parameters.number("limit")?,
    };
    let Some(trace) = app.trace(id).await? else {
        return Err(Failure::trace_not_found(id));
    };
    if trace.batch.num_spans() <= SPANS_IN_PLACE {
        return Ok(write(id, &trace, form, window));
    }
    off_the_loop(move || write(id, &trace, form, window)).await
}

fn write(id: TraceId, trace: &Trace, form: Form, window: Window) -> Response {
    let total = trace.batch.num_spans();
    let offset = window.offset.min(total);
    let limit = window.limit.unwrap_or(match form {
        Form::Json => SPANS_DEFAULT,
        // What reads OTLP does not expect a part.
        Form::OtlpJson | Form::OtlpProtobuf => total,
    });
    let rows = offset..offset + limit.min(total - offset);
    let spans = || trace.batch.slice(rows.start, rows.len());
    match form {
        Form::Json => json_response(json::write(id, trace, rows)),
        Form::OtlpJson => json_response(encode_json(&spans())),
        Form::OtlpProtobuf => typed("application/x-protobuf", encode_protobuf(&spans()).into()),
    }
}
