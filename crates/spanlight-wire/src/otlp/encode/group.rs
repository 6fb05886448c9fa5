//! Which spans share a resource and a scope. Equal ones are one group even where a batch, being joined from
//! several, holds them at several positions.

use std::collections::HashMap;

use spanlight_model::{SpanBatch, SpanColumns};

use super::protobuf::{resource_bytes, scope_bytes};

/// Spans of one resource, in groups of one scope; all in the order of the batch.
pub(super) struct ResourceGroup {
    pub(super) scopes: Vec<ScopeGroup>,
}

/// Rows of spans of one resource and scope; never empty.
pub(super) struct ScopeGroup {
    pub(super) rows: Vec<usize>,
}

impl ResourceGroup {
    /// A span whose resource is the group's.
    pub(super) fn first_row(&self) -> usize {
        self.scopes.first().map_or(0, ScopeGroup::first_row)
    }
}

impl ScopeGroup {
    /// A span whose scope is the group's.
    pub(super) fn first_row(&self) -> usize {
        self.rows.first().copied().unwrap_or(0)
    }
}

pub(super) fn group(batch: &SpanBatch) -> Vec<ResourceGroup> {
    let columns = batch.columns();
    let mut resources = Distinct::default();
    let mut scopes = Distinct::default();
    let mut groups: Vec<ResourceGroup> = Vec::new();
    let mut positions = HashMap::new();
    for row in 0..batch.num_spans() {
        let resource = resources.index(columns.resources.value(row), || {
            resource_bytes(&columns.span(row).resource())
        });
        if resource == groups.len() {
            groups.push(ResourceGroup { scopes: Vec::new() });
        }
        let scope = scopes.index(columns.scopes.value(row), || scope_of(&columns, row));
        let scopes = &mut groups[resource].scopes;
        let position = *positions.entry((resource, scope)).or_insert(scopes.len());
        if position == scopes.len() {
            scopes.push(ScopeGroup { rows: Vec::new() });
        }
        scopes[position].rows.push(row);
    }
    groups
}

fn scope_of(columns: &SpanColumns<'_>, row: usize) -> Vec<u8> {
    scope_bytes(&columns.span(row).scope())
}

/// Numbers things by their bytes, in the order of first appearance.
#[derive(Default)]
struct Distinct {
    by_position: HashMap<i32, usize>,
    by_bytes: HashMap<Vec<u8>, usize>,
}

impl Distinct {
    fn index(&mut self, position: i32, bytes: impl FnOnce() -> Vec<u8>) -> usize {
        *self.by_position.entry(position).or_insert_with(|| {
            let next = self.by_bytes.len();
            *self.by_bytes.entry(bytes()).or_insert(next)
        })
    }
}
