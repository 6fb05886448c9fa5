//! Starts of which only the step counts: pages whose bounds lie in one step are not read, their first start stands for
//! all of them.

use std::sync::Arc;

use arrow_array::{Int64Array, RecordBatch};
use arrow_buffer::{BooleanBufferBuilder, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, Field, Schema};
use parquet::errors::ParquetError;

use super::decode::start_times;
use super::footer::Group;
use super::group::GroupReader;
use super::prune::StartPage;
use super::rows::Rows;
use super::schema as table;
use crate::scan::{ScanColumns, Steps};

/// Starts and durations below this are added without a thought of what fits: in years, 146.
const PLAIN_MAX: i64 = 1 << 62;

/// The starts of chosen rows, in their order.
#[derive(Debug)]
pub(crate) struct Starts {
    times: ScalarBuffer<i64>,
    taken: usize,
}

/// Whether starts and ends must be read as they are.
pub(crate) fn are_exact(columns: &ScanColumns, group: &Group) -> bool {
    let is_plain = group.durations.are_within(-PLAIN_MAX, PLAIN_MAX)
        && group.times.start_min > -PLAIN_MAX / 2
        && group.times.start_max < PLAIN_MAX;
    columns.times || (columns.durations || columns.steps.is_some()) && !is_plain
}

impl Starts {
    pub(crate) fn read(
        group: &GroupReader<'_>,
        steps: &Steps,
        rows: &Rows,
    ) -> Result<Self, ParquetError> {
        let total = group.spans();
        let pages = group.start_pages()?;
        let ends = pages.iter().skip(1).map(|page| page.row).chain([total]);
        let one = |page: &StartPage| {
            let (first, last) = page.bounds()?;
            steps.are_one(first, last).then_some(first)
        };
        let pages: Vec<_> = pages
            .iter()
            .zip(ends)
            .map(|(page, end)| (page.row..end, one(page)))
            .collect();
        let mut unknown = BooleanBufferBuilder::new(total);
        for (page, start) in &pages {
            unknown.append_n(page.len(), start.is_none());
        }
        unknown.append_n(total - unknown.len(), true);
        let unknown = Rows::of_mask(unknown.finish());
        let mut read = Self::exact(group, &rows.intersection(&unknown))?.into_iter();
        let mut times = Vec::with_capacity(rows.count());
        for (page, start) in pages {
            let count = rows.count_within(page.start, page.end);
            match start {
                Some(start) => times.resize(times.len() + count, start),
                None => times.extend(read.by_ref().take(count)),
            }
        }
        times.extend(read);
        if times.len() != rows.count() {
            return Err(ParquetError::General("starts are missing".to_owned()));
        }
        Ok(Self {
            times: times.into(),
            taken: 0,
        })
    }

    fn exact(group: &GroupReader<'_>, rows: &Rows) -> Result<Vec<i64>, ParquetError> {
        let roots = [table::START_TIME, table::START_TIME_NANOS];
        let roots: Vec<usize> = roots
            .iter()
            .filter_map(|name| group.footer.leaf(name))
            .map(|(_, root)| root)
            .collect();
        let mut times = Vec::with_capacity(rows.count());
        if rows.is_empty() {
            return Ok(times);
        }
        for read in group.rows(&roots, rows, group.spans())? {
            let read = read?;
            let micros = read.column_by_name(table::START_TIME);
            let micros = micros.ok_or_else(|| ParquetError::General("no starts".to_owned()))?;
            let nanos = read.column_by_name(table::START_TIME_NANOS);
            let starts = start_times(micros, nanos);
            times.extend(starts.map_err(|error| ParquetError::General(error.to_string()))?);
        }
        Ok(times)
    }

    /// Adds the starts of the next rows to what was read of them.
    pub(crate) fn join(&mut self, rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let starts = self.times.slice(self.taken, rows.num_rows());
        self.taken += rows.num_rows();
        let mut fields = rows.schema_ref().fields().to_vec();
        let name = table::START_TIME_UNIX_NANO;
        fields.push(Arc::new(Field::new(name, DataType::Int64, false)));
        let mut columns = rows.columns().to_vec();
        columns.push(Arc::new(Int64Array::new(starts, None)));
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
    }
}
