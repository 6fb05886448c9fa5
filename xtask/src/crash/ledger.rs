//! What was acknowledged, and whether it is there.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use anyhow::{Context, Result, bail};

use super::sender::Request;
use crate::{
    http::Client,
    load::{SPANS_PER_TRACE, span_id, trace_id},
    random::Random,
};

/// Each trace is asked for by its id; one of so many is searched for too, which reads the store in another way.
const SEARCHED_EVERY: u64 = 20;

/// All requests of all rounds.
#[derive(Debug)]
pub(super) struct Ledger {
    seed: u64,
    /// Acknowledged traces of the rounds before the last, and when they were sent.
    old: Vec<(u64, u64)>,
    /// Spans that were sent a second time, and so may be stored twice.
    pub(super) spans_sent_again: u64,
    /// The requests of the last round.
    last: Vec<Request>,
    next: u64,
}

/// What checks have found. Traces are named by their number.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) checked: usize,
    pub(super) lost: BTreeSet<u64>,
    pub(super) partial: BTreeSet<u64>,
    pub(super) duplicated: BTreeSet<u64>,
}

impl Ledger {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            old: Vec::new(),
            spans_sent_again: 0,
            last: Vec::new(),
            next: 0,
        }
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    /// The first number that no trace has yet.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    pub(super) fn begin_round(&mut self, requests: Vec<Request>) {
        self.old.extend(acknowledged(&self.last));
        self.old.sort_unstable_by_key(|(_, sent)| *sent);
        self.next = requests
            .iter()
            .map(|request| request.traces.end)
            .fold(self.next, u64::max);
        self.last = requests;
    }

    pub(super) fn unacknowledged(&mut self) -> impl Iterator<Item = &mut Request> {
        self.last.iter_mut().filter(|request| !request.acknowledged)
    }

    pub(super) fn acknowledged(&self) -> usize {
        self.old.len() + acknowledged(&self.last).count()
    }

    /// Every trace of the last round, and some older ones; none that was sent before this moment.
    pub(super) fn to_check(
        &self,
        random: &mut Random,
        old: usize,
        since_unix_nano: u64,
    ) -> BTreeSet<u64> {
        let is_young = |(_, sent): &(u64, u64)| *sent >= since_unix_nano;
        let first = self.old.partition_point(|trace| !is_young(trace));
        let young = self.old.get(first..).unwrap_or_default();
        let last = acknowledged(&self.last).filter(is_young);
        let mut numbers: BTreeSet<u64> = last.map(|(number, _)| number).collect();
        for _ in 0..old.min(young.len()) {
            let trace = young.get(random.below(young.len() as u64) as usize);
            numbers.extend(trace.map(|(number, _)| number));
        }
        numbers
    }

    /// Asks for one trace and notes what is wrong with it.
    pub(super) fn check(
        &self,
        number: u64,
        client: &mut Client,
        verdict: &mut Verdict,
    ) -> Result<()> {
        let id = hex(&trace_id(self.seed, number));
        let answer = client.get(&format!("/api/v1/traces/{id}?format=otlp"))?;
        let spans = match answer.status {
            200 => span_ids(&answer.json()?)?,
            404 => BTreeMap::new(),
            status => bail!(
                "asked for {id}, the server answered {status}: {}",
                answer.text()
            ),
        };
        let expected = (0..SPANS_PER_TRACE)
            .map(|span| hex(&span_id(self.seed, number, span)))
            .collect();
        verdict.judge(number, &expected, &spans);
        if number.is_multiple_of(SEARCHED_EVERY) {
            verdict.judge_search(number, &search(&id, client)?);
        }
        Ok(())
    }
}

impl Verdict {
    fn judge(&mut self, number: u64, expected: &BTreeSet<String>, spans: &BTreeMap<String, usize>) {
        self.checked += 1;
        let found = expected.iter().filter(|id| spans.contains_key(*id)).count();
        if found == 0 {
            self.lost.insert(number);
        } else if found < expected.len() {
            self.partial.insert(number);
        }
        if spans
            .iter()
            .any(|(id, &count)| count > 1 || !expected.contains(id))
        {
            self.duplicated.insert(number);
        }
    }

    /// `span_counts`: what the search says of each trace that it found.
    fn judge_search(&mut self, number: u64, span_counts: &[usize]) {
        match *span_counts {
            [] => self.lost.insert(number),
            [count] if count < SPANS_PER_TRACE => self.partial.insert(number),
            [count] => count > SPANS_PER_TRACE && self.duplicated.insert(number),
            _ => self.duplicated.insert(number),
        };
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.checked += other.checked;
        self.lost.extend(&other.lost);
        self.partial.extend(&other.partial);
        self.duplicated.extend(&other.duplicated);
    }

    pub(super) fn is_good(&self) -> bool {
        self.lost.is_empty() && self.partial.is_empty() && self.duplicated.is_empty()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} checked", self.checked)?;
        for (what, numbers) in [
            ("lost", &self.lost),
            ("partial", &self.partial),
            ("duplicated", &self.duplicated),
        ] {
            if !numbers.is_empty() {
                let some: Vec<_> = numbers.iter().take(5).collect();
                write!(
                    formatter,
                    ", {} {what} (trace numbers {some:?} …)",
                    numbers.len()
                )?;
            }
        }
        Ok(())
    }
}

/// The acknowledged traces, and when they were sent.
fn acknowledged(requests: &[Request]) -> impl Iterator<Item = (u64, u64)> {
    let acknowledged = requests.iter().filter(|request| request.acknowledged);
    acknowledged.flat_map(|request| {
        let sent = request.start_time_unix_nano;
        request.traces.clone().map(move |number| (number, sent))
    })
}

/// Searches for a trace; returns the number of spans of each trace that was found.
fn search(id: &str, client: &mut Client) -> Result<Vec<usize>> {
    // { trace:id = "…" }, as an address has it.
    let path = format!("/api/v1/search?q=%7B%20trace%3Aid%20%3D%20%22{id}%22%20%7D&start=now-1h");
    let answer = client.get(&path)?;
    if answer.status != 200 {
        bail!(
            "searched for {id}, the server answered {}: {}",
            answer.status,
            answer.text()
        );
    }
    let found = answer.json()?;
    let count = |trace: &serde_json::Value| {
        trace["span_count"]
            .as_u64()
            .map(|count| count as usize)
            .context("no span_count")
    };
    list(&found, "traces").iter().map(count).collect()
}

/// How often each span id occurs in a trace as OTLP JSON.
fn span_ids(trace: &serde_json::Value) -> Result<BTreeMap<String, usize>> {
    let mut ids = BTreeMap::new();
    for resource in list(trace, "resourceSpans") {
        for scope in list(resource, "scopeSpans") {
            for span in list(scope, "spans") {
                let id = span["spanId"].as_str().context("a span without an id")?;
                *ids.entry(id.to_owned()).or_default() += 1;
            }
        }
    }
    Ok(ids)
}

fn list<'a>(value: &'a serde_json::Value, name: &str) -> &'a [serde_json::Value] {
    value[name]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(spans: &[(&str, usize)]) -> Verdict {
        let expected = ["a", "b"].map(str::to_owned).into_iter().collect();
        let spans = spans
            .iter()
            .map(|(id, count)| ((*id).to_owned(), *count))
            .collect();
        let mut verdict = Verdict::default();
        verdict.judge(7, &expected, &spans);
        verdict
    }

    #[test]
    fn only_each_span_once_is_good() {
        assert!(judge(&[("a", 1), ("b", 1)]).is_good());
        assert_eq!(judge(&[]).lost.len(), 1);
        assert_eq!(judge(&[("b", 1)]).partial.len(), 1);
        assert_eq!(judge(&[("a", 1), ("b", 2)]).duplicated.len(), 1);
        assert_eq!(judge(&[("a", 1), ("b", 1), ("c", 1)]).duplicated.len(), 1);
    }

    #[test]
    fn a_search_has_to_find_it_whole_and_once_too() {
        let judge = |counts: &[usize]| {
            let mut verdict = Verdict::default();
            verdict.judge_search(7, counts);
            verdict
        };
        assert!(judge(&[SPANS_PER_TRACE]).is_good());
        assert_eq!(judge(&[]).lost.len(), 1);
        assert_eq!(judge(&[SPANS_PER_TRACE - 1]).partial.len(), 1);
        assert_eq!(judge(&[SPANS_PER_TRACE + 1]).duplicated.len(), 1);
        assert_eq!(
            judge(&[SPANS_PER_TRACE, SPANS_PER_TRACE]).duplicated.len(),
            1
        );
    }

    #[test]
    fn a_verdict_names_the_traces() {
        assert_eq!(
            judge(&[]).to_string(),
            "1 checked, 1 lost (trace numbers [7] …)"
        );
        assert_eq!(judge(&[("a", 1), ("b", 1)]).to_string(), "1 checked");
    }
}
