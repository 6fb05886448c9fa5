//! Deleting: files whose spans are too old, or too many for the disk, leave the table, and later the disk.

mod services;

use std::collections::BTreeMap;
use std::sync::Arc;

use deltalake_core::DeltaTableError;

use crate::cold::ColdFile;
use crate::cold::table::{Change, Table};
use crate::error::FlushError;
use crate::maintenance::{Maintenance, nanos};
use crate::snapshot::View;

pub(crate) use self::services::Cleared;

/// A file that left the table and is still on the disk.
#[derive(Debug, Clone)]
pub(crate) struct Tombstone {
    /// When it left, in unix milliseconds.
    pub(crate) left_unix_milli: i64,
    /// The file as readers hold it; `None` when it left before this start.
    pub(crate) file: Option<Arc<ColdFile>>,
}

impl Tombstone {
    fn is_read(&self) -> bool {
        // The view no longer has it, so that no new reader comes; ours is one reference.
        let readers = self.file.as_ref().map(Arc::strong_count);
        readers.is_some_and(|readers| readers > 1)
    }

    fn bytes(&self) -> u64 {
        self.file.as_ref().map_or(0, |file| file.bytes)
    }
}

/// Files that left the table and are still on the disk, by name.
pub(crate) type Tombstones = BTreeMap<String, Tombstone>;

/// What the table says has left it.
pub(crate) async fn tombstones(table: &Table) -> Result<Tombstones, DeltaTableError> {
    let left = table.tombstones().await?.into_iter();
    let tombstones = left.map(|(name, left_unix_milli)| {
        let tombstone = Tombstone {
            left_unix_milli,
            file: None,
        };
        (name, tombstone)
    });
    Ok(tombstones.collect())
}

/// Why spans are deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    Age,
    Disk,
}

impl Maintenance {
    /// Takes files out of the table whose youngest span is too old, or for which there is no room any more.
    pub(crate) async fn expire(&mut self) {
        if self.table.check_open().is_err() {
            return;
        }
        let view = self.published.load();
        let old = self.too_old(&view);
        self.delete(old, Reason::Age).await;
        let view = self.published.load();
        let many = self.too_many(&view);
        self.delete(many, Reason::Disk).await;
        self.expire_services().await;
    }

    fn too_old(&self, view: &View) -> Vec<Arc<ColdFile>> {
        let Some(retention) = self.options.retention else {
            return Vec::new();
        };
        let now = self.options.clock.now_unix_nano();
        let oldest = now.saturating_sub(nanos(retention));
        let files = view.cold.files.iter();
        let expired = files.filter(|file| file.times.received_max < oldest);
        expired.map(Arc::clone).collect()
    }

    /// The oldest files, until the rest fits.
    fn too_many(&self, view: &View) -> Vec<Arc<ColdFile>> {
        // Files on an object store take no room here.
        let limit = self.options.disk_bytes;
        let Some(limit) = limit.filter(|_| !self.directory.is_cold_remote()) else {
            return Vec::new();
        };
        let mut used = self.used_bytes(view);
        let mut files: Vec<&Arc<ColdFile>> = view.cold.files.iter().collect();
        files.sort_unstable_by_key(|file| file.times.received_max);
        let mut expired = Vec::new();
        for file in files {
            if used <= limit {
                break;
            }
            used = used.saturating_sub(file.bytes);
            expired.push(Arc::clone(file));
        }
        expired
    }

    /// Bytes on the disk that are not about to be removed.
    fn used_bytes(&self, view: &View) -> u64 {
        let cold = match self.directory.is_cold_remote() {
            true => 0,
            false => view.cold.files.iter().map(|file| file.bytes).sum(),
        };
        cold + view.recent.bytes() + self.log.statistics().bytes
    }

    async fn delete(&mut self, files: Vec<Arc<ColdFile>>, reason: Reason) {
        if files.is_empty() {
            return;
        }
        if let Err(error) = self.replace(&files, &[], true).await {
            tracing::error!(%error, "old spans could not be deleted; trying again");
            return;
        }
        let spans: u64 = files.iter().map(|file| file.spans).sum();
        match reason {
            Reason::Age => {
                tracing::info!(
                    files = files.len(),
                    spans,
                    "spans beyond the retention were deleted"
                );
            }
            Reason::Disk => {
                tracing::warn!(
                    files = files.len(),
                    spans,
                    "the oldest spans were deleted: storage.max_disk is reached"
                );
            }
        }
        self.report.count(|counters| {
            counters.expired.files += files.len() as u64;
            match reason {
                Reason::Age => counters.expired.spans_by_age += spans,
                Reason::Disk => counters.expired.spans_by_disk += spans,
            }
        });
    }

    /// Takes files out of the table and puts others in their place, in one commit. `is_change`: the spans of the table
    /// are others then, not only the files.
    pub(crate) async fn replace(
        &mut self,
        old: &[Arc<ColdFile>],
        new: &[Arc<ColdFile>],
        is_change: bool,
    ) -> Result<(), FlushError> {
        self.settle().await?;
        let now = self.now_unix_milli();
        let change = Change {
            add: new,
            remove: old,
            is_rewrite: !is_change,
            now_unix_milli: now,
            ..Change::default()
        };
        if let Err(error) = self.table.commit(&change).await {
            self.settle().await?;
            let is_done = !old.iter().any(|file| self.holds(file));
            if !is_done || !new.iter().all(|file| self.holds(file)) {
                return Err(FlushError::Commit(error.to_string()));
            }
        }
        if let Err(error) = self.publish(0) {
            // It is committed: nobody may take the new files for unused.
            self.table.doubt();
            return Err(error);
        }
        let left = old.iter().map(|file| {
            let tombstone = Tombstone {
                left_unix_milli: now,
                file: Some(Arc::clone(file)),
            };
            (file.name.clone(), tombstone)
        });
        self.tombstones.extend(left);
        self.checkpoint().await;
        Ok(())
    }

    /// Removes files that left the table and that nobody reads any more: our own readers are known, others have the
    /// time that is stated. Where the disk is full, only our own count.
    pub(crate) async fn vacuum(&mut self) {
        let grace = i64::try_from(self.options.tombstone_grace.as_millis()).unwrap_or(i64::MAX);
        let before = self.now_unix_milli().saturating_sub(grace);
        let waiting: u64 = self.tombstones.values().map(Tombstone::bytes).sum();
        let used = self.used_bytes(&self.published.load());
        let limit = self.options.disk_bytes;
        let is_full = limit.is_some_and(|limit| used + waiting > limit);
        let due = self.tombstones.iter().filter(|(_, tombstone)| {
            (is_full || tombstone.left_unix_milli <= before) && !tombstone.is_read()
        });
        let due: Vec<String> = due.map(|(name, _)| name.clone()).collect();
        // Only who has the table knows that nobody needs its files.
        if due.is_empty() || self.table.check_ours().await.is_err() {
            return;
        }
        let cold = self.directory.cold();
        self.remove_files(due.iter().map(|name| cold.join(name)).collect())
            .await;
        for name in due {
            self.tombstones.remove(&name);
        }
    }
}
