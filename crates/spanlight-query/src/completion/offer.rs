//! The words for a place, the best first: those that begin with what is typed, and those in use most.

use spanlight_model::{AnyValue, AttributeType};
use spanlight_traceql::ast::{Attribute, AttributeScope as Scope, Field, Intrinsic, Static};
use spanlight_traceql::{FUNCTIONS, Function, FunctionKind};

use super::place::{Asked, Place};
use super::{COMPARISONS, Suggestion, SuggestionKind};
use crate::attributes::{AttributeScope, KeyUse, KeysAnswer, ValueUse, ValuesAnswer};

/// What every span has, those first that people ask for most.
const INTRINSICS: [(Intrinsic, &str); 21] = [
    (Intrinsic::Name, "what the span does"),
    (Intrinsic::Status, "unset, ok or error"),
    (Intrinsic::Duration, "such as 100ms, 1.5s"),
    (
        Intrinsic::Kind,
        "server, client, producer, consumer, internal",
    ),
    (
        Intrinsic::RootServiceName,
        "the service of the trace's root",
    ),
    (Intrinsic::RootName, "the name of the trace's root"),
    (
        Intrinsic::TraceDuration,
        "from the trace's first start to its last end",
    ),
    (Intrinsic::StatusMessage, "why it failed"),
    (Intrinsic::EventName, "the name of an event"),
    (Intrinsic::SpanChildCount, "direct children"),
    (Intrinsic::TraceId, "hexadecimal"),
    (Intrinsic::SpanId, "hexadecimal"),
    (Intrinsic::SpanParentId, "hexadecimal; zeros for a root"),
    (
        Intrinsic::EventTimeSinceStart,
        "from the span's start to the event",
    ),
    (Intrinsic::LinkTraceId, "the trace that a link leads to"),
    (Intrinsic::LinkSpanId, "the span that a link leads to"),
    (
        Intrinsic::InstrumentationName,
        "the library that made the span",
    ),
    (Intrinsic::InstrumentationVersion, "its version"),
    (
        Intrinsic::NestedSetParent,
        "the parent's nestedSetLeft; below 0 for a root",
    ),
    (Intrinsic::NestedSetLeft, "the span's number, depth first"),
    (
        Intrinsic::NestedSetRight,
        "the number after its last descendant's",
    ),
];

/// How many of them come before attributes while nothing is typed.
const INTRINSICS_FIRST: usize = 4;

const CONNECTIVES: [(&str, &str); 3] = [
    ("&&", "and"),
    ("||", "or; binds as && does, so use parentheses"),
    ("}", "end of the filter"),
];

const SPANSET_OPERATORS: [(&str, &str); 8] = [
    ("|", "a function of what was found"),
    (">>", "descendants of it"),
    (">", "children of it"),
    ("&&", "in one trace with"),
    ("||", "or"),
    ("<<", "ancestors of it"),
    ("~", "siblings of it"),
    ("!>>", "not below it"),
];

const BEGINNINGS: [(&str, &str); 4] = [
    ("{", "a filter of spans"),
    ("{ status = error }", "spans that failed"),
    ("{ }", "every span"),
    ("(", "filters together"),
];

const AFTER_AGGREGATE: [(&str, &str); 5] = [
    (">", "greater"),
    (">=", "at least"),
    ("<", "less"),
    ("<=", "at most"),
    ("=", "equals"),
];

const AFTER_METRICS: [(&str, &str); 4] = [
    ("by (", "a series for each value"),
    ("| topk(10)", "the greatest"),
    ("| bottomk(10)", "the least"),
    (">", "only values that are greater"),
];

const AFTER_STAGE: [(&str, &str); 1] = [("|", "another function")];

const AFTER_ARGUMENT: [(&str, &str); 2] = [(")", "end of the fields"), (",", "another field")];

/// Words that need nothing of the store.
pub(super) fn words(asked: &Asked<'_>) -> Vec<Suggestion> {
    use SuggestionKind as K;
    let stages: Vec<(&str, &str)>;
    let (kind, words): (K, &[(&str, &str)]) = match &asked.place {
        Place::Spanset => (K::Bracket, &BEGINNINGS),
        Place::AfterSpanset => (K::Operator, &SPANSET_OPERATORS),
        Place::Stage => {
            stages = self::stages().collect();
            (K::Function, &stages)
        }
        Place::AfterStage { function } => (K::Operator, after(function)),
        Place::Comparison => (K::Operator, &COMPARISONS),
        Place::Connective => (K::Operator, &CONNECTIVES),
        Place::AfterArgument => (K::Operator, &AFTER_ARGUMENT),
        Place::Field { .. } | Place::Value { .. } | Place::Nothing => (K::Operator, &[]),
    };
    let typed = asked.typed.to_lowercase();
    let mut fitting: Vec<_> = words
        .iter()
        .filter_map(|(text, detail)| Some((fit(text, &typed)?, text, detail)))
        .collect();
    fitting.sort_by_key(|(fit, ..)| *fit);
    let suggestion = |(_, text, detail): (u8, &&str, &&str)| Suggestion {
        text: (*text).to_owned(),
        kind,
        detail: (*detail).to_owned(),
        count: None,
    };
    fitting.into_iter().map(suggestion).collect()
}

/// What may stand after a `|` behind spans.
fn stages() -> impl Iterator<Item = (&'static str, &'static str)> {
    let of_spans = |function: &&Function| {
        !matches!(
            function.kind,
            FunctionKind::SecondStage | FunctionKind::Hints
        )
    };
    let functions = FUNCTIONS.iter().filter(of_spans);
    functions
        .map(|function| (function.call, function.meaning))
        .chain([("{", "a filter of what was found")])
}

fn after(function: &str) -> &'static [(&'static str, &'static str)] {
    match Function::named(function).map(|function| function.kind) {
        Some(FunctionKind::Aggregate) => &AFTER_AGGREGATE,
        Some(FunctionKind::Metrics) => &AFTER_METRICS,
        _ => &AFTER_STAGE,
    }
}

/// How well a word fits what is typed of it, the best being zero.
fn fit(word: &str, typed: &str) -> Option<u8> {
    if typed.is_empty() {
        return Some(0);
    }
    let word = word.to_lowercase();
    if word.starts_with(typed) {
        return Some(0);
    }
    let at = word.find(typed)?;
    // The beginning of a part is better than the middle of one.
    let is_part = word[..at].ends_with(['.', ':', '_', '"']);
    Some(if is_part { 1 } else { 2 })
}

/// Attributes and intrinsics.
pub(super) fn fields(asked: &Asked<'_>, keys: &KeysAnswer) -> Vec<Suggestion> {
    let typed = asked.typed.to_lowercase();
    let mut found: Vec<((u8, u8, u64), Suggestion)> = Vec::new();
    for (rank, (intrinsic, detail)) in (0..).zip(INTRINSICS) {
        let spellings = [Some(intrinsic.as_str()), intrinsic.alias()];
        let fits = spellings.into_iter().flatten();
        let fits = fits.filter_map(|it| Some((fit(it, &typed)?, it)));
        let Some((fit, text)) = fits.min_by_key(|(fit, _)| *fit) else {
            continue;
        };
        let is_first = (rank as usize) < INTRINSICS_FIRST || !typed.is_empty();
        let suggestion = Suggestion {
            text: text.to_owned(),
            kind: SuggestionKind::Intrinsic,
            detail: detail.to_owned(),
            count: None,
        };
        found.push(((fit, if is_first { 0 } else { 2 }, rank), suggestion));
    }
    let unscoped = typed.starts_with('.');
    for key in &keys.keys {
        let Some(text) = field_text(key, unscoped) else {
            continue;
        };
        let Some(fit) = fit(&text, &typed) else {
            continue;
        };
        if unscoped && found.iter().any(|(_, known)| known.text == text) {
            continue;
        }
        let types: Vec<&str> = key.types.iter().map(|kind| kind.as_str()).collect();
        let suggestion = Suggestion {
            text,
            kind: SuggestionKind::Attribute,
            detail: types.join(", "),
            count: Some(key.count),
        };
        found.push(((fit, 1, u64::MAX - key.count), suggestion));
    }
    found.sort_by(|(a, one), (b, two)| (a, &one.text).cmp(&(b, &two.text)));
    found
        .into_iter()
        .map(|(_, suggestion)| suggestion)
        .collect()
}

/// A field as TraceQL writes it; `None` where it cannot be asked for so.
fn field_text(key: &KeyUse, unscoped: bool) -> Option<String> {
    let is_seen = |kind: &AttributeType| {
        !matches!(
            kind,
            AttributeType::Empty | AttributeType::Bytes | AttributeType::KeyValueList
        )
    };
    if key.key.is_empty() || !key.types.iter().any(is_seen) {
        return None;
    }
    let scope = match (key.scope, unscoped) {
        (AttributeScope::Span | AttributeScope::Resource, true) => Scope::Any,
        (_, true) => return None,
        (AttributeScope::Span, false) => Scope::Span,
        (AttributeScope::Resource, false) => Scope::Resource,
        (AttributeScope::Event, false) => Scope::Event,
        (AttributeScope::Link, false) => Scope::Link,
        (AttributeScope::Instrumentation, false) => Scope::Instrumentation,
    };
    let attribute = Attribute {
        of_parent: false,
        scope,
        name: key.key.clone(),
    };
    Some(Field::Attribute(attribute).to_string())
}

/// Values as TraceQL writes them.
pub(super) fn values(asked: &Asked<'_>, values: &ValuesAnswer) -> Vec<Suggestion> {
    let typed = asked.typed_text().to_lowercase();
    let mut found: Vec<(u8, Suggestion)> = values
        .values
        .iter()
        .filter_map(|value| {
            let text = value_text(value)?;
            let bare = text.strip_prefix('"').unwrap_or(&text);
            let suggestion = Suggestion {
                kind: SuggestionKind::Value,
                detail: String::new(),
                count: Some(value.count),
                text: text.clone(),
            };
            Some((fit(bare, &typed)?, suggestion))
        })
        .collect();
    found.sort_by_key(|(fit, _)| *fit);
    found
        .into_iter()
        .map(|(_, suggestion)| suggestion)
        .collect()
}

fn value_text(value: &ValueUse) -> Option<String> {
    let literal = match &value.value {
        AnyValue::String(word) if value.is_keyword => return Some(word.clone()),
        AnyValue::String(text) => Static::String(text.clone()),
        AnyValue::Int(number) => Static::Int(*number),
        AnyValue::Double(number) if number.is_finite() => Static::Float(*number),
        AnyValue::Bool(truth) => Static::Bool(*truth),
        _ => return None,
    };
    Some(literal.to_string())
}
