//! Reading all spans of given traces from the store, straight, without a plan: the store skips what has none of them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::Array as _;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use futures::{StreamExt as _, stream};
use rustc_hash::FxHashSet;
use spanlight_model::{SpanBatch, TraceId};
use spanlight_store::{ReadError, ScanColumns, ScanReport, ScanRequest, Snapshot};

use crate::answer::Inspected;
use crate::explain::ExplainedStep;
use crate::limits::PartialReason;

/// Partitions that are read at the same time.
const PARTITIONS_AT_ONCE: usize = 8;

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

/// Reads the spans of these traces.
pub(crate) async fn load(
    snapshot: &Snapshot,
    ids: Arc<BTreeSet<TraceId>>,
    columns: ScanColumns,
    memory: &Arc<dyn MemoryPool>,
) -> Result<Loaded, MemoryFull> {
    let request = ScanRequest {
        time_range: None,
        trace_ids: Some(ids),
        columns,
        filter: None,
    };
    let started = Instant::now();
    let scan = snapshot.scan(&request).await;
    let mut loaded = Loaded {
        parts: Vec::new(),
        partial: Vec::new(),
        inspected: Inspected::default(),
        memory: MemoryConsumer::new("spans of traces").register(memory),
        buffers: FxHashSet::default(),
        report: scan.report,
        elapsed: Duration::ZERO,
    };
    let partitions = scan.partitions;
    loaded.inspected.partitions = partitions.len() as u64;
    let mut batches = stream::iter(partitions)
        .map(|partition| {
            let name = partition.describe();
            partition.stream().map(move |read| (name.clone(), read))
        })
        .flatten_unordered(PARTITIONS_AT_ONCE);
    while let Some((partition, read)) = batches.next().await {
        match read {
            Ok(batch) => loaded.push(batch)?,
            Err(error) => loaded.partial.push(unreadable(partition, &error)),
        }
    }
    drop(batches);
    loaded.elapsed = started.elapsed();
    Ok(loaded)
}

impl Loaded {
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

    fn push(&mut self, batch: SpanBatch) -> Result<(), MemoryFull> {
        if batch.is_empty() {
            return Ok(());
        }
        let bytes = new_bytes(&batch, &mut self.buffers);
        self.memory.try_grow(bytes).map_err(|_| MemoryFull)?;
        self.inspected.spans += batch.num_spans() as u64;
        self.inspected.bytes += bytes as u64;
        self.parts.push(batch);
        Ok(())
    }
}

/// Bytes of the buffers that are not among those known, which they become.
fn new_bytes(batch: &SpanBatch, known: &mut FxHashSet<usize>) -> usize {
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

/// The reason that an answer lacks what could not be read.
pub(crate) fn unreadable(partition: String, error: &ReadError) -> PartialReason {
    PartialReason::Unreadable {
        partition,
        message: error.to_string(),
    }
}
