//! The background task that alone commits to the table: when to do what. It moves files from recent to cold (`adopt`),
//! deletes what is too old (`retention`), and tidies up after both.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use deltalake_core::DeltaTableError;
use spanlight_model::TraceId;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task;
use tokio_util::sync::CancellationToken;

use crate::budget::Budget;
use crate::cold::read::FileReader;
use crate::cold::table::Table;
use crate::cold::{ColdFile, ColdTier};
use crate::compaction::CompactionStep;
use crate::counters::CounterBook;
use crate::delete::{Deletion, DeletionStep};
use crate::directory::Directory;
use crate::disk::is_temporary;
use crate::error::FlushError;
use crate::log::writer::LogWriter;
use crate::options::StoreOptions;
use crate::retention::{Cleared, Tombstones, tombstones};
use crate::sampling::Decisions;
use crate::snapshot::{Published, View};
use crate::statistics::{
    CompactionStatistics, ExpiredStatistics, FlushStatistics, SamplingStatistics, SealStatistics,
};

/// What the task works on.
pub(crate) struct Maintenance {
    pub(crate) options: StoreOptions,
    pub(crate) directory: Arc<Directory>,
    pub(crate) published: Arc<Published>,
    pub(crate) budget: Arc<Budget>,
    pub(crate) reader: FileReader,
    pub(crate) log: Arc<LogWriter>,
    pub(crate) counters: Arc<CounterBook>,
    /// Told when there is a new file in the recent level.
    pub(crate) sealed: Arc<Notify>,
    pub(crate) table: Table,
    pub(crate) tombstones: Tombstones,
    /// Files that left the recent level, until their last reader is gone.
    pub(crate) left: Vec<Arc<ColdFile>>,
    /// When the names of all files were looked at.
    pub(crate) looked: Option<Instant>,
    /// Names of files that cannot be joined with others as they are.
    pub(crate) unfit: BTreeSet<String>,
    /// What the sampling policy decided.
    pub(crate) decisions: Decisions,
    /// Which files have been cleared of services.
    pub(crate) cleared: Cleared,
    /// When nothing was left to join, in unix nanoseconds.
    pub(crate) compacted_at: i64,
    pub(crate) report: Arc<Report>,
    /// Cancelled when the store closes. Work that was begun is finished first: nothing may touch the directory after
    /// its lock is free.
    pub(crate) closing: CancellationToken,
}

/// What the background tasks say about themselves.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) seal_failure: ArcSwapOption<String>,
    pub(crate) adopt_failure: ArcSwapOption<String>,
    pub(crate) counters: Mutex<Counters>,
}

#[derive(Debug, Default, Clone)]
pub(crate) struct Counters {
    pub(crate) seal: SealStatistics,
    pub(crate) flush: FlushStatistics,
    pub(crate) compaction: CompactionStatistics,
    pub(crate) sampling: SamplingStatistics,
    pub(crate) expired: ExpiredStatistics,
}

impl Report {
    pub(crate) fn counters(&self) -> Counters {
        self.count(|counters| counters.clone())
    }

    pub(crate) fn count<T>(&self, change: impl FnOnce(&mut Counters) -> T) -> T {
        change(&mut self.counters.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Why spans do not move on, if they do not.
    pub(crate) fn failure(&self) -> Option<String> {
        let failures = [&self.seal_failure, &self.adopt_failure];
        failures
            .into_iter()
            .find_map(|failure| failure.load_full().map(|reason| (*reason).clone()))
    }
}

/// What the task can be asked.
#[derive(Debug)]
pub(crate) enum Request {
    /// Move everything that is recent to cold.
    Adopt(oneshot::Sender<Result<(), FlushError>>),
    /// Join files until nothing is left to join, telling each step.
    Compact(
        mpsc::Sender<CompactionStep>,
        oneshot::Sender<Result<(), FlushError>>,
    ),
    /// Delete these traces from the table, telling each file that was looked into.
    Delete(
        Arc<BTreeSet<TraceId>>,
        mpsc::Sender<DeletionStep>,
        oneshot::Sender<Result<Deletion, FlushError>>,
    ),
    /// Do what is due, now.
    Tick(oneshot::Sender<()>),
}

impl Maintenance {
    /// Works until the store closes.
    pub(crate) async fn run(mut self, requests: mpsc::Receiver<Request>) {
        self.work(requests).await;
        self.table.close().await;
    }

    async fn work(&mut self, mut requests: mpsc::Receiver<Request>) {
        let sealed = Arc::clone(&self.sealed);
        let mut failed_at: Option<Instant> = None;
        loop {
            let reply = tokio::select! {
                () = self.closing.cancelled() => return,
                request = requests.recv() => match request {
                    Some(Request::Adopt(reply)) => {
                        reply.send(self.adopt(true).await).ok();
                        continue;
                    }
                    Some(Request::Compact(steps, reply)) => {
                        reply.send(self.compact_all(&steps).await).ok();
                        continue;
                    }
                    Some(Request::Delete(traces, steps, reply)) => {
                        reply.send(self.delete_traces(&traces, &steps).await).ok();
                        continue;
                    }
                    Some(Request::Tick(reply)) => Some(reply),
                    None => return,
                },
                () = sealed.notified() => None,
                () = tokio::time::sleep(self.options.maintenance_interval) => None,
            };
            // A disk that just failed is not asked again at once.
            let pause = failed_at.is_some_and(|at| at.elapsed() < self.options.probe_interval);
            self.find_table().await;
            if reply.is_some() || !pause {
                failed_at = self.adopt(false).await.is_err().then(Instant::now);
            }
            self.remove_left().await;
            self.expire().await;
            if reply.is_some() || !pause {
                self.compact_due().await;
            }
            self.vacuum().await;
            self.look_at_files(reply.is_some()).await;
            if let Some(reply) = reply {
                reply.send(()).ok();
            }
        }
    }

    /// Reads a remote table that was away when the store was opened.
    async fn find_table(&mut self) {
        if self.table.is_read() || self.table.check_open().is_err() {
            return;
        }
        let found = self.settle().await;
        let failure = found.err().map(|error| Arc::new(error.to_string()));
        self.report.adopt_failure.store(failure);
    }

    /// One step a look, so that spans that move on need not wait long.
    async fn compact_due(&mut self) {
        let now = self.options.clock.now_unix_nano();
        let interval = nanos(self.options.compaction_interval);
        // A clock that was set back is no reason to wait.
        if (self.compacted_at..self.compacted_at.saturating_add(interval)).contains(&now) {
            return;
        }
        match self.compact_next(false).await {
            // There may be more: at the next look.
            Ok(Some(_)) => {}
            Ok(None) => self.compacted_at = now,
            Err(error) => {
                self.compacted_at = now;
                tracing::warn!(%error, "files of the table could not be joined; trying again");
            }
        }
    }

    async fn compact_all(
        &mut self,
        steps: &mpsc::Sender<CompactionStep>,
    ) -> Result<(), FlushError> {
        while let Some(step) = self.compact_next(true).await? {
            // Whoever asked may be gone: then the rest can wait.
            if steps.send(step).await.is_err() || self.closing.is_cancelled() {
                break;
            }
        }
        self.vacuum().await;
        Ok(())
    }

    /// After a commit of unknown outcome: reads the table again, makes what is found durable, and adopts it.
    pub(crate) async fn settle(&mut self) -> Result<(), FlushError> {
        if !self.table.is_doubtful() {
            return Ok(());
        }
        self.table.check_open().map_err(FlushError::Commit)?;
        let is_first = !self.table.is_read();
        let reloaded = self.table.reload().await;
        reloaded.map_err(|error| FlushError::Commit(error.to_string()))?;
        let taken = self.take_over(is_first).await;
        if taken.is_err() {
            // The commit may be visible, and nobody has looked: nothing may be built on it, and no file of it removed.
            self.table.doubt();
        }
        taken
    }

    /// Makes what was read of the table durable, and shows it.
    async fn take_over(&mut self, is_first: bool) -> Result<(), FlushError> {
        let disk = Arc::clone(&self.options.disk);
        let directory = Arc::clone(&self.directory);
        let synced = task::spawn_blocking(move || directory.sync_table(disk.as_ref())).await;
        let synced = synced.unwrap_or_else(|error| Err(io::Error::other(error)));
        synced.map_err(|error| FlushError::Commit(error.to_string()))?;
        let commit_error = |error: DeltaTableError| FlushError::Commit(error.to_string());
        if is_first {
            self.tombstones = tombstones(&self.table).await.map_err(commit_error)?;
            let columns = self.table.catalogue();
            self.published.update(|view| View {
                catalogue: view
                    .catalogue
                    .union(&columns)
                    .map_or_else(|| Arc::clone(&view.catalogue), Arc::new),
                ..view.clone()
            });
        }
        let through = self.table.committed().await.map_err(commit_error)?;
        self.publish(through)
    }

    /// Shows the table's files, and no longer what they were before: one step for every reader.
    pub(crate) fn publish(&self, through: u64) -> Result<(), FlushError> {
        let cold = self.table.files();
        let cold = cold.map_err(|error| FlushError::Commit(error.to_string()))?;
        self.published.update(|view| View {
            hot: view.hot.without_through(through),
            recent: view.recent.without_through(through),
            cold: keep_known(&view.cold, &cold),
            committed: view.committed.max(through),
            catalogue: Arc::clone(&view.catalogue),
        });
        self.log.cut(self.published.load().covered_through());
        Ok(())
    }

    pub(crate) fn holds(&self, file: &ColdFile) -> bool {
        let view = self.published.load();
        view.cold.files.iter().any(|found| found.name == file.name)
    }

    /// Writes a checkpoint of the table when one is due.
    pub(crate) async fn checkpoint(&self) {
        if let Err(error) = self.table.checkpoint_if_due().await {
            tracing::warn!(%error, "no checkpoint of the table was written; the next start replays more commits");
        }
    }

    /// Removes files that nothing names any more. One that stays is found at the next start.
    pub(crate) async fn remove_files(&self, paths: Vec<PathBuf>) {
        if paths.is_empty() {
            return;
        }
        let disk = Arc::clone(&self.options.disk);
        let directory = Arc::clone(&self.directory);
        let removed = task::spawn_blocking(move || {
            for path in paths {
                match disk.remove(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        tracing::warn!(%error, file = %path.display(), "cannot remove a file that is no longer needed");
                    }
                    _ => {}
                }
            }
            drop(directory);
        });
        removed.await.ok();
    }

    pub(crate) fn now_unix_milli(&self) -> i64 {
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
        missing: after.missing.clone(),
    }
}

pub(crate) fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// Removes what a crash left behind: files that were never finished, and data files that no commit ever named.
pub(crate) fn remove_litter(
    options: &StoreOptions,
    directory: &Directory,
    files: &ColdTier,
    tombstones: &Tombstones,
) {
    let is_ours = |name: &str| name.starts_with("spans-") && name.ends_with(".parquet");
    let is_known = |name: &str| {
        tombstones.contains_key(name) || files.files.iter().any(|file| file.name == name)
    };
    let mut folders = vec![
        directory.root.clone(),
        directory.log(),
        directory.recent(),
        directory.decisions(),
        directory.damaged(),
    ];
    if directory.is_cold_remote() {
        folders.push(directory.upload());
    } else {
        folders.push(directory.table_log());
    }
    // Where the table could not be read, nothing tells its files from litter.
    if files.missing.is_none() {
        folders.push(directory.cold());
    }
    for folder in folders {
        let is_table = folder == directory.cold();
        let litter =
            |name: &str| is_temporary(name) || (is_table && is_ours(name) && !is_known(name));
        let removed = remove_matching(options, &folder, litter);
        if let Err(error) = removed
            && error.kind() != io::ErrorKind::NotFound
        {
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
