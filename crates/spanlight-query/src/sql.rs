//! SQL over views of the store's spans: read-only, one snapshot a statement.
//!
//! A statement is read ([`text`]), the attributes that it names become columns of the types that their values have
//! ([`types`]), and DataFusion plans and runs it over the views ([`view`]), which read the store as the statement goes
//! on ([`scan`]). It runs on threads of its own ([`runtime`]): its operators compute for long between one wait and the
//! next. An answer is whole or an error, but for rows beyond the limit and data that cannot be read, which it names.

mod columns;
mod fault;
mod push;
mod rows;
pub(crate) mod runtime;
mod scan;
mod session;
mod text;
mod traces;
pub(crate) mod types;
mod values;
mod view;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arrow_array::{Array as _, RecordBatch, UInt32Array};
use arrow_schema::SchemaRef;
use datafusion::arrow::compute::take_record_batch;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::SessionContext;
use futures::StreamExt as _;
use spanlight_model::AttributeType;
use spanlight_store::Snapshot;
use tokio::time::{Instant, timeout_at};

use crate::answer::Inspected;
use crate::error::QueryError;
use crate::limits::{PartialReason, QueryLimits};
use crate::metrics::RepeatCache;
use crate::parallel::Stopped;
use crate::scan::ScanReport;
use columns::{ViewColumn, What};
pub use fault::{SqlFault, SqlFaultKind, SqlPosition};
use runtime::SqlRuntime;
use scan::Reading;
use text::{AttributeName, Statement};
use types::{Keys, TypeCache, Types};

/// A statement that computes without a pause is given up so long after its time.
const PATIENCE: Duration = Duration::from_secs(1);

/// A statement.
#[derive(Debug, Clone)]
pub struct SqlRequest {
    /// One statement of SQL that reads.
    pub statement: String,
    /// The most rows to answer with; the engine's own limit holds, too.
    pub rows_max: usize,
}

/// What a statement found.
#[derive(Debug)]
pub struct SqlAnswer {
    /// The columns.
    pub schema: SchemaRef,
    /// The rows.
    pub batches: Vec<RecordBatch>,
    /// Empty when the answer is complete.
    pub partial: Vec<PartialReason>,
    /// What was read.
    pub inspected: Inspected,
    /// Held as long as the rows.
    _memory: MemoryReservation,
}

/// What of an engine a statement needs. It goes to other threads, and so owns it.
#[derive(Debug, Clone)]
pub(crate) struct SqlScope {
    pub(crate) snapshot: Snapshot,
    pub(crate) limits: Arc<QueryLimits>,
    pub(crate) memory: Arc<dyn MemoryPool>,
    pub(crate) repeats: Arc<RepeatCache>,
    pub(crate) types: Arc<TypeCache>,
}

/// Answers a statement.
pub(crate) async fn run(
    scope: SqlScope,
    runtime: &SqlRuntime,
    request: SqlRequest,
) -> Result<SqlAnswer, QueryError> {
    let limit = scope.limits.search_time_limit;
    let deadline = Instant::now() + limit;
    let late = || QueryError::from(too_slow(limit));
    let answer = runtime.run(async move {
        let answer = timeout_at(deadline, scope.answer(&request, deadline)).await;
        // What reads the store stops at the deadline, and its plan then ends as if there were no more.
        let is_late = Instant::now() >= deadline;
        answer.ok().filter(|answer| !is_late || answer.is_err())
    });
    match timeout_at(deadline + PATIENCE, answer).await {
        Ok(answer) => answer?.ok_or_else(late)?,
        Err(_) => Err(late()),
    }
}

fn too_slow(limit: Duration) -> SqlFault {
    SqlFault::new(
        SqlFaultKind::TimeLimit,
        format!("the statement was stopped after {limit:?}, its time limit"),
    )
    .hint("give a time range, as in start_time > now() - interval '1 hour', or raise limits.search_time")
}

impl SqlScope {
    async fn answer(
        &self,
        request: &SqlRequest,
        deadline: Instant,
    ) -> Result<SqlAnswer, QueryError> {
        let text = request.statement.as_str();
        let statement = Statement::read(text)?;
        let report = Arc::<ScanReport>::default();
        let (attributes, known) = self.attributes(&statement, &report, deadline).await?;
        let reading = Arc::new(Reading {
            snapshot: self.snapshot.clone(),
            repeats: Arc::clone(&self.repeats),
            memory: Arc::clone(&self.memory),
            report,
            deadline,
            trace_length: self.limits.trace_length,
            partial: Mutex::default(),
        });
        let fault = |error| self.fault(SqlFault::of(&error, text, &known));
        let context = session::open(&self.memory, &statement, &attributes, &reading).await;
        let context = context.map_err(fault)?;
        let plan = session::plan(&context, statement).await.map_err(|error| {
            let fault = SqlFault::of(&error, text, &known);
            self.fault(fault.suggest(&session::functions(&context)))
        })?;
        let rows_max = request.rows_max.min(self.limits.sql_rows_max);
        let rows = self.rows(&context, plan, rows_max);
        let (schema, batches, memory, cut) = rows.await.map_err(fault)?;
        let mut partial = Vec::new();
        let more = reading.partial.lock();
        let more = std::mem::take(&mut *more.unwrap_or_else(PoisonError::into_inner));
        // Each scan of a file says again what it cannot read.
        for reason in reading.report.unreadable().into_iter().chain(more) {
            if !partial.contains(&reason) {
                partial.push(reason);
            }
        }
        partial.extend(cut);
        Ok(SqlAnswer {
            schema,
            batches,
            partial,
            inspected: reading.report.inspected(),
            _memory: memory,
        })
    }

    /// What to say where the memory or something of ours is at fault.
    fn fault(&self, fault: SqlFault) -> QueryError {
        let bytes = self.limits.memory_bytes;
        QueryError::from(match fault.kind {
            SqlFaultKind::MemoryLimit => SqlFault {
                message: format!(
                    "the statement needs more memory than is left of the {bytes} bytes that running queries may hold"
                ),
                ..fault
            }
            .hint("give a time range, group by what has fewer values, add a LIMIT, or raise limits.search_bytes"),
            _ => fault,
        })
    }

    /// The attributes that a statement names, as columns; and of the scopes that it names all that there are.
    async fn attributes(
        &self,
        statement: &Statement,
        report: &Arc<ScanReport>,
        deadline: Instant,
    ) -> Result<(Vec<ViewColumn>, Vec<String>), QueryError> {
        let scopes: BTreeSet<_> = statement.names.keys().map(|name| name.scope).collect();
        let search = types::Search {
            snapshot: &self.snapshot,
            cache: &self.types,
            memory: &self.memory,
            report,
            deadline,
        };
        let (mut columns, mut known) = (Vec::new(), Vec::new());
        for scope in scopes {
            let (keys, stopped) = search.keys(scope).await?;
            match stopped {
                None => {}
                Some(Stopped::Time) => {
                    return Err(too_slow(self.limits.search_time_limit).into());
                }
                Some(Stopped::Memory) => {
                    let fault = SqlFault::new(SqlFaultKind::MemoryLimit, "attributes");
                    return Err(self.fault(fault));
                }
            }
            let names = statement.names.keys();
            let names = names.filter(|name| name.scope == scope);
            columns.extend(names.filter_map(|name| attribute(name, &keys)));
            let all = keys.into_keys().map(|key| AttributeName {
                scope,
                key: key.into(),
            });
            known.extend(all.map(|name| name.column()));
        }
        Ok((columns, known))
    }

    /// Runs a plan, as far as there is room for rows.
    async fn rows(
        &self,
        context: &SessionContext,
        plan: session::Plan,
        rows_max: usize,
    ) -> datafusion::common::Result<Rows> {
        let mut stream = execute_stream(plan, context.task_ctx())?;
        let memory = MemoryConsumer::new("rows of an answer").register(&self.memory);
        let (mut batches, mut rows, mut bytes, mut cut) = (Vec::new(), 0, 0, None);
        while let Some(batch) = stream.next().await {
            let mut batch = batch?;
            if rows + batch.num_rows() > rows_max {
                batch = batch.slice(0, rows_max - rows);
                cut = Some(PartialReason::TooMany {
                    what: "rows",
                    limit: rows_max,
                });
            }
            if batch.num_rows() > 0 {
                rows += batch.num_rows();
                let batch = compact(batch)?;
                let size = batch.get_array_memory_size();
                memory.try_grow(size)?;
                bytes += size;
                batches.push(batch);
            }
            if cut.is_none() && bytes > self.limits.sql_bytes_max {
                cut = Some(PartialReason::TooMany {
                    what: "bytes of rows",
                    limit: self.limits.sql_bytes_max,
                });
            }
            if cut.is_some() {
                break;
            }
        }
        Ok((stream.schema(), batches, memory, cut))
    }
}

/// The same rows in arrays of their own where they are a small part of larger ones, as those of an aggregate are: held,
/// each part would count as the whole.
fn compact(batch: RecordBatch) -> datafusion::common::Result<RecordBatch> {
    let sizes = batch.columns().iter();
    let sizes = sizes.map(|column| column.to_data().get_slice_memory_size());
    let used: usize = sizes.sum::<Result<_, _>>()?;
    if batch.get_array_memory_size() / 2 <= used {
        return Ok(batch);
    }
    let rows = UInt32Array::from_iter_values(0..batch.num_rows() as u32);
    Ok(take_record_batch(&batch, &rows)?)
}

type Rows = (
    SchemaRef,
    Vec<RecordBatch>,
    MemoryReservation,
    Option<PartialReason>,
);

/// The column of a name: of an attribute as it is, or, behind a colon, of its values of one type.
fn attribute(name: &AttributeName, keys: &Keys) -> Option<ViewColumn> {
    let (key, types) = match keys.get(name.key.as_str()) {
        Some(types) => (name.key.as_str(), *types),
        None => {
            let (key, kind) = name.key.rsplit_once(':')?;
            let kind = AttributeType::ALL
                .into_iter()
                .find(|it| it.as_str() == kind)?;
            keys.get(key)?;
            (key, Types::only(&[kind]))
        }
    };
    let what = What::Attribute {
        scope: name.scope,
        key: key.to_owned(),
        types,
    };
    Some(ViewColumn::new(&name.column(), what))
}
