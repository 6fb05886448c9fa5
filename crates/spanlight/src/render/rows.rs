//! The rows of a statement of SQL as a table.

use serde_json::Value;

use super::table::Align;
use super::terminal::{Terminal, clean, counted, cut, fit, fit_right, width};
use crate::answer::SqlAnswer;

/// A value that is longer is cut, unless it is all there is.
const VALUE_MAX: usize = 60;
/// What stands where there is no value.
const NULL: &str = "null";

/// The rows, one a line, with the names of the columns first. Lines are as long as they are: numbers are not cut.
#[must_use]
pub fn rows(answer: &SqlAnswer, terminal: Terminal) -> String {
    let columns = &answer.columns;
    let longest = match columns.len() {
        1 => usize::MAX,
        _ => VALUE_MAX,
    };
    let shown = |value: &Value| cut(&clean(&shown(value)), longest);
    let rows: Vec<Vec<String>> = answer
        .rows
        .iter()
        .map(|row| row.iter().map(shown).collect())
        .collect();
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(at, column)| {
            let values = rows.iter().filter_map(|row| row.get(at));
            let widest = values.map(|value| width(value)).max().unwrap_or(0);
            widest.max(width(&clean(&column.name)))
        })
        .collect();
    let aligns: Vec<Align> = columns.iter().map(|it| align(&it.r#type)).collect();
    let put = |at: usize, text: &str| match aligns[at] {
        Align::Right => fit_right(text, widths[at]),
        Align::Left if at + 1 == widths.len() => text.to_owned(),
        Align::Left => fit(text, widths[at]),
    };
    let names = columns.iter().enumerate();
    let names: Vec<String> = names.map(|(at, it)| put(at, &clean(&it.name))).collect();
    let mut text = terminal.dim(names.join("  ").trim_end());
    text.push('\n');
    for (row, values) in rows.iter().zip(&answer.rows) {
        let cells = row.iter().zip(values).enumerate();
        let cells = cells.map(|(at, (cell, value))| match value {
            Value::Null => terminal.dim(&put(at, cell)),
            _ => put(at, cell),
        });
        let line: Vec<String> = cells.collect();
        text.push_str(line.join("  ").trim_end());
        text.push('\n');
    }
    text.push_str(&terminal.dim(&counted(rows.len(), "row")));
    text.push('\n');
    text
}

fn align(type_name: &str) -> Align {
    let is_number = [
        "bigint", "integer", "double", "decimal", "int", "uint", "float",
    ]
    .iter()
    .any(|it| type_name.starts_with(it) && type_name != "interval");
    match is_number {
        true => Align::Right,
        false => Align::Left,
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => NULL.to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(shown).collect();
            items.join(", ")
        }
        other => other.to_string(),
    }
}
