//! Columns side by side, a batch of rows at a time.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use parquet::errors::ParquetError;

use crate::cold::pages::flat::FlatColumn;
use crate::cold::rows::Rows;

/// Columns of one row group that are read together.
pub(super) struct Columns {
    columns: Vec<Column>,
    fields: Vec<FieldRef>,
    schema: Option<SchemaRef>,
    /// The chosen rows that are left, the last ones first.
    left: Vec<Range<usize>>,
    batch_rows: usize,
}

enum Column {
    Flat(Box<FlatColumn>),
    /// Only which rows have a value.
    Presence(Box<FlatColumn>),
    /// A column of lists. It gives as many rows at a time as are asked of the others.
    Nested(ParquetRecordBatchReader),
}

impl Columns {
    pub(super) fn new(rows: &Rows, batch_rows: usize) -> Self {
        let mut left = rows.ranges();
        left.reverse();
        Self {
            columns: Vec::new(),
            fields: Vec::new(),
            schema: None,
            left,
            batch_rows: batch_rows.max(1),
        }
    }

    pub(super) fn push_flat(&mut self, field: FieldRef, column: FlatColumn, presence: bool) {
        let column = Box::new(column);
        if presence {
            let field = Field::new(field.name(), DataType::Boolean, true);
            self.fields.push(Arc::new(field));
            self.columns.push(Column::Presence(column));
        } else {
            self.fields.push(field);
            self.columns.push(Column::Flat(column));
        }
    }

    pub(super) fn push_nested(&mut self, field: FieldRef, column: ParquetRecordBatchReader) {
        self.fields.push(field);
        self.columns.push(Column::Nested(column));
    }

    /// The rows of the next batch.
    fn next_rows(&mut self) -> Vec<Range<usize>> {
        let mut rows = Vec::new();
        let mut room = self.batch_rows;
        while room > 0
            && let Some(range) = self.left.pop()
        {
            let now = range.start..range.end.min(range.start + room);
            if now.end < range.end {
                self.left.push(now.end..range.end);
            }
            room -= now.len();
            rows.push(now);
        }
        rows
    }

    fn read(&mut self, rows: &[Range<usize>]) -> Result<RecordBatch, ParquetError> {
        let count = rows.iter().map(ExactSizeIterator::len).sum();
        let columns = self.columns.iter_mut().map(|column| column.read(rows));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let fields = &self.fields;
        let schema = self
            .schema
            .get_or_insert_with(|| Arc::new(Schema::new(fields.clone())));
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        let schema = Arc::clone(schema);
        Ok(RecordBatch::try_new_with_options(
            schema, columns, &options,
        )?)
    }
}

impl Iterator for Columns {
    type Item = Result<RecordBatch, ParquetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rows = self.next_rows();
        if rows.is_empty() {
            return None;
        }
        let batch = self.read(&rows);
        if batch.is_err() {
            self.left.clear();
        }
        Some(batch)
    }
}

impl Column {
    fn read(&mut self, rows: &[Range<usize>]) -> Result<ArrayRef, ParquetError> {
        match self {
            Self::Flat(column) => column.read(rows),
            Self::Presence(column) => column.presence(rows),
            Self::Nested(reader) => {
                let early = || ParquetError::General("a column ends too early".to_owned());
                let batch = reader.next().ok_or_else(early)??;
                batch.columns().first().cloned().ok_or_else(early)
            }
        }
    }
}
