//! Random questions, as text: of every production, over the names and values that random spans have.

use proptest::prelude::*;
use proptest::sample::select;
use spanlight_traceql::parse;

const ATTRIBUTES: [&str; 26] = [
    ".a",
    ".a",
    ".b",
    ".s",
    ".\"my key\"",
    ".zone",
    ".missing",
    ".service.name",
    "span.a",
    "span.b",
    "span.s",
    "span.zone",
    "resource.a",
    "resource.zone",
    "resource.service.name",
    "event.a",
    "event.n",
    "link.a",
    "link.k",
    "instrumentation.a",
    "instrumentation.lang",
    "resource.missing",
    "parent.a",
    "parent.span.s",
    "parent.resource.zone",
    "parent.service.name",
];

const NUMBERS: [&str; 9] = [
    "duration",
    "span:duration",
    "traceDuration",
    "trace:duration",
    "span:childCount",
    "nestedSetLeft",
    "nestedSetRight",
    "nestedSetParent",
    "event:timeSinceStart",
];

const TEXTS: [&str; 10] = [
    "name",
    "span:name",
    "statusMessage",
    "rootName",
    "trace:rootName",
    "rootServiceName",
    "trace:rootService",
    "event:name",
    "instrumentation:name",
    "instrumentation:version",
];

const IDS: [&str; 5] = [
    "trace:id",
    "link:traceID",
    "span:id",
    "span:parentID",
    "link:spanID",
];

const NUMBER_LITERALS: [&str; 14] = [
    "0", "1", "2", "-1", "4", "0.5", "2.0", "2.5", "1e3", "300ms", "0.5s", "1s", "20ms", "-1ms",
];

const TEXT_LITERALS: [&str; 14] = [
    "\"\"",
    "\"x\"",
    "\"y\"",
    "\"5\"",
    "`xyz`",
    "\"A\"",
    "\"B\"",
    "\"order\"",
    "\"front\"",
    "\"db\"",
    "\"boom\"",
    "\"exception\"",
    "\"lib\"",
    "\"1.0\"",
];

const ID_LITERALS: [&str; 7] = [
    "\"1\"",
    "\"2\"",
    "\"00000000000000000000000000000003\"",
    "\"0000000000000001\"",
    "\"0000000000000002\"",
    "\"0000000000000000\"",
    "\"\"",
];

const PATTERNS: [&str; 8] = [
    "\"x.*\"",
    "\".*\"",
    "\"\"",
    "\"[xy]|A|front\"",
    "\"(?i)a|ORDER\"",
    "\".+o.*\"",
    "`\\d`",
    "\"0*[12]\"",
];

const COMPARISONS: [&str; 6] = ["=", "!=", "<", "<=", ">", ">="];

fn one(of: &'static [&'static str]) -> impl Strategy<Value = String> + Clone {
    select(of).prop_map(str::to_owned)
}

fn sign() -> impl Strategy<Value = String> + Clone {
    one(&COMPARISONS)
}

fn literal() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => one(&NUMBER_LITERALS),
        4 => one(&TEXT_LITERALS),
        1 => one(&["true", "false", "error", "server"]),
    ]
}

/// An expression over numbers.
fn numeric() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        3 => one(&NUMBERS),
        4 => one(&ATTRIBUTES),
    ];
    let calculated = (
        leaf.clone(),
        one(&["+", "-", "*", "/", "%", "^"]),
        one(&["0", "1", "2", "3", "0.5", "-1"]),
    )
        .prop_map(|(field, operator, number)| match number.as_str() {
            // The same either way round.
            "1" if operator == "+" => format!("{number} + {field}"),
            _ => format!("{field} {operator} {number}"),
        });
    prop_oneof![
        4 => leaf.clone(),
        3 => calculated,
        1 => leaf.clone().prop_map(|it| format!("-{it}")),
        1 => (leaf.clone(), one(&["+", "-"]), leaf).prop_map(|(l, sign, r)| format!("{l} {sign} {r}")),
    ]
}

fn leaf() -> impl Strategy<Value = String> {
    let three = |(l, sign, r)| format!("{l} {sign} {r}");
    prop_oneof![
        4 => (one(&ATTRIBUTES), sign(), literal()).prop_map(three),
        1 => (literal(), sign(), one(&ATTRIBUTES)).prop_map(three),
        2 => (one(&NUMBERS), sign(), one(&NUMBER_LITERALS)).prop_map(three),
        2 => (one(&TEXTS), sign(), one(&TEXT_LITERALS)).prop_map(three),
        2 => (numeric(), sign(), one(&NUMBER_LITERALS)).prop_map(three),
        1 => (numeric(), sign(), numeric()).prop_map(three),
        1 => (one(&ATTRIBUTES), sign(), one(&ATTRIBUTES)).prop_map(three),
        1 => (one(&ATTRIBUTES), sign(), one(&TEXTS)).prop_map(three),
        2 => (one(&ATTRIBUTES), one(&["=~", "!~"]), one(&PATTERNS)).prop_map(three),
        1 => (one(&TEXTS), one(&["=~", "!~"]), one(&PATTERNS)).prop_map(three),
        1 => (one(&IDS), one(&["=", "!="]), one(&ID_LITERALS)).prop_map(three),
        1 => (one(&IDS), one(&["=~", "!~"]), one(&PATTERNS)).prop_map(three),
        1 => one(&["status = error", "status != ok", "unset = status", "kind = server", "kind != client"]),
        2 => (one(&ATTRIBUTES), one(&["= nil", "!= nil"])).prop_map(|(l, r)| format!("{l} {r}")),
        1 => (one(&["nil =", "nil !="]), one(&ATTRIBUTES)).prop_map(|(l, r)| format!("{l} {r}")),
        1 => one(&ATTRIBUTES),
        1 => one(&ATTRIBUTES).prop_map(|it| format!("!{it}")),
        1 => one(&["true", "false", "1 < 2", "nil = nil", "event:name != nil"]),
    ]
}

fn condition() -> impl Strategy<Value = String> {
    leaf().prop_recursive(3, 10, 3, |inner| {
        prop_oneof![
            2 => inner.clone().prop_map(|it| format!("!({it})")),
            // Without parentheses: one level, from the left.
            3 => (inner.clone(), one(&["&&", "||"]), inner.clone())
                .prop_map(|(l, sign, r)| format!("{l} {sign} {r}")),
            2 => (inner.clone(), one(&["&&", "||"]), inner.clone())
                .prop_map(|(l, sign, r)| format!("({l}) {sign} ({r})")),
            1 => (inner, one(&["= true", "= false", "!= true"]))
                .prop_map(|(it, test)| format!("({it}) {test}")),
        ]
    })
}

pub(super) fn spansets() -> impl Strategy<Value = String> {
    let filter = prop_oneof![
        8 => condition().prop_map(|it| format!("{{ {it} }}")),
        1 => Just("{ }".to_owned()),
    ];
    filter.prop_recursive(2, 5, 2, |inner| {
        let operators = &[
            ">", ">>", "<", "<<", "~", "!>", "!>>", "!<", "!<<", "!~", "&>", "&>>", "&<", "&<<",
            "&~",
        ];
        prop_oneof![
            3 => (inner.clone(), one(operators), inner.clone())
                .prop_map(|(l, sign, r)| format!("({l}) {sign} ({r})")),
            1 => (inner.clone(), one(operators), inner.clone())
                .prop_map(|(l, sign, r)| format!("{l} {sign} {r}")),
            2 => (inner.clone(), one(&["&&", "||"]), inner.clone())
                .prop_map(|(l, sign, r)| format!("{l} {sign} {r}")),
            1 => (inner, aggregate()).prop_map(|(it, stage)| format!("({it} | {stage})")),
        ]
    })
}

fn aggregate() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        2 => Just("count()".to_owned()),
        3 => (one(&["min", "max", "avg", "sum"]), numeric()).prop_map(|(name, of)| format!("{name}({of})")),
        1 => (numeric(), one(&["0", ".5", ".9", "1"])).prop_map(|(of, q)| format!("quantile({of}, {q})")),
    ];
    (value, sign(), one(&NUMBER_LITERALS))
        .prop_map(|(value, sign, literal)| format!("{value} {sign} {literal}"))
}

fn stage() -> impl Strategy<Value = String> {
    let grouped = prop_oneof![
        3 => one(&ATTRIBUTES),
        2 => one(&NUMBERS),
        2 => one(&TEXTS),
        1 => one(&["status", "kind", "trace:id", "span:id", ".a > 1"]),
        1 => numeric(),
    ]
    .boxed();
    prop_oneof![
        3 => aggregate(),
        3 => grouped.clone().prop_map(|it| format!("by({it})")),
        1 => (grouped, one(&["", " asc", " desc"]), one(&["", " limit 1", " limit 3"]))
            .prop_map(|(it, direction, limit)| format!("order by({it}){direction}{limit}")),
        1 => one(&["first(1)", "first(2)", "last(1)", "last(3)"]),
        1 => Just("coalesce()".to_owned()),
        2 => spansets(),
        1 => one(&ATTRIBUTES).prop_map(|it| format!("select({it}, name)")),
    ]
}

/// A search that passes validation.
pub(crate) fn query() -> impl Strategy<Value = String> {
    let stages = prop_oneof![
        3 => Just(Vec::new()),
        3 => prop::collection::vec(stage(), 1..4),
    ];
    (spansets(), stages)
        .prop_map(|(first, stages)| {
            std::iter::once(first)
                .chain(stages)
                .collect::<Vec<_>>()
                .join(" | ")
        })
        .prop_filter("types meet", |text| parse(text).is_ok())
}
