//! Spans that wait for the other side of their call: a bounded number, for a bounded time.

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};
use spanlight_model::{SpanId, SpanKind, TraceId};

/// Spans of one side that wait.
pub(crate) const WAITING_MAX: usize = 64 << 10;

/// The calling span, by its trace's id and its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Key(u128, u64);

impl Key {
    pub(super) fn new(trace_id: TraceId, span_id: SpanId) -> Self {
        Self(
            u128::from_be_bytes(trace_id.0),
            u64::from_be_bytes(span_id.0),
        )
    }
}

/// What is known of one side of a call.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Side {
    pub(super) service_name: String,
    pub(super) kind: u8,
    pub(super) failed: bool,
    pub(super) weight: f64,
    pub(super) duration_nano: i64,
    pub(super) received_at_unix_nano: i64,
    /// Whether another side was found already.
    pub(super) matched: bool,
}

impl Side {
    pub(super) fn kind(&self) -> SpanKind {
        SpanKind::from_number(i64::from(self.kind))
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "Vec<(Key, Side)>", into = "Vec<(Key, Side)>")]
pub(super) struct Waiting {
    sides: HashMap<Key, Vec<Side>>,
    /// In the order they came. A key that was taken is still here until its turn comes.
    order: VecDeque<Key>,
}

impl Waiting {
    /// Remembers a side. Returns how many were forgotten to make room, that never found another.
    pub(super) fn insert(&mut self, key: Key, side: Side) -> u64 {
        let mut forgotten = 0;
        while self.order.len() >= WAITING_MAX {
            forgotten += self.forget_first();
        }
        self.sides.entry(key).or_default().push(side);
        self.order.push_back(key);
        forgotten
    }

    pub(super) fn get(&self, key: &Key) -> &[Side] {
        self.sides.get(key).map_or(&[], Vec::as_slice)
    }

    pub(super) fn set_matched(&mut self, key: &Key) {
        for side in self.sides.get_mut(key).into_iter().flatten() {
            side.matched = true;
        }
    }

    pub(super) fn take(&mut self, key: &Key) -> Vec<Side> {
        self.sides.remove(key).unwrap_or_default()
    }

    /// Forgets what was received before this time. Returns how many never found another.
    pub(super) fn expire(&mut self, received_before_unix_nano: i64) -> u64 {
        let mut forgotten = 0;
        while let Some(first) = self.order.front() {
            let sides = self.get(first);
            if sides
                .iter()
                .any(|side| side.received_at_unix_nano >= received_before_unix_nano)
            {
                break;
            }
            forgotten += self.forget_first();
        }
        forgotten
    }

    fn forget_first(&mut self) -> u64 {
        let sides = self
            .order
            .pop_front()
            .and_then(|key| self.sides.remove(&key));
        let lonely = sides.into_iter().flatten().filter(|side| !side.matched);
        lonely.count() as u64
    }
}

impl From<Vec<(Key, Side)>> for Waiting {
    fn from(saved: Vec<(Key, Side)>) -> Self {
        let mut waiting = Self::default();
        for (key, side) in saved {
            waiting.insert(key, side);
        }
        waiting
    }
}

impl From<Waiting> for Vec<(Key, Side)> {
    fn from(mut waiting: Waiting) -> Self {
        let mut saved = Self::new();
        for key in std::mem::take(&mut waiting.order) {
            saved.extend(waiting.take(&key).into_iter().map(|side| (key, side)));
        }
        saved
    }
}
