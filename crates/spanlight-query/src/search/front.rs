//! The state of a search: traces that may be answers, and the newest answers so far.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::sync::Arc;

use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use rustc_hash::FxHashMap;
use spanlight_model::TraceId;

use crate::answer::TraceSummary;
use crate::candidates::Candidate;
use crate::cursor::Key;
use crate::load::MemoryFull;
use crate::plan::Needs;

/// What an entry of the table and of the queue takes, spare room included.
const BYTES_PER_TRACE: usize = 128;

/// Traces accounted for at once.
const TRACES_PER_GRANT: usize = 1_024;

#[derive(Debug, Clone, Copy)]
struct Seen {
    /// The trace starts no later.
    start_max: i64,
    found: u64,
    decided: bool,
}

impl Seen {
    /// Whether it may be an answer, and was not decided.
    fn is_open(&self, needs: &Needs) -> bool {
        !self.decided && needs.met_by(self.found)
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Front {
    size: usize,
    seen: FxHashMap<TraceId, Seen>,
    /// The traces to decide; the one that may be newest is last.
    queue: Vec<Key>,
    /// Not the newest answers are wanted, but those of the greatest places, so that any trace may be one.
    is_ranked: bool,
    /// The newest answers, the oldest of them on top.
    answers: BinaryHeap<Reverse<Answer>>,
    memory: MemoryReservation,
    granted: usize,
}

#[derive(Debug)]
struct Answer {
    place: i64,
    key: Key,
    summary: TraceSummary,
}

impl PartialEq for Answer {
    fn eq(&self, other: &Self) -> bool {
        (self.place, self.key) == (other.place, other.key)
    }
}

impl Eq for Answer {}

impl PartialOrd for Answer {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Answer {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.place, self.key).cmp(&(other.place, other.key))
    }
}

impl Front {
    /// Keeps the newest `size` answers.
    pub(super) fn new(size: usize, memory: &Arc<dyn MemoryPool>) -> Self {
        Self {
            size,
            is_ranked: false,
            seen: FxHashMap::default(),
            queue: Vec::new(),
            answers: BinaryHeap::new(),
            memory: MemoryConsumer::new("candidates").register(memory),
            granted: 0,
        }
    }

    /// Keeps the `size` answers of the greatest places.
    pub(super) fn ranked(size: usize, memory: &Arc<dyn MemoryPool>) -> Self {
        Self {
            is_ranked: true,
            ..Self::new(size, memory)
        }
    }

    /// Traces that start earlier are no longer on the page.
    pub(super) fn start_min(&self) -> i64 {
        match self.answers.peek() {
            Some(Reverse(oldest)) if self.answers.len() >= self.size && !self.is_ranked => {
                oldest.key.0
            }
            _ => i64::MIN,
        }
    }

    /// Whether nothing changes the page any more when all that is left starts no later than this.
    pub(super) fn is_settled(&self, start_max: i64) -> bool {
        self.start_min() > start_max
    }

    /// Adds a span that a filter may select.
    pub(super) fn add(&mut self, candidate: Candidate) -> Result<(), MemoryFull> {
        if candidate.start < self.start_min() {
            return Ok(());
        }
        let seen = self.seen.entry(candidate.trace_id).or_insert(Seen {
            start_max: candidate.start,
            found: 0,
            decided: false,
        });
        seen.start_max = seen.start_max.min(candidate.start);
        seen.found |= candidate.found;
        if self.seen.len() > self.granted {
            self.granted += TRACES_PER_GRANT;
            let bytes = TRACES_PER_GRANT * BYTES_PER_TRACE;
            self.memory.try_grow(bytes).map_err(|_| MemoryFull)?;
        }
        Ok(())
    }

    /// Whether the page may be settled by deciding what was found: enough of it may start later than this, which is
    /// where all that was not looked at starts or before.
    pub(super) fn may_settle(&self, needs: &Needs, start_max: i64) -> bool {
        let answers = self.answers.iter();
        let answers = answers.filter(|Reverse(it)| it.key.0 > start_max).count();
        let wanted = self.size.saturating_sub(answers);
        let open = self.seen.values();
        let open = open.filter(|it| it.start_max > start_max && it.is_open(needs));
        wanted == 0 || open.take(wanted).count() == wanted
    }

    /// Answers that the page has room for.
    pub(super) fn missing(&self) -> usize {
        self.size - self.answers.len()
    }

    /// Lines up the traces that may be answers for what they need, after spans were added.
    pub(super) fn line_up(&mut self, needs: &Needs) {
        let start_min = self.start_min();
        let seen = self.seen.iter();
        self.queue = seen
            .filter(|(_, it)| it.start_max >= start_min && it.is_open(needs))
            .map(|(id, it)| (it.start_max, *id))
            .collect();
        self.queue.sort_unstable();
    }

    /// Lines up what was found when no more can be, and gives back the memory.
    pub(super) fn close(&mut self, needs: &Needs) {
        self.line_up(needs);
        self.seen = FxHashMap::default();
        self.granted = self.queue.len();
        let bytes = self.granted * BYTES_PER_TRACE;
        // No more than was held.
        self.memory.shrink(self.memory.size().saturating_sub(bytes));
    }

    /// The traces to decide next, those first that may be newest; none when no trace can still come on the page.
    pub(super) fn next(&mut self, count: usize) -> BTreeSet<TraceId> {
        let start_min = self.start_min();
        let mut ids = BTreeSet::new();
        while ids.len() < count
            && let Some((start_max, id)) = self.queue.pop()
            && start_max >= start_min
        {
            if let Some(seen) = self.seen.get_mut(&id) {
                seen.decided = true;
            }
            ids.insert(id);
        }
        ids
    }

    /// Adds an answer, and its place where the newest are not wanted.
    pub(super) fn found(&mut self, place: i64, summary: TraceSummary) {
        let key = (summary.start_time_unix_nano, summary.trace_id);
        self.answers.push(Reverse(Answer {
            place,
            key,
            summary,
        }));
        if self.answers.len() > self.size {
            self.answers.pop();
        }
    }

    /// The answers, newest or greatest first.
    pub(super) fn take(&mut self) -> Vec<TraceSummary> {
        std::mem::take(&mut self.answers)
            .into_sorted_vec()
            .into_iter()
            .map(|Reverse(answer)| answer.summary)
            .collect()
    }
}
