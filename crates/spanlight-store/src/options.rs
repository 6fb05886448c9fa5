//! What a store can be told when it is opened.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, SystemClock};
use crate::cold::remote::ColdLocation;
use crate::disk::{Disk, LocalDisk};
use crate::sampling::{KeepAll, SamplingPolicy};

/// When the log is synced to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FsyncPolicy {
    /// Before every acknowledgement: an acknowledged span survives a power cut.
    #[default]
    Always,
    /// When the operating system likes: an acknowledged span survives a crash of the process, not of the machine.
    Never,
}

/// How a store behaves; [`StoreOptions::new`] has the defaults.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StoreOptions {
    /// The directory that the store owns. Made when it is missing.
    pub data_dir: PathBuf,
    /// Where the cold table is.
    pub cold: ColdLocation,
    /// Bytes of remote files that are kept on the local disk, for those who read them again.
    pub cache_bytes: u64,
    /// How long a server's claim on a remote table holds that it does not renew.
    pub lease_term: Duration,
    /// When the log is synced.
    pub fsync: FsyncPolicy,
    /// Bytes of memory that spans may take before they are in a file; all of it refuses new spans.
    pub hot_bytes: usize,
    /// Bytes of memory that become one file of the recent level; half of `hot_bytes` when that is less.
    pub seal_bytes: usize,
    /// Bytes that the recent level may take on the disk. Above half of it files move to the cold tier before their
    /// time; at all of it memory fills, and then new spans are refused. Half of `disk_bytes` when that is less.
    pub recent_bytes: u64,
    /// Age at which spans leave the recent level for the cold tier, by the time of their receipt.
    pub hot_window: Duration,
    /// Age at which spans are deleted, by the time of their receipt; `None` keeps them for ever.
    pub retention: Option<Duration>,
    /// Services whose spans are kept for less long than `retention` says.
    pub service_retention: BTreeMap<String, Duration>,
    /// Bytes that log, recent level and a local table may take; the oldest spans are deleted beyond it. Of a remote table
    /// nothing is deleted for it. `None` for no bound.
    pub disk_bytes: Option<u64>,
    /// How long a file that left the table stays on disk, for readers of other programs that still hold it.
    pub tombstone_grace: Duration,
    /// How often small files of the table are looked at, whether some are worth joining.
    pub compaction_interval: Duration,
    /// Files with fewer spans are sorted as one when they are joined; others are put together as they are.
    pub merge_spans: u64,
    /// Bytes at which a new segment of the log is begun.
    pub segment_bytes: u64,
    /// Bytes that may wait for the log's writer.
    pub queue_bytes: usize,
    /// How often the background task looks whether there is something to flush or to delete.
    pub maintenance_interval: Duration,
    /// How long to wait before a log that could not be written is tried again.
    pub probe_interval: Duration,
    /// Which traces move to the cold tier.
    pub sampling: Arc<dyn SamplingPolicy>,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where files are.
    pub disk: Arc<dyn Disk>,
}

impl StoreOptions {
    /// The defaults, in this directory.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            cold: ColdLocation::DataDir,
            cache_bytes: 1 << 30,
            lease_term: Duration::from_secs(30),
            fsync: FsyncPolicy::Always,
            hot_bytes: 150 << 20,
            seal_bytes: 64 << 20,
            recent_bytes: 4 << 30,
            hot_window: Duration::from_secs(15 * 60),
            retention: None,
            service_retention: BTreeMap::new(),
            disk_bytes: None,
            tombstone_grace: Duration::from_secs(10 * 60),
            compaction_interval: Duration::from_secs(10),
            merge_spans: 64 << 10,
            segment_bytes: 64 << 20,
            queue_bytes: 64 << 20,
            maintenance_interval: Duration::from_secs(1),
            probe_interval: Duration::from_secs(1),
            sampling: Arc::new(KeepAll),
            clock: Arc::new(SystemClock),
            disk: Arc::new(LocalDisk),
        }
    }

    /// Bytes that the recent level may take.
    pub(crate) fn recent_bytes(&self) -> u64 {
        let half = self.disk_bytes.map_or(u64::MAX, |bytes| bytes / 2);
        self.recent_bytes.min(half)
    }

    /// Bytes in memory at which a file is made.
    pub(crate) fn seal_bytes(&self) -> usize {
        self.seal_bytes.min(self.hot_bytes / 2)
    }
}
