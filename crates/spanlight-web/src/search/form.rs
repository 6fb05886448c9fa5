//! The search form: the query with its error marked in it, the range, the limit, and queries to start from.

use maud::{Markup, html};

use super::{ProblemField, QueryProblem, SearchBody, SearchPage};
use crate::address::SearchAddress;
use crate::icon;

/// The ranges that are a click away: what the address says, and what people read.
const RANGES: [(&str, &str); 5] = [
    ("now-15m", "15 min"),
    ("now-1h", "1 h"),
    ("now-6h", "6 h"),
    ("now-24h", "24 h"),
    ("now-7d", "7 d"),
];
const LIMITS: [usize; 4] = [20, 50, 200, 1000];
/// Intervals of metrics queries: what the address says, and what people read.
const STEPS: [(&str, &str); 8] = [
    ("", "as it suits"),
    ("10s", "10 s"),
    ("1m", "1 min"),
    ("5m", "5 min"),
    ("15m", "15 min"),
    ("1h", "1 h"),
    ("1d", "1 d"),
    ("all", "one for all"),
];

/// Queries that show what the language can do.
const EXAMPLES: [(&str, &str); 8] = [
    ("{ status = error }", "traces with a span that failed"),
    (
        "{ duration > 500ms }",
        "with a span that took more than half a second",
    ),
    (
        "{ span.faas.coldstart = true }",
        "in which a function started cold",
    ),
    (
        "{ kind = server && span.http.response.status_code >= 500 }",
        "with a request that was answered with 5xx",
    ),
    (
        "{ kind = producer } && { kind = consumer }",
        "that went through a queue, a bus or a topic",
    ),
    (
        "{ status = error } | count() > 2",
        "with more than two failed spans",
    ),
    (
        "{ kind = server } | rate() by (resource.service.name)",
        "a chart: requests a second of each service",
    ),
    (
        "{ kind = server } | quantile_over_time(duration, .5, .9, .99)",
        "a chart: how long requests take",
    ),
];

pub(super) fn form(page: &SearchPage) -> Markup {
    let address = &page.address;
    let problem = match &page.body {
        SearchBody::Problem(problem) => Some(problem),
        SearchBody::Welcome(_) | SearchBody::Results(_) | SearchBody::Metrics(_) => None,
    };
    let wrong = |field| problem.is_some_and(|problem| problem.field == field);
    html! {
        form.search action="/" method="get" role="search" {
            div.query-row {
                div.query-box .is-wrong[wrong(ProblemField::Query)] {
                    (icon::search())
                    textarea #query name="q" rows=(address.query.lines().count().clamp(1, 12)) autocomplete="off" autocapitalize="off"
                        spellcheck="false" aria-label="TraceQL query" data-focus-key
                        placeholder="{ status = error }  or a trace id"
                        aria-invalid=[wrong(ProblemField::Query).then_some("true")]
                        aria-describedby=[problem.map(|_| "problem")] { (address.query) }
                    kbd.query-key aria-hidden="true" { "/" }
                }
                button.button.button-primary type="submit" { "Search" }
            }
            div.range-row {
                (ranges(address))
                (custom_range(address, &wrong))
                @if matches!(page.body, SearchBody::Metrics(_)) || !address.step.is_empty() {
                    (step(address))
                } @else {
                    label.limit {
                        "Traces "
                        select name="limit" {
                            @for limit in limits(address.limit) {
                                option value=(limit) selected[limit == address.limit] { (limit) }
                            }
                        }
                    }
                }
            }
        }
        @if let Some(problem) = problem { (self::problem(address, problem)) }
    }
}

/// How long an interval of a metrics query is.
fn step(address: &SearchAddress) -> Markup {
    let is_known = STEPS.iter().any(|(step, _)| *step == address.step);
    html! {
        label.limit {
            "Interval "
            select name="step" {
                @for (step, text) in STEPS {
                    option value=(step) selected[step == address.step] { (text) }
                }
                @if !is_known { option value=(address.step) selected { (address.step) } }
            }
        }
    }
}

fn limits(current: usize) -> Vec<usize> {
    let mut limits = LIMITS.to_vec();
    if !limits.contains(&current) {
        limits.push(current);
        limits.sort_unstable();
    }
    limits
}

fn is_open_ended(address: &SearchAddress) -> bool {
    address.end.is_empty() || address.end == "now"
}

fn ranges(address: &SearchAddress) -> Markup {
    html! {
        div.ranges role="group" aria-label="Time range" {
            @for (start, label) in RANGES {
                a.range href=(address.with_range(start, "").href()) data-range=(start)
                    aria-current=[(is_open_ended(address) && address.start == start).then_some("true")] {
                    span.visually-hidden { "Last " } (label)
                }
            }
        }
    }
}

fn custom_range(address: &SearchAddress, wrong: &dyn Fn(ProblemField) -> bool) -> Markup {
    let preset = is_open_ended(address) && RANGES.iter().any(|(start, _)| *start == address.start);
    let is_wrong = wrong(ProblemField::Start) || wrong(ProblemField::End);
    html! {
        details.custom-range open[!preset || is_wrong] {
            summary { "Other range" }
            label { "from "
                input #start type="text" name="start" value=(address.start) autocomplete="off" spellcheck="false"
                    .is-wrong[wrong(ProblemField::Start)];
            }
            label { "to "
                input #end type="text" name="end" value=(address.end) placeholder="now" autocomplete="off" spellcheck="false"
                    .is-wrong[wrong(ProblemField::End)];
            }
            span.field-hint { "now-90m, 2026-01-31T12:00:00Z or unix time" }
        }
    }
}

/// The query once more with the offending token marked, and under it what is wrong and what to do.
fn problem(address: &SearchAddress, problem: &QueryProblem) -> Markup {
    let text = match problem.field {
        ProblemField::Query => address.query.as_str(),
        ProblemField::Start => address.start.as_str(),
        ProblemField::End => address.end.as_str(),
        ProblemField::Step => address.step.as_str(),
        ProblemField::Server => "",
    };
    html! {
        section.problem #problem role="alert" {
            @if let (Some(position), false) = (&problem.position, text.is_empty()) {
                @let (before, token, after) = split(text, position.start, position.end);
                pre.problem-text {
                    (before) mark { @if token.trim().is_empty() { "␣" } @else { (token) } } (after)
                }
            }
            p.problem-message { (icon::error()) (marked_up(&problem.message)) }
            @if !problem.expected.is_empty() {
                p.problem-expected { "Expected " (marked_up(&listed(&problem.expected))) }
            }
            @if let Some(hint) = &problem.hint { p.problem-hint { (marked_up(hint)) } }
        }
    }
}

/// A text cut in three at byte positions, which are moved to the characters that they fall into. A long text keeps
/// what is near the token.
fn split(text: &str, start: usize, end: usize) -> (String, &str, String) {
    const CONTEXT_BYTES: usize = 300;
    let start = text.floor_char_boundary(start);
    let end = text.ceil_char_boundary(end.clamp(start, start.saturating_add(CONTEXT_BYTES)));
    let from = text.floor_char_boundary(start.saturating_sub(CONTEXT_BYTES));
    let to = text.ceil_char_boundary(end.saturating_add(CONTEXT_BYTES));
    let before = format!("{}{}", if from > 0 { "…" } else { "" }, &text[from..start]);
    let after = format!(
        "{}{}",
        &text[end..to],
        if to < text.len() { "…" } else { "" }
    );
    (before, &text[start..end], after)
}

/// Text in which `code` stands between backquotes.
fn marked_up(text: &str) -> Markup {
    let parts: Vec<&str> = text.split('`').collect();
    let paired = parts.len() % 2 == 1;
    html! {
        @if paired {
            @for (index, part) in parts.into_iter().enumerate() {
                @if index % 2 == 1 { code { (part) } } @else { (part) }
            }
        } @else {
            (text)
        }
    }
}

fn listed(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [word] => word.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// Queries to start from, each a link.
pub(super) fn examples(address: &SearchAddress) -> Markup {
    html! {
        section.examples aria-labelledby="examples-title" {
            h2 #examples-title { "Queries to start from" }
            ul {
                @for (query, meaning) in EXAMPLES {
                    li { a href=(address.with_query(query).href()) { code { (query) } } span { (meaning) } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_inside_characters_and_beyond_the_end_do_no_harm() {
        let cut = |text, start, end| {
            let (before, token, after) = split(text, start, end);
            format!("{before}[{token}]{after}")
        };
        assert_eq!(cut("{ nam = 1 }", 2, 5), "{ [nam] = 1 }");
        assert_eq!(cut("é", 1, 1), "[é]");
        assert_eq!(cut("ab", 9, 12), "ab[]");
        assert_eq!(cut("ab", 1, 0), "a[]b");
        let long = "x".repeat(1_000);
        assert_eq!(cut(&long, 500, 501).chars().count(), 300 + 300 + 1 + 2 + 2);
    }

    #[test]
    fn expectations_read_as_a_sentence() {
        let words =
            |list: &[&str]| listed(&list.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(words(&["`}`"]), "`}`");
        assert_eq!(words(&["a", "b", "c"]), "a, b or c");
    }
}
