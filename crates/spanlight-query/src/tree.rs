//! The shape of a trace: which of the spans received are one span, and which is below which.
//!
//! Works on the few facts of a span that decide it, whatever holds the rest. Linear but for sorting, and without
//! recursion, since a trace may be a chain of 100,000 spans.

use std::collections::hash_map::Entry;

use rustc_hash::FxHashMap;
use spanlight_model::{SpanColumns, SpanId, SpanKind};

/// What decides the place of a span.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) span_id: SpanId,
    pub(crate) parent: Option<SpanId>,
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) kind: SpanKind,
    pub(crate) received_at: i64,
}

impl Place {
    pub(crate) fn of(columns: &SpanColumns<'_>, row: usize) -> Self {
        Self {
            span_id: columns.span_id(row),
            parent: columns.parent_span_id(row),
            start: columns.start_times.value(row),
            end: columns.end_times.value(row),
            kind: SpanKind::from_number(i64::from(columns.kinds.value(row))),
            received_at: columns.received_at.value(row),
        }
    }

    /// Of two records of one span, the one that stands: the later received, then the one that ends later.
    fn supersedes(&self, other: &Self) -> bool {
        (self.received_at, self.end) > (other.received_at, other.end)
    }
}

/// The records that stand, each span once, in the order given. Two records with one id are the same span, except a
/// client and a server span, which share an id when Zipkin's clients made them.
pub(crate) fn distinct(places: &[Place]) -> Vec<usize> {
    // By id: the record that stands on the client's side, or on the server's.
    let mut standing: FxHashMap<SpanId, Sides> = FxHashMap::default();
    for (at, place) in places.iter().enumerate() {
        match standing.entry(place.span_id) {
            Entry::Vacant(entry) => {
                entry.insert(Sides::default().with(places, at));
            }
            Entry::Occupied(mut entry) => {
                let sides = entry.get().with(places, at);
                entry.insert(sides);
            }
        }
    }
    let mut rows: Vec<usize> = standing
        .values()
        .flat_map(|sides| sides.standing(places))
        .collect();
    rows.sort_unstable();
    rows
}

/// Whether no two records have one id. May say that they are not where they are.
pub(crate) fn are_distinct(places: &[Place]) -> bool {
    /// Of more, comparing all with all takes longer than a table.
    const FEW: usize = 32;
    let is_new = |at: usize| {
        places[..at]
            .iter()
            .all(|it| it.span_id != places[at].span_id)
    };
    places.len() <= FEW && (0..places.len()).all(is_new)
}

#[derive(Debug, Clone, Copy, Default)]
struct Sides {
    client: Option<usize>,
    server: Option<usize>,
    other: Option<usize>,
}

impl Sides {
    fn with(mut self, places: &[Place], at: usize) -> Self {
        let side = match places[at].kind {
            SpanKind::Client => &mut self.client,
            SpanKind::Server => &mut self.server,
            _ => &mut self.other,
        };
        if side.is_none_or(|standing| places[at].supersedes(&places[standing])) {
            *side = Some(at);
        }
        self
    }

    fn standing(self, places: &[Place]) -> impl Iterator<Item = usize> + use<> {
        // A shared id has both sides; a record of neither is then an early form of one of them.
        let (first, second) = match (self.client, self.server, self.other) {
            (Some(client), Some(server), _) => (Some(client), Some(server)),
            (one, None, other) | (None, one, other) => (newer(places, one, other), None),
        };
        first.into_iter().chain(second)
    }
}

fn newer(places: &[Place], one: Option<usize>, other: Option<usize>) -> Option<usize> {
    match (one, other) {
        (Some(one), Some(other)) if places[other].supersedes(&places[one]) => Some(other),
        (Some(one), _) => Some(one),
        (None, other) => other,
    }
}

/// How a client and a server span that share an id stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SharedIds {
    /// As sent: siblings. What names their id as its parent is below the server's.
    AsSent,
    /// As meant: the server's is below the client's.
    Nested,
}

/// Marks a span that is a root.
pub(crate) const NO_PARENT: u32 = u32::MAX;

/// The tree of distinct spans; spans are known by their position in the list given.
#[derive(Debug)]
pub(crate) struct Tree {
    /// The position of each span's parent, or [`NO_PARENT`].
    pub(crate) parents: Vec<u32>,
    /// Positions in tree order.
    pub(crate) order: Vec<u32>,
    pub(crate) depths: Vec<u32>,
    pub(crate) child_counts: Vec<u32>,
    pub(crate) descendant_counts: Vec<u32>,
    /// Names a parent that is absent.
    pub(crate) orphans: Vec<bool>,
    /// The parent above which the tree was cut, where a span's parents lead back to it; else [`NO_PARENT`].
    pub(crate) cut_parents: Vec<u32>,
}

impl Tree {
    pub(crate) fn build(places: &[Place], shared: SharedIds) -> Self {
        let count = places.len();
        let mut tree = Self {
            parents: vec![NO_PARENT; count],
            order: Vec::with_capacity(count),
            depths: vec![0; count],
            child_counts: vec![0; count],
            descendant_counts: vec![0; count],
            orphans: vec![false; count],
            cut_parents: vec![NO_PARENT; count],
        };
        tree.link(places, shared);
        tree.cut_cycles(places);
        tree.walk(places);
        tree
    }

    fn link(&mut self, places: &[Place], shared: SharedIds) {
        // Children of a shared id belong to the server's span, so that one wins the entry.
        let mut by_id: FxHashMap<SpanId, u32> = FxHashMap::default();
        let mut twins: Vec<(u32, u32)> = Vec::new();
        for (at, place) in places.iter().enumerate() {
            match by_id.entry(place.span_id) {
                Entry::Vacant(entry) => {
                    entry.insert(at as u32);
                }
                Entry::Occupied(mut entry) => {
                    let other = *entry.get();
                    if place.kind == SpanKind::Server {
                        entry.insert(at as u32);
                        twins.push((other, at as u32));
                    } else {
                        twins.push((at as u32, other));
                    }
                }
            }
        }
        for (at, place) in places.iter().enumerate() {
            let Some(parent) = place.parent else { continue };
            match by_id.get(&parent) {
                Some(&parent) => self.parents[at] = parent,
                None => self.orphans[at] = true,
            }
        }
        if shared == SharedIds::Nested {
            for (client, server) in twins {
                self.parents[server as usize] = client;
                self.orphans[server as usize] = false;
            }
        }
    }

    /// Cuts each cycle above its earliest span, which becomes a root.
    fn cut_cycles(&mut self, places: &[Place]) {
        const NEW: u32 = 0;
        // The number of the walk that first met the span.
        let mut met = vec![NEW; places.len()];
        for first in 0..places.len() {
            let walk = first as u32 + 1;
            let mut at = first as u32;
            while at != NO_PARENT && met[at as usize] == NEW {
                met[at as usize] = walk;
                at = self.parents[at as usize];
            }
            if at != NO_PARENT && met[at as usize] == walk {
                let earliest = self.earliest_of_cycle(places, at);
                let parent = &mut self.parents[earliest as usize];
                self.cut_parents[earliest as usize] = std::mem::replace(parent, NO_PARENT);
            }
        }
    }

    fn earliest_of_cycle(&self, places: &[Place], member: u32) -> u32 {
        let key = |at: u32| (places[at as usize].start, places[at as usize].span_id);
        let (mut earliest, mut at) = (member, self.parents[member as usize]);
        while at != member {
            if key(at) < key(earliest) {
                earliest = at;
            }
            at = self.parents[at as usize];
        }
        earliest
    }

    fn walk(&mut self, places: &[Place]) {
        let count = places.len();
        let mut by_time: Vec<u32> = (0..count as u32).collect();
        by_time.sort_unstable_by_key(|&at| {
            let place = &places[at as usize];
            // A client's span before the server's of the same id and time.
            (place.start, place.span_id, place.kind == SpanKind::Server)
        });
        // Children of each span as a linked list; filled from the latest, so that it begins with the earliest.
        let mut first_child = vec![NO_PARENT; count];
        let mut next_sibling = vec![NO_PARENT; count];
        let mut roots = Vec::new();
        for &at in by_time.iter().rev() {
            match self.parents[at as usize] {
                NO_PARENT => roots.push(at),
                parent => {
                    next_sibling[at as usize] = first_child[parent as usize];
                    first_child[parent as usize] = at;
                    self.child_counts[parent as usize] += 1;
                }
            }
        }
        // The stack holds, per level, the next span to visit; `roots` ends with the earliest.
        let mut stack = Vec::new();
        while let Some(root) = roots.pop() {
            stack.push(root);
            while let Some(at) = stack.pop() {
                self.order.push(at);
                let place = at as usize;
                let below = first_child[place];
                if self.parents[place] != NO_PARENT && next_sibling[place] != NO_PARENT {
                    stack.push(next_sibling[place]);
                }
                if below != NO_PARENT {
                    stack.push(below);
                }
                if let Some(parent) = self.parent(at) {
                    self.depths[place] = self.depths[parent] + 1;
                }
            }
        }
        for &at in self.order.iter().rev() {
            if let Some(parent) = self.parent(at) {
                self.descendant_counts[parent] += self.descendant_counts[at as usize] + 1;
            }
        }
    }

    /// Whether the span's parents lead back to it, and the link above it was cut.
    pub(crate) fn is_cut(&self, at: usize) -> bool {
        self.cut_parents[at] != NO_PARENT
    }

    /// The position of the parent.
    pub(crate) fn parent(&self, at: u32) -> Option<usize> {
        match self.parents[at as usize] {
            NO_PARENT => None,
            parent => Some(parent as usize),
        }
    }
}

/// Whether a span does not hold up its parent: it consumes what the parent produced, or starts after it ended.
pub(crate) fn is_asynchronous(parent: &Place, child: &Place) -> bool {
    (parent.kind == SpanKind::Producer && child.kind == SpanKind::Consumer)
        || child.start > parent.end.max(parent.start)
}

#[cfg(test)]
mod tests;
