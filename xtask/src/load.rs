//! A realistic load: orders of a shop that runs on functions, as OTLP requests that cost next to nothing to make.
//!
//! Requests are encoded once; what differs between traces (ids, times, users) is patched into the bytes. What trace
//! number n looks like follows from the seed and n, so whoever knows the two knows its ids.

mod message;
mod shop;

use message::{Message, Patch};

use crate::random::Random;

/// Spans of one trace.
pub(crate) const SPANS_PER_TRACE: usize = shop::SPANS.len();

/// The ids of trace number `number`.
pub(crate) fn trace_id(seed: u64, number: u64) -> [u8; 16] {
    let mut random = Random::at(seed, number << 1);
    let mut id = [0; 16];
    id[..8].copy_from_slice(&random.next().to_be_bytes());
    id[8..].copy_from_slice(&(random.next() | 1).to_be_bytes());
    id
}

/// The id of a span of trace number `number`; never zero, and different for each span of it.
pub(crate) fn span_id(seed: u64, number: u64, span: usize) -> [u8; 8] {
    let word = Random::at(seed, (number << 1) | 1).next();
    // The lowest bits tell the spans of one trace apart.
    ((word & !0xff) | (span as u64 + 1)).to_be_bytes()
}

/// An encoded request of `traces` traces, to be made real with [`Template::write`].
#[derive(Debug)]
pub(crate) struct Template {
    bytes: Vec<u8>,
    patches: Vec<Patch>,
}

impl Template {
    /// `variant` decides the durations, faults and cold starts of its traces.
    pub(crate) fn new(seed: u64, variant: u64, traces: u16) -> Self {
        let Message { bytes, patches } = shop::request(&mut Random::at(seed, variant), traces);
        Self { bytes, patches }
    }

    /// Writes the request with the traces numbered from `first`, which start at `start_time_unix_nano`, into `body`.
    pub(crate) fn write(
        &self,
        seed: u64,
        first: u64,
        start_time_unix_nano: u64,
        body: &mut Vec<u8>,
    ) {
        body.clear();
        body.extend_from_slice(&self.bytes);
        for patch in &self.patches {
            patch.apply(seed, first, start_time_unix_nano, body);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn body(first: u64) -> Vec<u8> {
        let mut body = Vec::new();
        Template::new(1, 0, 100).write(1, first, 1_700_000_000_000_000_000, &mut body);
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
    fn each_trace_has_its_own_ids_in_the_bytes() {
        let body = body(500);
        for number in [500, 599] {
            assert_eq!(contains(&body, &trace_id(1, number)), SPANS_PER_TRACE);
            // Once as its own id, once for each child.
            assert_eq!(contains(&body, &span_id(1, number, SPANS_PER_TRACE - 1)), 1);
        }
        assert_eq!(contains(&body, &trace_id(1, 600)), 0);
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
