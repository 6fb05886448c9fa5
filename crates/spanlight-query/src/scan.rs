//! The leaf of every plan: spans from partitions of the store.
//!
//! What cannot be read is no error of the plan: it is noted in the [`ScanReport`], and the rest goes on.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, internal_datafusion_err};
use datafusion::execution::TaskContext;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
    ReplaceChildrenOptions, SendableRecordBatchStream,
};
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt as _};
use spanlight_model::{SpanBatch, schema};
use spanlight_store::{Partition, ReadError};
use tokio::sync::mpsc;

use crate::answer::Inspected;
use crate::background;
use crate::limits::PartialReason;
use crate::load::{broken_off, unreadable};

/// Rows of one step of a stream, so that no step keeps a thread long.
const ROWS_AT_ONCE: usize = 16_384;

/// Whoever looks at so many spans at once may wait for those who are quickly done.
const LONG_SPANS: usize = 4 << 20;
/// Batches that wait to be looked at.
const BATCHES_AHEAD: usize = 2;

/// What scans of one search have read, and what they could not.
#[derive(Debug, Default)]
pub(crate) struct ScanReport {
    spans: AtomicU64,
    bytes: AtomicU64,
    partitions: AtomicU64,
    unreadable: Mutex<Vec<PartialReason>>,
}

impl ScanReport {
    pub(crate) fn inspected(&self) -> Inspected {
        Inspected {
            spans: self.spans.load(Ordering::Relaxed),
            traces: 0,
            bytes: self.bytes.load(Ordering::Relaxed),
            partitions: self.partitions.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn unreadable(&self) -> Vec<PartialReason> {
        let reasons = self.unreadable.lock();
        reasons.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A partition is about to be read.
    pub(crate) fn opened(&self) {
        self.partitions.fetch_add(1, Ordering::Relaxed);
    }

    /// The batch, when there is one; what cannot be read is remembered.
    pub(crate) fn note(
        &self,
        partition: &str,
        read: Result<SpanBatch, ReadError>,
    ) -> Option<SpanBatch> {
        match read {
            Ok(batch) => {
                let (spans, bytes) = (batch.num_spans() as u64, batch.byte_size() as u64);
                self.spans.fetch_add(spans, Ordering::Relaxed);
                self.bytes.fetch_add(bytes, Ordering::Relaxed);
                Some(batch)
            }
            Err(error) => {
                self.note_unreadable(partition, &error);
                None
            }
        }
    }

    /// Remembers what cannot be read.
    pub(crate) fn note_unreadable(&self, partition: &str, error: &ReadError) {
        self.remember(unreadable(partition.to_owned(), error));
    }

    /// Remembers that a thread broke off, so that some of what it was to read is missing.
    fn note_broken_off(&self) {
        self.remember(broken_off(&"a reader broke off"));
    }

    fn remember(&self, reason: PartialReason) {
        let reasons = self.unreadable.lock();
        reasons.unwrap_or_else(PoisonError::into_inner).push(reason);
    }
}

/// Streams spans from the store. Executed once.
pub(crate) struct SpanScanExec {
    /// By output partition; taken when it is executed.
    partitions: Mutex<Vec<Vec<Partition>>>,
    names: Vec<String>,
    is_long: bool,
    report: Arc<ScanReport>,
    properties: Arc<PlanProperties>,
}

impl SpanScanExec {
    /// Scans the store's partitions in their order, dealt out to at most `parallel` output partitions.
    pub(crate) fn new(
        partitions: Vec<Partition>,
        parallel: usize,
        report: Arc<ScanReport>,
    ) -> Self {
        let names = partitions.iter().map(Partition::describe).collect();
        let spans = partitions.iter().map(Partition::span_count_upper_bound);
        let is_long = spans.sum::<usize>() > LONG_SPANS;
        let outputs = parallel.clamp(1, partitions.len().max(1));
        let mut dealt: Vec<Vec<Partition>> = (0..outputs).map(|_| Vec::new()).collect();
        for (at, partition) in partitions.into_iter().enumerate() {
            dealt[at % outputs].push(partition);
        }
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema::schema()),
            Partitioning::UnknownPartitioning(outputs),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self {
            partitions: Mutex::new(dealt),
            names,
            is_long,
            report,
            properties: Arc::new(properties.with_scheduling_type(SchedulingType::NonCooperative)),
        }
    }
}

impl ExecutionPlan for SpanScanExec {
    fn name(&self) -> &'static str {
        "SpanScanExec"
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
        partition: usize,
        _context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let mut partitions = self
            .partitions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let partitions = partitions
            .get_mut(partition)
            .map(std::mem::take)
            .ok_or_else(|| internal_datafusion_err!("no partition {partition} to scan"))?;
        let report = Arc::clone(&self.report);
        let batches = match self.is_long {
            true => in_background(partitions, report)?,
            false => one_by_one(partitions, report).boxed(),
        };
        let slices = batches.flat_map(|batch| {
            let rows = batch.num_spans();
            stream::iter((0..rows).step_by(ROWS_AT_ONCE)).map(move |from| {
                let slice = batch.slice(from, ROWS_AT_ONCE.min(rows - from));
                Ok(slice.record_batch().clone())
            })
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            schema::schema(),
            slices,
        )))
    }
}

/// Reads each partition when the one before was looked at.
fn one_by_one(
    partitions: Vec<Partition>,
    report: Arc<ScanReport>,
) -> impl Stream<Item = SpanBatch> {
    stream::iter(partitions).flat_map(move |partition| {
        report.opened();
        let (name, report) = (partition.describe(), Arc::clone(&report));
        partition
            .stream()
            .filter_map(move |read| futures::future::ready(report.note(&name, read)))
    })
}

/// Reads all on a thread that gives way to others, until nobody looks any more.
fn in_background(
    partitions: Vec<Partition>,
    report: Arc<ScanReport>,
) -> Result<BoxStream<'static, SpanBatch>> {
    let noted = Arc::clone(&report);
    let read = move |sender: &mpsc::Sender<SpanBatch>| {
        for partition in partitions {
            report.opened();
            let name = partition.describe();
            let mut is_left = false;
            partition.read(|read| {
                let batch = report.note(&name, read);
                is_left = batch.is_some_and(|batch| sender.blocking_send(batch).is_err());
                match is_left {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                }
            });
            if is_left || sender.is_closed() {
                return;
            }
        }
    };
    let batches = background::stream(BATCHES_AHEAD, read).map_err(DataFusionError::IoError)?;
    let whole = batches.filter_map(move |batch| {
        let batch = batch.map_err(|_| noted.note_broken_off()).ok();
        futures::future::ready(batch)
    });
    Ok(whole.boxed())
}

impl DisplayAs for SpanScanExec {
    fn fmt_as(&self, _form: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpanScanExec: {}", self.names.join(", "))
    }
}

impl fmt::Debug for SpanScanExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_as(DisplayFormatType::Default, f)
    }
}
