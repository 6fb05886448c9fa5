//! Leaving out whole batches in memory: by the distinct values that they have. Rows are left to the reader, who looks
//! at codes anyway.

use arrow_array::Array as _;
use spanlight_model::{AttributeType, Attributes, SpanBatch, SpanColumns, SpanKind, StatusCode};

use super::filter::{Field, Filter, Literal, Predicate, Test};

/// Whether a span of the batch may pass.
pub(crate) fn may_pass(spans: &SpanBatch, filter: &Filter) -> bool {
    Batch::of(spans).passes(filter)
}

struct Batch<'a> {
    columns: SpanColumns<'a>,
}

impl<'a> Batch<'a> {
    fn of(spans: &'a SpanBatch) -> Self {
        Self {
            columns: spans.columns(),
        }
    }

    fn passes(&self, filter: &Filter) -> bool {
        match filter {
            Filter::And(filters) => filters.iter().all(|filter| self.passes(filter)),
            Filter::Or(filters) => filters.iter().any(|filter| self.passes(filter)),
            Filter::Test(test) => self.passes_test(test),
        }
    }

    fn passes_test(&self, Test { field, predicate }: &Test) -> bool {
        let columns = &self.columns;
        match field {
            Field::Name => {
                let mut names = columns.name_values.iter().flatten();
                names.any(|name| predicate.passes_text(name))
            }
            Field::ServiceName => {
                let mut names = columns.resource_values.service_names.iter().flatten();
                names.any(|name| predicate.passes_text(name))
            }
            Field::Kind => {
                let passing = SpanKind::ALL.map(|kind| predicate.passes_text(kind.as_str()));
                let mut kinds = columns.kinds.values().iter();
                kinds.any(|&kind| passing.get(kind as usize).copied().unwrap_or(true))
            }
            Field::Status => {
                let passing = StatusCode::ALL.map(|code| predicate.passes_text(code.as_str()));
                let mut codes = columns.status_codes.values().iter();
                codes.any(|&code| passing.get(code as usize).copied().unwrap_or(true))
            }
            Field::Duration => {
                let starts = columns.start_times.values().iter();
                let mut times = starts.zip(columns.end_times.values());
                times.any(|(start, end)| predicate.passes_int(end.saturating_sub(*start).max(0)))
            }
            Field::StatusMessage => true,
            Field::SpanAttribute(key) => self.has_attribute(key, predicate),
            Field::ResourceAttribute(key) => has_key(&columns.resource_values.attributes, key),
            Field::Attribute(key) => {
                has_key(&columns.resource_values.attributes, key)
                    || self.has_attribute(key, predicate)
            }
        }
    }

    fn has_attribute(&self, key: &str, predicate: &Predicate) -> bool {
        let attributes = &self.columns.attributes;
        if !has_key(attributes, key) {
            return false;
        }
        let Some(literals) = predicate.literals() else {
            return true;
        };
        let is_text = |literal: &Literal| matches!(literal, Literal::String(_));
        if !literals.iter().all(is_text) || has_arrays(attributes) {
            return true;
        }
        literals.iter().any(|literal| match literal {
            Literal::String(text) => {
                let texts = attributes.texts();
                (0..texts.len()).any(|code| texts.value(code) == &**text)
            }
            Literal::Int(_) | Literal::Double(_) | Literal::Bool(_) => true,
        })
    }
}

fn has_key(attributes: &Attributes<'_>, key: &str) -> bool {
    let keys = attributes.keys();
    (0..keys.len()).any(|at| keys.value(at) == key)
}

/// An array passes when an element does, and its elements are not among the texts.
fn has_arrays(attributes: &Attributes<'_>) -> bool {
    attributes.types().contains(&(AttributeType::Array as i8))
}
