//! What `compare` must say of a load: for each value of each attribute, how many of the failed spans have it, and how
//! many of the others.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    bench::{
        question::{Question, Right, Samples, add, metrics},
        truth::{Form, Load},
    },
    load::{SCOPE, SPANS, STATUS_MESSAGE, resource_attributes},
};

/// So different from trace to trace that only their totals are said.
const OF_TOO_MANY_VALUES: [&str; 3] = [
    "span.faas.invocation_id",
    "span.order.total",
    "span.user.id",
];

pub(super) fn everything(load: &Load) -> Question {
    let query = "{ } | compare({ status = error })";
    metrics(load, query, Right::Series(right(load, |_| true)))
}

pub(super) fn servers(load: &Load) -> Question {
    let is_server = |form: Form| form.shape().kind() == "server";
    let query = "{ kind = server } | compare({ status = error })";
    metrics(load, query, Right::Series(right(load, is_server)))
}

fn right(load: &Load, is_counted: impl Fn(Form) -> bool) -> Samples {
    let mut right = Samples::new();
    // Totals are few, and many forms add to them.
    let mut totals: BTreeMap<(String, &str, u64), u64> = BTreeMap::new();
    for (&(form, minute), &count) in load.counts() {
        if !is_counted(form) {
            continue;
        }
        let side = side(form);
        for (field, value) in fields(form) {
            let labels = json!({"__meta_type": side, field.clone(): value});
            add(&mut right, &labels, minute, count as f64);
            *totals.entry((field, side, minute)).or_default() += count;
        }
        for field in OF_TOO_MANY_VALUES {
            let error = "__too_many_values__";
            let labels = json!({"__meta_type": side, "__meta_error": error, field: null});
            add(&mut right, &labels, minute, count as f64);
            *totals.entry((field.to_owned(), side, minute)).or_default() += count;
        }
    }
    for (needle, number) in load.needles() {
        let spans = load.trace(number).spans();
        let span = spans[spans.len() - 1];
        if is_counted(span.form) {
            let (side, field) = (side(span.form), "span.rare.key");
            let labels = json!({"__meta_type": side, field: needle});
            add(&mut right, &labels, span.minute(), 1.0);
            let total = (field.to_owned(), side, span.minute());
            *totals.entry(total).or_default() += 1;
        }
    }
    for ((field, side, minute), count) in totals {
        let labels = json!({"__meta_type": format!("{side}_total"), field: null});
        add(&mut right, &labels, minute, count as f64);
    }
    right
}

fn side(form: Form) -> &'static str {
    match form.fails {
        true => "selection",
        false => "baseline",
    }
}

/// What spans of a form have in common.
fn fields(form: Form) -> Vec<(String, Value)> {
    let shape = form.shape();
    let children = SPANS
        .iter()
        .filter(|it| it.parent == Some(form.index as u8));
    let status = if form.fails { "error" } else { "unset" };
    let mut fields = vec![
        ("name".to_owned(), json!(shape.name)),
        ("kind".to_owned(), json!(shape.kind())),
        ("status".to_owned(), json!(status)),
        ("instrumentation:name".to_owned(), json!(SCOPE[0])),
        ("instrumentation:version".to_owned(), json!(SCOPE[1])),
        ("rootName".to_owned(), json!(SPANS[0].name)),
        ("rootServiceName".to_owned(), json!("storefront")),
        ("span:childCount".to_owned(), json!(children.count())),
    ];
    if form.fails {
        fields.push(("statusMessage".to_owned(), json!(STATUS_MESSAGE)));
    }
    let own = shape.attributes(form.fails, form.is_cold);
    fields.extend(own.map(|(key, value)| (format!("span.{key}"), value)));
    let shared = resource_attributes(form.service());
    fields.extend(shared.map(|(key, value)| (format!("resource.{key}"), json!(value))));
    fields
}
