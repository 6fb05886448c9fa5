//! Rows of the table to spans; the way back from `cold/encode.rs`. Columns that were not read come back empty: zero
//! ids and times, no name, no attributes; they cost nothing.

mod attributes;
mod blank;
mod nested;
mod origin;

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{
    Array, ArrayRef, BinaryArray, DictionaryArray, FixedSizeBinaryArray, Int8Array, Int32Array,
    Int64Array, RecordBatch, StringArray, UInt32Array,
};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer};
use arrow_schema::ArrowError;
use spanlight_model::schema::{Column, schema};
use spanlight_model::{SpanBatch, SpanKind, StatusCode};

use self::blank::Blank;
use super::catalogue::Catalogue;
use super::schema as table;
use crate::scan::{AttributeColumn, AttributeKeys};

/// Why rows are not spans.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DecodeError {
    #[error("column {0} is of another type")]
    Column(&'static str),
    #[error("column {column}: {reason}")]
    Value {
        column: &'static str,
        reason: &'static str,
    },
    #[error("columns do not fit together")]
    Columns(#[from] ArrowError),
}

/// The spans of some rows of a file that has these attribute columns. Rows of the first version of the table are told
/// by their columns.
pub(crate) fn decode(rows: &RecordBatch, catalogue: &Catalogue) -> Result<SpanBatch, DecodeError> {
    Rows {
        rows,
        catalogue,
        listed: &AttributeKeys::All,
    }
    .spans()
}

/// Columns of which only the presence of values was read, and the text that each value is, where that is known.
pub(crate) type Presence = HashMap<String, Option<Arc<str>>>;

/// The same, with columns of attributes by themselves but for those whose keys are `listed`.
pub(crate) fn decode_apart(
    rows: &RecordBatch,
    catalogue: &Catalogue,
    listed: &AttributeKeys,
    presence: &Presence,
) -> Result<(SpanBatch, Vec<AttributeColumn>), DecodeError> {
    let rows = Rows {
        rows,
        catalogue,
        listed,
    };
    Ok((rows.spans()?, rows.attributes_apart(presence)?))
}

impl Rows<'_> {
    fn spans(&self) -> Result<SpanBatch, DecodeError> {
        let rows = self;
        let (starts, ends) = rows.times()?;
        let columns: Vec<ArrayRef> = vec![
            rows.ids(table::TRACE_ID, Column::TraceId)?,
            rows.ids(table::SPAN_ID, Column::SpanId)?,
            rows.ids(table::PARENT_SPAN_ID, Column::ParentSpanId)?,
            rows.strings(table::TRACE_STATE, Column::TraceState)?,
            rows.counts(table::FLAGS, Column::Flags)?,
            rows.names()?,
            rows.words(table::KIND, Column::Kind, |word| {
                let mut kinds = SpanKind::ALL.into_iter();
                kinds
                    .find(|kind| kind.as_str() == word)
                    .map(|kind| kind as i8)
            })?,
            starts,
            ends,
            rows.words(table::STATUS_CODE, Column::StatusCode, |word| {
                let mut codes = StatusCode::ALL.into_iter();
                codes
                    .find(|code| code.as_str() == word)
                    .map(|code| code as i8)
            })?,
            rows.strings(table::STATUS_MESSAGE, Column::StatusMessage)?,
            rows.counts(
                table::DROPPED_ATTRIBUTES_COUNT,
                Column::DroppedAttributesCount,
            )?,
            rows.counts(table::DROPPED_EVENTS_COUNT, Column::DroppedEventsCount)?,
            rows.counts(table::DROPPED_LINKS_COUNT, Column::DroppedLinksCount)?,
            rows.attributes()?,
            rows.events()?,
            rows.links()?,
            rows.resources()?,
            rows.scopes()?,
            rows.received_at()?,
        ];
        let batch = RecordBatch::try_new(schema(), columns)?;
        SpanBatch::try_new(batch)
            .map_err(|error| DecodeError::Columns(ArrowError::SchemaError(error.to_string())))
    }
}

struct Rows<'a> {
    rows: &'a RecordBatch,
    catalogue: &'a Catalogue,
    /// The attributes that become part of the spans, beside those without a column.
    listed: &'a AttributeKeys,
}

impl<'a> Rows<'a> {
    fn len(&self) -> usize {
        self.rows.num_rows()
    }

    fn column(&self, name: &str) -> Option<&'a ArrayRef> {
        self.rows.column_by_name(name)
    }

    /// What a column is that was not read.
    fn blank(&self, column: Column) -> ArrayRef {
        Blank::column(column, self.len())
    }

    fn ids(&self, name: &'static str, column: Column) -> Result<ArrayRef, DecodeError> {
        let Some(array) = self.column(name) else {
            return Ok(self.blank(column));
        };
        let width = if column == Column::TraceId { 16 } else { 8 };
        let array = array.as_binary_opt::<i32>();
        let ids = ids(name, array.ok_or(DecodeError::Column(name))?, width)?;
        Ok(Arc::new(ids))
    }

    fn integers(&self, name: &'static str) -> Result<Option<&'a Int64Array>, DecodeError> {
        let array = self.column(name).map(|array| {
            let integers = array.as_primitive_opt();
            integers.ok_or(DecodeError::Column(name))
        });
        array.transpose()
    }

    fn counts(&self, name: &'static str, column: Column) -> Result<ArrayRef, DecodeError> {
        match self.integers(name)? {
            Some(array) if array.null_count() < array.len() => Ok(Arc::new(counts(array))),
            _ => Ok(self.blank(column)),
        }
    }

    fn texts(&self, name: &'static str) -> Result<Option<DictionaryArray<Int32Type>>, DecodeError> {
        let array = self.column(name).map(|array| texts(name, array));
        array.transpose()
    }

    fn names(&self) -> Result<ArrayRef, DecodeError> {
        let texts = self.texts(table::NAME)?;
        Ok(texts.map_or_else(|| self.blank(Column::Name), |texts| Arc::new(texts)))
    }

    /// Texts that seldom repeat.
    fn strings(&self, name: &'static str, column: Column) -> Result<ArrayRef, DecodeError> {
        let Some(texts) = self.texts(name)? else {
            return Ok(self.blank(column));
        };
        if texts.keys().null_count() == texts.len() {
            return Ok(self.blank(column));
        }
        let values = dictionary_values(name, &texts)?;
        let rows = texts.keys().iter().map(|key| match key {
            Some(key) => values.value(key as usize),
            None => "",
        });
        Ok(Arc::new(StringArray::from_iter_values(rows)))
    }

    /// The numbers of words; an unknown word is zero, "not said".
    fn words(
        &self,
        name: &'static str,
        column: Column,
        number: impl Fn(&str) -> Option<i8>,
    ) -> Result<ArrayRef, DecodeError> {
        let Some(texts) = self.texts(name)? else {
            return Ok(self.blank(column));
        };
        let values = dictionary_values(name, &texts)?;
        let numbers: Vec<i8> = values
            .iter()
            .map(|word| word.and_then(&number).unwrap_or(0))
            .collect();
        let keys = texts.keys().values().iter();
        let numbers = keys.map(|&key| numbers.get(key as usize).copied().unwrap_or(0));
        Ok(Arc::new(Int8Array::from_iter_values(numbers)))
    }

    /// Starts and ends, in unix nanoseconds. Without starts, ends are durations.
    fn times(&self) -> Result<(ArrayRef, ArrayRef), DecodeError> {
        let starts = self.starts()?;
        if let Some(ends) = self.integers(table::END_TIME_UNIX_NANO)? {
            let starts = starts.unwrap_or_else(|| self.blank(Column::StartTimeUnixNano));
            return Ok((starts, Arc::new(ends.clone())));
        }
        let durations = self.integers(table::DURATION_NANO)?;
        Ok(match (starts, durations) {
            (Some(starts), Some(durations)) => {
                let both = starts.as_primitive::<Int64Type>().values().iter();
                let both = both.zip(durations.values());
                let ends = both.map(|(start, length)| start.wrapping_add(*length));
                let ends = Int64Array::from_iter_values(ends);
                (starts, Arc::new(ends))
            }
            (Some(starts), None) => (Arc::clone(&starts), starts),
            (None, durations) => {
                let ends = durations.map(|durations| Arc::new(durations.clone()) as ArrayRef);
                let ends = ends.unwrap_or_else(|| self.blank(Column::EndTimeUnixNano));
                (self.blank(Column::StartTimeUnixNano), ends)
            }
        })
    }

    /// Of the first version, or with nanoseconds already added, or in two columns.
    fn starts(&self) -> Result<Option<ArrayRef>, DecodeError> {
        if let Some(starts) = self.integers(table::START_TIME_UNIX_NANO)? {
            return Ok(Some(Arc::new(starts.clone())));
        }
        let Some(micros) = self.column(table::START_TIME) else {
            return Ok(None);
        };
        let starts = start_times(micros, self.column(table::START_TIME_NANOS))?;
        Ok(Some(Arc::new(Int64Array::from(starts))))
    }

    fn received_at(&self) -> Result<ArrayRef, DecodeError> {
        Ok(match self.integers(table::RECEIVED_AT_UNIX_NANO)? {
            Some(times) => Arc::new(times.clone()),
            None => self.blank(Column::ReceivedAtUnixNano),
        })
    }
}

/// Starts in unix nanoseconds, of whole microseconds and the rest.
pub(super) fn start_times(
    micros: &ArrayRef,
    nanos: Option<&ArrayRef>,
) -> Result<Vec<i64>, DecodeError> {
    let micros = micros.as_primitive_opt::<TimestampMicrosecondType>();
    let micros = micros.ok_or(DecodeError::Column(table::START_TIME))?;
    let starts = micros.values().iter().map(|time| time.wrapping_mul(1_000));
    let Some(nanos) = nanos else {
        return Ok(starts.collect());
    };
    let nanos = nanos.as_primitive_opt::<Int32Type>();
    let nanos = nanos.ok_or(DecodeError::Column(table::START_TIME_NANOS))?;
    let both = starts.zip(nanos.values());
    Ok(both
        .map(|(start, &nanos)| start.wrapping_add(i64::from(nanos)))
        .collect())
}

/// Texts as a dictionary, whether they were read as one or not.
fn texts(name: &'static str, array: &ArrayRef) -> Result<DictionaryArray<Int32Type>, DecodeError> {
    if let Some(texts) = array.as_dictionary_opt::<Int32Type>() {
        return Ok(texts.clone());
    }
    let values: &StringArray = array.as_string_opt().ok_or(DecodeError::Column(name))?;
    let keys = Int32Array::new((0..values.len() as i32).collect(), values.nulls().cloned());
    Ok(DictionaryArray::try_new(keys, Arc::new(values.clone()))?)
}

fn dictionary_values<'a>(
    name: &'static str,
    texts: &'a DictionaryArray<Int32Type>,
) -> Result<&'a StringArray, DecodeError> {
    let values = texts.values().as_string_opt();
    values.ok_or(DecodeError::Column(name))
}

fn ids(
    name: &'static str,
    array: &BinaryArray,
    width: i32,
) -> Result<FixedSizeBinaryArray, DecodeError> {
    let size = width as usize;
    let wrong = || DecodeError::Value {
        column: name,
        reason: "an id of the wrong length",
    };
    let nulls: Option<NullBuffer> = array.nulls().cloned();
    let is_dense = |offsets: &OffsetBuffer<i32>| {
        let mut lengths = offsets.windows(2).map(|pair| pair[1] - pair[0]);
        lengths.all(|length| length == width)
    };
    let bytes = if is_dense(array.offsets()) {
        let offsets = array.offsets();
        let (first, last) = (offsets[0] as usize, offsets[array.len()] as usize);
        array.values().slice_with_length(first, last - first)
    } else {
        let mut bytes = Vec::with_capacity(array.len() * size);
        for id in array {
            match id {
                Some(id) if id.len() == size => bytes.extend_from_slice(id),
                None => bytes.resize(bytes.len() + size, 0),
                Some(_) => return Err(wrong()),
            }
        }
        Buffer::from_vec(bytes)
    };
    Ok(FixedSizeBinaryArray::try_new(width, bytes, nulls)?)
}

fn counts(array: &Int64Array) -> UInt32Array {
    let counts = array.iter().map(|count| {
        let count = count.unwrap_or(0);
        u32::try_from(count).unwrap_or(u32::MAX)
    });
    UInt32Array::from_iter_values(counts)
}

fn value_error(column: &'static str) -> impl Fn(&'static str) -> DecodeError {
    move |reason| DecodeError::Value { column, reason }
}

fn integer_column<'a>(
    array: &'a ArrayRef,
    column: &'static str,
) -> Result<&'a Int64Array, DecodeError> {
    array
        .as_primitive_opt::<Int64Type>()
        .ok_or(DecodeError::Column(column))
}
