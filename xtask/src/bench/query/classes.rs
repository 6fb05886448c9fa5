//! The kinds of questions of the language's table: those of the store's table that are asked in TraceQL, relations,
//! comparisons, counts within traces, and what a search box asks.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::compare;
use crate::{
    bench::{
        answer::{hex, percent_encoded},
        question::{
            Ask, Class, LIMIT, Question, Right, Samples, Selected, add, counted, metrics,
            metrics_at_once, quantiles, ranged, search,
        },
        store::classes::ALL as OF_STORE,
        truth::{Form, Load, Span, Trace},
    },
    load::{SERVICES, SPANS, resource_attributes, trace_id, user},
    random::Random,
};

/// A search for the newest, milliseconds.
const NEWEST: f64 = 20.0;
/// What relates spans, over everything.
const STRUCTURAL: f64 = 500.0;
/// Any other series over everything.
const METRICS: f64 = 200.0;
const COMPARE: f64 = 1_000.0;
/// No budget was set.
const NONE: f64 = f64::INFINITY;

const SECOND: u64 = 1_000_000_000;

/// Every class, those of the store's table first.
pub(super) fn all() -> Vec<&'static Class> {
    let in_traceql = |class: &&Class| !class.name.starts_with("by-id");
    OF_STORE.iter().filter(in_traceql).chain(&OWN).collect()
}

const OWN: [Class; 50] = [
    Class::new("trace-id", 10.0, Ask::Each(by_trace_id)),
    newest("chain", CHAIN, |_| 7),
    count("chain-count", CHAIN, |_| 7),
    newest("chain-few", CHAIN_FEW, |trace| failed(trace, 5..10)),
    count("chain-few-count", CHAIN_FEW, |trace| failed(trace, 5..10)),
    newest("not-below", NOT_BELOW, |_| 1),
    count("not-below-count", NOT_BELOW, |_| 1),
    newest("not-below-few", NOT_BELOW_FEW, |trace| failed(trace, 0..4)),
    count("not-below-few-count", NOT_BELOW_FEW, |trace| {
        failed(trace, 0..4)
    }),
    newest("siblings", SIBLINGS, |_| 4),
    count("siblings-count", SIBLINGS, |_| 4),
    newest("siblings-few", SIBLINGS_FEW, |trace| failed(trace, 9..10)),
    count("siblings-few-count", SIBLINGS_FEW, |trace| {
        failed(trace, 9..10)
    }),
    newest("above", ABOVE, above),
    count("above-count", ABOVE, above),
    newest("both-below", BOTH_BELOW, |trace| 2 * failed(trace, 4..10)),
    count("both-below-count", BOTH_BELOW, |trace| {
        2 * failed(trace, 4..10)
    }),
    newest("together", TOGETHER, together),
    count("together-count", TOGETHER, together),
    count("roots-count", ROOTS, |trace| failed(trace, 0..1)),
    Class::new("compare", COMPARE, Ask::Same(compare::everything)),
    Class::new("compare-servers", COMPARE, Ask::Same(compare::servers)),
    Class::new("rate-by-two", METRICS, Ask::Same(rate_by_two)),
    Class::new(
        "rate-by-two-attributes",
        METRICS,
        Ask::Same(rate_by_two_attributes),
    ),
    Class::new("rate-of-absent", METRICS, Ask::Same(rate_of_absent)),
    Class::new("topk", METRICS, Ask::Same(topk)),
    Class::new("topk-users", METRICS, Ask::Same(topk_users)),
    Class::new("histogram", METRICS, Ask::Same(histogram)),
    Class::new(
        "three-quantiles-by-two",
        METRICS,
        Ask::Same(three_quantiles),
    ),
    Class::new("ratio", METRICS, Ask::Same(ratio)),
    Class::new("trace-durations", METRICS, Ask::Same(trace_durations)),
    newest("many-spans", "{ } | count() > 8", |_| 10),
    count("many-spans-count", "{ } | count() > 8", |_| 10),
    Class::new("no-two-errors", STRUCTURAL, Ask::Newest(TWO_ERRORS, |_| 0)),
    count("no-two-errors-count", TWO_ERRORS, |_| 0),
    newest("slow-mean", SLOW_MEAN, slow_mean),
    count("slow-mean-count", SLOW_MEAN, slow_mean),
    Class::new(
        "slower-mean",
        STRUCTURAL,
        Ask::Newest(SLOWER_MEAN, slower_mean),
    ),
    newest("by-service", BY_SERVICE, |_| 7),
    count("by-service-count", BY_SERVICE, |_| 7),
    newest("of-root", OF_ROOT, |trace| failed(trace, 0..10)),
    count("of-root-count", OF_ROOT, |trace| failed(trace, 0..10)),
    newest("long-traces", LONG_TRACES, long_traces),
    count("long-traces-count", LONG_TRACES, long_traces),
    count("parents-count", PARENTS, parents),
    count("events-count", EVENTS, |trace| failed(trace, 0..10)),
    Class::new("attributes", NONE, Ask::Same(attributes)),
    Class::new("values", NONE, Ask::Same(values)),
    Class::new("values-of-some", NONE, Ask::Same(values_of_some)),
    Class::new("completion", NONE, Ask::Same(completion)),
];

const CHAIN: &str = "{ } >> { } >> { }";
const CHAIN_FEW: &str =
    "{ name = \"POST /checkout\" } >> { kind = producer } >> { status = error }";
const NOT_BELOW: &str = "{ } !>> { }";
const NOT_BELOW_FEW: &str = "{ resource.service.name = \"ingress\" } !>> { status = error }";
const SIBLINGS: &str = "{ } ~ { }";
const SIBLINGS_FEW: &str = "{ name = \"POST /charges\" } ~ { status = error }";
const ABOVE: &str = "{ status = error } << { kind = server }";
const BOTH_BELOW: &str = "{ name = \"Validate Event\" } &>> { status = error }";
const TOGETHER: &str = "{ name = \"POST /checkout\" } && { status = error }";
const ROOTS: &str = "{ nestedSetParent < 0 && status = error }";
const TWO_ERRORS: &str = "{ status = error } | count() > 1";
const SLOW_MEAN: &str = "{ } | avg(duration) > 200ms";
const SLOWER_MEAN: &str = "{ resource.service.name = \"storefront\" } | avg(duration) > 20s";
const BY_SERVICE: &str = "{ } | by(resource.service.name) | count() > 1";
const OF_ROOT: &str = "{ rootName = \"POST /checkout\" && status = error }";
const LONG_TRACES: &str = "{ traceDuration > 2s }";
const PARENTS: &str = "{ parent.span.faas.coldstart = true }";
const EVENTS: &str = "{ event.exception.type = \"TimeoutError\" }";

const fn newest(name: &'static str, query: &'static str, selected: Selected) -> Class {
    Class::new(name, NEWEST, Ask::Newest(query, selected))
}

const fn count(name: &'static str, query: &'static str, selected: Selected) -> Class {
    Class::new(name, STRUCTURAL, Ask::Counted(query, selected))
}

/// One, if the span that failed is one of these.
fn failed(trace: &Trace<'_>, spans: std::ops::Range<usize>) -> u64 {
    u64::from(trace.fails().is_some_and(|span| spans.contains(&span)))
}

/// Servers above the span that failed.
fn above(trace: &Trace<'_>) -> u64 {
    let parent = |span: &usize| SPANS[*span].parent.map(usize::from);
    let parents = std::iter::successors(trace.fails().and_then(|span| parent(&span)), parent);
    parents
        .filter(|&span| SPANS[span].kind() == "server")
        .count() as u64
}

/// The root and the span that failed, which may be the root.
fn together(trace: &Trace<'_>) -> u64 {
    failed(trace, 0..1) + 2 * failed(trace, 1..10)
}

/// All spans, where they take more than that in the mean.
fn slow_mean(trace: &Trace<'_>) -> u64 {
    let spans = trace.spans();
    let sum: u64 = spans.iter().map(|span| span.duration()).sum();
    match sum > spans.len() as u64 * SECOND / 5 {
        true => spans.len() as u64,
        false => 0,
    }
}

fn slower_mean(trace: &Trace<'_>) -> u64 {
    let of_storefront = &trace.spans()[..3];
    let sum: u64 = of_storefront.iter().map(|span| span.duration()).sum();
    match sum > 60 * SECOND {
        true => 3,
        false => 0,
    }
}

fn long_traces(trace: &Trace<'_>) -> u64 {
    match trace.duration() > 2 * SECOND {
        true => 10,
        false => 0,
    }
}

/// Spans below one that started cold.
fn parents(trace: &Trace<'_>) -> u64 {
    let spans = trace.spans();
    let cold = spans.iter().position(|span| span.form.is_cold);
    let below = |span: &&Span| {
        let parent = span.form.shape().parent.map(usize::from);
        parent.is_some() && parent == cold
    };
    spans.iter().filter(below).count() as u64
}

fn by_trace_id(load: &Load, random: &mut Random) -> Question {
    let number = random.below(load.traces);
    let id = hex(&trace_id(load.seed, number));
    let query = format!("{{ trace:id = \"{id}\" }}");
    search(load, &query, LIMIT, Right::Newest(vec![number]))
}

fn rate_by_two(load: &Load) -> Question {
    let labels =
        |form: Form| json!({"resource.service.name": form.service(), "name": form.shape().name});
    let right = counted(load, 60.0, |form| Some(labels(form)));
    let query = "{ } | rate() by (resource.service.name, name)";
    metrics(load, query, Right::Series(right))
}

/// What an attribute is that differs by form alone; nothing where it has none.
fn attribute(form: Form, key: &str) -> Value {
    let all = form.shape().attributes(form.fails, form.is_cold);
    let found = all.into_iter().find(|(name, _)| *name == key);
    found.map_or(Value::Null, |(_, value)| value)
}

fn rate_by_two_attributes(load: &Load) -> Question {
    let labels = |form: Form| {
        let (trigger, status) = ("faas.trigger", "http.response.status_code");
        json!({"span.faas.trigger": attribute(form, trigger), "span.http.response.status_code": attribute(form, status)})
    };
    let right = counted(load, 60.0, |form| Some(labels(form)));
    let query = "{ } | rate() by (span.faas.trigger, span.http.response.status_code)";
    metrics(load, query, Right::Series(right))
}

fn rate_of_absent(load: &Load) -> Question {
    let is_absent = |form: Form| attribute(form, "http.response.status_code").is_null();
    let right = counted(load, 60.0, |form| is_absent(form).then(|| json!({})));
    let query = "{ span.http.response.status_code = nil } | rate()";
    metrics(load, query, Right::Series(right))
}

fn topk(load: &Load) -> Question {
    let labels = |form: Form| form.fails.then(|| json!({"name": form.shape().name}));
    let all = counted(load, 1.0, labels);
    let minutes: BTreeSet<u64> = all.keys().map(|(_, minute)| *minute).collect();
    let mut right = Samples::new();
    for minute in minutes {
        let of_minute = all.iter().filter(|((_, at), _)| *at == minute);
        let mut ranked: Vec<_> = of_minute.collect();
        // Of equal ones the first labels are greater.
        ranked.sort_by(|one, two| two.1.0.total_cmp(&one.1.0).then(one.0.cmp(two.0)));
        let greatest = ranked.into_iter().take(3);
        right.extend(greatest.map(|(key, value)| (key.clone(), *value)));
    }
    let query = "{ status = error } | count_over_time() by (name) | topk(3)";
    metrics(load, query, Right::Series(right))
}

fn topk_users(load: &Load) -> Question {
    let mut spans: BTreeMap<u64, u64> = BTreeMap::new();
    for number in 0..load.traces {
        let user = user(load.seed, number);
        *spans.entry(user).or_default() += SPANS.len() as u64;
    }
    let mut ranked: Vec<(u64, u64)> = spans.into_iter().collect();
    ranked.sort_by_key(|&(user, count)| (std::cmp::Reverse(count), user));
    let mut right = Samples::new();
    let start = load.start_unix_nano / SECOND;
    for (user, count) in ranked.into_iter().take(5) {
        let labels = json!({"span.user.id": format!("user-{user:06}")});
        add(&mut right, &labels, start, count as f64);
    }
    let query = "{ } | count_over_time() by (span.user.id) | topk(5)";
    metrics_at_once(load, query, Right::Series(right))
}

fn histogram(load: &Load) -> Question {
    let mut counts: BTreeMap<_, u64> = BTreeMap::new();
    for span in load.each_span() {
        let bucket = span.duration().next_power_of_two();
        let key = (span.form.shape().service, bucket, span.minute());
        *counts.entry(key).or_default() += 1;
    }
    let mut right = Samples::new();
    for ((service, bucket, minute), count) in counts {
        let bucket = bucket as f64 / 1e9;
        let labels = json!({"resource.service.name": SERVICES[service], "__bucket": bucket});
        add(&mut right, &labels, minute, count as f64);
    }
    let query = "{ } | histogram_over_time(duration) by (resource.service.name)";
    metrics(load, query, Right::Series(right))
}

fn three_quantiles(load: &Load) -> Question {
    let labels = |form: Form, p: f64| json!({"resource.service.name": form.service(), "name": form.shape().name, "p": p});
    let right = quantiles(load, &[0.5, 0.9, 0.99], labels);
    let query = "{ } | quantile_over_time(duration, .5, .9, .99) by (resource.service.name, name)";
    metrics(load, query, Right::Series(right))
}

fn ratio(load: &Load) -> Question {
    let of_service = |form: Form| json!({"resource.service.name": form.service()});
    let all = counted(load, 1.0, |form| Some(of_service(form)));
    let failed = counted(load, 1.0, |form| form.fails.then(|| of_service(form)));
    let ratio = |(key, count): (&(String, u64), &(f64, f64))| {
        let part = count.0 / all[key].0;
        (key.clone(), (part, part))
    };
    let right = failed.iter().map(ratio).collect();
    let rate = |filter: &str| format!("({filter} | rate() by (resource.service.name))");
    let query = format!("{} / {}", rate("{ status = error }"), rate("{ }"));
    metrics(load, &query, Right::Series(right))
}

fn trace_durations(load: &Load) -> Question {
    let mut durations: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for trace in load.each_trace() {
        let [root, ..] = trace.spans();
        durations
            .entry(root.minute())
            .or_default()
            .push(trace.duration());
    }
    let mut right = Samples::new();
    for (minute, mut durations) in durations {
        durations.sort_unstable();
        let rank = (durations.len() * 9).div_ceil(10) - 1;
        add(
            &mut right,
            &json!({"p": 0.9}),
            minute,
            durations[rank] as f64 / 1e9,
        );
    }
    let query = "{ nestedSetParent < 0 } | quantile_over_time(traceDuration, .9)";
    metrics(load, query, Right::Series(right))
}

fn attributes(load: &Load) -> Question {
    let mut names: BTreeSet<String> = SPANS
        .iter()
        .flat_map(|shape| shape.attributes(false, false))
        .map(|(key, _)| format!("span.{key}"))
        .collect();
    let own = ["faas.invocation_id", "user.id", "order.total", "rare.key"];
    names.extend(own.map(|key| format!("span.{key}")));
    names.extend(resource_attributes("").map(|(key, _)| format!("resource.{key}")));
    names.extend(["type", "message"].map(|key| format!("event.exception.{key}")));
    let say = |it: &Value| {
        let text = |name: &str| it[name].as_str().unwrap_or_default().to_owned();
        format!("{}.{}", text("scope"), text("key"))
    };
    let list = "attributes";
    let right = Right::Names { list, say, names };
    ranged(load, "/api/v1/attributes?limit=1000", right)
}

fn values(load: &Load) -> Question {
    let path = "/api/v1/attributes/resource.service.name/values?limit=1000";
    ranged(load, path, names("values", "value", &SERVICES))
}

fn values_of_some(load: &Load) -> Question {
    let query = percent_encoded("{ status = error && kind = server }");
    let path = format!("/api/v1/attributes/name/values?q={query}");
    let servers = SPANS.iter().filter(|shape| shape.kind() == "server");
    let servers: Vec<&str> = servers.map(|shape| shape.name).collect();
    ranged(load, &path, names("values", "value", &servers))
}

fn completion(load: &Load) -> Question {
    let query = percent_encoded("{ kind = consumer && name = ");
    let path = format!("/api/v1/query/complete?q={query}");
    let consumers = SPANS.iter().filter(|shape| shape.kind() == "consumer");
    let consumers: Vec<String> = consumers.map(|shape| format!("{:?}", shape.name)).collect();
    let consumers: Vec<&str> = consumers.iter().map(String::as_str).collect();
    ranged(load, &path, names("suggestions", "text", &consumers))
}

/// A list of things that say their names.
fn names(list: &'static str, field: &'static str, names: &[&str]) -> Right {
    let say = match field {
        "value" => |it: &Value| it["value"].as_str().unwrap_or_default().to_owned(),
        _ => |it: &Value| it["text"].as_str().unwrap_or_default().to_owned(),
    };
    let names = names.iter().map(|&name| name.to_owned()).collect();
    Right::Names { list, say, names }
}
