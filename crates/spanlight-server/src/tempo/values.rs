//! `/tempo/api/search/tag/{name}/values` and `/tempo/api/v2/search/tag/{field}/values`: the values of an attribute.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use http::HeaderMap;
use serde::Serialize;
use spanlight_query::{
    AttributeScope, QueryError, ValuesAnswer, ValuesRequest, complete_conditions,
};
use spanlight_wire::tempo::streaming::{encode_texts, encode_typed_values};

use super::legacy::quote;
use super::tags::{MetricsJson, limit};
use super::time::time_range;
use super::{PlainError, answer};
use crate::api::{Parameters, value_text};
use crate::app::App;

/// Where no limit is asked for.
pub(super) const LIMIT_DEFAULT: usize = 20_000;

/// What a status and a kind can be: given whether a span has them or not.
const STATUSES: [&str; 3] = ["error", "ok", "unset"];
const KINDS: [&str; 6] = [
    "client",
    "consumer",
    "internal",
    "producer",
    "server",
    "unspecified",
];
const KEYWORD: &str = "keyword";

/// A question about the values of a tag.
#[derive(Debug)]
pub(super) struct TagValuesRequest {
    /// A raw key in the first version, a field of TraceQL in the second.
    pub(super) name: String,
    pub(super) query: String,
    pub(super) time_range: Range<i64>,
    pub(super) limit: usize,
}

/// Values with their types.
#[derive(Debug, Default)]
pub(super) struct TagValues {
    values: Vec<(&'static str, String)>,
    inspected_bytes: u64,
}

impl TagValuesRequest {
    fn of(name: String, parameters: &Parameters) -> Result<Self, PlainError> {
        Ok(Self {
            name,
            query: parameters.get("q").unwrap_or_default().to_owned(),
            time_range: time_range(parameters)?,
            limit: limit(parameters, LIMIT_DEFAULT)?,
        })
    }

    fn values(&self, field: &str, query: &str) -> ValuesRequest {
        ValuesRequest {
            field: field.to_owned(),
            query: query.to_owned(),
            time_range: self.time_range.clone(),
            containing: String::new(),
            limit: self.limit,
            time_limit: Duration::MAX,
        }
    }
}

impl TagValues {
    /// Of a field, with the types of the values.
    pub(super) async fn of_field(
        app: &App,
        request: &TagValuesRequest,
    ) -> Result<Self, PlainError> {
        match request.name.as_str() {
            "status" | "span:status" => return Ok(Self::keywords(&STATUSES, request.limit)),
            "kind" | "span:kind" => return Ok(Self::keywords(&KINDS, request.limit)),
            _ => {}
        }
        let query = complete_conditions(&request.query);
        let asked = app.attribute_values(request.values(&request.name, &query));
        let found = match asked.await {
            // The query may be what is wrong; then it counts as none.
            Err(error) if error.is_about_the_query() => {
                let asked = app.attribute_values(request.values(&request.name, ""));
                asked
                    .await
                    .map_err(|error| no_field(&request.name, error))?
            }
            found => found?,
        };
        let mut values = Self::default();
        values.add(&found);
        Ok(values)
    }

    /// Of a raw key, wherever spans have it.
    pub(super) async fn of_key(app: &App, request: &TagValuesRequest) -> Result<Self, PlainError> {
        let fields = match request.name.as_str() {
            "error" => return Ok(Self::keywords(&["true"], request.limit)),
            "status.code" => return Ok(Self::keywords(&STATUSES, request.limit)),
            "name" => vec!["name".to_owned()],
            "rootName" | "root.name" => vec!["rootName".to_owned()],
            "root.service.name" => vec!["rootServiceName".to_owned()],
            key => AttributeScope::ALL
                .iter()
                .map(|scope| format!("{}.{}", scope.as_str(), quote(key)))
                .collect(),
        };
        let mut values = Self::default();
        for field in fields {
            values.add(&app.attribute_values(request.values(&field, "")).await?);
        }
        Ok(values)
    }

    fn keywords(words: &[&str], limit: usize) -> Self {
        let values = words.iter().take(limit);
        Self {
            values: values.map(|word| (KEYWORD, (*word).to_owned())).collect(),
            inspected_bytes: 0,
        }
    }

    fn add(&mut self, answer: &ValuesAnswer) {
        self.inspected_bytes += answer.inspected.bytes;
        self.values.extend(answer.values.iter().map(value_text));
    }

    /// The texts alone, in order.
    fn texts(self, limit: usize) -> Vec<String> {
        let texts: BTreeSet<String> = self.values.into_iter().map(|(_, text)| text).collect();
        texts.into_iter().take(limit).collect()
    }
}

fn no_field(name: &str, error: QueryError) -> PlainError {
    match error {
        QueryError::Syntax(error) | QueryError::Unsupported(error) => PlainError::bad(format!(
            "please provide a valid tagName: {name:?} is no field: {error}"
        )),
        error => error.into(),
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AnswerV1 {
    tag_values: Vec<String>,
    metrics: MetricsJson,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AnswerV2 {
    tag_values: Vec<ValueJson>,
    metrics: MetricsJson,
}

#[derive(Debug, Serialize)]
struct ValueJson {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    value: String,
}

impl AnswerV1 {
    pub(super) fn of(values: TagValues, limit: usize) -> Self {
        Self {
            metrics: MetricsJson::of(values.inspected_bytes),
            tag_values: values.texts(limit),
        }
    }

    /// A `SearchTagValuesResponse`.
    pub(super) fn message(&self) -> Vec<u8> {
        encode_texts(self.tag_values.iter().map(String::as_str))
    }
}

impl AnswerV2 {
    pub(super) fn of(values: TagValues) -> Self {
        let metrics = MetricsJson::of(values.inspected_bytes);
        let values = values.values.into_iter();
        Self {
            tag_values: values
                .map(|(kind, value)| ValueJson { kind, value })
                .collect(),
            metrics,
        }
    }

    /// A `SearchTagValuesV2Response`.
    pub(super) fn message(&self) -> Vec<u8> {
        let values = self.tag_values.iter();
        encode_typed_values(values.map(|it| (it.kind, it.value.as_str())))
    }
}

pub(super) async fn get_v1(
    State(app): State<App>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, PlainError> {
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes());
    let request = TagValuesRequest::of(name, &parameters)?;
    let values = TagValues::of_key(&app, &request).await?;
    let found = AnswerV1::of(values, request.limit);
    Ok(answer(&headers, &found, || found.message()))
}

pub(super) async fn get_v2(
    State(app): State<App>,
    Path(field): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, PlainError> {
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes());
    let request = TagValuesRequest::of(field, &parameters)?;
    let found = AnswerV2::of(TagValues::of_field(&app, &request).await?);
    Ok(answer(&headers, &found, || found.message()))
}
