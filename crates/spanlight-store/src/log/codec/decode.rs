//! Bytes to columns, trusting none of them.

use std::sync::Arc;

use arrow_array::types::{ArrowPrimitiveType, Int8Type, Int32Type, Int64Type, UInt32Type};
use arrow_array::{
    ArrayRef, DictionaryArray, FixedSizeBinaryArray, ListArray, PrimitiveArray, RecordBatch,
    StringArray, StructArray,
};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Fields};
use spanlight_model::SpanBatch;

use super::Integer;

/// Memory that one record may take, whatever its bytes say.
const BYTES_MAX: usize = 2 << 30;

/// Why bytes are not a batch.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DecodeError {
    #[error("{what} at byte {at}")]
    Malformed { what: &'static str, at: usize },
    #[error("columns do not fit together")]
    Columns(#[from] ArrowError),
}

/// The batch that these bytes, all of them, are.
pub(crate) fn decode(bytes: &[u8]) -> Result<SpanBatch, DecodeError> {
    let mut reader = Reader {
        bytes,
        at: 0,
        budget: BYTES_MAX,
    };
    let rows = reader.length()?;
    let schema = spanlight_model::schema::schema();
    let mut columns = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        columns.push(reader.array(field, rows)?);
    }
    if reader.at != bytes.len() {
        return Err(reader.malformed("bytes after the last column"));
    }
    let batch = RecordBatch::try_new(schema, columns)?;
    SpanBatch::try_new(batch)
        .map_err(|error| DecodeError::Columns(ArrowError::SchemaError(error.to_string())))
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    budget: usize,
}

impl<'a> Reader<'a> {
    fn malformed(&self, what: &'static str) -> DecodeError {
        DecodeError::Malformed { what, at: self.at }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let taken = self
            .at
            .checked_add(length)
            .and_then(|end| self.bytes.get(self.at..end))
            .ok_or_else(|| self.malformed("truncated column"))?;
        self.at += length;
        Ok(taken)
    }

    fn length(&mut self) -> Result<usize, DecodeError> {
        let mut value = [0; 4];
        value.copy_from_slice(self.take(4)?);
        Ok(u32::from_le_bytes(value) as usize)
    }

    fn spend(&mut self, count: usize, each: usize) -> Result<(), DecodeError> {
        let rest = count
            .checked_mul(each)
            .and_then(|bytes| self.budget.checked_sub(bytes));
        self.budget = rest.ok_or_else(|| self.malformed("column of absurd length"))?;
        Ok(())
    }

    fn array(&mut self, field: &Field, length: usize) -> Result<ArrayRef, DecodeError> {
        let nulls = self.nulls(field, length)?;
        Ok(match field.data_type() {
            DataType::FixedSizeBinary(width) => {
                let bytes = usize::try_from(*width)
                    .ok()
                    .and_then(|width| width.checked_mul(length))
                    .ok_or_else(|| self.malformed("column of absurd length"))?;
                let values = Buffer::from(self.take(bytes)?);
                Arc::new(FixedSizeBinaryArray::try_new(*width, values, nulls)?)
            }
            DataType::Int8 => self.primitive::<Int8Type>(length, nulls)?,
            DataType::Int32 => self.primitive::<Int32Type>(length, nulls)?,
            DataType::Int64 => self.primitive::<Int64Type>(length, nulls)?,
            DataType::UInt32 => self.primitive::<UInt32Type>(length, nulls)?,
            DataType::Utf8 => {
                let offsets = self.offsets(length)?;
                let bytes = offsets.last().copied().unwrap_or(0) as usize;
                let values = Buffer::from(self.take(bytes)?);
                Arc::new(StringArray::try_new(offsets, values, nulls)?)
            }
            DataType::List(item) => self.list(item, length, nulls)?,
            DataType::Struct(fields) => self.structs(fields, length, nulls)?,
            DataType::Dictionary(_, values) => {
                let keys = self.integers::<i32>(length)?;
                let count = self.length()?;
                let field = Field::new(field.name(), values.as_ref().clone(), false);
                let values = self.array(&field, count)?;
                let keys = PrimitiveArray::<Int32Type>::try_new(ScalarBuffer::from(keys), nulls)?;
                Arc::new(DictionaryArray::try_new(keys, values)?)
            }
            _ => return Err(self.malformed("unsupported type")),
        })
    }

    fn primitive<T>(
        &mut self,
        length: usize,
        nulls: Option<NullBuffer>,
    ) -> Result<ArrayRef, DecodeError>
    where
        T: ArrowPrimitiveType,
        T::Native: Integer,
    {
        let values = self.integers::<T::Native>(length)?;
        let values = ScalarBuffer::from(values);
        Ok(Arc::new(PrimitiveArray::<T>::try_new(values, nulls)?))
    }

    fn list(
        &mut self,
        item: &FieldRef,
        length: usize,
        nulls: Option<NullBuffer>,
    ) -> Result<ArrayRef, DecodeError> {
        let offsets = self.offsets(length)?;
        let count = offsets.last().copied().unwrap_or(0) as usize;
        let values = self.array(item, count)?;
        Ok(Arc::new(ListArray::try_new(
            Arc::clone(item),
            offsets,
            values,
            nulls,
        )?))
    }

    fn structs(
        &mut self,
        fields: &Fields,
        length: usize,
        nulls: Option<NullBuffer>,
    ) -> Result<ArrayRef, DecodeError> {
        let mut columns = Vec::with_capacity(fields.len());
        for field in fields {
            columns.push(self.array(field, length)?);
        }
        Ok(Arc::new(StructArray::try_new(
            fields.clone(),
            columns,
            nulls,
        )?))
    }

    fn nulls(&mut self, field: &Field, length: usize) -> Result<Option<NullBuffer>, DecodeError> {
        if !field.is_nullable() || self.take(1)? == [0] {
            return Ok(None);
        }
        let bits = Buffer::from(self.take(length.div_ceil(8))?);
        Ok(Some(NullBuffer::new(BooleanBuffer::new(bits, 0, length))))
    }

    fn offsets(&mut self, length: usize) -> Result<OffsetBuffer<i32>, DecodeError> {
        let count = length
            .checked_add(1)
            .ok_or_else(|| self.malformed("column of absurd length"))?;
        let offsets = self.integers::<i32>(count)?;
        if offsets.first() != Some(&0) || !offsets.is_sorted() {
            return Err(self.malformed("offsets that go back"));
        }
        // The check that this constructor would panic on was just made.
        Ok(OffsetBuffer::new(ScalarBuffer::from(offsets)))
    }

    fn integers<T: Integer>(&mut self, count: usize) -> Result<Vec<T>, DecodeError> {
        let width = usize::from(self.take(1)?[0]);
        let mut minimum = [0; 8];
        minimum[..T::BYTES].copy_from_slice(self.take(T::BYTES)?);
        let minimum = T::of_i64(i64::from_le_bytes(minimum)).to_i64();
        self.spend(count, T::BYTES)?;
        if width == 0 {
            return Ok(vec![T::of_i64(minimum); count]);
        }
        let bytes = count
            .checked_mul(width)
            .ok_or_else(|| self.malformed("column of absurd length"))?;
        let bytes = self.take(bytes)?;
        match width {
            1 => Ok(read::<T, 1>(bytes, minimum)),
            2 => Ok(read::<T, 2>(bytes, minimum)),
            4 => Ok(read::<T, 4>(bytes, minimum)),
            8 => Ok(read::<T, 8>(bytes, minimum)),
            _ => Err(self.malformed("integers of unknown width")),
        }
    }
}

fn read<T: Integer, const WIDTH: usize>(bytes: &[u8], minimum: i64) -> Vec<T> {
    bytes
        .chunks_exact(WIDTH)
        .map(|place| {
            let mut difference = [0; 8];
            difference[..WIDTH].copy_from_slice(place);
            T::of_i64(minimum.wrapping_add(u64::from_le_bytes(difference) as i64))
        })
        .collect()
}
