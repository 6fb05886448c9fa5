//! Traces that are in several places, memory or runs of files, so that a span of them may be there twice.
//!
//! Within a run each span is there once, so counting its rows is exact but for these traces, which are read by their
//! ids and decided like those of a search. Which they are is found by reading the trace ids of all places once, and
//! remembered as long as the files stay the same.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::execution::memory_pool::MemoryReservation;
use rustc_hash::FxHashSet;
use spanlight_model::SpanBatch;
use spanlight_store::Partition;

use super::traces::id_at;
use crate::load::MemoryFull;
use crate::parallel::Worker;

/// Traces of files that are remembered, at most: eight bytes each.
const REMEMBERED_MAX: usize = 4 << 20;

/// The low half of a trace id: random in every id format.
pub(crate) type TraceKey = u64;

/// The traces that are in several places.
pub(crate) type Repeated = FxHashSet<TraceKey>;

/// What is known of some files.
#[derive(Debug, Default)]
pub(crate) struct FileTraces {
    /// The partitions that it is known of.
    parts: BTreeSet<String>,
    /// Sorted.
    keys: Vec<TraceKey>,
    repeated: Arc<Repeated>,
}

/// What was found out last.
#[derive(Debug, Default)]
pub(crate) struct RepeatCache(Mutex<Option<Arc<FileTraces>>>);

impl RepeatCache {
    /// What is known, if it is of all these partitions.
    pub(crate) fn get(&self, parts: &BTreeSet<String>) -> Option<Arc<FileTraces>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.as_ref()?;
        parts.is_subset(&known.parts).then(|| Arc::clone(known))
    }

    pub(crate) fn put(&self, traces: &Arc<FileTraces>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *known = (traces.keys.len() <= REMEMBERED_MAX).then(|| Arc::clone(traces));
    }
}

impl FileTraces {
    /// From the workers that have read the files.
    pub(crate) fn of(parts: BTreeSet<String>, workers: Vec<KeyWorker>) -> Self {
        let mut pairs: Vec<u128> = workers.into_iter().flat_map(|it| it.pairs).collect();
        // Finds the sorted runs of the workers, and merges them.
        pairs.sort();
        pairs.dedup();
        let mut keys = Vec::with_capacity(pairs.len());
        let mut repeated = Repeated::default();
        for pair in pairs {
            let key = (pair >> 32) as TraceKey;
            if keys.last() == Some(&key) {
                repeated.insert(key);
            } else {
                keys.push(key);
            }
        }
        Self {
            parts,
            keys,
            repeated: Arc::new(repeated),
        }
    }

    /// The traces in several of the files, or in one and in memory.
    pub(crate) fn repeated(&self, memory: Vec<KeyWorker>) -> Arc<Repeated> {
        let keys = memory.into_iter().flat_map(|it| it.pairs);
        let keys = keys.map(|pair| (pair >> 32) as TraceKey);
        let both: Vec<TraceKey> = keys
            .filter(|key| self.keys.binary_search(key).is_ok())
            .collect();
        if both.is_empty() {
            return Arc::clone(&self.repeated);
        }
        Arc::new(self.repeated.iter().copied().chain(both).collect())
    }
}

/// Reads the traces of partitions.
#[derive(Debug)]
pub(crate) struct KeyWorker {
    /// A trace's key, then the number of the place: 64 and 32 bits. Each run of spans has one.
    pairs: Vec<u128>,
    places: Arc<Vec<String>>,
    place: u32,
    memory: MemoryReservation,
}

impl KeyWorker {
    /// `places` are the runs of the files, sorted.
    pub(crate) fn new(places: &Arc<Vec<String>>, memory: MemoryReservation) -> Self {
        Self {
            pairs: Vec::new(),
            places: Arc::clone(places),
            place: 0,
            memory,
        }
    }
}

impl Worker for KeyWorker {
    fn begin(&mut self, partition: &Partition) {
        let run = partition.run();
        let place = run.and_then(|run| self.places.binary_search(&run).ok());
        self.place = place.map_or(u32::MAX, |place| place as u32);
    }

    fn take(&mut self, batch: &SpanBatch) -> Result<(), MemoryFull> {
        let columns = batch.columns();
        let ids = columns.trace_ids.value_data();
        let mut last = None;
        for row in 0..batch.num_spans() {
            let id = id_at(ids, row);
            if last != Some(id) {
                last = Some(id);
                let key = id as TraceKey;
                self.pairs
                    .push(u128::from(key) << 32 | u128::from(self.place));
            }
        }
        let bytes = self.pairs.capacity() * size_of::<u128>();
        self.memory.try_resize(bytes).map_err(|_| MemoryFull)
    }

    fn finish(&mut self) {
        self.pairs.sort_unstable();
        self.pairs.dedup();
    }
}
