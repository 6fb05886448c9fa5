//! What a load holds, and so what each question about it must find.

use std::collections::{BTreeMap, BTreeSet};

use crate::load::{
    Drawn, SERVICES, SPANS, SPANS_PER_TRACE, Starts, Template, Variant, invocation_id, user,
};

/// Traces of one request.
pub(super) const TRACES_PER_REQUEST: u64 = 100;
/// Encoded requests to choose from: 8,000 different shapes of a trace.
const TEMPLATES: u64 = 80;
/// So many needles are in a load, evenly.
const NEEDLES: u64 = 10;
/// The service that failed requests are looked for in, and the span of it.
const FAILING_SPAN: usize = 9;
/// The first span of the service `ingress`, which calls or causes all that come after it.
const INGRESS_SPAN: usize = 3;

/// Traces number 0 to `traces`, each starting `step_nano` after the one before.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) seed: u64,
    pub(super) traces: u64,
    pub(super) start_unix_nano: u64,
    pub(super) step_nano: u64,
    templates: Vec<Template>,
}

/// A value for each group and minute.
pub(super) type Series<T> = BTreeMap<(usize, u64), T>;

impl Load {
    pub(super) fn new(seed: u64, traces: u64, start_unix_nano: u64, step_nano: u64) -> Self {
        Self {
            seed,
            traces,
            start_unix_nano,
            step_nano,
            templates: (0..TEMPLATES)
                .map(|variant| Template::new(seed, variant, TRACES_PER_REQUEST as u16))
                .collect(),
        }
    }

    pub(super) fn spans(&self) -> u64 {
        self.traces * SPANS_PER_TRACE as u64
    }

    pub(super) fn requests(&self) -> u64 {
        self.traces.div_ceil(TRACES_PER_REQUEST)
    }

    /// Writes request number `request` into `body`.
    pub(super) fn write(&self, request: u64, body: &mut Vec<u8>) {
        let first = request * TRACES_PER_REQUEST;
        let starts = Starts {
            first_unix_nano: self.start_of(first),
            step_nano: self.step_nano,
        };
        let needles: Vec<(u16, String)> = (0..TRACES_PER_REQUEST)
            .filter_map(|trace| Some((trace as u16, self.needle_at(first + trace)?)))
            .collect();
        if needles.is_empty() {
            self.template(first).write(self.seed, first, starts, body);
        } else {
            let variant = request % TEMPLATES;
            Template::with_needles(self.seed, variant, TRACES_PER_REQUEST as u16, &needles)
                .write(self.seed, first, starts, body);
        }
    }

    fn template(&self, number: u64) -> &Template {
        &self.templates[(number / TRACES_PER_REQUEST % TEMPLATES) as usize]
    }

    fn variant(&self, number: u64) -> &Variant {
        &self.template(number).variants[(number % TRACES_PER_REQUEST) as usize]
    }

    pub(super) fn start_of(&self, number: u64) -> u64 {
        self.start_unix_nano + number * self.step_nano
    }

    /// Every trace starts and ends in it.
    pub(super) fn time_range(&self) -> (u64, u64) {
        (
            self.start_unix_nano,
            self.start_of(self.traces) + 3_600_000_000_000,
        )
    }

    fn needle_every(&self) -> u64 {
        (self.traces / NEEDLES).max(1)
    }

    fn needle_at(&self, number: u64) -> Option<String> {
        let every = self.needle_every();
        (number % every == every / 2).then(|| format!("needle-{}", number / every))
    }

    /// One of the needles, and its trace.
    pub(super) fn needle(&self, draw: u64) -> (String, u64) {
        let needle = draw % NEEDLES;
        let every = self.needle_every();
        (format!("needle-{needle}"), needle * every + every / 2)
    }

    /// The traces of users for whom `is_wanted` holds.
    pub(super) fn of_users(&self, is_wanted: impl Fn(u64) -> bool) -> BTreeSet<u64> {
        (0..self.traces)
            .filter(|&number| is_wanted(user(self.seed, number)))
            .collect()
    }

    /// The traces with an invocation whose id has `part` in it.
    pub(super) fn of_invocations(&self, part: &[u8]) -> BTreeSet<u64> {
        (0..self.traces)
            .filter(|&number| {
                (0..SERVICES.len()).any(|service| {
                    let id = invocation_id(self.seed, number, service);
                    id.windows(part.len()).any(|window| window == part)
                })
            })
            .collect()
    }

    /// The newest traces in which the warehouse answered 500, newest first.
    pub(super) fn failed_newest(&self, limit: usize) -> Vec<u64> {
        self.newest(limit, |variant| variant.fails == Some(FAILING_SPAN))
    }

    /// The newest traces with an error somewhere below a span of `ingress`, newest first.
    pub(super) fn below_ingress_newest(&self, limit: usize) -> Vec<u64> {
        self.newest(limit, is_below_ingress)
    }

    /// How many traces have such an error; none has two.
    pub(super) fn below_ingress_count(&self) -> u64 {
        let numbers = 0..self.traces;
        numbers
            .filter(|&number| is_below_ingress(self.variant(number)))
            .count() as u64
    }

    fn newest(&self, limit: usize, is_wanted: impl Fn(&Variant) -> bool) -> Vec<u64> {
        (0..self.traces)
            .rev()
            .filter(|&number| is_wanted(self.variant(number)))
            .take(limit)
            .collect()
    }

    /// The durations of all spans by service and minute of their start, each sorted.
    pub(super) fn durations(&self) -> Series<Vec<u64>> {
        let mut series: Series<Vec<u64>> = BTreeMap::new();
        self.each_span(|service, start, end, _| {
            series
                .entry((service, minute(start)))
                .or_default()
                .push(end - start);
        });
        for durations in series.values_mut() {
            durations.sort_unstable();
        }
        series
    }

    /// The number of cold starts by service and minute.
    pub(super) fn cold_starts(&self) -> Series<u64> {
        let mut series = Series::new();
        self.each_span(|service, start, _, is_cold| {
            *series.entry((service, minute(start))).or_default() += u64::from(is_cold);
        });
        series.retain(|_, count| *count > 0);
        series
    }

    /// Calls with the service, start, end and coldness of each span.
    fn each_span(&self, mut call: impl FnMut(usize, u64, u64, bool)) {
        for number in 0..self.traces {
            let (variant, begin) = (self.variant(number), self.start_of(number));
            let pace = Drawn::of(self.seed, number).pace;
            for (index, shape) in SPANS.iter().enumerate() {
                let (start, end) = variant.times(index, pace);
                call(
                    shape.service,
                    begin + start,
                    begin + end,
                    variant.cold == Some(index),
                );
            }
        }
    }
}

fn is_below_ingress(variant: &Variant) -> bool {
    variant.fails.is_some_and(|span| span > INGRESS_SPAN)
}

/// The minute that a time lies in, in unix seconds.
fn minute(unix_nano: u64) -> u64 {
    unix_nano / 60_000_000_000 * 60
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load() -> Load {
        Load::new(1, 20_000, 1_700_000_000_000_000_000, 3_000_000)
    }

    #[test]
    fn needles_are_in_the_requests_that_truth_names() {
        let load = load();
        let mut body = Vec::new();
        for draw in 0..NEEDLES {
            let (text, number) = load.needle(draw);
            load.write(number / TRACES_PER_REQUEST, &mut body);
            let found = body
                .windows(text.len())
                .filter(|window| *window == text.as_bytes());
            assert_eq!(found.count(), 1, "{text}");
        }
        load.write(0, &mut body);
        assert!(!body.windows(8).any(|window| window == b"rare.key"));
    }

    #[test]
    fn shares_are_as_the_workload_says() {
        let load = load();
        let cold: u64 = load.cold_starts().values().sum();
        assert!((3_000..5_000).contains(&cold), "{cold} of 200,000 spans");
        let failed = load.failed_newest(usize::MAX).len();
        assert!((100..350).contains(&failed), "{failed} of 20,000 traces");
        let spans: usize = load.durations().values().map(Vec::len).sum();
        assert_eq!(spans as u64, load.spans());
        assert!(load.below_ingress_count() > failed as u64);
    }
}
