//! What `compare` says of the traces of spans: their roots, and how many children each span has.
//!
//! Where traces were assembled, it is known. Where spans went by in a file, the rows of a trace stand together, and a
//! look at their parents tells, without a walk.

use std::ops::Range;

use arrow_array::Array as _;
use rustc_hash::FxHashMap;
use spanlight_model::SpanColumns;

use super::super::traces::id_at;
use crate::predicate::Bound;

/// Below this, comparing all ids is faster than a table.
const FEW: usize = 32;

/// Has no number.
const NONE: u32 = u32::MAX;

/// The traces of some rows.
#[derive(Debug, Default)]
pub(super) struct Traces<'a> {
    /// By row of the batch: the number of its root; only those of the chosen rows count.
    numbers: Vec<u32>,
    /// Names and services of roots, by number; empty where there is none.
    pub(super) roots: [Vec<&'a str>; 2],
    /// By row of the batch.
    pub(super) child_counts: Vec<u32>,
}

impl<'a> Traces<'a> {
    /// `rows` ascend.
    pub(super) fn of(bound: &Bound<'a>, rows: &[u32]) -> Self {
        let count = bound.columns.start_times.len();
        let mut traces = Self {
            numbers: vec![NONE; count],
            roots: [Vec::new(), Vec::new()],
            child_counts: vec![0; count],
        };
        if bound.has_traces() {
            traces.assembled(bound, rows);
        } else {
            traces.passing(&bound.columns, rows);
        }
        traces
    }

    /// The number of a row's root.
    pub(super) fn root_of(&self, row: usize) -> Option<usize> {
        let number = self.numbers[row];
        (number != NONE).then_some(number as usize)
    }

    fn assembled(&mut self, bound: &Bound<'a>, rows: &[u32]) {
        let mut known: FxHashMap<u32, u32> = FxHashMap::default();
        for &row in rows {
            let at = row as usize;
            let Some((number, shape, position)) = bound.trace(at) else {
                continue;
            };
            self.numbers[at] = *known.entry(number).or_insert_with(|| {
                self.roots[0].push(shape.root_name);
                self.roots[1].push(shape.root_service_name);
                self.roots[0].len() as u32 - 1
            });
            let count = shape.child_counts.get(position);
            self.child_counts[at] = count.copied().unwrap_or(0);
        }
    }

    fn passing(&mut self, columns: &SpanColumns<'a>, rows: &[u32]) {
        let ids = columns.trace_ids.value_data();
        // Roots of one name and resource are one here.
        let mut known: FxHashMap<(i32, i32), u32> = FxHashMap::default();
        let mut to = 0;
        for &row in rows {
            let row = row as usize;
            if row < to {
                continue;
            }
            let trace = id_at(ids, row);
            let mut from = row;
            while from > 0 && id_at(ids, from - 1) == trace {
                from -= 1;
            }
            to = row + 1;
            while to < self.numbers.len() && id_at(ids, to) == trace {
                to += 1;
            }
            let parents = columns.parent_span_ids;
            let root = (from..to)
                .filter(|&row| parents.is_null(row))
                .min_by_key(|&row| (columns.start_times.value(row), columns.span_id(row)));
            if let Some(root) = root {
                let key = (columns.names.value(root), columns.resources.value(root));
                let number = *known.entry(key).or_insert_with(|| {
                    let service = columns.service_name(root).unwrap_or_default();
                    self.roots[0].push(columns.name(root));
                    self.roots[1].push(service);
                    self.roots[0].len() as u32 - 1
                });
                self.numbers[from..to].fill(number);
            }
            self.count_children(columns, from..to);
        }
    }

    fn count_children(&mut self, columns: &SpanColumns<'_>, rows: Range<usize>) {
        let ids = columns.span_ids.value_data();
        let number = |ids: &[u8], row: usize| {
            let id = ids[row * 8..][..8].try_into();
            id.map_or(0, u64::from_ne_bytes)
        };
        let (id, parents) = (|row: usize| number(ids, row), columns.parent_span_ids);
        let parent = |row: usize| number(parents.value_data(), row);
        let with_parent = rows.clone().filter(|&row| parents.is_valid(row));
        if rows.len() <= FEW {
            for row in with_parent {
                let parent = parent(row);
                if let Some(parent) = rows.clone().find(|&it| it != row && id(it) == parent) {
                    self.child_counts[parent] += 1;
                }
            }
            return;
        }
        let by_id: FxHashMap<u64, usize> = rows.clone().map(|row| (id(row), row)).collect();
        for row in with_parent {
            match by_id.get(&parent(row)) {
                Some(&parent) if parent != row => self.child_counts[parent] += 1,
                _ => {}
            }
        }
    }
}
