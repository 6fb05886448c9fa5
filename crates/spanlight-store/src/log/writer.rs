//! Group commit: appenders encode on their own threads and queue bytes; one thread writes everything that waits, syncs
//! once, publishes, and only then answers.
//!
//! A write or sync that fails fails its whole group. The segment is abandoned: cut back to what was acknowledged, read
//! back, and rewritten from memory where the disk lost it. Until a new segment can be begun, appends are refused.

mod committer;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use spanlight_model::SpanBatch;
use tokio::sync::{Notify, oneshot};

use self::committer::Committer;
use super::format::RECORD_HEADER_BYTES;
use super::recovery::SealedSegment;
use crate::budget::Reservation;
use crate::directory::Directory;
use crate::disk::Disk;
use crate::error::AppendError;
use crate::hot::Summary;
use crate::options::FsyncPolicy;
use crate::snapshot::Published;
use crate::statistics::LogStatistics;

/// When to come back after the log could not be written.
const RETRY_UNWRITABLE: Duration = Duration::from_secs(1);
/// When to come back after a limit was reached.
const RETRY_OVERLOADED: Duration = Duration::from_millis(500);

/// What the writer needs to know.
#[derive(Debug)]
pub(crate) struct WriterOptions {
    pub(crate) directory: Arc<Directory>,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) published: Arc<Published>,
    /// Told when `flush_bytes` are hot.
    pub(crate) flush_wanted: Arc<Notify>,
    pub(crate) flush_bytes: usize,
    pub(crate) fsync: FsyncPolicy,
    pub(crate) segment_bytes: u64,
    pub(crate) queue_bytes: usize,
    pub(crate) probe_interval: Duration,
    /// What recovery found.
    pub(crate) sealed: Vec<SealedSegment>,
    pub(crate) next_sequence: u64,
    pub(crate) next_segment: u64,
}

/// The handle to the writer's thread.
#[derive(Debug)]
pub(crate) struct LogWriter {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// A batch on its way: its record, with room for the header, and what queries will see.
#[derive(Debug)]
pub(crate) struct Append {
    pub(crate) record: Vec<u8>,
    pub(crate) spans: SpanBatch,
    pub(crate) summary: Summary,
    pub(crate) memory: Reservation,
    reply: oneshot::Sender<Result<(), AppendError>>,
}

#[derive(Debug)]
enum Command {
    Append(Box<Append>),
    /// End the segment; answers with the last sequence number so far. Everything up to it is published or failed.
    Seal(oneshot::Sender<u64>),
    /// Remove the segments whose records are all in the table.
    Cut(u64),
    /// Try a log that is unwritable once more; answers when that and everything before it is done.
    Look(oneshot::Sender<()>),
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    queue_bytes: usize,
    unwritable: ArcSwapOption<String>,
    counters: Counters,
}

#[derive(Debug, Default)]
struct Queue {
    commands: VecDeque<Command>,
    bytes: usize,
    closed: bool,
}

#[derive(Debug, Default)]
struct Counters {
    segments: AtomicU64,
    bytes: AtomicU64,
    appended_batches: AtomicU64,
    appended_spans: AtomicU64,
    appended_bytes: AtomicU64,
    syncs: AtomicU64,
    sync_nanos: AtomicU64,
    last_sync_nanos: AtomicU64,
    failures: AtomicU64,
}

impl LogWriter {
    /// Starts the thread.
    pub(crate) fn start(options: WriterOptions) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            wake: Condvar::new(),
            queue_bytes: options.queue_bytes,
            unwritable: ArcSwapOption::empty(),
            counters: Counters::default(),
        });
        let committer = Committer::new(options, Arc::clone(&shared));
        let thread = thread::Builder::new()
            .name("spanlight-log".to_owned())
            .spawn(move || committer.run())?;
        Ok(Self {
            shared,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Queues a batch; the receiver gets the answer. `record` is [`record_room`] and the
    /// payload, sealed.
    pub(crate) fn append(
        &self,
        record: Vec<u8>,
        spans: SpanBatch,
        summary: Summary,
        memory: Reservation,
    ) -> Result<oneshot::Receiver<Result<(), AppendError>>, AppendError> {
        if let Some(reason) = self.unwritable() {
            return Err(unwritable(&reason));
        }
        let (reply, answer) = oneshot::channel();
        let bytes = record.len();
        let mut queue = self.shared.lock();
        if queue.closed {
            return Err(AppendError::ShuttingDown);
        }
        // One record always fits: it may be larger than the queue.
        if queue.bytes > 0 && queue.bytes + bytes > self.shared.queue_bytes {
            return Err(overloaded("too many bytes wait for the disk"));
        }
        queue.bytes += bytes;
        queue.commands.push_back(Command::Append(Box::new(Append {
            record,
            spans,
            summary,
            memory,
            reply,
        })));
        drop(queue);
        self.shared.wake.notify_one();
        Ok(answer)
    }

    /// Ends the segment; the last sequence number so far, or `None` when the writer is gone.
    pub(crate) async fn seal(&self) -> Option<u64> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Seal(reply));
        answer.await.ok()
    }

    /// Removes the segments whose records are all in the table.
    pub(crate) fn cut(&self, through: u64) {
        self.send(Command::Cut(through));
    }

    /// Does what waits, tries again where the disk failed, and returns when both are done.
    pub(crate) async fn look(&self) {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Look(reply));
        answer.await.ok();
    }

    fn send(&self, command: Command) {
        let mut queue = self.shared.lock();
        if !queue.closed {
            queue.commands.push_back(command);
        }
        drop(queue);
        self.shared.wake.notify_one();
    }

    /// Why appends are refused, if they are.
    pub(crate) fn unwritable(&self) -> Option<Arc<String>> {
        self.shared.unwritable.load_full()
    }

    /// Takes nothing more; what waits is still written. Does not wait.
    pub(crate) fn close(&self) {
        self.shared.lock().closed = true;
        self.shared.wake.notify_one();
    }

    /// Waits for the thread to end. Blocks.
    pub(crate) fn join(&self) {
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the log's thread panicked");
        }
    }

    pub(crate) fn statistics(&self) -> LogStatistics {
        let counters = &self.shared.counters;
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        LogStatistics {
            segments: load(&counters.segments),
            bytes: load(&counters.bytes),
            queued_bytes: self.shared.lock().bytes as u64,
            appended_batches: load(&counters.appended_batches),
            appended_spans: load(&counters.appended_spans),
            appended_bytes: load(&counters.appended_bytes),
            syncs: load(&counters.syncs),
            sync_time: Duration::from_nanos(load(&counters.sync_nanos)),
            last_sync: Duration::from_nanos(load(&counters.last_sync_nanos)),
            failures: load(&counters.failures),
        }
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything that waits; `None` when there is nothing and there never will be. Empty after the time-out.
    fn take(&self, timeout: Option<Duration>) -> Option<VecDeque<Command>> {
        let mut queue = self.lock();
        while queue.commands.is_empty() && !queue.closed {
            let Some(timeout) = timeout else {
                queue = self
                    .wake
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let (next, result) = self
                .wake
                .wait_timeout(queue, timeout)
                .unwrap_or_else(PoisonError::into_inner);
            queue = next;
            if result.timed_out() {
                break;
            }
        }
        if queue.commands.is_empty() && queue.closed {
            return None;
        }
        queue.bytes = 0;
        Some(std::mem::take(&mut queue.commands))
    }
}

/// A record's buffer with room for the header.
pub(crate) fn record_room(payload_bytes: usize) -> Vec<u8> {
    let mut record = Vec::with_capacity(RECORD_HEADER_BYTES + payload_bytes);
    record.resize(RECORD_HEADER_BYTES, 0);
    record
}

/// Notes the payload's checksum in the room for the header, so that the one writing thread need not compute it.
pub(crate) fn seal_record(record: &mut [u8]) {
    let checksum = crc32c::crc32c(&record[RECORD_HEADER_BYTES..]);
    record[..4].copy_from_slice(&checksum.to_le_bytes());
}

fn payload_checksum(record: &[u8]) -> u32 {
    let mut checksum = [0; 4];
    checksum.copy_from_slice(&record[..4]);
    u32::from_le_bytes(checksum)
}

pub(crate) fn overloaded(what: &'static str) -> AppendError {
    AppendError::Overloaded {
        what,
        retry_after: RETRY_OVERLOADED,
    }
}

fn unwritable(reason: &str) -> AppendError {
    AppendError::Unwritable {
        reason: reason.to_owned(),
        retry_after: RETRY_UNWRITABLE,
    }
}

/// A segment that is being written.
struct Active {
    path: PathBuf,
    file: Box<dyn crate::disk::DiskFile>,
    /// Bytes that are synced.
    bytes: u64,
    /// Sequence numbers of the records that are synced.
    sequence_min: u64,
    sequence_max: u64,
}
