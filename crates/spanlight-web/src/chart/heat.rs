//! Counts in buckets over time as a heat map: a column for each interval, a row for each bucket.

use std::ops::Range;

use maud::{Markup, html};

use super::{Hint, Intervals, PLOT, Unit, frame, pixels, y_of};

/// Rows between the least bucket and the greatest; beyond that buckets in between that have nothing are left out.
const ROWS_MAX: usize = 48;
/// Marks at the left, about.
const MARKS: usize = 6;

/// A bucket: its greatest value, and the count of each interval.
pub(crate) type Bucket = (f64, Vec<Option<f64>>);

/// The heat map of some buckets, the least at the bottom.
pub(crate) fn heat_map(
    label: &str,
    intervals: &Intervals,
    unit: Unit,
    buckets: &[Bucket],
    hint: &dyn Fn(Range<usize>) -> Hint,
) -> Markup {
    let rows = rows(buckets.iter().map(|(bound, _)| *bound).collect());
    let greatest = buckets
        .iter()
        .flat_map(|(_, counts)| counts.iter().flatten().copied())
        .fold(0.0, f64::max);
    let share = |row: usize| row as f64 / rows.len().max(1) as f64;
    let height = |row: usize| y_of(share(row)) - y_of(share(row + 1));
    let drawing = html! {
        g.chart-heat {
            @for (bound, counts) in buckets {
                @if let Some(row) = rows.iter().position(|it| it == bound) {
                    @for (index, count) in counts.iter().enumerate() {
                        @if let Some(count) = count.filter(|count| *count > 0.0) {
                            rect x=(index) y=(pixels(y_of(share(row + 1)))) width="1" height=(pixels(height(row)))
                                fill-opacity={ (format!("{:.2}", opacity(count, greatest))) } {}
                        }
                    }
                }
            }
        }
    };
    let every = rows.len().div_ceil(MARKS).max(1);
    let marks = rows
        .iter()
        .enumerate()
        .filter(|(row, _)| (row + 1) % every == 0);
    let marks: Vec<_> = marks
        .map(|(row, bound)| (share(row + 1), unit.text(*bound)))
        .collect();
    debug_assert!(y_of(1.0) < PLOT);
    frame(label, intervals, &marks, &drawing, hint)
}

/// The square root, so that few are seen beside many.
fn opacity(count: f64, greatest: f64) -> f64 {
    0.08 + 0.92 * (count / greatest.max(f64::MIN_POSITIVE)).sqrt()
}

/// The bounds of the rows: those of the buckets, and the powers of two between them.
fn rows(mut bounds: Vec<f64>) -> Vec<f64> {
    bounds.retain(|bound| bound.is_finite());
    bounds.sort_by(f64::total_cmp);
    bounds.dedup();
    let mut rows: Vec<f64> = Vec::with_capacity(bounds.len());
    for bound in bounds {
        while let Some(last) = rows.last().copied().filter(|last| *last > 0.0) {
            if last * 2.0 >= bound * 0.999 || rows.len() >= ROWS_MAX {
                break;
            }
            rows.push(last * 2.0);
        }
        rows.push(bound);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_powers_of_two_without_gaps() {
        assert_eq!(rows(vec![16.0, 2.0, 2.0]), [2.0, 4.0, 8.0, 16.0]);
        assert_eq!(rows(vec![0.0, 4.0]), [0.0, 4.0]);
        assert_eq!(rows(vec![f64::NAN]), [0.0; 0]);
        assert!(rows(vec![1e-300, 1e300]).len() <= ROWS_MAX + 1);
    }

    #[test]
    fn few_are_seen_beside_many() {
        assert!(opacity(1.0, 10_000.0) > 0.08);
        assert!((opacity(7.0, 7.0) - 1.0).abs() < 1e-9);
    }
}
