//! Everything that Spanlight keeps: the log that makes an acknowledgement a promise, the hot tier that shows a span
//! before it is acknowledged, and the cold tier, a Delta table of Parquet files.
//!
//! The only crate that knows the layout of the data directory. Owns durability, recovery, flushing and retention;
//! knows no protocol and no query language. `log/FORMAT.md` and `cold/TABLE.md` describe the bytes.

mod adopt;
mod backup;
mod budget;
mod clock;
mod cold;
mod compaction;
mod counters;
mod delete;
mod directory;
pub mod disk;
mod error;
mod hot;
mod inspect;
mod log;
mod maintenance;
mod options;
mod recent;
mod retention;
mod rewrite;
#[cfg(test)]
mod sample;
mod sampling;
mod scan;
mod seal;
mod snapshot;
mod statistics;
mod store;
mod unreadable;
mod usage;
mod verify;

pub use backup::{BackupError, BackupOptions, BackupReport, backup, restore};
pub use clock::{Clock, SystemClock};
pub use cold::remote::{ColdLocation, LocationError, ObjectLocation};
pub use compaction::CompactionStep;
pub use counters::{
    Call, CallCounts, CallKind, DurationHistogram, Operation, OperationCounts, ServiceCounters,
};
pub use delete::{Deletion, DeletionStep};
pub use error::{AppendError, FlushError, OpenError, ReadError};
pub use inspect::{InspectError, Progress};
pub use options::{FsyncPolicy, StoreOptions};
pub use sampling::{Decision, KeepAll, SamplingPolicy, TraceSpans};
pub use scan::{
    AttributeColumn, AttributeCount, AttributeKeys, AttributeValues, Comparison, Field, Figures,
    Filter, Literal, Partition, Predicate, Run, Scan, ScanColumns, ScanFigures, ScanReport,
    ScanRequest, SkipReason, Steps, Test, TestTexts, TextTest,
};
pub use snapshot::Snapshot;
pub use statistics::{
    CacheStatistics, ColdStatistics, CompactionStatistics, DamageStatistics, ExpiredStatistics,
    FlushStatistics, Health, HotStatistics, LogStatistics, RecentStatistics, SamplingStatistics,
    SealStatistics, Statistics,
};
pub use store::Store;
pub use unreadable::UnreadableFile;
pub use usage::{ColumnUsage, LevelUsage, ServiceUsage, Usage, usage};
pub use verify::{LevelReport, Problem, VerifyOptions, VerifyReport, verify};
