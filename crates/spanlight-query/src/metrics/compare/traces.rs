//! What `compare` says of the traces of spans: their roots, and how many children each span has.
//!
//! Where traces were assembled, it is known. Where spans went by in a file, the rows of a trace stand together, and a
//! look at their parents tells, without a walk.

use arrow_array::Array as _;
use rustc_hash::FxHashMap;
use spanlight_model::SpanColumns;

use super::super::traces::id_at;
use crate::predicate::Bound;

/// Below this, comparing all ids is faster than a table.
const FEW: usize = 32;

/// The traces of some rows.
#[derive(Debug, Default)]
pub(super) struct Traces {
    /// By row of the batch; only those of the chosen rows count.
    pub(super) numbers: Vec<i32>,
    /// By number: name and service of the root, empty where there is none.
    pub(super) roots: Vec<[String; 2]>,
    /// By row of the batch.
    pub(super) child_counts: Vec<u32>,
}

impl Traces {
    /// `rows` ascend.
    pub(super) fn of(bound: &Bound<'_>, rows: &[u32]) -> Self {
        let count = bound.columns.start_times.len();
        let mut traces = Self {
            numbers: vec![0; count],
            roots: Vec::new(),
            child_counts: vec![0; count],
        };
        if bound.has_traces() {
            traces.assembled(bound, rows);
        } else {
            traces.passing(&bound.columns, rows);
        }
        traces
    }

    fn assembled(&mut self, bound: &Bound<'_>, rows: &[u32]) {
        let mut known: FxHashMap<u32, i32> = FxHashMap::default();
        for &row in rows {
            let at = row as usize;
            let Some((number, shape, position)) = bound.trace(at) else {
                continue;
            };
            let next = self.roots.len() as i32;
            self.numbers[at] = *known.entry(number).or_insert_with(|| {
                let root = [shape.root_name.clone(), shape.root_service_name.clone()];
                self.roots.push(root);
                next
            });
            let count = shape.child_counts.get(position);
            self.child_counts[at] = count.copied().unwrap_or(0);
        }
    }

    fn passing(&mut self, columns: &SpanColumns<'_>, rows: &[u32]) {
        let ids = columns.trace_ids.value_data();
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
            self.numbers[from..to].fill(self.roots.len() as i32);
            let parents = columns.parent_span_ids;
            let root = (from..to)
                .filter(|&row| parents.is_null(row))
                .min_by_key(|&row| (columns.start_times.value(row), columns.span_id(row)));
            let name = root.map_or("", |row| columns.name(row));
            let service = root.and_then(|row| columns.service_name(row));
            let root = [name.to_owned(), service.unwrap_or_default().to_owned()];
            self.roots.push(root);
            self.count_children(columns, from..to);
        }
    }

    fn count_children(&mut self, columns: &SpanColumns<'_>, rows: std::ops::Range<usize>) {
        let id = |row: usize| columns.span_ids.value(row);
        let parents = columns.parent_span_ids;
        let with_parent = rows.clone().filter(|&row| parents.is_valid(row));
        if rows.len() <= FEW {
            for row in with_parent {
                let parent = parents.value(row);
                if let Some(parent) = rows.clone().find(|&it| it != row && id(it) == parent) {
                    self.child_counts[parent] += 1;
                }
            }
            return;
        }
        let by_id: FxHashMap<&[u8], usize> = rows.clone().map(|row| (id(row), row)).collect();
        for row in with_parent {
            match by_id.get(parents.value(row)) {
                Some(&parent) if parent != row => self.child_counts[parent] += 1,
                _ => {}
            }
        }
    }
}
