//! Kinds of questions: how each is asked, what the answer must be, and whether it is.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

use super::{
    answer::{hex, percent_encoded, span_ids, trace_ids, whole},
    truth::{Form, Load, Trace},
};
use crate::{
    http::Answer,
    load::{SPANS_PER_TRACE, span_id, trace_id},
    random::Random,
};

/// One kind of question.
#[derive(Debug)]
pub(super) struct Class {
    pub(super) name: &'static str,
    /// Milliseconds, p50.
    pub(super) warm_ms: f64,
    pub(super) cold_ms: Option<f64>,
    /// What other systems take for the same, where it is known.
    pub(super) peers: &'static str,
    ask: Ask,
}

/// How a kind of question is asked.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ask {
    /// Each time another question.
    Each(fn(&Load, &mut Random) -> Question),
    /// Each time the same.
    Same(fn(&Load) -> Question),
    /// The newest traces of which this TraceQL selects spans.
    Newest(&'static str, Selected),
    /// The same spans, counted over everything.
    Counted(&'static str, Selected),
}

/// How many spans of a trace are selected.
pub(super) type Selected = fn(&Trace<'_>) -> u64;

/// A question that can be asked, and its answer.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) path: String,
    right: Right,
}

#[derive(Debug)]
pub(super) enum Right {
    /// The trace of this number, whole.
    Trace(u64),
    NotFound,
    /// These traces, in any order.
    Traces(BTreeSet<u64>),
    /// These traces, in this order.
    Newest(Vec<u64>),
    Series(Samples),
    /// The sum of all samples.
    Total(u64),
    /// What is said of each thing of a list, in any order.
    Names {
        list: &'static str,
        say: fn(&Value) -> String,
        names: BTreeSet<String>,
    },
}

/// From where to where a sample may be, by the labels of its series and its time in unix seconds. Zeros are left out.
pub(super) type Samples = BTreeMap<(String, u64), (f64, f64)>;

/// The traces of one answer, where nothing else is said.
pub(super) const LIMIT: usize = 20;

impl Class {
    /// A class with a budget for a warm server, in milliseconds; infinity is none.
    pub(super) const fn new(name: &'static str, warm_ms: f64, ask: Ask) -> Self {
        Self {
            name,
            warm_ms,
            cold_ms: None,
            peers: "",
            ask,
        }
    }

    pub(super) const fn cold(self, cold_ms: f64) -> Self {
        Self {
            cold_ms: Some(cold_ms),
            ..self
        }
    }

    pub(super) const fn peers(self, peers: &'static str) -> Self {
        Self { peers, ..self }
    }

    /// Whether each run asks something else.
    pub(super) fn varies(&self) -> bool {
        matches!(self.ask, Ask::Each(_))
    }

    /// Run number `run` of the class: the same for every server.
    pub(super) fn question(&self, load: &Load, run: u64) -> Question {
        match self.ask {
            Ask::Each(ask) => {
                let place = self.name.bytes().fold(run, |place, byte| {
                    place.wrapping_mul(31).wrapping_add(u64::from(byte))
                });
                ask(load, &mut Random::at(load.seed ^ 0x9e5, place))
            }
            Ask::Same(ask) => ask(load),
            Ask::Newest(query, selected) => {
                let newest = load.newest(LIMIT, |trace| selected(trace) > 0);
                search(load, query, LIMIT, Right::Newest(newest))
            }
            Ask::Counted(query, selected) => {
                let total = load.each_trace().map(|trace| selected(&trace)).sum();
                let query = format!("{query} | count_over_time()");
                metrics(load, &query, Right::Total(total))
            }
        }
    }
}

pub(super) fn by_id(id: &[u8], right: Right) -> Question {
    Question {
        path: format!("/api/v1/traces/{}?format=otlp", hex(id)),
        right,
    }
}

pub(super) fn search(load: &Load, query: &str, limit: usize, right: Right) -> Question {
    let path = format!("/api/v1/search?q={}&limit={limit}", percent_encoded(query));
    ranged(load, &path, right)
}

/// By the minute.
pub(super) fn metrics(load: &Load, query: &str, right: Right) -> Question {
    let path = format!("/api/v1/metrics?q={}&step=60", percent_encoded(query));
    ranged(load, &path, right)
}

/// Over all of the time as one; samples have the time of its start.
pub(super) fn metrics_at_once(load: &Load, query: &str, right: Right) -> Question {
    let path = format!("/api/v1/metrics?q={}&step=all", percent_encoded(query));
    ranged(load, &path, right)
}

/// Over all of the time; the path has a parameter.
pub(super) fn ranged(load: &Load, path: &str, right: Right) -> Question {
    let (start, end) = load.time_range();
    Question {
        path: format!("{path}&start={start}&end={end}"),
        right,
    }
}

/// How many spans of each form start in each minute, by labels, divided by something.
pub(super) fn counted(
    load: &Load,
    divisor: f64,
    labels: impl Fn(Form) -> Option<Value>,
) -> Samples {
    let mut samples = Samples::new();
    for (&(form, minute), &count) in load.counts() {
        if let Some(labels) = labels(form) {
            add(&mut samples, &labels, minute, count as f64 / divisor);
        }
    }
    samples
}

/// Adds to a sample.
pub(super) fn add(samples: &mut Samples, labels: &Value, minute: u64, value: f64) {
    let sample = samples.entry((text_of(labels), minute)).or_default();
    *sample = (sample.0 + value, sample.1 + value);
}

/// The quantiles of durations in seconds, by labels; of n sorted ones, the one of rank ⌈q n⌉ or one beside it.
pub(super) fn quantiles(
    load: &Load,
    quantiles: &[f64],
    labels: impl Fn(Form, f64) -> Value,
) -> Samples {
    let named = |quantile: f64| -> BTreeMap<Form, String> {
        let forms = load.counts().keys().map(|(form, _)| *form);
        forms
            .map(|form| (form, text_of(&labels(form, quantile))))
            .collect()
    };
    // Forms of the same labels are one group, by the first of them.
    let groups: BTreeMap<Form, Form> = {
        let names = named(0.0);
        let first = |name: &String| names.iter().find(|(_, it)| *it == name);
        let groups = names
            .iter()
            .filter_map(|(&form, name)| Some((form, *first(name)?.0)));
        groups.collect()
    };
    let mut durations: BTreeMap<(Form, u64), Vec<u64>> = BTreeMap::new();
    for span in load.each_span() {
        let key = (groups[&span.form], span.minute());
        durations.entry(key).or_default().push(span.duration());
    }
    let mut samples = Samples::new();
    for sorted in durations.values_mut() {
        sorted.sort_unstable();
    }
    for &quantile in quantiles {
        let names = named(quantile);
        for ((form, minute), sorted) in &durations {
            let rank = (sorted.len() as f64 * quantile).ceil() as usize;
            let seconds = |rank: usize| sorted[rank.min(sorted.len() - 1)] as f64 / 1e9;
            let range = (seconds(rank.saturating_sub(2)), seconds(rank));
            samples.insert((names[form].clone(), *minute), range);
        }
    }
    samples
}

/// Labels as one text, in their order.
fn text_of(labels: &Value) -> String {
    let of = |labels: &Map<String, Value>| {
        let sorted: BTreeMap<_, _> = labels.iter().collect();
        let said = sorted.iter().map(|(name, value)| format!("{name}={value}"));
        said.collect::<Vec<_>>().join(", ")
    };
    labels.as_object().map(of).unwrap_or_default()
}

impl Question {
    /// Fails, saying how, where an answer is not the right one.
    pub(super) fn check(&self, load: &Load, answer: &Answer) -> Result<()> {
        if matches!(self.right, Right::NotFound) {
            return expect(answer.status == 404, || format!("status {}", answer.status));
        }
        if answer.status != 200 {
            bail!("status {}: {}", answer.status, answer.text());
        }
        let found = answer.json()?;
        whole(&found)?;
        let id = |number: &u64| hex(&trace_id(load.seed, *number));
        match &self.right {
            Right::Trace(number) => {
                let ids = span_ids(&found);
                let right =
                    (0..SPANS_PER_TRACE).map(|span| hex(&span_id(load.seed, *number, span)));
                expect(ids == right.collect(), || format!("{} spans", ids.len()))
            }
            Right::Traces(numbers) => {
                let found: BTreeSet<String> = trace_ids(&found)?.into_iter().collect();
                expect(found == numbers.iter().map(id).collect(), || {
                    format!("{} traces where {} match", found.len(), numbers.len())
                })
            }
            Right::Newest(numbers) => {
                let found = trace_ids(&found)?;
                let right: Vec<String> = numbers.iter().map(id).collect();
                expect(found == right, || {
                    format!("{} traces, not the {} newest", found.len(), right.len())
                })
            }
            Right::Series(right) => check_series(&found, right),
            Right::Total(total) => {
                let sum: f64 = samples(&found)?.iter().map(|(_, value)| value).sum();
                expect(sum as u64 == *total, || {
                    format!("{sum} where {total} match")
                })
            }
            Right::Names { list, say, names } => {
                let found = found[*list].as_array().context("no list")?;
                let found: BTreeSet<String> = found.iter().map(say).collect();
                let other: Vec<_> = found.symmetric_difference(names).collect();
                expect(other.is_empty(), || {
                    format!("{other:?} are in one list of two")
                })
            }
            Right::NotFound => Ok(()),
        }
    }
}

fn expect(is_right: bool, say: impl FnOnce() -> String) -> Result<()> {
    if !is_right {
        bail!("{}", say());
    }
    Ok(())
}

fn check_series(found: &Value, right: &Samples) -> Result<()> {
    let mut found = samples(found)?;
    found.retain(|(_, value)| *value != 0.0);
    for ((labels, time), value) in &found {
        let (low, high) = right
            .get(&(labels.clone(), *time))
            .with_context(|| format!("{{{labels}}} is {value} at {time}, where nothing is"))?;
        let about = 1e-9 * high.abs();
        expect(*value >= low - about && *value <= high + about, || {
            format!("{{{labels}}} is {value} at {time}, not from {low} to {high}")
        })?;
    }
    let known: BTreeSet<_> = found.iter().map(|(key, _)| key).collect();
    match right.keys().find(|key| !known.contains(key)) {
        Some((labels, time)) => bail!("{{{labels}}} has nothing at {time}"),
        None => Ok(()),
    }
}

/// Labels, time and value of each sample of `{"series": [{"labels": {…}, "samples": [[time, value]]}]}`.
fn samples(found: &Value) -> Result<Vec<((String, u64), f64)>> {
    let mut all = Vec::new();
    for series in found["series"].as_array().context("no series")? {
        let labels = text_of(&series["labels"]);
        for sample in series["samples"].as_array().context("no samples")? {
            if let (Some(time), Some(value)) = (sample[0].as_f64(), sample[1].as_f64()) {
                all.push(((labels.clone(), time as u64), value));
            }
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(body: &Value) -> Answer {
        Answer {
            status: 200,
            retry_after: None,
            body: body.to_string().into_bytes(),
        }
    }

    #[test]
    fn a_wrong_answer_is_seen() {
        let load = Load::new(1, 2_000, 1_700_000_000_000_000_000, 3_000_000);
        let fails = |trace: &Trace<'_>| u64::from(trace.fails() == Some(9));
        let question = Class::new("newest", 1.0, Ask::Newest("{ }", fails)).question(&load, 0);
        let mut ids: Vec<Value> = load
            .newest(LIMIT, |trace| fails(trace) > 0)
            .into_iter()
            .map(|number| json!({"trace_id": hex(&trace_id(1, number))}))
            .collect();
        question
            .check(&load, &answer(&json!({"traces": ids, "partial": []})))
            .unwrap();
        let partial = json!({"traces": ids, "partial": [{"code": "time_limit"}]});
        assert!(question.check(&load, &answer(&partial)).is_err());
        ids.swap(0, 1);
        assert!(
            question
                .check(&load, &answer(&json!({"traces": ids})))
                .is_err()
        );
    }

    #[test]
    fn samples_must_be_those_that_are_right_and_no_others() {
        let mut right = Samples::new();
        add(&mut right, &json!({"b": 1, "a": "x"}), 60, 2.0);
        add(&mut right, &json!({"a": "x", "b": 1}), 60, 3.0);
        let found = |samples: Value| json!({"series": [{"labels": {"a": "x", "b": 1}, "samples": samples}]});
        let check = |samples: Value| check_series(&found(samples), &right);
        check(json!([[0, 0.0], [60, 5.0]])).unwrap();
        assert!(check(json!([[60, 5.1]])).is_err());
        assert!(check(json!([[60, 5.0], [120, 1.0]])).is_err());
        assert!(check(json!([])).is_err());
    }

    #[test]
    fn an_exact_quantile_is_right_and_another_is_not() {
        let load = Load::new(1, 1_000, 1_700_000_000_000_000_000, 3_000_000);
        let label = |form: Form, p: f64| json!({"name": form.shape().name, "p": p});
        let right = quantiles(&load, &[0.5, 1.0], label);
        for ((labels, minute), (low, high)) in right.into_iter().take(5) {
            let name = |form: Form, p: f64| text_of(&label(form, p)) == labels;
            let p = if labels.ends_with("p=1.0") { 1.0 } else { 0.5 };
            let of_minute = load.each_span().filter(|span| span.minute() == minute);
            let of_name = of_minute.filter(|span| name(span.form, p));
            let durations: Vec<f64> = of_name.map(|span| span.duration() as f64 / 1e9).collect();
            let below = durations.iter().filter(|&&duration| duration < low).count();
            let above = durations
                .iter()
                .filter(|&&duration| duration > high)
                .count();
            let part = durations.len() as f64 * p;
            assert!(below as f64 <= part && above as f64 <= durations.len() as f64 - part);
        }
    }
}
