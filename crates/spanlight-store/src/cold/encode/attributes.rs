//! Attributes to columns: each to the column of its key and type, the others to the tail.

use std::sync::Arc;

use arrow_array::{Array as _, ArrayRef, BooleanArray, Float64Array, Int64Array};
use arrow_buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};
use arrow_schema::ArrowError;
use spanlight_model::{AttributeType, Attributes};

use super::Source;
use super::nested::AttributeRows;
use super::texts::{Memo, NONE, Texts};
use crate::cold::catalogue::{AttributeScope, Catalogue, ColumnType};
use crate::cold::order::Place;

/// No column.
const TAIL: u16 = u16::MAX;

/// Where values of a key go.
#[derive(Debug, Clone, Copy)]
struct Route {
    /// Columns of one key are of one group: a span's first value of a key goes to a column, later ones to the tail.
    group: u16,
    /// By the number of the type.
    columns: [u16; 8],
}

const TO_TAIL: Route = Route {
    group: TAIL,
    columns: [TAIL; 8],
};

/// The routes of a batch's keys, and the columns that they lead to.
fn routes(attributes: &Attributes<'_>, scope: AttributeScope, catalogue: &Catalogue) -> Vec<Route> {
    let own = || {
        let columns = catalogue.columns().iter();
        columns.filter(|column| column.scope == scope)
    };
    let keys = (0..attributes.keys().len()).map(|at| {
        let key = attributes.keys().value(at);
        let mut route = TO_TAIL;
        if catalogue.of_key(scope, key).next().is_none() {
            return route;
        }
        for (number, column) in (0..).zip(own()).filter(|(_, column)| column.key == key) {
            route.group = route.group.min(number);
            for kind in AttributeType::ALL {
                if ColumnType::of(kind) == Some(column.kind) {
                    route.columns[kind as usize] = number;
                }
            }
        }
        route
    });
    keys.collect()
}

/// Sorts spans' attributes into columns.
#[derive(Debug)]
pub(super) struct AttributeRouter {
    routes: Vec<Vec<Route>>,
    kinds: Vec<ColumnType>,
    texts: Vec<Memo>,
    keys: Vec<Memo>,
}

impl AttributeRouter {
    pub(super) fn new(sources: &[Source<'_>], catalogue: &Catalogue) -> Self {
        let attributes = || sources.iter().map(|source| &source.columns.attributes);
        Self {
            routes: attributes()
                .map(|attributes| routes(attributes, AttributeScope::Span, catalogue))
                .collect(),
            kinds: kinds(catalogue, AttributeScope::Span),
            texts: attributes().map(|it| Memo::new(it.texts().len())).collect(),
            keys: attributes().map(|it| Memo::new(it.keys().len())).collect(),
        }
    }

    /// The tail, and the columns in the catalogue's order.
    pub(super) fn rows<'a>(
        &mut self,
        sources: &'a [Source<'a>],
        texts: &mut Texts<'a>,
        places: &[Place],
    ) -> Result<(ArrayRef, Vec<ArrayRef>), ArrowError> {
        let mut columns: Vec<Column> = self
            .kinds
            .iter()
            .map(|kind| Column::new(*kind, places.len()))
            .collect();
        // By group, the last row that has it.
        let mut seen = vec![u32::MAX; columns.len()];
        let mut tail = AttributeRows::default();
        for (row, place) in (0_u32..).zip(places) {
            let batch = place.batch as usize;
            let attributes = &sources[batch].columns.attributes;
            let routes = &self.routes[batch];
            let memo = &mut self.texts[batch];
            let (types, keys) = (attributes.types(), attributes.key_indices());
            for entry in attributes.range(place.row as usize) {
                let route = &routes[keys[entry] as usize];
                let column = route.columns[(types[entry] & 7) as usize];
                let is_first = match seen.get_mut(usize::from(route.group)) {
                    Some(seen) => std::mem::replace(seen, row) != row,
                    None => false,
                };
                if column == TAIL || !is_first {
                    tail.push_entry(attributes, entry, texts, memo, &mut self.keys[batch]);
                    continue;
                }
                columns[usize::from(column)].set(row as usize, attributes, entry, |text| {
                    memo.get(text, || texts.intern(attributes.texts().value(text)))
                });
            }
            tail.close();
        }
        let tail = tail.finish(texts)?;
        let columns = columns.into_iter().map(|column| column.finish(texts));
        Ok((Arc::new(tail), columns.collect::<Result<_, _>>()?))
    }
}

fn kinds(catalogue: &Catalogue, scope: AttributeScope) -> Vec<ColumnType> {
    let columns = catalogue.columns().iter();
    let own = columns.filter(|column| column.scope == scope);
    own.map(|column| column.kind).collect()
}

/// A column that is being filled, row by row, with rows left out.
#[derive(Debug)]
enum Column {
    Texts(Vec<u32>),
    Numbers(ColumnType, Vec<i64>, Vec<bool>),
}

impl Column {
    fn new(kind: ColumnType, rows: usize) -> Self {
        match kind {
            ColumnType::String => Self::Texts(vec![NONE; rows]),
            other => Self::Numbers(other, vec![0; rows], vec![false; rows]),
        }
    }

    #[inline]
    fn set(
        &mut self,
        row: usize,
        attributes: &Attributes<'_>,
        entry: usize,
        text: impl FnOnce(usize) -> u32,
    ) {
        match self {
            Self::Texts(numbers) => {
                numbers[row] = text(attributes.text_indices()[entry] as usize);
            }
            Self::Numbers(_, numbers, valid) => {
                numbers[row] = attributes.numbers()[entry];
                valid[row] = true;
            }
        }
    }

    fn finish(self, texts: &mut Texts<'_>) -> Result<ArrayRef, ArrowError> {
        let (kind, numbers, valid) = match self {
            Self::Texts(numbers) => return texts.dictionary(numbers),
            Self::Numbers(kind, numbers, valid) => (kind, numbers, valid),
        };
        let nulls = valid
            .contains(&false)
            .then(|| NullBuffer::new(BooleanBuffer::from(valid)));
        Ok(match kind {
            ColumnType::Bool => {
                let truths = BooleanBuffer::collect_bool(numbers.len(), |at| numbers[at] != 0);
                Arc::new(BooleanArray::new(truths, nulls))
            }
            ColumnType::Double => {
                let numbers = numbers.iter().map(|&bits| f64::from_bits(bits as u64));
                let numbers: ScalarBuffer<f64> = numbers.collect();
                Arc::new(Float64Array::try_new(numbers, nulls)?)
            }
            ColumnType::Int | ColumnType::String => {
                Arc::new(Int64Array::try_new(numbers.into(), nulls)?)
            }
        })
    }
}

/// Copies resources' attributes into columns.
#[derive(Debug)]
pub(super) struct ResourceRouter {
    routes: Vec<Vec<Route>>,
    kinds: Vec<ColumnType>,
    texts: Vec<Memo>,
}

impl ResourceRouter {
    pub(super) fn new(sources: &[Source<'_>], catalogue: &Catalogue) -> Self {
        let attributes = || {
            let columns = sources.iter().map(|source| &source.columns);
            columns.map(|columns| &columns.resource_values.attributes)
        };
        Self {
            routes: attributes()
                .map(|attributes| routes(attributes, AttributeScope::Resource, catalogue))
                .collect(),
            kinds: kinds(catalogue, AttributeScope::Resource),
            texts: attributes().map(|it| Memo::new(it.texts().len())).collect(),
        }
    }

    /// The columns in the catalogue's order.
    pub(super) fn rows<'a>(
        &mut self,
        sources: &'a [Source<'a>],
        texts: &mut Texts<'a>,
        places: &[Place],
    ) -> Result<std::vec::IntoIter<ArrayRef>, ArrowError> {
        // Of each resource, once: which entry each column has.
        let mut entries: Vec<Vec<Option<Vec<usize>>>> = sources
            .iter()
            .map(|source| vec![None; source.resources.len()])
            .collect();
        let mut columns: Vec<Column> = self
            .kinds
            .iter()
            .map(|kind| Column::new(*kind, places.len()))
            .collect();
        if columns.is_empty() {
            return Ok(Vec::new().into_iter());
        }
        for (row, place) in places.iter().enumerate() {
            let batch = place.batch as usize;
            let source = &sources[batch].columns;
            let attributes = &source.resource_values.attributes;
            let resource = source.resources.value(place.row as usize) as usize;
            let entries = entries[batch][resource]
                .get_or_insert_with(|| self.entries(batch, attributes, resource));
            let memo = &mut self.texts[batch];
            for &entry in entries.iter() {
                let route = &self.routes[batch][attributes.key_indices()[entry] as usize];
                let column = route.columns[(attributes.types()[entry] & 7) as usize];
                columns[usize::from(column)].set(row, attributes, entry, |text| {
                    memo.get(text, || texts.intern(attributes.texts().value(text)))
                });
            }
        }
        let columns = columns.into_iter().map(|column| column.finish(texts));
        Ok(columns.collect::<Result<Vec<_>, _>>()?.into_iter())
    }

    /// The entries of a resource that have a column: of each key the first.
    fn entries(&self, batch: usize, attributes: &Attributes<'_>, resource: usize) -> Vec<usize> {
        let mut seen = Vec::new();
        let mut entries = Vec::new();
        for entry in attributes.range(resource) {
            let route = &self.routes[batch][attributes.key_indices()[entry] as usize];
            if route.group == TAIL || seen.contains(&route.group) {
                continue;
            }
            seen.push(route.group);
            if route.columns[(attributes.types()[entry] & 7) as usize] != TAIL {
                entries.push(entry);
            }
        }
        entries
    }
}
