//! `/api/v1/query/complete?q=&cursor=&start=&end=&limit=`: what could be written next in a query, and what is wrong
//! with it so far.

use std::time::Instant;

use axum::Json;
use axum::extract::{RawQuery, State};
use serde::Serialize;
use spanlight_query::{Completion, CompletionRequest, Suggestion};

use super::attributes::time_range;
use super::failure::{Body, Failure};
use super::parameters::Parameters;
use super::search::bounded;
use crate::app::App;

const LIMIT_DEFAULT: usize = 50;
const LIMIT_MAX: usize = 1_000;

pub(crate) async fn get(
    State(app): State<App>,
    RawQuery(query): RawQuery,
) -> Result<Json<Answer>, Failure> {
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes());
    let query = parameters.get("q").unwrap_or_default().to_owned();
    let request = CompletionRequest {
        cursor: parameters.number("cursor")?.unwrap_or(query.len()),
        time_range: time_range(&parameters)?,
        limit: bounded(&parameters, "limit", LIMIT_DEFAULT, LIMIT_MAX)?,
        query,
    };
    let started = Instant::now();
    // The semaphore is never closed; without a permit the search would only be less bounded.
    let _place = app.searches.acquire().await.ok();
    let completion = app.engine.complete(request).await;
    app.metrics.queried("complete", started.elapsed());
    Ok(Json(Answer::of(completion?)))
}

#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    /// Bytes of the query that a suggestion takes the place of.
    replace: ReplaceJson,
    /// The best first.
    suggestions: Vec<SuggestionJson>,
    /// Null where the text is a query as it is.
    error: Option<Box<Body>>,
}

#[derive(Debug, Serialize)]
struct ReplaceJson {
    start: usize,
    end: usize,
}

#[derive(Debug, Serialize)]
struct SuggestionJson {
    text: String,
    kind: &'static str,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
}

impl Answer {
    fn of(completion: Completion) -> Self {
        let suggestions = completion.suggestions.into_iter();
        Self {
            replace: ReplaceJson {
                start: completion.replace.start,
                end: completion.replace.end,
            },
            suggestions: suggestions.map(SuggestionJson::of).collect(),
            error: completion
                .error
                .map(|error| Failure::of_query("bad_query", error).body),
        }
    }
}

impl SuggestionJson {
    fn of(suggestion: Suggestion) -> Self {
        Self {
            text: suggestion.text,
            kind: suggestion.kind.as_str(),
            detail: suggestion.detail,
            count: suggestion.count,
        }
    }
}
