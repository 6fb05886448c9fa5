//! A realistic load: orders of a shop that runs on functions, as OTLP requests that cost next to nothing to make.
//!
//! Requests are encoded once; what differs between traces (ids, times, users) is patched into the bytes. What trace
//! number n looks like follows from the seed and n, so whoever knows the two knows its ids, and what a query must find.

mod drawn;
mod message;
mod shop;

pub(crate) use drawn::{Drawn, invocation_id, span_id, trace_id, user};
use message::{Message, Patch};
pub(crate) use shop::{
    SCOPE, SERVICES, SPANS, STATUS_MESSAGE, Shape, Variant, resource_attributes,
};

use crate::random::Random;

/// Spans of one trace.
pub(crate) const SPANS_PER_TRACE: usize = SPANS.len();

/// When the traces of a request start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Starts {
    /// Of the first trace.
    pub(crate) first_unix_nano: u64,
    /// From one trace to the next.
    pub(crate) step_nano: u64,
}

impl Starts {
    /// A microsecond apart, so that their order is known.
    pub(crate) fn at(first_unix_nano: u64) -> Self {
        Self {
            first_unix_nano,
            step_nano: 1_000,
        }
    }
}

/// An encoded request of `traces` traces, to be made real with [`Template::write`].
#[derive(Debug)]
pub(crate) struct Template {
    bytes: Vec<u8>,
    patches: Vec<Patch>,
    /// Of each trace of the request.
    pub(crate) variants: Vec<Variant>,
}

impl Template {
    /// `variant` decides the proportions, faults and cold starts of its traces.
    pub(crate) fn new(seed: u64, variant: u64, traces: u16) -> Self {
        Self::with_needles(seed, variant, traces, &[])
    }

    /// The same with `rare.key` on one span of some traces: which trace of the request, and the value.
    pub(crate) fn with_needles(
        seed: u64,
        variant: u64,
        traces: u16,
        needles: &[(u16, String)],
    ) -> Self {
        let mut random = Random::at(seed, variant);
        let variants: Vec<_> = (0..traces).map(|_| Variant::draw(&mut random)).collect();
        let Message { bytes, patches } = shop::request(&variants, needles);
        Self {
            bytes,
            patches,
            variants,
        }
    }

    /// Writes the request with the traces numbered from `first` into `body`.
    pub(crate) fn write(&self, seed: u64, first: u64, starts: Starts, body: &mut Vec<u8>) {
        body.clear();
        body.extend_from_slice(&self.bytes);
        let drawn: Vec<Drawn> = (first..)
            .take(self.variants.len())
            .map(|number| Drawn::of(seed, number))
            .collect();
        for patch in &self.patches {
            patch.apply(&drawn, starts, body);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn body(first: u64) -> Vec<u8> {
        let mut body = Vec::new();
        let starts = Starts::at(1_700_000_000_000_000_000);
        Template::new(1, 0, 100).write(1, first, starts, &mut body);
        body
    }

    fn contains(body: &[u8], part: &[u8]) -> usize {
        body.windows(part.len())
            .filter(|window| *window == part)
            .count()
    }

    #[test]
    fn ids_are_unique_and_can_be_drawn_again() {
        let traces: HashSet<_> = (0..10_000).map(|number| trace_id(1, number)).collect();
        assert_eq!(traces.len(), 10_000);
        let spans: HashSet<_> = (0..SPANS_PER_TRACE)
            .map(|span| span_id(1, 7, span))
            .collect();
        assert_eq!(spans.len(), SPANS_PER_TRACE);
        assert_eq!(trace_id(3, 4), trace_id(3, 4));
    }

    #[test]
    fn each_trace_has_its_own_values_in_the_bytes() {
        let body = body(500);
        for number in [500, 599] {
            assert_eq!(contains(&body, &trace_id(1, number)), SPANS_PER_TRACE);
            // Once as its own id, once for each child.
            assert_eq!(contains(&body, &span_id(1, number, SPANS_PER_TRACE - 1)), 1);
            let drawn = Drawn::of(1, number);
            // One function has three spans in a trace.
            assert_eq!(contains(&body, &invocation_id(1, number, 0)), 3);
            assert_eq!(contains(&body, &drawn.order_total().to_le_bytes()), 10);
            let user = format!("user-{:06}", user(1, number));
            assert!(contains(&body, user.as_bytes()) >= SPANS_PER_TRACE);
        }
        assert_eq!(contains(&body, &trace_id(1, 600)), 0);
    }

    #[test]
    fn durations_are_as_many_as_traces() {
        let template = Template::new(1, 0, 2);
        let lengths: HashSet<u64> = (0..1_000)
            .map(|number| {
                let pace = Drawn::of(1, number).pace;
                let (start, end) = template.variants[0].times(9, pace);
                assert!(end > start);
                end - start
            })
            .collect();
        assert!(lengths.len() > 990, "{} lengths", lengths.len());
    }

    #[test]
    fn a_needle_is_on_one_span() {
        let mut body = Vec::new();
        let needles = [(3, "needle-7".to_owned())];
        Template::with_needles(1, 0, 5, &needles).write(1, 0, Starts::at(1), &mut body);
        assert_eq!(contains(&body, b"needle-7"), 1);
        assert_eq!(contains(&body, b"rare.key"), 1);
    }

    #[test]
    fn a_span_is_as_large_as_a_real_one() {
        let bytes = body(0).len() / (100 * SPANS_PER_TRACE);
        assert!((400..=500).contains(&bytes), "{bytes} bytes a span");
    }

    #[test]
    fn only_what_is_patched_differs() {
        let (one, other) = (body(0), body(100));
        assert_eq!(one.len(), other.len());
        assert_ne!(one, other);
    }
}
