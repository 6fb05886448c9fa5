//! A trace as a waterfall: the tree of spans on the left, bars in time on the right.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::duration::duration;
use super::terminal::{Terminal, clean, counted, cut, fit, fit_right, grouped, width};
use crate::answer::{TraceAnswer, TraceSpan};

const DURATION_WIDTH: usize = 8;
const LABEL_MIN: usize = 16;
const BAR_MIN: usize = 16;
const SERVICES_MAX: usize = 8;
const ERRORS_MAX: usize = 5;

/// The trace on a terminal; times are in `zone`.
#[must_use]
pub fn waterfall(answer: &TraceAnswer, terminal: Terminal, zone: &TimeZone) -> String {
    let shown = answer.spans.as_slice();
    let range = Range::of(answer);
    let mut text = head(answer, &range, terminal, zone);
    let rows = rows(shown);
    let layout = Layout::of(&rows, shown, terminal.width);
    text.push_str(&layout.ruler(&range, terminal));
    for (row, span) in rows.iter().zip(shown) {
        text.push_str(&layout.line(row, span, &range, terminal));
    }
    text.push_str(&foot(answer, shown, &range, terminal));
    text
}

/// From the first start to the last end, in unix nanoseconds.
struct Range {
    start: i64,
    end: i64,
}

impl Range {
    fn of(answer: &TraceAnswer) -> Self {
        let start = answer.start_time_unix_nano;
        Self {
            start,
            end: start.saturating_add(answer.duration_nano.max(0)),
        }
    }

    fn length(&self) -> i64 {
        self.end.saturating_sub(self.start)
    }

    /// Where a time stands, from 0 to 1.
    fn fraction(&self, time: i64) -> f64 {
        let length = self.length().max(1) as f64;
        (time.saturating_sub(self.start) as f64 / length).clamp(0.0, 1.0)
    }
}

fn head(answer: &TraceAnswer, range: &Range, terminal: Terminal, zone: &TimeZone) -> String {
    let first = answer.spans.first();
    let name = first.map_or_else(String::new, |span| clean(&span.name));
    let service = first.and_then(|span| span.service_name.as_deref());
    let service = clean(service.unwrap_or("–"));
    let errors = answer.error_count;
    let cold = answer.spans.iter().filter(|span| span.cold_start).count();
    let mut facts = vec![
        time(range.start, zone),
        duration(range.length()),
        counted(answer.span_count, "span"),
    ];
    if errors > 0 {
        facts.push(terminal.error(&counted(errors, "error")));
    }
    if cold > 0 {
        facts.push(terminal.cold(&counted(cold, "cold start")));
    }
    format!(
        "{} {}\n{}  {}\n{}\n\n",
        terminal.service(&service, &service),
        terminal.bold(&name),
        terminal.dim(&clean(&answer.trace_id)),
        facts.join(" · "),
        services(&answer.spans, terminal),
    )
}

/// The services with their colours, most spans first.
fn services(spans: &[TraceSpan], terminal: Terminal) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for span in spans {
        let service = span.service_name.as_deref().unwrap_or("–");
        *counts.entry(service).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    let more = counts.len().saturating_sub(SERVICES_MAX);
    let mut words: Vec<String> = counts
        .iter()
        .take(SERVICES_MAX)
        .map(|(service, count)| {
            let label = format!("■ {}", clean(service));
            format!("{} {count}", terminal.service(service, &label))
        })
        .collect();
    if more > 0 {
        words.push(format!("and {more} more"));
    }
    words.join("  ")
}

/// The left side of a line.
struct Row {
    guides: String,
    name: String,
    marks: String,
}

fn rows(spans: &[TraceSpan]) -> Vec<Row> {
    let guides = guides(spans);
    guides
        .into_iter()
        .zip(spans)
        .map(|(guides, span)| Row {
            guides,
            name: clean(&span.name),
            marks: marks(span),
        })
        .collect()
}

fn marks(span: &TraceSpan) -> String {
    let marks = [
        (span.error, '✗'),
        (span.cold_start, '❄'),
        (span.asynchronous, '⇢'),
        (span.orphan, '?'),
    ];
    marks
        .iter()
        .filter(|(set, _)| *set)
        .map(|(_, mark)| mark)
        .collect()
}

/// The lines of the tree, from the last row to the first: whether a sibling follows is known there.
fn guides(spans: &[TraceSpan]) -> Vec<String> {
    let mut follows: Vec<bool> = Vec::new();
    let mut guides = Vec::with_capacity(spans.len());
    for span in spans.iter().rev() {
        let depth = span.depth;
        follows.resize(depth + 1, false);
        guides.push(guide(&follows[..=depth]));
        follows[depth] = true;
    }
    guides.reverse();
    guides
}

const GUIDES_MAX: usize = 12;

fn guide(follows: &[bool]) -> String {
    let depth = follows.len() - 1;
    if depth == 0 {
        return String::new();
    }
    let last = if follows[depth] { "├╴" } else { "└╴" };
    if depth > GUIDES_MAX {
        return format!("⋯{depth} {last}");
    }
    let mut text: String = follows[1..depth]
        .iter()
        .map(|&follows| if follows { "│ " } else { "  " })
        .collect();
    text.push_str(last);
    text
}

struct Layout {
    label: usize,
    service: usize,
    bar: usize,
}

impl Layout {
    fn of(rows: &[Row], spans: &[TraceSpan], terminal_width: usize) -> Self {
        let widest = |row: &Row| width(&row.guides) + width(&row.name) + width(&row.marks) + 1;
        let label = rows.iter().map(widest).max().unwrap_or(0);
        let service = spans
            .iter()
            .filter_map(|span| span.service_name.as_deref())
            .map(width)
            .max()
            .unwrap_or(1);
        let room = terminal_width.saturating_sub(DURATION_WIDTH + 4);
        let label = label.clamp(LABEL_MIN, (room * 2 / 5).max(LABEL_MIN));
        // On a narrow terminal the service's name gives way; its colour stays.
        let service = match room.saturating_sub(label + BAR_MIN + 2) {
            space if space >= 8 => service.min(space).min(room / 5),
            _ => 0,
        };
        let gap = if service > 0 { 2 } else { 0 };
        let bar = room.saturating_sub(label + service + gap).max(BAR_MIN);
        Self {
            label,
            service,
            bar,
        }
    }

    fn left(&self) -> usize {
        self.label
            + if self.service > 0 {
                self.service + 2
            } else {
                0
            }
    }

    /// Times above the bars: at the start, in the middle and at the end.
    fn ruler(&self, range: &Range, terminal: Terminal) -> String {
        let (middle, end) = (duration(range.length() / 2), duration(range.length()));
        let half = self.bar / 2;
        let rest = self.bar - half;
        let middle = if width(&middle) + width(&end) < rest {
            fit(&middle, rest - width(&end))
        } else {
            " ".repeat(rest.saturating_sub(width(&end)))
        };
        let left = " ".repeat(self.left() + 2);
        let line = format!("{left}{}{middle}{end}", fit("0", half));
        format!("{}\n", terminal.dim(&line))
    }

    fn line(&self, row: &Row, span: &TraceSpan, range: &Range, terminal: Terminal) -> String {
        let service = span.service_name.as_deref().unwrap_or("–");
        let mut line = self.label(row, span, terminal);
        if self.service > 0 {
            let name = fit(&clean(service), self.service);
            let _ = write!(line, "  {}", terminal.service(service, &name));
        }
        let bar = self.bar(span, range);
        let bar = if span.error {
            terminal.error(&bar)
        } else {
            terminal.service(service, &bar)
        };
        let length = fit_right(&duration(span.duration_nano), DURATION_WIDTH);
        let _ = writeln!(line, "  {bar}  {length}");
        line
    }

    fn label(&self, row: &Row, span: &TraceSpan, terminal: Terminal) -> String {
        let marks = if row.marks.is_empty() {
            String::new()
        } else {
            format!(" {}", row.marks)
        };
        let room = self
            .label
            .saturating_sub(width(&row.guides) + width(&marks));
        let name = cut(&row.name, room.max(1));
        let used = width(&row.guides) + width(&name) + width(&marks);
        let marks = if span.error {
            terminal.error(&marks)
        } else {
            terminal.cold(&marks)
        };
        format!(
            "{}{name}{marks}{}",
            terminal.dim(&row.guides),
            " ".repeat(self.label.saturating_sub(used)),
        )
    }

    /// The bar in eighths of a column; the shortest span still shows.
    fn bar(&self, span: &TraceSpan, range: &Range) -> String {
        const EIGHTHS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
        let columns = self.bar as f64;
        let end = span.start_time_unix_nano.saturating_add(span.duration_nano);
        let from = range.fraction(span.start_time_unix_nano) * columns;
        let start = (from as usize).min(self.bar - 1);
        let until = range.fraction(end) * columns;
        let eighths = (((until - start as f64) * 8.0).round() as usize).max(1);
        let mut bar = " ".repeat(start);
        bar.extend(std::iter::repeat_n('█', eighths / 8));
        if !eighths.is_multiple_of(8) {
            bar.push(EIGHTHS[eighths % 8]);
        }
        fit(&bar, self.bar)
    }
}

fn foot(answer: &TraceAnswer, shown: &[TraceSpan], range: &Range, terminal: Terminal) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let hidden = answer.span_count.saturating_sub(shown.len());
    if hidden > 0 {
        let note = format!(
            "… {} more; --limit {} shows all",
            counted(hidden, "span"),
            answer.span_count
        );
        let _ = writeln!(text, "{}", terminal.dim(&note));
    }
    let failed: Vec<_> = shown
        .iter()
        .filter(|span| span.error && !span.status_message.is_empty())
        .collect();
    if !failed.is_empty() {
        text.push('\n');
    }
    for span in failed.iter().take(ERRORS_MAX) {
        let after = duration(span.start_time_unix_nano.saturating_sub(range.start));
        let line = format!(
            "{} (+{after}): {}",
            clean(&span.name),
            clean(&span.status_message)
        );
        let line = cut(&line, terminal.width.saturating_sub(2));
        let _ = writeln!(text, "{} {line}", terminal.error("✗"));
    }
    if failed.len() > ERRORS_MAX {
        let more = grouped(failed.len() - ERRORS_MAX);
        let _ = writeln!(text, "{}", terminal.dim(&format!("  and {more} more")));
    }
    text.push_str(&legend(shown, terminal));
    text
}

/// What the marks mean that are there.
fn legend(shown: &[TraceSpan], terminal: Terminal) -> String {
    let any = |holds: fn(&TraceSpan) -> bool| shown.iter().any(holds);
    let meanings = [
        (any(|span| span.error), "✗ error"),
        (any(|span| span.cold_start), "❄ cold start"),
        (any(|span| span.asynchronous), "⇢ the parent did not wait"),
        (any(|span| span.orphan), "? parent not received"),
    ];
    let words: Vec<&str> = meanings
        .iter()
        .filter(|(there, _)| *there)
        .map(|(_, words)| *words)
        .collect();
    if words.is_empty() {
        return String::new();
    }
    format!("\n{}\n", terminal.dim(&words.join("   ")))
}

/// A time of unix nanoseconds, to the millisecond.
fn time(unix_nano: i64, zone: &TimeZone) -> String {
    Timestamp::from_nanosecond(i128::from(unix_nano)).map_or_else(
        |_| "time out of range".to_owned(),
        |time| {
            let zoned = time.to_zoned(zone.clone());
            zoned.strftime("%Y-%m-%d %H:%M:%S%.3f %Z").to_string()
        },
    )
}
