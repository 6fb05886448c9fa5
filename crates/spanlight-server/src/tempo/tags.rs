//! `/tempo/api/search/tags` and `/tempo/api/v2/search/tags`: which attributes there are.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::HeaderMap;
use serde::Serialize;
use spanlight_query::{AttributeScope, KeysAnswer, KeysRequest, complete_conditions};
use spanlight_wire::tempo::streaming::{encode_scopes, encode_texts};

use super::time::time_range;
use super::{PlainError, answer};
use crate::api::Parameters;
use crate::app::App;

/// Where no limit is asked for.
pub(super) const LIMIT_DEFAULT: usize = 10_000;

/// The scope of what every span has.
const INTRINSIC: &str = "intrinsic";

/// What every span has, as Grafana offers it.
const INTRINSICS: [&str; 25] = [
    "duration",
    "event:name",
    "event:timeSinceStart",
    "instrumentation:name",
    "instrumentation:version",
    "kind",
    "link:spanID",
    "link:traceID",
    "name",
    "rootName",
    "rootServiceName",
    "span:duration",
    "span:id",
    "span:kind",
    "span:name",
    "span:parentID",
    "span:status",
    "span:statusMessage",
    "status",
    "statusMessage",
    "trace:duration",
    "trace:id",
    "trace:rootName",
    "trace:rootService",
    "traceDuration",
];

/// A question about tags.
#[derive(Debug)]
pub(super) struct TagsRequest {
    pub(super) scope: Scope,
    pub(super) query: String,
    pub(super) time_range: std::ops::Range<i64>,
    /// Tags of a scope, at most.
    pub(super) limit: usize,
}

/// Whose tags are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    All,
    Intrinsic,
    Of(AttributeScope),
}

impl Scope {
    pub(super) fn parse(text: &str) -> Result<Self, PlainError> {
        match text {
            "" | "none" => Ok(Self::All),
            INTRINSIC => Ok(Self::Intrinsic),
            _ => AttributeScope::ALL
                .into_iter()
                .find(|scope| scope.as_str() == text)
                .map(Self::Of)
                .ok_or_else(|| PlainError::bad(format!("invalid scope: {text}"))),
        }
    }
}

/// Tags by scope, each in order.
#[derive(Debug, Default)]
pub(super) struct Tags {
    scopes: BTreeMap<&'static str, BTreeSet<String>>,
    inspected_bytes: u64,
}

impl TagsRequest {
    fn of(parameters: &Parameters) -> Result<Self, PlainError> {
        Ok(Self {
            scope: Scope::parse(parameters.get("scope").unwrap_or_default())?,
            query: parameters.get("q").unwrap_or_default().to_owned(),
            time_range: time_range(parameters)?,
            limit: limit(parameters, LIMIT_DEFAULT)?,
        })
    }
}

/// Zero asks for no limit.
pub(super) fn limit(parameters: &Parameters, default: usize) -> Result<usize, PlainError> {
    let limit = parameters.number("limit")?;
    Ok(limit
        .filter(|&limit| limit > 0)
        .unwrap_or(default)
        .min(default))
}

impl Tags {
    /// Answers the question. Of a query that is still being typed the finished conditions count; one that makes no sense
    /// counts as none, as the lists are there to help with it.
    pub(super) async fn find(app: &App, request: TagsRequest) -> Result<Self, PlainError> {
        let scope = match request.scope {
            Scope::Intrinsic => return Ok(Self::intrinsic(request.limit)),
            Scope::All => None,
            Scope::Of(scope) => Some(scope),
        };
        let keys = |query: String| KeysRequest {
            query,
            time_range: request.time_range.clone(),
            scope,
            limit: LIMIT_DEFAULT,
            time_limit: Duration::MAX,
        };
        let asked = app.attribute_keys(keys(complete_conditions(&request.query)));
        let answer = match asked.await {
            Err(error) if error.is_about_the_query() => {
                app.attribute_keys(keys(String::new())).await?
            }
            answer => answer?,
        };
        let mut tags = match scope {
            None => Self::intrinsic(request.limit),
            Some(_) => Self::default(),
        };
        tags.add(answer, request.limit);
        Ok(tags)
    }

    fn intrinsic(limit: usize) -> Self {
        let names = INTRINSICS.into_iter().take(limit).map(str::to_owned);
        Self {
            scopes: BTreeMap::from([(INTRINSIC, names.collect())]),
            inspected_bytes: 0,
        }
    }

    fn add(&mut self, answer: KeysAnswer, limit: usize) {
        self.inspected_bytes = answer.inspected.bytes;
        for key in answer.keys {
            let names = self.scopes.entry(key.scope.as_str()).or_default();
            if names.len() < limit {
                names.insert(key.key);
            }
        }
    }

    /// Of all scopes together; what every span has is there only when it was asked for.
    fn merged(self, scope: Scope) -> Vec<String> {
        let wanted = |name: &str| scope == Scope::Intrinsic || name != INTRINSIC;
        let scopes = self.scopes.into_iter().filter(|(name, _)| wanted(name));
        let names: BTreeSet<String> = scopes.flat_map(|(_, names)| names).collect();
        names.into_iter().collect()
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AnswerV1 {
    tag_names: Vec<String>,
    metrics: MetricsJson,
}

#[derive(Debug, Serialize)]
pub(super) struct AnswerV2 {
    scopes: Vec<ScopeJson>,
    metrics: MetricsJson,
}

#[derive(Debug, Serialize)]
struct ScopeJson {
    name: &'static str,
    tags: BTreeSet<String>,
}

/// What an answer about tags says of itself.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MetricsJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    inspected_bytes: Option<String>,
}

impl MetricsJson {
    pub(super) fn of(inspected_bytes: u64) -> Self {
        Self {
            inspected_bytes: (inspected_bytes > 0).then(|| inspected_bytes.to_string()),
        }
    }
}

impl AnswerV1 {
    pub(super) fn of(tags: Tags, scope: Scope, limit: usize) -> Self {
        let metrics = MetricsJson::of(tags.inspected_bytes);
        let mut tag_names = tags.merged(scope);
        tag_names.truncate(limit);
        Self { tag_names, metrics }
    }

    /// A `SearchTagsResponse`.
    pub(super) fn message(&self) -> Vec<u8> {
        encode_texts(self.tag_names.iter().map(String::as_str))
    }
}

impl AnswerV2 {
    pub(super) fn of(tags: Tags) -> Self {
        let scopes = tags.scopes.into_iter();
        let scopes = scopes.map(|(name, tags)| ScopeJson { name, tags });
        Self {
            scopes: scopes.collect(),
            metrics: MetricsJson::of(tags.inspected_bytes),
        }
    }

    /// A `SearchTagsV2Response`.
    pub(super) fn message(&self) -> Vec<u8> {
        let scopes = self.scopes.iter();
        encode_scopes(scopes.map(|it| (it.name, it.tags.iter().map(String::as_str))))
    }
}

pub(super) async fn get_v1(
    State(app): State<App>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, PlainError> {
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes());
    let request = TagsRequest::of(&parameters)?;
    let (scope, limit) = (request.scope, request.limit);
    let found = AnswerV1::of(Tags::find(&app, request).await?, scope, limit);
    Ok(answer(&headers, &found, || found.message()))
}

pub(super) async fn get_v2(
    State(app): State<App>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, PlainError> {
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes());
    let found = AnswerV2::of(Tags::find(&app, TagsRequest::of(&parameters)?).await?);
    Ok(answer(&headers, &found, || found.message()))
}
