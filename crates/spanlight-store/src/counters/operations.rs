//! Spans by operation: how many, how many failed, how long they took.

use std::collections::HashMap;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use spanlight_model::{SpanColumns, SpanKind, StatusCode, sampling};

use super::Place;
use super::histogram::DurationHistogram;

/// Operations that are told apart. Beyond, spans count for [`OTHER`]: names that are all different, such as paths with
/// ids in them, may not fill the memory.
const OPERATIONS_MAX: usize = 10_000;
/// The service and the name of what was too much.
const OTHER: &str = "(other)";

/// What is counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Operation {
    /// The resource's `service.name`; empty where there is none.
    pub service_name: String,
    /// The spans' name.
    pub name: String,
    /// The spans' kind, in its number.
    kind: u8,
}

impl Operation {
    /// The spans' kind.
    #[must_use]
    pub fn kind(&self) -> SpanKind {
        SpanKind::from_number(i64::from(self.kind))
    }
}

/// Counts of an operation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct OperationCounts {
    /// Spans that came.
    pub spans: u64,
    /// Spans that these stand for.
    pub calls: f64,
    /// Calls that failed.
    pub errors: f64,
    /// Their durations.
    pub durations: DurationHistogram,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(
    from = "Vec<(Operation, OperationCounts)>",
    into = "Vec<(Operation, OperationCounts)>"
)]
pub(super) struct Operations {
    positions: HashMap<Operation, usize>,
    counts: Vec<(Operation, OperationCounts)>,
}

impl Operations {
    pub(super) fn count(&mut self, batches: &[SpanColumns<'_>], places: &[Place]) {
        // Within a batch an operation is three numbers, which is cheaper to look up than its texts.
        let mut known: Vec<FxHashMap<(i32, i32, i8), usize>> =
            vec![FxHashMap::default(); batches.len()];
        for place in places {
            let (columns, row) = (&batches[place.batch], place.row);
            let codes = (
                columns.resources.value(row),
                columns.names.value(row),
                columns.kinds.value(row),
            );
            let position = *known[place.batch]
                .entry(codes)
                .or_insert_with(|| self.position(columns, row));
            let counts = &mut self.counts[position].1;
            let weight = sampling::weight(columns.trace_states.value(row));
            counts.spans += 1;
            counts.calls += weight;
            if columns.status_codes.value(row) == StatusCode::Error as i8 {
                counts.errors += weight;
            }
            let duration = columns
                .end_times
                .value(row)
                .saturating_sub(columns.start_times.value(row));
            counts.durations.add(duration, weight);
        }
    }

    fn position(&mut self, columns: &SpanColumns<'_>, row: usize) -> usize {
        let mut operation = Operation {
            service_name: columns.service_name(row).unwrap_or_default().to_owned(),
            name: columns.name(row).to_owned(),
            kind: SpanKind::from_number(i64::from(columns.kinds.value(row))) as u8,
        };
        if self.counts.len() >= OPERATIONS_MAX && !self.positions.contains_key(&operation) {
            operation = Operation {
                service_name: OTHER.to_owned(),
                name: OTHER.to_owned(),
                kind: SpanKind::Unspecified as u8,
            };
        }
        let next = self.counts.len();
        let position = *self.positions.entry(operation.clone()).or_insert(next);
        if position == next {
            self.counts.push((operation, OperationCounts::default()));
        }
        position
    }

    pub(super) fn list(&self) -> Vec<(Operation, OperationCounts)> {
        let mut list = self.counts.clone();
        list.sort_by(|a, b| a.0.cmp(&b.0));
        list
    }
}

impl From<Vec<(Operation, OperationCounts)>> for Operations {
    fn from(counts: Vec<(Operation, OperationCounts)>) -> Self {
        let positions = counts
            .iter()
            .enumerate()
            .map(|(at, (operation, _))| (operation.clone(), at));
        Self {
            positions: positions.collect(),
            counts,
        }
    }
}

impl From<Operations> for Vec<(Operation, OperationCounts)> {
    fn from(operations: Operations) -> Self {
        operations.counts
    }
}
