//! Deleting traces for good: the files that have spans of them are written again without them, and the old files leave
//! the disk as soon as nobody reads them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use spanlight_model::TraceId;
use tokio::sync::mpsc;

use crate::budget::Reservation;
use crate::cold::ColdFile;
use crate::cold::append::Without;
use crate::error::FlushError;
use crate::maintenance::Maintenance;
use crate::rewrite::RemoveError;

/// How long to wait for memory that new spans have taken.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(100);

/// What was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Deletion {
    /// Spans that are gone.
    pub spans: u64,
    /// Files that were written again without them.
    pub files_rewritten: u64,
    /// Files that had nothing else.
    pub files_removed: u64,
    /// Files that could not be read: they may have spans of these traces still.
    pub files_unreadable: u64,
}

/// How far a deletion is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeletionStep {
    /// What was deleted so far.
    pub deletion: Deletion,
    /// Files that were looked into.
    pub files: u64,
    /// Files that are still to be looked into.
    pub files_left: u64,
}

impl Maintenance {
    /// Deletes the spans of these traces from the table.
    pub(crate) async fn delete_traces(
        &mut self,
        traces: &Arc<BTreeSet<TraceId>>,
        steps: &mpsc::Sender<DeletionStep>,
    ) -> Result<Deletion, FlushError> {
        let mut deletion = Deletion::default();
        let files = Arc::clone(&self.published.load().cold.files);
        for (number, file) in (1..).zip(files.iter()) {
            self.delete_from(file, traces, &mut deletion).await?;
            let step = DeletionStep {
                deletion,
                files: number,
                files_left: files.len() as u64 - number,
            };
            // Who does not look misses a step, and the rest is deleted all the same.
            steps.try_send(step).ok();
        }
        drop(files);
        // Those that are still being read are removed at a later look.
        self.remove_left().await;
        self.vacuum().await;
        Ok(deletion)
    }

    async fn delete_from(
        &mut self,
        file: &Arc<ColdFile>,
        traces: &Arc<BTreeSet<TraceId>>,
        deletion: &mut Deletion,
    ) -> Result<(), FlushError> {
        let memory = self.memory_for(file.spans).await?;
        let without = Without::Traces(Arc::clone(traces));
        let removed = self.remove_spans(file, without).await;
        drop(memory);
        let removed = match removed {
            Ok(removed) => removed,
            Err(RemoveError::Unreadable(error)) => {
                tracing::error!(%error, "a file cannot be searched for spans to delete");
                deletion.files_unreadable += 1;
                return Ok(());
            }
            Err(RemoveError::Failed(error)) => return Err(error),
        };
        if removed.spans == 0 {
            return Ok(());
        }
        deletion.spans += removed.spans;
        deletion.files_rewritten += u64::from(removed.is_left);
        deletion.files_removed += u64::from(!removed.is_left);
        // Not after the usual time for readers of old versions, but when the last of ours is gone.
        if let Some(tombstone) = self.tombstones.get_mut(&file.name) {
            tombstone.left_unix_milli = 0;
        }
        Ok(())
    }

    async fn memory_for(&self, spans: u64) -> Result<Reservation, FlushError> {
        let begin = tokio::time::Instant::now();
        loop {
            if let Some(memory) = self.reserve_for(spans) {
                return Ok(memory);
            }
            if begin.elapsed() > PATIENCE {
                let what = "the memory for new spans is full (limits.hot_bytes); try again later";
                return Err(FlushError::Write(what.to_owned()));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
