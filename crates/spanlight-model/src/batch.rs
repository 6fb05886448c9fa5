//! [`SpanBatch`]: a record batch that is known to have the schema of spans, and typed ways to read it.
//!
//! [`SpanColumns`] is for loops over a column; [`SpanRef`] is for code that renders one span at a time.

mod columns;
mod reference;

use std::fmt;

use arrow_array::{ArrayRef, RecordBatch, UInt32Array};
use arrow_schema::ArrowError;

use crate::schema::{Column, schema};
pub use columns::{EventColumns, LinkColumns, ResourceColumns, ScopeColumns, SpanColumns};
pub use reference::{EventRef, LinkRef, ResourceRef, ScopeRef, SpanRef};

/// Spans as columns. Cheap to clone; never changed once built.
#[derive(Clone, PartialEq)]
pub struct SpanBatch {
    batch: RecordBatch,
}

/// A record batch does not have the schema of spans.
#[derive(Debug, thiserror::Error)]
#[error("not a batch of spans: {0}")]
pub struct SchemaError(String);

impl SpanBatch {
    /// Takes a record batch of the schema of spans.
    ///
    /// # Errors
    /// [`SchemaError`] when a column is missing or of another type.
    pub fn try_new(batch: RecordBatch) -> Result<Self, SchemaError> {
        let expected = schema();
        for (position, field) in expected.fields().iter().enumerate() {
            let found = batch.schema_ref().fields().get(position);
            if found.map(|found| found.data_type()) != Some(field.data_type()) {
                return Err(SchemaError(format!(
                    "column {position} is not {}",
                    field.name()
                )));
            }
        }
        Ok(Self { batch })
    }

    /// A batch without spans.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            batch: RecordBatch::new_empty(schema()),
        }
    }

    /// How many spans there are.
    #[must_use]
    pub fn num_spans(&self) -> usize {
        self.batch.num_rows()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.num_spans() == 0
    }

    /// The Arrow form.
    #[must_use]
    pub fn record_batch(&self) -> &RecordBatch {
        &self.batch
    }

    /// The Arrow form of one column.
    #[must_use]
    pub fn column(&self, column: Column) -> &ArrayRef {
        self.batch.column(column as usize)
    }

    /// Bytes of memory that the columns keep alive.
    #[must_use]
    pub fn byte_size(&self) -> usize {
        self.batch.get_array_memory_size()
    }

    /// The spans of all batches, one after the other.
    ///
    /// # Errors
    /// When a column outgrows Arrow's 32-bit offsets.
    pub fn concat<'a>(batches: impl IntoIterator<Item = &'a Self>) -> Result<Self, ArrowError> {
        let batches: Vec<&RecordBatch> = batches.into_iter().map(|batch| &batch.batch).collect();
        Ok(Self {
            batch: arrow_select::concat::concat_batches(&schema(), batches)?,
        })
    }

    /// The spans at these rows, in this order.
    ///
    /// # Errors
    /// When a row is out of range, or a column outgrows Arrow's 32-bit offsets.
    pub fn take(&self, rows: &UInt32Array) -> Result<Self, ArrowError> {
        Ok(Self {
            batch: arrow_select::take::take_record_batch(&self.batch, rows)?,
        })
    }

    /// `length` spans from row `offset` on, sharing memory.
    #[must_use]
    pub fn slice(&self, offset: usize, length: usize) -> Self {
        Self {
            batch: self.batch.slice(offset, length),
        }
    }

    /// The columns, typed.
    #[must_use]
    pub fn columns(&self) -> SpanColumns<'_> {
        SpanColumns::of(self)
    }

    /// The span at a row below [`SpanBatch::num_spans`]. For many rows, take [`SpanBatch::columns`] once.
    #[must_use]
    pub fn span(&self, row: usize) -> SpanRef<'_> {
        SpanRef::new(self.columns(), row)
    }
}

impl fmt::Debug for SpanBatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SpanBatch")
            .field("num_spans", &self.num_spans())
            .finish()
    }
}
