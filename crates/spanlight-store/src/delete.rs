//! Deleting traces for good: the files that have spans of them are written again without them, and the old files leave
//! the disk as soon as nobody reads them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::UInt32Array;
use futures::StreamExt as _;
use spanlight_model::{SpanBatch, TraceId};

use crate::budget::Reservation;
use crate::cold::{ColdFile, ColdTier};
use crate::error::{FlushError, ReadError};
use crate::maintenance::Maintenance;
use crate::scan::{ScanColumns, ScanRequest};
use crate::snapshot::{Snapshot, View};

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

impl Maintenance {
    /// Deletes the spans of these traces from the table.
    pub(crate) async fn delete_traces(
        &mut self,
        traces: &Arc<BTreeSet<TraceId>>,
    ) -> Result<Deletion, FlushError> {
        let mut deletion = Deletion::default();
        let files = Arc::clone(&self.published.load().cold.files);
        for file in files.iter() {
            let matching = match self.spans_of(file, traces).await {
                Ok(0) => continue,
                Ok(matching) => matching,
                Err(error) => {
                    tracing::error!(%error, "a file cannot be searched for spans to delete");
                    deletion.files_unreadable += 1;
                    continue;
                }
            };
            self.delete_from(file, traces, &mut deletion).await?;
            deletion.spans += matching;
        }
        drop(files);
        // Those that are still being read are removed at a later look.
        self.remove_left().await;
        self.vacuum().await;
        Ok(deletion)
    }

    /// How many spans of these traces a file has.
    async fn spans_of(
        &self,
        file: &Arc<ColdFile>,
        traces: &Arc<BTreeSet<TraceId>>,
    ) -> Result<u64, ReadError> {
        let view = View {
            cold: ColdTier {
                files: Arc::new(vec![Arc::clone(file)]),
                ..ColdTier::default()
            },
            ..View::default()
        };
        let request = ScanRequest {
            trace_ids: Some(Arc::clone(traces)),
            columns: ScanColumns {
                trace_id: true,
                ..ScanColumns::NONE
            },
            ..ScanRequest::default()
        };
        let snapshot = Snapshot::new(Arc::new(view), self.reader.clone());
        let mut spans = 0;
        for partition in snapshot.scan(&request).await.partitions {
            let mut stream = partition.stream();
            while let Some(batch) = stream.next().await {
                let batch = batch?;
                let columns = batch.columns();
                let rows = 0..batch.num_spans();
                spans += rows
                    .filter(|&row| traces.contains(&columns.trace_id(row)))
                    .count() as u64;
            }
        }
        Ok(spans)
    }

    async fn delete_from(
        &mut self,
        file: &Arc<ColdFile>,
        traces: &BTreeSet<TraceId>,
        deletion: &mut Deletion,
    ) -> Result<(), FlushError> {
        let memory = self.memory_for(file.spans).await?;
        let failed = |error: ReadError| FlushError::Write(error.to_string());
        let batches = self.read_files(std::slice::from_ref(file)).await;
        let mut kept = Vec::new();
        for batch in batches.map_err(failed)? {
            let batch = without(&batch, traces).map_err(failed)?;
            if !batch.is_empty() {
                kept.push(batch);
            }
        }
        let new = match kept.is_empty() {
            true => Vec::new(),
            false => vec![self.write_cold(kept).await?.file],
        };
        drop(memory);
        if let Err(error) = self.replace(std::slice::from_ref(file), &new, true).await {
            if !self.table.is_doubtful() {
                let unused = new.iter().map(|file| file.path.clone());
                self.remove_files(unused.collect()).await;
            }
            return Err(error);
        }
        deletion.files_rewritten += new.len() as u64;
        deletion.files_removed += u64::from(new.is_empty());
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

/// The spans of other traces.
fn without(batch: &SpanBatch, traces: &BTreeSet<TraceId>) -> Result<SpanBatch, ReadError> {
    let columns = batch.columns();
    let rows: Vec<u32> = (0..batch.num_spans())
        .filter(|&row| !traces.contains(&columns.trace_id(row)))
        .filter_map(|row| u32::try_from(row).ok())
        .collect();
    batch
        .take(&UInt32Array::from(rows))
        .map_err(|error| ReadError::Damaged {
            file: "memory".to_owned(),
            reason: error.to_string(),
        })
}
