//! What a scan considered, left out and read: counted while it runs, for `--explain` and for `/metrics`.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Why something was not read; what takes longer to find out is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(usize)]
pub enum SkipReason {
    /// Its times are outside the range.
    Time,
    /// A key that is asked for does not occur.
    KeyAbsent,
    /// The bounds of a column exclude what is asked for.
    Statistics,
    /// A Bloom filter, or the index of traces, excludes what is asked for.
    Bloom,
    /// None of the distinct values of a column passes.
    Dictionary,
    /// No row was left once the conditions were checked.
    NoRows,
}

impl SkipReason {
    /// Every reason.
    pub const ALL: [Self; 6] = [
        Self::Time,
        Self::KeyAbsent,
        Self::Statistics,
        Self::Bloom,
        Self::Dictionary,
        Self::NoRows,
    ];

    /// The word that plans and JSON use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Statistics => "statistics",
            Self::KeyAbsent => "key absent",
            Self::Bloom => "bloom filter",
            Self::Dictionary => "dictionary",
            Self::NoRows => "no rows",
        }
    }
}

/// Counters of one scan. They grow while its partitions are read.
#[derive(Debug, Default)]
pub struct ScanReport {
    pub(crate) hot_batches: Tally,
    pub(crate) files: Tally,
    pub(crate) row_groups: Tally,
    pub(crate) pages: Tally,
    pub(crate) bytes: Tally,
    pub(crate) spans: Tally,
    pub(crate) footers_read: AtomicU64,
}

/// Counters of one kind of thing.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    considered: AtomicU64,
    read: AtomicU64,
    skipped: [AtomicU64; SkipReason::ALL.len()],
}

/// What the counters said at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScanFigures {
    /// Batches in memory.
    pub hot_batches: Figures,
    /// Data files.
    pub files: Figures,
    /// Row groups of the files that were looked into.
    pub row_groups: Figures,
    /// Pages of the columns that were asked for, in the row groups that were looked into.
    pub pages: Figures,
    /// Bytes of the data files.
    pub bytes: Figures,
    /// Spans.
    pub spans: Figures,
    /// Footers that were not in the cache.
    pub footers_read: u64,
}

/// How many there were, how many were read, and how many were left out for which reason. What is in none of them was
/// not reached: the reader stopped before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    /// All that there were.
    pub considered: u64,
    /// Those that were read.
    pub read: u64,
    /// Those that were left out, by reason; reasons that did not occur are not listed.
    pub skipped: Vec<(SkipReason, u64)>,
}

impl Tally {
    pub(crate) fn consider(&self, count: u64) {
        self.considered.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn read(&self, count: u64) {
        self.read.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn skip(&self, reason: SkipReason, count: u64) {
        self.skipped[reason as usize].fetch_add(count, Ordering::Relaxed);
    }

    fn figures(&self) -> Figures {
        let skipped = SkipReason::ALL.into_iter();
        let skipped = skipped.map(|reason| {
            (
                reason,
                self.skipped[reason as usize].load(Ordering::Relaxed),
            )
        });
        Figures {
            considered: self.considered.load(Ordering::Relaxed),
            read: self.read.load(Ordering::Relaxed),
            skipped: skipped.filter(|(_, count)| *count > 0).collect(),
        }
    }
}

impl ScanReport {
    /// What was counted so far.
    #[must_use]
    pub fn figures(&self) -> ScanFigures {
        ScanFigures {
            hot_batches: self.hot_batches.figures(),
            files: self.files.figures(),
            row_groups: self.row_groups.figures(),
            pages: self.pages.figures(),
            bytes: self.bytes.figures(),
            spans: self.spans.figures(),
            footers_read: self.footers_read.load(Ordering::Relaxed),
        }
    }
}

impl ScanFigures {
    /// The kinds of things that are counted, with their names.
    pub fn kinds(&self) -> impl Iterator<Item = (&'static str, &Figures)> {
        [
            ("batches in memory", &self.hot_batches),
            ("files", &self.files),
            ("row groups", &self.row_groups),
            ("pages", &self.pages),
            ("bytes", &self.bytes),
            ("spans", &self.spans),
        ]
        .into_iter()
    }

    /// The figures of two scans together.
    pub fn add(&mut self, other: &Self) {
        self.hot_batches.add(&other.hot_batches);
        self.files.add(&other.files);
        self.row_groups.add(&other.row_groups);
        self.pages.add(&other.pages);
        self.bytes.add(&other.bytes);
        self.spans.add(&other.spans);
        self.footers_read += other.footers_read;
    }
}

impl Figures {
    /// How many were left out for this reason.
    #[must_use]
    pub fn skipped_by(&self, reason: SkipReason) -> u64 {
        let skipped = self.skipped.iter().find(|(known, _)| *known == reason);
        skipped.map_or(0, |(_, count)| *count)
    }

    fn add(&mut self, other: &Self) {
        self.considered += other.considered;
        self.read += other.read;
        for &(reason, count) in &other.skipped {
            match self.skipped.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, sum)) => *sum += count,
                None => self.skipped.push((reason, count)),
            }
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} read", self.read, self.considered)?;
        for (at, (reason, count)) in self.skipped.iter().enumerate() {
            let opening = if at == 0 { "; skipped by " } else { ", " };
            write!(f, "{opening}{}: {count}", reason.as_str())?;
        }
        Ok(())
    }
}
