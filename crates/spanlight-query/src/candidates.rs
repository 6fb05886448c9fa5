//! The plan of a search's first step: which traces have spans that some filter of the query may select.
//!
//! An operator over the scan evaluates the filters over each batch and lets through the trace, the start and the
//! filters found of the spans that any of them selects; everything else of the span stays behind. What needs the
//! whole trace to be decided counts as found here.

use std::fmt;
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Int64Type, UInt64Type};
use arrow_array::{FixedSizeBinaryArray, Int64Array, RecordBatch, UInt32Array, UInt64Array};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, internal_datafusion_err};
use datafusion::execution::TaskContext;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan,
    ExecutionPlanProperties as _, PlanProperties, ReplaceChildrenOptions,
    SendableRecordBatchStream,
};
use futures::StreamExt as _;
use spanlight_model::{SpanBatch, TraceId};
use spanlight_store::ScanColumns;

use crate::plan::{Plan, filter_bit};
use crate::predicate::{self, Bound, Fields, Filter};

/// What the operator evaluates.
#[derive(Debug, Clone)]
pub(crate) struct Conditions {
    fields: Fields,
    filters: Vec<Filter>,
}

/// The spans that are looked at, by their times in unix nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    /// No span that ends earlier.
    pub(crate) end_min: i64,
    /// No span that starts earlier.
    pub(crate) start_min: i64,
    /// No span that starts later.
    pub(crate) start_max: i64,
}

/// A span that some filter may select.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate {
    pub(crate) trace_id: TraceId,
    pub(crate) start: i64,
    /// The bits of the filters, see [`filter_bit`].
    pub(crate) found: u64,
}

impl Conditions {
    pub(crate) fn of(plan: &Plan) -> Self {
        let filters = plan.filters.iter();
        Self {
            filters: filters.map(|filter| filter.relaxed(&plan.fields)).collect(),
            fields: plan.fields.clone(),
        }
    }

    /// The conditions on spans of files: none where the store tests all of them, since what it has tested may be
    /// taken for found.
    pub(crate) fn of_files(conditions: &Arc<Self>) -> Arc<Self> {
        let Self { fields, filters } = &**conditions;
        match &filters[..] {
            [filter] if predicate::is_told(filter, fields) => Arc::new(Self {
                fields: fields.clone(),
                filters: vec![Filter::anything()],
            }),
            _ => Arc::clone(conditions),
        }
    }

    /// The columns that the operator reads.
    pub(crate) fn columns(&self) -> ScanColumns {
        ScanColumns {
            trace_id: true,
            times: true,
            ..self.fields.columns_of(&self.filters)
        }
    }

    /// What the store may leave out spans by.
    pub(crate) fn pushed(&self) -> Option<Arc<spanlight_store::Filter>> {
        predicate::condition(&self.filters, &self.fields)
    }
}

/// Lets through what the filters may select.
pub(crate) struct CandidateExec {
    input: Arc<dyn ExecutionPlan>,
    conditions: Arc<Conditions>,
    window: Window,
    properties: Arc<PlanProperties>,
}

impl CandidateExec {
    pub(crate) fn new(
        input: Arc<dyn ExecutionPlan>,
        conditions: Arc<Conditions>,
        window: Window,
    ) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(candidate_schema()),
            input.output_partitioning().clone(),
            input.pipeline_behavior(),
            input.boundedness(),
        );
        Self {
            input,
            conditions,
            window,
            properties: Arc::new(properties),
        }
    }
}

fn candidate_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("trace_id", DataType::FixedSizeBinary(16), false),
        Field::new("start_time_unix_nano", DataType::Int64, false),
        Field::new("found", DataType::UInt64, false),
    ]))
}

/// Reads a batch of the operator.
pub(crate) fn read(batch: &RecordBatch) -> impl Iterator<Item = Candidate> + '_ {
    let ids: &FixedSizeBinaryArray = batch.column(0).as_fixed_size_binary();
    let starts = batch.column(1).as_primitive::<Int64Type>().values();
    let found = batch.column(2).as_primitive::<UInt64Type>().values();
    (0..batch.num_rows()).map(move |row| Candidate {
        trace_id: TraceId(ids.value(row).try_into().unwrap_or_default()),
        start: starts[row],
        found: found[row],
    })
}

fn evaluate(conditions: &Conditions, window: Window, batch: RecordBatch) -> Result<RecordBatch> {
    let batch =
        SpanBatch::try_new(batch).map_err(|error| DataFusionError::External(error.into()))?;
    let columns = batch.columns();
    let (starts, ends) = (columns.start_times.values(), columns.end_times.values());
    let rows: Vec<u32> = (0..batch.num_spans())
        .filter(|&row| {
            let start = starts[row];
            let end = ends[row].max(start);
            start >= window.start_min && start <= window.start_max && end >= window.end_min
        })
        .map(|row| row as u32)
        .collect();
    let mut found = vec![0_u64; batch.num_spans()];
    let bound = Bound::new(&conditions.fields, columns.clone(), None);
    for (number, filter) in conditions.filters.iter().enumerate() {
        for row in bound.select(filter, rows.clone()) {
            found[row as usize] |= filter_bit(number);
        }
    }
    let rows: UInt32Array = rows
        .into_iter()
        .filter(|&row| found[row as usize] != 0)
        .collect::<Vec<_>>()
        .into();
    let ids = arrow_select::take::take(columns.trace_ids, &rows, None)?;
    let rows = rows.values().iter().map(|&row| row as usize);
    let starts: Int64Array = rows
        .clone()
        .map(|row| starts[row])
        .collect::<Vec<_>>()
        .into();
    let found: UInt64Array = rows.map(|row| found[row]).collect::<Vec<_>>().into();
    let columns = vec![ids, Arc::new(starts) as _, Arc::new(found) as _];
    Ok(RecordBatch::try_new(candidate_schema(), columns)?)
}

impl ExecutionPlan for CandidateExec {
    fn name(&self) -> &'static str {
        "CandidateExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let recompute = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        self.replace_children(children, recompute)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children
            .pop()
            .ok_or_else(|| internal_datafusion_err!("CandidateExec has one input"))?;
        let conditions = Arc::clone(&self.conditions);
        Ok(Arc::new(Self::new(input, conditions, self.window)))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let (conditions, window) = (Arc::clone(&self.conditions), self.window);
        let input = self.input.execute(partition, context)?;
        let found = input.map(move |batch| evaluate(&conditions, window, batch?));
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            candidate_schema(),
            found,
        )))
    }
}

impl DisplayAs for CandidateExec {
    fn fmt_as(&self, _form: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "CandidateExec: {} filters",
            self.conditions.filters.len()
        )
    }
}

impl fmt::Debug for CandidateExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_as(DisplayFormatType::Default, f)
    }
}
