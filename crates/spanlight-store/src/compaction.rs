//! Compaction: small files of the table become larger ones, so that a question opens few.
//!
//! Which files: neighbours in time, all of one slice of it, none larger than what a busy store makes at once: those
//! are never rewritten. While a slice still gets files, only as many of one size as make the next size; afterwards all.
//! So a span is written a few times at the slowest rates, and once at the highest.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use crate::cold::ColdFile;
use crate::error::FlushError;
use crate::maintenance::{Maintenance, nanos};

/// A file of so many spans is large enough.
const LARGE_SPANS: u64 = 128 << 10;
/// A file of so many bytes is, too.
const LARGE_BYTES: u64 = 64 << 20;
/// Spans of a file, at most.
const FILE_SPANS_MAX: u64 = 1 << 20;
/// Nanoseconds of a slice.
const SLICE: i64 = 3_600 * 1_000_000_000;
/// Files of one size that are worth joining while more may come.
const TIER_FILES: usize = 4;
/// Each size is so many times the one below.
const TIER_SHIFT: u32 = 2;

/// What a step of compaction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CompactionStep {
    /// Files that were joined.
    pub files: u64,
    /// Spans in them.
    pub spans: u64,
    /// Files that may still be joined, about.
    pub files_left: u64,
}

/// A stretch of time that files are not merged across.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Slice {
    /// Spans that start in this slice or the one before.
    Start(i64),
    /// Spans that start far apart, received up to this slice: what is wrong about time stays among itself.
    Scattered(i64),
}

impl Slice {
    fn of(file: &ColdFile) -> Self {
        let times = &file.times;
        let (first, last) = (
            times.start_min.div_euclid(SLICE),
            times.start_max.div_euclid(SLICE),
        );
        if last - first <= 1 {
            Self::Start(last)
        } else {
            Self::Scattered(times.received_max.div_euclid(SLICE))
        }
    }
}

/// How much at once, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) now: i64,
    /// How long after its receipt a span may still reach the table.
    pub(crate) delay: i64,
    /// Spans of a merged file, at most.
    pub(crate) spans_max: u64,
    /// Join what can be joined, whatever may still come.
    pub(crate) eager: bool,
}

/// The next files to join; `None` when nothing is worth it.
pub(crate) fn pick(files: &[Arc<ColdFile>], limits: Limits) -> Option<Vec<Arc<ColdFile>>> {
    let mut slices: BTreeMap<Slice, Vec<&Arc<ColdFile>>> = BTreeMap::new();
    for file in files.iter().filter(|file| is_small(file, limits)) {
        slices.entry(Slice::of(file)).or_default().push(file);
    }
    slices
        .into_values()
        .find_map(|files| pick_in_slice(files, limits))
}

fn is_small(file: &ColdFile, limits: Limits) -> bool {
    let large = LARGE_SPANS.min(limits.spans_max / 2);
    file.spans < large && file.bytes < LARGE_BYTES
}

fn pick_in_slice(mut files: Vec<&Arc<ColdFile>>, limits: Limits) -> Option<Vec<Arc<ColdFile>>> {
    files.sort_by_key(|file| (file.times.start_min, file.name.clone()));
    let youngest = files.iter().map(|file| file.times.received_max).max()?;
    let is_settled = limits.now.saturating_sub(youngest) > limits.delay.saturating_add(SLICE);
    if limits.eager || is_settled {
        return run(files.iter().copied(), 2, limits);
    }
    let mut tiers: BTreeMap<u32, Vec<&Arc<ColdFile>>> = BTreeMap::new();
    for file in files {
        tiers.entry(tier(file)).or_default().push(file);
    }
    tiers
        .into_values()
        .find_map(|files| run(files.into_iter(), TIER_FILES, limits))
}

fn tier(file: &ColdFile) -> u32 {
    (u64::BITS - file.spans.max(1).leading_zeros()) / TIER_SHIFT
}

/// Neighbours that fit into one file, if there are so many.
fn run<'a>(
    files: impl Iterator<Item = &'a Arc<ColdFile>>,
    least: usize,
    limits: Limits,
) -> Option<Vec<Arc<ColdFile>>> {
    let spans_max = FILE_SPANS_MAX.min(limits.spans_max);
    let mut picked: Vec<Arc<ColdFile>> = Vec::new();
    let (mut spans, mut bytes) = (0, 0);
    for file in files {
        let is_full = spans + file.spans > spans_max || bytes + file.bytes > 2 * LARGE_BYTES;
        if is_full && picked.len() >= least {
            break;
        }
        if is_full {
            picked.clear();
            (spans, bytes) = (0, 0);
        }
        spans += file.spans;
        bytes += file.bytes;
        picked.push(Arc::clone(file));
        // Large enough for good: the rest makes the next one.
        if spans >= LARGE_SPANS && picked.len() >= least {
            break;
        }
    }
    (picked.len() >= least.max(2)).then_some(picked)
}

impl Maintenance {
    /// Joins some files, if it is worth it and there is memory for it.
    pub(crate) async fn compact_next(
        &mut self,
        eager: bool,
    ) -> Result<Option<CompactionStep>, FlushError> {
        let limits = Limits {
            now: self.options.clock.now_unix_nano(),
            delay: nanos(self.options.hot_window).saturating_mul(2),
            spans_max: self.rewrite_spans_max(),
            eager,
        };
        let view = self.published.load();
        let readable: Vec<Arc<ColdFile>> = view
            .cold
            .files
            .iter()
            .filter(|file| !self.reader.unreadable.contains(&file.name))
            .map(Arc::clone)
            .collect();
        let Some(files) = pick(&readable, limits) else {
            return Ok(None);
        };
        let spans = files.iter().map(|file| file.spans).sum();
        let Some(memory) = self.reserve_for(spans) else {
            return Ok(None);
        };
        let start = Instant::now();
        let result = self.join(&files).await;
        drop(memory);
        self.report.count(|counters| match &result {
            Ok(bytes) => {
                counters.compaction.commits += 1;
                counters.compaction.files += files.len() as u64;
                counters.compaction.spans += spans;
                counters.compaction.bytes += bytes;
                counters.compaction.last_duration = start.elapsed();
            }
            Err(_) => counters.compaction.failures += 1,
        });
        result?;
        let small = readable.iter().filter(|file| is_small(file, limits));
        Ok(Some(CompactionStep {
            files: files.len() as u64,
            spans,
            files_left: (small.count().saturating_sub(files.len())) as u64,
        }))
    }

    /// One file in the place of these. Returns its bytes.
    async fn join(&mut self, files: &[Arc<ColdFile>]) -> Result<u64, FlushError> {
        self.settle().await?;
        let mut batches = Vec::new();
        for file in files {
            match self.read_files(std::slice::from_ref(file)).await {
                Ok(read) => batches.extend(read),
                Err(error) => {
                    // It costs only itself: the others are joined without it.
                    tracing::error!(%error, "a file of the table cannot be read; it is left as it is");
                    return Err(FlushError::Write(error.to_string()));
                }
            }
        }
        let joined = self.write_cold(batches).await?;
        let bytes = joined.file.bytes;
        let path = joined.file.path.clone();
        let replaced = self.replace(files, &[joined.file], false).await;
        if let Err(error) = replaced {
            // In doubt it stays: the next start knows whether a commit names it.
            if !self.table.is_doubtful() {
                self.remove_files(vec![path]).await;
            }
            return Err(error);
        }
        self.report
            .count(|counters| counters.compaction.repeated_spans += joined.repeats);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests;
