//! Expressions over one span: compiled once a query, bound once a batch, evaluated over selections of its rows.
//!
//! Semantics are those of TraceQL with two truth values: a comparison with what is missing, or of another type, is
//! false; its negation is true; nothing in the data is an error.

mod bind;
mod ids;
mod program;
mod push;
mod scalar;
mod select;
mod texts;

pub(crate) use bind::{Accessor, Bound, TraceFacts, TraceShape, entry};
pub(crate) use ids::trace_ids;
pub(crate) use program::{Fields, Filter, Node, is_trace_level};
pub(crate) use push::{condition, is_told};
pub(crate) use scalar::{Scalar, compare};
