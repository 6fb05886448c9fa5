//! Everything that Spanlight keeps: the log that makes an acknowledgement a promise, the hot tier that shows a span
//! before it is acknowledged, and the cold tier, a Delta table of Parquet files.
//!
//! The only crate that knows the layout of the data directory. Owns durability, recovery, flushing and retention;
//! knows no protocol and no query language. `log/FORMAT.md` and `cold/TABLE.md` describe the bytes.

mod adopt;
mod budget;
mod clock;
mod cold;
mod directory;
pub mod disk;
mod error;
mod hot;
mod log;
mod maintenance;
mod options;
mod recent;
mod retention;
#[cfg(test)]
mod sample;
mod scan;
mod seal;
mod snapshot;
mod statistics;
mod store;

pub use clock::{Clock, SystemClock};
pub use cold::remote::{ColdLocation, LocationError, ObjectLocation};
pub use error::{AppendError, FlushError, OpenError, ReadError};
pub use options::{FsyncPolicy, StoreOptions};
pub use scan::{
    AttributeKeys, Comparison, Field, Figures, Filter, Literal, Partition, Predicate, Scan,
    ScanColumns, ScanFigures, ScanReport, ScanRequest, SkipReason, Test, TextTest,
};
pub use snapshot::Snapshot;
pub use statistics::{
    CacheStatistics, ColdStatistics, DamageStatistics, ExpiredStatistics, FlushStatistics, Health,
    HotStatistics, LogStatistics, RecentStatistics, SealStatistics, Statistics,
};
pub use store::Store;
