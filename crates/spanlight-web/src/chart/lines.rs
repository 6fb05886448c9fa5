//! Time series as lines over one axis of values.

use std::fmt::Write as _;
use std::ops::Range;

use maud::{Markup, html};

use super::{Hint, Intervals, Scale, Unit, frame, y_of};

/// A series as it is drawn.
#[derive(Debug, Clone)]
pub(crate) struct ChartLine {
    /// The CSS class that colours it.
    pub(crate) class: String,
    /// For each interval, where there is a value.
    pub(crate) values: Vec<Option<f64>>,
}

/// The chart; `hint` says what stands in the columns of some intervals.
pub(crate) fn line_chart(
    label: &str,
    intervals: &Intervals,
    unit: Unit,
    lines: &[ChartLine],
    hint: &dyn Fn(Range<usize>) -> Hint,
) -> Markup {
    let values = lines.iter().flat_map(|line| line.values.iter().flatten());
    let scale = Scale::of(values.copied(), unit);
    let drawing = html! {
        @for line in lines {
            g.chart-line .(line.class) {
                // Beneath one line there is room.
                @if lines.len() == 1 { path.chart-area d=(area(line, &scale)) {} }
                path d=(path(line, &scale)) vector-effect="non-scaling-stroke" {}
            }
        }
    };
    frame(label, intervals, &scale.marks(unit), &drawing, hint)
}

/// Runs of intervals that have values.
fn runs(line: &ChartLine) -> impl Iterator<Item = Vec<(f64, f64)>> {
    let points: Vec<Option<(f64, f64)>> = line
        .values
        .iter()
        .enumerate()
        .map(|(index, value)| Some((index as f64 + 0.5, (*value)?)))
        .collect();
    let runs = points
        .split(Option::is_none)
        .map(|run| run.iter().flatten().copied());
    let runs: Vec<Vec<_>> = runs.map(Iterator::collect).collect();
    runs.into_iter().filter(|run: &Vec<_>| !run.is_empty())
}

fn path(line: &ChartLine, scale: &Scale) -> String {
    let mut path = String::new();
    for run in runs(line) {
        for (index, (x, value)) in run.iter().enumerate() {
            let command = if index == 0 { 'M' } else { 'L' };
            // Writing to a string cannot fail.
            let _ = write!(path, "{command}{x} {:.1}", y_of(scale.share(*value)));
        }
        if run.len() == 1 {
            // A line of no length, with round ends: a dot.
            path.push_str("h0");
        }
    }
    path
}

fn area(line: &ChartLine, scale: &Scale) -> String {
    let bottom = y_of(scale.share(0.0));
    let mut path = String::new();
    for run in runs(line) {
        let Some((first, last)) = run.first().zip(run.last()) else {
            continue;
        };
        let _ = write!(path, "M{} {bottom:.1}", first.0);
        for (x, value) in &run {
            let _ = write!(path, "L{x} {:.1}", y_of(scale.share(*value)));
        }
        let _ = write!(path, "L{} {bottom:.1}Z", last.0);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_breaks_where_there_is_no_value_and_a_lonely_one_is_a_dot() {
        let line = ChartLine {
            class: String::new(),
            values: vec![Some(0.0), Some(4.0), None, Some(2.0), None, None],
        };
        let scale = Scale::of([4.0].into_iter(), Unit::Number);
        assert_eq!(path(&line, &scale), "M0.5 190.0L1.5 8.0M3.5 99.0h0");
        assert_eq!(
            area(&line, &scale),
            "M0.5 190.0L0.5 190.0L1.5 8.0L1.5 190.0ZM3.5 190.0L3.5 99.0L3.5 190.0Z"
        );
    }
}
