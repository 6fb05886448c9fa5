//! `/api/v1/attributes?q=&start=&end=&scope=&limit=` and `/api/v1/attributes/{field}/values?q=&start=&end=&containing=&limit=`:
//! which attributes there are, and which values they have, those in use most first.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use serde::Serialize;
use spanlight_model::AnyValue;
use spanlight_query::{
    AttributeScope, KeyUse, KeysAnswer, KeysRequest, ValueUse, ValuesAnswer, ValuesRequest,
};

use super::failure::Failure;
use super::parameters::Parameters;
use super::search::{InspectedJson, PartialJson, bounded};
use super::{parse_end, parse_start};
use crate::app::App;
use crate::clock::unix_nano_now;

const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 10_000;

pub(crate) async fn keys(
    State(app): State<App>,
    RawQuery(query): RawQuery,
) -> Result<Json<Keys>, Failure> {
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes());
    let scope = parameters.get("scope").map(scope).transpose()?;
    let request = KeysRequest {
        query: parameters.get("q").unwrap_or_default().to_owned(),
        time_range: time_range(&parameters)?,
        scope,
        limit: bounded(&parameters, "limit", LIMIT_DEFAULT, LIMIT_MAX)?,
        time_limit: Duration::MAX,
    };
    Ok(Json(Keys::of(app.attribute_keys(request).await?)))
}

pub(crate) async fn values(
    State(app): State<App>,
    Path(field): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Values>, Failure> {
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes());
    let request = ValuesRequest {
        field,
        query: parameters.get("q").unwrap_or_default().to_owned(),
        time_range: time_range(&parameters)?,
        containing: parameters.get("containing").unwrap_or_default().to_owned(),
        limit: bounded(&parameters, "limit", LIMIT_DEFAULT, LIMIT_MAX)?,
        time_limit: Duration::MAX,
    };
    Ok(Json(Values::of(&app.attribute_values(request).await?)))
}

fn scope(text: &str) -> Result<AttributeScope, Failure> {
    let mut scopes = AttributeScope::ALL.into_iter();
    scopes.find(|scope| scope.as_str() == text).ok_or_else(|| {
        let known = AttributeScope::ALL.map(AttributeScope::as_str).join(", ");
        Failure::bad_parameter("scope", &format!("{text:?} is none of {known}"))
    })
}

/// The range of a request's `start` and `end`.
pub(super) fn time_range(parameters: &Parameters) -> Result<std::ops::Range<i64>, Failure> {
    let now = unix_nano_now();
    let start = parse_start(parameters.get("start"), now)
        .map_err(|error| Failure::bad_parameter("start", &error.to_string()))?;
    let end = parse_end(parameters.get("end"), now)
        .map_err(|error| Failure::bad_parameter("end", &error.to_string()))?;
    Ok(start..end)
}

#[derive(Debug, Serialize)]
pub(crate) struct Keys {
    attributes: Vec<KeyJson>,
    /// Empty when the answer is complete.
    partial: Vec<PartialJson>,
    inspected: InspectedJson,
}

#[derive(Debug, Serialize)]
struct KeyJson {
    scope: &'static str,
    key: String,
    types: Vec<&'static str>,
    count: u64,
}

#[derive(Debug, Serialize)]
pub(crate) struct Values {
    values: Vec<ValueJson>,
    /// Different values, also those beyond the limit.
    distinct: usize,
    /// Empty when the answer is complete.
    partial: Vec<PartialJson>,
    inspected: InspectedJson,
}

#[derive(Debug, Serialize)]
struct ValueJson {
    #[serde(rename = "type")]
    kind: &'static str,
    value: String,
    count: u64,
}

impl Keys {
    fn of(answer: KeysAnswer) -> Self {
        Self {
            attributes: answer.keys.into_iter().map(KeyJson::of).collect(),
            partial: PartialJson::of(&answer.partial),
            inspected: InspectedJson::of(answer.inspected),
        }
    }
}

impl KeyJson {
    fn of(key: KeyUse) -> Self {
        Self {
            scope: key.scope.as_str(),
            types: key.types.iter().map(|kind| kind.as_str()).collect(),
            key: key.key,
            count: key.count,
        }
    }
}

impl Values {
    fn of(answer: &ValuesAnswer) -> Self {
        Self {
            values: answer.values.iter().map(ValueJson::of).collect(),
            distinct: answer.distinct,
            partial: PartialJson::of(&answer.partial),
            inspected: InspectedJson::of(answer.inspected),
        }
    }
}

impl ValueJson {
    fn of(value: &ValueUse) -> Self {
        let (kind, text) = value_text(value);
        Self {
            kind,
            value: text,
            count: value.count,
        }
    }
}

/// The type of a value, and the value as text.
pub(crate) fn value_text(value: &ValueUse) -> (&'static str, String) {
    match &value.value {
        AnyValue::String(text) if value.is_keyword => ("keyword", text.clone()),
        AnyValue::String(text) => ("string", text.clone()),
        AnyValue::Int(number) => ("int", number.to_string()),
        AnyValue::Double(number) => ("float", float_text(*number)),
        AnyValue::Bool(truth) => ("bool", truth.to_string()),
        other => ("string", other.to_json()),
    }
}

/// Always with a point, as TraceQL tells floats from integers.
fn float_text(number: f64) -> String {
    let text = number.to_string();
    if number.is_finite() && !text.contains('.') {
        return format!("{text}.0");
    }
    text
}
