//! The task that keeps memory bounded: it moves the oldest batches from memory to files of the recent level.
//!
//! Take the oldest batches, a bounded number of bytes; write them, sorted, to a file that nobody looks at; sync it;
//! give it its final name and sync that; show the file instead of the batches, in one step; cut the log. A crash
//! between any two of these loses nothing and repeats nothing: the file's name says which part of the log it stands
//! for. Owns no table: this task goes on when the cold tier is slow or away, until the recent level is full.

use std::sync::Arc;
use std::time::Instant;

use futures::TryStreamExt as _;
use futures::stream;
use spanlight_model::SpanBatch;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task;
use tokio_util::sync::CancellationToken;

use crate::budget::Budget;
use crate::cold::ColdFile;
use crate::cold::catalogue::Catalogue;
use crate::cold::read::FileReader;
use crate::cold::write::{self, ROW_GROUP_SPANS};
use crate::counters::CounterBook;
use crate::directory::Directory;
use crate::disk::{Disk, temporary_name};
use crate::error::{FlushError, ReadError};
use crate::hot::HotBatch;
use crate::log::writer::LogWriter;
use crate::maintenance::{Report, nanos};
use crate::options::StoreOptions;
use crate::recent::{Range, RecentFile, RecentTier, file_name};
use crate::scan::{Partition, ScanRequest};
use crate::snapshot::{Published, Snapshot, View};

/// What the task works on.
pub(crate) struct Sealer {
    pub(crate) options: StoreOptions,
    pub(crate) directory: Arc<Directory>,
    pub(crate) published: Arc<Published>,
    pub(crate) budget: Arc<Budget>,
    pub(crate) log: Arc<LogWriter>,
    pub(crate) counters: Arc<CounterBook>,
    pub(crate) reader: FileReader,
    /// Told when enough bytes are hot.
    pub(crate) wanted: Arc<Notify>,
    /// Told when there is a new file.
    pub(crate) sealed: Arc<Notify>,
    pub(crate) report: Arc<Report>,
    /// Cancelled when the store closes; work that was begun is finished first.
    pub(crate) closing: CancellationToken,
}

/// What the task can be asked.
#[derive(Debug)]
pub(crate) enum SealRequest {
    /// Move everything that is in memory.
    All(oneshot::Sender<Result<(), FlushError>>),
    /// Do what is due, now.
    Tick(oneshot::Sender<()>),
}

/// A file that was made, and how many spans were left out because they are in it already.
struct Sealed {
    recent: RecentFile,
    repeats: u64,
    /// The attribute columns of all files.
    catalogue: Arc<Catalogue>,
}

impl Sealer {
    /// Works until the store closes.
    pub(crate) async fn run(self, mut requests: mpsc::Receiver<SealRequest>) {
        let mut failed_at: Option<Instant> = None;
        self.count_again().await;
        loop {
            let reply = tokio::select! {
                () = self.closing.cancelled() => return,
                request = requests.recv() => match request {
                    Some(SealRequest::All(reply)) => {
                        reply.send(self.seal_all().await).ok();
                        continue;
                    }
                    Some(SealRequest::Tick(reply)) => Some(reply),
                    None => return,
                },
                () = self.wanted.notified() => None,
                () = tokio::time::sleep(self.options.maintenance_interval) => None,
            };
            self.merge_small().await;
            // A disk that just failed is not asked again at once.
            let pause = failed_at.is_some_and(|at| at.elapsed() < self.options.probe_interval);
            if reply.is_some() || !pause {
                failed_at = self.seal_due().await.is_err().then(Instant::now);
            }
            if let Some(reply) = reply {
                reply.send(()).ok();
            }
        }
    }

    /// Seals while there is too much in memory; everything when the oldest span is old enough for the table.
    async fn seal_due(&self) -> Result<(), FlushError> {
        let view = self.published.load();
        let now = self.options.clock.now_unix_nano();
        let window = nanos(self.options.hot_window);
        let oldest = view.hot.received_min();
        if oldest.is_some_and(|oldest| now.saturating_sub(oldest) >= window) {
            return self.seal_all().await;
        }
        while self.published.load().hot.bytes >= self.options.seal_bytes()
            && !self.closing.is_cancelled()
        {
            if !self.seal_next(u64::MAX).await? {
                break;
            }
        }
        Ok(())
    }

    async fn seal_all(&self) -> Result<(), FlushError> {
        let through = self.log.seal().await;
        let through = through.ok_or_else(|| FlushError::Log("it is closed".to_owned()))?;
        while self.seal_next(through).await? {}
        Ok(())
    }

    /// Seals the oldest batches; false when there are none up to this sequence number.
    async fn seal_next(&self, through: u64) -> Result<bool, FlushError> {
        let start = Instant::now();
        let result = self.try_seal_next(through).await;
        match &result {
            Ok(None) => {}
            Ok(Some(sealed)) => {
                self.report.seal_failure.store(None);
                self.report.count(|counters| {
                    counters.seal.files += 1;
                    counters.seal.spans += sealed.recent.file.spans;
                    counters.seal.bytes += sealed.recent.file.bytes;
                    counters.seal.repeated_spans += sealed.repeats;
                    counters.seal.last_duration = start.elapsed();
                });
                self.sealed.notify_one();
            }
            Err(error) => {
                if self.report.seal_failure.load().is_none() {
                    tracing::error!(%error, "spans could not be moved to the recent level; they stay in memory and in the log");
                }
                let error = Some(Arc::new(error.to_string()));
                self.report.seal_failure.store(error);
                self.report.count(|counters| counters.seal.failures += 1);
            }
        }
        result.map(|sealed| sealed.is_some())
    }

    async fn try_seal_next(&self, through: u64) -> Result<Option<Sealed>, FlushError> {
        let view = self.published.load();
        let Some((range, batches)) = next_batches(&view, through, self.options.seal_bytes()) else {
            return Ok(None);
        };
        if view.recent.bytes() >= self.options.recent_bytes() {
            return Err(FlushError::RecentFull {
                limit: self.options.recent_bytes(),
            });
        }
        drop(view);
        let turn = self.published.turn_to_write().await;
        let catalogue = Arc::clone(&self.published.load().catalogue);
        let disk = Arc::clone(&self.options.disk);
        let directory = Arc::clone(&self.directory);
        let counters = Arc::clone(&self.counters);
        let waits_since = self.waits_since();
        let sealed = task::spawn_blocking(move || {
            let sealed = write_file(disk.as_ref(), &directory, range, &batches, &catalogue);
            if sealed.is_ok() {
                let spans: Vec<SpanBatch> = batches.iter().map(|b| b.spans.clone()).collect();
                counters.count_segment(&spans, range.last, waits_since);
                counters.save_if_due();
            }
            drop(directory);
            sealed
        });
        let sealed = sealed
            .await
            .unwrap_or_else(|error| Err(FlushError::Write(error.to_string())))?;
        let recent = sealed.recent.clone();
        self.published.update(|view| View {
            hot: view.hot.without_through(range.last),
            recent: view.recent.with(recent),
            catalogue: view.catalogue_with(&sealed.catalogue),
            ..view.clone()
        });
        drop(turn);
        self.log.cut(self.published.load().covered_through());
        Ok(Some(sealed))
    }

    /// Spans that came before this time no longer wait for the other side of their call.
    fn waits_since(&self) -> i64 {
        let now = self.options.clock.now_unix_nano();
        now.saturating_sub(nanos(self.options.hot_window))
    }

    /// Counts the segments that were sealed after the last checkpoint of the counters.
    async fn count_again(&self) {
        let view = self.published.load();
        let counted = self.counters.through();
        for recent in view.recent.files() {
            if recent.range.last <= counted {
                continue;
            }
            match self.spans_of(recent).await {
                Ok(spans) => {
                    let counters = Arc::clone(&self.counters);
                    let (last, waits_since) = (recent.range.last, self.waits_since());
                    let count = move || counters.count_segment(&spans, last, waits_since);
                    task::spawn_blocking(count).await.ok();
                }
                Err(error) => {
                    tracing::warn!(%error, "the spans of a damaged file are not in the counters of services");
                }
            }
        }
    }

    async fn spans_of(&self, recent: &RecentFile) -> Result<Vec<SpanBatch>, ReadError> {
        let view = View {
            recent: RecentTier::default().with(recent.clone()),
            ..View::default()
        };
        let snapshot = Snapshot::new(Arc::new(view), self.reader.clone());
        let scan = snapshot.scan(&ScanRequest::default()).await;
        let partitions = scan.partitions.into_iter().map(Partition::stream);
        stream::select_all(partitions).try_collect().await
    }

    /// Joins small batches: a batch of one span takes twenty times the memory of the span.
    async fn merge_small(&self) {
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
}

/// The oldest batches, and the range of the log that a file of them covers.
fn next_batches(
    view: &View,
    through: u64,
    bytes_max: usize,
) -> Option<(Range, Vec<Arc<HotBatch>>)> {
    let first = view.hot.iter().next()?.first_sequence();
    let gap = view.recent.gap_at(first, view.committed);
    let through = through.min(gap.last);
    let (mut bytes, mut spans) = (0, 0);
    let batches: Vec<Arc<HotBatch>> = view
        .hot
        .iter()
        .take_while(|batch| batch.last_sequence() <= through)
        .take_while(|batch| {
            let is_first = spans == 0;
            spans += batch.spans.num_spans();
            // One row group, well filled: a second one that is small costs readers as much as a large one.
            let is_room = is_first || (bytes < bytes_max && spans <= ROW_GROUP_SPANS);
            bytes += batch.summary.bytes;
            is_room
        })
        .map(Arc::clone)
        .collect();
    let range = Range {
        first: gap.first,
        last: batches.last()?.last_sequence(),
    };
    Some((range, batches))
}

fn write_file(
    disk: &dyn Disk,
    directory: &Directory,
    range: Range,
    batches: &[Arc<HotBatch>],
    catalogue: &Arc<Catalogue>,
) -> Result<Sealed, FlushError> {
    let write_error = |error: &dyn std::fmt::Display| FlushError::Write(error.to_string());
    let name = file_name(range);
    let folder = directory.recent();
    let spans: Vec<SpanBatch> = batches.iter().map(|batch| batch.spans.clone()).collect();
    let written = write::write(disk, &folder, &temporary_name(&name), &spans, catalogue);
    let written = written.map_err(|error| write_error(&error))?;
    let path = folder.join(&name);
    let placed = disk
        .rename(&written.file.path, &path)
        .and_then(|()| disk.sync_dir(&folder));
    if let Err(error) = placed {
        // If it stays all the same, a later file will cover more, and the next start removes this one.
        disk.remove(&written.file.path).ok();
        disk.remove(&path).ok();
        return Err(write_error(&format!("{}: {error}", path.display())));
    }
    let file = ColdFile {
        name,
        path,
        ..written.file
    };
    Ok(Sealed {
        recent: RecentFile {
            range,
            file: Arc::new(file),
        },
        repeats: written.repeats,
        catalogue: written.catalogue,
    })
}
