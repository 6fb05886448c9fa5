//! The hot tier: batches in memory, in the order of their sequence numbers, each known by its times and traces.
//!
//! A [`HotTier`] is a value: adding or removing batches makes a new one that shares nearly everything with the old, so
//! that a reader's view never changes under it. Owns no lock; the store publishes.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use arrow_schema::ArrowError;
use spanlight_model::{SpanBatch, TraceId};

use crate::budget::{Budget, Reservation};

/// Batches share a chunk so that appending copies one short list and a few pointers, not the whole tier.
const CHUNK_BATCHES: usize = 64;

/// A batch of fewer spans is worth merging with its neighbours: it takes many times the memory of its spans.
const SMALL_SPANS: usize = 256;
/// Spans of a merged batch, at most.
const MERGED_SPANS: usize = 4 << 10;
/// Fewer neighbours are not worth the work.
const MERGE_BATCHES: usize = 8;

/// One appended batch, or some that were merged, with what is needed to skip it.
#[derive(Debug)]
pub(crate) struct HotBatch {
    pub(crate) parts: Parts,
    pub(crate) spans: SpanBatch,
    pub(crate) summary: Summary,
    /// Memory is free again when the last reader lets go of the batch.
    pub(crate) _memory: Reservation,
}

/// The records of the log that a batch is made of: their sequence numbers, growing, and how many spans each has.
#[derive(Debug, Clone)]
pub(crate) struct Parts(Vec<(u64, usize)>);

impl Parts {
    pub(crate) fn one(sequence: u64, spans: usize) -> Self {
        Self(vec![(sequence, spans)])
    }
}

impl HotBatch {
    pub(crate) fn first_sequence(&self) -> u64 {
        self.parts.0.first().map_or(0, |(sequence, _)| *sequence)
    }

    pub(crate) fn last_sequence(&self) -> u64 {
        self.parts.0.last().map_or(0, |(sequence, _)| *sequence)
    }

    /// The batch as it was appended: each sequence number with its spans.
    pub(crate) fn records(&self) -> impl Iterator<Item = (u64, SpanBatch)> {
        let mut offset = 0;
        self.parts.0.iter().map(move |&(sequence, spans)| {
            let part = self.spans.slice(offset, spans);
            offset += spans;
            (sequence, part)
        })
    }

    /// One batch of several neighbours.
    pub(crate) fn merge(batches: &[Arc<Self>], budget: &Arc<Budget>) -> Result<Self, ArrowError> {
        let spans = SpanBatch::concat(batches.iter().map(|batch| &batch.spans))?;
        let summary = Summary::of(&spans);
        let parts = batches.iter().flat_map(|batch| batch.parts.0.iter());
        Ok(Self {
            parts: Parts(parts.copied().collect()),
            _memory: budget.reserve_anyway(summary.bytes),
            spans,
            summary,
        })
    }
}

/// What is known of a batch without reading its rows.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) bytes: usize,
    pub(crate) times: TimeBounds,
    pub(crate) received_min: i64,
    pub(crate) received_max: i64,
    /// The low halves of the trace ids, sorted, each once: random in every id format, and half the size.
    trace_keys: Box<[u64]>,
}

/// Bounds of the times of some spans, in unix nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeBounds {
    pub(crate) start_min: i64,
    pub(crate) start_max: i64,
    /// Of the later of start and end: a span may end before it starts.
    pub(crate) end_max: i64,
}

impl TimeBounds {
    pub(crate) const NONE: Self = Self {
        start_min: i64::MAX,
        start_max: i64::MIN,
        end_max: i64::MIN,
    };

    /// Bounds that exclude nothing.
    pub(crate) const ANY: Self = Self {
        start_min: i64::MIN,
        start_max: i64::MAX,
        end_max: i64::MAX,
    };

    pub(crate) fn include(&mut self, start: i64, end: i64) {
        self.start_min = self.start_min.min(start).min(end);
        self.start_max = self.start_max.max(start);
        self.end_max = self.end_max.max(start).max(end);
    }

    pub(crate) fn union(self, other: Self) -> Self {
        Self {
            start_min: self.start_min.min(other.start_min),
            start_max: self.start_max.max(other.start_max),
            end_max: self.end_max.max(other.end_max),
        }
    }

    /// Whether a span within these bounds may overlap the range; both of its ends count.
    pub(crate) fn may_overlap(self, range: &Range<i64>) -> bool {
        self.start_min <= range.end && self.end_max >= range.start
    }

    /// Whether a span that starts in this range, both ends included, may be there.
    pub(crate) fn may_start_in(self, range: &Range<i64>) -> bool {
        self.start_min <= range.end && self.start_max >= range.start
    }
}

impl Summary {
    pub(crate) fn of(spans: &SpanBatch) -> Self {
        let columns = spans.columns();
        let mut times = TimeBounds::NONE;
        let ends = columns.end_times.values();
        for (&start, &end) in columns.start_times.values().iter().zip(ends.iter()) {
            times.include(start, end);
        }
        let mut trace_keys: Vec<u64> = (0..spans.num_spans())
            .map(|row| trace_key(columns.trace_id(row)))
            .collect();
        // Spans of a trace mostly come side by side.
        trace_keys.dedup();
        trace_keys.sort_unstable();
        trace_keys.dedup();
        let received = columns.received_at.values();
        Self {
            bytes: spans.byte_size(),
            times,
            received_min: received.iter().copied().min().unwrap_or(i64::MAX),
            received_max: received.iter().copied().max().unwrap_or(i64::MIN),
            trace_keys: trace_keys.into_boxed_slice(),
        }
    }

    pub(crate) fn trace_keys(&self) -> &[u64] {
        &self.trace_keys
    }

    pub(crate) fn may_contain_any(&self, ids: &BTreeSet<TraceId>) -> bool {
        ids.iter()
            .any(|&id| self.trace_keys.binary_search(&trace_key(id)).is_ok())
    }
}

pub(crate) fn trace_key(id: TraceId) -> u64 {
    let mut low = [0; 8];
    low.copy_from_slice(&id.0[8..]);
    u64::from_be_bytes(low)
}

/// Every batch that is synced and not yet in the cold tier.
#[derive(Debug, Clone, Default)]
pub(crate) struct HotTier {
    chunks: Vec<Arc<Vec<Arc<HotBatch>>>>,
    pub(crate) batches: usize,
    pub(crate) spans: usize,
    pub(crate) bytes: usize,
}

impl HotTier {
    /// This tier and these batches, whose sequence numbers are higher.
    pub(crate) fn with(&self, batches: impl IntoIterator<Item = Arc<HotBatch>>) -> Self {
        let mut next = self.clone();
        for batch in batches {
            next.batches += 1;
            next.spans += batch.spans.num_spans();
            next.bytes += batch.summary.bytes;
            match next.chunks.last_mut() {
                Some(chunk) if chunk.len() < CHUNK_BATCHES => Arc::make_mut(chunk).push(batch),
                _ => next.chunks.push(Arc::new(vec![batch])),
            }
        }
        next
    }

    /// This tier without the batches up to and including this sequence number.
    pub(crate) fn without_through(&self, sequence: u64) -> Self {
        let mut next = Self::default();
        for chunk in &self.chunks {
            if chunk
                .first()
                .is_some_and(|first| first.first_sequence() > sequence)
            {
                next.batches += chunk.len();
                next.spans += chunk.iter().map(|b| b.spans.num_spans()).sum::<usize>();
                next.bytes += chunk.iter().map(|b| b.summary.bytes).sum::<usize>();
                next.chunks.push(Arc::clone(chunk));
            } else {
                let kept = chunk
                    .iter()
                    .filter(|batch| batch.last_sequence() > sequence);
                next = next.with(kept.map(Arc::clone));
            }
        }
        next
    }

    /// Runs of neighbours that should be one batch each.
    pub(crate) fn to_merge(&self) -> Vec<Vec<Arc<HotBatch>>> {
        let mut runs = Vec::new();
        let mut run: Vec<Arc<HotBatch>> = Vec::new();
        let mut spans = 0;
        for batch in self.iter() {
            let more = batch.spans.num_spans();
            let is_small = more < SMALL_SPANS;
            if !is_small || spans + more > MERGED_SPANS {
                runs.push(std::mem::take(&mut run));
                spans = 0;
            }
            if is_small {
                spans += more;
                run.push(Arc::clone(batch));
            }
        }
        runs.push(run);
        runs.retain(|run| run.len() >= MERGE_BATCHES);
        runs
    }

    /// This tier with these batches, in order, in the place of those that they were merged from.
    pub(crate) fn with_merged(&self, merged: Vec<Arc<HotBatch>>) -> Self {
        let mut merged = merged.into_iter().peekable();
        let mut next = Vec::with_capacity(self.batches);
        for batch in self.iter() {
            let sequence = batch.first_sequence();
            while merged.peek().is_some_and(|m| m.last_sequence() < sequence) {
                next.extend(merged.next());
            }
            let is_inside = merged
                .peek()
                .is_some_and(|m| m.first_sequence() <= sequence);
            if !is_inside {
                next.push(Arc::clone(batch));
            }
        }
        next.extend(merged);
        Self::default().with(next)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<HotBatch>> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    pub(crate) fn chunks(&self) -> &[Arc<Vec<Arc<HotBatch>>>] {
        &self.chunks
    }

    /// The sequence number that everything here is at or after.
    pub(crate) fn first_sequence(&self) -> Option<u64> {
        self.iter().next().map(|batch| batch.first_sequence())
    }

    /// When the oldest span was received.
    pub(crate) fn received_min(&self) -> Option<i64> {
        self.iter().map(|batch| batch.summary.received_min).min()
    }
}
