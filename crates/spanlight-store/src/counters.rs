//! Rates, errors and durations by operation, and calls between services: counted once a span, over every span, before
//! any sampling.
//!
//! A segment of the recent level is counted when it is sealed: its spans are sorted by trace then, and repeats are
//! gone. What is still in memory is counted on top when somebody asks. So the counts are exact for spans whose repeats
//! came within one segment; one that is sent again after its first copy was sealed counts again.
//!
//! A call whose two spans are in different segments is found as long as fewer than `WAITING_MAX` spans wait for
//! their other side; `unmatched` says how many gave up waiting, and thereby bounds the error of the calls.
//!
//! The counters hold a span by its weight: one that was sampled by its sender stands for those that were not sent.

mod book;
mod checkpoint;
mod histogram;
mod operations;
mod service_graph;
mod waiting;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use spanlight_model::SpanColumns;

pub(crate) use book::CounterBook;
pub use histogram::DurationHistogram;
pub use operations::{Operation, OperationCounts};
pub use service_graph::{Call, CallCounts, CallKind};

use operations::Operations;
use service_graph::ServiceGraph;
#[cfg(test)]
use waiting::WAITING_MAX;

/// What was counted, up to a record of the log.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Counters {
    /// The last sequence number that is counted.
    pub(crate) through: u64,
    operations: Operations,
    graph: ServiceGraph,
}

/// The counters as they are at one moment.
#[derive(Debug, Clone, Default)]
pub struct ServiceCounters {
    /// By service, name and kind of the spans; in that order.
    pub operations: Vec<(Operation, OperationCounts)>,
    /// By calling and called service.
    pub calls: Vec<(Call, CallCounts)>,
    /// Spans with another side that nobody has seen in time, or that there was no room to remember.
    pub unmatched: u64,
}

/// A span of some batches: which batch, and which row of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) batch: usize,
    pub(crate) row: usize,
}

impl Counters {
    /// Counts these spans, each once, the spans of a trace one after the other.
    pub(crate) fn count(&mut self, batches: &[SpanColumns<'_>], places: &[Place]) {
        self.operations.count(batches, places);
        let trace = |place: &Place| batches[place.batch].trace_ids.value(place.row);
        for spans in places.chunk_by(|a, b| trace(a) == trace(b)) {
            self.graph.count(batches, spans);
        }
    }

    /// Gives up on spans that have waited since before this time for their other side.
    pub(crate) fn expire(&mut self, received_before_unix_nano: i64) {
        self.graph.expire(received_before_unix_nano);
    }

    /// The counters, for people.
    pub(crate) fn view(&self) -> ServiceCounters {
        ServiceCounters {
            operations: self.operations.list(),
            calls: self.graph.list(),
            unmatched: self.graph.unmatched(),
        }
    }
}
