//! Rows of text as columns.

use super::terminal::{Terminal, clean, cut, fit, fit_right, width};

/// On which side a column's texts are in line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// For words.
    Left,
    /// For numbers.
    Right,
}

/// A table with a heading. The last column is cut where the terminal ends.
#[must_use]
pub fn table(heading: &[(&str, Align)], rows: &[Vec<String>], terminal: Terminal) -> String {
    let widths: Vec<usize> = heading
        .iter()
        .enumerate()
        .map(|(at, (name, _))| {
            let cells = rows.iter().filter_map(|row| row.get(at));
            cells
                .map(|cell| width(cell))
                .max()
                .unwrap_or(0)
                .max(width(name))
        })
        .collect();
    let names: Vec<String> = heading.iter().map(|(name, _)| (*name).to_owned()).collect();
    let mut text = terminal.dim(&line(&names, heading, &widths, terminal));
    text.push('\n');
    for row in rows {
        let row: Vec<String> = row.iter().map(|cell| clean(cell)).collect();
        text.push_str(&line(&row, heading, &widths, terminal));
        text.push('\n');
    }
    text
}

fn line(
    cells: &[String],
    heading: &[(&str, Align)],
    widths: &[usize],
    terminal: Terminal,
) -> String {
    let cells = cells.iter().zip(heading).zip(widths);
    let cells: Vec<String> = cells
        .map(|((cell, (_, align)), &width)| match align {
            Align::Left => fit(cell, width),
            Align::Right => fit_right(cell, width),
        })
        .collect();
    cut(cells.join("  ").trim_end(), terminal.width)
}
