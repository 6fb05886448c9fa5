//! The kinds of questions: how each is asked, and what the answer must be.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{
    answer::{hex, percent_encoded, span_ids, trace_ids, whole},
    truth::{Load, Series},
};
use crate::{
    http::Answer,
    load::{SERVICES, SPANS_PER_TRACE, span_id, trace_id},
    random::Random,
};

/// One kind of question.
#[derive(Debug)]
pub(super) struct Class {
    pub(super) name: &'static str,
    /// Milliseconds, p50.
    pub(super) warm_ms: f64,
    pub(super) cold_ms: Option<f64>,
    ask: fn(&Load, &mut Random) -> Question,
}

/// A question that can be asked, and its answer.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) path: String,
    right: Right,
}

#[derive(Debug)]
enum Right {
    /// The trace of this number, whole.
    Trace(u64),
    NotFound,
    /// These traces, in any order.
    Traces(BTreeSet<u64>),
    /// These traces, in this order.
    Newest(Vec<u64>),
    /// The values of `durations`, each the exact p90.
    P90(Series<Vec<u64>>),
    Counts(Series<u64>),
    Total(u64),
}

pub(super) const ALL: [Class; 12] = [
    class("by-id", 2.0, Some(10.0), by_id),
    class("by-id-absent", 1.0, None, by_id_absent),
    class("user", 10.0, None, one_user),
    class("newest", 10.0, None, newest),
    class("needle", 5.0, None, needle),
    class("no-match", 2.0, None, no_match),
    class("regex-user", 100.0, None, regex_user),
    class("regex-invocation", 1_500.0, None, regex_invocation),
    class("p90-by-service", 200.0, None, p90_by_service),
    class("cold-starts", 100.0, None, cold_starts),
    class("structural", 20.0, None, structural),
    class("structural-count", 500.0, None, structural_count),
];

/// Classes of which the growth with the number of spans is of interest.
pub(super) fn of_growth() -> Vec<&'static Class> {
    let is_one = |class: &&Class| ["by-id", "by-id-absent", "no-match"].contains(&class.name);
    ALL.iter().filter(is_one).collect()
}

const fn class(
    name: &'static str,
    warm_ms: f64,
    cold_ms: Option<f64>,
    ask: fn(&Load, &mut Random) -> Question,
) -> Class {
    Class {
        name,
        warm_ms,
        cold_ms,
        ask,
    }
}

impl Class {
    /// Run number `run` of the class: the same for every server.
    pub(super) fn question(&self, load: &Load, run: u64) -> Question {
        let place = self.name.bytes().fold(run, |place, byte| {
            place.wrapping_mul(31).wrapping_add(u64::from(byte))
        });
        (self.ask)(load, &mut Random::at(load.seed ^ 0x9e5, place))
    }
}

/// The traces of one answer, where nothing else is said.
const LIMIT: usize = 20;

fn by_id(load: &Load, random: &mut Random) -> Question {
    let number = random.below(load.traces);
    let id = hex(&trace_id(load.seed, number));
    Question {
        path: format!("/api/v1/traces/{id}?format=otlp"),
        right: Right::Trace(number),
    }
}

fn by_id_absent(load: &Load, random: &mut Random) -> Question {
    let id = hex(&trace_id(load.seed ^ 0xabe, random.next() >> 8));
    Question {
        path: format!("/api/v1/traces/{id}?format=otlp"),
        right: Right::NotFound,
    }
}

fn one_user(load: &Load, random: &mut Random) -> Question {
    // One who ordered.
    let wanted = crate::load::user(load.seed, random.below(load.traces));
    search(
        load,
        &format!("{{ span.user.id = \"user-{wanted:06}\" }}"),
        1_000,
        Right::Traces(load.of_users(|user| user == wanted)),
    )
}

fn newest(load: &Load, _: &mut Random) -> Question {
    search(
        load,
        "{ resource.service.name = \"warehouse\" && span.http.response.status_code = 500 }",
        LIMIT,
        Right::Newest(load.failed_newest(LIMIT)),
    )
}

fn needle(load: &Load, random: &mut Random) -> Question {
    let (text, number) = load.needle(random.next());
    search(
        load,
        &format!("{{ span.rare.key = \"{text}\" }}"),
        LIMIT,
        Right::Traces([number].into()),
    )
}

fn no_match(load: &Load, random: &mut Random) -> Question {
    search(
        load,
        &format!(
            "{{ span.user.id = \"nobody-{:06}\" }}",
            random.below(1_000_000)
        ),
        LIMIT,
        Right::Traces(BTreeSet::new()),
    )
}

fn regex_user(load: &Load, random: &mut Random) -> Question {
    let tens = random.below(10_000);
    search(
        load,
        &format!("{{ span.user.id =~ \"user-0?{tens:05}[0-9]|user-{tens:05}[02468]x*\" }}"),
        1_000,
        Right::Traces(load.of_users(|user| user / 10 == tens)),
    )
}

fn regex_invocation(load: &Load, random: &mut Random) -> Question {
    let part = format!("{:06x}", random.below(1 << 24));
    search(
        load,
        &format!("{{ span.faas.invocation_id =~ \".*{part}.*\" }}"),
        1_000,
        Right::Traces(load.of_invocations(part.as_bytes())),
    )
}

fn p90_by_service(load: &Load, _: &mut Random) -> Question {
    metrics(
        load,
        "{ } | quantile_over_time(duration, .9) by (resource.service.name)",
        Right::P90(load.durations()),
    )
}

fn cold_starts(load: &Load, _: &mut Random) -> Question {
    metrics(
        load,
        "{ span.faas.coldstart = true } | count_over_time() by (resource.faas.name)",
        Right::Counts(load.cold_starts()),
    )
}

const BELOW_INGRESS: &str = "{ resource.service.name = \"ingress\" } >> { status = error }";

fn structural(load: &Load, _: &mut Random) -> Question {
    let right = Right::Newest(load.below_ingress_newest(LIMIT));
    search(load, BELOW_INGRESS, LIMIT, right)
}

fn structural_count(load: &Load, _: &mut Random) -> Question {
    let query = format!("{BELOW_INGRESS} | count_over_time()");
    metrics(load, &query, Right::Total(load.below_ingress_count()))
}

fn search(load: &Load, query: &str, limit: usize, right: Right) -> Question {
    let (start, end) = load.time_range();
    let query = percent_encoded(query);
    Question {
        path: format!("/api/v1/search?q={query}&start={start}&end={end}&limit={limit}"),
        right,
    }
}

fn metrics(load: &Load, query: &str, right: Right) -> Question {
    let (start, end) = load.time_range();
    let query = percent_encoded(query);
    Question {
        path: format!("/api/v1/metrics?q={query}&start={start}&end={end}&step=60"),
        right,
    }
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
        match &self.right {
            Right::Trace(number) => {
                let ids = span_ids(&found);
                let right =
                    (0..SPANS_PER_TRACE).map(|span| hex(&span_id(load.seed, *number, span)));
                expect(ids == right.collect(), || format!("{} spans", ids.len()))
            }
            Right::Traces(numbers) => {
                let found: BTreeSet<String> = trace_ids(&found)?.into_iter().collect();
                let right = numbers
                    .iter()
                    .map(|number| hex(&trace_id(load.seed, *number)));
                expect(found == right.collect(), || {
                    format!("{} traces where {} match", found.len(), numbers.len())
                })
            }
            Right::Newest(numbers) => {
                let found = trace_ids(&found)?;
                let right = numbers
                    .iter()
                    .map(|number| hex(&trace_id(load.seed, *number)));
                expect(found == right.collect::<Vec<_>>(), || {
                    format!("{} traces, not the {} newest", found.len(), numbers.len())
                })
            }
            Right::P90(durations) => check_p90(&found, durations),
            Right::Counts(counts) => check_counts(&found, counts),
            Right::Total(total) => {
                whole(&found)?;
                let sum: f64 = samples(&found)?
                    .into_iter()
                    .map(|(_, _, value)| value)
                    .sum();
                expect(sum as u64 == *total, || {
                    format!("{sum} where {total} match")
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

/// Exact: with n sorted durations, one at rank ⌈0.9 n⌉ or beside it, or between the two.
fn check_p90(found: &Value, durations: &Series<Vec<u64>>) -> Result<()> {
    whole(found)?;
    let samples = samples(found)?;
    expect(samples.len() == durations.len(), || {
        format!(
            "{} values where there are {}",
            samples.len(),
            durations.len()
        )
    })?;
    for (label, minute, seconds) in samples {
        let service = service_of(&label)?;
        let sorted = durations
            .get(&(service, minute))
            .with_context(|| format!("{label} has nothing in minute {minute}"))?;
        let rank = (sorted.len() * 9).div_ceil(10).max(1) - 1;
        let (low, high) = (
            sorted[rank.saturating_sub(1)],
            sorted[(rank + 1).min(sorted.len() - 1)],
        );
        let (low, high) = (low as f64 / 1e9, high as f64 / 1e9);
        let about = 1e-9 * high;
        expect(seconds >= low - about && seconds <= high + about, || {
            format!("{label} in minute {minute}: {seconds} s, not from {low} to {high}")
        })?;
    }
    Ok(())
}

fn check_counts(found: &Value, counts: &Series<u64>) -> Result<()> {
    whole(found)?;
    let samples: Vec<_> = samples(found)?
        .into_iter()
        .filter(|(_, _, value)| *value > 0.0)
        .collect();
    expect(samples.len() == counts.len(), || {
        format!("{} values where there are {}", samples.len(), counts.len())
    })?;
    for (label, minute, value) in samples {
        let right = counts.get(&(service_of(&label)?, minute));
        expect(right == Some(&(value as u64)), || {
            format!("{label} in minute {minute}: {value}, not {right:?}")
        })?;
    }
    Ok(())
}

/// The place of the service that a label names: itself, or its function.
fn service_of(label: &str) -> Result<usize> {
    let function = label
        .strip_prefix("shop-")
        .and_then(|rest| rest.strip_suffix("-prod"));
    let name = function.unwrap_or(label);
    SERVICES
        .iter()
        .position(|service| *service == name)
        .with_context(|| format!("{label:?} is no service of the load"))
}

/// Label, minute in unix seconds and value of each sample of `{"series": [{"labels": {…}, "samples": [[time, value]]}]}`.
fn samples(found: &Value) -> Result<Vec<(String, u64, f64)>> {
    let mut all = Vec::new();
    for series in found["series"].as_array().context("no series")? {
        let labels = series["labels"].as_object().context("no labels")?;
        // A quantile is a label too, a number.
        let label = labels.values().find_map(Value::as_str).unwrap_or_default();
        for sample in series["samples"].as_array().context("no samples")? {
            let (Some(time), Some(value)) = (sample[0].as_f64(), sample[1].as_f64()) else {
                continue;
            };
            all.push((label.to_owned(), time as u64, value));
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
        let class = ALL.iter().find(|class| class.name == "newest").unwrap();
        let question = class.question(&load, 0);
        let mut ids: Vec<Value> = load
            .failed_newest(LIMIT)
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
    fn an_exact_p90_is_right_and_another_is_not() {
        let durations = Series::from([((1, 60), (1..=100).map(|n| n * 1_000_000).collect())]);
        let found = |seconds: f64| json!({"series": [{"labels": {"p": 0.9, "service": "ingress"}, "samples": [[60, seconds]]}]});
        check_p90(&found(0.09), &durations).unwrap();
        assert!(check_p90(&found(0.095), &durations).is_err());
        assert!(check_p90(&json!({"series": []}), &durations).is_err());
    }
}
