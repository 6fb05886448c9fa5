//! Searches: from a request to a page of traces, newest first.

use std::sync::Arc;

use datafusion::execution::memory_pool::MemoryPool;
use spanlight_store::Snapshot;

use crate::answer::{SearchAnswer, SearchRequest};
use crate::error::QueryError;
use crate::limits::QueryLimits;

pub(crate) async fn run(
    snapshot: Snapshot,
    limits: &QueryLimits,
    memory: &Arc<dyn MemoryPool>,
    request: &SearchRequest,
) -> Result<SearchAnswer, QueryError> {
    check(request, limits)?;
    let query = spanlight_traceql::parse(&request.query)?;
    let _ = (snapshot, memory, query);
    Err(QueryError::Unsupported {
        message: "search is not there yet".to_owned(),
        position: 0..request.query.len(),
    })
}

fn check(request: &SearchRequest, limits: &QueryLimits) -> Result<(), QueryError> {
    if request.time_range.end < request.time_range.start {
        return Err(QueryError::TimeRange);
    }
    let bounds = |name: &str, value: usize, max: usize| {
        if (1..=max).contains(&value) {
            return Ok(());
        }
        Err(QueryError::Limit {
            message: format!("{name} must be between 1 and {max}, not {value}"),
        })
    };
    bounds("limit", request.limit, limits.traces_max)?;
    bounds(
        "spans per trace",
        request.spans_per_trace,
        limits.spans_per_trace_max,
    )
}
