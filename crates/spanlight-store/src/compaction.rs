//! Compaction: small files of the table become larger ones, so that a question opens few.
//!
//! Which files: neighbours in time, all of one slice of it. Two steps, by size. Small ones are *merged*: decoded, sorted
//! as one, each span once, and written again; while a slice still gets files, only as many of one size as make the next
//! size, afterwards all. What is large enough for a row group is *appended*: its row groups are copied as they are into
//! a file of up to a million spans, which is left alone from then on.
//!
//! So a span is written a few times in all at the slowest rates; at the highest it is encoded once, and copied once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use crate::cold::ColdFile;
use crate::cold::append::AppendError;
use crate::error::FlushError;
use crate::maintenance::{Maintenance, nanos};

/// A file of so many bytes is not merged any more.
const MERGED_BYTES: u64 = 32 << 20;
/// Spans of a file, at most,
const FILE_SPANS_MAX: u64 = 1 << 20;
/// and its bytes: its checksums are read with its footer.
const FILE_BYTES_MAX: u64 = 96 << 20;
/// Nanoseconds of a slice.
const SLICE: i64 = 3_600 * 1_000_000_000;
/// Files of one size that are worth merging while more may come.
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
    /// A file of so many spans is not merged any more: it is half a row group.
    pub(crate) merge_spans: u64,
    /// Spans that can be merged at once.
    pub(crate) spans_max: u64,
    /// Join what can be joined, whatever may still come.
    pub(crate) eager: bool,
}

/// Files to make one of.
#[derive(Debug, Clone)]
pub(crate) enum Join {
    /// Their spans are sorted as one.
    Merge(Vec<Arc<ColdFile>>),
    /// Their row groups stay as they are.
    Append(Vec<Arc<ColdFile>>),
}

impl Join {
    fn files(&self) -> &[Arc<ColdFile>] {
        match self {
            Self::Merge(files) | Self::Append(files) => files,
        }
    }
}

/// The next files to join; `None` when nothing is worth it.
pub(crate) fn pick(files: &[Arc<ColdFile>], limits: Limits) -> Option<Join> {
    let slices = |is_wanted: fn(&ColdFile, Limits) -> bool| {
        let mut slices: BTreeMap<Slice, Vec<&Arc<ColdFile>>> = BTreeMap::new();
        for file in files.iter().filter(|file| is_wanted(file, limits)) {
            slices.entry(Slice::of(file)).or_default().push(file);
        }
        slices.into_values()
    };
    let merge = slices(is_small).find_map(|files| to_merge(files, limits));
    let append = || slices(is_middling).find_map(|files| to_append(files, limits));
    merge
        .map(Join::Merge)
        .or_else(|| append().map(Join::Append))
}

/// To be merged.
fn is_small(file: &ColdFile, limits: Limits) -> bool {
    let large = limits.merge_spans.min(limits.spans_max / 2);
    file.spans < large && file.bytes < MERGED_BYTES
}

/// To be appended to others: two of them fit into a file.
fn is_middling(file: &ColdFile, limits: Limits) -> bool {
    !is_small(file, limits) && file.spans <= FILE_SPANS_MAX / 2 && file.bytes <= FILE_BYTES_MAX / 2
}

/// Whether nothing more is to be expected beside these files.
fn is_settled(files: &[&Arc<ColdFile>], limits: Limits) -> bool {
    let youngest = files.iter().map(|file| file.times.received_max).max();
    let rest = limits.now.saturating_sub(youngest.unwrap_or(i64::MIN));
    limits.eager || rest > limits.delay.saturating_add(SLICE)
}

fn in_order(mut files: Vec<&Arc<ColdFile>>) -> Vec<&Arc<ColdFile>> {
    files.sort_by_key(|file| (file.times.start_min, file.name.clone()));
    files
}

fn to_merge(files: Vec<&Arc<ColdFile>>, limits: Limits) -> Option<Vec<Arc<ColdFile>>> {
    if is_settled(&files, limits) {
        return run(in_order(files).into_iter(), 2, limits);
    }
    let mut tiers: BTreeMap<u32, Vec<&Arc<ColdFile>>> = BTreeMap::new();
    for file in in_order(files) {
        tiers.entry(tier(file)).or_default().push(file);
    }
    tiers
        .into_values()
        .find_map(|files| run(files.into_iter(), TIER_FILES, limits))
}

/// As many neighbours as fill a file; fewer when no more are to be expected.
fn to_append(files: Vec<&Arc<ColdFile>>, limits: Limits) -> Option<Vec<Arc<ColdFile>>> {
    let is_settled = is_settled(&files, limits);
    let mut picked: Vec<Arc<ColdFile>> = Vec::new();
    let (mut spans, mut bytes) = (0, 0);
    for file in in_order(files) {
        spans += file.spans;
        bytes += file.bytes;
        if spans > FILE_SPANS_MAX || bytes > FILE_BYTES_MAX {
            return Some(picked);
        }
        picked.push(Arc::clone(file));
    }
    (is_settled && picked.len() > 1).then_some(picked)
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
    let spans_max = (2 * limits.merge_spans).min(limits.spans_max);
    let mut picked: Vec<Arc<ColdFile>> = Vec::new();
    let (mut spans, mut bytes) = (0, 0);
    for file in files {
        let is_full = spans + file.spans > spans_max || bytes + file.bytes > 2 * MERGED_BYTES;
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
        if spans >= limits.merge_spans && picked.len() >= least {
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
            merge_spans: self.options.merge_spans,
            spans_max: self.rewrite_spans_max(),
            eager,
        };
        let view = self.published.load();
        let readable: Vec<Arc<ColdFile>> = view
            .cold
            .files
            .iter()
            // What is wrong with a file costs only itself: others are joined without it.
            .filter(|file| !self.reader.unreadable.contains(&file.name))
            .filter(|file| !self.unfit.contains(&file.name))
            .map(Arc::clone)
            .collect();
        let Some(join) = pick(&readable, limits) else {
            return Ok(None);
        };
        let files = join.files();
        let spans = files.iter().map(|file| file.spans).sum();
        let start = Instant::now();
        let result = match &join {
            Join::Merge(_) => {
                let Some(memory) = self.reserve_for(spans) else {
                    return Ok(None);
                };
                let merged = self.merge(files).await;
                drop(memory);
                merged
            }
            Join::Append(_) => self.append_files(files).await,
        };
        if matches!(result, Ok(None)) {
            return Ok(None);
        }
        self.report.count(|counters| match &result {
            Ok(bytes) => {
                counters.compaction.commits += 1;
                counters.compaction.files += files.len() as u64;
                counters.compaction.spans += spans;
                counters.compaction.bytes += bytes.unwrap_or(0);
                counters.compaction.last_duration = start.elapsed();
            }
            Err(_) => counters.compaction.failures += 1,
        });
        result?;
        let left = readable
            .iter()
            .filter(|file| is_small(file, limits) || is_middling(file, limits));
        Ok(Some(CompactionStep {
            files: files.len() as u64,
            spans,
            files_left: (left.count().saturating_sub(files.len())) as u64,
        }))
    }

    /// One file of their spans in the place of these. Returns its bytes.
    async fn merge(&mut self, files: &[Arc<ColdFile>]) -> Result<Option<u64>, FlushError> {
        self.settle().await?;
        let mut batches = Vec::new();
        for file in files {
            match self.read_files(std::slice::from_ref(file)).await {
                Ok(read) => batches.extend(read),
                Err(error) => return Err(FlushError::Write(error.to_string())),
            }
        }
        let merged = self.write_cold(batches).await?;
        let bytes = merged.file.bytes;
        self.replace_or_remove(files, &[merged.file], false).await?;
        self.report
            .count(|counters| counters.compaction.repeated_spans += merged.repeats);
        Ok(Some(bytes))
    }

    /// One file of their row groups in the place of these. Returns its bytes; `None` when the store closes.
    async fn append_files(&mut self, files: &[Arc<ColdFile>]) -> Result<Option<u64>, FlushError> {
        self.settle().await?;
        let appended = match self.append(files, None).await {
            Ok(appended) => appended,
            Err(AppendError::Cancelled) => return Ok(None),
            Err(error) => {
                if let AppendError::Unfit { file } = &error {
                    tracing::warn!(%error, "a file of the table is not joined with others");
                    self.unfit.insert(file.name.clone());
                }
                return Err(FlushError::Write(error.to_string()));
            }
        };
        let Some(unfinished) = appended.file else {
            return Ok(None);
        };
        let file = self.place_in_table(unfinished).await?;
        let bytes = file.bytes;
        self.replace_or_remove(files, &[file], false).await?;
        Ok(Some(bytes))
    }
}

#[cfg(test)]
mod tests;
