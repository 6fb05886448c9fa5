//! Making files of files: reading some whole, and writing what shall stay into one new file of the table; or putting
//! their row groups into one file as they are.
//!
//! Owns the bound on what that takes: the memory comes from the budget for new spans, which have precedence.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use futures::StreamExt as _;
use spanlight_model::SpanBatch;
use tokio::task;

use crate::budget::Reservation;
use crate::cold::append::{Append, AppendError, Appended, Without};
use crate::cold::catalogue::Catalogue;
use crate::cold::read::read_error;
use crate::cold::write::{self, ROW_GROUP_SPANS, Written};
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

/// What was removed from a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Removed {
    pub(crate) spans: u64,
    /// Whether the file had other spans.
    pub(crate) is_left: bool,
}

/// Why spans were not removed from a file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RemoveError {
    #[error(transparent)]
    Unreadable(AppendError),
    #[error(transparent)]
    Failed(#[from] FlushError),
}

impl Maintenance {
    /// Memory for so many spans, or for the row group that is written again; `None` while new spans need it.
    pub(crate) fn reserve_for(&self, spans: u64) -> Option<Reservation> {
        let spans = spans.min(ROW_GROUP_SPANS as u64);
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

    /// Writes a file of the table with the row groups of these, in the order of time.
    pub(crate) async fn append(
        &self,
        files: &[Arc<ColdFile>],
        without: Option<Without>,
    ) -> Result<Appended, AppendError> {
        let name = temporary_name(&merged_name());
        let mut files = files.to_vec();
        files.sort_by_key(|file| (file.times.start_min, file.name.clone()));
        let source = Arc::clone(&self.reader.source);
        let disk = Arc::clone(&self.options.disk);
        let directory = Arc::clone(&self.directory);
        let closing = self.closing.clone();
        let appended = task::spawn_blocking(move || {
            let append = Append {
                source: &source,
                files: &files,
                without: without.as_ref(),
                disk: disk.as_ref(),
                directory: &directory.recent(),
                name: &name,
                is_cancelled: &|| closing.is_cancelled(),
            };
            let appended = append.run();
            drop(directory);
            appended
        });
        let appended = appended.await;
        let appended = appended.unwrap_or_else(|error| Err(AppendError::Broken(error.to_string())));
        if let Err(AppendError::Read { file, source }) = &appended {
            read_error(file, source, &self.reader.unreadable);
        }
        appended
    }

    /// Writes a file of the table with these spans.
    pub(crate) async fn write_cold(
        &mut self,
        batches: Vec<SpanBatch>,
    ) -> Result<Rewritten, FlushError> {
        let written = self.write_local(batches).await?;
        Ok(Rewritten {
            file: self.place_in_table(written.file).await?,
            repeats: written.repeats,
        })
    }

    /// Puts a file without these spans in the place of this one, if it has some of them.
    pub(crate) async fn remove_spans(
        &mut self,
        file: &Arc<ColdFile>,
        without: Without,
    ) -> Result<Removed, RemoveError> {
        let files = std::slice::from_ref(file);
        let appended = self.append(files, Some(without)).await;
        let appended = appended.map_err(|error| match error {
            AppendError::Read { .. } | AppendError::Unfit { .. } => RemoveError::Unreadable(error),
            other => RemoveError::Failed(FlushError::Write(other.to_string())),
        })?;
        let removed = Removed {
            spans: appended.left_out,
            is_left: appended.file.is_some(),
        };
        if removed.spans > 0 {
            let new = match appended.file {
                Some(file) => Some(self.place_in_table(file).await?),
                None => None,
            };
            self.replace_or_remove(files, new.as_slice(), true).await?;
        }
        Ok(removed)
    }

    /// Gives an unfinished file a name in the table's directory, and the table its columns.
    pub(crate) async fn place_in_table(
        &mut self,
        unfinished: ColdFile,
    ) -> Result<Arc<ColdFile>, FlushError> {
        let name = merged_name();
        let path = self.directory.cold().join(&name);
        let from = unfinished.path.clone();
        let linked = self.link(from.clone(), path.clone()).await;
        self.remove_files(vec![from]).await;
        linked?;
        let file = Arc::new(ColdFile {
            name,
            path,
            ..unfinished
        });
        if let Err(error) = self.table.add_columns(&file.columns).await {
            self.remove_files(vec![file.path.clone()]).await;
            return Err(FlushError::Commit(error.to_string()));
        }
        Ok(file)
    }

    /// Puts new files, which are in no commit yet, in the place of others.
    pub(crate) async fn replace_or_remove(
        &mut self,
        old: &[Arc<ColdFile>],
        new: &[Arc<ColdFile>],
        is_change: bool,
    ) -> Result<(), FlushError> {
        let replaced = self.replace(old, new, is_change).await;
        // In doubt they stay: the next start knows whether a commit names them.
        if replaced.is_err() && !self.table.is_doubtful() {
            let unused = new.iter().map(|file| file.path.clone());
            self.remove_files(unused.collect()).await;
        }
        replaced
    }

    /// Writes the spans to an unfinished file on the local disk: the table's store may be slow, and whoever seals
    /// memory waits for its turn to write.
    async fn write_local(&self, batches: Vec<SpanBatch>) -> Result<Written, FlushError> {
        let turn = self.published.turn_to_write().await;
        let name = temporary_name(&merged_name());
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

fn merged_name() -> String {
    format!("spans-merged-{}.parquet", uuid::Uuid::new_v4())
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
