//! Which rows of some batches are written, and in which order: each span once, the traces by their earliest start.

use std::hash::BuildHasher as _;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use spanlight_model::{SpanBatch, SpanColumns, SpanKind};

use super::FileTimes;

/// Where a row is: in which batch, and there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) batch: u32,
    pub(crate) row: u32,
}

/// The rows to write, in the order of the file: by the earliest start of the trace in this file, trace id, start, span
/// id. A trace is one run of rows, and time grows through the file.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) places: Vec<Place>,
    pub(crate) times: FileTimes,
    /// Spans that are left out because a later revision is there.
    pub(crate) repeats: u64,
}

/// What decides a row's place.
#[derive(Debug, Clone, Copy)]
struct Key {
    start: i64,
    span_id: u64,
    place: Place,
}

#[derive(Debug)]
struct Trace {
    id: u128,
    start: i64,
    /// How many rows it has; then where its next row goes.
    rows: usize,
}

impl Order {
    pub(crate) fn of(batches: &[SpanBatch]) -> Self {
        let columns: Vec<SpanColumns<'_>> = batches.iter().map(SpanBatch::columns).collect();
        let (mut traces, trace_of_row) = traces(&columns);
        let mut by_time: Vec<u32> = (0..).take(traces.len()).collect();
        by_time.sort_unstable_by_key(|&trace| {
            let trace = &traces[trace as usize];
            (trace.start, trace.id)
        });
        let mut bounds = Vec::with_capacity(traces.len());
        let mut next = 0;
        for &trace in &by_time {
            let trace = &mut traces[trace as usize];
            let rows = std::mem::replace(&mut trace.rows, next);
            bounds.push(next..next + rows);
            next += rows;
        }
        let nowhere = Key {
            start: 0,
            span_id: 0,
            place: Place { batch: 0, row: 0 },
        };
        let mut keys = vec![nowhere; next];
        let mut traces_of_rows = trace_of_row.into_iter();
        for (batch, columns) in (0..).zip(&columns) {
            let starts = columns.start_times.values();
            for ((row, &start), trace) in (0..).zip(starts.iter()).zip(&mut traces_of_rows) {
                let trace = &mut traces[trace as usize];
                let id = columns.span_ids.value(row as usize);
                keys[trace.rows] = Key {
                    start,
                    span_id: id.try_into().map_or(0, u64::from_be_bytes),
                    place: Place { batch, row },
                };
                trace.rows += 1;
            }
        }
        let mut order = Self {
            places: Vec::with_capacity(keys.len()),
            times: FileTimes::NONE,
            repeats: 0,
        };
        let mut runs = Vec::with_capacity(bounds.len());
        for (bounds, &trace) in bounds.into_iter().zip(&by_time) {
            let first = order.places.len();
            let start = order.push_trace(&columns, &mut keys[bounds]);
            runs.push((start, traces[trace as usize].id, first..order.places.len()));
        }
        // A trace whose earliest start was that of a span which is left out belongs elsewhere.
        if !runs.is_sorted_by_key(|(start, id, _)| (*start, *id)) {
            runs.sort_unstable_by_key(|(start, id, _)| (*start, *id));
            let runs = runs.into_iter().flat_map(|(_, _, run)| run);
            order.places = runs.map(|at| order.places[at]).collect();
        }
        order
    }

    /// Appends a trace's rows, and says when the first of them starts.
    fn push_trace(&mut self, columns: &[SpanColumns<'_>], keys: &mut [Key]) -> i64 {
        let in_order = |key: &Key| (key.start, key.span_id);
        if !keys.is_sorted_by_key(in_order) {
            keys.sort_unstable_by_key(|key| {
                (key.start, key.span_id, key.place.batch, key.place.row)
            });
        }
        let superseded = superseded(columns, keys);
        let mut earliest = i64::MAX;
        self.repeats += superseded.iter().filter(|&&it| it).count() as u64;
        for (position, key) in keys.iter().enumerate() {
            if superseded.get(position) == Some(&true) {
                continue;
            }
            let (columns, row) = (&columns[key.place.batch as usize], key.place.row as usize);
            let (end, received) = (columns.end_times.value(row), columns.received_at.value(row));
            self.times.include(key.start, end, received);
            self.places.push(key.place);
            earliest = earliest.min(key.start);
        }
        earliest
    }
}

/// The traces with their earliest start and their rows, in order of appearance; and for each row its trace.
fn traces(columns: &[SpanColumns<'_>]) -> (Vec<Trace>, Vec<u32>) {
    let rows: usize = columns.iter().map(|columns| columns.flags.len()).sum();
    let mut traces: Vec<Trace> = Vec::new();
    let mut trace_of_row = Vec::with_capacity(rows);
    let mut index: HashTable<u32> = HashTable::new();
    // Random: nobody can choose ids that collide.
    let hasher = hashbrown::DefaultHashBuilder::default();
    let mut last = (0_u128, u32::MAX);
    for columns in columns {
        for (row, &start) in columns.start_times.values().iter().enumerate() {
            let id = columns.trace_ids.value(row);
            let id = id.try_into().map_or(0, u128::from_be_bytes);
            if last != (id, last.1) || last.1 == u32::MAX {
                let same = |&at: &u32| traces[at as usize].id == id;
                let hash = |&at: &u32| hasher.hash_one(traces[at as usize].id);
                let found = index.entry(hasher.hash_one(id), same, hash);
                let at = match found {
                    Entry::Occupied(found) => *found.get(),
                    Entry::Vacant(free) => {
                        let at = traces.len() as u32;
                        free.insert(at);
                        let rows = 0;
                        traces.push(Trace { id, start, rows });
                        at
                    }
                };
                last = (id, at);
            }
            let trace = &mut traces[last.1 as usize];
            trace.start = trace.start.min(start);
            trace.rows += 1;
            trace_of_row.push(last.1);
        }
    }
    (traces, trace_of_row)
}

/// Which rows of a trace are earlier revisions of another. Empty when none is.
///
/// Of a repeated span the latest stays: last received, then ended, then appended. Readers, who see repeats beyond the
/// file, decide by the first two.
fn superseded(columns: &[SpanColumns<'_>], keys: &[Key]) -> Vec<bool> {
    let mut ids: Vec<(u64, u32)> = keys.iter().map(|key| key.span_id).zip(0..).collect();
    ids.sort_unstable();
    if ids.windows(2).all(|pair| pair[0].0 != pair[1].0) {
        return Vec::new();
    }
    let columns_of = |at: u32| {
        let place = keys[at as usize].place;
        (&columns[place.batch as usize], place.row as usize, place)
    };
    // Zipkin's clients and servers share an id; the server's span is another.
    let identity = |&(id, at): &(u64, u32)| {
        let (columns, row, _) = columns_of(at);
        (id, columns.kinds.value(row) == SpanKind::Server as i8)
    };
    let age = |&(_, at): &(u64, u32)| {
        let (columns, row, place) = columns_of(at);
        let (received, end) = (columns.received_at.value(row), columns.end_times.value(row));
        (received, end, place.batch, place.row)
    };
    ids.sort_unstable_by_key(|entry| (identity(entry), age(entry)));
    let mut superseded = vec![false; keys.len()];
    for pair in ids.windows(2) {
        superseded[pair[0].1 as usize] = identity(&pair[0]) == identity(&pair[1]);
    }
    superseded
}
