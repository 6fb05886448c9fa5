//! The cold tier: Parquet files in a Delta table. `cold/TABLE.md` describes the table.

mod decode;
mod encode;
pub(crate) mod footer;
pub(crate) mod identify;
mod json;
mod object_store;
pub(crate) mod read;
mod schema;
pub(crate) mod source;
pub(crate) mod table;
#[cfg(test)]
mod tests;
pub(crate) mod write;

use std::path::PathBuf;
use std::sync::Arc;

use crate::hot::TimeBounds;

/// A data file of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ColdFile {
    /// Path relative to the table.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    pub(crate) spans: u64,
    pub(crate) times: FileTimes,
}

impl ColdFile {
    /// The file for people: its place below the data directory.
    pub(crate) fn label(&self) -> String {
        let level = self.path.parent().and_then(std::path::Path::file_name);
        let level = level.unwrap_or_default().to_string_lossy();
        format!("{level}/{}", self.name)
    }
}

/// Bounds of the times of a file's spans, in unix nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileTimes {
    pub(crate) start_min: i64,
    pub(crate) start_max: i64,
    pub(crate) end_min: i64,
    pub(crate) end_max: i64,
    pub(crate) received_min: i64,
    pub(crate) received_max: i64,
}

impl FileTimes {
    pub(crate) const NONE: Self = Self {
        start_min: i64::MAX,
        start_max: i64::MIN,
        end_min: i64::MAX,
        end_max: i64::MIN,
        received_min: i64::MAX,
        received_max: i64::MIN,
    };

    /// Bounds that exclude nothing.
    pub(crate) const ANY: Self = Self {
        start_min: i64::MIN,
        start_max: i64::MAX,
        end_min: i64::MIN,
        end_max: i64::MAX,
        received_min: i64::MIN,
        received_max: i64::MAX,
    };

    pub(crate) fn include(&mut self, start: i64, end: i64, received: i64) {
        self.start_min = self.start_min.min(start);
        self.start_max = self.start_max.max(start);
        self.end_min = self.end_min.min(end);
        self.end_max = self.end_max.max(end);
        self.received_min = self.received_min.min(received);
        self.received_max = self.received_max.max(received);
    }

    pub(crate) fn bounds(&self) -> TimeBounds {
        TimeBounds {
            start_min: self.start_min.min(self.end_min),
            start_max: self.start_max,
            end_max: self.end_max.max(self.start_max),
        }
    }
}

/// The files of the table at one of its versions.
#[derive(Debug, Clone, Default)]
pub(crate) struct ColdTier {
    pub(crate) files: Arc<Vec<Arc<ColdFile>>>,
    pub(crate) version: u64,
}
