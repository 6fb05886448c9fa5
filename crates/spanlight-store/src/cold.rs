//! The cold tier: Parquet files in a Delta table. `cold/TABLE.md` describes the table.

pub(crate) mod append;
pub(crate) mod cache;
pub(crate) mod catalogue;
pub(crate) mod checksum;
mod chunk;
pub(crate) mod commits;
mod condition;
mod decode;
mod dictionary;
mod encode;
pub(crate) mod fetch;
pub(crate) mod footer;
mod footers;
mod group;
pub(crate) mod identify;
mod json;
pub(crate) mod object_store;
mod order;
mod pages;
mod promote;
mod prune;
pub(crate) mod read;
pub(crate) mod remote;
mod rows;
pub(crate) mod schema;
pub(crate) mod sealed;
mod select;
pub(crate) mod source;
mod starts;
mod statistics;
mod stored;
pub(crate) mod table;
mod tail;
mod tail_filter;
#[cfg(test)]
mod tests;
mod traces;
pub(crate) mod write;

use std::path::PathBuf;
use std::sync::Arc;

use self::catalogue::Catalogue;
use crate::hot::TimeBounds;

/// A data file of the table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ColdFile {
    /// Path relative to the table.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    pub(crate) spans: u64,
    pub(crate) times: FileTimes,
    /// Its attribute columns. The table must have them before it has the file; for files of the table they are not
    /// known without reading them.
    pub(crate) columns: Arc<Catalogue>,
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
    /// End less start.
    pub(crate) duration_min: i64,
    pub(crate) duration_max: i64,
}

impl FileTimes {
    pub(crate) const NONE: Self = Self {
        start_min: i64::MAX,
        start_max: i64::MIN,
        end_min: i64::MAX,
        end_max: i64::MIN,
        received_min: i64::MAX,
        received_max: i64::MIN,
        duration_min: i64::MAX,
        duration_max: i64::MIN,
    };

    /// Bounds that exclude nothing.
    pub(crate) const ANY: Self = Self {
        start_min: i64::MIN,
        start_max: i64::MAX,
        end_min: i64::MIN,
        end_max: i64::MAX,
        received_min: i64::MIN,
        received_max: i64::MAX,
        duration_min: i64::MIN,
        duration_max: i64::MAX,
    };

    pub(crate) fn include(&mut self, start: i64, end: i64, received: i64) {
        self.start_min = self.start_min.min(start);
        self.start_max = self.start_max.max(start);
        self.end_min = self.end_min.min(end);
        self.end_max = self.end_max.max(end);
        self.received_min = self.received_min.min(received);
        self.received_max = self.received_max.max(received);
        let duration = end.wrapping_sub(start);
        self.duration_min = self.duration_min.min(duration);
        self.duration_max = self.duration_max.max(duration);
    }

    /// Bounds of these and those.
    pub(crate) fn include_all(&mut self, other: &Self) {
        self.start_min = self.start_min.min(other.start_min);
        self.start_max = self.start_max.max(other.start_max);
        self.end_min = self.end_min.min(other.end_min);
        self.end_max = self.end_max.max(other.end_max);
        self.received_min = self.received_min.min(other.received_min);
        self.received_max = self.received_max.max(other.received_max);
        self.duration_min = self.duration_min.min(other.duration_min);
        self.duration_max = self.duration_max.max(other.duration_max);
    }

    /// As a file says it about itself.
    pub(crate) fn to_json(self) -> String {
        let times = [
            self.start_min,
            self.start_max,
            self.end_min,
            self.end_max,
            self.received_min,
            self.received_max,
            self.duration_min,
            self.duration_max,
        ];
        serde_json::Value::from(times.to_vec()).to_string()
    }

    /// What [`FileTimes::to_json`] wrote.
    pub(crate) fn from_json(text: &str) -> Option<Self> {
        let [
            start_min,
            start_max,
            end_min,
            end_max,
            received_min,
            received_max,
            duration_min,
            duration_max,
        ] = serde_json::from_str(text).ok()?;
        Some(Self {
            start_min,
            start_max,
            end_min,
            end_max,
            received_min,
            received_max,
            duration_min,
            duration_max,
        })
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
    /// Why nothing is known of the table, for those who ask for its spans.
    pub(crate) missing: Option<Arc<str>>,
}
