//! Columns that were not read: the same arrays for everybody.

use std::sync::{Arc, LazyLock};

use arrow_array::{
    ArrayRef, DictionaryArray, FixedSizeBinaryArray, Int8Array, Int32Array, Int64Array, ListArray,
    StringArray, UInt32Array, new_empty_array,
};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer};
use arrow_schema::{ArrowError, DataType};
use spanlight_model::SpanBatchBuilder;
use spanlight_model::schema::{Column, schema};

/// Rows of the arrays that are shared; a batch of more has its own.
const SHARED_ROWS: usize = 32 << 10;

/// Columns of spans that say nothing.
pub(super) struct Blank(Vec<ArrayRef>);

static SHARED: LazyLock<Blank> = LazyLock::new(|| Blank::of(SHARED_ROWS));

impl Blank {
    /// So many rows of a column.
    pub(super) fn column(column: Column, rows: usize) -> ArrayRef {
        if rows <= SHARED_ROWS {
            return SHARED.0[column as usize].slice(0, rows);
        }
        Arc::clone(&Self::of(rows).0[column as usize])
    }

    #[expect(
        clippy::expect_used,
        reason = "the arrays are of the schema's types by construction, whatever is read"
    )]
    fn of(rows: usize) -> Self {
        Self(Self::build(rows).expect("blank columns"))
    }

    fn build(rows: usize) -> Result<Vec<ArrayRef>, ArrowError> {
        let ids = |width: i32, nulls| -> Result<ArrayRef, ArrowError> {
            let bytes = Buffer::from_vec(vec![0_u8; rows * width as usize]);
            Ok(Arc::new(FixedSizeBinaryArray::try_new(
                width, bytes, nulls,
            )?))
        };
        let integers: ArrayRef = Arc::new(Int64Array::from_value(0, rows));
        let counts: ArrayRef = Arc::new(UInt32Array::from_value(0, rows));
        let words: ArrayRef = Arc::new(Int8Array::from_value(0, rows));
        let empty = StringArray::new_repeated("", rows);
        let empty: ArrayRef = Arc::new(empty);
        let keys = Int32Array::from_value(0, rows);
        let no_name = Arc::new(StringArray::from(vec![""]));
        let mut builder = SpanBatchBuilder::new(0);
        let _ = builder.begin_resource().commit();
        let _ = builder.begin_scope().commit();
        let origins = builder.finish()?;
        let origin = |column| -> Result<ArrayRef, ArrowError> {
            let values = super::origin::values(origins.column(column));
            Ok(Arc::new(DictionaryArray::try_new(keys.clone(), values)?))
        };
        Ok(vec![
            ids(16, None)?,
            ids(8, None)?,
            ids(8, Some(NullBuffer::new_null(rows)))?,
            Arc::clone(&empty),
            Arc::clone(&counts),
            Arc::new(DictionaryArray::try_new(keys.clone(), no_name)?),
            Arc::clone(&words),
            Arc::clone(&integers),
            Arc::clone(&integers),
            words,
            empty,
            Arc::clone(&counts),
            Arc::clone(&counts),
            counts,
            empty_lists(Column::Attributes, rows)?,
            empty_lists(Column::Events, rows)?,
            empty_lists(Column::Links, rows)?,
            origin(Column::Resource)?,
            origin(Column::Scope)?,
            integers,
        ])
    }
}

fn empty_lists(column: Column, rows: usize) -> Result<ArrayRef, ArrowError> {
    let schema = schema();
    let DataType::List(item) = schema.field(column as usize).data_type() else {
        return Err(ArrowError::SchemaError("not a list".to_owned()));
    };
    let values = new_empty_array(item.data_type());
    let offsets = OffsetBuffer::new_zeroed(rows);
    Ok(Arc::new(ListArray::try_new(
        Arc::clone(item),
        offsets,
        values,
        None,
    )?))
}
