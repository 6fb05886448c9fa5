//! What the store says about itself: for `/readyz`, `/metrics` and the status page.

use std::time::Duration;

use crate::unreadable::UnreadableFile;

/// Whether the store does its job.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Health {
    /// Why the log refuses spans; `None` when it takes them.
    pub unwritable: Option<String>,
    /// Why the last move from memory to the recent level, or from there to the cold tier, failed; `None` when both succeeded.
    pub flush_failure: Option<String>,
    /// Why the object store of the cold table cannot be reached; `None` when it answers, or there is none.
    pub cold_outage: Option<String>,
    /// What this start could not read, and where it is kept; `None` when everything was whole.
    pub damage: Option<String>,
    /// Data files that were found damaged or missing, and are so still.
    pub unreadable: Vec<UnreadableFile>,
}

impl Health {
    /// Whether new spans are accepted.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.unwritable.is_none()
    }
}

/// Everything that is counted. Counters run from the start of the process; the rest is the present state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Memory.
    pub hot: HotStatistics,
    /// The write-ahead log.
    pub log: LogStatistics,
    /// Local files between memory and the table.
    pub recent: RecentStatistics,
    /// The Delta table.
    pub cold: ColdStatistics,
    /// The local copy of a remote table.
    pub cache: CacheStatistics,
    /// Moves from memory to the recent level.
    pub seal: SealStatistics,
    /// Moves from the recent level to the cold tier.
    pub flush: FlushStatistics,
    /// Joining of small files.
    pub compaction: CompactionStatistics,
    /// What the sampling policy dropped.
    pub sampling: SamplingStatistics,
    /// What was deleted.
    pub expired: ExpiredStatistics,
    /// What recovery could not read.
    pub damage: DamageStatistics,
}

/// Spans in memory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HotStatistics {
    /// Spans.
    pub spans: u64,
    /// Batches.
    pub batches: u64,
    /// Bytes of memory.
    pub bytes: u64,
    /// Bytes at which new spans are refused.
    pub bytes_max: u64,
}

/// The write-ahead log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogStatistics {
    /// Files.
    pub segments: u64,
    /// Bytes in those files.
    pub bytes: u64,
    /// Bytes that wait to be written.
    pub queued_bytes: u64,
    /// Batches written and synced (counter).
    pub appended_batches: u64,
    /// Spans written and synced (counter).
    pub appended_spans: u64,
    /// Bytes written and synced (counter).
    pub appended_bytes: u64,
    /// Syncs; a sync covers every batch that waited for it (counter).
    pub syncs: u64,
    /// Time spent in syncs (counter).
    pub sync_time: Duration,
    /// How long the last sync took.
    pub last_sync: Duration,
    /// Writes and syncs that failed (counter).
    pub failures: u64,
}

/// The recent level: data files that are not yet in the table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecentStatistics {
    /// Files.
    pub files: u64,
    /// Bytes in those files.
    pub bytes: u64,
    /// Spans in those files.
    pub spans: u64,
    /// Bytes at which memory is not emptied any more.
    pub bytes_max: u64,
}

/// Blocks of remote files on the local disk. All 0 for a local table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheStatistics {
    /// Bytes.
    pub bytes: u64,
    /// Bytes that it may take.
    pub bytes_max: u64,
    /// Blocks that were there (counter).
    pub hits: u64,
    /// Blocks that had to be fetched (counter).
    pub misses: u64,
    /// Blocks that made room for others (counter).
    pub evictions: u64,
}

/// The Delta table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ColdStatistics {
    /// Data files.
    pub files: u64,
    /// Bytes in those files.
    pub bytes: u64,
    /// Spans in those files.
    pub spans: u64,
    /// Version of the table.
    pub table_version: u64,
    /// Bytes in memory of the footers, indexes and filters of data files of all levels.
    pub footer_bytes: u64,
}

/// Moves from memory to the recent level.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SealStatistics {
    /// Files that were made (counter).
    pub files: u64,
    /// Moves that failed (counter).
    pub failures: u64,
    /// Spans in those files (counter).
    pub spans: u64,
    /// Bytes of those files (counter).
    pub bytes: u64,
    /// Spans that were repeats of another in the same file (counter).
    pub repeated_spans: u64,
    /// How long the last move took.
    pub last_duration: Duration,
}

/// Moves from the recent level to the cold tier.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FlushStatistics {
    /// Moves that were committed (counter).
    pub commits: u64,
    /// Moves that failed (counter).
    pub failures: u64,
    /// Spans that were moved (counter).
    pub spans: u64,
    /// How long the last move took.
    pub last_duration: Duration,
}

/// Joining of small files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CompactionStatistics {
    /// Files that were made of others (counter).
    pub commits: u64,
    /// Attempts that failed (counter).
    pub failures: u64,
    /// Files that were joined (counter).
    pub files: u64,
    /// Spans that were written again (counter).
    pub spans: u64,
    /// Bytes that were written again (counter).
    pub bytes: u64,
    /// Spans that were repeats of another in the same file (counter).
    pub repeated_spans: u64,
    /// How long the last took.
    pub last_duration: Duration,
}

/// What the sampling policy dropped.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SamplingStatistics {
    /// Traces that were decided so (counter).
    pub traces: u64,
    /// Their spans, and those that came later (counter).
    pub spans: u64,
}

/// What was deleted, by reason.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExpiredStatistics {
    /// Files that left the table (counter).
    pub files: u64,
    /// Spans that were too old (counter).
    pub spans_by_age: u64,
    /// Spans for which there was no room on the disk (counter).
    pub spans_by_disk: u64,
    /// Spans that were too old for their service (counter).
    pub spans_by_service: u64,
}

impl ExpiredStatistics {
    /// Spans that were deleted for any reason.
    #[must_use]
    pub fn spans(&self) -> u64 {
        self.spans_by_age + self.spans_by_disk + self.spans_by_service
    }
}

/// What recovery could not read. Damaged records are kept in `DATA_DIR/damaged`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DamageStatistics {
    /// Records of the log that were damaged in its middle.
    pub records: u64,
    /// Bytes of those records.
    pub bytes: u64,
    /// Files of the recent level that could not be understood.
    pub files: u64,
    /// Bytes of a torn tail that was cut; they were never acknowledged.
    pub cut_bytes: u64,
}
