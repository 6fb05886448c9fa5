//! Rows as JSON: `{"columns": [{"name", "type"}], "rows": [[…]], "partial": […], "inspected": {…}}`.
//!
//! Numbers of 64 bits are text, as everywhere in the API; so is what JSON has no form for.

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{Array, RecordBatch};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::{ArrowError, DataType};
use serde::Serialize;
use spanlight_query::SqlAnswer;

use super::{Batches, Encode, is_null};
use crate::api::search::{InspectedJson, PartialJson};

/// An answer.
pub(super) struct Rows {
    batches: Batches,
    state: State,
}

enum State {
    Head,
    Rows { first: bool },
    Done,
}

#[derive(Serialize)]
struct Column<'a> {
    name: &'a str,
    r#type: String,
}

impl Rows {
    pub(super) fn new(answer: SqlAnswer) -> Self {
        Self {
            batches: Batches::new(answer),
            state: State::Head,
        }
    }

    fn head(&self) -> Result<Vec<u8>, ArrowError> {
        let fields = self.batches.answer.schema.fields().iter();
        let columns = fields.map(|field| Column {
            name: field.name(),
            r#type: type_name(field.data_type()),
        });
        let columns = text_of(&columns.collect::<Vec<_>>())?;
        Ok(format!("{{\"columns\":{columns},\"rows\":[").into_bytes())
    }

    fn tail(&self) -> Result<Vec<u8>, ArrowError> {
        let partial = text_of(&PartialJson::of(&self.batches.answer.partial))?;
        let inspected = text_of(&InspectedJson::of(self.batches.answer.inspected))?;
        Ok(format!("],\"partial\":{partial},\"inspected\":{inspected}}}").into_bytes())
    }
}

impl Encode for Rows {
    fn next(&mut self) -> Option<Result<Vec<u8>, ArrowError>> {
        let first = match self.state {
            State::Head => {
                self.state = State::Rows { first: true };
                return Some(self.head());
            }
            State::Rows { first } => first,
            State::Done => return None,
        };
        match self.batches.next() {
            Some(batch) => {
                self.state = State::Rows { first: false };
                Some(rows(&batch, first))
            }
            None => {
                self.state = State::Done;
                Some(self.tail())
            }
        }
    }
}

fn text_of(value: &impl Serialize) -> Result<String, ArrowError> {
    serde_json::to_string(value).map_err(|error| ArrowError::JsonError(error.to_string()))
}

/// What SQL calls a type.
fn type_name(of: &DataType) -> String {
    match of {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        DataType::Int64 => "bigint".to_owned(),
        DataType::Int32 => "integer".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Timestamp(..) => "timestamp".to_owned(),
        DataType::Dictionary(_, values) => type_name(values),
        DataType::List(item) | DataType::LargeList(item) => {
            format!("list of {}", type_name(item.data_type()))
        }
        other => other.to_string().to_lowercase(),
    }
}

fn rows(batch: &RecordBatch, first: bool) -> Result<Vec<u8>, ArrowError> {
    let columns = batch.columns().iter().map(|column| Values::of(column));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let mut text = String::new();
    for row in 0..batch.num_rows() {
        text.push_str(if first && row == 0 { "\n[" } else { ",\n[" });
        for (at, column) in columns.iter().enumerate() {
            if at > 0 {
                text.push(',');
            }
            column.write(row, &mut text)?;
        }
        text.push(']');
    }
    Ok(text.into_bytes())
}

/// A column and how its values are written.
struct Values<'a> {
    array: &'a dyn Array,
    formatter: ArrayFormatter<'a>,
    /// Whether the formatter's text is JSON as it is.
    is_bare: bool,
}

impl<'a> Values<'a> {
    fn of(array: &'a dyn Array) -> Result<Self, ArrowError> {
        use DataType as D;
        let options = FormatOptions::default();
        Ok(Self {
            formatter: ArrayFormatter::try_new(array, &options)?,
            is_bare: matches!(
                array.data_type(),
                D::Boolean | D::Int8 | D::Int16 | D::Int32 | D::UInt8 | D::UInt16 | D::UInt32
            ),
            array,
        })
    }

    fn write(&self, row: usize, text: &mut String) -> Result<(), ArrowError> {
        if is_null(self.array, row) {
            text.push_str("null");
            return Ok(());
        }
        let double = match self.array.data_type() {
            DataType::Float64 => Some(self.array.as_primitive::<Float64Type>().value(row)),
            DataType::Float32 => Some(f64::from(
                self.array.as_primitive::<Float32Type>().value(row),
            )),
            _ => None,
        };
        let list = match self.array.data_type() {
            DataType::List(_) => Some(self.array.as_list::<i32>().value(row)),
            DataType::LargeList(_) => Some(self.array.as_list::<i64>().value(row)),
            _ => None,
        };
        match (double, list) {
            (Some(double), _) if double.is_finite() => text.push_str(&text_of(&double)?),
            (_, Some(list)) => {
                let items = Values::of(&list)?;
                text.push('[');
                for item in 0..list.len() {
                    if item > 0 {
                        text.push(',');
                    }
                    items.write(item, text)?;
                }
                text.push(']');
            }
            _ => {
                let value = self.formatter.value(row).try_to_string()?;
                match self.is_bare {
                    true => text.push_str(&value),
                    false => text.push_str(&text_of(&value)?),
                }
            }
        }
        Ok(())
    }
}
