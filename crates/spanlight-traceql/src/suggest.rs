//! What was probably meant: the hints of errors.
//!
//! Owns guesses only. Whether something is wrong is decided where it is found.

use crate::ast::{Intrinsic, Kind, Status};
use crate::function::FUNCTIONS;

/// The scopes of attributes.
pub(crate) const SCOPES: [&str; 6] = [
    "span",
    "resource",
    "event",
    "link",
    "instrumentation",
    "parent",
];

/// Beginnings of keys that conventions put on resources.
const RESOURCE_KEYS: [&str; 9] = [
    "service.",
    "k8s.",
    "cloud.",
    "host.",
    "container.",
    "deployment.",
    "telemetry.",
    "process.",
    "os.",
];

/// The words that may follow `order by(…)`.
pub(crate) const ORDER_CLAUSES: [&str; 3] = ["asc", "desc", "limit"];

/// `text`, cut for a message.
pub(crate) fn shorten(text: &str) -> String {
    const CHARACTERS_MAX: usize = 40;
    match text.char_indices().nth(CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// For a dotted name without a scope.
pub(crate) fn attribute(name: &str) -> String {
    let shown = shorten(name);
    if let Some((first, rest)) = name.split_once('.') {
        let lower = first.to_lowercase();
        if matches!(
            lower.as_str(),
            "attributes" | "attribute" | "attrs" | "attr" | "tags" | "tag"
        ) {
            return format!("did you mean `.{}`?", shorten(rest));
        }
        let scope = SCOPES
            .into_iter()
            .find(|scope| *scope == lower || lower.strip_suffix('s') == Some(scope))
            .or_else(|| nearest(&lower, SCOPES));
        if let Some(scope) = scope {
            return format!("did you mean `{}`?", shorten(&format!("{scope}.{rest}")));
        }
        let with_colon = format!("{first}:{rest}");
        if Intrinsic::from_word(&with_colon).is_some() {
            return format!("did you mean `{with_colon}`?");
        }
    }
    if RESOURCE_KEYS.iter().any(|key| name.starts_with(key)) {
        format!("did you mean `resource.{shown}`?")
    } else {
        format!("did you mean `.{shown}`?")
    }
}

/// For something like an intrinsic with a colon.
pub(crate) fn intrinsic_with_colon(name: &str) -> String {
    let spellings = Intrinsic::ALL
        .into_iter()
        .flat_map(|it| [Some(it.as_str()), it.alias()])
        .flatten()
        .filter(|spelling| spelling.contains(':'));
    match nearest(name, spellings) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => match name.split_once(':') {
            Some((scope, rest)) if SCOPES.contains(&scope) => {
                format!("did you mean the attribute `{scope}.{}`?", shorten(rest))
            }
            _ => "intrinsics are `trace:…`, `span:…`, `event:…`, `link:…` and `instrumentation:…`"
                .to_owned(),
        },
    }
}

/// For a bare word inside `{ }`.
pub(crate) fn word(word: &str) -> String {
    if let Some(hint) = foreign_word(word) {
        return hint;
    }
    let known = ["true", "false", "nil"]
        .into_iter()
        .chain(Status::ALL.map(Status::as_str))
        .chain(Kind::ALL.map(Kind::as_str))
        .chain(Intrinsic::ALL.map(Intrinsic::as_str));
    match nearest(word, known) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => {
            let word = shorten(word);
            format!("an attribute is written `.{word}`, a string \"{word}\"")
        }
    }
}

/// For a word outside `{ }` that is no function.
pub(crate) fn stage(word: &str) -> Option<String> {
    foreign_word(word).or_else(|| {
        let meant = match word.to_lowercase().as_str() {
            "group" | "groupby" | "group_by" => "by",
            "mean" | "average" => "avg",
            "percentile" | "p99" | "p95" | "p90" | "p50" => "quantile",
            "median" => return Some("write quantile(…, 0.5)".to_owned()),
            "sort" | "orderby" | "order_by" | "sort_by" => "order by",
            "limit" | "head" | "take" => "first",
            "tail" => "last",
            "histogram" => "histogram_over_time",
            "project" | "fields" => "select",
            "top" => "topk",
            other => nearest(other, FUNCTIONS.iter().map(|function| function.name))?,
        };
        Some(format!("did you mean `{meant}`?"))
    })
}

/// Words of other languages, wherever they stand.
pub(crate) fn foreign_word(word: &str) -> Option<String> {
    let meant = match word.to_lowercase().as_str() {
        "and" => "write `&&`",
        "or" => "write `||`",
        "not" => "write `!`",
        "is" | "eq" | "equals" => "write `=`",
        "ne" => "write `!=`",
        "like" | "matches" | "contains" | "startswith" => {
            "write `=~` and a regular expression, which matches the whole value"
        }
        "in" => "write one comparison for each value, joined by `||`",
        "null" | "none" | "undefined" => "write `nil`",
        "exists" => "write `!= nil`",
        "err" | "failed" | "failure" => "did you mean `error`?",
        "success" => "did you mean `ok`?",
        "where" | "filter" => "write `{ condition }`",
        "traceid" | "trace_id" => "did you mean `trace:id`?",
        "spanid" | "span_id" => "did you mean `span:id`?",
        "parentid" | "parent_id" | "parentspanid" => "did you mean `span:parentID`?",
        "childcount" | "child_count" => "did you mean `span:childCount`?",
        "service" | "servicename" | "service_name" => "did you mean `resource.service.name`?",
        "rootservice" => "did you mean `rootServiceName`?",
        "parent" => "an attribute of the span's parent is written `parent.name`",
        "nan" | "inf" | "infinity" => "there is no literal for it",
        _ => return None,
    };
    Some(meant.to_owned())
}

/// The candidate that differs in the fewest letters, if in few, else one that one is the beginning of the other.
fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const LETTERS_MAX: usize = 32;
    if word.chars().count() > LETTERS_MAX {
        return None;
    }
    let lower = word.to_lowercase();
    let candidates: Vec<&str> = candidates.into_iter().collect();
    let allowed = (word.chars().count() / 3).clamp(1, 3);
    let close = candidates
        .iter()
        .map(|&it| (strsim::damerau_levenshtein(&lower, &it.to_lowercase()), it))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, it)| *distance <= allowed && *distance < it.len())
        .map(|(_, it)| it);
    close.or_else(|| {
        candidates.into_iter().find(|it| {
            let it = it.to_lowercase();
            let shorter = lower.len().min(it.len());
            shorter > 2 && (it.starts_with(&lower) || (shorter > 4 && lower.starts_with(&it)))
        })
    })
}
