//! Reading all spans of given traces from the store, straight, without a plan: the store skips what has none of them.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arrow_array::Array as _;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use futures::future::join_all;
use rustc_hash::FxHashSet;
use spanlight_model::{SpanBatch, TraceId};
use spanlight_store::{Partition, ReadError, ScanColumns, ScanReport, ScanRequest, Snapshot};
use tokio::runtime::Handle;
use tokio::task::{self, JoinError};

use crate::answer::Inspected;
use crate::explain::ExplainedStep;
use crate::limits::PartialReason;
use crate::parallel::workers;

/// The spans of some traces, still with repeats, and the memory that they take.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// Batches that hold spans of the traces, and may hold others.
    pub(crate) parts: Vec<SpanBatch>,
    pub(crate) partial: Vec<PartialReason>,
    pub(crate) inspected: Inspected,
    /// Held as long as the parts.
    memory: MemoryReservation,
    /// The buffers that were accounted for: batches of a file share dictionaries, and columns that nobody reads.
    buffers: FxHashSet<usize>,
    report: Arc<ScanReport>,
    elapsed: Duration,
}

/// The memory is full.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MemoryFull;

/// A load that has begun, and those who take part in it.
struct Loading {
    /// Those that nobody reads yet.
    partitions: Mutex<Vec<Partition>>,
    loaded: Mutex<Result<Loaded, MemoryFull>>,
    /// Nobody waits for it.
    dropped: Arc<AtomicBool>,
}

/// Ends the reading when nobody waits for it.
struct Waiting(Arc<AtomicBool>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Reads the spans of these traces.
pub(crate) async fn load(
    snapshot: &Snapshot,
    ids: Arc<BTreeSet<TraceId>>,
    columns: ScanColumns,
    memory: &Arc<dyn MemoryPool>,
) -> Result<Loaded, MemoryFull> {
    let loaded = load_then(snapshot, ids, columns, memory, |loaded| loaded).await;
    loaded.unwrap_or_else(|error| {
        let mut loaded = Loaded::new(Arc::default(), memory);
        loaded.partial.push(broken_off(&error));
        Ok(loaded)
    })
}

/// Reads the spans of these traces, and goes on with them on the thread that has read them.
///
/// # Errors
/// When reading breaks off.
pub(crate) async fn load_then<T: Send + 'static>(
    snapshot: &Snapshot,
    ids: Arc<BTreeSet<TraceId>>,
    columns: ScanColumns,
    memory: &Arc<dyn MemoryPool>,
    then: impl FnOnce(Result<Loaded, MemoryFull>) -> T + Send + 'static,
) -> Result<T, JoinError> {
    let request = ScanRequest {
        time_range: None,
        trace_ids: Some(ids),
        columns,
        filter: None,
    };
    let (snapshot, memory) = (snapshot.clone(), Arc::clone(memory));
    let dropped = Arc::<AtomicBool>::default();
    let waiting = Waiting(Arc::clone(&dropped));
    let work = move || then(read(&snapshot, &request, &memory, dropped));
    let done = task::spawn_blocking(work).await;
    drop(waiting);
    done
}

/// Reads on this thread, and on others where there is much to read.
fn read(
    snapshot: &Snapshot,
    request: &ScanRequest,
    memory: &Arc<dyn MemoryPool>,
    dropped: Arc<AtomicBool>,
) -> Result<Loaded, MemoryFull> {
    let started = Instant::now();
    let runtime = Handle::current();
    let scan = snapshot.scan_known(request);
    let scan = scan.unwrap_or_else(|| runtime.block_on(snapshot.scan(request)));
    let count = scan.partitions.len();
    let loading = Arc::new(Loading {
        partitions: Mutex::new(scan.partitions),
        loaded: Mutex::new(Ok(Loaded::new(scan.report, memory))),
        dropped,
    });
    let others = match count {
        0 | 1 => 0,
        _ => workers().min(count) - 1,
    };
    let others = (0..others).map(|_| {
        let loading = Arc::clone(&loading);
        runtime.spawn_blocking(move || loading.read())
    });
    let others: Vec<_> = others.collect();
    loading.read();
    let others = runtime.block_on(join_all(others));
    let mut loaded = loading.take()?;
    let failed = others.into_iter().filter_map(Result::err);
    loaded
        .partial
        .extend(failed.map(|error| broken_off(&error)));
    loaded.inspected.partitions = count as u64;
    loaded.elapsed = started.elapsed();
    Ok(loaded)
}

impl Loading {
    /// Reads partitions until none is left.
    fn read(&self) {
        while let Some(partition) = self.next() {
            let name = partition.describe();
            partition.read(|batch| {
                let mut loaded = self.loaded();
                if let Ok(loading) = loaded.as_mut()
                    && let Err(full) = loading.push(&name, batch)
                {
                    *loaded = Err(full);
                }
                match loaded.is_err() || self.dropped.load(Ordering::Relaxed) {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                }
            });
        }
    }

    fn next(&self) -> Option<Partition> {
        if self.dropped.load(Ordering::Relaxed) || self.loaded().is_err() {
            return None;
        }
        let partitions = self.partitions.lock();
        partitions.unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn loaded(&self) -> MutexGuard<'_, Result<Loaded, MemoryFull>> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was read, when nobody reads any more.
    fn take(&self) -> Result<Loaded, MemoryFull> {
        std::mem::replace(&mut *self.loaded(), Err(MemoryFull))
    }
}

impl Loaded {
    fn new(report: Arc<ScanReport>, memory: &Arc<dyn MemoryPool>) -> Self {
        Self {
            parts: Vec::new(),
            partial: Vec::new(),
            inspected: Inspected::default(),
            memory: MemoryConsumer::new("spans of traces").register(memory),
            buffers: FxHashSet::default(),
            report,
            elapsed: Duration::ZERO,
        }
    }

    /// What it took.
    pub(crate) fn explain(&self, name: &'static str) -> ExplainedStep {
        ExplainedStep {
            name,
            filter: None,
            rounds: 1,
            elapsed: self.elapsed,
            figures: self.report.figures(),
        }
    }

    fn push(
        &mut self,
        partition: &str,
        read: Result<SpanBatch, ReadError>,
    ) -> Result<(), MemoryFull> {
        let batch = match read {
            Ok(batch) if batch.is_empty() => return Ok(()),
            Ok(batch) => batch,
            Err(error) => {
                self.partial.push(unreadable(partition.to_owned(), &error));
                return Ok(());
            }
        };
        let bytes = new_bytes(&batch, &mut self.buffers);
        self.memory.try_grow(bytes).map_err(|_| MemoryFull)?;
        self.inspected.spans += batch.num_spans() as u64;
        self.inspected.bytes += bytes as u64;
        self.parts.push(batch);
        Ok(())
    }
}

/// Bytes of the buffers that are not among those known, which they become.
pub(crate) fn new_bytes(batch: &SpanBatch, known: &mut FxHashSet<usize>) -> usize {
    let mut bytes = 0;
    let columns = batch.record_batch().columns().iter();
    let mut left: Vec<_> = columns.map(|column| column.to_data()).collect();
    while let Some(data) = left.pop() {
        let nulls = data.nulls().map(|nulls| nulls.buffer());
        let buffers = data.buffers().iter().chain(nulls);
        let new = buffers.filter(|buffer| known.insert(buffer.data_ptr().as_ptr() as usize));
        bytes += new.map(|buffer| buffer.capacity()).sum::<usize>();
        left.extend(data.child_data().iter().cloned());
    }
    bytes
}

/// The reason that an answer lacks what a thread was to read that has broken off.
pub(crate) fn broken_off(error: &impl ToString) -> PartialReason {
    PartialReason::Unreadable {
        partition: "a part of the store".to_owned(),
        message: error.to_string(),
    }
}

/// The reason that an answer lacks what could not be read.
pub(crate) fn unreadable(partition: String, error: &ReadError) -> PartialReason {
    PartialReason::Unreadable {
        partition,
        message: error.to_string(),
    }
}
