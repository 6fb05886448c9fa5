//! Search results as a table.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::duration::duration;
use super::terminal::{Terminal, clean, counted, fit, fit_right, width};
use crate::answer::{SearchAnswer, TraceSummary};

// Columns: duration, spans, errors, trace id, and the spaces between; the rest is for the time and the two names.
const FIXED: usize = 8 + 5 + 4 + 32 + 2 * 6;
const NARROW: usize = 120;
const SERVICE_MAX: usize = 28;
const NAME_MIN: usize = 12;
const NAME_MAX: usize = 40;

/// The traces, newest first, one a line; times are in `zone`.
#[must_use]
pub fn traces(answer: &SearchAnswer, terminal: Terminal, zone: &TimeZone) -> String {
    if answer.traces.is_empty() && !answer.partial.is_empty() {
        return "no trace found in what was searched; there may be some in the rest\n".to_owned();
    }
    if answer.traces.is_empty() {
        return "no trace matches; try a longer time, such as --start now-24h\n".to_owned();
    }
    let rows: Vec<Row> = answer.traces.iter().map(Row::of).collect();
    let columns = Columns::of(&rows, terminal.width);
    let mut text = columns.head(terminal);
    for (trace, row) in answer.traces.iter().zip(&rows) {
        text.push_str(&columns.line(trace, row, terminal, zone));
    }
    // Writing to a string cannot fail.
    let _ = write!(text, "{}", counted(rows.len(), "trace"));
    if answer.next_cursor.is_some() {
        text.push_str("; there are older ones: --limit shows more");
    }
    text.push('\n');
    text
}

struct Row {
    service: String,
    name: String,
}

impl Row {
    fn of(trace: &TraceSummary) -> Self {
        let service = trace.root_service_name.as_deref().unwrap_or("–");
        let missing = "(root not received)";
        Self {
            service: clean(service),
            name: clean(trace.root_name.as_deref().unwrap_or(missing)),
        }
    }
}

struct Columns {
    // As `strftime` has it, and how wide that is.
    time: (&'static str, usize),
    service: usize,
    name: usize,
}

impl Columns {
    fn of(rows: &[Row], terminal_width: usize) -> Self {
        let widest = |of: fn(&Row) -> &str| rows.iter().map(|row| width(of(row))).max();
        let service = widest(|row| &row.service).unwrap_or(0);
        let name = widest(|row| &row.name).unwrap_or(0);
        let service = service.clamp("SERVICE".len(), SERVICE_MAX);
        // Room for the mark of a cold start.
        let name = (name + 2).clamp(NAME_MIN, NAME_MAX);
        let time = if terminal_width < NARROW {
            ("%m-%d %H:%M:%S", 14)
        } else {
            ("%Y-%m-%d %H:%M:%S", 19)
        };
        let room = terminal_width.saturating_sub(FIXED + time.1 + service);
        Self {
            time,
            service,
            name: name.min(room.max(NAME_MIN)),
        }
    }

    fn head(&self, terminal: Terminal) -> String {
        let head = format!(
            "{}  {:>8}  {}  {}  {:>5}  {:>4}  TRACE",
            fit("TIME", self.time.1),
            "DURATION",
            fit("SERVICE", self.service),
            fit("ROOT", self.name),
            "SPANS",
            "ERR",
        );
        format!("{}\n", terminal.dim(&head))
    }

    fn line(&self, trace: &TraceSummary, row: &Row, terminal: Terminal, zone: &TimeZone) -> String {
        let service = terminal.service(&row.service, &fit(&row.service, self.service));
        let name = if trace.has_cold_start {
            format!("{} {}", fit(&row.name, self.name - 2), terminal.cold("❄"))
        } else {
            fit(&row.name, self.name)
        };
        let errors = fit_right(&trace.error_count.to_string(), 4);
        let errors = if trace.error_count > 0 {
            terminal.error(&errors)
        } else {
            terminal.dim(&errors)
        };
        format!(
            "{}  {}  {service}  {name}  {}  {errors}  {}\n",
            self.time(trace.start_time_unix_nano, zone),
            fit_right(&duration(trace.duration_nano), 8),
            fit_right(&trace.span_count.to_string(), 5),
            clean(&trace.trace_id),
        )
    }

    /// A time of unix nanoseconds, to the second.
    fn time(&self, unix_nano: i64, zone: &TimeZone) -> String {
        let (format, columns) = self.time;
        Timestamp::from_nanosecond(i128::from(unix_nano)).map_or_else(
            |_| fit("out of range", columns),
            |time| time.to_zoned(zone.clone()).strftime(format).to_string(),
        )
    }
}
