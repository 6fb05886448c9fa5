//! A bad query, shown with a mark under what is wrong.

use std::ops::Range;

use super::terminal::{Terminal, clean, width};

/// What is wrong with a query: the message, the line with a mark under the place (bytes of the query), and a hint.
#[must_use]
pub fn fault(
    query: &str,
    message: &str,
    position: Option<&Range<usize>>,
    hint: Option<&str>,
    terminal: Terminal,
) -> String {
    let mut text = format!("{} {}\n", terminal.error("error:"), clean(message));
    if let Some(position) = position {
        text.push_str(&marked(query, position, terminal));
    }
    if let Some(hint) = hint {
        text.push_str(&format!("{} {}\n", terminal.bold("hint:"), clean(hint)));
    }
    text
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
