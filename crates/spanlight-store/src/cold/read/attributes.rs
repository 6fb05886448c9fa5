//! What a row group has of attributes: how many, by themselves beside the spans, and whether among those without a column.

use std::ops::ControlFlow;
use std::sync::Arc;

use parquet::errors::ParquetError;
use spanlight_model::SpanBatch;

use super::Part;
use crate::cold::catalogue::AttributeScope;
use crate::cold::condition::TAIL_KEYS;
use crate::cold::decode::{Presence, decode_apart};
use crate::cold::dictionary;
use crate::cold::group::GroupReader;
use crate::cold::pages::Distinct;
use crate::error::ReadError;
use crate::scan::{AttributeColumn, AttributeCount, AttributeKeys};

/// Takes spans with attributes by themselves.
type TakeApart<'t> =
    dyn FnMut(Result<(SpanBatch, Vec<AttributeColumn>), ReadError>) -> ControlFlow<()> + 't;

impl Part {
    /// The same with the columns of attributes by themselves; see
    /// [`Partition::read_apart`](crate::Partition::read_apart).
    pub(crate) fn read_apart(
        &self,
        batch_spans: usize,
        has_values: &dyn Fn(&str) -> bool,
        take: &mut TakeApart<'_>,
    ) {
        let footer = &self.file.footer;
        let listed = &self.file.request.columns.attributes;
        let read = self.group_reader().and_then(|mut group| {
            let roots = self.columns(&group, &AttributeKeys::All)?;
            let mut presence = Presence::new();
            for &root in &roots {
                let (name, leaves) = &footer.roots()[root];
                let column = footer.catalogue.by_name(name);
                let Some(column) = column.filter(|it| !listed.contains(&it.key)) else {
                    continue;
                };
                let only = match has_values(&column.key) {
                    true => only_text(&group, leaves.start)?,
                    false => None,
                };
                if only.is_some() || !has_values(&column.key) {
                    presence.insert(name.clone(), only);
                    group.presence.insert(leaves.start);
                }
            }
            self.read_rows(&group, &roots, batch_spans, &mut |rows| {
                let batch = decode_apart(rows, &footer.catalogue, listed, &presence);
                let batch = batch.map_err(|error| ParquetError::General(error.to_string()))?;
                Ok(take(Ok(batch)))
            })
        });
        if let Err(error) = read {
            // It was the last anyway.
            let _ = take(Err(self.error(&error)));
        }
    }

    /// How many spans have a value in each attribute column; `None` where the file does not say it.
    pub(crate) fn attribute_counts(&self) -> Option<Vec<AttributeCount>> {
        let footer = &self.file.footer;
        let group = footer.metadata.row_group(self.group);
        let columns = footer.catalogue.columns().iter();
        let columns = columns.filter(|column| column.scope == AttributeScope::Span);
        let counts = columns.map(|column| {
            let (leaf, _) = footer.leaf(&column.name)?;
            let chunk = group.column(leaf);
            let nulls = chunk.statistics()?.null_count_opt()?;
            Some(AttributeCount {
                key: column.key.clone(),
                kind: column.kind.attribute_type(),
                spans: u64::try_from(chunk.num_values()).ok()?.checked_sub(nulls)?,
            })
        });
        counts.collect()
    }

    /// Whether an attribute that is asked for may be among those that have no column.
    pub(super) fn needs_tail(
        &self,
        group: &GroupReader<'_>,
        attributes: &AttributeKeys,
    ) -> Result<bool, ParquetError> {
        let keys = match attributes {
            AttributeKeys::None => return Ok(false),
            AttributeKeys::All | AttributeKeys::Uncounted => return Ok(true),
            AttributeKeys::Some(keys) => keys,
        };
        let Some((leaf, _)) = self.file.footer.leaf(TAIL_KEYS) else {
            return Ok(true);
        };
        let footer = &self.file.footer;
        let known = footer.small_dictionary(&group.fetch, self.group, leaf)?;
        Ok(known.is_none_or(|known| known.iter().flatten().any(|key| keys.contains(key))))
    }
}

/// The text that every value of a column is, where that is easily known.
fn only_text(group: &GroupReader<'_>, leaf: usize) -> Result<Option<Arc<str>>, ParquetError> {
    let column = group.column(leaf);
    if !dictionary::is_small(column) || !dictionary::is_whole(column) {
        return Ok(None);
    }
    Ok(match group.distinct(leaf)?.as_deref() {
        Some(Distinct::Texts(values)) if values.len() == 1 => {
            str::from_utf8(values.get(0)).ok().map(Arc::from)
        }
        _ => None,
    })
}
