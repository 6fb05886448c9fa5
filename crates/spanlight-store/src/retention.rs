//! Deleting: files whose youngest span is too old leave the table, and later the disk.

use std::sync::Arc;

use crate::cold::ColdFile;
use crate::cold::table::Change;
use crate::error::FlushError;
use crate::maintenance::{Maintenance, nanos};

impl Maintenance {
    /// Takes files out of the table whose youngest span is too old.
    pub(crate) async fn expire(&mut self) {
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
    pub(crate) async fn remove_tombstoned(&mut self) {
        let grace = i64::try_from(self.options.tombstone_grace.as_millis()).unwrap_or(i64::MAX);
        let before = self.now_unix_milli().saturating_sub(grace);
        let due = self.tombstones.iter().filter(|(_, at)| **at <= before);
        let due: Vec<String> = due.map(|(name, _)| name.clone()).collect();
        let cold = self.directory.cold();
        self.remove_files(due.iter().map(|name| cold.join(name)).collect())
            .await;
        for name in due {
            self.tombstones.remove(&name);
        }
    }
}
