//! The recent level: data files with every span that has left memory and not yet reached the table.
//!
//! A file's name carries the range of the log that it covers, so that no list of them is kept anywhere: what has its
//! final name is complete, synced, and in the place of its part of the log. Owns the names and what an open finds;
//! `seal` writes the files, `adopt` moves them on.

use std::cmp::Reverse;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cold::ColdFile;
use crate::cold::identify::{IdentifyError, identify};
use crate::directory::Directory;
use crate::disk::Disk;
use crate::error::OpenError;
use crate::statistics::DamageStatistics;

/// Sequence numbers of the log, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) first: u64,
    pub(crate) last: u64,
}

impl Range {
    pub(crate) fn contains(&self, sequence: u64) -> bool {
        (self.first..=self.last).contains(&sequence)
    }

    fn encloses(&self, other: &Self) -> bool {
        self.first <= other.first && other.last <= self.last
    }
}

/// A file of the recent level.
#[derive(Debug, Clone)]
pub(crate) struct RecentFile {
    pub(crate) range: Range,
    pub(crate) file: Arc<ColdFile>,
}

/// The files of the recent level, in the order of the log. A value, as the hot tier is.
#[derive(Debug, Clone, Default)]
pub(crate) struct RecentTier {
    files: Arc<Vec<RecentFile>>,
}

impl RecentTier {
    pub(crate) fn files(&self) -> &[RecentFile] {
        &self.files
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().map(|recent| recent.file.bytes).sum()
    }

    pub(crate) fn spans(&self) -> u64 {
        self.files.iter().map(|recent| recent.file.spans).sum()
    }

    /// The last sequence number that a file covers; zero when there is none.
    pub(crate) fn last(&self) -> u64 {
        self.files.last().map_or(0, |recent| recent.range.last)
    }

    pub(crate) fn with(&self, file: RecentFile) -> Self {
        let mut files = self.files.as_ref().clone();
        let place = files.partition_point(|other| other.range.first < file.range.first);
        files.insert(place, file);
        Self {
            files: Arc::new(files),
        }
    }

    /// This level without the files that end at or before this sequence number.
    pub(crate) fn without_through(&self, sequence: u64) -> Self {
        let kept = self.files.iter();
        let kept = kept.filter(|recent| recent.range.last > sequence);
        Self {
            files: Arc::new(kept.cloned().collect()),
        }
    }

    /// The widest range around a sequence number that no file covers, and that begins after `committed`.
    pub(crate) fn gap_at(&self, sequence: u64, committed: u64) -> Range {
        let before = self.files.iter().map(|recent| recent.range.last);
        let before = before.filter(|&last| last < sequence).max().unwrap_or(0);
        let after = self.files.iter().map(|recent| recent.range.first);
        let after = after.filter(|&first| first > sequence).min();
        Range {
            first: before.max(committed) + 1,
            last: after.map_or(u64::MAX, |first| first - 1),
        }
    }
}

/// The name of a file that covers this range.
pub(crate) fn file_name(range: Range) -> String {
    let Range { first, last } = range;
    let id = uuid::Uuid::new_v4();
    format!("spans-{first:020}-{last:020}-{id}.parquet")
}

fn range_of(name: &str) -> Option<Range> {
    let rest = name.strip_prefix("spans-")?.strip_suffix(".parquet")?;
    let (first, rest) = rest.split_once('-')?;
    let (last, _) = rest.split_once('-')?;
    Some(Range {
        first: first.parse().ok()?,
        last: last.parse().ok()?,
    })
}

/// What an open finds. Files whose spans are elsewhere too are removed; one that cannot be understood is kept aside,
/// and covers nothing.
pub(crate) struct Finding<'a> {
    pub(crate) disk: &'a dyn Disk,
    pub(crate) directory: &'a Directory,
    /// The table has the log up to and including this sequence number.
    pub(crate) committed: u64,
}

impl Finding<'_> {
    pub(crate) fn run(&self, damage: &mut DamageStatistics) -> Result<RecentTier, OpenError> {
        let folder = self.directory.recent();
        let entries = self.disk.list(&folder).map_err(disk_error(&folder))?;
        let names = entries.into_iter().filter(|entry| !entry.stat.is_dir);
        let mut found: Vec<(Range, String)> = names
            .filter_map(|entry| Some((range_of(&entry.name)?, entry.name)))
            .collect();
        // Of two files, where the making of one failed and could not be undone, the later covers more.
        found.sort_by_key(|(range, name)| (range.first, Reverse(range.last), name.clone()));
        let mut files: Vec<RecentFile> = Vec::new();
        for (range, name) in found {
            let path = folder.join(&name);
            let is_repeated = files.iter().any(|other| other.range.encloses(&range));
            if range.last <= self.committed || is_repeated {
                self.disk.remove(&path).map_err(disk_error(&path))?;
                continue;
            }
            match identify(self.disk, &path) {
                Ok(file) => files.push(RecentFile {
                    range,
                    file: Arc::new(file),
                }),
                Err(IdentifyError::Disk(source)) => return Err(OpenError::Disk { path, source }),
                Err(IdentifyError::Damaged(reason)) => self.set_aside(&path, &reason, damage)?,
            }
        }
        Ok(RecentTier {
            files: Arc::new(files),
        })
    }

    fn set_aside(
        &self,
        path: &Path,
        reason: &str,
        damage: &mut DamageStatistics,
    ) -> Result<(), OpenError> {
        let folder = self.directory.damaged();
        let target = folder.join(path.file_name().unwrap_or_default());
        tracing::error!(
            file = %path.display(), kept = %target.display(), %reason,
            "a file of the recent level is damaged; its spans are missing"
        );
        damage.files += 1;
        self.disk
            .create_dir_all(&folder)
            .and_then(|()| self.disk.rename(path, &target))
            .and_then(|()| self.disk.sync_dir(&folder))
            .map_err(disk_error(path))
    }
}

fn disk_error(path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path: PathBuf = path.to_owned();
    move |source| OpenError::Disk { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cold::FileTimes;

    fn file(first: u64, last: u64) -> RecentFile {
        RecentFile {
            range: Range { first, last },
            file: Arc::new(ColdFile {
                name: String::new(),
                path: PathBuf::new(),
                bytes: 10,
                spans: 1,
                times: FileTimes::NONE,
                columns: Arc::default(),
            }),
        }
    }

    #[test]
    fn a_name_says_its_range() {
        let range = Range { first: 3, last: 17 };
        assert_eq!(range_of(&file_name(range)), Some(range));
        assert_eq!(range_of("spans-3.parquet"), None);
        assert_eq!(range_of(".spans-1-2-x.parquet.tmp"), None);
    }

    #[test]
    fn a_gap_ends_where_a_file_begins() {
        let recent = RecentTier::default().with(file(10, 12)).with(file(4, 6));
        let gap = |sequence, committed| {
            let gap = recent.gap_at(sequence, committed);
            (gap.first, gap.last)
        };
        assert_eq!(gap(2, 0), (1, 3));
        assert_eq!(gap(8, 3), (7, 9));
        assert_eq!(gap(8, 7), (8, 9));
        assert_eq!(gap(20, 3), (13, u64::MAX));
        assert_eq!(recent.without_through(6).files().len(), 1);
        assert_eq!((recent.last(), recent.bytes()), (12, 20));
    }
}
