//! A pass over partitions of the store by as many workers as there are cores, each with a state of its own.
//!
//! What cannot be read is no error: it is noted in the [`ScanReport`], and the rest goes on. Dropping the pass ends it.

use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt as _;
use spanlight_model::SpanBatch;
use spanlight_store::Partition;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::error::QueryError;
use crate::load::MemoryFull;
use crate::scan::ScanReport;

/// What a worker does with what it reads.
pub(crate) trait Worker: Send + 'static {
    /// A partition begins.
    fn begin(&mut self, partition: &Partition);

    /// A batch of the partition, in the partition's order.
    fn take(&mut self, batch: &SpanBatch) -> Result<(), MemoryFull>;

    /// The partition has ended.
    fn end(&mut self) -> Result<(), MemoryFull> {
        Ok(())
    }

    /// All partitions have ended: what can be done without the other workers.
    fn finish(&mut self) {}
}

/// Why a pass ended before it had seen everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stopped {
    Time,
    Memory,
}

/// Reads the partitions, the last first, and hands back the workers.
pub(crate) async fn pass<W: Worker>(
    partitions: Vec<Partition>,
    workers: Vec<W>,
    report: &Arc<ScanReport>,
    deadline: Instant,
) -> Result<(Vec<W>, Option<Stopped>), QueryError> {
    let queue = Arc::new(Mutex::new(partitions));
    let mut running = JoinSet::new();
    for worker in workers {
        running.spawn(work(
            worker,
            Arc::clone(&queue),
            Arc::clone(report),
            deadline,
        ));
    }
    let (mut done, mut stopped) = (Vec::new(), None);
    while let Some(worker) = running.join_next().await {
        let (worker, why) = worker.map_err(|error| QueryError::Internal(error.to_string()))?;
        stopped = stopped.or(why);
        done.push(worker);
    }
    Ok((done, stopped))
}

/// How many workers a pass has.
pub(crate) fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

async fn work<W: Worker>(
    mut worker: W,
    queue: Arc<Mutex<Vec<Partition>>>,
    report: Arc<ScanReport>,
    deadline: Instant,
) -> (W, Option<Stopped>) {
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let Some(partition) = next else {
            worker.finish();
            return (worker, None);
        };
        let why = match one(&mut worker, partition, &report, deadline).await {
            Ok(()) => continue,
            Err(why) => why,
        };
        // The others need not go on with what is thrown away.
        queue.lock().unwrap_or_else(PoisonError::into_inner).clear();
        return (worker, Some(why));
    }
}

async fn one<W: Worker>(
    worker: &mut W,
    partition: Partition,
    report: &ScanReport,
    deadline: Instant,
) -> Result<(), Stopped> {
    report.opened();
    let name = partition.describe();
    worker.begin(&partition);
    let mut batches = partition.stream();
    loop {
        if Instant::now() >= deadline {
            return Err(Stopped::Time);
        }
        let next = timeout_at(deadline, batches.next()).await;
        let Some(read) = next.map_err(|_| Stopped::Time)? else {
            break;
        };
        if let Some(batch) = report.note(&name, read) {
            worker.take(&batch).map_err(|_| Stopped::Memory)?;
        }
        // Batches in memory are always ready: let others have the thread.
        tokio::task::yield_now().await;
    }
    worker.end().map_err(|_| Stopped::Memory)
}
