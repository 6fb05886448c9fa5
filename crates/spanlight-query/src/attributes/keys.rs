//! Counting attribute keys.

use std::cmp::Reverse;
use std::ops::Range;

use arrow_array::Array as _;
use datafusion::execution::memory_pool::MemoryReservation;
use rustc_hash::FxHashMap;
use spanlight_model::{AttributeType, Attributes, SpanBatch};
use spanlight_store::{AttributeKeys, Partition, ScanColumns};

use super::question::is_anything;
use super::{AttributeScope, KEYS_MAX, KeyUse};
use crate::load::MemoryFull;
use crate::parallel::Worker;
use crate::predicate::{Bound, Fields, Filter};

/// Entries of a key by the type of its value.
type Counts = [u64; AttributeType::ALL.len()];

/// The columns that have the attributes of a scope, or of all.
pub(super) fn columns(scope: Option<AttributeScope>) -> ScanColumns {
    let wants = |one: AttributeScope| scope.is_none_or(|scope| scope == one);
    let keys = |wanted| match wanted {
        true => AttributeKeys::All,
        false => AttributeKeys::None,
    };
    ScanColumns {
        attributes: keys(wants(AttributeScope::Span)),
        resource: keys(wants(AttributeScope::Resource)),
        events: wants(AttributeScope::Event),
        links: wants(AttributeScope::Link),
        scope: wants(AttributeScope::Instrumentation),
        ..ScanColumns::NONE
    }
}

/// Whether a partition has counted its spans, and all of them are meant.
pub(super) fn is_counted(partition: &Partition, range: &Range<i64>) -> bool {
    partition.min_start_time_unix_nano() >= range.start
        && partition.max_start_time_unix_nano() < range.end
        && partition.attribute_counts().is_some()
}

/// What one worker has counted.
#[derive(Debug)]
pub(super) struct KeyWorker {
    fields: Fields,
    filter: Filter,
    range: Range<i64>,
    scope: Option<AttributeScope>,
    memory: MemoryReservation,
    /// By scope.
    keys: [FxHashMap<Box<str>, Counts>; AttributeScope::ALL.len()],
    bytes: usize,
    /// There were more keys than are told apart.
    pub(super) overflow: bool,
}

impl KeyWorker {
    pub(super) fn new(
        fields: &Fields,
        filter: &Filter,
        range: Range<i64>,
        scope: Option<AttributeScope>,
        memory: MemoryReservation,
    ) -> Self {
        Self {
            fields: fields.clone(),
            filter: filter.clone(),
            range,
            scope,
            memory,
            keys: Default::default(),
            bytes: 0,
            overflow: false,
        }
    }

    /// Counts the attributes of these rows.
    pub(super) fn rows(&mut self, batch: &SpanBatch, rows: &[u32]) -> Result<(), MemoryFull> {
        use AttributeScope as S;
        let columns = batch.columns();
        let rows = || rows.iter().map(|&row| row as usize);
        let spans = rows().map(|row| (columns.attributes.range(row), 1));
        self.add(S::Span, &columns.attributes, spans)?;
        let resources = &columns.resource_values.attributes;
        let of_rows = rows().map(|row| columns.resources.value(row) as usize);
        let weights = weights(columns.resource_values.service_names.len(), of_rows);
        let ranges = weights.map(|(resource, weight)| (resources.range(resource), weight));
        self.add(S::Resource, resources, ranges)?;
        let events = rows().flat_map(|row| columns.events.range(row));
        let ranges = events.map(|event| (columns.events.attributes.range(event), 1));
        self.add(S::Event, &columns.events.attributes, ranges)?;
        let links = rows().flat_map(|row| columns.links.range(row));
        let ranges = links.map(|link| (columns.links.attributes.range(link), 1));
        self.add(S::Link, &columns.links.attributes, ranges)?;
        let scopes = &columns.scope_values.attributes;
        let of_rows = rows().map(|row| columns.scopes.value(row) as usize);
        let weights = self::weights(columns.scope_values.names.len(), of_rows);
        let ranges = weights.map(|(scope, weight)| (scopes.range(scope), weight));
        self.add(S::Instrumentation, scopes, ranges)
    }

    fn add(
        &mut self,
        scope: AttributeScope,
        attributes: &Attributes<'_>,
        ranges: impl Iterator<Item = (Range<usize>, u64)>,
    ) -> Result<(), MemoryFull> {
        if self.scope.is_some_and(|wanted| wanted != scope) {
            return Ok(());
        }
        let (keys, types) = (attributes.key_indices(), attributes.types());
        let mut counts: Vec<Counts> = vec![Counts::default(); attributes.keys().len()];
        for (range, weight) in ranges {
            for entry in range {
                let kind = AttributeType::from_number(types[entry]);
                counts[keys[entry] as usize][kind as usize] += weight;
            }
        }
        let met = counts.iter().enumerate();
        for (key, counts) in met.filter(|(_, counts)| **counts != Counts::default()) {
            self.count(scope, attributes.keys().value(key), counts)?;
        }
        Ok(())
    }

    fn count(
        &mut self,
        scope: AttributeScope,
        key: &str,
        counts: &Counts,
    ) -> Result<(), MemoryFull> {
        let keys = &mut self.keys[scope as usize];
        if let Some(known) = keys.get_mut(key) {
            known
                .iter_mut()
                .zip(counts)
                .for_each(|(sum, count)| *sum += count);
            return Ok(());
        }
        self.bytes += key.len() + 2 * size_of::<(Box<str>, Counts)>();
        if keys.len() == KEYS_MAX {
            self.overflow = true;
            return Err(MemoryFull);
        }
        keys.insert(key.into(), *counts);
        self.memory.try_resize(self.bytes).map_err(|_| MemoryFull)
    }
}

/// How many rows have each of these places.
fn weights(
    places: usize,
    of_rows: impl Iterator<Item = usize>,
) -> impl Iterator<Item = (usize, u64)> {
    let mut weights = vec![0; places];
    of_rows.for_each(|place| weights[place] += 1);
    weights
        .into_iter()
        .enumerate()
        .filter(|(_, weight)| *weight > 0)
}

impl Worker for KeyWorker {
    fn begin(&mut self, partition: &Partition) {
        let wants = self.scope.is_none_or(|scope| scope == AttributeScope::Span);
        if !wants || !is_anything(&self.filter) || !is_counted(partition, &self.range) {
            return;
        }
        for count in partition.attribute_counts().into_iter().flatten() {
            let mut counts = Counts::default();
            counts[count.kind as usize] = count.spans;
            // More than there is room for is noticed with the first batch.
            if count.spans > 0 {
                let _ = self.count(AttributeScope::Span, &count.key, &counts);
            }
        }
    }

    fn take(&mut self, batch: &SpanBatch) -> Result<(), MemoryFull> {
        if self.overflow {
            return Err(MemoryFull);
        }
        let rows = {
            let bound = Bound::new(&self.fields, batch.columns(), None);
            let starts = bound.columns.start_times.values();
            let rows = 0..starts.len() as u32;
            let rows = rows.filter(|&row| self.range.contains(&starts[row as usize]));
            bound.select(&self.filter, rows.collect())
        };
        self.rows(batch, &rows)
    }
}

/// The keys by use, and whether there were more than the limit.
pub(super) fn ranked(workers: Vec<KeyWorker>, limit: usize) -> (Vec<KeyUse>, bool) {
    let mut sums: FxHashMap<(AttributeScope, Box<str>), Counts> = FxHashMap::default();
    for worker in workers {
        for (scope, keys) in AttributeScope::ALL.into_iter().zip(worker.keys) {
            for (key, counts) in keys {
                let sum = sums.entry((scope, key)).or_default();
                sum.iter_mut()
                    .zip(counts)
                    .for_each(|(sum, count)| *sum += count);
            }
        }
    }
    let mut keys: Vec<KeyUse> = sums
        .into_iter()
        .map(|((scope, key), counts)| {
            let mut types = AttributeType::ALL.to_vec();
            types.retain(|kind| counts[*kind as usize] > 0);
            types.sort_by_key(|kind| Reverse(counts[*kind as usize]));
            KeyUse {
                scope,
                key: key.into(),
                types,
                count: counts.iter().sum(),
            }
        })
        .collect();
    keys.sort_by(|a, b| (b.count, a.scope, &a.key).cmp(&(a.count, b.scope, &b.key)));
    let more = keys.len() > limit;
    keys.truncate(limit);
    (keys, more)
}
