//! Completion: what could be written at a place of a query that is being typed, ranked by what the store holds, and
//! what is wrong with the text so far.
//!
//! [`place()`] says what may stand there, [`offer`] finds the words for it.

mod offer;
mod place;

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use spanlight_traceql::Error;

use crate::attributes::{
    KeysAnswer, KeysRequest, ValuesAnswer, ValuesRequest, complete_conditions,
};
use crate::engine::QueryEngine;
use crate::error::QueryError;
use place::{Place, place};

/// What stands between a field and a value, and what it means.
const COMPARISONS: [(&str, &str); 8] = [
    ("=", "equals"),
    ("!=", "differs"),
    ("=~", "matches the whole text"),
    ("!~", "does not match"),
    (">", "greater"),
    (">=", "at least"),
    ("<", "less"),
    ("<=", "at most"),
];

/// A question about a query that is being typed.
#[derive(Debug, Clone)]
pub struct CompletionRequest {
    /// The text so far, whatever it is.
    pub query: String,
    /// Where the next character goes, in bytes; moved to the character that it falls into.
    pub cursor: usize,
    /// Unix nanoseconds: what the store holds of this range ranks the suggestions.
    pub time_range: Range<i64>,
    /// The most suggestions to answer with.
    pub limit: usize,
}

/// What could be written, and what is wrong.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Completion {
    /// The bytes of the text that a suggestion takes the place of.
    pub replace: Range<usize>,
    /// The best first.
    pub suggestions: Vec<Suggestion>,
    /// Why the text is no query as it is.
    pub error: Option<Error>,
}

/// Something that could be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// What to write.
    pub text: String,
    /// What it is.
    pub kind: SuggestionKind,
    /// More about it, for people; may be empty.
    pub detail: String,
    /// How often it is in use, as far as that is known.
    pub count: Option<u64>,
}

/// The sorts of suggestions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SuggestionKind {
    /// A key of spans, resources, events, links or instrumentation.
    Attribute,
    /// What every span has.
    Intrinsic,
    /// A value that the field before it has.
    Value,
    /// A comparison, or what joins conditions or filters.
    Operator,
    /// A function of a pipeline.
    Function,
    /// Braces and parentheses.
    Bracket,
}

impl SuggestionKind {
    /// A word for programs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Attribute => "attribute",
            Self::Intrinsic => "intrinsic",
            Self::Value => "value",
            Self::Operator => "operator",
            Self::Function => "function",
            Self::Bracket => "bracket",
        }
    }
}

/// How long the store may be asked: a suggestion that comes late is in the way.
const TIME_LIMIT: Duration = Duration::from_millis(500);
/// Attributes that are looked through.
const KEYS_MAX: usize = 2_000;
/// How long what is known of attributes is used for the next letters, and for how far another range.
const KNOWN_FOR: Duration = Duration::from_secs(10);
const KNOWN_WITHIN: u64 = 60_000_000_000;

/// The attributes that were asked for last.
#[derive(Debug, Default)]
pub(crate) struct KnownKeys(Mutex<Option<Known>>);

#[derive(Debug, Clone)]
struct Known {
    at: Instant,
    time_range: Range<i64>,
    keys: Arc<KeysAnswer>,
}

impl KnownKeys {
    fn get(&self, range: &Range<i64>) -> Option<Arc<KeysAnswer>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.as_ref()?;
        let is_near = |one: i64, two: i64| one.abs_diff(two) <= KNOWN_WITHIN;
        let is_same = known.at.elapsed() < KNOWN_FOR
            && is_near(known.time_range.start, range.start)
            && is_near(known.time_range.end, range.end);
        is_same.then(|| Arc::clone(&known.keys))
    }

    fn put(&self, time_range: Range<i64>, keys: &Arc<KeysAnswer>) {
        let known = Known {
            at: Instant::now(),
            time_range,
            keys: Arc::clone(keys),
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
    }
}

pub(crate) async fn complete(
    engine: &QueryEngine,
    known: &KnownKeys,
    request: &CompletionRequest,
) -> Result<Completion, QueryError> {
    let text = request.query.as_str();
    let cursor = text.floor_char_boundary(request.cursor.min(text.len()));
    let asked = place(text, cursor);
    let suggestions = match &asked.place {
        Place::Field { .. } => {
            let keys = keys(engine, known, &request.time_range).await?;
            offer::fields(&asked, &keys)
        }
        Place::Value { field, beside, .. } => {
            let values = values(engine, request, field, beside, asked.typed_text()).await?;
            offer::values(&asked, &values)
        }
        _ => offer::words(&asked),
    };
    Ok(Completion {
        replace: asked.replace.clone(),
        suggestions: suggestions.into_iter().take(request.limit).collect(),
        error: match text.trim() {
            "" => None,
            _ => spanlight_traceql::parse(text).err(),
        },
    })
}

async fn keys(
    engine: &QueryEngine,
    known: &KnownKeys,
    time_range: &Range<i64>,
) -> Result<Arc<KeysAnswer>, QueryError> {
    if let Some(keys) = known.get(time_range) {
        return Ok(keys);
    }
    let request = KeysRequest {
        query: String::new(),
        time_range: time_range.clone(),
        scope: None,
        limit: KEYS_MAX,
        time_limit: TIME_LIMIT,
    };
    let keys = Arc::new(engine.attribute_keys(request).await?);
    known.put(time_range.clone(), &keys);
    Ok(keys)
}

/// The values of a field, of the spans that meet the other conditions of the same filter.
async fn values(
    engine: &QueryEngine,
    request: &CompletionRequest,
    field: &str,
    beside: &str,
    containing: &str,
) -> Result<ValuesAnswer, QueryError> {
    let values = |query: String| ValuesRequest {
        field: field.to_owned(),
        query,
        time_range: request.time_range.clone(),
        containing: containing.to_owned(),
        limit: request.limit,
        time_limit: TIME_LIMIT,
    };
    let answer = engine.attribute_values(values(complete_conditions(beside)));
    match answer.await {
        // What is beside it is asked only to have the best values first.
        Err(error) if error.is_about_the_query() => {
            let answer = engine.attribute_values(values(String::new())).await;
            match answer {
                Err(error) if error.is_about_the_query() => Ok(ValuesAnswer::default()),
                answer => answer,
            }
        }
        answer => answer,
    }
}
