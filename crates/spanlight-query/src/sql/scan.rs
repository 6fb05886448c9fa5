//! The leaf of a statement's plan: rows of a view, read from the store by as many threads as there are cores.
//!
//! Each span comes once. Within a run of a file it does; traces that are in several places are left out as they go by,
//! and read by their ids at the end, as are those of which a view wants to see all.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow_schema::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{
    DataFusionError, Result, internal_datafusion_err, resources_datafusion_err,
};
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
    ReplaceChildrenOptions, SendableRecordBatchStream,
};
use futures::stream;
use spanlight_store::{Partition, ScanColumns, ScanRequest, Snapshot};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::columns::ViewColumn;
use super::push::Conditions;
use super::rows::{Output, Work};
use super::traces;
use super::view::Kind;
use crate::limits::PartialReason;
use crate::metrics::RepeatCache;
use crate::metrics::repeats::{self, Repeated};
use crate::parallel::{Stopped, workers};
use crate::scan::ScanReport;

/// What all views of a statement read.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) snapshot: Snapshot,
    pub(super) repeats: Arc<RepeatCache>,
    pub(super) memory: Arc<dyn MemoryPool>,
    pub(super) report: Arc<ScanReport>,
    pub(super) deadline: Instant,
    /// How far spans of a trace are looked for outside of a time range.
    pub(super) trace_length: Duration,
    pub(super) partial: Mutex<Vec<PartialReason>>,
}

/// Rows of a view.
pub(super) struct ViewScan {
    plan: Arc<Plan>,
    properties: Arc<PlanProperties>,
}

/// What is read, and what is made of it.
pub(super) struct Plan {
    pub(super) kind: Kind,
    pub(super) columns: Vec<ViewColumn>,
    pub(super) schema: SchemaRef,
    pub(super) reading: Arc<Reading>,
    conditions: Conditions,
    partitions: Vec<Partition>,
    /// Traces that are in several places.
    pub(super) repeated: Arc<Repeated>,
}

impl ViewScan {
    pub(super) async fn new(
        kind: Kind,
        columns: Vec<ViewColumn>,
        schema: SchemaRef,
        reading: Arc<Reading>,
        conditions: Conditions,
    ) -> Result<Self> {
        let mut plan = Plan {
            kind,
            columns,
            schema,
            reading,
            conditions,
            partitions: Vec::new(),
            repeated: Arc::default(),
        };
        if plan.conditions.trace_ids.is_none() {
            plan.find().await?;
        }
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&plan.schema)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(Self {
            plan: Arc::new(plan),
            properties: Arc::new(properties.with_scheduling_type(SchedulingType::Cooperative)),
        })
    }
}

impl Plan {
    /// Finds what has to be read.
    async fn find(&mut self) -> Result<()> {
        let reading = &self.reading;
        let search = repeats::Search {
            snapshot: &reading.snapshot,
            cache: &reading.repeats,
            memory: &reading.memory,
            report: &reading.report,
            deadline: reading.deadline,
        };
        let mut request = ScanRequest {
            time_range: self.conditions.time_range.clone(),
            trace_ids: None,
            columns: self.needs(),
            filter: self.conditions.filter.clone(),
        };
        if self.kind == Kind::Trace {
            let length = i64::try_from(reading.trace_length.as_nanos()).unwrap_or(i64::MAX);
            request.time_range = request
                .time_range
                .map(|it| it.start.saturating_sub(length)..it.end.saturating_add(length));
        }
        let found = search.find(request.time_range.clone()).await;
        let found = found.map_err(|error| DataFusionError::External(error.into()))?;
        match found.stopped {
            Some(Stopped::Memory) => return Err(resources_datafusion_err!("repeats")),
            // The statement's own time limit says so.
            Some(Stopped::Time) | None => self.repeated = found.repeated,
        }
        request.columns.trace_id |= !self.repeated.is_empty();
        self.partitions = reading.snapshot.scan(&request).await.partitions;
        // The last is read first: the newest, which a limit may be satisfied with.
        self.partitions
            .sort_by_key(Partition::max_start_time_unix_nano);
        Ok(())
    }

    /// What of the store the rows are made of.
    fn needs(&self) -> ScanColumns {
        match self.kind {
            Kind::Trace => traces::needs(&self.schema),
            Kind::Event | Kind::Link => self.needs_of_columns(ScanColumns {
                events: self.kind == Kind::Event,
                links: self.kind == Kind::Link,
                ..ScanColumns::NONE
            }),
            Kind::Span => self.needs_of_columns(ScanColumns::NONE),
        }
    }

    fn needs_of_columns(&self, more: ScanColumns) -> ScanColumns {
        let needs = self.columns.iter().map(|column| column.what.needs());
        needs.fold(more, |all, needs| all.union(&needs))
    }

    /// The same for spans whose repeats have to be told from them.
    pub(super) fn needs_by_id(&self) -> ScanColumns {
        self.needs().union(&ScanColumns {
            trace_id: true,
            span_id: true,
            parent_span_id: true,
            kind: true,
            times: true,
            received_at: true,
            ..ScanColumns::NONE
        })
    }
}

impl ExecutionPlan for ViewScan {
    fn name(&self) -> &'static str {
        "ViewScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(
        &self,
        _partition: usize,
        _context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let by_id = self.plan.conditions.trace_ids.as_deref();
        let threads = workers().clamp(1, self.plan.partitions.len().max(1));
        let work = Work::new(
            &self.plan,
            self.plan.partitions.clone(),
            by_id.cloned().unwrap_or_default(),
            threads,
        );
        let (sender, receiver) = mpsc::channel(threads);
        let mut running = JoinSet::new();
        for _ in 0..threads {
            let work = Arc::clone(&work);
            let sender = sender.clone();
            running.spawn_blocking(move || work.run(Output::new(sender)));
        }
        drop(sender);
        let batches = stream::unfold((receiver, running), async |(mut receiver, mut running)| {
            if let Some(batch) = receiver.recv().await {
                return Some((batch, (receiver, running)));
            }
            // A thread that broke off has left something out.
            while let Some(ended) = running.join_next().await {
                if let Err(error) = ended {
                    let error = internal_datafusion_err!("a reader broke off: {error}");
                    return Some((Err(error), (receiver, running)));
                }
            }
            None
        });
        let schema = Arc::clone(&self.plan.schema);
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
    }
}

impl DisplayAs for ViewScan {
    fn fmt_as(&self, _form: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = &self.plan;
        let names = plan
            .schema
            .fields()
            .iter()
            .map(|field| field.name().as_str());
        let names: Vec<&str> = names.collect();
        write!(f, "ViewScan: {} [{}]", plan.kind.name(), names.join(", "))?;
        write!(f, "{}", plan.conditions)?;
        match plan.conditions.trace_ids {
            Some(_) => Ok(()),
            None => write!(f, ", {} parts", plan.partitions.len()),
        }
    }
}

impl fmt::Debug for ViewScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_as(DisplayFormatType::Default, f)
    }
}
