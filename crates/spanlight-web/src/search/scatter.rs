//! The results as a scatter: when on one axis, how long on the other, each dot a trace.

use maud::{Markup, html};

use super::TraceSummary;
use crate::address::TraceView;
use crate::colour::ServiceColours;
use crate::format;

/// The drawing's height in pixels; the dots keep clear of its edges.
const HEIGHT: u32 = 132;
const TOP: f64 = 0.09;
const BOTTOM: f64 = 0.86;
const LEFT: f64 = 0.045;
const RIGHT: f64 = 0.975;

/// The axes: time over what the results cover, and duration by its logarithm.
struct Axes {
    first: i64,
    last: i64,
    shortest: f64,
    longest: f64,
}

impl Axes {
    fn of(traces: &[TraceSummary]) -> Self {
        let starts = || traces.iter().map(|trace| trace.start_time_unix_nano);
        let durations = || traces.iter().map(|trace| log(trace.duration_nano));
        let (first, last) = (starts().min().unwrap_or(0), starts().max().unwrap_or(0));
        // A single moment, or a single duration, stands in the middle.
        let margin = if last.saturating_sub(first) < 1_000_000_000 {
            500_000_000
        } else {
            0
        };
        let shortest = durations().fold(f64::INFINITY, f64::min);
        let longest = durations().fold(f64::NEG_INFINITY, f64::max);
        let slack = ((0.6 - (longest - shortest)) / 2.0).max(0.05);
        Self {
            first: first.saturating_sub(margin),
            last: last.saturating_add(margin),
            shortest: shortest - slack,
            longest: longest + slack,
        }
    }

    fn x(&self, time: i64) -> f64 {
        let share = (time as f64 - self.first as f64) / (self.last as f64 - self.first as f64);
        LEFT + share * (RIGHT - LEFT)
    }

    fn y(&self, log_duration: f64) -> f64 {
        let share = (log_duration - self.shortest) / (self.longest - self.shortest);
        BOTTOM - share * (BOTTOM - TOP)
    }

    /// Powers of ten, and between them twos and fives when there are few.
    fn duration_ticks(&self) -> Vec<i64> {
        let ticks = |factors: &[i64]| -> Vec<i64> {
            (0..18_u32)
                .flat_map(|power| factors.iter().map(move |factor| factor * 10_i64.pow(power)))
                .filter(|&tick| (self.shortest..=self.longest).contains(&log(tick)))
                .collect()
        };
        let powers = ticks(&[1]);
        if powers.len() >= 3 {
            powers
        } else {
            ticks(&[1, 2, 5])
        }
    }
}

fn log(duration_nano: i64) -> f64 {
    (duration_nano.max(1) as f64).log10()
}

pub(super) fn scatter(traces: &[TraceSummary], colours: &ServiceColours) -> Markup {
    let axes = Axes::of(traces);
    html! {
        figure.scatter {
            svg width="100%" height=(HEIGHT) role="group" aria-label="Traces by start and duration" {
                @for tick in axes.duration_ticks() {
                    @let y = format::percent(axes.y(log(tick)));
                    line.tick x1="0" x2="100%" y1=(y) y2=(y) {}
                    svg y=(y) overflow="visible" { text.axis x="4" y="-3" { (format::duration(tick)) } }
                }
                (time_labels(&axes))
                @for trace in traces { (dot(&axes, trace, colours)) }
            }
        }
    }
}

fn time_labels(axes: &Axes) -> Markup {
    let span = axes.last.saturating_sub(axes.first);
    html! {
        @for (part, anchor) in [(0.0, "start"), (0.25, "middle"), (0.5, "middle"), (0.75, "middle"), (1.0, "end")] {
            @let time = axes.first.saturating_add((span as f64 * part) as i64);
            text.axis .axis-minor[part == 0.25 || part == 0.75] x=(format::percent(axes.x(time))) y=(HEIGHT - 4) text-anchor=(anchor)
                data-axis-time=(format::rfc3339(time)) data-axis-span=(span / 1_000_000) { (format::axis_time(time, span)) }
        }
    }
}

/// A circle whose area grows with the number of spans; a trace with errors is a diamond with a red rim.
fn dot(axes: &Axes, trace: &TraceSummary, colours: &ServiceColours) -> Markup {
    let radius = 3.2 + 1.6 * (trace.span_count.max(1) as f64).log10();
    let class = colours.class(trace.root_service_name.as_deref());
    let failed = trace.error_count > 0;
    let root = trace
        .root_name
        .as_deref()
        .unwrap_or("root span not received");
    html! {
        svg x=(format::percent(axes.x(trace.start_time_unix_nano))) y=(format::percent(axes.y(log(trace.duration_nano)))) overflow="visible" {
            a.dot href=(TraceView::default().href(trace.trace_id)) tabindex="-1" {
                title {
                    (trace.root_service_name.as_deref().unwrap_or("")) " " (root) "\n"
                    (format::duration(trace.duration_nano)) ", " (format::counted(trace.span_count, "span"))
                    @if failed { ", " (format::counted(trace.error_count, "error")) }
                }
                @if failed {
                    @let reach = format!("{:.1}", radius * 1.25);
                    path.dot-error .(class) d={ "M0-" (reach) "L" (reach) " 0 0 " (reach) "-" (reach) " 0Z" } {}
                } @else {
                    circle .(class) r=(format!("{radius:.1}")) {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(start: i64, duration: i64) -> TraceSummary {
        TraceSummary {
            trace_id: spanlight_model::TraceId([1; 16]),
            root_service_name: None,
            root_name: None,
            start_time_unix_nano: start,
            duration_nano: duration,
            span_count: 1,
            error_count: 0,
            has_cold_start: false,
            services: vec![],
            matched: 0,
            spans: vec![],
            attributes: vec![],
        }
    }

    #[test]
    fn dots_stay_inside() {
        for traces in [
            vec![trace(0, 0)],
            vec![trace(i64::MIN, 0), trace(i64::MAX, i64::MAX)],
            vec![trace(5, 1_000), trace(5, 1_000)],
            vec![
                trace(1_000_000_000, 3),
                trace(9_000_000_000, 40_000_000_000),
            ],
        ] {
            let axes = Axes::of(&traces);
            for trace in &traces {
                let (x, y) = (
                    axes.x(trace.start_time_unix_nano),
                    axes.y(log(trace.duration_nano)),
                );
                assert!((LEFT..=RIGHT).contains(&x), "{x}");
                assert!((TOP..=BOTTOM).contains(&y), "{y}");
            }
        }
    }

    #[test]
    fn ticks_are_few_and_not_too_few() {
        let ticks = |shortest, longest| {
            Axes::of(&[trace(0, shortest), trace(9, longest)])
                .duration_ticks()
                .len()
        };
        assert!((2..=9).contains(&ticks(1_000_000, 5_000_000)));
        assert!((2..=9).contains(&ticks(1_000, 5_000_000_000)));
        assert!((1..=9).contains(&ticks(3_000_000, 3_000_000)));
    }
}
