//! Which attributes there are, and which values they have: for people who look for the right word.
//!
//! What files say of themselves counts where it can; the rest is one pass over narrow columns, newest first, that ends
//! at the limits. Counts rank: a span that came twice may count twice.

mod found;
mod keys;
mod question;
mod unfinished;
mod values;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use datafusion::execution::memory_pool::MemoryPool;
use spanlight_model::{AnyValue, AttributeType};
use spanlight_store::{ScanColumns, Snapshot};

use crate::answer::Inspected;
use crate::error::QueryError;
use crate::limits::{PartialReason, QueryLimits};
use crate::predicate::{Filter, is_trace_level};
use found::Found;
use keys::KeyWorker;
use question::{Question, Selected, Selection};
pub use unfinished::complete_conditions;
use values::ValueWorker;

/// Where an attribute is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AttributeScope {
    /// On the span.
    Span,
    /// On what the span comes from.
    Resource,
    /// On an event of the span.
    Event,
    /// On a link of the span.
    Link,
    /// On the library that made the span.
    Instrumentation,
}

impl AttributeScope {
    /// Every scope.
    pub const ALL: [Self; 5] = [
        Self::Span,
        Self::Resource,
        Self::Event,
        Self::Link,
        Self::Instrumentation,
    ];

    /// What TraceQL writes before the dot.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Span => "span",
            Self::Resource => "resource",
            Self::Event => "event",
            Self::Link => "link",
            Self::Instrumentation => "instrumentation",
        }
    }
}

/// A question about attribute keys.
#[derive(Debug, Clone)]
pub struct KeysRequest {
    /// TraceQL: only of spans that it finds. Blank text takes every span.
    pub query: String,
    /// Unix nanoseconds, the end not included: spans count at their start.
    pub time_range: Range<i64>,
    /// Only attributes of this scope.
    pub scope: Option<AttributeScope>,
    /// The most keys to answer with.
    pub limit: usize,
    /// Answers with what there is after this time, if it is shorter than the engine's own.
    pub time_limit: Duration,
}

/// The keys that are in use.
#[derive(Debug, Clone, Default)]
pub struct KeysAnswer {
    /// Those in use most come first.
    pub keys: Vec<KeyUse>,
    /// Empty when the answer is complete.
    pub partial: Vec<PartialReason>,
    /// What was read.
    pub inspected: Inspected,
}

/// An attribute key that is in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyUse {
    /// Where.
    pub scope: AttributeScope,
    /// The key.
    pub key: String,
    /// The types of its values, those in use most first.
    pub types: Vec<AttributeType>,
    /// How many spans (or events, or links) have it.
    pub count: u64,
}

/// A question about the values of a field.
#[derive(Debug, Clone)]
pub struct ValuesRequest {
    /// The field as TraceQL writes it, such as `span.http.route` or `name`.
    pub field: String,
    /// TraceQL: only of spans that it finds. Blank text takes every span.
    pub query: String,
    /// Unix nanoseconds, the end not included: spans count at their start.
    pub time_range: Range<i64>,
    /// Only values whose text has this in it, in letters of either case.
    pub containing: String,
    /// The most values to answer with.
    pub limit: usize,
    /// Answers with what there is after this time, if it is shorter than the engine's own.
    pub time_limit: Duration,
}

/// The values of a field.
#[derive(Debug, Clone, Default)]
pub struct ValuesAnswer {
    /// Those in use most come first.
    pub values: Vec<ValueUse>,
    /// How many different ones were seen.
    pub distinct: usize,
    /// Empty when the answer is complete.
    pub partial: Vec<PartialReason>,
    /// What was read.
    pub inspected: Inspected,
}

/// A value that is in use.
#[derive(Debug, Clone, PartialEq)]
pub struct ValueUse {
    /// Text, a number or a truth value.
    pub value: AnyValue,
    /// Whether TraceQL writes the text without quotes, as in `status = error`.
    pub is_keyword: bool,
    /// How often it was seen.
    pub count: u64,
}

/// The most keys that are told apart, and the most values.
const KEYS_MAX: usize = 10_000;
const VALUES_MAX: usize = 20_000;

pub(crate) async fn keys(
    snapshot: Snapshot,
    limits: &QueryLimits,
    memory: &Arc<dyn MemoryPool>,
    request: &KeysRequest,
) -> Result<KeysAnswer, QueryError> {
    let selected = Selected::of(&request.query)?;
    let range = request.time_range.clone();
    let mut question = Question::new(snapshot, limits, memory, range, request.time_limit)?;
    let new = |question: &Question<'_>, filter: &Filter| {
        let range = question.time_range.clone();
        KeyWorker::new(
            &selected.fields,
            filter,
            range,
            request.scope,
            question.reserve(),
        )
    };
    let columns = keys::columns(request.scope);
    let workers = match &selected.selection {
        Selection::Spans(filter) => {
            let partitions = question
                .partitions_of_keys(&columns, &selected, filter)
                .await;
            let worker = |question: &Question<'_>| new(question, filter);
            question.read(partitions, worker).await?
        }
        Selection::Found => {
            let mut only = new(&question, &Filter::anything());
            let found = Found::of(&mut question, &selected.text).await?;
            let take = |batch: &_, rows: &_| only.rows(batch, rows);
            found.each(&mut question, &columns, take).await;
            vec![only]
        }
    };
    let overflow = workers.iter().any(|worker| worker.overflow);
    question.note_too_many(overflow, "attributes", KEYS_MAX);
    let (keys, more) = keys::ranked(workers, request.limit);
    question.note_too_many(more, "attributes", request.limit);
    let (partial, inspected) = question.finish();
    Ok(KeysAnswer {
        keys,
        partial,
        inspected,
    })
}

pub(crate) async fn values(
    snapshot: Snapshot,
    limits: &QueryLimits,
    memory: &Arc<dyn MemoryPool>,
    request: &ValuesRequest,
) -> Result<ValuesAnswer, QueryError> {
    let field = question::field(&request.field)?;
    // What roots are called is what spans without a parent are called.
    let (field, of_roots) = match values::of_root(&field) {
        Some(own) if request.query.trim().is_empty() => (own, true),
        _ => (field, false),
    };
    let mut selected = Selected::of(&request.query)?;
    let slot = selected.fields.slot(&field);
    let range = request.time_range.clone();
    let mut question = Question::new(snapshot, limits, memory, range, request.time_limit)?;
    let new = |question: &Question<'_>, filter: &Filter| {
        let range = question.time_range.clone();
        let (containing, memory) = (&request.containing, question.reserve());
        let mut worker =
            ValueWorker::new(&selected.fields, slot, filter, range, containing, memory);
        worker.of_roots = of_roots;
        worker
    };
    let workers = match &selected.selection {
        _ if values::has_none(&field) => Vec::new(),
        Selection::Spans(filter) if !is_trace_level(&field) => {
            let columns = ScanColumns {
                parent_span_id: of_roots,
                ..ScanColumns::NONE
            };
            let partitions = question.partitions(&columns, &selected, filter).await;
            let worker = |question: &Question<'_>| new(question, filter);
            question.read(partitions, worker).await?
        }
        _ => {
            let mut only = new(&question, &Filter::anything());
            let found = Found::of(&mut question, &selected.text).await?;
            if is_trace_level(&field) {
                found.roots(&field).for_each(|name| only.text(name, 1));
            } else {
                let columns = selected.fields.columns();
                let take = |batch: &_, rows: &_| only.rows(batch, rows);
                found.each(&mut question, &columns, take).await;
            }
            vec![only]
        }
    };
    let overflow = workers.iter().any(|worker| worker.overflow);
    question.note_too_many(overflow, "values", VALUES_MAX);
    let (values, distinct) = values::ranked(workers, request.limit);
    let (partial, inspected) = question.finish();
    Ok(ValuesAnswer {
        values,
        distinct,
        partial,
        inspected,
    })
}
