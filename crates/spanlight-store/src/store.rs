//! [`Store`]: the handle that everything else holds, and the order in which its parts start and stop.

use std::path::PathBuf;
use std::sync::Arc;

use spanlight_model::SpanBatch;
use tokio::sync::Notify;
use tokio::task;

use crate::budget::{Budget, Reservation};
use crate::directory::Directory;
use crate::error::{AppendError, FlushError, OpenError};
use crate::hot::{HotBatch, HotTier, Summary};
use crate::log::codec;
use crate::log::format::{PAYLOAD_BYTES_MAX, RECORD_HEADER_BYTES};
use crate::log::recovery::{Recovered, Recovery};
use crate::log::writer::{LogWriter, WriterOptions, overloaded, record_room, seal_record};
use crate::options::StoreOptions;
use crate::snapshot::{Published, Snapshot};
use crate::statistics::{DamageStatistics, Health, HotStatistics, Statistics};

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
    log: LogWriter,
    damage: DamageStatistics,
}

impl Store {
    /// Opens the directory, recovers what a crash left, and starts the background work. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`OpenError`] says what is wrong with the directory and what to do.
    pub async fn open(options: StoreOptions) -> Result<Self, OpenError> {
        let root = absolute(&options)?;
        let disk = Arc::clone(&options.disk);
        let directory = blocking(move || Directory::open(disk.as_ref(), &root)).await?;
        let directory = Arc::new(directory);
        let committed = 0;

        let disk = Arc::clone(&options.disk);
        let place = Arc::clone(&directory);
        let recovered = blocking(move || {
            let recovery = Recovery {
                disk: disk.as_ref(),
                log_dir: &place.log(),
                damaged_dir: &place.damaged(),
                committed,
            };
            recovery.run()
        })
        .await?;
        Self::start(options, directory, recovered)
    }

    fn start(
        options: StoreOptions,
        directory: Arc<Directory>,
        recovered: Recovered,
    ) -> Result<Self, OpenError> {
        let budget = Arc::new(Budget::new(options.hot_bytes));
        let published = Arc::new(Published::default());
        let batches = recovered.batches.into_iter().map(|(sequence, spans)| {
            let summary = Summary::of(&spans);
            Arc::new(HotBatch {
                sequence,
                _memory: budget.reserve_anyway(summary.bytes),
                spans,
                summary,
            })
        });
        let hot = HotTier::default().with(batches);
        published.update(|view| view.with_hot(hot));
        let log_dir = directory.log();
        let log = LogWriter::start(WriterOptions {
            directory,
            disk: Arc::clone(&options.disk),
            published: Arc::clone(&published),
            flush_wanted: Arc::new(Notify::new()),
            flush_bytes: options.hot_bytes / 2,
            fsync: options.fsync,
            segment_bytes: options.segment_bytes,
            queue_bytes: options.queue_bytes,
            probe_interval: options.probe_interval,
            sealed: recovered.segments,
            next_sequence: recovered.sequence_max + 1,
            next_segment: recovered.segment_number_max + 1,
        })
        .map_err(|source| OpenError::Disk {
            path: log_dir,
            source,
        })?;
        Ok(Self {
            inner: Arc::new(Inner {
                options,
                published,
                budget,
                log,
                damage: recovered.damage,
            }),
        })
    }

    /// Stores a batch. Returns when it is synced to the disk and visible to the next snapshot. Once called, the batch
    /// may be stored though the future is dropped.
    ///
    /// # Errors
    /// [`AppendError`]: nothing of the batch is visible then.
    pub async fn append(&self, batch: SpanBatch) -> Result<(), AppendError> {
        if batch.is_empty() {
            return Ok(());
        }
        let memory = self.reserve(&batch)?;
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

    fn reserve(&self, batch: &SpanBatch) -> Result<(usize, Reservation), AppendError> {
        let bytes = batch.byte_size();
        let limit = self.inner.budget.limit();
        if bytes > limit {
            return Err(AppendError::TooLarge { bytes, limit });
        }
        let memory = self.inner.budget.reserve(bytes);
        let memory = memory.ok_or_else(|| overloaded("the memory for new spans is full"))?;
        Ok((bytes, memory))
    }

    /// A view of everything that was acknowledged.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(self.inner.published.load())
    }

    /// Moves everything that is hot to the cold tier now.
    ///
    /// # Errors
    /// [`FlushError`]: the spans stay hot, and in the log.
    pub async fn flush(&self) -> Result<(), FlushError> {
        Ok(())
    }

    /// Whether the store does its job.
    #[must_use]
    pub fn health(&self) -> Health {
        Health {
            unwritable: self.inner.log.unwritable().map(|reason| (*reason).clone()),
            flush_failure: None,
        }
    }

    /// What the store counts.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let view = self.inner.published.load();
        Statistics {
            hot: HotStatistics {
                spans: view.hot.spans as u64,
                batches: view.hot.batches as u64,
                bytes: view.hot.bytes as u64,
                bytes_max: self.inner.options.hot_bytes as u64,
            },
            log: self.inner.log.statistics(),
            damage: self.inner.damage.clone(),
            ..Statistics::default()
        }
    }

    /// Ends the background work, waits for what is being written, and frees the directory. Spans that are hot stay in
    /// the log and are hot again at the next start.
    pub async fn close(self) {
        self.inner.log.close();
        let inner = Arc::clone(&self.inner);
        task::spawn_blocking(move || inner.log.join()).await.ok();
    }
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

fn absolute(options: &StoreOptions) -> Result<PathBuf, OpenError> {
    std::path::absolute(&options.data_dir).map_err(|source| OpenError::NotWritable {
        path: options.data_dir.clone(),
        source,
    })
}

/// Runs work that blocks, and hands on its panic.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, OpenError> + Send + 'static,
) -> Result<T, OpenError> {
    match task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
