//! From the recent level to the table: files whose hot window has passed become files of the table, as they are.
//!
//! Give each a second name in the table's directory, synced; commit them all with the range of the log that they
//! cover; show them as cold instead of recent, in one step; remove the first name once nobody reads it. A crash between any two of these
//! loses nothing and repeats nothing: what the commit covers is not recent any more.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use tokio::task;

use crate::cold::ColdFile;
use crate::cold::catalogue::Catalogue;
use crate::cold::table::{Change, TableError};
use crate::error::FlushError;
use crate::maintenance::{Maintenance, nanos};
use crate::recent::RecentFile;

/// Files of the recent level that a commit takes, at most: a bound on its size.
const FILES_MAX: usize = 256;

impl Maintenance {
    /// Moves what is due, or everything.
    pub(crate) async fn adopt(&mut self, everything: bool) -> Result<(), FlushError> {
        loop {
            let due = self.due(everything);
            if due.is_empty() {
                // A commit in doubt may have been the one that took the last of them.
                self.settle().await?;
                self.report.adopt_failure.store(None);
                self.remove_left().await;
                return Ok(());
            }
            let start = Instant::now();
            let (due, result) = if self.options.sampling.keeps_all() {
                let result = self.try_adopt(&due).await;
                (due, result.map(|()| true))
            } else {
                let result = self.adopt_sampled(&due[0]).await;
                (due[..1].to_vec(), result)
            };
            if matches!(result, Ok(false)) {
                return Ok(());
            }
            self.tell_adopted(&due, start, &result);
            result?;
        }
    }

    /// The oldest files, in the order of the log: a commit says how far the log is in the table.
    fn due(&self, everything: bool) -> Vec<RecentFile> {
        let view = self.published.load();
        let now = self.options.clock.now_unix_nano();
        let window = nanos(self.options.hot_window);
        // Under load the level holds less than the hot window.
        let bytes_max = self.options.recent_bytes() / 2;
        let mut bytes = view.recent.bytes();
        let before = view.hot.first_sequence().unwrap_or(u64::MAX);
        let due = view.recent.files().iter().take_while(|recent| {
            let is_old = now.saturating_sub(recent.file.times.received_max) >= window;
            let is_due = everything || is_old || bytes > bytes_max;
            bytes = bytes.saturating_sub(recent.file.bytes);
            is_due && recent.range.last < before
        });
        due.take(FILES_MAX).cloned().collect()
    }

    pub(crate) async fn try_adopt(&mut self, due: &[RecentFile]) -> Result<(), FlushError> {
        self.table.check_open().map_err(FlushError::Commit)?;
        self.settle().await?;
        let through = due.last().map_or(0, |recent| recent.range.last);
        let mut columns = Catalogue::default();
        for recent in due {
            columns = columns.union(&recent.file.columns).unwrap_or(columns);
        }
        let commit_error = |error: TableError| FlushError::Commit(error.to_string());
        let added = self.table.add_columns(&columns).await;
        added.map_err(commit_error)?;
        let placed = self.place(due).await?;
        let counters = Arc::clone(&self.counters);
        let saved = task::spawn_blocking(move || counters.save_through(through));
        saved.await.ok();
        let change = Change {
            add: &placed,
            through: Some(through),
            now_unix_milli: self.now_unix_milli(),
            ..Change::default()
        };
        if let Err(error) = self.table.commit(&change).await {
            tracing::warn!(%error, "a commit to the table failed; looking whether it came through");
            self.settle().await?;
            if !placed.iter().all(|file| self.holds(file)) {
                return Err(FlushError::Commit(error.to_string()));
            }
        }
        self.publish(through)?;
        self.left
            .extend(due.iter().map(|recent| Arc::clone(&recent.file)));
        self.checkpoint().await;
        Ok(())
    }

    /// Gives the files their names in the table's directory.
    async fn place(&self, due: &[RecentFile]) -> Result<Vec<Arc<ColdFile>>, FlushError> {
        let cold = self.directory.cold();
        let placed = due.iter().map(|recent| {
            Arc::new(ColdFile {
                path: cold.join(&recent.file.name),
                ..recent.file.as_ref().clone()
            })
        });
        let placed: Vec<Arc<ColdFile>> = placed.collect();
        let from = due.iter().map(|recent| recent.file.path.clone());
        let to = placed.iter().map(|file| file.path.clone());
        let names: Vec<(PathBuf, PathBuf)> = from.zip(to).collect();
        let disk = Arc::clone(&self.options.disk);
        let directory = Arc::clone(&self.directory);
        let linked = task::spawn_blocking(move || {
            for (from, to) in names {
                match disk.link(&from, &to) {
                    // What an earlier try left.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    done => done?,
                }
            }
            disk.sync_dir(&directory.cold())
        });
        let linked = linked
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)));
        linked.map_err(|error| FlushError::Write(error.to_string()))?;
        Ok(placed)
    }

    /// Removes the first names of files that moved on and that nobody reads under them any more.
    pub(crate) async fn remove_left(&mut self) {
        // The view no longer has them, so that no new reader comes; ours is one reference.
        let is_read = |file: &Arc<ColdFile>| Arc::strong_count(file) > 1;
        let (kept, free) = std::mem::take(&mut self.left)
            .into_iter()
            .partition(is_read);
        self.left = kept;
        let free: Vec<Arc<ColdFile>> = free;
        self.remove_files(free.iter().map(|file| file.path.clone()).collect())
            .await;
    }

    fn tell_adopted(&self, due: &[RecentFile], start: Instant, result: &Result<bool, FlushError>) {
        match result {
            Ok(_) => {
                self.report.adopt_failure.store(None);
                self.report.count(|counters| {
                    counters.flush.commits += 1;
                    counters.flush.spans += due.iter().map(|recent| recent.file.spans).sum::<u64>();
                    counters.flush.last_duration = start.elapsed();
                });
            }
            Err(error) => {
                if self.report.adopt_failure.load().is_none() {
                    tracing::error!(%error, "files could not be moved to the cold tier; they stay in the recent level");
                }
                let error = Some(Arc::new(error.to_string()));
                self.report.adopt_failure.store(error);
                self.report.count(|counters| counters.flush.failures += 1);
            }
        }
    }
}
