//! Which keys deserve a column: counting the keys of what is about to be written, in bounded memory.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::Array as _;
use spanlight_model::{Attributes, SpanBatch, convention};

use super::catalogue::{AttributeScope, Catalogue, ColumnType, is_well_known};

/// A key is promoted when at least one span of so many has it,
const SPANS_PER_VALUE: u64 = 100;
/// and at least so many spans altogether: nothing is learnt from a handful.
const VALUES_MIN: u64 = 16;
/// Keys that are counted at once. Of more, the rarest are forgotten: a key that one span of a hundred has is never
/// among those, however many others there are.
const KEYS_MAX: usize = 4096;

/// Columns for some spans.
#[derive(Debug, Clone)]
pub(crate) struct Promotion {
    /// The catalogue that there was, and columns for the keys that occur often in these spans.
    pub(crate) catalogue: Arc<Catalogue>,
    /// Those of its columns that occur in these spans.
    pub(crate) occurring: Catalogue,
}

impl Promotion {
    /// What these spans need, given the columns that there are.
    pub(crate) fn of(catalogue: &Arc<Catalogue>, batches: &[SpanBatch]) -> Self {
        let counts = Counts::of(batches, catalogue);
        let spans: usize = batches.iter().map(SpanBatch::num_spans).sum();
        let least = VALUES_MIN.max(spans as u64 / SPANS_PER_VALUE);
        let mut wanted: Vec<(&CountedKey, u64)> = counts
            .counts
            .iter()
            .map(|(key, &count)| (key, count))
            .filter(|((scope, key, kind), count)| {
                *count >= least && !catalogue.has(*scope, key, *kind)
            })
            .collect();
        wanted.sort_unstable_by(|(a, a_count), (b, b_count)| {
            let rank = |key: &str, count: u64| (!is_well_known(key), u64::MAX - count);
            rank(&a.1, *a_count)
                .cmp(&rank(&b.1, *b_count))
                .then(a.cmp(b))
        });
        let mut grown = catalogue.as_ref().clone();
        for ((scope, key, kind), _) in wanted {
            grown.promote(*scope, key, *kind);
        }
        let occurring = grown.filtered(|column| {
            let key = (column.scope, column.key.clone(), column.kind);
            counts.counts.contains_key(&key)
        });
        let is_grown = grown.columns().len() > catalogue.columns().len();
        Self {
            catalogue: if is_grown {
                Arc::new(grown)
            } else {
                Arc::clone(catalogue)
            },
            occurring,
        }
    }
}

type CountedKey = (AttributeScope, String, ColumnType);

#[derive(Debug, Default)]
struct Counts {
    counts: HashMap<CountedKey, u64>,
}

/// Values of one key by type, in the order of the types' numbers.
type ByType = [u64; 8];

impl Counts {
    fn of(batches: &[SpanBatch], catalogue: &Catalogue) -> Self {
        let mut counts = Self::default();
        for batch in batches {
            counts.count_batch(batch);
            counts.forget_rare(catalogue);
        }
        counts
    }

    fn count_batch(&mut self, batch: &SpanBatch) {
        let columns = batch.columns();
        let spans = batch.num_spans();
        if spans == 0 {
            return;
        }
        let attributes = &columns.attributes;
        let mut by_key: Vec<ByType> = vec![[0; 8]; attributes.keys().len()];
        let entries = attributes.range(0).start..attributes.range(spans - 1).end;
        let keys = &attributes.key_indices()[entries.clone()];
        for (&key, &kind) in keys.iter().zip(&attributes.types()[entries]) {
            by_key[key as usize][(kind & 7) as usize] += 1;
        }
        self.add(AttributeScope::Span, attributes, &by_key);

        let mut uses = vec![0; columns.resource_values.schema_urls.len()];
        for &resource in &columns.resources.values()[..] {
            uses[resource as usize] += 1;
        }
        let attributes = &columns.resource_values.attributes;
        let mut by_key: Vec<ByType> = vec![[0; 8]; attributes.keys().len()];
        for (resource, &uses) in uses.iter().enumerate().filter(|(_, uses)| **uses > 0) {
            for entry in attributes.range(resource) {
                let key = attributes.key_indices()[entry] as usize;
                by_key[key][(attributes.types()[entry] & 7) as usize] += uses;
            }
        }
        self.add(AttributeScope::Resource, attributes, &by_key);
    }

    fn add(&mut self, scope: AttributeScope, attributes: &Attributes<'_>, by_key: &[ByType]) {
        for (key, counts) in by_key.iter().enumerate() {
            let key = attributes.keys().value(key);
            for (number, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                let kind = spanlight_model::AttributeType::from_number(number as i8);
                let Some(kind) = ColumnType::of(kind) else {
                    continue;
                };
                // It has a column as it is.
                if scope == AttributeScope::Resource && key == convention::SERVICE_NAME {
                    continue;
                }
                *self
                    .counts
                    .entry((scope, key.to_owned(), kind))
                    .or_default() += count;
            }
        }
    }

    fn forget_rare(&mut self, catalogue: &Catalogue) {
        if self.counts.len() <= KEYS_MAX {
            return;
        }
        let mut counts: Vec<u64> = self.counts.values().copied().collect();
        let (_, least, _) = counts.select_nth_unstable_by(KEYS_MAX / 2, |a, b| b.cmp(a));
        let least = *least;
        self.counts.retain(|(scope, key, kind), count| {
            *count > least || catalogue.has(*scope, key, *kind)
        });
    }
}
