//! The Bloom filter of the tail: over its keys, as any filter of that column, and over pairs of key and value.

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, Int32Type, Int64Type};
use arrow_array::{Array as _, ArrayRef, StringArray};
use parquet::bloom_filter::Sbbf;
use parquet::errors::ParquetError;
use spanlight_model::Value;

/// Of absent pairs, so many are taken for present.
const FALSE_POSITIVES: f64 = 0.01;
/// Distinct pairs that a filter has room for; of more, more are taken for present.
const PAIRS_MAX: usize = 256 << 10;

/// What stands for a pair of key and value in the filter of the tail's keys. No key has these bytes: they are no text.
///
/// Of bytes, arrays and lists only the key is in the filter: they have no pair.
pub(crate) fn pair(key: &str, value: &Value<'_>) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(key.len() + 16);
    bytes.extend_from_slice(key.as_bytes());
    bytes.push(0xff);
    match value {
        Value::String(text) => {
            bytes.push(b's');
            bytes.extend_from_slice(text.as_bytes());
        }
        Value::Int(number) => {
            bytes.push(b'i');
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        Value::Double(number) => {
            bytes.push(b'd');
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        Value::Bool(truth) => {
            bytes.push(b'b');
            bytes.push(u8::from(*truth));
        }
        Value::Empty | Value::Bytes(_) | Value::Array(_) | Value::KeyValueList(_) => return None,
    }
    Some(bytes)
}

/// The filter of a column of tails, as rows have it; `None` when they are all empty.
pub(super) fn filter(column: &ArrayRef) -> Result<Option<Sbbf>, ParquetError> {
    let wrong = || ParquetError::General("the tail is of another type".to_owned());
    let list = column.as_list_opt::<i32>().ok_or_else(wrong)?;
    let range = list.offsets()[0] as usize..list.offsets()[list.len()] as usize;
    if range.is_empty() {
        return Ok(None);
    }
    let entries = list.values().as_struct_opt().ok_or_else(wrong)?;
    let column = |name: &str| entries.column_by_name(name).ok_or_else(wrong);
    let keys = column("key")?.as_dictionary_opt::<Int32Type>();
    let keys = keys.ok_or_else(wrong)?;
    let key_texts: &StringArray = keys.values().as_string_opt().ok_or_else(wrong)?;
    let strings = column("string")?.as_dictionary_opt::<Int32Type>();
    let strings = strings.ok_or_else(wrong)?;
    let string_texts: &StringArray = strings.values().as_string_opt().ok_or_else(wrong)?;
    let ints = column("int")?.as_primitive_opt::<Int64Type>();
    let ints = ints.ok_or_else(wrong)?;
    let doubles = column("double")?.as_primitive_opt::<Float64Type>();
    let doubles = doubles.ok_or_else(wrong)?;
    let bools = column("bool")?.as_boolean_opt().ok_or_else(wrong)?;

    // Room for all of them, given back where they repeat.
    let room = range.len().saturating_mul(2).min(PAIRS_MAX) as u64;
    let mut filter = Sbbf::new_with_ndv_fpp(room, FALSE_POSITIVES)?;
    for entry in range {
        let key = key_texts.value(keys.keys().value(entry) as usize);
        filter.insert(key.as_bytes());
        let value = if strings.is_valid(entry) {
            Value::String(string_texts.value(strings.keys().value(entry) as usize))
        } else if ints.is_valid(entry) {
            Value::Int(ints.value(entry))
        } else if doubles.is_valid(entry) {
            Value::Double(doubles.value(entry))
        } else if bools.is_valid(entry) {
            Value::Bool(bools.value(entry))
        } else {
            continue;
        };
        if let Some(pair) = pair(key, &value) {
            filter.insert(pair.as_slice());
        }
    }
    filter.fold_to_target_fpp(FALSE_POSITIVES);
    Ok(Some(filter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_not_another_of_the_same_bytes() {
        let one = pair("a", &Value::Int(1));
        assert_ne!(one, pair("a", &Value::Double(f64::from_bits(1))));
        assert_ne!(one, pair("b", &Value::Int(1)));
        assert_ne!(
            pair("a", &Value::String("1")),
            pair("a", &Value::Bool(true))
        );
        assert_eq!(pair("a", &Value::Array("[]")), None);
    }
}
