//! The horizontal axis: the part of a trace's time on show, where things lie in it, and the ticks of its ruler.

use std::ops::Range;

use maud::{Markup, html};

use crate::format;

/// The part of a trace's time on show, in nanoseconds from the trace's start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline {
    /// The whole trace: from 0 to its duration.
    pub duration_nano: i64,
    /// The part on show.
    pub shown: Range<i64>,
}

/// A mark of the ruler.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tick {
    /// Where, from 0 to 1.
    pub(crate) fraction: f64,
    /// What it says.
    pub(crate) label: String,
}

/// Where a bar lies: from 0 to 1, cut to what is on show.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Extent {
    pub(crate) start: f64,
    pub(crate) width: f64,
    /// Whether the bar lies wholly before (-1) or after (1) what is on show.
    pub(crate) outside: i8,
}

impl Timeline {
    /// The axis of a trace, and of a part of it where one is asked for.
    #[must_use]
    pub fn new(duration_nano: i64, zoom: Option<&Range<i64>>) -> Self {
        let duration_nano = duration_nano.max(1);
        let shown = zoom
            .map(|zoom| zoom.start.clamp(0, duration_nano - 1)..zoom.end.clamp(1, duration_nano))
            .filter(|zoom| zoom.start < zoom.end)
            .unwrap_or(0..duration_nano);
        Self {
            duration_nano,
            shown,
        }
    }

    /// The length of what is on show.
    #[must_use]
    pub fn span_nano(&self) -> i64 {
        self.shown.end - self.shown.start
    }

    /// Where an offset lies, from 0 to 1; outside of that for what is not on show.
    #[must_use]
    pub fn fraction(&self, offset_nano: i64) -> f64 {
        (offset_nano as f64 - self.shown.start as f64) / self.span_nano() as f64
    }

    pub(crate) fn extent(&self, start_offset_nano: i64, duration_nano: i64) -> Extent {
        let start = self.fraction(start_offset_nano);
        let end = self.fraction(start_offset_nano.saturating_add(duration_nano));
        let outside = if start > 1.0 {
            1
        } else if end < 0.0 {
            -1
        } else {
            0
        };
        let cut = start.clamp(0.0, 1.0);
        Extent {
            start: cut,
            width: (end.clamp(0.0, 1.0) - cut).max(0.0),
            outside,
        }
    }

    /// Ticks at round times, at most `count_max` of them.
    pub(crate) fn ticks(&self, count_max: i64) -> Vec<Tick> {
        let step = step_nano(self.span_nano(), count_max.max(1));
        let first = (self.shown.start + step - 1) / step;
        (first..)
            .map(|number| number.saturating_mul(step))
            .take_while(|&time| time < self.shown.end)
            .map(|time| Tick {
                fraction: self.fraction(time),
                label: format::ruler_time(time, self.shown.end, step),
            })
            .collect()
    }
}

/// The most ticks of a ruler.
const TICKS_MAX: i64 = 7;
const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// Steps that people divide minutes, hours and days by.
const CLOCK_STEPS: [i64; 15] = [
    15 * SECOND,
    30 * SECOND,
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
];

/// The smallest round step that divides `span` into at most `count_max` parts.
fn step_nano(span: i64, count_max: i64) -> i64 {
    let least = span / count_max + i64::from(span % count_max != 0);
    let mut power = 1_i64;
    while power <= SECOND {
        for factor in [1, 2, 5] {
            if power * factor >= least && power * factor <= 10 * SECOND {
                return power * factor;
            }
        }
        power *= 10;
    }
    if let Some(step) = CLOCK_STEPS.into_iter().find(|&step| step >= least) {
        return step;
    }
    let mut days = 5_i64;
    for factor in [2, 2, 5, 2, 2].into_iter().cycle().take(24) {
        match days.checked_mul(DAY) {
            Some(step) if step < least => days = days.saturating_mul(factor),
            Some(step) => return step,
            None => break,
        }
    }
    least.max(1)
}

/// The ruler above the waterfall; its rightmost label says where the part on show ends.
pub(super) fn ruler(timeline: &Timeline) -> Markup {
    html! {
        svg.ruler width="100%" height="22" aria-hidden="true" {
            @for tick in timeline.ticks(TICKS_MAX) {
                line.tick x1=(format::percent(tick.fraction)) x2=(format::percent(tick.fraction)) y1="12" y2="22" {}
                // A label that would run over the right edge is left out; its line stays.
                @if tick.fraction < 0.94 {
                    svg x=(format::percent(tick.fraction)) overflow="visible" {
                        text x="4" y="15" { (tick.label) }
                    }
                }
            }
        }
    }
}

/// The lines of the ruler's ticks, once behind all rows.
pub(super) fn grid(timeline: &Timeline) -> Markup {
    html! {
        div.grid aria-hidden="true" {
            svg width="100%" height="100%" {
                @for tick in timeline.ticks(TICKS_MAX) {
                    line.tick x1=(format::percent(tick.fraction)) x2=(format::percent(tick.fraction)) y1="0" y2="100%" {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(duration: i64, zoom: Option<&Range<i64>>) -> String {
        let ticks = Timeline::new(duration, zoom).ticks(7);
        let labels: Vec<_> = ticks.into_iter().map(|tick| tick.label).collect();
        labels.join(" | ")
    }

    #[test]
    fn ticks_are_round_in_sensible_units() {
        assert_eq!(labels(1, None), "0");
        assert_eq!(
            labels(700, None),
            "0 | 100 ns | 200 ns | 300 ns | 400 ns | 500 ns | 600 ns"
        );
        assert_eq!(labels(8_200, None), "0 | 2 µs | 4 µs | 6 µs | 8 µs");
        assert_eq!(
            labels(2_400_000, None),
            "0 | 0.5 ms | 1.0 ms | 1.5 ms | 2.0 ms"
        );
        assert_eq!(
            labels(1_234_000_000, None),
            "0 | 0.2 s | 0.4 s | 0.6 s | 0.8 s | 1.0 s | 1.2 s"
        );
        assert_eq!(labels(64 * SECOND, None), "0 | 15 s | 30 s | 45 s | 60 s");
        assert_eq!(
            labels(90 * SECOND, None),
            "0 | 15 s | 30 s | 45 s | 60 s | 75 s"
        );
        assert_eq!(
            labels(5 * MINUTE, None),
            "0 | 1 min | 2 min | 3 min | 4 min"
        );
        assert_eq!(labels(26 * HOUR, None), "0 | 6 h | 12 h | 18 h | 24 h");
        assert_eq!(
            labels(60 * DAY, None),
            "0 | 10 d | 20 d | 30 d | 40 d | 50 d"
        );
    }

    #[test]
    fn ticks_of_a_part_lie_in_it() {
        assert_eq!(
            labels(SECOND, Some(&(123_400_000..130_000_000))),
            "124 ms | 125 ms | 126 ms | 127 ms | 128 ms | 129 ms"
        );
    }

    #[test]
    fn no_duration_is_too_long_to_divide() {
        for duration in [i64::MAX, i64::MAX / 3, 100 * 365 * DAY, -5] {
            let ticks = Timeline::new(duration, None).ticks(7);
            assert!((1..=8).contains(&ticks.len()), "{duration}: {ticks:?}");
        }
    }

    #[test]
    fn bars_are_cut_to_what_is_on_show() {
        let timeline = Timeline::new(1_000, Some(&(200..400)));
        let extent = |start, duration| {
            let Extent {
                start,
                width,
                outside,
            } = timeline.extent(start, duration);
            (start, width, outside)
        };
        assert_eq!(extent(250, 50), (0.25, 0.25, 0));
        assert_eq!(extent(0, 1_000), (0.0, 1.0, 0));
        assert_eq!(extent(300, 1_000), (0.5, 0.5, 0));
        assert_eq!(extent(500, 100), (1.0, 0.0, 1));
        assert_eq!(extent(0, 100), (0.0, 0.0, -1));
    }

    #[test]
    fn a_part_outside_the_trace_is_the_whole() {
        assert_eq!(Timeline::new(100, Some(&(500..900))).shown, 99..100);
        assert_eq!(Timeline::new(100, Some(&(-9..-5))).shown, 0..1);
        assert_eq!(Timeline::new(0, None).shown, 0..1);
    }
}
