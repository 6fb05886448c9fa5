//! Charts: time series as lines, and counts in buckets as a heat map, drawn in SVG that stretches with its page.
//!
//! Owns geometry and axes. Which series there are and what stands beside a chart is the page's.

mod heat;
mod lines;
mod scale;

use std::ops::Range;

use maud::{Markup, html};

use crate::format;
pub(crate) use heat::heat_map;
pub(crate) use lines::{ChartLine, line_chart};
pub use scale::Unit;
use scale::{Scale, time_ticks};

/// The height of what is drawn in, and of the times below it, in pixels.
const PLOT: f64 = 190.0;
const BELOW: f64 = 20.0;
/// The width of the numbers at the left, in pixels.
const GUTTER: u32 = 62;
/// Columns that can be pointed at; where there are more intervals, some share one.
const COLUMNS_MAX: usize = 200;

/// Intervals of one length, side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Intervals {
    /// The start of the first, in unix nanoseconds.
    pub(crate) first: i64,
    pub(crate) step: i64,
    /// At least one.
    pub(crate) count: usize,
}

impl Intervals {
    /// Those of a time range, which begin at multiples of the step.
    pub(crate) fn of(time_range: &Range<i64>, step: i64) -> Self {
        let step = step.max(1);
        let first = time_range.start.div_euclid(step).saturating_mul(step);
        let length = time_range.end.saturating_sub(first).max(1);
        let count = length.saturating_add(step - 1) / step;
        Self {
            first,
            step,
            count: usize::try_from(count).unwrap_or(1).max(1),
        }
    }

    /// The first so many.
    pub(crate) fn truncated(self, count: usize) -> Self {
        Self {
            count: self.count.min(count).max(1),
            ..self
        }
    }

    pub(crate) fn start_of(&self, interval: usize) -> i64 {
        let offset = i64::try_from(interval).unwrap_or(i64::MAX);
        self.first.saturating_add(self.step.saturating_mul(offset))
    }

    pub(crate) fn end(&self) -> i64 {
        self.start_of(self.count)
    }

    /// The interval that a time is in.
    pub(crate) fn number(&self, time: i64) -> Option<usize> {
        let offset = time.checked_sub(self.first)?.div_euclid(self.step);
        let number = usize::try_from(offset).ok()?;
        (number < self.count).then_some(number)
    }

    /// Where a time is, from 0 to 1.
    fn share(&self, time: i64) -> f64 {
        let length = self.end().saturating_sub(self.first).max(1);
        time.saturating_sub(self.first) as f64 / length as f64
    }
}

/// What stands in a column when it is pointed at, and where it leads.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hint {
    /// A line each.
    pub(crate) lines: Vec<String>,
    /// The spans of the column's intervals.
    pub(crate) href: Option<String>,
}

/// A drawing between its axes: `marks` at the left, by their height from the bottom (0 to 1).
fn frame(
    label: &str,
    intervals: &Intervals,
    marks: &[(f64, String)],
    drawing: &Markup,
    hint: &dyn Fn(Range<usize>) -> Hint,
) -> Markup {
    let height = PLOT + BELOW;
    html! {
        figure.chart {
            svg.chart-gutter width=(GUTTER) height=(height) aria-hidden="true" {
                @for (share, text) in marks {
                    text.axis x=(GUTTER - 6) y={ (pixels(y_of(*share) + 3.5)) } text-anchor="end" { (text) }
                }
            }
            svg.chart-plot width="100%" height=(height) role="img" aria-label=(label) {
                @for (share, _) in marks {
                    @let y = pixels(y_of(*share));
                    line.tick x1="0" x2="100%" y1=(y) y2=(y) {}
                }
                // Stretched to the width of the page: a column is one wide, whatever that is in pixels.
                svg width="100%" height=(PLOT) preserveAspectRatio="none"
                    viewBox={ "0 0 " (intervals.count) " " (PLOT) } { (drawing) }
                (times(intervals))
                (columns(intervals, hint))
            }
        }
    }
}

/// From the top, in pixels, leaving room for half a line of text.
fn y_of(share: f64) -> f64 {
    const MARGIN: f64 = 8.0;
    PLOT - share * (PLOT - MARGIN)
}

fn pixels(number: f64) -> String {
    let text = format!("{number:.1}");
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}

fn times(intervals: &Intervals) -> Markup {
    let (first, end) = (intervals.first, intervals.end());
    let span = end.saturating_sub(first);
    html! {
        @for (index, time) in time_ticks(first, end).into_iter().enumerate() {
            @let share = intervals.share(time);
            @let x = format::percent(share);
            line.tick.tick-time x1=(x) x2=(x) y1=(PLOT) y2=(PLOT + 4.0) {}
            // At the edges there is no room.
            @if (0.03..=0.97).contains(&share) {
                text.axis .axis-minor[index % 2 == 1] x=(x) y=(PLOT + 16.0) text-anchor="middle"
                    data-axis-time=(format::rfc3339(time)) data-axis-span=(span / 1_000_000) { (format::axis_time(time, span)) }
            }
        }
    }
}

fn columns(intervals: &Intervals, hint: &dyn Fn(Range<usize>) -> Hint) -> Markup {
    let shared = intervals.count.div_ceil(COLUMNS_MAX).max(1);
    let width = |count: usize| format::percent(count as f64 / intervals.count as f64);
    html! {
        @for start in (0..intervals.count).step_by(shared) {
            @let end = (start + shared).min(intervals.count);
            @let hint = hint(start..end);
            a.chart-column href=[hint.href] tabindex="-1" {
                rect x=(width(start)) y="0" width=(width(end - start)) height=(PLOT) {
                    title data-from=(format::rfc3339(intervals.start_of(start))) data-to=(format::rfc3339(intervals.start_of(end))) {
                        (format::utc(intervals.start_of(start))) " + "
                        (format::duration(intervals.start_of(end).saturating_sub(intervals.start_of(start))))
                        @for line in hint.lines { "\n" (line) }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_begin_at_multiples_and_cover_the_range() {
        let intervals = Intervals::of(&(25..95), 10);
        assert_eq!((intervals.first, intervals.count), (20, 8));
        assert_eq!(intervals.end(), 100);
        assert_eq!(intervals.number(20), Some(0));
        assert_eq!(intervals.number(99), Some(7));
        assert_eq!(intervals.number(100), None);
        assert_eq!(intervals.number(19), None);
        assert_eq!(intervals.truncated(3).end(), 50);
        let all = Intervals::of(&(i64::MIN..i64::MAX), 0);
        assert!(all.count > 0 && all.number(i64::MIN).is_some());
    }
}
