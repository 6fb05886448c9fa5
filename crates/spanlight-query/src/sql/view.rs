//! The views: which columns each has, and how a statement gets to read them.

use std::sync::Arc;

use arrow_schema::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;

use super::columns::{ViewColumn, What};
use super::push::Conditions;
use super::scan::{Reading, ViewScan};
use super::traces;
use crate::attributes::AttributeScope;

/// What a view has a row for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Span,
    Event,
    Link,
    Trace,
}

/// A view.
#[derive(Debug)]
pub(super) struct View {
    kind: Kind,
    /// Of a trace's there are none: they are not made of columns of spans, each by itself.
    columns: Vec<ViewColumn>,
    schema: SchemaRef,
    reading: Arc<Reading>,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::Span, Self::Event, Self::Link, Self::Trace];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Span => "spans",
            Self::Event => "events",
            Self::Link => "links",
            Self::Trace => "traces",
        }
    }

    /// Whether attributes of a scope are columns of it. Each is in one view alone, so that joins need not say which.
    pub(super) fn has(self, scope: AttributeScope) -> bool {
        use AttributeScope as S;
        match self {
            Self::Span => matches!(scope, S::Span | S::Resource | S::Instrumentation),
            Self::Event => scope == S::Event,
            Self::Link => scope == S::Link,
            Self::Trace => false,
        }
    }

    fn columns(self) -> Vec<ViewColumn> {
        let mut columns = vec![("trace_id", What::TraceId), ("span_id", What::SpanId)];
        columns.extend(match self {
            Self::Trace => return Vec::new(),
            Self::Span => vec![
                ("parent_span_id", What::ParentSpanId),
                ("service", What::Service),
                ("name", What::Name),
                ("kind", What::Kind),
                ("status", What::Status),
                ("status_message", What::StatusMessage),
                ("start_time", What::StartTime),
                ("end_time", What::EndTime),
                ("duration_ns", What::Duration),
                ("received_at", What::ReceivedAt),
                ("trace_state", What::TraceState),
                ("scope_name", What::ScopeName),
                ("scope_version", What::ScopeVersion),
                ("event_count", What::EventCount),
                ("link_count", What::LinkCount),
                ("attributes", What::All(AttributeScope::Span)),
                ("resource_attributes", What::All(AttributeScope::Resource)),
            ],
            Self::Event => vec![
                ("service", What::Service),
                ("span_name", What::Name),
                ("time", What::EventTime),
                ("name", What::EventName),
                ("attributes", What::All(AttributeScope::Event)),
            ],
            Self::Link => vec![
                ("service", What::Service),
                ("span_name", What::Name),
                ("linked_trace_id", What::LinkedTraceId),
                ("linked_span_id", What::LinkedSpanId),
                ("linked_trace_state", What::LinkedTraceState),
                ("attributes", What::All(AttributeScope::Link)),
            ],
        });
        let columns = columns.into_iter();
        columns
            .map(|(name, what)| ViewColumn::new(name, what))
            .collect()
    }
}

impl View {
    /// A view with the attributes that a statement names.
    pub(super) fn new(kind: Kind, attributes: &[ViewColumn], reading: &Arc<Reading>) -> Self {
        let mut columns = kind.columns();
        let is_own = |column: &&ViewColumn| matches!(&column.what, What::Attribute { scope, .. } if kind.has(*scope));
        columns.extend(attributes.iter().filter(is_own).cloned());
        let schema = match kind {
            Kind::Trace => traces::schema(),
            _ => {
                let fields = columns.iter().map(ViewColumn::field);
                Arc::new(Schema::new(fields.collect::<Vec<_>>()))
            }
        };
        Self {
            kind,
            columns,
            schema,
            reading: Arc::clone(reading),
        }
    }
}

#[async_trait]
impl TableProvider for View {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    /// Whatever is used of a filter only leaves out what certainly fails.
    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        let use_of = |filter: &&Expr| {
            let conditions = Conditions::of(self.kind, &self.columns, std::slice::from_ref(filter));
            match conditions.is_anything() {
                true => TableProviderFilterPushDown::Unsupported,
                false => TableProviderFilterPushDown::Inexact,
            }
        };
        Ok(filters.iter().map(use_of).collect())
    }

    async fn scan(
        &self,
        _session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let all: Vec<usize> = (0..self.schema.fields().len()).collect();
        let projection = projection.unwrap_or(&all);
        let conditions = Conditions::of(
            self.kind,
            &self.columns,
            &filters.iter().collect::<Vec<_>>(),
        );
        let columns = match self.kind {
            Kind::Trace => Vec::new(),
            _ => projection
                .iter()
                .map(|&at| self.columns[at].clone())
                .collect(),
        };
        let schema = Arc::new(self.schema.project(projection)?);
        let scan = ViewScan::new(
            self.kind,
            columns,
            schema,
            Arc::clone(&self.reading),
            conditions,
        );
        Ok(Arc::new(scan.await?))
    }
}
