//! Columns to bytes.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int8Type, Int32Type, Int64Type, UInt32Type};
use arrow_array::{Array, StructArray};
use arrow_schema::{DataType, Field};
use spanlight_model::SpanBatch;

use super::Integer;

/// A batch is not what its schema says.
#[derive(Debug, thiserror::Error)]
#[error("column {column}: {reason}")]
pub(crate) struct EncodeError {
    column: String,
    reason: &'static str,
}

/// Appends the batch to `out`.
pub(crate) fn encode(batch: &SpanBatch, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let batch = batch.record_batch();
    length(batch.num_rows(), out);
    // The model's schema, not the batch's: the reader will use it too.
    for (field, column) in spanlight_model::schema::schema()
        .fields()
        .iter()
        .zip(batch.columns())
    {
        array(field, column.as_ref(), out)?;
    }
    Ok(())
}

fn array(field: &Field, array: &dyn Array, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let unsupported = || EncodeError {
        column: field.name().clone(),
        reason: "unsupported type",
    };
    nulls(field, array, out)?;
    match field.data_type() {
        DataType::FixedSizeBinary(_) => {
            out.extend_from_slice(array.as_fixed_size_binary().value_data());
        }
        DataType::Int8 => integers(array.as_primitive::<Int8Type>().values(), out),
        DataType::Int32 => integers(array.as_primitive::<Int32Type>().values(), out),
        DataType::Int64 => integers(array.as_primitive::<Int64Type>().values(), out),
        DataType::UInt32 => integers(array.as_primitive::<UInt32Type>().values(), out),
        DataType::Utf8 => {
            let texts = array.as_string::<i32>();
            let (start, end) = offsets(texts.value_offsets(), out);
            out.extend_from_slice(&texts.value_data()[start..end]);
        }
        DataType::List(item) => {
            let lists = array.as_list::<i32>();
            let (start, end) = offsets(lists.value_offsets(), out);
            let values = lists.values().slice(start, end - start);
            self::array(item, values.as_ref(), out)?;
        }
        DataType::Struct(_) => structs(array.as_struct(), out)?,
        DataType::Dictionary(_, values) => {
            let dictionary = array.as_any_dictionary();
            integers(dictionary.keys().as_primitive::<Int32Type>().values(), out);
            length(dictionary.values().len(), out);
            let values_field = Field::new(field.name(), values.as_ref().clone(), false);
            self::array(&values_field, dictionary.values().as_ref(), out)?;
        }
        _ => return Err(unsupported()),
    }
    Ok(())
}

fn structs(array: &StructArray, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    for (field, column) in array.fields().iter().zip(array.columns()) {
        self::array(field, column.as_ref(), out)?;
    }
    Ok(())
}

/// One byte for a nullable column, and its validity bits when something is null.
fn nulls(field: &Field, array: &dyn Array, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let found = array.nulls().filter(|nulls| nulls.null_count() > 0);
    if !field.is_nullable() {
        return found.is_none().then_some(()).ok_or_else(|| EncodeError {
            column: field.name().clone(),
            reason: "null in a column without nulls",
        });
    }
    out.push(u8::from(found.is_some()));
    if let Some(nulls) = found {
        out.extend_from_slice(nulls.inner().sliced().as_slice());
    }
    Ok(())
}

fn length(value: usize, out: &mut Vec<u8>) {
    // Arrow's own 32-bit offsets keep every length below this.
    let value = u32::try_from(value).unwrap_or(u32::MAX);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Writes offsets from zero, and returns which part of the values they span.
fn offsets(offsets: &[i32], out: &mut Vec<u8>) -> (usize, usize) {
    let start = offsets.first().copied().unwrap_or(0);
    let end = offsets.last().copied().unwrap_or(0);
    if start == 0 {
        integers(offsets, out);
    } else {
        let moved: Vec<i32> = offsets.iter().map(|offset| offset - start).collect();
        integers(&moved, out);
    }
    (start as usize, end as usize)
}

/// A byte that says how many bytes each difference takes, the minimum, the differences.
fn integers<T: Integer>(values: &[T], out: &mut Vec<u8>) {
    let minimum = values.iter().min().map_or(0, |value| value.to_i64());
    let maximum = values.iter().max().map_or(0, |value| value.to_i64());
    let width = match maximum.wrapping_sub(minimum) as u64 {
        0 => 0,
        1..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xffff_ffff => 4,
        _ => 8,
    };
    out.push(width);
    out.extend_from_slice(&minimum.to_le_bytes()[..T::BYTES]);
    let differences = values
        .iter()
        .map(|value| value.to_i64().wrapping_sub(minimum) as u64);
    let at = out.len();
    out.resize(at + values.len() * usize::from(width), 0);
    let target = &mut out[at..];
    match width {
        0 => {}
        1 => write::<1>(target, differences),
        2 => write::<2>(target, differences),
        4 => write::<4>(target, differences),
        _ => write::<8>(target, differences),
    }
}

fn write<const WIDTH: usize>(target: &mut [u8], values: impl Iterator<Item = u64>) {
    for (place, value) in target.chunks_exact_mut(WIDTH).zip(values) {
        place.copy_from_slice(&value.to_le_bytes()[..WIDTH]);
    }
}
