//! A bad query, shown with a mark under what is wrong.

use std::fmt::Write as _;
use std::ops::Range;

use super::terminal::{Terminal, clean, width};

/// What is wrong with a query.
#[derive(Debug, Clone, Copy, Default)]
pub struct Fault<'a> {
    /// The query.
    pub query: &'a str,
    /// What is wrong.
    pub message: &'a str,
    /// Where: bytes of the query.
    pub position: Option<&'a Range<usize>>,
    /// What could have stood there.
    pub expected: &'a [String],
    /// What to do.
    pub hint: Option<&'a str>,
}

/// The message, the line with a mark under the place, and what could help.
#[must_use]
pub fn fault(fault: Fault<'_>, terminal: Terminal) -> String {
    let mut text = format!("{} {}\n", terminal.error("error:"), clean(fault.message));
    if let Some(position) = fault.position {
        text.push_str(&marked(fault.query, position, terminal));
    }
    let helps = [
        ("expected:", expected(fault.expected)),
        ("hint:", fault.hint.map(str::to_owned)),
    ];
    for (label, help) in helps {
        if let Some(help) = help {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{} {}", terminal.bold(label), clean(&help));
        }
    }
    text
}

fn expected(words: &[String]) -> Option<String> {
    let (last, first) = words.split_last()?;
    Some(match first {
        [] => last.clone(),
        _ => format!("{} or {last}", first.join(", ")),
    })
}

const MARGIN: &str = "  ";

fn marked(query: &str, position: &Range<usize>, terminal: Terminal) -> String {
    let start = floor(query, position.start);
    let end = floor(query, position.end.max(start));
    let line_start = query[..start].rfind('\n').map_or(0, |at| at + 1);
    let line_end = query[start..]
        .find('\n')
        .map_or(query.len(), |at| start + at);
    let end = end.min(line_end);
    // A long line is shown from shortly before the mark on.
    let room = terminal.width.saturating_sub(MARGIN.len() + 2).max(20);
    let before = &query[line_start..start];
    let skipped = before.chars().count().saturating_sub(room / 2);
    let (ellipsis, before) = match before.char_indices().nth(skipped) {
        Some((at, _)) if skipped > 0 => ("…", &before[at..]),
        _ => ("", before),
    };
    let line = clean(&format!("{ellipsis}{before}{}", &query[start..line_end]));
    let line = super::terminal::cut(&line, room);
    let indent = width(ellipsis) + width(&clean(before));
    let marks = width(&clean(&query[start..end])).clamp(1, room.saturating_sub(indent).max(1));
    let marks = terminal.error(&"^".repeat(marks));
    format!("{MARGIN}{line}\n{MARGIN}{}{marks}\n", " ".repeat(indent))
}

/// The nearest place at or before `at` where a character starts, or the end.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
