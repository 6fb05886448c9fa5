//! The way of a search back through time: which parts of the store it looks at next. Knows when spans start, and
//! nothing of what is looked for.

use std::ops::Range;

use spanlight_store::{Partition, Scan, SkipReason};

/// Spans of the first wave, about; each next wave has four times as many.
const FIRST_WAVE_SPANS: usize = 16_384;
const GROWTH: usize = 4;

/// A wave looks into this many times as much as it wants at most, to take out of it what is newest.
const LOOKED_INTO_MAX: usize = 16;

/// The partitions that have spans not looked at yet.
#[derive(Debug)]
pub(super) struct Sweep {
    /// By the latest start of their spans, the newest last.
    partitions: Vec<Partition>,
    /// What starts later was looked at.
    start_max: i64,
    /// About how many spans the next wave has.
    spans: usize,
}

/// What is looked at at once.
#[derive(Debug)]
pub(super) struct Wave {
    pub(super) partitions: Vec<Partition>,
    /// Only spans that start here are new.
    pub(super) starts: Range<i64>,
}

impl Sweep {
    /// `answers` are enough.
    pub(super) fn new(scan: Scan, answers: usize) -> Self {
        let mut partitions = scan.partitions;
        partitions.sort_by_key(Partition::max_start_time_unix_nano);
        let left: usize = partitions
            .iter()
            .map(Partition::span_count_upper_bound)
            .sum();
        let spans = &scan.report.figures().spans;
        let in_time = spans.considered - spans.skipped_by(SkipReason::Time);
        // Where more is left out than not, a part that is left has about one answer.
        let is_rare = left as u64 <= in_time / 2;
        let spans = match left.checked_div(partitions.len()) {
            Some(of_one) if is_rare => of_one.saturating_mul(answers),
            _ => 0,
        };
        Self {
            partitions,
            start_max: i64::MAX,
            spans: spans.max(FIRST_WAVE_SPANS),
        }
    }

    /// No span that was not looked at starts later; `None` when all were.
    pub(super) fn newest(&self) -> Option<i64> {
        let newest = self.partitions.last()?;
        Some(newest.max_start_time_unix_nano().min(self.start_max))
    }

    /// The next wave, of which spans that start before `start_min` are of no interest.
    pub(super) fn next(&mut self, start_min: i64) -> Wave {
        let newest = self.newest().unwrap_or(self.start_max);
        let extents: Vec<Extent> = self.partitions.iter().map(Extent::of).collect();
        let wanted = self.spans;
        self.spans = wanted.saturating_mul(GROWTH);
        match cut(&extents, newest, wanted) {
            Cut::Parts(count) => Wave {
                partitions: self
                    .partitions
                    .split_off(self.partitions.len().saturating_sub(count))
                    .into_iter()
                    .rev()
                    .map(|it| narrowed(it, &(i64::MIN..self.start_max)))
                    .collect(),
                starts: i64::MIN..self.start_max,
            },
            Cut::At(start) => self.slice(start.max(start_min)..self.start_max),
        }
    }

    /// All that starts in a range which ends where the last one began.
    fn slice(&mut self, starts: Range<i64>) -> Wave {
        let mut partitions = Vec::new();
        self.partitions.retain(|it| {
            if it.max_start_time_unix_nano() < starts.start {
                return true;
            }
            partitions.push(narrowed(it.clone(), &starts));
            // Those without a bound are those that cannot be read, which is said once.
            it.min_start_time_unix_nano() < starts.start && it.span_count_upper_bound() > 0
        });
        partitions.reverse();
        self.start_max = starts.start.saturating_sub(1);
        Wave { partitions, starts }
    }
}

fn narrowed(partition: Partition, starts: &Range<i64>) -> Partition {
    let is_within = partition.min_start_time_unix_nano() >= starts.start
        && partition.max_start_time_unix_nano() <= starts.end;
    match is_within {
        true => partition,
        false => partition.starting_in(starts.clone()),
    }
}

/// When how many spans start.
#[derive(Debug, Clone, Copy)]
struct Extent {
    start_min: i64,
    start_max: i64,
    spans: usize,
    /// Looking for what is newest in it costs nearly nothing.
    is_in_memory: bool,
}

/// How a wave is taken out of the partitions.
#[derive(Debug, PartialEq, Eq)]
enum Cut {
    /// All that starts at this time or later.
    At(i64),
    /// So many of the newest partitions, whole.
    Parts(usize),
}

impl Extent {
    fn of(partition: &Partition) -> Self {
        Self {
            start_min: partition.min_start_time_unix_nano(),
            start_max: partition.max_start_time_unix_nano(),
            spans: partition.span_count_upper_bound(),
            is_in_memory: partition.may_repeat(),
        }
    }

    /// About how many spans start in this range, both ends included, if they start evenly.
    fn spans_in(&self, starts: &Range<i64>) -> f64 {
        let (from, to) = (
            self.start_min.max(starts.start),
            self.start_max.min(starts.end),
        );
        if from > to {
            return 0.0;
        }
        let length = |from: i64, to: i64| (i128::from(to) - i128::from(from) + 1) as f64;
        self.spans as f64 * length(from, to) / length(self.start_min, self.start_max)
    }
}

/// Cuts off about so many spans of those that start at `newest` or before. `extents` are by their ends, the newest last.
fn cut(extents: &[Extent], newest: i64, wanted: usize) -> Cut {
    let since = |start: i64| -> f64 {
        let spans = extents.iter().map(|it| it.spans_in(&(start..newest)));
        spans.sum()
    };
    let enough = wanted as f64;
    let oldest = extents.iter().map(|it| it.start_min).min();
    let (mut low, mut high) = (oldest.unwrap_or(newest).min(newest), newest);
    if since(low) <= enough {
        return Cut::At(i64::MIN);
    }
    // The latest time since when there are enough.
    while low < high {
        let middle = (i128::from(low) + i128::from(high) + 1).div_euclid(2) as i64;
        if since(middle) >= enough {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    let on_disk = || extents.iter().filter(|it| !it.is_in_memory);
    let touched = on_disk().filter(|it| it.start_max >= low && it.start_min <= newest);
    let touched: usize = touched.map(|it| it.spans).sum();
    let largest = on_disk().map(|it| it.spans).max().unwrap_or(0);
    if touched <= largest.max(wanted).saturating_mul(LOOKED_INTO_MAX) {
        return Cut::At(low);
    }
    // A few spans of another time make partitions long, and what starts when is not known.
    let mut spans = 0_usize;
    let parts = extents.iter().rev().take_while(|it| {
        let is_short = spans < wanted;
        spans = spans.saturating_add(it.spans);
        is_short
    });
    Cut::Parts(parts.count())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(starts: Range<i64>, spans: usize) -> Extent {
        Extent {
            start_min: starts.start,
            start_max: starts.end,
            spans,
            is_in_memory: false,
        }
    }

    #[test]
    fn a_wave_is_the_newest_time_that_has_enough_spans() {
        let row = [extent(0..99, 1_000), extent(100..199, 1_000)];
        assert_eq!(cut(&row, 199, 250), Cut::At(175));
        assert_eq!(cut(&row, 199, 1_500), Cut::At(50));
        assert_eq!(cut(&row, 149, 600), Cut::At(90));
        assert_eq!(cut(&row, 199, 2_000), Cut::At(i64::MIN));
        assert_eq!(cut(&[], 199, 1), Cut::At(i64::MIN));
        let over = [extent(0..99, 1_000), extent(0..99, 3_000)];
        assert_eq!(cut(&over, 99, 400), Cut::At(90));
        let dense = [extent(7..7, 1_000), extent(7..7, 1_000)];
        assert_eq!(cut(&dense, 7, 1), Cut::At(7));
        let all = [extent(i64::MIN..i64::MAX, 1_000)];
        assert!(matches!(cut(&all, i64::MAX, 500), Cut::At(-4_096..4_096)));
    }

    #[test]
    fn partitions_of_which_nobody_knows_what_starts_when_are_taken_whole() {
        let long = vec![extent(-1_000_000_000..100, 1_000); 100];
        assert_eq!(cut(&long, 100, 2_500), Cut::Parts(3));
        let in_memory = Extent {
            is_in_memory: true,
            ..long[0]
        };
        assert!(matches!(cut(&[in_memory; 100], 100, 10), Cut::At(..100)));
    }
}
