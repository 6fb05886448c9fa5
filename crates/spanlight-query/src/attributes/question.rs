//! What questions about keys and about values share: whose spans are meant, reading them, and when to stop.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use spanlight_store::{AttributeKeys, Partition, ScanColumns, ScanRequest, Snapshot, Steps};
use spanlight_traceql::ast::{Field, MetricsNode, Pipeline, Query, Root, StageNode};
use tokio::time::Instant;

use super::keys::is_counted;
use crate::answer::Inspected;
use crate::error::{QueryError, Unsupported};
use crate::limits::{PartialReason, QueryLimits};
use crate::parallel::{self, Stopped, Worker};
use crate::plan::{Plan, Spansets, Stage};
use crate::predicate::{self, Fields, Filter, Node, Scalar, is_trace_level};
use crate::scan::ScanReport;

/// Whose attributes are asked for, with the fields that tell.
#[derive(Debug)]
pub(super) struct Selected {
    pub(super) selection: Selection,
    pub(super) fields: Fields,
    /// The query without what it makes of the spans.
    pub(super) text: String,
}

#[derive(Debug)]
pub(super) enum Selection {
    /// Those of spans that pass.
    Spans(Filter),
    /// Those of spans that the query finds, which takes their traces.
    Found,
}

impl Selected {
    /// What a query selects. What a metrics query makes of it does not matter here.
    pub(super) fn of(text: &str) -> Result<Self, QueryError> {
        if text.trim().is_empty() {
            return Ok(Self {
                selection: Selection::Spans(Filter::anything()),
                fields: Fields::default(),
                text: String::new(),
            });
        }
        let query = spanlight_traceql::parse(text)?;
        let located = |unsupported: Unsupported| unsupported.locate(text);
        let pipeline = pipeline(&query).map_err(located)?;
        let plan = Plan::of_pipeline(pipeline).map_err(located)?;
        Ok(Self {
            selection: filter(&plan).map_or(Selection::Found, Selection::Spans),
            fields: plan.fields,
            text: match &query.root {
                Root::Search(_) => text.to_owned(),
                Root::Metrics(_) => pipeline.to_string(),
            },
        })
    }
}

fn pipeline(query: &Query) -> Result<&Pipeline, Unsupported> {
    match &query.root {
        Root::Search(pipeline) => Ok(pipeline),
        Root::Metrics(metrics) => match &metrics.node {
            MetricsNode::Series { pipeline, .. } => Ok(pipeline),
            _ => Err(Unsupported {
                message: "arithmetic between metrics has no spans of its own",
                hint: "ask with one of its sides",
                position: metrics.position.clone(),
            }),
        },
    }
}

/// The filter that decides each span by itself, if there is one.
fn filter(plan: &Plan) -> Option<Filter> {
    if plan.fields.iter().any(is_trace_level) {
        return None;
    }
    let filters = plan.stages.iter().map(|stage| match stage {
        Stage::Spansets(Spansets::Filter(filter)) => Some(plan.filters[*filter].clone()),
        _ => None,
    });
    Filter::all(filters.collect::<Option<Vec<_>>>()?)
}

pub(super) fn is_anything(filter: &Filter) -> bool {
    matches!(filter.root, Node::Constant(Scalar::Bool(true)))
}

/// The field of this name; a field of parents is one that any span may have.
pub(super) fn field(text: &str) -> Result<Field, QueryError> {
    const BEFORE: &str = "{ } | select(";
    let text = text.trim();
    let whole = format!("{BEFORE}{text})");
    let query = spanlight_traceql::parse(&whole).map_err(|mut error| {
        let shift = |at: usize| at.saturating_sub(BEFORE.len()).min(text.len());
        error.position = shift(error.position.start)..shift(error.position.end);
        error.column = error.column.saturating_sub(BEFORE.len()).max(1);
        QueryError::from(error)
    })?;
    let only = match &query.root {
        Root::Search(pipeline) => match pipeline.stages.as_slice() {
            [_, select] => match &select.node {
                StageNode::Select(fields) => <&[_; 1]>::try_from(fields.as_slice()).ok(),
                _ => None,
            },
            _ => None,
        },
        Root::Metrics(_) => None,
    };
    let Some([field]) = only else {
        let unsupported = Unsupported {
            message: "this is not one field",
            hint: "write a field such as span.http.route, resource.service.name or name",
            position: 0..text.len(),
        };
        return Err(unsupported.locate(text));
    };
    Ok(match field.node.clone() {
        Field::Attribute(mut attribute) => {
            attribute.of_parent = false;
            Field::Attribute(attribute)
        }
        intrinsic @ Field::Intrinsic(_) => intrinsic,
    })
}

/// A question while it is being answered.
pub(super) struct Question<'l> {
    pub(super) snapshot: Snapshot,
    pub(super) limits: &'l QueryLimits,
    pub(super) memory: Arc<dyn MemoryPool>,
    pub(super) time_range: Range<i64>,
    pub(super) deadline: Instant,
    time_limit: Duration,
    report: Arc<ScanReport>,
    pub(super) partial: Vec<PartialReason>,
    pub(super) inspected: Inspected,
}

impl<'l> Question<'l> {
    pub(super) fn new(
        snapshot: Snapshot,
        limits: &'l QueryLimits,
        memory: &Arc<dyn MemoryPool>,
        time_range: Range<i64>,
        time_limit: Duration,
    ) -> Result<Self, QueryError> {
        if time_range.end < time_range.start {
            return Err(QueryError::TimeRange);
        }
        let time_limit = time_limit.min(limits.search_time_limit);
        Ok(Self {
            snapshot,
            limits,
            memory: Arc::clone(memory),
            time_range,
            deadline: Instant::now() + time_limit,
            time_limit,
            report: Arc::default(),
            partial: Vec::new(),
            inspected: Inspected::default(),
        })
    }

    pub(super) fn reserve(&self) -> MemoryReservation {
        MemoryConsumer::new("attributes").register(&self.memory)
    }

    /// What may have these columns of spans that pass.
    pub(super) async fn partitions(
        &self,
        columns: &ScanColumns,
        selected: &Selected,
        filter: &Filter,
    ) -> Vec<Partition> {
        let range = self.time_range.clone();
        let length = range.end.saturating_sub(range.start);
        let columns = columns.union(&selected.fields.columns());
        let request = ScanRequest {
            time_range: Some(range.clone()),
            trace_ids: None,
            columns: columns.union(&ScanColumns {
                // Whether a span starts within the range is all there is to know.
                steps: Some(Steps::new(range.clone(), range.start, length)),
                ..ScanColumns::NONE
            }),
            filter: predicate::condition(std::slice::from_ref(filter), &selected.fields),
        };
        self.snapshot.scan(&request).await.partitions
    }

    /// The same for keys: where files have counted spans themselves, only what they have not counted is read.
    pub(super) async fn partitions_of_keys(
        &self,
        columns: &ScanColumns,
        selected: &Selected,
        filter: &Filter,
    ) -> Vec<Partition> {
        let mut partitions = self.partitions(columns, selected, filter).await;
        if columns.attributes.is_none() || !is_anything(filter) {
            return partitions;
        }
        let is_counted = |it: &Partition| is_counted(it, &self.time_range);
        partitions.retain(|it| !is_counted(it));
        let columns = ScanColumns {
            attributes: AttributeKeys::Uncounted,
            ..columns.clone()
        };
        let counted = self.partitions(&columns, selected, filter).await;
        partitions.extend(counted.into_iter().filter(is_counted));
        partitions
    }

    /// Reads partitions, the newest first.
    pub(super) async fn read<W: Worker>(
        &mut self,
        mut partitions: Vec<Partition>,
        new: impl Fn(&Self) -> W,
    ) -> Result<Vec<W>, QueryError> {
        partitions.sort_by_key(Partition::max_start_time_unix_nano);
        let workers = parallel::workers().clamp(1, partitions.len().max(1));
        let workers = (0..workers).map(|_| new(self)).collect();
        let (workers, stopped) =
            parallel::pass(partitions, workers, &self.report, self.deadline).await?;
        match stopped {
            None => {}
            Some(Stopped::Time) => self.note_late(),
            Some(Stopped::Memory) => self.note_full(),
        }
        Ok(workers)
    }

    pub(super) fn note_late(&mut self) {
        let limit = self.time_limit;
        self.partial.push(PartialReason::TimeLimit { limit });
    }

    pub(super) fn note_full(&mut self) {
        let limit_bytes = self.limits.memory_bytes;
        self.partial
            .push(PartialReason::MemoryLimit { limit_bytes });
    }

    /// Not all were told apart.
    pub(super) fn note_too_many(&mut self, too_many: bool, what: &'static str, limit: usize) {
        if too_many {
            // The worker that met too many stopped as if there were no more memory.
            self.partial
                .retain(|reason| !matches!(reason, PartialReason::MemoryLimit { .. }));
            self.partial.push(PartialReason::TooMany { what, limit });
        }
    }

    pub(super) fn finish(mut self) -> (Vec<PartialReason>, Inspected) {
        for reason in self.report.unreadable() {
            if !self.partial.contains(&reason) {
                self.partial.push(reason);
            }
        }
        self.inspected.add(self.report.inspected());
        (self.partial, self.inspected)
    }
}
