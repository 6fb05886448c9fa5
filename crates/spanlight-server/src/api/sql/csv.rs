//! Rows as CSV (RFC 4180), with the names of the columns first. What is null is empty; an empty text is `""`,
//! and so is what is null in the only column: readers skip empty lines.

use arrow_array::RecordBatch;
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::ArrowError;
use spanlight_query::SqlAnswer;

use super::{Batches, Encode, is_null};

/// An answer.
pub(super) struct Rows {
    batches: Batches,
    has_head: bool,
}

impl Rows {
    pub(super) fn new(answer: SqlAnswer) -> Self {
        Self {
            batches: Batches::new(answer),
            has_head: false,
        }
    }
}

impl Encode for Rows {
    fn next(&mut self) -> Option<Result<Vec<u8>, ArrowError>> {
        if !self.has_head {
            self.has_head = true;
            let mut text = String::new();
            let fields = self.batches.answer.schema.fields().iter();
            let names = fields.map(|field| Some(field.name().clone()));
            line(names, &mut text);
            return Some(Ok(text.into_bytes()));
        }
        self.batches.next().map(|batch| rows(&batch))
    }
}

fn rows(batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let options = FormatOptions::default();
    let columns = batch.columns().iter();
    let columns = columns.map(|column| ArrayFormatter::try_new(column, &options));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let mut text = String::new();
    for row in 0..batch.num_rows() {
        let mut values = Vec::with_capacity(columns.len());
        for (array, formatter) in batch.columns().iter().zip(&columns) {
            values.push(match is_null(array, row) {
                true => None,
                false => Some(formatter.value(row).try_to_string()?),
            });
        }
        line(values.into_iter(), &mut text);
    }
    Ok(text.into_bytes())
}

fn line(values: impl Iterator<Item = Option<String>>, text: &mut String) {
    let start = text.len();
    for (at, value) in values.enumerate() {
        if at > 0 {
            text.push(',');
        }
        let Some(value) = value else {
            continue;
        };
        if value.is_empty() || value.contains(['"', ',', '\n', '\r']) {
            text.push('"');
            text.push_str(&value.replace('"', "\"\""));
            text.push('"');
        } else {
            text.push_str(&value);
        }
    }
    if text.len() == start {
        text.push_str("\"\"");
    }
    text.push_str("\r\n");
}
