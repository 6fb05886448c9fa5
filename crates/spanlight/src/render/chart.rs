//! Time series as charts, a few lines of blocks for each, over one axis of time; and as a table where there is one
//! interval, or attributes are compared.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::table::{Align, table};
use super::terminal::{Terminal, clean, cut, fit_right, grouped};
use crate::answer::{MetricsAnswer, Series};

/// Series that are drawn; more would be no chart but a wall.
const SERIES_MAX: usize = 20;
/// Lines of a chart, and the steps of a line.
const LINES: usize = 4;
const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Columns of the numbers at the axis.
const AXIS: usize = 9;
/// Columns that one interval takes, at most.
const WIDE: usize = 6;
/// A day, in seconds.
const DAY: f64 = 86_400.0;

/// The label of what `compare` counts.
const COMPARED: &str = "__meta_type";

/// The series, drawn; times are in `zone`.
#[must_use]
pub fn series(answer: &MetricsAnswer, terminal: Terminal, zone: &TimeZone) -> String {
    if answer.series.is_empty() {
        return "no series: no span matches; try a longer time, such as --start now-24h\n"
            .to_owned();
    }
    let is_compared = |series: &Series| series.labels.contains_key(COMPARED);
    if answer.series.iter().any(is_compared) {
        return compared(answer, terminal);
    }
    let Some(times) = Times::of(&answer.series) else {
        return single(answer, terminal);
    };
    let columns = Columns::of(&times, terminal.width);
    let mut text = String::new();
    for series in answer.series.iter().take(SERIES_MAX) {
        text.push_str(&chart(series, &times, &columns, terminal));
        text.push('\n');
    }
    text.push_str(&times.axis(columns.width(&times), zone));
    if let Some(more) = answer.series.len().checked_sub(SERIES_MAX + 1) {
        let more = grouped(more + 1);
        text.push_str(&format!(
            "{more} more series; | topk({SERIES_MAX}) keeps the greatest, --output json shows all\n"
        ));
    }
    text
}

/// Interval starts, in unix seconds.
struct Times {
    first: f64,
    step: f64,
    count: usize,
}

impl Times {
    /// `None` where there are not two.
    fn of(series: &[Series]) -> Option<Self> {
        let samples = series.iter().flat_map(|series| &series.samples);
        let times: BTreeSet<i64> = samples
            .map(|(time, _)| (time * 1e3).round() as i64)
            .collect();
        let times: Vec<i64> = times.into_iter().collect();
        let step = times.windows(2).map(|pair| pair[1] - pair[0]).min()?;
        let (first, last) = (*times.first()?, *times.last()?);
        Some(Self {
            first: first as f64 / 1e3,
            step: step as f64 / 1e3,
            count: ((last - first) / step) as usize + 1,
        })
    }

    fn number(&self, time: f64) -> usize {
        ((time - self.first) / self.step).round() as usize
    }

    /// The line below the charts: the first time and the last.
    fn axis(&self, width: usize, zone: &TimeZone) -> String {
        let end = self.first + self.step * (self.count - 1) as f64;
        let form = match (end - self.first, self.step) {
            (range, _) if range >= DAY => "%m-%d %H:%M",
            (_, step) if step < 60.0 => "%H:%M:%S",
            _ => "%H:%M",
        };
        let text = |seconds: f64| {
            let time = Timestamp::from_millisecond((seconds * 1e3) as i64);
            let time = time.unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(zone.clone());
            time.strftime(form).to_string()
        };
        let (first, last) = (text(self.first), text(end));
        let last = fit_right(&last, width.saturating_sub(first.len()).max(last.len() + 2));
        format!("{}{first}{last}\n", " ".repeat(AXIS + 2))
    }
}

/// How intervals become columns of the terminal.
struct Columns {
    /// Intervals that share a column.
    shared: usize,
    /// Columns of an interval that has some for itself.
    each: usize,
}

impl Columns {
    fn of(times: &Times, terminal: usize) -> Self {
        let room = terminal.saturating_sub(AXIS + 2).max(1);
        Self {
            shared: times.count.div_ceil(room),
            each: (room / times.count).clamp(1, WIDE),
        }
    }

    fn width(&self, times: &Times) -> usize {
        times.count.div_ceil(self.shared) * self.each
    }
}

/// The labels, what the series comes to, and the blocks.
fn chart(series: &Series, times: &Times, columns: &Columns, terminal: Terminal) -> String {
    let mut values: Vec<Option<f64>> = vec![None; times.count.div_ceil(columns.shared)];
    for &(time, value) in &series.samples {
        if let Some(known) = values.get_mut(times.number(time) / columns.shared) {
            // Of those that share a column the one farthest from nothing.
            let is_farther = known.is_none_or(|known| value.abs() > known.abs());
            *known = if is_farther { Some(value) } else { *known };
        }
    }
    let numbers = || series.samples.iter().map(|(_, value)| *value);
    let (low, high) = numbers().fold((0.0_f64, 0.0_f64), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    let greatest = numbers().fold(f64::NEG_INFINITY, f64::max);
    let last = series.samples.last().map_or(f64::NAN, |(_, value)| *value);
    let figures = format!("max {}  last {}", number(greatest), number(last));
    let labels = cut(
        &labels(series),
        terminal.width.saturating_sub(figures.len() + 2),
    );
    let mut text = format!(
        "{}  {}\n",
        terminal.service(&labels, &labels),
        terminal.dim(&figures)
    );
    let level = |value: f64| {
        let steps = (LINES * 8) as f64;
        let part = if high > low {
            (value - low) / (high - low)
        } else {
            0.0
        };
        let level = (part * steps).round() as usize;
        if value > low { level.max(1) } else { level }
    };
    for line in (0..LINES).rev() {
        let blocks = values.iter().map(|value| match value {
            None if line == 0 => '·',
            None => ' ',
            Some(value) => BLOCKS[level(*value).saturating_sub(line * 8).min(8)],
        });
        let blocks = blocks.flat_map(|block| std::iter::repeat_n(block, columns.each));
        let blocks: String = blocks.collect();
        let mark = match line {
            0 => fit_right(&number(low), AXIS),
            _ if line + 1 == LINES => fit_right(&number(high), AXIS),
            _ => " ".repeat(AXIS),
        };
        let blocks = terminal.service(&labels, blocks.trim_end());
        text.push_str(&format!("{} ┤{blocks}\n", terminal.dim(&mark)));
    }
    text
}

/// One interval: a number for each series.
fn single(answer: &MetricsAnswer, terminal: Terminal) -> String {
    let row = |series: &Series| {
        let value = series.samples.first().map_or(f64::NAN, |(_, value)| *value);
        vec![number(value), labels(series)]
    };
    let rows: Vec<Vec<String>> = answer.series.iter().map(row).collect();
    table(
        &[("VALUE", Align::Right), ("SERIES", Align::Left)],
        &rows,
        terminal,
    )
}

/// What the selection has more of than the baseline comes first: the shares of the spans that have a value.
fn compared(answer: &MetricsAnswer, terminal: Terminal) -> String {
    let sum = |series: &Series| series.samples.iter().map(|(_, value)| value).sum::<f64>();
    let field = |series: &Series| {
        let mut labels = series.labels.iter();
        let found = labels.find(|(label, _)| !label.starts_with("__meta"));
        found.map(|(label, value)| (label.clone(), value.clone()))
    };
    let find = |kind: &str, wanted: &(String, Value)| {
        let mut series = answer.series.iter();
        series.find(|it| it.labels[COMPARED] == kind && field(it).as_ref() == Some(wanted))
    };
    let share = |kind: &str, wanted: &(String, Value)| {
        let total = find(&format!("{kind}_total"), &(wanted.0.clone(), Value::Null));
        let total = total.map_or(0.0, sum);
        match total > 0.0 {
            true => find(kind, wanted).map_or(0.0, sum) / total,
            false => 0.0,
        }
    };
    let mut known: Vec<(String, Value)> = Vec::new();
    for series in &answer.series {
        let of_value = !series.labels.contains_key("__meta_error")
            && ["baseline", "selection"]
                .map(Value::from)
                .contains(&series.labels[COMPARED]);
        known.extend(field(series).filter(|it| of_value && !known.contains(it)));
    }
    let mut rows: Vec<(f64, Vec<String>)> = known
        .iter()
        .map(|it| {
            let (selected, rest) = (share("selection", it), share("baseline", it));
            let percent = |share: f64| format!("{:.1} %", share * 100.0);
            let row = vec![
                percent(selected),
                percent(rest),
                it.0.clone(),
                value_text(&it.1),
            ];
            (selected - rest, row)
        })
        .collect();
    rows.sort_by(|one, two| two.0.abs().total_cmp(&one.0.abs()));
    let rows: Vec<Vec<String>> = rows.into_iter().map(|(_, row)| row).collect();
    let heading = [
        ("SELECTION", Align::Right),
        ("BASELINE", Align::Right),
        ("ATTRIBUTE", Align::Left),
        ("VALUE", Align::Left),
    ];
    table(&heading, &rows, terminal)
}

fn labels(series: &Series) -> String {
    if series.labels.is_empty() {
        return "all".to_owned();
    }
    let labels = series.labels.iter();
    let labels = labels.map(|(label, value)| format!("{}={}", clean(label), value_text(value)));
    labels.collect::<Vec<_>>().join(" ")
}

fn value_text(value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::String(text) => clean(text),
        other => other.to_string(),
    }
}

/// Three digits that matter.
fn number(value: f64) -> String {
    let size = value.abs();
    let text = match size {
        0.0 => "0".to_owned(),
        ..0.001 | 1e7.. => format!("{value:.2e}"),
        ..10.0 => format!("{value:.3}"),
        ..100.0 => format!("{value:.2}"),
        ..1_000.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    };
    match text.contains('.') && !text.contains('e') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests;
