//! Traces that are in several places, memory or runs of files, or twice in memory, so that a span of them may be there
//! twice.
//!
//! Within a run each span is there once, so counting its rows is exact but for these traces, which are read by their
//! ids and decided like those of a search. Which they are is found by comparing the trace ids of all places. A file
//! never changes, so the ids of its runs are remembered; while spans come, only those of new files are read.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use rustc_hash::{FxHashMap, FxHashSet};
use spanlight_model::SpanBatch;
use spanlight_store::{Partition, Run, ScanColumns, ScanRequest, Snapshot};
use tokio::time::Instant;

use super::off_the_loop;
use super::traces::id_at;
use crate::error::QueryError;
use crate::load::MemoryFull;
use crate::parallel::{self, Reading, Stopped, Worker};
use crate::scan::ScanReport;

/// Traces of runs that are remembered, at most: eight bytes each.
const REMEMBERED_MAX: usize = 4 << 20;

/// The low half of a trace id: random in every id format.
pub(crate) type TraceKey = u64;

/// The traces that are in several places.
pub(crate) type Repeated = FxHashSet<TraceKey>;

/// The traces of runs: sorted, each once.
pub(crate) type Runs = BTreeMap<Run, Arc<[TraceKey]>>;

/// Looks for them in a snapshot.
pub(crate) struct Search<'s> {
    pub(crate) snapshot: &'s Snapshot,
    pub(crate) cache: &'s RepeatCache,
    pub(crate) memory: &'s Arc<dyn MemoryPool>,
    pub(crate) report: &'s Arc<ScanReport>,
    pub(crate) deadline: Instant,
}

/// What was found, and what that took.
pub(crate) struct Found {
    pub(crate) repeated: Arc<Repeated>,
    pub(crate) stopped: Option<Stopped>,
    pub(crate) report: Arc<spanlight_store::ScanReport>,
}

impl Search<'_> {
    /// The traces in several of the places that overlap a range.
    pub(crate) async fn find(&self, range: Option<Range<i64>>) -> Result<Found, QueryError> {
        let request = ScanRequest {
            time_range: range,
            columns: ScanColumns {
                trace_id: true,
                span_id: true,
                ..ScanColumns::NONE
            },
            ..ScanRequest::default()
        };
        let scan = self.snapshot.scan(&request).await;
        let mut partitions = scan.partitions;
        let mut runs = BTreeSet::new();
        // One of each run that nothing is known of.
        let wanted = partitions.iter().filter_map(Partition::run).collect();
        let (known, last) = self.cache.get(&wanted);
        partitions.retain(|it| {
            it.run()
                .is_none_or(|run| !known.contains_key(&run) && runs.insert(run))
        });
        // The largest are taken first, so that the workers end together.
        partitions.sort_by_key(Partition::span_count_upper_bound);
        let mut places = Places {
            runs: known,
            memory: Vec::new(),
            last,
        };
        let mut stopped = None;
        if !partitions.is_empty() {
            let workers = parallel::workers().clamp(1, partitions.len());
            let reserve = || MemoryConsumer::new("repeats").register(self.memory);
            let workers = (0..workers).map(|_| KeyWorker::new(reserve())).collect();
            let pass = parallel::pass(partitions, workers, self.report, self.deadline);
            (places.memory, stopped) = pass.await?;
            for worker in &mut places.memory {
                places.runs.append(&mut worker.runs);
            }
        }
        let (repeated, runs, compared) = off_the_loop(move || places.compare()).await?;
        self.cache.put(runs, compared, self.snapshot.file_names());
        Ok(Found {
            repeated,
            stopped,
            report: scan.report,
        })
    }
}

/// What is known of files.
#[derive(Debug, Default)]
pub(crate) struct RepeatCache(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    runs: Runs,
    last: Option<Arc<Compared>>,
}

/// Runs that were compared, and the traces that are in several of them.
#[derive(Debug)]
pub(crate) struct Compared {
    runs: BTreeSet<Run>,
    repeated: Arc<Repeated>,
}

impl RepeatCache {
    /// What is known of these runs.
    pub(crate) fn get(&self, runs: &BTreeSet<Run>) -> (Runs, Option<Arc<Compared>>) {
        let known = self.known();
        let found = runs.iter().filter_map(|run| known.runs.get_key_value(run));
        let found = found.map(|(run, keys)| (run.clone(), Arc::clone(keys)));
        (found.collect(), known.last.clone())
    }

    /// Remembers what was found, as far as there is room, and of other runs those whose files are still there.
    pub(crate) fn put<'f>(
        &self,
        runs: Runs,
        compared: Arc<Compared>,
        files: impl Iterator<Item = &'f str>,
    ) {
        let files: FxHashSet<&str> = files.collect();
        let mut known = self.known();
        known
            .runs
            .retain(|run, _| files.contains(run.file.as_str()));
        let mut room = REMEMBERED_MAX.saturating_sub(known.runs.values().map(|it| it.len()).sum());
        for (run, keys) in runs {
            if keys.len() <= room && !known.runs.contains_key(&run) {
                room -= keys.len();
                known.runs.insert(run, keys);
            }
        }
        known.last = Some(compared);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Compared {
    /// Compares the runs with each other; what was found last helps with those that were there then.
    fn of(runs: &Runs, last: Option<Arc<Self>>) -> Arc<Self> {
        let Some(last) = last else {
            return Self::of_all(runs);
        };
        let all: usize = runs.values().map(|keys| keys.len()).sum();
        let new = runs.iter().filter(|(run, _)| !last.runs.contains(run));
        let mut candidates: Vec<TraceKey> =
            new.flat_map(|(_, keys)| keys.iter().copied()).collect();
        if candidates.is_empty() && last.runs.len() == runs.len() {
            return last;
        }
        if candidates.len() > all / 2 {
            return Self::of_all(runs);
        }
        candidates.extend(last.repeated.iter());
        let mut counts = Counts::new(candidates);
        runs.values().for_each(|keys| counts.add(keys));
        Self::new(runs, counts.at_least(2))
    }

    fn of_all(runs: &Runs) -> Arc<Self> {
        let keys = runs.values().flat_map(|keys| keys.iter().copied());
        let mut keys: Vec<TraceKey> = keys.collect();
        // Finds the sorted runs, and merges them.
        keys.sort();
        Self::new(runs, twice(&keys))
    }

    fn new(runs: &Runs, repeated: Repeated) -> Arc<Self> {
        Arc::new(Self {
            runs: runs.keys().cloned().collect(),
            repeated: Arc::new(repeated),
        })
    }
}

/// Of sorted keys, those that come again.
fn twice(keys: &[TraceKey]) -> Repeated {
    let pairs = keys.windows(2).filter(|pair| pair[0] == pair[1]);
    pairs.map(|pair| pair[0]).collect()
}

/// In how many of many runs some keys are.
struct Counts {
    /// A bit for each value of the low bits of the keys: nearly all others are told by it.
    bits: Vec<u64>,
    counts: FxHashMap<TraceKey, u32>,
}

impl Counts {
    fn new(keys: impl IntoIterator<Item = TraceKey>) -> Self {
        let counts: FxHashMap<TraceKey, u32> = keys.into_iter().map(|key| (key, 0)).collect();
        let words = (counts.len() / 4).next_power_of_two();
        let mut bits = vec![0; words];
        for key in counts.keys() {
            bits[(*key >> 6) as usize & (words - 1)] |= 1 << (key & 63);
        }
        Self { bits, counts }
    }

    fn add(&mut self, keys: &[TraceKey]) {
        let mask = self.bits.len() - 1;
        for key in keys {
            if self.bits[(*key >> 6) as usize & mask] >> (key & 63) & 1 == 1
                && let Some(count) = self.counts.get_mut(key)
            {
                *count += 1;
            }
        }
    }

    fn at_least(self, least: u32) -> Repeated {
        let counts = self.counts.into_iter();
        let found = counts.filter(|(_, count)| *count >= least);
        found.map(|(key, _)| key).collect()
    }
}

/// What the places of a question have: memory, and runs of files.
#[derive(Debug)]
struct Places {
    pub(crate) runs: Runs,
    pub(crate) memory: Vec<KeyWorker>,
    pub(crate) last: Option<Arc<Compared>>,
}

impl Places {
    /// The traces in several places; and what is to be remembered.
    pub(crate) fn compare(self) -> (Arc<Repeated>, Runs, Arc<Compared>) {
        let compared = Compared::of(&self.runs, self.last);
        let (mut keys, mut spans) = (Vec::new(), Vec::new());
        for mut worker in self.memory {
            keys.append(&mut worker.memory_keys);
            spans.append(&mut worker.spans);
        }
        if keys.is_empty() {
            return (Arc::clone(&compared.repeated), self.runs, compared);
        }
        let mut counts = Counts::new(keys);
        self.runs.values().for_each(|keys| counts.add(keys));
        let mut repeated = counts.at_least(1);
        spans.sort_unstable();
        let again = spans.chunk_by(|one, two| one.0 == two.0);
        let again = again.filter(|spans| spans.len() > 1);
        repeated.extend(again.flatten().map(|(_, trace)| *trace));
        repeated.extend(compared.repeated.iter());
        (Arc::new(repeated), self.runs, compared)
    }
}

/// Reads the traces of partitions, one of each run, and what identifies the spans in memory.
#[derive(Debug)]
struct KeyWorker {
    pub(crate) runs: Runs,
    memory_keys: Vec<TraceKey>,
    /// Of each span in memory, a number that hardly any other has, and its trace.
    spans: Vec<(u64, TraceKey)>,
    count: usize,
    memory: MemoryReservation,
}

impl KeyWorker {
    pub(crate) fn new(memory: MemoryReservation) -> Self {
        Self {
            runs: Runs::new(),
            memory_keys: Vec::new(),
            spans: Vec::new(),
            count: 0,
            memory,
        }
    }

    fn account(&self) -> Result<(), MemoryFull> {
        let keys = self.count + self.memory_keys.capacity() + 2 * self.spans.capacity();
        let bytes = keys * size_of::<TraceKey>();
        self.memory.try_resize(bytes).map_err(|_| MemoryFull)
    }
}

impl Worker for KeyWorker {
    fn read(&mut self, partition: Partition, reading: &Reading<'_>) -> Result<(), Stopped> {
        let Some(run) = partition.run() else {
            return reading.batches(self, partition);
        };
        if let Some(mut keys) = reading.note(partition.trace_keys()) {
            keys.sort_unstable();
            keys.dedup();
            self.count += keys.len();
            self.runs.insert(run, keys.into());
        }
        self.account().map_err(|_| Stopped::Memory)
    }

    fn take(&mut self, batch: &SpanBatch) -> Result<(), MemoryFull> {
        let columns = batch.columns();
        let traces = columns.trace_ids.value_data();
        let spans = columns.span_ids.value_data().as_chunks::<8>().0;
        let mut last = None;
        for (row, span) in spans.iter().enumerate().take(batch.num_spans()) {
            let trace = id_at(traces, row) as TraceKey;
            if last.replace(trace) != Some(trace) {
                self.memory_keys.push(trace);
            }
            let span = u64::from_be_bytes(*span).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            self.spans.push((span ^ trace, trace));
        }
        self.account()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(number: usize) -> Run {
        Run {
            file: number.to_string(),
            number: 0,
        }
    }

    fn runs(all: &[(usize, &[TraceKey])]) -> Runs {
        let one = |(number, keys): &(usize, &[TraceKey])| (run(*number), Arc::from(*keys));
        all.iter().map(one).collect()
    }

    /// Compares these runs after those, and with nothing known.
    fn check(before: &[(usize, &[TraceKey])], now: &[(usize, &[TraceKey])], expected: &[TraceKey]) {
        let last = Compared::of_all(&runs(before));
        for last in [None, Some(last)] {
            let compared = Compared::of(&runs(now), last);
            let repeated: BTreeSet<TraceKey> = compared.repeated.iter().copied().collect();
            assert_eq!(repeated, expected.iter().copied().collect());
            assert_eq!(compared.runs, runs(now).into_keys().collect());
        }
    }

    #[test]
    fn what_comes_and_goes_is_compared_with_what_stays() {
        let (one, two): (&[_], &[_]) = (&[1, 2, 3, 4, 5, 6, 7, 8, 9], &[5, 100, 1 << 40]);
        check(&[], &[(1, one), (2, two)], &[5]);
        check(&[(1, one)], &[(1, one), (2, two)], &[5]);
        check(&[(1, one), (2, two)], &[(1, one), (2, two)], &[5]);
        check(&[(1, one), (2, two)], &[(1, one)], &[]);
        check(&[(1, one), (2, two)], &[(1, one), (3, two)], &[5]);
        check(
            &[(1, one), (2, two)],
            &[(1, one), (2, two), (3, &[5, 9, 100])],
            &[5, 9, 100],
        );
        check(&[(1, one), (2, two)], &[(1, one), (3, &[4])], &[4]);
        check(&[(1, one), (2, two)], &[], &[]);
    }

    #[test]
    fn runs_of_files_that_are_gone_are_forgotten() {
        let cache = RepeatCache::default();
        let (one, two): (&[_], &[_]) = (&[1, 2], &[2, 3]);
        let both = runs(&[(1, one), (2, two)]);
        cache.put(
            both.clone(),
            Compared::of_all(&both),
            ["1", "2"].into_iter(),
        );
        let wanted: BTreeSet<Run> = both.keys().cloned().collect();
        assert_eq!(cache.get(&wanted).0, both);
        let rest = runs(&[(2, two)]);
        cache.put(rest.clone(), Compared::of_all(&rest), ["2"].into_iter());
        assert_eq!(cache.get(&wanted).0, rest);
    }
}
