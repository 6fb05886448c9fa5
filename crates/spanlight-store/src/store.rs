//! [`Store`]: the handle that everything else holds. `open` has the order in which its parts start.

mod open;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use spanlight_model::{SpanBatch, TraceId};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{self, JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::budget::{Budget, Reservation};
use crate::cold::read::FileReader;
use crate::cold::remote::table::RemoteTable;
use crate::compaction::CompactionStep;
use crate::counters::{CounterBook, ServiceCounters};
use crate::delete::{Deletion, DeletionStep};
use crate::error::{AppendError, FlushError};
use crate::hot::Summary;
use crate::log::codec;
use crate::log::format::{PAYLOAD_BYTES_MAX, RECORD_HEADER_BYTES};
use crate::log::writer::{LogWriter, overloaded, record_room, seal_record};
use crate::maintenance::{Report, Request};
use crate::options::StoreOptions;
use crate::seal::SealRequest;
use crate::snapshot::{Published, Snapshot};
use crate::statistics::{
    ColdStatistics, DamageStatistics, Health, HotStatistics, RecentStatistics, Statistics,
};

/// Batches above this size are encoded on a blocking thread: below it the hand-over costs more than the work.
const ENCODE_INLINE_BYTES: usize = 1 << 20;

/// An open data directory. Cheap to clone; the directory is free again when the last clone is gone or one is closed.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    options: StoreOptions,
    published: Arc<Published>,
    budget: Arc<Budget>,
    log: Arc<LogWriter>,
    damage: DamageStatistics,
    report: Arc<Report>,
    counters: Arc<CounterBook>,
    reader: FileReader,
    remote: Option<RemoteTable>,
    seals: mpsc::Sender<SealRequest>,
    requests: mpsc::Sender<Request>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    closing: CancellationToken,
}

impl Store {
    /// Stores a batch. Returns when it is synced to the disk and visible to the next snapshot. Once called, the batch
    /// may be stored though the future is dropped.
    ///
    /// # Errors
    /// [`AppendError`]: nothing of the batch is visible then.
    pub async fn append(&self, batch: SpanBatch) -> Result<(), AppendError> {
        if batch.is_empty() {
            return Ok(());
        }
        let memory = self.reserve(&batch).await?;
        let (record, summary, batch) = if memory.0 > ENCODE_INLINE_BYTES {
            task::spawn_blocking(move || prepare(batch))
                .await
                .map_err(|_| AppendError::ShuttingDown)??
        } else {
            prepare(batch)?
        };
        let answer = self.inner.log.append(record, batch, summary, memory.1)?;
        answer.await.unwrap_or(Err(AppendError::ShuttingDown))
    }

    async fn reserve(&self, batch: &SpanBatch) -> Result<(usize, Reservation), AppendError> {
        let bytes = batch.byte_size();
        let limit = self.inner.budget.limit();
        if bytes > limit {
            return Err(AppendError::TooLarge { bytes, limit });
        }
        let memory = self.inner.budget.reserve_soon(bytes).await;
        let memory = memory.ok_or_else(|| {
            let recent = self.inner.published.load().recent.bytes();
            overloaded(if recent < self.inner.options.recent_bytes() {
                "the memory for new spans is full (limits.hot_bytes)"
            } else {
                "memory and the recent level are full (limits.hot_bytes, storage.recent_max): \
                 spans do not move on to the table"
            })
        })?;
        Ok((bytes, memory))
    }

    /// A view of everything that was acknowledged.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(self.inner.published.load(), self.inner.reader.clone())
    }

    /// Moves everything to the cold tier now. Returns when the log is cut too.
    ///
    /// # Errors
    /// [`FlushError`]: the spans stay where they are.
    pub async fn flush(&self) -> Result<(), FlushError> {
        // What is there may be all that the recent level can hold.
        self.adopt().await?;
        self.seal().await?;
        let adopted = self.adopt().await;
        self.inner.log.look().await;
        adopted
    }

    /// Moves everything that is in memory to the recent level now. Returns when the log is cut too.
    ///
    /// # Errors
    /// [`FlushError`]: the spans stay in memory, and in the log.
    pub async fn seal(&self) -> Result<(), FlushError> {
        let (reply, answer) = oneshot::channel();
        let sent = self.inner.seals.send(SealRequest::All(reply)).await;
        sent.map_err(|_| closed())?;
        let sealed = answer.await.unwrap_or_else(|_| Err(closed()));
        self.inner.log.look().await;
        sealed
    }

    /// Joins small files of the table until none are left that are worth it, telling each step.
    ///
    /// # Errors
    /// [`FlushError`]: what was joined so far stays joined.
    pub async fn compact(
        &self,
        mut progress: impl FnMut(CompactionStep),
    ) -> Result<(), FlushError> {
        let (steps, mut done) = mpsc::channel(open::REQUESTS);
        let (reply, answer) = oneshot::channel();
        let request = Request::Compact(steps, reply);
        let sent = self.inner.requests.send(request).await;
        sent.map_err(|_| closed())?;
        while let Some(step) = done.recv().await {
            progress(step);
        }
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Deletes every span of these traces for good, wherever it is. Spans that come meanwhile or later are new ones.
    ///
    /// # Errors
    /// [`FlushError`]: some may be deleted already; doing it again does no harm.
    pub async fn delete(&self, traces: BTreeSet<TraceId>) -> Result<Deletion, FlushError> {
        self.delete_and_tell(traces, |_| {}).await
    }

    /// The same, telling each file of the table that was looked into.
    ///
    /// # Errors
    /// [`FlushError`]: some may be deleted already; doing it again does no harm.
    pub async fn delete_and_tell(
        &self,
        traces: BTreeSet<TraceId>,
        mut progress: impl FnMut(DeletionStep),
    ) -> Result<Deletion, FlushError> {
        // Of what is in files nothing is in memory and in the log.
        self.flush().await?;
        let (reply, answer) = oneshot::channel();
        let (steps, mut done) = mpsc::channel(open::REQUESTS);
        let request = Request::Delete(Arc::new(traces), steps, reply);
        let sent = self.inner.requests.send(request).await;
        sent.map_err(|_| closed())?;
        while let Some(step) = done.recv().await {
            progress(step);
        }
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    async fn adopt(&self) -> Result<(), FlushError> {
        let (reply, answer) = oneshot::channel();
        let sent = self.inner.requests.send(Request::Adopt(reply)).await;
        sent.map_err(|_| closed())?;
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Does at once what the background tasks would do at their next look: seal, flush, delete, tidy up, each if it
    /// is due; and tries a log again that could not be written.
    pub async fn maintain(&self) {
        let (reply, answer) = oneshot::channel();
        if self
            .inner
            .seals
            .send(SealRequest::Tick(reply))
            .await
            .is_ok()
        {
            answer.await.ok();
        }
        let (reply, answer) = oneshot::channel();
        if self.inner.requests.send(Request::Tick(reply)).await.is_ok() {
            answer.await.ok();
        }
        self.inner.log.look().await;
    }

    /// Rates, errors and durations by operation, and calls between services, of every span since the directory was
    /// made. Blocks for the time that the spans in memory take to be counted: some hundredths of a second at most.
    #[must_use]
    pub fn service_counters(&self) -> ServiceCounters {
        let view = self.inner.published.load();
        self.inner.counters.with(&view.hot)
    }

    /// Whether the store does its job.
    #[must_use]
    pub fn health(&self) -> Health {
        let flush_failure = self.inner.report.failure();
        let stopped = || {
            let reason = "a background task of the store stopped; restart Spanlight";
            self.inner.has_stopped_task().then(|| reason.to_owned())
        };
        Health {
            unwritable: self.inner.log.unwritable().map(|reason| (*reason).clone()),
            flush_failure: flush_failure.or_else(stopped),
            cold_outage: self.inner.remote.as_ref().and_then(RemoteTable::outage),
            damage: self.damage(),
            unreadable: self
                .inner
                .reader
                .unreadable
                .of(&self.inner.published.load()),
        }
    }

    fn damage(&self) -> Option<String> {
        let damage = &self.inner.damage;
        (damage.records > 0 || damage.files > 0).then(|| {
            format!(
                "{} damaged parts of the log and {} damaged files of the recent level could not be read; they are kept in {}",
                damage.records,
                damage.files,
                self.inner.options.data_dir.join("damaged").display()
            )
        })
    }

    /// What the store counts.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let view = self.inner.published.load();
        let counters = self.inner.report.counters();
        let cold = &view.cold.files;
        Statistics {
            hot: HotStatistics {
                spans: view.hot.spans as u64,
                batches: view.hot.batches as u64,
                bytes: view.hot.bytes as u64,
                bytes_max: self.inner.options.hot_bytes as u64,
            },
            log: self.inner.log.statistics(),
            recent: RecentStatistics {
                files: view.recent.files().len() as u64,
                bytes: view.recent.bytes(),
                spans: view.recent.spans(),
                bytes_max: self.inner.options.recent_bytes(),
            },
            cold: ColdStatistics {
                files: cold.len() as u64,
                bytes: cold.iter().map(|file| file.bytes).sum(),
                spans: cold.iter().map(|file| file.spans).sum(),
                table_version: view.cold.version,
                footer_bytes: self.inner.reader.footers.bytes() as u64,
            },
            compaction: counters.compaction,
            sampling: counters.sampling,
            expired: counters.expired,
            cache: self
                .inner
                .remote
                .as_ref()
                .map_or_else(Default::default, RemoteTable::cache_statistics),
            seal: counters.seal,
            flush: counters.flush,
            damage: self.inner.damage.clone(),
        }
    }

    /// Ends the background work, waits for what is being written, and frees the directory. Spans that are hot stay in
    /// the log and are hot again at the next start.
    pub async fn close(self) {
        self.inner.closing.cancel();
        let tasks = std::mem::take(&mut *self.inner.tasks());
        for task in tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a background task of the store failed");
            }
        }
        self.inner.log.close();
        let log = Arc::clone(&self.inner.log);
        let counters = Arc::clone(&self.inner.counters);
        let ended = task::spawn_blocking(move || {
            counters.save();
            log.join();
        });
        ended.await.ok();
    }
}

impl Inner {
    fn tasks(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_stopped_task(&self) -> bool {
        self.tasks().iter().any(JoinHandle::is_finished)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.closing.cancel();
        self.log.close();
    }
}

fn closed() -> FlushError {
    FlushError::Log("the store is closed".to_owned())
}

/// A batch as a record of the log, and what is known of it.
fn prepare(batch: SpanBatch) -> Result<(Vec<u8>, Summary, SpanBatch), AppendError> {
    let mut record = record_room(batch.byte_size() / 2);
    codec::encode(&batch, &mut record).map_err(|error| AppendError::Encode(error.to_string()))?;
    seal_record(&mut record);
    let bytes = record.len() - RECORD_HEADER_BYTES;
    if bytes > PAYLOAD_BYTES_MAX {
        return Err(AppendError::TooLarge {
            bytes,
            limit: PAYLOAD_BYTES_MAX,
        });
    }
    let summary = Summary::of(&batch);
    Ok((record, summary, batch))
}
