//! Traces that are in several places, memory or runs of files, so that a span of them may be there twice.
//!
//! Within a run each span is there once, so counting its rows is exact but for these traces, which are read by their
//! ids and decided like those of a search. Which they are is found by reading the trace ids of all places once, and
//! remembered as long as the files stay the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::execution::memory_pool::MemoryReservation;
use rustc_hash::FxHashSet;
use spanlight_model::SpanBatch;
use spanlight_store::Partition;

use super::traces::id_at;
use crate::load::MemoryFull;
use crate::parallel::Worker;

/// Traces of files that are remembered, at most: eight bytes each.
const REMEMBERED_MAX: usize = 6 << 20;

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
        let mut places: BTreeMap<u32, Vec<TraceKey>> = BTreeMap::new();
        for (place, mut keys) in workers.into_iter().flat_map(|it| it.keys) {
            places.entry(place).or_default().append(&mut keys);
        }
        let mut keys = Vec::with_capacity(places.values().map(Vec::len).sum());
        for (_, mut of_place) in places {
            // A trace goes on from one part of a run to the next.
            of_place.sort_unstable();
            of_place.dedup();
            keys.append(&mut of_place);
        }
        // Finds the sorted runs of the places, and merges them.
        keys.sort();
        let pairs = keys.windows(2).filter(|pair| pair[0] == pair[1]);
        let repeated = pairs.map(|pair| pair[0]).collect();
        keys.dedup();
        Self {
            parts,
            keys,
            repeated: Arc::new(repeated),
        }
    }

    /// The traces in several of the files, or in one and in memory.
    pub(crate) fn repeated(&self, memory: Vec<KeyWorker>) -> Arc<Repeated> {
        let keys = memory.into_iter().flat_map(|it| it.keys);
        let keys = keys.flat_map(|(_, keys)| keys);
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
    /// Of each partition, the number of its place and the keys of its traces, in its order.
    keys: Vec<(u32, Vec<TraceKey>)>,
    /// Of the partition that is being read.
    open: Vec<TraceKey>,
    last: Option<u128>,
    count: usize,
    places: Arc<Vec<String>>,
    place: u32,
    memory: MemoryReservation,
}

impl KeyWorker {
    /// `places` are the runs of the files, sorted.
    pub(crate) fn new(places: &Arc<Vec<String>>, memory: MemoryReservation) -> Self {
        Self {
            keys: Vec::new(),
            open: Vec::new(),
            last: None,
            count: 0,
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
        self.last = None;
    }

    fn take(&mut self, batch: &SpanBatch) -> Result<(), MemoryFull> {
        let columns = batch.columns();
        let ids = columns.trace_ids.value_data();
        for row in 0..batch.num_spans() {
            let id = id_at(ids, row);
            if self.last != Some(id) {
                self.last = Some(id);
                self.open.push(id as TraceKey);
            }
        }
        let bytes = (self.count + self.open.capacity()) * size_of::<TraceKey>();
        self.memory.try_resize(bytes).map_err(|_| MemoryFull)
    }

    fn end(&mut self) -> Result<(), MemoryFull> {
        let mut keys = std::mem::take(&mut self.open);
        keys.shrink_to_fit();
        self.count += keys.len();
        self.keys.push((self.place, keys));
        Ok(())
    }
}
