//! The background task: it alone commits to the table. It moves spans from hot to cold, deletes what is too old, and
//! tidies up after both.
//!
//! A flush: end the log's segment; write its spans to a data file, synced; commit; show the file instead of the
//! batches, in one step; cut the log. A crash between any two of these loses nothing and repeats nothing: the commit
//! says how far the log is in the table.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use deltalake_core::DeltaTableError;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task;
use tokio_util::sync::CancellationToken;

use crate::budget::Budget;
use crate::cold::table::{Change, Table};
use crate::cold::write::{self, Written};
use crate::cold::{ColdFile, ColdTier};
use crate::directory::Directory;
use crate::disk::is_temporary;
use crate::error::FlushError;
use crate::hot::HotBatch;
use crate::log::writer::LogWriter;
use crate::options::StoreOptions;
use crate::snapshot::{Published, View};
use crate::statistics::FlushStatistics;

/// What the task works on.
pub(crate) struct Maintenance {
    pub(crate) options: StoreOptions,
    pub(crate) directory: Arc<Directory>,
    pub(crate) published: Arc<Published>,
    pub(crate) budget: Arc<Budget>,
    pub(crate) log: Arc<LogWriter>,
    pub(crate) flush_wanted: Arc<Notify>,
    pub(crate) table: Table,
    /// Files that left the table, and when, in unix milliseconds.
    pub(crate) tombstones: BTreeMap<String, i64>,
    pub(crate) report: Arc<Report>,
    /// Cancelled when the store closes. Work that was begun is finished first: nothing may touch the directory after
    /// its lock is free.
    pub(crate) closing: CancellationToken,
}

/// What the task says about itself.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) failure: ArcSwapOption<String>,
    pub(crate) counters: Mutex<Counters>,
}

#[derive(Debug, Default, Clone)]
pub(crate) struct Counters {
    pub(crate) flush: FlushStatistics,
    pub(crate) expired_files: u64,
    pub(crate) expired_spans: u64,
}

impl Report {
    pub(crate) fn counters(&self) -> Counters {
        self.count(|counters| counters.clone())
    }

    fn count<T>(&self, change: impl FnOnce(&mut Counters) -> T) -> T {
        change(&mut self.counters.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What the task can be asked.
#[derive(Debug)]
pub(crate) enum Request {
    /// Move everything that is hot to cold.
    Flush(oneshot::Sender<Result<(), FlushError>>),
    /// Do what is due, now.
    Tick(oneshot::Sender<()>),
}

impl Maintenance {
    /// Works until the store closes.
    pub(crate) async fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        let wanted = Arc::clone(&self.flush_wanted);
        let mut failed_at: Option<Instant> = None;
        loop {
            let reply = tokio::select! {
                () = self.closing.cancelled() => return,
                request = requests.recv() => match request {
                    Some(Request::Flush(reply)) => {
                        reply.send(self.flush().await).ok();
                        continue;
                    }
                    Some(Request::Tick(reply)) => Some(reply),
                    None => return,
                },
                () = wanted.notified() => None,
                () = tokio::time::sleep(self.options.maintenance_interval) => None,
            };
            self.merge_small().await;
            // A disk that just failed is not asked again at once.
            let pause = failed_at.is_some_and(|at| at.elapsed() < self.options.probe_interval);
            if (reply.is_some() || !pause) && self.is_flush_due() {
                failed_at = self.flush().await.is_err().then(Instant::now);
            }
            self.expire().await;
            self.remove_tombstoned().await;
            if let Some(reply) = reply {
                reply.send(()).ok();
            }
        }
    }

    fn is_flush_due(&self) -> bool {
        let view = self.published.load();
        let now = self.options.clock.now_unix_nano();
        let window = nanos(self.options.hot_window);
        let oldest = view.hot.received_min();
        view.hot.bytes >= self.options.hot_bytes / 2
            || oldest.is_some_and(|oldest| now.saturating_sub(oldest) >= window)
    }

    /// Joins small batches: a batch of one span takes twenty times the memory of the span.
    async fn merge_small(&self) {
        // A commit in doubt may cover a part of the hot batches; its end must stay between two batches.
        if self.table.is_doubtful() {
            return;
        }
        let runs = self.published.load().hot.to_merge();
        if runs.is_empty() {
            return;
        }
        let budget = Arc::clone(&self.budget);
        let merged = task::spawn_blocking(move || {
            let merged = runs
                .iter()
                .map(|run| HotBatch::merge(run, &budget).map(Arc::new));
            merged.collect::<Result<Vec<_>, _>>()
        });
        match merged.await {
            Ok(Ok(merged)) => self
                .published
                .update(|view| view.with_hot(view.hot.with_merged(merged))),
            Ok(Err(error)) => tracing::warn!(%error, "small batches could not be merged"),
            Err(error) => tracing::error!(%error, "merging small batches failed"),
        }
    }

    async fn flush(&mut self) -> Result<(), FlushError> {
        let start = Instant::now();
        let result = self.try_flush().await;
        match &result {
            Ok(None) => {}
            Ok(Some(written)) => {
                self.report.failure.store(None);
                self.report.count(|counters| {
                    counters.flush.commits += 1;
                    counters.flush.spans += written.file.spans;
                    counters.flush.repeated_spans += written.repeats;
                    counters.flush.last_duration = start.elapsed();
                });
            }
            Err(error) => {
                tracing::error!(%error, "spans could not be moved to the cold tier; they stay in memory and in the log");
                self.report.failure.store(Some(Arc::new(error.to_string())));
                self.report.count(|counters| counters.flush.failures += 1);
            }
        }
        result.map(|_| ())
    }

    async fn try_flush(&mut self) -> Result<Option<Written>, FlushError> {
        self.settle().await?;
        let through = self.log.seal().await;
        let through = through.ok_or_else(|| FlushError::Log("it is closed".to_owned()))?;
        let batches = self.published.load().hot.through(through);
        if batches.is_empty() {
            return Ok(None);
        }
        let written = self.write(batches).await?;
        let change = Change {
            add: Some(&written.file),
            through: Some(through),
            now_unix_milli: self.now_unix_milli(),
            ..Change::default()
        };
        if let Err(error) = self.table.commit(&change).await {
            tracing::warn!(%error, "a commit to the table failed; looking whether it came through");
            self.settle().await?;
            if !self.holds(&written.file) {
                self.remove_file(written.file.path.clone()).await;
                return Err(FlushError::Commit(error.to_string()));
            }
        }
        self.publish(through)?;
        self.log.cut(through);
        if let Err(error) = self.table.checkpoint_if_due().await {
            tracing::warn!(%error, "no checkpoint of the table was written; the next start replays more commits");
        }
        Ok(Some(written))
    }

    async fn write(&self, batches: Vec<Arc<HotBatch>>) -> Result<Written, FlushError> {
        let disk = Arc::clone(&self.options.disk);
        let directory = Arc::clone(&self.directory);
        let written =
            task::spawn_blocking(move || write::write(disk.as_ref(), &directory.cold(), &batches));
        let written = written.await;
        written
            .map_err(|error| FlushError::Write(error.to_string()))?
            .map_err(|error| FlushError::Write(error.to_string()))
    }

    /// After a commit of unknown outcome: reads the table again, makes what is found durable, and adopts it.
    async fn settle(&mut self) -> Result<(), FlushError> {
        if !self.table.is_doubtful() {
            return Ok(());
        }
        let commit_error = |error: DeltaTableError| FlushError::Commit(error.to_string());
        self.table.reload().await.map_err(commit_error)?;
        let disk = Arc::clone(&self.options.disk);
        let directory = Arc::clone(&self.directory);
        let synced = task::spawn_blocking(move || directory.sync_table(disk.as_ref())).await;
        let synced = synced.unwrap_or_else(|error| Err(io::Error::other(error)));
        if let Err(error) = synced {
            // The commit may be visible and still be lost: nothing may be built on it.
            self.table.doubt();
            return Err(FlushError::Commit(error.to_string()));
        }
        let through = self.table.committed().await.map_err(commit_error)?;
        self.publish(through)?;
        self.log.cut(through);
        Ok(())
    }

    /// Shows the table's files, and no longer the batches that are in them: one step for every reader.
    fn publish(&self, through: u64) -> Result<(), FlushError> {
        let cold = self.table.files();
        let cold = cold.map_err(|error| FlushError::Commit(error.to_string()))?;
        self.published.update(|view| View {
            hot: view.hot.without_through(through),
            cold: keep_known(&view.cold, &cold),
        });
        Ok(())
    }

    fn holds(&self, file: &ColdFile) -> bool {
        let view = self.published.load();
        view.cold.files.iter().any(|found| found.name == file.name)
    }

    /// Takes files out of the table whose youngest span is too old.
    async fn expire(&mut self) {
        let Some(retention) = self.options.retention else {
            return;
        };
        let now = self.options.clock.now_unix_nano();
        let oldest = now.saturating_sub(nanos(retention));
        let view = self.published.load();
        let expired: Vec<Arc<ColdFile>> = view
            .cold
            .files
            .iter()
            .filter(|file| file.times.received_max < oldest)
            .map(Arc::clone)
            .collect();
        if expired.is_empty() {
            return;
        }
        match self.try_expire(&expired).await {
            Ok(()) => {
                let spans: u64 = expired.iter().map(|file| file.spans).sum();
                tracing::info!(
                    files = expired.len(),
                    spans,
                    "spans beyond the retention were deleted"
                );
                self.report.count(|counters| {
                    counters.expired_files += expired.len() as u64;
                    counters.expired_spans += spans;
                });
            }
            Err(error) => {
                tracing::error!(%error, "spans beyond the retention could not be deleted; trying again");
            }
        }
    }

    async fn try_expire(&mut self, expired: &[Arc<ColdFile>]) -> Result<(), FlushError> {
        self.settle().await?;
        let now = self.now_unix_milli();
        let change = Change {
            remove: expired,
            now_unix_milli: now,
            ..Change::default()
        };
        if let Err(error) = self.table.commit(&change).await {
            self.settle().await?;
            if expired.iter().any(|file| self.holds(file)) {
                return Err(FlushError::Commit(error.to_string()));
            }
        }
        self.publish(0)?;
        let gone = expired.iter().map(|file| (file.name.clone(), now));
        self.tombstones.extend(gone);
        Ok(())
    }

    /// Removes files that left the table so long ago that nobody reads them any more.
    async fn remove_tombstoned(&mut self) {
        let grace = i64::try_from(self.options.tombstone_grace.as_millis()).unwrap_or(i64::MAX);
        let before = self.now_unix_milli().saturating_sub(grace);
        let due = self.tombstones.iter().filter(|(_, at)| **at <= before);
        let due: Vec<String> = due.map(|(name, _)| name.clone()).collect();
        for name in due {
            self.remove_file(self.directory.cold().join(&name)).await;
            self.tombstones.remove(&name);
        }
    }

    /// Removes a file that is not in the table. One that stays is found at the next start.
    async fn remove_file(&self, path: PathBuf) {
        let disk = Arc::clone(&self.options.disk);
        let removed = task::spawn_blocking(move || (disk.remove(&path), path)).await;
        if let Ok((Err(error), path)) = removed
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, file = %path.display(), "cannot remove a file that is no longer needed");
        }
    }

    fn now_unix_milli(&self) -> i64 {
        self.options.clock.now_unix_nano() / 1_000_000
    }
}

/// Files that stay keep their identity, and with it what is cached for them.
fn keep_known(before: &ColdTier, after: &ColdTier) -> ColdTier {
    let known: BTreeMap<&str, &Arc<ColdFile>> = before
        .files
        .iter()
        .map(|file| (file.name.as_str(), file))
        .collect();
    let files = after.files.iter().map(|file| {
        let known = known.get(file.name.as_str());
        Arc::clone(known.copied().unwrap_or(file))
    });
    ColdTier {
        files: Arc::new(files.collect()),
        version: after.version,
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// Removes what a crash left behind: files that were never finished, and data files that no commit ever named.
pub(crate) fn remove_litter(
    options: &StoreOptions,
    directory: &Directory,
    files: &ColdTier,
    tombstones: &BTreeMap<String, i64>,
) {
    let is_ours = |name: &str| name.starts_with("spans-") && name.ends_with(".parquet");
    let is_known = |name: &str| {
        tombstones.contains_key(name) || files.files.iter().any(|file| file.name == name)
    };
    let folders = [
        directory.root.clone(),
        directory.log(),
        directory.cold(),
        directory.table_log(),
    ];
    for folder in folders {
        let is_table = folder == directory.cold();
        let litter =
            |name: &str| is_temporary(name) || (is_table && is_ours(name) && !is_known(name));
        if let Err(error) = remove_matching(options, &folder, litter) {
            tracing::warn!(%error, folder = %folder.display(), "cannot remove left-overs of a crash");
        }
    }
}

fn remove_matching(
    options: &StoreOptions,
    folder: &Path,
    matches: impl Fn(&str) -> bool,
) -> io::Result<()> {
    for entry in options.disk.list(folder)? {
        if !entry.stat.is_dir && matches(&entry.name) {
            options.disk.remove(&folder.join(&entry.name))?;
        }
    }
    Ok(())
}
