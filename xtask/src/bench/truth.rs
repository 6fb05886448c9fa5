//! What a load holds, and so what each question about it must find.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::OnceLock,
};

use crate::load::{
    Drawn, SERVICES, SPANS, SPANS_PER_TRACE, Shape, Starts, Template, Variant, invocation_id, user,
};

/// Traces of one request.
pub(super) const TRACES_PER_REQUEST: u64 = 100;
/// Encoded requests to choose from: 8,000 different shapes of a trace.
const TEMPLATES: u64 = 80;
/// So many needles are in a load, evenly.
const NEEDLES: u64 = 10;
/// Traces number 0 to `traces`, each starting `step_nano` after the one before.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) seed: u64,
    pub(super) traces: u64,
    pub(super) start_unix_nano: u64,
    pub(super) step_nano: u64,
    templates: Vec<Template>,
    counts: OnceLock<BTreeMap<(Form, u64), u64>>,
}

/// All that is the same in many spans: which of its trace's spans it is, and how that went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Form {
    pub(super) index: usize,
    pub(super) fails: bool,
    pub(super) is_cold: bool,
}

/// A span of the load.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) form: Form,
    /// Unix nanoseconds.
    pub(super) start: u64,
    pub(super) end: u64,
}

/// A trace of the load.
#[derive(Debug)]
pub(super) struct Trace<'l> {
    load: &'l Load,
    number: u64,
    variant: &'l Variant,
}

impl Form {
    pub(super) fn shape(self) -> &'static Shape {
        &SPANS[self.index]
    }

    pub(super) fn service(self) -> &'static str {
        SERVICES[self.shape().service]
    }
}

impl Span {
    pub(super) fn minute(&self) -> u64 {
        minute(self.start)
    }

    pub(super) fn duration(&self) -> u64 {
        self.end - self.start
    }
}

impl Trace<'_> {
    /// Which of its spans failed.
    pub(super) fn fails(&self) -> Option<usize> {
        self.variant.fails
    }

    /// In the order of the shapes.
    pub(super) fn spans(&self) -> [Span; SPANS_PER_TRACE] {
        let begin = self.load.start_of(self.number);
        let pace = Drawn::of(self.load.seed, self.number).pace;
        std::array::from_fn(|index| {
            let (start, end) = self.variant.times(index, pace);
            Span {
                form: Form {
                    index,
                    fails: self.variant.fails == Some(index),
                    is_cold: self.variant.cold == Some(index),
                },
                start: begin + start,
                end: begin + end,
            }
        })
    }

    pub(super) fn duration(&self) -> u64 {
        let spans = self.spans();
        let start = spans.iter().map(|span| span.start).min().unwrap_or(0);
        let end = spans.iter().map(|span| span.end).max().unwrap_or(0);
        end - start
    }
}

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
            counts: OnceLock::new(),
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

    pub(super) fn needles(&self) -> impl Iterator<Item = (String, u64)> + '_ {
        (0..NEEDLES).map(|draw| self.needle(draw))
    }

    pub(super) fn trace(&self, number: u64) -> Trace<'_> {
        Trace {
            load: self,
            number,
            variant: self.variant(number),
        }
    }

    pub(super) fn each_trace(&self) -> impl DoubleEndedIterator<Item = Trace<'_>> {
        (0..self.traces).map(|number| self.trace(number))
    }

    /// The newest traces for which `is_wanted` holds, newest first.
    pub(super) fn newest(&self, limit: usize, is_wanted: impl Fn(&Trace<'_>) -> bool) -> Vec<u64> {
        let wanted = self.each_trace().rev().filter(is_wanted);
        wanted.map(|trace| trace.number).take(limit).collect()
    }

    pub(super) fn each_span(&self) -> impl Iterator<Item = Span> + '_ {
        self.each_trace().flat_map(|trace| trace.spans())
    }

    /// How many spans of each form start in each minute.
    pub(super) fn counts(&self) -> &BTreeMap<(Form, u64), u64> {
        self.counts.get_or_init(|| {
            let mut counts = BTreeMap::new();
            for span in self.each_span() {
                *counts.entry((span.form, span.minute())).or_default() += 1;
            }
            counts
        })
    }
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
        let count = |is_wanted: fn(Form) -> bool| -> u64 {
            let counts = load.counts().iter();
            let wanted = counts.filter(|((form, _), _)| is_wanted(*form));
            wanted.map(|(_, count)| count).sum()
        };
        let cold = count(|form| form.is_cold);
        assert!((3_000..5_000).contains(&cold), "{cold} of 200,000 spans");
        let failed = count(|form| form.fails);
        assert!(
            (1_600..2_400).contains(&failed),
            "{failed} of 20,000 traces"
        );
        assert_eq!(count(|_| true), load.spans());
        let newest = load.newest(usize::MAX, |trace| trace.fails().is_some());
        assert_eq!(newest.len() as u64, failed);
        assert!(newest[0] > newest[1]);
    }
}
