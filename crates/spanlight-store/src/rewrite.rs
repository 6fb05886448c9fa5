//! Making files of files: reading them whole, and writing what shall stay into one new file of the table.
//!
//! Owns the bound on what that takes: the memory comes from the budget for new spans, which have precedence.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use futures::StreamExt as _;
use spanlight_model::SpanBatch;
use tokio::task;

use crate::budget::Reservation;
use crate::cold::catalogue::Catalogue;
use crate::cold::write::{self, Written};
use crate::cold::{ColdFile, ColdTier};
use crate::directory::Directory;
use crate::disk::{Disk, temporary_name};
use crate::error::{FlushError, ReadError};
use crate::maintenance::Maintenance;
use crate::scan::ScanRequest;
use crate::snapshot::{Snapshot, View};

/// Memory that a span takes while its file is rewritten, about.
const SPAN_BYTES: u64 = 512;

/// A file that is written and has its name in the table's directory, but is in no commit yet.
pub(crate) struct Rewritten {
    pub(crate) file: Arc<ColdFile>,
    /// Spans that were left out because they are in it already.
    pub(crate) repeats: u64,
}

impl Maintenance {
    /// Memory for so many spans; `None` while new spans need it.
    pub(crate) fn reserve_for(&self, spans: u64) -> Option<Reservation> {
        let bytes = usize::try_from(spans.saturating_mul(SPAN_BYTES)).unwrap_or(usize::MAX);
        self.budget.reserve(bytes)
    }

    /// Spans that may be rewritten at once: a quarter of the memory for new spans is enough for them.
    pub(crate) fn rewrite_spans_max(&self) -> u64 {
        self.options.hot_bytes as u64 / 4 / SPAN_BYTES
    }

    /// Every span of these files.
    pub(crate) async fn read_files(
        &self,
        files: &[Arc<ColdFile>],
    ) -> Result<Vec<SpanBatch>, ReadError> {
        let view = View {
            cold: ColdTier {
                files: Arc::new(files.to_vec()),
                ..ColdTier::default()
            },
            ..View::default()
        };
        let snapshot = Snapshot::new(Arc::new(view), self.reader.clone());
        let scan = snapshot.scan(&ScanRequest::default()).await;
        let mut batches = Vec::new();
        for partition in scan.partitions {
            let mut stream = partition.stream();
            while let Some(batch) = stream.next().await {
                batches.push(batch?);
            }
        }
        Ok(batches)
    }

    /// Writes a file of the table with these spans.
    pub(crate) async fn write_cold(
        &mut self,
        batches: Vec<SpanBatch>,
    ) -> Result<Rewritten, FlushError> {
        let name = format!("spans-merged-{}.parquet", uuid::Uuid::new_v4());
        let written = self.write_local(&name, batches).await?;
        let columns = Arc::clone(&written.file.columns);
        let unfinished = written.file.path.clone();
        let path = self.directory.cold().join(&name);
        let linked = self.link(unfinished.clone(), path.clone()).await;
        self.remove_files(vec![unfinished]).await;
        linked?;
        let file = Arc::new(ColdFile {
            name,
            path,
            ..written.file
        });
        if let Err(error) = self.table.add_columns(&columns).await {
            self.remove_files(vec![file.path.clone()]).await;
            return Err(FlushError::Commit(error.to_string()));
        }
        Ok(Rewritten {
            file,
            repeats: written.repeats,
        })
    }

    /// Writes the spans to an unfinished file on the local disk: the table's store may be slow, and whoever seals
    /// memory waits for its turn to write.
    async fn write_local(
        &self,
        name: &str,
        batches: Vec<SpanBatch>,
    ) -> Result<Written, FlushError> {
        let turn = self.published.turn_to_write().await;
        let name = temporary_name(name);
        let disk = Arc::clone(&self.options.disk);
        let directory = Arc::clone(&self.directory);
        let catalogue = Arc::clone(&self.published.load().catalogue);
        let written = task::spawn_blocking(move || {
            let written = write_unfinished(disk.as_ref(), &directory, &name, &batches, &catalogue);
            drop(directory);
            written
        });
        let written = written
            .await
            .unwrap_or_else(|error| Err(FlushError::Write(error.to_string())))?;
        self.published.update(|view| View {
            catalogue: view.catalogue_with(&written.catalogue),
            ..view.clone()
        });
        drop(turn);
        Ok(written)
    }

    async fn link(&self, from: PathBuf, to: PathBuf) -> Result<(), FlushError> {
        let disk = Arc::clone(&self.options.disk);
        let directory = Arc::clone(&self.directory);
        let linked = task::spawn_blocking(move || {
            disk.link(&from, &to)?;
            disk.sync_dir(&directory.cold())
        });
        let linked = linked
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)));
        linked.map_err(|error| FlushError::Write(error.to_string()))
    }
}

fn write_unfinished(
    disk: &dyn Disk,
    directory: &Directory,
    name: &str,
    batches: &[SpanBatch],
    catalogue: &Arc<Catalogue>,
) -> Result<Written, FlushError> {
    let written = write::write(disk, &directory.recent(), name, batches, catalogue);
    written.map_err(|error| FlushError::Write(error.to_string()))
}
