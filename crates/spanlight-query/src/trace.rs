//! A trace by its id: every span once, in the order of its tree.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_array::UInt32Array;
use arrow_schema::ArrowError;
use datafusion::execution::memory_pool::MemoryPool;
use spanlight_model::{SpanBatch, TraceId};
use spanlight_store::{ScanColumns, Snapshot};

use crate::error::QueryError;
use crate::limits::PartialReason;
use crate::load::{self, Loaded, MemoryFull};
use crate::tree::{self, Place, SharedIds, Tree};

/// An assembled trace.
#[derive(Debug, Clone)]
pub struct Trace {
    /// Each span once, in tree order: a span, then what is below it; siblings and roots by start time.
    pub batch: SpanBatch,
    /// Where each row of `batch` stands in the tree.
    pub nodes: Vec<TraceNode>,
    /// Empty when the trace is complete as far as the store knows it.
    pub partial: Vec<PartialReason>,
}

/// Where a span stands in the tree of its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceNode {
    /// Zero for roots.
    pub depth: u32,
    /// The row of the parent.
    pub parent: Option<usize>,
    /// Spans directly below.
    pub child_count: u32,
    /// Spans below at any depth; they are the next rows.
    pub descendant_count: u32,
    /// The span names a parent that is not in the trace; it is shown as a root.
    pub orphan: bool,
    /// The chain of parents of this span leads back to itself; the tree was cut above it.
    pub cycle: bool,
    /// The span does not hold up its parent: it consumes what the parent produced, or starts after the parent ended.
    pub asynchronous: bool,
}

/// Loads and assembles a trace; `None` when there are no spans of it.
pub(crate) async fn load(
    snapshot: &Snapshot,
    limit_bytes: usize,
    memory: &Arc<dyn MemoryPool>,
    id: TraceId,
) -> Result<Option<Trace>, QueryError> {
    let ids = Arc::new(BTreeSet::from([id]));
    let then = move |loaded: Result<Loaded, MemoryFull>| match loaded {
        Ok(loaded) => {
            let trace = assemble(&loaded, id);
            trace.map_err(|error| QueryError::Internal(error.to_string()))
        }
        Err(MemoryFull) => Err(QueryError::Memory { limit_bytes }),
    };
    load::load_then(snapshot, ids, ScanColumns::ALL, memory, then)
        .await
        .map_err(|error| QueryError::Internal(error.to_string()))?
}

/// The trace of the parts: repeats resolved, in the order of the tree.
fn assemble(loaded: &Loaded, id: TraceId) -> Result<Option<Trace>, ArrowError> {
    let mut rows_of_parts = Vec::with_capacity(loaded.parts.len());
    for part in &loaded.parts {
        let columns = part.columns();
        let rows = (0..part.num_spans()).filter(|&row| columns.trace_id(row) == id);
        rows_of_parts.push(part.take(&rows.map(|row| row as u32).collect::<Vec<_>>().into())?);
    }
    let all = SpanBatch::concat(&rows_of_parts)?;
    if all.is_empty() && loaded.partial.is_empty() {
        return Ok(None);
    }
    let columns = all.columns();
    let places: Vec<Place> = (0..all.num_spans())
        .map(|row| Place::of(&columns, row))
        .collect();
    let rows = tree::distinct(&places);
    let places: Vec<Place> = rows.iter().map(|&row| places[row]).collect();
    let tree = Tree::build(&places, SharedIds::Nested);
    let order: UInt32Array = tree
        .order
        .iter()
        .map(|&at| rows[at as usize] as u32)
        .collect::<Vec<_>>()
        .into();
    Ok(Some(Trace {
        batch: all.take(&order)?,
        nodes: nodes(&tree, &places),
        partial: loaded.partial.clone(),
    }))
}

fn nodes(tree: &Tree, places: &[Place]) -> Vec<TraceNode> {
    let mut row_of = vec![0; places.len()];
    for (row, &at) in tree.order.iter().enumerate() {
        row_of[at as usize] = row;
    }
    let node = |&position: &u32| {
        let at = position as usize;
        let parent = tree.parent(position);
        TraceNode {
            depth: tree.depths[at],
            parent: parent.map(|parent| row_of[parent]),
            child_count: tree.child_counts[at],
            descendant_count: tree.descendant_counts[at],
            orphan: tree.orphans[at],
            cycle: tree.is_cut(at),
            asynchronous: parent
                .is_some_and(|parent| tree::is_asynchronous(&places[parent], &places[at])),
        }
    };
    tree.order.iter().map(node).collect()
}
