//! Loaded spans grouped into traces: each span once, by time, with the shape of the trace around it.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::ops::Range;

use rustc_hash::FxHashMap;
use spanlight_model::{SpanBatch, SpanColumns, TraceId};
use spanlight_traceql::ast::{Field, Intrinsic};

use crate::predicate::{Bound, Fields, Scalar, TraceShape};
use crate::tree::{self, NO_PARENT, Place, SharedIds, Tree};

/// Where a span is: a part and a row of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RowAt {
    pub(crate) part: usize,
    pub(crate) row: usize,
}

/// A trace of the loaded parts. Spans are known by their position, which is by start time.
#[derive(Debug)]
pub(crate) struct TraceRows {
    pub(crate) id: TraceId,
    pub(crate) rows: Vec<RowAt>,
    pub(crate) places: Vec<Place>,
    /// Built when it is asked for: few questions need it.
    tree: OnceCell<Tree>,
    pub(crate) start: i64,
    pub(crate) end: i64,
    /// The earliest span without a parent.
    pub(crate) root: Option<usize>,
}

/// Groups the rows of the wanted traces.
pub(crate) fn group(parts: &[SpanBatch], wanted: &BTreeSet<TraceId>) -> Vec<TraceRows> {
    let mut rows: FxHashMap<TraceId, Vec<(RowAt, Place)>> = FxHashMap::default();
    for (part, batch) in parts.iter().enumerate() {
        let columns = batch.columns();
        for row in 0..batch.num_spans() {
            let id = columns.trace_id(row);
            if wanted.contains(&id) {
                let place = Place::of(&columns, row);
                rows.entry(id)
                    .or_default()
                    .push((RowAt { part, row }, place));
            }
        }
    }
    rows.into_iter()
        .map(|(id, rows)| TraceRows::new(id, &rows))
        .collect()
}

impl TraceRows {
    /// A trace all of whose records stand together in the first part.
    pub(crate) fn of_run(id: TraceId, columns: &SpanColumns<'_>, rows: Range<usize>) -> Self {
        let place = |row| (RowAt { part: 0, row }, Place::of(columns, row));
        let found: Vec<(RowAt, Place)> = rows.map(place).collect();
        Self::new(id, &found)
    }

    fn new(id: TraceId, found: &[(RowAt, Place)]) -> Self {
        let (mut rows, mut places): (Vec<RowAt>, Vec<Place>) = found.iter().copied().unzip();
        let order = |place: &Place| (place.start, place.span_id, place.kind as i8);
        // As files have them: in order, and seldom twice.
        if !tree::are_distinct(&places) || !places.is_sorted_by_key(order) {
            let mut standing = tree::distinct(&places);
            standing.sort_by_key(|&at| order(&places[at]));
            rows = standing.iter().map(|&at| rows[at]).collect();
            places = standing.iter().map(|&at| places[at]).collect();
        }
        Self {
            id,
            rows,
            tree: OnceCell::new(),
            start: places.first().map_or(0, |place| place.start),
            end: places
                .iter()
                .map(|place| place.end.max(place.start))
                .max()
                .unwrap_or(0),
            root: places.iter().position(|place| place.parent.is_none()),
            places,
        }
    }

    pub(crate) fn duration(&self) -> i64 {
        self.end.saturating_sub(self.start)
    }

    /// Which span is below which.
    pub(crate) fn tree(&self) -> &Tree {
        let build = || Tree::build(&self.places, SharedIds::AsSent);
        self.tree.get_or_init(build)
    }

    /// What these fields, which need the whole trace, read.
    pub(crate) fn shape<'a>(&self, fields: &Fields, columns: &[SpanColumns<'a>]) -> TraceShape<'a> {
        use Intrinsic as I;
        let root = self.root.map(|root| self.rows[root]);
        let service = root.and_then(|at| columns[at.part].service_name(at.row));
        let has = |wanted: &[Intrinsic]| {
            let is_wanted = |it: &Field| matches!(it, Field::Intrinsic(it) if wanted.contains(it));
            fields.iter().any(is_wanted)
        };
        TraceShape {
            duration: self.duration(),
            root_name: root.map_or("", |at| columns[at.part].name(at.row)),
            root_service_name: service.unwrap_or_default(),
            child_counts: match has(&[I::SpanChildCount]) {
                true => self.child_counts(),
                false => Vec::new(),
            },
            nested_sets: match has(&[I::NestedSetLeft, I::NestedSetRight, I::NestedSetParent]) {
                true => self.nested_sets(),
                false => Vec::new(),
            },
            of_parents: Vec::new(),
        }
    }

    /// What a field is of each span's parent, by position; nothing where there is none.
    pub(crate) fn of_parents<'a>(&self, slot: usize, bound: &[Bound<'a>]) -> Vec<Scalar<'a>> {
        let of = |position: usize| match self.tree().parent(position as u32) {
            Some(parent) => {
                let at = self.rows[parent];
                bound[at.part].value(slot, bound[at.part].first_position(at.row))
            }
            None => Scalar::Nil,
        };
        (0..self.rows.len()).map(of).collect()
    }

    /// Direct children by id, those whose link was cut to break a cycle included.
    fn child_counts(&self) -> Vec<u32> {
        let mut counts = self.tree().child_counts.clone();
        for (at, &parent) in self.tree().cut_parents.iter().enumerate() {
            if parent != NO_PARENT && parent as usize != at {
                counts[parent as usize] += 1;
            }
        }
        counts
    }

    /// Numbers of a walk over the forest, depth first, from 1: on the way down, on the way up, and the parent's first.
    fn nested_sets(&self) -> Vec<[i64; 3]> {
        let tree = self.tree();
        let mut sets = vec![[0, 0, -1]; self.places.len()];
        for (index, &position) in tree.order.iter().enumerate() {
            let at = position as usize;
            // Each span before was entered; those that are no ancestors were left, too.
            let left = 2 * index as i64 - i64::from(tree.depths[at]) + 1;
            let right = left + 2 * i64::from(tree.descendant_counts[at]) + 1;
            let parent = tree.parent(position).map_or(-1, |parent| sets[parent][0]);
            sets[at] = [left, right, parent];
        }
        sets
    }
}
