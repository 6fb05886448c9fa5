//! The engine: a store, what its queries may take, and the questions that can be asked.

use std::sync::Arc;

use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool};
use spanlight_model::TraceId;
use spanlight_store::Store;

use crate::answer::{SearchAnswer, SearchRequest};
use crate::attributes::{KeysAnswer, KeysRequest, ValuesAnswer, ValuesRequest};
use crate::completion::{Completion, CompletionRequest, KnownKeys};
use crate::error::QueryError;
use crate::limits::QueryLimits;
use crate::metrics::{MetricsAnswer, MetricsRequest, RepeatCache};
use crate::sql::runtime::SqlRuntime;
use crate::sql::types::TypeCache;
use crate::sql::{SqlAnswer, SqlRequest, SqlScope};
use crate::trace::Trace;
use crate::{attributes, completion, metrics, search, sql, trace};

/// Answers questions about the spans of a store. Cheap to clone; clones share their memory.
///
/// Each question sees the store as it is when it is asked: what was acknowledged before is there. Dropping the future
/// of a question ends its work.
#[derive(Debug, Clone)]
pub struct QueryEngine {
    store: Store,
    limits: Arc<QueryLimits>,
    memory: Arc<dyn MemoryPool>,
    repeats: Arc<RepeatCache>,
    known_keys: Arc<KnownKeys>,
    types: Arc<TypeCache>,
    sql: SqlRuntime,
}

impl QueryEngine {
    /// An engine over this store.
    #[must_use]
    pub fn new(store: Store, limits: QueryLimits) -> Self {
        Self {
            store,
            memory: Arc::new(GreedyMemoryPool::new(limits.memory_bytes)),
            limits: Arc::new(limits),
            repeats: Arc::default(),
            known_keys: Arc::default(),
            types: Arc::default(),
            sql: SqlRuntime::default(),
        }
    }

    /// What the engine allows its queries.
    #[must_use]
    pub fn limits(&self) -> &QueryLimits {
        &self.limits
    }

    /// Bytes that the running queries hold.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.memory.reserved()
    }

    /// Finds traces.
    ///
    /// # Errors
    /// When the query is no TraceQL, asks for what is not there yet, or a parameter is out of bounds. Data that cannot
    /// be read, and limits that are reached on the way, make the answer partial instead.
    pub async fn search(&self, request: SearchRequest) -> Result<SearchAnswer, QueryError> {
        search::run(self.store.snapshot(), &self.limits, &self.memory, &request).await
    }

    /// Makes time series of spans.
    ///
    /// # Errors
    /// When the query is no metrics query of TraceQL, asks for what is not there yet, or a parameter is out of bounds.
    /// Data that cannot be read, and limits that are reached on the way, make the answer partial instead.
    pub async fn metrics(&self, request: MetricsRequest) -> Result<MetricsAnswer, QueryError> {
        let snapshot = self.store.snapshot();
        metrics::run(
            snapshot,
            &self.limits,
            &self.memory,
            &self.repeats,
            &request,
        )
        .await
    }

    /// Finds out which attributes there are.
    ///
    /// # Errors
    /// When the query is no TraceQL, or asks for what is not there yet. What could not be read or told apart makes the
    /// answer partial instead.
    pub async fn attribute_keys(&self, request: KeysRequest) -> Result<KeysAnswer, QueryError> {
        attributes::keys(self.store.snapshot(), &self.limits, &self.memory, &request).await
    }

    /// Finds out which values a field has.
    ///
    /// # Errors
    /// When the query or the field is no TraceQL, or asks for what is not there yet. What could not be read or told
    /// apart makes the answer partial instead.
    pub async fn attribute_values(
        &self,
        request: ValuesRequest,
    ) -> Result<ValuesAnswer, QueryError> {
        attributes::values(self.store.snapshot(), &self.limits, &self.memory, &request).await
    }

    /// Says what could be written next in a query, and what is wrong with it so far.
    ///
    /// # Errors
    /// When the store cannot be asked. Whatever the text is, it is no error.
    pub async fn complete(&self, request: CompletionRequest) -> Result<Completion, QueryError> {
        completion::complete(self, &self.known_keys, &request).await
    }

    /// Answers a statement of SQL.
    ///
    /// # Errors
    /// When the statement is no SQL, would do something else than read, or takes more time or memory than it may. Rows
    /// beyond the limit, and data that cannot be read, make the answer partial instead.
    pub async fn sql(&self, request: SqlRequest) -> Result<SqlAnswer, QueryError> {
        let scope = SqlScope {
            snapshot: self.store.snapshot(),
            limits: Arc::clone(&self.limits),
            memory: Arc::clone(&self.memory),
            repeats: Arc::clone(&self.repeats),
            types: Arc::clone(&self.types),
        };
        sql::run(scope, &self.sql, request).await
    }

    /// The trace of this id, with all that the store has of it; `None` when it has nothing.
    ///
    /// # Errors
    /// When the trace does not fit the memory that queries may hold.
    pub async fn trace(&self, id: TraceId) -> Result<Option<Trace>, QueryError> {
        trace::load(
            &self.store.snapshot(),
            self.limits.memory_bytes,
            &self.memory,
            id,
        )
        .await
    }
}
