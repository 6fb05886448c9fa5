//! What the store says about itself: for `/readyz`, `/metrics` and the status page.

use std::time::Duration;

/// Whether the store does its job.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Health {
    /// Why the log refuses spans; `None` when it takes them.
    pub unwritable: Option<String>,
    /// Why the last flush to the cold tier failed; `None` when it succeeded.
    pub flush_failure: Option<String>,
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
    /// The Delta table.
    pub cold: ColdStatistics,
    /// Moves from hot to cold.
    pub flush: FlushStatistics,
    /// What recovery could not read.
    pub damage: DamageStatistics,
}

/// Spans in memory that are not yet in the cold tier.
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
    /// Files that left by age (counter).
    pub expired_files: u64,
    /// Spans in those files (counter).
    pub expired_spans: u64,
}

/// Moves from hot to cold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FlushStatistics {
    /// Flushes that were committed (counter).
    pub commits: u64,
    /// Flushes that failed (counter).
    pub failures: u64,
    /// Spans that were moved (counter).
    pub spans: u64,
    /// Spans that were repeats of another in the same flush (counter).
    pub repeated_spans: u64,
    /// How long the last flush took.
    pub last_duration: Duration,
}

/// What recovery could not read. Damaged records are kept in `DATA_DIR/damaged`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DamageStatistics {
    /// Records of the log that were damaged in its middle.
    pub records: u64,
    /// Bytes of those records.
    pub bytes: u64,
    /// Bytes of a torn tail that was cut; they were never acknowledged.
    pub cut_bytes: u64,
}
