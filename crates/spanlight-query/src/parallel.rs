//! A pass over partitions of the store by as many workers as there are cores, each with a state and a thread of its
//! own: it reads what it then looks at, so that no batch waits for another thread to wake up.
//!
//! What cannot be read is no error: it is noted in the [`ScanReport`], and the rest goes on. Dropping the pass ends it.

use std::io;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use spanlight_model::SpanBatch;
use spanlight_store::{AttributeColumn, Partition, ReadError};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::background;
use crate::error::QueryError;
use crate::load::MemoryFull;
use crate::scan::ScanReport;

/// Workers look at the time between batches. One that is not done so long after the deadline hangs in a read: what it
/// has found is given up.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a worker does with what it reads.
pub(crate) trait Worker: Send + 'static {
    /// Reads a partition: its batches, unless the worker knows a shorter way.
    fn read(&mut self, partition: Partition, reading: &Reading<'_>) -> Result<(), Stopped>
    where
        Self: Sized,
    {
        reading.batches(self, partition)
    }

    /// A partition begins.
    fn begin(&mut self, _: &Partition) {}

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

/// What the workers share.
struct Work {
    partitions: Mutex<Vec<Partition>>,
    report: Arc<ScanReport>,
    deadline: Instant,
    /// Nobody waits for the answer.
    dropped: AtomicBool,
}

/// What a worker reads with.
pub(crate) struct Reading<'w> {
    work: &'w Work,
    /// The partition.
    name: String,
}

/// Ends the workers when the pass is dropped.
struct Waiting(Arc<Work>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.dropped.store(true, Ordering::Relaxed);
    }
}

/// Reads the partitions, the last first, and hands back the workers.
pub(crate) async fn pass<W: Worker>(
    partitions: Vec<Partition>,
    workers: Vec<W>,
    report: &Arc<ScanReport>,
    deadline: Instant,
) -> Result<(Vec<W>, Option<Stopped>), QueryError> {
    let work = Arc::new(Work {
        partitions: Mutex::new(partitions),
        report: Arc::clone(report),
        deadline,
        dropped: AtomicBool::new(false),
    });
    let waiting = Waiting(Arc::clone(&work));
    let running = begin(workers, |worker| {
        let work = Arc::clone(&work);
        background::spawn(move || work.run(worker))
    });
    let mut running = running.map_err(|error| QueryError::Internal(error.to_string()))?;
    let (mut done, mut stopped) = (Vec::new(), None);
    loop {
        match timeout_at(deadline + PATIENCE, running.next()).await {
            Ok(Some(worker)) => {
                let broken_off = |_| QueryError::Internal("a worker broke off".to_owned());
                let (worker, why) = worker.map_err(broken_off)?;
                stopped = stopped.or(why);
                done.push(worker);
            }
            Ok(None) => break,
            Err(_) => {
                stopped = Some(Stopped::Time);
                break;
            }
        }
    }
    drop(waiting);
    Ok((done, stopped))
}

/// Sends as many workers off as the system has threads for: these do the work of all.
fn begin<W, R>(
    workers: Vec<W>,
    send_off: impl Fn(W) -> io::Result<oneshot::Receiver<R>>,
) -> io::Result<FuturesUnordered<oneshot::Receiver<R>>> {
    let (running, mut failed) = (FuturesUnordered::new(), None);
    for worker in workers {
        match send_off(worker) {
            Ok(ended) => running.push(ended),
            Err(error) => failed = Some(error),
        }
    }
    match failed {
        Some(error) if running.is_empty() => Err(error),
        _ => Ok(running),
    }
}

/// How many workers a pass has.
pub(crate) fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

impl Work {
    fn next(&self) -> Option<Partition> {
        let mut partitions = self
            .partitions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        partitions.pop()
    }

    fn run<W: Worker>(&self, mut worker: W) -> (W, Option<Stopped>) {
        while let Some(partition) = self.next() {
            self.report.opened();
            let name = partition.describe();
            let reading = Reading { work: self, name };
            let read = match self.stopped() {
                Some(why) => Err(why),
                None => worker.read(partition, &reading),
            };
            if let Err(why) = read {
                // The others need not go on with what is thrown away.
                while self.next().is_some() {}
                return (worker, Some(why));
            }
        }
        worker.finish();
        (worker, None)
    }

    fn stopped(&self) -> Option<Stopped> {
        let late = Instant::now() >= self.deadline || self.dropped.load(Ordering::Relaxed);
        late.then_some(Stopped::Time)
    }
}

impl Reading<'_> {
    /// What was read; what cannot be is noted.
    pub(crate) fn note<T>(&self, read: Result<T, ReadError>) -> Option<T> {
        read.map_err(|error| self.work.report.note_unreadable(&self.name, &error))
            .ok()
    }

    /// Hands the batches of the partition to the worker.
    pub(crate) fn batches<W: Worker>(
        &self,
        worker: &mut W,
        partition: Partition,
    ) -> Result<(), Stopped> {
        worker.begin(&partition);
        let mut stopped = None;
        partition.read(|read| {
            let read = self.work.report.note(&self.name, read);
            self.go_on(&mut stopped, read, |batch| worker.take(&batch))
        });
        self.end(worker, stopped)
    }

    /// The same with attributes by themselves, as [`Partition::read_apart`] gives them.
    pub(crate) fn apart<W: Worker>(
        &self,
        worker: &mut W,
        partition: Partition,
        batch_spans: usize,
        has_values: impl Fn(&str) -> bool,
        take: impl Fn(&mut W, &SpanBatch, &[AttributeColumn]) -> Result<(), MemoryFull>,
    ) -> Result<(), Stopped> {
        worker.begin(&partition);
        let mut stopped = None;
        partition.read_apart(batch_spans, has_values, |read| {
            let (batch, apart) = read.map_or_else(
                |error| (Err(error), Vec::new()),
                |(batch, apart)| (Ok(batch), apart),
            );
            let read = self.work.report.note(&self.name, batch);
            self.go_on(&mut stopped, read, |batch| take(worker, &batch, &apart))
        });
        self.end(worker, stopped)
    }

    /// Hands on what was read, and says whether to read more.
    fn go_on(
        &self,
        stopped: &mut Option<Stopped>,
        read: Option<SpanBatch>,
        take: impl FnOnce(SpanBatch) -> Result<(), MemoryFull>,
    ) -> ControlFlow<()> {
        let full = read.is_some_and(|batch| take(batch).is_err());
        *stopped = full
            .then_some(Stopped::Memory)
            .or_else(|| self.work.stopped());
        match stopped {
            Some(_) => ControlFlow::Break(()),
            None => ControlFlow::Continue(()),
        }
    }

    fn end<W: Worker>(&self, worker: &mut W, stopped: Option<Stopped>) -> Result<(), Stopped> {
        match stopped {
            Some(why) => Err(why),
            None => worker.end().map_err(|_| Stopped::Memory),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of three workers are sent off when the system has so many threads.
    fn sent_off(threads: usize) -> io::Result<usize> {
        let left = std::cell::Cell::new(threads);
        let send_off = |()| match left.get() {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            count => {
                left.set(count - 1);
                Ok(oneshot::channel::<()>().1)
            }
        };
        begin(vec![(); 3], send_off).map(|running| running.len())
    }

    #[test]
    fn a_pass_goes_on_with_the_threads_that_there_are() {
        assert_eq!(sent_off(5).unwrap(), 3);
        assert_eq!(sent_off(1).unwrap(), 1);
        assert!(sent_off(0).is_err());
    }
}
